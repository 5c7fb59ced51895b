"""Rates that are drawn from the noise model, without ramps.

Where ramps add nothing: the noise of a fitted slope is normal, with the scatter and the small
offset that follow from the weights of the fit (`validation.prediction.slopes`, which the
validation judges real rates by); sets of pixels share the noise of their output or of their
reference pixels; and a cosmic ray leaves a ramp in two pieces, or, below the threshold of the
jump step, a part of its charge in the slope.  What is left out: saturation, the error of
linearity, showers, latent images, and that reported variances follow each ramp's own noise.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from miri_background.instrument.detector import (
    AMPLIFIERS,
    DARK_CURRENT,
    GAIN,
    OUTPUT_DRIFT,
    READ_NOISE,
    bad_pixels,
    fitted_groups,
    reference_pixels,
    skipped_groups,
)
from miri_background.instrument.footprint import transmission
from miri_background.simulation.particles import cosmic_rays
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.prediction.slopes import (
    pipeline_weights,
    read_weighting,
    slope_noise,
    slope_statistics,
)
from miri_background.validation.products.images import DO_NOT_USE, JUMP_DET

__all__ = ["Rate", "draw_rate"]

_THRESHOLD = 4.0  # standard deviations, default of the jump step (jwst 3.0)
_NEIGHBOURS = (10.0, 1000.0)  # standard deviations: hits whose four neighbours it flags, too
_RATES = (0.3, 30.0)  # of the sky: between, offsets of slopes are computed
_SAMPLE = 500  # pixels that stand for all in that


@dataclass(frozen=True)
class Rate:
    """A rate image.

    Parameters
    ----------
    data, err : ndarray
        DN/s, float32, shape (rows, columns); not a number where a pixel is lost.
    dq : ndarray of uint32
        Flags as the pipeline sets them.
    """

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray


def draw_rate(expected, readout, window, cosmic_ray_rate, generator):
    """Return a rate as calwebb_detector1 would give it, on average and by its scatter.

    Parameters
    ----------
    expected : ndarray
        True rate without dark current, DN/s, shape (rows, columns).
    readout : Readout
        How it is read, in one integration.
    window : Subarray
        Pixels of the detector.
    cosmic_ray_rate : float
        Hits per second on the full array.
    generator : numpy.random.Generator
        Source of randomness; always as many draws for the same window and hits.

    Returns
    -------
    Rate
        With bad pixels flagged and without a number, and hit pixels flagged.
    """
    detector = KnownDetector(readout, window)
    (groups,) = detector.fitted
    averaging = pipeline_weights([groups])
    true = expected + detector.dark
    reads = detector.read_noise(true)
    scatter, _ = slope_noise(true, detector.gain, reads, detector.time, averaging)
    # Rounded, so that what depends on it is computed once for many exposures.
    level = round(float(np.median(expected)), 1)
    statistics = _statistics(readout, level)
    lost = (window.cut(bad_pixels()) != 0) | (window.cut(transmission()) == 0)
    added, factor, flagged = _left_by_cosmic_rays(
        readout, window, detector, level, cosmic_ray_rate, generator
    )
    noise = scatter * statistics.ratio(expected) * factor
    data = expected + statistics.offset(expected) + added
    data += noise * generator.standard_normal(expected.shape)
    data += _common_noise(readout, window, level, generator)
    # What is reported follows from the slope itself, and knows nothing of dark current.
    photons = averaging.photons * np.maximum(data, 0.0) / (detector.gain * detector.time)
    reported = photons + averaging.reads * (detector.raw_read_noise / detector.time) ** 2
    bad = window.cut(bad_pixels()) != 0
    dq = np.where(bad, DO_NOT_USE, 0) | np.where(flagged & ~lost, JUMP_DET, 0)
    return Rate(
        np.where(bad, np.nan, data).astype(np.float32),
        (np.sqrt(reported) * factor).astype(np.float32),
        dq.astype(np.uint32),
    )


@lru_cache(maxsize=64)
def _statistics(readout, level):
    """Return what chosen weights do to slopes around a level, DN/s."""
    detector = KnownDetector(readout)
    good = np.flatnonzero(detector.good)
    chosen = good[:: max(1, good.size // _SAMPLE)]
    limits = [part * max(level, 0.1) for part in _RATES]
    return slope_statistics(
        limits,
        detector.gain.ravel()[chosen],
        detector.raw_read_noise.ravel()[chosen],
        detector.time,
        pipeline_weights(detector.fitted),
    )


def _common_noise(readout, window, level, generator):
    """Return the noise that sets of pixels share, DN/s, shape (rows, columns).

    Reference pixels are averaged in each set and subtracted; a subarray without them keeps what
    its outputs drift.
    """
    draws = generator.standard_normal((2, AMPLIFIERS))
    (groups,) = fitted_groups(readout.groups, 1)
    electrons = GAIN * readout.frame_time * (groups - 1) * (level + DARK_CURRENT / GAIN)
    ratio = electrons / np.sqrt(electrons + (GAIN * READ_NOISE) ** 2)
    variance = pipeline_weights([groups]).reads * read_weighting(groups, ratio)
    blind = np.count_nonzero(readout.window.cut(reference_pixels())) / (2 * AMPLIFIERS)
    of_read = READ_NOISE**2 / blind if blind else OUTPUT_DRIFT**2
    rows, columns = np.indices(window.shape)
    rows, columns = rows + window.y.start, columns + window.x.start
    deviation = np.sqrt(variance * of_read) / readout.frame_time
    return deviation * draws[rows % 2, columns % AMPLIFIERS]


def _left_by_cosmic_rays(readout, window, detector, level, rate, generator):
    """Return what is left of cosmic rays after the jump step.

    Returns
    -------
    added : ndarray
        Slope of charge that was not noticed, DN/s.
    factor : ndarray
        Scatter over that of a whole ramp.
    flagged : ndarray of bool
        Pixels of which a part of the ramp is flagged.
    """
    hits = cosmic_rays(window, rate, readout.frame_time, readout.groups, 1, generator).merged()
    added, factor = np.zeros(window.shape), np.ones(window.shape)
    flagged = np.zeros(window.shape, dtype=bool)
    (first,) = skipped_groups(readout.groups, 1)
    last = readout.groups - 2
    # A charge of group g steps from g - 1 to g: outside the fitted groups nobody sees it.
    seen = (hits.group > first) & (hits.group <= last)
    row, column, group = (getattr(hits, name)[seen] for name in ("row", "column", "group"))
    charge = hits.electrons[seen] / detector.gain[row, column]
    deviation = charge / detector.group_noise(max(level, 0.1))[row, column]
    noticed = deviation > _THRESHOLD
    steps = _charge_in_slope(last - first + 1) / readout.frame_time
    quiet = ~noticed
    np.add.at(added, (row[quiet], column[quiet]), charge[quiet] * steps[group[quiet] - first])
    pieces = _scatter_of_pieces(readout, level, last - first + 1)
    for number in np.flatnonzero(noticed):
        # Of several hits in one pixel, the worst decides.
        place, lost = (row[number], column[number]), pieces[group[number] - first]
        factor[place] = max(factor[place], lost)
        flagged[place] = True
        if _NEIGHBOURS[0] < deviation[number] < _NEIGHBOURS[1]:
            for beside in _beside(place, window.shape):
                factor[beside] = max(factor[beside], lost)
                flagged[beside] = True
    return added, factor, flagged


def _beside(place, shape):
    """Return the four neighbours of a pixel that are in the array."""
    row, column = place
    around = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    return [each for each in around if 0 <= each[0] < shape[0] and 0 <= each[1] < shape[1]]


def _charge_in_slope(groups):
    """Return by how much a charge in each group raises the slope per group, equal weights."""
    middle = (groups - 1) / 2
    steps = np.arange(groups) - middle
    factors = steps / np.sum(steps**2)
    return np.cumsum(factors[::-1])[::-1]


@lru_cache(maxsize=64)
def _scatter_of_pieces(readout, level, groups):
    """Return the scatter of a ramp that is broken before each group, over that of a whole one."""
    reads, time = READ_NOISE, readout.frame_time

    def variance(count):
        # One group has no slope.
        if count < 2:
            return np.inf
        return float(slope_noise(level, GAIN, reads, time, pipeline_weights([count]))[0]) ** 2

    whole = variance(groups)
    broken = [1 / (1 / variance(k) + 1 / variance(groups - k)) for k in range(1, groups)]
    return np.sqrt(np.array([whole, *broken]) / whole)
