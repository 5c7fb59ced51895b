"""The noise of a fitted slope, derived from the documented weights of the ramp fit.

The pipeline fits a line with weights that depend on the signal-to-noise ratio of the
ramp (Fixsen et al. 2000; jwst documentation, "Ramp fitting", optimal weighting), and
reports the variance of the limiting cases: of photons as if only the first and the last
group counted, of reads as if all had the same weight.  What the slope really scatters follows
from the weights.

The ratio is taken from the ramp itself.  Near a step of the exponent, a ramp that
happens to end high is fitted with other weights than one that ends low, so that their
mean is a little off: up to two parts in a thousand of the rate.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

__all__ = [
    "Averaging",
    "SlopeStatistics",
    "equal_weights",
    "pipeline_weights",
    "read_weighting",
    "reported_photons",
    "slope_noise",
    "slope_statistics",
]

# Signal-to-noise ratios up to which an exponent of the weights holds; Fixsen et al. (2000).
_STEPS = (5.0, 10.0, 20.0, 50.0, 100.0)
_EXPONENTS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0)
# The ratio of one ramp is itself uncertain: near a step, the larger exponent is assumed.
_STEP_MARGIN = 0.15
_RATES = 60  # rates between which the statistics are interpolated
_PIXELS = 500  # of the sample, over which the choice of weights is averaged
_RAMPS = 20_000  # drawn for what is reported of photons
_SEED = 20260102  # of these draws


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


@dataclass(frozen=True)
class Averaging:
    """How the slopes of an exposure's integrations become one.

    Parameters
    ----------
    fitted : tuple of int
        Number of groups that each integration is fitted to.
    weights : ndarray
        What each slope counts; the sum is 1.
    photons, reads : float
        What is reported as variance of the average slope per group: of photons in units of the
        variance of those that one group gets, of reads in units of the variance of one read.
    """

    fitted: tuple
    weights: np.ndarray
    photons: float
    reads: float


def pipeline_weights(fitted):
    """Return how the pipeline averages the slopes of integrations to a rate.

    The weights are the inverse of the variance that it reports for reads alone (measured with
    jwst 3.0.0: to rounding), whatever photons add to the noise.  Each kind of variance is
    reported as if slopes were averaged with its own inverse.

    Parameters
    ----------
    fitted : list of int
        Number of groups that each integration is fitted to.

    Returns
    -------
    Averaging
        Of rates.
    """
    groups = np.array(fitted)
    photons, reads = np.sum(groups - 1), np.sum(groups**3 - groups)
    return Averaging(tuple(fitted), (groups**3 - groups) / reads, 1 / photons, 12 / reads)


def equal_weights(fitted):
    """Return the average of slopes of integrations that have equal weights.

    Parameters
    ----------
    fitted : list of int
        Number of groups that each integration is fitted to.

    Returns
    -------
    Averaging
        Of `in_two_dimensions`, with the mean of the variances that are reported for each.
    """
    groups = np.array(fitted)
    photons, reads = np.sum(1 / (groups - 1)), np.sum(12 / (groups**3 - groups))
    count = groups.size
    return Averaging(tuple(fitted), np.full(count, 1 / count), photons / count**2, reads / count**2)


def slope_noise(rate, gain, read_noise, frame_time, averaging):
    """Return the standard deviation of rates, and the one that is reported.

    Parameters
    ----------
    rate : ndarray
        True rate, DN/s; one below zero, of a dark current that is too large, has no photons.
    gain : ndarray
        Electron / DN.
    read_noise : ndarray
        Standard deviation of one read of the linear signal, DN.
    frame_time : float
        Time from group to group, s.
    averaging : Averaging
        What is made of the integrations.

    Returns
    -------
    true, reported : ndarray
        DN/s.
    """
    rate = np.maximum(rate, 0.0)
    of_group, of_read = rate * frame_time / gain, read_noise**2
    variance = 0.0
    for weight, groups in zip(averaging.weights, averaging.fitted, strict=True):
        step = _step(rate * (groups - 1) * frame_time, gain, read_noise)
        photons, reads = _variance_factors(groups)
        variance = variance + weight**2 * (photons[step] * of_group + reads[step] * of_read)
    reported = averaging.photons * of_group + averaging.reads * of_read
    return np.sqrt(variance) / frame_time, np.sqrt(reported) / frame_time


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


def reported_photons(rate, gain, read_noise, frame_time, fitted):
    """Return what the pipeline reports of photons on average, over what there are.

    It takes them from the median difference of a ramp's groups, averaged over integrations
    (measured with jwst 3.0.0), and none where that is negative: of faint ramps, more than there
    are on average.  Ramps are drawn.

    Parameters
    ----------
    rate : float
        True rate, DN/s.
    gain, read_noise : ndarray
        Electron / DN and standard deviation of a read in DN, of a sample of pixels.
    frame_time : float
        Time from group to group, s.
    fitted : sequence of int
        Number of groups that each integration is fitted to.

    Returns
    -------
    float
        1 for bright ramps.
    """
    generator = np.random.default_rng(_SEED)
    pixels = generator.integers(gain.size, size=_RAMPS)
    gain, read_noise = gain.ravel()[pixels], read_noise.ravel()[pixels]
    of_group = rate * frame_time
    medians = np.zeros(_RAMPS)
    for groups in fitted:
        photons = np.sqrt(of_group / gain) * generator.standard_normal((groups - 1, _RAMPS))
        reads = read_noise * generator.standard_normal((groups, _RAMPS))
        medians += of_group + np.median(photons + np.diff(reads, axis=0), axis=0)
    # Without the negative ones the mean is that of the photons, whatever ramps were drawn.
    return float(1 + np.mean(np.maximum(-medians / len(fitted), 0.0)) / of_group)


@dataclass(frozen=True)
class SlopeStatistics:
    """How slopes are off the true rate, on average and by their scatter, for many rates.

    Parameters
    ----------
    rates : ndarray
        True rates, DN/s, increasing.
    offsets : ndarray
        Expected slope less the rate, DN/s.
    ratios : ndarray
        Standard deviation of slopes over that with weights of the true ratio.
    """

    rates: np.ndarray
    offsets: np.ndarray
    ratios: np.ndarray

    def offset(self, rate):
        """Return the expected slope less the true rate, DN/s, for an array of rates."""
        return np.interp(rate, self.rates, self.offsets, left=0.0, right=0.0)

    def ratio(self, rate):
        """Return the scatter of slopes over that of `slope_noise`, for an array of rates."""
        return np.interp(rate, self.rates, self.ratios)


def slope_statistics(rates, gain, read_noise, frame_time, averaging):
    """Return what the choice of weights by the ramp's own ratio does to slopes.

    The slope with each exponent and the signal that chooses it are normal together, so that mean
    and variance of the chosen one follow from those of a normal distribution between limits.

    Parameters
    ----------
    rates : tuple of float
        Lowest and highest true rate, DN/s.
    gain, read_noise : ndarray
        Electron / DN and standard deviation of a read in DN, of a sample of pixels.
    frame_time : float
        Time from group to group, s.
    averaging : Averaging
        What is made of the integrations.

    Returns
    -------
    SlopeStatistics
        Of the average of the integrations.
    """
    grid = np.geomspace(*rates, _RATES)
    gain, read_noise = gain[:_PIXELS], read_noise[:_PIXELS]
    offsets, variances, fixed = np.zeros((3, _RATES))
    for groups in dict.fromkeys(averaging.fitted):
        weights = averaging.weights[np.equal(averaging.fitted, groups)]
        of_grid = [_chosen_slope(rate * frame_time, gain, read_noise, groups) for rate in grid]
        offset, variance, of_fixed = np.transpose(of_grid)
        offsets += weights.sum() * offset / frame_time
        variances += np.sum(weights**2) * variance
        fixed += np.sum(weights**2) * of_fixed
    return SlopeStatistics(grid, offsets, np.sqrt(variances / fixed))


def _chosen_slope(of_group, gain, read_noise, groups):
    """Return mean offset and variance of slopes with chosen weights, and variance with fixed ones.

    Parameters
    ----------
    of_group : float
        True signal of a group, DN.
    gain, read_noise : ndarray
        Of a sample of pixels.
    groups : int
        Groups that are fitted.

    Returns
    -------
    offset, variance, fixed : float
        Of the slope per group, DN and DN^2, means of all pixels.
    """
    photons, reads = of_group / gain, read_noise**2
    factors = np.array([_coefficients(groups, exponent) for exponent in _EXPONENTS])
    of_photons, of_reads = (each[:, np.newaxis] for each in _variance_factors(groups))
    slope_variance = of_photons * photons + of_reads * reads
    # The signal is the last group less the first: it has all photons, and those two reads.
    signal, signal_variance = of_group * (groups - 1), photons * (groups - 1) + 2 * reads
    covariance = photons + 2 * factors[:, -1:] * reads
    deviation = np.sqrt(signal_variance)
    limits = (_signal_at_steps(gain, read_noise) - signal) / deviation
    ends = np.full((1, *gain.shape), np.inf)
    limits = np.concatenate([-ends, limits, ends])
    chance = np.diff(ndtr(limits), axis=0)
    density = np.exp(-(limits**2) / 2) / np.sqrt(2 * np.pi)
    weighted = np.where(np.isfinite(limits), limits, 0.0) * density
    # First and second moment of a standard normal number between the limits.
    first, second = -np.diff(density, axis=0), chance - np.diff(weighted, axis=0)
    follows = covariance / deviation
    offset = np.sum(follows * first, axis=0)
    square = np.sum(follows**2 * second + (slope_variance - follows**2) * chance, axis=0)
    step = _step(np.full(gain.shape, signal), gain, read_noise)
    fixed = np.take_along_axis(slope_variance, step[np.newaxis], axis=0)
    return offset.mean(), square.mean() - offset.mean() ** 2, fixed.mean()


def _signal_at_steps(gain, read_noise):
    """Return the signals, DN, at which the exponent changes, shape (steps, pixels)."""
    squared = np.array(_STEPS)[:, np.newaxis] ** 2
    reads = (read_noise * gain) ** 2
    return (squared + np.sqrt(squared**2 + 4 * squared * reads)) / 2 / gain


def _step(signal, gain, read_noise):
    """Return which exponent a ramp is fitted with, from its signal in DN."""
    electrons = signal * gain
    ratio = electrons / np.sqrt(electrons + (read_noise * gain) ** 2)
    return np.searchsorted(_STEPS, ratio, side="right")
