"""Whose detector the reference files describe: the maps that they are written from."""

from dataclasses import dataclass, field

import numpy as np

from miri_background.instrument import detector
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import PATTERNS
from miri_background.instrument.response import relative_pixel_area, sky_response
from miri_background.instrument.throughput import FILTERS
from miri_background.simulation.mirisim.constants import (
    MIRISIM_GAIN,
    MIRISIM_SATURATION,
)
from miri_background.simulation.mirisim.throughput import mirisim_throughput

__all__ = ["DetectorMaps", "embedded_detector", "mirisim_detector"]


@dataclass(frozen=True)
class DetectorMaps:
    """What calwebb_detector1 and the flat field have to know of a detector.

    All arrays are of the full array.

    Parameters
    ----------
    gain : ndarray
        Electron / DN.
    read_noise : ndarray
        Standard deviation of one read, DN.
    dark_current : ndarray
        Electron / s.
    saturation_level : ndarray
        Raw signal, DN.
    linearity : ndarray
        Coefficients of the linear signal as a polynomial of the raw one, DN,
        shape (number, rows, columns).
    reset_anomaly : list of ndarray
        DN that the reset leaves in the first groups of the first and of later integrations,
        each of shape (groups, rows, columns).
    flat : ndarray
        Relative response in DN to a sky of uniform brightness, 0 where no light arrives.
    bad_pixels : ndarray
        Indices into `miri_background.instrument.detector.BAD_PIXEL_KINDS`.
    conversion : float
        Electron / DN that the flux calibration is for.
    throughput : dict
        By filter, electrons per photon in units of those of the embedded instrument.
    """

    gain: np.ndarray
    read_noise: np.ndarray
    dark_current: np.ndarray
    saturation_level: np.ndarray
    linearity: np.ndarray
    reset_anomaly: list
    flat: np.ndarray
    bad_pixels: np.ndarray
    conversion: float
    throughput: dict = field(default_factory=lambda: dict.fromkeys(FILTERS, 1.0))


def embedded_detector(readout_pattern):
    """Return the maps of the embedded simulator's detector.

    Parameters
    ----------
    readout_pattern : str
        Name of the readout pattern, which decides the noise of a read.

    Returns
    -------
    DetectorMaps
        The very maps that the simulator uses.
    """
    return DetectorMaps(
        gain=detector.gain(),
        read_noise=detector.read_noise() / np.sqrt(PATTERNS[readout_pattern].averaged),
        dark_current=detector.dark_current(),
        saturation_level=detector.saturation_level(),
        linearity=detector.linearity_coefficients(),
        reset_anomaly=[detector.reset_anomaly(integration) for integration in range(2)],
        # Where a pixel needs more electrons for a DN, its response in DN is less.
        flat=sky_response() * detector.GAIN / detector.gain(),
        bad_pixels=detector.bad_pixels(),
        conversion=detector.GAIN,
    )


def mirisim_detector(read_noise):
    """Return the maps of MIRISim's detector, as the suite's configuration leaves it.

    Dark current, non-linearity, drifts, pixel flat, gain map and bad pixels are switched off.

    Parameters
    ----------
    read_noise : float
        Noise of one read, DN, as it was measured on MIRISim's own ramps.

    Returns
    -------
    DetectorMaps
        The same number in all pixels, except in the field that sees the sky.
    """
    ones, zeros = np.ones(detector.SHAPE), np.zeros(detector.SHAPE)
    return DetectorMaps(
        gain=MIRISIM_GAIN * ones,
        read_noise=read_noise * ones,
        dark_current=zeros,
        saturation_level=MIRISIM_SATURATION * ones,
        linearity=np.stack([zeros, ones]),
        reset_anomaly=[np.zeros((1, *detector.SHAPE))] * 2,
        flat=np.where(illuminated(), relative_pixel_area(), 0.0),
        bad_pixels=np.zeros(detector.SHAPE, dtype=np.uint8),
        conversion=MIRISIM_GAIN,
        throughput={name: mirisim_throughput(name) for name in FILTERS},
    )
