"""Downloads files whole or not at all, and goes on where an earlier download ended."""

import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from miri_background.data.resolver import WrongFile, cache_path, cache_records, require_whole
from miri_background.files import write_text_whole
from miri_background.outcomes import CannotJudge, DiskFailed
from miri_background.places import writable
from miri_background.reading import read_json

__all__ = ["Patience", "download"]

_FITS = b"SIMPLE  ="
_PIECE = 1 << 18  # bytes that are read and written at once
_MOST_REDIRECTIONS = 10  # shared links are sent on two or three times
_MOST_BYTES = 5e9  # of a file of unknown length; the largest of the manifest has a tenth
_FREE = 50e6  # bytes that a download leaves free on the disk
_TO_TRY_LATER = (408, 425, 429, 500, 502, 503, 504)


class Patience:
    """How long a server may take.

    Parameters
    ----------
    answer : float, optional
        Seconds without any byte.
    slowest : float, optional
        Bytes per second that must come on average over a window.
    window : float, optional
        Seconds.
    retries : int, optional
        How often a download is tried again.
    """

    def __init__(self, answer=30.0, slowest=1000.0, window=60.0, retries=3):
        self.answer, self.slowest = answer, slowest
        self.window, self.retries = window, retries


class _Broken(requests.exceptions.ConnectionError):
    """A download ended early: it may go on (pooch tries again what is of this class)."""


class _Refused(CannotJudge):
    """A server will not give the file, however often it is asked."""


def _refuse(file, why, todo):
    """Raise what says why a file cannot be downloaded."""
    msg = f"{file.name} cannot be downloaded from {file.url} ({why}): {todo}."
    raise _Refused(msg)


class _Resuming:
    """Downloads to a file aside, and goes on with what is there of it already.

    Pooch calls it for each attempt.

    Parameters
    ----------
    file : DataFile
        Which file.
    aside : pathlib.Path
        Receives what has come so far; a JSON file beside it says of which version.
    patience : Patience
        How long the server may take.
    progress : callable or None
        Called with the bytes that are there, and all that are expected or None.
    """

    def __init__(self, file, aside, patience, progress=None):
        self.file, self.aside, self.patience = file, aside, patience
        self.progress, self.wrong_ones = progress, 0
        self.version = aside.with_name(f"{aside.name}.json")

    def __call__(self, url, output_file, _):
        """Download, verify, and rename to what pooch renames."""
        with requests.Session() as session:
            session.max_redirects = _MOST_REDIRECTIONS
            try:
                self._download(session, url)
            except requests.exceptions.TooManyRedirects:
                _refuse(self.file, "it is sent on and on", "look at the address in a browser")
            except ReadTimeoutError as error:
                raise _Broken(f"nothing came for {self.patience.answer:g} s") from error
            except HTTPError as error:
                raise _Broken("the connection broke off") from error
        try:
            require_whole(self.aside, self.file)
        except WrongFile as error:
            self._forget()
            self.wrong_ones += 1
            if self.wrong_ones > 1:
                todo = "find out whether the file has changed there, or the manifest is wrong"
                _refuse(self.file, f"what came, twice, {error.wrong}", todo)
            raise _Broken(f"what came {error.wrong}") from error
        self.aside.replace(output_file)
        self._forget()

    def _forget(self):
        """Remove what has come so far."""
        self.aside.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)

    def _there(self):
        """Return how much is there of which version, nothing if that is not known."""
        try:
            known = read_json(self.version)
            if known["url"] == self.file.url and isinstance(known["version"], str):
                return self.aside.stat().st_size, known["version"]
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return 0, None

    def _download(self, session, url):
        """Add to the file aside what is missing of it."""
        there, version = self._there()
        headers = {"Accept-Encoding": "identity"}
        if there:
            headers |= {"Range": f"bytes={there}-", "If-Range": version}
        with session.get(url, headers=headers, stream=True, timeout=self.patience.answer) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable and there:
                self._forget()
                raise _Broken("the server refuses the rest of the file")
            self._require_file(answer)
            if answer.status_code != requests.codes.partial_content:
                there = 0
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
                self._forget()
                raise _Broken("the server sends another part of the file")
            self._keep(answer, there)

    def _require_file(self, answer):
        """Refuse an answer that is not the file."""
        status = answer.status_code
        if status in _TO_TRY_LATER:
            raise _Broken(f"the server answers {status} {answer.reason}")
        if status in (401, 403):
            todo = "the data may be proprietary: get the file with your account, and put it there"
            _refuse(self.file, f"the server forbids it with {status}", todo)
        if status in (404, 410):
            todo = "look for the file by its name, and put it into the local root or the cache"
            _refuse(self.file, f"the server does not have it, {status}", todo)
        if status not in (200, 206):
            _refuse(self.file, f"the server answers {status} {answer.reason}", "try again later")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/json", "application/xhtml+xml"):
            todo = "look at the address in a browser, which may ask you to log in"
            _refuse(self.file, f"the server sends a page of type {kind} for a FITS file", todo)

    def _keep(self, answer, there):
        """Write what comes to the file aside, and require that all has come."""
        expected = self._expected(answer, there)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if there == 0:
            self._forget()
            # A weak tag does not stand for the same bytes (RFC 9110, section 13.1.5).
            if version and not version.startswith("W/"):
                text = json.dumps({"url": self.file.url, "version": version})
                write_text_whole(self.version, text, ours=Path.is_file)
        limit = _MOST_BYTES if expected is None else expected
        mark, since = time.monotonic(), 0
        with self.aside.open("ab") as target:
            while piece := answer.raw.read1(_PIECE):
                if there == 0 and not piece.startswith(_FITS[: len(piece)]):
                    todo = "look at the address in a browser, which may ask you to log in"
                    _refuse(self.file, "what the server sends is no FITS file", todo)
                target.write(piece)
                there, since = there + len(piece), since + len(piece)
                if there > limit:
                    raise _Broken(f"more than {limit:.0f} bytes came")
                if (passed := time.monotonic() - mark) > self.patience.window:
                    if since < passed * self.patience.slowest:
                        raise _Broken(f"only {since / passed:.0f} bytes come in a second")
                    mark, since = time.monotonic(), 0
                if self.progress:
                    self.progress(there, expected)
        if expected is not None and there != expected:
            raise _Broken(f"it ended after {there} of {expected} bytes")

    def _expected(self, answer, there):
        """Return how many bytes the file will have, None if nobody says; refuse too many."""
        length = answer.headers.get("Content-Length", "")
        expected = there + int(length) if length.isdecimal() else None
        if self.file.size is not None:
            if expected not in (None, self.file.size):
                why = f"the server's file has {expected} bytes and not {self.file.size}"
                _refuse(self.file, why, "the file has changed there: look for the earlier one")
            expected = self.file.size
        free = shutil.disk_usage(self.aside.parent).free
        if expected is not None and expected - there > free - _FREE:
            msg = (
                f"{self.aside.parent} has {free / 1e6:.0f} MB free and {self.file.name} needs "
                f"{(expected - there) / 1e6:.0f} MB: free space there, or name another directory "
                "with MIRI_BACKGROUND_CACHE."
            )
            raise DiskFailed(msg)
        return expected


