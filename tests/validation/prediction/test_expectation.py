"""Every exposure is expected to scatter as its own header says that it was read."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.table import QTable

from miri_background.instrument.detector import BIAS, linearity_coefficients
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import Readout
from miri_background.validation.findings.inputs import Inputs
from miri_background.validation.findings.spread import errors_of_all
from miri_background.validation.measurements.against_truth import reported_variances
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.prediction.slopes import pipeline_weights, slope_noise
from miri_background.validation.products.frames import in_frame
from miri_background.validation.products.images import Image, Products, Truth

SKY = 14.0  # DN/s
SHORT, LONG = (Readout("SUB256", "FASTR1", groups, 1) for groups in (12, 60))
SIGMA, MAXITERS = 2.0, 3


def scatter(readout, sky=SKY):
    """Return the noise of a rate in each pixel, and what the pipeline reports of photons and reads.

    DN/s, and (DN/s)^2.
    """
    detector, averaging = KnownDetector(readout), pipeline_weights(KnownDetector(readout).fitted)
    rate = sky + detector.dark
    reads = detector.read_noise(rate)
    true, _ = slope_noise(rate, detector.gain, reads, detector.time, averaging)
    photons = averaging.photons * sky / (detector.gain * detector.time)
    return true, photons, averaging.reads * (detector.raw_read_noise / detector.time) ** 2


def rate_of(readout, generator, sky=SKY):
    """Return a rate of empty sky that was read in one way."""
    window = readout.window
    header = {
        "SUBARRAY": window.name,
        "SUBSTRT1": window.x.start + 1,
        "SUBSTRT2": window.y.start + 1,
        "SUBSIZE1": window.shape[1],
        "SUBSIZE2": window.shape[0],
        "READPATT": readout.pattern,
        "NGROUPS": readout.groups,
        "NINTS": readout.integrations,
        "TFRAME": readout.frame_time,
    }
    noise, photons, reads = scatter(readout, sky)
    lit = illuminated(window.name)
    data = np.where(lit, sky, 0.0) + noise * generator.standard_normal(window.shape)
    planes = [data, np.sqrt(photons + reads)]
    return Image(
        "in memory",
        fits.Header(header),
        *(plane.astype(np.float32) for plane in planes),
        np.zeros(window.shape, dtype=np.uint32),
        {
            name: np.broadcast_to(plane, window.shape).astype(np.float32)
            for name, plane in (("VAR_POISSON", photons), ("VAR_RNOISE", reads))
        },
    )


def products_of(science, backgrounds, skies=(SKY, SKY), seed=770):
    """Return products of exposures that are read in given ways, before any step."""
    generator = np.random.default_rng(seed)
    rates, truths = [], []
    for readouts, sky in ((science, skies[0]), (backgrounds, skies[1])):
        images = [rate_of(readout, generator, sky) for readout in readouts]
        rates.append(images)
        shape = science[0].window.shape
        plane = np.where(illuminated(science[0].subarray), sky, 0.0)
        truths.append([Truth(plane, np.zeros(shape), QTable())] * len(images))
    frame = rates[0][0].header
    backgrounds = [in_frame(image, frame) for image in rates[1]]
    empty = [None] * len(science)
    return Products(
        rates[0],
        backgrounds,
        rates[0],
        empty,
        [image.header for image in rates[0]],
        *truths,
        SIGMA,
        MAXITERS,
        ["image2_asn.json"] * len(science),
    )


def typical(readout, sky=SKY):
    """Return the noise of the good pixels of a readout, DN/s."""
    return float(np.sqrt(np.mean(scatter(readout, sky)[0][KnownDetector(readout).good] ** 2)))


def variance_of_clipped_mean(scatters):
    """Return the variance of what astropy leaves of normal values, from many draws."""
    draws = np.random.default_rng(1).standard_normal((100_000, len(scatters))).T
    values = draws * np.array(scatters)[:, np.newaxis]
    return float(sigma_clip(values, sigma=SIGMA, maxiters=MAXITERS, axis=0).mean(axis=0).var())


@pytest.mark.parametrize(
    ("science", "backgrounds"),
    [
        ([LONG], [SHORT] * 4),
        ([SHORT], [LONG] * 4),
        ([LONG], [SHORT, LONG, LONG, LONG]),
        ([SHORT, LONG], [SHORT, SHORT, LONG, LONG]),
    ],
    ids=["long science", "short science", "one short background", "both in both fields"],
)
def test_noise_is_that_of_each_exposure(science, backgrounds):
    """An exposure of few groups is noisy, whatever the others are."""
    found = Expectation(products_of(science, backgrounds))
    noise = [*found.science_noise, *found.background_noise]
    expected = [typical(readout) for readout in (*science, *backgrounds)]
    # Two rates say it to half a percent; where there is one alone, the median pixel of its
    # readout stands for all, whose noise differs by some per cent.
    np.testing.assert_allclose(noise, expected, rtol=0.05)


@pytest.mark.parametrize(
    "backgrounds",
    [[LONG] * 4, [SHORT, LONG, LONG, LONG], [SHORT, SHORT, LONG, LONG]],
    ids=["equal", "one noisy", "two noisy"],
)
def test_clipped_mean_has_the_noise_of_its_members(backgrounds):
    """Of unequal members, clipping leaves out the noisy ones more often."""
    found = Expectation(products_of([LONG], backgrounds))
    # Of 100 000 draws each, the ratio of two variances is certain to half a percent.
    expected = variance_of_clipped_mean(found.background_noise)
    assert found.clipping.variance == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("skies", [(14.0, 14.0), (14.0, 16.8), (20.0, 14.0)])
def test_known_difference_of_skies_is_expected(skies):
    """What is left on empty sky is the difference of the fields."""
    found = Expectation(products_of([LONG], [LONG] * 4, skies))
    left = found.left(0)[illuminated("SUB256")]
    # The choice of weights moves slopes by up to two parts in a thousand.
    np.testing.assert_allclose(left, skies[0] - skies[1], atol=2e-3 * max(skies))


def test_light_of_the_science_field_is_no_noise():
    """Noise of a way to read that only science exposures share is measured beside their light."""
    products = products_of([LONG, LONG], [SHORT] * 4)
    # As much as the noise of a pixel, here and there, in the first exposure only.
    light = np.zeros(LONG.window.shape)
    light[:, ::2] = typical(LONG)
    first, second = products.science
    lit = replace(first, data=first.data + light.astype(np.float32))
    truth = replace(products.science_truth[0], sources=light)
    changed = replace(
        products, science=[lit, second], science_truth=[truth, products.science_truth[1]]
    )
    # Differences of two rates say it to half a percent.
    assert Expectation(changed).science_noise[0] == pytest.approx(typical(LONG), rel=0.02)


def test_known_structure_of_skies_is_no_noise():
    """A nebula that dithers move over the array is not in the noise of a difference."""
    products = products_of([SHORT], [SHORT] * 2)
    # As much as the noise of a pixel from peak to peak, another way round in the other exposure.
    wave = typical(SHORT) / 2 * np.sin(np.arange(SHORT.window.shape[1]) / 10)
    backgrounds, truths = [], []
    for image, truth, nebula in zip(
        products.backgrounds, products.background_truth, (wave, -wave), strict=True
    ):
        backgrounds.append(replace(image, data=image.data + nebula.astype(np.float32)))
        truths.append(replace(truth, background=truth.background + nebula))
    changed = replace(products, backgrounds=backgrounds, background_truth=truths)
    # Differences of two rates say it to half a percent.
    assert Expectation(changed).background_noise[0] == pytest.approx(typical(SHORT), rel=0.02)


def test_pixels_that_see_less_sky_are_clipped_less():
    """A first exposure with more sky stands out less where the sky is fainter."""
    # So bright that all ramps have the last weights: no slope is off by their choice.
    sky, less, shape = 800.0, 0.4, LONG.window.shape
    faint = np.broadcast_to(np.arange(shape[1]) < shape[1] // 2, shape)
    # By four noises of a pixel on the full sky.
    factors = 1 + 4 * typical(LONG, sky) / sky * np.array([1, 1 / 3, 1 / 9, 1 / 27])
    products = products_of([LONG], [LONG] * 4, (sky, sky))
    generator = np.random.default_rng(11)
    backgrounds, truths = [], []
    for image, truth, factor in zip(
        products.backgrounds, products.background_truth, factors, strict=True
    ):
        rate = truth.background * np.where(faint, less, 1.0) * factor
        noise = np.where(faint, scatter(LONG, sky * less)[0], scatter(LONG, sky)[0])
        data = rate + noise * generator.standard_normal(shape)
        backgrounds.append(replace(image, data=data.astype(np.float32)))
        truths.append(replace(truth, background=rate))
    changed = replace(products, backgrounds=backgrounds, background_truth=truths)
    expectation = Expectation(changed)
    left, clean = (
        expectation.combined.data - expectation.background_sky,
        expectation.masks.clean_sky,
    )
    for half in (clean & faint, clean & ~faint):
        assert abs(left[half].mean()) < 4 * left[half].std() / np.sqrt(np.count_nonzero(half))


def test_pixels_are_not_chosen_by_noise_that_moved():
    """Known light that follows an exposure's own noise, as brighter-fatter has it, hides none."""
    products = products_of([SHORT], [SHORT] * 2)
    backgrounds, truths = [], []
    for image, truth in zip(products.backgrounds, products.background_truth, strict=True):
        moved = -0.1 * np.nan_to_num(image.data - truth.background - truth.sources)
        backgrounds.append(replace(image, data=image.data + moved.astype(np.float32)))
        truths.append(replace(truth, sources=truth.sources + moved))
    changed = replace(products, backgrounds=backgrounds, background_truth=truths)
    # Differences of two rates say it to half a percent.
    assert Expectation(changed).background_noise[0] == pytest.approx(typical(SHORT), rel=0.02)


