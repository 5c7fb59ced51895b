"""The cache appears whole or not at all, and what is wrong with one is said in a sentence."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits

from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.references import cache as cache_module
from miri_background.references.any_cache import check_cache, crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.references.mappings import CONTEXT
from miri_background.references.reference_files import ExposureKind

# The smallest cache there is; ramps of the other test files' length share it.
PARAMETERS = {"subarray": "SUB256", "groups": 8}
OBSERVATION = Observation(**PARAMETERS)
OLD, YOUNG = ".writing-old", ".writing-young"
TIMEOUT = 120  # s, many times what writing a cache takes
DARK = "references/jwst/miri/jwst_miri_dark_9001.fits"
FLAT = "references/jwst/miri/jwst_miri_flat_9001.fits"
RMAP = "mappings/jwst/jwst_miri_flat_9001.rmap"

WRITE_CACHE = f"""
import sys
from miri_background.observation import Observation
from miri_background.references import tables
from miri_background.references.cache import synthetic_cache
# Which numbers are written does not matter here; those of a point-spread function take seconds.
tables.aperture_corrections = lambda _: [(0.5, 2.0, 2.0, 12.0, 20.0)]
print(synthetic_cache(sys.argv[1], Observation(**{PARAMETERS})))
"""


@pytest.fixture(scope="module")
def whole_cache(synthetic_caches):
    """Return a synthetic cache, not to be changed."""
    return synthetic_cache(synthetic_caches, OBSERVATION)


@pytest.fixture
def own_cache(whole_cache, tmp_path):
    """Return a copy of the cache that a test may damage."""
    return shutil.copytree(whole_cache, tmp_path / "own" / whole_cache.name)


@pytest.fixture
def write_elsewhere():
    """Give a function that writes a cache in another process."""
    processes = []

    def start(root):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", WRITE_CACHE, root],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def filled_cache(tmp_path):
    """Return a cache as the operational server fills it: two contexts, no references."""
    path = tmp_path / "filled"
    for folder in ("mappings/jwst", "config/jwst"):
        (path / folder).mkdir(parents=True)
    for name in ("jwst_1321.pmap", "jwst_1322.pmap"):
        (path / "mappings" / "jwst" / name).write_text("header = {}")
    (path / "config" / "jwst" / "server_config").write_text(
        "{'operational_context': 'jwst_1322.pmap'}"
    )
    return path


def leftovers(root):
    """Return what a root holds beside caches."""
    return [path.name for path in root.iterdir() if path.name.startswith(".")]


def test_cache_is_reused(whole_cache):
    """Asked again, the same cache is returned, untouched."""
    before = (whole_cache / DARK).stat().st_mtime_ns
    assert synthetic_cache(whole_cache.parent, OBSERVATION) == whole_cache
    assert (whole_cache / DARK).stat().st_mtime_ns == before


def observed(**changed):
    """Return the observation with other parameters."""
    return Observation(**PARAMETERS | changed)


def key(observation):
    """Return the key of the cache that an observation needs."""
    return cache_module._cache_key(ExposureKind.of(observation))


@pytest.mark.parametrize(
    "changed",
    [
        {"groups": 20},
        {"seed": 1},
        {"sky_level": 100.0},
        {"science_exposures": 1},
        {"cosmic_ray_rate": 0.0},
        {"interference_line": "Hz10"},  # without an amplitude
    ],
    ids=str,
)
def test_similar_exposures_share_a_cache(whole_cache, changed):
    """Ramps up to the length of the dark use the same cache, whatever they see."""
    assert synthetic_cache(whole_cache.parent, observed(**changed)) == whole_cache


def test_later_integrations_share_a_cache():
    """From the second on, integrations are alike."""
    assert key(observed(integrations=2)) == key(observed(integrations=10))


@pytest.mark.parametrize(
    "changed",
    [
        {"groups": 21},
        {"integrations": 2},
        {"filter": "F1500W"},
        {"subarray": "BRIGHTSKY"},
        {"subarray": "FULL"},
        {"interference": 1.0},
    ],
    ids=str,
)
def test_another_kind_of_exposure_has_its_own_cache(changed):
    """What the references are written for is in the key."""
    assert key(observed(**changed)) != key(OBSERVATION)


def test_another_readout_pattern_has_its_own_cache():
    """So is the readout pattern, of which the full array has two."""
    fast, slow = (
        observed(subarray="FULL", readout_pattern=pattern) for pattern in ("FASTR1", "SLOWR1")
    )
    assert key(fast) != key(slow)


@pytest.mark.parametrize(
    "package", ["miri_background.references.arrays", "miri_background.instrument"]
)
def test_key_changes_with_the_instrument(monkeypatch, package):
    """Another detector, or another way to write its references, has a cache of its own."""
    before = key(OBSERVATION)
    monkeypatch.setattr(cache_module, "source_fingerprint", lambda *names: names.index(package))
    assert key(OBSERVATION) != before


def test_key_changes_with_libraries(monkeypatch):
    """Another library may write other bytes."""
    before = key(OBSERVATION)
    monkeypatch.setattr(cache_module, "version", lambda _: "99.0")
    assert key(OBSERVATION) != before


def test_interruption_leaves_nothing(monkeypatch, tmp_path):
    """A keyboard interrupt halfway leaves an empty tmp_path."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "write_mappings", interrupt)
    with pytest.raises(KeyboardInterrupt):
        synthetic_cache(tmp_path, OBSERVATION)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_killed_process_leaves_no_cache(write_elsewhere, tmp_path):
    """What a process killed while writing leaves is not taken for a cache."""
    process = write_elsewhere(tmp_path)
    deadline = time.monotonic() + TIMEOUT
    while not list(tmp_path.rglob("*_dark_*")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(TIMEOUT)
    assert [path.name for path in tmp_path.iterdir()] == leftovers(tmp_path) != []


@pytest.mark.parametrize("name", [DARK, RMAP, "config/jwst/server_config", "manifest.json"])
def test_missing_file_is_noticed(own_cache, name):
    """A cache without one of its files is not whole."""
    (own_cache / name).unlink()
    assert not cache_module._is_complete(own_cache)


@pytest.mark.parametrize("name", [DARK, "manifest.json"])
def test_truncated_file_is_noticed(own_cache, name):
    """A cache with a file cut short is not whole."""
    os.truncate(own_cache / name, (own_cache / name).stat().st_size // 2)
    assert not cache_module._is_complete(own_cache)


@pytest.mark.parametrize("text", ["", "{}", "null", "\0"])
def test_damaged_manifest_is_noticed(own_cache, text):
    """A cache whose manifest is not what was written is not whole."""
    (own_cache / "manifest.json").write_text(text)
    assert not cache_module._is_complete(own_cache)


@pytest.fixture(scope="module")
def rebuilt(whole_cache, tmp_path_factory):
    """Return a damaged cache that was asked for, with what asking returned.

    Beside it another process may be writing, and one was killed long ago.
    """
    damaged = tmp_path_factory.mktemp("damaged") / whole_cache.name
    shutil.copytree(whole_cache, damaged)
    (damaged / FLAT).unlink()
    for name in (YOUNG, OLD):
        (damaged.parent / name).mkdir()
    os.utime(damaged.parent / OLD, (0, 0))
    return damaged, synthetic_cache(damaged.parent, OBSERVATION)


def test_damaged_cache_is_written_again(rebuilt, whole_cache):
    """The cache is whole again, and its values depend on nothing but the constants."""
    np.testing.assert_array_equal(
        fits.getdata(rebuilt[0] / FLAT, "SCI"), fits.getdata(whole_cache / FLAT, "SCI")
    )


def test_new_cache_is_in_the_place_of_the_damaged_one(rebuilt):
    """It has the same path."""
    assert rebuilt[1] == rebuilt[0]


def test_damaged_cache_leaves_nothing_behind(rebuilt):
    """The damaged cache is gone when the new one is in its place."""
    visible = [path for path in rebuilt[0].parent.iterdir() if not path.name.startswith(".")]
    assert visible == [rebuilt[0]]


def put_file(cache):
    """Put a file of somebody else among those of a damaged cache."""
    (cache / FLAT).unlink()
    (cache / "references" / "mine.fits").write_text("mine")


def put_in_its_place(cache):
    """Put a file of somebody else in the place of a cache."""
    shutil.rmtree(cache)
    cache.write_text("mine")


@pytest.mark.parametrize("put", [put_file, put_in_its_place])
def test_files_of_others_stay(put, own_cache, whole_cache, tmp_path):
    """A damaged cache is not replaced with what somebody else has put there."""
    put(own_cache)
    written = tmp_path / "written"
    shutil.copytree(whole_cache, written, copy_function=os.link)
    with pytest.raises(CannotJudge, match="was not written by this suite"):
        cache_module._rename_into_place(written, own_cache, tmp_path)
    mine = own_cache if own_cache.is_file() else own_cache / "references" / "mine.fits"
    assert mine.read_text() == "mine"


def test_abandoned_directories_are_removed(rebuilt):
    """What killed processes left goes, what another may be writing to stays."""
    assert leftovers(rebuilt[0].parent) == [YOUNG]


def test_cache_of_a_faster_process_is_used(own_cache, tmp_path):
    """A whole cache that appeared meanwhile is left in place."""
    before = own_cache.stat().st_ino
    written = tmp_path / "written"
    written.mkdir()
    cache_module._rename_into_place(written, own_cache, tmp_path)
    assert own_cache.stat().st_ino == before


@pytest.mark.slow
def test_two_processes_write_one_cache(write_elsewhere, tmp_path):
    """Two processes at once end with the same whole cache, and quietly."""
    processes = [write_elsewhere(tmp_path) for _ in range(2)]
    outputs = {process.communicate(timeout=TIMEOUT) for process in processes}
    (cache,) = tmp_path.iterdir()
    assert outputs == {(f"{cache}\n", "")}
    assert synthetic_cache(tmp_path, OBSERVATION) == cache


def test_unusable_root_is_an_os_error(tmp_path):
    """That the root cannot be written is for the caller to put into words."""
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(OSError, match="file"):
        synthetic_cache(occupied, OBSERVATION)


def test_import_does_without_crds():
    """CRDS, which reads its environment on import, is not imported too early."""
    code = "import sys, miri_background.references.cache; sys.exit('crds' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_environment_is_offline_by_default(tmp_path):
    """Without a server, CRDS only reads the cache and never tries the network."""
    assert crds_environment(tmp_path) == {
        "CRDS_PATH": os.fspath(tmp_path),
        "CRDS_CONTEXT": CONTEXT,
        "CRDS_SERVER_URL": "https://jwst-serverless.stsci.edu",
        "CRDS_MODE": "local",
        "CRDS_READONLY_CACHE": "1",
    }


def test_environment_with_a_server(tmp_path):
    """With a server, CRDS may fill the cache."""
    url = "https://jwst-crds.stsci.edu"
    assert crds_environment(tmp_path, context="jwst_1322.pmap", server_url=url) == {
        "CRDS_PATH": os.fspath(tmp_path),
        "CRDS_CONTEXT": "jwst_1322.pmap",
        "CRDS_SERVER_URL": url,
    }


def test_environment_leaves_the_context_to_crds(tmp_path):
    """Without a context, CRDS chooses."""
    assert "CRDS_CONTEXT" not in crds_environment(tmp_path, context=None)


def test_environment_path_is_absolute(monkeypatch, tmp_path):
    """A change of directory does not lose the cache."""
    monkeypatch.chdir(tmp_path)
    assert crds_environment("cache")["CRDS_PATH"] == os.fspath(tmp_path / "cache")


@pytest.mark.parametrize("context", [CONTEXT, None])
def test_synthetic_cache_passes_the_check(whole_cache, context):
    """The synthetic cache has what CRDS needs, and names its context."""
    assert check_cache(whole_cache, context) is None


@pytest.mark.parametrize("context", ["jwst_1321.pmap", None])
def test_filled_cache_passes_the_check(filled_cache, context):
    """A cache that the server has filled is as good."""
    assert check_cache(filled_cache, context) is None


@pytest.mark.parametrize("server_url", [None, "https://jwst-crds.stsci.edu"])
def test_missing_directory_is_named(tmp_path, server_url):
    """A cache that is not there is named, with or without a server."""
    with pytest.raises(CannotJudge, match=r"CRDS cache .*/nowhere is not there: name"):
        check_cache(tmp_path / "nowhere", CONTEXT, server_url)


def test_directory_without_context_is_named(tmp_path):
    """A directory that is no cache is said to have no context."""
    with pytest.raises(CannotJudge, match="is a CRDS directory without context"):
        check_cache(tmp_path, CONTEXT)


def test_missing_context_lists_the_others(filled_cache):
    """The contexts that are there are listed."""
    with pytest.raises(CannotJudge, match=r"which has jwst_1321\.pmap, jwst_1322\.pmap: name"):
        check_cache(filled_cache, "jwst_9999.pmap")


def test_long_list_of_contexts_is_cut(filled_cache):
    """Of many contexts only the latest are listed."""
    for serial in range(1000, 1100):
        (filled_cache / "mappings" / "jwst" / f"jwst_{serial}.pmap").touch()
    with pytest.raises(CannotJudge, match=r"jwst_1322\.pmap and 97 earlier ones: name"):
        check_cache(filled_cache, "jwst_9999.pmap")


def test_unnamed_context_is_asked_for(filled_cache):
    """Without a context in the configuration one has to be named."""
    (filled_cache / "config" / "jwst" / "server_config").write_text("{}")
    with pytest.raises(CannotJudge, match=r"No context was named, and .* names none either"):
        check_cache(filled_cache, None)


@pytest.mark.parametrize("text", [None, "", "{'operational", "[1]"])
def test_missing_configuration_is_named(filled_cache, text):
    """Offline, CRDS needs its configuration."""
    configuration = filled_cache / "config" / "jwst" / "server_config"
    if text is None:
        configuration.unlink()
    else:
        configuration.write_text(text)
    with pytest.raises(CannotJudge, match="has no readable config/jwst/server_config"):
        check_cache(filled_cache, "jwst_1322.pmap")


def test_server_may_fill_an_empty_cache(tmp_path):
    """With a server, CRDS gets what the cache lacks."""
    assert check_cache(tmp_path, "jwst_1322.pmap", "https://jwst-crds.stsci.edu") is None
