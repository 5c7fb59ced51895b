"""The telescope is where flight headers say, but for its loops around the Lagrangian point."""

import numpy as np
import pytest
from astropy.time import Time

from miri_background.simulation.ephemeris import ephemeris

# Headers of jw01714001001_02103_00003 (MAST, PID 1714): time of the middle, MJD; barycentric place
# and motion, km and km/s; target, degrees; corrections, s; recession, m/s.
MIDDLE = 59999.05192189815
PLACE = (-136184737.7614511, 58792556.720546454, 25499042.798969053)
MOTION = (-13.348051508479601, -25.174980552616415, -10.731922765419283)
TARGET = (83.66755396893991, 22.045589504650927)
BARYCENTRIC, HELIOCENTRIC = 235.0830408046022, 235.7380815083161
RECEDING = 28590.12

# Flight loops around the Lagrangian point: at most this far, and so fast in half a year's loop.
LOOP = 8.5e5  # km, NASA's description of the orbit (832 000 km)
LOOP_SPEED = 2 * np.pi * LOOP / (180 * 86_400)  # km/s
LIGHT = 299_792.458  # km/s


@pytest.fixture(scope="module")
def at():
    """Return where the telescope was."""
    return ephemeris(Time(MIDDLE, format="mjd", scale="utc"))


@pytest.fixture(scope="module")
def direction():
    """Return the unit vector to the target."""
    ra, dec = np.deg2rad(TARGET)
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def test_place_is_that_of_flight(at):
    """The telescope is within its loop."""
    assert np.linalg.norm(at.position - PLACE) < LOOP


def test_motion_is_that_of_flight(at):
    """The telescope moves with the Earth, but for the motion along the loop."""
    assert np.linalg.norm(at.velocity - MOTION) < LOOP_SPEED


@pytest.mark.parametrize(
    ("kind", "expected"), [("barycentric", BARYCENTRIC), ("heliocentric", HELIOCENTRIC)]
)
def test_light_arrives_as_in_flight(at, direction, kind, expected):
    """Times at the barycentre and the Sun follow with their signs, leap seconds included."""
    found = getattr(at, f"{kind}_correction")(direction)
    assert found == pytest.approx(expected, abs=LOOP / LIGHT)


def test_recession_is_that_of_flight(at, direction):
    """The telescope recedes from the target as the header says, with its sign."""
    assert at.receding(direction) == pytest.approx(RECEDING, abs=1e3 * LOOP_SPEED)


def test_earth_is_between_sun_and_telescope(at):
    """The Lagrangian point is 1.5 million kilometres behind the Earth."""
    distance = np.linalg.norm(at.from_earth)
    assert distance == pytest.approx(1.5e6, rel=0.02)
    assert at.from_earth @ at.from_sun == pytest.approx(distance * np.linalg.norm(at.from_sun))
