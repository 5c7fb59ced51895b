"""When two arrays are the same, but for what single precision rounds."""

import numpy as np

__all__ = ["UNIT_ROUNDOFF", "different"]

# Half a unit in the last place: the largest relative error of one operation in the single
# precision of the pipeline's arrays.
UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


def different(values, expected, allowed=0.0):
    """Tell where values are not what is expected.

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
