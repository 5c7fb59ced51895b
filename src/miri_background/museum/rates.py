"""Rates that every build reads: made once, by the installed pipeline, of simulated ramps.

What differs between builds of calwebb_detector1 is not what is tried here: all get the same
rates.
"""

import os
from pathlib import Path

from miri_background.builds.common_files import without_own_format
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.files import ProductRecords, checksum, content_key
from miri_background.museum.alterations import ALTERATIONS
from miri_background.observation import Observation, exposures
from miri_background.parallel import process_pool
from miri_background.places import writable
from miri_background.provenance import source_fingerprint
from miri_background.reading import open_fits
from miri_background.references.choice import use_references
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures

__all__ = ["PRODUCTS", "calibrated_run", "common_rate", "rates_of"]

PRODUCTS = ("rate", "rateints")
_SOURCES = (
    "miri_background.builds.common_files",
    "miri_background.museum.alterations",
    "miri_background.museum.rates",
)


def rates_of(observation, product, place, workers=0):
    """Return the rates of an observation, made if they are not there.

    Parameters
    ----------
    observation : dict
        Parameters of an `Observation`.
    product : str
        One of `PRODUCTS`.
    place : path-like
        Directory of observations.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    dict
        "science" and "background": lists of paths, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If they cannot be made.
    """
    run = calibrated_run(Observation.create(**observation), product, place, workers)
    return {
        field: [run.rate(exposure) for exposure in exposures(run.observation, field)]
        for field in ("science", "background")
    }


def calibrated_run(observation, product, place, workers=0):
    """Return the directory of an observation with its truth and rates, made if they are not there.

    Parameters
    ----------
    observation : Observation
        What is simulated and calibrated.
    product : str
        One of `PRODUCTS`.
    place : path-like
        Directory of observations.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    RunDirectory
        Which other processes may use.

    Raises
    ------
    CannotJudge
        If they cannot be made.
    """
    calibration = Calibration.create(rate_product=product)
    location = Path(place) / f"{observation.words}-{observation.key[:6]}"
    run = RunDirectory(location, observation, calibration)
    before = dict(os.environ)
    try:
        use_references(observation, calibration)
        # Of its own: CRDS keeps, in a process, to the references that it saw first.
        with process_pool(workers) as executor:
            take_exposures(run, executor)
            detector1_rates(run, executor)
    finally:
        run.release()
        os.environ.clear()
        os.environ.update(before)
    return run


def common_rate(path, target, alteration=""):
    """Write a rate that every build reads, unless it is there.

    Parameters
    ----------
    path : path-like
        Rate of the installed pipeline.
    target : path-like
        What to write; compressed if its name says so.
    alteration : str, optional
        Name of what is done to it, one of `ALTERATIONS`.
    """
    target = Path(target)
    records = ProductRecords(target.parent)
    key = content_key(checksum(path), alteration, source_fingerprint(*_SOURCES))
    if records.is_current(target, key):
        return
    with (
        writable(target.parent),
        records.writing(key, target) as (aside,),
        open_fits(path) as hdus,
    ):
        without_own_format(hdus)
        hdus[0].header["FILENAME"] = target.name
        if alteration:
            ALTERATIONS[alteration](hdus)
        hdus.writeto(aside)
