"""What is statistical: numbers that scatter about zero, with predicted standard errors.

None of them needs the truth.  A mean of pixels has the noise of the pixels, and what they
have in common: reference pixels, or the drifts of the outputs, move whole sets of pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from photutils.aperture import CircularAperture
from scipy.stats import truncnorm

from miri_background.instrument.detector import AMPLIFIERS
from miri_background.instrument.footprint import Region
from miri_background.validation.measurements.flagged import flagged_pixels
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.pixel_statistics import (
    CLIPPED_ERROR,
    clipped_mean,
    clipped_scatter,
)

__all__ = [
    "Lines",
    "aperture_pulls",
    "aperture_scatter",
    "gradients",
    "line_means",
    "lines",
    "noise",
    "outputs",
    "residual_of",
    "residuals",
    "statistical_measurements",
    "with_fainter_sources",
]

_APERTURE_RADIUS = 3.0  # pixels
_LEAST_COVERED = 0.6  # part of an aperture that has to be judged
# What linearity correction and dark current add to the noise and not to its report, percent:
# 0.2 to 0.8 with the embedded detector.
_UNREPORTED = 0.6
# Near a step of the fit's weights slopes are not normal, and their clipped scatter is up to 0.14 %
# larger (drawn ramps); the drift of a subarray's outputs, which differ from exposure to exposure,
# makes clipping cost up to 0.1 % more.  Percent, as a standard deviation.
_NOT_NORMAL = 0.1
# Light in wings outside the masks over that which is found: 7 to 19 % in the regions of the
# embedded simulator's field, so that four standard errors hold it.
_UNSEEN_LIGHT = 0.05
_SEED = 20260103  # of the places of apertures
_LEAST_JUDGED = 0.3  # part of a row or column that has to be judged
_CLIP = 4.0  # standard deviations: what is further off is not noise
_CLIPPED_SCATTER = float(truncnorm(-_CLIP, _CLIP).std())


def residuals(analysis):
    """Yield the mean residual of each region in each subtracted image."""
    for number in analysis.numbers:
        image, judged = analysis.residuals.images[number], analysis.residuals.judged[number]
        for region in analysis.masks.regions.values():
            yield residual_of(analysis, number, region, image[judged & region.mask()])


def residual_of(analysis, number, region, values):
    """Return the mean residual of a region from the residuals of its judged pixels.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.
    number : int
        Science exposure, from 0.
    region : Region
        The region.
    values : ndarray
        Residuals of the judged pixels, DN/s.

    Returns
    -------
    Measurement
        Their sigma-clipped mean, DN/s.
    """
    mean, variance = clipped_mean(values)
    expectation = analysis.expectation
    # The background is subtracted, and what clipping of pixels does not see of it, too.
    mean += expectation.drawn.mean_in_sight(expectation.science_noise[number])
    common = expectation.common_variance(number)
    if not expectation.truth:
        common += _light_left(analysis, number, region) ** 2
    return Measurement("residual", region.name, number + 1, mean, np.sqrt(variance + common))


def _light_left(analysis, number, region):
    """Return how much light of sources a mean residual may have, as a standard error, DN/s."""
    judged = analysis.residuals.judged[number] & region.mask()
    expectation, masks = analysis.expectation, analysis.masks
    if analysis.loose is None:
        # Light that is only expected may be missing, or twice as much.
        return float(np.mean(expectation.left(number)[judged]))
    sources = masks.seen & masks.usable[number] & ~masks.empty[number] & region.mask()
    # From the rates, not from the step's products: a fault must not raise its own limit.
    light = expectation.science[number].data - expectation.combined.data
    return float(_UNSEEN_LIGHT * light[sources].sum() / np.count_nonzero(sources | judged))


def _weighted(image, variance, good):
    """Return the mean of good pixels that are weighted with their variance."""
    return np.average(image[good], weights=1 / variance[good])


def _regions(image, residual, analysis):
    """Yield each region, a residual less its mean there, its variance, where it is good."""
    scatter = np.sqrt(residual.variance)
    for region in analysis.masks.regions.values():
        inside, spread = image[region.slices], scatter[region.slices]
        good = np.isfinite(spread)
        if not good.any():
            continue  # the mean residual shows it
        level = _weighted(inside, spread**2, good)
        good &= np.abs(inside - level) < _CLIP * spread
        if not good.any():
            continue
        level = _weighted(inside, spread**2, good)
        yield region, np.where(good, inside - level, 0.0), spread**2, good


def _slopes(inside, spread, good):
    """Return by how much a region differs from side to side along x and y, and the errors."""
    weights = np.where(good, 1 / spread, 0.0)
    columns, rows = (np.arange(size) / (size - 1) - 0.5 for size in inside.shape[::-1])
    weighted, (of_columns, of_rows) = weights * inside, (weights.sum(axis=axis) for axis in (0, 1))
    x, y = of_columns @ columns, of_rows @ rows
    normal = np.array(
        [
            [of_columns.sum(), x, y],
            [x, of_columns @ columns**2, rows @ weights @ columns],
            [y, rows @ weights @ columns, of_rows @ rows**2],
        ]
    )
    moments = [
        weighted.sum(),
        weighted.sum(axis=0) @ columns,
        weighted.sum(axis=1) @ rows,
    ]
    return np.linalg.solve(normal, moments)[1:], np.sqrt(np.diag(np.linalg.inv(normal)))[1:]


def _gradients(residual, analysis):
    """Yield region, direction, slope and error of a residual."""
    for region, inside, spread, good in _regions(residual.image, residual, analysis):
        for direction, slope, error in zip("xy", *_slopes(inside, spread, good), strict=True):
            yield f"{region.name}, {direction}", slope, error


def gradients(analysis):
    """Yield by how much the residual differs from side to side of each region.

    In the mean of all exposures by region; in each exposure where it does most.
    """
    for place, slope, error in _gradients(analysis.residuals.mean, analysis):
        yield Measurement("gradient", place, None, slope, error)
    if len(analysis.numbers) == 1:
        return
    for number, residual in enumerate(analysis.residuals.each):
        found = [(slope, error, 1, place) for place, slope, error in _gradients(residual, analysis)]
        yield from _furthest("gradient", number, found)


def _furthest(criterion, number, found):
    """Yield which of several statistics of an exposure is furthest off, with its place.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    number : int
        Science exposure, from 0.
    found : list of tuple
        Value, error, number of statistics that it is the furthest of, and place in words.
    """
    if found:
        value, error, _, place = max(found, key=lambda each: abs(each[0]) / each[1])
        trials = sum(each[2] for each in found)
        yield Measurement(criterion, WHOLE_ARRAY, number + 1, value, error, trials, place)


@dataclass(frozen=True)
class Lines:
    """Mean residuals of the rows or of the columns of a region.

    Parameters
    ----------
    criterion : str
        "rows" or "columns".
    region : Region
        The region.
    numbers : ndarray of int
        Rows or columns of the array that have enough judged pixels.
    means, errors : ndarray
        Mean residual less that of the region, DN/s, and its standard error.
    """

    criterion: str
    region: Region
    numbers: np.ndarray
    means: np.ndarray
    errors: np.ndarray


def line_means(analysis, residual=None):
    """Yield the means of the columns, and of the rows, of each region.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.
    residual : MeanResidual, optional
        Of one exposure; by default the mean of all.

    Yields
    ------
    Lines
        Where a region has lines that can be judged.
    """
    residual = analysis.residuals.mean if residual is None else residual
    # Without what whole outputs have in common, which is judged by itself.
    for region, inside, spread, good in _regions(residual.levelled, residual, analysis):
        weights = np.where(good, 1 / spread, 0.0)
        for criterion, axis in (("columns", 0), ("rows", 1)):
            enough = good.sum(axis=axis) > _LEAST_JUDGED * inside.shape[axis]
            if not enough.any():
                continue
            weight = weights.sum(axis=axis)[enough]
            means = (weights * inside).sum(axis=axis)[enough] / weight
            errors = np.sqrt(1 / weight)
            first = (region.x if criterion == "columns" else region.y).start
            yield Lines(criterion, region, first + np.flatnonzero(enough), means, errors)


def lines(analysis):
    """Yield the row and the column that are furthest off the other pixels of their region.

    In the mean of all exposures by region, and in each exposure.
    """
    for each in line_means(analysis):
        worst = np.argmax(np.abs(each.means) / each.errors)
        yield Measurement(
            each.criterion,
            each.region.name,
            None,
            each.means[worst],
            each.errors[worst],
            each.means.size,
        )
    if len(analysis.numbers) == 1:
        return
    for number, residual in enumerate(analysis.residuals.each):
        found = {"columns": [], "rows": []}
        for each in line_means(analysis, residual):
            worst = np.argmax(np.abs(each.means) / each.errors)
            place = f"{each.criterion[:-1]} {each.numbers[worst]} (from 0) of {each.region.name}"
            found[each.criterion].append(
                (each.means[worst], each.errors[worst], each.means.size, place)
            )
        for criterion, several in found.items():
            yield from _furthest(criterion, number, several)


def outputs(analysis):
    """Yield the output, an amplifier in odd or even rows, that is furthest off the others.

    In the mean of all exposures, and in each.
    """
    residuals = [analysis.residuals.mean]
    if len(analysis.numbers) > 1:
        residuals += analysis.residuals.each
    for number, residual in enumerate(residuals):
        means, good = np.array(residual.set_means), residual.good
        known = np.isfinite(means)
        if not known.any():
            continue  # the mean residual shows it
        deviations = means[known] - means[known].mean()
        pixels = np.count_nonzero(good) / known.sum()
        of_pixels = np.median(residual.variance[good]) / pixels
        # All sets together have the common variance: each has as many times of it as there are.
        of_set = 2 * AMPLIFIERS * residual.common
        error = np.sqrt((of_pixels + of_set) * (1 - 1 / known.sum()))
        worst = np.argmax(np.abs(deviations))
        yield Measurement(
            "outputs",
            WHOLE_ARRAY,
            number or None,  # the first is the mean
            deviations[worst],
            error,
            int(known.sum()),
        )


def aperture_pulls(analysis):
    """Yield the fluxes of each region's apertures on empty sky in units of their noise.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.

    Yields
    ------
    region : Region
        The region.
    pulls : ndarray
        Of the mean residual of all exposures; standard normal for independent pixels.
    """
    mean, judged = analysis.residuals.mean, analysis.residuals.mean.good
    flat = np.where(judged, mean.levelled, 0.0)
    predicted = _mean_of_smooth_variances(analysis)[judged]
    expected = np.zeros(judged.shape)
    expected[judged] = mean.variance[judged] * predicted / np.mean(predicted)
    for region in analysis.masks.regions.values():
        total, squares, pixels = _aperture_sums((flat, expected, judged.astype(float)), region)
        enough = pixels > _LEAST_COVERED * CircularAperture((0, 0), _APERTURE_RADIUS).area
        yield region, total[enough] / np.sqrt(squares[enough])


def _mean_of_smooth_variances(analysis):
    """Return the mean of the variances that a pixel's noise does not alter where it is judged."""
    total, count = (np.zeros(analysis.residuals.mean.good.shape) for _ in range(2))
    for number in analysis.numbers:
        judged = analysis.residuals.judged[number]
        total[judged] += _smooth_noise(analysis, number)[judged] ** 2
        count += judged
    return total / np.maximum(count, 1)


