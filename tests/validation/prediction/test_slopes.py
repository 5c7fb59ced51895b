"""The noise of a slope follows from the weights of the fit, as ramps made at random show."""

import numpy as np
import pytest
from scipy.stats import norm

from miri_background.validation.prediction.slopes import (
    equal_weights,
    pipeline_weights,
    read_weighting,
    reported_photons,
    slope_noise,
    slope_statistics,
)

GAIN = 4.0  # electron / DN
READ_NOISE = 6.0  # DN
TIME = 2.8  # s
RAMPS = 40_000
# Sampling error of a standard deviation from so many ramps, four times.
SCATTER_TOLERANCE = 4 / np.sqrt(2 * RAMPS)
ROUNDING = 1e-12

# jwst documentation, "Ramp fitting", optimal weighting: exponents from each ratio on.
EXPONENTS = {0: 0.0, 5: 0.4, 10: 1.0, 20: 3.0, 50: 6.0, 100: 10.0}
# Inside the steps, by more than the ratio of a single ramp is uncertain.
RATIOS = [1.0, 7.2, 14.0, 33.0, 73.0, 150.0]


@pytest.fixture
def generator():
    """Return a random generator that is the same in each test."""
    return np.random.default_rng(770)


def rate_of(ratio, groups):
    """Return the rate, DN/s, whose ramps have a signal-to-noise ratio."""
    reads = (READ_NOISE * GAIN) ** 2
    electrons = (ratio**2 + np.sqrt(ratio**4 + 4 * ratio**2 * reads)) / 2
    return electrons / GAIN / TIME / (groups - 1)


def ratio_of(rate, groups):
    """Return the signal-to-noise ratio of a ramp."""
    electrons = rate * GAIN * TIME * (groups - 1)
    return electrons / np.sqrt(electrons + (READ_NOISE * GAIN) ** 2)


def slopes(rate, groups, generator):
    """Return slopes, DN/s, fitted to ramps with photon and read noise."""
    photons = generator.poisson(rate * TIME * GAIN, (groups, RAMPS))
    ramps = np.cumsum(photons, axis=0) / GAIN + generator.normal(0, READ_NOISE, photons.shape)
    exponent = EXPONENTS[max(step for step in EXPONENTS if step <= ratio_of(rate, groups))]
    middle = (groups - 1) / 2
    weights = np.abs((np.arange(groups) - middle) / middle) ** exponent
    # The function squares what it is given.
    return np.polyfit(np.arange(groups) * TIME, ramps, 1, w=np.sqrt(weights))[0]


def reported_variance(rate, groups):
    """Return the variance that the documentation gives for a slope, (DN/s)^2."""
    photons = rate / GAIN / TIME / (groups - 1)
    return photons + 12 * READ_NOISE**2 / (groups**3 - groups) / TIME**2


def noise(rate, fitted, averaged=pipeline_weights):
    """Return true and reported noise for this file's detector."""
    return slope_noise(np.array(rate), GAIN, READ_NOISE, TIME, averaged(fitted))


@pytest.mark.parametrize("groups", [4, 5, 19])
@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_is_the_scatter_of_ramps(ratio, groups, generator):
    """Each exponent of the weights, for odd and even numbers of groups."""
    rate = rate_of(ratio, groups)
    true, _ = noise(rate, [groups])
    assert true == pytest.approx(slopes(rate, groups, generator).std(), rel=SCATTER_TOLERANCE)


@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_of_two_integrations_is_the_scatter_of_their_mean(ratio, generator):
    """Integrations of different length, weighted by the inverse of their reads' variance."""
    fitted = [18, 12]
    rate = rate_of(ratio, fitted[0])
    weights = np.array([1 / reported_variance(0.0, groups) for groups in fitted])
    each = [slopes(rate, groups, generator) for groups in fitted]
    true, _ = noise(rate, fitted)
    scatter = np.average(each, axis=0, weights=weights).std()
    assert true == pytest.approx(scatter, rel=SCATTER_TOLERANCE)


