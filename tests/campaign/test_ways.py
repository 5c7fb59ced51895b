"""Each way subtracts what its description says, through the real step where that is in it."""

import numpy as np
import pytest

from miri_background.campaign.rates import Rate
from miri_background.campaign.taken import take
from miri_background.campaign.ways.every import WAYS, way_of
from miri_background.campaign.ways.exposures import Nods, SelfBackground, Step
from miri_background.campaign.ways.filters import Boxes, RowsAndColumns
from miri_background.campaign.ways.masked import ScaledBackground, SuperBackground
from miri_background.campaign.ways.masking import found_sources
from miri_background.validation.prediction.clipping import sigma_clipped_mean

ROUNDING = 2e-5  # of float32 at the level of the sky, relative


def residual(taken, subtracted):
    """Return what is left on good pixels of the first science exposure, DN/s."""
    good = np.isfinite(subtracted[0].data) & (taken.science[0].dq == 0)
    return (subtracted[0].data - taken.science_light[0].sources)[good]


@pytest.mark.parametrize("way", WAYS, ids=lambda each: each.__name__)
def test_way_has_a_source_and_words_of_its_own(way):
    """A table is read by words, and a claim about a way needs its source."""
    assert len(way.source) > 30
    assert way().words
    assert way_of({"kind": way().kind}) == way()


@pytest.mark.parametrize("way", WAYS, ids=lambda each: each.__name__)
def test_empty_sky_is_left_at_zero(empty_sky, way):
    """The median is zero to five standard errors of a median."""
    left = residual(empty_sky, way().subtract(empty_sky))
    # Common noise of outputs, and pixels that share a background, count once.
    assert abs(np.median(left)) < 5 * 1.25 * left.std() / np.sqrt(left.size / 4)


def test_step_is_the_clipped_mean(empty_sky):
    """The real step agrees with the suite's own clipping."""
    (first, *_) = Step(sigma=2, maxiters=3).subtract(empty_sky)
    values = np.stack([rate.data.astype(float) for rate in empty_sky.backgrounds])
    mean = sigma_clipped_mean(values, 2, 3)
    good = np.isfinite(mean) & np.isfinite(empty_sky.science[0].data)
    expected = (empty_sky.science[0].data - mean)[good]
    np.testing.assert_allclose(first.data[good], expected, atol=ROUNDING * 14)


def test_step_keeps_what_it_was_given(empty_sky):
    """Other ways get the same rates."""
    before = empty_sky.science[0].data.copy()
    Step().subtract(empty_sky)
    np.testing.assert_array_equal(empty_sky.science[0].data, before)


def test_self_background_of_one_more_has_less_noise_in_it(empty_sky):
    """With itself, a part of the noise is subtracted from itself."""
    own, others = (
        residual(empty_sky, SelfBackground(with_itself=each, sigma=10).subtract(empty_sky)).std()
        for each in (True, False)
    )
    # Of three exposures: sqrt(1 - 1/3) and sqrt(1 + 1/2) of one's noise.
    assert own / others == pytest.approx(np.sqrt((2 / 3) / (3 / 2)), rel=0.03)


def test_nods_subtract_each_other(empty_sky):
    """Of a pair, one is the other with the other sign; the third has the one before it."""
    first, second, third = Nods().subtract(empty_sky)
    np.testing.assert_array_equal(first.data, -second.data)
    science = [rate.data for rate in empty_sky.science]
    np.testing.assert_array_equal(third.data, science[2] - science[1])


@pytest.mark.parametrize("way", [Nods(), SelfBackground(with_itself=False), SuperBackground()])
def test_one_exposure_is_too_few(empty_scene, way):
    """There is nothing to subtract."""
    with pytest.raises(ValueError, match="exposure"):
        way.subtract(take(empty_scene(exposures=1)))


def test_scaled_background_has_the_level_of_the_science_field(empty_scene):
    """A sky that is a tenth brighter is left by the step, and not by a scaled background."""
    taken = take(empty_scene(sky_ratio=110, pattern=0))
    level = np.median(taken.science[0].data[np.isfinite(taken.science[0].data)])
    left = [
        np.median(residual(taken, way.subtract(taken)))
        for way in (Step(), ScaledBackground(), ScaledBackground(pattern=True))
    ]
    assert left[0] == pytest.approx(-0.1 * level, rel=0.05)
    assert np.abs(left[1:]).max() < 0.003 * level


def test_filter_removes_stripes(empty_scene):
    """Columns that are off by half of the noise are on a level afterwards."""
    taken = take(empty_scene(stripes=50, size=128))
    striped, filtered = (
        way.subtract(taken)[0].data for way in (Step(), RowsAndColumns(columns=True, rows=False))
    )
    spreads = [np.nanmedian(each, axis=0).std() for each in (striped, filtered)]
    assert spreads[1] < 0.1 * spreads[0]


def test_boxes_follow_a_pattern(empty_scene):
    """A smooth pattern of a fifth of the sky is gone."""
    taken = take(empty_scene(pattern=20, size=192))
    left = residual(taken, Boxes(box=16).subtract(taken))
    assert left.std() < 1.2 * taken.science[0].err.mean() / 0.9


def test_mask_finds_a_source_and_little_else(empty_sky):
    """A round source of ten times the noise is masked; noise alone is not."""
    rate = empty_sky.science[0]
    rows, columns = np.indices(rate.data.shape)
    source = 3 * np.exp(-((rows - 40) ** 2 + (columns - 50) ** 2) / 2 / 1.5**2)
    lit = Rate(rate.data + source * 10 * np.median(rate.err) / 3, rate.err, rate.dq)
    mask = found_sources(lit)
    assert mask[40, 50]
    # A threshold of 2.5 finds a few peaks of noise, each grown to some sixty pixels.
    noise = found_sources(rate)
    assert noise.mean() < 0.03
    # The smoothed source is above the threshold out to 4.2 pixels, and grown by 3: 0.018.
    assert (mask & ~noise).mean() < 0.025
