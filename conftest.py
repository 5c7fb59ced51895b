"""What all tests share, those of the notebooks included."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import nbval.kernel
import pytest
from filelock import FileLock
from jupyter_client.manager import KernelManager

# A small part of the detector, and the fewest exposures that can be judged.
SMALL = {"subarray": "SUB256", "groups": 8, "science_exposures": 1, "background_exposures": 3}
# A part of the detector with twice the isolated stars that a closure needs.
SMALL_CLOSURE = {
    "subarray": "BRIGHTSKY",
    "science_stars": 150,
    "science_faintest": 100,
    "galaxy_flux": 0,
}
# Before any test, or what it imports, has changed it: the same for all processes of a session.
_ENVIRONMENT = dict(os.environ)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # as .ci/run looks for them
# Without these, a browser asks its maker for updates and lists.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure(config):
    """Let nbval talk to its kernel where there is no network interface, not even loopback."""
    # Sockets in the file system: an absolute path, and short, as for the command line.
    sockets = tempfile.TemporaryDirectory(prefix="miri-")
    config.add_cleanup(sockets.cleanup)
    nbval.kernel.KernelManager = partial(
        KernelManager, transport="ipc", ip=str(Path(sockets.name) / "kernel")
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put notebooks first, then files with slow tests, so that no process is left with a long one.

    Files stay whole, and keep their order otherwise.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.suffix != ".ipynb", item.path not in slow))


@pytest.fixture(scope="session")
def repository():
    """Return the path of the checkout."""
    return Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def baseline_file(repository):
    """Return the path of the committed baseline of the release that is in the lock."""
    (path,) = (repository / "baselines").glob("jwst-3.*-F770W-FULL-*.json")
    return path


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Return the directory that the processes of this session share."""
    directory = tmp_path_factory.getbasetemp()
    return directory.parent if "PYTEST_XDIST_WORKER" in os.environ else directory


@pytest.fixture(scope="session")
def synthetic_caches(shared):
    """Return a directory for caches of references, each written by whoever needs it first."""
    directory = shared / "synthetic_caches"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session", autouse=True)
def _own_caches(synthetic_caches):
    """Let references that a test makes serve the others, and leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRI_BACKGROUND_CACHE", str(synthetic_caches))
        yield


@pytest.fixture(scope="session")
def suite_environment(synthetic_caches):
    """Return environment variables with caches of this session's own, and no CRDS settings."""
    kept = {name: value for name, value in _ENVIRONMENT.items() if not name.startswith("CRDS_")}
    return kept | {"MIRI_BACKGROUND_CACHE": str(synthetic_caches)}