@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_of_integrations_that_count_alike_is_that_of_their_mean(ratio, generator):
    """What scatters, and the mean of what is reported of each."""
    fitted = [18, 12, 12]
    rate = rate_of(ratio, fitted[0])
    each = [slopes(rate, groups, generator) for groups in fitted]
    true, reported = noise(rate, fitted, equal_weights)
    assert true == pytest.approx(np.mean(each, axis=0).std(), rel=SCATTER_TOLERANCE)
    variance = np.mean([reported_variance(rate, groups) for groups in fitted]) / len(fitted)
    assert reported == pytest.approx(np.sqrt(variance), rel=ROUNDING)


def test_one_integration_is_averaged_by_nobody():
    """Both ways are the same for it."""
    assert noise(10.0, [19], equal_weights) == pytest.approx(noise(10.0, [19]), rel=ROUNDING)


@pytest.mark.parametrize("ratio", RATIOS)
def test_reported_noise_is_the_documented_one(ratio):
    """Photons as if the ends of the ramp counted, reads as if all counted alike."""
    rate = rate_of(ratio, 19)
    _, reported = noise(rate, [19])
    assert reported == pytest.approx(np.sqrt(reported_variance(rate, 19)), rel=ROUNDING)


@pytest.mark.parametrize("ratio", RATIOS)
def test_reported_noise_of_two_integrations_adds_inverse_variances_of_each_kind(ratio):
    """Photons and reads are averaged over the integrations each by itself."""
    fitted = [18, 12]
    rate = rate_of(ratio, fitted[0])
    reads = [reported_variance(0.0, groups) for groups in fitted]
    photons = [
        reported_variance(rate, groups) - of_reads
        for groups, of_reads in zip(fitted, reads, strict=True)
    ]
    expected = np.sqrt(sum(1 / np.sum(1 / np.array(kind)) for kind in (photons, reads)))
    _, reported = noise(rate, fitted)
    assert reported == pytest.approx(expected, rel=ROUNDING)


def test_reported_noise_of_equal_integrations_falls_with_their_root():
    """Four alike have half the noise of one."""
    _, one = noise(10.0, [19])
    _, four = noise(10.0, [19] * 4)
    assert four == pytest.approx(one / 2, rel=ROUNDING)


def test_true_noise_of_equal_integrations_falls_with_their_root():
    """So does what they scatter."""
    one, _ = noise(10.0, [19])
    four, _ = noise(10.0, [19] * 4)
    assert four == pytest.approx(one / 2, rel=ROUNDING)


def test_three_groups_by_hand():
    """Half of the last minus the first: a half each of a group's photons and of a read's noise."""
    rate = 25.0
    by_hand = np.sqrt((rate * TIME / GAIN + READ_NOISE**2) / 2) / TIME
    np.testing.assert_allclose(noise(rate, [3]), by_hand, rtol=ROUNDING)


def test_without_light_the_reported_noise_is_true():
    """Read noise alone, with equal weights, is the textbook's case."""
    true, reported = noise(0.0, [19])
    assert true == pytest.approx(reported, rel=ROUNDING)


def test_noise_of_an_image_is_that_of_its_pixels():
    """Pixels of different exponents are independent."""
    rates = np.array([[0.0, 3.0], [40.0, 2000.0]])
    together, _ = noise(rates, [19])
    single = [noise(rate, [19])[0] for rate in rates.ravel()]
    np.testing.assert_allclose(together.ravel(), single, rtol=ROUNDING)


@pytest.mark.parametrize("groups", [4, 5, 19])
def test_reads_weigh_no_less_than_with_equal_weights(groups):
    """Equal weights have the least variance of reads, the two ends alone the most."""
    ends = (groups**3 - groups) / 6 / (groups - 1) ** 2
    found = [read_weighting(groups, ratio) for ratio in RATIOS]
    assert np.all(np.diff([1 - ROUNDING, *found, ends + ROUNDING]) >= 0)


@pytest.mark.parametrize("groups", [3, 4, 19])
def test_reads_weigh_alike_at_low_signal(groups):
    """Below a ratio of five, weights are equal."""
    assert read_weighting(groups, 1.0) == pytest.approx(1, rel=ROUNDING)


def test_near_a_step_the_larger_weight_is_assumed():
    """The ratio of a single ramp may lie on the other side."""
    assert read_weighting(19, 4.9) == read_weighting(19, 7.0) > read_weighting(19, 3.0)


# ------------------------------------------------------------------ weights by the ramp's own ratio

