"""What changes from exposure to exposure has the size asked for, and is nothing by default."""

import numpy as np
import pytest

from miri_background.instrument.detector import OUTPUT_DRIFT, linear_signal, reference_pixels
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.observation import Observation
from miri_background.simulation import exposures
from miri_background.simulation.changes import dark_stripes, settling
from miri_background.simulation.exposures import simulate

READ, GROUPS = subarrays()["SUB256"], 8
PIXELS, FRAME_TIME = (READ.y, READ.x), frame_time("FASTR1", "SUB256")
SMALL = {"subarray": READ.name, "groups": GROUPS, "science_exposures": 2, "background_exposures": 2}
# What four visits show in F560W, relative to their fifth exposures, %, and its error: the later
# exposures scatter by about as much.
FLIGHT_EXCESS, FLIGHT_ERROR = (24.8, 7.7, 2.8, 2.8), 2.0


@pytest.fixture(scope="module")
def psf():
    """Return the point-spread function of the default filter."""
    return point_spread_function("F770W")


@pytest.fixture(scope="module")
def taken(psf):
    """Return a function that simulates one exposure of an observation with changes."""

    def take(field, dither, **changes):
        observation = Observation(**SMALL | changes)
        return simulate(observation, observation.exposure(field, dither), psf)

    return take


# ------------------------------------------------------------------ first exposures


def test_first_exposures_fade_as_in_flight():
    """The excess is that of the first exposure, and that of the later ones is as flight has it."""
    observation = Observation(first_exposure_excess=24.8)
    for dither, percent in enumerate(FLIGHT_EXCESS):
        excess = 100 * (settling(observation, observation.exposure("science", dither)) - 1)
        assert excess == pytest.approx(percent, abs=FLIGHT_ERROR)


def test_detector_is_settled_by_default():
    """Without an excess, the sky is multiplied by one exactly."""
    observation = Observation()
    assert {settling(observation, observation.exposure("science", n)) for n in range(4)} == {1.0}


@pytest.mark.slow
def test_excess_is_in_ramps_and_truth_of_each_field(taken):
    """The ramps of empty sky rise as much more as the truth says."""
    for field in ("science", "background"):
        usual, excessive = (
            taken(field, 0, sky_level=100, first_exposure_excess=percent) for percent in (0, 20)
        )
        np.testing.assert_allclose(excessive.background, 1.2 * usual.background, rtol=1e-12)
        rises = [
            np.diff(linear_signal(each.level1b.data[0, [1, -2]].astype(float), PIXELS), axis=0)
            for each in (usual, excessive)
        ]
        # The reset, which is the same in both, goes with the difference.
        expected = np.median(excessive.background - usual.background) * FRAME_TIME * (GROUPS - 3)
        # The eight outputs drift in each of the four reads.
        error = OUTPUT_DRIFT * np.sqrt(4 / 8)
        assert np.median(rises[1] - rises[0]) == pytest.approx(expected, abs=5 * error)


# ------------------------------------------------------------------ stripes of the dark


@pytest.mark.parametrize("name", ["FULL", "SUB256"])
def test_stripes_of_two_fields_differ_by_what_is_asked_for(name):
    """Columns by the rms, rows by half of it, and a subarray has those of the full array."""
    observation, read = Observation(dark_stripes=0.4), subarrays()[name]
    first, second = (
        dark_stripes(observation, read, np.random.default_rng(seed)) for seed in (1, 2)
    )
    difference = (first - second)[:, ~read.cut(reference_pixels()).any(axis=0)]
    for axis, expected in ((0, 0.4), (1, 0.2)):
        lines = difference.mean(axis=axis)
        # An rms of n numbers is known to a part of 1 / root (2 n).
        assert lines.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * lines.size))
        assert lines.mean() == pytest.approx(0, abs=0.02)  # reference pixels have none
    assert np.all(first[read.cut(reference_pixels())] == 0)


@pytest.mark.slow
def test_stripes_are_in_ramps_and_truth(taken):
    """Columns rise as the truth of the field says, in each of its exposures."""
    truths, groups = [], 24
    for dither in (0, 1):
        usual, striped = (
            taken("background", dither, background_stars=0, dark_stripes=rms, groups=groups)
            for rms in (0, 5)
        )
        truths.append(striped.background - usual.background)
        first, second = (
            np.diff(linear_signal(each.level1b.data[0, [1, -2]].astype(float), PIXELS), axis=0)[0]
            for each in (usual, striped)
        )
        # The hits of cosmic rays are the same in both, but where a pixel is full.
        rise = (second - first) / FRAME_TIME / (groups - 3)
        found = np.median(rise, axis=0)
        expected = np.median(truths[-1], axis=0)
        # A median of 256 pixels, the rms of the columns, and 256 columns; drifts of the outputs.
        error = (1.25 * rise.std() / 16 + 0.2) / (expected.std() * 16)
        assert np.polyfit(expected, found, 1)[0] == pytest.approx(1, abs=5 * error)
    np.testing.assert_array_equal(*truths)


@pytest.mark.slow
def test_nothing_changes_by_default(taken, monkeypatch):
    """An exposure with all at their defaults is that of a detector without any of it."""
    usual = taken("science", 1).level1b.data
    monkeypatch.setattr(exposures, "settling", lambda *_: 1.0)
    monkeypatch.setattr(exposures, "dark_stripes", lambda *_: 0.0)
    monkeypatch.setattr(exposures, "interference", lambda *_: None)
    np.testing.assert_array_equal(taken("science", 1).level1b.data, usual)
