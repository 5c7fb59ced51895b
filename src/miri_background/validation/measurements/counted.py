"""Counts of what is wrong, and where it is first, in words."""

from pathlib import Path

import numpy as np

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement

__all__ = ["counted", "first_wrong", "some"]

_SHOWN = 3  # things that are wrong, of any number


def counted(criterion, number, wrong, image, why=""):
    """Return how many pixels of an exposure's image are wrong.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    number : int
        Science exposure, from 0.
    wrong : ndarray of bool
        The pixels.
    image : Image
        The product that has them.
    why : str, optional
        What is known of the cause.

    Returns
    -------
    Measurement
        The count, with the place of the first.
    """
    count = float(np.count_nonzero(wrong))
    detail = first_wrong(wrong, image) + (why and f"; {why}") if count else ""
    return Measurement(criterion, WHOLE_ARRAY, number + 1, count, detail=detail)


def first_wrong(wrong, image):
    """Return in words where the first wrong pixel of an image is."""
    *integration, row, column = np.unravel_index(np.argmax(wrong), wrong.shape)
    of = f"integration {integration[0]}, " if integration else ""
    return f"first in {Path(image.path).name} at {of}row {row}, column {column} (from 0)"


def some(sentences):
    """Return the first of several sentences, each once, and how many more there are."""
    several = list(dict.fromkeys(sentences))
    more = [f"and {len(several) - _SHOWN} more"] if len(several) > _SHOWN else []
    return "; ".join([*several[:_SHOWN], *more])
