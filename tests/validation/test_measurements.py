"""A correct background step passes, and every criterion is seen to fail on a fault of its own.

The products are arrays: noise around a simple truth, combined by astropy's sigma clipping and
subtracted, as the step's documentation says.
"""

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning

from miri_background.instrument.detector import (
    FRAME_TIME,
    GAIN,
    SHAPE,
    bad_pixels,
    reference_pixels,
)
from miri_background.instrument.footprint import illuminated, regions
from miri_background.observation import DITHER_PATTERN
from miri_background.outcomes import CannotJudge
from miri_background.validation.measurements import (
    Analysis,
    combined_backgrounds,
    end_weighting,
    measure,
    residuals,
    sky_rates,
    source_fluxes,
    star_leak,
    steps,
    subtraction,
)
from miri_background.validation.products import DO_NOT_USE, JUMP_DET, Image, Products, Truth
from miri_background.validation.verdict import criteria, judge

SEED = 770
EXPOSURES = 4
SIGMA, MAXITERS = 2.0, 3
SKY = 14.0  # DN/s, what 5.5 MJy/sr give in F770W
SKY_SLOPE = 1e-5  # of the sky, per pixel
NOISE = 0.3  # DN/s
GROUPS = 20
PHOTON_TIME = GAIN * FRAME_TIME * (GROUPS - 3)
READ_VARIANCE = 0.01  # (DN/s)^2
STAR_WIDTH, GALAXY_WIDTH = 1.2, 6.0  # pixels, standard deviation
STAMP = 40  # pixels: half the size of a source's image
ARCSEC_PER_PIXEL = 0.11
K = 4.0  # standard errors that a correct number may be off: 1 chance in 16 000
CLIPPING_COST = 1.09  # scatter of the clipped mean of four at sigma 2 over that of the plain one
GALAXY = (640.0, 500.0, 2000.0)  # x, y in pixels, DN/s
SMALL_REGION = "4QPM 1065"
PEDESTAL = 0.01  # DN/s: five standard errors of a 4QPM's residual
# Which measurement each criterion judges.
FAMILIES = {
    "step": steps,
    "combined value": combined_backgrounds,
    "combined error": combined_backgrounds,
    "combined DQ": combined_backgrounds,
    "subtraction": subtraction,
    "subtraction DQ": subtraction,
    "residual": residuals,
    "star leak": star_leak,
    "star flux": source_fluxes,
    "galaxy flux": source_fluxes,
    "sky rate": sky_rates,
}
# Lists with an item for each science exposure.
OF_SCIENCE = ("science", "subtracted", "combined", "calibrated_headers", "science_truth")


# ------------------------------------------------------------------ correct products


def star_positions(count, generator):
    """Return x and y of stars in the imager, far enough from its edges for every dither."""
    imager = regions()["imager"]
    return np.column_stack(
        [
            generator.uniform(edge.start + 1.5 * STAMP, edge.stop - 1.5 * STAMP, count)
            for edge in (imager.x, imager.y)
        ]
    )


def exposure_truth(sources, dither):
    """Return the truth of one dither; sources are rows of x, y, DN/s, width in pixels."""
    y, x = np.indices(SHAPE)
    sky = np.where(illuminated(), SKY * (1 + SKY_SLOPE * (x - SHAPE[1] / 2)), 0.0)
    light = np.zeros(SHAPE)
    placed = np.array(sources, dtype=float)
    placed[:, :2] += np.array(DITHER_PATTERN[dither]) / ARCSEC_PER_PIXEL
    for column, row, flux, width in placed:
        box = tuple(slice(round(at) - STAMP, round(at) + STAMP + 1) for at in (row, column))
        distance = (x[box] - column) ** 2 + (y[box] - row) ** 2
        light[box] += flux / (2 * np.pi * width**2) * np.exp(-distance / (2 * width**2))
    kind = np.where(placed[:, 3] == GALAXY_WIDTH, "galaxy", "star")
    catalogue = QTable({"x": placed[:, 0], "y": placed[:, 1], "flux": placed[:, 2], "kind": kind})
    return Truth(sky, np.where(illuminated(), light, 0.0), catalogue)


