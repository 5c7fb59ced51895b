"""How calwebb_detector1, the association and calwebb_image2 are called: as anybody would.

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
from miri_background.observation import PROGRAM, exposures
from miri_background.outcomes import SetUpWrong, unforeseen
from miri_background.parallel import completed
from miri_background.places import writable
from miri_background.provenance import pipeline_fingerprint

__all__ = [
    "calibrated_ramp",
    "detector1_rates",
    "image2_output",
    "import_pipeline",
    "pipeline_log",
    "write_association",
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
        key = content_key(checksum(uncal), pipeline_fingerprint(), _references(), steps)
        every.append(rate)
        run.records.refuse_foreign(rate)
        if not run.records.is_current(rate, key):
            log = run.log(f"{exposure.name}_detector1")
            missing.append((key, uncal, rate, log))
    if missing:
        calibrate = partial(_detector1_rate, run.records, steps)
        completed(executor, calibrate, missing, "Running calwebb_detector1")
    return every


def _detector1_rate(records, steps, item):
    """Run calwebb_detector1 on one level-1b file and write its rate file."""
    key, uncal, rate, log = item
    _detector1_product(records, key, uncal, rate, log, steps=steps)


def _detector1_product(records, key, uncal, product, log, **options):
    """Run calwebb_detector1 on one level-1b file, and keep one of the products that it saves."""
    with (
        writable(product.parent),
        tempfile.TemporaryDirectory(prefix=".writing-", dir=product.parent) as aside,
    ):
        with pipeline_log(log), _explained(f"calwebb_detector1 on {uncal}", log):
            # Without save_results, neither the rates of integrations are saved nor the ramp.
            import_pipeline("Detector1Pipeline").call(
                str(uncal), output_dir=aside, save_results=True, configure_log=False, **options
            ).close()
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
    key = content_key(checksum(uncal), pipeline_fingerprint(), _references())
    run.records.refuse_foreign(ramp)
    if not run.records.is_current(ramp, key):
        log = run.log(f"{exposure.name}_ramp")
        _detector1_product(run.records, key, uncal, ramp, log, save_calibrated_ramp=True)
    return ramp


def _references():
    """Return what selects the reference files."""
    return [os.environ.get(name, "") for name in ("CRDS_PATH", "CRDS_CONTEXT")]


@contextmanager
def _explained(what, log):
    """Turn any error of the pipeline into a sentence that names its log."""
    try:
        yield
    except (Exception, SystemExit) as error:
        msg = f"{what} ended with {type(error).__name__}: {error}; its log is {log}."
        raise unforeseen(error, msg) from error


def write_association(run):
    """Write the association that names the background exposures for calwebb_image2.

    calwebb_image2 uses only the first science member of a product, so each
    science exposure has a product of its own, with all backgrounds as members.

    Parameters
    ----------
    run : RunDirectory
        Its rate files are associated.  With "background missing" as control of its
        calibration, calwebb_image2 gets an association without the last background, and its
        products are judged by the one with all.

    Returns
    -------
    pathlib.Path
        The association file for calwebb_image2.
    """
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level2_base import DMSLevel2bBase

    science = exposures(run.observation, "science")
    backgrounds = exposures(run.observation, "background")
    association = asn_from_list(
        [(run.rate(each).name, "science") for each in science],
        rule=DMSLevel2bBase,
        with_exptype=True,
    )
    association.data |= {"asn_type": "image2", "program": PROGRAM, "target": "science field"}
    for product, exposure in zip(association["products"], science, strict=True):
        product["name"] = exposure.name
        product["members"] += [
            {"expname": run.rate(each).name, "exptype": "background"} for each in backgrounds
        ]
    written = {run.association: association.dump()[1]}
    if run.calibration.control == "background missing":
        for product in association["products"]:
            product["members"].pop()
        # Under a name by which it is not taken for what should have been subtracted.
        broken = run.association.with_name("background_missing.json")
        written[broken] = association.dump()[1]
    with writable(run.root):
        for path, text in written.items():
            with run.records.writing("", path) as (aside,):
                aside.write_text(text + "\n", encoding="utf-8")
        # Members without a path are portable; they are looked for beside the association.
        for exposure in (*science, *backgrounds):
            link = run.association.parent / run.rate(exposure).name
            if link.exists() and not link.is_symlink():
                msg = f"{link} is not the link that this suite put there: move it away."
                raise SetUpWrong(msg)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(run.rate(exposure), link.parent))
    return list(written)[-1]


@contextmanager
def image2_output(run):
    """Give calwebb_image2 a directory to write to, and keep its products if it succeeds.

    Inside the block the association's directory is the current one, because
    calwebb_image2 looks there for members (jwst 3.0: not beside the association,
    and not in its parameter ``input_dir``), and the pipeline's log goes to a file.

    Parameters
    ----------
    run : RunDirectory
        Receives the products.

    Yields
    ------
    str
        Directory for the pipeline's ``output_dir``.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, the directory cannot be written, or the
        place of a product is taken by a file that this suite did not write.
    """
    directory = run.association.parent
    key = content_key(pipeline_fingerprint())
    for product in run.products():
        # Products of an earlier call in this directory are the suite's own, and stale.
        run.records.remove(product)
    with (
        writable(run.root),
        tempfile.TemporaryDirectory(prefix=".writing-", dir=directory) as aside,
    ):
        log = run.log("calwebb_image2")
        with pipeline_log(log), chdir(directory), _explained("calwebb_image2", log):
            yield aside
        written = {path.name: path for path in Path(aside).iterdir()}
        for product in run.products():
            if product.name in written:
                with run.records.writing(key, product) as (target,):
                    written[product.name].rename(target)
