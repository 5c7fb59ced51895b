"""Gain, read noise and cosmic rays come out of ramps alone, as they were put in."""

import numpy as np
import pytest

from miri_background.closure.group_differences import difference_noise, hits_in_differences

SHAPE = (200, 200)
GROUPS, SIGNAL, READ = 28, 3.0, 6.0  # DN a group, DN in one read
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def ramps(gain, seed=1, groups=GROUPS, signal=SIGNAL, shared=0.0):
    """Return ramps of one integration: photons, reads, and what all pixels of an output share."""
    generator = np.random.default_rng(seed)
    size = (1, groups, *SHAPE)
    collected = np.cumsum(generator.poisson(signal * gain, size), axis=1) / gain
    outputs = np.tile(generator.normal(0, shared, (1, groups, 1, 4)), SHAPE[1] // 4)
    return collected + outputs + generator.normal(0, READ, size)


@pytest.mark.parametrize("gain", [4.0, 5.5])
def test_gain_and_read_noise_are_measured(gain):
    """Of 40 000 ramps whose photons have 1 % of the variance of a difference."""
    noise = difference_noise(ramps(gain), EVERYWHERE)
    # The quietest mode alone has 4.3 times the photons' variance, known to 4.3 sqrt(2 / 40 000).
    assert noise.gain == pytest.approx(gain, rel=3 * 0.03)
    # A million reads: 0.07 % of the variance from half of the modes, half as much of the noise.
    assert noise.read_noise == pytest.approx(READ, rel=4 * 0.001)
    assert noise.signal == pytest.approx(SIGNAL, abs=4 * READ * np.sqrt(2) / GROUPS / 200)


def test_error_of_the_gain_is_its_scatter():
    """Over ten exposures, to the 22 % that ten numbers know a scatter."""
    found = [difference_noise(ramps(4.0, seed), EVERYWHERE) for seed in range(10)]
    scatter = np.std([each.gain for each in found], ddof=1)
    assert np.mean([each.gain_error for each in found]) == pytest.approx(scatter, rel=3 * 0.24)


def test_correlation_is_that_of_neighbours():
    """The number is what a plain correlation of neighbouring differences gives."""
    made = ramps(4.0, signal=100.0)
    differences = np.diff(made, axis=1) - 100.0
    plain = np.mean(differences[:, 1:] * differences[:, :-1]) / np.mean(differences**2)
    found = difference_noise(made, EVERYWHERE).correlation
    assert found == pytest.approx(plain, abs=4 / np.sqrt(differences.size))


def test_rates_of_pixels_do_not_matter():
    """Sky that differs from pixel to pixel changes no noise."""
    made = ramps(4.0)
    slopes = np.random.default_rng(2).uniform(0, 50, SHAPE)
    steeper = made + slopes * np.arange(GROUPS)[:, np.newaxis, np.newaxis]
    flat, steep = (difference_noise(each, EVERYWHERE) for each in (made, steeper))
    assert steep.reads == pytest.approx(flat.reads, rel=1e-6)
    assert steep.photons == pytest.approx(flat.photons, rel=1e-6)


def test_noise_common_to_an_output_is_kept_apart():
    """What moves all pixels of an output is no noise of a read."""
    noise = difference_noise(ramps(4.0, shared=2.0), EVERYWHERE)
    # 108 differences of four outputs, each of two numbers: 10 % of the noise.
    assert noise.common == pytest.approx(2.0 * np.sqrt(2), rel=4 * 0.1)
    assert noise.read_noise == pytest.approx(READ, rel=4 * 0.001)


@pytest.fixture
def hit():
    """Return ramps with one hit of two pixels from group 10 on."""
    made = ramps(4.0)
    made[0, 10:, 50, 60] += 500.0
    made[0, 10:, 51, 61] += 200.0
    return made


def test_hit_is_one_with_its_charge(hit):
    """Pixels that touch are one hit, flagged where the jump step has flagged its peak."""
    jumps = np.zeros(hit.shape, dtype=bool)
    jumps[0, 10, 50, 60] = True
    found = hits_in_differences(hit, jumps, EVERYWHERE, READ * np.sqrt(2))
    (strongest,) = np.flatnonzero(found.charges > 300)
    assert found.charges[strongest] == pytest.approx(700, abs=5 * READ * np.sqrt(4))
    assert found.sizes[strongest] == 2
    assert found.flagged[strongest]
    assert found.elsewhere == 0


def test_flags_away_from_hits_are_counted(hit):
    """Ten of 40 000 pixels in each of 27 differences."""
    jumps = np.zeros(hit.shape, dtype=bool)
    jumps[:, :, 150, 100:110] = True
    found = hits_in_differences(hit, jumps, EVERYWHERE, READ * np.sqrt(2))
    # Noise above five standard deviations takes 25 pixels around it from those that are counted.
    assert found.elsewhere == pytest.approx(10 / np.prod(SHAPE), rel=0.01)
    assert not found.flagged.any()
