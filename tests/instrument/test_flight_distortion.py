"""Pixels look where the in-flight distortion flt9 says, filters move stars as it says."""

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.footprint import regions
from miri_background.instrument.throughput import BORESIGHT_OFFSETS, FILTERS

# The SIAF rounds its reference positions to a microarcsecond, and its coefficients to as much.
ROUNDING = 1e-6  # arcsec


@pytest.fixture(scope="module")
def imager():
    """Return x and y of pixels all over the imager."""
    region = regions("FULL")["imager"]
    axes = (np.linspace(part.start, part.stop - 1, 30) for part in (region.x, region.y))
    return np.meshgrid(*axes)


def test_pixels_look_where_the_model_of_flight_says(real_file, imager):
    """V2 and V3 of the imager's pixels are those of flt9."""
    path = real_file("flight_distortion/jwst_miri_imager_distortion_flt9.asdf")
    with datamodels.DistortionModel(path) as flight:
        expected = flight.model(*imager)
    np.testing.assert_allclose(imager_aperture().pixel_to_v2v3(*imager), expected, atol=ROUNDING)


def test_filters_move_stars_as_the_delivery_says(real_file):
    """The offsets are those of flt9, of the opposite sign, as the pipeline takes them."""
    path = real_file("flight_distortion/jwst_miri_filteroffset_full_flt9.asdf")
    with datamodels.FilteroffsetModel(path) as flight:
        found = {
            each.filter: (-each.column_offset, -each.row_offset)
            for each in flight.filters
            if each.filter in FILTERS
        }
    assert found == dict(BORESIGHT_OFFSETS)
