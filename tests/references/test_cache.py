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

from miri_background.instrument import detector
from miri_background.outcomes import CannotJudge
from miri_background.references import cache as cache_module
from miri_background.references.cache import check_cache, crds_environment, synthetic_cache
from miri_background.references.mappings import CONTEXT

GROUPS = 8
TIMEOUT = 120  # s, many times what writing a cache takes
DARK = "references/jwst/miri/jwst_miri_dark_9001.fits"
FLAT = "references/jwst/miri/jwst_miri_flat_9001.fits"
RMAP = "mappings/jwst/jwst_miri_flat_9001.rmap"

WRITE_CACHE = f"""
import sys
from miri_background.references import synthetic_cache
print(synthetic_cache(sys.argv[1], {GROUPS}))
"""


@pytest.fixture(scope="module")
def whole_cache(tmp_path_factory):
    """Return a synthetic cache, not to be changed."""
    # One root for all test files: the cache is written by whichever comes first.
    return synthetic_cache(tmp_path_factory.getbasetemp() / "synthetic_caches", GROUPS)


@pytest.fixture
def own_cache(whole_cache, tmp_path):
    """Return a copy of the cache that a test may damage."""
    return shutil.copytree(whole_cache, tmp_path / whole_cache.name)


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
    assert synthetic_cache(whole_cache.parent, GROUPS) == whole_cache
    assert (whole_cache / DARK).stat().st_mtime_ns == before


def test_no_temporary_directory_is_left(whole_cache):
    """Only caches are in the root."""
    assert leftovers(whole_cache.parent) == []


def test_similar_ramps_share_a_cache(whole_cache):
    """Ramps up to the length of the dark use the same cache."""
    assert synthetic_cache(whole_cache.parent, 20) == whole_cache


def test_integrations_share_a_cache(whole_cache):
    """The number of integrations does not change the references."""
    assert synthetic_cache(whole_cache.parent, GROUPS, integrations=3) == whole_cache


def test_key_changes_with_the_dark():
    """Longer ramps have a cache of their own."""
    assert cache_module._cache_key(20) != cache_module._cache_key(40)


@pytest.mark.parametrize("name", ["GAIN", "READ_NOISE", "FRAME_TIME"])
def test_key_changes_with_the_detector(monkeypatch, name):
    """Another detector has a cache of its own."""
    before = cache_module._cache_key(20)
    monkeypatch.setattr(detector, name, 1.01 * getattr(detector, name))
    assert cache_module._cache_key(20) != before


@pytest.mark.parametrize(("groups", "integrations"), [(0, 1), (GROUPS, 0)])
def test_empty_exposure_is_refused(tmp_path, groups, integrations):
    """An exposure has at least one group and one integration."""
    with pytest.raises(ValueError, match="at least 1 group and integration"):
        synthetic_cache(tmp_path, groups, integrations)


def test_interruption_leaves_nothing(monkeypatch, tmp_path):
    """A keyboard interrupt halfway leaves an empty tmp_path."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "write_mappings", interrupt)
    with pytest.raises(KeyboardInterrupt):
        synthetic_cache(tmp_path, GROUPS)
    assert list(tmp_path.iterdir()) == []


def test_killed_process_leaves_no_cache(write_elsewhere, tmp_path):
    """What a process killed while writing leaves is not taken for a cache."""
    process = write_elsewhere(tmp_path)
    deadline = time.monotonic() + TIMEOUT
    while not list(tmp_path.rglob("*_dark_*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(TIMEOUT)
    assert [path.name for path in tmp_path.iterdir()] == leftovers(tmp_path) != []


def test_abandoned_directories_are_removed(tmp_path):
    """What killed processes left goes, what another may be writing to stays."""
    old, young = tmp_path / ".writing-old", tmp_path / ".writing-young"
    for path in (old, young):
        path.mkdir()
    os.utime(old, (0, 0))
    synthetic_cache(tmp_path, GROUPS)
    assert leftovers(tmp_path) == [young.name]


@pytest.mark.parametrize("name", [DARK, "config/jwst/server_config", "manifest.json"])
def test_missing_file_is_noticed(own_cache, name):
    """A cache without one of its files is written again."""
    (own_cache / name).unlink()
    synthetic_cache(own_cache.parent, GROUPS)
    assert (own_cache / name).is_file()


@pytest.mark.parametrize("name", [DARK, "manifest.json"])
def test_truncated_file_is_noticed(own_cache, whole_cache, name):
    """A cache with a file cut short is written again."""
    size = (whole_cache / name).stat().st_size
    os.truncate(own_cache / name, size // 2)
    synthetic_cache(own_cache.parent, GROUPS)
    assert (own_cache / name).stat().st_size == size


@pytest.mark.parametrize("text", ["", "{}", "null", "\0"])
def test_damaged_manifest_is_noticed(own_cache, whole_cache, text):
    """A cache whose manifest is not what was written is written again."""
    (own_cache / "manifest.json").write_text(text)
    synthetic_cache(own_cache.parent, GROUPS)
    manifest = (own_cache / "manifest.json").read_text()
    assert len(manifest) == (whole_cache / "manifest.json").stat().st_size


def test_rebuilt_cache_has_the_same_values(own_cache, whole_cache):
    """The content depends on nothing but the constants."""
    (own_cache / FLAT).unlink()
    rebuilt = synthetic_cache(own_cache.parent, GROUPS)
    np.testing.assert_array_equal(
        fits.getdata(rebuilt / FLAT, "SCI"), fits.getdata(whole_cache / FLAT, "SCI")
    )


def test_damaged_cache_leaves_nothing_behind(own_cache):
    """The damaged cache is gone when the new one is in its place."""
    (own_cache / RMAP).unlink()
    synthetic_cache(own_cache.parent, GROUPS)
    assert list(own_cache.parent.iterdir()) == [own_cache]


def test_cache_of_a_faster_process_is_used(own_cache, tmp_path):
    """A whole cache that appeared meanwhile is left in place."""
    before = own_cache.stat().st_ino
    written = tmp_path / "written"
    written.mkdir()
    cache_module._rename_into_place(written, own_cache, tmp_path)
    assert own_cache.stat().st_ino == before


def test_two_processes_write_one_cache(write_elsewhere, tmp_path):
    """Two processes at once end with the same whole cache, and quietly."""
    processes = [write_elsewhere(tmp_path) for _ in range(2)]
    outputs = {process.communicate(timeout=TIMEOUT) for process in processes}
    (cache,) = tmp_path.iterdir()
    assert outputs == {(f"{cache}\n", "")}
    assert synthetic_cache(tmp_path, GROUPS) == cache


def test_unusable_root_is_an_os_error(tmp_path):
    """That the root cannot be written is for the caller to put into words."""
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(OSError, match="file"):
        synthetic_cache(occupied, GROUPS)


def test_import_does_without_crds():
    """CRDS, which reads its environment on import, is not imported too early."""
    code = "import sys, miri_background.references; sys.exit('crds' in sys.modules)"
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