def rate_image(truth, generator, read_variance):
    """Return the rate that a detector with reference pixels gives for a truth."""
    known = truth.background + truth.sources
    scatter = np.sqrt(NOISE**2 + truth.sources / PHOTON_TIME)
    data = known + scatter * generator.standard_normal(SHAPE)
    # The noise of the reference pixels' mean gets into all pixels alike.
    data += generator.normal(0.0, np.sqrt(read_variance / np.count_nonzero(reference_pixels())))
    dq = np.where(bad_pixels() > 0, DO_NOT_USE, 0) | np.where(
        generator.random(SHAPE) < 0.005, JUMP_DET, 0
    )
    data[bad_pixels() > 0] = np.nan
    return Image(
        "in memory",
        fits.Header({"NGROUPS": GROUPS}),
        data.astype(np.float32),
        (scatter * generator.uniform(0.95, 1.05, SHAPE)).astype(np.float32),
        dq.astype(np.uint32),
        np.full(SHAPE, read_variance, dtype=np.float32),
    )


def average(backgrounds, sigma=SIGMA):
    """Return the combined background as the step's documentation defines it."""
    values = np.stack([image.data for image in backgrounds]).astype(float)
    with warnings.catch_warnings():
        # That it clips what is not finite is asked for.
        warnings.simplefilter("ignore", AstropyUserWarning)
        clipped = sigma_clip(values, sigma=sigma, maxiters=MAXITERS, axis=0)
    squares = np.ma.masked_array(
        np.stack([image.err for image in backgrounds]).astype(float) ** 2, clipped.mask
    )
    return Image(
        "in memory",
        fits.Header(),
        clipped.mean(axis=0).filled(0.0).astype(np.float32),
        (np.ma.sqrt(squares.sum(axis=0)) / squares.count(axis=0)).filled(0.0).astype(np.float32),
        np.bitwise_or.reduce([image.dq for image in backgrounds]),
    )


def subtract(rate, background):
    """Return the background-subtracted image."""
    return replace(rate, data=rate.data - background.data, dq=rate.dq | background.dq)


def completed(products, background):
    """Return products whose background step subtracted this background everywhere."""
    return replace(
        products,
        combined=[background] * len(products.science),
        subtracted=[subtract(rate, background) for rate in products.science],
    )


def make_truths():
    """Return the truth of the science and of the background exposures."""
    scene = np.random.default_rng(SEED)
    science, background = (
        np.column_stack([star_positions(len(flux), scene), flux, np.full(len(flux), STAR_WIDTH)])
        for flux in (np.geomspace(20, 5000, 40), np.geomspace(50, 1000, 12))
    )
    return [
        [exposure_truth(sources, dither) for dither in range(EXPOSURES)]
        for sources in ([*science, (*GALAXY, GALAXY_WIDTH)], background)
    ]


def make_products(truths, seed, read_variance=READ_VARIANCE):
    """Return the products of a correct step for one realisation of the noise."""
    generator = np.random.default_rng(seed)
    rates = [[rate_image(truth, generator, read_variance) for truth in field] for field in truths]
    header = fits.Header({"S_BKDSUB": "COMPLETE"})
    products = Products(*rates, [], [], [header] * EXPOSURES, *truths, SIGMA, MAXITERS)
    return completed(products, average(products.backgrounds))


@pytest.fixture(scope="module")
def truths():
    """Return the truth of all exposures, science first."""
    return make_truths()


@pytest.fixture(scope="module")
def products(truths):
    """Return the products of a correct step."""
    return make_products(truths, SEED)


@pytest.fixture(scope="module")
def analysis(products):
    """Return their analysis."""
    return Analysis(products)


@pytest.fixture(scope="module")
def correct(analysis):
    """Return all measurements of the correct step."""
    return measure(analysis)


@pytest.fixture
def broken(analysis, correct):
    """Give the criteria, of some, that the first exposure of faulty products breaks."""

    def names(products, some):
        faulty = copy.copy(analysis)
        faulty.products = replace(
            products, **{name: getattr(products, name)[:1] for name in OF_SCIENCE}
        )
        families = dict.fromkeys(FAMILIES[criterion] for criterion in some)
        measured = [each for family in families for each in family(faulty)]
        # Judged together with all others, which the limits depend on.
        others = [each for each in correct if FAMILIES[each.criterion] not in families]
        return {metric.name for metric in judge(measured + others) if not metric.passed}

    return names


# ------------------------------------------------------------------ faults of the step


def changed(images, change):
    """Return images with changed values."""
    return [replace(image, data=change(image.data).astype(np.float32)) for image in images]


def plain_mean(products):
    """Average without clipping."""
    return completed(products, average(products.backgrounds, sigma=np.inf))


def background_dropped(products):
    """Average all backgrounds but the last."""
    return completed(products, average(products.backgrounds[:-1]))


def another_sigma(products):
    """Clip at the step's default instead of the threshold that it was given."""
    return completed(products, average(products.backgrounds, sigma=3.0))


def added(products):
    """Add the background."""
    images = zip(products.subtracted, products.combined, strict=True)
    added = [replace(image, data=image.data + 2 * background.data) for image, background in images]
    return replace(products, subtracted=added)


