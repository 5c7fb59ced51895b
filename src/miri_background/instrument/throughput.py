"""From sky brightness and source flux to electrons: bandpass, mirror, pixel.

The pre-flight curves give the form of each band.  How many electrons come is what flight has
measured on stars: one factor for each filter lifts the curve to it.
"""

from functools import lru_cache
from types import MappingProxyType

import numpy as np
from sedpy.observate import Filter

from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.detector import GAIN
from miri_background.instrument.flight_calibration import EPOCH, flight_photmjsr
from miri_background.parameters import FILTERS

__all__ = [
    "BORESIGHT_OFFSETS",
    "COLLECTING_AREA",
    "FILTERS",
    "PIXEL_SOLID_ANGLE",
    "SKY_LEVELS",
    "TELESCOPE_TRANSMISSION",
    "bandpass",
    "electrons_per_microjansky",
    "electrons_per_surface_brightness",
    "in_flight_factor",
    "photmjsr",
    "pivot_wavelength",
    "preflight_electrons_per_microjansky",
]

# Sky at high ecliptic latitude, MJy/sr.  Measured where flight exposures of an empty field are
# public: their median rates of June 2022, times the flight calibration (`flight_photmjsr`) of
# then.  F560W (without first exposures after a change of filter) and F770W towards the Large
# Magellanic Cloud, programme 1040; F1000W, F1500W and F1800W at 10 degrees from there, programme
# 2736.  The others are a model: zodiacal light of DIRBE (Kelsall et al. 1998, median over the
# visible epochs) and the telescope's thermal light (STScI's table 4.0 of 2024, fitted to flight
# data), both weighted with the bandpass.
SKY_LEVELS = MappingProxyType(
    {
        "F560W": 1.24,
        "F770W": 4.23,
        "F1000W": 11.7,
        "F1130W": 16.1,
        "F1280W": 22.4,
        "F1500W": 39.0,
        "F1800W": 86.3,
        "F2100W": 257.0,
        "F2550W": 998.0,
    }
)

# How far, in columns and rows, a filter moves a star from where F770W puts it: boresight offsets
# of the MIRI distortion delivery SS.09.00, distributed in pysiaf.
BORESIGHT_OFFSETS = MappingProxyType(
    {
        "F560W": (0.08, 0.06),
        "F770W": (0.0, 0.0),
        "F1000W": (0.14, 0.62),
        "F1130W": (-0.15, 0.59),
        "F1280W": (0.08, 0.70),
        "F1500W": (0.36, 0.74),
        "F1800W": (-0.39, 0.73),
        "F2100W": (0.02, 0.27),
        "F2550W": (0.15, 0.55),
    }
)

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


def pivot_wavelength(name):
    """Return the pivot wavelength of a filter, micrometre (Tokunaga & Vacca 2005, eq. A16)."""
    wavelength, efficiency = bandpass(name)
    energy = np.trapezoid(efficiency * wavelength, wavelength)
    return float(np.sqrt(energy / np.trapezoid(efficiency / wavelength, wavelength)))


def preflight_electrons_per_microjansky(name):
    """Return electron / s for a source of 1 microjansky that the pre-flight curve predicts."""
    wavelength, efficiency = bandpass(name)
    # Photons per second and hertz are F_nu / (h nu); d nu / nu = d lambda / lambda.
    width = np.trapezoid(efficiency / wavelength, wavelength)
    return MICROJANSKY * COLLECTING_AREA * TELESCOPE_TRANSMISSION * width / PLANCK_CONSTANT


def electrons_per_microjansky(name):
    """Return electron / s on the detector for a source of 1 microjansky.

    The flux of a source that is not flat in frequency is its mean over the band, photon
    by photon: what photometry measures, without any colour correction.
    """
    return electrons_per_surface_brightness(name) / (MICROJANSKY_PER_MEGAJANSKY * PIXEL_SOLID_ANGLE)


def electrons_per_surface_brightness(name):
    """Return electron / s in a pixel of nominal area for a sky of 1 MJy/sr."""
    return GAIN / photmjsr(name)


def photmjsr(name):
    """Return the calibration factor of a filter, MJy/sr per DN/s: that of flight at `EPOCH`."""
    return flight_photmjsr(name, EPOCH)


def in_flight_factor(name):
    """Return what the pre-flight curve of a filter is multiplied by to give flight's electrons."""
    return electrons_per_microjansky(name) / preflight_electrons_per_microjansky(name)
