"""A calwebb_image3 that is broken on purpose; the installed one is not changed."""

__all__ = ["broken_image3"]

_STEPS_OF_EXPOSURES = ("tweakreg", "skymatch", "outlier_detection")


def broken_image3(fault):
    """Return a calwebb_image3 that does everything as the installed one, and one thing wrong.

    Parameters
    ----------
    fault : MosaicFault
        What is wrong.

    Returns
    -------
    type
        Subclass of `jwst.pipeline.Image3Pipeline`, called like it.
    """
    from jwst.pipeline import Image3Pipeline

    steps = dict(Image3Pipeline.step_defs)
    for name in _STEPS_OF_EXPOSURES:
        if name in fault.after:
            steps[name] = _with_exposures_changed(steps[name], fault.after[name])
    if fault.resampled:
        steps["resample"] = _with_result_changed(steps["resample"], fault.resampled)
    # The name decides which parameters CRDS has for it.
    return type(Image3Pipeline.__name__, (Image3Pipeline,), {"step_defs": steps})


def _with_exposures_changed(step, change):
    """Return a step that changes the exposures when it is done."""

    class Broken(step):
        """The step with the fault."""

        def process(self, *arguments, **options):
            """Run the step, and change what it gives on."""
            library = super().process(*arguments, **options)
            with library:
                for number, model in enumerate(library):
                    change(model, number)
                    library.shelve(model, number)
            return library

    return type(step.__name__, (Broken,), {})


def _with_result_changed(step, change):
    """Return a step that changes its result when it is done."""

    class Broken(step):
        """The step with the fault."""

        def process(self, *arguments, **options):
            """Run the step, and change its result before it is saved."""
            result = super().process(*arguments, **options)
            change(result)
            return result

    return type(step.__name__, (Broken,), {})
