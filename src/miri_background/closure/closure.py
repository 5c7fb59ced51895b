"""Does the pipeline get back what the simulator put in?  Numbers for each link of the chain.

Everything is compared with the truth of the simulation: rates with their expected
noise, fluxes and positions of stars in calibrated images, cosmic rays and saturation in
a calibrated ramp.
"""

from dataclasses import dataclass

import numpy as np
from astropy.table import vstack
from scipy.ndimage import binary_dilation

from miri_background.closure import OBSERVED
from miri_background.closure.calibrated_stars import (
    BRIGHT,
    GROWTH_RADII,
    SIGNAL_TO_NOISE,
    CalibratedStars,
)
from miri_background.instrument.detector import (
    saturation_level,
    skipped_groups,
)
from miri_background.instrument.optics import point_spread_function
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.reading import open_fits
from miri_background.validation.measurements.against_truth import sky_rates
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.prediction.slopes import pipeline_weights, slope_noise
from miri_background.validation.products.images import (
    JUMP_DET,
    SATURATED,
    read_hits,
)

__all__ = [
    "OBSERVED",
    "PUBLISHED_WIDTHS",
    "PURPOSE",
    "Closure",
    "closure_measurements",
    "closure_observation",
]

# Full width at half maximum of stars, pixels: JWST user documentation, "MIRI Imaging".
PUBLISHED_WIDTHS = {
    "F560W": 1.882,
    "F770W": 2.445,
    "F1000W": 2.982,
    "F1130W": 3.409,
    "F1280W": 3.818,
    "F1500W": 4.436,
    "F1800W": 5.373,
    "F2100W": 6.127,
    "F2550W": 7.300,
}

PURPOSE = "closure"  # name of the directory of a run for this

_PROFILE_STEP = 0.1  # pixel
_STAR_BOX = 12  # pixels around the brightest star that are shown
_FEWEST_STARS, _FEWEST_BRIGHT = 10, 5  # for a median and trends, and for a profile
# An exposure of 20 groups has this many differences of groups that are fitted: of longer ones,
# as many are judged.
_DIFFERENCES = 17
_HIT = 5.0  # standard deviations of a group: hits above it should be found
_CLEAN = 0.5  # standard deviations: less charge leaves a pixel clean


@dataclass(frozen=True)
class Pulls:
    """Differences of rates from the truth, in units of their expected noise, of one exposure.

    Parameters
    ----------
    values : ndarray
        Of the clean pixels; NaN elsewhere, shape (rows, columns).
    reported : float
        Median of the error that the pipeline reports over the expected noise.
    """

    values: np.ndarray
    reported: float


@dataclass(frozen=True)
class Detection:
    """What the jump step finds of the cosmic rays of one exposure.

    Parameters
    ----------
    ratios : ndarray
        Charge of each hit pixel over the noise of a group.
    found : ndarray of bool
        Whether it is flagged in its group.
    false : float
        Fraction of clean pixels that are flagged in one difference of groups, on average.
    differences : int
        Differences of groups that were looked at.
    """

    ratios: np.ndarray
    found: np.ndarray
    false: float
    differences: int


def closure_observation(changes=None):
    """Return the observation of a closure: few exposures, and brighter stars.

    Parameters
    ----------
    changes : dict, optional
        Parameters that are not as in `OBSERVED`.

    Returns
    -------
    Observation
        Whose fields are read in one way.

    Raises
    ------
    CannotJudge
        If a closure of it is not possible.
    """
    observation = Observation.create(**OBSERVED | (changes or {}))
    if observation.simulator != "embedded":
        msg = (
            f"The closure compares with a truth that simulator = {observation.simulator} does "
            "not write: use the embedded simulator."
        )
        raise SetUpWrong(msg)
    if len(observation.readouts) > 1:
        msg = (
            "The closure is of one readout: leave background_subarray, "
            "background_readout_pattern, background_groups and background_integrations as they are."
        )
        raise SetUpWrong(msg)
    return observation


