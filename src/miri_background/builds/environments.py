"""An environment for each build of the pipeline: made once, complete or not at all, and kept.

A directory of environments has a directory for each, such as ``jwst-1.12.5-py3.10``, with

* a marker, written first, by which the suite knows its own,
* ``venv``, the environment,
* ``install.log``, what uv said,
* ``stamp.json``, written last: what has none was interrupted, and is made anew.
"""

import fcntl
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from miri_background.builds.candidates import Candidate
from miri_background.builds.interpreters import in_words, interpreters
from miri_background.builds.releases import Release, release_of, release_version
from miri_background.builds.uv import NoEnvironment, ask_uv, builds_home, cache_of
from miri_background.files import write_text_whole
from miri_background.outcomes import Cause, DiskFailed
from miri_background.places import writable
from miri_background.reading import read_json

__all__ = [
    "SIZE_OF_BUILD",
    "BuildEnvironment",
    "NoEnvironment",
    "builds_home",
    "environment_of",
    "environments",
    "remove_environments",
    "size_on_disk",
]

# bytes, of one build with what it needs: 476 to 661 MB were measured for releases 1.6.2 to 3.0.0.
# Builds share what they have in common.
SIZE_OF_BUILD = 700_000_000
# Packages that a release needs in a later version than it was published with were seen within days.
_MARGIN = timedelta(days=7)
# Until jwst 1.16.0, released on this day, the pipeline imports pkg_resources without a requirement
# of setuptools, which environments had anyway.
_WITHOUT_SETUPTOOLS = date(2024, 9, 20)
_TIME_LIMIT = 1200.0  # s; with a compiler at work on a slow machine, 300 s were measured
_LOOK_AGAIN = 0.5  # s, while another process makes the same environment

_MARKER, _STAMP, _LOG = ".miri-background-build", "stamp.json", "install.log"
_NO_SPACE = "No space left on device"
_UNDATED = "is missing an upload date"


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
    if isinstance(wanted, str):
        wanted = release_version(wanted)
    stem = _stem(wanted)
    if not anew:
        found = [each for each in environments(home) if each.stamp["stem"] == stem]
        if found:
            return max(found, key=lambda each: Version(each.stamp["python"]))
    if isinstance(wanted, str):
        wanted = release_of(wanted, home)
    interpreter = _interpreter_for(wanted)
    directory = home / f"{stem}-py{interpreter.minor[0]}.{interpreter.minor[1]}"
    try:
        with writable(home), _alone(directory) as lock:
            # Another process may have made it meanwhile.
            made = None if anew else _complete(directory)
            return made or _made(wanted, interpreter, directory, lock)
    except DiskFailed as error:
        raise NoEnvironment(str(error), error.cause) from error


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
    try:
        with writable(home):
            for directory in sorted(chosen):
                with _alone(directory, wait=False):
                    _clear(directory)
            if all(each in chosen or own is None for each, own in ours.items()):
                shutil.rmtree(cache_of(home), ignore_errors=True)
    except DiskFailed as error:
        raise NoEnvironment(str(error), error.cause) from error
    if cache_of(home).is_dir():
        # What is in no environment only is kept for the next, unless space is wanted.
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


def _stem(wanted):
    """Return the name of an environment's directory, but for its Python."""
    if isinstance(wanted, Candidate):
        return f"jwst-{wanted.name}-{wanted.key}"
    return f"jwst-{wanted if isinstance(wanted, str) else wanted.version}"


def _name(wanted):
    """Return the name of a build."""
    return wanted.name if isinstance(wanted, Candidate) else wanted.version


def _interpreter_for(wanted):
    """Return the newest Python that is installed and that a build is for."""
    there = interpreters()
    if isinstance(wanted, Release):
        suited = [each for each in there if each.minor in wanted.pythons]
        wants = f"Python {in_words(wanted.pythons)}"
    elif wanted.source.kind == "wheel":
        suited = [each for each in there if _fits(wanted.source.path, each)]
        wants = "the Python of its file name"
    else:
        suited, wants = there, "any Python"
    if isinstance(wanted, Candidate) and (limits := wanted.source.requires_python):
        try:
            admitted = SpecifierSet(limits)
        except InvalidSpecifier:
            msg = (
                f"jwst {_name(wanted)} requires Python {limits!r}, which is no condition: mend it."
            )
            raise NoEnvironment(msg) from None
        suited = [each for each in suited if admitted.contains(".".join(map(str, each.version)))]
        wants += f" that is {limits}" if wanted.source.kind == "wheel" else ""
        wants = wants if wanted.source.kind == "wheel" else f"Python {limits}"
    if not suited:
        found = in_words(each.minor for each in there)
        msg = f"jwst {_name(wanted)} wants {wants}, and uv finds {found}: install one of those."
        raise NoEnvironment(msg)
    return suited[0]


