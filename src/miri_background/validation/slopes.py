"""The noise of a fitted slope, derived from the documented weights of the ramp fit.

The pipeline fits a line with weights that depend on the signal-to-noise ratio of the
ramp (Fixsen et al. 2000; jwst documentation, "Ramp fitting", optimal weighting), and
reports the variance of the limiting cases: of photons as if only the first and the last
group counted, of reads as if all counted alike.  What the slope really scatters follows
from the weights.
"""

import numpy as np

__all__ = ["read_weighting", "slope_noise"]

# Signal-to-noise ratios up to which an exponent of the weights holds; Fixsen et al. (2000).
_STEPS = (5.0, 10.0, 20.0, 50.0, 100.0)
_EXPONENTS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0)
# The ratio of one ramp is itself uncertain: near a step, the larger exponent is assumed.
_STEP_MARGIN = 0.15


def _coefficients(groups, exponent):
    """Return the factors of the groups in a slope per group, for an exponent of the weights."""
    middle = (groups - 1) / 2
    steps = np.arange(groups) - middle
    weights = np.abs(steps / middle) ** exponent
    return weights * steps / np.sum(weights * steps**2)


def _variance_factors(groups):
    """Return the variances of slopes for all exponents, in units of a group's photons and reads.

    Parameters
    ----------
    groups : int
        Groups that are fitted.

    Returns
    -------
    photons, reads : ndarray
        One number for each exponent: of the variance of the signal that one group gets,
        and of the variance of one read.
    """
    photons, reads = [], []
    for exponent in _EXPONENTS:
        factors = _coefficients(groups, exponent)
        # A photon is in its own group and all later ones.
        photons.append(np.sum(np.cumsum(factors[::-1])[:-1] ** 2))
        reads.append(np.sum(factors**2))
    return np.array(photons), np.array(reads)


def slope_noise(rate, gain, read_noise, frame_time, fitted):
    """Return the standard deviation of rates, and the one that the pipeline reports.

    Parameters
    ----------
    rate : ndarray
        True rate, DN/s.
    gain : ndarray
        Electron / DN.
    read_noise : ndarray
        Standard deviation of one read of the linear signal, DN.
    frame_time : float
        Time from group to group, s.
    fitted : list of int
        Number of groups that each integration is fitted to.

    Returns
    -------
    true, reported : ndarray
        DN/s.
    """
    weight_sum, variance = 0.0, 0.0
    for groups in fitted:
        span = groups - 1
        signal = rate * span * frame_time * gain
        ratio = signal / np.sqrt(signal + (read_noise * gain) ** 2)
        step = np.searchsorted(_STEPS, ratio, side="right")
        photons, reads = _variance_factors(groups)
        of_group = rate * frame_time / gain
        scatter = (photons[step] * of_group + reads[step] * read_noise**2) / frame_time**2
        told = of_group / span + 12 * read_noise**2 / (groups**3 - groups)
        # Integrations are averaged with the inverse of the reported variance.
        weight = frame_time**2 / told
        weight_sum = weight_sum + weight
        variance = variance + weight**2 * scatter
    return np.sqrt(variance) / weight_sum, 1 / np.sqrt(weight_sum)


def read_weighting(groups, ratio):
    """Return how much more variance reads give to a slope than with equal weights.

    Parameters
    ----------
    groups : int
        Groups that are fitted.
    ratio : float
        Signal-to-noise ratio of the ramp.

    Returns
    -------
    float
        Ratio of the variances.
    """
    step = np.searchsorted(_STEPS, ratio * (1 + _STEP_MARGIN), side="right")
    _, reads = _variance_factors(groups)
    return float(reads[step] * (groups**3 - groups) / 12)
