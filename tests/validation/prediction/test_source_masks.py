"""Sources are found, noise is not, and what cannot be judged is masked."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from miri_background.validation.prediction.source_masks import source_mask

SHAPE = (300, 300)
NOISE = 0.3  # DN/s
MIDDLE = 150


def scene(light=0.0, seed=1):
    """Return noise with light in it."""
    return light + np.random.default_rng(seed).normal(0, NOISE, SHAPE)


def point(total, width):
    """Return a source in the middle with so much light, DN/s."""
    image = np.zeros(SHAPE)
    image[MIDDLE, MIDDLE] = total
    return gaussian_filter(image, width)


GOOD = np.ones(SHAPE, dtype=bool)


@pytest.mark.parametrize(("total", "width"), [(10.0, 1.2), (60.0, 8.0)], ids=["star", "galaxy"])
def test_source_is_masked(total, width):
    """A source of ten standard deviations under a kernel like it is found."""
    assert source_mask(scene(point(total, width)), GOOD, NOISE)[MIDDLE, MIDDLE]


@pytest.mark.parametrize("sign", [1, -1], ids=["bright", "dark"])
def test_both_signs_are_masked(sign):
    """As many dark places are masked as bright ones, so that what is left has no bias."""
    assert source_mask(scene(sign * point(10.0, 1.2)), GOOD, NOISE)[MIDDLE, MIDDLE]


def test_noise_is_left():
    """Of empty sky no more is masked than three kernels' tails hold."""
    assert source_mask(scene(), GOOD, NOISE).mean() < 2 * 3 * 2 * norm.sf(3.3)


def test_level_does_not_matter():
    """A sky that differs from the average as a whole is no source."""
    np.testing.assert_array_equal(
        source_mask(scene(5.0), GOOD, NOISE), source_mask(scene(), GOOD, NOISE)
    )


def test_bad_pixels_are_masked():
    """Where a pixel may not be used, nothing is told about it."""
    good = GOOD.copy()
    good[10, 20] = False
    assert source_mask(scene(), good, NOISE)[10, 20]


def test_value_of_bad_pixel_does_not_matter():
    """A hot pixel makes no source of its neighbours."""
    good, image = GOOD.copy(), scene()
    good[MIDDLE, MIDDLE] = False
    masks = []
    for value in (0.0, np.nan):
        image[MIDDLE, MIDDLE] = value
        masks.append(source_mask(image, good, NOISE))
    np.testing.assert_array_equal(*masks)


def test_looser_mask_leaves_faint_sources():
    """A source between both thresholds is masked by the tight one only."""
    # At the middle, a star under a kernel of its width is 6 standard deviations high.
    total = 6 * NOISE * 2 * np.sqrt(np.pi) * 1.2
    image = point(total, 1.2) + scene()
    tight, loose = (source_mask(image, GOOD, NOISE, looser) for looser in (1.0, 3.0))
    assert (tight[MIDDLE, MIDDLE], loose[MIDDLE, MIDDLE]) == (True, False)
