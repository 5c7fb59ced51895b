"""The point-spread function: JWST's pupil, MIRI's cruciform and inter-pixel capacitance."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from matplotlib.path import Path as Polygon
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve

from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.throughput import bandpass

__all__ = ["PointSpreadFunction", "point_spread_function"]

_STAMP = 201  # pixels across: beyond it lie 2 % of the light of F770W
_OVERSAMPLE = 5  # samples per pixel and axis; odd, so that a sample lies on the centre
_WAVELENGTHS = 9  # over the band: 2e-4 of the peak from the limit of many
_PUPIL_SAMPLES = 1024
_PUPIL_WIDTH = 6.7  # m: the outline is 6.6 m across its corners

# Light scattered along rows and columns inside the detector, as part of all light
# ("cruciform").  Length, hole and halo follow the analytic form that STScI fitted
# to flight data (stpsf 2.2); the total is normalised to this fraction here, since
# the published amplitudes depend on the sampling that they are used with.
_CRUCIFORM_FRACTION = {"F770W": 0.095}
_CRUCIFORM_LENGTH = 25.0  # pixel, e-folding length
_CRUCIFORM_HOLE = 12.0  # pixel: inside, the arms have half their strength, the halo none
_HALO_LENGTH = 24.0  # pixel, e-folding length of the round halo
_HALO_STRENGTH = 0.005  # of the arms' amplitude, per pixel area

# Charge seen by the neighbours (JWST-STScI-002925, as quoted in stpsf): a pixel
# keeps 0.834, its neighbours in x and y get 0.033 and 0.024, the corners 0.013.
_INTERPIXEL_CAPACITANCE = np.array(
    [[0.013, 0.024, 0.013], [0.033, 0.834, 0.033], [0.013, 0.024, 0.013]]
)


def pupil(jacobian, samples=_PUPIL_SAMPLES, width=_PUPIL_WIDTH):
    """Return the transmission of the telescope's pupil on detector axes.

    Parameters
    ----------
    jacobian : ndarray
        d(V2, V3)/d(x, y) at the field point, shape (2, 2).  Pupil and image are
        conjugate, so its transpose carries parity, rotation and skew of the
        detector into the pupil.
    samples : int
        Samples across the pupil.
    width : float
        Width of the sampled square, m.

    Returns
    -------
    ndarray
        1 in the segments, 0 outside and behind the secondary's supports.
    """
    outlines = json.loads(
        (files("miri_background.instrument") / "data" / "jwst_pupil.json").read_text()
    )
    to_detector = jacobian.T / np.sqrt(abs(np.linalg.det(jacobian)))
    positions = (np.arange(samples) + 0.5) / samples * width - width / 2
    transmission = np.zeros((samples, samples))
    for kind, value in (("segments", 1.0), ("struts", 0.0)):
        for outline in outlines[kind].values():
            vertices = np.asarray(outline) @ to_detector.T
            columns, rows = (
                slice(*np.searchsorted(positions, [axis.min(), axis.max()])) for axis in vertices.T
            )
            x, y = np.meshgrid(positions[columns], positions[rows])
            inside = Polygon(vertices).contains_points(np.column_stack([x.ravel(), y.ravel()]))
            transmission[rows, columns][inside.reshape(x.shape)] = value
    return transmission


def diffraction_image(transmission, width, wavelength, pixel, positions):
    """Return the monochromatic image of a point source, by a matrix Fourier transform.

    Parameters
    ----------
    transmission : ndarray
        Pupil, shape (n, n).
    width : float
        Width of the pupil array, m.
    wavelength : float
        Wavelength, m.
    pixel : float
        Pixel size, radian.
    positions : ndarray
        Sample positions along both axes, pixels.

    Returns
    -------
    ndarray
        Light per sample area as part of all light, in units of 1 / pixel^2.
    """
    samples = transmission.shape[0]
    step = width / samples
    across = (np.arange(samples) + 0.5) * step - width / 2
    kernel = np.exp(-2j * np.pi / wavelength * pixel * np.outer(positions, across))
    field = kernel @ transmission @ kernel.T
    # Parseval: the integral of |field|^2 over the sky is the pupil's power times
    # (wavelength / step)^2 / pixel^2 in pixels.
    power = np.sum(transmission**2)
    return np.abs(field) ** 2 * (step * pixel / wavelength) ** 2 / power


def cruciform_kernel(positions):
    """Return the cruciform and its halo, normalised to a sum of 1.

    Parameters
    ----------
    positions : ndarray
        Sample positions along both axes, pixels, with 0 in the middle.

    Returns
    -------
    ndarray
        Shape (n, n).  Arms that leave the stamp are normalised with their whole length.
    """
    step = positions[1] - positions[0]
    arm = np.exp(-np.abs(positions) / _CRUCIFORM_LENGTH)
    arm[np.abs(positions) < _CRUCIFORM_HOLE] *= 0.5
    outside = np.exp(-_CRUCIFORM_HOLE / _CRUCIFORM_LENGTH)
    arm_total = 2 * _CRUCIFORM_LENGTH * (0.5 * (1 - outside) + outside)
    radius = np.hypot(*np.meshgrid(positions, positions))
    halo = _HALO_STRENGTH * np.exp(-radius / _HALO_LENGTH)
    halo[radius < _CRUCIFORM_HOLE] = 0.0
    hole = _CRUCIFORM_HOLE / _HALO_LENGTH
    halo_total = 2 * np.pi * _HALO_STRENGTH * _HALO_LENGTH**2 * (1 + hole) * np.exp(-hole)
    kernel = halo * step**2
    centre = len(positions) // 2
    kernel[centre, :] += arm * step
    kernel[:, centre] += arm * step
    return kernel / (2 * arm_total + halo_total)


@dataclass(frozen=True)
class PointSpreadFunction:
    """Light of a point source in the pixels of the detector.

    Parameters
    ----------
    samples : ndarray
        Part of all light in a pixel centred at each sample, shape (n, n).
    oversample : int
        Samples per pixel along each axis; odd.
    """

    samples: np.ndarray
    oversample: int

    @property
    def radius(self):
        """Half width of the stamp, pixels; light further out is not rendered."""
        return (self.samples.shape[0] // 2) / self.oversample

    def spline(self):
        """Return the quintic spline of the samples over y, x offsets in pixels."""
        axis = np.arange(self.samples.shape[0]) / self.oversample - self.radius
        # Quintic: interpolation errs by 7e-8 of the peak, cubic by 2e-5.
        return RectBivariateSpline(axis, axis, self.samples, kx=5, ky=5)

    def kernel(self):
        """Return the image of a source on a pixel's centre, shape (2 r + 1, 2 r + 1)."""
        middle = self.samples.shape[0] // 2
        whole = np.arange(-int(self.radius), int(self.radius) + 1) * self.oversample + middle
        return self.samples[np.ix_(whole, whole)]


