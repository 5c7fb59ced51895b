"""The exposures of a run, wherever they come from: simulated, or files of a data set."""

import os
import shutil

from miri_background.data.manifest import data_set
from miri_background.data.resolver import NotHere, find, require_file
from miri_background.data.simulated import check_level1b
from miri_background.files import checksum, content_key
from miri_background.observation import FIELDS, exposures
from miri_background.places import writable
from miri_background.simulation.observing import take_exposures

__all__ = ["detector1_steps", "exposures_checked", "place_exposures", "reference_file"]

# As the test that came before had it for exposures of MIRISim.
_ARCHIVED_THRESHOLD = 10.0  # standard deviations, of jumps


def place_exposures(run, executor, mirisim_command="mirisim"):
    """Simulate the exposures of a run, or put the files of its data set into its directory.

    Of a data set, ramps are taken where all are on this machine, else slopes; nothing is
    downloaded.

    Parameters
    ----------
    run : RunDirectory
        Where to put them.
    executor : concurrent.futures.Executor
        Where to compute.
    mirisim_command : str, optional
        How MIRISim is called, if it is to simulate.

    Returns
    -------
    list of pathlib.Path
        Level-1b files, or rates where there are no ramps; science first.

    Raises
    ------
    CannotJudge
        If files are not on this machine, or not those that the manifest names.
    """
    observation = run.observation
    if observation.data == "simulated":
        return take_exposures(run, executor, mirisim_command)
    one = data_set(observation.data)
    levels = sorted({each.level for each in one.files} - {"reference"}, reverse=True)
    for level in levels:
        files = _exposures_of(one, observation, level)
        missing = [file for file in files.values() if find(file) is None]
        if not missing:
            break
    else:
        # What is least to be fetched is asked for.
        raise NotHere(missing, None, None)
    return [_placed(run, exposure, level, file) for exposure, file in files.items()]


def _exposures_of(one, observation, level):
    """Return the files of one level by exposure, science first."""
    return {
        exposure: file
        for field in FIELDS
        for exposure, file in zip(
            exposures(observation, field),
            [each for each in one.files if each.level == level and each.role == field],
            strict=False,  # fewer exposures may have been asked for
        )
    }


def _placed(run, exposure, level, file):
    """Return the path of an exposure's file in the directory of a run, verified and put there."""
    target = run.uncal(exposure) if level == "uncal" else run.rate(exposure)
    source = require_file(file)
    key = content_key(file.data_set, file.name, checksum(source))
    if not run.records.is_current(target, key):
        with writable(target.parent), run.records.writing(key, target) as (aside,):
            try:
                os.link(source.resolve(), aside)
            except OSError:  # on another disk
                shutil.copyfile(source, aside)
    return target


def exposures_checked(run):
    """Return in one sentence which data a run has, after a comparison with the manifest."""
    if run.observation.data == "simulated":
        return check_level1b(run)
    one = data_set(run.observation.data)
    return f"The exposures are those of the data set {one.name}. {one.description}"


def reference_file(observation):
    """Return the path of the read noise that comes with a data set, None if there is none."""
    if observation.data == "simulated":
        return None
    noise = [each for each in data_set(observation.data).files if each.role == "read noise"]
    return require_file(noise[0]) if noise else None


def detector1_steps(observation):
    """Return the parameters of the steps of calwebb_detector1 that the data ask for.

    Parameters
    ----------
    observation : Observation
        What is calibrated.

    Returns
    -------
    dict
        As `jwst.pipeline.Detector1Pipeline` takes them.  MIRISim's reference pixels do not follow
        the drifts of its outputs, so that refpix is skipped for it.
    """
    if observation.simulator == "mirisim":
        return {"refpix": {"skip": True}}
    noise = reference_file(observation)
    if noise is None:
        return {}
    override = {"override_readnoise": str(noise)}
    return {
        "refpix": {"skip": True},
        "jump": {"rejection_threshold": _ARCHIVED_THRESHOLD, **override},
        "ramp_fit": override,
    }
