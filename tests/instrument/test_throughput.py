"""Electrons per flux are those of the published curves, offsets those of the delivery."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from astropy import constants, units
from astropy.table import Table

from miri_background.instrument.detector import GAIN
from miri_background.instrument.flight_calibration import (
    FLIGHT_CALIBRATION,
    flight_photmjsr,
)
from miri_background.instrument.throughput import (
    BORESIGHT_OFFSETS,
    COLLECTING_AREA,
    FILTERS,
    PIXEL_SOLID_ANGLE,
    SKY_LEVELS,
    TELESCOPE_TRANSMISSION,
    bandpass,
    electrons_per_microjansky,
    electrons_per_surface_brightness,
    in_flight_factor,
    photmjsr,
    pivot_wavelength,
    preflight_electrons_per_microjansky,
)
from miri_background.observation import Observation

# Read off the curves TN-00072-ATC and the SIAF by other software; half of the last digit is
# what they may differ by.  Highest efficiency, pivot wavelength in micrometre, and integral of
# the efficiency over the logarithm of the wavelength.
CURVES = {
    "F560W": (0.3416, 5.635, 0.0607),
    "F770W": (0.3968, 7.639, 0.10286),
    "F1000W": (0.4146, 9.953, 0.07487),
    "F1130W": (0.3465, 11.309, 0.02250),
    "F1280W": (0.3504, 12.810, 0.06767),
    "F1500W": (0.3697, 15.064, 0.07188),
    "F1800W": (0.3498, 17.984, 0.05742),
    "F2100W": (0.3165, 20.795, 0.06979),
    "F2550W": (0.2319, 25.364, 0.03354),
}
RED_ENDS = {"F2550W": 0.0073}  # efficiency where the published curve ends, if not 0
WIDTH_DIGITS = {"F560W": 4}  # of the integral, where not 5
# Zodiacal light of DIRBE's model and STScI's table of thermal light (JWST-STScI 4.0), weighted
# with the bands and added up by other software, MJy/sr
MODEL_SKY = {
    "F560W": 1.30,
    "F770W": 5.47,
    "F1000W": 11.9,
    "F1130W": 16.1,
    "F1280W": 22.4,
    "F1500W": 40.0,
    "F1800W": 97.6,
    "F2100W": 257.0,
    "F2550W": 998.0,
}
# Median rates of flight exposures of an empty field at high ecliptic latitude, June 2022, DN/s:
# medians in MJy/sr that STScI's imaging example notebooks print, over the PHOTMJSR that the logs
# of their pipeline runs have (jwst_miri_photom_0074).
FLIGHT_RATES = {
    "F560W": 2.750,
    "F770W": 16.57,
    "F1000W": 33.79,
    "F1500W": 108.1,
    "F1800W": 180.5,
}
JUNE_2022 = 59745.0  # MJD
# PHOTMJSR in headers of flight exposures that were calibrated with jwst_miri_photom_0230, with
# EXPMID: (filter, day, value).
HEADERS = [("F1130W", 59999.0519, 1.0822470154038262)]
SOLID_ANGLE = 2.8915e-13  # steradian
STAR = 39.4  # electron / s per microjansky, without the telescope's mirrors


@pytest.fixture(params=FILTERS)
def name(request):
    """Return the name of a filter."""
    return request.param


@pytest.fixture(scope="module")
def delivery():
    """Return the boresight offsets of the distortion delivery, pixels, by filter.

    The file is in pysiaf, whose import would ask GitHub about newer tables.
    """
    folder = Path(find_spec("pysiaf").origin).parent / "source_data" / "MIRI" / "delivery"
    path = folder / "MIRI_FM_MIRIMAGE_DISTORTION_SS.09.00.fits"
    table = Table.read(path, hdu="Boresight offsets")
    return {row["FILTER"]: (row["COL_OFFSET"], row["ROW_OFFSET"]) for row in table}


@pytest.fixture
def curve(name):
    """Return wavelength and efficiency of a filter."""
    return bandpass(name)


@pytest.mark.parametrize(
    "table", [CURVES, MODEL_SKY, SKY_LEVELS, BORESIGHT_OFFSETS, FLIGHT_CALIBRATION], ids=str
)
def test_every_filter_is_in_the_tables(table):
    """No filter is without a sky and an offset, and none is untested."""
    assert tuple(table) == FILTERS


def test_every_filter_can_be_observed():
    """The filters are the observation's choices, in the same order."""
    assert get_args(Observation.model_fields["filter"].annotation) == FILTERS


def test_wavelengths_ascend(name):
    """The curve can be integrated and interpolated."""
    assert np.all(np.diff(bandpass(name)[0]) > 0)


def test_efficiency_is_a_probability(name):
    """No photon gives more than one electron, none takes one away."""
    _, efficiency = bandpass(name)
    assert 0 <= efficiency.min() <= efficiency.max() < 1


def test_curve_begins_at_zero(curve):
    """The band is not cut off at its blue end."""
    # The curve is given to 1e-4.
    assert curve[1][0] == pytest.approx(0, abs=1e-4)


def test_curve_ends_at_its_red_end(name, curve):
    """The band is not cut off: but for F2550W, whose published curve ends at 30 micrometre."""
    expected = RED_ENDS.get(name, 0.0)
    assert curve[1][-1] == pytest.approx(expected, abs=1e-4)


