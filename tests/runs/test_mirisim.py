"""A validation with MIRISim, as users run it; a stand-in takes the place of MIRISim."""

import json
import shlex

import pytest

from miri_background.validation.verdict.metrics_file import load_metrics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(small_options):
    """Return the options of a small observation with MIRISim."""
    return [*small_options, "--simulator", "mirisim"]


@pytest.fixture(scope="module")
def validated(command_line, options, stand_in, tmp_path_factory):
    """Return the observation's directory of a validation with the stand-in, and how it ended."""
    directory = tmp_path_factory.mktemp("runs") / "mirisim"
    command = shlex.quote(str(stand_in / "mirisim"))
    ended = command_line("validate", "--run", directory, "--mirisim-command", command, *options)
    return directory, ended


def test_mirisims_ramps_pass(validated):
    """From the configuration of MIRISim to the verdict."""
    _, ended = validated
    assert (ended.returncode, "\nPASSED\n" in ended.stdout) == (0, True), ended.stdout


@pytest.fixture(scope="module")
def metrics(validated, run_of):
    """Return the path of the run's metrics file."""
    return run_of(validated[0]) / "metrics.json"


def test_simulator_is_recorded(metrics):
    """metrics.json says where the data are from."""
    content = json.loads(metrics.read_text())
    assert content["provenance"]["simulator"] == "mirisim"


def test_only_what_is_known_is_judged(metrics):
    """Without a known truth, exact criteria and residuals are left."""
    names = {metric.name for metric in load_metrics(metrics).metrics}
    unknown = {"star leak", "star flux", "galaxy flux", "background level"}
    assert {"residual", "combined value", "subtraction"} <= names
    assert names.isdisjoint(unknown)


@pytest.mark.long
def test_missing_step_is_seen_with_mirisim(
    validated, command_line, options, stand_in, link_observation, tmp_path
):
    """Less is judged than with a known truth, and still enough to see that the step is missing."""
    # Level-1b files and rates of the first run are used again.
    copied = link_observation(validated[0], tmp_path / "run")
    command = shlex.quote(str(stand_in / "mirisim"))
    arguments = ["--mirisim-command", command, "--control", "step skipped"]
    ended = command_line("validate", "--run", copied, *arguments, *options)
    assert ended.returncode == 1, ended.stdout


def test_wrong_command_is_named(command_line, options, tmp_path):
    """A program that is not there ends with code 2 and one sentence that names it."""
    ended = command_line(
        "validate", "--run", tmp_path / "run", "--mirisim-command", "no-mirisim", *options
    )
    assert (ended.returncode, "There is no program 'no-mirisim'" in ended.stdout) == (2, True)


@pytest.mark.long
def test_failure_of_mirisim_is_told(command_line, options, stand_in, tmp_path):
    """Its exit code, its last words and its log are in the sentence."""
    arguments = ["--mirisim-command", shlex.quote(str(stand_in / "mirisim"))]
    ended = command_line(
        "validate",
        *("--run", tmp_path / "run", *arguments, *options),
        MIRISIM_STAND_IN_FAILURE="exit",
        MIRI_BACKGROUND_CACHE=str(tmp_path / "cache"),
    )
    assert ended.returncode == 2, ended.stdout
    assert "exit code 3 (RuntimeError: no calibration products)" in ended.stdout
