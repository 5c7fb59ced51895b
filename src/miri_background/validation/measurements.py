"""What is measured on the products: numbers with units and predicted standard errors."""

from dataclasses import dataclass

import numpy as np
from photutils.aperture import CircularAperture, aperture_photometry
from scipy.stats import truncnorm

from miri_background.instrument.detector import (
    AMPLIFIERS,
    GAIN,
    OUTPUT_DRIFT,
    READ_NOISE,
    bad_pixels,
    fitted_groups,
    reference_pixels,
)
from miri_background.instrument.footprint import illuminated, regions, within_regions
from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge
from miri_background.validation.clipping import combine_backgrounds, kept_values
from miri_background.validation.leak import predicted_leak
from miri_background.validation.products import DO_NOT_USE, source_positions
from miri_background.validation.slopes import read_weighting

__all__ = ["Analysis", "Measurement", "measure"]

WHOLE_ARRAY = "whole array"

# Source light brighter than this part of the sky's noise is masked: where it is known, and
# where it is only expected and cannot be taken off exactly.
_SOURCE_MASK, _EXPECTED_SOURCE_MASK = 0.5, 0.1
_PIXEL_CLIP = 3.0  # standard deviations, for means over pixels
# What such clipping leaves of the variance of a normal distribution.
_CLIPPED_VARIANCE = float(truncnorm(-_PIXEL_CLIP, _PIXEL_CLIP).var())
_STAR_RADIUS = 3.0  # pixels: holds 65 % of the light of a star in F770W
_GALAXY_RADIUS = 15.0  # pixels, 1.7 arcsec
_BORDER = 6  # pixels that an aperture keeps from the border of its region
# Sources fainter than this many standard errors of their aperture add noise, not knowledge.
_LEAST_SIGNAL_TO_NOISE = 10.0


@dataclass(frozen=True)
class Measurement:
    """One number.

    Parameters
    ----------
    criterion : str
        Name of the criterion that judges it.
    region : str
        Region of the detector, or "whole array".
    exposure : int or None
        Number of the science exposure, from 1; None where all are taken together.
    value : float
        The number.
    error : float or None
        Predicted standard error, where the number is a statistic.
    """

    criterion: str
    region: str
    exposure: int | None
    value: float
    error: float | None = None


