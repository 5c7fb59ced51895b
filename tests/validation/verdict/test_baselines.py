"""A run is compared with the right baseline, and what is reported as changed has changed."""

import copy
import json
import math
import re
from dataclasses import replace

import jsonschema
import pytest

from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.repository import repository_file
from miri_background.schemas import NotAsDescribed
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.measurements.remarks import Behaviour
from miri_background.validation.verdict.baselines import (
    Baseline,
    baseline_directory,
    baseline_schema,
    compare_with_baseline,
    find_baseline,
    load_baseline,
    release_of,
)
from miri_background.validation.verdict.drift import compare
from miri_background.validation.verdict.limits import criteria, judge
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.verdict import Verdict

ERROR = 0.002  # DN/s
ROUNDING = 0.05  # standard errors: what the documentation allows on the same ramps
OBSERVATION = Observation(seed=7)
PROVENANCE = {
    "kind": "run",
    "versions": {"jwst": "3.0.0"},
    "pipeline_fingerprint": "0123456789abcdef",
    "crds_context": "jwst_9001.pmap",
    "simulator": "embedded",
    "observation": OBSERVATION.model_dump(mode="json"),
    "calibration": Calibration().model_dump(),
    "host": "here",
    "started": "2026-01-01T00:00:00+00:00",
    "wall_time_s": 1.5,
    "peak_memory_bytes": 10**9,
    "inputs": {"a_uncal.fits": "0" * 64},
    "level1b_sci_sha256": {"a_uncal.fits": "1" * 64},
    "suite_commit": "2" * 40,
    "suite_dirty": False,
}
OTHER_RAMPS = PROVENANCE | {"level1b_sci_sha256": {"a_uncal.fits": "3" * 64}}


def verdict(shift=0.0, count=0.0, provenance=PROVENANCE, exposures=(1, 2), **given):
    """Return the verdict of a run whose first residual is off by so many standard errors."""
    residuals = [
        Measurement("residual", "imager", number, ERROR * shift if number == 1 else 0.0, ERROR)
        for number in exposures
    ]
    counted = Measurement("combined DQ", "whole array", 1, count)
    return Verdict(judge([*residuals, counted]), provenance, **given)


def of_release(jwst, **changes):
    """Return the provenance of a run with a version of jwst."""
    return PROVENANCE | {"versions": {"jwst": jwst}} | changes


def write(directory, jwst="3.0.0", shift=0.0, **changes):
    """Write the baseline of a release, and return its path."""
    judged = verdict(shift, provenance=of_release(jwst, **changes))
    return Baseline(judged, "measured by hand").write(directory)


def drift(now, before=None):
    """Return what changed between a baseline and a run."""
    return compare(now, before or verdict(), "baseline.json")


# ------------------------------------------------------------------ what changed


def test_the_same_run_has_not_moved():
    """Equal numbers are no drift."""
    assert not drift(verdict()).drifted


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("part", "moved"), [(0.99, False), (1.01, True)])
def test_rounding_is_allowed_on_the_same_ramps(sign, part, moved):
    """A small part of the standard error is what machines differ by; more is a change."""
    assert drift(verdict(sign * part * ROUNDING)).drifted is moved


def test_one_pixel_has_moved():
    """A count may not differ at all."""
    (each,) = drift(verdict(count=1.0)).metrics
    assert (each.old, each.new, each.standard_errors) == (0.0, 1.0, None)


def test_what_moved_is_told_with_its_numbers():
    """Old, new, difference in standard errors and limit are those of the metric."""
    now = verdict(0.3)
    (each,) = drift(now).metrics
    expected = (0.0, pytest.approx(0.3 * ERROR), pytest.approx(0.3), now.metrics[0].limit)
    assert (each.old, each.new, each.standard_errors, each.limit) == expected


@pytest.mark.parametrize(("shift", "concerned"), [(1.0, "baseline"), (10.0, "limit")])
def test_baseline_or_limit_is_concerned(shift, concerned):
    """What keeps its limit is away from the baseline only; what breaks it concerns the limit."""
    (each,) = drift(verdict(shift)).metrics
    assert each.concerned == concerned


def test_value_that_is_no_number_has_moved():
    """What can no longer be measured is not what it was."""
    (each,) = drift(verdict(math.nan)).metrics
    assert (each.change, each.concerned) == ("changed", "limit")


def test_metric_that_disappears_is_told():
    """A measurement that is no longer made is a difference."""
    (each,) = drift(verdict(exposures=(1,))).metrics
    assert (each.change, each.exposure, each.new) == ("disappeared", 2, None)


def test_metric_that_appears_is_told():
    """So is one that was not made before."""
    (each,) = drift(verdict(exposures=(1, 2, 3))).metrics
    assert (each.change, each.exposure, each.old) == ("appeared", 3, None)


