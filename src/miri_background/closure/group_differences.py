"""What differences of groups say of a detector, whoever made the ramps: noise, gain, hits."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, label, maximum_position, sum_labels

__all__ = ["DifferenceNoise", "Hits", "difference_noise", "hits_in_differences"]

_SAMPLE = 60_000  # pixels: the variance of their differences is known to a thousandth
_OUTPUTS = 4  # that share the columns
_ROUNDS = 3  # of weighting by what was fitted: it settles at once
HIT = 5.0  # standard deviations of a difference: noise reaches it once in three million


@dataclass(frozen=True)
class DifferenceNoise:
    """Noise of differences of neighbouring groups on empty sky.

    Parameters
    ----------
    signal : float
        Mean difference, DN.
    photons : float
        Variance that photons give to a difference, DN^2.
    reads : float
        Variance of one read, DN^2.
    common : float
        Noise that all pixels of an output share in one difference, DN.
    error : float
        Standard error of `photons`, DN^2.
    """

    signal: float
    photons: float
    reads: float
    common: float
    error: float

    @property
    def variance(self):
        """Variance of one difference, DN^2: of its photons and its two reads."""
        return self.photons + 2 * self.reads

    @property
    def read_noise(self):
        """Noise of one read, DN."""
        return float(np.sqrt(max(self.reads, 0.0)))

    @property
    def correlation(self):
        """Correlation of neighbouring differences, which share a read with opposite signs."""
        return -self.reads / self.variance

    @property
    def gain(self):
        """Electron / DN: photons have as much variance as electrons."""
        return self.signal / self.photons

    @property
    def gain_error(self):
        """Standard error of the gain, electron / DN: short ramps of a faint sky say little."""
        return self.gain * self.error / self.photons


def difference_noise(ramps, good):
    """Return the noise of differences of groups, from ramps alone.

    The covariance of the differences of a pixel has reads beside its diagonal; sines are its
    eigenvectors, and their eigenvalues grow with frequency from those of photons alone to those
    of photons and four reads.  Every second one is odd about the middle of the ramp, so that the
    rate of the pixel is not in it.

    Parameters
    ----------
    ramps : ndarray
        DN, shape (integrations, groups, rows, columns).
    good : ndarray of bool
        Pixels of empty sky, shape (rows, columns).

    Returns
    -------
    DifferenceNoise
        Averages of all integrations.
    """
    places = np.flatnonzero(good)
    places = places[:: max(1, places.size // _SAMPLE)]
    differences = np.diff(ramps.reshape(*ramps.shape[:2], -1)[..., places].astype(float), axis=1)
    shared = []
    output = places % good.shape[-1] % _OUTPUTS
    for each in np.unique(output):
        of_output = output == each
        mean = differences[..., of_output].mean(axis=-1, keepdims=True)
        shared.append((mean - mean.mean(axis=1, keepdims=True)).ravel())
        differences[..., of_output] -= mean - mean.mean(axis=1, keepdims=True)
    signal = float(differences.mean())
    photons, reads, error = _photons_and_reads(differences)
    freedom = 1 - 1 / differences.shape[1]
    pixels = places.size / len(shared)
    common = np.mean(np.square(shared)) / freedom - (photons + 2 * reads) / pixels
    return DifferenceNoise(signal, photons, reads, float(np.sqrt(max(common, 0.0))), error)


def _photons_and_reads(differences):
    """Return variances of photons and of a read, and the error of the first.

    The differences are along the second axis.
    """
    number = differences.shape[1]
    odd = np.arange(2, number + 1, 2)
    angles = np.pi * odd / (number + 1)
    modes = np.sqrt(2 / (number + 1)) * np.sin(np.outer(angles, np.arange(1, number + 1)))
    powers = np.mean(np.einsum("jk,ikp->ijp", modes, differences) ** 2, axis=(0, 2))
    design = np.stack([np.ones_like(angles), 2 - 2 * np.cos(angles)], axis=-1)
    expected = powers
    for _ in range(_ROUNDS):
        # The error of a mean square is in proportion to it.
        solved, *_ = np.linalg.lstsq(
            design / expected[:, np.newaxis], powers / expected, rcond=None
        )
        expected = design @ solved
    weighted = design / expected[:, np.newaxis]
    # A mean of n squares errs by the root of 2 / n.
    covariance = np.linalg.inv(weighted.T @ weighted) * 2 / (differences.size / number)
    return float(solved[0]), float(solved[1]), float(np.sqrt(covariance[0, 0]))


@dataclass(frozen=True)
class Hits:
    """Cosmic rays that stand out of differences of groups, and what the jump step says of them.

    Parameters
    ----------
    charges : ndarray
        DN, one for each hit.
    sizes : ndarray
        Pixels above `HIT` standard deviations, one for each hit.
    flagged : ndarray of bool
        Whether the jump step has flagged the brightest pixel.
    elsewhere : float
        Part of the other differences of pixels that it has flagged: faint hits, and none.
    """

    charges: np.ndarray
    sizes: np.ndarray
    flagged: np.ndarray
    elsewhere: float


def hits_in_differences(ramps, jumps, good, deviation):
    """Return the hits of an exposure.

    Parameters
    ----------
    ramps : ndarray
        DN, shape (integrations, groups, rows, columns).
    jumps : ndarray of bool
        Groups that the jump step has flagged, shape of the ramps.
    good : ndarray of bool
        Pixels of empty sky, shape (rows, columns).
    deviation : float
        Standard deviation of a difference there, DN.

    Returns
    -------
    Hits
        Of all integrations; a pixel of several groups counts in each.
    """
    charges, sizes, flagged, elsewhere = [], [], [], []
    for integration, marked in zip(ramps, jumps, strict=True):
        differences = np.diff(integration.astype(np.float32), axis=0)
        differences -= np.median(differences, axis=0)
        for difference, mark in zip(differences, marked[1:], strict=True):
            above = good & (difference > HIT * deviation)
            groups, count = label(above, np.ones((3, 3)))
            numbers = np.arange(1, count + 1)
            charges.append(sum_labels(difference, groups, numbers))
            sizes.append(sum_labels(above, groups, numbers))
            peaks = np.reshape(maximum_position(difference, groups, numbers), (-1, 2)).astype(int)
            flagged.append(mark[peaks[:, 0], peaks[:, 1]])
            # Next to a hit, pixels are flagged on purpose.
            away = good & ~binary_dilation(above, np.ones((3, 3)), iterations=2)
            elsewhere.append(mark[away].mean())
    return Hits(*map(np.concatenate, (charges, sizes, flagged)), float(np.mean(elsewhere)))
