"""What measurements and figures of a run share: expectation, masks and noise."""

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import fixed_point
from scipy.stats import truncnorm

from miri_background.instrument.detector import (
    AMPLIFIERS,
    OUTPUT_DRIFT,
    READ_NOISE,
    fitted_groups,
    reference_pixels,
)
from miri_background.instrument.footprint import illuminated, regions
from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.exposed import ExposedDetector
from miri_background.validation.prediction.leak import Clipping
from miri_background.validation.prediction.slopes import (
    averaged_alike,
    averaged_by_pipeline,
    read_weighting,
    slope_noise,
    slope_statistics,
)
from miri_background.validation.prediction.source_masks import source_mask
from miri_background.validation.products.images import (
    DO_NOT_USE,
    JUMP_DET,
    SATURATED,
    in_two_dimensions,
)

__all__ = ["Analysis", "MeanResidual", "clipped_mean", "clipped_scatter", "levelled", "output_sets"]

# Source light brighter than this part of the sky's noise is masked: where it is known, and
# where it is only expected and cannot be taken off exactly.
_SOURCE_MASK, _EXPECTED_SOURCE_MASK = 0.5, 0.1
_PIXEL_CLIP = 3.0  # standard deviations, for means over pixels
# Clipping until nothing changes ends nearer than that, because what is left scatters less.
_LAST_CLIP = float(fixed_point(lambda reach: _PIXEL_CLIP * truncnorm(-reach, reach).std(), 3.0))
_CLIPPED_VARIANCE = (_LAST_CLIP / _PIXEL_CLIP) ** 2  # what is left of that of normal pixels
_FLAGS = DO_NOT_USE | SATURATED | JUMP_DET
# How much brighter than masked sources are those that the looser mask keeps: what the difference
# of both makes of a number is what still fainter ones may make of it.
_LOOSER = 2.0
_SAMPLE = 4000  # pixels whose gain and read noise stand for those of all
_RATE_RANGE = (0.8, 3.0)  # of the sky's rate: beyond, sources are much brighter than its noise


