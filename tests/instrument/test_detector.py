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
    INTERPIXEL_CAPACITANCE,
    READ_NOISE,
    RESET_GROUPS,
    SHAPE,
    bad_pixels,
    dark_current,
    fitted_groups,
    full_well,
    gain,
    linear_signal,
    linearity_coefficients,
    pixel_flat,
    raw_signal,
    read_noise,
    reference_pixels,
    reset_anomaly,
    saturation_level,
)

STANDARD_ERRORS = 4  # one map in 16 000 is further off by chance
LARGEST_NUMBER = 65535  # 16-bit converter
MAPS = [bad_pixels, pixel_flat, dark_current, gain, read_noise, full_well, saturation_level]
# Maps that scatter around a constant, with the constant of their scatter
SCATTERED = [
    (pixel_flat, 1.0, "_FLAT_SCATTER"),
    (gain, GAIN, "_GAIN_SCATTER"),
    (read_noise, READ_NOISE, "_READ_NOISE_SCATTER"),
    (full_well, FULL_WELL, "_FULL_WELL_SCATTER"),
]
# What reference pixels are worth in the maps: they see no light, have no dark current and are
# linear, and are otherwise nominal.
IN_REFERENCE_PIXELS = [
    (pixel_flat, 0.0),
    (dark_current, 0.0),
    (gain, GAIN),
    (read_noise, READ_NOISE),
    (full_well, FULL_WELL),
]
# Some pixels, reference pixels among them
PATCH = np.s_[300:340, 900:1032]


@pytest.fixture
def sensitive():
    """Return where the pixels are that see light."""
    return ~reference_pixels()


@pytest.fixture
def full_signal():
    """Return the linear signal, DN, of a full pixel."""
    return BIAS + full_well() / gain()


@pytest.fixture(params=SCATTERED, ids=lambda case: case[0].__name__)
def scattered(request):
    """Return the values of a map in usual pixels, their mean and their relative scatter."""
    detector_map, mean, scatter = request.param
    usual = ~reference_pixels() & (bad_pixels() != BAD_PIXEL_KINDS.index("dead"))
    return detector_map()[usual], mean, getattr(detector, scatter)


@pytest.fixture
def hot_dark():
    """Return the dark current of the hot pixels."""
    return dark_current()[bad_pixels() == BAD_PIXEL_KINDS.index("hot")]


@pytest.fixture
def signals(full_signal):
    """Return linear signals, DN, from nothing to the full well of each pixel of a patch."""
    return np.linspace(0.0, 1.0, 101)[:, np.newaxis, np.newaxis] * full_signal[PATCH]


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


def test_map_has_its_mean(scattered):
    """The mean over the pixels is the constant."""
    values, mean, scatter = scattered
    error = scatter / np.sqrt(values.size)
    assert values.mean() / mean == pytest.approx(1.0, abs=STANDARD_ERRORS * error)


def test_map_has_its_scatter(scattered):
    """The relative scatter from pixel to pixel is the constant."""
    values, mean, scatter = scattered
    error = scatter / np.sqrt(2 * values.size)
    assert values.std() / mean == pytest.approx(scatter, abs=STANDARD_ERRORS * error)


def test_map_has_no_outlier(scattered):
    """No pixel is further than five standard deviations from the others."""
    values, mean, scatter = scattered
    furthest = np.abs(values / mean - 1).max()
    # The values of a map are rounded.
    assert furthest <= 5 * scatter + detector._STEP


def test_maps_are_independent(sensitive):
    """A pixel of high gain is not for that reason noisier, deeper or more sensitive."""
    good = sensitive & (bad_pixels() == BAD_PIXEL_KINDS.index("good"))
    values = [detector_map()[good] for detector_map, *_ in SCATTERED]
    correlations = np.corrcoef(values)[np.triu_indices(len(values), 1)]
    limit = STANDARD_ERRORS / np.sqrt(good.sum())
    np.testing.assert_allclose(correlations, 0, rtol=0, atol=limit)