REQUIREMENT, REQUIRED = next(
    (name, criterion["limit"])
    for name, criterion in criteria()["criteria"].items()
    if criterion["kind"] == "requirement"
)


def without_error(value):
    """Return a verdict on a requirement alone, measured without a standard error."""
    return Verdict(judge([Measurement(REQUIREMENT, "imager", None, value)]), PROVENANCE)


@pytest.mark.parametrize(("part", "moved"), [(0.9, False), (1.1, True)])
def test_requirement_without_an_error_moves_by_its_limit(part, moved):
    """Where nothing predicts the rounding, a small part of what is required is allowed."""
    now = without_error(part * ROUNDING * REQUIRED)
    assert drift(now, without_error(0.0)).drifted is moved


# ------------------------------------------------------------------ other ramps


@pytest.mark.parametrize(("part", "moved"), [(0.99, False), (1.01, True)])
def test_other_ramps_are_another_draw_of_the_noise(part, moved):
    """Two independent draws differ by up to sqrt(2) times the limit of one."""
    before = verdict(-1.0, provenance=OTHER_RAMPS)
    allowed = math.sqrt(2) * before.metrics[0].limit / ERROR  # standard errors
    assert drift(verdict(-1.0 + part * allowed), before).drifted is moved


def furthest(value, provenance):
    """Return the verdict on a column that is the furthest off of many."""
    return Verdict(judge([Measurement("columns", "imager", None, value, ERROR, 1000)]), provenance)


@pytest.mark.parametrize(("provenance", "moved"), [(PROVENANCE, True), (OTHER_RAMPS, False)])
def test_furthest_of_many_is_on_either_side_by_chance(provenance, moved):
    """With other noise, another column may be as far off on the other side."""
    limit = furthest(0.0, PROVENANCE).metrics[0].limit
    before, now = furthest(0.9 * limit, PROVENANCE), furthest(-0.9 * limit, provenance)
    assert drift(now, before).drifted is moved


def test_furthest_of_many_that_is_far_further_off_has_moved():
    """On whichever side."""
    limit = furthest(0.0, PROVENANCE).metrics[0].limit
    before, now = furthest(0.5 * limit, PROVENANCE), furthest(-2.5 * limit, OTHER_RAMPS)
    assert drift(now, before).drifted


def test_one_pixel_has_moved_on_other_ramps():
    """Counts that should be zero do not depend on the noise."""
    assert drift(verdict(count=1.0), verdict(provenance=OTHER_RAMPS)).drifted


def test_other_ramps_are_told():
    """The sentence says that the data differ."""
    assert "level-1b data differ" in drift(verdict(provenance=OTHER_RAMPS)).sentence()


def test_time_of_writing_makes_no_other_ramps():
    """Files that differ in their headers hold the same data."""
    later = PROVENANCE | {"inputs": {"a_uncal.fits": "9" * 64}}
    assert drift(verdict(provenance=later)).same_ramps


def test_files_decide_where_there_are_no_ramps():
    """What was judged from rates is compared by the files themselves."""
    judged = [
        verdict(provenance=PROVENANCE | {"level1b_sci_sha256": {}, "inputs": {"a_rate.fits": each}})
        for each in ("5" * 64, "6" * 64)
    ]
    same = [drift(judged[0], other).same_ramps for other in judged]
    assert same == [True, False]


# ------------------------------------------------------------------ limits and behaviours


def with_limits(factor):
    """Return a verdict with other limits of its residuals."""
    judged = verdict()
    judged.metrics = [replace(each, limit=factor * each.limit) for each in judged.metrics]
    return judged


@pytest.mark.parametrize(("factor", "told"), [(1.0005, 0), (1.002, 2)])
def test_limits_that_changed_are_told(factor, told):
    """Of limits, those that changed by more than rounding are told; a count's is 0 and stays."""
    assert len(drift(with_limits(factor)).limits) == told


def test_changed_limits_are_no_drift():
    """They are the suite's own decision."""
    assert not drift(with_limits(2)).drifted


def behaving(name):
    """Return a verdict on a build that treats errors in a way of that name."""
    return verdict(behaviours=[Behaviour("errors", name, "3.0.0", "worth")])


@pytest.mark.parametrize(("name", "drifted"), [("not propagated", False), ("quadrature", True)])
def test_another_behaviour_is_a_drift(name, drifted):
    """A build that does something else than its predecessor, and does it right, has drifted."""
    assert drift(behaving(name), behaving("not propagated")).drifted is drifted


def test_another_behaviour_is_told():
    """Both behaviours are named."""
    said = drift(behaving("quadrature"), behaving("not propagated")).sentence()
    assert "errors: quadrature, was not propagated" in said


# ------------------------------------------------------------------ words