class Analysis:
    """What measurements and figures share: expectation, masks and noise.

    Expectation and masks follow from the rates alone, so that a fault of the step cannot
    hide itself.

    Parameters
    ----------
    products : Products
        Products of a run.
    truth : bool, optional
        Whether the source light of the truth files is what the exposures have, in the units
        that they are calibrated to.  Otherwise it is an expectation: of MIRISim's images by
        the embedded optics, or by the embedded detector's constants with other references.
        Without truth files, sources are looked for in the rates.

    Raises
    ------
    CannotJudge
        If a region has no empty sky.

    Attributes
    ----------
    combined : CombinedBackground
        Independent average of the backgrounds.
    science, backgrounds, subtracted : list of Image
        Two-dimensional: integrations are averaged.
    usable : list of ndarray of bool
        Pixels, per science exposure, that no exposure flags or hits by a cosmic ray.
    clean_backgrounds : ndarray of bool
        Pixels that no background flags or hits by a cosmic ray.
    seen, sky : ndarray of bool
        Pixels that see the sky, and those of them that see no source of a background.
    empty : list of ndarray of bool
        Pixels that see no source of a science exposure either.
    loose : Analysis or None
        The same with fainter sources left in, where sources had to be looked for.
    sky_level, sky_noise : float
        Rate on empty sky and its standard deviation, from differences of backgrounds, DN/s.
    clipping : Clipping
        What sigma clipping of the backgrounds does to noise and light.
    average_variance : float
        Variance of the combined background on empty sky, in units of that of one rate.
    background_light, science_light : list of ndarray
        Source light that rates are expected to have, DN/s; zero where nothing is known.
    leak, combined_variance : ndarray
        Predicted source light in the combined background, DN/s, and its variance.
    common_variance : float
        Variance that all pixels of one rate share, (DN/s)^2.
    """

    def __init__(self, products, truth=True):
        self.truth = truth and products.science_truth is not None
        self.subarray = products.subarray
        self.regions = regions(self.subarray)
        self.combined = average_backgrounds(products.backgrounds, products.sigma, products.maxiters)
        self.science = [in_two_dimensions(image) for image in products.science]
        self.backgrounds = [in_two_dimensions(image) for image in products.backgrounds]
        self._take(products)
        of_backgrounds = np.bitwise_or.reduce([image.dq for image in self.backgrounds])
        self.clean_backgrounds = (of_backgrounds & _FLAGS) == 0
        self.usable = [
            self.clean_backgrounds & ((image.dq & _FLAGS) == 0) for image in self.science
        ]
        first = self.backgrounds[0].variances
        # Where an error is not a number, neither is any prediction.
        known = np.isfinite(
            sum(image.err for image in self.backgrounds)
            + first["VAR_POISSON"]
            + first["VAR_RNOISE"]
        )
        self.seen = illuminated(self.subarray) & ((of_backgrounds & DO_NOT_USE) == 0) & known
        self.loose = None
        light = _true_light(products)
        # The noise is taken from the backgrounds' faintest pixels, before sources are masked.
        self._mask([self.seen] * len(self.science), self.seen)
        of_fields = (
            light[len(self.science) :].max(axis=0)
            if light is not None
            else np.zeros(self.seen.shape)
        )
        self.sky_noise = self._noise_of_differences(of_fields)
        if light is None:
            self._mask(*self._without_found_sources(1.0))
            self.sky_noise = self._noise_of_differences(of_fields)
        else:
            limit = (_SOURCE_MASK if self.truth else _EXPECTED_SOURCE_MASK) * self.sky_noise
            empty = self.seen & (light < limit)
            self._mask(
                empty[: len(self.science)], np.logical_and.reduce(empty[len(self.science) :])
            )
        self._expect(products, light)
        if light is None:
            self.loose = copy.copy(self)
            self.loose._mask(*self._without_found_sources(_LOOSER))

    def _take(self, products):
        """Take over the step's results."""
        self.products = products
        self.subtracted = [in_two_dimensions(image) for image in products.subtracted]
        self._forget()

    def _forget(self):
        """Forget what was derived from other results, or with other masks."""
        for name in ("residuals", "judged_pixels", "mean_residual"):
            self.__dict__.pop(name, None)

    def judging(self, products):
        """Return the analysis of other results of the same rates.

        Parameters
        ----------
        products : Products
            Equal to those of this analysis but for what the step has written.

        Returns
        -------
        Analysis
            Shares expectation, masks and noise.
        """
        other = copy.copy(self)
        other._take(products)
        if self.loose is not None:
            other.loose = self.loose.judging(products)
        return other

    def _mask(self, empty, sky):
        """Set the pixels that see no source.

        Parameters
        ----------
        empty : sequence of ndarray of bool
            Without sources of each science exposure.
        sky : ndarray of bool
            Without sources of the backgrounds.
        """
        self.sky = sky
        self.empty = [sky & pixels for pixels in empty]
        self._forget()
        for number, usable in enumerate(self.usable):
            for region in self.regions.values():
                if not (self.empty[number] & usable)[region.slices].any():
                    msg = (
                        f"{region.name} has no pixel of empty sky without a flag in science "
                        f"exposure {number + 1}: take fewer or fainter sources, or shorter "
                        "exposures."
                    )
                    raise CannotJudge(msg)

    def _without_found_sources(self, looser):
        """Return, as `_mask` takes them, pixels in which exposures are like the average."""
        empty = [
            ~source_mask(
                image.data - self.combined.data,
                self.seen & ((image.dq & _FLAGS) == 0),
                self.sky_noise,
                looser,
            )
            for image in (*self.science, *self.backgrounds)
        ]
        science = len(self.science)
        return empty[:science], self.seen & np.logical_and.reduce(empty[science:])

    def _noise_of_differences(self, brightest):
        """Return the noise of one rate on empty sky from differences of two exposures."""
        first, second = (
            image.data.astype(float) for image in (*self.backgrounds, *self.science)[:2]
        )
        good = self.sky & self.usable[0]
        empty = good & (brightest < np.percentile(brightest[good], 25) + 1e-3)
        difference = (first - second)[empty]
        return float(clipped_scatter(difference[np.isfinite(difference)]) / np.sqrt(2))

    def _expect(self, products, light):
        """Derive noise, light and leak that are expected."""
        header = products.backgrounds[0].header
        fitted = fitted_groups(int(header["NGROUPS"]), int(header["NINTS"]))
        cubes = products.backgrounds[0].data.ndim > 2
        self.averaging = averaged_alike(fitted) if cubes else averaged_by_pipeline(fitted)
        self.frame_time = float(header["TFRAME"])
        clean = self.sky & self.clean_backgrounds
        self.sky_level = float(np.median(self.combined.data[clean]))
        if not self.sky_level > 0:
            msg = (
                f"the sky of the backgrounds is {self.sky_level:.3g} DN/s: rates before any "
                "background was subtracted are needed."
            )
            raise CannotJudge(msg)
        self.gain, self.read_noise = self._detector(clean)
        lowest, highest = (part * self.sky_level for part in _RATE_RANGE)
        self.slopes = slope_statistics(
            (lowest, highest), self.gain, self.read_noise, self.frame_time, self.averaging
        )
        count = len(products.backgrounds)
        choices = products.sigma, products.maxiters
        self.clipping = Clipping(count, *choices)
        # Integrations of a background are clipped and averaged first.
        gain, reads = np.median(self.gain), np.median(self.read_noise)
        scatters = [
            float(slope_noise(self.sky_level, gain, reads, self.frame_time, alone)[0])
            for alone in (averaged_alike([groups]) for groups in (fitted if cubes else ()))
        ]
        of_member = Clipping(len(scatters), *choices, scatters).cost if scatters else 1.0
        self.average_variance = self.clipping.variance * of_member
        shape = self.sky.shape
        if light is None:
            self.science_light = [np.zeros(shape)] * len(products.science)
            self.background_light = [np.zeros(shape)] * count
            self.leak = np.zeros(shape)
            self.combined_variance = np.full(shape, self.average_variance * self.sky_noise**2)
        else:
            light = [
                self._slope_light(truth)
                for truth in (*products.science_truth, *products.background_truth)
            ]
            self.science_light = light[: len(products.science)]
            self.background_light = light[len(products.science) :]
            brightest = np.stack(self.background_light)
            scatter = np.sqrt(of_member * self.rate_variance(brightest))
            self.leak, self.combined_variance = self.clipping.leak(
                brightest, scatter, np.sqrt(of_member) * self.sky_noise
            )
        self.common_variance = self._common_variance(clean)
        self._background_noise = np.sqrt(
            self.average_variance
            * sum(image.err.astype(float) ** 2 for image in self.backgrounds)
            / count
        )

    def _detector(self, clean):
        """Return gain and read noise of a sample of pixels, from the variances of a rate."""
        image = self.backgrounds[0]
        generator = np.random.default_rng(0)
        pixels = generator.choice(np.flatnonzero(clean), min(_SAMPLE, np.count_nonzero(clean)))
        rate, photons, reads = (
            values.ravel()[pixels].astype(float)
            for values in (
                image.data,
                image.variances["VAR_POISSON"],
                image.variances["VAR_RNOISE"],
            )
        )
        good = (rate > 0) & (photons > 0) & (reads > 0)
        gain = self.averaging.photons * rate[good] / (photons[good] * self.frame_time)
        return gain, np.sqrt(reads[good] / self.averaging.reads) * self.frame_time

    @cached_property
    def reported_part(self):
        """What the pipeline reports of the scatter of a rate on empty sky, from its weights.

        Where the detector is known, so is what it does not report: photons of the dark
        current, and the stretch of reads by the linearity correction.
        """
        clean = self.sky & self.clean_backgrounds
        gain, reads, rate, stretched = self.gain, self.read_noise, self.sky_level, self.read_noise
        if self.truth:
            header = self.backgrounds[0].header
            detector = ExposedDetector(
                header["READPATT"], self.subarray, int(header["NGROUPS"]), int(header["NINTS"])
            )
            rate = self.sky_level + detector.dark[clean]
            gain, reads = detector.gain[clean], detector.raw_read_noise[clean]
            stretched = detector.read_noise(self.sky_level + detector.dark)[clean]
        true, _ = slope_noise(rate, gain, stretched, self.frame_time, self.averaging)
        _, reported = slope_noise(self.sky_level, gain, reads, self.frame_time, self.averaging)
        chosen = self.slopes.ratio(self.sky_level)
        return float(np.sqrt(np.mean(reported**2) / np.mean(true**2)) / chosen)

    def predicted_noise(self, number):
        """Return the noise of a residual that follows from the reported errors of the rates.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray
            DN/s: of the science exposure and of the combined background.
        """
        reported = np.hypot(self.science[number].err, self._background_noise)
        return reported / self.reported_part

    def _slope_light(self, truth):
        """Return the light of sources that slopes are expected to have, DN/s."""
        offset = self.slopes.offset
        return truth.sources + offset(truth.background + truth.sources) - offset(truth.background)

    def rate_variance(self, light):
        """Return the variance of a rate with source light, (DN/s)^2."""
        return (self.sky_noise * self._relative_scatter(light)) ** 2

    def _relative_scatter(self, light):
        """Return the scatter of a rate with source light over that of the sky's rate."""
        gain, read_noise = np.median(self.gain), np.median(self.read_noise)
        rates = np.geomspace(1, 1 + max(light.max(), 1.0) / self.sky_level, 200) * self.sky_level
        scatter, _ = slope_noise(rates, gain, read_noise, self.frame_time, self.averaging)
        return np.interp(self.sky_level + light, rates, scatter / scatter[0])

    def _common_variance(self, clean):
        """Return the variance that all pixels of a rate share, from that of one pixel's reads.

        Reference pixels are averaged and subtracted in every group, so their noise gets into
        all pixels of the array alike.  A subarray without reference pixels keeps instead what
        the outputs drift from frame to frame, each amplifier in odd and even rows by itself.
        """
        reads = float(np.median(self.backgrounds[0].variances["VAR_RNOISE"][clean]))
        gain, read_noise = np.median(self.gain), np.median(self.read_noise)
        groups = self.averaging.fitted[0]
        electrons = gain * self.frame_time * (groups - 1) * self.sky_level
        weighting = read_weighting(
            groups, electrons / np.sqrt(electrons + (gain * read_noise) ** 2)
        )
        blind = np.count_nonzero(subarrays()[self.subarray].cut(reference_pixels()))
        if blind:
            return weighting * reads / blind
        return weighting * reads * (OUTPUT_DRIFT / READ_NOISE) ** 2 / (2 * AMPLIFIERS)

    @cached_property
    def region_mask(self):
        """All pixels of the regions that see the sky, bad ones included."""
        return illuminated(self.subarray) & np.logical_or.reduce(
            [region.mask() for region in self.regions.values()]
        )

    @cached_property
    def residuals(self):
        """Residual of each science exposure: subtracted image less known light, DN/s."""
        return [self._residual(number) for number in range(len(self.subtracted))]

    def _residual(self, number):
        """Return the subtracted image without the known light of sources."""
        return self.subtracted[number].data.astype(float) - self.wings(number)

    def residual(self, number):
        """Return what should be zero: subtracted image less the known light of sources.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray
            DN/s; far from sources, where it is judged, the known light is their faint wings.
        """
        return self.residuals[number]

    def wings(self, number):
        """Return the light of sources in a subtracted image, DN/s."""
        return self.science_light[number] - self.leak

    def judged(self, number):
        """Return the pixels in which a residual is judged."""
        return self.judged_pixels[number]

    @cached_property
    def judged_pixels(self):
        """The judged pixels of each science exposure."""
        return [
            self.empty[number]
            & self.usable[number]
            & np.isfinite(residual)
            & np.isfinite(self.predicted_noise(number))
            for number, residual in enumerate(self.residuals)
        ]

    @cached_property
    def mean_residual(self):
        """Mean residual of all exposures."""
        total, count = np.zeros(self.sky.shape), np.zeros(self.sky.shape)
        for residual, judged in zip(self.residuals, self.judged_pixels, strict=True):
            total[judged] += residual[judged]
            count += judged
        with np.errstate(divide="ignore"):
            variance = 1 / count + self.average_variance
        return MeanResidual(
            total / np.maximum(count, 1),
            variance,
            1 / len(self.subtracted) + 1 / len(self.backgrounds),
        )


