"""The sky has another level at another date, by as much as was asked for."""

import numpy as np
import pytest

from miri_background.observation import Observation
from miri_background.parameters import FILTERS
from miri_background.simulation.sky_by_date import THERMAL_PARTS, sky_by_date

POLE = {"ra": 90.0, "dec": -66.56}  # the southern ecliptic pole
EQUINOX = {"ra": 0.0, "dec": 0.0}  # on the ecliptic


def factors(days, place=POLE, **changes):
    """Return the sky of the background field, at one place, so many days after the other."""
    where = {f"background_{axis}": angle for axis, angle in place.items()}
    observations = [Observation(background_delay=day, **where, **changes) for day in days]
    return np.array([sky_by_date(each, each.exposure("background", 0)) for each in observations])


def test_sky_is_the_same_at_any_date_by_default():
    """Nothing is multiplied by anything but one."""
    assert set(factors((0, 100, 200))) == {1.0}


def test_zodiacal_light_of_a_pole_changes_by_the_season():
    """Over a year, it is brighter and darker by the amplitude, of the part that is zodiacal."""
    found = factors(range(0, 366, 5), zodiacal_season=10.0)
    expected = 0.1 * (1 - THERMAL_PARTS["F770W"])
    # Steps of five days miss the extreme by less than (2.5 / 58)^2 / 2.
    assert found.max() - 1 == pytest.approx(expected, rel=0.01)
    assert 1 - found.min() == pytest.approx(expected, rel=0.01)


def test_poles_have_opposite_seasons():
    """Dust that is above Earth is not below it."""
    days = range(0, 366, 30)
    south, north = (
        factors(days, {"ra": ra, "dec": dec}, zodiacal_season=10.0)
        for ra, dec in ((90.0, -66.56), (270.0, 66.56))
    )
    np.testing.assert_allclose(south - 1, 1 - north, rtol=0, atol=1e-4)


def test_ecliptic_has_no_season():
    """There, Earth looks along the dust."""
    np.testing.assert_allclose(
        factors((0, 90, 180), EQUINOX, zodiacal_season=10.0), 1.0, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", FILTERS)
def test_thermal_light_drifts(name):
    """After a hundred days, the thermal part has changed by a hundred times the drift."""
    first, later = factors((0, 100), filter=name, thermal_drift=0.05)
    assert later - first == pytest.approx(0.05 * THERMAL_PARTS[name], rel=1e-3)


def test_thermal_parts_are_those_of_the_curve(real_file):
    """The curve that is fitted to flight data, weighted with the bandpass, over the sky's level."""
    from miri_background.instrument.throughput import SKY_LEVELS, bandpass

    curve = np.loadtxt(
        real_file("numbers/thermal_curve_jwst_jrigby_v4.0.csv"), delimiter=",", comments="#"
    )
    for name, part in THERMAL_PARTS.items():
        wavelength, efficiency = bandpass(name)
        weight = efficiency / wavelength
        thermal = np.interp(wavelength, *curve.T)
        level = np.trapezoid(thermal * weight, wavelength) / np.trapezoid(weight, wavelength)
        # Levels of flight and of models differ by ten percent.
        assert part == pytest.approx(level / SKY_LEVELS[name], rel=0.15)
