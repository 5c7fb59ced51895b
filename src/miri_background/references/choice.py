"""Which CRDS cache a run uses: one choice, checked before anything runs."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from miri_background.references.cache import check_cache, crds_environment, synthetic_cache
from miri_background.references.mappings import CONTEXT
from miri_background.run_directory import writable

__all__ = ["ReferenceChoice", "use_references"]

_CENTRAL_CACHE = "/grp/crds/cache"  # at STScI; elsewhere CRDS_PATH names the central one
# Set by an earlier choice, or by the user's shell, they would make CRDS ignore a server.
_OFFLINE_VARIABLES = ("CRDS_MODE", "CRDS_READONLY_CACHE")


@dataclass(frozen=True)
class ReferenceChoice:
    """The references of a run.

    Parameters
    ----------
    path : pathlib.Path
        The CRDS cache.
    context : str
        CRDS context, or words if the server or the cache decides.
    synthetic : bool
        Whether they are made from the simulator's own constants, so that products
        can be compared with the truth.
    """

    path: Path
    context: str
    synthetic: bool


def _suite_cache():
    """Return the directory of the suite's own caches."""
    chosen = os.environ.get("MIRI_BACKGROUND_CACHE")
    if chosen:
        return Path(chosen)
    return platformdirs.user_cache_path("miri-background-validation")


def use_references(choice, run, server_url="", context=""):
    """Point CRDS to a cache, by setting this process's environment variables.

    Parameters
    ----------
    choice : str
        "synthetic" for the suite's own references, kept in the user's cache
        directory; "home" for ``$HOME/crds_cache``; "central" for the directory that
        CRDS_PATH names, else STScI's; "working directory" for one inside the run
        (synthetic, unless a server fills it); anything else is a path.
    run : RunDirectory
        The run.
    server_url : str, optional
        CRDS server that supplies what the cache lacks.
    context : str, optional
        CRDS context; by default the synthetic one, or what the cache or server names.

    Returns
    -------
    ReferenceChoice
        What was chosen.

    Raises
    ------
    CannotJudge
        If the cache is missing, has no context, or cannot be written.
    """
    observation = run.observation
    inside = run.root / "crds_cache"
    if choice == "synthetic" or (choice == "working directory" and not server_url):
        root = _suite_cache() if choice == "synthetic" else inside
        with writable(root):
            path = synthetic_cache(root, observation.groups, observation.integrations)
        context = context or CONTEXT
    else:
        places = {
            "home": Path.home() / "crds_cache",
            "central": Path(os.environ.get("CRDS_PATH", _CENTRAL_CACHE)),
            "working directory": inside,
        }
        path = places.get(choice, Path(choice).expanduser())
        if server_url and choice != "central":
            with writable(path):
                path.mkdir(parents=True, exist_ok=True)
    check_cache(path, context or None, server_url or None)
    for name in _OFFLINE_VARIABLES:
        os.environ.pop(name, None)
    if not context:
        os.environ.pop("CRDS_CONTEXT", None)
    os.environ.update(crds_environment(path, context or None, server_url or None))
    return ReferenceChoice(path, context or "chosen by CRDS", context == CONTEXT)
