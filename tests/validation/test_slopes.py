"""The noise of a slope follows from the weights of the fit, as ramps made at random show."""

import numpy as np
import pytest

from miri_background.validation.slopes import read_weighting, slope_noise

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


def noise(rate, fitted):
    """Return true and reported noise for this file's detector."""
    return slope_noise(np.array(rate), GAIN, READ_NOISE, TIME, fitted)


@pytest.mark.parametrize("groups", [4, 5, 19])
@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_is_the_scatter_of_ramps(ratio, groups, generator):
    """Each exponent of the weights, for odd and even numbers of groups."""
    rate = rate_of(ratio, groups)
    true, _ = noise(rate, [groups])
    assert true == pytest.approx(slopes(rate, groups, generator).std(), rel=SCATTER_TOLERANCE)


@pytest.mark.parametrize("ratio", RATIOS)
def test_noise_of_two_integrations_is_the_scatter_of_their_mean(ratio, generator):
    """Integrations of different length, weighted by the inverse of what is reported."""
    fitted = [18, 15]
    rate = rate_of(ratio, fitted[0])
    weights = np.array([1 / reported_variance(rate, groups) for groups in fitted])
    each = [slopes(rate, groups, generator) for groups in fitted]
    true, _ = noise(rate, fitted)
    scatter = np.average(each, axis=0, weights=weights).std()
    assert true == pytest.approx(scatter, rel=SCATTER_TOLERANCE)


@pytest.mark.parametrize("ratio", RATIOS)
def test_reported_noise_is_the_documented_one(ratio):
    """Photons as if the ends of the ramp counted, reads as if all counted alike."""
    rate = rate_of(ratio, 19)
    _, reported = noise(rate, [19])
    assert reported == pytest.approx(np.sqrt(reported_variance(rate, 19)), rel=ROUNDING)


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