@pytest.fixture(scope="session")
def command_line(suite_environment, tmp_path_factory):
    """Return a function that runs ``miri-background`` in a fresh process and directory."""
    program = Path(sys.executable).with_name("miri-background")

    def run(*arguments, before=(), current=None, **changed):
        return subprocess.run(
            [*before, program, *map(str, arguments)],
            env=suite_environment | changed,
            cwd=current or tmp_path_factory.mktemp("current"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


def options(parameters):
    """Return parameters as options of the command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in parameters.items()]


@pytest.fixture(scope="session")
def small_options():
    """Return the options of a small observation."""
    return options(SMALL)


@pytest.fixture(scope="session")
def small_closure_options():
    """Return the options of a small observation for a closure."""
    return options(SMALL_CLOSURE)


@pytest.fixture(scope="session")
def run_of():
    """Return a function that gives a run's own directory in that of its observation."""
    # Imported here: with it comes much that other tests do without.
    from miri_background.calibration_choice import Calibration
    from miri_background.run_directory import run_path

    def find(observed, purpose=None, **changes):
        return run_path(observed, Calibration(**changes), purpose)

    return find


@pytest.fixture(scope="session")
def passed_observation(shared, command_line):
    """Return a function that gives an observation's directory with a run, and printed text."""

    def run(verb, *arguments, name=None, before=()):
        directory, printed = (shared / f"passed_{name or verb}{ending}" for ending in ("", ".txt"))
        with FileLock(directory.with_suffix(".lock")):
            if not printed.exists():
                # What another process could not bring to its end is no run that passed.
                shutil.rmtree(directory, ignore_errors=True)
                ended = command_line(verb, "--run", directory, *arguments, before=before)
                if ended.returncode != 0:
                    pytest.fail(ended.stdout)
                printed.write_text(ended.stdout)
        return directory, printed.read_text()

    return run


@pytest.fixture(scope="session")
def finished(passed_observation, run_of, small_options):
    """Return the own directory of a small passed run, and what was printed."""
    observed, printed = passed_observation("validate", *small_options)
    return run_of(observed), printed


@pytest.fixture(scope="session")
def alone():
    """Return what begins a command line without any network interface, nothing if not allowed.

    Where it is, mounts of one's own are allowed as well.
    """
    program = shutil.which("unshare")
    if program is None:
        return []
    tried = subprocess.run([program, "-rnm", "true"], capture_output=True, check=False)
    return [program, "-rn"] if tried.returncode == 0 else []


@pytest.fixture(scope="session")
def full_options():
    """Return the options of the shortest observation of the full array that is judged whole."""
    return options({**SMALL, "subarray": "FULL", "groups": 6})


@pytest.fixture(scope="session")
def full_array(passed_observation, run_of, full_options, synthetic_caches, alone):
    """Return the own directory of a passed run of the full array, and what was printed.

    It has no network interface, and references of a cache that is named by its path.
    """
    from miri_background.observation import Observation
    from miri_background.references.cache import synthetic_cache
    from miri_background.references.mappings import CONTEXT

    chosen = {
        "crds_cache": str(synthetic_cache(synthetic_caches, Observation(groups=6))),
        "crds_context": CONTEXT,
    }
    observed, printed = passed_observation(
        "validate", *full_options, *options(chosen), name="full_array", before=alone
    )
    return run_of(observed, **chosen), printed


@pytest.fixture(scope="session")
def small_cache(synthetic_caches):
    """Return the cache of references that small observations use, not to be changed."""
    from miri_background.observation import Observation
    from miri_background.references.cache import synthetic_cache

    return synthetic_cache(synthetic_caches, Observation(**SMALL))


@pytest.fixture(scope="session")
def finished_closure(passed_observation, run_of, small_closure_options):
    """Return the own directory of a small passed closure, and what was printed."""
    observed, printed = passed_observation("closure", *small_closure_options)
    return run_of(observed, "closure"), printed


@pytest.fixture(scope="session")
def interruptible():
    """Return the beginning of a command line whose process takes notice of Ctrl-C.

    In the background of a shell, as tests may be, it is ignored.
    """
    heed = "signal.signal(signal.SIGINT, signal.SIG_DFL)"
    run = "os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", f"import os, signal, sys; {heed}; {run}"]


@pytest.fixture(scope="session")
def program():
    """Return a function that writes an executable which runs a command of the shell."""

    def write(path, command):
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)

    return write


# Closed with the module: what runs a browser leaves no room for another event loop.
@pytest.fixture(scope="module")
def browser():
    """Return a browser that asks nobody for anything by itself."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium: install it to test in a browser")
    from playwright.sync_api import sync_playwright  # only these tests need it

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=_QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def screenshots(repository):
    """Return the directory in which pictures of pages are kept."""
    directory = repository / "build" / "screenshots"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def stand_in(repository, program, tmp_path_factory):
    """Return the directory of programs of an environment that has a stand-in for MIRISim."""
    root = tmp_path_factory.mktemp("environment")
    (root / "bin").mkdir()
    (root / "mirisim").mkdir()
    # A package in the place of MIRISim's, for the question which version it is.
    (root / "mirisim" / "__init__.py").write_text(
        'import os\n__version__ = os.environ.get("MIRISIM_STAND_IN_VERSION", "2.4.1")\n'
    )
    python, package = shlex.quote(sys.executable), shlex.quote(str(root))
    source = shlex.quote(str(repository / "tests" / "mirisim_stand_in.py"))
    program(root / "bin" / "python", f'PYTHONPATH={package} exec {python} "$@"')
    program(root / "bin" / "mirisim", f'exec {python} {source} "$@"')
    return root / "bin"


@pytest.fixture(scope="session")
def link_observation():
    """Return a function that copies the directory of an observation; files are linked."""

    def copy(observed, target):
        # Products are only ever replaced, so links are safe; logs are written in place.  A lock is
        # that of the linked file: with it, a copy would be in use together with its original.
        def file(source, copied):
            return (shutil.copy2 if source.endswith(".log") else os.link)(source, copied)

        locks = shutil.ignore_patterns("lock", "executing")
        return shutil.copytree(observed, target, copy_function=file, symlinks=True, ignore=locks)

    return copy


@pytest.fixture
def copied_observation(finished, link_observation, tmp_path):
    """Return a copy of the observation's directory with the finished run.

    A test may change it, and give it to ``--run``.
    """
    return link_observation(finished[0].parents[1], tmp_path / "copy")


@pytest.fixture
def finished_copy(copied_observation, run_of):
    """Return the finished run's own directory in the copy, which a test may change."""
    return run_of(copied_observation)