def scaled(products):
    """Scale the background by 0.1 %."""
    return completed(products, *changed(products.combined[:1], lambda data: 1.001 * data))


def shifted(products):
    """Shift the background by a pixel."""
    return completed(products, *changed(products.combined[:1], lambda data: np.roll(data, 1, 1)))


def error_off(products):
    """Give an error that is 1 % too large."""
    image = products.combined[0]
    return completed(products, replace(image, err=np.float32(1.01) * image.err))


def one_bit(image, flag=JUMP_DET):
    """Return an image with one bit of one pixel turned."""
    dq = image.dq.copy()
    dq[SHAPE[0] // 2, SHAPE[1] // 2] ^= flag
    return replace(image, dq=dq)


def wrong_bit_of_background(products):
    """Get one flag of the background wrong."""
    return completed(products, one_bit(products.combined[0]))


def wrong_bit_of_subtracted(products):
    """Get one flag of one subtracted image wrong."""
    first, *others = products.subtracted
    return replace(products, subtracted=[one_bit(first), *others])


def skipped(products):
    """Give on the rates, and say so."""
    headers = [fits.Header({"S_BKDSUB": "SKIPPED"})] * EXPOSURES
    return replace(
        products,
        combined=[None] * EXPOSURES,
        subtracted=products.science,
        calibrated_headers=headers,
    )


def flux_lost(products):
    """Scale the subtracted images by 2 %."""
    return replace(products, subtracted=changed(products.subtracted, lambda data: 0.98 * data))


def galaxy_eaten(products):
    """Take a twentieth of an extended source for background."""
    subtracted = []
    for image, truth in zip(products.subtracted, products.science_truth, strict=True):
        (galaxy,) = truth.catalogue[truth.catalogue["kind"] == "galaxy"]
        row, column = round(galaxy["y"]), round(galaxy["x"])
        box = slice(row - STAMP, row + STAMP), slice(column - STAMP, column + STAMP)
        data = image.data.copy()
        data[box] -= np.float32(0.05) * truth.sources[box].astype(np.float32)
        subtracted.append(replace(image, data=data))
    return replace(products, subtracted=subtracted)


def neighbours_of_bad_pixels(data):
    """Return values with the pixels right of those that are not a number lost as well."""
    return np.where(np.isnan(np.roll(data, 1, axis=1)), np.nan, data)


def not_a_number_spread_in_subtracted(products):
    """Lose pixels of the subtracted images."""
    return replace(products, subtracted=changed(products.subtracted, neighbours_of_bad_pixels))


def not_a_number_spread_in_background(products):
    """Lose the pixels of the background that lack any of the exposures' flags."""
    image = products.combined[0]
    data = np.where(image.dq > 0, np.nan, image.data).astype(np.float32)
    return completed(products, replace(image, data=data))


def region_lost(products):
    """Lose all pixels of one 4QPM in the subtracted images."""
    lost = regions()[SMALL_REGION].mask()
    images = changed(products.subtracted, lambda data: np.where(lost, np.nan, data))
    return replace(products, subtracted=images)


def rates_off(products):
    """Get all rates 0.5 % too large."""
    science, backgrounds = (
        changed(images, lambda data: 1.005 * data)
        for images in (products.science, products.backgrounds)
    )
    faulty = replace(products, science=science, backgrounds=backgrounds)
    return completed(faulty, average(backgrounds))


# What is broken at least, as a certain consequence and not by chance.
FAULTS = {
    plain_mean: {"combined value", "combined error", "star leak"},
    another_sigma: {"combined value", "combined error", "star leak"},
    background_dropped: {"combined value", "combined error"},
    added: {"subtraction", "residual"},
    scaled: {"combined value", "residual"},
    shifted: {"combined value"},
    error_off: {"combined error"},
    wrong_bit_of_background: {"combined DQ"},
    wrong_bit_of_subtracted: {"subtraction DQ"},
    skipped: {"step", "residual"},
    flux_lost: {"subtraction", "star flux", "galaxy flux"},
    galaxy_eaten: {"subtraction", "galaxy flux"},
    not_a_number_spread_in_subtracted: {"subtraction"},
    not_a_number_spread_in_background: {"combined value"},
    region_lost: {"subtraction", "residual"},
    rates_off: {"sky rate", "star flux"},
}


def test_correct_step_passes(correct):
    """Nothing fails where nothing is wrong."""
    assert [metric.sentence() for metric in judge(correct) if not metric.passed] == []


def test_correct_step_is_measured_by_every_criterion(correct):
    """No criterion passes for lack of a measurement."""
    assert {each.criterion for each in correct} == set(criteria()["criteria"])


def test_every_criterion_has_a_fault():
    """Each criterion is seen to fail below."""
    assert set().union(*FAULTS.values()) == set(criteria()["criteria"])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.replace("_", " "))
