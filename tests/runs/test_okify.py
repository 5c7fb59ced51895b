"""Only a run of a committed suite on a released pipeline becomes a baseline."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from miri_background import repository as of_package
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.references.mappings import CONTEXT
from miri_background.repository import ask_git, checkout_state
from miri_background.run_directory import RunDirectory
from miri_background.runs.okify import propose_baseline
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.verdict.baselines import Baseline, load_baseline
from miri_background.validation.verdict.drift import Drift
from miri_background.validation.verdict.limits import judge
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.verdict import Verdict

pytestmark = pytest.mark.slow

REASON = "the release as it was published"
ERROR = 0.002  # DN/s
OBSERVATION = Observation(seed=7)
PROVENANCE = {
    "kind": "run",
    "versions": {"jwst": "3.0.0"},
    "pipeline_fingerprint": "0123456789abcdef",
    "crds_context": CONTEXT,
    "simulator": "embedded",
    "observation": OBSERVATION.model_dump(mode="json"),
    "calibration": Calibration().model_dump(mode="json"),
    "host": "here",
    "started": "2026-01-01T00:00:00+00:00",
    "wall_time_s": 1.5,
    "peak_memory_bytes": 10**9,
    "inputs": {"a_uncal.fits": "0" * 64},
    "level1b_sci_sha256": {"a_uncal.fits": "1" * 64},
    "suite_commit": "2" * 40,
    "suite_dirty": False,
}


def verdict(shift=0.0, drift=None, **changes):
    """Return the verdict of a run whose residual is off by so many standard errors."""
    measurements = [
        Measurement("residual", "imager", 1, shift * ERROR, ERROR),
        Measurement("combined DQ", "whole array", 1, 0.0),
    ]
    return Verdict(judge(measurements), PROVENANCE | changes, drift=drift)


@pytest.fixture(autouse=True)
def own_git(monkeypatch, tmp_path):
    """Let git know no settings but those of a test's own repository."""
    for name in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(directory, *arguments):
    """Run git in a repository."""
    subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True)


def commit(directory):
    """Commit everything in a directory, which becomes a repository if it is none."""
    git(directory, "init", "--quiet")
    git(directory, "config", "user.name", "A. Uthor")
    git(directory, "config", "user.email", "author@example.org")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "Begin")


@pytest.fixture
def checkout(tmp_path):
    """Return a clean repository with a directory for baselines."""
    root = tmp_path / "checkout"
    (root / "baselines").mkdir(parents=True)
    (root / "baselines" / "README.md").write_text("Baselines\n")
    (root / "criteria.yaml").write_text("limit: 1\n")
    commit(root)
    return root


@pytest.fixture
def finished_run(tmp_path):
    """Return a function that makes the directory of a run with a verdict."""

    def make(*args, **changes):
        run = RunDirectory(tmp_path / "run", OBSERVATION)
        run.write_verdict(verdict(*args, **changes))
        run.release()
        return run.root

    return make


@pytest.fixture
def propose(checkout):
    """Return a function that proposes a run as a baseline in the repository."""

    def make(run, reason=REASON):
        return propose_baseline(run, reason, checkout / "baselines", checkout)

    return make


def files_in(directory):
    """Return the names of files of a directory."""
    return sorted(path.name for path in directory.iterdir())


# ------------------------------------------------------------------ what is shown and written


def test_nothing_is_written_before_it_is_asked_for(finished_run, propose, checkout):
    """A proposal only shows."""
    propose(finished_run())
    assert files_in(checkout / "baselines") == ["README.md"]


def test_baseline_is_written_whole(finished_run, propose):
    """It has the metrics of the run, and why they are right."""
    proposal = propose(finished_run(0.5))
    proposal.write()
    written = load_baseline(proposal.path)
    assert written.reason == REASON
    assert written.verdict.metrics == verdict(0.5).metrics


