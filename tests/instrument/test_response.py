"""Pixels respond to stars and to sky as flat, masks and distortion say."""

import numpy as np
import pytest

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import SHAPE, pixel_flat
from miri_background.instrument.footprint import illuminated, regions, transmission
from miri_background.instrument.response import (
    point_response,
    relative_pixel_area,
    sky_response,
)

# Pixel area over its median in the imager (measured with pysiaf): lowest and highest
AREA_RANGE = (1 - 0.031, 1 + 0.008)
AREA_ROUNDING = 0.0005  # those numbers have three digits


@pytest.fixture
def imager_area():
    """Return the relative pixel area in the imager."""
    return relative_pixel_area()[regions()["imager"].slices]


def test_area_is_relative_to_the_reference_pixel():
    """Around the reference point, which lies on a corner of pixels, the mean is 1."""
    aperture = imager_aperture()
    column, row = int(aperture.x_ref), int(aperture.y_ref)
    around = relative_pixel_area()[row : row + 2, column : column + 2]
    # Half a pixel squared times the third derivative of the distortion (5e-8 arcsec / pixel^3)
    # over the scale of 0.11 arcsec
    assert around.mean() == pytest.approx(1.0, abs=0.5**2 * 5e-8 / 0.11)


def test_area_is_that_of_each_pixel():
    """Rows and columns are not exchanged."""
    aperture = imager_aperture()
    row, column = 900, 40
    expected = aperture.pixel_area(column, row) / aperture.pixel_area(
        aperture.x_ref, aperture.y_ref
    )
    assert relative_pixel_area()[row, column] == pytest.approx(expected, rel=1e-12)


def test_area_varies_as_measured(imager_area):
    """The distortion changes the area within the imager by a few per cent."""
    found = np.array([imager_area.min(), imager_area.max()]) / np.median(imager_area)
    np.testing.assert_allclose(found, AREA_RANGE, rtol=0, atol=AREA_ROUNDING)


def test_stars_see_the_pixel_flat_in_the_open():
    """A point source's light is all in the pixel, whatever sky the pixel covers."""
    opened = transmission() == 1.0
    np.testing.assert_array_equal(point_response()[opened], pixel_flat()[opened])


def test_shadows_take_their_part_of_a_stars_light():
    """Where a mask lets a part through, a pixel responds by that part."""
    good = illuminated() & (pixel_flat() > 0)
    # Both factors have few digits: their product and its quotient are exact.
    np.testing.assert_array_equal(point_response()[good] / pixel_flat()[good], transmission()[good])


def test_sky_sees_what_stars_see_times_area():
    """A uniform sky gives light in proportion to the area of sky that a pixel sees."""
    np.testing.assert_allclose(
        sky_response(),
        point_response() * relative_pixel_area(),
        rtol=2 * np.finfo(float).eps,
    )


@pytest.mark.parametrize("response", [point_response, sky_response], ids=["star", "sky"])
def test_nothing_responds_in_the_dark(response):
    """Where the masks let no light through, nothing responds."""
    assert not response()[transmission() == 0].any()


@pytest.mark.parametrize(
    "response",
    [relative_pixel_area, point_response, sky_response],
    ids=lambda each: each.__name__,
)
def test_response_covers_the_detector(response):
    """Each map has the detector's shape."""
    assert response().shape == SHAPE


@pytest.mark.parametrize(
    "response",
    [relative_pixel_area, point_response, sky_response],
    ids=lambda each: each.__name__,
)
def test_response_cannot_be_changed(response):
    """The shared map is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        response()[0, 0] = 1.0
