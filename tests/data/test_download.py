"""Whatever a server does, the cache has the whole file or none."""

import os
import signal
import subprocess
import sys
import time

import pytest

from miri_background.data.download import download
from miri_background.data.resolver import cache_path, require_file
from miri_background.outcomes import CannotJudge, DiskFailed

TIMEOUT = 60  # s, many times what a download takes here

DOWNLOAD = """
import sys
from miri_background.data.download import Patience, download
from miri_background.data.manifest import DataFile
file = DataFile("flight", "ours.fits", "science", "rate", sys.argv[1])
print(download(file, Patience(retries=0)))
"""


def files(cache):
    """Return the visible files of a cache."""
    return [
        path
        for path in cache.rglob("*")
        if path.is_file() and ".partial" not in path.parts and ".records" not in path.parts
    ]


WELL = {
    "whole": 1,
    "busy_once": 2,
    "short_once": 2,
    "changed": 2,
    "no_ranges": 2,
    "moved": 2,
    "named": 1,
    "endless": None,
}


@pytest.mark.parametrize("way", [way for way in WELL if way != "endless"])
def test_file_is_whole(way, server, offered, cache, impatient, content):
    """What can be had is had, byte for byte, under its own name and nowhere else."""
    path = download(offered(way), impatient)
    assert path.read_bytes() == content
    assert files(cache.parent) == [cache / "flight" / "ours.fits"] == [path]
    assert len(server.asked) == WELL[way]


@pytest.mark.parametrize("way", ["range_refused", "other_range"])
def test_file_is_whole_where_no_part_can_be_had(way, offered, impatient, content):
    """A server that cannot go on is asked for all of it again."""
    impatient.retries = 2
    assert download(offered(way), impatient).read_bytes() == content


def test_download_goes_on_where_it_ended(server, offered, impatient, content):
    """The second attempt asks for the rest only."""
    download(offered("short_once"), impatient)
    assert server.asked == [None, f"bytes={len(content) // 2}-"]


def test_next_process_goes_on(server, offered, impatient, content):
    """So does another call, long after."""
    impatient.retries = 0
    with pytest.raises(CannotJudge):
        download(offered("short_once"), impatient)
    download(offered("short_once"), impatient)
    assert server.asked[1] == f"bytes={len(content) // 2}-"


