"""nbval turns red when the pipeline is broken.

That it is green where nothing is broken, the notebooks at test size show in the same session.
"""

import json
import os
import subprocess
import sys

import pytest

from miri_background.runs.names import CLOSURE, VALIDATION
from miri_background.runs.notebook import render_notebook

pytestmark = pytest.mark.slow

# Runs in the kernel before the first cell: the pipeline's clipping is made to keep everything.
PLAIN_MEAN = """
import numpy as np
from jwst.background import background_sub

background_sub.sigma_clip = lambda data, **kwargs: np.ma.masked_invalid(data)
"""


# The same for flux calibration: two percent too much.
TOO_BRIGHT = """
from jwst.photom import PhotomStep

process = PhotomStep.process

def brighter(self, *arguments):
    result = process(self, *arguments)
    result.data *= 1.02
    return result

PhotomStep.process = brighter
"""


@pytest.fixture
def nbval(repository, suite_environment, tmp_path):
    """Return a function that runs nbval on a notebook, in a kernel that was changed."""

    def run(path, startup):
        notebooks = path.parent
        searched = [str(repository), *filter(None, [suite_environment.get("PYTHONPATH")])]
        profile = tmp_path / "ipython" / "profile_default" / "startup"
        profile.mkdir(parents=True)
        (profile / "00-break.py").write_text(startup)
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "--nbval-lax",
                "--nbval-current-env",
                "-q",
                "-p",
                "no:cacheprovider",
                # ours: it lets nbval reach the kernel without a network
                "-p",
                "conftest",
                "--rootdir",
                notebooks,
                path,
            ],
            env=suite_environment
            | {
                "IPYTHONDIR": str(tmp_path / "ipython"),
                "PYTHONPATH": os.pathsep.join(searched),
            },
            cwd=notebooks,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def validation(command_line, small_options, copied_observation, tmp_path):
    """Return the validation's notebook on rates that are already there."""
    notebooks = tmp_path / "notebooks"
    command_line(
        "render",
        *("--output", notebooks, "--working-directory", copied_observation, *small_options),
    )
    return notebooks / f"{VALIDATION}.ipynb"


@pytest.fixture
def closure(finished_closure, link_observation, tmp_path):
    """Return the closure's notebook on rates that are already there."""
    directory = link_observation(finished_closure[0].parents[1], tmp_path / "copy")
    observed = json.loads((directory / "observation.json").read_text())
    path = tmp_path / "notebooks" / f"{CLOSURE}.ipynb"
    path.parent.mkdir()
    render_notebook(CLOSURE, {"working_directory": str(directory), "changes": observed}, path)
    return path


def test_plain_mean_turns_the_notebook_red(nbval, validation):
    """A kernel in which the step averages without clipping fails the verdict's cell."""
    ended = nbval(validation, PLAIN_MEAN)
    assert ended.returncode == 1, ended.stdout
    assert "combined value (whole array, exposure 1)" in ended.stdout


@pytest.mark.long
def test_wrong_fluxes_turn_the_closure_red(nbval, closure):
    """A kernel in which flux calibration is off fails the verdict's cell."""
    ended = nbval(closure, TOO_BRIGHT)
    assert ended.returncode == 1, ended.stdout
    assert "star photometry (whole array)" in ended.stdout