class Analysis:
    """What measurements and figures share: expectation, masks and noise.

    Parameters
    ----------
    products : Products
        Products of a run.
    truth : bool, optional
        Whether the source light of the truth files is what the exposures have, in the units
        that they are calibrated to.  Otherwise it is an expectation: of MIRISim's images by
        the embedded optics, or by the embedded detector's constants with other references.

    Raises
    ------
    CannotJudge
        If a region has no empty sky.

    Attributes
    ----------
    combined : CombinedBackground
        Independent average of the backgrounds.
    sky_noise : float
        Standard deviation of one rate on empty sky, DN/s, from differences of backgrounds.
    photon_time : float
        Rate over its photon variance, (DN/s) / (DN/s)^2.
    leak, combined_variance : ndarray
        Predicted source light in the combined background and its variance.
    common_variance : float
        Variance that all pixels of one rate share, (DN/s)^2.
    sky : ndarray of bool
        Pixels that see the sky and no source, without bad ones.
    """

    def __init__(self, products, truth=True):
        self.products, self.truth = products, truth
        backgrounds = products.backgrounds
        self.combined = combine_backgrounds(
            *(
                np.stack([getattr(image, name) for image in backgrounds])
                for name in ("data", "err", "dq")
            ),
            products.sigma,
            products.maxiters,
        )
        background_sources = np.stack([truth.sources for truth in products.background_truth])
        self.subarray = products.subarray
        self.regions = regions(self.subarray)
        brightest = np.max(
            [background_sources.max(axis=0), *(truth.sources for truth in products.science_truth)],
            axis=0,
        )
        read = subarrays()[self.subarray]
        good = illuminated(self.subarray) & (read.cut(bad_pixels()) == 0)
        self.sky = good
        self._require_sky()  # the noise is taken from there
        self.sky_noise = self._sky_noise(good, background_sources.max(axis=0))
        limit = _SOURCE_MASK if truth else _EXPECTED_SOURCE_MASK
        self.sky = good & (brightest < limit * self.sky_noise)
        self._require_sky()
        header = backgrounds[0].header
        # A ramp's slope hangs mostly on its first and last read: photons count for
        # the time between them.
        fitted = fitted_groups(int(header["NGROUPS"]), int(header["NINTS"]))
        frame_time = float(header["TFRAME"])
        self.photon_time = GAIN * frame_time * sum(number - 1 for number in fitted)
        self.leak, self.combined_variance = predicted_leak(
            background_sources, self.sky_noise, self.photon_time, products.sigma, products.maxiters
        )
        read_noise = float(np.median(backgrounds[0].read_noise_variance[self.sky]))
        electrons = GAIN * frame_time * (fitted[0] - 1) * float(np.median(self._clean_sky()))
        ratio = electrons / np.sqrt(electrons + (GAIN * READ_NOISE) ** 2)
        weighting = read_weighting(fitted[0], ratio)
        self.common_variance = weighting * self._common_part(read_noise)

    def _require_sky(self):
        """Refuse exposures in which a residual could not be seen."""
        for number, usable in enumerate(self.products.usable, start=1):
            for region in self.regions.values():
                if not (self.sky & usable)[region.slices].any():
                    msg = (
                        f"{region.name} has no pixel of empty sky without a flag in science "
                        f"exposure {number}: take fewer or fainter sources, or shorter exposures."
                    )
                    raise CannotJudge(msg)

    def _clean_sky(self):
        """Return the rates of the first background on empty sky, DN/s."""
        return self.products.backgrounds[0].data[self.sky & self.products.usable[0]]

    def _common_part(self, read_noise):
        """Return the variance that all pixels of a rate share, from that of one pixel's reads.

        Reference pixels are averaged and subtracted in every group, so their noise gets into
        all pixels of the array alike.  A subarray without reference pixels keeps instead what
        the outputs drift from frame to frame, each amplifier in odd and even rows by itself.
        """
        blind = np.count_nonzero(subarrays()[self.subarray].cut(reference_pixels()))
        if blind:
            return read_noise / blind
        return read_noise * (OUTPUT_DRIFT / READ_NOISE) ** 2 / (2 * AMPLIFIERS)

    def _sky_noise(self, good, brightest):
        """Return the noise of one rate on empty sky from differences of two backgrounds."""
        first, second = (image.data.astype(float) for image in self.products.backgrounds[:2])
        empty = (
            good & self.products.usable[0] & (brightest < np.percentile(brightest[good], 25) + 1e-3)
        )
        difference = (first - second)[empty]
        keep, _ = kept_values(difference[:, np.newaxis], _PIXEL_CLIP)
        return float(difference[keep[:, 0]].std() / np.sqrt(2 * _CLIPPED_VARIANCE))

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
        return self.products.subtracted[number].data.astype(float) - self.wings(number)

    def wings(self, number):
        """Return the light of sources in a subtracted image, DN/s."""
        return self.products.science_truth[number].sources - self.leak

    def judged(self, number):
        """Return the pixels in which a residual is judged."""
        return self.sky & self.products.usable[number] & np.isfinite(self.residual(number))


def _clipped_mean(values):
    """Return the sigma-clipped mean of pixels and its variance, not a number without pixels."""
    if values.size == 0:
        return np.nan, np.nan
    # Sorted once: what clipping keeps of one set of values is a part without gaps.
    kept, before = np.sort(values), None
    while kept.size != before:
        before = kept.size
        centre, reach = np.median(kept), _PIXEL_CLIP * kept.std()
        first = np.searchsorted(kept, centre - reach)
        last = np.searchsorted(kept, centre + reach, side="right")
        kept = kept[first:last]
    return kept.mean(), kept.var() / _CLIPPED_VARIANCE / kept.size


