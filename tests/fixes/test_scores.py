"""Known answers of scores, of their predictions, and of how they are put together."""

import math

import numpy as np
import pytest

from miri_background.fixes.flags import KINDS, Spoiled
from miri_background.fixes.pieces import CASES, chosen_cases, pieces
from miri_background.fixes.predicted import Noise, predicted_pulls
from miri_background.fixes.score import Score
from miri_background.fixes.scores import (
    Value,
    deviation,
    level,
    mean_of_values,
    part,
    pulls,
    right_and_flagged,
)
from miri_background.fixes.tried import Tried, together
from miri_background.outcomes import SetUpWrong
from miri_background.reporting.fixes.numbers import number_text

SHAPE = (200, 200)
EVERYWHERE = np.ones(SHAPE, dtype=bool)
DO_NOT_USE = 1


@pytest.fixture
def noise():
    """Return normal noise with a standard deviation of 2."""
    return 2.0 * np.random.default_rng(1).standard_normal(SHAPE)


def test_pull_of_right_errors_is_one(noise):
    """Within five of its standard errors, which is that of normal values."""
    found = pulls(noise, np.full(SHAPE, 2.0), EVERYWHERE)
    assert found.error == pytest.approx(1 / math.sqrt(2 * noise.size), rel=0.05)
    assert abs(found.value - 1) < 5 * found.error


def test_pull_of_halved_errors_is_two(noise):
    """Errors that are too small."""
    found = pulls(noise, np.ones(SHAPE), EVERYWHERE)
    assert abs(found.value - 2) < 5 * found.error


def test_what_outputs_have_in_common_is_no_pull(noise):
    """A level of 100 in every fourth column; and pixels that do not count."""
    common = np.where(np.arange(SHAPE[1]) % 4 == 1, 100.0, 0.0)
    good = EVERYWHERE.copy()
    good[0, 0] = False
    difference = noise + common
    difference[0, 0], difference[1, 1] = 1e9, np.nan
    found = pulls(difference, np.full(SHAPE, 2.0), good)
    assert abs(found.value - 1) < 5 * found.error


def test_standard_error_of_a_deviation_is_the_scatter_of_many():
    """Of values that are not normal: uniform ones, whose deviation is better known."""
    drawn = np.random.default_rng(2).uniform(-1, 1, (400, 500))
    several = [deviation(each) for each in drawn]
    scatter = np.std([each.value for each in several])
    # The scatter of 400 deviations is itself known to one in twenty-eight.
    assert np.mean([each.error for each in several]) == pytest.approx(scatter, rel=4 / 28)


def test_level_has_what_is_common_in_its_error(noise):
    """A bias of 3 is found."""
    found = level(noise + 3.0, EVERYWHERE, common=0.01)
    assert found.error == pytest.approx(math.sqrt(4 / noise.size + 0.01), rel=0.02)
    assert abs(found.value - 3) < 5 * 2 / math.sqrt(noise.size)


def test_part_is_in_percent():
    """One of four, others left aside; and none, which is known to one pixel."""
    of = np.arange(500) < 400
    one = part(np.arange(500) % 4 == 0, of)
    assert one.value == 25
    assert one.error == pytest.approx(100 * math.sqrt(0.25 * 0.75 / 400))
    assert part(~of, of) == Value(0.0, 0.25)
    assert math.isnan(part(of, np.zeros(500, bool)).value)


def test_right_is_what_is_near_the_truth():
    """Four and six standard deviations off; no number; and no value that could be right."""
    value = np.array([14.0, 16.0, np.nan, 10.0])
    right, flagged = right_and_flagged(
        value, 10.0, np.array([1.0, 1.0, 1.0, 0.0]), np.array([1, 4, 0, 1], np.uint32)
    )
    assert right.tolist() == [True, False, False, False]
    assert flagged.tolist() == [True, False, False, True]


def test_mean_of_observations():
    """Errors of two independent values; what is no number does not count."""
    found = mean_of_values([Value(1.0, 3.0), Value(2.0, 4.0), Value(math.nan, 1.0)])
    assert found == Value(1.5, 2.5)
    assert math.isnan(mean_of_values([]).value)