def aperture_scatter(analysis):
    """Yield by how much fluxes in apertures on empty sky scatter more than predicted."""
    for region, pulls in aperture_pulls(analysis):
        kept = pulls[np.abs(pulls) < _CLIP]
        if kept.size < 2:
            continue
        value = 100 * (kept.std(ddof=1) / _CLIPPED_SCATTER - 1)
        error = 100 / np.sqrt(2 * (kept.size - 1))
        yield Measurement("aperture scatter", region.name, None, value, error)


def _aperture_sums(images, region):
    """Return the sums of images in apertures at random places that do not overlap in a region."""
    generator = np.random.default_rng(_SEED)
    side = int(2 * _APERTURE_RADIUS + 1)
    margin = _APERTURE_RADIUS + 1
    # A grid with room for the apertures, put anywhere.
    x, y = (
        np.arange(span.start + margin + generator.uniform(0, 1), span.stop - margin, side)
        for span in (region.x, region.y)
    )
    # All places are whole pixels apart, and have the same mask.
    mask = CircularAperture((x[0], y[0]), _APERTURE_RADIUS).to_mask(method="center")
    windows = np.ix_(
        mask.bbox.iymin + side * np.arange(y.size), mask.bbox.ixmin + side * np.arange(x.size)
    )
    return [
        np.tensordot(sliding_window_view(image, mask.shape)[windows], mask.data).ravel()
        for image in images
    ]


