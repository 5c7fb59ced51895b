"""What a build does where the documentation leaves a choice is recognised and named."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet

from miri_background.outcomes import SetUpWrong
from miri_background.validation.measurements.behaviour_catalogue import (
    catalogue,
    expected_behaviours,
)
from miri_background.validation.measurements.behaviours import behaviours
from miri_background.validation.measurements.build import Build
from miri_background.validation.measurements.exact import exact_measurements

TODAY = {
    "errors": "not propagated",
    "flags": "of any member",
    "averaged pixels": "flags ignored",
    "empty integrations": "counted as zero",
    "place of another subarray": "where it was read",
}
# Choices of a step, and what they are called.
CHOICES = {
    "errors in quadrature": ({"quadrature": True}, {"errors": "in quadrature"}),
    "flags of all members": ({"every": True}, {"flags": "of all members"}),
    "flags by a fraction": ({"least": 2}, {"flags": "DO_NOT_USE by a fraction"}),
    "flags of all but for a fraction": (
        {"every": True, "least": 3},
        {"flags": "DO_NOT_USE by a fraction"},
    ),
    "pixels masked": ({"masked": True}, {"averaged pixels": "DO_NOT_USE masked"}),
    "all that is proposed": (
        {"quadrature": True, "every": True, "masked": True},
        {
            "errors": "in quadrature",
            "flags": "of all members",
            "averaged pixels": "DO_NOT_USE masked",
        },
    ),
}
EMPTY = {"empty left out": ({"left_out": True}, {"empty integrations": "left out"})}
MEDIAN_COST = np.sqrt(np.pi / 2)  # error of the median over that of the mean
IN_WORK = "3.1.0.dev12+g1234567"


def build_of(analysis):
    """Return the build that made the products of an analysis."""
    return Build(analysis.products, analysis.expectation.combined)


def names(analysis):
    """Return the name of the behaviour of each aspect."""
    return {each.aspect: each.name for each in build_of(analysis).recognised}


def measured(analysis):
    """Return the exact measurements of an analysis."""
    return exact_measurements(analysis.products, analysis.expectation.combined)


def broken(analysis):
    """Return the exact criteria that are not met."""
    return {
        each.criterion
        for each in exact_measurements(analysis.products, analysis.expectation.combined)
        if each.value
    }


def other(analysis, **changed):
    """Return an analysis of changed products of the same rates."""
    changed_analysis = copy.copy(analysis)
    changed_analysis.products = replace(analysis.products, **changed)
    return changed_analysis


# ------------------------------------------------------------------ the list of behaviours


def test_aspects():
    """What is open is listed, today's behaviours first."""
    assert {aspect: next(iter(named)) for aspect, named in catalogue().items()} == TODAY


@pytest.mark.parametrize("aspect", TODAY)
def test_release_has_one_behaviour(aspect):
    """No release is known to do two things."""
    known = [each["releases"] for each in catalogue()[aspect].values() if "releases" in each]
    for release in ("1.6.2", "1.18.1", "2.0.1", "3.0.0", "3.1.0"):
        assert sum(release in SpecifierSet(releases) for releases in known) <= 1


@pytest.mark.parametrize("aspect", TODAY)
def test_behaviours_are_described(aspect):
    """Each says what is done."""
    assert all(each["description"] for each in catalogue()[aspect].values())


# ------------------------------------------------------------------ recognition


@pytest.mark.parametrize("saved", [True, False], ids=["combined saved", "combined not saved"])
@pytest.mark.parametrize("integrations", [None, 3], ids=["rates", "rateints"])
@pytest.mark.parametrize("choice", [*CHOICES, *EMPTY, "today's"])
def test_behaviour_is_recognised_and_exact(background_step, choice, integrations, saved):
    """A build between releases that does what is proposed is held to that by every pixel."""
    chosen, expected = (CHOICES | EMPTY | {"today's": ({}, {})})[choice]
    if integrations is None and choice in EMPTY:
        return
    analysis = background_step(integrations=integrations, version=IN_WORK, saved=saved, **chosen)
    found = names(analysis)
    wanted = {each: name for each, name in (TODAY | expected).items() if each in found}
    assert (found, broken(analysis)) == (wanted, {"behaviour"} if expected else set())


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_proposed_passes_where_it_is_expected(background_step, choice):
    """A run that expects what a build does takes it for right, in a release as between them."""
    chosen, expected = CHOICES[choice]
    for version in ("3.0.0", IN_WORK):
        analysis = background_step(version=version, **chosen)
        products = replace(analysis.products, expected_behaviours=expected)
        assert problems(products, analysis) == []


def test_what_is_expected_and_not_done_fails(background_step):
    """A build that does as releases do is not what was expected, and both are named."""
    analysis = background_step()
    expected = expected_behaviours("errors=quadrature")
    (problem,) = problems(replace(analysis.products, expected_behaviours=expected), analysis)
    assert problem.endswith("errors: not propagated, and in quadrature is expected")