def test_peak_is_published(name, curve):
    """The highest efficiency is that of the published curve."""
    assert curve[1].max() == pytest.approx(CURVES[name][0], abs=0.5e-4)


def test_pivot_wavelength_is_published(name):
    """The pivot wavelength is that of the published curve."""
    assert pivot_wavelength(name) == pytest.approx(CURVES[name][1], abs=0.5e-3)


def test_width_is_published(name, curve):
    """The integral over the logarithm of the wavelength is that of the published curve."""
    wavelength, efficiency = curve
    digit = 10.0 ** -WIDTH_DIGITS.get(name, 5)
    found = np.trapezoid(efficiency / wavelength, wavelength)
    assert found == pytest.approx(CURVES[name][2], abs=0.5 * digit)


def test_offset_is_the_deliverys(delivery, name):
    """A filter moves a star by what the distortion delivery says, with its sign."""
    assert BORESIGHT_OFFSETS[name] == delivery[name]


def test_reference_filter_has_no_offset():
    """The distortion is that of F770W."""
    assert BORESIGHT_OFFSETS["F770W"] == (0.0, 0.0)


@pytest.mark.parametrize("name", FLIGHT_RATES)
def test_sky_is_that_of_flight(name):
    """The sky of a filter gives the rates that flight exposures have."""
    # Both numbers have three digits.
    rate = SKY_LEVELS[name] / flight_photmjsr(name, JUNE_2022)
    assert rate == pytest.approx(FLIGHT_RATES[name], rel=0.005)


@pytest.mark.parametrize("name", sorted(set(FILTERS) - set(FLIGHT_RATES)))
def test_sky_is_that_of_the_models_elsewhere(name):
    """Where no flight exposure of an empty field is public, models give the sky."""
    assert SKY_LEVELS[name] == MODEL_SKY[name]


def test_sky_brightens_with_the_wavelength():
    """Dust at 270 K and a telescope at 40 K shine the brighter the redder the filter."""
    levels = list(SKY_LEVELS.values())
    assert levels == sorted(levels)


@pytest.mark.parametrize("table", [SKY_LEVELS, BORESIGHT_OFFSETS], ids=["sky", "offset"])
def test_table_cannot_be_changed(table):
    """What is shared is protected from those who use it."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        table["F770W"] = 0.0


def test_solid_angle_is_the_siafs():
    """The nominal pixel has the SIAF's area at the reference point."""
    assert pytest.approx(SOLID_ANGLE, abs=0.5e-17) == PIXEL_SOLID_ANGLE


def test_star_gives_its_electrons():
    """By its curve, 1 microjansky gives 39.4 electrons per second before the mirrors."""
    found = preflight_electrons_per_microjansky("F770W") / TELESCOPE_TRANSMISSION
    assert found == pytest.approx(STAR, abs=0.05)


def test_electrons_are_counted_photons(name):
    """The same follows from photon energies and an integral over frequency."""
    wavelength, efficiency = bandpass(name)
    frequency = (constants.c / (wavelength * units.um)).to("Hz")
    photons = (1 * units.uJy) / (constants.h * frequency)
    rate = -np.trapezoid(photons * efficiency, frequency) * COLLECTING_AREA * units.m**2
    # The sums of trapezoids in frequency and in wavelength differ by the square of a step in
    # the logarithm, weighted with the efficiency.
    step = np.diff(np.log(wavelength)).max()
    assert rate.to_value("1/s") * TELESCOPE_TRANSMISSION == pytest.approx(
        preflight_electrons_per_microjansky(name), rel=step**2
    )


def test_sky_and_star_agree(name):
    """A sky is as many microjansky as a pixel's solid angle makes of it."""
    flux = (1 * units.MJy / units.sr * PIXEL_SOLID_ANGLE * units.sr).to_value("uJy")
    assert electrons_per_surface_brightness(name) == pytest.approx(
        flux * electrons_per_microjansky(name), rel=1e-12
    )


def test_calibration_undoes_the_throughput(name):
    """The surface brightness of 1 MJy/sr becomes numbers and comes back as 1."""
    numbers = electrons_per_surface_brightness(name) / GAIN
    assert photmjsr(name) * numbers == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("name", "day", "factor"), HEADERS)
def test_calibration_is_that_of_flight_headers(name, day, factor):
    """The factor on a day is what the pipeline wrote into a flight exposure's header."""
    # Seven digits of the table, and the day to 1e-4.
    assert flight_photmjsr(name, day) == pytest.approx(factor, rel=1e-6)


def test_calibration_begins_with_the_table(name):
    """On the first day, the throughput is whole."""
    first = FLIGHT_CALIBRATION[name]
    assert flight_photmjsr(name, 59720.0) == pytest.approx(first.photmjsr, rel=1e-6)


def test_throughput_falls(name):
    """In 2026, each filter needs more MJy/sr for a DN/s than a year before."""
    assert flight_photmjsr(name, 61041.0) > flight_photmjsr(name, 61041.0 - 365)


def test_factor_lifts_the_curve_to_flight(name):
    """The pre-flight curve times the factor gives flight's numbers for a sky."""
    star = preflight_electrons_per_microjansky(name) * in_flight_factor(name)
    flux = (units.MJy / units.sr).to("uJy / sr") * PIXEL_SOLID_ANGLE
    assert star * flux / GAIN * photmjsr(name) == pytest.approx(1.0, rel=1e-12)
