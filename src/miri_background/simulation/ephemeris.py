"""Where the telescope is, and when light that it sees arrives elsewhere.

The telescope is at the second Lagrangian point of Sun and Earth: its loops around that point, of
some hundred thousand kilometres, are not simulated.
"""

from dataclasses import dataclass

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.coordinates import get_body_barycentric_posvel
from astropy.time import TimeDelta

__all__ = ["Ephemeris", "arrival_metadata", "ephemeris"]

# Distance of the second Lagrangian point from the Earth over that of the Earth from the Sun:
# cube root of a third of the mass of Earth and Moon over the Sun's (3.0404e-6, IAU 2009).
_BEYOND_EARTH = (3.0404e-6 / 3) ** (1 / 3)
_DAY = 86_400.0  # s


@dataclass(frozen=True)
class Ephemeris:
    """Place and motion of the telescope at one time, axes of the mean equator of J2000.

    Parameters
    ----------
    position, velocity : ndarray
        From the barycentre of the solar system, km and km/s.
    from_earth, from_sun : ndarray
        Position from the centres of Earth and Sun, km.
    velocity_from_earth : ndarray
        Velocity against the Earth, km/s.
    ahead : float
        Barycentric dynamical time minus UTC, s.
    """

    position: np.ndarray
    velocity: np.ndarray
    from_earth: np.ndarray
    from_sun: np.ndarray
    velocity_from_earth: np.ndarray
    ahead: float

    def barycentric_correction(self, direction):
        """Return what is added to UTC for the time at the barycentre, s.

        Parameters
        ----------
        direction : ndarray
            Unit vector to the target.

        Returns
        -------
        float
            Light time and what the time scales differ by.
        """
        return _light_time(self.position, direction) + self.ahead

    def heliocentric_correction(self, direction):
        """Return what is added to UTC for the time at the Sun, s."""
        return _light_time(self.from_sun, direction) + self.ahead

    def receding(self, direction):
        """Return how fast the telescope recedes from a target, m/s."""
        return float(-self.velocity @ direction * 1e3)


def _light_time(position, direction):
    """Return how much later light from a direction reaches the origin than a position, s."""
    return float(position @ direction / constants.c.to_value("km/s"))


def ephemeris(time):
    """Return where the telescope is and how it moves.

    Parameters
    ----------
    time : astropy.time.Time
        When.

    Returns
    -------
    Ephemeris
        From the positions of Earth and Sun that are built into astropy (Moisson & Bretagnon
        2001), which need no file.
    """
    (earth, earth_motion), (sun, sun_motion) = (_state(body, time) for body in ("earth", "sun"))
    from_earth = _BEYOND_EARTH * (earth - sun)
    velocity_from_earth = _BEYOND_EARTH * (earth_motion - sun_motion)
    position = earth + from_earth
    return Ephemeris(
        position=position,
        velocity=earth_motion + velocity_from_earth,
        from_earth=from_earth,
        from_sun=position - sun,
        velocity_from_earth=velocity_from_earth,
        ahead=float((time.tdb.mjd - time.utc.mjd) * _DAY),
    )


def _state(body, time):
    """Return position, km, and velocity, km/s, of a body from the barycentre."""
    position, velocity = get_body_barycentric_posvel(body, time, ephemeris="builtin")
    return position.xyz.to_value(u.km), velocity.xyz.to_value(u.km / u.s)


def arrival_metadata(readout, start, where):
    """Return metadata of the telescope's place, and of times at the barycentre and the Sun.

    Parameters
    ----------
    readout : Readout
        How the exposure is read.
    start : astropy.time.Time
        When it begins.
    where : Pointing
        Where the telescope points.

    Returns
    -------
    dict
        Groups below ``meta`` of a level-1b model.
    """
    duration = TimeDelta(readout.duration, format="sec")
    middle = start + duration / 2
    at = ephemeris(middle)
    ra, dec = np.deg2rad([where.ra_ref, where.dec_ref])
    direction = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    barycentric = at.barycentric_correction(direction)
    heliocentric = at.heliocentric_correction(direction)
    times = {"barycentric_correction": barycentric, "heliocentric_correction": heliocentric}
    dynamical = {}
    for name, part in {"start": 0.0, "mid": 0.5, "end": 1.0}.items():
        when = start + duration * part
        times[f"barycentric_exp{name}"] = when.mjd + barycentric / _DAY
        times[f"heliocentric_exp{name}"] = when.mjd + heliocentric / _DAY
        dynamical[f"{name}_time_tdb"] = times[f"barycentric_exp{name}"]
    vectors = {
        "spatial_{}_bary": at.position,
        "velocity_{}_bary": at.velocity,
        # From the Earth in metres.
        "spatial_{}_geo": at.from_earth * 1e3,
        "velocity_{}_geo": at.velocity_from_earth * 1e3,
    }
    return {
        "time": times,
        "exposure": dynamical,
        "ephemeris": {
            "reference_frame": "EME2000",
            "type": "Predicted",
            "time": middle.mjd,
        }
        | {
            name.format(axis): float(value)
            for name, vector in vectors.items()
            for axis, value in zip("xyz", vector, strict=True)
        },
        "wcsinfo": {"velosys": at.receding(direction)},
    }
