"""A second opinion on the detector: ramps of another simulator, measured as the suite's own are.

The suite takes the same observation: filter, readout and electrons per second of the sky are
those of the ramps. Both go through the same calwebb_detector1, each with references of its own
detector, and the same numbers are measured of both.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from astropy.stats import sigma_clipped_stats
from scipy.ndimage import binary_dilation

from miri_background.calibration.pipeline import called_detector1
from miri_background.calibration_choice import Calibration
from miri_background.closure.group_differences import difference_noise, hits_in_differences
from miri_background.instrument.detector import (
    AMPLIFIERS,
    GAIN,
    REFERENCE_COLUMNS,
    RESET_GROUPS,
    SHAPE,
    fitted_groups,
)
from miri_background.instrument.footprint import regions
from miri_background.instrument.throughput import electrons_per_surface_brightness
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.parallel import completed, process_pool
from miri_background.reading import open_fits
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.run_directory import RunDirectory
from miri_background.settings import suite_cache
from miri_background.simulation.mirisim.constants import MIRISIM_GAIN
from miri_background.simulation.observing import take_exposures
from miri_background.tables import text_table
from miri_background.validation.prediction.slopes import (
    pipeline_weights,
    slope_noise,
    slope_statistics,
)
from miri_background.validation.products.images import (
    DO_NOT_USE,
    JUMP_DET,
    SATURATED,
    read_image,
    read_truth,
)

__all__ = ["Comparison", "LevelOne", "compare", "level_one"]

_FEWEST = 2  # exposures: one has no scatter
_SAME_GAIN = 0.1  # relative: non-linearity, which is left in level 1b, is a few per cent of it
_ERRORS = 3.0  # standard errors that are chance
_OWN = "miri-background-validation"  # ORIGIN of ramps that the embedded simulator made
_BRIGHT = 2.0  # of the sky: pixels in which the light of sources is compared
_FEWEST_BRIGHT = 30  # pixels
_SOURCE, _AROUND = 5.0, 3  # standard deviations above the sky, and pixels around
_DEPTH = 2  # directories below the one that is named
_MOST = 0.95  # of the pixels, whose values of VAR_POISSON are counted
_OFFSET = 0.02  # % of the sky: a tenth of the closure's limit
_CONSTANT = 0.1  # DN: less scatter is that of no read
_FEW_VALUES = 50  # of VAR_POISSON: of ramps that are corrected in each pixel there are thousands


@dataclass(frozen=True)
class LevelOne:
    """Level-1b exposures of one readout, and what their headers and ramps say.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        Level-1b files, compressed or not.
    truths : tuple of (pathlib.Path or None)
        Their truth files.
    observation : Observation
        The same observation for the embedded simulator: filter, readout and sky.
    gain : float
        Electron / DN, measured.
    read_noise : float
        DN in one read, measured, for references of SCASim's detector; 0 for the suite's own.
    steps : dict
        Parameters of steps of calwebb_detector1 that are not as usual.
    """

    paths: tuple
    truths: tuple
    observation: Observation
    gain: float
    read_noise: float
    steps: dict


def level_one(directory):
    """Return the level-1b exposures of a directory.

    Parameters
    ----------
    directory : pathlib.Path
        Has ``*_uncal.fits`` or ``*_uncal.fits.gz`` up to two levels below, and ``truth/`` or not.

    Returns
    -------
    LevelOne
        What is to be measured.

    Raises
    ------
    CannotJudge
        If there are fewer than two, they are read in several ways, or the suite does not
        have such an observation or references for such a detector.
    """
    found = [
        path
        for depth in range(_DEPTH + 1)
        for path in sorted(directory.glob("*/" * depth + "*_uncal.fits*"))
        if path.name.endswith(("_uncal.fits", "_uncal.fits.gz"))
    ]
    if len(found) < _FEWEST:
        msg = (
            f"{directory} has {len(found)} level-1b files (*_uncal.fits, *_uncal.fits.gz) up to "
            f"{_DEPTH} levels below, and {_FEWEST} are needed: name the directory that has them."
        )
        raise SetUpWrong(msg)
    readouts = {path: _readout(path) for path in found}
    first = readouts[found[0]]
    for path, readout in readouts.items():
        if readout != first:
            changed = [name for name in first if readout[name] != first[name]]
            msg = (
                f"{path.name} has {changed[0]} = {readout[changed[0]]!r}, and {found[0].name} has "
                f"{first[changed[0]]!r}: keep exposures of one filter and readout in a directory."
            )
            raise SetUpWrong(msg)
    shape = Observation.create(**{name: first[name] for name in first if name != "origin"})
    (noise, signal), *others = [_measured(path, shape) for path in found]
    signal = np.mean([signal, *(each for _, each in others)])
    # SCASim's reference output is the same number in every read.
    own = first["origin"] == _OWN and _read_scatter(_ramps(found[0], "REFOUT")) > _CONSTANT
    gain = GAIN if own else MIRISIM_GAIN
    if abs(noise.gain - gain) > _SAME_GAIN * gain + _ERRORS * noise.gain_error:
        msg = (
            f"{found[0].name} has a gain of {noise.gain:.2f} ± {noise.gain_error:.2f} electron/DN "
            f"in its noise, and the references at hand are for {gain:g}: compare ramps of SCASim "
            f"({MIRISIM_GAIN} electron/DN; dark current, drifts, non-linearity and flat field off) "
            "or of this suite."
        )
        raise SetUpWrong(msg)
    electrons = signal * gain / shape.readout("science").frame_time
    level = electrons / electrons_per_surface_brightness(shape.filter)
    observation = shape.model_copy(update={"sky_level": round(max(level, 1.0), 3)})
    truths = tuple(map(_truth_of, found))
    # SCASim's reference output does not vary, and its outputs do not drift.
    steps = {} if own else {"refpix": {"skip": True}}
    read_noise = 0.0 if own else noise.read_noise
    return LevelOne(tuple(found), truths, observation, noise.gain, read_noise, steps)


def _readout(path):
    """Return filter and readout of a level-1b file, and who made it."""
    try:
        with open_fits(path, whole=False) as hdus:
            header = hdus[0].header
            return {
                "filter": header["FILTER"],
                "subarray": header["SUBARRAY"],
                "readout_pattern": header["READPATT"],
                "groups": header["NGROUPS"],
                "integrations": header["NINTS"],
                "origin": header.get("ORIGIN", ""),
            }
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path} cannot be read as a level-1b file of MIRI ({error}): remove it, or mend it."
        raise CannotJudge(msg) from error


def _truth_of(path):
    """Return the truth file of a level-1b file, None if there is none."""
    name = f"{path.name.partition('_uncal')[0]}_truth.fits"
    places = (path.parent / name, path.parent / "truth" / name, path.parent.parent / "truth" / name)
    return next((place for place in places if place.is_file()), None)


def _ramps(path, extension="SCI"):
    """Return an array of a level-1b file or ramp, shape (integrations, groups, rows, columns)."""
    try:
        with open_fits(path) as hdus:
            return np.asarray(hdus[extension].data)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path} cannot be read as a level-1b file of MIRI ({error}): remove it, or mend it."
        raise CannotJudge(msg) from error


def _measured(path, observation):
    """Return noise and signal of differences of groups of a level-1b file.

    `DifferenceNoise` of all groups but the first and the last, and the signal of one group, DN,
    of those that the reset does not raise.
    """
    readout = observation.readout("science")
    ramps = _ramps(path)[:, 1:-1]
    differences = np.diff(ramps.astype(np.float32), axis=1)
    noisy = np.abs(differences)
    quiet = noisy.max(axis=(0, 1)) < 8 * np.median(noisy)
    seen = regions(readout.subarray)["imager"].mask() & quiet
    # The first of these differences is of the second and the third group.
    steady = differences[:, min(RESET_GROUPS - 2, differences.shape[1] - 1) :]
    return difference_noise(ramps, seen), float(steady[..., seen].mean())


def _calibrated(steps, target, logs, path):
    """Run calwebb_detector1 on a level-1b file, and return its ramp and its rate."""
    stem = path.name.partition("_uncal")[0]
    plain = target / f"{stem}_uncal.fits"
    if path.suffix == ".gz":
        with open_fits(path) as hdus:
            hdus.writeto(plain)
    else:
        shutil.copyfile(path, plain)
    log = logs / f"{stem}_beside.log"
    called_detector1(plain, str(target), log, steps=steps, save_calibrated_ramp=True)
    plain.unlink()
    return target / f"{stem}_ramp.fits", target / f"{stem}_rate.fits"


def _measured_beside(run, level1b, workers):
    """Return what is measured of each exposure, a dict of numbers by the name of their row."""
    cache = synthetic_cache(suite_cache(), level1b.observation, level1b.read_noise or None)
    before = dict(os.environ)
    try:
        os.environ.update(crds_environment(cache))
        with tempfile.TemporaryDirectory(prefix="miri-background-") as target:
            work = partial(_measured_exposure, level1b, Path(target), run.root / "logs")
            items = list(zip(level1b.paths, level1b.truths, strict=True))
            with process_pool(workers) as executor:
                return completed(executor, work, items, "Running calwebb_detector1")
    finally:
        os.environ.clear()
        os.environ.update(before)


def _measured_exposure(level1b, target, logs, item):
    """Return the numbers of one exposure."""
    path, truth = item
    ramp, rate = _calibrated(level1b.steps, target, logs, path)
    image, readout = read_image(rate), level1b.observation.readout("science")
    with open_fits(ramp) as hdus:
        ramps, flags = np.asarray(hdus["SCI"].data), np.asarray(hdus["GROUPDQ"].data)
    known = None if truth is None else read_truth(truth)
    empty = _empty(image, readout)
    numbers = _of_ramps(ramps, flags, empty, readout, image) | _of_blind(path, readout)
    if known is not None:
        numbers |= _of_truth(image, known, empty)
        numbers["scatter"] = numbers.pop("scatter") / numbers["noise expected"]
    # Not before: planes of an image are read when they are looked at.
    for done in (ramp, rate):
        done.unlink()
    return numbers


def _empty(image, readout):
    """Return pixels of empty sky in the imager."""
    inside = regions(readout.subarray)["imager"].mask()
    usable = inside & (image.dq & (DO_NOT_USE | SATURATED) == 0) & np.isfinite(image.data)
    _, middle, scatter = sigma_clipped_stats(image.data[usable], sigma=3.0)
    bright = usable & (image.data > middle + _SOURCE * scatter)
    return usable & ~binary_dilation(bright, np.ones((3, 3)), iterations=_AROUND)


def _of_ramps(ramps, flags, empty, readout, image):
    """Return what a calibrated ramp and its slopes say without a truth."""
    used = (flags & DO_NOT_USE == 0)[..., empty].mean(axis=(0, 2)) > 0.5
    ramps, jumps = ramps[:, used], flags[:, used] & JUMP_DET > 0
    clean = empty & ~jumps.any(axis=(0, 1))
    noise = difference_noise(ramps, clean)
    hits = hits_in_differences(ramps, jumps, empty, np.sqrt(noise.variance))
    seconds = readout.frame_time * len(ramps) * (ramps.shape[1] - 1)
    to_array = SHAPE[0] * SHAPE[1] / np.count_nonzero(empty)
    averaging = pipeline_weights(fitted_groups(readout.groups, readout.integrations))
    rate = noise.signal / readout.frame_time
    expected, _ = slope_noise(rate, noise.gain, noise.read_noise, readout.frame_time, averaging)
    statistics = slope_statistics(
        (rate * 0.8, rate * 1.25),
        *(np.full(1, each) for each in (noise.gain, noise.read_noise)),
        readout.frame_time,
        averaging,
    )
    good = clean & (image.dq == 0)
    photons = image.variances["VAR_POISSON"][good]
    real = averaging.photons * noise.signal / noise.gain / readout.frame_time**2
    numbers = {
        "signal of a group": noise.signal,
        "gain": noise.gain,
        "read noise": noise.read_noise,
        "read noise in electrons": noise.read_noise * noise.gain,
        "lag-1 correlation": noise.correlation,
        "noise common to an output": noise.common,
        "hits": len(hits.charges) / seconds * to_array,
        "noise expected": expected * statistics.ratio(rate),
        "offset of weights": 100 * statistics.offset(rate) / rate,
        "photon variance reported": photons.mean() / real,
        "no photon variance": 100 * np.mean(photons == 0),
        "values of photon variance": _values(photons),
        "noise reported": np.median(image.err[good]) / expected,
        "flags elsewhere": 100 * hits.elsewhere,
    }
    if len(hits.charges):
        numbers["charge of a hit"] = np.median(hits.charges) * noise.gain
        numbers["pixels of a hit"] = hits.sizes.mean()
        numbers["hits flagged"] = 100 * hits.flagged.mean()
    return {name: float(number) for name, number in numbers.items()}


def _values(variances):
    """Return how many different values most of the pixels have."""
    _, counts = np.unique(np.float32(variances), return_counts=True)
    return 1 + np.searchsorted(np.cumsum(np.sort(counts)[::-1]), _MOST * variances.size)


def _of_truth(image, truth, empty):
    """Return how a rate compares with the truth."""
    usable = empty & (image.dq == 0)
    excess = (image.data - truth.background - truth.sources)[usable]
    mean, _, scatter = sigma_clipped_stats(excess, sigma=5.0)
    numbers = {
        "rate less truth": 100 * mean / np.median(truth.background[usable]),
        "scatter": scatter,
    }
    bright = (truth.sources > _BRIGHT * truth.background) & (image.dq == 0)
    if np.count_nonzero(bright) >= _FEWEST_BRIGHT:
        light = (image.data - truth.background)[bright].sum()
        numbers["light of sources"] = 100 * light / truth.sources[bright].sum() - 100
    return {name: float(number) for name, number in numbers.items()}


def _of_blind(path, readout):
    """Return what pixels that see no light say, and how the outputs of level 1b differ."""
    numbers = {"reference output": _read_scatter(_ramps(path, "REFOUT"))}
    columns = np.arange(SHAPE[1])[readout.window.x]
    reference = (columns < REFERENCE_COLUMNS) | (columns >= SHAPE[1] - REFERENCE_COLUMNS)
    first = _ramps(path)
    if reference.any():
        numbers["reference pixels"] = _read_scatter(first[..., reference])
    seen = np.where(regions(readout.subarray)["imager"].mask(), first[0, 1].astype(float), np.nan)
    outputs = [np.nanmedian(seen[:, output::AMPLIFIERS]) for output in range(AMPLIFIERS)]
    numbers["offsets of outputs"] = np.ptp(outputs)
    numbers["odd less even rows"] = np.nanmedian(seen[1::2]) - np.nanmedian(seen[::2])
    return {name: float(number) for name, number in numbers.items()}


def _read_scatter(ramps):
    """Return the noise of one read of pixels without signal, DN."""
    ramps = ramps.astype(float)
    return float(np.std(np.diff(ramps, axis=1)) / np.sqrt(2)) if ramps.shape[1] > 1 else 0.0


# Row, its unit, and what it is.
_ROWS = {
    "signal of a group": ("DN", "sky, in the calibrated ramp"),
    "gain": ("electron/DN", "from signal and noise of differences of groups"),
    "read noise": ("DN", "of one read, from neighbouring differences"),
    "read noise in electrons": ("electron", ""),
    "lag-1 correlation": ("", "of neighbouring differences: -0.5 reads only, 0 photons only"),
    "noise common to an output": ("DN", "that all its pixels share in one difference"),
    "hits": ("1/s", "cosmic rays above 5 standard deviations, on the full array"),
    "charge of a hit": ("electron", "median"),
    "pixels of a hit": ("", "above 5 standard deviations"),
    "hits flagged": ("%", "by the jump step"),
    "flags elsewhere": ("%", "of other differences that are flagged: faint hits, and none"),
    "rate less truth": ("%", "of the sky, on empty sky"),
    "offset of weights": ("%", "of that, what the weights of the ramp fit are known to make"),
    "scatter": ("", "of rate less truth, over what gain, read noise and fit make of it"),
    "light of sources": ("%", "beyond the truth, in pixels brighter than twice the sky"),
    "noise reported": ("", "ERR over the same noise"),
    "photon variance reported": ("", "mean of VAR_POISSON over that of the photons"),
    "no photon variance": ("%", "of the pixels, in which VAR_POISSON is 0"),
    "values of photon variance": ("", "different ones in 95 % of the pixels"),
    "reference output": ("DN", "noise of one read"),
    "reference pixels": ("DN", "noise of one read"),
    "offsets of outputs": ("DN", "largest less smallest, level 1b"),
    "odd less even rows": ("DN", "level 1b"),
}


@dataclass(frozen=True)
class Comparison:
    """The same numbers of the suite's ramps and of somebody else's.

    Parameters
    ----------
    ours, theirs : list of dict
        Numbers of each exposure by the name of their row.
    """

    ours: list
    theirs: list

    def mean(self, side, name):
        """Return mean and standard error of a row.

        Parameters
        ----------
        side : {"ours", "theirs"}
            Whose.
        name : str
            Of the row.

        Returns
        -------
        tuple of float or None
            None where it was not measured; the error from the scatter of exposures.
        """
        numbers = [each[name] for each in getattr(self, side) if name in each]
        if not numbers:
            return None
        error = np.std(numbers, ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else np.nan
        return float(np.mean(numbers)), float(error)

    def text(self):
        """Return the table as lines of text."""
        rows = [
            (name, unit, _cell(self.mean("ours", name)), _cell(self.mean("theirs", name)), meaning)
            for name, (unit, meaning) in _ROWS.items()
            if self.mean("theirs", name) is not None
        ]
        return text_table(("", "unit", "ours", "theirs", "what it is"), rows, right=(2, 3))

    def explanations(self):
        """Yield sentences on what differs, and why."""
        yield from self._gain()
        yield from self._whole_numbers()
        yield from self._outputs()
        yield from self._weights()
        yield from self._cosmic_rays()

    def _value(self, side, name):
        """Return the mean of a row, None where it was not measured."""
        mean = self.mean(side, name)
        return None if mean is None else mean[0]

    def _pair(self, name):
        """Return the means of a row, ours first."""
        return self._value("ours", name), self._value("theirs", name)

    def _differ(self, name, least):
        """Return whether both differ by more than that and by more than chance."""
        (ours, first), (theirs, second) = (self.mean(side, name) for side in ("ours", "theirs"))
        return abs(theirs - ours) > least + _ERRORS * np.hypot(first, second)

    def _gain(self):
        """Yield what another gain makes of the same electrons."""
        ours, theirs = self._pair("gain")
        if not self._differ("gain", _SAME_GAIN * ours):
            return
        mine, other = self._pair("read noise in electrons")
        correlations = self._pair("lag-1 correlation")
        yield (
            f"gain: {theirs:.2f} electron/DN in theirs, {ours:.2f} in ours. The same electrons are "
            f"{ours / theirs:.2f} times as many DN, and a read has {other:.1f} electrons of noise "
            f"in theirs, {mine:.1f} in ours. That is why the lag-1 correlation is "
            f"{correlations[1]:.3f} and {correlations[0]:.3f}: more noise of reads moves it "
            "towards -0.5."
        )

    def _whole_numbers(self):
        """Yield what ramps of whole numbers make of the reported photon noise."""
        number = self._value("theirs", "values of photon variance")
        if number > _FEW_VALUES:
            return
        signal = self._value("theirs", "signal of a group")
        part, none = (
            self._value("theirs", name)
            for name in ("photon variance reported", "no photon variance")
        )
        yield (
            f"whole numbers: VAR_POISSON has only {number:.0f} values in 95 % of their pixels. It "
            "is made of the median difference of groups, which is a whole number of DN where no "
            f"correction changes the ramps from pixel to pixel, and these rise by {signal:.1f} DN "
            f"a group. It is {part:.3f} of the photons' variance on average, and 0 in {none:.1f} % "
            "of the pixels. Slopes do not depend on it; errors, and all that weighs with them, do."
        )

    def _outputs(self):
        """Yield what a constant reference output means."""
        if self._value("theirs", "reference output") > _CONSTANT:
            return
        offsets = self._pair("offsets of outputs")
        yield (
            "reference pixels: their reference output has the same number in every read, and "
            f"their outputs differ by {offsets[1]:.1f} DN (ours by {offsets[0]:.0f} DN). There is "
            "nothing that reference pixels could correct, so refpix is skipped for theirs: it is "
            "tried on ours only."
        )

    def _weights(self):
        """Yield what the weights of the fit add to rates."""
        expected = self._pair("offset of weights")
        known = self._value("theirs", "rate less truth") is not None
        if not (known and self._differ("offset of weights", _OFFSET)):
            return
        found = [_cell(self.mean(side, "rate less truth")) for side in ("ours", "theirs")]
        yield (
            f"weights: rates are {found[1]} % off the truth in theirs and {found[0]} % in ours. "
            "The ramp fit chooses its weights by the signal-to-noise ratio of the ramp. That "
            f"alone makes {expected[1]:+.3f} % of theirs and {expected[0]:+.3f} % of ours: their "
            "ramps end near a step of the weights. It is the same in both fields, and subtracted."
        )

    def _cosmic_rays(self):
        """Yield how cosmic rays differ."""
        rates, sizes, charges = map(self._pair, ("hits", "pixels of a hit", "charge of a hit"))
        if None in sizes or None in charges:
            return
        yield (
            f"cosmic rays: {rates[1]:.0f} hits/s on the full array with {sizes[1]:.1f} pixels and "
            f"{charges[1]:.0f} electrons (median) in theirs, {rates[0]:.0f} hits/s with "
            f"{sizes[0]:.1f} pixels and {charges[0]:.0f} electrons in ours."
        )


def _cell(mean):
    """Return a mean with its error, in as many digits as the error allows."""
    if mean is None:
        return "-"
    value, error = mean
    if not error > 0:
        return f"{value:.4g}"
    digits = min(max(0, 1 - int(np.floor(np.log10(error)))), 5)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def compare(level1b, location="temporary", workers=0):
    """Return the comparison of somebody else's ramps with the suite's own.

    Parameters
    ----------
    level1b : LevelOne
        Theirs.
    location : str or path-like, optional
        Where the suite's own ramps are kept, as `RunDirectory` takes it.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    Comparison
        Both measured.

    Raises
    ------
    CannotJudge
        If calwebb_detector1 ends with an error, or a place cannot be written.
    """
    mine = Observation.create(
        **level1b.observation.model_dump() | {"science_exposures": 2, "background_exposures": 2}
    )
    run = RunDirectory(location, mine, Calibration(), "beside")
    with process_pool(workers) as executor:
        uncals = take_exposures(run, executor)
    truths = tuple(run.truth(exposure) for exposure in exposures(mine))
    own = LevelOne(tuple(uncals), truths, mine, GAIN, read_noise=0.0, steps={})
    compared = Comparison(*(_measured_beside(run, each, workers) for each in (own, level1b)))
    run.release()
    return compared
