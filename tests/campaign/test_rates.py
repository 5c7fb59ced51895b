"""Rates that are drawn scatter as the noise model says, and as real rates do."""

import numpy as np
import pytest

from miri_background.campaign.agreement import drawn_like, pixel_statistics, taken_of
from miri_background.campaign.rates import draw_rate
from miri_background.campaign.scene import Scene
from miri_background.campaign.taken import take
from miri_background.instrument.throughput import photmjsr
from miri_background.run_directory import RunDirectory
from miri_background.validation.products.images import JUMP_DET

ERRORS = 5.0  # standard errors: of thousands of pixels, chance does not reach them
SKY = 14.0  # DN/s


def drawn(scene, rate=0.0, seed=1):
    """Return a drawn rate of a flat sky less its mean."""
    expected = np.full((scene.size, scene.size), SKY)
    generator = np.random.default_rng(seed)
    return draw_rate(expected, scene.readout("science"), scene.window, rate, generator)


def test_scatter_is_that_of_a_typical_pixel(empty_scene):
    """Pixels differ in gain and read noise by a few percent, so their mean is typical to one."""
    scene = empty_scene(sky_level=SKY * photmjsr("F770W"), size=256, groups=20)
    rate = drawn(scene)
    good = np.isfinite(rate.data)
    assert rate.data[good].std() == pytest.approx(scene.pixel_noise, rel=0.02)


def test_same_seed_gives_the_same_bits(empty_scene):
    """Nothing but the scene decides a rate."""
    first, second = (take(empty_scene()).science[0] for _ in range(2))
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.dq, second.dq)


def test_exposures_are_independent(empty_sky):
    """Two dithers have no noise in common but that of their outputs, which is a hundredth."""
    first, second = (
        (rate.data - light.sky)[np.isfinite(rate.data)]
        for rate, light in zip(empty_sky.backgrounds[:2], empty_sky.background_light, strict=False)
    )
    correlation = np.corrcoef(first, second)[0, 1]
    assert abs(correlation) < ERRORS / np.sqrt(first.size)


def test_hits_are_flagged_in_proportion(empty_scene):
    """Ten times the cosmic rays hit ten times the pixels."""
    scene = empty_scene(size=256)
    few, many = (np.count_nonzero(drawn(scene, rate).dq & JUMP_DET) for rate in (28.0, 280.0))
    # Hits come in tracks of some ten pixels: their number scatters by that more.
    assert abs(many - 10 * few) < ERRORS * np.sqrt(10 * (many + 100 * few))


def test_dithers_are_as_far_apart_as_asked():
    """Each exposure has a neighbour at the distance, and none is nearer."""
    scene = Scene.create(backgrounds=9, dither_step=3)
    places = scene.dithers("background")
    apart = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    nearest = (apart + 1e9 * np.eye(9)).min(axis=1)
    np.testing.assert_allclose(nearest, 3 * scene.fwhm)


@pytest.mark.slow
def test_drawn_rates_agree_with_calwebb_detector1(copied_observation):
    """Offset, scatter and reported error of empty sky, on the truth of a run."""
    run = RunDirectory(copied_observation, _observation(copied_observation))
    try:
        real = taken_of(run)
        other = drawn_like(real, run.observation, seed=7)
    finally:
        run.release()
    measured = pixel_statistics(real), pixel_statistics(other)
    pixels = len(real.backgrounds) * real.backgrounds[0].data.size
    noise = measured[0]["scatter"]
    # The outputs of a subarray without reference pixels drift by a tenth of that or less.
    assert measured[1]["offset"] == pytest.approx(measured[0]["offset"], abs=0.1 * noise)
    error = ERRORS * np.sqrt(2) * noise / np.sqrt(2 * pixels)
    # Drifts of outputs add the square of a tenth.
    assert measured[1]["scatter"] == pytest.approx(noise, abs=error + 0.01 * noise)
    # Reported variances follow each ramp's own noise: off by up to a percent for few groups.
    assert measured[1]["error"] == pytest.approx(measured[0]["error"], rel=0.01)


def _observation(directory):
    """Return what a run has observed."""
    import json

    from miri_background.observation import Observation

    return Observation.create(**json.loads((directory / "observation.json").read_text()))
