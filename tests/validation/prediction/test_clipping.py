"""The independent sigma-clipped mean is what the background step's documentation says."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.utils.exceptions import AstropyUserWarning

from miri_background.validation.prediction.clipping import (
    average_backgrounds,
    kept_values,
    sigma_clipped_mean,
)
from miri_background.validation.prediction.rounding import different
from miri_background.validation.products.images import Image

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


def exposure(data, error=1.0, dq=GOOD):
    """Return a background exposure; values, errors and flags are broadcast to one shape."""
    data = np.array(data, dtype=np.float32)
    return Image(
        "in memory",
        fits.Header(),
        data,
        np.array(np.broadcast_to(error, data.shape), dtype=np.float32),
        np.array(np.broadcast_to(dq, data.shape), dtype=np.uint32),
    )


def combined(data, error=1.0, dq=GOOD, sigma=SIGMA, **choices):
    """Return the combined background of one pixel, the first axis is that of the exposures.

    The second, if there is one, is that of the integrations.
    """
    data = np.asarray(data, dtype=float)
    error, dq = (
        np.broadcast_to(
            np.reshape(each, np.shape(each) + (1,) * (data.ndim - np.ndim(each))), data.shape
        )
        if np.ndim(each)
        else np.full(data.shape, each)
        for each in (error, dq)
    )
    pixels = [
        exposure(*(each[..., np.newaxis, np.newaxis] for each in planes))
        for planes in zip(data, error, dq, strict=True)
    ]
    return average_backgrounds(pixels, sigma, **choices)


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


def test_flags_can_reject():
    """Where flags count, a finite value that is not to be used is not averaged."""
    result = combined(
        [10.0, 11.0, 12.0, STAR],
        error=[1.0, 1.0, 1.0, 7.0],
        dq=[GOOD, JUMP, GOOD, DO_NOT_USE],
        sigma=3.0,
        masked=True,
    )
    expected = (11.0, np.sqrt(3) / 3, 3)
    found = (result.data.item(), result.error.item(), result.kept.item())
    assert found == pytest.approx(expected, rel=FLOAT64_ROUNDING)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixel_of_one_member_without_value(value):
    """What is not finite is left out of value, error and number."""
    result = combined([10.0, 11.0, 12.0, value], error=[1.0, 2.0, 2.0, 100.0])
    expected = (11.0, np.sqrt(1 + 4 + 4) / 3, 3)
    found = (result.data.item(), result.error.item(), result.kept.item())
    assert found == pytest.approx(expected, rel=FLOAT64_ROUNDING)


def test_infinite_error_of_a_kept_value_spreads():
    """What is infinitely uncertain is averaged, and so is its error."""
    assert np.isinf(combined([SKY] * 4, error=[1.0, 1.0, np.inf, 1.0]).error.item())


def test_error_of_a_rejected_value_may_be_anything():
    """The error of what is not averaged does not count, even where there is none."""
    result = combined(FOUR_WITH_STAR, error=[1.0, 2.0, 2.0, np.nan])
    assert result.error.item() == pytest.approx(1.0, rel=FLOAT64_ROUNDING)


def test_single_member_is_itself():
    """One background is its own average, whatever the threshold."""
    result = combined([SKY], error=[3.0], dq=[JUMP], sigma=0.5)
    assert (result.data.item(), result.error.item(), result.dq.item()) == (SKY, 3.0, JUMP)


# ------------------------------------------------------------------ integrations


def test_error_of_integrations():
    """Three integrations of error 1 have a mean of error 1, and four such members 1/2.

    Squared errors of integrations are averaged, not divided by their number.
    """
    assert combined(np.full((4, 3), SKY)).error.item() == pytest.approx(0.5, rel=FLOAT64_ROUNDING)


def test_integration_is_clipped_before_the_members():
    """Of 10, 10, 11, 11, 500 the last goes, so that the member gives 10.5, as the others do."""
    integrations = [[10.0, 10.0, 11.0, 11.0, STAR]] + [[10.5] * 5] * 3
    result = combined(integrations, sigma=1.9)
    assert (result.data.item(), result.kept.item()) == (10.5, 4)


def test_errors_of_integrations_are_clipped_by_themselves():
    """Squared errors 1, 1, 1, 1, 10000 give 1, though all values are kept."""
    errors = [[1.0, 1.0, 1.0, 1.0, 100.0]] + [[1.0] * 5] * 3
    result = combined(np.full((4, 5), SKY), error=errors)
    assert result.error.item() == pytest.approx(0.5, rel=FLOAT64_ROUNDING)


def test_error_of_a_clipped_integration_counts():
    """A value's rejection does not reject its error: (16 + 9 + 1 + 1) / 4 / 4 under the root."""
    values = [[10.0, 10.0, 11.0, 11.0, STAR]] + [[10.5] * 5] * 3
    errors = [[1.0, 3.0, 1.0, 3.0, 2.0]] + [[1.0] * 5] * 3
    result = combined(values, error=errors, sigma=1.9)
    expected = np.sqrt((1 + 9 + 1 + 9 + 4) / 5 + 3) / 4
    assert result.error.item() == pytest.approx(expected, rel=FLOAT64_ROUNDING)


