"""Each finding is seen on data that have it, and none on data that do not."""

from dataclasses import replace

import numpy as np
import pytest

from miri_background.outcomes import Outcome
from miri_background.validation.findings.examination import UNEXPLAINED
from miri_background.validation.judgement import judge_products
from miri_background.validation.products.images import DO_NOT_USE, SATURATED
from miri_background.validation.products.stage2 import read_products

ALL_SCIENCE, ALL_BACKGROUNDS = range(2), range(4)
PERSISTENCE = 32


def plus(amount):
    """Return a change that adds to the sky."""
    return lambda image: replace(image, data=image.data + np.float32(amount))


def times(factor):
    """Return a change that gives a rate another unit of time."""
    squares = np.float32(factor**2)
    return lambda image: replace(
        image,
        data=image.data * np.float32(factor),
        err=image.err * np.float32(factor),
        variances={name: plane * squares for name, plane in image.variances.items()},
    )


def saying(**keywords):
    """Return a change of the header."""

    def change(image):
        header = image.header.copy()
        header.update(keywords)
        return replace(image, header=header)

    return change


def subtracted_before(image):
    """Take the sky off, and say so."""
    return saying(S_BKDSUB="COMPLETE")(plus(-np.nanmedian(image.data))(image))


def nebula(image):
    """Add extended light at one place, wider than dithers."""
    y, x = np.indices(image.data.shape)
    light = 2.0 * np.exp(-((x - 120) ** 2 + (y - 150) ** 2) / (2 * 40.0**2))
    return replace(image, data=image.data + light.astype(np.float32))


def noisier(image):
    """Add noise that the errors do not report."""
    noise = 0.6 * np.random.default_rng(1).standard_normal(image.data.shape)
    return replace(image, data=image.data + noise.astype(np.float32))


def reporting(factor):
    """Return a change of the errors alone."""
    return lambda image: replace(image, err=image.err * np.float32(factor))


def flagged(image):
    """Flag a corner, as a latent image is."""
    dq = image.dq.copy()
    dq[100:140, 100:140] |= np.uint32(DO_NOT_USE | PERSISTENCE)
    return replace(image, dq=dq)


def striped(image):
    """Raise one column."""
    column = np.where(np.arange(image.data.shape[1]) == 100, 0.3, 0.0)
    return replace(image, data=image.data + column.astype(np.float32))


def of_another_dark(axis):
    """Return a change that adds to each column (axis 1) or row (axis 0) a number of its own."""

    def change(image):
        size = image.data.shape[axis]
        lines = 0.5 * np.random.default_rng(7).standard_normal(size).astype(np.float32)
        lines -= lines.mean()
        return replace(image, data=image.data + np.expand_dims(lines, 1 - axis))

    return change


def of_one_output(image):
    """Raise one amplifier in odd rows."""
    data = image.data.copy()
    data[1::2, 2::4] += np.float32(0.3)
    return replace(image, data=data)


BRIGHT, PLACE = 500.0, (slice(60, 70), slice(60, 70))  # DN/s, where a star was


def with_source(image):
    """Put a bright source there."""
    data = image.data.copy()
    data[PLACE] += np.float32(BRIGHT)
    return replace(image, data=data)


def with_latent(image):
    """Leave a hundredth of the source's light, where it no longer is."""
    data = image.data.copy()
    data[PLACE] += np.float32(BRIGHT / 100)
    return replace(image, data=data)


def at(minutes, change=lambda image: image):
    """Return a change of the time at which an exposure was taken, and another one."""
    return lambda image: saying(EXPMID=61041.0 + minutes / 1440)(change(image))


def saturated(image):
    """Take the slopes of a star's core away, as of pixels that fill in the first groups."""
    data, dq = image.data.copy(), image.dq.copy()
    data[80:84, 90:95] = np.nan
    dq[80:84, 90:95] |= np.uint32(SATURATED | DO_NOT_USE)
    return replace(image, data=data, dq=dq)


