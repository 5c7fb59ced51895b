"""Taking a whole observation: all exposures, in parallel, into a run directory."""

from functools import partial

from miri_background.files import content_key
from miri_background.instrument.optics import point_spread_function
from miri_background.observation import exposures
from miri_background.parallel import completed
from miri_background.places import writable
from miri_background.provenance import source_fingerprint, versions
from miri_background.simulation.exposures import simulate
from miri_background.simulation.mirisim.installation import MIRISim
from miri_background.simulation.mirisim.observing import take_mirisim_exposures
from miri_background.simulation.sky_level import require_unsaturated

__all__ = ["take_exposures"]

# What decides the bytes of a simulated exposure, beside the observation.
_SOURCES = (
    "miri_background.observation",
    "miri_background.instrument",
    "miri_background.simulation",
)
_LIBRARIES = ("numpy", "scipy", "astropy", "astro-sedpy")


def take_exposures(run, executor, mirisim_command="mirisim"):
    """Simulate an observation's exposures with their truth into its run directory.

    Exposures that an interrupted run has left there whole are not made again.

    Parameters
    ----------
    run : RunDirectory
        Where to write; its observation is simulated.
    executor : concurrent.futures.Executor
        Where to compute.
    mirisim_command : str, optional
        How MIRISim is called, if the observation is to be simulated by it.

    Returns
    -------
    list of pathlib.Path
        Level-1b files, science first, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If the sky saturates the ramps, MIRISim cannot be run, or the directory cannot be
        written or holds a file that this suite did not write.
    """
    observation = run.observation
    if observation.simulator == "mirisim":
        return take_mirisim_exposures(run, MIRISim(mirisim_command))
    require_unsaturated(observation)
    key = content_key(
        observation.key,
        source_fingerprint(*_SOURCES),
        [versions()[name] for name in _LIBRARIES],
    )
    missing = [
        (exposure, run.truth(exposure), run.uncal(exposure)) for exposure in run.unfinished(key)
    ]
    if missing:
        # Computed once and handed out: every worker uses the very same numbers.
        errors = observation.wavefront_error, observation.wavefront_change
        psf = point_spread_function(observation.filter, *(errors if any(errors) else ()))
        take = partial(_take_exposure, observation, run.records, key, psf)
        completed(executor, take, missing, "Simulating exposures")
    return [run.uncal(exposure) for exposure in exposures(observation)]


def _take_exposure(observation, records, key, psf, item):
    """Simulate one exposure and write its truth and level-1b file."""
    exposure, truth, uncal = item
    simulated = simulate(observation, exposure, psf)
    with writable(truth.parent), records.writing(key, truth) as (aside,):
        simulated.write_truth(aside)
    with writable(uncal.parent), records.writing(key, uncal) as (aside,):
        simulated.level1b.save(aside)