def test_flags_of_integrations_are_united():
    """A flag of any integration of any member is a flag of the average."""
    dq = [[GOOD, JUMP], [GOOD, GOOD], [DO_NOT_USE, GOOD]]
    assert combined(np.full((3, 2), SKY), dq=dq).dq.item() == DO_NOT_USE | JUMP


def test_members_may_differ_in_integrations():
    """Each member is averaged over its own integrations, and counts once."""
    members = [exposure(np.full((number, 1, 1), value)) for number, value in ((2, 9.0), (5, 11.0))]
    assert average_backgrounds(members, 3.0).data.item() == 10.0


@pytest.mark.parametrize(("empty_as_zero", "expected"), [(True, 7.5), (False, 10.0)])
def test_member_without_any_integration(empty_as_zero, expected):
    """A member's pixel without a value counts as 0, as in jwst 3.0.0, or is left out."""
    values = [[10.0, 10.0]] * 3 + [[np.nan, np.nan]]
    assert combined(values, sigma=3.0, empty_as_zero=empty_as_zero).data.item() == expected


def test_member_that_sees_nothing_is_left_out():
    """A cube without overlap has no integration: it does not count as 0."""
    members = [exposure(np.full((2, 1, 1), SKY))] * 3 + [exposure(np.empty((0, 1, 1)))]
    result = average_backgrounds(members, 3.0)
    assert (result.data.item(), result.kept.item()) == (SKY, 3)


def test_flags_of_integrations_can_reject():
    """Where flags count, an integration that is not to be used is not averaged."""
    dq = [[GOOD, DO_NOT_USE]] + [[GOOD, GOOD]] * 3
    values = [[10.0, 12.0]] + [[10.0, 10.0]] * 3
    assert combined(values, dq=dq, sigma=3.0, masked=True).data.item() == 10.0


# ------------------------------------------------------------------ certainty


@pytest.mark.parametrize("members", [[SKY], [SKY] * 2, [SKY] * 3, [0.1] * 7, [[0.1] * 3] * 4])
def test_equal_values_are_certain(members):
    """What is the median itself is kept, however the deviation is rounded."""
    assert combined(members).certain.item()


def test_pixel_without_values_is_certain():
    """Where there is nothing to clip no decision is in doubt."""
    assert combined([np.nan] * 4).certain.item()


def test_value_on_the_limit_is_not_certain():
    """Two values are one standard deviation from their midpoint: sigma 1 may go either way."""
    assert not combined([SKY, STAR], sigma=1.0).certain.item()


@pytest.mark.parametrize(
    ("shape", "most"), [((4, 100_000), 2e-4), ((4, 5, 20_000), 5e-3)], ids=["rates", "rateints"]
)
def test_few_decisions_hang_on_rounding(shape, most):
    """Of noise, hardly a pixel is left out for being within rounding of its limit."""
    generator = np.random.default_rng(770)
    members = [exposure(each) for each in generator.normal(SKY, 0.3, shape)[..., np.newaxis, :]]
    assert np.mean(~average_backgrounds(members, SIGMA).certain) < most


def single_precision(members, sigma):
    """Return value and error of backgrounds that are averaged all in single precision."""
    values, errors = (
        np.stack([getattr(image, name) for image in members]) for name in ("data", "err")
    )
    keep = np.ones(values.shape, dtype=bool)
    for _ in members:
        left = np.where(keep, values, np.float32(np.nan))
        deviation = np.nanstd(left, axis=0, dtype=np.float32)
        keep &= np.abs(values - np.nanmedian(left, axis=0)) <= np.float32(sigma) * deviation
    count = keep.sum(axis=0).astype(np.float32)
    total, squares = np.zeros((2, *count.shape), dtype=np.float32)
    for value, error, kept in zip(values, errors, keep, strict=True):
        total += np.where(kept, value, np.float32(0))
        squares += np.where(kept, error, np.float32(0)) ** 2
    return total / count, np.sqrt(squares) / count