def test_first_baseline_is_shown_with_all_metrics(finished_run, propose):
    """Where nothing can have moved, the verdict's table is shown."""
    changes = propose(finished_run()).changes
    assert "all 2 metrics begin one" in changes
    assert verdict().text_table() in changes


def okified(checkout, shift=0.0, **changes):
    """Write a baseline into a repository."""
    judged = verdict(shift, **changes)
    return Baseline(judged, "so it was").write(checkout / "baselines")


def test_change_is_shown_with_its_numbers(finished_run, propose, checkout):
    """Old, new, difference in the unit and in standard errors, and limit."""
    okified(checkout)
    changes = propose(finished_run(0.5)).changes
    (line,) = [each for each in changes.splitlines() if each.startswith("  imager, exposure 1")]
    limit = f"±{verdict().metrics[0].limit:.2g}"
    assert line.split()[3:] == ["0", "0.001", "+0.001", "+0.50", limit, "baseline"]


def test_reason_of_the_old_baseline_is_shown(finished_run, propose, checkout):
    """Who replaces it knows why it was right."""
    okified(checkout)
    changes = propose(finished_run(0.5)).changes
    assert ".json: so it was" in changes


def test_next_release_is_compared_with_the_one_before(finished_run, propose, checkout):
    """A new release begins a file of its own, and what changed since the last one is shown."""
    okified(checkout, versions={"jwst": "2.0.1"}, pipeline_fingerprint="another")
    proposal = propose(finished_run(0.5))
    assert "changed since the baseline of jwst 2.0.1" in proposal.changes
    assert proposal.path.name.startswith("jwst-3.0.0-")


def test_baselines_of_other_observations_can_be_written_together(finished_run, propose, checkout):
    """A baseline that is not committed yet makes no dirty suite."""
    okified(checkout, observation=Observation(seed=8).model_dump(mode="json"))
    assert propose(finished_run()).changes


def test_baseline_leaves_out_what_moved_before(finished_run, propose):
    """What changed since an older baseline is no part of the new one."""
    drifted = finished_run(drift=Drift("older.json", "2.0.1"))
    assert propose(drifted).baseline.verdict.drift is None


# ------------------------------------------------------------------ what is refused


def refusal(propose, run, reason=REASON):
    """Return why a run is refused."""
    with pytest.raises(CannotJudge) as refused:
        propose(run, reason)
    return str(refused.value)


@pytest.mark.parametrize("reason", ["", "   "])
def test_missing_reason_is_refused(finished_run, propose, reason):
    """Nobody can review numbers without a reason."""
    assert "A baseline needs a reason" in refusal(propose, finished_run(), reason)


def test_failed_run_is_refused(finished_run, propose):
    """What breaks a limit is not how it should be."""
    said = refusal(propose, finished_run(10.0))
    assert "failed (1 of 2 metrics are over their limit)" in said


def test_value_that_is_no_number_is_refused(finished_run, propose):
    """It breaks its limit, too."""
    assert "failed (1 of 2 metrics" in refusal(propose, finished_run(float("nan")))


def test_run_without_verdict_is_refused(propose, tmp_path):
    """What could not be judged has no metrics file."""
    run = RunDirectory(tmp_path / "run", OBSERVATION)
    run.release()
    assert "metrics.json is not a whole metrics file" in refusal(propose, run.root)


def test_broken_on_purpose_is_refused(finished_run, propose):
    """A control shows that the suite fails, whatever the verdict was."""
    said = refusal(
        propose, finished_run(calibration=Calibration(control="background missing").model_dump())
    )
    assert "broken on purpose (control: background missing)" in said


def edited(run, old, new):
    """Replace text in the metrics file of a run."""
    path = run / "metrics.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"value": 0.001', '"value": 1.0'),
        ('"standard_error": 0.002', '"standard_error": 0.003'),
        ('"standard_error": 0.002', '"standard_error": null'),
        ('"name": "residual"', '"name": "star shape"'),
        ('"trials": 1', '"trials": 2'),
        ('"unit": "DN/s"', '"unit": "MJy/sr"'),
    ],
)
def test_verdict_by_other_criteria_is_refused(finished_run, propose, old, new):
    """What does not follow from the values by this suite's criteria is not its verdict."""
    run = finished_run(0.5)
    edited(run, old, new)
    assert "was judged by other criteria than those of this suite" in refusal(propose, run)