def test_science_noise_is_of_its_own_sky():
    """A brighter science field is noisier than the backgrounds."""
    found = Expectation(products_of([LONG], [LONG] * 4, (28.0, 14.0)))
    assert found.science_noise[0] == pytest.approx(typical(LONG, 28.0), rel=0.02)
    assert found.background_noise[0] == pytest.approx(typical(LONG), rel=0.02)


@pytest.mark.parametrize("more", [[], [LONG]], ids=["one in each field", "two of science"])
def test_noise_of_a_way_that_both_fields_share_is_of_each_sky(more):
    """Where skies differ, a difference of fields has the noise of both."""
    found = Expectation(products_of([LONG, *more], [SHORT, SHORT, LONG], (70.0, SKY)))
    assert found.science_noise[0] == pytest.approx(typical(LONG, 70.0), rel=0.02)
    assert found.background_noise[2] == pytest.approx(typical(LONG), rel=0.02)


@pytest.mark.parametrize("field", ["science_truth", "background_truth"])
def test_pixels_that_hits_are_known_to_be_in_are_not_judged(field):
    """What is too faint for the jump step has no flag, and raises the rate all the same."""
    products = products_of([LONG, LONG], [LONG] * 4)
    unhit = np.zeros(LONG.window.shape, dtype=bool)
    places = np.random.default_rng(5).random(unhit.shape) < 0.05
    truths = {
        name: [replace(truth, hit=unhit) for truth in getattr(products, name)]
        for name in ("science_truth", "background_truth")
    }
    truths[field][0] = replace(truths[field][0], hit=places)
    products = replace(products, **truths)
    for image in (products.science if field == "science_truth" else products.backgrounds)[:1]:
        image.data[places] += typical(LONG)
    found = Expectation(products)
    assert not (found.masks.usable[0] & places).any()
    # The other science exposure is judged there, unless a background is wrong.
    judged = (found.masks.usable[1] & found.masks.clean_sky & places).any()
    assert judged == (field == "science_truth")
    assert found.masks.clean_sky.mean() > 0.8


