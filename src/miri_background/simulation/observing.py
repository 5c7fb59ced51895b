"""Taking a whole observation: all exposures, in parallel, into a run directory."""

from functools import partial

from miri_background.files import content_key
from miri_background.instrument.detector import FULL_WELL
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.throughput import electrons_per_surface_brightness
from miri_background.observation import exposures
from miri_background.outcomes import SetUpWrong
from miri_background.parallel import completed
from miri_background.places import writable
from miri_background.provenance import source_fingerprint, versions
from miri_background.simulation.exposures import simulate
from miri_background.simulation.mirisim.installation import MIRISim
from miri_background.simulation.mirisim.observing import take_mirisim_exposures
from miri_background.simulation.sky import sky_brightness

__all__ = ["require_unsaturated", "take_exposures"]

_FEWEST_GROUPS = 6  # before saturation: the fewest that an observation may have

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
        psf = point_spread_function(observation.filter)
        take = partial(_take_exposure, observation, run.records, key, psf)
        completed(executor, take, missing, "Simulating exposures")
    return [run.uncal(exposure) for exposure in exposures(observation)]


def require_unsaturated(observation):
    """Refuse ramps that the sky alone saturates before a slope can be fitted.

    Parameters
    ----------
    observation : Observation
        What is to be simulated.

    Raises
    ------
    CannotJudge
        Naming sky, filter and time.
    """
    per_brightness = electrons_per_surface_brightness(observation.filter)
    for exposure in exposures(observation):
        time = exposure.readout.frame_time
        sky = sky_brightness(observation, exposure.field)
        last = int(FULL_WELL / (sky * per_brightness * time))
        if last < _FEWEST_GROUPS:
            msg = (
                f"The sky of {sky:g} MJy/sr in {observation.filter} fills the "
                f"pixels within {last + 1} groups of {time:.3f} s: "
                "take a smaller subarray, FASTR1, or a lower sky_level."
            )
            raise SetUpWrong(msg)


def _take_exposure(observation, records, key, psf, item):
    """Simulate one exposure and write its truth and level-1b file."""
    exposure, truth, uncal = item
    simulated = simulate(observation, exposure, psf)
    with writable(truth.parent), records.writing(key, truth) as (aside,):
        simulated.write_truth(aside)
    with writable(uncal.parent), records.writing(key, uncal) as (aside,):
        simulated.level1b.save(aside)
