"""Distant galaxies: numbers and fluxes of deep fields."""

import numpy as np

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import SHAPE

__all__ = ["DISTANT", "FAINTEST", "GALAXY_WIDTH", "distant_galaxies"]

DISTANT = "distant galaxy"  # kind, in catalogues
# 2854 sources in 18.4 arcmin^2 of F560W above about 0.1 uJy, with a knee of the counts near
# 2 uJy: Sajkov et al. (2024, arXiv:2406.04437).  The same counts are taken in every filter.
FAINTEST = 0.1  # uJy
_KNEE = 2.0  # uJy
# Exponents of the number per flux.  Above the knee as in static Euclidean space; below, a round
# number that leaves 26 of 155 galaxies per arcmin^2 above 1 uJy.
_BRIGHT_SLOPE, _FAINT_SLOPE = -2.5, -1.6
_BRIGHTEST = 300.0  # uJy: brighter ones are rarer than one in an array
_SPECTRAL_INDICES = (-2.0, 0.0)  # from warm dust to flat
GALAXY_WIDTH = 1.0  # pixels, Gaussian: half of the light within 0.13 arcsec, before the optics
_AROUND = 100  # pixels beyond the array: dithers move them in


def distant_galaxies(density, generator):
    """Return galaxies over the array and its surroundings.

    Parameters
    ----------
    density : float
        Galaxies brighter than `FAINTEST`, per square arcminute.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    x, y : ndarray
        Pixels of the full array.
    flux : ndarray
        Microjansky.
    spectral_index : ndarray
        Exponent of frequency.
    """
    aperture = imager_aperture()
    rows, columns = (size + 2 * _AROUND for size in SHAPE)
    area = rows * columns * float(aperture.pixel_area(aperture.x_ref, aperture.y_ref)) / 3600
    count = generator.poisson(density * area)
    x = generator.uniform(0, columns, count) - _AROUND - 0.5
    y = generator.uniform(0, rows, count) - _AROUND - 0.5
    return x, y, _fluxes(count, generator), generator.uniform(*_SPECTRAL_INDICES, count)


def _fluxes(count, generator):
    """Return fluxes that are drawn from the counts, uJy."""
    faint, bright = 1 + _FAINT_SLOPE, 1 + _BRIGHT_SLOPE
    # Numbers on both sides of the knee, in units of that per logarithm of flux at the knee.
    below = ((FAINTEST / _KNEE) ** faint - 1) / -faint
    above = (1 - (_BRIGHTEST / _KNEE) ** bright) / -bright
    drawn, side = generator.random(count), generator.random(count)
    low, high = (FAINTEST / _KNEE) ** faint, (_BRIGHTEST / _KNEE) ** bright
    faint_ones = (1 + drawn * (low - 1)) ** (1 / faint)
    bright_ones = (1 + drawn * (high - 1)) ** (1 / bright)
    return _KNEE * np.where(side < below / (below + above), faint_ones, bright_ones)
