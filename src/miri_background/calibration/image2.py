"""How calwebb_image2 is called on associated rates."""

from miri_background.calibration.pipeline import image2_output, import_pipeline, write_association

__all__ = ["image2_steps", "subtract_backgrounds"]

_LATER_STEPS = ("assign_wcs", "flat_field", "photom")


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


def subtract_backgrounds(run, pipeline=None, later_steps=False):
    """Subtract the backgrounds of a run that has rates, and keep what is saved.

    Parameters
    ----------
    run : RunDirectory
        Holds the rates and receives association and products.
    pipeline : type, optional
        What to call instead of `jwst.pipeline.Image2Pipeline`.
    later_steps : bool, optional
        Whether the steps after the background step are run.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, or the directory cannot be written.
    """
    installed = import_pipeline("Image2Pipeline")
    association = write_association(run)
    with image2_output(run) as output_dir:
        (pipeline or installed).call(
            str(association),
            output_dir=output_dir,
            save_results=True,
            configure_log=False,
            steps=image2_steps(run.calibration, later_steps),
        )
