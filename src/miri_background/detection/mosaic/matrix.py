"""Which criterion of the mosaic notices which fault."""

import json
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from miri_background.calibration.image3 import (
    image3_steps,
    make_mosaic,
    write_mosaic_association,
)
from miri_background.calibration_choice import Calibration
from miri_background.detection.kill_matrix import (
    CONTROL,
    REFUSED,
    KillMatrix,
    Kills,
    described_run,
    ratios_of_broken,
)
from miri_background.detection.mosaic.broken_pipeline import broken_image3
from miri_background.detection.mosaic.fault import MosaicFault
from miri_background.detection.mosaic.faults import FAULTS, fault
from miri_background.files import replace_whole
from miri_background.observation import exposures
from miri_background.outcomes import CannotJudge
from miri_background.parallel import completed
from miri_background.reading import open_fits, read_json
from miri_background.references.choice import use_references
from miri_background.run_directory import RunDirectory
from miri_background.validation.judgement import judge_products
from miri_background.validation.mosaic.judgement import judge_mosaic
from miri_background.validation.products.stage2 import read_products

__all__ = ["MosaicMatrix", "mosaic_matrix"]

# calwebb_detector1 leaves few cosmic rays, too few to see whether outliers are found: these are
# added to the calibrated exposures, on empty sky.
_HITS, _HIT = 40, 20.0  # in an exposure, and each in units of the reported error
_UNTOUCHED = MosaicFault(CONTROL, "control", "the pipeline as it is installed")


class MosaicMatrix(KillMatrix):
    """What notices each fault of the steps after the background step.

    Parameters
    ----------
    rows : list of Kills
        One for each fault; the first is the control, in which nothing is broken.
    """

    file = "mosaic"
    every = tuple(FAULTS)
    compared = False


def mosaic_matrix(directory, executor, names=None):
    """Break what comes after the background step, and see what notices it.

    Parameters
    ----------
    directory : path-like
        A run of this suite that has been through calwebb_image2, with truth; nothing is changed
        there.
    executor : concurrent.futures.Executor
        Where to compute: of processes, because the pipeline looks for members in the current
        directory.
    names : sequence of str, optional
        Names of faults; all if not given.

    Returns
    -------
    MosaicMatrix
        With the control, in which nothing is broken.

    Raises
    ------
    CannotJudge
        If a name is unknown, or the run is not whole.
    """
    chosen = [fault(name).name for name in (FAULTS if names is None else names)]
    directory = Path(directory).resolve()
    observation, calibration = described_run(directory)
    with tempfile.TemporaryDirectory(prefix="miri-background-") as scratch:
        run = _run_in(Path(scratch), observation, calibration)
        run.release()
        _analysis(directory)  # refused before any work is given away
    rows = completed(executor, partial(_kills, directory), [CONTROL, *chosen], "Breaking steps")
    return MosaicMatrix(rows)


def _kills(directory, name):
    """Run one fault, or none, and return what notices it."""
    started = time.perf_counter()
    broken = _UNTOUCHED if name == CONTROL else fault(name)
    with tempfile.TemporaryDirectory(prefix="miri-background-") as scratch:
        root = Path(scratch)
        if broken.of_files:
            shutil.copytree(_control(directory).name, root / "control", symlinks=False)
            (path,) = root.rglob("mosaic_i2d.fits")
        else:
            path = _made(directory, root, broken)
        if broken.written:
            broken.written(path)
        try:
            judged = judge_mosaic(path.parent, _analysis(directory))
            ratios = ratios_of_broken(judged.metrics)
        except CannotJudge:
            ratios = {REFUSED: np.inf}
    seconds = time.perf_counter() - started
    return Kills(broken.name, broken.family, broken.description, ratios, False, seconds)


@lru_cache(maxsize=1)
def _control(directory):
    """Return a directory with the products of a calwebb_image3 that is right, as long as needed."""
    # Where a process ends, its directory goes with it.
    scratch = tempfile.TemporaryDirectory(prefix="miri-background-")
    path = _made(directory, Path(scratch.name) / "run", _UNTOUCHED)
    kept = tempfile.TemporaryDirectory(prefix="miri-background-")
    for each in path.parent.glob("*mosaic*"):
        shutil.copy(each, kept.name)
    for each in path.parent.glob("*_crf.fits"):
        shutil.copy(each, kept.name)
    scratch.cleanup()
    return kept


def _made(directory, root, broken):
    """Run calwebb_image3 with a fault, and return the path of its mosaic."""
    observation, calibration = described_run(directory)
    run = _run_in(root, observation, calibration)
    try:
        use_references(observation, run.calibration, run.observed)
        analysis = _analysis(directory)
        for number, exposure in enumerate(exposures(observation, "science")):
            target = run.products(exposure)[-1]
            source = analysis.products.calibrated_files[number]
            with open_fits(source) as hdus:
                _hit(hdus, _places(analysis, number))
                if broken.calibrated:
                    of_rate = {
                        "rate": analysis.products.science[number].data,
                        "subtracted": analysis.subtracted[number].data,
                    }
                    broken.calibrated(hdus, of_rate, number)
                with replace_whole(target) as (aside,):
                    hdus.writeto(aside)
        association = write_mosaic_association(run)
        if broken.members:
            content = read_json(association)
            (product,) = content["products"]
            product["members"] = broken.members(product["members"])
            with run.records.writing("", association) as (aside,):
                aside.write_text(json.dumps(content), encoding="utf-8")
        pipeline = broken_image3(broken)
        steps = image3_steps(run.calibration) | broken.parameters
        # In this process: the faults are what is done in parallel.
        with ThreadPoolExecutor(1) as executor:
            make_mosaic(run, executor, steps, pipeline)
        return run.mosaic("i2d")
    finally:
        run.release()


def _run_in(root, observation, calibration):
    """Return a run through calwebb_image3 in a directory of its own."""
    through = Calibration.create(**calibration.changes() | {"through": "image3"})
    return RunDirectory(root, observation, through)


@lru_cache(maxsize=1)
def _analysis(directory):
    """Return the analysis of the run's products, in whose truth the added hits are."""
    analysis = judge_products(read_products(directory)).analysis
    if not getattr(getattr(analysis, "expectation", None), "truth", False):
        msg = f"{directory} has no truth that its numbers can be compared with: name another run."
        raise CannotJudge(msg)
    for number, truth in enumerate(analysis.products.science_truth):
        truth.hit[_places(analysis, number)] = True
    return analysis


def _places(analysis, number):
    """Return rows and columns of the hits that are added to an exposure."""
    masks = analysis.masks
    rows, columns = np.nonzero(masks.empty[number] & masks.usable[number])
    generator = np.random.default_rng(np.random.SeedSequence(10259, spawn_key=(number,)))
    chosen = generator.choice(len(rows), min(_HITS, len(rows)), replace=False)
    return rows[chosen], columns[chosen]


def _hit(hdus, places):
    """Add cosmic rays to a calibrated exposure."""
    hdus["SCI"].data[places] += np.float32(_HIT) * hdus["ERR"].data[places]
