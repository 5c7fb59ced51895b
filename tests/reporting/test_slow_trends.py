"""What creeps one way is named; nights of noise are not."""

import copy
import json

import numpy as np
import pytest

from miri_background.outcomes import Outcome
from miri_background.reporting.history import load
from miri_background.reporting.site.build import Places
from miri_background.reporting.site.pages import Pages
from miri_background.reporting.site.slow_trends import slow_trends
from miri_background.reporting.site.standing import Standing

ERROR = 0.002  # DN/s
NIGHTS = 12


@pytest.fixture
def standing_of(add_run, tmp_path, passed_verdict):
    """Return a function that makes nights of one observation from values of its residual."""
    like = next(each for each in passed_verdict["metrics"] if each["name"] == "residual")

    def nights(values, last=Outcome.PASSED, **changed):
        for night, value in enumerate(values):
            outcome = last if night == len(values) - 1 else Outcome.PASSED
            path = add_run(tmp_path, "a", night, outcome, None, "so it is", notebook=False)
            content = json.loads(path.read_text(encoding="utf-8"))
            metric = copy.deepcopy(like) | {"value": value, "standard_error": ERROR} | changed
            content["verdict"]["metrics"] = [metric]
            path.write_text(json.dumps(content), encoding="utf-8")
        return Standing(load(tmp_path / "history"))

    return nights


def creeping(generator, slope=0.5):
    """Return values that creep by so many standard errors a night, in noise."""
    return ERROR * (slope * np.arange(NIGHTS) + generator.standard_normal(NIGHTS))


@pytest.mark.parametrize(("slope", "word"), [(0.5, "rises"), (-0.5, "falls")])
def test_creeping_metric_is_named(standing_of, slope, word):
    """With its speed: a line through so many nights is certain to 0.084 standard errors a night."""
    (trend,) = slow_trends(standing_of(creeping(np.random.default_rng(1), slope)))
    assert trend.slope == pytest.approx(slope, abs=4 / np.sqrt(NIGHTS * (NIGHTS**2 - 1) / 12))
    assert f"{word} by 0." in trend.sentence()
    assert f"over {NIGHTS} nights" in trend.sentence()


def test_noise_is_silent(standing_of):
    """Twenty histories of eight nights."""
    generator = np.random.default_rng(2)
    found = [slow_trends(standing_of(ERROR * generator.standard_normal(8))) for _ in range(20)]
    assert not any(found)


def test_same_data_every_night_are_silent(standing_of):
    """A night with a seed of its own repeats its values."""
    assert slow_trends(standing_of([3 * ERROR] * NIGHTS)) == []


@pytest.mark.parametrize(
    "changed", [{"trials": 1000}, {"standard_error": None}], ids=["furthest of many", "exact"]
)
def test_only_what_scatters_by_itself_can_creep(standing_of, changed):
    """Which of many is furthest off is chance."""
    assert slow_trends(standing_of(creeping(np.random.default_rng(1)), **changed)) == []


def test_few_nights_are_no_trend(standing_of):
    """Five values on a line may be chance."""
    assert slow_trends(standing_of(ERROR * np.arange(5.0))) == []


def test_broken_limit_is_no_slow_trend(standing_of):
    """The front page says that first."""
    values = creeping(np.random.default_rng(1))
    assert slow_trends(standing_of(values, last=Outcome.FAILED)) == []


def test_front_page_names_it(standing_of, tmp_path):
    """Below the answer."""
    standing = standing_of(creeping(np.random.default_rng(1)))
    front = Pages(standing, Places(standing, tmp_path / "history")).front()
    assert front.index("All is well") < front.index("creeping one way") < front.index("Last night")