@contextmanager
def _alone(path):
    """Let one process at a time download a file; the system ends the lock with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def download(file, patience=None, progress=None):
    """Download a file into the cache, unless it is there.

    Parameters
    ----------
    file : DataFile
        Which file.
    patience : Patience, optional
        How long the server may take.
    progress : callable, optional
        Called with the bytes that are there, and all that are expected or None.

    Returns
    -------
    pathlib.Path
        The file, verified.

    Raises
    ------
    CannotJudge
        If it cannot be downloaded, is not the file that the manifest names, or the cache cannot
        be written.  What has come so far is kept aside, and the next download goes on with it.
    """
    target, records = cache_path(file), cache_records()
    patience = patience or Patience()
    if file.url is None:
        msg = f"{file.name} has no address in the manifest: it cannot be downloaded."
        raise CannotJudge(msg)
    if not os.path.lexists(target):
        with writable(records.root), _alone(records.root / ".records" / f"{file.name}.lock"):
            # Another process may have downloaded it in the meantime.
            if not os.path.lexists(target):
                _fetch(file, target, records, patience, progress)
    require_whole(target, file)
    return target


def _fetch(file, target, records, patience, progress):
    """Download a file to its place in the cache, and record what came."""
    aside = records.root / ".partial" / file.data_set / file.name
    aside.parent.mkdir(parents=True, exist_ok=True)
    downloader = _Resuming(file, aside, patience, progress)
    with records.writing(file.url, target) as (written,):
        fetcher = pooch.create(
            path=written.parent,
            base_url="",
            registry={file.name: file.sha256 and f"sha256:{file.sha256}"},
            urls={file.name: file.url},
            retry_if_failed=patience.retries,
        )
        pooch.get_logger().setLevel("ERROR")  # the last error is reported in a sentence
        try:
            fetcher.fetch(file.name, downloader=downloader)
        except requests.exceptions.RequestException as error:
            why = _in_words(error)
            todo = "try again where there is a network; what has come so far is kept"
            _refuse(file, f"after {patience.retries + 1} attempts: {why}", todo)
    with suppress(OSError):
        aside.parent.rmdir()


def _in_words(error):
    """Return the reason of a failed connection, the shortest that libraries nest."""
    if isinstance(error, _Broken):
        return str(error).rstrip(".:")
    if isinstance(error, requests.exceptions.Timeout):
        return "the server does not answer"
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return " ".join(str(reason).split()).rpartition(": ")[2] or type(error).__name__
