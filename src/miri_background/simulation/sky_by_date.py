"""How the sky changes with the date: zodiacal light by season, thermal light by a drift."""

from types import MappingProxyType

import numpy as np
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.time import Time

from miri_background.simulation.level1b import START, start_time

__all__ = ["THERMAL_PARTS", "sky_by_date"]

# Part of the sky towards the Large Magellanic Cloud that is the telescope's: STScI's thermal curve
# 4.0 of June 2024 (package jwst-backgrounds), fitted to flight data, weighted with the bandpass,
# over the sky of each filter; in F1800W, where flight has less than the curve and zodiacal light
# together, over these.
THERMAL_PARTS = MappingProxyType(
    {
        "F560W": 0.24,
        "F770W": 0.31,
        "F1000W": 0.29,
        "F1130W": 0.33,
        "F1280W": 0.44,
        "F1500W": 0.64,
        "F1800W": 0.84,
        "F2100W": 0.94,
        "F2550W": 0.986,
    }
)

# The symmetry plane of the dust is tilted to the ecliptic: Earth is in it at the longitude of its
# ascending node (Kelsall et al. 1998, table 1), and half a year before.
_ASCENDING_NODE = 77.7  # deg
# Earth's heliocentric longitude, circular orbit: true to two degrees.
_LONGITUDE_IN_2000 = 100.5  # deg, on 1 January 2000 at 12 h
_YEAR = 365.256  # days


def sky_by_date(observation, exposure):
    """Return the sky of an exposure over that which its field has without a change.

    The zodiacal light of an ecliptic pole is brightest when Earth is furthest on the other side
    of the dust's symmetry plane; on the ecliptic, nothing changes.  The thermal light changes in
    proportion to the time since the first exposure of the observation.

    Parameters
    ----------
    observation : Observation
        Its `zodiacal_season` and `thermal_drift`.
    exposure : Exposure
        Which of its exposures.

    Returns
    -------
    float
        1 without a change.
    """
    if observation.zodiacal_season == 0 and observation.thermal_drift == 0:
        return 1.0
    when = start_time(observation, exposure)
    thermal = THERMAL_PARTS[observation.filter]
    days = (when - Time(START, scale="utc")).to_value("day")
    place = [getattr(observation, f"{exposure.field}_{axis}") for axis in ("ra", "dec")]
    season = _season(SkyCoord(*place, unit="deg"), when)
    return (
        1
        + (1 - thermal) * observation.zodiacal_season / 100 * season
        + thermal * observation.thermal_drift / 100 * days
    )


def _season(place, when):
    """Return the relative change of the zodiacal light, in units of that at a pole."""
    latitude = place.transform_to(BarycentricMeanEcliptic()).lat
    days = when.jd - 2_451_545.0
    longitude = (_LONGITUDE_IN_2000 + 360 * days / _YEAR) * u.deg
    # Where the plane lies above Earth, more dust is seen towards the north.
    above = np.sin(longitude - _ASCENDING_NODE * u.deg)
    return float(above * np.sin(latitude))
