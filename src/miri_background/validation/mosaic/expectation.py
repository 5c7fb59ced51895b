"""What a mosaic should hold, and by how much it may scatter: the truth, resampled.

The truth of each exposure is carried through the documented flat field and flux calibration and
through the same matrix that resampling is; so is the noise that was predicted of its rate.
Nothing here looks at the values of the mosaic or of its exposures.
"""

from functools import cached_property

import numpy as np
from scipy.ndimage import uniform_filter

from miri_background.instrument.detector import AMPLIFIERS, GAIN, gain
from miri_background.instrument.readout import subarrays
from miri_background.instrument.response import sky_response
from miri_background.instrument.throughput import photmjsr
from miri_background.outcomes import CannotJudge
from miri_background.validation.products.finding import stem_of

__all__ = ["MosaicExpectation", "calibration_factors", "exposure_numbers"]

_SHARE = 1e-6  # of the weight of a pixel: less comes from nothing but rounding
_BOX = 101  # pixels: source_catalog takes sky and its scatter of boxes of 100
_WHOLE = 1 - 1e-3  # from so much on, a pixel of the mosaic is of a region


def exposure_numbers(mosaic, products):
    """Return which science exposure each member of a mosaic is of.

    Parameters
    ----------
    mosaic : Mosaic
        With its members.
    products : Products
        What was judged of calwebb_image2.

    Returns
    -------
    list of int
        Numbers from 0, in the order of the members.

    Raises
    ------
    CannotJudge
        If a member is of none.
    """
    stems = [stem_of(image.path).rpartition("_")[0] for image in products.science]
    numbers = []
    for member in mosaic.members:
        found = [
            number for number, stem in enumerate(stems) if stem_of(member.path).startswith(stem)
        ]
        if not found:
            msg = (
                f"{member.path} is of no science exposure that was judged, such as "
                f"{products.science[0].path}: make the mosaic of the exposures beside it."
            )
            raise CannotJudge(msg)
        numbers.append(found[0])
    return numbers


def calibration_factors(products):
    """Return what slopes are multiplied by to become surface brightness, from known constants.

    Parameters
    ----------
    products : Products
        Of exposures that the embedded simulator has made.

    Returns
    -------
    ndarray
        MJy/sr per DN/s, 0 where no light arrives; shape (rows, columns).
    """
    flat = subarrays()[products.subarray].cut(sky_response() * GAIN / gain())
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = photmjsr(products.science[0].header["FILTER"]) / flat
    return np.where(np.isfinite(factors), factors, 0.0)


