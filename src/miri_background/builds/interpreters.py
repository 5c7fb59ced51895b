"""The Pythons of this machine that builds can be installed for."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from miri_background.builds.uv import NoEnvironment, ask_uv, builds_home

__all__ = ["Interpreter", "in_words", "interpreters"]

# By the search path: to list them takes a second.
_listed_before = {}


@dataclass(frozen=True)
class Interpreter:
    """A Python.

    Parameters
    ----------
    version : tuple of int
        Such as (3, 12, 1).
    path : pathlib.Path
        The program.
    """

    version: tuple
    path: Path

    @property
    def minor(self):
        """Major and minor version, which compiled packages are made for."""
        return self.version[:2]


def interpreters(home=None):
    """Return the newest Python of each minor version that is installed, newest first.

    They are looked for as uv does, and among the versions that pyenv has installed.

    Parameters
    ----------
    home : path-like, optional
        Directory of environments, whose cache uv uses.

    Returns
    -------
    list of Interpreter
        Of CPython only; at least one.

    Raises
    ------
    NoEnvironment
        If there is no uv, or it finds none.
    """
    path = _search_path()
    if path not in _listed_before:
        _listed_before[path] = _listed(path, home or builds_home())
    return list(_listed_before[path])


def in_words(minors):
    """Return minor versions in words, such as "3.8 to 3.10", or "3.8, 3.11" with a gap."""
    minors = sorted(minors)
    words = [f"{major}.{minor}" for major, minor in minors]
    if len(words) > 1 and minors[-1][1] - minors[0][1] == len(minors) - 1:
        return f"{words[0]} to {words[-1]}"
    return ", ".join(words) or "none"


def _search_path():
    """Return where Pythons are looked for, as the variable PATH has it."""
    root = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    # The shims of pyenv are programs that refuse to run unless their version was chosen.
    versions = sorted(root.glob("versions/*/bin"))
    others = [
        each
        for each in os.environ.get("PATH", "").split(os.pathsep)
        if each and Path(each) != root / "shims"
    ]
    own = Path(sys.executable).resolve().parent
    return os.pathsep.join([*others, *map(str, versions), str(own)])


def _listed(search_path, home):
    """Return the Pythons on a search path."""
    answer = ask_uv(
        *("python", "list", "--only-installed", "--output-format", "json"),
        home=home,
        PATH=search_path,
    )
    if answer.code != 0:
        msg = f"uv does not list the Pythons of this machine ({answer.reason}): mend uv first."
        raise NoEnvironment(msg)
    newest = {}
    for each in json.loads(answer.output):
        if each["implementation"] != "cpython" or each["variant"] != "default":
            continue
        if not each["version"].replace(".", "").isdigit():
            continue  # a Python that is not released yet
        found = Interpreter(tuple(map(int, each["version"].split("."))), Path(each["path"]))
        known = newest.get(found.minor)
        if known is None or found.version > known.version:
            newest[found.minor] = found
    if not newest:
        msg = "uv finds no Python on this machine: install one that the builds are for."
        raise NoEnvironment(msg)
    return tuple(sorted(newest.values(), key=lambda each: each.version, reverse=True))
