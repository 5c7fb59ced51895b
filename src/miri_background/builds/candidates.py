"""Candidates: states of the pipeline that are no release, such as a checkout under review.

Nothing is built, and nothing changed, where it lies: what git knows of it is copied first.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from errno import EDQUOT, ENOSPC
from itertools import chain
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from miri_background.builds.uv import NoEnvironment
from miri_background.files import checksum, content_key
from miri_background.outcomes import Cause
from miri_background.repository import ask_git

__all__ = ["Candidate", "Source", "candidate_of"]

# A command that only reads must not even refresh git's index.
_READING = "--no-optional-locks"
_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
# Bytes of files that git does not know: what has more is data, which is not to be copied.
_MOST_UNKNOWN = 200_000_000
_CHANGED_DIGITS = 6  # of the checksum of what is not committed, in a name


@dataclass(frozen=True)
class Source:
    """What one package can be installed from.

    Parameters
    ----------
    package : str
        Its name, such as "stcal".
    kind : str
        "checkout" with all that is not committed, "commit" of a repository, or "wheel".
    path : pathlib.Path
        Directory or wheel.
    described : str
        The state in words, such as ``3.0.0-12-g1a2b3c4d5``.
    key : str
        Equal for equal states.
    commit : str or None
        40 hexadecimal digits; None of a wheel.
    committed : datetime.date or None
        When (UTC); None of a wheel.
    requires_python : str
        Versions of Python that it is for, empty where it does not say.
    requirements : tuple of str
        What it needs, as far as it says so without being built.
    """

    package: str
    kind: str
    path: Path
    described: str
    key: str
    commit: str | None
    committed: date | None
    requires_python: str
    requirements: tuple

    def copied_to(self, directory):
        """Copy what is to be installed, and return where it is.

        Parameters
        ----------
        directory : pathlib.Path
            Not there yet, but for a wheel, which is left where it lies.

        Returns
        -------
        pathlib.Path
            What uv can install.

        Raises
        ------
        NoEnvironment
            If it cannot be copied, or has changed since it was named.
        """
        if self.kind == "wheel":
            return self.path
        top = ask_git(self.path, "rev-parse", "--show-toplevel")
        # With the history, the package finds its own version, and which files are its own.
        options = ("--quiet", "--shared", "--no-checkout", "--template=", "--")
        if top is None or ask_git(self.path, "clone", *options, top, str(directory)) is None:
            self._refuse_copy()
        copy = directory / self.path.relative_to(Path(top).resolve())
        if self.kind == "commit":
            arguments = (*_NO_HOOKS, "checkout", "--quiet", "--detach", self.commit)
            if ask_git(directory, *arguments) is None:
                self._refuse_copy()
            # Where git does not have a file, it makes the others, and reports success.
            if ask_git(directory, "ls-files", "--deleted") != "":
                self._refuse_copy()
            return copy
        moved = ask_git(directory, "update-ref", "--no-deref", "HEAD", self.commit)
        if moved is None or ask_git(directory, "read-tree", "HEAD") is None:
            self._refuse_copy()
        with _readable(self.path):
            _copy_files(self.path, copy)
        if _checkout(self.path).key != self.key:
            msg = f"{self.path} changed while it was copied: try again when nobody writes there."
            raise NoEnvironment(msg)
        return copy

    def _refuse_copy(self):
        """Say that git does not copy a repository."""
        msg = (
            f"git cannot copy {self.described} of {self.path}, where files of it may be missing, "
            "as in a partial clone: name a clone that is whole."
        )
        raise NoEnvironment(msg)


@dataclass(frozen=True)
class Candidate:
    """A state of jwst that is no release.

    Parameters
    ----------
    source : Source
        What jwst itself is installed from.
    with_ : tuple of Source
        What packages that come with it are installed from, such as stcal.
    """

    source: Source
    with_: tuple = ()

    @property
    def name(self):
        """The state of jwst in words, such as ``3.0.0-12-g1a2b3c4d5``."""
        return self.source.described

    @property
    def key(self):
        """16 hexadecimal digits, equal for equal states of all its packages."""
        return content_key(*((each.package, each.key) for each in (self.source, *self.with_)))

    @property
    def stem(self):
        """Name of the directory of its environment, but for the Python."""
        return f"jwst-{self.name}-{self.key[:8]}"

    @property
    def dated(self):
        """Day of the last commit (UTC), None if one of its packages is a wheel.

        Returns
        -------
        datetime.date or None
            What it needs was on the package index by then, or is among its packages.
        """
        dates = [each.committed for each in (self.source, *self.with_)]
        return None if None in dates else max(dates)

    @property
    def elsewhere(self):
        """Name the packages that it takes from a repository, not from a package index.

        Returns
        -------
        list of str
            But for those that are given with it.
        """
        given = {each.package for each in (self.source, *self.with_)}
        found = set()
        for text in chain(*(each.requirements for each in (self.source, *self.with_))):
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            if requirement.url:
                found.add(canonicalize_name(requirement.name))
        return sorted(found - given)


def candidate_of(text, with_=()):
    """Return the candidate that a text names.

    Parameters
    ----------
    text : str or path-like
        Path of a checkout, with what is not committed there; PATH@REF for a commit, branch or
        tag of a clone; or the path of a wheel.
    with_ : sequence of str or path-like, optional
        The same for packages that belong to it, such as stcal, stdatamodels and stpipe.

    Returns
    -------
    Candidate
        As it is now.

    Raises
    ------
    NoEnvironment
        If there is nothing of the kind, or it is not jwst.
    """
    source = _source(text)
    if source.package != "jwst":
        msg = f"{text} is {source.package}, not jwst: name jwst, and this among what goes with it."
        raise NoEnvironment(msg)
    others = tuple(sorted((_source(each) for each in with_), key=lambda each: each.package))
    names = [each.package for each in (source, *others)]
    for name in names:
        if names.count(name) > 1:
            msg = f"{name} is given {names.count(name)} times: name one state of it."
            raise NoEnvironment(msg)
    return Candidate(source, others)


def _source(text):
    """Return what a text names; see `candidate_of`."""
    text = os.fspath(text)
    path = Path(text).expanduser().resolve()
    if path.is_dir():
        return _checkout(path)
    if path.is_file():
        return _wheel(path)
    before, at, ref = text.rpartition("@")
    clone = Path(before).expanduser().resolve()
    if at and clone.is_dir():
        return _commit(clone, ref)
    msg = (
        f"{text} is not there: name a checkout of the pipeline, a wheel, or a commit, branch or "
        "tag of a local clone as PATH@REF."
    )
    raise NoEnvironment(msg)


def _wheel(path):
    """Return a wheel as a source."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        (found,) = importlib.metadata.distributions(path=[str(path)])
        metadata = found.metadata
    except (InvalidWheelFilename, ValueError) as error:
        msg = f"{path} is no wheel ({error}): name a wheel, or a directory with a checkout."
        raise NoEnvironment(msg) from error
    key = checksum(path)[:16]
    return Source(
        *(name, "wheel", path, f"{version}-wheel-{key[:8]}", key, None, None),
        metadata["Requires-Python"] or "",
        tuple(metadata.get_all("Requires-Dist") or ()),
    )


