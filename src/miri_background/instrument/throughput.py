"""From sky brightness and source flux to electrons: bandpass, mirror, pixel."""

from functools import lru_cache

import numpy as np
from sedpy.observate import Filter

from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.detector import GAIN

__all__ = [
    "COLLECTING_AREA",
    "FILTERS",
    "PIXEL_SOLID_ANGLE",
    "TELESCOPE_TRANSMISSION",
    "bandpass",
    "electrons_per_microjansky",
    "electrons_per_surface_brightness",
    "photmjsr",
]

FILTERS = ("F770W",)

COLLECTING_AREA = 25.4  # m^2, JWST user documentation (unobscured primary mirror)
TELESCOPE_TRANSMISSION = 0.88  # four mirrors, MIRISim's default tau_telescope
PLANCK_CONSTANT = 6.62607015e-34  # J s, SI definition
MICROJANSKY = 1e-32  # W m^-2 Hz^-1
MICROJANSKY_PER_MEGAJANSKY = 1e12

# Solid angle of the pixel at the reference point of MIRIM_FULL, steradian.
PIXEL_SOLID_ANGLE = float(
    imager_aperture().pixel_area(imager_aperture().x_ref, imager_aperture().y_ref)
    * ARCSEC_TO_RAD**2
)


@lru_cache
def bandpass(name):
    """Return wavelength and photon conversion efficiency of a filter.

    Parameters
    ----------
    name : str
        Imaging filter, one of `FILTERS`.

    Returns
    -------
    wavelength : ndarray
        Micrometre, ascending.
    efficiency : ndarray
        Electrons per photon that enters the instrument (the pre-flight curves
        TN-00072-ATC, as distributed in astro-sedpy); telescope not included.
    """
    curve = Filter(f"jwst_{name.lower()}")
    return curve.wavelength * 1e-4, curve.transmission


def electrons_per_microjansky(name):
    """Return electron / s on the detector for a source of 1 microjansky, flat in frequency."""
    wavelength, efficiency = bandpass(name)
    # Photons per second and hertz are F_nu / (h nu); d nu / nu = d lambda / lambda.
    width = np.trapezoid(efficiency / wavelength, wavelength)
    return MICROJANSKY * COLLECTING_AREA * TELESCOPE_TRANSMISSION * width / PLANCK_CONSTANT


def electrons_per_surface_brightness(name):
    """Return electron / s in a pixel of nominal area for a sky of 1 MJy/sr."""
    return electrons_per_microjansky(name) * MICROJANSKY_PER_MEGAJANSKY * PIXEL_SOLID_ANGLE


def photmjsr(name):
    """Return the calibration factor of a filter, MJy/sr per DN/s."""
    return GAIN / electrons_per_surface_brightness(name)
