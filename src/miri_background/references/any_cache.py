"""A CRDS cache, whoever has filled it: which one is meant, checked, and pointed to."""

import ast
import os
from pathlib import Path

from miri_background.outcomes import ReferencesUnfit, SetUpWrong
from miri_background.reading import read_text
from miri_background.references.mappings import CONTEXT
from miri_background.settings import suite_cache

__all__ = [
    "IN_THE_RUN",
    "SYNTHETIC",
    "cache_directory",
    "check_cache",
    "crds_environment",
    "require_references",
]

# Choices of ``crds_cache`` that a run makes itself.
SYNTHETIC, IN_THE_RUN = "synthetic", "working directory"
_CENTRAL_CACHE = "/grp/crds/cache"  # at STScI; elsewhere CRDS_PATH names the central one
# A host name with "serverless" keeps CRDS from trying the network at all.
_SERVERLESS_URL = "https://jwst-serverless.stsci.edu"
# stpipe looks for these letters in the whole path of a reference file, not in its name.
_NO_REFERENCE = "n/a"
_CONTEXTS_NAMED = 5  # an operational cache holds more than a thousand


def cache_directory(choice, inside=None):
    """Return the directory that a choice of references means.

    Parameters
    ----------
    choice : str
        "synthetic" for the one that the suite keeps its caches in, "working directory" for one
        beside the ramps, "home" for ``$HOME/crds_cache``; "central" for the directory that
        CRDS_PATH names, else STScI's; anything else is a path.
    inside : path-like, optional
        Directory of the observation, for "working directory".

    Returns
    -------
    pathlib.Path
        Which need not be there.
    """
    if choice == SYNTHETIC:
        return suite_cache()
    if choice == IN_THE_RUN:
        return Path(inside) / "crds_cache"
    if choice == "home":
        return Path.home() / "crds_cache"
    if choice == "central":
        return Path(os.environ.get("CRDS_PATH", _CENTRAL_CACHE))
    return Path(choice).expanduser()


def require_references(observation, calibration):
    """Refuse a choice of references that cannot serve, before anything is made.

    Parameters
    ----------
    observation : Observation
        What is to be calibrated.
    calibration : Calibration
        Says where references come from.

    Raises
    ------
    CannotJudge
        If the synthetic references are not those of the data, or if the cache that is named
        cannot be worked with offline, and is to be.
    """
    choice, server_url = calibration.crds_cache, calibration.crds_server_url
    if observation.data != "simulated" and choice == SYNTHETIC:
        msg = (
            f"data = {observation.data} was not taken with the detector of the synthetic "
            "references: name another CRDS cache, with its context or a server (crds_cache, "
            "crds_context, crds_server_url)."
        )
        raise SetUpWrong(msg)
    if choice not in (SYNTHETIC, IN_THE_RUN) and not server_url:
        check_cache(cache_directory(choice), calibration.crds_context or None)


def check_cache(path, context, server_url=None):
    """Check that CRDS will find its rules in a cache, whoever has filled it.

    Parameters
    ----------
    path : path-like
        The cache.
    context : str or None
        Name of the context; None for the one that the cache's configuration names.
    server_url : str or None, optional
        CRDS server that supplies what the cache lacks; None to stay offline.

    Raises
    ------
    CannotJudge
        If the pipeline would overlook the cache for its path, if the directory is
        missing or, without a server, if it lacks its
        configuration, any context at all, or the one that was asked for.
    """
    path = Path(path).absolute()
    if _NO_REFERENCE in str(path).lower():
        msg = (
            f"The path of the CRDS cache {path} contains {_NO_REFERENCE!r}, and the pipeline takes "
            "every reference file with such a path for 'not applicable': move the cache, or name "
            "another directory (MIRI_BACKGROUND_CACHE for the synthetic one)."
        )
        raise ReferencesUnfit(msg)
    if not path.is_dir():
        msg = (
            f"The CRDS cache {path} is not there: "
            "name the directory of an existing cache, or use the synthetic references."
        )
        raise ReferencesUnfit(msg)
    if server_url is None:
        _check_offline(path, context)


def _check_offline(path, context):
    """Refuse a cache that CRDS cannot work with offline; see `check_cache`."""
    mappings = path / "mappings" / "jwst"
    found = sorted(pmap.name for pmap in mappings.glob("*.pmap"))
    if not found:
        msg = (
            f"{path} is a CRDS directory without context, there is no *.pmap in {mappings}: "
            "name the directory of a filled cache, or give the URL of a CRDS server to fill it."
        )
        raise ReferencesUnfit(msg)

    for rules in sorted(mappings.glob("*.[pir]map")):
        if not rules.is_file():
            msg = f"{rules} is not a regular file: restore it from a complete cache."
            raise ReferencesUnfit(msg)

    configuration = path / "config" / "jwst" / "server_config"
    try:
        settings = dict(ast.literal_eval(read_text(configuration)))
    except (OSError, TypeError, ValueError, SyntaxError):
        msg = (
            f"The CRDS cache {path} has no readable {configuration.relative_to(path)}, "
            "which CRDS needs when it works offline: "
            "copy it from a complete cache, or give the URL of a CRDS server."
        )
        raise ReferencesUnfit(msg) from None

    if context is None:
        # In the order in which CRDS looks for it.
        context = settings.get("latest_context") or settings.get("operational_context")
        if context is None:
            msg = (
                f"No context was named, and {configuration} names none either: "
                f"name one of those in the cache ({_enumerate(found)})."
            )
            raise ReferencesUnfit(msg)
    if context not in found:
        msg = (
            f"The context {context} is not in {mappings}, which has {_enumerate(found)}: "
            "name one of these, or give the URL of a CRDS server that has it."
        )
        raise ReferencesUnfit(msg)


def _enumerate(names):
    """Return the last few of some names, for a sentence."""
    shown = ", ".join(names[-_CONTEXTS_NAMED:])
    hidden = len(names) - _CONTEXTS_NAMED
    return f"{shown} and {hidden} earlier ones" if hidden > 0 else shown


def crds_environment(path, context=CONTEXT, server_url=None):
    """Return the environment variables that make the pipeline use a CRDS cache.

    Parameters
    ----------
    path : path-like
        The cache.
    context : str or None, optional
        Name of the context; None leaves the choice to CRDS.
    server_url : str or None, optional
        CRDS server that completes the cache; None to stay offline, with a cache
        that is only read.

    Returns
    -------
    dict of str to str
        Variables to set before CRDS is imported: it reads them then.
    """
    environment = {"CRDS_PATH": os.fspath(Path(path).absolute())}
    if context is not None:
        environment["CRDS_CONTEXT"] = context
    if server_url is not None:
        environment["CRDS_SERVER_URL"] = server_url
    else:
        environment["CRDS_SERVER_URL"] = _SERVERLESS_URL
        environment["CRDS_MODE"] = "local"  # best references are worked out here
        environment["CRDS_READONLY_CACHE"] = "1"
    return environment
