"""All reference files of one kind of exposures, written under CRDS names."""

from dataclasses import asdict, dataclass
from pathlib import Path

from miri_background.observation import exposures
from miri_background.reading import open_fits
from miri_background.references import arrays, tables
from miri_background.references.detectors import embedded_detector, mirisim_detector
from miri_background.references.interference import emicorr, emicorr_parameters
from miri_background.references.mappings import (
    INTERFERENCE_KEYS,
    MATCH_KEYS,
    OLDER_SERIAL,
    SERIAL,
    reference_name,
)
from miri_background.references.metadata import EXPOSURE_TYPE

__all__ = ["ExposureKind", "write_older_references", "write_references"]

# The dark is written in steps of this many groups, so that ramps of similar length
# share a cache.
_DARK_GROUP_STEP = 20
_NO_LIMIT = 10_000  # groups, more than any ramp has


@dataclass(frozen=True)
class ExposureKind:
    """What references are written for.

    Parameters
    ----------
    filter : str
        Name, as in `miri_background.observation.Observation`.
    read : tuple of tuple
        Of each way to read: readout pattern, subarray, groups of the dark (longer ramps would
        make the pipeline extrapolate), and integrations of the reset reference (the later ones
        are equal).
    mirisim_read_noise : float or None
        Noise of one read, DN, for MIRISim's detector; None for the embedded one.
    interference_line : str or None
        Name of the line of interference that the pipeline is to remove; None for nothing.
    """

    filter: str
    read: tuple
    mirisim_read_noise: float | None = None
    interference_line: str | None = None

    @classmethod
    def of(cls, observation, mirisim_read_noise=None, dark_groups=0, emicorr=True):
        """Return the kind of an observation's exposures.

        The dark has so many groups at most; interference is removed, if there is any, by default.
        """
        longest = {}
        for readout in (each.readout for each in exposures(observation)):
            way = readout.pattern, readout.subarray
            groups, integrations = longest.get(way, (0, 0))
            longest[way] = max(groups, readout.groups), max(integrations, readout.integrations)
        read = tuple(
            (
                *way,
                min(-(-groups // _DARK_GROUP_STEP) * _DARK_GROUP_STEP, dark_groups or _NO_LIMIT),
                min(integrations, 2),
            )
            for way, (groups, integrations) in sorted(longest.items())
        )
        line = observation.interference_line if observation.interference and emicorr else None
        return cls(observation.filter, read, mirisim_read_noise, line)

    def parameters(self):
        """Return the parameters by name."""
        return asdict(self)

    def detector(self, readout_pattern):
        """Return the detector that exposures were taken with, read in one pattern."""
        if self.mirisim_read_noise is not None:
            return mirisim_detector(self.mirisim_read_noise)
        return embedded_detector(readout_pattern)


def _models(kind):
    """Yield reference type and a function that makes the data model, of every file."""
    patterns = sorted({pattern for pattern, *_ in kind.read})
    maps = {pattern: kind.detector(pattern) for pattern in patterns}
    # All but the noise of reads is the same in each pattern.
    common = maps[patterns[0]]
    yield "mask", lambda: arrays.mask(common)
    yield "saturation", lambda: arrays.saturation(common)
    yield "linearity", lambda: arrays.linearity(common)
    yield "rscd", tables.rscd
    yield "gain", lambda: arrays.gain(common)
    for pattern in patterns:
        yield "readnoise", lambda pattern=pattern: arrays.readnoise(maps[pattern], pattern)
    for pattern, subarray, groups, integrations in kind.read:
        how = common, pattern, subarray
        yield "reset", lambda how=how, number=integrations: arrays.reset(*how, number)
        yield "dark", lambda how=how, number=groups: arrays.dark(*how, number)
    yield "area", arrays.area
    yield "photom", lambda: tables.photom(common)
    yield "flat", lambda: arrays.flat(common, kind.filter)
    yield "distortion", tables.distortion
    yield "filteroffset", tables.filteroffset
    yield "apcorr", lambda: tables.apcorr(kind.filter)
    yield "abvegaoffset", tables.abvegaoffset


def write_references(directory, kind):
    """Write the reference files of MIRI imaging.

    Parameters
    ----------
    directory : path-like
        Where to write, an existing directory.
    kind : ExposureKind
        What they are for.

    Returns
    -------
    dict
        What `miri_background.references.mappings.write_mappings` takes.
    """
    import asdf

    selections = {reftype: {} for reftype in MATCH_KEYS}
    with asdf.config_context() as configuration:
        # The newest version that builds back to jwst 1.6 can read.
        configuration.default_version = "1.5.0"
        for reftype, build in _models(kind):
            with build() as model:
                table_or_transform = reftype in {"distortion", "filteroffset", "abvegaoffset"}
                extension = "asdf" if table_or_transform else "fits"
                name = reference_name(reftype, extension, SERIAL + len(selections[reftype]))
                match = tuple(model[key.lower()] for key in MATCH_KEYS[reftype])
                model.save(str(Path(directory) / name))
                selections[reftype][match] = name
        if kind.interference_line is not None:
            selections |= _write_interference(Path(directory), kind)
    return selections


def _write_interference(directory, kind):
    """Write what removes interference, and return what it is selected by."""
    waveform, parameters = (reference_name(reftype, "asdf") for reftype in INTERFERENCE_KEYS)
    ways = [(pattern, subarray) for pattern, subarray, *_ in kind.read]
    with emicorr(ways, kind.interference_line) as model:
        model.save(str(directory / waveform))
        detector = model.meta.instrument.detector
    emicorr_parameters().write_to(directory / parameters)
    matches = (detector,), (EXPOSURE_TYPE,)
    return {
        reftype: {match: name}
        for reftype, match, name in zip(
            INTERFERENCE_KEYS, matches, (waveform, parameters), strict=True
        )
    }


def write_older_references(directory, selections):
    """Write what builds before jwst 2.0 read otherwise.

    Parameters
    ----------
    directory : path-like
        Where `write_references` has written.
    selections : dict
        What it returned.

    Returns
    -------
    dict
        The same for these builds.
    """
    ((match, newer),) = selections["rscd"].items()
    older = reference_name("rscd", "fits", OLDER_SERIAL)
    with open_fits(Path(directory) / newer) as hdus:
        # Of the first integration they always leave out one group, as the newer table says.
        table = hdus["RSCD_GROUP_SKIP"]
        table.columns.del_col("group_skip1")
        hdus[0].header["FILENAME"] = older
        hdus.writeto(Path(directory) / older, checksum=True)
    return selections | {"rscd": {match: older}}
