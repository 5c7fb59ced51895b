"""The detector's maps have the statistics of its constants, and its curves are inverses."""

import numpy as np
import pytest

from miri_background.instrument import detector
from miri_background.instrument.detector import (
    BAD_PIXEL_KINDS,
    BIAS,
    DARK_CURRENT,
    FULL_WELL,
    GAIN,
    SHAPE,
    bad_pixels,
    dark_current,
    linear_signal,
    linearity_coefficients,
    pixel_flat,
    raw_signal,
    reference_pixels,
    saturation_level,
)

STANDARD_ERRORS = 4  # one map in 16 000 is further off by chance
LARGEST_NUMBER = 65535  # 16-bit converter
FULL_SIGNAL = BIAS + FULL_WELL / GAIN  # DN, linear
MAPS = [bad_pixels, pixel_flat, dark_current]


@pytest.fixture
def sensitive():
    """Return where the pixels are that see light."""
    return ~reference_pixels()


@pytest.fixture
def good_flat():
    """Return the flat in pixels that are not dead."""
    return pixel_flat()[pixel_flat() > 0]


@pytest.fixture
def hot_dark():
    """Return the dark current of the hot pixels."""
    return dark_current()[bad_pixels() == BAD_PIXEL_KINDS.index("hot")]


@pytest.fixture
def signals():
    """Return linear signals, DN, from nothing to the full well."""
    return np.linspace(0.0, FULL_SIGNAL, 1001)


def test_reference_columns_are_the_outer_four():
    """Four columns on each side are reference pixels, in all rows."""
    columns = np.flatnonzero(reference_pixels().all(axis=0))
    assert columns.tolist() == [0, 1, 2, 3, 1028, 1029, 1030, 1031]


def test_only_whole_columns_are_reference_pixels():
    """No other pixel is a reference pixel."""
    assert reference_pixels().sum() == 2 * detector.REFERENCE_COLUMNS * SHAPE[0]


@pytest.mark.parametrize("kind", ["dead", "hot"])
def test_bad_pixels_have_their_fraction(sensitive, kind):
    """The number of bad pixels of a kind is binomial around its fraction."""
    fraction = getattr(detector, f"_{kind.upper()}_FRACTION")
    pixels = sensitive.sum()
    count = np.sum(bad_pixels() == BAD_PIXEL_KINDS.index(kind))
    error = np.sqrt(pixels * fraction * (1 - fraction))
    assert count == pytest.approx(pixels * fraction, abs=STANDARD_ERRORS * error)


def test_reference_pixels_are_not_bad():
    """No reference pixel is listed as dead or hot."""
    assert not bad_pixels()[reference_pixels()].any()


def test_flat_has_mean_one(good_flat):
    """The mean response is 1."""
    error = detector._FLAT_SCATTER / np.sqrt(good_flat.size)
    assert good_flat.mean() == pytest.approx(1.0, abs=STANDARD_ERRORS * error)


def test_flat_has_its_scatter(good_flat):
    """The scatter of the response is the constant."""
    error = detector._FLAT_SCATTER / np.sqrt(2 * good_flat.size)
    assert good_flat.std() == pytest.approx(detector._FLAT_SCATTER, abs=STANDARD_ERRORS * error)


def test_dead_and_reference_pixels_do_not_respond(sensitive):
    """The flat is 0 in dead and reference pixels, and only there."""
    dead = bad_pixels() == BAD_PIXEL_KINDS.index("dead")
    np.testing.assert_array_equal(pixel_flat() == 0, dead | ~sensitive)


def test_good_pixels_have_the_nominal_dark_current(sensitive):
    """The dark current is the constant, but for hot pixels."""
    nominal = sensitive & (bad_pixels() != BAD_PIXEL_KINDS.index("hot"))
    assert np.all(dark_current()[nominal] == DARK_CURRENT)


def test_hot_pixels_are_hotter(hot_dark):
    """The dark current of hot pixels lies in its range."""
    low, high = detector._HOT_DARK_CURRENT
    assert low <= hot_dark.min() <= hot_dark.max() <= high


def test_hot_pixels_are_uniform_in_the_logarithm(hot_dark):
    """The mean logarithm of the dark current is the middle of its range."""
    low, high = np.log(detector._HOT_DARK_CURRENT)
    error = (high - low) / np.sqrt(12 * hot_dark.size)
    assert np.log(hot_dark).mean() == pytest.approx((low + high) / 2, abs=STANDARD_ERRORS * error)


def test_reference_pixels_have_no_dark_current():
    """There is no dark current without a photosensitive layer."""
    assert not dark_current()[reference_pixels()].any()


@pytest.mark.parametrize("detector_map", MAPS, ids=lambda each: each.__name__)
def test_map_is_of_one_detector(detector_map):
    """Computed again, a map is the same."""
    np.testing.assert_array_equal(detector_map.__wrapped__(), detector_map())


@pytest.mark.parametrize("detector_map", MAPS, ids=lambda each: each.__name__)
def test_map_cannot_be_changed(detector_map):
    """The shared map is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        detector_map()[0, 0] = 1


def test_linearity_is_undone_to_rounding(signals):
    """The linear signal of a raw signal is what it was made from."""
    # Square root, product and sum round once each.
    np.testing.assert_allclose(
        linear_signal(raw_signal(signals)), signals, rtol=4 * np.finfo(float).eps
    )


def test_raw_signal_grows_with_the_linear(signals):
    """A brighter pixel never has a smaller number."""
    assert np.all(np.diff(raw_signal(signals)) > 0)


def test_coefficients_are_those_of_the_correction(signals):
    """The polynomial of the reference file is the function of the simulator."""
    polynomial = np.polynomial.Polynomial(linearity_coefficients())
    np.testing.assert_allclose(
        polynomial(signals), linear_signal(signals), rtol=4 * np.finfo(float).eps
    )


def test_correction_has_the_size_of_flight():
    """The linear signal is 7 % above a raw one of 50 000 DN."""
    raw = 50_000.0
    assert linear_signal(raw) / raw - 1 == pytest.approx(0.07)


def test_saturation_is_flagged_below_the_full_well():
    """A full pixel is above the level at which it is flagged."""
    assert saturation_level() < raw_signal(FULL_SIGNAL)


def test_full_well_fits_the_converter():
    """The well is full before the numbers end."""
    assert raw_signal(FULL_SIGNAL) < LARGEST_NUMBER