def test_what_is_proposed_is_told_with_what_to_say(background_step):
    """The sentence has the option that makes it pass."""
    analysis = background_step(version=IN_WORK, quadrature=True)
    (problem,) = problems(analysis.products, analysis)
    assert "only proposed (say --expect 'errors=in quadrature' where it is wanted)" in problem


def problems(products, analysis):
    """Return what is said of behaviours that are not right."""
    (behaviour,) = [
        each
        for each in exact_measurements(products, analysis.expectation.combined)
        if each.criterion == "behaviour"
    ]
    return [behaviour.detail] if behaviour.value else []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("errors=quadrature", {"errors": "in quadrature"}),
        (
            "flags=of all members, averaged pixels=masked",
            {"flags": "of all members", "averaged pixels": "DO_NOT_USE masked"},
        ),
    ],
)
def test_expectation_is_read(text, expected):
    """Any part of a name that no other has is enough."""
    assert expected_behaviours(text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("error=quadrature", "no behaviour 'error': choose of errors, flags"),
        ("errors", "names no behaviours: choose of not propagated, in quadrature"),
        ("flags=member", "names 2 behaviours"),
    ],
)
def test_unknown_expectation_is_refused(text, told):
    """The sentence lists what there is."""
    with pytest.raises(SetUpWrong, match=told):
        expected_behaviours(text)


@pytest.mark.parametrize("choice", CHOICES)
def test_release_is_held_to_what_it_is_known_to_do(background_step, choice):
    """Another behaviour in a known release is a fault, as many times as it has others."""
    chosen, expected = CHOICES[choice]
    analysis = background_step(version="3.0.0", **chosen)
    (behaviour,) = [
        e.value
        for e in exact_measurements(analysis.products, analysis.expectation.combined)
        if e.criterion == "behaviour"
    ]
    assert (behaviour, broken(analysis)) == (len(expected), {"behaviour"})


@pytest.mark.parametrize(
    ("version", "faults"),
    [
        ("3.0.0", 1),
        ("1.18.1", 1),
        ("3.0.1", 0),
        ("3.0.0rc1", 0),
        ("2.0.2.dev3+gabcdef0", 0),
        ("3.0.0+patched", 0),
        ("a version of mine", 0),
        ("", 0),
    ],
)
def test_only_releases_are_known(background_step, version, faults):
    """What is not a release that is listed is not known to do anything."""
    analysis = background_step(version=version, every=True)
    assert sum(not each.as_known for each in build_of(analysis).recognised) == faults


@pytest.mark.parametrize("least", [1, 2, 3, 4])
def test_fraction_is_found(background_step, least):
    """How many backgrounds decide is found among the data; one of four is any of them."""
    (flags,) = [
        each
        for each in build_of(background_step(version=IN_WORK, least=least)).recognised
        if each.aspect == "flags"
    ]
    details = ["", *(f"in at least {number} of 4, other flags of any" for number in (2, 3, 4))]
    assert flags.detail == details[least - 1]


def test_known_behaviour_is_said_where_data_do_not_tell(background_step):
    """Without a flag and without an error there is nothing that tells behaviours apart."""
    analysis = background_step(version=IN_WORK)
    clear = [replace(each, dq=np.zeros_like(each.dq)) for each in analysis.products.backgrounds]
    (saved, *_), science = analysis.products.combined, analysis.products.science
    cleared = other(
        analysis,
        backgrounds=clear,
        combined=[replace(saved, dq=np.zeros_like(saved.dq))] * 2,
        subtracted=[
            replace(image, dq=rate.dq)
            for image, rate in zip(analysis.products.subtracted, science, strict=True)
        ],
    )
    assert names(cleared) == {name: TODAY[name] for name in names(cleared)}


@pytest.mark.parametrize("integrations", [None, 3], ids=["rates", "rateints"])
def test_what_is_none_of_them_fails(background_step, integrations):
    """Flags that are dropped, errors that are added and means of all are nobody's behaviour."""
    analysis = background_step(version=IN_WORK, integrations=integrations)
    products = analysis.products
    saved = products.combined[0]
    plain = np.stack([each.data.reshape(-1, *saved.data.shape)[0] for each in products.backgrounds])
    wrong = replace(saved, dq=0 * saved.dq, data=plain.mean(axis=0))
    faulty = other(
        analysis,
        combined=[wrong] * 2,
        subtracted=[
            replace(image, err=rate.err + saved.err, dq=rate.dq, data=rate.data - wrong.data)
            for image, rate in zip(products.subtracted, products.science, strict=True)
        ],
    )
    assert broken(faulty) >= {"combined value", "combined DQ", "science error"}
    assert names(faulty) == {name: TODAY[name] for name in names(faulty)}


