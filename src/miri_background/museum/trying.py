"""Builds that are asked for: their environments, and what they do in the cases of the museum."""

from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from miri_background.builds.candidates import candidate_of
from miri_background.builds.environments import (
    SIZE_OF_BUILD,
    builds_home,
    environment_of,
    environments,
    in_use,
)
from miri_background.builds.releases import release_version
from miri_background.builds.uv import NoEnvironment
from miri_background.files import content_key
from miri_background.museum.trial import Build, Trial
from miri_background.museum.tried import Tried, TriedBuild
from miri_background.outcomes import SetUpWrong

__all__ = ["installed_release", "try_builds"]

_MUSEUM = "museum"  # directory of inputs and results, beside the environments


def installed_release():
    """Return the release of jwst that is installed here.

    Returns
    -------
    str
        Such as "3.0.0".

    Raises
    ------
    SetUpWrong
        If what is installed is no release.
    """
    installed = version("jwst")
    if Version(installed).is_prerelease or Version(installed).local:
        msg = (
            f"jwst {installed} is installed here, which is no release: name the release that the "
            "candidate is compared with, such as --against 3.0.0."
        )
        raise SetUpWrong(msg)
    return installed


def try_builds(
    versions, cases, home=None, candidate="", with_=(), against="", limits=None, say=print
):
    """Try builds in cases, each in an environment of its own.

    Parameters
    ----------
    versions : sequence of str
        Releases of jwst.
    cases : sequence of Case
        In which cases.
    home : path-like, optional
        Directory of environments, by default `builds_home`.
    candidate : str, optional
        What is under review: a checkout, a wheel, or a checkout and a git ref, ``PATH@REF``.
    with_ : sequence of str, optional
        The same of packages that belong to it.
    against : str, optional
        Release that a candidate is compared with; by default the one that is installed here.
    limits : Limits, optional
        What each call may take.
    say : callable, optional
        Called with a line on what is done.

    Returns
    -------
    tried : Tried
        What came out.
    trial : Trial
        Which has the images of the products.

    Raises
    ------
    CannotJudge
        If a version is none, a candidate is not there, inputs cannot be made, or the directory
        cannot be written.
    """
    home = Path(home or builds_home()).expanduser().absolute()
    against = release_version(against or installed_release()) if candidate else ""
    # What is not there is refused before anything is installed.
    new = candidate_of(candidate, with_) if candidate else None
    wanted = dict.fromkeys(map(release_version, versions))
    wanted |= {against: None} if against else {}
    wanted = sorted(wanted, key=Version)
    _announce(wanted, candidate, home, say)
    rows, ready = [], []
    with ExitStack() as held:
        for asked in (*wanted, *([new] if new else [])):
            try:
                environment = environment_of(asked, home)
                held.enter_context(in_use(environment))
            except NoEnvironment as error:
                label = new.name if asked is new else asked
                say(f"{label}: no environment: {error}")
                rows.append(TriedBuild(label, reason=str(error), candidate=asked is new))
                continue
            found = environment.packages["jwst"]
            say(f"{environment.name}: {environment.python}")
            stamp = environment.stamp
            rows.append(TriedBuild(environment.name, found, "", asked is new, stamp))
            key = content_key(environment.name, environment.packages, stamp["python"])
            ready.append(Build(environment.name, found, environment.python, key))
        trial = Trial(home / _MUSEUM, limits)
        results = {}
        # A release is tried for a candidate, or because it was asked for.
        worth = versions or any(each.candidate and not each.reason for each in rows)
        for result in trial.results(ready, cases) if worth else ():
            results[result.build, result.case] = result
            words = f" ({result.sentence})" if result.outcome not in ("correct", "refused") else ""
            say(f"{result.build}, {result.case}: {result.outcome}{words}")
    return Tried(tuple(rows), tuple(cases), results, against), trial


def _announce(wanted, candidate, home, say):
    """Say before it is done what is installed, and what space that takes."""
    there = {each.name for each in environments(home)}
    new = [each for each in wanted if each not in there]
    number = len(new) + bool(candidate)
    if number:
        what = ", ".join([*new, *([f"candidate {candidate}"] if candidate else [])])
        say(
            f"Environments in {home}, made if they are not there: {what}. Each takes up to "
            f"{SIZE_OF_BUILD / 1e9:.1f} GB; --list shows them, --remove frees the space."
        )
