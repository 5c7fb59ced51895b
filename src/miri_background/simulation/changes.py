"""What the detector does otherwise from exposure to exposure, and no reference takes away."""

import numpy as np

from miri_background.instrument.detector import reference_pixels

__all__ = ["dark_stripes", "settling"]

# After a change of filter, exposures have more sky, each a third of the excess of the one before:
# 24.8, 7.7, 2.8, 2.8 and 0 % in the mean of four visits in F560W (PID 1040, calibrated in 2022;
# relative to the fifth exposure).
_EXCESS_FADES = 1 / 3

# Columns of the dark vary in time (jwst issue 8517), rows less; the ratio is a round number.
_ROWS_OVER_COLUMNS = 0.5


def settling(observation, exposure):
    """Return the sky that an exposure shows over that of a settled detector.

    Parameters
    ----------
    observation : Observation
        Its `first_exposure_excess` is that of the first exposure of each field.
    exposure : Exposure
        Which of its exposures.

    Returns
    -------
    float
        1 without an excess.
    """
    return 1 + observation.first_exposure_excess / 100 * _EXCESS_FADES**exposure.dither


def dark_stripes(observation, read, generator):
    """Return what the dark current of a field has more than the dark reference.

    Parameters
    ----------
    observation : Observation
        Its `dark_stripes` is the rms of the difference of two fields.
    read : Subarray
        What is read.
    generator : numpy.random.Generator
        Of the field: all of its exposures have the same stripes, which in subarrays are those of
        the same rows and columns of the full array.

    Returns
    -------
    ndarray
        Electron / s, 0 in reference pixels; columns and rows have a mean of 0 in what is read.
    """
    if observation.dark_stripes == 0:
        return np.zeros(read.shape)
    rows, columns = (
        generator.standard_normal(size)[part]
        for size, part in zip(reference_pixels().shape, (read.y, read.x), strict=True)
    )
    # Each of two fields has half of the variance of their difference.
    of_field = observation.dark_stripes / np.sqrt(2)
    stripes = of_field * (
        (columns - columns.mean())[np.newaxis, :]
        + _ROWS_OVER_COLUMNS * (rows - rows.mean())[:, np.newaxis]
    )
    return np.where(read.cut(reference_pixels()), 0.0, stripes)
