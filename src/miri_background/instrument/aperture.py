"""Geometry of MIRIM_FULL: detector pixels, telescope angles and the sky.

Pixel coordinates here are 0-based full-frame detector pixels, (0, 0) being the
centre of the lower left pixel; the SIAF counts from 1.  Angles on the telescope
(V2, V3) are arcsec, sky coordinates are degrees.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

__all__ = ["ARCSEC_TO_RAD", "Aperture", "Attitude", "imager_aperture"]

ARCSEC_TO_RAD = np.deg2rad(1 / 3600)

# Newton's steps shrink the error quadratically from about 0.1 pixel of the
# SIAF's own inverse: after three nothing but rounding is left.
_NEWTON_STEPS = 3


def _polynomial(coefficients, x, y):
    """Evaluate a SIAF polynomial, ``coefficients[k][j]`` belonging to x^(k-j) y^j."""
    return sum(
        value * x ** (k - j) * y**j
        for k, row in enumerate(coefficients)
        for j, value in enumerate(row)
    )


def _polynomial_gradient(coefficients, x, y):
    """Return the partial derivatives of a SIAF polynomial along x and y."""
    along_x = sum(
        value * (k - j) * x ** (k - j - 1) * y**j
        for k, row in enumerate(coefficients)
        for j, value in enumerate(row)
        if k - j > 0
    )
    along_y = sum(
        value * j * x ** (k - j) * y ** (j - 1)
        for k, row in enumerate(coefficients)
        for j, value in enumerate(row)
        if j > 0
    )
    return along_x, along_y


@dataclass(frozen=True)
class Aperture:
    """A SIAF aperture with its distortion polynomials.

    Parameters
    ----------
    x_ref, y_ref : float
        Reference pixel, 0-based detector pixels.
    v2_ref, v3_ref : float
        Where the reference pixel looks on the telescope, arcsec.
    v3_ideal_y_angle : float
        Angle from V3 to the Ideal Y axis, degrees.
    parity : int
        Handedness of the Ideal frame, +1 or -1.
    coefficients : dict
        ``Sci2IdlX``, ``Sci2IdlY``, ``Idl2SciX``, ``Idl2SciY`` as triangular lists.
    """

    x_ref: float
    y_ref: float
    v2_ref: float
    v3_ref: float
    v3_ideal_y_angle: float
    parity: int
    coefficients: dict

    @property
    def ideal_to_v2v3_matrix(self):
        """Matrix (2, 2) that turns Ideal offsets into V2, V3 offsets, arcsec."""
        cosine = np.cos(np.deg2rad(self.v3_ideal_y_angle))
        sine = np.sin(np.deg2rad(self.v3_ideal_y_angle))
        return np.array(
            [[self.parity * cosine, sine], [-self.parity * sine, cosine]],
        )

    def ideal_to_v2v3(self, x_ideal, y_ideal):
        """Return V2, V3 in arcsec of Ideal offsets in arcsec (planar, as in CRDS)."""
        matrix = self.ideal_to_v2v3_matrix
        return (
            self.v2_ref + matrix[0, 0] * x_ideal + matrix[0, 1] * y_ideal,
            self.v3_ref + matrix[1, 0] * x_ideal + matrix[1, 1] * y_ideal,
        )

    def pixel_to_v2v3(self, x, y):
        """Return V2, V3 in arcsec of detector pixels, through the distortion."""
        dx, dy = np.asarray(x) - self.x_ref, np.asarray(y) - self.y_ref
        return self.ideal_to_v2v3(
            _polynomial(self.coefficients["Sci2IdlX"], dx, dy),
            _polynomial(self.coefficients["Sci2IdlY"], dx, dy),
        )

    def jacobian(self, x, y):
        """Return d(V2, V3)/d(x, y) in arcsec per pixel, shape ``x.shape + (2, 2)``."""
        dx, dy = np.asarray(x) - self.x_ref, np.asarray(y) - self.y_ref
        ideal = np.array(
            [
                np.broadcast_arrays(*_polynomial_gradient(self.coefficients[name], dx, dy))
                for name in ("Sci2IdlX", "Sci2IdlY")
            ]
        )
        return np.einsum("ij,jk...->...ik", self.ideal_to_v2v3_matrix, ideal)

    def pixel_area(self, x, y):
        """Return the sky area of pixels, arcsec^2."""
        return np.abs(np.linalg.det(self.jacobian(x, y)))

    def v2v3_to_pixel(self, v2, v3):
        """Return the detector pixels that look at V2, V3 (arcsec).

        The SIAF's inverse polynomials miss by up to 0.11 pixel, so they only
        start a Newton iteration on the forward polynomials.
        """
        offset = np.stack(
            [np.asarray(v2) - self.v2_ref, np.asarray(v3) - self.v3_ref],
        )
        ideal = np.einsum("ij,j...->i...", np.linalg.inv(self.ideal_to_v2v3_matrix), offset)
        x = self.x_ref + _polynomial(self.coefficients["Idl2SciX"], *ideal)
        y = self.y_ref + _polynomial(self.coefficients["Idl2SciY"], *ideal)
        for _ in range(_NEWTON_STEPS):
            now = self.pixel_to_v2v3(x, y)
            miss = np.stack([v2 - now[0], v3 - now[1]], axis=-1)
            step = np.linalg.solve(self.jacobian(x, y), miss[..., np.newaxis])[..., 0]
            x, y = x + step[..., 0], y + step[..., 1]
        return x, y


@lru_cache(maxsize=1)
def imager_aperture():
    """Return the full-array imager aperture, MIRIM_FULL of the SIAF."""
    siaf = json.loads((files(__package__) / "data" / "miri_siaf.json").read_text())
    return Aperture(
        x_ref=siaf["XSciRef"] - 1,
        y_ref=siaf["YSciRef"] - 1,
        v2_ref=siaf["V2Ref"],
        v3_ref=siaf["V3Ref"],
        v3_ideal_y_angle=siaf["V3IdlYAngle"],
        parity=siaf["VIdlParity"],
        coefficients=siaf["coefficients"],
    )


def _unit_vector(longitude, latitude):
    """Return unit vectors, last axis of length 3, of angles in radians."""
    return np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.broadcast_to(np.sin(latitude), np.broadcast(longitude, latitude).shape),
        ],
        axis=-1,
    )


def _angles(vectors):
    """Return longitude and latitude, radians, of vectors along the last axis."""
    longitude = np.arctan2(vectors[..., 1], vectors[..., 0])
    latitude = np.arctan2(vectors[..., 2], np.hypot(vectors[..., 0], vectors[..., 1]))
    return longitude, latitude


def _rotation(axis, angle):
    """Return the right-handed rotation matrix about axis 0, 1 or 2, angle in radians."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


