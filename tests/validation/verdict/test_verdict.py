"""A verdict follows from measurements and limits, and survives being written and read."""

import copy
import json
import math
from dataclasses import replace

import jsonschema
import pytest

from miri_background.outcomes import CannotJudge, CriterionFailed, Outcome
from miri_background.schemas import NotAsDescribed
from miri_background.validation.findings.finding import Finding
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.verdict.limits import (
    RELEASED,
    Metric,
    check_criteria,
    criteria,
    critical_value,
    judge,
)
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.notes import Notes
from miri_background.validation.verdict.verdict import NotJudged, Verdict, metrics_schema

ALL = criteria()["criteria"]
KINDS = {name: criterion["kind"] for name, criterion in ALL.items()}
STATISTICAL = [name for name, kind in KINDS.items() if kind == "statistical"]
FALSE_ALARM = criteria()["false_alarm_probability"]
ERROR = 0.002
PROVENANCE = {
    "kind": "run",
    "versions": {"jwst": "3.0.0"},
    "pipeline_fingerprint": "0123456789abcdef",
    "crds_context": "jwst_9001.pmap",
    "simulator": "embedded",
    "observation": {"seed": 770},
    "calibration": {},
    "host": "here",
    "started": "2026-01-01T00:00:00+00:00",
    "wall_time_s": 1.5,
    "peak_memory_bytes": 10**9,
    "inputs": {"a_uncal.fits": "0" * 64},
    "level1b_sci_sha256": {"a_uncal.fits": "1" * 64},
    "suite_commit": "2" * 40,
    "suite_dirty": False,
}


def measurement(name, value=0.0, region="imager", exposure=1):
    """Return a measurement for a criterion."""
    return Measurement(name, region, exposure, value, ERROR if name in STATISTICAL else None)


def metric(name="residual", value=0.0, **changes):
    """Return the metric of a single measurement."""
    (judged,) = judge([measurement(name, value)])
    return replace(judged, **changes)


@pytest.fixture
def passed():
    """Return the verdict on a run without a fault."""
    return Verdict(judge([measurement(name) for name in ALL]), PROVENANCE)


@pytest.fixture
def failed():
    """Return the verdict on a run in which two exposures are off, one of them more."""
    values = [0.0, 0.25, -0.5, 0.001]
    measurements = [
        measurement("residual", value, exposure=number) for number, value in enumerate(values, 1)
    ]
    return Verdict(judge([*measurements, measurement("combined DQ")]), PROVENANCE)


@pytest.fixture
def metrics_file(passed, tmp_path):
    """Return the path of a metrics file."""
    passed.write(tmp_path / "metrics.json")
    return tmp_path / "metrics.json"


# ------------------------------------------------------------------ criteria


def test_criteria_are_accepted():
    """What the suite judges by says all that it should."""
    assert check_criteria(criteria()) is None


@pytest.mark.parametrize("key", ["description", "unit", "kind", "figure", "reason"])
def test_criterion_without_a_key_is_refused(key):
    """A criterion has to say what, in what unit, how, where it is shown, and why."""
    content = copy.deepcopy(criteria())
    del content["criteria"]["residual"][key]
    with pytest.raises(ValueError, match=rf"^criteria\.yaml: residual has no {key}$"):
        check_criteria(content)


def test_unknown_kind_is_refused():
    """The kinds of limits are listed."""
    content = copy.deepcopy(criteria())
    content["criteria"]["residual"]["kind"] = "guess"
    with pytest.raises(ValueError, match="residual is guess, not one of exact, statistical, req"):
        check_criteria(content)


@pytest.mark.parametrize("name", ["residual", "step"])
def test_limit_by_hand_is_refused(name):
    """Only a requirement has a limit that somebody chose."""
    content = copy.deepcopy(criteria())
    content["criteria"][name]["limit"] = 0.1
    with pytest.raises(ValueError, match=f"{name}: a limit belongs to a requirement"):
        check_criteria(content)