@pytest.mark.parametrize("limits", ["own", "others"])
def test_metrics_of_a_mosaic_follow_from_criteria_of_their_own(tmp_path, propose, limits):
    """Together with those of the exposures they are a baseline, with other limits they are not."""
    sky = Measurement("mosaic sky", "imager", None, 0.0, ERROR)
    of_mosaic = judge([sky], "mosaic")
    if limits == "others":
        of_mosaic = [replace(each, limit=2 * each.limit) for each in of_mosaic]
    run = RunDirectory(tmp_path / "run", OBSERVATION)
    run.write_verdict(Verdict([*verdict().metrics, *of_mosaic], PROVENANCE))
    run.release()
    if limits == "others":
        assert "'mosaic sky' has another limit" in refusal(propose, run.root)
    else:
        assert "all 3 metrics begin one" in propose(run.root).changes


def test_damaged_metrics_file_is_refused(finished_run, propose):
    """A file that was cut short is named."""
    run = finished_run()
    (run / "metrics.json").write_text((run / "metrics.json").read_text()[:300])
    assert "is not a whole metrics file" in refusal(propose, run)


def test_other_schema_is_refused(finished_run, propose):
    """A file of another layout is not guessed at."""
    run = finished_run()
    version = json.loads((run / "metrics.json").read_text())["schema_version"]
    edited(run, f'"schema_version": {version}', '"schema_version": 1')
    assert "is not a whole metrics file" in refusal(propose, run)


@pytest.mark.parametrize("name", ["criteria.yaml", "new.py"])
def test_dirty_checkout_is_refused(finished_run, propose, checkout, name):
    """A suite that differs from its commit, by a changed file or a new one, is nobody's."""
    (checkout / name).write_text("limit: 2\n")
    said = refusal(propose, finished_run())
    assert f"The suite in {checkout} has changes that are not committed" in said


def test_run_by_a_dirty_suite_is_refused(finished_run, propose):
    """It does not help to commit later."""
    run = finished_run(suite_dirty=True)
    said = refusal(propose, run)
    assert f"The suite that made {run} has changes that are not committed" in said


def test_run_by_an_unknown_suite_is_refused(finished_run, propose):
    """Without git, nobody knows what judged."""
    run = finished_run(suite_dirty=None, suite_commit=None)
    assert "is of a state that is unknown to git" in refusal(propose, run)


def test_missing_git_is_told(finished_run, propose, checkout, monkeypatch):
    """Where git is not installed, the sentence says so."""
    run = finished_run()
    monkeypatch.setenv("PATH", str(checkout))
    assert f"The suite in {checkout} is of a state that is unknown to git" in refusal(propose, run)


@pytest.mark.parametrize("jwst", ["3.0.1.dev5+gabcdef0", "3.0.0+mine", "3.0.0rc1", "unknown"])
def test_unreleased_pipeline_is_refused(finished_run, propose, jwst):
    """Baselines are of releases."""
    said = refusal(propose, finished_run(versions={"jwst": jwst}))
    assert f"is of jwst {jwst}, which is no release" in said


@pytest.mark.parametrize("seed", [OBSERVATION.seed, 8])
def test_changed_pipeline_is_refused(finished_run, propose, checkout, seed):
    """The same version with other source was changed by hand, whatever was observed with it."""
    okified(checkout, observation=Observation(seed=seed).model_dump())
    run = finished_run(pipeline_fingerprint="fedcba9876543210")
    assert "installed (fedcba9876543210) is not that of jwst-3.0.0-" in refusal(propose, run)


