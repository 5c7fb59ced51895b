"""What the empty sky of a mosaic says by itself."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from miri_background.validation.mosaic.findings import mosaic_findings
from miri_background.validation.mosaic.reading import Mosaic

SIZE, NOISE, STAR = 320, 0.05, 6.0  # pixels, MJy/sr, and pixels that a star's segment reaches
SOURCES = [(x, y) for x in range(50, SIZE - 40, 70) for y in range(50, SIZE - 40, 70)]
BOWL = 8.0, 18.0  # pixels from the middle of a source
NAME = "over-subtraction around sources"


def mosaic(step=0.0, inner=BOWL[0], outer=BOWL[1]):
    """Return a mosaic of stars, around each of which the sky has a step, in pixel noises."""
    generator = np.random.default_rng(8)
    # Neighbours have noise in common, as resampling makes it.
    noise = gaussian_filter(generator.standard_normal((SIZE, SIZE)), 0.6)
    data = NOISE * noise / noise.std()
    y, x = np.indices(data.shape)
    segments = np.zeros(data.shape, dtype=int)
    for number, (at_x, at_y) in enumerate(SOURCES):
        distance = np.hypot(x - at_x, y - at_y)
        data += 100 * NOISE * np.exp(-((distance / 2) ** 2) / 2)
        data += step * NOISE * ((distance > inner) & (distance < outer))
        segments[distance < STAR] = number + 1
    return Mosaic(
        Path("some_i2d.fits"),
        fits.Header(),
        fits.Header(),
        data,
        np.full(data.shape, NOISE),
        np.ones(data.shape),
        ["first_crf.fits", "second_crf.fits"],
        segments=segments,
    )


def names_of(found):
    """Return the names of findings."""
    return {each.name for each in found}


def test_dark_sky_around_sources_is_found_with_its_depth():
    """The number is that of the bowl, where it is looked for: from 7 to 16 pixels off a source."""
    (found,) = (each for each in mosaic_findings(mosaic(-0.8)) if each.name == NAME)
    # The ring reaches past the bowl, and a little of the sky far away is in it, too.
    assert -0.8 * NOISE < found.value < -0.3 * NOISE
    assert "darker than far from them" in found.sentence


@pytest.mark.parametrize(
    "around",
    [{}, {"step": 0.8}, {"step": -0.1}, {"step": -0.8, "inner": 0, "outer": 4}],
    ids=["nothing", "wings", "less than matters", "inside of the segments"],
)
def test_sky_that_is_not_darker_around_sources_has_no_such_finding(around):
    """Light around sources, and what no flux notices, are no over-subtraction."""
    assert NAME not in names_of(mosaic_findings(mosaic(**around)))


def test_sky_without_a_source_has_no_such_finding():
    """There is nothing to look around."""
    empty = mosaic(-0.8)
    empty.segments[:] = 0
    assert NAME not in names_of(mosaic_findings(empty))
