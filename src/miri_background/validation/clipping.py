"""Sigma-clipped means, independent of the pipeline's and of astropy's code.

Written from the documentation of the background step and of the sigma clipping
that it names: a value is rejected where it is further from the median than sigma
times the population standard deviation, both of the values that are left, until
nothing changes or the iterations are used up.  As in astropy, the last limits hold
for all values: one that earlier limits rejected may come back (sigma below 1.6,
six and more values).
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["CombinedBackground", "combine_backgrounds", "kept_values", "sigma_clipped_mean"]


@dataclass(frozen=True)
class CombinedBackground:
    """The average of background exposures, all arrays of the exposures' shape.

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
        How far the closest decision was from going the other way, in units of the
        values; decisions within rounding are not certain.
    """

    data: np.ndarray
    error: np.ndarray
    dq: np.ndarray
    margin: np.ndarray


def _median(values, keep):
    """Return the median along the first axis of the values to keep, NaN where there is none."""
    count = keep.sum(axis=0)
    ordered = np.sort(np.where(keep, values, np.inf), axis=0)
    upper = np.minimum(count // 2, len(values) - 1)
    lower = np.maximum((count - 1) // 2, 0)
    pair = np.take_along_axis(ordered, np.stack([lower, upper]), axis=0)
    with np.errstate(invalid="ignore"):
        middle = (pair[0] + pair[1]) / 2
    return np.where(count > 0, middle, np.nan)


def _mean_and_deviation(values, keep):
    """Return mean and population standard deviation along the first axis."""
    count = keep.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(keep, values, 0.0).sum(axis=0) / count
        squares = np.where(keep, values - mean, 0.0) ** 2
        return mean, np.sqrt(squares.sum(axis=0) / count)


def kept_values(values, sigma, maxiters=None):
    """Tell which values sigma clipping along the first axis keeps.

    Parameters
    ----------
    values : ndarray
        Shape (n, ...); NaN and infinite values are never kept.
    sigma : float
        Rejected are values further than this many standard deviations from the median.
    maxiters : int, optional
        Most iterations; until nothing changes if not given.

    Returns
    -------
    keep : ndarray of bool
        Shape of `values`.
    margin : ndarray
        Smallest distance of any value from the border of being rejected, in any
        iteration, shape of `values` without the first axis.
    """
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    values = np.where(finite, values, 0.0)
    keep = left = finite
    margin = np.full(values.shape[1:], np.inf)
    iteration = 0
    while maxiters is None or iteration < maxiters:
        centre = _median(values, left)
        _, deviation = _mean_and_deviation(values, left)
        with np.errstate(invalid="ignore"):
            excess = np.where(finite, np.abs(values - centre) - sigma * deviation, np.inf)
        margin = np.minimum(margin, np.abs(excess).min(axis=0))
        keep = excess <= 0
        if not (left & ~keep).any():
            break
        left = left & keep
        iteration += 1
    return keep, margin


def sigma_clipped_mean(values, sigma, maxiters=None):
    """Return the sigma-clipped mean along the first axis, NaN where nothing is kept."""
    keep, _ = kept_values(values, sigma, maxiters)
    return _mean_and_deviation(np.where(keep, values, 0.0), keep)[0]


def combine_backgrounds(data, error, dq, sigma, maxiters=None):
    """Return what the background step documents as the average of 2-D backgrounds.

    Parameters
    ----------
    data, error : ndarray
        Values and errors, shape (exposures, rows, columns).
    dq : ndarray of uint32
        Flags; they do not decide what is averaged.
    sigma : float
        Clipping threshold.
    maxiters : int, optional
        Most clipping iterations.

    Returns
    -------
    CombinedBackground
        Average, its error and flags.
    """
    keep, margin = kept_values(data, sigma, maxiters)
    count = keep.sum(axis=0)
    mean, _ = _mean_and_deviation(np.where(keep, data, 0.0), keep)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(keep, np.asarray(error, dtype=float) ** 2, 0.0).sum(axis=0)
        uncertainty = np.sqrt(variance) / count
    empty = count == 0
    return CombinedBackground(
        np.where(empty, 0.0, mean),
        np.where(empty, 0.0, uncertainty),
        np.bitwise_or.reduce(dq, axis=0),
        margin,
    )
