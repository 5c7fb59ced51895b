"""Before the first step it is known whether a run can have its references."""

import os
import shutil
from types import SimpleNamespace

import pytest

from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import DiskFailed, MemoryFailed, ReferencesUnfit
from miri_background.references import preflight as module
from miri_background.references.cache import synthetic_cache
from miri_background.references.choice import ReferenceChoice, use_references
from miri_background.references.mappings import CONTEXT
from miri_background.references.preflight import Requested, preflight

OBSERVATION = Observation(subarray="SUB256", groups=8)
SERVER = "https://crds.example.org"


@pytest.fixture
def prepare(monkeypatch):
    """Return a function that chooses references, and does the preflight; CRDS is as before."""
    for name in ("CRDS_PATH", "CRDS_CONTEXT", "CRDS_MODE", "CRDS_READONLY_CACHE"):
        monkeypatch.setenv(name, "restored afterwards")
    monkeypatch.setenv("CRDS_SERVER_URL", "restored afterwards")

    def prepared(cache, context=CONTEXT, observation=OBSERVATION):
        calibration = Calibration(crds_cache=os.fspath(cache), crds_context=context)
        return preflight(observation, calibration, use_references(observation, calibration))

    return prepared


@pytest.fixture
def own_cache(synthetic_caches, tmp_path):
    """Return a copy of a whole cache, from which files may be removed."""
    whole = synthetic_cache(synthetic_caches, OBSERVATION)
    return shutil.copytree(whole, tmp_path / "cache", copy_function=os.link)


@pytest.fixture
def asked(monkeypatch):
    """Return a function that does the preflight with what CRDS would select."""

    def answer(found, server_url=SERVER):
        monkeypatch.setattr(module, "_ask", lambda *_: found)
        calibration = Calibration(crds_cache="home", crds_server_url=server_url)
        return preflight(OBSERVATION, calibration, ReferenceChoice("/", "jwst_1322.pmap"))

    return answer


def test_own_references_need_no_preflight():
    """The suite has written them."""
    said = preflight(OBSERVATION, Calibration(), None)
    assert said == "All references are the suite's own."


@pytest.mark.slow
def test_files_that_are_not_there_are_named(own_cache, prepare):
    """A whole cache passes; without two files, these are named before any step is run."""
    assert prepare(own_cache) == f"All 13 references are in {own_cache}."
    for reftype in ("dark", "flat"):
        (own_cache / f"references/jwst/miri/jwst_miri_{reftype}_9001.fits").unlink()
    with pytest.raises(ReferencesUnfit) as told:
        prepare(own_cache)
    assert "2 of 13 references that the run will ask for are not in" in str(told.value)
    assert "(jwst_miri_dark_9001.fits, jwst_miri_flat_9001.fits)" in str(told.value)


@pytest.mark.slow
def test_context_that_does_not_cover_the_observation(real_file, prepare):
    """A real context of 2021 knows no FASTR1, and no types of later builds."""
    words = "jwst_0676.pmap in .* has no reference of 7 types .* FASTR1 .*dark, reset"
    with pytest.raises(ReferencesUnfit, match=words):
        prepare(real_file("crds"), "jwst_0676.pmap", Observation())


@pytest.mark.slow
def test_rules_that_cannot_be_read(own_cache, prepare):
    """What CRDS cannot read is one sentence here, too."""
    path = own_cache / "mappings" / "jwst" / "jwst_miri_9001.imap"
    path.unlink()
    path.write_text("header = {")
    with pytest.raises(ReferencesUnfit, match="CRDS cannot read the rules"):
        prepare(own_cache)


ABSENT = {"present": {"a.fits": 5}, "absent": {"b.fits": "dark"}, "dark": "b.fits"}


def test_what_will_be_fetched_is_told(asked):
    """With a server, absent files are fetched, and it is said how many and how large."""
    said = asked(Requested(**ABSENT, sizes={"b.fits": 3_000_000}))
    assert said == f"1 of 2 references are in /, and 1, 3 MB, will be fetched from {SERVER}."


def test_what_has_no_size_is_fetched(asked):
    """A server that does not say how large files are is not asked in vain."""
    assert "and 1 will be fetched" in asked(Requested(**ABSENT))


def test_disk_without_room_is_told(asked):
    """What does not fit is not begun."""
    with pytest.raises(DiskFailed, match="1 references to be fetched need 1200000000"):
        asked(Requested(**ABSENT | {"dark": ""}, sizes={"b.fits": 10**18}))


@pytest.mark.parametrize("known", ["present", "sizes"])
def test_memory_without_room_is_told(asked, known):
    """Nor is a dark that would fill the memory, here or at the server."""
    with pytest.raises(MemoryFailed, match=r"needs about .* with the dark b\.fits"):
        asked(Requested(**ABSENT | {known: {"b.fits": 10**15}}))


def test_process_that_says_nothing(monkeypatch):
    """A process that dies is no answer."""
    ended = SimpleNamespace(stdout="", stderr="Killed\n")
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(ReferencesUnfit, match=r"could not be found out \(Killed\)"):
        module._ask(OBSERVATION, "")