REFUSED = {
    "missing": "the server does not have it, 404",
    "forbidden": "the server forbids it with 403",
    "busy": "after 2 attempts: the server answers 503",
    "short": "after 2 attempts: the connection broke off",
    "damaged": "what came, twice, has the SHA-256",
    "drip": "after 2 attempts: only .* bytes come in a second",
    "silent": "after 2 attempts: nothing came for 0.5 s",
    "page": "sends a page of type text/html",
    "hidden_page": "no FITS file|has 34 bytes",
    "away": "it is sent on and on",
    "endless": "bytes came",
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_is_not_the_file_is_refused(way, offered, cache, impatient):
    """One sentence says what the server did, and nothing is in the cache."""
    with pytest.raises(CannotJudge, match=REFUSED[way]) as told:
        download(offered(way), impatient)
    assert str(told.value).startswith("ours.fits cannot be downloaded from http://127.0.0.1:")
    assert str(told.value).count("\n") == 0
    assert files(cache) == []


@pytest.mark.parametrize("way", ["hidden_page", "short", "page"])
def test_what_is_not_the_file_is_refused_without_a_checksum(way, offered, cache, impatient):
    """Nobody has recorded this file, and still no error page is taken for it."""
    with pytest.raises(CannotJudge):
        download(offered(way, recorded=False), impatient)
    assert files(cache) == []


@pytest.mark.parametrize("way", ["missing", "forbidden", "page"])
def test_hopeless_is_not_tried_again(way, server, offered, impatient):
    """A server is not asked again for what it will not give."""
    with pytest.raises(CannotJudge):
        download(offered(way), impatient)
    assert len(server.asked) == 1


def test_wrong_file_is_not_downloaded_on_and_on(server, offered, impatient):
    """What is wrong twice is not damaged on its way."""
    impatient.retries = 5
    with pytest.raises(CannotJudge):
        download(offered("damaged"), impatient)
    assert len(server.asked) == 2


def test_nobody_listens(server, offered, impatient):
    """Without a server the sentence says so."""
    file = offered("whole")
    server.shutdown()
    server.server_close()
    with pytest.raises(CannotJudge, match="Connection refused"):
        download(file, impatient)


def test_file_that_is_there_is_not_asked_for(server, offered, impatient):
    """A second download takes what the first has brought."""
    file = offered("whole", recorded=False)
    assert download(file, impatient) == download(file, impatient)
    assert len(server.asked) == 1


def test_file_of_others_stays(offered, impatient):
    """What somebody has put into the cache is named, and not replaced."""
    path = cache_path(offered("whole"))
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(CannotJudge, match="does not begin as a FITS file does"):
        download(offered("whole"), impatient)
    assert path.read_text() == "mine"


def test_change_in_the_cache_is_noticed(offered, impatient):
    """Without a checksum in the manifest, that of the download is compared."""
    file = offered("whole", recorded=False)
    path = download(file, impatient)
    with path.open("r+b") as stream:
        stream.seek(-3000, os.SEEK_END)
        stream.write(b"\x01")
    with pytest.raises(CannotJudge, match="is not what was downloaded there"):
        require_file(file)


def test_full_disk_is_told_before_the_download(offered, cache, impatient, monkeypatch):
    """What does not fit is not begun."""
    monkeypatch.setattr("miri_background.data.download._FREE", 1e18)
    with pytest.raises(DiskFailed, match=r"MB free and ours\.fits needs 0 MB"):
        download(offered("whole"), impatient)
    assert files(cache) == []


def test_disk_that_fills_up_is_told(offered, cache, impatient, monkeypatch):
    """Nor is a disk that is full before the end taken for anything else."""
    monkeypatch.setattr("miri_background.data.download._PIECE", 1000)
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskFailed, match="cannot be written"):
            download(offered("whole"), impatient)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert files(cache) == []


def test_cache_that_cannot_be_written_is_named(offered, cache, impatient):
    """A place that is no directory is as good as one that is only read."""
    cache.parent.mkdir(parents=True)
    cache.write_text("a file")
    with pytest.raises(DiskFailed, match="cannot be written"):
        download(offered("whole"), impatient)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_cache_that_is_only_read_is_named(offered, cache, impatient):
    """A directory without permission is named."""
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    with pytest.raises(DiskFailed, match="cannot be written"):
        download(offered("whole"), impatient)


def test_cache_that_is_only_read_is_read(offered, cache, impatient):
    """What is there needs no lock to be found."""
    path = download(offered("whole"), impatient)
    for directory in (path.parent, cache, cache / ".records"):
        directory.chmod(0o500)
    try:
        assert require_file(offered("whole")) == download(offered("whole"), impatient) == path
    finally:
        for directory in (path.parent, cache, cache / ".records"):
            directory.chmod(0o700)


@pytest.fixture
def elsewhere(offered):
    """Return a function that downloads in another process."""
    started = []

    def start(way):
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", DOWNLOAD, offered(way).url],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_two_processes_download_once(elsewhere, server, cache, content):
    """The second one waits, and takes what the first has brought."""
    processes = [elsewhere("whole") for _ in range(2)]
    outputs = {process.communicate(timeout=TIMEOUT) for process in processes}
    assert outputs == {(f"{cache / 'flight' / 'ours.fits'}\n", "")}
    assert len(server.asked) == 1
    assert (cache / "flight" / "ours.fits").read_bytes() == content


def test_killed_process_leaves_no_file(elsewhere, offered, cache):
    """What it leaves is not taken for the file, and the next one goes on with it."""
    process = elsewhere("silent")
    part = cache / ".partial" / "flight" / "ours.fits"
    deadline = time.monotonic() + TIMEOUT
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(TIMEOUT)
    assert not cache_path(offered("whole")).exists()
    assert 0 < part.stat().st_size <= 5000
