"""What clipping is predicted to leave of a source is what it leaves."""

import numpy as np
import pytest
from astropy.stats import sigma_clip

from miri_background.validation.prediction.clipping import kept_values
from miri_background.validation.prediction.clipping_theory import Clipping, largest_deviation

NOISE = 0.3  # DN/s
PHOTON_TIME = 190.0  # (DN/s) / (DN/s)^2, of 20 groups
BACKGROUNDS = 4
MAXITERS = 3
FAINT = 0.05 * NOISE
BRIGHT = 100.0 * NOISE
# Chance that a correct prediction is further off than so many standard errors: 1 in 16 000.
K = 4.0
DRAWS = 120  # that the prediction averages
SKY_DRAWS = 400_000  # values that its variance on empty sky is taken from
BRUTE_DRAWS = 20_000


def sources(*columns):
    """Return source rates, shape (exposures, 1, pixels), of each pixel's rates in the exposures."""
    return np.array(columns, dtype=float).T[:, np.newaxis, :]


def prediction(rates, sigma=2.0, maxiters=MAXITERS):
    """Return predicted leak and variance of each pixel."""
    scatter = np.sqrt(NOISE**2 + rates / PHOTON_TIME)
    leak, variance = Clipping(len(rates), sigma, maxiters, NOISE).leak(rates, scatter)
    return leak[0], variance[0]


def deviation(leak, variance, expected):
    """Return by how many of its own standard errors the prediction is off."""
    return np.abs(leak - expected) / np.sqrt(variance / DRAWS)


def test_faint_source_is_averaged():
    """What drowns in noise is never rejected: the mean of the exposures stays."""
    leak, _ = prediction(sources([FAINT, 0, 0, 0], [FAINT, FAINT, 0, 0]))
    np.testing.assert_allclose(leak, [FAINT / 4, FAINT / 2])


def test_empty_sky_leaks_nothing():
    """Without sources there is nothing to leak."""
    assert np.all(prediction(np.zeros((BACKGROUNDS, 1, 5)))[0] == 0.0)


def test_bright_source_in_one_exposure_leaks_nothing():
    """At sigma 2 one of four is rejected."""
    leak, variance = prediction(sources([BRIGHT, 0, 0, 0]))
    assert deviation(leak, variance, 0.0) < K


def test_bright_source_leaks_a_quarter_at_sigma_3():
    """At sigma 3 one of four is never rejected."""
    leak, variance = prediction(sources([BRIGHT, 0, 0, 0]), sigma=3.0)
    assert deviation(leak, variance, BRIGHT / 4) < K


def test_overlapping_sources_leak_half():
    """Two of four are not rejected at any sigma above 1."""
    leak, variance = prediction(sources([BRIGHT, BRIGHT, 0, 0]))
    assert deviation(leak, variance, BRIGHT / 2) < K


def test_source_in_most_exposures_rejects_the_sky():
    """Where three of four see the source the sky is what stands out."""
    leak, variance = prediction(sources([BRIGHT, BRIGHT, BRIGHT, 0]))
    assert deviation(leak, variance, BRIGHT) < K


def test_every_exposure_counts_alike():
    """Which of the exposures is bright does not matter."""
    one_bright = np.diag([5 * NOISE] * BACKGROUNDS)[:, np.newaxis, :]
    leak, variance = prediction(one_bright)
    assert np.all(deviation(leak, variance, leak.mean()) < K)


def test_prediction_is_reproducible():
    """The prediction has a seed of its own."""
    rates = sources([5 * NOISE, 0, 0, 0])
    np.testing.assert_array_equal(prediction(rates), prediction(rates))


def test_input_is_not_changed():
    """The truth stays as it is."""
    rates = sources([BRIGHT, 0, 0, 0])
    before = rates.copy()
    prediction(rates)
    np.testing.assert_array_equal(rates, before)


@pytest.fixture(scope="module", params=[2.0, 3.0], ids=lambda sigma: f"sigma {sigma:.0f}")
def brute_force(request):
    """Return rates, sigma, and the clipped means of many simulated sets of exposures."""
    rates = sources(
        *([factor * NOISE, 0, 0, 0] for factor in (0.5, 1, 2, 3, 5, 8, 15)),
        [3 * NOISE, 2 * NOISE, 0, 0],
        [8 * NOISE, 0, NOISE, 0],
    )
    shape = (BACKGROUNDS, BRUTE_DRAWS, rates.shape[-1])
    photons = np.random.default_rng(2).normal(0, np.sqrt(rates / PHOTON_TIME), shape)
    electronics = np.random.default_rng(3).normal(0, NOISE, shape)
    clipped = sigma_clip(
        rates + photons + electronics, sigma=request.param, maxiters=MAXITERS, axis=0
    )
    return rates, request.param, np.asarray(clipped.mean(axis=0))


