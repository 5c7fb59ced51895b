"""What the front page says has changed, and where a page leads that is not of a good run."""

import copy
import itertools
import json
import math
import re
from dataclasses import replace

import pytest

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.history import load
from miri_background.reporting.site.build import Places
from miri_background.reporting.site.pages import Pages
from miri_background.reporting.site.standing import Standing
from miri_background.validation.measurements.measurement import normal_deviation

GOOD, DRIFTED = Outcome.PASSED, Outcome.DRIFTED
FAILED, UNJUDGED = Outcome.FAILED, Outcome.CANNOT_JUDGE
BROKEN = 41  # standard errors that a failed run is off
TRIALS = 1000
ERROR = 0.002  # DN/s


def metric_of(passed_verdict, **changed):
    """Return the residual of a record with other values."""
    like = next(each for each in passed_verdict["metrics"] if each["name"] == "residual")
    return like | {"standard_error": ERROR, "limit": 5 * ERROR} | changed


@pytest.fixture
def nights_of(add_run, tmp_path):
    """Return a function that makes nights of one observation from outcomes and metrics."""

    def nights(*told):
        for night, (outcome, metrics) in enumerate(told):
            cause = Cause.DATA if outcome is UNJUDGED else None
            path = add_run(tmp_path, "a", night, outcome, cause, "so it is", notebook=False)
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["verdict"]:
                content["verdict"]["metrics"] = [copy.deepcopy(each) for each in metrics]
            path.write_text(json.dumps(content), encoding="utf-8")
        return Standing(load(tmp_path / "history"))

    return nights


def change(standing):
    """Return the change of the last run that the front page shows."""
    (row,) = standing.kinds(standing.last["a"])
    return row.change


# The outcomes of nights, and which of them is the last good one before the last of them.
ORDERS = [
    ((GOOD, FAILED), 0),
    ((GOOD, FAILED, GOOD), 0),
    ((GOOD, FAILED, FAILED, GOOD), 0),
    ((GOOD, UNJUDGED, GOOD), 0),
    ((GOOD, FAILED, UNJUDGED, GOOD), 0),
    ((GOOD, GOOD, FAILED, FAILED), 1),
    ((GOOD, DRIFTED, GOOD), 1),
    ((DRIFTED, FAILED, DRIFTED), 0),
    ((GOOD, FAILED, DRIFTED, FAILED), 2),
    ((FAILED, GOOD), None),
    ((UNJUDGED, FAILED), None),
    ((GOOD,), None),
]


@pytest.mark.parametrize(("outcomes", "good"), ORDERS)
def test_change_is_that_since_the_last_good_run(nights_of, passed_verdict, outcomes, good):
    """No number of a run that was broken is compared with."""
    # In standard errors: a good night is off by its number, a broken one by far more.
    off = [number + (BROKEN if each is FAILED else 0) for number, each in enumerate(outcomes)]
    told = [
        (each, [metric_of(passed_verdict, value=ERROR * much)])
        for each, much in zip(outcomes, off, strict=True)
    ]
    expected = "no good run before" if good is None else f"{off[-1] - off[good]:+.1f} std. err."
    assert change(nights_of(*told)) == expected


@pytest.mark.parametrize(("outcomes", "good"), ORDERS)
def test_front_page_names_the_run_that_it_compares_with(
    nights_of, passed_verdict, tmp_path, outcomes, good
):
    """A change of several nights is not taken for that of one."""
    standing = nights_of(*((each, [metric_of(passed_verdict, value=ERROR)]) for each in outcomes))
    page = Pages(standing, Places(standing, tmp_path / "history")).front()
    named = re.findall(r"since ([-\d]+ [:\d]+)</small>", page)
    assert named == ([] if good is None else [standing.runs[good].day])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["columns", "rows", "outputs"])
def test_flipped_sign_of_the_furthest_of_many_is_no_change(nights_of, passed_verdict, name, sign):
    """Another column, as far off on the other side, is what chance gives."""
    told = [
        (GOOD, [metric_of(passed_verdict, name=name, value=value, trials=TRIALS)])
        for value in (3.5 * ERROR * sign, -3.5 * ERROR * sign)
    ]
    assert change(nights_of(*told)) == "unchanged"


def test_flipped_sign_of_one_statistic_is_a_change(nights_of, passed_verdict):
    """A mean that was too high and is too low has changed."""
    told = [(GOOD, [metric_of(passed_verdict, value=value)]) for value in (2 * ERROR, -2 * ERROR)]
    assert change(nights_of(*told)) == "-4.0 std. err."