def test_requirement_without_limit_is_refused():
    """A requirement says what is required."""
    content = copy.deepcopy(criteria())
    del content["criteria"]["noise"]["limit"]
    with pytest.raises(ValueError, match="noise: a limit belongs to a requirement"):
        check_criteria(content)


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("probability", "expected"), [(0.3173, 1.0), (0.0455, 2.0), (0.0027, 3.0), (6.334e-5, 4.0)]
)
def test_critical_value_of_one_statistic(probability, expected):
    """The normal distribution's 68, 95, 99.7 and 99.99 percent."""
    assert critical_value(1, probability) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("number", [2, 23, 100])
def test_critical_value_of_several_statistics(number):
    """The chance of an alarm is shared evenly: P(|z| > k) = probability / number."""
    k = critical_value(number, FALSE_ALARM)
    assert math.erfc(k / math.sqrt(2)) == pytest.approx(FALSE_ALARM / number, rel=1e-9)


def test_limit_of_a_statistic():
    """The limit is the critical value times the error."""
    metrics = judge([measurement("residual", exposure=number) for number in range(1, 21)])
    limit = critical_value(20, FALSE_ALARM) * ERROR
    assert [each.limit for each in metrics] == pytest.approx([limit] * 20)


def test_only_statistics_share_the_chance():
    """Exact criteria and requirements never fail by chance."""
    others = [measurement(name) for name in ALL if name not in STATISTICAL]
    (alone,) = judge([measurement("residual")])
    among_others = judge([measurement("residual"), *others])[0]
    assert among_others.limit == alone.limit


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind == "requirement"])
def test_requirement_that_is_finer_than_the_noise_shares_the_chance(name):
    """Where its limit is that of a statistic, it may break it by chance like one."""
    wide = Measurement(name, "imager", 1, 0.0, 2 * criteria()["criteria"][name]["limit"])
    (alone,) = judge([measurement("residual")])
    assert judge([measurement("residual"), wide])[0].limit > alone.limit


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind == "exact"])
def test_exact_criterion_allows_nothing(name):
    """One pixel is too many."""
    assert [metric(name, value).passed for value in (0.0, 1.0)] == [True, False]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind != "exact"])
def test_limit_holds_on_both_sides(name, sign):
    """A value on the limit passes, the next one fails, whatever its sign."""
    limit = metric(name).limit
    beyond = math.nextafter(limit, math.inf)
    assert [metric(name, sign * value).passed for value in (limit, beyond)] == [True, False]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_value_that_is_no_number_fails(name, value):
    """What could not be measured is not within a limit."""
    assert not metric(name, value).passed


@pytest.mark.parametrize("name", ALL)
def test_metric_says_what_its_criterion_says(name):
    """Unit, figure and description come from the criterion."""
    judged = metric(name)
    expected = [ALL[name][key] for key in ("unit", "figure", "description")]
    assert [judged.unit, judged.figure, judged.description] == expected


def test_reason_of_a_statistic_has_its_multiple():
    """The reason says how many standard errors the limit is."""
    assert metric().reason.startswith(f"{critical_value(1, FALSE_ALARM):.2f} standard errors; ")


# ------------------------------------------------------------------ verdict


def test_run_without_fault_passes(passed):
    """Every metric within its limit makes a pass."""
    assert passed.outcome is Outcome.PASSED


@pytest.mark.parametrize("name", ALL)
def test_one_broken_limit_fails_the_run(name):
    """A single metric of any criterion decides."""
    limit = metric(name).limit
    measurements = [measurement(each, 2 * limit + 1 if each == name else 0.0) for each in ALL]
    assert Verdict(judge(measurements), PROVENANCE).outcome is Outcome.FAILED


def test_nothing_measured_is_no_pass():
    """A run without metrics has not passed."""
    assert Verdict([], PROVENANCE).outcome is not Outcome.PASSED


def test_failures_are_those_over_the_limit(failed):
    """Only metrics that break their limit are failures."""
    assert [each.exposure for each in failed.failures()] == [2, 3]