def _commit(clone, ref):
    """Return a commit of a repository as a source."""
    commit = ask_git(
        clone, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
    )
    if commit is None:
        _require_repository(clone)
        msg = f"{clone} has no commit, branch or tag {ref!r}: see `git -C {clone} branch --all`."
        raise NoEnvironment(msg)
    text = ask_git(clone, "show", f"{commit}:./pyproject.toml")
    return _of_git(clone, "commit", commit, "", text)


def _checkout(path):
    """Return a checkout, with what is not committed in it, as a source."""
    commit = ask_git(path, "rev-parse", "--verify", "HEAD")
    if commit is None:
        _require_repository(path)
    described = path / "pyproject.toml"
    text = described.read_text("utf-8", "replace") if described.is_file() else None
    changes = _changes(path)
    return _of_git(path, "checkout", commit, changes, text)


def _require_repository(path):
    """Refuse a directory that is no repository with a commit."""
    if ask_git(path, "rev-parse", "--verify", "HEAD") is None:
        msg = (
            f"{path} is no git checkout with a commit, by which its state is known: "
            "name a checkout, or a wheel that was built from it."
        )
        raise NoEnvironment(msg)


def _of_git(path, kind, commit, changes, text):
    """Return a state of a repository as a source, given its pyproject.toml."""
    try:
        project = tomllib.loads(text or "").get("project", {})
    except tomllib.TOMLDecodeError as error:
        msg = f"pyproject.toml of {path} cannot be read ({error}): mend it."
        raise NoEnvironment(msg) from error
    if "name" not in project:
        msg = f"{path} has no pyproject.toml that names a package: name the top of a checkout."
        raise NoEnvironment(msg)
    words = ask_git(path, "describe", "--tags", "--long", "--abbrev=9", commit) or commit[:10]
    # A tag may have any character.
    words = re.sub(r"[^\w.+-]", "_", words)
    if changes:
        words += f"-changed-{changes[:_CHANGED_DIGITS]}"
    seconds = int(ask_git(path, "show", "--no-patch", "--format=%ct", commit))
    return Source(
        *(canonicalize_name(project["name"]), kind, path, words),
        content_key(commit, changes),
        commit,
        datetime.fromtimestamp(seconds, UTC).date(),
        project.get("requires-python", ""),
        tuple(project.get("dependencies", ())),
    )


