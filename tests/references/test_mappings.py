"""CRDS selects the synthetic references by its own rules, offline."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest
from astropy.io import fits
from jwst.pipeline import Detector1Pipeline, Image2Pipeline, Image3Pipeline

from miri_background.observation import FIELDS, Observation
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.references.mappings import (
    CONTEXT,
    MATCH_KEYS,
    OLDER_CONTEXT,
    context_for,
)

TIMEOUT = 300  # s, several times what certification takes

# The subarray's cache is the smallest one, which other test files write, too.
KINDS = {
    "SUB256": Observation(subarray="SUB256", groups=8),
    "slow": Observation(filter="F1500W", readout_pattern="SLOWR1", integrations=2),
    "mixed": Observation(
        subarray="SUB256",
        groups=8,
        background_subarray="BRIGHTSKY",
        background_groups=(9,),
        background_integrations=(2,),
    ),
}
# Of these types a file is written for each way to read the detector.
OF_THE_READOUT = ("dark", "reset", "readnoise")
ALWAYS = "SUB256"
OLDER = "jwst_miri_rscd_9000.fits"  # for builds before jwst 2.0
EVERY_KIND = [
    name if name == ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in KINDS
]

# CRDS reads its environment once per process, so that its questions are asked in a new one.
ASK_CRDS = """
import json, sys
import crds
answers = []
for header, types in json.loads(sys.argv[1]):
    try:
        answers.append(crds.getreferences(header, reftypes=types, observatory="jwst"))
    except crds.CrdsLookupError:
        answers.append("refused")
print(json.dumps(answers))
"""
# As `python -m crds.certify`. It collects garbage hundreds of times, and what the imports have
# left, which is not garbage, takes nine tenths of its time.
CERTIFY = """
import gc, sys
import asdf
from crds.certify import CertifyScript
asdf.AsdfFile().extensions  # they are imported with the first file
gc.collect()
gc.freeze()
sys.exit(CertifyScript()())
"""
# Header values that the subarray's cache has no reference for, and a type that needs them.
NOT_COVERED = {
    "filter": ({"META.INSTRUMENT.FILTER": "F2550W"}, "flat"),
    "readout pattern": ({"META.EXPOSURE.READPATT": "SLOWR1"}, "dark"),
    "subarray": ({"META.SUBARRAY.NAME": "FULL"}, "reset"),
    "date": ({"META.OBSERVATION.DATE": "2021-12-31"}, "gain"),
}


def header(observation, field="science"):
    """Return what CRDS is told of an exposure."""
    readout = observation.readout(field)
    return {
        "META.INSTRUMENT.NAME": "MIRI",
        "META.INSTRUMENT.DETECTOR": "MIRIMAGE",
        "META.INSTRUMENT.FILTER": observation.filter,
        "META.EXPOSURE.TYPE": "MIR_IMAGE",
        "META.EXPOSURE.READPATT": readout.pattern,
        "META.SUBARRAY.NAME": readout.subarray,
        "META.OBSERVATION.DATE": "2022-08-09",
        "META.OBSERVATION.TIME": "00:00:00",
    }


@pytest.fixture(scope="module")
def cache_of(synthetic_caches):
    """Return a function that gives the synthetic cache of a kind of exposure."""
    return lambda name: synthetic_cache(synthetic_caches, KINDS[name])


@pytest.fixture(scope="module")
def run_offline(cache_of):
    """Return a function that runs Python with the environment of a cache."""

    def run(name, *arguments, **variables):
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **crds_environment(cache_of(name)), **variables},
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture(scope="module")
def ask_crds(run_offline):
    """Return a function that gives CRDS's answers to questions about a cache."""

    def ask(name, *questions):
        asked = run_offline(name, "-c", ASK_CRDS, json.dumps(questions))
        assert asked.returncode == 0, asked.stderr
        return json.loads(asked.stdout)

    return ask


@pytest.fixture(scope="module")
def listed_types(cache_of):
    """Return the reference types that the instrument context knows."""
    text = (cache_of(ALWAYS) / "mappings" / "jwst" / "jwst_miri_9001.imap").read_text()
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


@pytest.mark.parametrize("name", EVERY_KIND)
def test_crds_finds_every_reference(ask_crds, cache_of, name):
    """CRDS finds a file of the cache for each type that exposures of its kind ask for."""
    questions = [(header(KINDS[name], field), list(MATCH_KEYS)) for field in FIELDS]
    answers = ask_crds(name, *questions)
    folder = cache_of(name) / "references" / "jwst" / "miri"
    assert all(set(found) == set(MATCH_KEYS) for found in answers)
    named = {path for found in answers for path in found.values()}
    assert named == {os.fspath(path) for path in folder.iterdir()} - {os.fspath(folder / OLDER)}


