"""The background step of the installed pipeline, called as anybody would, on images in memory."""

import logging
import warnings
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from miri_background.calibration.pipeline import import_pipeline

__all__ = ["model_of", "step_subtracts"]


@lru_cache(maxsize=1)
def _background_step():
    """Import the step once, and take what it made out of the garbage collector's sight."""
    import_pipeline("Image2Pipeline")
    from jwst.background import BackgroundStep

    return BackgroundStep


def model_of(rate, window, name):
    """Return a rate as the pipeline has it.

    Parameters
    ----------
    rate : Rate
        Values, errors and flags.
    window : Subarray
        Pixels of the detector.
    name : str
        For its log.

    Returns
    -------
    stdatamodels.jwst.datamodels.ImageModel
        With the metadata that the step looks at.
    """
    from stdatamodels.jwst.datamodels import ImageModel

    model = ImageModel()
    model.data, model.err = rate.data.astype(np.float32), rate.err.astype(np.float32)
    model.dq = rate.dq.astype(np.uint32)
    rows, columns = window.shape
    model.update(
        {
            "meta": {
                "filename": f"{name}_rate.fits",
                "instrument": {"name": "MIRI", "detector": "MIRIMAGE"},
                "exposure": {"type": "MIR_IMAGE"},
                "subarray": {
                    "name": window.name,
                    "xstart": window.x.start + 1,
                    "ystart": window.y.start + 1,
                    "xsize": columns,
                    "ysize": rows,
                },
            }
        }
    )
    return model


def step_subtracts(science, backgrounds, sigma, maxiters):
    """Return what the step makes of a science exposure.

    Parameters
    ----------
    science : stdatamodels.jwst.datamodels.ImageModel
        The exposure, which stays as it is.
    backgrounds : list of stdatamodels.jwst.datamodels.ImageModel
        Exposures that are averaged and subtracted.
    sigma : float
        Clipping threshold.
    maxiters : int or None
        Clipping iterations; None for as many as change anything.

    Returns
    -------
    data, err, dq : ndarray
        DN/s, DN/s and flags.
    """
    step = _background_step()(sigma=sigma, maxiters=maxiters)
    with _in_silence():
        result = step.run(science, list(backgrounds))
    return np.array(result.data), np.array(result.err), np.array(result.dq)


@contextmanager
def _in_silence():
    """Keep the step's log and warnings of empty pixels to itself: a campaign has thousands."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            yield
    finally:
        logging.disable(before)