def _names(listed):
    """Return the names in a list of git that ends each with a zero byte."""
    return [each for each in listed.split("\0") if each]


def _changes(path):
    """Return a checksum of what is not committed in a directory, empty if there is nothing."""
    # What is ignored is no part of it: it may have been built there.
    arguments = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", ".")
    listed = ask_git(path, _READING, *arguments)
    if listed is None:
        msg = f"git does not tell the state of {path} in time: name a commit of it as PATH@REF."
        raise NoEnvironment(msg)
    top = Path(ask_git(path, "rev-parse", "--show-toplevel"))
    _refuse_data(path, [top / each[3:] for each in _names(listed) if each.startswith("??")])
    with _readable(path):
        return _states_key(top, _names(listed))


def _states_key(top, listed):
    """Return a checksum of the states of files that git lists, empty if it lists none."""
    states = []
    # Without the letters before them: whether it was added to the index does not matter.
    for name in sorted(each[3:] for each in listed):
        file = top / name
        if file.is_symlink():
            states.append([name, "link", os.fspath(file.readlink())])
        elif file.is_file():
            runs = os.access(file, os.X_OK)
            states.append([name, runs, hashlib.sha256(file.read_bytes()).hexdigest()])
        else:
            states.append([name])
    return content_key(states) if states else ""


@contextmanager
def _readable(path):
    """Turn failures to read or copy a checkout into a sentence."""
    try:
        yield
    except OSError as error:
        msg = (
            f"{path} cannot be copied ({error.filename or path}: {error.strerror or error}): free "
            "space or permissions, or name a commit as PATH@REF."
        )
        cause = Cause.DISK if error.errno in (ENOSPC, EDQUOT) else Cause.SET_UP
        raise NoEnvironment(msg, cause) from error


def _refuse_data(path, unknown):
    """Refuse a checkout with much in it that git does not know."""
    sizes = {file: file.lstat().st_size for file in unknown if os.path.lexists(file)}
    if sum(sizes.values()) > _MOST_UNKNOWN:
        msg = (
            f"{path} holds {sum(sizes.values()) / 1e6:.0f} MB of files that git does not know, "
            f"such as {max(sizes, key=sizes.get)}, which would be installed with it: move them "
            "away, let git ignore them, or name a commit as PATH@REF."
        )
        raise NoEnvironment(msg)


def _copy_files(path, copy):
    """Copy all files of a directory that git does not ignore."""
    arguments = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in sorted(set(_names(ask_git(path, *arguments) or ""))):
        if os.path.lexists(path / name) and not (path / name).is_dir():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path / name, copy / name, follow_symlinks=False)