def test_noise_of_reads_has_what_whole_numbers_round_off():
    """Averages of eight samples have so little noise that it counts."""
    readout = Readout("FULL", "SLOWR1", 12, 1)
    detector = KnownDetector(readout)
    generator = np.random.default_rng(6)
    draws = [
        np.rint(
            10_000.5 + detector.raw_read_noise * generator.standard_normal(readout.window.shape)
        )
        for _ in range(4)
    ]
    raw = BIAS + SKY * detector.time * readout.groups / 2
    stretch = 1 + 2 * linearity_coefficients()[2] * raw
    expected = detector.read_noise(SKY) / stretch
    pulls = (np.array(draws) - 10_000.5)[:, detector.good] / expected[detector.good]
    # 0.05 % of the scatter is its error; what is rounded off is 0.9 % of it.
    assert pulls.std() == pytest.approx(1, abs=4 / np.sqrt(2 * pulls.size))


def test_only_what_all_backgrounds_cover_is_judged():
    """BRIGHTSKY begins 44 columns after SUB256."""
    other = Readout("BRIGHTSKY", "FASTR1", 12, 1)
    products = products_of([LONG], [other] * 4)
    judged = Analysis(products, Expectation(products)).residuals.judged[0]
    assert not judged[:, :44].any()
    assert judged[:, 44:].mean() > 0.9


