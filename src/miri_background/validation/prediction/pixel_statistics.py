"""Means and scatters of many pixels, from which what stands out is clipped."""

import numpy as np
from scipy.optimize import fixed_point
from scipy.stats import norm, truncnorm

from miri_background.instrument.detector import AMPLIFIERS

__all__ = [
    "CLIPPED_ERROR",
    "clipped_mean",
    "clipped_scatter",
    "levelled",
    "mean_of",
    "output_sets",
    "set_means",
    "without_sets",
]

_PIXEL_CLIP = 3.0  # standard deviations
# Clipping until nothing changes ends nearer than that, because what is left scatters less.
_LAST_CLIP = float(fixed_point(lambda reach: _PIXEL_CLIP * truncnorm(-reach, reach).std(), 3.0))
_CLIPPED_VARIANCE = (_LAST_CLIP / _PIXEL_CLIP) ** 2  # what is left of that of normal pixels


def _clipped_error():
    """Return the error of `clipped_scatter` over that of a standard deviation of as many pixels.

    Clipping until nothing changes repeats what chance does: where the pixels that are left scatter
    a little more, limits get wider, and more of the wings is left.
    """
    within = norm.cdf(_LAST_CLIP) - norm.cdf(-_LAST_CLIP)
    fourth = truncnorm(-_LAST_CLIP, _LAST_CLIP).moment(4)
    of_once = np.sqrt((fourth - _CLIPPED_VARIANCE**2) / (2 * within)) / _CLIPPED_VARIANCE
    # By how much the variance of what is left grows with the limits, and these with its root.
    of_edges = 2 * norm.pdf(_LAST_CLIP) * (_LAST_CLIP**2 - _CLIPPED_VARIANCE) / within
    repeated = of_edges * _PIXEL_CLIP / (2 * np.sqrt(_CLIPPED_VARIANCE))
    return float(of_once / (1 - repeated))


CLIPPED_ERROR = _clipped_error()


def levelled(image, good):
    """Return an image less the mean of each set of pixels that have common noise.

    Parameters
    ----------
    image : ndarray
        Shape (rows, columns).
    good : ndarray of bool
        Pixels that means are taken of.

    Returns
    -------
    ndarray
        Shape of the image.
    """
    return without_sets(image, set_means(image, good))


def set_means(image, good):
    """Return the mean of the good pixels of each set of pixels that have common noise.

    Parameters
    ----------
    image : ndarray
        Shape (rows, columns).
    good : ndarray of bool
        Pixels that means are taken of.

    Returns
    -------
    list of float
        In the order of `output_sets`; not a number where a set has no good pixel.
    """
    return [clipped_mean(np.asarray(image)[places][good[places]])[0] for places in _set_places()]


def without_sets(image, means):
    """Return an image less the means of its sets, as `set_means` returns them."""
    flat = np.array(image, dtype=float)
    for places, mean in zip(_set_places(), means, strict=True):
        flat[places] -= mean
    return flat


def _set_places():
    """Return the rows and columns of each set, as steps through an image."""
    return [
        (slice(row, None, 2), slice(column, None, AMPLIFIERS))
        for row in range(2)
        for column in range(AMPLIFIERS)
    ]


def mean_of(images):
    """Return the mean of images, of which only one is looked at at a time.

    Parameters
    ----------
    images : iterable of ndarray
        All of one shape.

    Returns
    -------
    ndarray
        As `numpy.mean` along the first axis of a stack of them has it.
    """
    total, count = 0.0, 0
    for image in images:
        total, count = total + image, count + 1
    return total / count


def output_sets(shape):
    """Return to which set of pixels with common noise each pixel belongs.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of int
        Number of the set: amplifiers read every fourth column, and odd and even rows have
        drifts and reference pixels of their own.
    """
    rows, columns = np.indices(shape)
    return (rows % 2) * AMPLIFIERS + columns % AMPLIFIERS


def clipped_mean(values):
    """Return the sigma-clipped mean of pixels and its variance, not a number without pixels."""
    if values.size == 0:
        return np.nan, np.nan
    kept = _kept(values)
    return kept.mean(), kept.var() / _CLIPPED_VARIANCE / kept.size


def clipped_scatter(values):
    """Return the standard deviation of normal pixels from those that clipping keeps."""
    return _kept(values).std() / np.sqrt(_CLIPPED_VARIANCE) if values.size else np.nan


def _kept(values):
    """Return the pixels that clipping keeps, sorted."""
    # Sorted once: what clipping keeps of one set of values is a part without gaps.
    kept, before = np.sort(values), None
    while kept.size != before:
        before = kept.size
        # The median of what is sorted already.
        centre = kept[(before - 1) // 2 : before // 2 + 1].mean()
        reach = _PIXEL_CLIP * kept.std()
        first = np.searchsorted(kept, centre - reach)
        last = np.searchsorted(kept, centre + reach, side="right")
        kept = kept[first:last]
    return kept