def _fits(wheel, interpreter):
    """Return whether a wheel is for a Python, on this system."""
    tags = parse_wheel_filename(wheel.name)[-1]
    accepted = {*cpython_tags(interpreter.minor), *compatible_tags(interpreter.minor)}
    return not accepted.isdisjoint(tags)


@contextmanager
def _alone(directory, *, wait=True):
    """Keep other processes from an environment, and give the lock."""
    locks = directory.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + (2 * _TIME_LIMIT if wait else 0)
    with (locks / directory.name).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    msg = f"{directory} is in use by another process: try again when it has ended."
                    raise NoEnvironment(msg) from None
                time.sleep(_LOOK_AGAIN)
        yield lock


def _marked_name(directory):
    """Return the name of the build that a directory was begun for; None if it is not ours."""
    try:
        return (directory / _MARKER).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None


def _complete(directory):
    """Return the environment in a directory, None if it is not complete or its Python is gone."""
    python = directory / "venv" / "bin" / "python"
    if _marked_name(directory) is None or not os.access(python, os.X_OK):
        return None
    try:
        stamp = read_json(directory / _STAMP)
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
    content = [] if directory.is_symlink() else list(directory.iterdir())
    if directory.is_symlink() or (content and _marked_name(directory) is None):
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
    (directory / _MARKER).write_text(_name(wanted) + "\n", "utf-8")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="miri-background-build-") as aside:
        try:
            dated = _install(wanted, interpreter, directory, Path(aside), lock)
        except NoEnvironment:
            # The log is all that is of use, until it is tried again.
            shutil.rmtree(directory / "venv", ignore_errors=True)
            raise
    packages = _packages(directory)
    stamp = {
        "name": _name(wanted),
        "stem": _stem(wanted),
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


def _install(wanted, interpreter, directory, aside, lock):
    """Install a build, and return the day from which on no newer packages are taken, or None."""
    made = _say(
        directory, lock, "venv", "--no-project", "--python", interpreter.path, directory / "venv"
    )
    if made.code != 0:
        msg = f"uv makes no environment with {interpreter.path} ({made.reason}): mend that Python."
        raise NoEnvironment(msg)
    options = ["--python", directory / "venv" / "bin" / "python"]
    written = wanted.dated if isinstance(wanted, Candidate) else wanted.released
    if isinstance(wanted, Candidate):
        sources = [
            (each.package, each.copied_to(aside / each.package).as_uri())
            for each in (wanted.source, *wanted.with_)
        ]
        lines = [f"{package} @ {address}\n" for package, address in sources]
        (aside / "overrides.txt").write_text("".join(lines), "utf-8")
        options += ["--override", aside / "overrides.txt"]
        required = [lines[0].strip()]
    else:
        required = [f"jwst=={wanted.version}"]
    if written is not None and written < _WITHOUT_SETUPTOOLS:
        required.append("setuptools")
    dated = written and written + _MARGIN
    until = ["--exclude-newer", dated.isoformat()] if dated else []
    answer = _say(directory, lock, "pip", "install", *options, *until, *required)
    if answer.code != 0 and dated and _UNDATED in answer.messages:
        # An index without dates has nothing that is old enough.
        dated = None
        answer = _say(directory, lock, "pip", "install", *options, *required)
    if answer.code != 0:
        raise NoEnvironment(*_failure(wanted, directory, answer))
    return dated


def _say(directory, lock, *words):
    """Call uv while an environment is made, and keep what it says in the log."""
    answer = ask_uv(*words, home=directory.parent, patience=_TIME_LIMIT, kept=[lock.fileno()])
    with (directory / _LOG).open("a", encoding="utf-8") as log:
        log.write(f"--- uv {' '.join(map(str, words))}\n{answer.messages}\n")
    return answer


def _failure(wanted, directory, answer):
    """Return a sentence on why a build was not installed, and the cause."""
    what = f"jwst {_name(wanted)} cannot be installed ({answer.reason})"
    if _NO_SPACE in answer.messages:
        return f"{what}: free space at {directory.parent}, or name another directory.", Cause.DISK
    advice = f"see {directory / _LOG}"
    elsewhere = wanted.elsewhere if isinstance(wanted, Candidate) else []
    if elsewhere:
        names = ", ".join(elsewhere)
        advice = f"it takes {names} from repositories: give checkouts of them with it, or {advice}"
    return f"{what}: {advice}.", Cause.SET_UP


def _packages(directory):
    """Return the version of each package in an environment, by its normalised name."""
    (site,) = (directory / "venv" / "lib").glob("python*/site-packages")
    found = {
        str(canonicalize_name(each.metadata["Name"])): each.version
        for each in importlib.metadata.distributions(path=[str(site)])
    }
    return dict(sorted(found.items()))
