"""The kill matrix tells what notices a fault, what misses one, and what is superfluous."""

import json

import numpy as np
import pytest

from miri_background.calibration_choice import Calibration
from miri_background.cli import main
from miri_background.detection.faults.catalogue import FAULTS
from miri_background.detection.kill_matrix import CONTROL, KillMatrix, Kills, kill_matrix
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, CriterionFailed, Outcome
from miri_background.validation.verdict.limits import criteria

WIDTH = 100  # characters of a line in a terminal
STEP, VALUE, RESIDUAL = "step", "combined value", "residual"  # from cheap to dear


def row(name, ratios, family="averaging", predecessor=False):
    """Return what notices one fault."""
    return Kills(name, family, "something is wrong", ratios, predecessor, 1.0)


def matrix(*rows, control=None):
    """Return a matrix with a control that notices nothing, or what is given."""
    return KillMatrix([row(CONTROL, control or {}, "control"), *rows])


MEDIAN = row("median", {VALUE: np.inf, RESIDUAL: 2.5}, predecessor=True)
PEDESTAL = row("background pedestal", {RESIDUAL: 7.25}, "inputs")
MISSED = row("twice", {}, "subtraction")


def test_cheapest_criterion_is_the_first():
    """What costs less comes first, whatever the order in which it was measured."""
    dear_first = row("median", {RESIDUAL: 2.5, VALUE: np.inf})
    assert matrix().first(dear_first) == VALUE
    assert matrix().first(MISSED) is None


def test_order_is_that_of_the_criteria():
    """No list of criteria is kept beside that which judges."""
    names = list(criteria()["criteria"])
    assert [name for name in matrix().criteria if name in names] == names


def test_own_catches_are_those_of_no_cheaper_criterion():
    """A fault belongs to the cheapest criterion that notices it, and to no other."""
    both = matrix(MEDIAN, PEDESTAL)
    assert both.unique(VALUE) == ["median"]
    assert both.unique(RESIDUAL) == ["background pedestal"]
    assert both.unique(STEP) == []


def test_criteria_without_catches_of_their_own_are_listed():
    """They could go: what they notice, a cheaper one notices as well."""
    idle = matrix(MEDIAN, PEDESTAL).idle
    assert {STEP, VALUE, RESIDUAL} - set(idle) == {VALUE, RESIDUAL}


def test_all_caught_is_passed():
    """Every fault is noticed, and nothing where nothing is broken."""
    caught = matrix(MEDIAN, PEDESTAL)
    assert caught.outcome is Outcome.PASSED
    caught.raise_if_failed()
    assert caught.sentence().startswith("PASSED: ")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (matrix(MEDIAN, MISSED), "nothing notices 'twice'"),
        (matrix(MEDIAN, control={RESIDUAL: 1.5}), "without a fault, residual is broken"),
    ],
    ids=["missed", "false alarm"],
)
def test_failure_names_what_is_wrong(broken, told):
    """A fault that is missed and an alarm without a fault fail alike, by name."""
    assert broken.outcome is Outcome.FAILED
    with pytest.raises(CriterionFailed, match=told):
        broken.raise_if_failed()
    assert broken.sentence().startswith("FAILED: ")


def test_table_fits_a_terminal():
    """No line is longer, with the longest names and all criteria at once."""
    everything = dict.fromkeys(criteria()["criteria"], np.inf)
    rows = [row(each.name, everything, each.family, True) for each in FAULTS.values()]
    lines = matrix(*rows).text_table().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.startswith("✓") for line in lines) == len(FAULTS) + 1


def test_table_tells_by_symbol_and_word():
    """What is caught has a tick and its criterion, what is missed a cross and a word."""
    lines = matrix(MEDIAN, PEDESTAL, MISSED).text_table().splitlines()
    told = {line[2:].split("  ")[0]: line for line in lines if line[:1] in "✓✗"}
    assert told["median"].startswith("✓")
    assert told["median"].endswith("combined value, predecessor")
    assert told["twice"].startswith("✗")
    assert told["twice"].endswith("nothing")
    assert told[CONTROL].startswith("✓")


