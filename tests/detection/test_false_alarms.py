"""Correct runs are told as what they are: deviations that are standard normal, and alarms."""

import numpy as np
import pytest
from scipy.stats import kstest

from miri_background.calibration_choice import Calibration
from miri_background.detection.false_alarms import (
    correct_runs,
    deviation,
    read_correct_runs,
    write_correct_runs,
)
from miri_background.outcomes import CannotJudge
from miri_background.parallel import process_pool
from miri_background.repository import repository_file
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.verdict.limits import criteria

DRAWS = 4000
# Requirements on numbers of which no error is predicted: they have no place in a distribution.
WITHOUT_ERROR = {"usable area", "flagged pixels", "flagged scatter"}
WITHOUT_ERROR |= {"read variance", "photon variance"}
# Of a correct distribution, one test in a thousand says otherwise.
IMPROBABLE = 1e-3
# A run of seconds: fewer groups and exposures than the runs that are kept.
QUICK = {"groups": 8, "science_exposures": 1, "background_exposures": 3}
# The second integration is fitted to fewer groups, so that it scatters more than the first.
KINDS = {
    "rates": ([1], {}, None),
    "rateints": ([1, 2], {"groups": 10, "integrations": 2}, Calibration(rate_product="rateints")),
}


def statistic(value, trials=1):
    """Return a measurement with a standard error of 2."""
    return Measurement("columns", "imager", None, value, 2.0, trials)


def test_deviation_of_one_statistic_is_in_standard_errors():
    """Six is three standard errors of two."""
    assert deviation(statistic(6.0)) == 3.0


def test_exact_number_has_no_deviation():
    """What is exact does not scatter."""
    assert np.isnan(deviation(Measurement("step", "whole array", None, 1.0)))


@pytest.mark.parametrize("trials", [7, 700])
def test_deviation_of_the_furthest_is_standard_normal(trials):
    """The furthest of many is as far as the furthest of so many is."""
    draws = np.random.default_rng(trials).normal(0, 2.0, (DRAWS, trials))
    furthest = draws[np.arange(DRAWS), np.abs(draws).argmax(axis=1)]
    deviations = [deviation(statistic(value, trials)) for value in furthest]
    assert kstest(deviations, "norm").pvalue > IMPROBABLE


@pytest.fixture(scope="module", params=["rates", pytest.param("rateints", marks=pytest.mark.long)])
def runs(request):
    """Return seeds, and correct runs with them of a small subarray."""
    seeds, changes, calibration = KINDS[request.param]
    # The other core has tests of its own, and a second process would begin from nothing.
    with process_pool(1) as executor:
        return seeds, correct_runs(executor, seeds, QUICK | changes, calibration)


@pytest.mark.slow
def test_correct_runs_raise_no_alarm(runs):
    """Each seed is judged, and passes."""
    seeds, table = runs
    assert set(table["seed"]) == set(seeds)
    assert set(table["status"]) == {"passed"}


@pytest.mark.slow
def test_statistics_of_correct_runs_are_told(runs):
    """What scatters is in the table, what is exact only where it raises an alarm."""
    criteria_told = set(runs[1]["criterion"])
    assert "residual" in criteria_told
    assert "combined value" not in criteria_told


@pytest.mark.slow
def test_table_is_read_as_it_was_written(runs, tmp_path):
    """Rounding to four digits changes no deviation that is looked at."""
    path = tmp_path / "runs.ecsv"
    _, table = runs
    write_correct_runs(table, path)
    again = read_correct_runs(path)
    assert list(again["criterion"]) == list(table["criterion"])
    np.testing.assert_allclose(again["deviation"], table["deviation"], rtol=1e-3)


@pytest.mark.parametrize(
    "text", ["", "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n"]
)
def test_damaged_table_is_named(tmp_path, text):
    """A file that is no such table is told with what to do."""
    path = tmp_path / "runs.ecsv"
    path.write_text(text)
    with pytest.raises(CannotJudge, match=r"runs\.ecsv is no table of correct runs"):
        read_correct_runs(path)


def test_missing_table_is_named(tmp_path):
    """So is one that is not there."""
    with pytest.raises(CannotJudge, match="is no table of correct runs"):
        read_correct_runs(tmp_path / "runs.ecsv")


# ------------------------------------------------------------------ the runs that are kept


@pytest.fixture(scope="module")
def kept():
    """Return the correct runs that are kept."""
    return read_correct_runs(repository_file("docs", "false_alarms.ecsv"))


def test_no_kept_run_raised_an_alarm(kept):
    """A correct step passed with every seed."""
    assert set(kept["status"]) == {"passed"}
    assert len(set(kept["seed"])) >= 200


def test_kept_statistics_are_standard_normal(kept):
    """Over their predicted errors, the statistics are distributed as they should be."""
    names = list(zip(kept["criterion"], kept["region"], strict=True))
    for name in dict.fromkeys(names):
        mine = [each == name for each in names]
        assert kstest(kept["deviation"][mine], "norm").pvalue > IMPROBABLE, name


def test_every_statistic_was_kept(kept):
    """No criterion is without a distribution."""
    contents = criteria()["criteria"]
    exact = {name for name, criterion in contents.items() if criterion["kind"] == "exact"}
    assert set(kept["criterion"]) == set(contents) - exact - WITHOUT_ERROR
