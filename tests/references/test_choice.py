"""Each choice of references points CRDS to one cache, or says why it cannot."""

import os
from pathlib import Path

import platformdirs
import pytest

from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.references.cache import synthetic_cache
from miri_background.references.choice import ReferenceChoice, use_references
from miri_background.references.mappings import CONTEXT
from miri_background.run_directory import RunDirectory

# Ramps of the other test files' length share their cache.
OBSERVATION = Observation(subarray="SUB256", groups=8)
REAL_CONTEXT = "jwst_1322.pmap"
SERVER = "https://jwst-crds.stsci.edu"
VARIABLES = (
    "CRDS_PATH",
    "CRDS_CONTEXT",
    "CRDS_SERVER_URL",
    "CRDS_MODE",
    "CRDS_READONLY_CACHE",
    "MIRI_BACKGROUND_CACHE",
    "XDG_CACHE_HOME",
)


@pytest.fixture(scope="module")
def suite_caches(synthetic_caches):
    """Return a directory of caches with the one that the observation needs."""
    synthetic_cache(synthetic_caches, OBSERVATION)
    return synthetic_caches


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    """Begin without CRDS's variables, in another home, and restore everything afterwards."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "set so that it is restored")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", os.fspath(tmp_path))


@pytest.fixture
def run(tmp_path):
    """Give a run directory."""
    run = RunDirectory(tmp_path / "run", OBSERVATION)
    yield run
    run.release()


@pytest.fixture
def real_cache(tmp_path):
    """Return a cache as the operational server fills it, without references."""
    path = tmp_path / "real"
    for folder in ("mappings/jwst", "config/jwst"):
        (path / folder).mkdir(parents=True)
    (path / "mappings" / "jwst" / REAL_CONTEXT).write_text("header = {}")
    (path / "config" / "jwst" / "server_config").write_text(
        f"{{'operational_context': '{REAL_CONTEXT}'}}"
    )
    return path


def choose(run, **references):
    """Point CRDS to references for a run, and return the choice."""
    return use_references(run.observation, Calibration.create(**references), run.observed)


def crds_variables():
    """Return CRDS's variables as they are now."""
    return {
        name: os.environ[name]
        for name in VARIABLES
        if name.startswith("CRDS_") and name in os.environ
    }


def test_synthetic_cache_is_the_suites(suite_caches, run, monkeypatch):
    """The suite's references are kept where MIRI_BACKGROUND_CACHE says."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", os.fspath(suite_caches))
    chosen = choose(run, crds_cache="synthetic")
    assert chosen == ReferenceChoice(synthetic_cache(suite_caches, OBSERVATION), CONTEXT)


def test_synthetic_cache_is_offline(suite_caches, run, monkeypatch):
    """CRDS is pointed to the synthetic cache and kept from the network."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", os.fspath(suite_caches))
    chosen = choose(run, crds_cache="synthetic")
    assert crds_variables() == {
        "CRDS_PATH": os.fspath(chosen.path),
        "CRDS_CONTEXT": CONTEXT,
        "CRDS_SERVER_URL": "https://jwst-serverless.stsci.edu",
        "CRDS_MODE": "local",
        "CRDS_READONLY_CACHE": "1",
    }


def test_synthetic_cache_is_in_the_users_cache(suite_caches, run):
    """Without the variable it is below the user's cache directory."""
    own = platformdirs.user_cache_path("miri-background-validation")
    own.parent.mkdir(parents=True)
    own.symlink_to(suite_caches)
    assert choose(run, crds_cache="synthetic").path.parent == own


def test_working_directory_has_its_own(run, suite_caches):
    """A cache inside the run goes with it."""
    (run.observed / "crds_cache").symlink_to(suite_caches)
    assert choose(run, crds_cache="working directory").path.parent == run.observed / "crds_cache"


def test_home_is_the_users(real_cache, run, tmp_path):
    """The usual place of a user's cache is ~/crds_cache."""
    (tmp_path / "crds_cache").symlink_to(real_cache)
    assert choose(run, crds_cache="home").path == tmp_path / "crds_cache"


def test_central_is_that_of_the_variable(real_cache, run, monkeypatch):
    """The central cache is where CRDS_PATH was."""
    monkeypatch.setenv("CRDS_PATH", os.fspath(real_cache))
    assert choose(run, crds_cache="central").path == real_cache


