"""Faults of precision, and damage to a part of the array."""

from functools import partial

import numpy as np

from miri_background.detection.faults.fault import family
from miri_background.detection.faults.patterns import (
    CORNER,
    SMALL,
    in_a_corner,
    in_lyot,
    in_one_amplifier,
    in_one_column,
    tilted,
)

__all__ = ["FAULTS"]


def _half_precision(combined, _):
    combined.data = combined.data.astype(np.float16).astype(np.float32)


def _rounded(combined, _):
    combined.data = np.round(combined.data, 2)


def add(combined, _, where):
    """Add a little to a part of the average."""
    combined.data += SMALL * where(combined.data.shape)


FAULTS = (
    *family(
        "precision",
        ("float16", "kept in half precision", {"average": _half_precision}),
        ("rounded", "rounded to 0.01 DN/s", {"average": _rounded}),
    ),
    *family(
        "local damage",
        *(
            (name, f"0.02 DN/s {description}", {"average": partial(add, where=where)})
            for name, description, where in (
                ("only Lyot", "in the Lyot field", in_lyot),
                ("one column", "in one column", in_one_column),
                ("one amplifier", "in every fourth column", in_one_amplifier),
                ("a gradient", "from the middle to the sides", tilted),
                ("a corner", f"in {CORNER} by {CORNER} pixels", in_a_corner),
            )
        ),
    ),
)
