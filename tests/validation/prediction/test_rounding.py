"""Arrays are compared as a step that rounds to single precision needs it."""

import numpy as np
import pytest

from miri_background.validation.prediction.rounding import UNIT_ROUNDOFF, different, same_value


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


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (55.5008, np.nextafter(55.5008, 100)),
        (float(np.float32(55.5008)), 55.5008),
        (55.5008, float(np.float32(55.5008))),
        (55, 55.0),
        (20.0, 20),
        ("F770W", "F770W"),
        (True, True),
        (None, None),
        (0.0, 0.0),
    ],
)
def test_values_that_are_the_same(found, expected):
    """Two roundings to single precision are none of a step's doing."""
    assert same_value(found, expected if expected is None else type(expected)(expected))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (55.5008 * (1 + 3 * UNIT_ROUNDOFF), 55.5008),
        (55.501, 55.5008),
        (20, 21),
        (20.000000001, 20),
        (True, 1),
        (1, True),
        (1.0, True),
        ("1.0", 1.0),
        (1.0, "1.0"),
        ("F770W", "F560W"),
        (None, 0.0),
        (None, 0),
        (0.0, None),
        (-5.0, 5.0),
    ],
)
def test_values_that_are_not_the_same(found, expected):
    """Whole numbers, truth values and text are exact, and so is what there is not."""
    assert not same_value(found, expected)
