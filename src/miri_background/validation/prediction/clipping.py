"""Sigma-clipped means, independent of the pipeline's and of astropy's code.

Written from the documentation of the background step and of the sigma clipping
that it names: a value is rejected where it is further from the median than sigma
times the population standard deviation, both of the values that are left, until
nothing changes or the iterations are used up.  As in astropy, the last limits hold
for all values: one that earlier limits rejected may come back (sigma below 1.6,
six and more values).
"""

import math
from dataclasses import dataclass
from itertools import count

import numpy as np

from miri_background.validation.prediction.rounding import UNIT_ROUNDOFF
from miri_background.validation.products.images import DO_NOT_USE

__all__ = [
    "CombinedBackground",
    "average_backgrounds",
    "kept_values",
    "member_averages",
    "sigma_clipped_mean",
    "united_flags",
]

# Values of all backgrounds that are averaged at a time: few enough for a processor's cache ...
_BLOCK = 2**19
# ... and, about, that are read at a time: of so few rows of all that they need little memory, and
# of so many that files are opened seldom.
_STRIP = 2**23


@dataclass(frozen=True)
class CombinedBackground:
    """The average of background exposures, all arrays of shape (rows, columns).

    Parameters
    ----------
    data : ndarray
        Mean of the values that were kept; 0 where there was none.
    error : ndarray
        Root of the summed squared errors of the kept values over their number; 0
        where there was none.
    dq : ndarray of uint32
        Flags of all exposures, or-ed.
    margin : ndarray
        How far the closest decision was from going the other way, in units of what
        single precision can move it.
    kept : ndarray of uint16
        Number of exposures that were averaged.
    rounding, error_rounding : ndarray
        Largest errors of mean and of error in single precision.
    """

    data: np.ndarray
    error: np.ndarray
    dq: np.ndarray
    margin: np.ndarray
    kept: np.ndarray
    rounding: np.ndarray
    error_rounding: np.ndarray

    @property
    def certain(self):
        """Whether each pixel's clipping does not depend on rounding."""
        return self.margin > 1


@dataclass(frozen=True)
class MemberAverages:
    """What each background exposure gives to the average.

    Parameters
    ----------
    values, variances : ndarray
        Mean of the integrations and of their squared errors, shape (exposures, rows, columns).
    rounding : ndarray
        Largest errors of the means in single precision, same shape.
    margin : ndarray
        How far the closest decision between integrations was from going the other way, in
        units of what single precision can move it, shape (rows, columns).
    """

    values: np.ndarray
    variances: np.ndarray
    rounding: np.ndarray
    margin: np.ndarray