def test_sentence_does_not_depend_on_noise():
    """Two runs that passed say the same, so a stored notebook stays as it is."""
    verdicts = [Verdict([metric("residual", value)], PROVENANCE) for value in (0.0, ERROR)]
    assert verdicts[0].sentence() == verdicts[1].sentence()


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_sentence_has_the_word(request, outcome):
    """The sentence begins with the word that terminal, log and page use."""
    assert request.getfixturevalue(outcome).sentence().startswith(f"{outcome.upper()}: ")


def test_summary_shows_the_worst(failed):
    """For each criterion, the metric furthest over its limit and how many are within."""
    worst, *counts = failed.summary()[0]
    assert [worst.value, *counts] == [-0.5, 2, 4]


def test_summary_shows_what_is_no_number():
    """Nothing is worse than a value that could not be measured."""
    metrics = judge([measurement("residual", value) for value in (1e9, math.nan, -1e9)])
    ((worst, *_),) = Verdict(metrics, PROVENANCE).summary()
    assert math.isnan(worst.value)


def test_summary_has_every_criterion(passed):
    """One row for each criterion, in their order."""
    assert [worst.name for worst, *_ in passed.summary()] == list(ALL)


def test_pass_raises_nothing(passed):
    """A notebook that passed goes on."""
    assert passed.raise_if_failed() is None


def test_failure_has_number_unit_and_limit(failed):
    """The exception alone says what is wrong, where, and by how much."""
    limit = critical_value(4, FALSE_ALARM) * ERROR
    with pytest.raises(CriterionFailed) as failure:
        failed.raise_if_failed()
    assert str(failure.value).startswith(
        f"residual (imager, exposure 3): -0.5 ± {ERROR} DN/s, limit ±{limit:.2g} DN/s"
    )


def test_failure_names_every_broken_criterion():
    """Of several broken criteria none is left out."""
    measurements = [
        measurement("step", 4.0),
        measurement("residual", 1.0),
        measurement("galaxy flux"),
    ]
    with pytest.raises(CriterionFailed, match=r"^step \(.*; residual \([^;]*$"):
        Verdict(judge(measurements), PROVENANCE).raise_if_failed()


def test_exact_failure_counts():
    """A number of pixels is a whole number, however large."""
    with pytest.raises(CriterionFailed, match=r": 1048576 pixels, limit 0 pixels"):
        Verdict(judge([measurement("combined DQ", 2.0**20)]), PROVENANCE).raise_if_failed()


# ------------------------------------------------------------------ tables


def tables(verdict):
    """Return the tables for terminal and page."""
    return {"terminal": verdict.text_table(), "page": verdict._repr_html_()}


@pytest.mark.parametrize("where", ["terminal", "page"])
@pytest.mark.parametrize("name", ALL)
def test_table_has_every_criterion(passed, where, name):
    """No criterion is left out."""
    assert name in tables(passed)[where]


@pytest.mark.parametrize("where", ["terminal", "page"])
def test_table_has_symbol_and_word(failed, where):
    """Neither colour nor a symbol alone says how it ended."""
    assert ["✗ failed" in tables(failed)[where], "✓ passed" in tables(failed)[where]] == [
        True,
        True,
    ]


@pytest.mark.parametrize("where", ["terminal", "page"])
def test_table_has_the_unit(passed, where):
    """Numbers have units."""
    assert "DN/s" in tables(passed)[where]


def test_one_failure_marks_its_row(failed):
    """A criterion of which the worst metric fails has not passed."""
    (row,) = [line for line in failed.text_table().splitlines() if line.startswith("residual")]
    assert row.endswith("✗ failed")


def test_page_shows_text_as_text():
    """Signs that HTML gives a meaning to are escaped."""
    table = Verdict([metric(description="a < b & <script>")], PROVENANCE)._repr_html_()
    assert "a &lt; b &amp; &lt;script&gt;" in table
    assert "<script>" not in table


def test_notebook_without_page_has_the_table(passed):
    """What a console shows is the table."""
    assert repr(passed) == passed.text_table()


# ------------------------------------------------------------------ metrics.json


def test_schema_is_a_schema():
    """The schema itself is valid."""
    validator = jsonschema.validators.validator_for(metrics_schema())
    assert validator.check_schema(metrics_schema()) is None


