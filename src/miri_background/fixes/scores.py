"""Numbers that tell a good subtraction from a bad one, each with its standard error."""

import math
from dataclasses import dataclass

import numpy as np

from miri_background.validation.prediction.pixel_statistics import levelled
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["Value", "deviation", "level", "mean_of_values", "part", "pulls", "right_and_flagged"]

# How many standard deviations a value may be off, and be right: of a million normal values, less
# than one is further off.
_RIGHT = 5.0


@dataclass(frozen=True)
class Value:
    """A number with its standard error.

    Parameters
    ----------
    value, error : float
        In one unit.
    """

    value: float
    error: float


def mean_of_values(values):
    """Return the mean of independent values of one quantity.

    Parameters
    ----------
    values : sequence of Value
        Of observations that are alike.

    Returns
    -------
    Value
        All count the same; not a number if there are none.
    """
    known = [each for each in values if math.isfinite(each.value)]
    if not known:
        return Value(math.nan, math.nan)
    error = math.sqrt(sum(each.error**2 for each in known)) / len(known)
    return Value(sum(each.value for each in known) / len(known), error)


def deviation(values):
    """Return the standard deviation of values.

    Parameters
    ----------
    values : ndarray
        Independent; they need not be normal.

    Returns
    -------
    Value
        Its standard error follows from the fourth moment (Kendall & Stuart, volume 1, 10.10).
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return Value(math.nan, math.nan)
    away = values - values.mean()
    variance = np.mean(away**2)
    if variance == 0:
        return Value(0.0, 0.0)
    fourth = np.mean(away**4) / variance**2
    scatter = math.sqrt(variance)
    return Value(scatter, scatter * math.sqrt(max(fourth - 1, 0.0) / (4 * values.size)))


def pulls(difference, error, good):
    """Return by how much differences from the truth scatter, in units of their reported error.

    Parameters
    ----------
    difference, error : ndarray
        Shape (rows, columns), DN/s.  What whole outputs have in common is taken off before: no
        reported error speaks of it.
    good : ndarray of bool
        Which pixels count.

    Returns
    -------
    Value
        1 where errors are right, more where they are too small.
    """
    used = good & np.isfinite(difference) & (error > 0)
    return deviation(levelled(difference, used)[used] / error[used])


def level(difference, good, common=0.0):
    """Return the mean difference from the truth.

    Parameters
    ----------
    difference : ndarray
        Shape (rows, columns), DN/s.
    good : ndarray of bool
        Which pixels count.
    common : float, optional
        Variance that all pixels share, (DN/s)^2.

    Returns
    -------
    Value
        DN/s; not a number without pixels.
    """
    values = difference[good & np.isfinite(difference)].astype(float)
    if values.size == 0:
        return Value(math.nan, math.nan)
    return Value(float(values.mean()), math.sqrt(values.var() / values.size + common))


def part(chosen, of):
    """Return which part of some pixels is chosen, in percent.

    Parameters
    ----------
    chosen, of : ndarray of bool
        Pixels.

    Returns
    -------
    Value
        With its binomial standard error; where it is none or all, that of one pixel more or less.
    """
    count = int(np.count_nonzero(of))
    if count == 0:
        return Value(math.nan, math.nan)
    found = np.count_nonzero(chosen & of) / count
    error = max(math.sqrt(found * (1 - found) / count), 1 / count)
    return Value(100 * found, 100 * error)


def right_and_flagged(value, truth, noise, dq):
    """Return which pixels have a right value, and which are flagged.

    Parameters
    ----------
    value, truth : ndarray
        Combined background and what it should be, DN/s, shape (rows, columns).
    noise : ndarray or float
        Predicted standard deviation of the average of good values, DN/s; 0 where there is none,
        so that no value is right.
    dq : ndarray of uint32
        Flags of the combined background.

    Returns
    -------
    right, flagged : ndarray of bool
        Right is what is within five standard deviations of the truth.
    """
    with np.errstate(invalid="ignore"):
        right = np.abs(value - truth) < _RIGHT * noise
    return right, dq & DO_NOT_USE > 0
