"""A server on this machine that serves FITS files, and misbehaves in the ways it is asked for."""

import hashlib
import io
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from miri_background.data.download import Patience
from miri_background.data.manifest import DataFile

_TAG = '"version-1"'


@pytest.fixture(scope="session")
def content():
    """Return the bytes of a small FITS file."""
    pixels = np.random.default_rng(1).integers(0, 1000, (200, 200), dtype=np.int32)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, name="SCI")]).writeto(stream)
    return stream.getvalue()


class _Handler(BaseHTTPRequestHandler):
    """Answers as the first part of the path says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def send(self, status, content=b"", length=None, **headers):
        """Send an answer whose length may be wrong, and close the connection."""
        self.send_response(status)
        headers = {"Content_Type": "application/fits"} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(content) if length is None else length)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(content)

    def do_HEAD(self):
        """All is well, as far as HEAD can tell."""
        self.send(200, length=len(self.server.content))

    def do_GET(self):
        """Answer in the way that the path asks for."""
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        number = len(self.server.asked)
        way = self.path.split("/")[1]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            getattr(self, way)(self.server.content, asked, number)

    def whole(self, content, asked, _, tag=_TAG):
        """Serve the file, or the part of it that is asked for."""
        if asked and self.headers.get("If-Range") == tag:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            where = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self.send(206, content[first:], ETag=tag, Content_Range=where)
        else:
            self.send(200, content, ETag=tag)

    def missing(self, *_):
        """There is no such file."""
        self.send(404, b"no", Content_Type="text/html")

    def forbidden(self, *_):
        """Nobody may have it."""
        self.send(403, b"no", Content_Type="text/html")

    def busy(self, *_):
        """Never is there time."""
        self.send(503, b"later", Content_Type="text/html")

    def busy_once(self, content, asked, number):
        """There is time at the second attempt."""
        self.busy() if number == 1 else self.whole(content, asked, number)

    def short(self, content, *_):
        """Half of the file comes, as often as it is asked for."""
        self.send(200, content[: len(content) // 2], len(content))

    def short_once(self, content, asked, number):
        """Half of the file comes at first."""
        if number == 1:
            self.send(200, content[: len(content) // 2], len(content), ETag=_TAG)
        else:
            self.whole(content, asked, number)

    def changed(self, content, asked, number):
        """Half of the file comes at first, and then there is another version of it."""
        if number == 1:
            self.send(200, b"SIMPLE  = old" + content[13:20000], len(content), ETag='"version-0"')
        else:
            self.whole(content, asked, number)

    def no_ranges(self, content, _, number):
        """Half of the file comes at first, and then all of it, whatever is asked for."""
        if number == 1:
            self.send(200, content[: len(content) // 2], len(content), ETag=_TAG)
        else:
            self.send(200, content, ETag=_TAG)

    def range_refused(self, content, asked, number):
        """Half of the file comes at first, and then no part of it."""
        if number == 1:
            self.send(200, content[: len(content) // 2], len(content), ETag=_TAG)
        elif asked:
            self.send(416)
        else:
            self.send(200, content, ETag=_TAG)

    def other_range(self, content, asked, number):
        """Half of the file comes at first, and then another part than was asked for."""
        if number == 1:
            self.send(200, content[: len(content) // 2], len(content), ETag=_TAG)
        elif asked:
            where = f"bytes 0-{len(content) - 1}/{len(content)}"
            self.send(206, content, ETag=_TAG, Content_Range=where)
        else:
            self.send(200, content, ETag=_TAG)

    def damaged(self, content, *_):
        """One bit is another one."""
        self.send(200, content[:-3000] + b"\x01" + content[-2999:])

    def drip(self, content, *_):
        """One byte comes at a time."""
        self.send(200, length=len(content))
        for byte in content[:200]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.02)

    def silent(self, content, *_):
        """Nothing comes after the first bytes."""
        self.send(200, content[:5000], len(content), ETag=_TAG)
        self.wfile.flush()
        self.server.ended.wait(20)

    def page(self, *_):
        """Send a page to log in, for a file."""
        self.send(200, b"<!DOCTYPE html><html>log in</html>", Content_Type="text/html; charset=x")

    def hidden_page(self, *_):
        """Send a page that is called a FITS file."""
        self.send(200, b"<!DOCTYPE html><html>log in</html>")

    def moved(self, *_):
        """Send on to where the file is, under another name."""
        self.send(302, Location="/whole/evil.fits?name=../../evil.fits")

    def away(self, *_):
        """Send on, and on."""
        self.send(302, Location=self.path)

    def endless(self, content, *_):
        """More comes than was announced to anybody."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(content + bytes(5000))

    def named(self, content, *_):
        """Name another place for the file."""
        self.send(200, content, Content_Disposition='attachment; filename="../../evil.fits"')


@pytest.fixture
def server(content):
    """Return a server; what was asked of it is in its list ``asked``."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served.daemon_threads = True
    served.content, served.asked, served.ended = content, [], threading.Event()
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.ended.set()
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return the directory of the cache of data, which is empty, and no local root."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEST_BIGDATA", raising=False)
    return tmp_path / "cache" / "data"


@pytest.fixture
def offered(server, content):
    """Return a function that gives a file which the server serves in some way."""

    def file(way, recorded=True):
        known = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return DataFile(
            "flight",
            "ours.fits",
            "science",
            "rate",
            f"http://127.0.0.1:{server.server_port}/{way}/theirs.fits",
            **known if recorded else {},
        )

    return file


@pytest.fixture
def impatient(monkeypatch):
    """Return a patience of parts of a second, without waiting between attempts."""
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    return Patience(answer=0.5, slowest=1e4, window=0.3, retries=1)
