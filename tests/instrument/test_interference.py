"""Pixels are sampled when the detector's clocks say so, and lines advance from frame to frame."""

import numpy as np
import pytest

from miri_background.instrument.interference import LINES, SAMPLE_TIME, sampling
from miri_background.instrument.readout import PATTERNS, READABLE, frame_time, subarrays
from miri_background.parameters import INTERFERENCE_LINES

# Rows and columns of subarrays that are not simulated (SIAF).
OTHERS = {"SUB64": (64, 72), "SUB128": (128, 136)}


def read(pattern, subarray):
    """Return when the pixels of a subarray are sampled."""
    shape = OTHERS.get(subarray) or subarrays()[subarray].shape
    return sampling(pattern, subarray, shape)


def test_lines_are_those_that_can_be_chosen():
    """Each line of the registry has a frequency."""
    assert tuple(LINES) == INTERFERENCE_LINES


@pytest.mark.parametrize(("pattern", "subarray"), READABLE)
def test_frames_last_as_documented(pattern, subarray):
    """Rows, and what is skipped of the others, take the frame time of the user documentation."""
    seconds = read(pattern, subarray).frame_samples * SAMPLE_TIME
    assert seconds == pytest.approx(frame_time(pattern, subarray), abs=SAMPLE_TIME / 2)


@pytest.mark.parametrize(("pattern", "subarray"), READABLE)
def test_rows_are_read_one_after_the_other(pattern, subarray):
    """The last pixel of a row is done before the next row begins, four columns at a time."""
    samples, (rows, columns) = read(pattern, subarray), subarrays()[subarray].shape
    duration = PATTERNS[pattern].samples
    assert samples.columns[-1] + duration <= samples.rows[1]
    starts = np.unique(samples.columns)
    np.testing.assert_array_equal(starts, np.arange(columns // 4) * duration)
    assert samples.rows.size == rows


@pytest.mark.parametrize(
    ("pattern", "subarray", "whole"),
    [*((*each, True) for each in READABLE), *(("FASTR1", name, False) for name in OTHERS)],
)
def test_390_hz_is_the_same_in_every_frame_of_large_arrays(pattern, subarray, whole):
    """256 samples divide their frames: a slope does not have the wave.  Small subarrays' do not."""
    advance = read(pattern, subarray).turn_of_frame(LINES["Hz390"])
    assert (min(advance, 1 - advance) < 1e-9) == whole


@pytest.mark.parametrize("line", ["Hz10", "Hz218"])
@pytest.mark.parametrize(("pattern", "subarray"), READABLE)
def test_other_lines_advance(pattern, subarray, line):
    """No other line is the same in every frame."""
    advance = read(pattern, subarray).turn_of_frame(LINES[line])
    assert 1e-3 < advance < 1 - 1e-3


def test_unknown_subarray_has_no_times():
    """Where the clocks are not known, nothing is guessed."""
    assert sampling("FASTR1", "SLITLESSPRISM", (416, 72)) is None