def rate_pulls(exposed, image, truth):
    """Return how far a rate is from the truth, in standard deviations.

    Parameters
    ----------
    exposed : KnownDetector
        The detector.
    image : Image
        Rate.
    truth : Truth
        Truth of the exposure.

    Returns
    -------
    Pulls
        Of pixels without any flag.
    """
    clean = exposed.good & (image.dq == 0) & np.isfinite(image.data)
    known = truth.background + truth.sources
    collected = known + exposed.dark
    expected, _ = slope_noise(
        collected,
        exposed.gain,
        exposed.read_noise(collected),
        exposed.time,
        pipeline_weights(exposed.fitted),
    )
    values = np.where(clean, (image.data - known) / expected, np.nan)
    return Pulls(values, float(np.median((image.err / expected)[clean])))


def _read_ramp(run, exposure):
    """Return the group flags of a calibrated ramp and the level-1b science array."""
    with open_fits(run.ramp(exposure)) as ramp, open_fits(run.uncal(exposure)) as uncal:
        return ramp["GROUPDQ"].data.copy(), uncal["SCI"].data.astype(np.int32)


def jump_detection(exposed, flags, truth, hits):
    """Return what the jump step has found of the cosmic rays of one exposure.

    Parameters
    ----------
    exposed : KnownDetector
        The detector.
    flags : ndarray
        Flags of each group, shape (integrations, groups, rows, columns).
    truth : Truth
        Truth of the exposure.
    hits : astropy.table.QTable
        Charge of its cosmic rays.

    Returns
    -------
    Detection
        Of hits in the groups that are fitted, in good pixels that do not saturate.
    """
    noise = exposed.group_noise(truth.background + truth.sources + exposed.dark)
    integration, group, row, column = (
        np.asarray(hits[name], dtype=int) for name in ("integration", "group", "row", "column")
    )
    ratios = np.asarray(hits["electrons"]) / (exposed.gain * noise)[row, column]
    saturated = (flags & SATURATED).any(axis=(0, 1))
    judged = exposed.good & ~saturated
    groups = flags.shape[1]
    skipped = skipped_groups(groups, len(flags))
    # A jump is seen between two groups that are fitted, the last one being left out.
    seen = (group > np.take(skipped, integration)) & (group < groups - 1)
    kept = seen & judged[row, column]
    found = (flags[integration, group, row, column] & JUMP_DET) > 0
    touched = np.zeros(exposed.read.shape, dtype=bool)
    touched[row[ratios > _CLEAN], column[ratios > _CLEAN]] = True
    # Next to a hit, pixels are flagged on purpose.
    clean = judged & ~binary_dilation(touched, np.ones((3, 3)))
    false = np.concatenate(
        [
            integration[skip + 1 : -1, clean] & JUMP_DET
            for integration, skip in zip(flags, skipped, strict=True)
        ]
    )
    return Detection(ratios[kept], found[kept], float(np.mean(false > 0)), len(false))


@dataclass(frozen=True)
class SaturatedStar:
    """A small part of the detector around the brightest star.

    Parameters
    ----------
    raw : ndarray
        Level-1b signal in the last group, DN.
    expected, flagged : ndarray
        Number of groups that should be flagged as saturated, and that are.
    """

    raw: np.ndarray
    expected: np.ndarray
    flagged: np.ndarray


def saturation_flags(exposed, raw):
    """Return which groups should be flagged as saturated.

    From the first group at or above the level on, a pixel and its eight neighbours are flagged.

    Parameters
    ----------
    exposed : KnownDetector
        The detector.
    raw : ndarray
        Level-1b signal, DN, shape (integrations, groups, rows, columns).

    Returns
    -------
    ndarray of bool
        Of the same shape.
    """
    level = exposed.read.cut(saturation_level())
    above = np.maximum.accumulate(raw >= level, axis=1)
    return binary_dilation(above, np.ones((1, 1, 3, 3)))