GROUPS = 18


def own_weights_slopes(rate, generator):
    """Return slopes, DN/s, of ramps that are fitted with the exponent of their own ratio."""
    photons = generator.poisson(rate * TIME * GAIN, (GROUPS, RAMPS))
    ramps = np.cumsum(photons, axis=0) / GAIN + generator.normal(0, READ_NOISE, photons.shape)
    electrons = np.maximum(GAIN * (ramps[-1] - ramps[0]), 0)
    ratio = electrons / np.sqrt(electrons + (READ_NOISE * GAIN) ** 2)
    middle = (GROUPS - 1) / 2
    steps = np.abs((np.arange(GROUPS) - middle) / middle)
    fitted = np.zeros(RAMPS)
    starts = np.array(list(EXPONENTS))
    for number, exponent in enumerate(EXPONENTS.values()):
        mine = np.searchsorted(starts, ratio, side="right") - 1 == number
        if mine.any():
            weights = np.sqrt(steps**exponent)
            fitted[mine] = np.polyfit(np.arange(GROUPS) * TIME, ramps[:, mine], 1, w=weights)[0]
    return fitted


def statistics(lowest, highest):
    """Return the statistics for this file's detector."""
    one = np.ones(1)
    averaging = pipeline_weights([GROUPS])
    return slope_statistics((lowest, highest), GAIN * one, READ_NOISE * one, TIME, averaging)


@pytest.fixture(scope="module", params=[10, 20, 50], ids=lambda ratio: f"ratio {ratio}")
def at_step(request):
    """Return slopes of ramps at a step of the exponent, their rate, and what is predicted."""
    rate = rate_of(request.param, GROUPS)
    found = own_weights_slopes(rate, np.random.default_rng(request.param))
    return rate, found, statistics(0.8 * rate, 1.2 * rate)


def test_offset_of_chosen_weights(at_step):
    """Slopes of ramps that choose their weights are off by what is predicted."""
    rate, found, predicted = at_step
    error = found.std() / np.sqrt(RAMPS)
    assert abs(found.mean() - rate - predicted.offset(rate)) < 4 * error


def test_scatter_of_chosen_weights(at_step):
    """Their scatter is that of fixed weights times the predicted ratio."""
    rate, found, predicted = at_step
    expected = float(noise(rate, [GROUPS])[0]) * predicted.ratio(rate)
    # Between grid and step, fixed weights jump by 2 %: either side of the step is right.
    assert found.std() == pytest.approx(expected, rel=SCATTER_TOLERANCE + 0.02)


def test_weights_choose_high_slopes():
    """At a step, the mean slope is too high: five standard errors of the draws are seen."""
    rate = rate_of(10, GROUPS)
    assert statistics(0.8 * rate, 1.2 * rate).offset(rate) > 0


def test_between_steps_nothing_is_chosen():
    """Far from any step all ramps are fitted alike."""
    rate = rate_of(33, GROUPS)
    assert statistics(0.99 * rate, 1.01 * rate).offset(rate) == pytest.approx(0, abs=1e-4 * rate)


def test_beyond_the_rates_there_is_no_offset():
    """Sources much brighter than the sky are fitted with the weights of photons."""
    rate = rate_of(10, GROUPS)
    assert statistics(0.8 * rate, 1.2 * rate).offset(3 * rate) == 0


@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_photons_of_two_groups_by_hand(ratio):
    """Their one difference is normal, and counts as nothing where it is negative."""
    read_noise, frame_time = 6.0, 2.0
    rate = ratio * np.sqrt(2) * read_noise / frame_time
    # Of so many electrons, photons add nothing to the noise.
    found = reported_photons(rate, np.array([1e9]), np.array([read_noise]), frame_time, [2])
    expected = norm.cdf(ratio) + norm.pdf(ratio) / ratio
    # One standard deviation of the mean of 20 000 ramps is 1 / (141 ratio).
    assert found == pytest.approx(expected, abs=3 / (141 * ratio))


def test_photons_of_bright_ramps_are_what_there_are():
    """No difference of groups is negative."""
    found = reported_photons(1000.0, np.array([5.5]), np.array([6.0]), 2.0, [10, 5])
    assert found == pytest.approx(1.0, abs=1e-3)
