"""How subtracted exposures are associated, and how calwebb_image3 is called on them."""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from miri_background.calibration.image2 import steps_are_imported
from miri_background.calibration.pipeline import associated_products, references_chosen
from miri_background.files import checksum, content_key, for_each_file
from miri_background.observation import PROGRAM, exposures
from miri_background.outcomes import SetUpWrong
from miri_background.parallel import completed
from miri_background.parameters import INSTALLED
from miri_background.places import writable
from miri_background.run_directory import ASSOCIATION_NAME, MOSAIC_NAME

__all__ = ["image3_steps", "make_mosaic", "write_mosaic_association"]


def write_mosaic_association(run):
    """Write the association of the exposures that calwebb_image3 makes one mosaic of.

    Its members are the calibrated science exposures and nothing else: exposures of the background
    field are of another part of the sky.

    Parameters
    ----------
    run : RunDirectory
        Has been through calwebb_image2.

    Returns
    -------
    pathlib.Path
        The association.

    Raises
    ------
    CannotJudge
        If there is a single exposure, slopes of integrations, or a place is taken by a file that
        this suite did not write.
    """
    from jwst.associations.asn_from_list import asn_from_list

    science = [_calibrated(run, each) for each in exposures(run.observation, "science")]
    _require_mosaic(run, science)
    association = asn_from_list([path.name for path in science], product_name=MOSAIC_NAME)
    association.data |= {
        "asn_type": "image3",
        "asn_id": ASSOCIATION_NAME,
        "program": PROGRAM,
        "target": "science field",
    }
    path = run.mosaic_association
    with writable(run.root):
        with run.records.writing("", path) as (aside,):
            aside.write_text(association.dump()[1] + "\n", encoding="utf-8")
        for each in science:
            link = path.parent / each.name
            if link.exists() and not link.is_symlink():
                msg = f"{link} is not the link that this suite put there: move it away."
                raise SetUpWrong(msg)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(each, link.parent))
    return path


def _calibrated(run, exposure):
    """Return the path of the calibrated product of a science exposure."""
    return run.products(exposure)[-1]


def _require_mosaic(run, science):
    """Refuse exposures that calwebb_image3 makes no mosaic of."""
    if run.calibration.rate_product != "rate":
        msg = (
            f"rate_product = {run.calibration.rate_product} gives one image for each integration, "
            "and calwebb_image3 takes one for each exposure: choose rate_product = rate, or "
            "through = image2."
        )
        raise SetUpWrong(msg)
    if len(science) < 2:
        msg = (
            "A mosaic of one exposure has no outliers and no seams: take science_exposures = 2 or "
            "more, or through = image2."
        )
        raise SetUpWrong(msg)


def image3_steps(calibration):  # noqa: ARG001 - as image2_steps is called
    """Return the parameters of the steps of calwebb_image3: their defaults.

    tweakreg aligns the exposures with each other.  Its absolute step, which would ask a server
    for a catalogue of stars, is off by default (``abs_refcat`` is empty).

    Parameters
    ----------
    calibration : Calibration
        What is made of the exposures.

    Returns
    -------
    dict
        As `jwst.pipeline.Image3Pipeline` takes them.
    """
    return {}


def make_mosaic(run, executor, steps, pipeline=None):
    """Run calwebb_image3 on the association of a run.

    It goes through ``Image3Pipeline.call(association, steps=steps)``.  Products that an earlier
    run has made of the same exposures in the same way are not made again.

    Parameters
    ----------
    run : RunDirectory
        Holds calibrated exposures and association, and receives the products.
    executor : concurrent.futures.Executor
        Where to compute; not in several threads, as a process has one current directory.
    steps : dict
        Parameters of steps; see `image3_steps`.
    pipeline : type, optional
        What to call instead of `jwst.pipeline.Image3Pipeline`.

    Returns
    -------
    list of pathlib.Path
        The products: mosaic, catalogue, segments, and exposures with their outliers flagged.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, the directory cannot be written, or the place of a
        product is taken by a file that this suite did not write.
    """
    science = exposures(run.observation, "science")
    products = [
        run.mosaic("i2d"),
        run.mosaic("cat", "ecsv"),
        run.mosaic("segm"),
        *map(run.outliers, science),
    ]
    made_from = for_each_file(checksum, {each: _calibrated(run, each) for each in science})
    # What is made by steps that may have been changed is never used again.
    here = run.calibration.build == INSTALLED and steps_are_imported()
    changed = secrets.token_hex(8) if here else ""
    choices = (steps, repr(pipeline), changed)
    key = content_key(
        [made_from[each] for each in science],
        run.pipeline.fingerprint,
        references_chosen(),
        *choices,
    )
    # Without a star there is neither catalogue nor segments.
    if not all(run.records.is_current(path, key) for path in (products[0], *products[3:])):
        for path in products:
            run.records.remove(path)
        item = key, run.mosaic_association, products, run.log("image3")
        call = partial(associated_products, "image3", run.pipeline, run.records, steps, pipeline)
        with ThreadPoolExecutor(1) as one_thread:
            completed(one_thread if here else executor, call, [item], "Running calwebb_image3")
    return [path for path in products if path.exists()]
