"""The rates as findings look at them: a sample of their empty sky, and levels and noise there."""

from functools import cached_property, reduce
from itertools import chain
from pathlib import Path

import numpy as np

from miri_background.validation.prediction.pixel_statistics import (
    clipped_mean,
    clipped_scatter,
    levelled,
    mean_of,
)

__all__ = ["Inputs", "share"]

_ALIKE = 1.1  # of the smallest reported error: noise of exposures that are read in one way
_STANDARD_ERRORS = 5.0  # from which lines scatter beyond their noise
_LEAST_GOOD = 0.3  # of a line's pixels
_SAMPLE = 100_000  # pixels: their mean is known to a three-hundredth of a pixel's noise


class Inputs:
    """Rates and headers of science exposures and backgrounds, and nothing that a step made.

    Parameters
    ----------
    products : Products
        What was read, of which only rates, headers and file names are looked at.
    expectation : Expectation
        Of the same rates.

    Attributes
    ----------
    images : list of Image
        Two-dimensional rates, science first.
    names : list of str
        Names of their files.
    count : int
        Number of science exposures among them.
    """

    def __init__(self, products, expectation):
        self.products, self.expectation = products, expectation
        self.images = [*expectation.science, *expectation.backgrounds]
        self.names = [Path(image.path).name for image in self.images]
        self.count = len(expectation.science)

    @property
    def headers(self):
        """Primary headers of the rates, science first."""
        return [image.header for image in self.images]

    @property
    def backgrounds(self):
        """Which of the images are backgrounds, each file once."""
        first = {}
        for number, image in enumerate(self.products.backgrounds, self.count):
            first.setdefault(id(image), number)
        return list(first.values())

    @cached_property
    def places(self):
        """Where empty sky is sampled: pixels that are good in every exposure."""
        masks = self.expectation.masks
        finite = (np.isfinite(image.data) for image in self.images)
        good = reduce(np.logical_and, chain(masks.empty, masks.usable, finite), masks.clean_sky)
        found = np.flatnonzero(good)
        return found[:: max(1, found.size // _SAMPLE)]

    @cached_property
    def values(self):
        """The rates on the sampled sky, DN/s, shape (exposures, pixels)."""
        return np.stack([image.data.ravel()[self.places] for image in self.images]).astype(float)

    @cached_property
    def average(self):
        """The independent average of the backgrounds there, DN/s."""
        return self.expectation.combined.data.ravel()[self.places]

    @cached_property
    def levels(self):
        """Median rate of each exposure, DN/s."""
        return np.median(self.values, axis=1)

    @cached_property
    def excess(self):
        """Mean of each exposure beyond the average of the backgrounds, and its variance."""
        found = [clipped_mean(values - self.average) for values in self.values]
        commons = self.expectation.exposure_common_variances
        return [
            (mean, variance + common)
            for (mean, variance), common in zip(found, commons, strict=True)
        ]

    @property
    def difference(self):
        """The sky of the science field beyond that of the backgrounds, and its variance.

        That of the middle one of the backgrounds: one that is off is a finding of its own.
        """
        middle = np.median([self.excess[number][0] for number in self.backgrounds])
        science = self.excess[: self.count]
        variance = np.mean([each for _, each in science])
        difference = np.median([each for each, _ in science]) - middle
        return float(difference), float(
            variance
            + self.expectation.combined_common_variance
            + self.expectation.clipping.variance / max(self.pixels, 1)
        )

    @cached_property
    def reported(self):
        """Median of the reported errors of each exposure there, DN/s."""
        return np.array([float(np.median(image.err.ravel()[self.places])) for image in self.images])

    @cached_property
    def scatters(self):
        """Noise of each exposure from differences of exposures, DN/s; NaN where it is not known.

        An exposure less the mean of the n - 1 other backgrounds scatters with its own variance
        and the (n - 1)^2-th part of theirs: as many equations as unknown variances.  Only of
        backgrounds that are read in one way, and of science exposures that are not much quieter.
        """
        science, backgrounds = self.values[: self.count], self.values[self.count :]
        number = len(backgrounds)
        unlike = self.reported[self.count :]
        unlike = unlike.max() > _ALIKE * unlike.min() if number else True
        if number < 3 or unlike or not self.places.size:
            return np.full(len(self.images), np.nan)
        total = backgrounds.sum(axis=0)
        spread = np.array(
            [clipped_scatter(each - (total - each) / (number - 1)) ** 2 for each in backgrounds]
        )
        every = spread.sum() * (number - 1) / number
        own = (spread - every / (number - 1) ** 2) / (1 - 1 / (number - 1) ** 2)
        mean = total / number
        theirs = [clipped_scatter(each - mean) ** 2 - own.sum() / number**2 for each in science]
        found = np.sqrt(np.maximum([*theirs, *own], 0.0))
        of_mean = np.sqrt(max(own.sum(), 0.0)) / number
        quiet = np.arange(found.size) < self.count
        return np.where(quiet & (self.reported < of_mean), np.nan, found)

    @cached_property
    def differences(self):
        """Mean of the science exposures less the average of the backgrounds, DN/s.

        Light of sources that is known is taken off: wings of bright stars are not of the sky.
        """
        expectation = self.expectation
        background = expectation.combined.data - expectation.leak
        pairs = zip(expectation.science, expectation.science_light, strict=True)
        return mean_of(image.data - light for image, light in pairs) - background

    @cached_property
    def stripes(self):
        """By "columns" and "rows", the rms beyond noise of such lines' differences, DN/s.

        0 where it is noise.
        """
        masks = self.expectation.masks
        good = reduce(np.logical_and, (*masks.empty, *masks.usable)) & masks.clean_sky
        good &= np.isfinite(self.differences)
        if not good.any():
            return {}
        flat = levelled(np.where(good, self.differences, 0.0), good)
        spread = clipped_scatter(flat[good])
        return {
            name: _beyond_noise(np.where(good, flat, 0.0), good, axis, spread)
            for name, axis in (("columns", 0), ("rows", 1))
        }

    @property
    def pixels(self):
        """Number of pixels that are sampled."""
        return self.places.size


def _beyond_noise(flat, good, axis, spread):
    """Return the rms of lines beyond the noise of their pixels, 0 where it may be noise."""
    count = good.sum(axis=axis)
    enough = count > _LEAST_GOOD * flat.shape[axis]
    if np.count_nonzero(enough) < 2:
        return 0.0
    means, noise = flat.sum(axis=axis)[enough] / count[enough], spread**2 / count[enough]
    # A gradient is no stripe: neighbours are compared.
    of_pairs, expected = np.diff(means) ** 2 / 2, (noise[1:] + noise[:-1]) / 2
    # Differences of neighbours share a line: their mean square scatters by the root of 3 / number.
    error = np.sqrt(3 / of_pairs.size) * expected.mean()
    beyond = of_pairs.mean() - expected.mean()
    return float(np.sqrt(beyond)) if beyond > _STANDARD_ERRORS * error else 0.0


def share(part):
    """Return a part as a percentage with a sign, for a sentence."""
    return f"{100 * part:+.2g} %" if abs(part) < 1 else f"{100 * part:+.0f} %"
