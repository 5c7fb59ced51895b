"""How a build that crashes, hangs, grows or dies is told from one that does its work."""

import os
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import psutil
import pytest

from miri_background.builds.calling import Limits, RunningBuild

# A package of the name of the pipeline, whose calls do what their association says.
PIPELINE = """
import os, sys, time

class Image2Pipeline:
    @staticmethod
    def call(association, output_dir=None, save_results=True, steps=None):
        print("said", association, flush=True)
        if association == "crash":
            raise ValueError("the array\\n has no pixels")
        if association == "hang":
            time.sleep(600)
        if association == "grow":
            kept = bytearray(400_000_000)
            kept[::1000] = b"x" * len(kept[::1000])
            time.sleep(600)
        if association == "die":
            os.kill(os.getpid(), 9)
        if association == "leave":
            sys.exit(3)
        with open("seen.txt", "w") as stream:
            stream.write(os.environ["CRDS_PATH"] + " " + os.environ.get("PYTHONPATH", "none"))
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return the Python of an environment that has a build of our own."""
    home = tmp_path_factory.mktemp("build")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    version = f"python{sysconfig.get_python_version()}"
    packages = home / "lib" / version / "site-packages"
    for name, text in (("pipeline", PIPELINE), ("background", "BackgroundStep = None\n")):
        (packages / "jwst" / name).mkdir(parents=True)
        (packages / "jwst" / name / "__init__.py").write_text(text)
    (packages / "jwst" / "__init__.py").touch()
    metadata = packages / "jwst-1.2.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jwst\nVersion: 1.2.3\n")
    return home / "bin" / "python"


@pytest.fixture
def running(build, tmp_path):
    """Return a running build that may take a few seconds and 300 MB."""
    limits = Limits(seconds=4.0, memory=3e8)
    with RunningBuild(build, tmp_path / "imports.log", "https://nowhere.invalid", limits) as one:
        yield one


def call(running, directory, association):
    """Return how a call ended."""
    directory.mkdir(exist_ok=True)
    job = {"call": "image2", "association": association, "output": ".", "steps": {}}
    return running.call(job, directory, {"CRDS_PATH": "/some/cache"})


def test_call_is_carried_out(running, tmp_path, monkeypatch):
    """It has the environment that it is given, and nothing of this Python's."""
    monkeypatch.setenv("PYTHONPATH", "/of/others")
    called = call(running, tmp_path / "one", "usual")
    assert (called.ending, called.error) == ("ended", "")
    assert (tmp_path / "one" / "seen.txt").read_text() == "/some/cache none"
    assert "said usual" in (tmp_path / "one" / "log.txt").read_text()


def test_crash_has_its_place(running, tmp_path):
    """Exception, on one line, and the last line of the pipeline."""
    called = call(running, tmp_path / "one", "crash")
    assert (called.ending, called.error) == ("crashed", "ValueError: the array has no pixels")
    assert called.where.startswith("jwst/pipeline/__init__.py:9: raise ValueError")


@pytest.mark.parametrize(
    ("association", "ending"),
    [("hang", "timed out"), ("grow", "took too much memory"), ("die", "died")],
)
def test_what_does_not_end_by_itself(running, tmp_path, association, ending):
    """It is stopped and named, and the next call is carried out."""
    assert call(running, tmp_path / "one", association).ending == ending
    assert call(running, tmp_path / "two", "usual").ending == "ended"


def test_exit_is_a_crash(running, tmp_path):
    """CRDS ends the process where it has no context."""
    assert call(running, tmp_path / "one", "leave").error == "SystemExit: 3"


def test_unusable_package_crashes_each_call(running, tmp_path, build):
    """The error is that of the import."""
    module = next(build.parent.parent.glob("lib/*/site-packages/jwst/__init__.py"))
    module.write_text("import pkg_resources_of_old\n")
    try:
        called = call(running, tmp_path / "one", "usual")
    finally:
        module.write_text("")
    assert called.ending == "crashed"
    assert called.error.startswith("ModuleNotFoundError: No module named 'pkg_resources_of_old'")


def test_nothing_is_left_running(build, tmp_path):
    """A call that hangs ends with its build."""
    limits = Limits(seconds=1.0)
    with RunningBuild(build, tmp_path / "imports.log", "https://nowhere.invalid", limits) as one:
        call(one, tmp_path / "one", "hang")
        number = one._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_stopped_by_another_thread(build, tmp_path):
    """Whoever waits for a call is told at once."""
    with RunningBuild(build, tmp_path / "imports.log", "https://nowhere.invalid") as one:
        call(one, tmp_path / "one", "usual")
        threading.Timer(0.5, one.stop).start()
        began = time.monotonic()
        assert call(one, tmp_path / "two", "hang").ending == "died"
    assert time.monotonic() - began < 30


CALLER = """
import sys
from miri_background.builds.calling import RunningBuild
from pathlib import Path

with RunningBuild(sys.argv[1], "imports.log", "https://nowhere.invalid") as running:
    job = {"call": "image2", "association": "hang", "output": ".", "steps": {}}
    running.call(job, Path(sys.argv[2]), {"CRDS_PATH": "/some/cache"})
"""


def test_call_ends_with_a_caller_that_is_killed(build, tmp_path):
    """Nobody waits for it, and nobody else would end it."""
    command = [sys.executable, "-c", CALLER, str(build), str(tmp_path)]
    with subprocess.Popen(command, cwd=tmp_path) as caller:
        log = tmp_path / "log.txt"
        wait_until(lambda: log.exists() and "said hang" in log.read_text())
        family = psutil.Process(caller.pid).children(recursive=True)
        caller.kill()
    assert len(family) == 2
    assert not psutil.wait_procs(family, timeout=30)[1]


def wait_until(true):
    """Wait until something is true."""
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_runner_is_for_old_interpreters():
    """It runs in Python 3.8, and imports nothing of the suite."""
    import ast

    source = (Path(__file__).parents[2] / "src/miri_background/builds/runner.py").read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not any(name.startswith("miri_background") for name in modules)