@pytest.mark.parametrize(
    ("detector_map", "value"),
    IN_REFERENCE_PIXELS,
    ids=[detector_map.__name__ for detector_map, _ in IN_REFERENCE_PIXELS],
)
def test_reference_pixels_are_alike(detector_map, value):
    """Reference pixels have no scatter."""
    assert np.all(detector_map()[reference_pixels()] == value)


def test_dead_and_reference_pixels_do_not_respond(sensitive):
    """The flat is 0 in dead and reference pixels, and only there."""
    dead = bad_pixels() == BAD_PIXEL_KINDS.index("dead")
    np.testing.assert_array_equal(pixel_flat() == 0, dead | ~sensitive)


def test_dark_current_is_nominal_in_the_first_corner(sensitive):
    """Where the glow ends, the dark current is the constant."""
    usual = sensitive & (bad_pixels() != BAD_PIXEL_KINDS.index("hot"))
    corner = usual & (np.indices(SHAPE).sum(axis=0) < 20)
    # Within 20 pixels of the corner the glow is (10 / 1024)^4 of its peak; rounding is more.
    found = dark_current()[corner]
    np.testing.assert_allclose(found, DARK_CURRENT, rtol=0, atol=detector._STEP)


def test_dark_current_glows_in_the_last_corner(sensitive):
    """In the upper right corner the dark current is twice that of the first one."""
    usual = sensitive & (bad_pixels() != BAD_PIXEL_KINDS.index("hot"))
    glow = detector._DARK_GLOW * DARK_CURRENT
    # Four reference columns and a pixel from the corner the glow has lost 4 x 5 / 1032 of itself.
    found = dark_current()[usual].max() - DARK_CURRENT
    assert found == pytest.approx(glow, rel=4 * 5 / SHAPE[1])


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_dark_current_grows_towards_the_last_corner(sensitive, axis):
    """Along rows and along columns the glow never falls."""
    hot = bad_pixels() == BAD_PIXEL_KINDS.index("hot")
    usual = np.where(sensitive & ~hot, dark_current(), np.nan)
    # Not a number next to hot and reference pixels, which is not negative
    assert not np.any(np.diff(usual, axis=axis) < 0)


def test_hot_pixels_are_hotter(hot_dark):
    """The dark current of hot pixels lies in its range."""
    low, high = detector._HOT_DARK_CURRENT
    assert low <= hot_dark.min() <= hot_dark.max() <= high


def test_hot_pixels_are_uniform_in_the_logarithm(hot_dark):
    """The mean logarithm of the dark current is the middle of its range."""
    low, high = np.log(detector._HOT_DARK_CURRENT)
    error = (high - low) / np.sqrt(12 * hot_dark.size)
    assert np.log(hot_dark).mean() == pytest.approx((low + high) / 2, abs=STANDARD_ERRORS * error)


@pytest.mark.parametrize("detector_map", MAPS, ids=lambda each: each.__name__)
def test_map_is_of_one_detector(detector_map):
    """Computed again, a map is the same."""
    np.testing.assert_array_equal(detector_map.__wrapped__(), detector_map())