def test_older_builds_read_the_table_that_they_know(run_offline, ask_crds):
    """CRDS finds the same files for them, but for the table without the column of jwst 2.0."""
    question = header(KINDS[ALWAYS]), list(MATCH_KEYS)
    asked = run_offline(ALWAYS, "-c", ASK_CRDS, json.dumps([question]), CRDS_CONTEXT=OLDER_CONTEXT)
    (older,), (newer,) = json.loads(asked.stdout), ask_crds(ALWAYS, question)
    different = {name for name in newer if older[name] != newer[name]}
    assert different == {"rscd"}
    tables = [fits.getdata(found["rscd"], "RSCD_GROUP_SKIP") for found in (newer, older)]
    assert [name.lower() for name in tables[1].names] == ["subarray", "readpatt", "group_skip"]
    assert all((tables[0][name] == tables[1][name]).all() for name in tables[1].names)


@pytest.mark.parametrize(
    ("jwst", "context"),
    [
        ("1.6.2", OLDER_CONTEXT),
        ("1.20.2", OLDER_CONTEXT),
        ("2.0.0rc1", CONTEXT),
        ("3.0.1.dev12+g1234567", CONTEXT),
    ],
)
def test_context_is_that_of_the_build(jwst, context):
    """The table has its newer column from jwst 2.0 on."""
    assert context_for(jwst) == context


@pytest.fixture(scope="module")
def of_fields(ask_crds):
    """Return what CRDS recommends for science and background that are read in different ways."""
    questions = [(header(KINDS["mixed"], field), list(MATCH_KEYS)) for field in FIELDS]
    return dict(zip(FIELDS, ask_crds("mixed", *questions), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("reftype", OF_THE_READOUT)
def test_reference_is_of_the_readout_of_the_field(of_fields, field, reftype):
    """What differs from readout to readout is selected for each field by its own."""
    readout = KINDS["mixed"].readout(field)
    found = fits.getheader(of_fields[field][reftype])
    assert found["READPATT"] == readout.pattern
    # The pipeline cuts the noise of reads out of the full array.
    subarray = "FULL" if reftype == "readnoise" else readout.subarray
    assert found["SUBARRAY"] == subarray


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_dark_is_long_enough_for_its_field(of_fields, field):
    """Groups of the dark are at least those of the exposures that it is selected for."""
    readout = KINDS["mixed"].readout(field)
    shape = fits.getdata(of_fields[field]["dark"], "SCI").shape
    assert shape[1] == -(-readout.groups // 20) * 20
    assert shape[-2:] == readout.window.shape


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_reset_has_the_integrations_of_its_field(of_fields, field):
    """The anomaly of later integrations is there where there are any."""
    readout = KINDS["mixed"].readout(field)
    assert fits.getdata(of_fields[field]["reset"], "SCI").shape[0] == readout.integrations


@pytest.mark.slow
@pytest.mark.parametrize("reftype", [name for name in MATCH_KEYS if name not in ("dark", "reset")])
def test_both_fields_share_what_does_not_depend_on_the_readout(of_fields, reftype):
    """Both are read with one pattern: all but dark and reset are the same files."""
    assert len({found[reftype] for found in of_fields.values()}) == 1


@pytest.fixture(scope="module")
def answers(ask_crds, cache_of):
    """Return answers to questions that are not covered, and the files before and after."""
    cache = cache_of(ALWAYS)
    before = sorted(cache.rglob("*"))
    covered = header(KINDS[ALWAYS])
    questions = [({**covered, **changed}, [reftype]) for changed, reftype in NOT_COVERED.values()]
    told = dict(zip(NOT_COVERED, ask_crds(ALWAYS, *questions), strict=True))
    return told, before, sorted(cache.rglob("*"))


@pytest.mark.parametrize("what", NOT_COVERED)
def test_what_is_not_covered_is_refused(answers, what):
    """CRDS has no reference for another kind of exposure: it is not calibrated wrongly."""
    assert answers[0][what] == "refused"


def test_answers_need_no_more_than_the_cache(answers):
    """CRDS only reads the cache: it leaves the directory as it was."""
    _, before, after = answers
    assert after == before


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        # It has a file of every kind of the fast ones, each for two subarrays.
        ("mixed", ["references/jwst/miri/*_[!_]*[1-9].*", "mappings/jwst/*"]),
        # By itself: it selects by the same values as the newer one.
        (ALWAYS, [f"references/jwst/miri/{OLDER}"]),
        # Only these differ in the slow one, which is of the full array.
        ("slow", [f"references/jwst/miri/*_{each}_*" for each in OF_THE_READOUT]),
    ],
)
def test_certified(run_offline, cache_of, name, patterns):
    """CRDS's own certification finds no error."""
    cache = cache_of(name)
    files = sorted(os.fspath(path) for pattern in patterns for path in cache.glob(pattern))
    assert len(files) >= len(patterns)
    report = run_offline(name, "-c", CERTIFY, "--comparison-context", CONTEXT, *files)
    text = report.stdout + report.stderr
    assert re.search(r"\b0 errors", text), text