def test_central_is_that_of_the_institute(run):
    """Without CRDS_PATH the central cache is STScI's."""
    if Path("/grp/crds/cache").exists():
        pytest.skip("the central cache of STScI is here")
    with pytest.raises(CannotJudge, match=r"CRDS cache /grp/crds/cache is not there"):
        choose(run, crds_cache="central")


def test_path_is_taken_as_it_is(real_cache, run):
    """Anything else is a directory."""
    assert choose(run, crds_cache=os.fspath(real_cache)).path == real_cache


def test_path_in_the_home(real_cache, run):
    """A tilde is the user's home."""
    assert choose(run, crds_cache=f"~/{real_cache.name}").path == real_cache


def test_context_of_a_real_cache_is_chosen_by_crds(real_cache, run):
    """Where no context is named, the choice says who decides."""
    chosen = choose(run, crds_cache=os.fspath(real_cache))
    assert chosen.context == "chosen by CRDS"


def test_named_context_is_used(real_cache, run):
    """A context that was named is what CRDS is told."""
    chosen = choose(run, crds_cache=os.fspath(real_cache), crds_context=REAL_CONTEXT)
    assert (chosen.context, os.environ["CRDS_CONTEXT"]) == (REAL_CONTEXT, REAL_CONTEXT)


def test_context_of_the_shell_is_not_used(real_cache, run, monkeypatch):
    """A context that is not named is CRDS's own choice, not an earlier run's."""
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0001.pmap")
    choose(run, crds_cache=os.fspath(real_cache))
    assert "CRDS_CONTEXT" not in os.environ


def test_server_is_used(real_cache, run, monkeypatch):
    """With a server CRDS is online, whatever was set before."""
    monkeypatch.setenv("CRDS_MODE", "local")
    monkeypatch.setenv("CRDS_READONLY_CACHE", "1")
    choose(run, crds_cache=os.fspath(real_cache), crds_server_url=SERVER)
    assert crds_variables() == {"CRDS_PATH": os.fspath(real_cache), "CRDS_SERVER_URL": SERVER}


@pytest.mark.parametrize("choice", ["home", "working directory"])
def test_server_may_fill_a_new_cache(run, choice):
    """With a server the cache need not be there yet."""
    assert choose(
        run, crds_cache=choice, crds_server_url=SERVER, crds_context=REAL_CONTEXT
    ).path.is_dir()


def test_central_cache_is_not_made(run, monkeypatch, tmp_path):
    """A central cache belongs to others."""
    monkeypatch.setenv("CRDS_PATH", os.fspath(tmp_path / "central"))
    with pytest.raises(CannotJudge, match="is not there"):
        choose(run, crds_cache="central", crds_server_url=SERVER)


@pytest.mark.parametrize("choice", ["home", "nowhere/at/all"])
def test_missing_cache_is_named(run, choice):
    """Without a server a cache has to be there."""
    with pytest.raises(CannotJudge, match=r"The CRDS cache .* is not there"):
        choose(run, crds_cache=choice)


def test_directory_without_context_is_named(run, tmp_path):
    """A directory that is no cache is said to have no context."""
    with pytest.raises(CannotJudge, match="is a CRDS directory without context"):
        choose(run, crds_cache=os.fspath(tmp_path))


def test_context_that_is_not_there_is_named(real_cache, run):
    """A context has to be in the cache."""
    with pytest.raises(CannotJudge, match=r"jwst_9999\.pmap"):
        choose(run, crds_cache=os.fspath(real_cache), crds_context="jwst_9999.pmap")


def test_cache_root_that_cannot_be_written_is_named(run, monkeypatch, tmp_path):
    """A file in the place of the suite's caches is a could-not-judge."""
    occupied = tmp_path / "file"
    occupied.touch()
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", os.fspath(occupied))
    with pytest.raises(CannotJudge, match=f"^{occupied} cannot be written"):
        choose(run, crds_cache="synthetic")


def test_new_cache_that_cannot_be_written_is_named(run, tmp_path):
    """A file in the place of a cache that a server should fill is one, too."""
    (tmp_path / "crds_cache").touch()
    with pytest.raises(CannotJudge, match=f"^{tmp_path}/crds_cache cannot be written"):
        choose(run, crds_cache="home", crds_server_url=SERVER)


def test_refused_cache_changes_nothing(run, tmp_path):
    """CRDS is pointed to a cache only when it is found good."""
    with pytest.raises(CannotJudge):
        choose(run, crds_cache=os.fspath(tmp_path))
    assert crds_variables() == {}