@pytest.mark.parametrize("detector_map", MAPS, ids=lambda each: each.__name__)
def test_map_cannot_be_changed(detector_map):
    """The shared map is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        detector_map()[0, 0] = 1


@pytest.mark.parametrize("integration", [0, 1])
def test_reset_anomaly_cannot_be_changed(integration):
    """The shared map of the reset anomaly is protected from those who use it."""
    shared = reset_anomaly(integration)
    # Its own value, so that nothing is spoilt where it can be changed
    value = shared[0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        shared[0, 0, 0] = value


def test_linearity_is_undone_to_rounding(signals):
    """The linear signal of a raw signal is what it was made from, pixel by pixel."""
    # Square root, product and sum round once each.
    np.testing.assert_allclose(
        linear_signal(raw_signal(signals, PATCH), PATCH), signals, rtol=4 * np.finfo(float).eps
    )


def test_raw_signal_grows_with_the_linear(signals):
    """A brighter pixel never has a smaller number."""
    assert np.all(np.diff(raw_signal(signals, PATCH), axis=0) > 0)


def test_coefficients_are_those_of_the_correction(signals):
    """The polynomials of the reference file are the function of the simulator."""
    constant, slope, quadratic = linearity_coefficients()[:, *PATCH]
    expected = constant + signals * (slope + signals * quadratic)
    np.testing.assert_allclose(
        linear_signal(signals, PATCH), expected, rtol=4 * np.finfo(float).eps
    )


def test_correction_is_of_the_whole_array_where_nothing_else_is_said(full_signal):
    """Without a choice of pixels, a signal is of the full array."""
    whole = linear_signal(full_signal)
    np.testing.assert_array_equal(whole[PATCH], linear_signal(full_signal[PATCH], PATCH))


def test_correction_has_the_size_of_flight(sensitive):
    """On average, the linear signal is 7 % above a raw one of 50 000 DN."""
    raw = np.full(SHAPE, 50_000.0)
    found = linear_signal(raw)[sensitive] / raw[sensitive] - 1
    error = detector._LINEARITY_SCATTER / np.sqrt(found.size)
    assert found.mean() / 0.07 == pytest.approx(1, abs=STANDARD_ERRORS * error)


def test_correction_scatters_from_pixel_to_pixel(sensitive):
    """The quadratic coefficients have the relative scatter of the constant."""
    quadratic = linearity_coefficients()[2][sensitive]
    error = 1 / np.sqrt(2 * quadratic.size)
    found = quadratic.std() / quadratic.mean() / detector._LINEARITY_SCATTER
    assert found == pytest.approx(1, abs=STANDARD_ERRORS * error)


def test_reference_pixels_are_linear():
    """Reference pixels give the number that they hold."""
    raw = np.full(SHAPE, 50_000.0)
    assert np.all(linear_signal(raw)[reference_pixels()] == 50_000.0)


def test_saturation_level_is_a_whole_number():
    """Pixels are saturated or not by the numbers that the converter gives."""
    level = saturation_level()
    np.testing.assert_array_equal(level, np.rint(level))


def test_saturation_is_flagged_below_the_full_well(full_signal):
    """Every full pixel is above the level at which it is flagged."""
    assert np.all(saturation_level() < raw_signal(full_signal))


def test_saturation_is_flagged_at_its_part_of_the_well():
    """The charge at the level is 97 % of what the pixel holds."""
    charge = (linear_signal(saturation_level()) - BIAS) * gain()
    # Half a number, stretched by the correction, as part of the smallest full well
    half = 0.5 * 1.15 * GAIN / full_well().min()
    np.testing.assert_allclose(charge / full_well(), 0.97, rtol=0, atol=half)


def test_full_well_fits_the_converter(full_signal):
    """The deepest well is full before the numbers end."""
    assert raw_signal(full_signal).max() < LARGEST_NUMBER


# ---------------------------------------------------------------------- the reset


@pytest.mark.parametrize(("integration", "depth"), [(0, -60.0), (1, -30.0)])
def test_reset_anomaly_starts_with_its_depth(sensitive, integration, depth):
    """The first group lacks tens of DN, in the first integration twice as many as later."""
    first = reset_anomaly(integration)[0][sensitive]
    error = detector._RESET_SCATTER / np.sqrt(first.size)
    assert first.mean() / depth == pytest.approx(1, abs=STANDARD_ERRORS * error)


@pytest.mark.parametrize("integration", [0, 1])
def test_reset_anomaly_decays(sensitive, integration):
    """From group to group, what is missing falls by a factor of e."""
    mean = reset_anomaly(integration)[:, sensitive].mean(axis=1, dtype=float)
    # Each value is rounded to 2^-10 DN; the last mean is 0.2 DN at least.
    np.testing.assert_allclose(mean[1:] / mean[:-1], np.exp(-1), rtol=2**-10 / 0.2)


def test_reset_anomaly_ends_far_below_the_read_noise(sensitive):
    """Leaving out what comes after the last group of the map is a tenth of the read noise."""
    left = np.abs(reset_anomaly(0)[-1][sensitive]).mean() * np.exp(-1)
    assert left < 0.1 * READ_NOISE


def test_reset_anomaly_covers_its_groups():
    """The map has the groups that are said."""
    assert reset_anomaly(0).shape == (RESET_GROUPS, *SHAPE)


def test_reset_anomaly_is_the_same_in_all_later_integrations():
    """Only the first integration differs."""
    np.testing.assert_array_equal(reset_anomaly(9), reset_anomaly(1))


def test_reset_anomaly_spares_reference_pixels():
    """Reference pixels start where they stay."""
    assert not reset_anomaly(0)[:, reference_pixels()].any()


def test_reset_anomaly_is_of_one_detector():
    """Computed again, the map is the same."""
    np.testing.assert_array_equal(reset_anomaly.__wrapped__(1), reset_anomaly(1))


# ---------------------------------------------------------------- shared charge


def test_capacitance_keeps_all_charge():
    """What a pixel loses its neighbours get."""
    assert INTERPIXEL_CAPACITANCE.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("flipped", [np.fliplr, np.flipud])
def test_capacitance_is_symmetric(flipped):
    """Charge goes to either side alike."""
    np.testing.assert_array_equal(flipped(INTERPIXEL_CAPACITANCE), INTERPIXEL_CAPACITANCE)


def test_capacitance_is_larger_along_rows():
    """A neighbour in the same row gets more than one in the same column: 3.3 % and 2.4 %."""
    assert (INTERPIXEL_CAPACITANCE[1, 2], INTERPIXEL_CAPACITANCE[2, 1]) == (0.033, 0.024)


def test_capacitance_cannot_be_changed():
    """The shared kernel is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        INTERPIXEL_CAPACITANCE[1, 1] = 1.0