def test_leak_agrees_with_brute_force(brute_force):
    """Sources of all brightnesses leave what they leave in a simulation with astropy."""
    rates, sigma, means = brute_force
    leak, _ = prediction(rates, sigma)
    error = means.std(axis=0) * np.sqrt(1 / DRAWS + 1 / BRUTE_DRAWS)
    assert np.all(np.abs(leak - means.mean(axis=0)) < K * error)


def test_variance_agrees_with_brute_force(brute_force):
    """So does the scatter of the mean, to the error of a variance of 120 draws."""
    rates, sigma, means = brute_force
    _, variance = prediction(rates, sigma)
    centred = means - means.mean(axis=0)
    expected = np.mean(centred**2, axis=0)
    # Of any distribution: var(s^2) = (fourth moment - variance^2) / draws.
    error = np.sqrt((np.mean(centred**4, axis=0) - expected**2) / DRAWS)
    assert np.all(np.abs(variance - expected * (1 + 1 / DRAWS)) < K * error)


@pytest.mark.parametrize(
    ("count", "sigma", "factor"),
    [(4, 2.0, 1.09), (8, 2.0, 1.24), (4, 3.0, 1.00)],
    ids=["4 at sigma 2", "8 at sigma 2", "4 at sigma 3"],
)
def test_variance_on_empty_sky(count, sigma, factor):
    """Clipping costs: the mean scatters by a known factor more than the plain mean."""
    _, variance = prediction(np.zeros((count, 1, 1)), sigma, maxiters=None)
    scatter = np.sqrt(variance.item() / (NOISE**2 / count))
    # The factors were measured to 0.01; a deviation's relative error is 1 / sqrt(2 n).
    tolerance = 0.005 + K * factor / np.sqrt(2 * SKY_DRAWS / count)
    assert scatter == pytest.approx(factor, abs=tolerance)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 10])
def test_largest_deviation_decides_whether_one_can_be_rejected(count):
    """A threshold below what one of so many can deviate rejects it, one above does not."""
    # Of two, both are as far off: neither can be told from the other.
    values = np.zeros((count, 1))
    values[0] = 1e9
    limit = largest_deviation(count)
    below, above = (kept_values(values, factor * limit)[0].all() for factor in (0.999, 1.001))
    assert (below, above) == (False, True)


@pytest.mark.parametrize(("count", "expected"), [(3, 2.121), (4, 2.309), (7, 2.858), (8, 3.024)])
def test_largest_deviation_is_known(count, expected):
    """By hand: one of n equal values changed is n / sqrt(n - 1) standard deviations off."""
    assert largest_deviation(count) == pytest.approx(expected, abs=0.001)


def test_normal_noise_is_seen_whole():
    """The plain mean of normal noise is normal, whatever the members are."""
    assert Clipping(4, np.inf, 1, [1.0, 1.0, 1.0, 3.0]).drawn.in_sight(1.0) == (1.0, 1.0)


@pytest.mark.parametrize("other", [0.2, 1.0])
def test_outliers_of_a_clipped_mean_are_not_seen(other):
    """Of one noisy member, most values are clipped, and the others are far off."""
    scatters = np.array([0.2, 0.8, 3.0, 0.2])
    generator = np.random.default_rng(7)
    members = scatters[:, np.newaxis] * generator.standard_normal((4, 200_000))
    mean = sigma_clip(members, sigma=2.0, maxiters=3, axis=0).mean(axis=0).filled(0.0)
    values = mean + other * generator.standard_normal(mean.size)
    normal = values.std() * generator.standard_normal(mean.size)
    seen, of_normal = (
        sigma_clip(each, sigma=3.0, maxiters=None).std() for each in (values, normal)
    )
    part, _ = Clipping(4, 2.0, 3, scatters).drawn.in_sight(other)
    # Other seeds change it by 0.003, and both are such estimates.
    assert part == pytest.approx(seen / of_normal, abs=0.015)


def test_scatter_with_outliers_is_less_certain():
    """Where a noisy member is sometimes clipped, so is the scatter of many such pixels."""
    scatters, other, pixels = np.array([0.4, 0.55, 5.0]), 0.35, 5000
    generator = np.random.default_rng(9)
    found = {"seen": [], "normal": []}
    for _ in range(100):
        members = scatters[:, np.newaxis] * generator.standard_normal((3, pixels))
        mean = sigma_clip(members, sigma=2.0, maxiters=3, axis=0).mean(axis=0).filled(0.0)
        normal = generator.standard_normal(pixels)
        for name, values in (("seen", mean + other * normal), ("normal", normal)):
            found[name].append(sigma_clip(values, sigma=3.0, maxiters=None).std())
    spread = {name: np.std(values) / np.mean(values) for name, values in found.items()}
    _, uncertainty = Clipping(3, 2.0, 3, scatters).drawn.in_sight(other)
    assert uncertainty > 1.4
    # A hundred values know their scatter to 7 %; 50 batches of draws know it to 10 %.
    assert uncertainty == pytest.approx(spread["seen"] / spread["normal"], rel=4 * 0.14)


