"""What clipping makes of skies that differ from exposure to exposure, in each pixel.

A first exposure with more sky, or a nebula that dithers move over the array, is clipped now and
then.  How often depends on how much it stands out from a pixel's own noise: every pixel has its
own mean and its own scatter.  Noise is drawn around the true skies, and clipped.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from miri_background.validation.prediction.drawn_means import DrawnMeans
from miri_background.validation.prediction.pixel_statistics import mean_of

__all__ = ["UnevenSkies"]

# Of the noise: skies that differ by less add 0.001 of it to the mean, and 0.3 % to the variance.
_LEAST = 0.2
# Draws of noise and of its negative: both together have no noise where skies are equal.
_PAIRS = 4
_SEED = 20260104  # of the draws
_BLOCK = 2**16  # pixels that are drawn at a time: few enough for a processor's cache
# Side, in pixels, of the box that the cost is averaged in: so many draws know a variance to 1.6 %.
_BOX = 32


class UnevenSkies:
    """What the sigma-clipped mean makes of skies that each pixel has its own of.

    Parameters
    ----------
    skies : list of ndarray
        Rate of the sky in each exposure, DN/s, shape (rows, columns).
    scatters : list of ndarray
        Standard deviation of each rate on the sky, DN/s, same shape.
    seen : ndarray of bool
        Pixels that are looked at.
    clipping : Clipping
        What clipping makes of a typical pixel, and of all where skies do not differ.

    Attributes
    ----------
    expected : ndarray
        Expected mean of the skies, DN/s, shape (rows, columns).
    cost : ndarray or float
        Variance of the clipped mean beyond this expectation over that of the plain one.
    drawn : DrawnMeans
        Means of draws, as those of a typical pixel.
    """

    def __init__(self, skies, scatters, seen, clipping):
        self._skies = skies
        self.expected = mean_of(skies)
        self.cost, self.drawn = clipping.cost, clipping.drawn
        if self._differ(scatters, seen):
            self._draw(scatters, seen, clipping)

    def _differ(self, scatters, seen):
        """Return whether any sky differs from the mean by a part of the noise that matters."""
        return any(
            (np.abs(sky - self.expected) > _LEAST * scatter)[seen].any()
            for sky, scatter in zip(self._skies, scatters, strict=True)
        )

    def _draw(self, scatters, seen, clipping):
        """Draw noise around the skies, clip it, and look at what is left."""
        generator = np.random.default_rng(_SEED)
        places = np.flatnonzero(seen)
        found = []
        for block in np.split(places, np.arange(_BLOCK, places.size, _BLOCK)):
            values, noise = (
                np.stack([plane.ravel()[block] for plane in planes])
                for planes in (self._skies, scatters)
            )
            found.append(_drawn(values, noise, clipping.mean, generator))
        mean, variance, clipped, plain = (np.concatenate(each) for each in zip(*found, strict=True))
        self.expected.flat[places] = mean
        of_plain = mean_of(each**2 for each in scatters)[seen] / len(scatters)
        of_clipped, of_all = (_box_sum(plane, seen) for plane in (variance, of_plain))
        self.cost = np.full(seen.shape, clipping.cost)
        self.cost[seen] = of_clipped / of_all
        # In units of what is predicted of each pixel: only the shape of the distribution is left.
        unit = np.sqrt(np.median(of_plain) / of_plain)
        clipped = clipped * unit * np.sqrt(np.median(self.cost[seen]) / self.cost[seen])
        normal = generator.standard_normal(places.size)
        self.drawn = DrawnMeans(clipped, plain * unit, normal, mixed=True, uneven=True)

    @property
    def beyond(self):
        """By how much the sky of each exposure is brighter than expected of the mean, DN/s."""
        return (sky - self.expected for sky in self._skies)


def _box_sum(values, seen):
    """Return what the pixels around each have together, but for a factor."""
    plane = np.zeros(seen.shape)
    plane[seen] = values
    return uniform_filter(plane, _BOX, mode="constant")[seen]


def _drawn(skies, noise, clipped_mean, generator):
    """Return what is left of skies with noise.

    Parameters
    ----------
    skies, noise : ndarray
        Rates and their standard deviations, DN/s, shape (exposures, pixels).
    clipped_mean : callable
        Clips along the first axis.
    generator : numpy.random.Generator
        What draws.

    Returns
    -------
    mean : ndarray
        Of the clipped means, DN/s, shape (pixels,).
    variance : ndarray
        Of a realisation about this mean, whose own error is in it, (DN/s)^2.
    clipped, plain : ndarray
        Clipped mean of one draw beyond the mean of the others, and plain mean beyond that of the
        skies, DN/s.
    """
    evens, odds = [], []
    for _ in range(_PAIRS):
        drawn = noise * generator.standard_normal(noise.shape)
        up, down = (clipped_mean(skies + each) for each in (drawn, -drawn))
        evens.append((up + down) / 2)
        odds.append((up - down) / 2)
    # Of one draw, the mean of a pair and half of its difference do not depend on each other.
    variance = np.mean(np.square(odds), axis=0) + np.var(evens, axis=0, ddof=1) * (1 + 1 / _PAIRS)
    clipped = evens[-1] + odds[-1] - np.mean(evens[:-1], axis=0)
    return np.mean(evens, axis=0), variance, clipped, drawn.mean(axis=0)