def test_metrics_file_is_valid(metrics_file):
    """What is written is what the schema says."""
    assert jsonschema.validate(json.loads(metrics_file.read_text()), metrics_schema()) is None


def test_metrics_file_has_the_exit_code(failed, tmp_path):
    """Machines read the same outcome as people."""
    failed.write(tmp_path / "metrics.json")
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert (content["outcome"], content["exit_code"]) == ("failed", 1)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_verdict_is_read_as_written(request, tmp_path, outcome):
    """Metrics and provenance survive."""
    verdict = request.getfixturevalue(outcome)
    verdict.write(tmp_path / "metrics.json")
    read = load_metrics(tmp_path / "metrics.json")
    assert (read.metrics, read.provenance) == (verdict.metrics, verdict.provenance)


@pytest.mark.parametrize("name", ["residual", "step"])
def test_metrics_file_is_strict_json(tmp_path, name):
    """What is no number is null, as other readers than Python's need it."""
    judged = judge([Measurement(name, "imager", 1, math.nan, math.nan)])
    Verdict(judged, PROVENANCE).write(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metrics"][0]["value"] is None


def test_value_that_is_no_number_is_read_back(tmp_path):
    """It is still what fails the run."""
    Verdict([metric("residual", math.nan)], PROVENANCE).write(tmp_path / "metrics.json")
    (read,) = load_metrics(tmp_path / "metrics.json").failures()
    assert math.isnan(read.value)


@pytest.mark.parametrize("key", sorted(PROVENANCE))
def test_incomplete_provenance_is_not_written(passed, tmp_path, key):
    """A result of which nobody knows what it depends on is refused."""
    incomplete = {name: value for name, value in PROVENANCE.items() if name != key}
    with pytest.raises(NotAsDescribed, match=f"'{key}' is a required property"):
        Verdict(passed.metrics, incomplete).write(tmp_path / "metrics.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["name", "value", "unit", "limit", "status", "reason"])
def test_metric_without_a_field_is_named(metrics_file, field):
    """A file that lacks what the schema requires is a could-not-judge."""
    content = json.loads(metrics_file.read_text())
    del content["metrics"][0][field]
    metrics_file.write_text(json.dumps(content))
    with pytest.raises(
        CannotJudge, match=f"^{metrics_file} is not a whole metrics file .*'{field}'"
    ):
        load_metrics(metrics_file)


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b"null", b"\x00\xff", b'{"outcome": "passed"}']
)
def test_damaged_metrics_file_is_named(metrics_file, damaged):
    """A file that is not a metrics file is a could-not-judge."""
    metrics_file.write_bytes(damaged)
    with pytest.raises(CannotJudge, match=f"^{metrics_file} is not a whole metrics file "):
        load_metrics(metrics_file)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_metrics_file_is_named(metrics_file, part):
    """A file that was cut short is a could-not-judge."""
    whole = metrics_file.read_bytes()
    metrics_file.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CannotJudge, match=f"^{metrics_file} is not a whole metrics file "):
        load_metrics(metrics_file)


def test_missing_metrics_file_is_named(tmp_path):
    """A file that is not there is a could-not-judge."""
    with pytest.raises(CannotJudge, match=f"^{tmp_path}/metrics.json is not a whole metrics file "):
        load_metrics(tmp_path / "metrics.json")


def test_other_version_is_refused(metrics_file):
    """A file of another layout is not guessed at."""
    text = metrics_file.read_text()
    metrics_file.write_text(text.replace('"schema_version": 4', '"schema_version": 1'))
    with pytest.raises(CannotJudge, match="4 was expected"):
        load_metrics(metrics_file)


def test_metric_is_plain_data():
    """A metric holds Python's own numbers, which JSON has, too."""
    assert {type(each) for each in vars(metric()).values()} == {str, int, float}
    assert isinstance(metric(), Metric)


# ------------------------------------------------------------------ details, what was not judged