def _median(ordered, left):
    """Return the median along the first axis, NaN where nothing is left.

    Values are in ascending order, and those that are left are without gaps.
    """
    number = left.sum(axis=0)
    first = left.argmax(axis=0)
    lower, upper = (
        np.take_along_axis(ordered, (first + place)[np.newaxis], axis=0)[0]
        for place in (np.maximum(number - 1, 0) // 2, number // 2)
    )
    return np.where(number > 0, (lower + upper) / 2, np.nan)


def _mean_and_deviation(values, keep):
    """Return mean and population standard deviation along the first axis."""
    number = keep.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(keep, values, 0.0).sum(axis=0) / number
        squares = np.where(keep, values - mean, 0.0) ** 2
        return mean, np.sqrt(squares.sum(axis=0) / number)


def kept_values(values, sigma, maxiters=None):
    """Return which values sigma clipping along the first axis keeps.

    Parameters
    ----------
    values : ndarray
        Shape (n, ...); NaN and infinite values are never kept.
    sigma : float
        Rejected are values further than this many standard deviations from the median.
    maxiters : int, optional
        Most iterations; until nothing changes if not given, or 0, as in astropy.

    Returns
    -------
    keep : ndarray of bool
        Shape of `values`.
    margin : ndarray
        Smallest distance of any value from the border of being rejected, in any
        iteration, shape of `values` without the first axis.  The median itself is never
        near the border, however small the deviation.
    """
    shape = np.shape(values)
    values = np.array(values, dtype=float).reshape(shape[0], -1)
    finite = np.isfinite(values)
    # In ascending order, what is left has no gaps: its median is found without another sort.
    ordered = np.sort(np.where(finite, values, np.inf), axis=0)
    usable = np.isfinite(ordered)
    ordered[~usable] = 0.0
    left, pixels = usable, np.arange(values.shape[1])
    median, reach, margin = (np.full(values.shape[1], value) for value in (np.nan, np.nan, np.inf))
    for _ in range(maxiters) if maxiters else count():
        median[pixels] = middle = _median(ordered, left)
        reach[pixels] = limit = sigma * _mean_and_deviation(ordered, left)[1]
        distance = np.abs(ordered - middle)
        excess = distance - limit
        border = np.where(usable & (distance > 0), np.abs(excess), np.inf).min(axis=0)
        margin[pixels] = np.minimum(margin[pixels], border)
        # The next limits differ only where one of the values that they come from is gone.
        gone = left & (excess > 0)
        changed = np.flatnonzero(gone.any(axis=0))
        if not changed.size:
            break
        pixels = pixels[changed]
        left, ordered, usable = (
            part.take(changed, axis=1) for part in (left & ~gone, ordered, usable)
        )
    with np.errstate(invalid="ignore"):
        keep = finite & (np.abs(values - median) - reach <= 0)
    return keep.reshape(shape), margin.reshape(shape[1:])


def sigma_clipped_mean(values, sigma, maxiters=None):
    """Return the sigma-clipped mean along the first axis, NaN where nothing is kept."""
    keep, _ = kept_values(values, sigma, maxiters)
    return _mean_and_deviation(np.where(keep, values, 0.0), keep)[0]


def _magnitude(values):
    """Return the sum of the magnitudes along the first axis of those values that are finite."""
    return np.where(np.isfinite(values), np.abs(values), 0.0).sum(axis=0)


def _decision_rounding(values, keep, sigma):
    """Return how far rounding in single precision can move a decision of clipping.

    Median and distance from it are rounded once each.  An error of the mean, from which the
    deviation is taken, adds to the deviation in quadrature; the squares and their sum round the
    deviation in proportion to itself, half of it under the root.
    """
    finite = np.isfinite(values)
    values = np.where(finite, values, 0.0)
    of_mean = UNIT_ROUNDOFF * np.abs(values).sum(axis=0)
    widest, narrowest = (
        np.nan_to_num(_mean_and_deviation(values, chosen)[1]) for chosen in (finite, keep)
    )
    of_deviation = np.hypot(narrowest, of_mean) - narrowest
    of_deviation += (len(values) / 2 + 2) * UNIT_ROUNDOFF * widest
    return 2 * UNIT_ROUNDOFF * np.abs(values).max(axis=0) + sigma * of_deviation


def _clipped_integrations(values, sigma, maxiters):
    """Return mean, margin and rounding of one exposure's integrations."""
    keep, margin = kept_values(values, sigma, maxiters)
    mean, _ = _mean_and_deviation(np.where(keep, values, 0.0), keep)
    # Squared errors are rounded before they are compared: each, the median and the deviation.
    decision = _decision_rounding(values, keep, sigma)
    decision += (2 + sigma) * UNIT_ROUNDOFF * np.where(keep, np.abs(values), 0.0).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return mean, margin / decision, UNIT_ROUNDOFF * _magnitude(values)


def member_averages(backgrounds, sigma, maxiters=None, masked=False, empty_as_zero=True):
    """Return what each background exposure gives to the average.

    The integrations of an exposure are clipped and averaged first; values and squared errors
    independently of each other.

    Parameters
    ----------
    backgrounds : list of Image
        Exposures, all of shape (rows, columns) or all (integrations, rows, columns).
    sigma : float
        Clipping threshold.
    maxiters : int, optional
        Most clipping iterations.
    masked : bool, optional
        Whether values with the flag DO_NOT_USE are left out.
    empty_as_zero : bool, optional
        Whether what has no value in any integration of an exposure counts as 0.

    Returns
    -------
    MemberAverages
        Values and variances.
    """
    shape = (len(backgrounds), *backgrounds[0].shape[-2:])
    values, variances = np.empty(shape), np.empty(shape)
    rounding, margin = np.zeros(shape), np.full(shape[1:], np.inf)
    for number, image in enumerate(backgrounds):
        data, squares = image.data.astype(float), image.err.astype(float) ** 2
        if masked:
            data[(image.dq & DO_NOT_USE) > 0] = np.nan
        if data.ndim == 2:
            values[number], variances[number] = data, squares
        elif len(data) == 0:
            values[number] = variances[number] = np.nan
        else:
            mean, decision, rounding[number] = _clipped_integrations(data, sigma, maxiters)
            variance, other_decision, _ = _clipped_integrations(squares, sigma, maxiters)
            margin = np.minimum(margin, np.minimum(decision, other_decision))
            if empty_as_zero:
                mean, variance = (np.nan_to_num(each, nan=0.0) for each in (mean, variance))
            values[number], variances[number] = mean, variance
    return MemberAverages(values, variances, rounding, margin)


def _average(backgrounds, sigma, maxiters, **choices):
    """Return all but the flags of the average of backgrounds, in the order of its fields."""
    members = member_averages(backgrounds, sigma, maxiters, **choices)
    keep, margin = kept_values(members.values, sigma, maxiters)
    kept = keep.sum(axis=0)
    empty = kept == 0
    # What the values were rounded themselves moves each of them, the median and the deviation.
    decision = _decision_rounding(members.values, keep, sigma)
    decision += (2 + sigma) * members.rounding.max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(keep, members.values, 0.0).sum(axis=0) / kept
        variance = np.where(keep, members.variances, 0.0).sum(axis=0)
        error = np.where(empty, 0.0, np.sqrt(variance) / kept)
        margin = np.minimum(members.margin, margin / decision)
        # k - 1 sums and a division round by a unit each, of no more than the summed magnitudes.
        rounding = UNIT_ROUNDOFF * _magnitude(members.values)
        rounding += np.where(keep, members.rounding, 0.0).sum(axis=0) / np.maximum(kept, 1)
    # Squares, sums and divisions; the root halves what they round, and is rounded itself.
    integrations = max(image.shape[0] if len(image.shape) == 3 else 0 for image in backgrounds)
    operations = (len(backgrounds) + integrations + 1) / 2 + 2
    return (
        np.where(empty, 0.0, mean),
        error,
        margin,
        kept.astype(np.uint16),
        rounding,
        operations * UNIT_ROUNDOFF * error,
    )


def united_flags(image):
    """Return the flags of any integration of an exposure, shape (rows, columns)."""
    return image.dq if len(image.shape) == 2 else np.bitwise_or.reduce(image.dq, axis=0)


def _strips(backgrounds):
    """Yield all exposures in the same few rows, from the first to the last."""
    rows, columns = backgrounds[0].shape[-2:]
    integrations = [math.prod(image.shape[:-2]) for image in backgrounds]
    step = max(1, _BLOCK // (max(len(backgrounds), *integrations) * columns))
    # Whole blocks are read together.
    read = step * max(1, _STRIP // (max(1, sum(integrations)) * columns * step))
    for first in range(0, rows, read):
        strips = [image.rows(slice(first, first + read)) for image in backgrounds]
        for part in range(0, strips[0].shape[-2], step):
            yield [strip.rows(slice(part, part + step)) for strip in strips]


def average_backgrounds(backgrounds, sigma, maxiters=None, masked=False, empty_as_zero=True):
    """Return what the background step documents as the average of backgrounds.

    Parameters
    ----------
    backgrounds : list of Image
        Exposures in the frame of the science exposure, all of shape (rows, columns) or all
        (integrations, rows, columns).
    sigma : float
        Clipping threshold.
    maxiters : int, optional
        Most clipping iterations.
    masked : bool, optional
        Whether values with the flag DO_NOT_USE are left out; otherwise no flag decides what is
        averaged.
    empty_as_zero : bool, optional
        Whether what has no value in any integration of an exposure counts as 0.

    Returns
    -------
    CombinedBackground
        Average, its error and flags.
    """
    blocks = [
        _average(strips, sigma, maxiters, masked=masked, empty_as_zero=empty_as_zero)
        for strips in _strips(backgrounds)
    ]
    data, error, *others = (np.concatenate(planes) for planes in zip(*blocks, strict=True))
    dq = np.zeros(data.shape, dtype=np.uint32)
    for image in backgrounds:
        dq |= united_flags(image)
    return CombinedBackground(data, error, dq, *others)
