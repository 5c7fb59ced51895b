"""The point-spread function is JWST's: independent software, published numbers, conserved light."""

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import convolve, uniform_filter
from scipy.optimize import brentq
from scipy.special import gamma, gammaincc

from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.simulation import detector, optics
from miri_background.simulation.optics import (
    PointSpreadFunction,
    cruciform_kernel,
    diffraction_image,
    point_spread_function,
    pupil,
)

FILTER = "F770W"
WIDTH = 6.7  # m, of the pupil array
WAVELENGTH = 7.64e-6  # m, pivot of F770W
SHORTEST = 6.5e-6  # m, blue end of F770W: the finest detail in the image

COLLECTING_AREA = 25.4  # m^2, JWST user documentation
OUTLINES = 25.779  # m^2, segments less supports by exact polygon arithmetic
SEGMENTS = 26.64  # m^2, the 18 segments alone, by the same

FWHM = 2.445  # pixel, JWST user documentation, F770W
FWHM_DEFINITION = 0.06  # the documentation does not say how it was measured
MODEL_FWHM = 2.425  # pixel, by poppy, measured as here
MODEL_TOLERANCE = 0.005  # what other wavelengths and samplings of pupil and pixel make of it
WINDOW_LIGHT = 0.983  # of the diffraction image in 201 pixels, by poppy
# Light within a radius in pixels as part of all light, by software that shares no code
# with this: after diffraction alone, and with cruciform and inter-pixel capacitance.
DIFFRACTION_LIGHT = {1.5: 0.536, 2.5: 0.690, 3.5: 0.727, 5: 0.832, 7: 0.856, 10: 0.892, 20: 0.932}
# Inside 2.5 pixels the width of a pixel matters, which that number does not include.
ENCLOSED_LIGHT = {2.5: 0.629, 3.5: 0.667, 5: 0.753, 7: 0.790, 10: 0.825, 20: 0.878, 50: 0.946}
ENCLOSED_TOLERANCE = 0.03  # what other treatments of pixel and band make of it
# Degrees from +x towards +y: three hexagon edges, and the vertical support of the secondary
SPIKES = (25.0, 84.5, 145.0, 175.5)
SPIKES_BESIDE_CRUCIFORM = (25.0, 145.0)  # the others are lost in it
SPIKE_TOLERANCE = 1.0  # degree: a spike at 40 pixels is 2 pixels = 3 degrees wide


@pytest.fixture(scope="module")
def jacobian():
    """Return the derivatives of the distortion at the reference point."""
    aperture = imager_aperture()
    return aperture.jacobian(aperture.x_ref, aperture.y_ref)


@pytest.fixture(scope="module")
def pixel(jacobian):
    """Return the size of a pixel in radian."""
    return np.sqrt(abs(np.linalg.det(jacobian))) * ARCSEC_TO_RAD


@pytest.fixture(scope="module")
def coarse_pupil(jacobian):
    """Return a pupil of 256 samples across."""
    return pupil(jacobian, samples=256)


@pytest.fixture(scope="module")
def poppy():
    """Return poppy, whose import costs a second."""
    import poppy

    return poppy


@pytest.fixture(scope="module")
def psf():
    """Return the point-spread function."""
    return point_spread_function(FILTER)


@pytest.fixture(scope="module")
def one_wavelength():
    """Return a function that gives the point-spread function of one wavelength, parts left out."""

    @cache
    def function_without(*parts):
        with pytest.MonkeyPatch.context() as patch:
            # Neither the cruciform nor the capacitance changes with the wavelength, and one
            # takes a fifth of the time.
            patch.setattr(optics, "_WAVELENGTHS", 1)
            if "cruciform" in parts:
                patch.setitem(optics._CRUCIFORM_FRACTION, FILTER, 0.0)
            if "capacitance" in parts:
                patch.setattr(optics, "_INTERPIXEL_CAPACITANCE", np.pad([[1.0]], 1))
            return point_spread_function.__wrapped__(FILTER)

    return function_without