def test_detail_of_a_broken_limit_is_told_everywhere():
    """Sentence, table of the page and file say what is wrong first."""
    said = "a_bsub.fits has FILTER = 'x'"
    verdict = Verdict(
        judge([Measurement("metadata", "whole array", None, 1.0, detail=said)]), PROVENANCE
    )
    assert verdict.broken_limits() == (
        f"metadata (whole array): 1 products, limit 0 products: {said} (1 of 1 over it)"
    )
    assert "FILTER = &#39;x&#39;" in verdict._repr_html_()
    assert verdict.content()["metrics"][0]["detail"] == said


@pytest.fixture
def partial(passed):
    """Return a verdict that says what it leaves out."""
    passed.not_judged = (
        NotJudged("star leak", "", "there is no truth"),
        NotJudged("combined DQ", "exposure 2", "none was saved"),
        NotJudged("star flux", "", "there is no truth"),
    )
    return passed


def test_what_was_not_judged_is_said_below_the_table(partial):
    """The last lines name all criteria that share a reason."""
    assert partial.text_table().splitlines()[-2:] == [
        "not judged: star leak, star flux (there is no truth)",
        "not judged: combined DQ of exposure 2 (none was saved)",
    ]
    assert '"row">star leak, star flux</th><td>there is no truth</td>' in partial._repr_html_()


def test_what_was_not_judged_is_kept(partial, tmp_path):
    """It is written, and read back."""
    partial.write(tmp_path / "metrics.json")
    assert load_metrics(tmp_path / "metrics.json").not_judged == partial.not_judged


def test_file_of_the_version_before_is_read(metrics_file):
    """Baselines and histories have files that did not say what they left out."""
    content = json.loads(metrics_file.read_text())
    content["schema_version"] = 2
    del content["not_judged"]
    for each in content["metrics"]:
        del each["detail"]
    metrics_file.write_text(json.dumps(content))
    verdict = load_metrics(metrics_file)
    assert (len(verdict.metrics), verdict.not_judged) == (len(ALL), ())


# ------------------------------------------------------------------ findings


def finding():
    """Return a finding on the fields' skies."""
    return Finding(
        "skies of the fields differ",
        -0.7,
        "DN/s",
        "",
        "The sky of the science field is -0.7 DN/s off.",
        "Subtract it.",
        ("residual",),
    )


@pytest.fixture
def with_finding():
    """Return a verdict of which one metric is beyond its limit for what a finding names."""
    beyond = replace(metric(value=0.9), status=RELEASED, finding=finding().name)
    return Verdict([beyond], PROVENANCE, findings=[finding()])


def test_released_metric_decides_nothing(with_finding):
    """The run passes, and says that not every metric decides, and why."""
    assert with_finding.outcome is Outcome.PASSED
    assert with_finding.failures() == []
    assert "1 of 1 do not decide, because of the data (skies of the fields differ)" in (
        with_finding.sentence()
    )


def test_released_metric_is_shown_with_its_finding(with_finding):
    """It is not among those within their limit, and the finding stands beside it."""
    for text in (with_finding.text_table(), with_finding._repr_html_()):
        assert "skies of the fields differ" in text
    assert "0/1" in with_finding.text_table()


def test_findings_are_told_first(with_finding):
    """Before behaviours and advisories, with what to do."""
    text = Notes(with_finding).text()
    assert text.startswith("finding, skies of the fields differ: The sky")
    assert "Findings about the data" in Notes(with_finding)._repr_html_()


def test_findings_are_kept(with_finding, tmp_path):
    """What is read is what was written."""
    path = tmp_path / "metrics.json"
    with_finding.write(path)
    again = load_metrics(path)
    assert again.findings == with_finding.findings
    assert again.metrics == with_finding.metrics


def test_scope_of_a_verdict_is_told():
    """A pass says how many pixels it speaks for, of the exposure with the fewest."""
    few, many = (
        replace(metric(value=value), name="usable area", detail=f"{value} pixels")
        for value in (0.4, 0.1)
    )
    assert "It speaks for these pixels: 0.4 pixels" in Verdict([many, few], PROVENANCE).text_table()
