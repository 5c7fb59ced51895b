"""A colour composite shows each filter in its colour, where all mosaics see the sky."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from miri_background.outcomes import CannotJudge
from miri_background.reporting.composite import composite, composite_png
from miri_background.reporting.pictured import description_of
from miri_background.validation.mosaic.reading import Mosaic

SIZE, NOISE, STAR = 80, 0.1, 60.0  # pixels, MJy/sr, and noises of a star
RED_STAR, BLUE_STAR, SHIFT = (20, 30), (60, 50), 6  # row and column, and pixels between the grids


def mosaic(name, stars, noise=NOISE, shift=0, dec=-69.5):
    """Return a mosaic with stars at rows and columns of the sky, which its grid is shifted on."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (80.5, dec), (-0.11 / 3600, 0.11 / 3600)
    wcs.wcs.crpix = SIZE / 2 + shift, SIZE / 2
    generator = np.random.default_rng(len(stars) + int(1000 * noise))
    data = noise * generator.standard_normal((SIZE, SIZE))
    y, x = np.indices(data.shape)
    for row, column in stars:
        distance = np.hypot(y - row, x - column - shift)
        data += STAR * noise * np.exp(-((distance / 1.5) ** 2) / 2)
    header, names = fits.Header({"FILTER": name}), ["first_crf.fits", "second_crf.fits"]
    ones = np.ones_like(data)
    return Mosaic(Path(f"{name}_i2d.fits"), header, wcs.to_header(), data, ones, ones, names)


@pytest.fixture
def pair():
    """Return mosaics in two filters, in another order than their wavelengths, on two grids."""
    red = mosaic("F1500W", [RED_STAR], noise=10 * NOISE, shift=SHIFT)
    return [red, mosaic("F770W", [BLUE_STAR])]


def test_stars_have_the_colours_of_their_filters(pair):
    """Wherever grids begin, and however noisy a filter is."""
    colours, filters = composite(pair)
    assert filters == ["F770W", "F1500W"]
    red, blue = (colours[place].astype(int) for place in (RED_STAR, BLUE_STAR))
    assert red[0] > red[1] > red[2]
    assert blue[2] > blue[1] > blue[0]
    # Empty sky is as dark in one as in the other.
    sky = np.median(colours[:15, :15], axis=(0, 1))
    assert abs(sky[0] - sky[2]) < 10


def test_only_what_all_see_is_shown(pair):
    """The second grid begins some pixels later."""
    colours, _ = composite(pair)
    assert colours.shape == (SIZE, SIZE - SHIFT, 3)


def test_file_has_words_for_who_does_not_see_it(pair):
    """Which filter is which colour."""
    alt, caption, size = description_of(composite_png(pair))
    assert caption == "F770W in blue and F1500W in red"
    assert caption in alt
    assert size == (SIZE - SHIFT, SIZE)


def test_third_filter_is_green():
    """It lies between the others."""
    colours, filters = composite(
        [mosaic("F1000W", [RED_STAR]), mosaic("F770W", []), mosaic("F1500W", [], noise=0.2)]
    )
    assert filters == ["F770W", "F1000W", "F1500W"]
    assert np.argmax(colours[RED_STAR]) == 1


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([mosaic("F770W", [])], "each once, and not F770W, F770W"),
        ([mosaic("F1500W", [], dec=-60)], "no part of the sky in common"),
    ],
    ids=["one filter", "elsewhere"],
)
def test_what_makes_no_composite_is_refused(others, words):
    """In one sentence."""
    with pytest.raises(CannotJudge, match=words):
        composite([mosaic("F770W", []), *others])