class Closure:
    """Everything that closure measurements and figures share.

    Parameters
    ----------
    run : RunDirectory
        A run through calwebb_image2, with the calibrated ramp of the first science exposure.
    analysis : Analysis
        Its products.

    Attributes
    ----------
    pulls : list of Pulls
        One for each exposure, science first.
    stars : astropy.table.QTable
        One row for each isolated star of each science exposure.
    left_out : dict of int
        Number of the other stars by why they cannot be used, in words.
    profile : tuple of ndarray
        Distance, pixels, and relative brightness of the pixels of bright stars.
    growth : ndarray
        Measured over expected light inside `GROWTH_RADII`, shape (bright stars, radii).
    detection : Detection
        Cosmic rays.
    saturation : tuple of int
        Saturation flags that differ, and that are expected.
    saturated_star : SaturatedStar
        The brightest star.
    """

    def __init__(self, run, analysis):
        self.analysis, self.filter = analysis, run.observation.filter
        self.psf = point_spread_function(self.filter)
        exposed = KnownDetector(run.observation.readout("science"))
        products = analysis.products
        pairs = [
            *zip(products.science, products.science_truth, strict=True),
            *zip(products.backgrounds, products.background_truth, strict=True),
        ]
        self.pulls = [rate_pulls(exposed, *pair) for pair in pairs]
        science = exposures(run.observation, "science")
        leak = analysis.expectation.leak
        calibrated = [CalibratedStars(exposed, run, each, self.psf, leak) for each in science]
        self.stars = vstack([each.table() for each in calibrated])
        self.left_out = {
            cause: sum(each.left_out[cause] for each in calibrated)
            for cause in calibrated[0].left_out
        }
        profiles = [each.profile() for each in calibrated]
        self.profile = tuple(np.concatenate(axis) for axis in zip(*profiles, strict=True))
        self.growth = np.concatenate([each.growth() for each in calibrated])
        flags, raw = _read_ramp(run, science[0])
        hits = read_hits(run.truth(science[0]))
        self.detection = jump_detection(exposed, flags, products.science_truth[0], hits)
        expected, flagged = saturation_flags(exposed, raw), (flags & SATURATED) > 0
        self.saturation = int(np.sum(expected != flagged)), int(expected.sum())
        box = _around_brightest(products.science_truth[0])
        self.saturated_star = SaturatedStar(
            raw[(0, -1, *box)],
            expected[(0, slice(None), *box)].sum(axis=0),
            flagged[(0, slice(None), *box)].sum(axis=0),
        )

    def width(self):
        """Return the full width at half maximum of bright stars and its error, pixels.

        The half of the peak of the mean brightness in rings; the peak is that of a parabola
        through the innermost rings.
        """
        distance, brightness = self.profile
        edges = np.arange(0, max(GROWTH_RADII), _PROFILE_STEP)
        ring = np.digitize(distance, edges) - 1
        count = np.bincount(ring, minlength=len(edges))
        with np.errstate(invalid="ignore", divide="ignore"):
            radius, value = (
                np.bincount(ring, weights, len(edges)) / count for weights in (distance, brightness)
            )
        known = count > 0
        radius, value = radius[known], value[known]
        core = radius < PUBLISHED_WIDTHS[self.filter] / 3
        peak = np.polynomial.Polynomial.fit(radius[core] ** 2, value[core], 2)(0.0)
        below = np.argmax(value < peak / 2)
        pair = slice(below - 1, below + 1)
        half = np.interp(-peak / 2, -value[pair], radius[pair])
        return 2 * float(half)


def _around_brightest(truth):
    """Return rows and columns around the pixel that gets most light."""
    row, column = np.unravel_index(np.argmax(truth.sources), truth.sources.shape)
    return tuple(slice(max(at - _STAR_BOX, 0), at + _STAR_BOX + 1) for at in (row, column))


def _trend(values, errors, along):
    """Return how much values change over the range of something, and the error of it."""
    design = np.stack([np.ones_like(along), (along - along.min()) / np.ptp(along)], axis=-1)
    weighted = design / errors[:, np.newaxis]
    covariance = np.linalg.inv(weighted.T @ weighted)
    slope = (covariance @ weighted.T @ (values / errors))[1]
    return float(slope), float(np.sqrt(covariance[1, 1]))


def rms_beyond_noise(offsets, noise):
    """Return the root mean square of offsets that their own noise does not explain.

    Parameters
    ----------
    offsets, noise : array-like
        Offsets and their standard deviations, in one unit.  Offsets that are known better count
        for more.

    Returns
    -------
    rms, error : float
        In that unit; the error is what one standard deviation of noise alone would leave.
    """
    offsets, variance = np.asarray(offsets), np.asarray(noise) ** 2
    square = max(0.0, float(np.average(offsets**2 - variance, weights=1 / variance)))
    # The square of a Gaussian number scatters by the root of two times its variance.
    scatter = np.sqrt(2 * len(variance)) / np.sum(1 / variance)
    return float(np.sqrt(square)), float(np.sqrt(scatter))