@pytest.mark.parametrize("other", [0.1, 1.0])
def test_clipped_mean_of_one_noise_is_not_quite_normal(other):
    """Where it is most of the noise, 0.9 % of the scatter is not seen; else hardly any."""
    generator = np.random.default_rng(8)
    members = generator.standard_normal((4, 500_000))
    rate = other * generator.standard_normal(members.shape[1])
    clipped = sigma_clip(members, sigma=2.0, maxiters=3, axis=0).mean(axis=0).filled(0.0)
    part, of_normal = (
        sigma_clip(values, sigma=3.0, maxiters=None).std() / values.std()
        for values in (rate + clipped, rate + members.mean(axis=0))
    )
    found, uncertainty = Clipping(4, 2.0, 3, [1.0] * 4).drawn.in_sight(other)
    # A hundred thousand draws know their scatter to 0.22 %, and most of its chance is in both.
    assert found == pytest.approx(part / of_normal, abs=0.0022)
    assert uncertainty == 1.0


# ------------------------------------------------------------------ skies that differ


@pytest.mark.parametrize("contrast", [1.0, 3.0, 6.0, 30.0])
@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_sky_of_one_exposure_that_is_brighter(contrast, sigma):
    """What clipping leaves of it is what astropy's clipping leaves of draws."""
    offsets = np.array([contrast, contrast / 3, 0, 0]) * NOISE
    clipping = Clipping(BACKGROUNDS, sigma, MAXITERS, NOISE, offsets)
    values = offsets + NOISE * np.random.default_rng(5).standard_normal((BRUTE_DRAWS, BACKGROUNDS))
    kept = sigma_clip(values, sigma=sigma, maxiters=MAXITERS, axis=1, masked=True)
    means = kept.mean(axis=1).filled(np.nan)
    error = means.std() / np.sqrt(BRUTE_DRAWS)
    assert clipping.shift == pytest.approx(means.mean() - offsets.mean(), abs=K * error)
    # A variance of so many draws is known to a part of the root of 2 / draws, if normal.
    assert clipping.variance == pytest.approx(means.var(), rel=3 * K * np.sqrt(2 / BRUTE_DRAWS))


@pytest.mark.parametrize("other", [0.0, NOISE])
def test_mean_that_clipping_of_pixels_leaves(other):
    """Of means that are off to one side now and then, clipping of pixels does not see all."""
    offsets = np.array([4.0, 1.3, 0.4, 0.0]) * NOISE
    generator = np.random.default_rng(6)
    values = offsets + NOISE * generator.standard_normal((400_000, BACKGROUNDS))
    kept = sigma_clip(values, sigma=2.0, maxiters=MAXITERS, axis=1).mean(axis=1).filled(np.nan)
    kept += other * generator.standard_normal(kept.size)
    expected = sigma_clip(kept, sigma=3.0, maxiters=None).mean() - kept.mean()
    found = Clipping(BACKGROUNDS, 2.0, MAXITERS, NOISE, offsets).drawn.mean_in_sight(other)
    # A mean of a twentieth of the values, at three times the scatter, twice.
    error = 3 * kept.std() * np.sqrt(2 * 0.02 / kept.size)
    assert abs(expected) > 3 * error or other
    assert found == pytest.approx(expected, abs=K * error)


def test_nothing_is_missed_of_equal_skies():
    """The clipped mean of equal noise is as often too large as too small."""
    assert Clipping(BACKGROUNDS, 2.0, MAXITERS, NOISE).drawn.mean_in_sight() == 0.0


def test_light_on_skies_that_differ():
    """Faint light in an exposure that is mostly clipped does not get into the mean."""
    offsets = np.array([30 * NOISE, 0, 0, 0])
    clipping = Clipping(BACKGROUNDS, 2.0, MAXITERS, NOISE, offsets)
    rates = sources([FAINT, 0, 0, 0], [0, FAINT, FAINT, FAINT])
    leak, _ = clipping.leak(rates, np.full(rates.shape, NOISE))
    # Weights are taken from draws, of which a hundred thousand are known to a third of a percent.
    np.testing.assert_allclose(leak[0], [0, FAINT], rtol=0, atol=0.02 * FAINT)


def test_bright_light_on_skies_that_differ():
    """Light of a pixel is what its mean has more than that of the sky."""
    offsets = np.array([30 * NOISE, 0, 0, 0])
    rates = sources([0, BRIGHT, 0, 0])
    clipping = Clipping(BACKGROUNDS, 3.0, MAXITERS, NOISE, offsets)
    leak, variance = clipping.leak(rates, np.full(rates.shape, NOISE))
    # At sigma 3 nothing is clipped of four: a quarter of both stays.
    assert deviation(leak[0], variance[0], BRIGHT / 4) < K


def test_equal_skies_are_as_before():
    """Skies that do not differ change no bit."""
    one, other = (Clipping(BACKGROUNDS, 2.0, MAXITERS, NOISE, each) for each in (0.0, [0.5] * 4))
    assert (one.cost, one.variance, one.shift) == (other.cost, other.variance, 0.0)
