"""A correct background step passes, and every criterion is seen to fail on a fault of its own.

The products are arrays: noise around a simple truth, combined by astropy's sigma clipping and
subtracted, as the step's documentation says.
"""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning
from scipy.ndimage import gaussian_filter

from miri_background.detection.power import PERTURBATIONS, power
from miri_background.instrument.detector import (
    AMPLIFIERS,
    GAIN,
    READ_NOISE,
    bad_pixels,
    reference_pixels,
)
from miri_background.instrument.footprint import illuminated, regions
from miri_background.instrument.readout import Readout, frame_time, subarrays
from miri_background.observation import DITHER_PATTERN
from miri_background.outcomes import CannotJudge
from miri_background.validation.judgement import measure
from miri_background.validation.measurements.against_truth import (
    background_levels,
    reported_variances,
    source_fluxes,
    star_leak,
)
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.measurements.calibrated import calibrated_measurements
from miri_background.validation.measurements.exact import exact_measurements
from miri_background.validation.measurements.flagged import flagged_pixels
from miri_background.validation.measurements.statistical import (
    aperture_scatter,
    gradients,
    lines,
    noise,
    outputs,
    residuals,
)
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.prediction.slopes import (
    pipeline_weights,
    read_weighting,
    slope_noise,
)
from miri_background.validation.products.images import DO_NOT_USE, JUMP_DET, Image, Products, Truth
from miri_background.validation.verdict.limits import criteria, judge

SEED = 770
EXPOSURES = 4
TABLES = ["image2_asn.json"] * EXPOSURES
SIGMA, MAXITERS = 2.0, 3
SKY = 14.0  # DN/s, what 5.5 MJy/sr give in F770W
SKY_SLOPE = 1e-5  # of the sky, per pixel
STAR_WIDTH, GALAXY_WIDTH = 1.2, 6.0  # pixels, standard deviation
STAMP = 40  # pixels: half the size of a source's image
NOISE = 0.3  # DN/s, about that of a pixel
DITHER_REACH = 27  # pixels
ARCSEC_PER_PIXEL = 0.11
K = 4.0  # standard errors that a correct number may be off: 1 chance in 16 000
CLIPPING_COST = 1.09  # scatter of the clipped mean of four at sigma 2 over that of the plain one
GALAXY = 4000.0  # DN/s, in the middle of the imager
PEDESTAL = 0.02  # DN/s: seven standard errors of a 4QPM's residual
# Which measurement each criterion judges.


def exact(analysis):
    """Return what is exact of an analysis."""
    return exact_measurements(analysis.products, analysis.expectation.combined)


# Of files that the calibrated products are in; see test_calibrated.py.
CALIBRATED = {"calibrated value", "calibrated error", "calibrated DQ"}
JUDGED = set(criteria()["criteria"]) - CALIBRATED
FAMILIES = {
    **{
        name: exact
        for name, criterion in criteria()["criteria"].items()
        if criterion["kind"] == "exact" and name not in CALIBRATED
    },
    "usable area": calibrated_measurements,
    "flagged pixels": flagged_pixels,
    "flagged scatter": flagged_pixels,
    "read variance": reported_variances,
    "photon variance": reported_variances,
    "residual": residuals,
    "gradient": gradients,
    "outputs": outputs,
    "columns": lines,
    "rows": lines,
    "aperture scatter": aperture_scatter,
    "noise": noise,
    "background level": background_levels,
    "star leak": star_leak,
    "star flux": source_fluxes,
    "galaxy flux": source_fluxes,
}
# Lists with an item for each science exposure.
OF_SCIENCE = ("science", "subtracted", "combined", "calibrated_headers", "science_truth")


# ------------------------------------------------------------------ correct products


def examine(products, truth=True):
    """Return products beside what is expected of them."""
    return Analysis(products, Expectation(products, truth))


