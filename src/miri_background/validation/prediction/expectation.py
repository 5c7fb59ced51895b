"""What is expected of the step's products: average, light, noise and masks, of the rates alone.

Nothing here looks at what the step has written, so that a fault of the step cannot hide itself.
Every exposure is expected to scatter as its own header says that it was read.
"""

from functools import cached_property, reduce
from itertools import chain
from pathlib import Path

import numpy as np

from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.clipping_theory import Clipping
from miri_background.validation.prediction.masks import USABLE_FLAGS, seen_pixels
from miri_background.validation.prediction.pixel_statistics import (
    clipped_scatter,
    levelled,
)
from miri_background.validation.prediction.rate_noise import RateNoise, read_in_one_way
from miri_background.validation.prediction.reported_noise import ReportedNoise
from miri_background.validation.prediction.source_masks import source_mask
from miri_background.validation.prediction.uneven_skies import UnevenSkies
from miri_background.validation.products.images import in_two_dimensions

__all__ = ["Expectation"]

# Source light brighter than this part of the sky's noise is masked: where it is known, and
# where it is only expected and cannot be taken off exactly.
_SOURCE_MASK, _EXPECTED_SOURCE_MASK = 0.5, 0.1
# Of which pixels the noise is taken first: up to a percentile of their light, and to a part of
# their reported error above it.  Known light is taken off, and some of it may be the exposure's own
# noise that went to a neighbour (brighter-fatter): the faintest would be a choice by noise.
_FAINTEST, _KNOWN_FAINTEST = (25, 0.0), (50, 0.25)
# How much brighter than masked sources are those that the looser mask keeps: what the difference
# of both makes of a number is what still fainter ones may make of it.
_LOOSER = 2.0