def test_fault_is_caught(products, broken, fault):
    """A fault breaks every criterion that it should."""
    assert broken(fault(products), FAULTS[fault]) >= FAULTS[fault]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (error_off, "combined error"),
        (wrong_bit_of_background, "combined DQ"),
        (wrong_bit_of_subtracted, "subtraction DQ"),
        (not_a_number_spread_in_background, "combined value"),
    ],
    ids=lambda value: getattr(value, "__name__", "as").replace("_", " "),
)
def test_fault_is_told_from_others(products, broken, fault, name):
    """A fault of one array breaks the exact criterion of that array and no other."""
    exact = {name for name, each in criteria()["criteria"].items() if each["kind"] == "exact"}
    assert broken(fault(products), exact) == {name}


# ------------------------------------------------------------------ what numbers mean


def measured(analysis, family, products):
    """Return measurements of other products that share the analysis."""
    faulty = copy.copy(analysis)
    faulty.products = products
    return list(family(faulty))


def test_wrong_pixels_are_counted(analysis, products):
    """The value is a number of pixels."""
    measurements = measured(analysis, combined_backgrounds, wrong_bit_of_background(products))
    assert {each.value for each in measurements if each.criterion == "combined DQ"} == {1}


def test_skipped_steps_are_counted(analysis, products):
    """The value is a number of products."""
    headers = [*products.calibrated_headers[1:], fits.Header({"S_BKDSUB": "SKIPPED"})]
    (step,) = measured(analysis, steps, replace(products, calibrated_headers=headers))
    assert step.value == 1


def test_step_that_says_nothing_is_not_complete(analysis, products):
    """A header without the keyword does not prove that the step was done."""
    headers = [fits.Header()] * EXPOSURES
    (step,) = measured(analysis, steps, replace(products, calibrated_headers=headers))
    assert step.value == EXPOSURES


def test_exposures_are_told_apart(analysis, products):
    """A fault of the first exposure is not put down to another."""
    measurements = measured(analysis, subtraction, wrong_bit_of_subtracted(products))
    assert [each.exposure for each in measurements if each.value] == [1]


@pytest.fixture(scope="module")
def residuals_with_pedestal(analysis, products):
    """Return residuals with a pedestal in one 4QPM of the science rates."""
    pedestal = np.where(regions()[SMALL_REGION].mask(), PEDESTAL, 0.0)
    science = changed(products.science, lambda data: data + pedestal)
    faulty = completed(replace(products, science=science), products.combined[0])
    return measured(analysis, residuals, faulty)


def test_pedestal_is_caught_in_its_region(correct, residuals_with_pedestal):
    """Less than a thousandth of the sky, in one small region, is seen there and only there."""
    others = [each for each in correct if each.criterion != "residual"]
    metrics = judge(residuals_with_pedestal + others)
    assert {each.region for each in metrics if not each.passed} == {SMALL_REGION}


def test_residual_is_in_rate_units(correct, residuals_with_pedestal):
    """A pedestal moves the residual of its region by itself, and those of no other."""
    before = [each.value for each in correct if each.criterion == "residual"]
    pairs = zip(residuals_with_pedestal, before, strict=True)
    moved = [each.value - value for each, value in pairs]
    expected = [
        PEDESTAL if each.region == SMALL_REGION else 0.0 for each in residuals_with_pedestal
    ]
    # float32 rates between 8 and 16 DN/s are multiples of 2^-20.
    np.testing.assert_allclose(moved, expected, atol=2.0**-21)


def test_lost_flux_is_in_percent(analysis, products, correct):
    """Two percent less light is minus two percent."""
    before = {each.criterion: each.value for each in correct}
    for each in measured(analysis, source_fluxes, flux_lost(products)):
        assert each.value - before[each.criterion] == pytest.approx(-2.0, rel=0.01)


def test_unclipped_stars_leak_a_quarter(analysis, products):
    """One of four exposures sees a star, and the plain mean keeps its quarter."""
    (leak,) = measured(analysis, star_leak, plain_mean(products))
    # Faint wings leak a quarter in either mean: the excess over the prediction is less.
    assert leak.value == pytest.approx(25.0, rel=0.1)


@pytest.mark.parametrize("groups", [4, 8, 18, 48])
def test_end_weighting_is_that_of_two_reads(groups):
    """The ratio is that of the two fits' own sums over unit noise."""
    times = np.arange(groups) - (groups - 1) / 2
    equal = 1 / np.sum(times**2)
    ends = 2 / (groups - 1) ** 2
    assert end_weighting(groups) == pytest.approx(ends / equal)


