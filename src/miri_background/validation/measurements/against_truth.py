"""What is compared with the truth of the simulation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from photutils.aperture import CircularAperture

from miri_background.instrument.apertures import aperture_sums
from miri_background.instrument.footprint import within_regions
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.pixel_statistics import clipped_mean
from miri_background.validation.products.images import source_positions

__all__ = [
    "CONTRASTS",
    "Leak",
    "background_levels",
    "leak_of",
    "reported_variances",
    "sky_rates",
    "source_fluxes",
    "star_leak",
    "truth_measurements",
]

_STAR_RADIUS = 3.0  # pixels: holds 65 % of the light of a star in F770W
_GALAXY_RADIUS = 15.0  # pixels, 1.7 arcsec
_BORDER = 6  # pixels that an aperture keeps from the border of its region
_CHANCE = 3.0  # standard deviations of what all pixels of an exposure have in common
# Sources fainter than this many standard errors of their aperture add noise, not knowledge.
_LEAST_SIGNAL_TO_NOISE = 10.0
# Classes of contrast: sky noises that a source stands above the sky, and how uncertain theory is
# there, in percent of the light.  With sigma = 2 and four exposures, clipping begins to see
# sources in the second and misses few in the third.  The theory has normal noise; a skewness of
# 0.06, as slopes have near a step of the fit's weights, changes it by so much.
CONTRASTS = {
    "contrast 0.5 to 3": (0.5, 3, 0.2),
    "contrast 3 to 10": (3, 10, 0.1),
    "contrast over 10": (10, np.inf, 0.02),
}


def sky_rates(analysis):
    """Yield by how much rates on empty sky differ from the truth, in percent of it."""
    products, expectation = analysis.products, analysis.expectation
    pairs = [
        *zip(expectation.science, products.science_truth, strict=True),
        *zip(expectation.backgrounds, products.background_truth, strict=True),
    ]
    commons = expectation.exposure_common_variances
    for region in analysis.masks.regions.values():
        differences, levels, variances = [], [], []
        for (image, truth), common in zip(pairs, commons, strict=True):
            clean = analysis.masks.sky & region.mask() & (image.dq == 0) & np.isfinite(image.data)
            known = truth.background + truth.sources
            mean, variance = clipped_mean((image.data - known)[clean])
            differences.append(mean)
            levels.append(truth.background[clean].mean())
            variances.append(variance + common)
        level = np.mean(levels)
        value = 100 * np.mean(differences) / level
        error = 100 * np.sqrt(np.sum(variances)) / len(pairs) / level
        yield Measurement("sky rate", region.name, None, value, error)


def reported_variances(analysis):
    """Yield by how much parts of the variance of the rates are off those of the known detector.

    Limits of other criteria do not come from them where the detector is known.
    """
    expectation = analysis.expectation
    clean = analysis.masks.clean_sky & np.logical_and.reduce(analysis.masks.empty)
    commons = expectation.exposure_common_variances
    found = {"read variance": [], "photon variance": []}
    for number, image in enumerate((*expectation.science, *expectation.backgrounds)):
        known = expectation.reported.known_variances(number)
        if known is None or not image.variances:
            continue
        good = clean & (image.dq == 0)
        name = Path(image.path).name
        # What all pixels have in common is in the ramps that the photons are taken from.
        chance = _CHANCE * 100 * float(np.sqrt(commons[number]) / expectation.levels[number])
        for criterion, part, expected in zip(
            found, ("VAR_RNOISE", "VAR_POISSON"), known, strict=True
        ):
            ratios = image.variances[part][good] / expected[good]
            if part == "VAR_RNOISE":
                # A part that is too large here and too small there is wrong in both.
                value = 100 * float(np.mean(np.abs(ratios - 1)))
            else:
                usual = expectation.reported.reported_photons(number)
                value = 100 * float(np.mean(ratios) / usual - 1)
                value -= float(np.clip(value, -chance, chance))
            found[criterion].append((value, f"{part} of {name}"))
    for criterion, several in found.items():
        if several:
            value, place = max(several, key=lambda each: abs(np.nan_to_num(each[0], nan=np.inf)))
            yield Measurement(criterion, WHOLE_ARRAY, None, value, detail=place)


def _aperture_sums(subarray, catalogue, radius, *images, good):
    """Return sums of images over the good pixels of circular apertures around sources."""
    x, y = source_positions(catalogue)
    inside = within_regions(x, y, radius + _BORDER, subarray)
    if not inside.any():
        return [np.zeros(0) for _ in images]
    apertures = CircularAperture(np.column_stack([x[inside], y[inside]]), radius)
    return [aperture_sums(np.where(good, image, 0.0), apertures) for image in images]


def _combined(analysis):
    """Return the background that was subtracted, or None where nothing was."""
    return next((image for image in analysis.products.combined if image is not None), None)


def _excess(analysis, combined):
    """Return the combined background less what is expected of it, DN/s."""
    expectation = analysis.expectation
    return combined.data - expectation.background_sky - expectation.leak


def background_levels(analysis):
    """Yield by how much the combined background differs from the true one in each region."""
    combined = _combined(analysis)
    if combined is None:
        return
    excess = _excess(analysis, combined)
    good = analysis.masks.clean_sky & np.isfinite(excess)
    common = analysis.expectation.combined_common_variance
    beyond = analysis.expectation.drawn.mean_in_sight()
    for region in analysis.masks.regions.values():
        mean, variance = clipped_mean(excess[good & region.mask()])
        mean, error = mean - beyond, np.sqrt(variance + common)
        yield Measurement("background level", region.name, None, mean, error)


@dataclass(frozen=True)
class Leak:
    """What stays of background sources in the combined background, in a class of contrast.

    Parameters
    ----------
    measured, predicted : float
        Light that stays, in percent of the sources' light.
    error : float
        Predicted standard error, percent.
    contrast : float
        Mean contrast of the pixels, weighted with their light.
    """

    measured: float
    predicted: float
    error: float
    contrast: float


def leak_of(analysis, combined, low, high):
    """Return what stays of the light of background sources in a class of contrast.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation and truth.
    combined : Image
        Combined background.
    low, high : float
        Light of a pixel in the exposure where it is brightest, over the noise of the sky.

    Returns
    -------
    Leak or None
        None where there is too little light for a measurement.
    """
    excess, expectation, masks = _excess(analysis, combined), analysis.expectation, analysis.masks
    good = masks.seen & masks.clean_backgrounds & np.isfinite(excess)
    # What all pixels have in common is judged as the background's level.
    level, variance_of_level = clipped_mean(excess[good & masks.sky])
    level -= expectation.drawn.mean_in_sight()
    contrast = np.max(expectation.background_light, axis=0) / expectation.sky_noise
    pixels = good & (contrast >= low) & (contrast < high)
    light = np.sum(expectation.background_light, axis=0)[pixels]
    total, count = light.sum(), light.size
    if total <= _LEAST_SIGNAL_TO_NOISE * expectation.sky_noise * np.sqrt(count):
        return None
    variance = expectation.combined_variance[pixels].sum() + count**2 * variance_of_level
    predicted = expectation.leak[pixels].sum()
    measured = predicted + excess[pixels].sum() - count * level
    return Leak(
        100 * measured / total,
        100 * predicted / total,
        100 * float(np.sqrt(variance)) / total,
        float(np.average(contrast[pixels], weights=light)),
    )


def star_leak(analysis):
    """Yield the light of background sources in the combined background beyond the prediction.

    In percent of the sources' light, in classes of contrast.
    """
    combined = _combined(analysis)
    if combined is None:
        return
    for name, (low, high, uncertain) in CONTRASTS.items():
        leak = leak_of(analysis, combined, low, high)
        if leak is not None:
            value, error = leak.measured - leak.predicted, np.hypot(leak.error, uncertain)
            yield Measurement("star leak", name, None, value, error)


def _source_flux(analysis, kind, radius):
    """Return measured light, true light and variance over all science exposures."""
    totals, expectation = np.zeros(3), analysis.expectation
    of_all = 0.0  # pixels
    for number, truth in enumerate(analysis.products.science_truth):
        light = expectation.science_light[number]
        # Without the sky's difference, and what clipping leaves of the background's sources.
        image = analysis.residuals.images[number] + light
        noise = expectation.science_variance(number) + expectation.combined_variance
        sums = np.array(
            _aperture_sums(
                expectation.subarray,
                truth.catalogue[truth.catalogue["kind"] == kind],
                radius,
                image,
                light,
                noise,
                np.ones(image.shape),
                good=analysis.masks.usable[number] & np.isfinite(image),
            )
        )
        bright = sums[1] > _LEAST_SIGNAL_TO_NOISE * np.sqrt(sums[2])
        *sums, pixels = sums[:, bright].sum(axis=1)
        totals += sums
        # Noise that all pixels of a rate have in common is the same in all apertures ...
        totals[2] += pixels**2 * expectation.exposure_common_variances[number]
        of_all += pixels
    # ... and that of the combined background is the same in all exposures, too.
    totals[2] += of_all**2 * expectation.combined_common_variance
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


def truth_measurements(analysis):
    """Return how far products are from the truth.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation, and truth that they are calibrated to.

    Returns
    -------
    list of Measurement
        In the order in which they are shown.
    """
    measures = (reported_variances, background_levels, star_leak, source_fluxes)
    return [measurement for measure in measures for measurement in measure(analysis)]
