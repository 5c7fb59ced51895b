"""Arrays are compared as a step that rounds to single precision needs it."""

import numpy as np
import pytest

from miri_background.validation.comparison import UNIT_ROUNDOFF, different


def test_unit_is_that_of_single_precision():
    """Half a unit in the last place is all that one operation may be off."""
    assert np.float32(1 + UNIT_ROUNDOFF) == 1.0 < np.float32(1 + 1.001 * UNIT_ROUNDOFF)


@pytest.mark.parametrize(
    ("value", "expected", "is_different"),
    [
        (1.0, 1.0, False),
        (1.0, 1.5, False),
        (1.0, 1.6, True),
        (np.nan, np.nan, False),
        (np.nan, 1.0, True),
        (1.0, np.nan, True),
        (np.inf, np.inf, False),
        (np.inf, -np.inf, True),
        (np.inf, 1.0, True),
        (1.0, np.inf, True),
        (np.inf, np.nan, True),
    ],
)
def test_numbers(value, expected, is_different):
    """Half is allowed of finite numbers; others are the same only as their like."""
    assert different(np.array(value), np.array(expected), 0.5) == is_different


def test_infinity_is_not_within_infinite_rounding():
    """Where the rounding of an infinite number is infinite, a finite one is still wrong."""
    assert different(np.array(1.0), np.array(np.inf), np.array(np.inf))
