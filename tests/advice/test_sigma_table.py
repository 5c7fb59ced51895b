"""The table of sigma follows from clipping, and holds for sources that were not in it."""

import numpy as np
import pytest

from miri_background.advice.sigma_table import clipped, sigma_for, sigma_table
from miri_background.validation.prediction.clipping import sigma_clipped_mean
from miri_background.validation.prediction.clipping_theory import largest_deviation


@pytest.mark.parametrize(("count", "lit"), [(3, 1), (4, 1), (8, 1), (16, 1), (7, 2), (16, 5)])
def test_limit_is_where_bright_sources_begin_to_stay(count, lit):
    """Values without noise: just below the limit all that are high go, just above none."""
    values = np.zeros((count, 1))
    values[:lit] = 1e6
    limit = largest_deviation(count, lit)
    assert sigma_clipped_mean(values, limit * 0.999)[0] == 0
    assert sigma_clipped_mean(values, limit * 1.001)[0] == pytest.approx(1e6 * lit / count)


@pytest.mark.parametrize(("count", "lit"), [(4, 2), (5, 3), (2, 1)])
def test_half_of_the_exposures_cannot_be_rejected(count, lit):
    """The median is among them, or between."""
    values = np.zeros((count, 1))
    values[:lit] = 1e6
    assert sigma_clipped_mean(values, 1.1)[0] >= 1e6 * lit / count


def test_default_clips_nothing_below_eight():
    """Of up to seven exposures, no source is beyond three standard deviations."""
    assert [count for count in range(3, 17) if largest_deviation(count) > 3] == list(range(8, 17))


def test_two_backgrounds_have_no_choice():
    """The median is between both: all light stays, at no price."""
    row = sigma_for(2)
    assert (row.sigma, row.left, row.price) == (3.0, pytest.approx(100), pytest.approx(0))


def test_rule_to_remember():
    """It is within a tenth of the table from three exposures on."""
    for row in sigma_table()[1:]:
        assert row.sigma == pytest.approx(min(row.limit - 0.3, 3.0), abs=0.1)


@pytest.mark.parametrize("count", [3, 4, 6, 8, 12])
def test_promise_holds_for_other_draws(count):
    """Light and noise of cases that the table was not made from, to five standard errors."""
    row = sigma_for(count)
    draws = 100_000
    noise = np.random.default_rng(count).standard_normal((count, draws))
    source = np.zeros((count, 1))
    source[0] = 10.0
    empty = sigma_clipped_mean(noise, row.sigma)
    part = 100 * count / 10.0 * (sigma_clipped_mean(noise + source, row.sigma) - empty)
    error = np.hypot(part.std() / np.sqrt(draws), row.left_error)
    assert part.mean() == pytest.approx(row.left, abs=5 * error)
    ratios = [
        each.std() / plain.std()
        for each, plain in np.split(np.array([empty, noise.mean(axis=0)]), 50, axis=1)
    ]
    price, error = 100 * (np.mean(ratios) - 1), 100 * np.std(ratios) / np.sqrt(len(ratios))
    # The table has as many draws.
    assert price == pytest.approx(row.price, abs=5 * np.sqrt(2) * error)


def test_lower_sigma_costs_more():
    """What is thrown away is noise, too."""
    prices = [clipped(8, sigma, 10.0)[2] for sigma in (1.5, 2.0, 3.0)]
    assert prices == sorted(prices, reverse=True)