def all_of(change, numbers):
    """Return the same change of all exposures."""
    return dict.fromkeys(numbers, change)


# Changes of science exposures and backgrounds, and the first finding with its member.
CASES = {
    "fields of other skies": (
        {},
        all_of(plus(0.7), ALL_BACKGROUNDS),
        ("skies of the fields differ", ""),
    ),
    "a background in another unit": (
        {},
        {2: times(4)},
        ("level of a background", "background3_rate.fits"),
    ),
    "all backgrounds in another unit": (
        {},
        all_of(times(4), ALL_BACKGROUNDS),
        ("skies of the fields differ", ""),
    ),
    "a science exposure in another unit": (
        {0: times(4)},
        {},
        ("level of a science exposure", "science1_rate.fits"),
    ),
    "first of a visit": (
        {},
        {0: lambda image: saying(EXPOSURE="00001")(plus(3.5)(image))},
        ("level of a background", "background1_rate.fits"),
    ),
    "noise": ({}, {1: noisier}, ("noise of an exposure", "background2_rate.fits")),
    "errors": (
        all_of(reporting(0.9), ALL_SCIENCE),
        all_of(reporting(0.9), ALL_BACKGROUNDS),
        ("errors are not the scatter", ""),
    ),
    "subtracted before": (
        all_of(subtracted_before, ALL_SCIENCE),
        {},
        ("background already subtracted", "science1_rate.fits"),
    ),
    "nebula": (
        {},
        all_of(nebula, ALL_BACKGROUNDS),
        ("extended light in the backgrounds", ""),
    ),
    "flags": ({}, {1: flagged}, ("flags of one background", "background2_rate.fits")),
    "latent": (
        {},
        {0: at(0), 1: at(10, with_source), 2: at(20, with_latent), 3: at(30)},
        ("latent image", "background3_rate.fits"),
    ),
    "saturated": (
        {1: saturated},
        {},
        ("saturated in the first groups", "science2_rate.fits"),
    ),
    "pattern": (
        {},
        all_of(saying(READPATT="SLOWR1"), ALL_BACKGROUNDS),
        ("read otherwise", "background1_rate.fits"),
    ),
    "epoch": (
        all_of(saying(EXPMID=61041.0), ALL_SCIENCE),
        all_of(saying(EXPMID=61041.0), range(3)) | {3: saying(EXPMID=61050.0)},
        ("another epoch", "background4_rate.fits"),
    ),
    "temperature": (
        all_of(saying(DETTEMP=6.7), ALL_SCIENCE),
        all_of(saying(DETTEMP=6.7), range(3)) | {3: saying(DETTEMP=7.1)},
        ("another temperature", "background4_rate.fits"),
    ),
    "columns": ({}, all_of(of_another_dark(1), ALL_BACKGROUNDS), ("stripes of columns", "")),
    "rows": (all_of(of_another_dark(0), ALL_SCIENCE), {}, ("stripes of rows", "")),
    "stripe": ({}, all_of(striped, ALL_BACKGROUNDS), ("stripes of columns", "")),
    "output": ({}, all_of(of_one_output, ALL_BACKGROUNDS), (UNEXPLAINED, "")),
}


def test_exposures_that_belong_together_have_no_finding(good, judged):
    """Nothing is found where nothing is, and everything decides."""
    names, judgement = judged(good)
    assert names == []
    assert {each.status for each in judgement.metrics} == {Outcome.PASSED.word}


@pytest.mark.parametrize("case", CASES)
def test_property_of_the_data_is_found_and_fails_nothing(altered, judged, case):
    """The finding has name, member, numbers and advice; an exact step passes, no other does."""
    science, backgrounds, (name, member) = CASES[case]
    products = altered(science, backgrounds)
    names, judgement = judged(products)
    first = judgement.findings[0]
    assert (names[0], first.member) == (name, member)
    assert first.advice
    assert all(metric.passed for metric in judgement.metrics)
    assert {each.finding for each in judgement.metrics if each.released} <= set(names)
    # On the same data, a thousandth too much of the background is not excused.
    wrong = [
        replace(image, data=image.data - np.float32(1e-3) * products.combined[0].data)
        for image in products.subtracted
    ]
    known = judgement.analysis.expectation
    metrics = judge_products(replace(products, subtracted=wrong), known).metrics
    assert "subtraction" in {metric.name for metric in metrics if not metric.passed}


