"""How much memory it takes to judge one more exposure."""

import tracemalloc

import pytest

from miri_background.runs.check import check
from miri_background.validation.findings import inputs
from miri_background.validation.measurements import exact
from miri_background.validation.prediction import clipping
from miri_background.validation.products import planes

PIXELS = 256 * 256
# Which pixels of a science exposure are usable, and which are empty and judged, without the
# sources that were found and without the brightest of them only: five masks of a byte a pixel.
MASKS = 5
PLANE = 4  # bytes of a pixel in single precision
# Of the pixels of an exposure, what is kept of samples, and its headers.
SAMPLED = 1000
SIZES = {
    (clipping, "_BLOCK"): 2**15,
    (clipping, "_STRIP"): 2**15,
    (inputs, "_SAMPLE"): SAMPLED,
    (exact, "_SAMPLE"): SAMPLED,
    (planes, "_MOST_RECENT"): 0,
}


@pytest.fixture
def peak(tmp_path, write_stage2, monkeypatch):
    """Return a function that gives the peak memory of judging so many exposures of each field."""
    # What has one size for any number of exposures of the whole array has one here, too.
    for place, size in SIZES.items():
        monkeypatch.setattr(*place, size)

    def measure(count):
        directory = tmp_path / str(count)
        if not directory.exists():
            directory.mkdir()
            science = [f"science{number}" for number in range(count)]
            write_stage2(directory, science=science, backgrounds=count)
        tracemalloc.start()
        try:
            check(directory)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@pytest.mark.long
@pytest.mark.slow
def test_one_more_exposure_adds_masks_only(peak):
    """No plane of an exposure is held while others are judged, of neither field."""
    few, many = 3, 6
    peak(few)  # what is made once in a process
    added = (peak(many) - peak(few)) / (many - few)
    assert added / PIXELS < MASKS + PLANE
