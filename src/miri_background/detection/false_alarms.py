"""Many runs of a correct step: whether any raises an alarm, and how large errors really are."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import QTable

from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.pipeline import detector1_rates
from miri_background.files import replace_whole
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.parallel import completed
from miri_background.places import writable
from miri_background.reading import read_text
from miri_background.references.choice import use_references
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
from miri_background.validation.judgement import judge_products
from miri_background.validation.measurements.measurement import normal_deviation
from miri_background.validation.products.stage2 import read_products

__all__ = [
    "OBSERVATION",
    "correct_runs",
    "is_table",
    "read_correct_runs",
    "write_correct_runs",
]

# A small subarray, so that a run takes seconds; as many background stars in it as the
# full array has, so that what clipping leaves of them can be seen.
OBSERVATION = {
    "subarray": "SUB256",
    "groups": 30,
    "science_exposures": 2,
    "background_exposures": 4,
    "background_stars": 400,
}
_COLUMNS = (
    "seed",
    "criterion",
    "region",
    "exposure",
    "value",
    "error",
    "trials",
    "deviation",
    "status",
)


def correct_runs(executor, seeds, changes=None, calibration=None):
    """Simulate, calibrate and judge the same observation with many seeds.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Where to compute.
    seeds : iterable of int
        One run each.
    changes : dict, optional
        Parameters of the observation that are not as in `OBSERVATION`.
    calibration : Calibration, optional
        What is made of it; by default all parameters have their defaults.

    Returns
    -------
    astropy.table.QTable
        A row for each statistic of each run: its value and predicted error, and by how many
        standard deviations of a normal distribution it is off.

    Raises
    ------
    CannotJudge
        If a run could not be judged.
    """
    parameters = OBSERVATION | (changes or {})
    observations = [Observation.create(**parameters, seed=seed) for seed in seeds]
    judged = partial(_judged, calibration)
    rows = completed(executor, judged, observations, "Judging correct runs")
    table = QTable(rows=[row for run in rows for row in run], names=_COLUMNS)
    table.meta = {"observation": observations[0].model_dump() | {"seed": "of the row"}}
    return table


def _judged(calibration, observation):
    """Return a row for each statistic of a correct run, made in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="miri-background-") as directory:
        run = RunDirectory(Path(directory) / "run", observation, calibration)
        try:
            use_references(observation, run.calibration)
            # In this process: the runs are what is done in parallel.
            with ThreadPoolExecutor(1) as executor:
                take_exposures(run, executor)
                detector1_rates(run, executor)
                write_associations(run)
                subtract_backgrounds(
                    run, executor, image2_steps(run.calibration, later_steps=False)
                )
            judgement = judge_products(read_products(run.root))
        finally:
            run.release()
    return [
        (
            observation.seed,
            each.criterion,
            each.region,
            each.exposure or 0,
            each.value,
            np.nan if each.error is None else each.error,
            each.trials,
            deviation(each),
            metric.status,
        )
        for each, metric in zip(judgement.measurements, judgement.metrics, strict=True)
        # An exact criterion has no scatter: only its alarms matter.
        if each.error is not None or not metric.passed
    ]


def deviation(measurement):
    """Return by how many standard deviations of a normal distribution a measurement is off.

    Parameters
    ----------
    measurement : Measurement
        Of the furthest of several statistics, how improbable it is as the furthest.

    Returns
    -------
    float
        Standard normal for a correct step; not a number for what is exact.
    """
    if measurement.error is None:
        return np.nan
    return normal_deviation(measurement.value / measurement.error, measurement.trials)


def write_correct_runs(table, path):
    """Write the table of correct runs, whole.

    Parameters
    ----------
    table : astropy.table.QTable
        As `correct_runs` returns it.
    path : path-like
        File to write, in ECSV.
    """
    rounded = table.copy()
    for name in ("value", "error", "deviation"):
        rounded[name].info.format = ".4g"
    with writable(Path(path).parent), replace_whole(path, ours=is_table) as (aside,):
        rounded.write(aside, format="ascii.ecsv")


def is_table(path):
    """Return whether a file is a table of correct runs that was written.

    Parameters
    ----------
    path : path-like
        Any file.

    Returns
    -------
    bool
        False also for one that is damaged.
    """
    try:
        read_correct_runs(path)
    except CannotJudge:
        return False
    return True


def read_correct_runs(path):
    """Return a table of correct runs that was written.

    Parameters
    ----------
    path : path-like
        File in ECSV.

    Returns
    -------
    astropy.table.QTable
        As `correct_runs` returns it.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    try:
        table = QTable.read(read_text(path), format="ascii.ecsv")
        table[list(_COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        msg = (
            f"{path} is no table of correct runs ({error}): "
            "make it with `miri-background false-alarms`."
        )
        raise CannotJudge(msg) from error
    return table
