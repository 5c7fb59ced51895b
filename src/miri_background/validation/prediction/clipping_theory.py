"""What clipping theory predicts: how much of a source stays in the average of backgrounds.

A star that dithers over the array is bright in one exposure of n at any pixel.
Clipping removes it where it stands out far enough: for n values of which one is
high, the most it can stand out is n / sqrt(n - 1) population standard deviations,
2.309 for n = 4.  How much stays in between depends on noise, so it is computed by
clipping noise that is drawn around the true rates.
"""

from functools import reduce

import numpy as np

from miri_background.validation.prediction.clipping import sigma_clipped_mean
from miri_background.validation.prediction.pixel_statistics import clipped_scatter, mean_of

__all__ = ["Clipping", "largest_deviation"]

# Sources below this part of the noise in every exposure are averaged like the sky:
# by symmetry each of n values has weight 1/n where none stands out.
_FAINT = 0.1
_DRAWS = 120
_SEED = 20260101  # of the prediction: another seed changes it by a small part of its error
_EMPTY_DRAWS = 400_000  # of empty sky: its variance is certain to two parts in a thousand
_MIXED_DRAWS = 2_000_000  # the same of exposures that differ in noise
_BATCHES = 50  # of draws, between which an error shows itself
_LEAST_DRAWS = 20_000  # of clipped means
_ONE_NOISE = 1.05  # of the least noise: the tails of such exposures are near to normal ones
_ONE_LEVEL = 0.01  # of the least noise, that levels of exposures may differ by without an effect


def largest_deviation(count, lit=1):
    """Return how many standard deviations from the median the high ones of several values can be.

    Parameters
    ----------
    count : int
        Values, all equal but for those that are high.
    lit : int, optional
        How many are high, all by the same.

    Returns
    -------
    float
        What values of any height come close to; a threshold above it rejects none.  0 where
        most are high: the median is one of them.
    """
    if 2 * lit > count:
        return 0.0
    # Of as many high as low values, the median is between both.
    return 1.0 if 2 * lit == count else count / np.sqrt(lit * (count - lit))


class Clipping:
    """What the sigma-clipped mean makes of noise and light.

    Parameters
    ----------
    count : int
        Exposures that are averaged.
    sigma : float
        Clipping threshold of the step.
    maxiters : int or None
        Clipping iterations of the step.
    scatters : sequence of float
        Standard deviation of each exposure's noise on empty sky.
    offsets : sequence of float, optional
        By how much the sky of each exposure is brighter than a level that is common to them.

    Attributes
    ----------
    shift : float
        What clipping adds to the plain mean of skies that differ.
    cost : float
        Variance of the clipped mean on empty sky over that of the plain one.
    variance : float
        Variance of the clipped mean on empty sky, in the square of the unit of the noise.
    """

    def __init__(self, count, sigma, maxiters, scatters, offsets=0.0):
        self._sigma, self._maxiters = sigma, maxiters
        self._scatters = np.broadcast_to(np.asarray(scatters, dtype=float), count)
        self._offsets = np.broadcast_to(np.asarray(offsets, dtype=float), count)
        generator = np.random.default_rng(_SEED)
        # The tails of what is not normal need more of them.
        uneven = bool(np.ptp(self._offsets) > _ONE_LEVEL * self._scatters.min())
        self._mixed = uneven or self._scatters.max() > _ONE_NOISE * self._scatters.min()
        draws = _MIXED_DRAWS if self._mixed else _EMPTY_DRAWS
        number = max(draws // count, _LEAST_DRAWS)
        noise = (generator.standard_normal((number, count)) * self._scatters).T
        values = noise + self._offsets[:, np.newaxis] if uneven else noise
        # One value alone is never clipped.
        self._plain = values.mean(axis=0)
        self._drawn = self._mean(values) if count > 1 else self._plain
        self.shift, self._weights = 0.0, None
        if uneven:
            self.shift = float(np.mean(self._drawn - self._plain))
            # By how much the expected mean follows a little light in one exposure: Stein's lemma.
            self._weights = (noise @ (self._drawn - self._drawn.mean())) / np.sum(noise**2, axis=1)
        self.cost = float(self._drawn.var() / self._plain.var())
        self._others = generator.standard_normal(number)
        # That of the plain mean is known; the draws only have to give the rest.
        self.variance = self.cost * float(np.sum(self._scatters**2)) / count**2

    def _mean(self, values):
        return sigma_clipped_mean(values, self._sigma, self._maxiters)

    def in_sight(self, other):
        """Return how much of its standard deviation a difference shows that is clipped itself.

        A clipped mean is not normal: it is further off where a value is clipped, and where the
        noisiest of exposures that differ in noise is not.

        Parameters
        ----------
        other : float
            Standard deviation of normal noise that the mean is subtracted from.

        Returns
        -------
        part : float
            `clipped_scatter` over standard deviation; 1 for normal noise.
        uncertainty : float
            Relative error of `clipped_scatter` over that of as many normal values.
        """
        # The plain mean of the same draws is normal: what chance gives to it, it gives to both.
        (part, spread), (of_normal, normal_spread) = (
            _clipped_part(other * self._others + each) for each in (self._drawn, self._plain)
        )
        # Batches do not tell the spread of exposures with one noise from that of normal values.
        return part / of_normal, spread / normal_spread if self._mixed else 1.0

    def leak(self, light, scatter):
        """Return the expected source light in the sigma-clipped mean of backgrounds.

        Parameters
        ----------
        light : sequence of ndarray
            Expected source rates of each exposure, DN/s, shape (rows, columns).
        scatter : iterable of ndarray
            Standard deviation of each rate with this light, DN/s, same shape.

        Returns
        -------
        leak : ndarray
            Expected source light in the mean, DN/s, shape (rows, columns).
        variance : ndarray
            Variance of the mean in one realisation, (DN/s)^2.
        """
        leak = mean_of(light)
        if self._weights is not None:
            leak = mean_of(
                len(light) * weight * each
                for weight, each in zip(self._weights, light, strict=True)
            )
        variance = np.full(leak.shape, self.variance)
        bright = reduce(
            np.logical_or,
            (each > _FAINT * empty for each, empty in zip(light, self._scatters, strict=True)),
        )
        light, scatter = (
            np.stack([each[bright] for each in planes]) for planes in (light, scatter)
        )
        generator = np.random.default_rng(_SEED)
        if self._weights is not None:
            # What the mean has without light belongs to the sky.
            own = self._offsets.mean() + self.shift
            light += self._offsets[:, np.newaxis] - own
        total, squares = np.zeros(light.shape[1]), np.zeros(light.shape[1])
        for _ in range(_DRAWS):
            mean = self._mean(light + scatter * generator.standard_normal(light.shape))
            total += mean
            squares += mean**2
        leak[bright] = total / _DRAWS
        # The prediction's own scatter is part of the error of a comparison with it.
        spread = (squares / _DRAWS - leak[bright] ** 2) * _DRAWS / (_DRAWS - 1)
        variance[bright] = spread * (1 + 1 / _DRAWS)
        return leak, variance


def _clipped_part(values):
    """Return clipped scatter over standard deviation, and the relative spread of the former."""
    batches = np.array([clipped_scatter(each) for each in np.array_split(values, _BATCHES)])
    return float(clipped_scatter(values) / values.std()), float(batches.std() / batches.mean())
