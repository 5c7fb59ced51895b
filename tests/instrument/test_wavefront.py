"""Wavefront errors have the size that was asked for, and take what they should off the peak."""

import numpy as np
import pytest

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.footprint import regions
from miri_background.instrument.optics import (
    _on_detector,
    diffraction_image,
    point_spread_function,
    pupil,
)
from miri_background.instrument.wavefront import field_terms, wavefront

WAVELENGTH = 7.64e-6  # m, pivot of F770W
ERROR, CHANGE = 75.0, 30.0  # nm rms
NANOMETRE = 1e-9


@pytest.fixture(scope="module")
def jacobian():
    """Return d(V2, V3)/d(x, y) at the centre of the imager."""
    aperture = imager_aperture()
    return aperture.jacobian(aperture.x_ref, aperture.y_ref)


@pytest.fixture(scope="module")
def transmission(jacobian):
    """Return the pupil."""
    return pupil(jacobian, 256)


def rms(path, transmission):
    """Return the rms of a path difference over the pupil, nm."""
    return path[transmission > 0].std() / NANOMETRE


def test_no_error_is_none(transmission):
    """Perfect optics are computed as before."""
    assert wavefront(transmission, 0.0) is None


def test_error_has_its_rms(transmission):
    """At the centre, over the pupil, without a piston."""
    path = wavefront(transmission, ERROR)
    assert rms(path, transmission) == pytest.approx(ERROR, rel=1e-9)
    assert path[transmission > 0].mean() == pytest.approx(0, abs=1e-6 * NANOMETRE)


def test_error_does_not_move_the_image(transmission):
    """Tilt is pointing, and none of it: below a thousandth of the error."""
    axis = np.arange(len(transmission)) - (len(transmission) - 1) / 2
    path, inside = wavefront(transmission, ERROR), transmission > 0
    # Aberrations of a whole circle have some tilt on hexagons; less than a tenth in amplitude.
    for tilt in np.meshgrid(axis, axis):
        assert abs(np.corrcoef(tilt[inside], path[inside])[0, 1]) < 0.3


@pytest.mark.parametrize("place", [(1, 1), (-1, 1), (1, -1)], ids=str)
def test_corner_has_the_change_beside_it(transmission, place):
    """Between all of it and, where both directions act against each other, a part."""
    beside = wavefront(transmission, ERROR, CHANGE, place) - wavefront(transmission, ERROR)
    assert 0.3 * CHANGE < rms(beside, transmission) < np.sqrt(2) * CHANGE


def test_change_grows_linearly(transmission):
    """Half as far from the centre, half as much."""
    centre, half, whole = (wavefront(transmission, ERROR, CHANGE, (u, 0.0)) for u in (0, 0.5, 1))
    np.testing.assert_allclose(2 * (half - centre), whole - centre, atol=1e-6 * NANOMETRE)
    assert rms(whole - centre, transmission) == pytest.approx(CHANGE / np.sqrt(2), rel=1e-9)


@pytest.mark.parametrize("error", [40.0, 75.0, 150.0])
def test_peak_falls_by_the_square_of_the_phase(transmission, error):
    """Marechal's approximation of the Strehl ratio, exp(-phase^2), to its next order."""
    positions, pixel = np.arange(-2, 3) / 5.0, 5.4e-7  # rad
    path = wavefront(transmission, error)
    spoilt = transmission * np.exp(2j * np.pi * path / WAVELENGTH)
    peaks = [
        diffraction_image(each, 6.7, WAVELENGTH, pixel, positions)[2, 2]
        for each in (transmission, spoilt)
    ]
    phase = 2 * np.pi * error * NANOMETRE / WAVELENGTH
    assert peaks[1] / peaks[0] == pytest.approx(np.exp(-(phase**2)), abs=phase**3)


def test_complex_pupil_is_that_of_a_real_one(transmission):
    """Without phases, both ways to the image agree to rounding."""
    positions = np.arange(-20, 21) / 5.0
    images = [
        diffraction_image(each, 6.7, WAVELENGTH, 5.4e-7, positions)
        for each in (transmission, transmission.astype(complex))
    ]
    np.testing.assert_allclose(*images, atol=1e-12 * images[0].max())


def test_field_point_of_a_pixel():
    """The centre of the imager is (0, 0), its corners are (+-1, +-1)."""
    imager = regions()["imager"]
    middle = [(axis.start + axis.stop - 1) / 2 for axis in (imager.x, imager.y)]
    assert field_terms(*middle) == pytest.approx((0, 0, 0, 0, 0))
    corner = field_terms(imager.x.stop - 0.5, imager.y.start - 0.5)
    assert corner == pytest.approx((1, -1, 1, 1, -1))


@pytest.mark.slow
@pytest.mark.long
def test_image_at_a_corner_is_that_of_its_wavefront(jacobian):
    """What is interpolated to second order is what a full calculation gives there."""
    psf = point_spread_function("F770W", ERROR, CHANGE)
    imager = regions()["imager"]
    drawn, _ = psf.drawing()
    offsets = np.arange(-20, 21)
    place = imager.x.stop - 0.5, imager.y.start - 0.5
    found = drawn(offsets, offsets, 0.0, place)
    transmission = pupil(jacobian)
    path = wavefront(transmission, ERROR, CHANGE, (1, -1))
    (exact,) = _on_detector("F770W", jacobian, transmission, path, (0.0,))
    middle = exact.shape[0] // 2
    exact = exact[middle - 100 : middle + 101 : 5, middle - 100 : middle + 101 : 5]
    centre = drawn(
        offsets, offsets, 0.0, [(axis.start + axis.stop) / 2 for axis in (imager.x, imager.y)]
    )
    change = np.abs(exact - centre).max()
    assert change > 2e-3 * exact.max()
    # The third order: a fifth of the second at most where phases are 0.07.
    assert np.abs(found - exact).max() < 0.1 * change