def test_numbers_of_differing_skies(altered):
    """The difference is that of the rates, with what a scaled background would leave."""
    (finding, *_) = judge_products(altered({}, all_of(plus(0.7), ALL_BACKGROUNDS))).findings
    # A median of 0.3 DN/s of noise over a hundred thousand pixels, and drifts of the outputs.
    assert finding.value == pytest.approx(-0.7, abs=0.02)
    assert "-4.8 %" in finding.sentence
    assert "scaled by 0.95" in finding.sentence


@pytest.mark.parametrize(("factor", "words"), [(4, "4 times as much"), (1.1, "+9.9 %")])
def test_cause_of_another_level_is_told(altered, factor, words):
    """A factor of four is that of a wrong group time; a tenth is not."""
    sentence = judge_products(altered({}, {2: times(factor)})).findings[0].sentence
    assert words in sentence
    assert ("wrong group time" in sentence) == (factor == 4)


def test_first_exposure_of_a_visit_is_told(altered):
    """As flight exposures of F560W have it (PID 1040): up to a quarter brighter."""
    science, backgrounds, _ = CASES["first of a visit"]
    assert (
        "first exposures of a visit"
        in judge_products(altered(science, backgrounds)).findings[0].sentence
    )


@pytest.mark.parametrize("renamed", [False, True], ids=["by file", "by pixels"])
def test_science_exposure_among_its_backgrounds(good, step, judged, renamed):
    """It is named, whatever its file is called, and noise does not decide."""
    own = replace(good.science[0], path=good.science[0].path.with_name("alias_rate.fits"))
    member = own if renamed else good.science[0]
    names, judgement = judged(step(replace(good, backgrounds=[member, *good.backgrounds])))
    assert names == ["science exposure among its own backgrounds"]
    assert judgement.findings[0].value == pytest.approx(20)  # %, one of five
    assert all(metric.passed for metric in judgement.metrics)


def test_background_that_is_there_twice(good, step, judged):
    """Copies of one exposure are told from others that look alike."""
    twice = [*good.backgrounds[:3], replace(good.backgrounds[0], path="copy_rate.fits")]
    names, judgement = judged(step(replace(good, backgrounds=twice)))
    assert names == ["background twice"]
    assert "same pixels as copy_rate.fits" in judgement.findings[0].sentence
    assert all(metric.passed for metric in judgement.metrics)


@pytest.mark.parametrize("names", [["a_rate.fits"], ["a_rate.fits", "b_rate.fits"]])
def test_nothing_but_copies_of_one_background(good, step, judged, names):
    """There is no difference that shows the noise, and a verdict all the same."""
    copies = [replace(good.backgrounds[0], path=name) for name in names]
    found, judgement = judged(step(replace(good, backgrounds=copies)))
    assert ("background twice" in found) == (len(names) > 1)
    assert all(metric.passed for metric in judgement.metrics)


def test_science_exposure_as_its_only_background(good, step, judged):
    """Nothing is left, and nothing that scatters."""
    alone = replace(good, science=good.science[:1], backgrounds=good.science[:1])
    found, judgement = judged(step(replace(alone, combined=[None], associations=["asn.json"])))
    assert "science exposure among its own backgrounds" in found
    assert any("Nothing is left that scatters" in each.worth for each in judgement.behaviours)
    assert all(metric.passed for metric in judgement.metrics)


def test_pixels_lost_for_one_background(altered):
    """The number is that of good science pixels that are lost."""
    (finding,) = judge_products(altered({}, {1: flagged})).findings
    bad = 1600 - finding.value  # of all that are flagged, those that are bad anyway
    assert 0 <= bad < 0.02 * 1600
    assert "PERSISTENCE" in finding.sentence


