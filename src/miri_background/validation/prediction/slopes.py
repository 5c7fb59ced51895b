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
_RAMPS = 20_000  # drawn for each rate; only differences to a known fit are taken from them
_RATES = 60  # rates between which the statistics are interpolated
_SEED = 20260102  # of the draws, the same for all rates so that they vary smoothly


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
        True rate, DN/s.
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

    Ramps are drawn and fitted with the documented weights.  What is taken from the draws is
    only the difference to a fit whose weights do not depend on the ramp, of which offset and
    scatter are known.

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
    generator = np.random.default_rng(_SEED)
    pixels = generator.integers(gain.size, size=_RAMPS)
    gain, read_noise = gain.ravel()[pixels], read_noise.ravel()[pixels]
    offsets, ratios = np.zeros(_RATES), np.zeros(_RATES)
    for groups in dict.fromkeys(averaging.fitted):
        ramps = _ramps(groups, generator)
        weight = averaging.weights[np.equal(averaging.fitted, groups)].sum()
        for number, rate in enumerate(grid):
            offset, ratio = _choice_of_weights(rate, gain, read_noise, frame_time, ramps)
            offsets[number] += weight * offset
            ratios[number] += weight * ratio
    return SlopeStatistics(grid, offsets, ratios)


@dataclass(frozen=True)
class _Ramps:
    """Ramps of unit noise, of which those of any rate are made by scaling.

    Parameters
    ----------
    groups : int
        Groups of each.
    photons, reads : ndarray
        Slopes of the photons' and of the reads' noise, shape (exponents, ramps).
    photons_signal, reads_signal : ndarray
        What they add to the difference of the last and the first group.
    """

    groups: int
    photons: np.ndarray
    reads: np.ndarray
    photons_signal: np.ndarray
    reads_signal: np.ndarray


def _ramps(groups, generator):
    """Return ramps of unit noise."""
    factors = np.array([_coefficients(groups, exponent) for exponent in _EXPONENTS])
    photons = np.zeros((groups, _RAMPS))
    photons[1:] = np.cumsum(generator.standard_normal((groups - 1, _RAMPS)), axis=0)
    reads = generator.standard_normal((groups, _RAMPS))
    return _Ramps(groups, factors @ photons, factors @ reads, photons[-1], reads[-1] - reads[0])


def _choice_of_weights(rate, gain, read_noise, frame_time, ramps):
    """Return mean difference and ratio of scatters of slopes with chosen and with fixed weights.

    Parameters
    ----------
    rate : float
        True rate, DN/s.
    gain, read_noise : ndarray
        Of each ramp.
    frame_time : float
        Seconds.
    ramps : _Ramps
        What noise they have.

    Returns
    -------
    offset, ratio : float
        DN/s, and without unit.
    """
    of_group = rate * frame_time
    photons = np.sqrt(of_group / gain)
    expected = of_group * (ramps.groups - 1)
    found = expected + photons * ramps.photons_signal + read_noise * ramps.reads_signal
    steps = [
        _step(signal, gain, read_noise)[np.newaxis]
        for signal in (np.maximum(found, 0.0), np.full(gain.shape, expected))
    ]
    slopes = (photons * ramps.photons + read_noise * ramps.reads) / frame_time
    chosen, fixed = (np.take_along_axis(slopes, step, axis=0)[0] for step in steps)
    return float(np.mean(chosen - fixed)), float(chosen.std() / fixed.std())


def _step(signal, gain, read_noise):
    """Return which exponent a ramp is fitted with, from its signal in DN."""
    electrons = signal * gain
    ratio = electrons / np.sqrt(electrons + (read_noise * gain) ** 2)
    return np.searchsorted(_STEPS, ratio, side="right")
