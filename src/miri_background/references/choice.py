"""Which CRDS cache a run uses: one choice, checked before anything runs."""

import os
from dataclasses import dataclass
from pathlib import Path

from miri_background.calibration.builds import pipeline_of
from miri_background.outcomes import SetUpWrong
from miri_background.places import writable
from miri_background.references.any_cache import (
    IN_THE_RUN,
    SYNTHETIC,
    cache_directory,
    check_cache,
    crds_environment,
    require_references,
)
from miri_background.references.cache import synthetic_cache
from miri_background.references.mappings import context_for
from miri_background.simulation.mirisim.calibration import mirisim_calibration
from miri_background.simulation.mirisim.installation import MIRISim

__all__ = ["ReferenceChoice", "use_references"]

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
    """

    path: Path
    context: str


def use_references(observation, calibration, inside=None, mirisim_command="mirisim"):
    """Point CRDS to a cache, by setting this process's environment variables.

    Parameters
    ----------
    observation : Observation
        What is to be calibrated.
    calibration : Calibration
        Says where references come from.  `crds_cache` is "synthetic" for the suite's own
        references, kept in the user's cache directory; "home" for ``$HOME/crds_cache``;
        "central" for the directory that CRDS_PATH names, else STScI's; "working directory" for
        one beside the ramps (synthetic, unless a server fills it); anything else is a path.
    inside : path-like, optional
        Directory of the observation, for "working directory".
    mirisim_command : str, optional
        How MIRISim is called, if the observation is simulated by it: synthetic references are
        then those of its detector, and its noise is measured once.

    Returns
    -------
    ReferenceChoice
        What was chosen.

    Raises
    ------
    CannotJudge
        If the cache is missing, has no context, or cannot be written.
    """
    choice, context = calibration.crds_cache, calibration.crds_context
    server_url = calibration.crds_server_url
    require_references(observation, calibration)
    if choice == IN_THE_RUN and inside is None:
        msg = "There is no working directory here: name the directory of the CRDS cache."
        raise SetUpWrong(msg)
    path = cache_directory(choice, inside)
    if choice == SYNTHETIC or (choice == IN_THE_RUN and not server_url):
        noise = None
        if observation.simulator == "mirisim":
            noise = mirisim_calibration(MIRISim(mirisim_command), observation).read_noise
        with writable(path):
            removes = calibration.emicorr == "reference"
            path = synthetic_cache(path, observation, noise, calibration.dark_groups, removes)
        context = context or context_for(pipeline_of(calibration).version)
    elif server_url and choice != "central":
        with writable(path):
            path.mkdir(parents=True, exist_ok=True)
    check_cache(path, context or None, server_url or None)
    for name in _OFFLINE_VARIABLES:
        os.environ.pop(name, None)
    if not context:
        os.environ.pop("CRDS_CONTEXT", None)
    os.environ.update(crds_environment(path, context or None, server_url or None))
    return ReferenceChoice(path, context or "chosen by CRDS")
