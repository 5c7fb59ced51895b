"""The independent sigma-clipped mean is what the background step's documentation says."""

import warnings

import numpy as np
import pytest
from astropy.stats import sigma_clip
from astropy.utils.exceptions import AstropyUserWarning

from miri_background.validation.clipping import combine_backgrounds, kept_values, sigma_clipped_mean

SKY = 10.0
STAR = 500.0
SIGMA = 2.0
FOUR_WITH_STAR = [SKY, SKY, SKY, STAR]
# How far one value of n can be from the median, population standard deviations: n / sqrt(n - 1).
LARGEST_DISTANCE_OF_FOUR = 4 / np.sqrt(3)
# 100 is far from the rest at once, 3 only when 100 is gone.
TWO_IN_TURN = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 100.0]
GOOD, DO_NOT_USE, JUMP = 0, 1, 4
FLOAT64_ROUNDING = 1e-12


def kept(values, sigma, maxiters=None):
    """Return which values of one pixel are kept, as a list."""
    return kept_values(np.array(values), sigma, maxiters)[0].tolist()


def combined(data, error=None, dq=None, sigma=SIGMA, maxiters=None):
    """Return the combined background of one pixel."""
    data = np.array(data, dtype=float)[:, np.newaxis, np.newaxis]
    error, dq = (
        np.array(given if given is not None else np.full(len(data), default)).reshape(data.shape)
        for given, default in ((error, 1.0), (dq, GOOD))
    )
    return combine_backgrounds(data, error, dq.astype(np.uint32), sigma, maxiters)


def test_one_star_of_four_is_rejected():
    """At sigma 2 the one high value of four goes."""
    assert kept(FOUR_WITH_STAR, 2.0) == [True, True, True, False]


def test_one_star_of_four_is_never_rejected_at_sigma_3():
    """However bright, one value of four is not 3 standard deviations away."""
    assert all(kept([0.0, 0.0, 0.0, 1e12], 3.0))


@pytest.mark.parametrize(("factor", "stays"), [(1 - 1e-9, False), (1 + 1e-9, True)])
def test_largest_distance_of_four(factor, stays):
    """One value of four is 4 / sqrt(3) = 2.309 standard deviations from the median."""
    assert kept(FOUR_WITH_STAR, factor * LARGEST_DISTANCE_OF_FOUR)[-1] is stays


@pytest.mark.parametrize("count", [3, 5, 8])
def test_largest_distance_of_any_number(count):
    """One value of n is n / sqrt(n - 1) standard deviations from the median."""
    values = [SKY] * (count - 1) + [STAR]
    largest = count / np.sqrt(count - 1)
    assert [kept(values, factor * largest)[-1] for factor in (0.999, 1.001)] == [False, True]


def test_low_value_is_rejected():
    """Clipping works on both sides."""
    assert kept([STAR, STAR, STAR, SKY], 2.0) == [True, True, True, False]


def test_neither_of_two_is_rejected():
    """Two values are one standard deviation from their midpoint, whatever they are."""
    assert all(kept([SKY, STAR], 1.001))


def test_two_equal_stars_of_four_are_not_rejected():
    """The median lies between the pairs, one standard deviation from each."""
    assert all(kept([SKY, SKY, STAR, STAR], 1.001))


def test_centre_is_the_median():
    """7 is 2.45 standard deviations from the median and only 1.68 from the mean."""
    assert kept([0.0, 0.0, 0.0, 4.0, 7.0], 2.0, maxiters=1)[-1] is False


def test_deviation_is_the_populations():
    """7 is 2.45 population and 2.19 sample standard deviations from the median."""
    assert kept([0.0, 0.0, 0.0, 4.0, 7.0], 2.3, maxiters=1)[-1] is False


def test_value_on_the_limit_is_kept():
    """A value exactly sigma standard deviations away is not further than that."""
    assert all(kept([-1.0, -1.0, 1.0, 1.0], 1.0))


@pytest.mark.parametrize(
    ("maxiters", "rejected"), [(1, [100.0]), (2, [3.0, 100.0]), (None, [3.0, 100.0])]
)
def test_iterations_are_counted(maxiters, rejected):
    """Each iteration rejects what is far from the median of what the last one left."""
    keep = kept(TWO_IN_TURN, SIGMA, maxiters)
    assert [value for value, stays in zip(TWO_IN_TURN, keep, strict=True) if not stays] == rejected


def test_iterations_end_by_themselves():
    """A chain of values, each far only when the next is gone, is followed to its end."""
    chain = [0.0] * 8 + [10.0**power for power in range(12)]
    assert kept(chain, SIGMA) == [True] * 8 + [False] * 12


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_never_kept(value):
    """What is not a number is neither averaged nor counted."""
    assert kept([SKY, SKY, value], 3.0) == [True, True, False]


def test_values_that_are_not_finite_do_not_count():
    """Two values that are left cannot reject each other: n is 2, not 4."""
    assert kept([SKY, STAR, np.nan, np.nan], 1.001) == [True, True, False, False]