class Attitude:
    """Where the telescope points: the rotation between (V2, V3) and the sky.

    Parameters
    ----------
    v2, v3 : float
        A direction on the telescope, arcsec.
    ra, dec : float
        The sky position that it looks at, degrees.
    roll : float
        Position angle of the V3 axis there, degrees east of north.
    """

    def __init__(self, v2, v3, ra, dec, roll):
        ra, dec, roll = np.deg2rad([ra, dec, roll])
        to_axis = _rotation(1, v3 * ARCSEC_TO_RAD) @ _rotation(2, -v2 * ARCSEC_TO_RAD)
        self.matrix = _rotation(2, ra) @ _rotation(1, -dec) @ _rotation(0, -roll) @ to_axis

    def sky(self, v2, v3):
        """Return right ascension and declination, degrees, of V2, V3 in arcsec."""
        vectors = _unit_vector(np.asarray(v2) * ARCSEC_TO_RAD, np.asarray(v3) * ARCSEC_TO_RAD)
        ra, dec = _angles(vectors @ self.matrix.T)
        return np.rad2deg(ra) % 360, np.rad2deg(dec)

    def telescope(self, ra, dec):
        """Return V2, V3, arcsec, of sky positions in degrees."""
        vectors = _unit_vector(np.deg2rad(ra), np.deg2rad(dec))
        v2, v3 = _angles(vectors @ self.matrix)
        return v2 / ARCSEC_TO_RAD, v3 / ARCSEC_TO_RAD

    def roll_at(self, v2, v3):
        """Return the position angle of the V3 axis at V2, V3, degrees in [0, 360)."""
        longitude, latitude = v2 * ARCSEC_TO_RAD, v3 * ARCSEC_TO_RAD
        along_v3 = np.array(
            [
                -np.sin(latitude) * np.cos(longitude),
                -np.sin(latitude) * np.sin(longitude),
                np.cos(latitude),
            ]
        )
        ra, dec = np.deg2rad(self.sky(v2, v3))
        on_sky = self.matrix @ along_v3
        north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
        east = np.array([-np.sin(ra), np.cos(ra), 0.0])
        return np.rad2deg(np.arctan2(on_sky @ east, on_sky @ north)) % 360