def noise(analysis):
    """Yield by how much residuals scatter more than the reported errors predict."""
    for number in analysis.numbers:
        judged = analysis.residuals.judged[number]
        pulls = analysis.residuals.each[number].levelled / _smooth_noise(analysis, number)
        expectation = analysis.expectation
        seen, uncertainty = expectation.drawn.in_sight(expectation.science_noise[number])
        value = 100 * (clipped_scatter(pulls[judged]) / seen - 1)
        count = np.count_nonzero(judged)
        error = 100 * uncertainty * CLIPPED_ERROR / np.sqrt(2 * count) if count else np.nan
        beside = _NOT_NORMAL if analysis.expectation.truth else _UNREPORTED
        yield Measurement("noise", WHOLE_ARRAY, number + 1, value, np.hypot(error, beside))


def _smooth_noise(analysis, number):
    """Return the noise of a residual that a pixel's own noise does not alter, DN/s."""
    regions, judged = analysis.masks.regions.values(), analysis.residuals.judged[number]
    return analysis.expectation.reported.smooth(number, regions, judged)


def statistical_measurements(analysis):
    """Return what can be measured without knowing the truth.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.

    Returns
    -------
    list of Measurement
        In the order in which they are shown.
    """
    measures = (
        *(residuals, gradients, outputs, lines, aperture_scatter, noise),
        flagged_pixels,
    )
    measured = [measurement for measure in measures for measurement in measure(analysis)]
    if analysis.loose is None:
        return measured
    loosely = {
        (each.criterion, each.region, each.exposure): each
        for measure in measures
        for each in measure(analysis.loose)
    }
    return [
        with_fainter_sources(each, loosely.get((each.criterion, each.region, each.exposure), each))
        for each in measured
    ]


def with_fainter_sources(measurement, loosely):
    """Return a measurement with what fainter sources than those that were found may do to it.

    Parameters
    ----------
    measurement : Measurement
        Without the sources that were found.
    loosely : Measurement
        The same with the faintest of them left in.

    Returns
    -------
    Measurement
        With the difference of both in its error, if it has one.
    """
    if measurement.error is None:
        return measurement
    error = np.hypot(measurement.error, measurement.value - loosely.value)
    return replace(measurement, error=float(error))