@dataclass(frozen=True)
class MeanResidual:
    """The mean residual of all exposures, and what of their noise it has.

    Parameters
    ----------
    image : ndarray
        Mean of the exposures in which a pixel is judged, DN/s.
    variance : ndarray
        In units of that of one rate's pixel; infinite where no exposure is judged.
    common : float
        The same for the noise that many pixels have in common.
    """

    image: np.ndarray
    variance: np.ndarray
    common: float

    @cached_property
    def good(self):
        """The pixels that are judged in any exposure."""
        return np.isfinite(self.variance)

    @cached_property
    def levelled(self):
        """The image without what whole outputs have in common."""
        return levelled(self.image, self.good)


def levelled(image, good):
    """Return an image less the mean of each set of pixels that have common noise.

    Parameters
    ----------
    image : ndarray
        Shape (rows, columns).
    good : ndarray of bool
        Pixels that means are taken of.

    Returns
    -------
    ndarray
        Shape of the image.
    """
    sets = output_sets(image.shape)
    flat = np.array(image, dtype=float)
    for number in np.unique(sets):
        inside = sets == number
        flat[inside] -= clipped_mean(image[inside & good])[0]
    return flat


def _true_light(products):
    """Return the true source rates of all exposures, science first, or None."""
    if products.science_truth is None:
        return None
    return np.stack(
        [truth.sources for truth in (*products.science_truth, *products.background_truth)]
    )