@pytest.mark.parametrize(("count", "sigma"), [(1, 2.0), (4, 100.0)])
def test_predicted_pulls_without_clipping(count, sigma):
    """Normal noise of variance 1 and 1/n, of which the first is reported, or both."""
    alike = Noise(scatter=2.0, reported=1.0, common=0.0, offset=0.0)
    found = predicted_pulls(count, sigma, 3, alike, alike)
    expected = {
        "combined": 1.0,
        "science": math.sqrt(1 + 1 / count),
        "quadrature": 1.0,
        "noise": 2 * math.sqrt(1 + 1 / count),
    }
    for name, value in expected.items():
        assert abs(found[name].value - value) < 5 * found[name].error, name


def test_clipping_good_values_makes_errors_too_small():
    """Eight backgrounds at sigma 2: what is measured with the pipeline, too."""
    alike = Noise(scatter=2.0, reported=1.0, common=0.0, offset=0.0)
    assert predicted_pulls(8, 2.0, 3, alike, alike)["combined"].value > 1.1


def test_pixels_are_spoiled_in_as_many_backgrounds_as_is_said():
    """Each number of backgrounds and each kind has as many pixels; no pixel has two kinds."""
    good = np.ones((60, 60), dtype=bool)
    good[:5] = False
    spoiled = Spoiled(good, 3, noise=2.0)
    first, second = (spoiled.of_kind[kind] for kind in KINDS)
    assert not (first & second).any()
    assert not spoiled.number[:5].any()
    sizes = {
        np.count_nonzero(pixels & (spoiled.number == number))
        for pixels in (first, second)
        for number in (1, 2, 3)
    }
    assert len(sizes) == 1
    assert sizes.pop() > 100
    assert spoiled.excess.min() >= 2.0


def score(value, seed_error=0.3, **others):
    """Return a score of errors."""
    kind = {"case": "errors", "data": "SUB256", "variant": "unmodified", "quantity": "pull"}
    return Score(**kind | {"value": value, "error": seed_error, "backgrounds": 4} | others)


def test_scores_of_observations_that_are_alike_become_one():
    """And no others."""
    found = together([score(1.0), score(2.0), score(5.0, backgrounds=2)])
    assert [(each.value, each.backgrounds) for each in found] == [(1.5, 4), (5.0, 2)]
    assert found[0].error == pytest.approx(0.3 / math.sqrt(2))


def test_a_score_is_found_or_there_is_none():
    """More than one is an error of who asks."""
    tried = Tried([score(1.0), score(5.0, backgrounds=2)], CASES, 1)
    assert tried.score("errors", "SUB256", "unmodified", "pull", backgrounds=2).value == 5.0
    assert tried.score("errors", "FULL", "unmodified", "pull") is None
    with pytest.raises(LookupError):
        tried.score("errors", "SUB256", "unmodified", "pull")


def test_cases_are_chosen_by_name():
    """In their order, all without a name; what is no case is refused."""
    assert chosen_cases(()) == CASES
    assert chosen_cases(("place", "errors")) == ("errors", "place")
    with pytest.raises(SetUpWrong, match="erors is not a case of fixes: there are errors, flags"):
        chosen_cases(("erors",))


def test_pieces_have_names_of_their_own():
    """Each keeps its file."""
    names = [each.name for each in pieces(CASES, 3)]
    assert len(set(names)) == len(names)
    assert {each.case for each in pieces(("flags",), 3)} == {"flags"}


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.18793, 0.0017, "1.1879 ± 0.0017"),
        (12.3316, 0.07, "12.33 ± 0.07"),
        (-0.00001, 0.02, "0.00 ± 0.02"),
        (100.0, 0.5, "100.0 ± 0.5"),
        (123.4, 12.0, "123 ± 12"),
        (math.nan, 1.0, "–"),
        (2.0, math.nan, "2"),
    ],
)
def test_numbers_have_the_decimals_of_their_errors(value, error, text):
    """One or two digits of the error."""
    assert number_text(value, error) == text