def test_exposures_must_agree(background_step):
    """A step that does this here and that there has neither behaviour."""
    any_member, all_members = (
        background_step(version=IN_WORK, every=every) for every in (False, True)
    )
    mixed = other(
        any_member,
        **{
            name: [getattr(each.products, name)[0] for each in (any_member, all_members)]
            for name in ("science", "subtracted", "combined")
        },
    )
    assert broken(mixed) == {"combined DQ"}


def test_skipped_step_has_known_behaviours(background_step):
    """Where nothing was subtracted nothing can be told."""
    analysis = background_step(every=True)
    skipped = other(analysis, subtracted=analysis.products.science, combined=[None] * 2)
    assert build_of(skipped).subtracted_exposures == []
    assert all(each.as_known for each in build_of(skipped).recognised)


# ------------------------------------------------------------------ what it is worth


def worth(analysis, aspect):
    """Return what is said about the worth of one aspect."""
    (said,) = [each.worth for each in behaviours(analysis) if each.aspect == aspect]
    return said


def test_behaviours_are_named_with_their_releases(background_step):
    """A proposed one is said to be in no release."""
    said = {
        each.aspect: each
        for each in behaviours(background_step(subarray="SUB256", version=IN_WORK, least=2))
    }
    assert said["flags"].name == "DO_NOT_USE by a fraction (in at least 2 of 4, other flags of any)"
    assert said["flags"].known_in == "none: proposed"
    assert said["errors"].known_in == "jwst >=1.6.2,<=3.0.0"


def numbers(said):
    """Return the numbers of a sentence, percentages as they are."""
    return [float(word) for word in re.findall(r"-?\d+\.?\d*", said)]


@pytest.mark.parametrize("quadrature", [False, True])
def test_worth_of_errors(background_step, quadrature):
    """Scatter has the noise of a rate and of the clipped mean of four, errors have the first."""
    analysis = background_step(subarray="SUB256", version=IN_WORK, quadrature=quadrature)
    scatter, alone, _, together, _ = numbers(worth(analysis, "errors"))
    # Clipping at 2 costs 9 % of the mean's precision, which its error does not say.
    expected = (np.hypot(0.3, 1.09 * 0.3 / 2), 0.3, np.hypot(0.3, 0.3 / 2))
    assert (scatter, alone, together) == pytest.approx(expected, rel=0.03)


def test_worth_of_flags(background_step):
    """Where five exposures flag 2 % each and 1 % has no value, flags of any cost most."""
    any_member, all_members, half, least, number = numbers(
        worth(background_step(subarray="SUB256"), "flags")
    )
    assert (least, number) == (2, 4)
    # Of a science exposure 97 % are left, which each of four backgrounds cuts by 3 %.
    assert all_members == pytest.approx(97, abs=0.3)
    assert any_member == pytest.approx(97 * 0.97**4, abs=0.5)
    assert any_member < half < all_members


def test_worth_of_masking(background_step):
    """Values that are 1 DN/s too high make an average of four too high by a quarter."""
    said = worth(background_step(subarray="SUB256"), "averaged pixels")
    pixels, ignored, _, masked, _ = numbers(said)
    mean_error = MEDIAN_COST * 0.35 / np.sqrt(pixels)
    # Clipping finds a part of them.
    assert -0.25 - 4 * mean_error < ignored < -5 * mean_error
    assert abs(masked) < 4 * mean_error


def test_worth_is_the_same_whatever_the_build_does(background_step):
    """Both residuals are shown, from the products of either build."""
    first, second = (
        worth(background_step(subarray="SUB256", version=IN_WORK, masked=masked), "averaged pixels")
        for masked in (False, True)
    )
    assert first == second


def test_worth_of_empty_integrations(background_step):
    """One zero of four is clipped at 2; two are not, and half of the sky stays."""
    said = worth(background_step(subarray="SUB256", integrations=3), "empty integrations")
    pixels, as_zero, _, left_out, _ = numbers(said)
    mean_error = MEDIAN_COST * 0.35 / np.sqrt(pixels)
    assert as_zero == pytest.approx(14 / 2, abs=4 * mean_error)
    assert left_out == pytest.approx(0, abs=4 * mean_error)


def test_worth_without_flags(background_step):
    """Where no pixel is affected, that is said."""
    analysis = background_step(subarray="SUB256")
    clear = [replace(each, dq=np.zeros_like(each.dq)) for each in analysis.products.backgrounds]
    said = worth(other(analysis, backgrounds=clear), "averaged pixels")
    assert said == "No pixel of empty sky depends on it in these data."


def test_worth_of_what_was_skipped(background_step):
    """Where nothing was subtracted, that is said."""
    analysis = background_step(subarray="SUB256")
    skipped = other(analysis, subtracted=analysis.products.science, combined=[None] * 2)
    assert {each.worth for each in behaviours(skipped)} == {
        "Nothing was subtracted from any exposure."
    }