# ------------------------------------------------------------------ fitted groups


@pytest.mark.parametrize(
    ("groups", "integrations", "fitted"),
    [
        (20, 1, [18]),
        (20, 3, [18, 15, 15]),
        (8, 2, [6, 3]),
        (7, 2, [5, 2]),
        (6, 2, [4, 2]),
    ],
)
def test_fitted_groups(groups, integrations, fitted):
    """First and last group are left out, of later integrations four and one, while three stay."""
    assert fitted_groups(groups, integrations) == fitted


@pytest.mark.slow
@pytest.mark.parametrize("groups", range(6, 12))
@pytest.mark.parametrize("integrations", [1, 2, 3])
def test_fitted_groups_are_the_pipelines(groups, integrations):
    """The pipeline's own steps leave as many groups of each integration."""
    from jwst.lastframe.lastframe_sub import do_correction as leave_out_last
    from jwst.rscd.rscd_sub import correction_skip_groups
    from stdatamodels.jwst.datamodels import RampModel, dqflags

    model = RampModel((integrations, groups, 1, 1))
    model.meta.instrument.detector = "MIRIMAGE"
    model.meta.exposure.nints, model.meta.exposure.ngroups = integrations, groups
    model.meta.exposure.integration_end = integrations
    model = leave_out_last(model)
    model = correction_skip_groups(model, detector.GROUP_SKIP_FIRST, detector.GROUP_SKIP_LATER)
    kept = model.groupdq[:, :, 0, 0] & dqflags.group["DO_NOT_USE"] == 0
    assert kept.sum(axis=1).tolist() == fitted_groups(groups, integrations)