@pytest.fixture(scope="module")
def cruciform(one_wavelength):
    """Return the light that went through the cruciform, samples as of the whole function."""
    fraction = optics._CRUCIFORM_FRACTION[FILTER]
    return one_wavelength().samples - (1 - fraction) * one_wavelength("cruciform").samples


@pytest.fixture(scope="module")
def measured_width(psf):
    """Return the diameter, pixels, where the mean over all directions is half the centre."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    spline = psf.spline()

    def above_half(radius):
        circle = spline.ev(radius * np.sin(angles), radius * np.cos(angles))
        return circle.mean() - psf.samples.max() / 2

    return 2 * brentq(above_half, 0.5, 3.0)


@pytest.fixture(scope="module")
def band_image(coarse_pupil, pixel):
    """Return the diffraction image over the band, and its sample positions in pixels."""
    positions = np.arange(-120, 121) / 2
    wavelengths = np.linspace(6.8e-6, 8.5e-6, 9)
    images = [
        diffraction_image(coarse_pupil, WIDTH, wavelength, pixel, positions)
        for wavelength in wavelengths
    ]
    return np.mean(images, axis=0), positions


def offsets(psf):
    """Return the distance of each sample from the centre in y and x, pixels."""
    return (np.indices(psf.samples.shape) - psf.samples.shape[0] // 2) / psf.oversample


def brightest_angle(spline, angle):
    """Return the direction, degrees, of most light within 5 degrees of an angle, 25-55 pixels."""
    near = np.arange(angle - 5, angle + 5.01, 0.25)
    # Light falls as the square of the radius: so weighted, each radius counts the same.
    radius = np.arange(25, 55.5, 0.5)[:, np.newaxis]
    light = spline.ev(radius * np.sin(np.deg2rad(near)), radius * np.cos(np.deg2rad(near)))
    return near[np.argmax((light * radius**2).sum(axis=0))]


def window_part(half):
    """Return the part of the cruciform's light in a window of this half width, pixels."""
    length, hole = optics._CRUCIFORM_LENGTH, optics._CRUCIFORM_HOLE
    whole = 0.5 + 0.5 * np.exp(-hole / length)
    arms = 4 * length * whole
    inside = 4 * length * (whole - np.exp(-half / length))
    scale = optics._HALO_LENGTH
    halo = 2 * np.pi * optics._HALO_STRENGTH * scale**2 * gamma(2)
    # The halo's corners are counted as those of the circle: 0.2 % of the cruciform.
    outer, inner = gammaincc(2, half / scale), gammaincc(2, hole / scale)
    return (inside + halo * (inner - outer)) / (arms + halo * inner)


def test_pupil_has_the_area_of_its_outlines(jacobian):
    """Sampling keeps the area of the segments less the supports, turned as they are."""
    # Half a sample at each of the samples along 90 m of borders, of either sign
    sample = WIDTH / 1024
    error = 0.5 * sample**2 * np.sqrt(90 / sample)
    assert pupil(jacobian).sum() * sample**2 == pytest.approx(OUTLINES, abs=error)


def test_pupil_collects_the_published_area():
    """The area is the published one within what the supports take away."""
    area = pupil(np.eye(2), samples=512).sum() * (WIDTH / 512) ** 2
    assert area == pytest.approx(COLLECTING_AREA, abs=SEGMENTS - OUTLINES)


def test_pupil_fits_its_array(coarse_pupil):
    """No segment is cut off by the border."""
    border = np.concatenate([coarse_pupil[[0, -1]].ravel(), coarse_pupil[:, [0, -1]].ravel()])
    assert not border.any()