@lru_cache(maxsize=1)
def point_spread_function(name):
    """Return the point-spread function of a filter at the centre of the imager.

    Perfect optics: at 7.7 micrometre the telescope's 65-80 nm of wavefront error
    takes 0.3 % off the peak and changes the width by 0.1 %.

    Parameters
    ----------
    name : str
        Filter.

    Returns
    -------
    PointSpreadFunction
        Diffraction, cruciform, pixel and inter-pixel capacitance together, as
        part of all light that reaches the detector.
    """
    aperture = imager_aperture()
    jacobian = aperture.jacobian(aperture.x_ref, aperture.y_ref)
    pixel = np.sqrt(abs(np.linalg.det(jacobian))) * ARCSEC_TO_RAD
    margin = _INTERPIXEL_CAPACITANCE.shape[0] // 2 + 1
    half = (_STAMP // 2 + margin) * _OVERSAMPLE
    positions = np.arange(-half, half + 1) / _OVERSAMPLE

    wavelength, efficiency = bandpass(name)
    # Electrons per unit of ln(wavelength), for a source that is flat in frequency.
    cumulative = np.cumsum(efficiency / wavelength)
    nodes = np.interp(
        (np.arange(_WAVELENGTHS) + 0.5) / _WAVELENGTHS * cumulative[-1], cumulative, wavelength
    )
    transmission = pupil(jacobian)
    diffraction = np.mean(
        [
            diffraction_image(transmission, _PUPIL_WIDTH, node * 1e-6, pixel, positions)
            for node in nodes
        ],
        axis=0,
    )
    fraction = _CRUCIFORM_FRACTION[name]
    scattered = fftconvolve(diffraction, cruciform_kernel(positions), mode="same")
    image = (1 - fraction) * diffraction + fraction * scattered
    in_pixel = uniform_filter(image, _OVERSAMPLE, mode="constant")
    shared = sum(
        weight * np.roll(in_pixel, (dy * _OVERSAMPLE, dx * _OVERSAMPLE), axis=(0, 1))
        for dy, row in enumerate(_INTERPIXEL_CAPACITANCE, start=-1)
        for dx, weight in enumerate(row, start=-1)
    )
    inner = slice(margin * _OVERSAMPLE, -margin * _OVERSAMPLE)
    samples = np.ascontiguousarray(shared[inner, inner])
    samples.flags.writeable = False
    return PointSpreadFunction(samples, _OVERSAMPLE)
