"""When values are the same, except for rounding in single precision."""

import math

import numpy as np

__all__ = ["UNIT_ROUNDOFF", "different", "same_value"]

# Half a unit in the last place: the largest relative error of one operation in the single
# precision of the pipeline's arrays.
UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


def different(values, expected, allowed=0.0):
    """Return where values are not what is expected.

    Parameters
    ----------
    values, expected : ndarray
        Numbers; what is not a number is the same as what is not a number, and infinite the
        same as infinite of the same sign.
    allowed : float or ndarray, optional
        Largest difference of two finite numbers that is only rounding.

    Returns
    -------
    ndarray of bool
        True where they differ.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(values - expected)
        close = np.isfinite(difference) & (difference <= allowed)
    return ~(close | (values == expected) | (np.isnan(values) & np.isnan(expected)))


def same_value(found, expected):
    """Return whether a header has the value that another header has.

    Builds compute times from times in double or in single precision, and write up to 17 digits
    of them: two roundings to single precision are the most that can be between both.

    Parameters
    ----------
    found, expected : bool, int, float, str or None
        Values of a keyword, None where there is none.

    Returns
    -------
    bool
        Numbers with a fraction may differ by rounding, anything else may not.
    """
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(found, expected, rel_tol=2 * UNIT_ROUNDOFF)
    return found == expected