def test_residual_error_has_pixel_and_common_noise(correct):
    """The error is that of the pixels' mean and of the noise that all pixels share."""
    backgrounds_noise = 1 + CLIPPING_COST**2 / EXPOSURES
    (error,) = {
        each.error
        for each in correct
        if (each.criterion, each.region, each.exposure) == ("residual", "imager", 1)
    }
    shared = READ_VARIANCE * end_weighting(GROUPS - 2) / np.count_nonzero(reference_pixels())
    common = shared * (1 + 1 / EXPOSURES)
    pixels = regions()["imager"].area
    # Between all of the region's pixels and the seven in ten that are sky without a flag.
    low, high = (
        np.sqrt(common + NOISE**2 * backgrounds_noise / number) for number in (pixels, 0.7 * pixels)
    )
    assert low < error < high


def test_sky_noise_is_that_of_a_rate(analysis):
    """The noise of one rate is found from differences of backgrounds."""
    # Clipping pixels at 3 standard deviations takes 1.5 % of the scatter.
    assert analysis.sky_noise == pytest.approx(NOISE, rel=0.02)


def test_sky_keeps_away_from_sources(analysis, products):
    """No judged pixel has a source brighter than the noise."""
    sources = [each.sources for each in products.science_truth + products.background_truth]
    assert np.max(sources, axis=0)[analysis.sky].max() < NOISE


@pytest.mark.parametrize("flag", [DO_NOT_USE, JUMP_DET])
def test_flagged_pixels_are_not_judged(analysis, products, flag):
    """A flag in any of the exposures takes a pixel out of the residual."""
    image = products.backgrounds[-1]
    assert not np.any(analysis.judged(0) & ((image.dq & flag) > 0))


def test_truth_is_not_needed(analysis, products):
    """With real references only what needs no truth is measured."""
    faulty = copy.copy(analysis)
    one = {name: getattr(products, name)[:1] for name in ("science", "combined", "subtracted")}
    faulty.products = replace(products, **one)
    needing_truth = (star_leak, source_fluxes, sky_rates)
    expected = {name for name, family in FAMILIES.items() if family not in needing_truth}
    assert {each.criterion for each in measure(faulty, truth=False)} == expected


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["crowded", "flagged"])
def test_region_without_sky_cannot_be_judged(products, fault):
    """Where no empty sky is left, no residual says anything about the step."""
    small = regions()[SMALL_REGION].mask()
    if fault == "crowded":
        first, *others = products.science_truth
        crowded = replace(first, sources=np.where(small, SKY, first.sources))
        faulty = replace(products, science_truth=[crowded, *others])
    else:
        first, *others = products.science
        flagged = replace(first, dq=np.where(small, np.uint32(JUMP_DET), first.dq))
        faulty = replace(products, science=[flagged, *others])
    with pytest.raises(CannotJudge, match=f"^{SMALL_REGION} has no pixel of empty sky"):
        Analysis(faulty)


# ------------------------------------------------------------------ false alarms

REALISATIONS = 5


@pytest.fixture(scope="module")
def residuals_over_errors(truths):
    """Return residuals in units of their errors: realisations, exposures, regions."""
    scores = []
    for seed in range(REALISATIONS):
        # Without the common noise, which would make the regions depend on each other.
        analysis = Analysis(make_products(truths, seed, read_variance=0.0))
        scores.append([each.value / each.error for each in residuals(analysis)])
    return np.reshape(scores, (REALISATIONS, EXPOSURES, len(regions())))


# Residuals of exposures share their background: its part of their variance.
BACKGROUND_VARIANCE = CLIPPING_COST**2 / EXPOSURES
CORRELATION = BACKGROUND_VARIANCE / (1 + BACKGROUND_VARIANCE)


@pytest.mark.slow
def test_residuals_are_unbiased(residuals_over_errors):
    """Over realisations of the noise the residual of a correct step is zero."""
    variance = (1 + (EXPOSURES - 1) * CORRELATION) / residuals_over_errors.size
    assert abs(residuals_over_errors.mean()) < K * np.sqrt(variance)


@pytest.mark.slow
def test_residuals_scatter_by_their_errors(residuals_over_errors):
    """Over realisations of the noise the residual scatters as predicted."""
    variance = 2 * (1 + (EXPOSURES - 1) * CORRELATION**2) / residuals_over_errors.size
    assert abs(np.mean(residuals_over_errors**2) - 1) < K * np.sqrt(variance)
