"""The point-spread function: JWST's pupil, MIRI's cruciform and inter-pixel capacitance."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from matplotlib.path import Path as Polygon
from photutils.aperture import CircularAperture
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.signal import fftconvolve

from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.apertures import aperture_sums
from miri_background.instrument.detector import INTERPIXEL_CAPACITANCE
from miri_background.instrument.throughput import bandpass
from miri_background.instrument.wavefront import at_field_point, field_terms, wavefront

__all__ = [
    "CRUCIFORM_FRACTIONS",
    "SPECTRAL_INDICES",
    "PointSpreadFunction",
    "blue_part",
    "point_spread_function",
]

_STAMP = 201  # pixels across: beyond it lie 2 % of the light of F770W
_OVERSAMPLE = 5  # samples per pixel and axis; odd, so that a sample lies on the centre
_WAVELENGTHS = 9  # over the band: 2e-4 of the peak from the limit of many
_FEW_WAVELENGTHS = 3  # for what changes over the field
_PUPIL_SAMPLES = 1024
_PUPIL_WIDTH = 6.7  # m: the outline is 6.6 m across its corners

# Exponents of flux density per hertz as a power of frequency: of the reddest source, such as
# cool dust, and of the bluest, a photosphere in the Rayleigh-Jeans limit.
SPECTRAL_INDICES = (-2.0, 2.0)

# Light scattered along rows and columns inside the detector, as part of all light
# ("cruciform").  Length, hole and halo follow the analytic form that STScI fitted
# to flight data (stpsf 2.2); the total is normalised to this fraction here, since
# the published amplitudes depend on the sampling that they are used with.  The fraction of
# F770W lies between those of stpsf at four and five samples a pixel (0.100 and 0.089), and those
# of the other filters are in proportion to stpsf's amplitudes.
CRUCIFORM_FRACTIONS = MappingProxyType(
    {
        "F560W": 0.149,
        "F770W": 0.095,
        "F1000W": 0.0215,
        "F1130W": 0.0029,
        "F1280W": 0.0046,
        "F1500W": 0.0,
        "F1800W": 0.0,
        "F2100W": 0.0,
        "F2550W": 0.0,
    }
)
_CRUCIFORM_LENGTH = 25.0  # pixel, e-folding length
_CRUCIFORM_HOLE = 12.0  # pixel: inside, the arms have half their strength, the halo none
_HALO_LENGTH = 24.0  # pixel, e-folding length of the round halo
_HALO_STRENGTH = 0.005  # of the arms' amplitude, per pixel area


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
        Pupil, shape (n, n); real where the optics have no phase errors.
    width : float
        Width of the pupil array, m.
    wavelength : float
        Wavelength, m.
    pixel : float
        Pixel size, radian.
    positions : ndarray
        Sample positions along both axes, pixels; odd in number, 0 in the middle.

    Returns
    -------
    ndarray
        Light per sample area as part of all light, in units of 1 / pixel^2.
    """
    samples = transmission.shape[0]
    step = width / samples
    across = (np.arange(samples) + 0.5) * step - width / 2
    if np.iscomplexobj(transmission):
        turns = np.exp(-2j * np.pi / wavelength * pixel * np.outer(positions, across))
        return _of_all_light(
            np.abs(turns @ transmission @ turns.T) ** 2,
            step * pixel / wavelength,
            np.abs(transmission),
        )
    # The field of a real pupil at (-x, -y) is the conjugate of that at (x, y), and cosine
    # and sine are even and odd: a quarter of the products gives the whole image.
    phase = 2 * np.pi / wavelength * pixel * np.outer(positions[len(positions) // 2 :], across)
    cosine, sine = np.cos(phase), np.sin(phase)
    in_cosine, in_sine = cosine @ transmission, sine @ transmission
    even = in_cosine @ cosine.T, in_sine @ sine.T
    odd = in_sine @ cosine.T, in_cosine @ sine.T
    right = (even[0] - even[1]) ** 2 + (odd[0] + odd[1]) ** 2
    left = (even[0] + even[1]) ** 2 + (odd[0] - odd[1]) ** 2
    upper = np.hstack([left[:, :0:-1], right])
    power = np.vstack([upper[:0:-1, ::-1], upper])
    return _of_all_light(power, step * pixel / wavelength, transmission)


def _of_all_light(power, step, transmission):
    """Return the square of a field as part of all light, in units of 1 / pixel^2.

    Parseval: its integral over the sky is the pupil's power times
    (wavelength / step of the pupil)^2 / pixel^2 in pixels.
    """
    return power * step**2 / np.sum(transmission**2)


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


def blue_part(spectral_index):
    """Return where spectral indices lie between the ends of `SPECTRAL_INDICES`, from 0 to 1."""
    red, blue = SPECTRAL_INDICES
    return (spectral_index - red) / (blue - red)


@dataclass(frozen=True)
class PointSpreadFunction:
    """Light of a point source in the pixels of the detector.

    Between the two spectra that it is computed for it is interpolated in the
    spectral index: the image of a source in a band is an average over wavelengths.

    Parameters
    ----------
    ends : ndarray
        Part of all light in a pixel centred at each sample, shape (2, n, n), for the
        reddest and the bluest spectrum of `SPECTRAL_INDICES`.
    oversample : int
        Samples per pixel along each axis; odd.
    changes : ndarray, optional
        What the terms of `field_terms` add to it away from the centre of the imager, whatever
        the spectrum, shape (terms, n, n).
    """

    ends: np.ndarray
    oversample: int
    changes: np.ndarray | None = None

    @property
    def radius(self):
        """Half width of the stamp, pixels; light further out is not rendered."""
        return (self.ends.shape[-1] // 2) / self.oversample

    def samples(self, spectral_index=0.0):
        """Return the samples for a spectrum, shape (n, n).

        Parameters
        ----------
        spectral_index : float, optional
            Exponent of the flux density per hertz as a power of frequency.

        Returns
        -------
        ndarray
            Part of all light in a pixel centred at each sample.
        """
        part = blue_part(spectral_index)
        return (1 - part) * self.ends[0] + part * self.ends[1]

    def splines(self):
        """Return cubic splines over y, x offsets in pixels: of the red end, of blue minus red."""
        axis = np.arange(self.ends.shape[-1]) / self.oversample - self.radius
        # Interpolation errs by 3e-5 of the peak in F770W, and by less than 1e-4 in F560W.
        return [
            RectBivariateSpline(axis, axis, samples)
            for samples in (self.ends[0], self.ends[1] - self.ends[0])
        ]

    def drawing(self):
        """Return a function that draws a source, and how far from it, pixels.

        It takes the offsets of rows and of columns from the source, its spectral index and its
        place (x, y) on the full array, and returns the part of all light in each pixel.
        """
        reddest, colour = self.splines()
        terms = []
        if self.changes is not None:
            axis = np.arange(self.ends.shape[-1]) / self.oversample - self.radius
            terms = [RectBivariateSpline(axis, axis, each) for each in self.changes]

        def drawn(rows, columns, spectral_index, place):
            image = reddest(rows, columns) + blue_part(spectral_index) * colour(rows, columns)
            if terms:
                for factor, term in zip(field_terms(*place), terms, strict=True):
                    image += factor * term(rows, columns)
            return image

        return drawn, int(self.radius)

    def blurred(self, width, radius):
        """Return the image of a small round source, cut out.

        Parameters
        ----------
        width : float
            Gaussian width of the source, pixels.
        radius : int
            Half width of the stamp, pixels; light further out is not rendered.

        Returns
        -------
        PointSpreadFunction
            Without changes over the field.
        """
        middle, half = self.ends.shape[-1] // 2, radius * self.oversample
        inner = slice(middle - half, middle + half + 1)
        wide = gaussian_filter(self.ends, (0, *[width * self.oversample] * 2), mode="constant")
        return PointSpreadFunction(wide[:, inner, inner], self.oversample)

    def kernel(self, spectral_index=0.0):
        """Return the image of a source on a pixel's centre, shape (2 r + 1, 2 r + 1)."""
        samples = self.samples(spectral_index)
        middle = samples.shape[0] // 2
        whole = np.arange(-int(self.radius), int(self.radius) + 1) * self.oversample + middle
        return samples[np.ix_(whole, whole)]

    def encircled_energy(self, radii, spectral_index=0.0):
        """Return the part of all light that aperture photometry finds inside circles.

        Parameters
        ----------
        radii : ndarray
            Pixels.
        spectral_index : float, optional
            Of the source.

        Returns
        -------
        ndarray
            The mean over all positions of the source within a pixel, pixels on the circle
            being counted in part.
        """
        # Each pixel stands for its whole area, so the circle is as soft as a pixel is wide.
        samples = uniform_filter(self.samples(spectral_index), self.oversample, mode="constant")
        middle = samples.shape[0] // 2
        apertures = [
            CircularAperture((middle, middle), radius * self.oversample) for radius in radii
        ]
        sums = [aperture_sums(samples, aperture)[0] for aperture in apertures]
        return np.array(sums) / self.oversample**2


@lru_cache(maxsize=2)
def point_spread_function(name, error=0.0, change=0.0):
    """Return the point-spread function of a filter at the centre of the imager.

    Perfect optics, if nothing else is asked for: at 7.7 micrometre the 65-80 nm of wavefront
    error of the telescope take 0.3 % off the peak and change the width by 0.1 %.

    Parameters
    ----------
    name : str
        Filter.
    error : float, optional
        Wavefront error at the centre of the imager, nm rms.
    change : float, optional
        What its corners have beside it, nm rms.

    Returns
    -------
    PointSpreadFunction
        Diffraction, cruciform, pixel and inter-pixel capacitance together, as
        part of all light that reaches the detector.
    """
    aperture = imager_aperture()
    jacobian = aperture.jacobian(aperture.x_ref, aperture.y_ref)
    transmission = pupil(jacobian)
    errors = wavefront(transmission, error)
    ends = _on_detector(name, jacobian, transmission, errors, SPECTRAL_INDICES, _WAVELENGTHS)
    if not change:
        return PointSpreadFunction(ends, _OVERSAMPLE)

    # Differences of images are small: a coarse pupil and few wavelengths give them to a hundredth.
    coarse = pupil(jacobian, _PUPIL_SAMPLES // 2)

    def image_at(u, v):
        """Return the image of a flat spectrum at a place of the field."""
        errors = wavefront(coarse, error, change, (u, v))
        return _on_detector(name, jacobian, coarse, errors, (0.0,), _FEW_WAVELENGTHS)[0]

    return PointSpreadFunction(ends, _OVERSAMPLE, at_field_point(image_at))


def _on_detector(name, jacobian, transmission, error, indices, wavelengths):
    """Return images of point sources on the detector.

    Parameters
    ----------
    name : str
        Filter.
    jacobian : ndarray
        d(V2, V3)/d(x, y), arcsec per pixel.
    transmission : ndarray
        Pupil.
    error : ndarray or None
        Optical path difference over the pupil, m.
    indices : sequence of float
        Spectral indices of the sources.
    wavelengths : int
        Over the band.

    Returns
    -------
    ndarray
        Part of all light in a pixel centred at each sample, shape (indices, n, n); read-only.
    """
    pixel = np.sqrt(abs(np.linalg.det(jacobian))) * ARCSEC_TO_RAD
    margin = INTERPIXEL_CAPACITANCE.shape[0] // 2 + 1
    half = (_STAMP // 2 + margin) * _OVERSAMPLE
    positions = np.arange(-half, half + 1) / _OVERSAMPLE

    wavelength, efficiency = bandpass(name)
    # Electrons per unit of ln(wavelength), for a source that is flat in frequency.
    cumulative = np.cumsum(efficiency / wavelength)
    nodes = np.interp(
        (np.arange(wavelengths) + 0.5) / wavelengths * cumulative[-1], cumulative, wavelength
    )
    weights = nodes[:, np.newaxis] ** -np.array(indices)
    weights /= weights.sum(axis=0)
    diffraction = np.zeros((len(indices), len(positions), len(positions)))
    for node, shares in zip(nodes, weights, strict=True):
        passed = transmission
        if error is not None:
            passed = transmission * np.exp(2j * np.pi * error / (node * 1e-6))
        image = diffraction_image(passed, _PUPIL_WIDTH, node * 1e-6, pixel, positions)
        diffraction += shares[:, np.newaxis, np.newaxis] * image
    inner = slice(margin * _OVERSAMPLE, -margin * _OVERSAMPLE)
    fraction = CRUCIFORM_FRACTIONS[name]
    cruciform = cruciform_kernel(positions)
    ends = []
    for image in diffraction:
        scattered = fftconvolve(image, cruciform, mode="same") if fraction else 0.0
        in_pixel = uniform_filter(
            (1 - fraction) * image + fraction * scattered, _OVERSAMPLE, mode="constant"
        )
        shared = sum(
            weight * np.roll(in_pixel, (dy * _OVERSAMPLE, dx * _OVERSAMPLE), axis=(0, 1))
            for dy, row in enumerate(INTERPIXEL_CAPACITANCE, start=-1)
            for dx, weight in enumerate(row, start=-1)
        )
        ends.append(shared[inner, inner])
    ends = np.array(ends)
    ends.flags.writeable = False
    return ends