def output_sets(shape):
    """Return to which set of pixels with common noise each pixel belongs.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of int
        Number of the set: amplifiers read every fourth column, and odd and even rows have
        drifts and reference pixels of their own.
    """
    rows, columns = np.indices(shape)
    return (rows % 2) * AMPLIFIERS + columns % AMPLIFIERS


def clipped_mean(values):
    """Return the sigma-clipped mean of pixels and its variance, not a number without pixels."""
    if values.size == 0:
        return np.nan, np.nan
    kept = _kept(values)
    return kept.mean(), kept.var() / _CLIPPED_VARIANCE / kept.size


def clipped_scatter(values):
    """Return the standard deviation of normal pixels from those that clipping keeps."""
    return _kept(values).std() / np.sqrt(_CLIPPED_VARIANCE) if values.size else np.nan


def _kept(values):
    """Return the pixels that clipping keeps, sorted."""
    # Sorted once: what clipping keeps of one set of values is a part without gaps.
    kept, before = np.sort(values), None
    while kept.size != before:
        before = kept.size
        centre, reach = np.median(kept), _PIXEL_CLIP * kept.std()
        first = np.searchsorted(kept, centre - reach)
        last = np.searchsorted(kept, centre + reach, side="right")
        kept = kept[first:last]
    return kept
