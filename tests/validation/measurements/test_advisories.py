"""What the step does as documented is told, with its number, where it applies and only there."""

from types import SimpleNamespace

import numpy as np
import pytest

from miri_background.validation.measurements.advisories import (
    advisories,
    bad_values,
    lost_light,
    lost_pixels,
    small_errors,
    unclipped,
    unsubtracted,
)
from miri_background.validation.products.images import DO_NOT_USE

SHAPE = (20, 30)


def image(**planes):
    """Return a rate or result, without a flag and equal everywhere."""
    given = {
        "data": np.full(SHAPE, 14.0),
        "err": np.full(SHAPE, 0.3),
        "dq": np.zeros(SHAPE, dtype=np.uint32),
    }
    return SimpleNamespace(**(given | planes))


def flagged(*pixels):
    """Return flags that are DO_NOT_USE in some pixels."""
    dq = np.zeros(SHAPE, dtype=np.uint32)
    for pixel in pixels:
        dq[pixel] = DO_NOT_USE
    return dq


def reported(noise):
    """Return a reported noise of residuals that is the same everywhere."""
    return SimpleNamespace(of_residual=lambda _: np.full(SHAPE, noise))


def analysis(count=4, sigma=2.0, backgrounds=None, subtracted=None, **changed):
    """Return what advisories look at, of a step that needs no advisory."""
    everywhere = np.ones(SHAPE, dtype=bool)
    backgrounds = backgrounds or [image() for _ in range(count)]
    given = {
        "products": {"sigma": sigma, "combined": [image()], "backgrounds": backgrounds},
        "expectation": {
            "backgrounds": backgrounds,
            "science": [image()],
            "reported": reported(0.3),
            "truth": False,
        },
        "masks": {"lit": everywhere, "seen": everywhere, "clean_backgrounds": everywhere},
        "residuals": {"judged": [everywhere]},
    }
    parts = {
        name: SimpleNamespace(**(part | changed.get(name, {}))) for name, part in given.items()
    }
    return SimpleNamespace(**parts, subtracted=subtracted or [image()])


def known_light(light, leak):
    """Return what is expected of backgrounds with known sources."""
    return {"truth": True, "background_light": list(light), "leak": leak, "sky_noise": 0.3}


def test_nothing_is_told_of_a_step_without_surprise():
    """Where nothing applies there is nothing to read."""
    assert advisories(analysis()) == []


def test_nothing_is_told_of_a_step_that_was_skipped():
    """Without a combined background there is nothing to take care of."""
    skipped = analysis(sigma=3.0, products={"combined": [None]})
    assert advisories(skipped) == []


@pytest.mark.parametrize(
    ("count", "sigma", "told"), [(4, 3.0, True), (4, 2.0, False), (8, 3.0, False), (2, 2.0, True)]
)
def test_threshold_that_nothing_reaches_is_told(count, sigma, told):
    """Four exposures reach 2.309 standard deviations, eight 3.024, two 1."""
    assert bool(list(unclipped(analysis(count, sigma)))) == told


def test_enough_exposures_are_named():
    """At the step's default sigma, eight exposures clip what four cannot."""
    (advisory,) = unclipped(analysis(4, 3.0))
    assert advisory.value == pytest.approx(2.309, abs=0.001)
    assert "at least 8 background exposures" in advisory.advice


def test_light_that_stays_is_told_in_percent():
    """Of a source in one exposure, of which a tenth stays, a tenth is told."""
    light = np.zeros((4, *SHAPE))
    light[0, 5, 5] = 100.0
    leak = light[0] / 10
    told = analysis(expectation=known_light(light, leak))
    (advisory,) = lost_light(told)
    assert advisory.value == pytest.approx(10.0)
    assert "in 0 pixels" in advisory.sentence


def test_overlapping_sources_are_counted():
    """A pixel with sources in two exposures is told."""
    light = np.zeros((4, *SHAPE))
    light[0, 5, 5] = light[1, 5, 5] = 100.0
    told = analysis(expectation=known_light(light, light.mean(axis=0)))
    (advisory,) = lost_light(told)
    assert "in 1 pixels" in advisory.sentence


def test_pixels_lost_for_one_background_are_counted():
    """Flagged in one background, in the result, and not in the rate."""
    lost = analysis(
        backgrounds=[image(dq=flagged((1, 1), (2, 2))), image(dq=flagged((2, 2)))],
        subtracted=[image(dq=flagged((1, 1), (2, 2)))],
    )
    (advisory,) = lost_pixels(lost)
    assert advisory.value == 1


def test_pixels_that_are_not_flagged_after_all_are_not_lost():
    """A build that flags only what is flagged in all backgrounds loses nothing."""
    kept = analysis(backgrounds=[image(dq=flagged((1, 1))), image()])
    assert list(lost_pixels(kept)) == []


def test_pixels_without_a_background_are_counted():
    """Not a number in every background, a number and no flag in the result."""
    data = np.full(SHAPE, 14.0)
    data[3, 4] = np.nan
    (advisory,) = unsubtracted(analysis(backgrounds=[image(data=data) for _ in range(3)]))
    assert advisory.value == 1


def test_flagged_pixels_without_a_background_are_known():
    """A flag tells that the value is not to be used."""
    data = np.full(SHAPE, 14.0)
    data[3, 4] = np.nan
    told = analysis(
        backgrounds=[image(data=data) for _ in range(3)], subtracted=[image(dq=flagged((3, 4)))]
    )
    assert list(unsubtracted(told)) == []


def test_flagged_values_that_are_averaged_are_counted():
    """A number under the flag is averaged, what is not a number is not."""
    data = np.full(SHAPE, 14.0)
    data[1, 1] = np.nan
    (advisory,) = bad_values(analysis(backgrounds=[image(data=data, dq=flagged((1, 1), (2, 2)))]))
    assert advisory.value == 1


def test_errors_that_are_too_small_are_told_in_percent():
    """Errors of 0.3 where the noise is 0.4 are a quarter too small."""
    noisy = analysis(expectation={"reported": reported(0.4)})
    (advisory,) = small_errors(noisy)
    assert advisory.value == pytest.approx(25.0)
    assert "by 1.333" in advisory.advice


def test_errors_that_are_right_are_not_told():
    """Below a hundredth there is nothing to do."""
    assert list(small_errors(analysis())) == []