def test_ramps_of_whole_numbers_are_told(altered):
    """Two values of VAR_POISSON explain errors that are not the scatter."""

    def two_valued(image):
        photons = image.variances["VAR_POISSON"]
        upper = np.random.default_rng(3).random(photons.shape) < 0.5
        steps = np.where(upper, photons.max(), photons.max() / 2).astype(np.float32)
        changed = replace(image, variances=image.variances | {"VAR_POISSON": steps})
        return saying(TGROUP=0.1)(reporting(0.9)(changed))

    changes = all_of(two_valued, ALL_SCIENCE), all_of(two_valued, ALL_BACKGROUNDS)
    found = {each.name: each.sentence for each in judge_products(altered(*changes)).findings}
    assert "two values of VAR_POISSON" in found["errors are not the scatter"]


# ------------------------------------------------------------------ clipping


@pytest.mark.parametrize("saved", [True, False], ids=["combined saved", "combined not saved"])
@pytest.mark.parametrize(("sigma", "maxiters"), [(1.5, None), (3.0, None), (2.0, 1)])
def test_other_clipping_is_found(good, step, judged, sigma, maxiters, saved):
    """What was assumed is not what was used: products are judged by the latter, and pass."""
    names, judgement = judged(step(good, sigma, maxiters, saved))
    assert names == ["other clipping"]
    assert f"exactly those of sigma {sigma:g}" in judgement.findings[0].sentence
    assert judgement.analysis.products.sigma == sigma
    assert all(metric.passed for metric in judgement.metrics)


def test_other_clipping_than_on_record_fails(good, step, judged):
    """A step that does not do what it was given is broken, and the cause is named."""
    sure = replace(step(good, 1.5, None), clipping_is_sure=True)
    names, judgement = judged(sure)
    assert names == ["other clipping"]
    assert "combined value" in {each.name for each in judgement.metrics if not each.passed}


def test_wrong_average_is_no_other_clipping(good, judged):
    """A pixel that no clipping gives is the step's."""
    data = good.combined[0].data.copy()
    data[100, 100] += 0.5
    combined = replace(good.combined[0], data=data)
    names, judgement = judged(replace(good, combined=[combined] * 2))
    assert names == []
    assert {"combined value", "subtraction"} <= {m.name for m in judgement.metrics if not m.passed}


# ------------------------------------------------------------------ runs


@pytest.mark.slow
@pytest.mark.parametrize("truth", [True, False], ids=["truth", "no truth"])
def test_simulated_run_has_no_finding(full_array, truth):
    """The pipeline's products of the simulator's rates are as they should be."""
    directory, _ = full_array
    products = read_products(directory)
    if not truth:
        products = replace(products, science_truth=None, background_truth=None)
    judgement = judge_products(products)
    assert judgement.findings == []
    assert all(metric.passed and not metric.released for metric in judgement.metrics)


def test_numbers_of_a_latent_image(altered):
    """The light that is left is that which was put there, of the pixels of the source."""
    (finding,) = judge_products(altered(*CASES["latent"][:2])).findings
    # The median of a hundred pixels, less that of the pixels around.
    assert finding.value == pytest.approx(BRIGHT / 100, abs=0.3)
    assert "0.01 of their light" in finding.sentence
    assert "No pixel has PERSISTENCE" in finding.sentence


def test_bright_source_alone_is_no_latent_image(altered, judged):
    """What is not seen in the next exposure is not left there."""
    changes = {0: at(0), 1: at(10, with_source), 2: at(20), 3: at(30)}
    assert "latent image" not in judged(altered({}, changes))[0]


def test_saturated_pixels_are_counted(altered):
    """The number is that of the pixels that have lost their slopes."""
    (finding,) = judge_products(altered({1: saturated})).findings
    bad = 20 - finding.value  # of all that are flagged, those that are bad anyway
    assert 0 <= bad <= 2
