"""Level-1b headers have the cards of flight, of the same type and form."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from miri_background.observation import Observation, exposures
from miri_background.simulation.level1b import level1b_model
from miri_background.simulation.sky import pointing

OBSERVATION = Observation(subarray="SUB256", groups=8, integrations=2)
SECOND = 1  # dither
DAY = 86_400.0  # s
# Headings of what a level-1b file has not.
LATER = (
    "that are not needed",
    "that calwebb_detector1 writes",
    "that calwebb_image2 writes",
    "of resampled images",
)
# Written in the archive's form with seven decimals of a second.
VISIT_TIMES = ("VSTSTART", "GSSTRTTM", "GSENDTIM", "DATE-BEG", "DATE-END", "VISITEND")


def level1b(field, path):
    """Write a level-1b file whose ramps are zero."""
    exposure = exposures(OBSERVATION, field)[SECOND]
    where = pointing(OBSERVATION, field, SECOND)
    ramps = np.zeros((2, 8, 256, 256), np.uint16)
    with level1b_model(OBSERVATION, exposure, where, ramps, ramps[..., :64]) as model:
        model.save(path)
    return path


@pytest.fixture(scope="module", params=["science", "background"])
def written(request, tmp_path_factory):
    """Return the path of a level-1b file of each field."""
    return level1b(request.param, tmp_path_factory.mktemp("level1b") / f"{request.param}.fits")


@pytest.fixture(scope="module")
def cards(written):
    """Return the cards of both headers."""
    with fits.open(written) as hdus:
        return dict(hdus[0].header) | dict(hdus["SCI"].header)


def test_cards_are_those_of_flight(written, flight_file, different_cards):
    """What flight writes before the pipeline runs is there, of the same type and form."""
    assert different_cards(written, flight_file, LATER) == {}


def test_visit_comes_in_order(cards):
    """Slew, guide star, exposures, end: one after the other."""
    times = Time([cards[name].strip().replace(" ", "T") for name in VISIT_TIMES])
    assert np.all(np.diff(times.mjd) > 0)


@pytest.mark.parametrize("place", ["BAR", "HELI"])
def test_times_elsewhere_are_corrected_by_what_the_header_says(cards, place):
    """Start, middle and end at the barycentre and the Sun differ from UTC by the correction."""
    names = {"STRTIME": "EXPSTART", "MIDTIME": "EXPMID", "ENDTIME": "EXPEND"}
    later = [cards[place[0] + name] - cards[here] for name, here in names.items()]
    # Days in double precision around 61 000.
    assert np.multiply(later, DAY) == pytest.approx(
        cards["BARTDELT" if place == "BAR" else "HELIDELT"], abs=2e-6
    )


def test_integration_times_are_corrected_too(written, cards):
    """The table of integrations has the same correction in each row."""
    table = fits.getdata(written, "INT_TIMES")
    for part in ("start", "mid", "end"):
        later = table[f"int_{part}_BJD_TDB"] - table[f"int_{part}_MJD_UTC"]
        assert later * DAY == pytest.approx(cards["BARTDELT"], abs=2e-6)


def test_guide_star_is_in_the_field_of_a_guider(cards):
    """The guide star is 14 arcminutes from the target: FGS is beside the imager."""
    ra, dec, star, height = np.deg2rad(
        [cards[name] for name in ("TARG_RA", "TARG_DEC", "GS_RA", "GS_DEC")]
    )
    cosine = np.sin(dec) * np.sin(height) + np.cos(dec) * np.cos(height) * np.cos(ra - star)
    # From (-453, -374) to (207, -698) arcsec; subarrays and dithers are within an arcminute.
    expected = np.hypot(207 + 453, 698 - 374) / 60
    assert np.rad2deg(np.arccos(cosine)) * 60 == pytest.approx(expected, abs=1)


def test_measurement_is_between_first_and_last_group(cards):
    """TMEASURE counts the differences of groups of all integrations."""
    assert cards["TMEASURE"] == pytest.approx(2 * 7 * cards["TGROUP"])