def residuals(analysis):
    """Yield the mean residual of each region in each subtracted image."""
    count = len(analysis.products.backgrounds)
    for number in range(len(analysis.products.subtracted)):
        image, judged = analysis.residual(number), analysis.judged(number)
        for region in analysis.regions.values():
            mean, variance = _clipped_mean(image[judged & region.mask()])
            # The science rate's common noise, and that of the mean of n backgrounds.
            common = analysis.common_variance * (1 + 1 / count)
            if not analysis.truth:
                # Light that is only expected may be missing, or twice as much.
                common += np.mean(analysis.wings(number)[judged & region.mask()]) ** 2
            error = np.sqrt(variance + common)
            yield Measurement("residual", region.name, number + 1, mean, error)


def sky_rates(analysis):
    """Yield by how much rates on empty sky differ from the truth, in percent of it."""
    products = analysis.products
    pairs = [
        *zip(products.science, products.science_truth, strict=True),
        *zip(products.backgrounds, products.background_truth, strict=True),
    ]
    for region in analysis.regions.values():
        differences, levels, variances = [], [], []
        for image, truth in pairs:
            clean = analysis.sky & region.mask() & (image.dq == 0) & np.isfinite(image.data)
            known = truth.background + truth.sources
            mean, variance = _clipped_mean((image.data - known)[clean])
            differences.append(mean)
            levels.append(truth.background[clean].mean())
            variances.append(variance + analysis.common_variance)
        level = np.mean(levels)
        value = 100 * np.mean(differences) / level
        error = 100 * np.sqrt(np.sum(variances)) / len(pairs) / level
        yield Measurement("sky rate", region.name, None, value, error)


def _rounding(backgrounds):
    """Return the largest rounding error of a mean in float32, per pixel.

    Each of the n - 1 sums and the division rounds to half a unit in the last place
    of a number no larger than the sum of the magnitudes.
    """
    magnitudes = np.abs(np.nan_to_num(np.stack(backgrounds))).sum(axis=0)
    return len(backgrounds) * np.finfo(np.float32).eps / 2 * magnitudes


def combined_backgrounds(analysis):
    """Yield how many pixels of the combined backgrounds are not the independent average."""
    products, expected = analysis.products, analysis.combined
    finite = [image.data for image in products.backgrounds]
    tolerance = _rounding(finite)
    error_tolerance = _rounding([image.err for image in products.backgrounds])
    # A decision closer than the rounding of median and deviation may go either way.
    certain = expected.margin > 2 * products.sigma * tolerance
    for number, image in enumerate(products.combined, start=1):
        if image is None:
            continue
        for name, values, reference, allowed in (
            ("combined value", image.data, expected.data, tolerance),
            ("combined error", image.err, expected.error, error_tolerance),
        ):
            same = np.abs(values - reference) <= allowed
            same |= np.isnan(values) & np.isnan(reference)
            yield Measurement(name, WHOLE_ARRAY, number, float(np.sum(~same & certain)))
        yield Measurement(
            "combined DQ", WHOLE_ARRAY, number, float(np.sum(image.dq != expected.dq))
        )


def subtraction(analysis):
    """Yield how many pixels of the subtracted images are not rate minus combined background."""
    products = analysis.products
    for number, (rate, combined, image) in enumerate(
        zip(products.science, products.combined, products.subtracted, strict=True), start=1
    ):
        if combined is None:
            continue
        difference = rate.data - combined.data
        same = (image.data == difference) | (np.isnan(image.data) & np.isnan(difference))
        yield Measurement("subtraction", WHOLE_ARRAY, number, float(np.sum(~same)))
        flags = image.dq != (rate.dq | combined.dq)
        yield Measurement("subtraction DQ", WHOLE_ARRAY, number, float(np.sum(flags)))