def test_change_of_the_furthest_of_many_allows_for_their_number(nights_of, passed_verdict):
    """It is in standard errors of a normal statistic, whatever those of the columns are."""
    told = [
        (GOOD, [metric_of(passed_verdict, value=value, standard_error=error, trials=TRIALS)])
        for value, error in ((3.3 * ERROR, ERROR), (-12.0 * ERROR, 2 * ERROR))
    ]
    expected = normal_deviation(6.0, TRIALS) - normal_deviation(3.3, TRIALS)
    assert change(nights_of(*told)) == f"{expected:+.1f} std. err."


def test_metric_is_compared_with_that_of_its_own_place(nights_of, passed_verdict):
    """The worst of another region or exposure is another metric."""
    here = metric_of(passed_verdict, region="Lyot", exposure=2, value=4 * ERROR)
    elsewhere = metric_of(passed_verdict, region="imager", exposure=2, value=-4.5 * ERROR)
    another = metric_of(passed_verdict, region="Lyot", exposure=1, value=-4.6 * ERROR)
    before = [elsewhere, another, here | {"value": 3 * ERROR}]
    now = [elsewhere | {"value": 0.0}, another | {"value": 0.0}, here]
    assert change(nights_of((GOOD, before), (GOOD, now))) == "+1.0 std. err."


def test_metric_that_the_last_good_run_lacks_is_no_change(nights_of, passed_verdict):
    """What was not measured cannot have changed."""
    before = [metric_of(passed_verdict, region="imager", value=0.0)]
    now = [metric_of(passed_verdict, region="Lyot", value=ERROR)]
    assert change(nights_of((GOOD, before), (GOOD, now))) == "not in the last good run"


@pytest.mark.parametrize("broken", [{"value": None}, {"standard_error": None, "value": None}])
def test_what_is_not_a_number_is_not_compared(nights_of, passed_verdict, broken):
    """No page says that something changed by nan."""
    before = [metric_of(passed_verdict, value=ERROR)]
    now = [metric_of(passed_verdict) | broken | {"status": FAILED.word}]
    assert change(nights_of((GOOD, before), (FAILED, now))) == "cannot be compared"


@pytest.mark.parametrize("outcomes", [order for order, _ in ORDERS])
def test_links_lead_to_the_last_good_run_before(nights_of, passed_verdict, tmp_path, outcomes):
    """Each page of a run that is not good names the one that was good before, and no later one."""
    told = [(each, [metric_of(passed_verdict, value=0.0)]) for each in outcomes]
    standing = nights_of(*told)
    places = Places(standing, tmp_path / "history")
    runs = standing.of("a")
    assert runs == [run for run in places.runs if run.record.name == "a"]
    for number, run in enumerate(runs):
        earlier = [each for each in runs[:number] if each.good]
        page = Pages(standing, places).run(run)
        if run.good:
            assert "last good run" not in page
        elif not earlier:
            assert "no run of this observation passed before" in page
        else:
            links = re.findall(r'href="\.\./([^"]*)">the last good run', page)
            assert links == [places.run(earlier[-1])]


def test_last_good_run_of_long_ago_has_a_page(nights_of, passed_verdict, tmp_path):
    """Of more failed nights than have pages, each leads to a page that is there."""
    metrics = [metric_of(passed_verdict, value=0.0)]
    standing = nights_of((GOOD, metrics), *itertools.repeat((FAILED, metrics), 16), (GOOD, metrics))
    places = Places(standing, tmp_path / "history")
    first = standing.of("a")[0]
    assert places.run(first)
    failed = places.runs[1]
    assert places.run(first) in Pages(standing, places).run(failed)


def test_run_outside_of_nights_is_no_last_good_one_of_a_night_before(
    nights_of, passed_verdict, tmp_path
):
    """A run by hand, the day after the night that failed, is later."""
    metrics = [metric_of(passed_verdict, value=0.0)]
    standing = nights_of((GOOD, metrics), (FAILED, metrics), (GOOD, metrics))
    by_hand = standing.runs[-1]
    standing.runs[-1] = replace(by_hand, record=replace(by_hand.record, night=""))
    places = Places(standing, tmp_path / "history")
    good, failed, _ = standing.runs
    assert standing.last == {"a": failed}
    assert places.observed == [failed, good]
    assert f"the last good run before, {good.day}" in Pages(standing, places).banner(failed)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 3.0, 7.0, 7.2, 41.0, 1000.0])
def test_furthest_of_many_is_a_number_however_far_off(ratio):
    """The further off, the less probable, without an end; one alone is what it is."""
    assert normal_deviation(-ratio, 1) == -ratio
    of_many = normal_deviation(ratio, TRIALS)
    assert 0 <= of_many <= ratio
    assert normal_deviation(-ratio, TRIALS) == -of_many
    # Bonferroni's bound, good where the statistic is far off.
    if ratio > 5:
        assert of_many == pytest.approx(math.sqrt(ratio**2 - 2 * math.log(TRIALS)), rel=0.02)