@pytest.mark.parametrize("factor", [0.8, 1.0, 3.0])
def test_noise_of_a_known_detector_is_not_what_is_reported(factor):
    """What a pipeline makes of the photons, or of all errors, does not move the prediction."""
    sky = SKY / 10
    products = products_of([SHORT], [LONG] * 4, (sky, SKY))
    judged = illuminated("SUB256")
    (science,) = products.science
    variances = {name: part * np.float32(factor) for name, part in science.variances.items()}
    err = science.err * np.float32(np.sqrt(factor))
    changed = replace(products, science=[replace(science, err=err, variances=variances)])
    expectation = Expectation(changed)
    regions = expectation.masks.regions.values()
    residual = np.mean(expectation.reported.smooth(0, regions, judged)[judged] ** 2)
    own = typical(SHORT, sky) ** 2
    combined = variance_of_clipped_mean([typical(LONG)] * 4)
    # The noise of the rates is not the same in all good pixels.
    assert residual == pytest.approx(own + combined, rel=0.01)


def test_ramps_that_hits_cut_short_are_noisier_by_their_errors():
    """A flagged pixel with twice the error of whole ramps has four times their variance."""
    products = products_of([SHORT], [SHORT] * 4)
    (science,) = products.science
    judged = illuminated("SUB256") & (science.dq == 0)
    cut = judged & (np.indices(judged.shape).sum(axis=0) % 2 == 0)
    err, dq = science.err.copy(), science.dq.copy()
    err[cut] *= 2
    dq[cut] |= 4

    def mean_variance(read):
        expectation = Expectation(read)
        regions = expectation.masks.regions.values()
        return np.mean(expectation.reported.smooth(0, regions, judged)[judged] ** 2)

    before = mean_variance(products)
    more = mean_variance(replace(products, science=[replace(science, err=err, dq=dq)])) - before
    # Three times the variance of the exposure more, in half of the pixels.
    assert more == pytest.approx(1.5 * typical(SHORT) ** 2, rel=0.02)


def test_noise_varies_from_pixel_to_pixel_as_the_reads_do():
    """Pixels that are read with more noise are expected to scatter more, in good proportion."""
    products = products_of([SHORT], [SHORT] * 4)
    expectation = Expectation(products)
    judged = Analysis(products, expectation).residuals.judged[0]
    smooth = expectation.reported.smooth(0, expectation.masks.regions.values(), judged)[judged]
    own = scatter(SHORT)[0][judged]
    assert own.std() / own.mean() > 0.05
    # The stretch of reads by linearity, and the choice of weights, are not followed.
    assert (smooth / own).std() / (smooth / own).mean() < 0.01


def test_reported_photons_may_be_off_by_what_pixels_share():
    """A drift of the outputs is in the slopes and in the photons of all pixels of a short ramp."""
    # So bright that all of its photons are reported.
    sky = 10 * SKY
    products = products_of([Readout("SUB256", "FASTR1", 6, 1)], [LONG] * 4, (sky, sky))
    expectation = Expectation(products)
    chance = 3 * np.sqrt(expectation.exposure_common_variances[0]) / sky
    (science,) = products.science
    for off, expected in ((-0.9 * chance, 0.0), (2 * chance, chance)):
        photons = science.variances["VAR_POISSON"] * np.float32(1 + off)
        variances = science.variances | {"VAR_POISSON": photons}
        changed = replace(products, science=[replace(science, variances=variances)])
        analysis = Analysis(changed, Expectation(changed))
        found = {each.criterion: each.value for each in reported_variances(analysis)}
        # The sky is known to some parts in a thousand.
        assert found["photon variance"] == pytest.approx(100 * expected, abs=0.3)


@pytest.mark.parametrize(("part", "factor"), [("VAR_POISSON", 1.04), ("VAR_RNOISE", 2.0)])
def test_errors_that_are_not_those_of_a_known_detector_are_found(part, factor):
    """One part of the variance is too large in all rates; nothing is found without."""
    products = products_of([LONG], [LONG] * 4, (SKY, SKY))
    assert not list(errors_of_all(Inputs(products, Expectation(products))))

    def off(image):
        variances = image.variances | {part: image.variances[part] * np.float32(factor)}
        return replace(image, err=np.sqrt(sum(variances.values())), variances=variances)

    changed = replace(
        products,
        science=[off(image) for image in products.science],
        backgrounds=[off(image) for image in products.backgrounds],
    )
    (finding,) = errors_of_all(Inputs(changed, Expectation(changed)))
    share = np.median(products.science[0].variances[part] / products.science[0].err ** 2)
    assert finding.value == pytest.approx(100 * (np.sqrt(1 + (factor - 1) * share) - 1), abs=0.1)
    assert f"{part} by +{100 * (factor - 1):.1f} %" in finding.sentence
