"""How a notebook ended is told truly, also when it was not alone that decided."""

import json

import nbformat
import pytest

from miri_background.outcomes import Cause, Outcome, TimeLimitReached
from miri_background.runs.names import VALIDATION
from miri_background.runs.notebook import _with_verdict, keep_unfinished
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.verdict.drift import ChangedBehaviour, Drift
from miri_background.validation.verdict.limits import judge
from miri_background.validation.verdict.verdict import Verdict

ENDED = (Outcome.CANNOT_JUDGE, "Cell 9 ended with KeyError.", Cause.PIPELINE)
PASSED = (Outcome.PASSED, "", None)


def verdict(products=0.0, drift=None):
    """Return a verdict on one exact criterion."""
    return Verdict(judge([Measurement("step", WHOLE_ARRAY, None, products)]), {}, drift=drift)


def test_error_before_the_verdict_is_no_verdict():
    """A cell that raised something leaves nothing to judge."""
    assert _with_verdict(None, *ENDED) == ENDED


def test_quiet_end_before_the_verdict_is_no_pass():
    """Nor does one that left the kernel without a word."""
    outcome, reason, cause = _with_verdict(None, *PASSED)
    assert (outcome, cause) == (Outcome.CANNOT_JUDGE, Cause.PIPELINE)
    assert "before its verdict" in reason


def test_broken_limit_is_not_taken_back():
    """An error after a verdict that failed does not hide that it failed; both are told."""
    outcome, reason, cause = _with_verdict(verdict(products=1.0), *ENDED)
    assert (outcome, cause) == (Outcome.FAILED, None)
    assert reason.startswith("step (whole array): 1 products, limit 0 products")
    assert reason.endswith("Cell 9 ended with KeyError.")


def test_error_after_a_good_verdict_is_told():
    """A notebook that did not come to its end has not passed."""
    assert _with_verdict(verdict(), *ENDED) == ENDED


def test_drift_is_told():
    """What passed and moved is neither passed nor failed."""
    drift = Drift("name", "3.0.0", behaviours=(ChangedBehaviour("errors", "a", "b"),))
    outcome, reason, cause = _with_verdict(verdict(drift=drift), *PASSED)
    assert (outcome, reason, cause) == (Outcome.DRIFTED, drift.sentence(), None)


@pytest.fixture
def killed(repository, tmp_path):
    """Return the directory of a run that was killed while its notebook was executed."""
    source = repository / "notebooks" / f"{VALIDATION}.ipynb"
    aside = tmp_path / f".executing-{VALIDATION}.ipynb"
    aside.write_bytes(source.read_bytes())
    return tmp_path


def test_what_a_killed_notebook_has_shown_is_kept(killed):
    """Notebook and page are there, and the page says on top why it ends."""
    cells = len(nbformat.read(killed / f".executing-{VALIDATION}.ipynb", as_version=4).cells)
    keep_unfinished(VALIDATION, killed, TimeLimitReached("It took longer than 5 min."))
    kept = nbformat.read(killed / f"{VALIDATION}.ipynb", as_version=4)
    assert len(kept.cells) == cells
    page = (killed / f"{VALIDATION}.html").read_text(encoding="utf-8")
    assert "<p>COULD NOT JUDGE (time limit): It took longer than 5 min.</p>" in page
    assert not (killed / f".executing-{VALIDATION}.ipynb").exists()


def test_half_a_notebook_is_left_alone(killed):
    """One that was killed while it was written shows nothing."""
    aside = killed / f".executing-{VALIDATION}.ipynb"
    aside.write_bytes(aside.read_bytes()[:1000])
    keep_unfinished(VALIDATION, killed, TimeLimitReached("It took longer than 5 min."))
    assert [path.name for path in killed.iterdir()] == [aside.name]


def test_killed_run_without_verdict_could_not_be_judged(killed):
    """Its cause is why it was killed."""
    run = keep_unfinished(VALIDATION, killed, TimeLimitReached("It took longer than 5 min."))
    assert (run.outcome, run.cause, run.verdict) == (Outcome.CANNOT_JUDGE, Cause.TIME_LIMIT, None)


def test_killed_run_that_had_failed_has_failed(killed, baseline_file):
    """A verdict that was written before is not lost."""
    metrics = json.loads(baseline_file.read_text(encoding="utf-8"))["metrics"]
    metrics["metrics"][0] |= {"value": 1.0, "status": "failed"}
    (killed / "metrics.json").write_text(json.dumps(metrics))
    run = keep_unfinished(VALIDATION, killed, TimeLimitReached("It took longer than 5 min."))
    assert (run.outcome, run.cause) == (Outcome.FAILED, None)
    assert run.reason.endswith("It took longer than 5 min.")
