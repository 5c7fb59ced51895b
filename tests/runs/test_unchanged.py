"""A verdict still stands if nothing has changed that it depends on, and is not given again."""

import pytest

from miri_background.calibration import builds
from miri_background.observation import Observation, exposures
from miri_background.outcomes import Outcome
from miri_background.run_directory import RunDirectory
from miri_background.runs import unchanged
from miri_background.runs.names import VALIDATION
from miri_background.runs.unchanged import forget, recall, remember

pytestmark = pytest.mark.slow

REASON = "the reason that was given"
PARAMETERS = {"groups": 8, "workers": 2}


@pytest.fixture
def run(copied_observation, monkeypatch):
    """Return a run whose verdict is remembered."""
    # Other tests may have imported them here, and changed nothing that stays.
    monkeypatch.setattr(unchanged, "steps_are_imported", lambda: False)
    observed = (copied_observation / "observation.json").read_text()
    run = RunDirectory(copied_observation, Observation.model_validate_json(observed))
    run.release()
    remember(run, VALIDATION, PARAMETERS, Outcome.DRIFTED, REASON)
    return run


def test_unchanged_run_is_recalled(run):
    """Outcome and reason are those that were remembered."""
    assert recall(run, VALIDATION, PARAMETERS) == (Outcome.DRIFTED, REASON)


def test_speed_does_not_matter(run):
    """The number of processes is not what a verdict depends on."""
    assert recall(run, VALIDATION, PARAMETERS | {"workers": 1}) is not None


def test_forgotten_run_is_made_again(run):
    """Nothing is recalled while a run may end otherwise."""
    forget(run)
    assert recall(run, VALIDATION, PARAMETERS) is None


def altered(path):
    """Replace a file, which may be linked to another, by one with a byte more."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b" ")


@pytest.mark.parametrize(
    "find",
    [
        lambda run, science: run.uncal(science),
        lambda run, science: run.rate(science),
        lambda run, science: run.products(science)[0],
        lambda run, science: run.truth(science),
        lambda run, _: run.root / "image2_background.html",
    ],
    ids=["ramp", "rate", "product", "truth", "page"],
)
def test_altered_file_is_noticed(run, find):
    """Whatever a verdict was made from, or shows it, was read byte for byte."""
    altered(find(run, exposures(run.observation, "science")[0]))
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_missing_file_is_noticed(run):
    """Rates that were removed are made again."""
    run.rate(exposures(run.observation, "science")[0]).unlink()
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_other_parameter_is_noticed(run):
    """What the notebook was given is part of what it says."""
    assert recall(run, VALIDATION, PARAMETERS | {"expect": "errors=quadrature"}) is None


def test_other_environment_is_noticed(run, monkeypatch):
    """Variables that the pipeline looks at may change what it does."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_other_baseline_is_noticed(run, tmp_path):
    """A verdict says what has changed since the baseline."""
    directory = tmp_path / "baselines"
    directory.mkdir()
    given = PARAMETERS | {"baselines": str(directory)}
    remember(run, VALIDATION, given, Outcome.PASSED, "")
    (directory / "jwst-3.0.0.json").write_text("{}")
    assert recall(run, VALIDATION, given) is None


@pytest.mark.parametrize(
    ("module", "name", "found"),
    [
        (builds, "pipeline_fingerprint", "another"),
        (unchanged, "versions", {"numpy": "another"}),
        (unchanged, "checkout_state", "another"),
    ],
)
def test_other_software_is_noticed(run, monkeypatch, module, name, found):
    """A pipeline that was edited, an upgraded package, another commit of the suite."""
    monkeypatch.setattr(module, name, lambda *_: found)
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_other_reference_is_noticed(run, monkeypatch, tmp_path):
    """A reference file or a rule with another time is another one."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path))
    rules = tmp_path / "jwst_9001.pmap"
    rules.write_text("rules")
    remember(run, VALIDATION, PARAMETERS, Outcome.PASSED, "")
    assert recall(run, VALIDATION, PARAMETERS) is not None
    (tmp_path / "jwst_9002.pmap").write_text("those of another context")
    assert recall(run, VALIDATION, PARAMETERS) is not None
    rules.write_text("other rules")
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_cache_that_another_process_is_writing_is_no_part(run, monkeypatch, tmp_path):
    """It has another name a moment later, and the verdict does not rest on it."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path))
    aside = tmp_path / ".writing-references"
    aside.mkdir()
    (aside / "jwst_9001.pmap").write_text("rules")
    remember(run, VALIDATION, PARAMETERS, Outcome.PASSED, "")
    aside.rename(tmp_path / "references")
    assert recall(run, VALIDATION, PARAMETERS) == (Outcome.PASSED, "")


def test_step_that_may_have_been_changed_is_noticed(run, monkeypatch):
    """Who imports the step as Python starts, to break it, gets no verdict from before."""
    monkeypatch.setattr(unchanged, "steps_are_imported", lambda: True)
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_damaged_record_is_none(run):
    """Half a record, as a full disk leaves it, is not relied on."""
    (run.root / ".records" / "ended.json").write_text('{"state": ')
    assert recall(run, VALIDATION, PARAMETERS) is None


def test_command_says_that_nothing_has_changed(command_line, copied_observation, small_options):
    """The verdict is there within seconds, with a sentence why, and ends with the same code."""
    ended = command_line("validate", "--run", copied_observation, *small_options)
    assert ended.returncode == 0, ended.stdout
    assert "Nothing that this depends on has changed" in ended.stdout
    assert "Running" not in ended.stdout