def steps(analysis):
    """Yield the number of products in which the background step was not completed."""
    incomplete = [
        header.get("S_BKDSUB") != "COMPLETE" for header in analysis.products.calibrated_headers
    ]
    yield Measurement("step", WHOLE_ARRAY, None, float(sum(incomplete)))


def _aperture_sums(subarray, catalogue, radius, *images, good):
    """Return sums of images over the good pixels of circular apertures around sources."""
    x, y = source_positions(catalogue)
    inside = within_regions(x, y, radius + _BORDER, subarray)
    if not inside.any():
        return [np.zeros(0) for _ in images]
    apertures = CircularAperture(np.column_stack([x[inside], y[inside]]), radius)
    return [
        np.asarray(aperture_photometry(np.where(good, image, 0.0), apertures)["aperture_sum"])
        for image in images
    ]


def star_leak(analysis):
    """Yield the light of background stars in the combined background beyond the prediction.

    In percent of the stars' light, over all stars and dithers together.
    """
    products = analysis.products
    image = next((combined for combined in products.combined if combined is not None), None)
    if image is None:
        return
    excess = image.data - products.background_truth[0].background - analysis.leak
    dq = np.bitwise_or.reduce([background.dq for background in products.backgrounds])
    good = ((dq & DO_NOT_USE) == 0) & np.isfinite(excess)
    totals = np.sum(
        [
            np.sum(
                _aperture_sums(
                    analysis.subarray,
                    truth.catalogue,
                    _STAR_RADIUS,
                    excess,
                    truth.sources,
                    analysis.combined_variance,
                    np.ones_like(excess),
                    good=good,
                ),
                axis=1,
            )
            for truth in products.background_truth
        ],
        axis=0,
    )
    total, light, variance, pixels = totals
    if light == 0:
        return
    variance += pixels**2 * analysis.common_variance / len(products.backgrounds)
    yield Measurement(
        "star leak", WHOLE_ARRAY, None, 100 * total / light, 100 * np.sqrt(variance) / light
    )


def _source_flux(analysis, kind, radius):
    """Return measured light, true light and variance over all science exposures."""
    products = analysis.products
    totals = np.zeros(3)
    for number, truth in enumerate(products.science_truth):
        image = products.subtracted[number].data + analysis.leak
        photons = truth.sources / analysis.photon_time
        noise = analysis.sky_noise**2 + photons + analysis.combined_variance
        sums = np.array(
            _aperture_sums(
                analysis.subarray,
                truth.catalogue[truth.catalogue["kind"] == kind],
                radius,
                image,
                truth.sources,
                noise,
                good=products.usable[number] & np.isfinite(image),
            )
        )
        bright = sums[1] > _LEAST_SIGNAL_TO_NOISE * np.sqrt(sums[2])
        totals += sums[:, bright].sum(axis=1)
    return totals


def source_fluxes(analysis):
    """Yield by how much the light of science stars and galaxy differs from the truth."""
    for name, kind, radius in (
        ("star flux", "star", _STAR_RADIUS),
        ("galaxy flux", "galaxy", _GALAXY_RADIUS),
    ):
        total, light, variance = _source_flux(analysis, kind, radius)
        if light > 0:
            yield Measurement(
                name, WHOLE_ARRAY, None, 100 * (total / light - 1), 100 * np.sqrt(variance) / light
            )


def measure(analysis):
    """Return all measurements of a run.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation; they are compared with the truth where it is known.

    Returns
    -------
    list of Measurement
        In the order in which they are shown.
    """
    families = [steps, combined_backgrounds, subtraction, residuals]
    if analysis.truth:
        families += [star_leak, source_fluxes, sky_rates]
    return [measurement for family in families for measurement in family(analysis)]
