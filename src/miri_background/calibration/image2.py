"""Running calwebb_image2 on associated rates without a notebook, as far as the background step."""

from miri_background.calibration.pipeline import image2_output, import_pipeline, write_association

__all__ = ["subtract_backgrounds"]

_LATER_STEPS = ("assign_wcs", "flat_field", "photom", "resample")


def subtract_backgrounds(run, pipeline=None):
    """Subtract the backgrounds of a run that has rates, and keep what the step writes.

    Parameters
    ----------
    run : RunDirectory
        Holds the rates and receives association and products.
    pipeline : type, optional
        What to call instead of `jwst.pipeline.Image2Pipeline`.

    Raises
    ------
    CannotJudge
        If the pipeline ends with an error, or the directory cannot be written.
    """
    installed = import_pipeline("Image2Pipeline")
    association = write_association(run)
    steps = {name: {"skip": True} for name in _LATER_STEPS} | {
        "bkg_subtract": {
            "sigma": run.observation.sigma,
            "maxiters": run.observation.maxiters,
            "save_combined_background": True,
            "save_results": True,
        }
    }
    with image2_output(run) as output_dir:
        (pipeline or installed).call(
            str(association),
            output_dir=output_dir,
            save_results=True,
            configure_log=False,
            steps=steps,
        )
