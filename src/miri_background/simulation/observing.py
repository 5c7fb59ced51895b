"""Taking a whole observation: all exposures, in parallel, into a run directory."""

from functools import partial

from miri_background.files import content_key
from miri_background.observation import exposures
from miri_background.parallel import completed
from miri_background.provenance import source_fingerprint, versions
from miri_background.run_directory import writable
from miri_background.simulation.exposures import simulate
from miri_background.simulation.optics import point_spread_function

__all__ = ["take_exposures"]

# What decides the bytes of a simulated exposure, beside the observation.
_SOURCES = (
    "miri_background.observation",
    "miri_background.instrument",
    "miri_background.simulation",
)
_LIBRARIES = ("numpy", "scipy", "astropy", "astro-sedpy")


def take_exposures(run, executor):
    """Simulate an observation's exposures with their truth into its run directory.

    Exposures that an interrupted run has left there whole are not made again.

    Parameters
    ----------
    run : RunDirectory
        Where to write; its observation is simulated.
    executor : concurrent.futures.Executor
        Where to compute.

    Returns
    -------
    list of pathlib.Path
        Level-1b files, science first, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If the directory cannot be written, or holds a file that this suite did not write.
    """
    observation = run.observation
    key = content_key(
        observation.key,
        source_fingerprint(*_SOURCES),
        [versions()[name] for name in _LIBRARIES],
    )
    products = [(run.truth(exposure), run.uncal(exposure)) for exposure in exposures(observation)]
    # Every product is looked at, so that a foreign file is reported before the work begins.
    current = [[run.records.is_current(path, key) for path in pair] for pair in products]
    missing = [
        (exposure, *pair)
        for exposure, pair, there in zip(exposures(observation), products, current, strict=True)
        if not all(there)
    ]
    if missing:
        # Computed once and handed out: every worker uses the very same numbers.
        psf = point_spread_function(observation.filter)
        take = partial(_take_exposure, observation, run.records, key, psf)
        completed(executor, take, missing, "Simulating exposures")
    return [uncal for _, uncal in products]


def _take_exposure(observation, records, key, psf, item):
    """Simulate one exposure and write its truth and level-1b file."""
    exposure, truth, uncal = item
    simulated = simulate(observation, exposure, psf)
    with writable(truth.parent), records.writing(key, truth) as (aside,):
        simulated.write_truth(aside)
    with writable(uncal.parent), records.writing(key, uncal) as (aside,):
        simulated.level1b.save(aside)