class Expectation:
    """What the step's products should be, and by how much they may scatter.

    Parameters
    ----------
    products : Products
        Products of a run, of which only rates, truth and clipping parameters are looked at.
    truth : bool, optional
        Whether the truth files say what the exposures have, in the units that they are
        calibrated to.  Otherwise their sources are an expectation: of MIRISim's images by
        the embedded optics, or by the embedded detector's constants with other references.
        Without truth files, sources are looked for in the rates.

    Raises
    ------
    CannotJudge
        If a region has no empty sky, or the backgrounds have no sky.

    Attributes
    ----------
    truth : bool
        Whether numbers are compared with the truth.
    combined : CombinedBackground
        Independent average of the backgrounds.
    science, backgrounds : list of Image
        Two-dimensional rates: integrations are averaged.
    masks : Masks
        Which pixels are judged.
    loose_masks : Masks or None
        The same with fainter sources left in, where sources had to be looked for.
    sky_level : float
        Rate of the backgrounds on empty sky, DN/s.
    levels : list of float
        Rate of the sky in each exposure, DN/s, science first.
    science_noise, background_noise : list of float
        Standard deviation of each exposure's rate on empty sky, DN/s.
    clipping : Clipping
        What sigma clipping of the backgrounds does to noise and light in a typical pixel.
    clipping_cost : ndarray or float
        Variance of the combined background on empty sky over that of a plain mean.
    drawn : DrawnMeans
        Draws of the combined background on empty sky.
    science_light, background_light : list of ndarray
        Source light that rates are expected to have, DN/s; zero where nothing is known.
    leak, combined_variance : ndarray
        Predicted source light in the combined background, DN/s, and its variance.
    reported : ReportedNoise
        What the rates report of their noise.
    background_sky : ndarray or float
        Slope that the combined background should have without sources, DN/s; 0 without truth.
    """

    def __init__(self, products, truth=True):
        self.truth = truth and products.science_truth is not None
        self.subarray = products.subarray
        self.combined = average_backgrounds(products.backgrounds, products.sigma, products.maxiters)
        self.science = [in_two_dimensions(image) for image in products.science]
        self.backgrounds = [in_two_dimensions(image) for image in products.backgrounds]
        self._ways = [
            read_in_one_way(image) for image in (*products.science, *products.backgrounds)
        ]
        self._clipping_choice = products.sigma, products.maxiters
        light = _true_light(products)
        self.masks = seen_pixels(self.subarray, self.science, self.backgrounds)
        if self.truth:
            self._leave_hits_out(products)
        self.loose_masks = None
        self._mask_sources(products, light)
        self._expect_noise(products)
        self._expect_light(products, light)
        self.reported = self._reported_noise()

    @property
    def _images(self):
        """All exposures, science first."""
        return [*self.science, *self.backgrounds]

    @property
    def _backgrounds_first(self):
        """Numbers of all exposures, those of the background field first."""
        science = len(self.science)
        return [*range(science, len(self._images)), *range(science)]

    def _of_fields(self, values):
        """Return values of all exposures as those of the science and of the background field."""
        return values[: len(self.science)], values[len(self.science) :]

    def _leave_hits_out(self, products):
        """Judge no pixel by what cosmic rays are known to have left in it."""
        fields = [
            [truth.hit for truth in truths]
            for truths in (products.science_truth, products.background_truth)
        ]
        if all(hit is not None for hit in chain(*fields)):
            self.masks = self.masks.without_hits(*fields)

    # ------------------------------------------------------------------ sources

    def _mask_sources(self, products, light):
        """Choose the pixels that see no source: from known light, or from the rates."""
        if light is None:
            self._mask_found_sources()
            return
        # The noise is taken from the faintest pixels, before sources are masked.
        known = _true_rates(products) if self.truth else None
        self._measured = self._noise_of_differences(light, known)
        part = _SOURCE_MASK if self.truth else _EXPECTED_SOURCE_MASK
        empty = [
            each < part * noise for each, noise in zip(light, self._first_noise(), strict=True)
        ]
        self.masks = self.masks.without_sources(*self._of_fields(empty))

    def _mask_found_sources(self):
        """Mask what stands out from the average in any exposure."""
        seen = self.masks
        self._measured = self._noise_of_differences()
        self.masks = seen.without_sources(*self._without_found_sources(1.0))
        self._measured = self._noise_of_differences()
        self.loose_masks = seen.without_sources(*self._without_found_sources(_LOOSER))

    def _without_found_sources(self, looser):
        """Return iterators of where each exposure is like the average, of both fields."""
        noise = self._first_noise()

        def like_average(number):
            image = self._images[number]
            unflagged = (image.dq & USABLE_FLAGS) == 0
            difference = image.data - self.combined.data
            return ~source_mask(difference, self.masks.seen & unflagged, noise[number], looser)

        science, backgrounds = self._of_fields(range(len(self._images)))
        return map(like_average, science), map(like_average, backgrounds)

    def _noise_of_differences(self, light=None, known=None):
        """Return the noise of one rate on empty sky of each way to read that two exposures share.

        From differences of two exposures: of one field where it has two, of the background field
        if both have.  What their true rates differ by is no noise.

        Parameters
        ----------
        light : list of ndarray, optional
            Source light of each exposure, DN/s, science first, where it is known.
        known : list of ndarray, optional
            True rate of each exposure, sky and sources, DN/s, science first.

        Returns
        -------
        dict
            By the way to read, DN/s, and the numbers of the exposures that it was taken from.
        """
        good = self.masks.sky & self.masks.usable[0]
        found = {}
        for way in dict.fromkeys(self._ways):
            numbers = self._two_read_in(way)
            if len(numbers) < 2:
                continue
            empty = good
            if light is not None:
                # Pixels that see least light in the fields of both.
                seen = {self._is_background(number) for number in numbers}
                fields = self._of_fields(light)
                brightest = reduce(np.maximum, chain(*(fields[field] for field in seen)))
                part, above = _FAINTEST if known is None else _KNOWN_FAINTEST
                above *= float(np.median(self._images[numbers[0]].err[good]))
                empty = good & (brightest < np.percentile(brightest[good], part) + above + 1e-3)
            first, second = numbers
            difference = self._images[first].data - self._images[second].data.astype(float)
            if known is not None:
                difference -= known[first] - known[second]
            empty = empty & np.isfinite(difference)
            # What whole outputs have in common is taken off residuals, too, before they are judged.
            scatter = clipped_scatter(levelled(difference, empty)[empty])
            found[way] = float(scatter / np.sqrt(2)), numbers
        return found

    def _is_background(self, number):
        """Return whether an exposure is of the background field."""
        return number >= len(self.science)

    def _two_read_in(self, way):
        """Return the numbers of two exposures that are read in a way, or fewer if there are not."""
        alike = []
        for number in self._backgrounds_first:
            # An exposure under two names differs from itself by nothing.
            data = self._images[number].data
            if self._ways[number] == way and not any(
                np.array_equal(data, self._images[each].data, equal_nan=True) for each in alike
            ):
                alike.append(number)
            if len(alike) > 2:
                break
        # Fields may have skies, and so noise, of their own.
        for field in (True, False):
            of_field = [each for each in alike if self._is_background(each) is field]
            if len(of_field) > 1:
                return of_field[:2]
        return alike[:2]

    def _first_noise(self):
        """Return the noise of each exposure: what was measured, else what it reports."""
        good = self.masks.seen & self.masks.usable[0]
        return [
            self._measured[way][0] if way in self._measured else float(np.median(image.err[good]))
            for way, image in zip(self._ways, self._images, strict=True)
        ]

    # ------------------------------------------------------------------ noise

    def _expect_noise(self, products):
        """Derive levels and noise of the exposures, and what clipping makes of them."""
        clean = self.masks.clean_sky
        self.sky_level = float(np.median(self.combined.data[clean]))
        if not self.sky_level > 0:
            done = [
                f"{Path(image.path).name} has S_BKDSUB = 'COMPLETE': "
                for image in self.backgrounds
                if image.header.get("S_BKDSUB") == "COMPLETE"
            ]
            msg = (
                f"the sky of the backgrounds is {self.sky_level:.3g} DN/s: {''.join(done[:1])}"
                "rates before any background was subtracted are needed."
            )
            raise CannotJudge(msg)
        relative = self._relative_levels(products)
        middle = self._middle_level(relative)
        of_backgrounds = [float(middle * part) for part in relative]
        self.levels = [*self._science_levels(products, middle), *of_backgrounds]
        self._noise = {}
        for number in self._backgrounds_first:
            way, image = self._ways[number], self._images[number]
            if way not in self._noise:
                frame = subarrays()[self.subarray] if self.truth else None
                self._noise[way] = RateNoise(way, image, clean, self.levels[number], frame)
        of_exposures = [self._noise[way] for way in self._ways]
        self._science_noises, self._background_noises = self._of_fields(of_exposures)
        noise = [self._on_sky(number) for number in range(len(self._images))]
        self.science_noise, self.background_noise = self._of_fields(noise)
        self._member_costs = [
            each.clipping_cost(*self._clipping_choice) for each in self._background_noises
        ]
        scatters = np.sqrt(self._member_costs) * self.background_noise
        offsets = middle * (relative - 1)
        self.clipping = Clipping(len(self.backgrounds), *self._clipping_choice, scatters, offsets)

    def _relative_levels(self, products):
        """Return the sky of each background over the middle one's, 1 where no truth says it."""
        if not self.truth:
            return np.ones(len(self.backgrounds))
        clean = self.masks.clean_sky
        levels = [np.median(truth.background[clean]) for truth in products.background_truth]
        return np.array(levels, dtype=float) / float(np.median(levels))

    def _middle_level(self, relative):
        """Return the rate of the sky in the middle one of the backgrounds, DN/s."""
        if np.ptp(relative) == 0:
            return self.sky_level
        clean = self.masks.clean_sky
        levels = [np.median(image.data[clean]) for image in self.backgrounds]
        return float(np.median(np.array(levels, dtype=float) / relative))

    def _science_levels(self, products, middle):
        """Return the rate of the sky in each science exposure, DN/s, of that in a background."""
        if products.science_truth is None:
            return [
                float(np.median(image.data[empty & usable]))
                for image, empty, usable in zip(
                    self.science, self.masks.empty, self.masks.usable, strict=True
                )
            ]
        clean = self.masks.clean_sky
        # Of several, the first may be another one than the others.
        below = np.median(
            [np.median(truth.background[clean]) for truth in products.background_truth]
        )
        return [
            middle * float(np.median(truth.background[clean]) / below)
            for truth in products.science_truth
        ]

    def _on_sky(self, number):
        """Return the noise of the rate of an exposure on empty sky, DN/s."""
        way, level = self._ways[number], self.levels[number]
        # What was measured of one level, or of one way to read, is by as much off what variances
        # say as that of another.
        sources = {way: self._measured[way]} if way in self._measured else self._measured
        factors = [
            noise
            / np.sqrt(
                np.mean([self._noise[other].scatter(self.levels[each]) ** 2 for each in taken])
            )
            for other, (noise, taken) in sources.items()
        ]
        factor = float(np.mean(factors)) if factors else 1.0
        return factor * self._noise[way].scatter(level)

    @property
    def sky_noise(self):
        """Standard deviation of a background's rate on empty sky, DN/s, of all together."""
        return float(np.sqrt(np.mean(np.square(self.background_noise))))

    @property
    def mean_noise(self):
        """Standard deviation of a science rate on empty sky, DN/s, of all together."""
        return float(np.sqrt(np.mean(np.square(self.science_noise))))

    def _reported_noise(self):
        """Return what the rates report of their noise."""
        shared = self.clipping_cost / len(self.backgrounds) ** 2
        return ReportedNoise(
            self.science,
            self.backgrounds,
            [*self._science_noises, *self._background_noises],
            self.levels,
            [shared * cost for cost in self._member_costs],
            self._known_rate if self.truth else None,
        )

    def _known_rate(self, number):
        """Return the slope that each pixel of an exposure has by its truth, DN/s."""
        light = [*self.science_light, *self.background_light]
        return self._skies[number] + light[number]

    def science_variance(self, number):
        """Return the variance of a science rate with the light that it has, (DN/s)^2.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray
            Shape (rows, columns).
        """
        noise, light = self._science_noises[number], self.science_light[number]
        relative = noise.relative_scatter(self.levels[number], light)
        return (self.science_noise[number] * relative) ** 2

    def pixel_variance(self, number):
        """Return the variance of each pixel of a science rate over the mean of empty sky.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray or float
            Shape (rows, columns); 1 without truth.
        """
        if not self.truth:
            return 1.0
        return self._science_noises[number].relative_variances(self._skies[number])

    @property
    def sky_variance(self):
        """Variance of the combined background on empty sky, (DN/s)^2: of a typical pixel.

        A plane where skies differ, because clipping costs more there.
        """
        return self.clipping.variance * (self.clipping_cost / self.clipping.cost)

    @cached_property
    def combined_pixel_variance(self):
        """Variance of each pixel of the combined background over the mean of empty sky.

        Shape (rows, columns); 1 without truth.
        """
        if not self.truth:
            return 1.0
        parts = np.array(self._member_costs) * np.square(self.background_noise)
        of_ways = dict.fromkeys(self._ways[len(self.science) :], 0.0)
        for way, part in zip(self._ways[len(self.science) :], parts / parts.sum(), strict=True):
            of_ways[way] += part
        return sum(
            part * self._noise[way].relative_variances(self.background_sky)
            for way, part in of_ways.items()
        )

    @cached_property
    def combined_common_variance(self):
        """Variance that all pixels of the combined background share, (DN/s)^2."""
        total = sum(noise.common_variance for noise in self._background_noises)
        return total / len(self._background_noises) ** 2

    def common_variance(self, number):
        """Return the variance that all pixels of a residual share, (DN/s)^2.

        Parameters
        ----------
        number : int or None
            Science exposure, from 0; None for the mean of all.

        Returns
        -------
        float
            Of the science rate, or of the mean of all, and of the combined background.
        """
        own = [noise.common_variance for noise in self._science_noises]
        of_science = sum(own) / len(own) ** 2 if number is None else own[number]
        return of_science + self.combined_common_variance

    @cached_property
    def exposure_common_variances(self):
        """Variance that all pixels of each exposure's rate share, (DN/s)^2, science first."""
        return [
            noise.common_variance for noise in (*self._science_noises, *self._background_noises)
        ]

    def output_variance(self, number):
        """Return the variance of the outputs of a subtracted image about its mean, (DN/s)^2.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        own, shared : float
            Of the science rate, and of the combined background.
        """
        backgrounds = [noise.output_variance for noise in self._background_noises]
        shared = sum(backgrounds) / len(backgrounds) ** 2
        return self._science_noises[number].output_variance, shared

    # ------------------------------------------------------------------ light

    def _expect_light(self, products, light):
        """Derive the light of sources, what clipping leaves of it, and the sky."""
        shape = self.masks.sky.shape
        self.background_sky, self._skies = 0.0, None
        self.clipping_cost, self.drawn = self.clipping.cost, self.clipping.drawn
        if light is None:
            self.science_light = [np.zeros(shape)] * len(self.science)
            self.background_light = [np.zeros(shape)] * len(self.backgrounds)
            self.leak = np.zeros(shape)
            self.combined_variance = np.full(shape, self.clipping.variance)
            return
        truths = [*products.science_truth, *products.background_truth]
        noises = [*self._science_noises, *self._background_noises]
        skies = [
            noise.with_slope_offset(truth.background)
            for noise, truth in zip(noises, truths, strict=True)
        ]
        slopes = [
            noise.with_slope_offset(truth.background + truth.sources) - sky
            for noise, truth, sky in zip(noises, truths, skies, strict=True)
        ]
        self.science_light, self.background_light = self._of_fields(slopes)
        uneven = None
        if self.truth:
            self._skies = skies
            uneven = self._uneven_skies()
            self.background_sky = uneven.expected
            self.clipping_cost, self.drawn = uneven.cost, uneven.drawn
        scatters = (
            np.sqrt(cost) * own * noise.relative_scatter(self.sky_level, light)
            for cost, own, noise, light in zip(
                self._member_costs,
                self.background_noise,
                self._background_noises,
                self.background_light,
                strict=True,
            )
        )
        self.leak, self.combined_variance = self.clipping.leak(
            self.background_light, scatters, uneven
        )

    def _uneven_skies(self):
        """Return what clipping makes of the true skies of the backgrounds."""
        skies = self._of_fields(self._skies)[1]
        scatters = [
            np.sqrt(cost * noise.relative_variances(sky)) * own
            for cost, noise, sky, own in zip(
                self._member_costs,
                self._background_noises,
                skies,
                self.background_noise,
                strict=True,
            )
        ]
        return UnevenSkies(skies, scatters, self.masks.seen, self.clipping)

    def left(self, number):
        """Return what a subtracted image should have on empty sky, DN/s.

        The faint wings of sources, less what the combined background has of its own, and what
        the skies of the two fields differ by.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray
            Shape (rows, columns).
        """
        wings = self.science_light[number] - self.leak
        if not self.truth:
            return wings
        return wings + (self._skies[number] - self.background_sky)


def _true_rates(products):
    """Return the true rates of all exposures, sky and sources, DN/s, science first."""
    truths = (*products.science_truth, *products.background_truth)
    return [truth.background + truth.sources for truth in truths]


def _true_light(products):
    """Return the true source rates of all exposures, science first, or None."""
    if products.science_truth is None:
        return None
    return [truth.sources for truth in (*products.science_truth, *products.background_truth)]