def star_measurements(closure):
    """Yield how well fluxes, positions and shapes of stars are recovered."""
    stars = closure.stars
    for number, fewest, ratio in (
        (len(stars), _FEWEST_STARS, SIGNAL_TO_NOISE),
        (len(closure.growth), _FEWEST_BRIGHT, BRIGHT),
    ):
        if number < fewest:
            causes = ", ".join(f"{count} {cause}" for cause, count in closure.left_out.items())
            msg = (
                f"{number} isolated stars have a signal-to-noise ratio above {ratio:g}, and "
                f"{fewest} are needed (of the others, {causes}): take fewer groups where stars "
                "saturate, fewer stars where they are close, brighter ones where they are faint."
            )
            raise CannotJudge(msg)
    excess = 100 * (stars["measured"] / stars["flux"] - 1)
    error = 100 * stars["error"] / stars["flux"]
    # Neighbours and the position in a pixel add what the error does not know.
    error = np.hypot(error, 1.4826 * np.median(np.abs(excess - np.median(excess))))
    scatter = float(np.sqrt(np.pi / 2 / np.sum(error**-2)))
    yield Measurement("star photometry", WHOLE_ARRAY, None, float(np.median(excess)), scatter)
    for name, along in (
        ("flux", np.log(stars["flux"])),
        ("x", stars["x"]),
        ("y", stars["y"]),
        ("colour", stars["spectral_index"]),
    ):
        value, uncertainty = _trend(excess, error, np.asarray(along))
        yield Measurement("photometric trend", f"with {name}", None, value, uncertainty)
    bright = stars[np.isfinite(stars["dx"])]
    for axis in "xy":
        rms, uncertainty = rms_beyond_noise(bright[f"d{axis}"], bright[f"{axis}_error"])
        yield Measurement("star position", f"along {axis}", None, rms, uncertainty)
    growth = np.median(closure.growth, axis=0) - 1
    worst = np.argmax(np.abs(growth))
    yield Measurement("encircled energy", WHOLE_ARRAY, None, 100 * float(growth[worst]))
    width = 100 * (closure.width() / PUBLISHED_WIDTHS[closure.filter] - 1)
    yield Measurement("star width", WHOLE_ARRAY, None, width)


def rate_measurements(closure):
    """Yield how rates scatter around the truth, in units of the expected noise."""
    values = np.concatenate([each.values[np.isfinite(each.values)] for each in closure.pulls])
    number = len(values)
    # All pixels of an exposure share what the reference pixels, or the outputs, add.
    shared = np.mean(closure.analysis.expectation.exposure_common_variances)
    common = shared / closure.analysis.expectation.sky_noise**2 / len(closure.pulls)
    error = float(np.sqrt(1 / number + common))
    yield Measurement("pull mean", WHOLE_ARRAY, None, float(values.mean()), error)
    yield Measurement(
        "pull scatter", WHOLE_ARRAY, None, float(values.std() - 1), float(1 / np.sqrt(2 * number))
    )


def ramp_measurements(closure):
    """Yield how well cosmic rays and saturation are flagged."""
    detection = closure.detection
    strong = detection.ratios > _HIT
    if strong.any():
        missed = 100 * float(1 - detection.found[strong].mean())
        yield Measurement("cosmic rays missed", WHOLE_ARRAY, None, missed)
    false = 100 * detection.false * min(detection.differences, _DIFFERENCES)
    yield Measurement("false jumps", WHOLE_ARRAY, None, false)
    yield Measurement("saturation flags", WHOLE_ARRAY, None, float(closure.saturation[0]))


def closure_measurements(closure):
    """Return all measurements of a closure.

    Parameters
    ----------
    closure : Closure
        What was measured.

    Returns
    -------
    list of Measurement
        In the order of the chain.
    """
    return [
        *sky_rates(closure.analysis),
        *rate_measurements(closure),
        *ramp_measurements(closure),
        *star_measurements(closure),
    ]