def test_diffraction_equals_poppy(poppy, coarse_pupil, pixel):
    """The matrix Fourier transform gives poppy's image, with the same pupil and sampling."""
    pixels, oversample = 31, 5
    sample = WIDTH / len(coarse_pupil) * poppy.u.m / poppy.u.pixel
    system = poppy.OpticalSystem(pupil_diameter=WIDTH)
    system.add_pupil(poppy.ArrayOpticalElement(transmission=coarse_pupil, pixelscale=sample))
    system.add_detector(pixelscale=pixel / ARCSEC_TO_RAD, fov_pixels=pixels, oversample=oversample)
    theirs = system.calc_psf(WAVELENGTH, normalize="first")[0].data * oversample**2
    positions = (np.arange(pixels * oversample) - pixels * oversample // 2) / oversample
    ours = diffraction_image(coarse_pupil, WIDTH, WAVELENGTH, pixel, positions)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * theirs.max())


def test_diffraction_holds_all_light(coarse_pupil, pixel):
    """Over the whole field that the pupil's sampling allows, the light adds up to 1."""
    samples = len(coarse_pupil)
    step = WAVELENGTH / WIDTH / pixel
    positions = (np.arange(samples) - samples // 2) * step
    image = diffraction_image(coarse_pupil, WIDTH, WAVELENGTH, pixel, positions)
    assert image.sum() * step**2 == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize(("radius", "light"), DIFFRACTION_LIGHT.items())
def test_diffraction_encloses_the_light_of_jwst(band_image, radius, light):
    """The light within a radius is that of an independent calculation."""
    image, positions = band_image
    inside = np.hypot(*np.meshgrid(positions, positions)) <= radius
    step = positions[1] - positions[0]
    assert image[inside].sum() * step**2 == pytest.approx(light, rel=ENCLOSED_TOLERANCE)


@pytest.mark.parametrize("angle", SPIKES)
def test_diffraction_spike_has_its_angle(band_image, angle):
    """Spikes lie where mirror, supports and the detector's orientation put them."""
    image, positions = band_image
    spline = RectBivariateSpline(positions, positions, image)
    assert brightest_angle(spline, angle) == pytest.approx(angle, abs=SPIKE_TOLERANCE)


@pytest.mark.parametrize("angle", SPIKES_BESIDE_CRUCIFORM)
def test_star_has_the_spikes(psf, angle):
    """The orientation is that of diffraction also in the image of a star."""
    assert brightest_angle(psf.spline(), angle) == pytest.approx(angle, abs=SPIKE_TOLERANCE)


def test_cruciform_kernel_is_normalised():
    """Over a wide field, arms and halo add up to 1."""
    step = 1 / 3
    kernel = cruciform_kernel(np.arange(-600, 601) * step)
    # The arms are sampled: half a step at the centre and at the two edges of the hole.
    assert kernel.sum() == pytest.approx(1.0, abs=step**2 / optics._CRUCIFORM_LENGTH)


def test_cruciform_has_its_part_of_the_light(psf, cruciform):
    """The light that the cruciform scatters is the given fraction of all light."""
    fraction = optics._CRUCIFORM_FRACTION[FILTER]
    # Diffraction takes light out of the stamp before the cruciform does, or after it.
    expected = fraction * window_part(psf.radius) * WINDOW_LIGHT
    assert cruciform.sum() / psf.oversample**2 == pytest.approx(expected, rel=0.01)


def test_cruciform_adds_light_everywhere(psf, cruciform):
    """What is scattered is light: nowhere negative but for rounding."""
    assert cruciform.min() > -1e-12 * psf.samples.max()


@pytest.mark.parametrize("axis", [0, 1], ids=["along the row", "along the column"])
def test_cruciform_has_arms(psf, cruciform, axis):
    """Between 30 and 60 pixels, the arms are far brighter than the light beside them."""
    across, along = np.abs(offsets(psf)) if axis == 0 else np.abs(offsets(psf))[::-1]
    reach = (along > 30) & (along < 60)
    arm = cruciform[reach & (across <= 1)].mean()
    beside = cruciform[reach & (across > 10) & (across < 20)].mean()
    assert arm > 10 * beside


def test_capacitance_shares_between_pixels(one_wavelength):
    """Each pixel's light is shared with its neighbours, more along rows than along columns."""
    unshared = one_wavelength("capacitance").kernel()
    expected = convolve(unshared, optics._INTERPIXEL_CAPACITANCE, mode="constant")
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(
        one_wavelength().kernel()[inner], expected[inner], rtol=16 * np.finfo(float).eps
    )


def test_capacitance_keeps_all_charge():
    """What a pixel loses its neighbours get."""
    assert optics._INTERPIXEL_CAPACITANCE.sum() == pytest.approx(1.0, rel=1e-12)


def test_capacitance_is_that_of_cosmic_rays():
    """Charge of particles and of light is shared alike."""
    of_light = {
        (x - 1, y - 1): part for (y, x), part in np.ndenumerate(optics._INTERPIXEL_CAPACITANCE)
    }
    assert {(x, y): part for x, y, part in detector._INTERPIXEL} == of_light


def test_brightest_sample_is_the_centre(psf):
    """A source's light is centred on its position."""
    middle = psf.samples.shape[0] // 2
    assert np.unravel_index(psf.samples.argmax(), psf.samples.shape) == (middle, middle)


def test_light_is_positive(psf):
    """No sample is negative."""
    assert psf.samples.min() > 0


def test_samples_cannot_be_changed(psf):
    """The shared stamp is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        psf.samples[0, 0] = 0.0


def test_stamp_holds_its_part_of_the_light(psf):
    """Light is normalised to all that there is, not to the stamp."""
    fraction = optics._CRUCIFORM_FRACTION[FILTER]
    expected = WINDOW_LIGHT * (1 - fraction + fraction * window_part(psf.radius))
    # The expected light has three digits.
    assert psf.samples.sum() / psf.oversample**2 == pytest.approx(expected, abs=0.001)


def test_kernel_holds_the_light_of_the_stamp(psf):
    """One sample in each pixel sees all light: it does not depend on the phase."""
    assert psf.kernel().sum() == pytest.approx(psf.samples.sum() / psf.oversample**2, rel=2e-4)


def test_kernel_is_centred(psf):
    """The image of a source on a pixel's centre has its peak in the middle."""
    kernel = psf.kernel()
    middle = kernel.shape[0] // 2
    assert kernel[middle, middle] == kernel.max() == psf.samples.max()


def test_width_is_published(measured_width):
    """The width is that of the user documentation."""
    assert measured_width == pytest.approx(FWHM, rel=FWHM_DEFINITION)


def test_width_is_that_of_the_model(measured_width):
    """The width is that of an independent calculation with pixel and capacitance."""
    assert measured_width == pytest.approx(MODEL_FWHM, rel=MODEL_TOLERANCE)


@pytest.mark.parametrize(("radius", "light"), ENCLOSED_LIGHT.items())
def test_star_encloses_the_light_of_miri(psf, radius, light):
    """The light within a radius is that of an independent model checked against flight data."""
    inside = np.hypot(*offsets(psf)) <= radius
    found = psf.samples[inside].sum() / psf.oversample**2
    assert found == pytest.approx(light, rel=ENCLOSED_TOLERANCE)


def test_spline_equals_direct_sampling(coarse_pupil, pixel):
    """Between the samples, the spline is what sampling there would have given."""
    oversample, shift = 5, 0.0873  # pixel, on no sample and not halfway
    positions = np.arange(-100, 101) / oversample

    def in_pixels(where):
        image = diffraction_image(coarse_pupil, WIDTH, SHORTEST, pixel, where)
        return uniform_filter(image, oversample, mode="constant")

    star = PointSpreadFunction(in_pixels(positions), oversample)
    # Within two pixels of the border the box and the spline have nothing beyond it.
    inner = slice(2 * oversample, -2 * oversample)
    direct = in_pixels(positions + shift)[inner, inner]
    found = star.spline()(positions[inner] + shift, positions[inner] + shift)
    np.testing.assert_allclose(found, direct, rtol=0, atol=1e-6 * direct.max())