def test_sentence_has_the_worst():
    """The metric that moved most is named with its numbers, unit and limit."""
    now = verdict(0.3)
    limit = now.metrics[0].limit
    assert drift(now).sentence() == (
        "1 metric changed since the baseline of jwst 3.0.0 (baseline.json), most residual (imager, "
        f"exposure 1) from 0 to 0.0006 DN/s (+0.0006 DN/s, +0.30 standard errors), limit "
        f"±{limit:.2g} DN/s."
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"exposures": (1,)}, "residual (imager, exposure 2) is no longer measured: it was 0 DN/s"),
        ({"exposures": (1, 2, 3)}, "residual (imager, exposure 3) is new: 0 DN/s, limit"),
        ({"count": 3.0}, "combined DQ (whole array, exposure 1) from 0 to 3 pixels (+3 pixels)"),
        ({}, "Nothing changed since the baseline of jwst 3.0.0 (baseline.json)."),
    ],
)
def test_sentence_says_what_happened(given, said):
    """Each kind of change has its words."""
    assert said in drift(verdict(**given)).sentence()


def test_table_is_readable_on_a_terminal():
    """The longest lines there can be fit into 100 columns."""
    region = "right amplifier of 4QPM 1550, integration 10"
    measured = [Measurement("residual", region, 12, value, ERROR) for value in (-1.2345e-5, -0.123)]
    before, now = (Verdict(judge([each]), PROVENANCE) for each in measured)
    assert max(map(len, drift(now, before).text().splitlines())) <= 100


def test_table_has_every_metric_that_moved():
    """Under the name and unit of its criterion, each has a line of its own."""
    before = verdict(1.0, exposures=(1, 3))
    lines = [
        line.split("  ")[0] or line.split("  ")[1]
        for line in drift(verdict(2.0, 1.0), before).table().splitlines()
    ]
    assert lines == [
        "metric",
        "residual, DN/s",
        "imager, exposure 1",
        "imager, exposure 2",
        "combined DQ, pixels",
        "whole array, exposure 1",
        "residual, DN/s",
        "imager, exposure 3",
    ]


# ------------------------------------------------------------------ verdict


@pytest.mark.parametrize(
    ("shift", "outcome"),
    [(0.0, Outcome.PASSED), (1.0, Outcome.DRIFTED), (10.0, Outcome.FAILED)],
)
def test_outcome_of_a_run_with_a_baseline(shift, outcome):
    """A pass that moved has drifted; a failure stays one."""
    now = verdict(shift)
    now.drift = drift(now)
    assert now.outcome is outcome


def test_drifted_run_says_passed():
    """What nbval compares is the same for every run that passed."""
    now = verdict(1.0)
    now.drift = drift(now)
    assert now.sentence() == verdict().sentence()


@pytest.mark.parametrize("given", [{"shift": 1.0}, {"shift": math.nan}, {"exposures": (1,)}])
def test_drift_is_written_and_read(given, tmp_path):
    """metrics.json has what changed, the exit code, and strict JSON."""
    now = verdict(**given)
    now.drift = drift(now)
    now.write(tmp_path / "metrics.json")
    read = load_metrics(tmp_path / "metrics.json")
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["exit_code"] == now.outcome.exit_code
    assert read.drift.content() == now.drift.content()


# ------------------------------------------------------------------ files


def test_baseline_is_read_as_written(tmp_path):
    """Metrics, provenance and what was said survive."""
    read = load_baseline(write(tmp_path, shift=0.25))
    assert (read.reason, str(read.jwst)) == ("measured by hand", "3.0.0")
    assert read.verdict.metrics == verdict(0.25).metrics


def test_file_is_named_after_what_it_is_of(tmp_path):
    """Release, filter, subarray, and a key of all that decides the numbers."""
    assert re.fullmatch(r"jwst-3\.0\.0-F770W-FULL-[0-9a-f]{16}\.json", write(tmp_path).name)


@pytest.mark.parametrize(
    "changes",
    [
        {"observation": Observation(seed=8).model_dump(mode="json")},
        {"calibration": Calibration(sigma=3).model_dump()},
        {"calibration": Calibration(maxiters=5).model_dump()},
        {"calibration": Calibration(rate_product="rateints").model_dump()},
    ],
    ids=["seed", "sigma", "maxiters", "rate product"],
)
def test_what_decides_the_numbers_is_in_the_name(tmp_path, changes):
    """Another observation, or another choice of clipping, has a baseline of its own."""
    assert write(tmp_path, **changes).name != write(tmp_path).name


@pytest.mark.parametrize("key", ["reason", "metrics", "schema_version"])
def test_incomplete_baseline_is_named(tmp_path, key):
    """A file that does not say all that it should is not compared with."""
    path = write(tmp_path)
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(CannotJudge, match=rf"^{path} is not a whole baseline \('{key}' is a"):
        load_baseline(path)


