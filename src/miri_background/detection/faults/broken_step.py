"""Background steps that are broken on purpose, to see that each is noticed.

The pipeline that is installed is not changed: a class of its own, made when it is asked for,
has a background step that does everything as the installed one does, and one thing wrong.
Faults of the inputs leave the step alone and change copies of the rates that it is given.
"""

from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from miri_background.detection.faults.catalogue import fault
from miri_background.detection.faults.fault import Members

__all__ = ["broken_pipeline", "injected", "ready", "spoil_rates"]


def broken_pipeline(name):
    """Return a calwebb_image2 whose background step has a fault.

    Parameters
    ----------
    name : str
        Name of the fault.

    Returns
    -------
    type
        Subclass of `jwst.pipeline.Image2Pipeline`, called like it.

    Raises
    ------
    CannotJudge
        If there is no fault of this name.
    """
    from jwst.background import BackgroundStep
    from jwst.pipeline import Image2Pipeline

    broken = ready(fault(name))

    class BrokenStep(BackgroundStep):
        """The background step with one fault."""

        def process(self, *arguments, **options):
            """Run the step with the fault."""
            with injected(broken):
                result = super().process(*arguments, **options)
            if broken.finish:
                broken.finish(result)
            return result

        def save_model(self, *arguments, **options):
            """Save with the fault."""
            path = super().save_model(*arguments, **options)
            if broken.saved:
                broken.saved(path)
            return path

    steps = Image2Pipeline.step_defs | {"bkg_subtract": BrokenStep}
    # The name decides which parameters CRDS has for it.
    return type(Image2Pipeline.__name__, (Image2Pipeline,), {"step_defs": steps})


def ready(broken):
    """Return a fault to be used: one that remembers exposures has a memory of its own."""
    if isinstance(broken.members, type):
        return replace(broken, members=broken.members())
    return broken


def injected(broken):
    """Return a context in which the functions that the step calls have the fault."""
    from jwst.background import background_step, background_sub

    real_average, real_subtract = background_sub.average_background, background_step.background_sub

    def average(science, backgrounds, sigma, maxiters):
        files = broken.members(backgrounds, science) if broken.members else backgrounds
        used = broken.clipping(sigma, maxiters) if broken.clipping else (sigma, maxiters)
        combined = real_average(science, files, *used)
        if broken.average:
            broken.average(combined, _read_members(backgrounds, sigma, maxiters))
        return combined

    def subtracted(science, *arguments):
        before = science.copy()
        combined, result = real_subtract(science, *arguments)
        if broken.subtract:
            broken.subtract(before, combined, result)
        return combined, result

    context = ExitStack()
    context.enter_context(patch.object(background_sub, "average_background", average))
    context.enter_context(patch.object(background_step, "background_sub", subtracted))
    return context


def _read_members(paths, sigma, maxiters):
    """Return what is averaged."""
    from stdatamodels.jwst import datamodels

    planes = []
    for path in paths:
        with datamodels.open(path) as model:
            planes.append([model.data.astype(float), model.err.astype(float), model.dq.copy()])
    return Members(*(np.stack(each) for each in zip(*planes, strict=True)), sigma, maxiters, paths)


def spoil_rates(name, rates):
    """Change rates as a fault of the inputs does.

    Parameters
    ----------
    name : str
        Name of the fault.
    rates : Rates
        Changed in place.
    """
    fault(name).rates(rates)
