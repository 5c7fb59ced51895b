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
from miri_background.validation.prediction.drawn_means import DrawnMeans
from miri_background.validation.prediction.pixel_statistics import mean_of

__all__ = ["Clipping", "largest_deviation"]

# Sources below this part of the noise in every exposure are averaged like the sky:
# by symmetry each of n values has weight 1/n where none stands out.
_FAINT = 0.1
_DRAWS = 120
_SEED = 20260101  # of the prediction: another seed changes it by a small part of its error
_EMPTY_DRAWS = 400_000  # of empty sky: its variance is certain to two parts in a thousand
_MIXED_DRAWS = 2_000_000  # the same of exposures that differ in noise
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
    drawn : DrawnMeans
        Means of draws.
    """

    def __init__(self, count, sigma, maxiters, scatters, offsets=0.0):
        self._sigma, self._maxiters = sigma, maxiters
        self._scatters = np.broadcast_to(np.asarray(scatters, dtype=float), count)
        self._offsets = np.broadcast_to(np.asarray(offsets, dtype=float), count)
        generator = np.random.default_rng(_SEED)
        # The tails of what is not normal need more of them.
        uneven = bool(np.ptp(self._offsets) > _ONE_LEVEL * self._scatters.min())
        mixed = uneven or self._scatters.max() > _ONE_NOISE * self._scatters.min()
        draws = _MIXED_DRAWS if mixed else _EMPTY_DRAWS
        number = max(draws // count, _LEAST_DRAWS)
        noise = (generator.standard_normal((number, count)) * self._scatters).T
        values = noise + self._offsets[:, np.newaxis] if uneven else noise
        # One value alone is never clipped.
        plain = values.mean(axis=0)
        drawn = self.mean(values) if count > 1 else plain
        self.shift, self._weights = 0.0, None
        if uneven:
            self.shift = float(np.mean(drawn - plain))
            # By how much the expected mean follows a little light in one exposure: Stein's lemma.
            self._weights = (noise @ (drawn - drawn.mean())) / np.sum(noise**2, axis=1)
        self.cost = float(drawn.var() / plain.var())
        self.drawn = DrawnMeans(drawn, plain, generator.standard_normal(number), mixed, uneven)
        # That of the plain mean is known; the draws only have to give the rest.
        self.variance = self.cost * float(np.sum(self._scatters**2)) / count**2

    def mean(self, values):
        """Return the clipped mean of values along the first axis."""
        return sigma_clipped_mean(values, self._sigma, self._maxiters)

    def leak(self, light, scatter, uneven=None):
        """Return the expected source light in the sigma-clipped mean of backgrounds.

        Parameters
        ----------
        light : sequence of ndarray
            Expected source rates of each exposure, DN/s, shape (rows, columns).
        scatter : iterable of ndarray
            Standard deviation of each rate with this light, DN/s, same shape.
        uneven : UnevenSkies, optional
            The skies of each pixel; by default those of the typical one.

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
        cost = self.cost if uneven is None else uneven.cost
        variance = np.full(leak.shape, self.variance * (cost / self.cost))
        bright = reduce(
            np.logical_or,
            (each > _FAINT * empty for each, empty in zip(light, self._scatters, strict=True)),
        )
        light, scatter = (
            np.stack([each[bright] for each in planes]) for planes in (light, scatter)
        )
        generator = np.random.default_rng(_SEED)
        if uneven is not None:
            light += np.stack([each[bright] for each in uneven.beyond])
        elif self._weights is not None:
            # What the mean has without light belongs to the sky.
            own = self._offsets.mean() + self.shift
            light += self._offsets[:, np.newaxis] - own
        total, squares = np.zeros(light.shape[1]), np.zeros(light.shape[1])
        for _ in range(_DRAWS):
            mean = self.mean(light + scatter * generator.standard_normal(light.shape))
            total += mean
            squares += mean**2
        leak[bright] = total / _DRAWS
        # The prediction's own scatter is part of the error of a comparison with it.
        spread = (squares / _DRAWS - leak[bright] ** 2) * _DRAWS / (_DRAWS - 1)
        variance[bright] = spread * (1 + 1 / _DRAWS)
        return leak, variance
