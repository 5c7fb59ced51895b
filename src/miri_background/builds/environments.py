"""An environment for each build of the pipeline: made once, complete or not at all, and kept.

A directory of environments has a directory for each, such as ``jwst-1.12.5-py3.10``, with

* a marker, written first, by which the suite knows its own,
* ``venv``, the environment,
* ``install.log``, what uv said when it made it,
* ``stamp.json``, written last: what has none was interrupted, and is made anew.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import Version

from miri_background.builds.candidates import Candidate
from miri_background.builds.installing import Installation, interpreter_for
from miri_background.builds.releases import release_of, release_version
from miri_background.builds.uv import NoEnvironment, ask_uv, builds_home, cache_of
from miri_background.files import write_text_whole
from miri_background.outcomes import Cause, DiskFailed
from miri_background.places import require_writable, writable
from miri_background.reading import read_json, read_text

__all__ = [
    "SIZE_OF_BUILD",
    "BuildEnvironment",
    "NoEnvironment",
    "builds_home",
    "environment_of",
    "environments",
    "in_use",
    "remove_environments",
    "size_on_disk",
]

# bytes, of one build with what it needs: 522 to 694 MB were measured for releases 1.6.2 to 3.0.0,
# and 50 MB of compiled files, which Python adds. Builds share what they have in common.
SIZE_OF_BUILD = 800_000_000
_PATIENCE = 2400.0  # s to wait for another process: twice the time limit of an installation
_LOOK_AGAIN = 0.5  # s, while another process makes the same environment

_MARKER, _STAMP = ".miri-background-build", "stamp.json"


@dataclass(frozen=True)
class BuildEnvironment:
    """A complete environment of one build.

    Parameters
    ----------
    name : str
        Of the build: "1.12.5", or the state of a candidate.
    python : pathlib.Path
        Its Python.
    directory : pathlib.Path
        All that belongs to it.
    packages : dict of str
        Version of each package that is installed, by its normalised name.
    size : int
        Bytes, with what other environments have in common with it.
    stamp : dict
        How it was made.
    """

    name: str
    python: Path
    directory: Path
    packages: dict
    size: int
    stamp: dict


def environment_of(wanted, home=None, *, anew=False):
    """Return the environment of a build; made if there is none, otherwise found without a network.

    Another process that makes the same environment is waited for.

    Parameters
    ----------
    wanted : str or Release or Candidate
        A version, such as "1.12.5", or what is known of a release or of a candidate.
    home : path-like, optional
        Directory of environments, by default `builds_home`.
    anew : bool, optional
        Whether to make it again if it is there.

    Returns
    -------
    BuildEnvironment
        Complete.

    Raises
    ------
    NoEnvironment
        If there is none and it cannot be made.
    """
    home = Path(home or builds_home()).expanduser().absolute()
    stem = f"jwst-{release_version(wanted)}" if isinstance(wanted, str) else wanted.stem
    if not anew:
        found = [each for each in environments(home) if each.stamp["stem"] == stem]
        if found:
            return max(found, key=lambda each: Version(each.stamp["python"]))
    with _as_no_environment(home):
        require_writable(home)
        if isinstance(wanted, str):
            wanted = release_of(wanted, home)
        interpreter = interpreter_for(wanted, home)
        directory = home / f"{stem}-py{interpreter.minor[0]}.{interpreter.minor[1]}"
        with _locked(directory) as lock:
            # Another process may have made it meanwhile.
            made = None if anew else _complete(directory)
            return made or _made(wanted, interpreter, directory, lock)


@contextmanager
def in_use(environment):
    """Keep other processes from removing an environment, or from making it anew.

    Parameters
    ----------
    environment : BuildEnvironment
        Any number of processes may use it at once.

    Raises
    ------
    NoEnvironment
        If it is being removed, or was.
    """
    with ExitStack() as held:
        # Errors of those who use it are none of its own.
        with _as_no_environment(environment.directory):
            held.enter_context(_locked(environment.directory, shared=True))
        if _complete(environment.directory) is None:
            msg = f"{environment.directory} was removed by another process: start again."
            raise NoEnvironment(msg)
        yield


def environments(home=None):
    """Return the complete environments in a directory of environments.

    Parameters
    ----------
    home : path-like, optional
        By default `builds_home`.

    Returns
    -------
    list of BuildEnvironment
        In the order of the versions of jwst that are in them.
    """
    home = Path(home or builds_home()).expanduser().absolute()
    found = [_complete(each) for each in sorted(home.glob("jwst-*-py*"))]
    return sorted(filter(None, found), key=lambda each: Version(each.packages["jwst"]))


def remove_environments(home, names):
    """Remove environments, complete or interrupted.

    Parameters
    ----------
    home : path-like
        Directory of environments.
    names : iterable of str
        Of builds, or of their directories.

    Returns
    -------
    int
        Bytes that are free again.

    Raises
    ------
    NoEnvironment
        If there is none of a name; nothing is removed then.
    """
    home = Path(home).expanduser().absolute()
    ours = {each: _marked_name(each) for each in sorted(home.glob("jwst-*-py*"))}
    chosen = set()
    for name in names:
        found = {path for path, own in ours.items() if own is not None and name in (own, path.name)}
        if not found:
            there = ", ".join(sorted(filter(None, ours.values()))) or "none"
            msg = f"{home} has no environment of a build {name}: there are {there}."
            raise NoEnvironment(msg)
        chosen |= found
    before = size_on_disk(home)
    with _as_no_environment(home):
        for directory in sorted(chosen):
            with _locked(directory, patience=0):
                _clear(directory)
        if all(each in chosen or own is None for each, own in ours.items()):
            shutil.rmtree(cache_of(home), ignore_errors=True)
    if cache_of(home).is_dir():
        # What was kept for the next environment goes, too: space is wanted. Nothing of the others'
        # is lost, since a file is there as long as it has a name.
        with suppress(NoEnvironment):
            ask_uv("cache", "prune", "--ci", home=home)
    return before - size_on_disk(home)


def size_on_disk(home):
    """Return the bytes that a directory takes; what has several names counts once.

    Parameters
    ----------
    home : path-like
        Directory of environments, or of one.

    Returns
    -------
    int
        0 if it is not there.
    """
    seen = {}
    for root, _, files in os.walk(home):
        for name in files:
            status = os.lstat(os.path.join(root, name))  # noqa: PTH118 - a path for each is slow
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


@contextmanager
def _as_no_environment(home):
    """Turn failures to write into a `NoEnvironment`, which says so of one build only."""
    try:
        with writable(home):
            yield
    except DiskFailed as error:
        raise NoEnvironment(str(error), error.cause) from error


@contextmanager
def _locked(directory, *, shared=False, patience=_PATIENCE):
    """Keep other processes from an environment, or from changing it, and give the lock."""
    locks = directory.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with (locks / directory.name).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    msg = f"{directory} is in use by another process: try again when it has ended."
                    raise NoEnvironment(msg) from None
                time.sleep(_LOOK_AGAIN)
        yield lock


def _marked_name(directory):
    """Return the name of the build that a directory was begun for; None if it is not ours."""
    try:
        return read_text(directory / _MARKER).strip()
    except (OSError, ValueError):
        return None


def _complete(directory):
    """Return the environment in a directory, None if it is not complete or its Python is gone."""
    python = directory / "venv" / "bin" / "python"
    if _marked_name(directory) is None or not os.access(python, os.X_OK):
        return None
    try:
        stamp = read_json(directory / _STAMP)
        # What the environments are sorted and found by.
        Version(stamp["packages"]["jwst"]), Version(stamp["python"]), stamp["stem"]
        return BuildEnvironment(
            *(stamp["name"], python, directory),
            *(stamp["packages"], stamp["size"], stamp),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear(directory):
    """Remove a directory that this suite made."""
    if not os.path.lexists(directory):
        return
    foreign = directory.is_symlink() or not directory.is_dir()
    content = [] if foreign else list(directory.iterdir())
    if foreign or (content and _marked_name(directory) is None):
        msg = (
            f"{directory} was not made by this suite, and stays as it is: move it away, or name "
            "another directory for builds."
        )
        raise NoEnvironment(msg)
    # The stamp first, so that nobody takes what is left for complete, and the marker last, so
    # that it can be removed even if this is interrupted.
    last = directory / _MARKER
    (directory / _STAMP).unlink(missing_ok=True)
    for each in content:
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each != last:
            each.unlink(missing_ok=True)
    last.unlink(missing_ok=True)
    directory.rmdir()


def _made(wanted, interpreter, directory, lock):
    """Make an environment and return it."""
    _clear(directory)
    free = shutil.disk_usage(directory.parent).free
    if free < SIZE_OF_BUILD:
        msg = (
            f"{directory.parent} has {free / 1e9:.1f} GB left, and a build takes "
            f"{SIZE_OF_BUILD / 1e9:.1f} GB: free space there, or name another directory for builds."
        )
        raise NoEnvironment(msg, Cause.DISK)
    directory.mkdir(parents=True)
    (directory / _MARKER).write_text(wanted.name + "\n", "utf-8")
    began = time.monotonic()
    installation = Installation(wanted, directory, lock)
    with tempfile.TemporaryDirectory(prefix="miri-background-build-") as aside:
        try:
            dated = installation.install(interpreter, Path(aside))
        except NoEnvironment:
            # The log is all that is of use, until it is tried again.
            shutil.rmtree(installation.venv, ignore_errors=True)
            raise
    packages = installation.packages()
    stamp = {
        "name": wanted.name,
        "stem": wanted.stem,
        "version": packages["jwst"],
        "python": ".".join(map(str, interpreter.version)),
        "interpreter": str(interpreter.path),
        "dated": dated and dated.isoformat(),
        "packages": packages,
        "size": size_on_disk(directory),
        "seconds": round(time.monotonic() - began, 1),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if isinstance(wanted, Candidate):
        stamp["sources"] = [
            {
                **{name: getattr(each, name) for name in ("package", "kind", "described", "key")},
                "path": str(each.path),
                "commit": each.commit,
            }
            for each in (wanted.source, *wanted.with_)
        ]
    write_text_whole(directory / _STAMP, json.dumps(stamp, indent=1) + "\n")
    return _complete(directory)