@pytest.mark.parametrize(("count", "shape"), [(4, (100, 1000)), (20, (100, 200))])
def test_single_precision_is_within_rounding(count, shape):
    """What is said about rounding holds for a step that averages in single precision."""
    generator = np.random.default_rng(count)
    members = [
        exposure(generator.normal(SKY, 0.3, shape), generator.uniform(0.2, 0.4, shape))
        for _ in range(count)
    ]
    average = average_backgrounds(members, SIGMA)
    value, error = single_precision(members, SIGMA)
    wrong = np.abs(value - average.data) > average.rounding
    wrong |= np.abs(error - average.error) > average.error_rounding
    assert not (wrong & average.certain).any()


# ------------------------------------------------------------------ against astropy


def astropy_average(backgrounds, sigma, maxiters):
    """Return value and error as masked arithmetic with astropy's clipping gives them.

    Integrations in single precision, as they are stored.
    """
    values, variances = [], []
    with warnings.catch_warnings():
        # That it clips what is not finite is asked for.
        warnings.simplefilter("ignore", AstropyUserWarning)
        for image in backgrounds:
            planes = (image.data, image.err * image.err)
            if image.data.ndim == 3:
                planes = (
                    sigma_clip(plane, sigma=sigma, maxiters=maxiters, axis=0).mean(axis=0).filled(0)
                    for plane in planes
                )
            for plane, kind in zip(planes, (values, variances), strict=True):
                kind.append(np.asarray(plane, dtype=float))
        clipped = sigma_clip(np.stack(values), sigma=sigma, maxiters=maxiters, axis=0)
    squares = np.ma.masked_array(np.stack(variances), clipped.mask)
    error = np.sqrt(squares.sum(axis=0).filled(0.0)) / np.maximum(squares.count(axis=0), 1)
    # Masked division would hide an error that is not a number.
    return clipped.mean(axis=0).filled(0.0), np.ma.getdata(error)


@pytest.mark.parametrize("integrations", [None, 1, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(("sigma", "maxiters"), [(1.2, 2), (2.0, None), (2.0, 0), (3.0, 1)])
def test_average_agrees_with_astropy(integrations, count, sigma, maxiters):
    """Values and errors are those of astropy's clipping, with all that rates may hold."""
    generator = np.random.default_rng([count, integrations or 0])
    shape = (30, 40) if integrations is None else (integrations, 30, 40)
    members = []
    for _ in range(count):
        data = generator.normal(SKY, 0.3, shape) + STAR * (generator.random(shape) < 0.05)
        error = generator.uniform(0.2, 0.4, shape)
        for plane, value in ((data, np.nan), (data, np.inf), (error, np.nan), (error, np.inf)):
            plane[generator.random(shape) < 0.02] = value
        data[..., 0, :] = np.nan
        members.append(exposure(data, error))
    average = average_backgrounds(members, sigma, maxiters)
    value, error = astropy_average(members, sigma, maxiters)
    certain = average.certain
    assert np.mean(certain) > 0.98
    for found, expected, allowed in (
        (average.data, value, average.rounding),
        (average.error, error, average.error_rounding),
    ):
        assert not (different(found, expected, allowed) & certain).any()


def test_blocks_make_no_difference(monkeypatch):
    """The average of rows does not depend on how many are averaged at a time."""
    generator = np.random.default_rng(770)
    members = [exposure(generator.normal(SKY, 1.0, (2, 17, 5))) for _ in range(4)]
    whole = average_backgrounds(members, SIGMA)
    monkeypatch.setattr("miri_background.validation.prediction.clipping._BLOCK", 60)
    parts = average_backgrounds(members, SIGMA)
    for name, plane in vars(whole).items():
        np.testing.assert_array_equal(vars(parts)[name], plane)


# ------------------------------------------------------------------ cost

_MEASURE = """
import resource, sys
import numpy as np
from astropy.io import fits
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.products.images import Image
generator = np.random.default_rng(770)
shape = (1024, 1032)
one = generator.normal(14.0, 0.3, shape).astype(np.float32)
members = [
    Image("", fits.Header(), np.roll(one, number * 1000), one, one.astype(np.uint32))
    for number in range(int(sys.argv[1]))
]
before = resource.getrusage(resource.RUSAGE_SELF)
average_backgrounds(members, float(sys.argv[2]))
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime, (after.ru_maxrss - before.ru_maxrss) / 1024)
"""


def cost(count, sigma):
    """Return processor time in seconds and memory in MB that an average of whole arrays takes."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(count), str(sigma)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


@pytest.mark.slow
def test_four_whole_arrays_take_two_seconds():
    """Four rates of the whole detector take at most 2 s and 300 MB beside themselves."""
    seconds, megabytes = cost(4, 2.0)
    assert (seconds < 2.0, megabytes < 300) == (True, True)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_members():
    """A hundred rates, 845 MB in double precision, take no more than four may."""
    _, megabytes = cost(100, 3.0)
    assert megabytes < 300
