"""How the pipeline is called, as anybody would, and calwebb_detector1.

The pipeline is never modified, and finds its reference files through CRDS.
"""

import gc
import logging
import os
import tempfile
import warnings
from contextlib import chdir, contextmanager
from functools import lru_cache, partial
from pathlib import Path

from miri_background.files import checksum, content_key
from miri_background.observation import exposures
from miri_background.outcomes import unforeseen
from miri_background.parallel import completed
from miri_background.places import writable

__all__ = [
    "associated_products",
    "calibrated_ramp",
    "called_detector1",
    "called_on_association",
    "detector1_rates",
    "explained",
    "import_pipeline",
    "pipeline_log",
    "references_chosen",
]

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def pipeline_log(path):
    """Send the pipeline's log, and its warnings, to a file and nowhere else.

    Parameters
    ----------
    path : path-like
        Log file; written anew.
    """
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    # CRDS and stpipe bring handlers of their own, which write to the notebook.
    loggers = [
        logging.getLogger(name) for name in ("CRDS", "stpipe", "jwst", "stcal", "py.warnings")
    ]
    loggers.append(logging.getLogger())
    before = [(each, each.handlers, each.level, each.propagate) for each in loggers]
    try:
        for each in loggers[:-1]:
            each.handlers, each.propagate = [], True
        loggers[-1].handlers = [handler]
        loggers[-1].setLevel(logging.INFO)
        # The filters stay as they are: where warnings are errors, they remain errors.
        with warnings.catch_warnings():
            logging.captureWarnings(capture=True)
            yield
    finally:
        logging.captureWarnings(capture=False)
        for each, handlers, level, propagate in before:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)
        handler.close()


@lru_cache
def import_pipeline(name):
    """Import a pipeline and take what it made out of the garbage collector's sight.

    stpipe collects garbage at the start of each step.  Going through the hundred
    thousands of objects that imports leave behind takes half of the pipeline's time for
    short ramps; frozen, they are passed over.  Once a process.

    Parameters
    ----------
    name : str
        Name of a class of `jwst.pipeline`.

    Returns
    -------
    type
        The class.
    """
    from jwst import pipeline

    gc.collect()
    gc.freeze()
    return getattr(pipeline, name)


def detector1_rates(run, executor, steps=None):
    """Run calwebb_detector1 on all level-1b files of a run.

    Each file goes through ``Detector1Pipeline.call(uncal, steps=steps)``, and of what that
    saves, `rate_product` of the calibration is kept.  Rates that an interrupted run of the
    same pipeline has left there whole are not made again.

    Parameters
    ----------
    run : RunDirectory
        Holds the level-1b files and receives the rate files.
    executor : concurrent.futures.Executor
        Where to compute.
    steps : dict, optional
        Parameters of steps, as `jwst.pipeline.Detector1Pipeline` takes them.

    Returns
    -------
    list of pathlib.Path
        Rate files, science first, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, or the directory cannot be written.
    """
    steps = steps or {}
    every, missing = [], []
    for exposure in exposures(run.observation):
        uncal, rate = run.uncal(exposure), run.rate(exposure)
        if run.observation.data != "simulated" and not uncal.exists():
            every.append(rate)  # of a data set, slopes may be all that there is
            continue
        key = content_key(checksum(uncal), run.pipeline.fingerprint, references_chosen(), steps)
        every.append(rate)
        run.records.refuse_foreign(rate)
        if not run.records.is_current(rate, key):
            log = run.log(f"{exposure.name}_detector1")
            missing.append((key, uncal, rate, log))
    if missing:
        calibrate = partial(_detector1_rate, run.pipeline, run.records, steps)
        completed(executor, calibrate, missing, "Running calwebb_detector1")
    return every


def _detector1_rate(pipeline, records, steps, item):
    """Run calwebb_detector1 on one level-1b file and write its rate file."""
    key, uncal, rate, log = item
    _detector1_product(pipeline, records, key, uncal, rate, log, steps=steps)