def test_metrics_of_a_baseline_are_checked(tmp_path):
    """The schema of metrics.json is part of that of a baseline."""
    path = write(tmp_path)
    content = json.loads(path.read_text())
    del content["metrics"]["metrics"][0]["unit"]
    path.write_text(json.dumps(content))
    with pytest.raises(CannotJudge, match=rf"^{path} is not a whole baseline \('unit' is a"):
        load_baseline(path)


def test_truncated_baseline_is_named(tmp_path):
    """A file that was cut short is a could-not-judge."""
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CannotJudge, match=f"^{path} is not a whole baseline"):
        load_baseline(path)


def test_renamed_baseline_is_refused(tmp_path):
    """The numbers of one release do not stand for another."""
    path = write(tmp_path)
    other = path.rename(tmp_path / path.name.replace("3.0.0", "2.0.1"))
    with pytest.raises(CannotJudge, match=f"^{other} holds what {path.name} should"):
        load_baseline(other)


@pytest.mark.parametrize("reason", ["", "  "])
def test_baseline_without_a_reason_is_not_written(tmp_path, reason):
    """Somebody has to say why the numbers are right."""
    with pytest.raises(NotAsDescribed):
        Baseline(verdict(), reason).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_schema_of_baselines_is_a_schema():
    """The schema itself is valid, with that of metrics.json in it."""
    schema = copy.deepcopy(baseline_schema())
    assert jsonschema.validators.validator_for(schema).check_schema(schema) is None


def test_committed_baselines_are_whole():
    """Every file in the checkout's directory is one that runs can be compared with."""
    baselines = [load_baseline(path) for path in repository_file("baselines").glob("*.json")]
    assert [each.name for each in baselines if each.verdict.outcome is Outcome.FAILED] == []


# ------------------------------------------------------------------ which baseline


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Return a directory with the baselines of several releases."""
    directory = tmp_path_factory.mktemp("releases")
    for release in ("1.20.2", "1.9.6", "3.0.0", "4.0.0"):
        write(directory, release)
    return directory


@pytest.mark.parametrize(
    ("jwst", "found"),
    [
        ("3.0.0", "3.0.0"),
        ("3.0.1", "3.0.0"),
        ("2.0.1", "1.20.2"),
        ("1.20.2", "1.20.2"),
        ("1.6.2", None),
        ("3.0.1.dev5+gabcdef0", "3.0.0"),
        ("2.0.1.dev5", "1.20.2"),
        ("10.0.0", "4.0.0"),
        ("not a version", None),
    ],
)
def test_own_release_or_the_newest_before(releases, jwst, found):
    """A run is compared with its own release, else with the newest before it, never a later."""
    baseline = find_baseline(of_release(jwst), releases)
    assert (baseline and str(baseline.jwst)) == found


def test_other_observation_has_no_baseline(tmp_path):
    """Another seed is other noise."""
    write(tmp_path)
    other = of_release("3.0.0", observation=Observation(seed=8).model_dump(mode="json"))
    assert find_baseline(other, tmp_path) is None


def test_unknown_observation_has_no_baseline(tmp_path):
    """Exposures that nobody described are not taken for the default ones."""
    write(tmp_path, observation=Observation().model_dump(mode="json"))
    assert find_baseline(of_release("3.0.0", observation={}), tmp_path) is None


def test_other_references_have_no_baseline(tmp_path):
    """Rates that were calibrated otherwise are other rates."""
    write(tmp_path)
    assert find_baseline(of_release("3.0.0", crds_context="jwst_1293.pmap"), tmp_path) is None


@pytest.mark.parametrize(
    ("jwst", "release"),
    [("3.0.0", True), ("3.0.0.dev5", False), ("3.0.0rc1", False), ("3.0.0+mine", False)],
)
def test_what_a_release_is(jwst, release):
    """Candidates, development versions and those with a local part are none."""
    assert (release_of(of_release(jwst)) is not None) is release


def test_run_is_compared_with_the_directory_that_was_named(tmp_path):
    """The drift names the file that it was compared with."""
    path = write(tmp_path, shift=1.0)
    found = compare_with_baseline(verdict(), tmp_path)
    assert (found.baseline, found.drifted) == (path.name, True)


def test_run_without_baseline_is_not_judged(tmp_path):
    """One line says so, and the run passes."""
    now = verdict()
    now.drift = compare_with_baseline(now, tmp_path)
    assert now.drift.sentence().startswith("There is no baseline of jwst 3.0.0 or an earlier")
    assert now.outcome is Outcome.PASSED


def test_missing_directory_is_named(tmp_path):
    """A directory that was named has to be there."""
    with pytest.raises(CannotJudge, match=f"^{tmp_path}/none is not a directory"):
        baseline_directory(tmp_path / "none")


def test_directory_of_the_checkout_is_the_default(repository):
    """Without a name, the committed baselines are meant."""
    assert baseline_directory() == repository / "baselines"
