"""Skies that differ leave in the average what astropy's clipping leaves of them, pixel by pixel."""

import numpy as np
import pytest
from astropy.stats import sigma_clip

from miri_background.validation.prediction.clipping_theory import Clipping
from miri_background.validation.prediction.uneven_skies import UnevenSkies

SIGMA, MAXITERS = 2.0, 3
NOISE, SKY = 0.3, 10.0  # DN/s
SHAPE = (64, 192)
HALVES = (np.s_[:, :64], np.s_[:, 128:])  # so far apart that no average of pixels has both
# Chance that a correct prediction is further off than so many standard errors: 1 in 16 000.
K = 4.0
BRUTE = 40  # realisations of every pixel


def quieter(plane):
    """Return a plane of which all but the left columns have a half."""
    return np.where(np.arange(plane.shape[1]) < SHAPE[1] // 2, 1.0, 0.5) * plane


def first_is_brighter():
    """Return skies of which the first is four noises brighter than the last."""
    return [np.full(SHAPE, SKY + part * NOISE) for part in (4.0, 1.3, 0.4, 0.0)]


def nebula():
    """Return skies with a wave that the dithers move by a quarter of its length."""
    x = np.arange(SHAPE[1]) / 8
    return [np.broadcast_to(SKY + NOISE * np.sin(x + step), SHAPE) for step in (0, 1.6, 3.1, 4.7)]


def clipped_draws(skies, scatters):
    """Return what astropy leaves of realisations of skies, shape (realisations, rows, columns)."""
    generator = np.random.default_rng(3)
    draws = np.stack(skies) + np.stack(scatters) * generator.standard_normal(
        (BRUTE, len(skies), *SHAPE)
    )
    return sigma_clip(draws, sigma=SIGMA, maxiters=MAXITERS, axis=1).mean(axis=1).filled(np.nan)


@pytest.fixture(scope="module", params=[first_is_brighter, nebula])
def uneven(request):
    """Return what is predicted of skies, and what astropy leaves of realisations of them."""
    skies, scatters = request.param(), [quieter(np.full(SHAPE, NOISE))] * 4
    clipping = Clipping(4, SIGMA, MAXITERS, NOISE)
    predicted = UnevenSkies(skies, scatters, np.ones(SHAPE, dtype=bool), clipping)
    return predicted, clipped_draws(skies, scatters), scatters


@pytest.mark.parametrize("half", HALVES, ids=["noisy", "quiet"])
def test_mean_is_that_of_each_pixel(uneven, half):
    """What stands out more from a quieter pixel's noise is clipped more often."""
    predicted, drawn, _ = uneven
    off = (drawn - predicted.expected)[:, *half]
    # The prediction is a mean of eight draws of every pixel.
    error = off.std() * np.sqrt((1 / BRUTE + 1 / 8) / off[0].size)
    assert abs(off.mean()) < K * error


def test_structure_is_followed(uneven):
    """No column is expected to have what another has."""
    predicted, drawn, _ = uneven
    columns = (drawn.mean(axis=0) - predicted.expected).mean(axis=0)
    errors = drawn.std(axis=0).mean(axis=0) * np.sqrt((1 / BRUTE + 1 / 8) / SHAPE[0])
    assert np.all(np.abs(columns) < (K + 1) * errors)


@pytest.mark.parametrize("half", HALVES, ids=["noisy", "quiet"])
def test_variance_is_that_of_each_half(uneven, half):
    """The cost has what chance leaves in the prediction itself."""
    predicted, drawn, scatters = uneven
    plain = np.mean([scatter[half] ** 2 for scatter in scatters]) / len(scatters)
    found = np.mean((drawn - predicted.expected)[:, *half] ** 2) / plain
    # Eight draws of as many pixels as the half has know a variance to one percent.
    assert predicted.cost[half].mean() == pytest.approx(found, rel=0.04)


def test_one_draw_scatters_like_the_others(uneven):
    """What is left as a shape has the variance of what is predicted, and the mean of none."""
    drawn = uneven[0].drawn
    plain = drawn.plain.std()
    typical = np.median(uneven[0].cost) * plain**2
    assert drawn.clipped.var() == pytest.approx(typical, rel=0.05)
    assert abs(drawn.clipped.mean()) < K * drawn.clipped.std() / np.sqrt(drawn.clipped.size)


def test_equal_skies_are_those_of_a_typical_pixel():
    """Where nothing differs, nothing is drawn."""
    clipping = Clipping(4, SIGMA, MAXITERS, NOISE)
    skies, scatters = [np.full(SHAPE, SKY)] * 4, [np.full(SHAPE, NOISE)] * 4
    found = UnevenSkies(skies, scatters, np.ones(SHAPE, dtype=bool), clipping)
    np.testing.assert_array_equal(found.expected, SKY)
    assert found.cost == clipping.cost
    assert found.drawn is clipping.drawn


def test_what_is_not_seen_decides_nothing():
    """A pixel without sky, or a bad one, may differ as it likes."""
    clipping = Clipping(4, SIGMA, MAXITERS, NOISE)
    skies, seen = [np.full(SHAPE, SKY) for _ in range(4)], np.ones(SHAPE, dtype=bool)
    skies[0][0, 0], seen[0, 0] = 2 * SKY, False
    assert UnevenSkies(skies, [np.full(SHAPE, NOISE)] * 4, seen, clipping).cost == clipping.cost
