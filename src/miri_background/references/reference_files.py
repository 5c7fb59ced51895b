"""All reference files of one kind of exposure, written under CRDS names."""

from dataclasses import asdict, dataclass
from pathlib import Path

from miri_background.references import arrays, tables
from miri_background.references.detectors import embedded_detector, mirisim_detector
from miri_background.references.mappings import MATCH_KEYS, SERIAL, reference_name

__all__ = ["ExposureKind", "write_references"]

# The dark is written in steps of this many groups, so that ramps of similar length
# share a cache.
_DARK_GROUP_STEP = 20


@dataclass(frozen=True)
class ExposureKind:
    """What references are written for.

    Parameters
    ----------
    filter, subarray, readout_pattern : str
        Names, as in `miri_background.observation.Observation`.
    dark_groups : int
        Groups of the dark; longer ramps would make the pipeline extrapolate.
    reset_integrations : int
        Integrations of the reset reference: the later ones are alike.
    mirisim_read_noise : float or None
        Noise of one read, DN, for MIRISim's detector; None for the embedded one.
    """

    filter: str
    subarray: str
    readout_pattern: str
    dark_groups: int
    reset_integrations: int
    mirisim_read_noise: float | None = None

    @classmethod
    def of(cls, observation, mirisim_read_noise=None):
        """Return the kind of an observation's exposures."""
        return cls(
            observation.filter,
            observation.subarray,
            observation.readout_pattern,
            -(-observation.groups // _DARK_GROUP_STEP) * _DARK_GROUP_STEP,
            min(observation.integrations, 2),
            mirisim_read_noise,
        )

    def parameters(self):
        """Return the parameters by name."""
        return asdict(self)


def detector_of(kind):
    """Return the detector that an exposure was taken with."""
    if kind.mirisim_read_noise is not None:
        return mirisim_detector(kind.mirisim_read_noise)
    return embedded_detector(kind.readout_pattern)


def _models(kind):
    """Yield reference type and data model, one at a time, of every file."""
    maps = detector_of(kind)
    how = kind.readout_pattern, kind.subarray
    builders = {
        "mask": lambda: arrays.mask(maps),
        "saturation": lambda: arrays.saturation(maps),
        "reset": lambda: arrays.reset(maps, *how, kind.reset_integrations),
        "linearity": lambda: arrays.linearity(maps),
        "rscd": lambda: tables.rscd(*how),
        "dark": lambda: arrays.dark(maps, *how, kind.dark_groups),
        "gain": lambda: arrays.gain(maps),
        "readnoise": lambda: arrays.readnoise(maps),
        "area": arrays.area,
        "photom": lambda: tables.photom(maps, kind.subarray),
        "flat": lambda: arrays.flat(maps, kind.filter),
        "distortion": tables.distortion,
        "filteroffset": tables.filteroffset,
        "apcorr": lambda: tables.apcorr(kind.filter, kind.subarray),
        "abvegaoffset": tables.abvegaoffset,
    }
    for reftype, build in builders.items():
        yield reftype, build()


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
        for reftype, model in _models(kind):
            with model:
                table_or_transform = reftype in {"distortion", "filteroffset", "abvegaoffset"}
                extension = "asdf" if table_or_transform else "fits"
                name = reference_name(reftype, extension, SERIAL)
                match = tuple(model[key.lower()] for key in MATCH_KEYS[reftype])
                model.save(str(Path(directory) / name))
                selections[reftype][match] = name
    return selections
