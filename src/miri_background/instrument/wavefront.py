"""Wavefront errors of telescope and imager, and how they change over the field."""

import numpy as np
from scipy.special import eval_jacobi

from miri_background.instrument.footprint import regions

__all__ = ["at_field_point", "field_terms", "wavefront"]

_SEED = 20220711  # any fixed number: the telescope has one mirror, whatever is observed
# Errors at the centre: all Zernike polynomials from defocus up to this radial order, with
# amplitudes that fall as one over the order.  At these wavelengths their sum counts, not their
# shape: 65-80 nm of the telescope in flight are 0.8-1 % of a wave.
_HIGHEST_ORDER = 7
# What changes over the field: defocus, astigmatism and coma, the lowest orders, which are those
# that tilts and decentres of an imager's mirrors bring.  Linear in the place.
_CHANGING = ((2, 0), (2, 2), (2, -2), (3, 1), (3, -1))
_CENTRE, _EDGES = (0, 0), ((1, 0), (-1, 0), (0, 1), (0, -1))


def _zernike(order, frequency, radius, angle):
    """Return a Zernike polynomial; negative frequencies are sines."""
    number = abs(frequency)
    wave = np.cos(number * angle) if frequency >= 0 else np.sin(number * angle)
    return radius**number * eval_jacobi((order - number) // 2, 0, number, 2 * radius**2 - 1) * wave


def _mixture(transmission, terms, generator):
    """Return a random sum of Zernike polynomials with an rms of 1 over the pupil."""
    size = len(transmission)
    across = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(across, across)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    inside = transmission > 0
    total = np.zeros(transmission.shape)
    for order, frequency in terms:
        amplitude = generator.standard_normal() / order
        total[inside] += amplitude * _zernike(order, frequency, radius[inside], angle[inside])
    total[inside] -= total[inside].mean()
    return total / total[inside].std()


def wavefront(transmission, error, change=0.0, place=_CENTRE):
    """Return the optical path difference over the pupil.

    Parameters
    ----------
    transmission : ndarray
        Pupil, shape (n, n).
    error : float
        At the centre of the imager, nm rms.
    change : float, optional
        What its corners have beside it, nm rms.
    place : tuple of float, optional
        Along x and y, in units of the imager's half width and half height.

    Returns
    -------
    ndarray or None
        Metres; None where there is none.
    """
    generator = np.random.default_rng(_SEED)
    every = [
        (order, frequency)
        for order in range(2, _HIGHEST_ORDER + 1)
        for frequency in range(-order, order + 1, 2)
    ]
    parts = [(error, every)]
    # At a corner, the squares of both directions add up.
    parts += [(change * along / np.sqrt(2), _CHANGING) for along in place]
    if not any(size for size, _ in parts):
        return None
    return 1e-9 * sum(size * _mixture(transmission, terms, generator) for size, terms in parts)


def field_terms(x, y):
    """Return the factors of the images of `at_field_point` at a place of the full array."""
    imager = regions()["imager"]
    u, v = (
        float(2 * (at - axis.start + 0.5) / (axis.stop - axis.start) - 1)
        for at, axis in ((x, imager.x), (y, imager.y))
    )
    # The coronagraphs lie beyond the imager, and their optics are the same.
    return u, v, u * u, v * v, u * v


def at_field_point(image_at):
    """Return how an image changes over the field, to second order.

    The image is the square of a field in which errors are small parts of a wave.

    Parameters
    ----------
    image_at : callable
        Gives the image at a place (u, v) of the imager, each from -1 to 1.

    Returns
    -------
    ndarray
        One image for each factor of `field_terms`.
    """
    centre = image_at(*_CENTRE)
    right, left, above, below = (image_at(*edge) for edge in _EDGES)
    corner = image_at(1, 1)
    along_x, along_y = (right - left) / 2, (above - below) / 2
    bent_x, bent_y = (right + left) / 2 - centre, (above + below) / 2 - centre
    return np.array(
        [
            along_x,
            along_y,
            bent_x,
            bent_y,
            corner - centre - along_x - along_y - bent_x - bent_y,
        ]
    )
