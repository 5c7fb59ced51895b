"""Tests of the statistics of pixels."""

import numpy as np
import pytest

from miri_background.validation.prediction.pixel_statistics import (
    CLIPPED_ERROR,
    clipped_mean,
    clipped_scatter,
)

MEAN, SCATTER, COUNT = 5.0, 2.0, 1_000_000
# Standard errors that an estimate from these pixels may be off.
REACH = 4.0
OF_SCATTER = CLIPPED_ERROR / np.sqrt(2 * COUNT)


@pytest.fixture(params=[0.0, 0.01], ids=["clean", "with outliers"])
def pixels(request):
    """Return normal pixels, some of them hit."""
    values = np.random.default_rng(1).normal(MEAN, SCATTER, COUNT)
    values[: int(request.param * COUNT)] += 100 * SCATTER
    return values


def test_clipped_mean_is_that_of_normal_pixels(pixels):
    """Outliers do not move it, and its variance is that of the pixels over their number."""
    mean, variance = clipped_mean(pixels)
    assert abs(mean - MEAN) < REACH * SCATTER / np.sqrt(COUNT)
    # The clipped ones are fewer: 0.27 % and the outliers.
    assert np.sqrt(variance * COUNT) == pytest.approx(SCATTER, rel=0.01)


def test_clipped_scatter_is_that_of_normal_pixels(pixels):
    """What clipping takes from the wings is given back."""
    assert abs(clipped_scatter(pixels) / SCATTER - 1) < REACH * OF_SCATTER


def test_error_of_clipped_scatter_is_that_of_draws():
    """Clipping until nothing changes makes it larger than that of a standard deviation."""
    draws, pixels = 2000, 2000
    values = np.random.default_rng(2).standard_normal((draws, pixels))
    error = np.std([clipped_scatter(each) for each in values]) * np.sqrt(2 * pixels)
    # A standard deviation of so many draws is known to 1.6 %.
    assert error == pytest.approx(CLIPPED_ERROR, rel=4 / np.sqrt(2 * draws))
    assert CLIPPED_ERROR > 1.05


def test_scatter_of_a_few_values_is_worked_by_hand():
    """The far value goes, and 1, 2, 3 times four have a variance of two thirds."""
    values = np.array([1.0, 2.0, 3.0] * 4 + [1000.0])
    # Within c standard deviations, normal values have the variance 1 - 2 c phi(c) / (2 Phi(c) - 1),
    # and clipping ends where c is three times its root: at 2.95454, where phi is 0.0050740 and
    # Phi 0.9984343.
    of_clipped = 1 - 2 * 2.95454 * 0.0050740 / 0.9968686
    assert clipped_scatter(values) == pytest.approx(np.sqrt(2 / 3 / of_clipped), rel=1e-5)


def test_nothing_has_no_statistics():
    """Without pixels, there is neither a mean nor a scatter."""
    assert np.isnan([*clipped_mean(np.array([])), clipped_scatter(np.array([]))]).all()
