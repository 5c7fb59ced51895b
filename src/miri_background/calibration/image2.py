"""How rates are associated, and how calwebb_image2 is called on them."""

import os
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from miri_background.calibration.pipeline import associated_products, references_chosen
from miri_background.files import checksum, content_key, for_each_file
from miri_background.observation import PROGRAM, exposures
from miri_background.outcomes import SetUpWrong
from miri_background.parallel import completed
from miri_background.parameters import INSTALLED
from miri_background.places import writable

__all__ = ["image2_steps", "steps_are_imported", "subtract_backgrounds", "write_associations"]

_LATER_STEPS = ("assign_wcs", "flat_field", "photom")
# Of jwst, those with the steps that are run.
_PACKAGES = ("background", "assign_wcs", "flatfield", "photom", "pipeline")


def write_associations(run):
    """Write the associations that name the background exposures for calwebb_image2.

    Each science exposure has an association of its own, with all backgrounds as members, as
    in operations: calwebb_image2 uses only the first science member of a product.

    Parameters
    ----------
    run : RunDirectory
        Its rate files are associated.

    Returns
    -------
    list of pathlib.Path
        Association files, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If a place is taken by a file that this suite did not write.
    """
    science = exposures(run.observation, "science")
    backgrounds = exposures(run.observation, "background")
    with writable(run.root):
        for exposure in science:
            _write(run, run.association(exposure), exposure, backgrounds)
        # Members without a path are portable; they are looked for beside the association.
        for exposure in (*science, *backgrounds):
            link = run.association(exposure).parent / run.rate(exposure).name
            if link.exists() and not link.is_symlink():
                msg = f"{link} is not the link that this suite put there: move it away."
                raise SetUpWrong(msg)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(run.rate(exposure), link.parent))
    return [run.association(exposure) for exposure in science]


def _write(run, path, exposure, backgrounds):
    """Write the association of a science exposure with background exposures."""
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level2_base import DMSLevel2bBase

    science = [(run.rate(exposure).name, "science")]
    association = asn_from_list(science, rule=DMSLevel2bBase, with_exptype=True)
    association.data |= {"asn_type": "image2", "program": PROGRAM, "target": "science field"}
    (product,) = association["products"]
    product["name"] = exposure.name
    product["members"] += [
        {"expname": run.rate(each).name, "exptype": "background"} for each in backgrounds
    ]
    with run.records.writing("", path) as (aside,):
        aside.write_text(association.dump()[1] + "\n", encoding="utf-8")


def image2_steps(calibration, later_steps=True):
    """Return the parameters of the steps of calwebb_image2.

    Parameters
    ----------
    calibration : Calibration
        Clipping parameters, and whether the background step is skipped on purpose.
    later_steps : bool, optional
        Whether the steps after the background step are run.

    Returns
    -------
    dict
        As `jwst.pipeline.Image2Pipeline` takes them.  Resampling is never run.
    """
    background = {
        "sigma": calibration.sigma,
        "maxiters": calibration.maxiters,
        "save_combined_background": True,
        "save_results": True,
        "skip": calibration.control == "step skipped",
    }
    skipped = ("resample",) if later_steps else (*_LATER_STEPS, "resample")
    return {"bkg_subtract": background} | {name: {"skip": True} for name in skipped}


def subtract_backgrounds(run, executor, steps, pipeline=None):
    """Run calwebb_image2 on all associations of a run that has rates.

    Each goes through ``Image2Pipeline.call(association, steps=steps)``.  Products that an
    earlier run has made of the same rates in the same way are not made again.

    Parameters
    ----------
    run : RunDirectory
        Holds rates and associations, and receives the products.  With "background missing" as
        control of its calibration, calwebb_image2 gets associations without the last
        background, and its products are judged by those with all.
    executor : concurrent.futures.Executor
        Where to compute; not in several threads, as a process has one current directory.
    steps : dict
        Parameters of steps; see `image2_steps`.
    pipeline : type, optional
        What to call, here, instead of the calibration's pipeline.

    Returns
    -------
    list of pathlib.Path
        The products that are there: subtracted, backgrounds and final ones.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, the directory cannot be written, or the
        place of a product is taken by a file that this suite did not write.
    """
    science = exposures(run.observation, "science")
    backgrounds = exposures(run.observation, "background")
    every = (*science, *backgrounds)
    rates = for_each_file(checksum, {each: run.rate(each) for each in every})
    # What is made by steps that may have been changed is never used again.
    here = run.calibration.build == INSTALLED and steps_are_imported()
    changed = secrets.token_hex(8) if here else ""
    missing = []
    for exposure in science:
        made_from = [rates[each] for each in (exposure, *backgrounds)]
        choices = (steps, run.calibration.control, repr(pipeline), changed)
        key = content_key(made_from, run.pipeline.fingerprint, references_chosen(), *choices)
        products = run.products(exposure)
        if not all(run.records.is_current(path, key) for path in products):
            for path in products:
                # Those of an earlier call are the suite's own, and stale.
                run.records.remove(path)
            association = run.association(exposure)
            if run.calibration.control == "background missing":
                # Under a name by which it is not taken for what should have been subtracted.
                association = association.with_name(f"{exposure.name}_background_missing.json")
                _write(run, association, exposure, backgrounds[:-1])
            log = run.log(f"{exposure.name}_image2")
            missing.append((key, association, products, log))
    if missing:
        call = partial(associated_products, "image2", run.pipeline, run.records, steps, pipeline)
        with ThreadPoolExecutor(1) as one_thread:
            chosen = one_thread if here else executor
            completed(chosen, call, missing, "Running calwebb_image2")
    return [path for exposure in science for path in run.products(exposure) if path.exists()]


def steps_are_imported():
    """Return whether somebody has imported a step in this process.

    It may have been changed here, as who tries the validation in a notebook does.  Other
    processes would run the installed one.

    Returns
    -------
    bool
        Whether what is made by steps may differ from what the installed ones make.
    """
    return any(f"jwst.{package}" in sys.modules for package in _PACKAGES)