def test_margin_of_a_decision():
    """Median 0, deviation 1: at sigma 3 the values at 1 are 2 from being rejected, 0 is 3."""
    _, margin = kept_values(np.array([-1.0, -1.0, 1.0, 1.0]), 3.0)
    assert margin == 2.0


def test_margin_is_the_smallest_of_all_iterations():
    """Of star and sky, the star's distance and then the sky's own zero are compared."""
    _, margin = kept_values(np.array(FOUR_WITH_STAR), SIGMA, maxiters=1)
    star = STAR - SKY
    assert margin == pytest.approx(star * (1 - SIGMA * np.sqrt(3) / 4), rel=FLOAT64_ROUNDING)


def test_mean_is_of_the_kept_values():
    """The star does not count."""
    assert sigma_clipped_mean(np.array([9.0, 10.0, 11.0, STAR]), SIGMA) == SKY


def test_mean_of_nothing_is_not_a_number():
    """Without a value there is no mean."""
    assert np.isnan(sigma_clipped_mean(np.array([np.nan, np.nan]), SIGMA))


def test_pixels_are_independent():
    """Each pixel is clipped along the exposures, whatever its neighbours hold."""
    image = np.full((4, 2, 3), SKY)
    image[2, 1, 0] = STAR
    expected = np.ones(image.shape, dtype=bool)
    expected[2, 1, 0] = False
    np.testing.assert_array_equal(kept_values(image, SIGMA)[0], expected)


def test_input_is_not_changed():
    """Arrays of the caller stay as they are."""
    values = np.array([*FOUR_WITH_STAR, np.nan])
    before = values.copy()
    kept_values(values, SIGMA)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("count", range(2, 13))
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("maxiters", [1, 2, 3, None])
def test_agrees_with_astropy(count, sigma, maxiters):
    """Masks are those of the function that the step calls, but for decisions within rounding."""
    generator = np.random.default_rng([count, int(sigma)])
    values = generator.normal(SKY, 1.0, (count, 5_000))
    values += STAR * (generator.random(values.shape) < 0.1)
    values[generator.random(values.shape) < 0.05] = np.nan
    with warnings.catch_warnings():
        # That it clips what is not finite is asked for.
        warnings.simplefilter("ignore", AstropyUserWarning)
        rejected = sigma_clip(values, sigma=sigma, maxiters=maxiters, axis=0).mask
    keep, margin = kept_values(values, sigma, maxiters)
    certain = margin > FLOAT64_ROUNDING * STAR
    np.testing.assert_array_equal(keep[:, certain], ~rejected[:, certain])


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_decisions_on_noise_are_certain(sigma):
    """No pixel is left out of a comparison for being within rounding of its limit."""
    values = np.random.default_rng(770).normal(SKY, 1.0, (4, 100_000))
    _, margin = kept_values(values, sigma)
    assert np.all(margin > FLOAT64_ROUNDING * STAR)


def test_error_formula():
    """The worked example of the step's documentation: errors 1, 2, 3, 4 give 1.369."""
    result = combined([SKY] * 4, error=[1.0, 2.0, 3.0, 4.0])
    assert result.error.item() == pytest.approx(np.sqrt(1 + 4 + 9 + 16) / 4, rel=FLOAT64_ROUNDING)


def test_error_is_of_the_kept_values():
    """The error of the rejected value does not count."""
    result = combined(FOUR_WITH_STAR, error=[1.0, 2.0, 2.0, 100.0])
    assert result.error.item() == pytest.approx(np.sqrt(1 + 4 + 4) / 3, rel=FLOAT64_ROUNDING)


def test_error_that_is_not_a_number_spreads():
    """The mean of a value without error has no error."""
    assert np.isnan(combined([SKY] * 4, error=[1.0, 1.0, np.nan, 1.0]).error.item())


def test_pixel_without_values_is_zero():
    """Where no background has a value nothing is subtracted, with no error."""
    result = combined([np.nan] * 4)
    assert (result.data.item(), result.error.item()) == (0.0, 0.0)


def test_flags_are_united():
    """A flag of any background is a flag of the average."""
    result = combined([SKY] * 4, dq=[GOOD, DO_NOT_USE, JUMP, GOOD])
    assert result.dq.item() == DO_NOT_USE | JUMP


def test_flags_of_rejected_values_count():
    """The average is flagged even where the flagged value is not in it."""
    assert combined(FOUR_WITH_STAR, dq=[GOOD, GOOD, GOOD, JUMP]).dq.item() == JUMP


def test_flags_do_not_reject():
    """A finite value that is not to be used is averaged like any other."""
    result = combined([10.0, 11.0, 12.0, STAR], dq=[GOOD, GOOD, GOOD, DO_NOT_USE], sigma=3.0)
    assert result.data.item() == (10 + 11 + 12 + 500) / 4


def test_flags_keep_their_type():
    """Flags are compared with those of a product, which are unsigned 32-bit numbers."""
    assert combined([SKY] * 4, dq=[GOOD, GOOD, GOOD, 2**31]).dq.dtype == np.uint32
