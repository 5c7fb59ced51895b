"""nbval turns red when the pipeline's averaging is broken."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

# Runs in the kernel before the first cell: the pipeline's clipping is made to keep everything.
PLAIN_MEAN = """
import numpy as np
from jwst.background import background_sub

background_sub.sigma_clip = lambda data, **kwargs: np.ma.masked_invalid(data)
"""


@pytest.fixture
def nbval(repository, command_line, small_options, suite_environment, finished_copy, tmp_path):
    """Return a function that runs nbval on the notebook, on rates that are already there."""
    notebooks = tmp_path / "notebooks"
    command_line(
        "render", "--output", notebooks, "--working-directory", finished_copy, *small_options
    )
    path = notebooks / "image2_background.ipynb"

    def run(startup):
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
            | {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": str(repository)},
            cwd=notebooks,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_plain_mean_turns_the_notebook_red(nbval):
    """A kernel in which the step averages without clipping fails the verdict's cell."""
    ended = nbval(PLAIN_MEAN)
    assert ended.returncode == 1, ended.stdout
    assert "combined value (whole array, exposure 1)" in ended.stdout


def test_unbroken_kernel_is_green(nbval):
    """The same notebook in the same kernel passes where nothing is broken."""
    ended = nbval("")
    assert ended.returncode == 0, ended.stdout
