"""CRDS selects the synthetic references by its own rules, offline."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest
from jwst.pipeline import Detector1Pipeline, Image2Pipeline, Image3Pipeline

from miri_background.instrument.throughput import FILTERS
from miri_background.references.cache import crds_environment, synthetic_cache
from miri_background.references.mappings import CONTEXT, MATCH_KEYS

GROUPS = 8
TIMEOUT = 300  # s, several times what certification takes

# CRDS reads its environment once per process, so that each question is asked in a new one.
ASK_CRDS = """
import json, sys
import crds
header, types = json.loads(sys.argv[1])
print(json.dumps(crds.getreferences(header, reftypes=types, observatory="jwst")))
"""

EXPOSURE = {
    "META.INSTRUMENT.NAME": "MIRI",
    "META.INSTRUMENT.DETECTOR": "MIRIMAGE",
    "META.INSTRUMENT.FILTER": "F770W",
    "META.EXPOSURE.TYPE": "MIR_IMAGE",
    "META.EXPOSURE.READPATT": "FASTR1",
    "META.SUBARRAY.NAME": "FULL",
    "META.OBSERVATION.DATE": "2022-08-09",
    "META.OBSERVATION.TIME": "00:00:00",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a synthetic cache."""
    # One root for all test files: the cache is written by whichever comes first.
    return synthetic_cache(tmp_path_factory.getbasetemp() / "synthetic_caches", GROUPS)


@pytest.fixture
def run_offline(cache):
    """Return a function that runs Python with the environment of the cache."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **crds_environment(cache)},
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture
def ask_crds(run_offline):
    """Return a function that asks CRDS for the references of an exposure."""

    def ask(header, types):
        return run_offline("-c", ASK_CRDS, json.dumps([header, list(types)]))

    return ask


@pytest.fixture(scope="module")
def listed_types(cache):
    """Return the reference types that the instrument context knows."""
    text = (cache / "mappings" / "jwst" / "jwst_miri_9001.imap").read_text()
    return set(ast.literal_eval(text.split("selector = ")[1]))


@pytest.mark.parametrize("pipeline", [Detector1Pipeline, Image2Pipeline, Image3Pipeline])
def test_context_knows_what_a_pipeline_asks_for(pipeline, listed_types):
    """Each type of each step, parameters included, is in the context or N/A there."""
    steps = pipeline.step_defs.values()
    parameters = {f"pars-{step.__name__.lower()}" for step in (pipeline, *steps)}
    asked = parameters.union(*(step.reference_file_types for step in steps))
    assert {name.upper() for name in asked} <= listed_types


def test_context_knows_names_of_early_builds(listed_types):
    """Builds before 1.20 ask for the background under another name."""
    assert "WFSSBKG" in listed_types


def test_crds_finds_every_reference(ask_crds, cache):
    """CRDS finds a file of the cache for each type."""
    answer = json.loads(ask_crds(EXPOSURE, MATCH_KEYS).stdout)
    folder = cache / "references" / "jwst" / "miri"
    assert {os.fspath(path) for path in folder.iterdir()} >= set(answer.values())
    assert set(answer) == set(MATCH_KEYS)


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_has_a_flat(ask_crds, name):
    """CRDS selects a flat for each filter that there is."""
    answer = json.loads(ask_crds({**EXPOSURE, "META.INSTRUMENT.FILTER": name}, ["flat"]).stdout)
    assert "jwst_miri_flat_" in answer["flat"]


@pytest.mark.parametrize(
    ("key", "value", "reftype"),
    [
        ("META.INSTRUMENT.FILTER", "F2550W", "flat"),
        ("META.EXPOSURE.READPATT", "SLOWR1", "dark"),
        ("META.OBSERVATION.DATE", "2021-12-31", "gain"),
    ],
    ids=["filter", "readout pattern", "date"],
)
def test_what_is_not_covered_is_refused(ask_crds, key, value, reftype):
    """CRDS has no reference for what the simulator does not simulate."""
    refused = ask_crds({**EXPOSURE, key: value}, [reftype])
    assert "CrdsLookupError" in refused.stderr


def test_answers_need_no_more_than_the_cache(ask_crds, cache):
    """CRDS only reads the cache: it leaves the directory as it was."""
    before = sorted(cache.rglob("*"))
    ask_crds(EXPOSURE, ["gain"])
    assert sorted(cache.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["references/jwst/miri", "mappings/jwst"])
def test_certified(run_offline, cache, folder):
    """CRDS's own certification finds no error."""
    files = sorted(os.fspath(path) for path in (cache / folder).iterdir())
    report = run_offline("-m", "crds.certify", "--comparison-context", CONTEXT, *files)
    text = report.stdout + report.stderr
    assert re.search(r"\b0 errors", text), text
