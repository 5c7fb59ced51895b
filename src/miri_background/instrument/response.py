"""Relative response of the pixels to light that reaches the focal plane."""

from functools import lru_cache

import numpy as np

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import SHAPE, pixel_flat
from miri_background.instrument.footprint import transmission

__all__ = ["point_response", "relative_pixel_area", "sky_response"]


@lru_cache(maxsize=1)
def relative_pixel_area():
    """Return the sky area of each pixel in units of that of the reference pixel.

    Returns
    -------
    ndarray
        Full array, float64, read-only, from the distortion of the full array.
    """
    aperture = imager_aperture()
    # Open grids: the polynomials then broadcast powers of rows and columns.
    y, x = np.indices(SHAPE, dtype=float, sparse=True)
    area = aperture.pixel_area(x, y) / aperture.pixel_area(aperture.x_ref, aperture.y_ref)
    area.flags.writeable = False
    return area


@lru_cache(maxsize=1)
def point_response():
    """Return the relative response of each pixel to the light of a point source.

    Returns
    -------
    ndarray
        Full array, float64, read-only: the pixel flat times what the masks of the
        focal plane let pass.
    """
    response = transmission() * pixel_flat()
    response.flags.writeable = False
    return response


@lru_cache(maxsize=1)
def sky_response():
    """Return the relative response of each pixel to a sky of uniform brightness.

    A pixel collects in proportion to the area of sky that it sees, so this is
    what a flat field that is measured on the sky holds, and what the flat-field
    step divides by.

    Returns
    -------
    ndarray
        Full array, float64, read-only: response to a point source times
        relative pixel area.
    """
    response = point_response() * relative_pixel_area()
    response.flags.writeable = False
    return response