class MosaicExpectation:
    """The expected mosaic and its noise.

    Parameters
    ----------
    mosaic : Mosaic
        Of which places, weights and flags are looked at.
    resampling : Resampling
        What resampling does.
    analysis : Analysis
        Products of calwebb_image2 with an expectation that knows the truth.

    Attributes
    ----------
    images, light : list of ndarray
        Of each exposure: expected values on the sky, and those of its sources alone, MJy/sr.
    own_variances : list of ndarray
        Variance of the rate's own noise in each exposure, (MJy/sr)^2.
    shared_variance : ndarray
        Variance of the background that all exposures had subtracted, (MJy/sr)^2.
    clean : list of ndarray of bool
        Pixels of each exposure on empty sky that nothing has flagged and no cosmic ray has hit.
    hit : list of ndarray of bool
        Pixels that a cosmic ray has hit, and that calwebb_detector1 has not flagged.
    without_sources : list of ndarray of bool
        Pixels of each exposure on empty sky, flagged or not.
    untouched : list of ndarray of bool
        Pixels of each exposure, sources included, that nothing has flagged and no cosmic ray has
        hit, and where the background has no light above the noise, if none of it is clipped.
    """

    def __init__(self, mosaic, resampling, analysis):
        expectation, products = analysis.expectation, analysis.products
        self.resampling, self._analysis, self._mosaic = resampling, analysis, mosaic
        self.numbers = exposure_numbers(mosaic, products)
        self.factors = calibration_factors(products)
        self.light = [expectation.science_light[each] * self.factors for each in self.numbers]
        self.images = [expectation.left(each) * self.factors for each in self.numbers]
        squared = self.factors**2
        # Weights prefer pixels of little read noise, so that each has to have a noise of its own.
        self.own_variances = [
            expectation.science_variance(each) * expectation.pixel_variance(each) * squared
            for each in self.numbers
        ]
        of_backgrounds = expectation.combined_variance * expectation.combined_pixel_variance
        self.shared_variance = of_backgrounds * squared
        self._commons = [expectation.exposure_common_variances[each] for each in self.numbers]
        # Where light of the background field is not clipped, dithers have a hole each at another
        # place of the sky, which is rightly an outlier.
        holes = np.mean(expectation.background_light, axis=0) * self.factors
        self.clean, self.hit, self.without_sources, self.untouched = [], [], [], []
        for each in self.numbers:
            usable = analysis.masks.usable[each]
            hit = products.science_truth[each].hit
            hit = np.zeros(usable.shape, dtype=bool) if hit is None else hit
            self.clean.append(analysis.masks.empty[each] & usable & ~hit)
            self.hit.append(hit & usable)
            self.without_sources.append(analysis.masks.empty[each])
            whole = holes < np.sqrt(self.own_variances[len(self.untouched)])
            self.untouched.append(analysis.masks.lit & usable & ~hit & whole)

    @cached_property
    def values(self):
        """Expected mosaic before any sky is taken off, MJy/sr."""
        return self.resampling.of(self.images)

    @cached_property
    def sources(self):
        """Expected mosaic of the sources alone, MJy/sr."""
        return self.resampling.of(self.light)

    @cached_property
    def structure(self):
        """Scatter of the sky's own light, such as a nebula, in a box around each pixel, MJy/sr."""
        covered = (self.resampling.weight > 0).astype(float)
        light = np.where(covered > 0, self.values - self.sources, 0.0)
        number, total, squares = (
            uniform_filter(each, _BOX, mode="constant") for each in (covered, light, light**2)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = squares / number - (total / number) ** 2
        return np.sqrt(np.maximum(np.where(covered > 0, variance, 0.0), 0.0))

    @cached_property
    def levels(self):
        """Mosaic of what skymatch has taken off, MJy/sr."""
        shape = self.factors.shape
        return self.resampling.of([np.full(shape, each.level) for each in self._mosaic.members])

    @cached_property
    def variance(self):
        """Variance of each pixel of the mosaic, (MJy/sr)^2.

        The dithers put the pixels of the subtracted background onto different places, so that
        its noise averages, too.
        """
        return self.resampling.variance([own + self.shared_variance for own in self.own_variances])

    @cached_property
    def pixel_variance(self):
        """Variance of each pixel by itself, with what outputs drift, (MJy/sr)^2.

        Neighbours are read by different outputs, whose drifts average as if they were pixels' own;
        over an aperture they sum up to what all pixels of an exposure share.
        """
        outputs = [
            sum(self._analysis.expectation.output_variance(number)) * self.factors**2
            for number in self.numbers
        ]
        return self.variance + self.resampling.variance(outputs)

    def drift_error(self, places):
        """Return by how much the mean variance of pixels is uncertain for what outputs drift.

        What few outputs happen to drift scatters about its expectation as chi squared does.

        Parameters
        ----------
        places : ndarray of int
            Pixels of the flattened mosaic.

        Returns
        -------
        float
            Standard error, as a part of the variance.
        """
        own, shared = [], 0.0
        for number, part in zip(self.numbers, self.resampling.parts, strict=True):
            rows = part[places]
            share = float((rows.multiply(rows) @ self.factors.ravel() ** 2).mean())
            of_rate, of_backgrounds = self._analysis.expectation.output_variance(number)
            own.append(share * of_rate)
            shared += share * of_backgrounds
        freedom = 2 * AMPLIFIERS - 1  # odd and even rows of each, about their mean
        squares = sum(np.square(own)) + shared**2
        total = self.pixel_variance.ravel()[places].mean()
        return float(np.sqrt(2 / freedom * squares) / total)

    @cached_property
    def pixel_noise(self):
        """Noise of a typical pixel of an exposure, MJy/sr."""
        return float(
            np.median(
                [
                    np.median(np.sqrt(own + self.shared_variance)[clean])
                    for own, clean in zip(self.own_variances, self.clean, strict=True)
                ]
            )
        )

    @cached_property
    def empty(self):
        """Boolean image of the mosaic's pixels that hold nothing but clean, empty sky."""
        unclean = self.resampling.of([~each for each in self.clean])
        empty = self._mosaic.covered & (unclean < _SHARE) & (self.resampling.weight > 0)
        return empty & self.resampling.inside

    def region(self, name):
        """Return a boolean image of the mosaic's pixels that are of a region of the detector."""
        mask = self._analysis.masks.regions[name].mask()
        return self.resampling.of([mask] * len(self.numbers)) > _WHOLE

    @property
    def regions(self):
        """The regions of the detector that the exposures have, by name."""
        return tuple(self._analysis.masks.regions)

    @cached_property
    def residual(self):
        """Mosaic less what is expected, the skies that skymatch has taken off put back, MJy/sr."""
        return self._mosaic.data + self.levels - self.values

    def independent_variances(self, sums):
        """Return the variances of weighted sums over the mosaic, of pixels' own noise.

        Pixels of the mosaic have noise in common where they see the same pixel of an exposure, or
        of the background that was subtracted from all.

        Parameters
        ----------
        sums : scipy.sparse.sparray
            Shape (sums, pixels of the mosaic).

        Returns
        -------
        ndarray
            One for each sum, in (MJy/sr)^2 if the weights add up to 1.
        """
        counted = self.resampling.of_sums(sums)
        variance = _squared(sum(counted)) @ self.shared_variance.ravel()
        for each, own in zip(counted, self.own_variances, strict=True):
            variance = variance + _squared(each) @ own.ravel()
        return variance

    def parts_of_exposures(self, sums):
        """Return how much each exposure counts in weighted sums over the mosaic.

        Parameters
        ----------
        sums : scipy.sparse.sparray
            Shape (sums, pixels of the mosaic).

        Returns
        -------
        ndarray
            Shape (sums, exposures), MJy/sr per DN/s.
        """
        flat = self.factors.ravel()
        return np.stack([sums @ (part @ flat) for part in self.resampling.parts], axis=-1)

    def common_variances(self, parts):
        """Return the variances of sums, of the noise that all pixels of an exposure share.

        Parameters
        ----------
        parts : ndarray
            As `parts_of_exposures` returns them.

        Returns
        -------
        ndarray
            One for each sum, (MJy/sr)^2.
        """
        shared = self._analysis.expectation.combined_common_variance
        return parts**2 @ np.array(self._commons) + parts.sum(axis=-1) ** 2 * shared

    def correlated(self, places):
        """Return how many independent pixels some pixels of the mosaic are worth, as a part.

        Parameters
        ----------
        places : ndarray of int
            Pixels of the flattened mosaic.

        Returns
        -------
        float
            One over the mean, over pixels, of the sum of squared correlations with all pixels:
            a variance that is measured on n of them is as uncertain as on so many times n.
        """
        covariance = 0.0
        for part, own in zip(self.resampling.parts, self.own_variances, strict=True):
            rows = part[places]
            variances = (own + self.shared_variance).ravel()
            covariance = covariance + rows.multiply(variances[np.newaxis]).tocsr() @ part.T.tocsr()
        deviations = np.sqrt(self.variance.ravel())
        squares = _squared(covariance)
        with np.errstate(divide="ignore"):
            inverse = np.where(deviations > 0, 1 / deviations**2, 0.0)
        return float(1 / np.mean((squares @ inverse) * inverse[places]))


def _squared(matrix):
    """Return the squares of the elements of a sparse matrix."""
    return matrix.multiply(matrix).tocsr()
