"""Electrons per flux are those of the published curves."""

import numpy as np
import pytest
from astropy import constants, units

from miri_background.instrument.detector import GAIN
from miri_background.instrument.throughput import (
    COLLECTING_AREA,
    FILTERS,
    PIXEL_SOLID_ANGLE,
    TELESCOPE_TRANSMISSION,
    bandpass,
    electrons_per_microjansky,
    electrons_per_surface_brightness,
    photmjsr,
)

# Read off the curve TN-00072-ATC and the SIAF by other software; half of the last digit is
# what they may differ by.
PEAK = 0.3968
PIVOT = 7.639  # micrometre
WIDTH = 0.10286  # integral of efficiency d lambda / lambda
SOLID_ANGLE = 2.8915e-13  # steradian
STAR = 39.4  # electron / s per microjansky, without the telescope's mirrors
SKY = 11.4  # electron / s in a pixel per MJy/sr, without the telescope's mirrors


@pytest.fixture(params=FILTERS)
def name(request):
    """Return the name of a filter."""
    return request.param


@pytest.fixture
def curve():
    """Return wavelength and efficiency of F770W."""
    return bandpass("F770W")


def test_wavelengths_ascend(name):
    """The curve can be integrated and interpolated."""
    assert np.all(np.diff(bandpass(name)[0]) > 0)


def test_efficiency_is_a_probability(name):
    """No photon gives more than one electron, none takes one away."""
    _, efficiency = bandpass(name)
    assert 0 <= efficiency.min() <= efficiency.max() < 1


def test_curve_ends_at_zero(name):
    """The band is not cut off."""
    _, efficiency = bandpass(name)
    # The curve is given to 1e-4.
    np.testing.assert_allclose(efficiency[[0, -1]], 0, rtol=0, atol=1e-4)


def test_peak_is_published(curve):
    """The highest efficiency is that of the published curve."""
    assert curve[1].max() == pytest.approx(PEAK, abs=0.5e-4)


def test_pivot_wavelength_is_published(curve):
    """The pivot wavelength is that of the published curve."""
    wavelength, efficiency = curve
    # Photon-counting: Bessell & Murphy 2012, eq. A11.
    pivot = np.sqrt(
        np.trapezoid(efficiency * wavelength, wavelength)
        / np.trapezoid(efficiency / wavelength, wavelength)
    )
    assert pivot == pytest.approx(PIVOT, abs=0.5e-3)


def test_width_is_published(curve):
    """The integral over the logarithm of the wavelength is that of the published curve."""
    wavelength, efficiency = curve
    assert np.trapezoid(efficiency / wavelength, wavelength) == pytest.approx(WIDTH, abs=0.5e-5)


def test_solid_angle_is_the_siafs():
    """The nominal pixel has the SIAF's area at the reference point."""
    assert pytest.approx(SOLID_ANGLE, abs=0.5e-17) == PIXEL_SOLID_ANGLE


def test_star_gives_its_electrons():
    """A star of 1 microjansky gives 39.4 electrons per second before the mirrors."""
    found = electrons_per_microjansky("F770W") / TELESCOPE_TRANSMISSION
    assert found == pytest.approx(STAR, abs=0.05)


def test_sky_gives_its_electrons():
    """A sky of 1 MJy/sr gives 11.4 electrons per second and pixel before the mirrors."""
    found = electrons_per_surface_brightness("F770W") / TELESCOPE_TRANSMISSION
    assert found == pytest.approx(SKY, abs=0.05)


def test_electrons_are_counted_photons(name):
    """The same follows from photon energies and an integral over frequency."""
    wavelength, efficiency = bandpass(name)
    frequency = (constants.c / (wavelength * units.um)).to("Hz")
    photons = (1 * units.uJy) / (constants.h * frequency)
    rate = -np.trapezoid(photons * efficiency, frequency) * COLLECTING_AREA * units.m**2
    # Trapezoids in frequency and in wavelength differ in second order of the step of 1e-3.
    assert rate.to_value("1/s") * TELESCOPE_TRANSMISSION == pytest.approx(
        electrons_per_microjansky(name), rel=1e-6
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
