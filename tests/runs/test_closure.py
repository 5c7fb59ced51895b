"""The closure as users run it."""

import pytest

from miri_background.cli import main
from miri_background.outcomes import Outcome
from miri_background.reporting import closure_figures
from miri_background.validation.verdict.metrics_file import load_metrics


@pytest.mark.slow
def test_correct_chain_passes(finished_closure):
    """The last word on the unmodified pipeline and the suite's own references is passed."""
    assert "\nPASSED\n" in finished_closure[1]


@pytest.mark.slow
def test_metrics_are_written(finished_closure):
    """metrics.json has every number, as that of a validation."""
    verdict = load_metrics(finished_closure[0] / "metrics.json")
    assert verdict.outcome is Outcome.PASSED


@pytest.mark.slow
def test_observation_is_the_one_asked_for(finished_closure):
    """What is given on the command line reaches the notebook."""
    observation = load_metrics(finished_closure[0] / "metrics.json").provenance["observation"]
    assert (observation["subarray"], observation["science_stars"]) == ("BRIGHTSKY", 150)


@pytest.mark.slow
def test_every_figure_is_written(finished_closure):
    """Each figure that a criterion names is in the run directory."""
    names = {path.stem for path in (finished_closure[0] / "figures").glob("*.png")}
    assert names == {name.removesuffix("_figure") for name in closure_figures.__all__}


@pytest.mark.slow
def test_notebook_and_page_are_written(finished_closure):
    """The executed notebook, and its page for the browser."""
    names = {path.name for path in finished_closure[0].iterdir()}
    assert names >= {"simulator_closure.ipynb", "simulator_closure.html"}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--filter", "F999W", "filter = 'F999W' is not F560W or"),
        ("--groups", "1", "groups = '1' is not a whole number from 6"),
        ("--workers", "-1", "workers = '-1' is not a whole number from 0"),
        ("--background-groups", "30", "The closure is of one readout: leave background_subarray"),
    ],
)
def test_wrong_parameter_is_refused(capsys, option, value, said):
    """One sentence and code 2, before anything runs."""
    code = main(["closure", option, value])
    assert (code, said in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize(
    "option", ["--control", "--crds-cache", "--mirisim-command", "--rate-product"]
)
def test_closure_has_no_other_options(capsys, option):
    """It is about the embedded simulator and its own references, on an unbroken pipeline."""
    code = main(["closure", option, "none"])
    assert (code, f"{option} is not an option" in capsys.readouterr().err) == (2, True)


@pytest.mark.slow
def test_mirisim_has_no_closure(command_line, tmp_path):
    """MIRISim's ramps have no known truth: code 2, and a sentence on the simulator."""
    ended = command_line("closure", "--run", tmp_path / "run", "--simulator", "mirisim")
    assert (ended.returncode, "mirisim" in ended.stdout) == (2, True), ended.stdout
    assert "Traceback" not in ended.stdout
