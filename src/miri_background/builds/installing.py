"""How a build is installed into an empty environment."""

import importlib.metadata
from datetime import date, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from miri_background.builds.candidates import Candidate
from miri_background.builds.interpreters import in_words, interpreters
from miri_background.builds.uv import NoEnvironment, ask_uv
from miri_background.outcomes import Cause

__all__ = ["LOG", "Installation", "interpreter_for"]

LOG = "install.log"
# What a release needs was seen to appear in a fitting version within days of it.
_MARGIN = timedelta(days=7)
# Until jwst 1.16.0, released on this day, the pipeline imports pkg_resources without a requirement
# of setuptools, which environments had anyway.
_WITHOUT_SETUPTOOLS = date(2024, 9, 20)
_TIME_LIMIT = 1200.0  # s; with a compiler at work, 300 s were measured on two cores
_NO_SPACE = "No space left on device"
_UNDATED, _UNSOLVED = "is missing an upload date", "No solution found"


def interpreter_for(wanted, home):
    """Return the newest Python that is installed and that a build is for.

    Parameters
    ----------
    wanted : Release or Candidate
        The build.
    home : path-like
        Directory of environments.

    Returns
    -------
    Interpreter
        The Python.

    Raises
    ------
    NoEnvironment
        If there is none.
    """
    there = interpreters(home)
    if not isinstance(wanted, Candidate):
        wants = f"Python {in_words(wanted.pythons)}"
        suited = [each for each in there if each.minor in wanted.pythons]
    else:
        limits = wanted.source.requires_python
        wants = f"Python {limits or 'of some version'}"
        admitted = _condition(wanted, limits)
        suited = [each for each in there if admitted.contains(".".join(map(str, each.version)))]
        if wanted.source.kind == "wheel":
            wants = f"a Python that {wanted.source.path.name} is for"
            suited = [each for each in suited if _fits(wanted.source.path, each)]
    if not suited:
        found = in_words(each.minor for each in there)
        msg = f"jwst {wanted.name} wants {wants}, and uv finds {found}: install a Python for it."
        raise NoEnvironment(msg)
    return suited[0]


def _condition(wanted, limits):
    """Return which versions of Python a candidate is for."""
    try:
        return SpecifierSet(limits)
    except InvalidSpecifier:
        msg = f"jwst {wanted.name} requires Python {limits!r}, which is no condition: mend that."
        raise NoEnvironment(msg) from None


def _fits(wheel, interpreter):
    """Return whether a wheel is for a Python, on this system."""
    tags = parse_wheel_filename(wheel.name)[-1]
    accepted = {*cpython_tags(interpreter.minor), *compatible_tags(interpreter.minor)}
    return not accepted.isdisjoint(tags)


class Installation:
    """A build that is being installed.

    Parameters
    ----------
    wanted : Release or Candidate
        The build.
    directory : pathlib.Path
        Receives the environment ``venv`` and a log, in the directory of environments.
    lock : file
        Held as long as anything is written there.
    """

    def __init__(self, wanted, directory, lock):
        self.wanted, self.directory, self.lock = wanted, directory, lock
        self.venv = directory / "venv"

    def install(self, interpreter, aside):
        """Install the build.

        Parameters
        ----------
        interpreter : Interpreter
            Its Python.
        aside : pathlib.Path
            An empty directory, for copies of what is built.

        Returns
        -------
        datetime.date or None
            The day from which on no newer packages were taken; None if any were.

        Raises
        ------
        NoEnvironment
            If uv cannot install it.
        """
        made = self._ask("venv", "--no-project", "--python", interpreter.path, self.venv)
        if made.code != 0:
            msg = f"uv makes no environment with {interpreter.path} ({made.reason}): mend it."
            raise NoEnvironment(msg)
        options = ["--python", self.venv / "bin" / "python"]
        wanted = self.wanted
        if isinstance(wanted, Candidate):
            # Its own requirements of what is given with it name a repository or another release.
            lines = [
                f"{each.package} @ {each.copied_to(aside / each.package).as_uri()}\n"
                for each in (wanted.source, *wanted.with_)
            ]
            (aside / "overrides.txt").write_text("".join(lines), "utf-8")
            options += ["--override", aside / "overrides.txt"]
            required = [lines[0].strip()]
        else:
            required = [f"jwst=={wanted.version}"]
        if wanted.dated is not None and wanted.dated < _WITHOUT_SETUPTOOLS:
            required.append("setuptools")
        dated = wanted.dated and wanted.dated + _MARGIN
        until = ["--exclude-newer", dated.isoformat()] if dated else []
        answer = self._ask("pip", "install", *options, *until, *required)
        if dated and isinstance(wanted, Candidate) and _lacks_dates(answer):
            dated = None
            answer = self._ask("pip", "install", *options, *required)
        if answer.code != 0:
            raise NoEnvironment(*self._failure(answer))
        return dated

    def packages(self):
        """Return the version of each package that is installed, by its normalised name."""
        (site,) = (self.venv / "lib").glob("python*/site-packages")
        found = {
            str(canonicalize_name(each.metadata["Name"])): each.version
            for each in importlib.metadata.distributions(path=[str(site)])
        }
        return dict(sorted(found.items()))

    def _ask(self, *words):
        """Call uv, and keep what it says in the log."""
        answer = ask_uv(
            *words,
            home=self.directory.parent,
            patience=_TIME_LIMIT,
            kept=[self.lock.fileno()],
        )
        with (self.directory / LOG).open("a", encoding="utf-8") as log:
            log.write(f"--- uv {' '.join(map(str, words))}\n{answer.messages}\n")
        return answer

    def _failure(self, answer):
        """Return a sentence on why a build was not installed, and the cause."""
        what, log = f"jwst {self.wanted.name}", self.directory / LOG
        if _NO_SPACE in answer.messages:
            place = self.directory.parent
            return f"{what} cannot be installed: there is no space left at {place}.", Cause.DISK
        elsewhere = self.wanted.elsewhere if isinstance(self.wanted, Candidate) else []
        if elsewhere:
            return (
                f"{what}, which takes {', '.join(elsewhere)} from elsewhere than a package "
                f"index, cannot be installed ({answer.reason}): give checkouts of those with it, "
                f"or see {log}."
            ), Cause.SET_UP
        return f"{what} cannot be installed ({answer.reason}): see {log}.", Cause.SET_UP


def _lacks_dates(answer):
    """Return whether uv found no solution with a package index that does not tell dates."""
    return answer.code != 0 and _UNSOLVED in answer.messages and _UNDATED in answer.messages
