"""Tiny packages called jwst, on a package index of this machine, for the real uv."""

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from miri_background.builds.releases import Release

THIS_PYTHON = sys.version_info[:2]
PURE = "py3-none-any"
# Of the tiny packages: when files of each version of what jwst needs were uploaded.
UPLOADED = {"1.0": "2024-01-01", "2.0": "2025-01-01"}
RELEASED = "2024-01-10"

# A build backend in one file, since setuptools is on no index here.  It leaves a trace where it
# builds, as compilers do.
BACKEND = """
import io, tomllib, zipfile
from pathlib import Path

def build_wheel(directory, config_settings=None, metadata_directory=None):
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    Path("built.txt").write_text("here")
    wheel = f"{name}-{version}-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {each}\\n" for each in project.get("dependencies", []))
    with zipfile.ZipFile(Path(directory) / wheel, "w") as file:
        for source in sorted(Path(name).rglob("*.py")):
            file.writestr(source.as_posix(), source.read_text())
        info = f"{name}-{version}.dist-info/"
        described = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        file.writestr(info + "METADATA", described + needs)
        about = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\n"
        file.writestr(info + "WHEEL", about + "Tag: py3-none-any\\n")
        file.writestr(info + "RECORD", "")
    return wheel
"""


def wheel(name, version, *needs, tag=PURE, python=">=3.8"):
    """Return file name and bytes of a wheel."""
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {each}\n" for each in needs)
    parts = {
        f"{name}/__init__.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        f"Requires-Python: {python}\n{requires}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for path, text in parts.items():
            file.writestr(path, text)
    return f"{name}-{version}-{tag}.whl", stream.getvalue()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Return an empty directory of environments, and let uv ask for nothing over a network."""
    for name in [each for each in os.environ if each.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    # Settings of pip on this machine are of no account.
    for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "builds"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a directory with wheels, which has no dates."""
    directory = tmp_path_factory.mktemp("files")
    for name, content in (
        wheel("jwst", "1.2.3"),
        wheel("jwst", "1.4.0", tag="cp399-cp399-any"),
        wheel("jwst", "1.5.0", "absent>=3"),
        wheel("stcal", "1.0"),
    ):
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def wheels(files, monkeypatch):
    """Let uv take packages from the directory of wheels, and return it."""
    monkeypatch.setenv("UV_FIND_LINKS", str(files))
    return files


@pytest.fixture
def release():
    """Return the release that most of these tests install."""
    return Release("1.2.3", None, (THIS_PYTHON,))


class _Handler(BaseHTTPRequestHandler):
    """Answers as a package index with dates (PEP 691, PEP 700), and with the files themselves."""

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Answer."""
        *_, kind, name = self.path.strip("/").split("/")
        if kind == "simple":
            files = [
                {"filename": file, "url": f"/files/{file}", "hashes": {}, "upload-time": when}
                for file, (_, when) in self.server.files.items()
                if file.startswith(f"{name}-")
            ]
            answer = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}
            content, kind = json.dumps(answer).encode(), "application/vnd.pypi.simple.v1+json"
            known = bool(files)
        else:
            known = name in self.server.files
            content, kind = self.server.files.get(name, (b"",))[0], "application/octet-stream"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", len(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815 - the name is that of the base class


@pytest.fixture
def dated_index(monkeypatch):
    """Let uv take packages from an index on this machine that tells dates."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served.daemon_threads = True
    served.files = {}
    for (name, content), day in (
        *((wheel("needed", version), day) for version, day in UPLOADED.items()),
        *((wheel("setuptools", version), day) for version, day in UPLOADED.items()),
        (wheel("jwst", "1.2.3", "needed"), RELEASED),
        (wheel("jwst", "1.6.0", "needed"), "2025-02-01"),
    ):
        served.files[name] = content, f"{day}T12:00:00Z"
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{served.server_port}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def git(directory, *arguments, day="2026-01-10"):
    """Call git in a repository, and return what it prints."""
    when = f"{day}T12:00:00+00:00"
    settings = (
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "-c",
        "init.defaultBranch=main",
    )
    environment = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    return subprocess.run(
        ["git", *settings, *arguments],
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture
def checkout_of(tmp_path):
    """Return a function that makes a checkout of a package, with a tag, and returns its path."""

    def make(name, *needs, version="3.1.0", python=">=3.8", **committed):
        directory = tmp_path / f"checkout of {name}"
        (directory / name).mkdir(parents=True)
        (directory / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = "{python}"\n'
            f"dependencies = {json.dumps(needs)}\n[build-system]\nrequires = []\n"
            'build-backend = "backend"\nbackend-path = ["."]\n'
        )
        (directory / "backend.py").write_text(BACKEND)
        (directory / ".gitignore").write_text("*.log\nbuilt.txt\n")
        (directory / name / "__init__.py").write_text("state = 'committed'\n")
        git(directory, "init", "--quiet")
        git(directory, "add", ".")
        git(directory, "commit", "--quiet", "--message", "Begin", **committed)
        git(directory, "tag", version)
        return directory

    return make


@pytest.fixture
def checkout(checkout_of):
    """Return a checkout of jwst, which needs nothing."""
    return checkout_of("jwst")
