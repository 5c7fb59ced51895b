"""Reads pick up one wave that runs on through frames and integrations, and the truth has none."""

import numpy as np
import pytest

from miri_background.instrument.interference import LINES
from miri_background.instrument.optics import PointSpreadFunction
from miri_background.instrument.readout import PATTERNS
from miri_background.observation import Observation
from miri_background.simulation.exposures import simulate
from miri_background.simulation.interference import interference

AMPLITUDE, GROUPS = 7.0, 8
SMALL = {"subarray": "SUB256", "groups": GROUPS, "interference": AMPLITUDE}
EMPTY = {"science_stars": 0, "galaxy_flux": 0.0, "cosmic_ray_rate": 0.0}
THINNED = slice(None, None, 16)  # rows that are compared
CLOCK = 1e-5  # s, JWST user documentation


def added(seed=1, line="Hz218", **changes):
    """Return the wave of an exposure, a function of integration and group, and its readout."""
    # A copy, so that lines that are no good for a validation are added, too.
    observation = Observation(**SMALL | changes).model_copy(update={"interference_line": line})
    readout = observation.readout("science")
    return interference(observation, readout, np.random.default_rng(seed)), readout


def times_of_a_clock(readout, row_pad, integrations):
    """Return the times of all samples, s, by counting ticks of the clock, shape (..., samples).

    Pixels of four columns at a time, the pad at the end of each row, and the rest of the frame.
    """
    (rows, columns), samples = readout.window.shape, PATTERNS[readout.pattern].samples
    frame, times = round(readout.frame_time / CLOCK), []
    start = 0
    for _ in range(integrations):
        for _ in range(2):
            tick, of_frame = start, []
            for _ in range(rows):
                of_frame.append(tick + np.repeat(np.arange(columns // 4) * samples, 4))
                tick += columns // 4 * samples + row_pad
            times.append(of_frame)
            start += frame
        start += (readout.groups + 1 - 2) * frame  # the other groups, and the reset
    ticks = np.reshape(times, (integrations, 2, rows, columns))[..., THINNED, :]
    skipped = samples - PATTERNS[readout.pattern].averaged
    return (ticks[..., np.newaxis] + np.arange(skipped, samples)) * CLOCK


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    ("changes", "row_pad"),
    [
        ({"integrations": 2}, 96 - 64),
        pytest.param(
            {"subarray": "FULL", "readout_pattern": "SLOWR1"},
            2333 - 258 * 9,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["SUB256", "SLOWR1"],
)
def test_wave_is_one_wave_of_a_running_clock(line, changes, row_pad):
    """A sine of the line's frequency and the amplitude asked for is all that there is."""
    wave, readout = added(line=line, **changes)
    found = np.array(
        [
            [wave(number, group)[THINNED] for group in range(2)]
            for number in range(readout.integrations)
        ]
    )
    times = times_of_a_clock(readout, row_pad, readout.integrations)
    angle = 2 * np.pi * LINES[line] * times
    # Any phase is a sum of the two; each read is the average of its samples.
    basis = np.stack([np.sin(angle).mean(axis=-1).ravel(), np.cos(angle).mean(axis=-1).ravel()])
    weights = np.linalg.lstsq(basis.T, found.ravel())[0]
    assert np.hypot(*weights) == pytest.approx(AMPLITUDE, rel=1e-6)
    np.testing.assert_allclose(weights @ basis, found.ravel(), atol=1e-6 * AMPLITUDE)


def test_phase_is_that_of_the_exposure():
    """Nothing ties the wave to the start of an exposure."""
    first, again, other = (added(seed)[0](0, 0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1 * AMPLITUDE


def test_no_wave_by_default():
    """Without an amplitude there is nothing to add."""
    assert added(interference=0.0)[0] is None


@pytest.fixture(scope="module")
def pair():
    """Return an exposure without interference and the same with it, of the same seed."""
    psf = PointSpreadFunction(np.zeros((2, 505, 505)), 5)  # nothing is convolved with it
    found = []
    for amplitude in (0.0, AMPLITUDE):
        observation = Observation(**SMALL | EMPTY | {"interference": amplitude})
        found.append(simulate(observation, observation.exposure("science", 0), psf))
    return found


@pytest.mark.slow
def test_reads_have_the_wave_and_nothing_else(pair):
    """All random numbers are the same: reads differ by the wave, to whole numbers."""
    without, having = (each.level1b.data.astype(float)[0] for each in pair)
    difference = having - without
    # Two numbers are rounded by half a DN each.
    assert np.abs(difference).max() <= AMPLITUDE + 1
    assert difference.std() == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.02)
    np.testing.assert_array_equal(pair[0].level1b.refout, pair[1].level1b.refout)


@pytest.mark.slow
def test_truth_has_no_wave(pair):
    """The pipeline can take it away: what is left of it in rates is an error."""
    np.testing.assert_array_equal(pair[0].background, pair[1].background)
    np.testing.assert_array_equal(pair[0].sources, pair[1].sources)