@dataclass(frozen=True)
class Kind:
    """What is read, how long, and how many stars there are in it.

    Parameters
    ----------
    subarray : str
        Name of the subarray.
    groups : int
        Groups in the only integration.
    science_stars, background_stars : int
        Stars in the imager.
    """

    subarray: str
    groups: int
    science_stars: int
    background_stars: int

    @property
    def read(self):
        """What is read of the detector."""
        return subarrays()[self.subarray]

    @cached_property
    def detector(self):
        """The detector as it is read."""
        return KnownDetector(Readout(self.subarray, "FASTR1", self.groups, 1))

    def noise(self, rate):
        """Return the noise of a rate in each pixel, and what the pipeline reports, DN/s."""
        detector = self.detector
        known = rate + detector.dark
        reads = detector.read_noise(known)
        averaging = pipeline_weights(detector.fitted)
        true, _ = slope_noise(known, detector.gain, reads, detector.time, averaging)
        _, reported = slope_noise(
            rate, detector.gain, detector.raw_read_noise, detector.time, averaging
        )
        return true, reported

    @cached_property
    def sky_noise(self):
        """Noise of a rate on empty sky, DN/s."""
        good = self.detector.good
        return float(np.sqrt(np.mean(self.noise(SKY)[0][good] ** 2)))

    @cached_property
    def read_variance(self):
        """What reads add to the reported variance of a rate, (DN/s)^2."""
        groups = self.groups - 2
        reads = self.detector.raw_read_noise / self.detector.time
        return 12 * reads**2 / (groups**3 - groups)

    @cached_property
    def common_variance(self):
        """What the reads of all pixels of a rate have in common, (DN/s)^2."""
        reads = float(np.median(self.read_variance[self.detector.good]))
        fitted = self.groups - 2
        electrons = GAIN * frame_time("FASTR1", self.subarray) * (fitted - 1) * SKY
        ratio = electrons / np.sqrt(electrons + (GAIN * READ_NOISE) ** 2)
        shared = {
            # The noise of the mean of 8 columns of reference pixels ...
            "FULL": 1 / (8 * 1024),
            # ... or, without any, a drift of 1 DN of eight outputs, where a read has 6 DN of noise.
            "SUB256": 1 / 36 / 8,
        }[self.subarray]
        return reads * read_weighting(fitted, ratio) * shared

    def header(self):
        """Return the keywords of a rate that its noise depends on, and what it is."""
        return fits.Header(
            {
                "FILENAME": "in memory",
                "DATAMODL": "ImageModel",
                "CAL_VER": "3.0.0",
                "SUBARRAY": self.subarray,
                "SUBSTRT1": self.read.x.start + 1,
                "SUBSTRT2": self.read.y.start + 1,
                "SUBSIZE1": self.read.shape[1],
                "SUBSIZE2": self.read.shape[0],
                "READPATT": "FASTR1",
                "NGROUPS": self.groups,
                "NINTS": 1,
                "TFRAME": frame_time("FASTR1", self.subarray),
            }
        )

    def common_noise(self, generator):
        """Return what pixels of a rate have in common, DN/s."""
        if np.count_nonzero(self.read.cut(reference_pixels())):
            # The noise of the reference pixels' mean gets into all pixels alike.
            return generator.normal(0.0, np.sqrt(self.common_variance))
        # Else the drift of each amplifier in odd and even rows stays.
        outputs = generator.normal(0.0, np.sqrt(8 * self.common_variance), (2, AMPLIFIERS))
        rows, columns = self.read.shape
        return np.tile(outputs, (rows // 2, columns // AMPLIFIERS))


# The subarray has a sixteenth of the pixels, and the imager's region only.
SMALL = Kind("SUB256", groups=100, science_stars=10, background_stars=5)
WHOLE = Kind("FULL", groups=20, science_stars=40, background_stars=12)
KINDS = [SMALL, pytest.param(WHOLE, marks=[pytest.mark.slow, pytest.mark.long])]


def subarray_name(value):
    """Return the name of a kind for a test's own name."""
    return value.subarray if isinstance(value, Kind) else None


def star_positions(kind, count, generator):
    """Return x and y of stars in the imager, far enough from its edges for every dither."""
    imager = regions(kind.subarray)["imager"]
    margin = STAMP + DITHER_REACH
    return np.column_stack(
        [
            generator.uniform(edge.start + margin, edge.stop - margin, count)
            for edge in (imager.x, imager.y)
        ]
    )


def exposure_truth(kind, sources, dither):
    """Return the truth of one dither; sources are rows of x, y, DN/s, width in pixels."""
    shape = kind.read.shape
    lit = illuminated(kind.subarray)
    y, x = np.indices(shape)
    sky = np.where(lit, SKY * (1 + SKY_SLOPE * (x - shape[1] / 2)), 0.0)
    light = np.zeros(shape)
    placed = np.array(sources, dtype=float)
    placed[:, :2] += np.array(DITHER_PATTERN[dither]) / ARCSEC_PER_PIXEL
    for column, row, flux, width in placed:
        box = tuple(slice(round(at) - STAMP, round(at) + STAMP + 1) for at in (row, column))
        distance = (x[box] - column) ** 2 + (y[box] - row) ** 2
        light[box] += flux / (2 * np.pi * width**2) * np.exp(-distance / (2 * width**2))
    names = np.where(placed[:, 3] == GALAXY_WIDTH, "galaxy", "star")
    catalogue = QTable({"x": placed[:, 0], "y": placed[:, 1], "flux": placed[:, 2], "kind": names})
    return Truth(sky, np.where(lit, light, 0.0), catalogue)


def rate_image(kind, truth, generator, common=True):
    """Return the rate that the detector gives for a truth."""
    shape, bad = kind.read.shape, kind.read.cut(bad_pixels()) > 0
    known = truth.background + truth.sources
    scatter, reported = kind.noise(known)
    data = known + scatter * generator.standard_normal(shape)
    if common:
        data += kind.common_noise(generator)
    dq = np.where(bad, DO_NOT_USE, 0) | np.where(generator.random(shape) < 0.005, JUMP_DET, 0)
    data[bad] = np.nan
    variances = {"VAR_RNOISE": kind.read_variance, "VAR_POISSON": reported**2 - kind.read_variance}
    return Image(
        "in memory",
        kind.header(),
        data.astype(np.float32),
        reported.astype(np.float32),
        dq.astype(np.uint32),
        {name: variance.astype(np.float32) for name, variance in variances.items()},
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
        fits.Header({"FILENAME": "in memory", "DATAMODL": "ImageModel"}),
        clipped.mean(axis=0).filled(0.0).astype(np.float32),
        (np.ma.sqrt(squares.sum(axis=0)) / squares.count(axis=0)).filled(0.0).astype(np.float32),
        np.bitwise_or.reduce([image.dq for image in backgrounds]),
    )


def subtract(rate, background):
    """Return the background-subtracted image."""
    header = with_keywords(rate.header, S_BKDSUB="COMPLETE", ASNTABLE=TABLES[0])
    return replace(
        rate, header=header, data=rate.data - background.data, dq=rate.dq | background.dq
    )


def with_keywords(header, **keywords):
    """Return a copy of a header with other keywords."""
    changed = header.copy()
    changed.update(keywords)
    return changed


def completed(products, background):
    """Return products whose background step subtracted this background everywhere."""
    return replace(
        products,
        combined=[background] * len(products.science),
        subtracted=[subtract(rate, background) for rate in products.science],
    )


def make_truths(kind):
    """Return the truth of the science and of the background exposures."""
    scene = np.random.default_rng(SEED)
    science, background = (
        np.column_stack(
            [star_positions(kind, len(flux), scene), flux, np.full(len(flux), STAR_WIDTH)]
        )
        for flux in (
            np.geomspace(20, 5000, kind.science_stars),
            np.geomspace(50, 1000, kind.background_stars),
        )
    )
    imager = regions(kind.subarray)["imager"]
    middle = ((edge.start + edge.stop) / 2 for edge in (imager.x, imager.y))
    galaxy = (*middle, GALAXY, GALAXY_WIDTH)
    return [
        [exposure_truth(kind, sources, dither) for dither in range(EXPOSURES)]
        for sources in ([*science, galaxy], background)
    ]


def make_products(kind, truths, seed, common=True):
    """Return the products of a correct step for one realisation of the noise."""
    generator = np.random.default_rng(seed)
    rates = [[rate_image(kind, truth, generator, common) for truth in field] for field in truths]
    header = with_keywords(kind.header(), S_BKDSUB="COMPLETE", ASNTABLE=TABLES[0])
    products = Products(*rates, [], [], [header] * EXPOSURES, *truths, SIGMA, MAXITERS, TABLES)
    return completed(products, average(products.backgrounds))


@pytest.fixture(scope="module", params=KINDS, ids=subarray_name)
def kind(request):
    """Return what is read."""
    return request.param


@pytest.fixture(scope="module")
def truths(kind):
    """Return the truth of all exposures, science first."""
    return make_truths(kind)


@pytest.fixture(scope="module")
def products(kind, truths):
    """Return the products of a correct step."""
    return make_products(kind, truths, SEED)


@pytest.fixture(scope="module")
def analysis(products):
    """Return their analysis."""
    return examine(products)


@pytest.fixture(scope="module")
def correct(analysis):
    """Return all measurements of the correct step."""
    return measure(analysis)


def analysis_of(analysis, products):
    """Return the analysis of other products, with the same expectation of the same rates."""
    same = products.science is analysis.products.science
    return Analysis(products, analysis.expectation) if same else examine(products)


@pytest.fixture
def broken(analysis, correct):
    """Give the criteria, of some, that the first exposure of faulty products breaks."""

    def names(products, some):
        faulty = analysis_of(analysis, products)
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
    """Scale the background by 1 %."""
    return completed(products, *changed(products.combined[:1], lambda data: 1.01 * data))


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
    rows, columns = dq.shape
    dq[rows // 2, columns // 2] ^= flag
    return replace(image, dq=dq)


def wrong_bit_of_background(products):
    """Get one flag of the background wrong."""
    return completed(products, one_bit(products.combined[0]))


def wrong_bit_of_subtracted(products):
    """Get one flag of one subtracted image wrong."""
    first, *others = products.subtracted
    return replace(products, subtracted=[one_bit(first), *others])


def flags_of_all_members(products):
    """Flag only what every background flags, in a release that is known to do otherwise."""
    dq = np.bitwise_and.reduce([image.dq for image in products.backgrounds])
    return completed(products, replace(products.combined[0], dq=dq))


def another_filter(products):
    """Name another filter in one subtracted image."""
    first, *others = products.subtracted
    named = replace(first, header=with_keywords(first.header, FILTER="F560W"))
    return replace(products, subtracted=[named, *others])


def error_of_subtracted_off(products):
    """Add the background's error to that of the science exposures, not in quadrature."""
    added = [
        replace(image, err=image.err + products.combined[0].err) for image in products.subtracted
    ]
    return replace(products, subtracted=added)


def variance_off(products):
    """Give a part of the variance that is not that of the rate."""
    off = [
        replace(
            image,
            variances={name: 2 * variance for name, variance in image.variances.items()},
        )
        for image in products.subtracted
    ]
    return replace(products, subtracted=off)


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
    """Lose all pixels of one region in the subtracted images."""
    *_, region = regions(products.subarray).values()
    images = changed(products.subtracted, lambda data: np.where(region.mask(), np.nan, data))
    return replace(products, subtracted=images)


def rates_off(products):
    """Get all rates 1 % too large."""
    science, backgrounds = (
        changed(images, lambda data: 1.01 * data)
        for images in (products.science, products.backgrounds)
    )
    faulty = replace(products, science=science, backgrounds=backgrounds)
    return completed(faulty, average(backgrounds))


def with_added(products, addition):
    """Return products with something added to all science rates, which the step leaves there."""
    science = changed(products.science, lambda data: data + addition)
    return completed(replace(products, science=science), products.combined[0])


def tilted(products):
    """Have a sky that is brighter on one side of the science exposures."""
    columns = products.science[0].data.shape[1]
    return with_added(products, np.linspace(-1.0, 1.0, columns))


def output_off(products):
    """Have one amplifier with another level in odd rows."""
    addition = np.zeros(products.science[0].data.shape)
    addition[1::2, 2::4] = 1.0
    return with_added(products, addition)


def column_off(products):
    """Have one column with another level."""
    addition = np.zeros(products.science[0].data.shape)
    addition[:, 2 * addition.shape[1] // 3] = 1.0
    return with_added(products, addition)


def row_off(products):
    """Have one row with another level."""
    addition = np.zeros(products.science[0].data.shape)
    addition[addition.shape[0] // 2] = 1.0
    return with_added(products, addition)


def mottled(products):
    """Have noise in common with neighbours."""
    shape = products.science[0].data.shape
    smooth = gaussian_filter(np.random.default_rng(SEED).standard_normal(shape), 2.0)
    return with_added(products, 0.5 * smooth / smooth.std())


def rates_noisier(products):
    """Have 5 % more noise in the rates than their detector has."""
    generator = np.random.default_rng(5)

    def noisier(image):
        more = 0.32 * image.err * generator.standard_normal(image.err.shape, np.float32)
        return replace(image, data=image.data + more.astype(np.float32))

    science, backgrounds = (
        list(map(noisier, images)) for images in (products.science, products.backgrounds)
    )
    faulty = replace(products, science=science, backgrounds=backgrounds)
    return completed(faulty, average(backgrounds))


def opposite(products, addition):
    """Return products with something added to a science rate, and taken from the next."""
    science = [
        replace(image, data=(image.data + (-1) ** number * addition).astype(np.float32))
        for number, image in enumerate(products.science)
    ]
    return completed(replace(products, science=science), products.combined[0])


def opposite_tilts(products):
    """Have tilts that cancel in the mean of all exposures."""
    return opposite(products, np.linspace(-1.0, 1.0, products.science[0].data.shape[1]))


def opposite_lines(products):
    """Have a column and a row with levels that cancel in the mean of all exposures."""
    addition = np.zeros(products.science[0].data.shape)
    addition[:, 2 * addition.shape[1] // 3] = addition[addition.shape[0] // 2] = 1.0
    return opposite(products, addition)


def opposite_outputs(products):
    """Have an output with levels that cancel in the mean of all exposures."""
    addition = np.zeros(products.science[0].data.shape)
    addition[1::2, 2::4] = 1.0
    return opposite(products, addition)


def hits_left(products, signs=(1, 1)):
    """Leave light of cosmic rays in the pixels that they flag."""
    science = []
    for image in products.science:
        hit = np.flatnonzero((image.dq & JUMP_DET > 0) & (image.dq & DO_NOT_USE == 0))
        data = image.data.copy()
        data.ravel()[hit] += 15 * NOISE * np.where(np.arange(hit.size) % 2, *signs)
        science.append(replace(image, data=data))
    return completed(replace(products, science=science), products.combined[0])


def hits_scattered(products):
    """Leave light of cosmic rays, and take as much elsewhere."""
    return hits_left(products, (1, -1))


def mostly_flagged(products):
    """Have two of three rows of the science exposures flagged."""
    rows = np.arange(products.science[0].dq.shape[0])[:, np.newaxis] % 3 > 0
    science = [
        replace(image, dq=image.dq | np.where(rows, np.uint32(DO_NOT_USE), np.uint32(0)))
        for image in products.science
    ]
    return completed(replace(products, science=science), products.combined[0])


def part_off(products, part, factor):
    """Scale one part of the variance of all rates."""
    fields = [
        [
            replace(image, variances=image.variances | {part: factor * image.variances[part]})
            for image in images
        ]
        for images in (products.science, products.backgrounds)
    ]
    faulty = replace(products, science=fields[0], backgrounds=fields[1])
    return completed(faulty, products.combined[0])


def read_variance_off(products):
    """Report a hundred times the variance of reads."""
    return part_off(products, "VAR_RNOISE", np.float32(100))


def photon_variance_off(products):
    """Report a quarter more variance of photons."""
    return part_off(products, "VAR_POISSON", np.float32(1.25))


# What is broken at least, as a certain consequence and not by chance.
FAULTS = {
    opposite_tilts: {"gradient"},
    opposite_lines: {"rows", "columns"},
    opposite_outputs: {"outputs"},
    hits_left: {"flagged pixels", "flagged scatter"},
    hits_scattered: {"flagged scatter"},
    mostly_flagged: {"usable area"},
    read_variance_off: {"read variance"},
    photon_variance_off: {"photon variance"},
    plain_mean: {"combined value", "combined error", "star leak"},
    another_sigma: {"combined value", "combined error", "star leak"},
    background_dropped: {"combined value", "combined error", "members"},
    added: {"subtraction", "residual"},
    scaled: {"combined value", "residual"},
    shifted: {"combined value"},
    error_off: {"combined error"},
    wrong_bit_of_background: {"combined DQ"},
    flags_of_all_members: {"behaviour"},
    another_filter: {"metadata"},
    error_of_subtracted_off: {"science error"},
    variance_off: {"science variance"},
    wrong_bit_of_subtracted: {"subtraction DQ"},
    skipped: {"step", "residual"},
    flux_lost: {"subtraction", "star flux", "galaxy flux"},
    galaxy_eaten: {"subtraction", "galaxy flux"},
    not_a_number_spread_in_subtracted: {"subtraction"},
    not_a_number_spread_in_background: {"combined value"},
    region_lost: {"subtraction", "residual"},
    rates_off: {"background level", "star flux"},
    tilted: {"gradient"},
    output_off: {"outputs"},
    column_off: {"columns"},
    row_off: {"rows"},
    mottled: {"aperture scatter"},
    rates_noisier: {"noise"},
}


def test_correct_step_passes(correct):
    """Nothing fails where nothing is wrong."""
    assert [metric.sentence() for metric in judge(correct) if not metric.passed] == []


def test_correct_step_is_measured_by_every_criterion(correct):
    """No criterion passes for lack of a measurement."""
    assert {each.criterion for each in correct} == JUDGED


def test_every_criterion_has_a_fault():
    """Each criterion is seen to fail below."""
    assert set().union(*FAULTS.values()) == JUDGED


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
    exact = {name for name in JUDGED if criteria()["criteria"][name]["kind"] == "exact"}
    assert broken(fault(products), exact) == {name}


# ------------------------------------------------------------------ what numbers mean


def measured(analysis, family, products):
    """Return measurements of other products that share the analysis."""
    return list(family(analysis_of(analysis, products)))


def test_pixel_without_a_value_is_judged_like_others(products):
    """A rate that is not a number, under no flag, spoils nothing but itself."""
    first, *others = products.backgrounds
    lost = first.data.copy()
    lost[tuple(np.argwhere(first.dq == 0)[1000])] = np.nan
    backgrounds = [replace(first, data=lost), *others]
    known = completed(replace(products, backgrounds=backgrounds), average(backgrounds))
    assert all(metric.passed for metric in judge(measure(examine(known))))


def test_wrong_pixels_are_counted(analysis, products):
    """The value is a number of pixels."""
    measurements = measured(analysis, exact, wrong_bit_of_background(products))
    assert {each.value for each in measurements if each.criterion == "combined DQ"} == {1}


def test_skipped_steps_are_counted(analysis, products):
    """The value is a number of products."""
    headers = [*products.calibrated_headers[1:], fits.Header({"S_BKDSUB": "SKIPPED"})]
    step, *_ = measured(analysis, exact, replace(products, calibrated_headers=headers))
    assert step.value == 1


def test_step_that_says_nothing_is_not_complete(analysis, products):
    """A header without the keyword does not prove that the step was done."""
    headers = [fits.Header()] * EXPOSURES
    step, *_ = measured(analysis, exact, replace(products, calibrated_headers=headers))
    assert step.value == EXPOSURES


def test_exposures_are_told_apart(analysis, products):
    """A fault of the first exposure is not put down to another."""
    measurements = measured(analysis, exact, wrong_bit_of_subtracted(products))
    assert [each.exposure for each in measurements if each.value] == [1]


@pytest.fixture(scope="module")
def pedestal_region(kind):
    """Return the name of the last region."""
    return list(regions(kind.subarray))[-1]


@pytest.fixture(scope="module")
def residuals_with_pedestal(analysis, products, pedestal_region):
    """Return residuals with a pedestal in one region of the science rates."""
    inside = analysis.masks.regions[pedestal_region].mask()
    science = changed(products.science, lambda data: data + np.where(inside, PEDESTAL, 0.0))
    faulty = completed(replace(products, science=science), products.combined[0])
    return measured(analysis, residuals, faulty)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [WHOLE], ids=subarray_name, indirect=True)
def test_pedestal_is_caught_in_its_region(correct, residuals_with_pedestal, pedestal_region):
    """A seven-hundredth of the sky, in one small region, is seen there and only there."""
    others = [each for each in correct if each.criterion != "residual"]
    metrics = judge(residuals_with_pedestal + others)
    assert {each.region for each in metrics if not each.passed} == {pedestal_region}


def test_residual_is_in_rate_units(correct, residuals_with_pedestal, pedestal_region):
    """A pedestal moves the residual of its region by itself, and those of no other."""
    before = [each.value for each in correct if each.criterion == "residual"]
    pairs = zip(residuals_with_pedestal, before, strict=True)
    moved = [each.value - value for each, value in pairs]
    expected = [
        PEDESTAL if each.region == pedestal_region else 0.0 for each in residuals_with_pedestal
    ]
    # float32 rates between 8 and 16 DN/s are multiples of 2^-20.
    np.testing.assert_allclose(moved, expected, atol=2.0**-21)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (SMALL, {"imager"}),
        pytest.param(
            WHOLE,
            {"imager", "Lyot", "4QPM 1065", "4QPM 1140", "4QPM 1550"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=subarray_name,
    indirect=["kind"],
)
def test_each_region_that_is_read_is_judged(correct, names):
    """A subarray inside the imager has no coronagraphs."""
    assert {each.region for each in correct if each.criterion == "residual"} == names


def test_lost_flux_is_in_percent(analysis, products, correct):
    """Two percent less light is minus two percent."""
    before = {each.criterion: each.value for each in correct}
    for each in measured(analysis, source_fluxes, flux_lost(products)):
        assert each.value - before[each.criterion] == pytest.approx(-2.0, rel=0.01)


def test_noise_of_the_combined_background_is_in_all_fluxes(analysis, monkeypatch):
    """What it has in common adds up over the exposures; what the exposures have does not."""
    expectation, more = analysis.expectation, 1.0  # (DN/s)^2

    def variances():
        """Return the variance of each kind of flux."""
        return np.array([each.error**2 for each in source_fluxes(analysis)])

    as_it_is = variances()
    combined = expectation.combined_common_variance
    own = expectation.exposure_common_variances
    with monkeypatch.context() as changed:
        changed.setitem(vars(expectation), "combined_common_variance", combined + more)
        of_combined = variances() - as_it_is
    changed_own = [variance + more for variance in own]
    monkeypatch.setitem(vars(expectation), "exposure_common_variances", changed_own)
    of_exposures = variances() - as_it_is
    # Each exposure has the sources in nearly as many pixels as the others.
    assert of_combined / of_exposures == pytest.approx(len(expectation.science), rel=0.1)


def test_unclipped_stars_leak_a_quarter(analysis, products):
    """One of four exposures sees a star, and the plain mean keeps its quarter."""
    *_, bright = measured(analysis, star_leak, plain_mean(products))
    # Of what stands ten standard deviations above the sky, clipping leaves nearly nothing.
    assert bright.value == pytest.approx(25.0, abs=1.0)


def test_residual_error_has_pixel_and_common_noise(kind, correct):
    """The error is that of the pixels' mean and of the noise that all pixels share."""
    backgrounds_noise = 1 + CLIPPING_COST**2 / EXPOSURES
    (error,) = {
        each.error
        for each in correct
        if (each.criterion, each.region, each.exposure) == ("residual", "imager", 1)
    }
    common = kind.common_variance * (1 + 1 / EXPOSURES)
    pixels = regions(kind.subarray)["imager"].area
    # Between all of the region's pixels and the seven in ten that are sky without a flag; where
    # outputs drift, their pattern is part of the scatter.
    least = kind.sky_noise**2
    most = least + 8 * kind.common_variance
    low, high = (
        np.sqrt(common + variance * backgrounds_noise / number)
        for variance, number in ((least, pixels), (most, 0.7 * pixels))
    )
    assert low < error < high


def test_gain_and_read_noise_follow_from_the_variances(kind, analysis):
    """What the pipeline reports of a rate's variance tells what it took for the detector."""
    good = kind.detector.good
    expected = [
        np.median(each[good]) for each in (kind.detector.gain, kind.detector.raw_read_noise)
    ]
    (noise,) = analysis.expectation._noise.values()
    found = [np.median(each) for each in (noise._gain, noise._read_noise)]
    # The photons are reported for the rate with its noise, here for the true one: in one pixel
    # they differ by a few percent, in the median of thousands by less than a thousandth.
    np.testing.assert_allclose(found, expected, rtol=3e-3)


def test_common_noise_is_that_of_the_outputs(kind, analysis):
    """What all pixels share depends on whether reference pixels are read."""
    found = analysis.expectation.exposure_common_variances
    assert found == pytest.approx([kind.common_variance] * 2 * EXPOSURES, rel=0.01)


def test_sky_noise_is_that_of_a_rate(kind, analysis):
    """The noise of one rate is found from differences of backgrounds."""
    # Drifts of the outputs are part of what differs; of few outputs they are as they happen to be.
    drift = 8 * kind.common_variance / kind.sky_noise**2
    assert analysis.expectation.sky_noise == pytest.approx(kind.sky_noise, rel=0.01 + drift)


def test_sky_keeps_away_from_sources(kind, analysis, products):
    """No judged pixel has a source brighter than the noise."""
    backgrounds = [each.sources for each in products.background_truth]
    brightest = np.max([products.science_truth[0].sources, *backgrounds], axis=0)
    assert brightest[analysis.residuals.judged[0]].max() < kind.sky_noise


@pytest.mark.parametrize("flag", [DO_NOT_USE, JUMP_DET])
def test_flagged_pixels_are_not_judged(analysis, products, flag):
    """A flag in any of the exposures takes a pixel out of the residual."""
    image = products.backgrounds[-1]
    assert not np.any(analysis.residuals.judged[0] & ((image.dq & flag) > 0))


def test_truth_is_not_needed(products):
    """With real references only what needs no truth is measured."""
    one = {name: getattr(products, name)[:1] for name in OF_SCIENCE}
    faulty = examine(replace(products, **one), truth=False)
    needing_truth = (reported_variances, background_levels, star_leak, source_fluxes)
    expected = {name for name, family in FAMILIES.items() if family not in needing_truth}
    assert {each.criterion for each in measure(faulty)} == expected


def with_hits(products, hit):
    """Return products whose truth says which pixels were hit: all that are flagged, or none."""

    def known(truths, images):
        return [
            replace(truth, hit=(image.dq & JUMP_DET > 0) & hit)
            for truth, image in zip(truths, images, strict=True)
        ]

    return replace(
        products,
        science_truth=known(products.science_truth, products.science),
        background_truth=known(products.background_truth, products.backgrounds),
    )


def test_only_hits_are_judged_where_they_are_known(products):
    """What the jump step takes for hits is noise that was chosen for its sign."""
    faulty = hits_left(products)
    expected = [each.value for each in flagged_pixels(examine(faulty))]
    found = [each.value for each in flagged_pixels(examine(with_hits(faulty, hit=True)))]
    assert found == expected
    assert list(flagged_pixels(examine(with_hits(faulty, hit=False)))) == []


def last_region_flagged(products):
    """Return products of which an exposure has no pixel without a flag in the last region."""
    *_, region = regions(products.subarray).values()
    first, *others = products.science
    flagged = replace(first, dq=np.where(region.mask(), np.uint32(JUMP_DET), first.dq))
    return replace(products, science=[flagged, *others])


def last_region_crowded(products):
    """Return products of which an exposure has a source in every pixel of the last region."""
    *_, region = regions(products.subarray).values()
    first, *others = products.science_truth
    crowded = replace(first, sources=np.where(region.mask(), SKY, first.sources))
    return replace(products, science_truth=[crowded, *others])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (last_region_crowded, "^{} has no pixel of empty sky"),
        (last_region_flagged, "^in memory flags every pixel of the {} as DO_NOT_USE"),
    ],
)
@pytest.mark.parametrize(
    "kind",
    [SMALL, pytest.param(WHOLE, marks=[pytest.mark.slow, pytest.mark.long])],
    ids=lambda value: value.subarray,
    indirect=True,
)
def test_region_without_sky_cannot_be_judged(products, fault, told):
    """Where no empty sky is left, no residual says anything about the step."""
    *_, name = regions(products.subarray)
    with pytest.raises(CannotJudge, match=told.format(name)):
        examine(fault(products))


# ------------------------------------------------------------------ false alarms

REALISATIONS = 5


@pytest.fixture(scope="module")
def residuals_over_errors(kind, truths):
    """Return residuals in units of their errors: realisations, exposures, regions."""
    scores = []
    for seed in range(REALISATIONS):
        # Without the common noise, which would make the regions depend on each other.
        analysis = examine(make_products(kind, truths, seed, common=False))
        common = analysis.expectation.common_variance(0)
        errors = [np.sqrt(each.error**2 - common) for each in residuals(analysis)]
        values = [each.value for each in residuals(analysis)]
        scores.append(np.divide(values, errors))
    return np.reshape(scores, (REALISATIONS, EXPOSURES, -1))


# Residuals of exposures share their background: its part of their variance.
BACKGROUND_VARIANCE = CLIPPING_COST**2 / EXPOSURES
CORRELATION = BACKGROUND_VARIANCE / (1 + BACKGROUND_VARIANCE)


def test_residuals_are_unbiased(residuals_over_errors):
    """Over realisations of the noise the residual of a correct step is zero."""
    variance = (1 + (EXPOSURES - 1) * CORRELATION) / residuals_over_errors.size
    assert abs(residuals_over_errors.mean()) < K * np.sqrt(variance)


def test_residuals_scatter_by_their_errors(residuals_over_errors):
    """Over realisations of the noise the residual scatters as predicted."""
    variance = 2 * (1 + (EXPOSURES - 1) * CORRELATION**2) / residuals_over_errors.size
    assert abs(np.mean(residuals_over_errors**2) - 1) < K * np.sqrt(variance)


# ------------------------------------------------------------------ power


@pytest.fixture(scope="module")
def powers(analysis, correct):
    """Return the smallest amplitudes by criterion and perturbation."""
    return {(each.criterion, each.perturbation): each for each in power(analysis, judge(correct))}


@pytest.mark.parametrize(
    ("criterion", "perturbation"),
    [
        ("residual", "uniform error"),
        ("background level", "uniform error"),
        ("gradient", "gradient across the array"),
        ("residual", "scale of the background"),
    ],
)
def test_amplitude_breaks_the_criterion(analysis, products, powers, criterion, perturbation):
    """Half more than what nine of ten realisations notice is noticed here."""
    found = powers[criterion, perturbation].amplitude
    perturb, _ = PERTURBATIONS[perturbation]
    spoilt = perturb(products, 1.5 * found)
    broken = {metric.name for metric in judge(measured_all(analysis, spoilt)) if not metric.passed}
    assert criterion in broken


def measured_all(analysis, products):
    """Return all measurements of other products."""
    return measure(analysis_of(analysis, products))


@pytest.mark.parametrize(
    ("criterion", "perturbation"),
    [("residual", "uniform error"), ("background level", "scale of the background")],
)
def test_a_tenth_of_the_amplitude_is_not_noticed(
    analysis, products, powers, criterion, perturbation
):
    """What is told is the smallest amplitude, not just one that is noticed."""
    perturb, _ = PERTURBATIONS[perturbation]
    spoilt = perturb(products, 0.1 * powers[criterion, perturbation].amplitude)
    metrics = [each for each in judge(measured_all(analysis, spoilt)) if each.name == criterion]
    assert all(metric.passed for metric in metrics)


@pytest.mark.parametrize("criterion", ["combined value", "subtraction"])
def test_exact_criteria_notice_rounding(powers, criterion):
    """What is exact notices what is a millionth of the sky."""
    assert powers[criterion, "uniform error"].amplitude < 1e-6 * SKY * 10


def test_criterion_may_be_blind(powers):
    """A gradient is not broken by what is the same everywhere."""
    assert powers["gradient", "uniform error"].amplitude == np.inf