def called_detector1(uncal, output, log, **parameters):
    """Run the installed calwebb_detector1 on a level-1b file.

    Parameters
    ----------
    uncal : path-like
        The level-1b file.
    output : path-like
        Directory for all that is saved.
    log : path-like
        Log file; written anew.
    **parameters
        As `jwst.pipeline.Detector1Pipeline.call` takes them.

    Raises
    ------
    CannotJudge
        If it ends with an error.
    """
    with pipeline_log(log), explained(f"calwebb_detector1 on {uncal}", log):
        # Without save_results, neither the rates of integrations are saved nor the ramp.
        import_pipeline("Detector1Pipeline").call(
            str(uncal), output_dir=output, save_results=True, configure_log=False, **parameters
        ).close()


def called_on_association(stage, association, output, log, steps, pipeline=None):
    """Run the installed calwebb_image2 or calwebb_image3 on an association.

    Parameters
    ----------
    stage : {"image2", "image3"}
        Which of them.
    association : pathlib.Path
        Its members are beside it.
    output : path-like
        Directory for all that is saved.
    log : path-like
        Log file; written anew.
    steps : dict
        Parameters of steps.
    pipeline : type, optional
        What to call instead of `jwst.pipeline.Image2Pipeline` or `Image3Pipeline`.

    Raises
    ------
    CannotJudge
        If it ends with an error.
    """
    # It looks for members in the current directory (jwst 3.0: not beside the
    # association, and not in its parameter ``input_dir``).
    with (
        pipeline_log(log),
        chdir(association.parent),
        explained(f"calwebb_{stage} on {association}", log),
    ):
        (pipeline or import_pipeline(f"{stage.capitalize()}Pipeline")).call(
            str(association),
            output_dir=output,
            save_results=True,
            configure_log=False,
            steps=steps,
        )


def associated_products(stage, build, records, steps, pipeline, item):
    """Run calwebb_image2 or calwebb_image3 on an association, and keep its products.

    Parameters
    ----------
    stage : {"image2", "image3"}
        Which of them.
    build : InstalledPipeline or BuildPipeline
        What is called.
    records : ProductRecords
        Of the directory of the products.
    steps : dict
        Parameters of steps.
    pipeline : type or None
        What to call instead, here.
    item : tuple
        Key of the products, association, paths of the products, and log; those that are not
        written are left out.

    Raises
    ------
    CannotJudge
        If it ends with an error; then none is kept.
    """
    key, association, products, log = item
    directory = association.parent
    with (
        writable(directory),
        tempfile.TemporaryDirectory(prefix=".writing-", dir=directory) as aside,
    ):
        if pipeline:
            called_on_association(stage, association, aside, log, steps, pipeline)
        else:
            build.on_association(stage, association, aside, log, steps)
        for product in products:
            written = Path(aside) / product.name
            if written.exists():
                with records.writing(key, product) as (target,):
                    written.rename(target)


def _detector1_product(pipeline, records, key, uncal, product, log, **parameters):
    """Run calwebb_detector1 on one level-1b file, and keep one of the products that it saves."""
    with (
        writable(product.parent),
        tempfile.TemporaryDirectory(prefix=".writing-", dir=product.parent) as aside,
    ):
        pipeline.detector1(uncal, aside, log, **parameters)
        with records.writing(key, product) as (target,):
            (Path(aside) / product.name).rename(target)


def calibrated_ramp(run, exposure):
    """Run calwebb_detector1 on one exposure and keep the ramp that slopes are fitted to.

    Parameters
    ----------
    run : RunDirectory
        Holds the level-1b file and receives the ramp.
    exposure : Exposure
        Which exposure.

    Returns
    -------
    pathlib.Path
        The calibrated ramp.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, or the directory cannot be written.
    """
    uncal, ramp = run.uncal(exposure), run.ramp(exposure)
    key = content_key(checksum(uncal), run.pipeline.fingerprint, references_chosen())
    run.records.refuse_foreign(ramp)
    if not run.records.is_current(ramp, key):
        log = run.log(f"{exposure.name}_ramp")
        _detector1_product(
            run.pipeline, run.records, key, uncal, ramp, log, save_calibrated_ramp=True
        )
    return ramp


def references_chosen():
    """Return what selects the reference files."""
    return [os.environ.get(name, "") for name in ("CRDS_PATH", "CRDS_CONTEXT")]


@contextmanager
def explained(what, log):
    """Turn any error of the pipeline into a sentence that names its log."""
    try:
        yield
    except (Exception, SystemExit) as error:
        msg = f"{what} ended with {type(error).__name__}: {error}; its log is {log}."
        raise unforeseen(error, msg) from error
