"""The pipeline with synthetic references, in a process of its own."""

import os
import subprocess
import sys

import pytest

from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache

TIMEOUT = 300  # s, several times what an exposure takes


@pytest.fixture(scope="session")
def run_pipeline(synthetic_caches, tmp_path_factory):
    """Return a function that runs code on an observation, and gives the directory of its files."""

    def run(code, observation, *arguments):
        directory = tmp_path_factory.mktemp("pipeline")
        ended = subprocess.run(
            [sys.executable, "-c", code, observation.model_dump_json(), *arguments],
            env={**os.environ, **crds_environment(synthetic_cache(synthetic_caches, observation))},
            cwd=directory,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert ended.returncode == 0, ended.stderr
        return directory

    return run
