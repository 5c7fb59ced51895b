"""One measured number, before it is judged."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "WHOLE_ARRAY",
    "Measurement",
    "limit_in_words",
    "normal_deviation",
    "place_in_words",
    "share_of_limit",
]

WHOLE_ARRAY = "whole array"

_RARE = 1e-12  # a probability below which those of all trials just add up


@dataclass(frozen=True)
class Measurement:
    """One number.

    Parameters
    ----------
    criterion : str
        Name of the criterion that judges it.
    region : str
        Region of the detector, or "whole array".
    exposure : int or None
        Number of the science exposure, from 1; None where all are taken together.
    value : float
        The number.
    error : float or None
        Predicted standard error, where the number is a statistic.
    trials : int, optional
        Of how many statistics with such an error this is the one that is furthest off.
    detail : str, optional
        Of a count that is not 0, what was counted first, and where.
    """

    criterion: str
    region: str
    exposure: int | None
    value: float
    error: float | None = None
    trials: int = 1
    detail: str = ""


def place_in_words(region, exposure):
    """Return the region and the exposure, where there is one, in words."""
    return region if exposure is None else f"{region}, exposure {exposure}"


def limit_in_words(limit):
    """Return a limit as text, without its unit."""
    return "0" if limit == 0 else f"±{limit:.2g}"


def share_of_limit(value, limit):
    """Return a value over its limit; infinite if it is not a number, or if none is allowed."""
    if not (math.isfinite(value) and math.isfinite(limit)):
        return math.inf
    if limit == 0:
        return math.inf if value else 0.0
    return abs(value) / limit


def normal_deviation(ratio, trials):
    """Return by how many standard deviations of a normal distribution a statistic is off.

    Parameters
    ----------
    ratio : float
        The statistic over its standard error.
    trials : int
        Of how many statistics this is the one that is furthest off.

    Returns
    -------
    float
        The ratio itself for one trial; of many, the deviation, with the sign of the ratio, that is
        as improbable as that the furthest of them is so far off.
    """
    if trials == 1:
        return float(ratio)
    # Imported here: products that cannot be judged are refused before anything is measured.
    from scipy.special import log_ndtr, ndtri_exp

    # In logarithms: what is 40 standard errors off is broken, and still a number.
    alone = np.log(2) + log_ndtr(-abs(ratio))
    if alone > np.log(_RARE):
        with np.errstate(divide="ignore"):  # of all, some are further off than nothing
            of_all = np.log(-np.expm1(trials * np.log1p(-min(np.exp(alone), 1.0))))
    else:
        of_all = alone + np.log(trials)
    return float(np.copysign(-ndtri_exp(of_all - np.log(2)), ratio))
