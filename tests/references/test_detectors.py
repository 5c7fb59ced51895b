"""The maps that references are written from are those of the simulator."""

import numpy as np
import pytest

from miri_background.instrument import detector, throughput
from miri_background.instrument.response import sky_response
from miri_background.references import tables
from miri_background.references.detectors import embedded_detector, mirisim_detector

FLOAT32_ROUNDING = 2.0**-23
FLOAT64_ROUNDING = 2.0**-52
READ_NOISE = 6.0  # DN, any
MIRISIM_MIRROR = 25.032  # m^2, the default telescope_area of MIRISim


@pytest.mark.parametrize(("pattern", "averaged"), [("FASTR1", 1), ("SLOWR1", 8)])
def test_read_noise_falls_with_the_samples(pattern, averaged):
    """A read of SLOWR1 is the mean of eight samples."""
    noise = embedded_detector(pattern).read_noise
    np.testing.assert_allclose(
        noise * np.sqrt(averaged), detector.read_noise(), rtol=4 * FLOAT64_ROUNDING
    )


def test_flat_is_the_response_in_electrons():
    """The flat in DN times the pixel's gain is the response to the sky in electrons."""
    flat = embedded_detector("FASTR1").flat
    electrons = flat * detector.gain() / detector.GAIN
    np.testing.assert_allclose(electrons, sky_response(), rtol=4 * FLOAT64_ROUNDING)


def test_reset_differs_in_the_first_integration():
    """There are two anomalies, that of the first integration the deeper one."""
    first, later = embedded_detector("FASTR1").reset_anomaly
    lit = ~detector.reference_pixels()
    assert np.all(first[0][lit] < later[0][lit])


def test_embedded_instrument_is_the_unit():
    """Gain and throughput of the flux calibration are those of the embedded instrument."""
    maps = embedded_detector("FASTR1")
    assert (maps.conversion, set(maps.throughput.values())) == (detector.GAIN, {1.0})


@pytest.mark.parametrize("name", throughput.FILTERS)
def test_mirisim_has_the_curves_of_before_flight(name):
    """A DN of MIRISim's detector stands for what its curves and its gain make of the sky."""
    maps = mirisim_detector(READ_NOISE)
    electrons = (
        throughput.preflight_electrons_per_microjansky(name)
        * MIRISIM_MIRROR
        / throughput.COLLECTING_AREA
    )
    flux = 1e12 * throughput.PIXEL_SOLID_ANGLE  # microjansky in a pixel of 1 MJy/sr
    with tables.photom(maps) as model:
        found = model.phot_table["photmjsr"][model.phot_table["filter"] == name]
    np.testing.assert_allclose(found, maps.conversion / (electrons * flux), rtol=FLOAT32_ROUNDING)