def test_real_references_are_refused(finished_run, propose):
    """Baselines are calibrated with references that everybody has."""
    said = refusal(propose, finished_run(crds_context="jwst_1293.pmap"))
    assert "was calibrated with references of jwst_1293.pmap" in said


# ------------------------------------------------------------------ state of the suite


def test_clean_checkout_has_its_commit(checkout):
    """The commit is named, and that nothing differs from it."""
    state = checkout_state(checkout)
    assert (len(state["suite_commit"]), state["suite_dirty"]) == (40, False)


def test_package_inside_another_repository_is_none_of_it(checkout):
    """The state of somebody else's project says nothing about the suite."""
    inside = checkout / "site-packages"
    inside.mkdir()
    assert checkout_state(inside) == {"suite_commit": None, "suite_dirty": None}


def test_git_that_hangs_is_given_up(program, monkeypatch, tmp_path):
    """A run does not wait for a repository on a disk that does not answer."""
    program(tmp_path / "git", "sleep 2; echo late")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(of_package, "_PATIENCE", 0.2)
    assert ask_git(tmp_path, "status") is None


def test_repository_of_a_hook_is_not_asked(checkout, monkeypatch, tmp_path):
    """What a hook exports does not name the suite's repository."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    assert checkout_state(checkout)["suite_dirty"] is False


# ------------------------------------------------------------------ the command


@pytest.fixture
def command(repository, tmp_path):
    """Return a function that runs ``miri-background okify`` from a checkout of its own."""
    root = tmp_path / "suite"
    for name in ("src", "baselines"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.json")
        kept = None if name == "src" else ignored
        shutil.copytree(repository / name, root / name, ignore=kept)
    (root / ".gitignore").write_text("__pycache__/\n")
    commit(root)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "miri_background.cli", "okify", *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(root / "src")},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return root / "baselines", run


@pytest.mark.parametrize("written", [False, True])
def test_command_writes_only_when_it_is_told_to(command, finished_run, written):
    """Without --write nothing is written, and that is said."""
    directory, okify = command
    ended = okify(finished_run(), "--reason", REASON, *["--write"] * written)
    assert ended.returncode == 0, ended.stdout
    assert ("Nothing was written" in ended.stdout) is not written
    assert len(files_in(directory)) == 1 + written


def test_refusal_ends_with_code_2(command, finished_run):
    """One sentence, and nothing is written."""
    directory, okify = command
    ended = okify(finished_run(), "--write")
    said = ended.stdout.splitlines()
    assert (ended.returncode, len(said), len(files_in(directory))) == (2, 1, 1), ended.stdout


# ------------------------------------------------------------------ a run that drifted


@pytest.fixture
def moved_baseline(finished, tmp_path):
    """Return a directory with a baseline of the finished run, one residual off by an error."""
    judged = load_metrics(finished[0] / "metrics.json")
    measurements = [
        Measurement(
            metric.name,
            metric.region,
            metric.exposure,
            metric.value + (metric.standard_error if metric.name == "galaxy flux" else 0.0),
            metric.standard_error,
            metric.trials,
        )
        for metric in judged.metrics
    ]
    before = Verdict(judge(measurements), judged.provenance)
    Baseline(before, "off on purpose").write(tmp_path)
    return tmp_path


def test_run_that_drifted_ends_with_code_3(
    moved_baseline, finished_copy, command_line, small_options
):
    """It passes, says in its last line what changed, and machines read the same."""
    ended = command_line(
        "validate", "--run", finished_copy.parents[1], "--baselines", moved_baseline, *small_options
    )
    assert ended.returncode == 3, ended.stdout
    assert "PASSED, BUT DRIFTED FROM THE BASELINE: 1 metric changed" in ended.stdout
    assert json.loads((finished_copy / "metrics.json").read_text())["exit_code"] == 3


def test_run_without_baseline_says_so(finished):
    """Where there is nothing to compare with, a run passes and one sentence tells."""
    said = " ".join(finished[1].split())
    assert "There is no baseline of jwst" in said