def test_counts_name_criteria_to_go_only_for_all_faults():
    """A few faults say nothing about what is superfluous."""
    assert "1 of 2 faults" in matrix(MEDIAN, MISSED).counts()
    assert "Nothing of its own" not in matrix(MEDIAN, MISSED).counts()
    rows = [row(each.name, {VALUE: np.inf}, each.family) for each in FAULTS.values()]
    assert "Nothing of its own is caught by: step, " in matrix(*rows).counts()


def test_predecessor_tells_nothing_where_its_pixel_is_always_off():
    """What is off without a fault says nothing about one."""
    assert matrix(MEDIAN, PEDESTAL).predecessor == ["median"]
    noisy = KillMatrix([row(CONTROL, {}, "control", predecessor=True), MEDIAN])
    assert noisy.predecessor == []
    assert "it shows nothing" in noisy.counts()


def test_file_is_json_as_others_read_it(tmp_path):
    """What has no finite ratio is null, and the outcome is there in words."""
    path = tmp_path / "new" / "kill_matrix.json"
    matrix(MEDIAN, MISSED).write(path)
    content = json.loads(path.read_text())
    assert content["outcome"] == "failed"
    assert content["missed"] == ["twice"]
    assert content["rows"][1]["ratios"] == {VALUE: None, RESIDUAL: 2.5}


def test_unknown_fault_is_refused_before_any_work(tmp_path):
    """The names are looked up first, without a run."""
    with pytest.raises(CannotJudge, match="There is no fault 'meteorite'"):
        kill_matrix(tmp_path, None, ["meteorite"])


def test_unknown_fault_is_answered_with_the_list(capsys, tmp_path, monkeypatch):
    """The command refuses it before it makes a directory."""
    monkeypatch.chdir(tmp_path)
    assert main(["faults", "--names", "meteorite"]) == 2
    assert "choose of plain mean, median," in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_directory_that_is_no_run_is_refused(capsys, tmp_path):
    """The sentence names what is missing."""
    assert main(["faults", str(tmp_path), "--names", "twice", "--workers", "1"]) == 2
    assert "observation.json cannot be read" in capsys.readouterr().err


def test_run_without_a_rate_is_refused(tmp_path):
    """A run that is not whole cannot be used, and the first file that it lacks is named."""
    (tmp_path / "observation.json").write_text(Observation().model_dump_json())
    (tmp_path / "calibration.json").write_text(Calibration().model_dump_json())
    with pytest.raises(CannotJudge, match=r"00001_mirimage_rate\.fits is missing: name a run"):
        kill_matrix(tmp_path, None, ["twice"])


def test_run_of_integrations_is_refused(tmp_path):
    """Faults change rates of exposures."""
    observation, calibration = Observation(integrations=2), Calibration(rate_product="rateints")
    (tmp_path / "observation.json").write_text(observation.model_dump_json())
    (tmp_path / "calibration.json").write_text(calibration.model_dump_json())
    with pytest.raises(CannotJudge, match="run with rate_product = rateints, and faults are of"):
        kill_matrix(tmp_path, None, ["twice"])


@pytest.mark.slow
def test_faults_are_caught_by_what_they_break(command_line, finished, tmp_path):
    """Of each kind one, through the real pipeline, with the run left as it was."""
    directory, _ = finished
    before = {path: path.stat().st_mtime_ns for path in sorted(directory.glob("**/*.*"))}
    names = ["scaled by 0.1 %", "one wrong bit", "median", "same exposure twice"]
    ended = command_line(
        "faults", directory, "--names", *names, "--workers", 2, "--output", tmp_path
    )
    assert ended.returncode == 0, ended.stdout
    rows = json.loads((tmp_path / "kill_matrix.json").read_text())["rows"]
    caught = {each["fault"]: set(each["ratios"]) for each in rows}
    assert list(caught) == [CONTROL, *names]
    assert caught[CONTROL] == set()
    assert "subtraction" in caught["scaled by 0.1 %"]
    assert caught["one wrong bit"] == {"combined DQ"}
    assert {"combined value", "combined error"} <= caught["median"]
    exact = {name for name, each in criteria()["criteria"].items() if each["kind"] == "exact"}
    assert caught["same exposure twice"]
    assert not caught["same exposure twice"] & exact
    after = {path: path.stat().st_mtime_ns for path in sorted(directory.glob("**/*.*"))}
    assert after == before
