"""Products beside what is expected of them: what all measurements and figures look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.prediction.masks import Masks
from miri_background.validation.prediction.pixel_statistics import set_means, without_sets
from miri_background.validation.products.images import Products, in_two_dimensions

__all__ = ["Analysis", "ExactAnalysis", "MeanResidual", "Residuals"]


@dataclass(frozen=True)
class MeanResidual:
    """The mean residual of all exposures, or that of one, and its noise.

    Parameters
    ----------
    image : ndarray
        Mean of the exposures in which a pixel is judged, DN/s.
    variance : ndarray
        On empty sky, (DN/s)^2; infinite where no exposure is judged.
    common : float
        Variance that many pixels have in common, (DN/s)^2.
    known_means : list of float, optional
        The means of the outputs, where they were taken before.
    """

    image: np.ndarray
    variance: np.ndarray
    common: float
    known_means: list | None = None

    @cached_property
    def good(self):
        """The pixels that are judged in any exposure."""
        return np.isfinite(self.variance)

    @cached_property
    def set_means(self):
        """The means of the pixels of each output, DN/s, in the order of `output_sets`."""
        if self.known_means is not None:
            return self.known_means
        return set_means(self.image, self.good)

    @cached_property
    def levelled(self):
        """The image without what whole outputs have in common."""
        return without_sets(self.image, self.set_means)


class _OneByOne(Sequence):
    """Something of each exposure, made when it is asked for; only the last one is kept.

    Parameters
    ----------
    make : callable
        Takes the number of an exposure, from 0.
    count : int
        Number of exposures.
    """

    def __init__(self, make, count):
        self._make, self._count = make, count
        self._last = None, None

    def __len__(self):
        """Return the number of exposures."""
        return self._count

    def __getitem__(self, number):
        """Return that of an exposure."""
        number = range(self._count)[number]
        if self._last[0] != number:
            self._last = None, None  # it is let go before the next one is made
            self._last = number, self._make(number)
        return self._last[1]


class Residuals:
    """What is left where nothing should be left.

    Parameters
    ----------
    subtracted : list of Image
        Two-dimensional subtracted images.
    expectation : Expectation
        What they should have.
    masks : Masks
        Which pixels are judged.

    Attributes
    ----------
    images : sequence of ndarray
        Subtracted image of each science exposure, less what it should have, DN/s.
    judged : list of ndarray of bool
        The pixels in which each is judged.
    each : sequence of MeanResidual
        Residual of each exposure.
    """

    def __init__(self, subtracted, expectation, masks):
        self._subtracted, self._expectation = subtracted, expectation
        self._set_means = {}
        self.images = _OneByOne(self._image, len(subtracted))
        self.each = _OneByOne(self._of_exposure, len(subtracted))
        self.judged = [
            empty
            & usable
            & np.isfinite(image)
            & np.isfinite(expectation.reported.of_residual(number))
            for number, (empty, usable, image) in enumerate(
                zip(masks.empty, masks.usable, self.images, strict=True)
            )
        ]

    def _image(self, number):
        """Return a subtracted image less what it should have, DN/s."""
        return self._subtracted[number].data.astype(float) - self._expectation.left(number)

    def _of_exposure(self, number):
        """Return the residual of an exposure, a `MeanResidual`."""
        image, judged = self.images[number], self.judged[number]
        if number not in self._set_means:
            self._set_means[number] = set_means(image, judged)
        own = self._expectation.science_noise[number] ** 2
        return MeanResidual(
            image,
            np.where(judged, own + self._expectation.sky_variance, np.inf),
            self._expectation.common_variance(number),
            self._set_means[number],
        )

    @cached_property
    def mean(self):
        """Mean residual of all exposures, a `MeanResidual`."""
        shape = self.images[0].shape
        total, count, variance = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for residual, judged, noise in zip(
            self.images, self.judged, self._expectation.science_noise, strict=True
        ):
            total[judged] += residual[judged]
            variance[judged] += noise**2
            count += judged
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = variance / count**2 + self._expectation.sky_variance
        return MeanResidual(
            total / np.maximum(count, 1),
            np.where(count > 0, variance, np.inf),
            self._expectation.common_variance(None),
        )


@dataclass(frozen=True)
class Analysis:
    """Products, what is expected of them, which pixels are judged, and what is left there.

    Parameters
    ----------
    products : Products
        What was read.
    expectation : Expectation
        Of the rates alone: the same for all results of the same rates.
    masks : Masks, optional
        Which pixels are judged; by default those of the expectation.
    subtracted : list of Image, optional
        Subtracted images in two dimensions, where they are known.
    """

    products: Products
    expectation: Expectation
    masks: Masks = None
    subtracted: list = None
    residuals: Residuals = field(init=False)

    def __post_init__(self):
        masks = self.expectation.masks if self.masks is None else self.masks
        subtracted = self.subtracted
        if subtracted is None:
            subtracted = [in_two_dimensions(image) for image in self.products.subtracted]
        object.__setattr__(self, "masks", masks)
        object.__setattr__(self, "subtracted", subtracted)
        object.__setattr__(self, "residuals", Residuals(subtracted, self.expectation, masks))

    @cached_property
    def loose(self):
        """The same with fainter sources left in, None where sources did not have to be found."""
        loose = self.expectation.loose_masks
        if loose is None:
            return None
        return Analysis(self.products, self.expectation, loose, self.subtracted)

    @property
    def numbers(self):
        """The science exposures, numbered from 0."""
        return range(len(self.products.science))

    @property
    def combined(self):
        """Independent average of the backgrounds."""
        return self.expectation.combined

    @property
    def lit(self):
        """Boolean image of the pixels that see the sky."""
        return self.masks.lit


@dataclass(frozen=True)
class ExactAnalysis:
    """Products of which only what is exact can be judged.

    Parameters
    ----------
    products : Products
        What was read.
    combined : CombinedBackground
        Independent average of the backgrounds.
    reason : str
        Why nothing else can be judged, as a part of a sentence.
    """

    products: Products
    combined: object
    reason: str

    residuals = masks = None

    @cached_property
    def subtracted(self):
        """Subtracted images in two dimensions."""
        return [in_two_dimensions(image) for image in self.products.subtracted]

    @property
    def lit(self):
        """Boolean image of all pixels: which of them see the sky is not known."""
        return self.products.every_pixel
