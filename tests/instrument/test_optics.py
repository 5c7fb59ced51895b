"""The point-spread function is JWST's: independent software, published numbers, conserved light."""

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import convolve, uniform_filter
from scipy.optimize import brentq
from scipy.special import gamma, gammaincc

from miri_background.instrument import optics
from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.detector import INTERPIXEL_CAPACITANCE
from miri_background.instrument.optics import (
    CRUCIFORM_FRACTIONS,
    SPECTRAL_INDICES,
    PointSpreadFunction,
    cruciform_kernel,
    diffraction_image,
    point_spread_function,
    pupil,
)
from miri_background.instrument.throughput import FILTERS

FILTER = "F770W"
WIDTH = 6.7  # m, of the pupil array
WAVELENGTH = 7.64e-6  # m, pivot of F770W
# What a cubic spline may err between samples, as part of the peak, at the blue ends of F560W and
# F770W, m, where the image has the finest detail: 1 % of the photon noise of a full pixel is 2e-5.
SPLINE_ERRORS = {4.9e-6: 1e-4, 6.5e-6: 3e-5}

COLLECTING_AREA = 25.4  # m^2, JWST user documentation
OUTLINES = 25.779  # m^2, segments less supports by exact polygon arithmetic
SEGMENTS = 26.64  # m^2, the 18 segments alone, by the same

# Full width at half maximum in pixels: JWST user documentation, from flight, and by poppy with
# pixel and capacitance, measured as here
FWHM = {
    "F560W": (1.882, 1.871),
    "F770W": (2.445, 2.425),
    "F1000W": (2.982, 3.121),
    "F1130W": (3.409, 3.548),
    "F1280W": (3.818, 3.961),
    "F1500W": (4.436, 4.623),
    "F1800W": (5.373, 5.514),
    "F2100W": (6.127, 6.314),
    "F2550W": (7.300, 7.710),
}
FWHM_DEFINITION = 0.06  # the documentation does not say how it was measured
MODEL_TOLERANCE = 0.005  # what other wavelengths and samplings of pupil and pixel make of it
WINDOW_LIGHT = 0.983  # of the diffraction image in 201 pixels, by poppy
# Light within a radius in pixels as part of all light, by software that shares no code
# with this: after diffraction alone, and with cruciform and inter-pixel capacitance.
DIFFRACTION_LIGHT = {1.5: 0.536, 2.5: 0.690, 3.5: 0.727, 5: 0.832, 7: 0.856, 10: 0.892, 20: 0.932}
# Inside 2.5 pixels the width of a pixel matters, which that number does not include.
ENCLOSED_LIGHT = {2.5: 0.629, 3.5: 0.667, 5: 0.753, 7: 0.790, 10: 0.825, 20: 0.878, 50: 0.946}
ENCLOSED_TOLERANCE = 0.03  # what other treatments of pixel and band make of it
# Amplitudes of stpsf's cruciform, in any unit: light along rows and columns, and none above
CRUCIFORM_AMPLITUDES = {
    "F560W": 0.00220 * 2.025,
    "F770W": 0.00139 * 2.05,
    "F1000W": 0.00034 * 1.9,
    "F1130W": 0.00007 * 1.25,
    "F1280W": 0.00011 * 1.25,
}
# Degrees from +x towards +y: three hexagon edges, and the vertical support of the secondary
SPIKES = (25.0, 84.5, 145.0, 175.5)
SPIKES_BESIDE_CRUCIFORM = (25.0, 145.0)  # the others are lost in it
SPIKE_TOLERANCE = 1.0  # degree: a spike at 40 pixels is 2 pixels = 3 degrees wide


# Each filter takes a second: two of them, among which is the one with most of a cruciform, show
# what a change has broken; the others are left to the night.
FAST_FILTERS = ("F560W", "F770W")
BY_NIGHT = [pytest.mark.slow, pytest.mark.long]
EACH_FILTER = [pytest.param(name, marks=[] if name in FAST_FILTERS else BY_NIGHT) for name in FWHM]


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
def psf_of():
    """Return a function that gives the point-spread function of a filter, computed once."""
    return cache(point_spread_function)


@pytest.fixture(scope="module")
def psf(psf_of):
    """Return the point-spread function."""
    return psf_of(FILTER)


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
                patch.setattr(optics, "CRUCIFORM_FRACTIONS", {FILTER: 0.0})
            if "capacitance" in parts:
                patch.setattr(optics, "INTERPIXEL_CAPACITANCE", np.pad([[1.0]], 1))
            return point_spread_function.__wrapped__(FILTER)

    return function_without


@pytest.fixture(scope="module")
def few_wavelengths():
    """Return a function that gives the point-spread function for two spectra of its own."""

    @cache
    def function_for(spectral_indices):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(optics, "_WAVELENGTHS", 3)
            patch.setattr(optics, "_PUPIL_SAMPLES", 256)
            patch.setattr(optics, "SPECTRAL_INDICES", spectral_indices)
            return point_spread_function.__wrapped__(FILTER)

    return function_for


@pytest.fixture(scope="module")
def cruciform(one_wavelength):
    """Return the light that went through the cruciform, samples as of the whole function."""
    without = one_wavelength("cruciform").samples()
    return one_wavelength().samples() - (1 - CRUCIFORM_FRACTIONS[FILTER]) * without


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
    samples = psf.samples()
    return (np.indices(samples.shape) - samples.shape[0] // 2) / psf.oversample


def spline_of(psf, spectral_index=0.0):
    """Return a spline through the samples for a spectrum, over y and x in pixels."""
    axis = offsets(psf)[1][0]
    return RectBivariateSpline(axis, axis, psf.samples(spectral_index))


def width(psf, spectral_index=0.0):
    """Return the diameter, pixels, where the mean over all directions is half the centre."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    spline = spline_of(psf, spectral_index)

    def above_half(radius):
        circle = spline.ev(radius * np.sin(angles), radius * np.cos(angles))
        return circle.mean() - spline.ev(0.0, 0.0) / 2

    return 2 * brentq(above_half, 0.5, 6.0)


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
    positions = np.arange(-(samples // 2), samples // 2 + 1) * step
    image = diffraction_image(coarse_pupil, WIDTH, WAVELENGTH, pixel, positions)
    # The field repeats itself: its last row and column are the first ones again.
    assert image[:-1, :-1].sum() * step**2 == pytest.approx(1.0, rel=1e-10)


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
    assert brightest_angle(spline_of(psf), angle) == pytest.approx(angle, abs=SPIKE_TOLERANCE)


def test_cruciform_kernel_is_normalised():
    """Over a wide field, arms and halo add up to 1."""
    step = 1 / 3
    kernel = cruciform_kernel(np.arange(-600, 601) * step)
    # The arms are sampled: half a step at the centre and at the two edges of the hole.
    assert kernel.sum() == pytest.approx(1.0, abs=step**2 / optics._CRUCIFORM_LENGTH)


def test_cruciform_has_its_part_of_the_light(psf, cruciform):
    """The light that the cruciform scatters is the given fraction of all light."""
    fraction = CRUCIFORM_FRACTIONS[FILTER]
    # Diffraction takes light out of the stamp before the cruciform does, or after it.
    expected = fraction * window_part(psf.radius) * WINDOW_LIGHT
    assert cruciform.sum() / psf.oversample**2 == pytest.approx(expected, rel=0.01)


def test_cruciform_adds_light_everywhere(psf, cruciform):
    """What is scattered is light: nowhere negative but for rounding."""
    assert cruciform.min() > -1e-12 * psf.samples().max()


@pytest.mark.parametrize("axis", [0, 1], ids=["along the row", "along the column"])
def test_cruciform_has_arms(psf, cruciform, axis):
    """Between 30 and 60 pixels, the arms are far brighter than the light beside them."""
    across, along = np.abs(offsets(psf)) if axis == 0 else np.abs(offsets(psf))[::-1]
    reach = (along > 30) & (along < 60)
    arm = cruciform[reach & (across <= 1)].mean()
    beside = cruciform[reach & (across > 10) & (across < 20)].mean()
    assert arm > 10 * beside


@pytest.mark.parametrize("name", FILTERS)
def test_cruciform_is_in_proportion_to_the_amplitudes(name):
    """The part that is scattered falls from filter to filter as stpsf's amplitudes do."""
    amplitudes = dict.fromkeys(FILTERS, 0.0) | CRUCIFORM_AMPLITUDES
    expected = CRUCIFORM_FRACTIONS["F770W"] * amplitudes[name] / amplitudes["F770W"]
    # The fractions are given to 1e-3, below 5 % to 1e-4.
    digit = 1e-3 if expected > 0.05 else 1e-4
    assert CRUCIFORM_FRACTIONS[name] == pytest.approx(expected, abs=0.51 * digit)


def test_cruciform_has_the_size_of_stpsfs():
    """In F770W, stpsf scatters 8.9 % of all light at five samples a pixel and 10 % at four."""
    assert 0.089 <= CRUCIFORM_FRACTIONS["F770W"] <= 0.100


@pytest.mark.parametrize("name", FILTERS[FILTERS.index("F1500W") :])
def test_cruciform_ends_where_the_detector_absorbs_all_light(name):
    """From 15 micrometre no light comes back from the rear of the detector."""
    assert CRUCIFORM_FRACTIONS[name] == 0.0


def test_capacitance_shares_between_pixels(one_wavelength):
    """Each pixel's light is shared with its neighbours, more along rows than along columns."""
    unshared = one_wavelength("capacitance").kernel()
    expected = convolve(unshared, INTERPIXEL_CAPACITANCE, mode="constant")
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(
        one_wavelength().kernel()[inner], expected[inner], rtol=16 * np.finfo(float).eps
    )


def test_brightest_sample_is_the_centre(psf):
    """A source's light is centred on its position."""
    samples = psf.samples()
    middle = samples.shape[0] // 2
    assert np.unravel_index(samples.argmax(), samples.shape) == (middle, middle)


def test_light_is_positive(psf):
    """No sample is negative, whatever the spectrum."""
    assert psf.ends.min() > 0


def test_ends_cannot_be_changed(psf):
    """The shared stamp is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        psf.ends[0, 0, 0] = 0.0


def test_stamp_holds_its_part_of_the_light(psf):
    """Light is normalised to all that there is, not to the stamp."""
    fraction = CRUCIFORM_FRACTIONS[FILTER]
    expected = WINDOW_LIGHT * (1 - fraction + fraction * window_part(psf.radius))
    # The expected light has three digits.
    assert psf.samples().sum() / psf.oversample**2 == pytest.approx(expected, abs=0.001)


def test_kernel_holds_the_light_of_the_stamp(psf):
    """One sample in each pixel sees all light: it does not depend on the phase."""
    found = psf.kernel().sum()
    assert found == pytest.approx(psf.samples().sum() / psf.oversample**2, rel=2e-4)


def test_kernel_is_centred(psf):
    """The image of a source on a pixel's centre has its peak in the middle."""
    kernel = psf.kernel()
    middle = kernel.shape[0] // 2
    assert kernel[middle, middle] == kernel.max() == psf.samples().max()


@pytest.mark.parametrize("name", EACH_FILTER)
def test_width_is_published(psf_of, name):
    """The width is that of the user documentation."""
    published, _ = FWHM[name]
    assert width(psf_of(name)) == pytest.approx(published, rel=FWHM_DEFINITION)


@pytest.mark.parametrize("name", EACH_FILTER)
def test_width_is_that_of_the_model(psf_of, name):
    """The width is that of an independent calculation with pixel and capacitance."""
    _, model = FWHM[name]
    assert width(psf_of(name)) == pytest.approx(model, rel=MODEL_TOLERANCE)


@pytest.mark.parametrize(("radius", "light"), ENCLOSED_LIGHT.items())
def test_star_encloses_the_light_of_miri(psf, radius, light):
    """The light within a radius is that of an independent model checked against flight data."""
    found = psf.encircled_energy([radius])[0]
    assert found == pytest.approx(light, rel=ENCLOSED_TOLERANCE)


# ---------------------------------------------------------------- encircled energy


@pytest.mark.parametrize("spectral_index", SPECTRAL_INDICES)
@pytest.mark.parametrize("radius", [0.7, 2.5, 10.0])
def test_encircled_energy_is_the_sum_within_a_circle(psf, radius, spectral_index):
    """Counted point by point, with every sample split into 20 by 20, the light is the same."""
    split = 20
    # Photometry takes pixels for uniform: over all positions, that is a box more.
    samples = uniform_filter(psf.samples(spectral_index), psf.oversample, mode="constant")
    middle, reach = samples.shape[0] // 2, int(radius * psf.oversample) + 1
    cut = samples[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    points = (np.arange(cut.shape[0] * split) + 0.5) / split - reach - 0.5
    inside = np.hypot(points, points[:, np.newaxis]) < radius * psf.oversample
    parts = inside.reshape(cut.shape[0], split, cut.shape[1], split).mean(axis=(1, 3))
    expected = np.sum(cut * parts) / psf.oversample**2
    found = psf.encircled_energy([radius], spectral_index)[0]
    # Points near the circle are in or out at random: as many as it is long in points.
    error = (
        cut.max()
        / (psf.oversample * split) ** 2
        * np.sqrt(2 * np.pi * radius * psf.oversample * split)
    )
    assert found == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("name", EACH_FILTER)
def test_encircled_energy_grows_with_the_radius(psf_of, name):
    """A larger circle holds more light, up to the stamp's."""
    psf = psf_of(name)
    energy = psf.encircled_energy(np.arange(1, 101))
    whole = psf.samples().sum() / psf.oversample**2
    assert np.all(np.diff([0.0, *energy, whole]) > 0)


def test_encircled_energy_has_one_value_for_each_radius(psf):
    """Radii and parts belong together."""
    both = psf.encircled_energy([3.0, 7.0])
    assert both.tolist() == [psf.encircled_energy([radius])[0] for radius in (3.0, 7.0)]


# ------------------------------------------------------------------------- colour


@pytest.mark.parametrize(("end", "spectral_index"), list(enumerate(SPECTRAL_INDICES)))
def test_samples_of_an_end_are_the_end(psf, end, spectral_index):
    """The reddest and the bluest source have the images that were computed."""
    np.testing.assert_array_equal(psf.samples(spectral_index), psf.ends[end])


def test_samples_of_a_flat_source_are_the_mean_of_the_ends(psf):
    """A source that is flat in frequency is halfway between the ends."""
    np.testing.assert_array_equal(psf.samples(), psf.ends.sum(axis=0) / 2)


@pytest.mark.parametrize("name", EACH_FILTER)
def test_blue_source_is_narrower_than_red(psf_of, name):
    """The more of the light comes at short wavelengths, the smaller is the image."""
    psf = psf_of(name)
    assert width(psf, SPECTRAL_INDICES[1]) < width(psf) < width(psf, SPECTRAL_INDICES[0])


@pytest.mark.slow
@pytest.mark.parametrize("spectral_index", [-1.0, 0.0, 1.0])
def test_image_between_the_ends_is_that_of_the_spectrum(few_wavelengths, spectral_index):
    """Interpolation gives the image that a calculation for the spectrum itself gives."""
    interpolated = few_wavelengths(SPECTRAL_INDICES).samples(spectral_index)
    computed = few_wavelengths((spectral_index, 2.0)).ends[0]
    # No more than what nine wavelengths leave out of the band
    np.testing.assert_allclose(interpolated, computed, rtol=0, atol=2e-4 * computed.max())


def test_colour_moves_no_light(psf):
    """Over the whole stamp, blue and red sources have nearly the same light."""
    red, blue = psf.ends.sum(axis=(1, 2)) / psf.oversample**2
    # Light beyond the stamp grows with the wavelength: by 5 % of 2 %, which is what the mean
    # wavelengths of the ends differ by.
    assert blue - red == pytest.approx(0.0, abs=0.05 * (1 - red) * 2)


@pytest.mark.parametrize(("index", "part"), [(-2.0, 0.0), (0.0, 0.5), (2.0, 1.0)])
def test_splines_add_up_to_the_samples(psf, index, part):
    """Red end plus part of the difference gives the samples for any spectrum."""
    red, colour = psf.splines()
    axis = offsets(psf)[1][0]
    np.testing.assert_allclose(
        red(axis, axis) + part * colour(axis, axis),
        psf.samples(index),
        rtol=0,
        atol=1e-14 * psf.ends.max(),
    )


@pytest.mark.parametrize(("wavelength", "error"), SPLINE_ERRORS.items())
def test_spline_equals_direct_sampling(coarse_pupil, pixel, wavelength, error):
    """Between the samples, the spline is what sampling there would have given."""
    oversample, finer, half = 5, 3, 100  # samples per pixel, of which each is divided further
    positions = np.arange(-half * finer, half * finer + 1) / (oversample * finer)
    image = diffraction_image(coarse_pupil, WIDTH, wavelength, pixel, positions)
    # The pixel is the mean of the samples in it, wherever it lies.
    in_pixel = np.zeros(oversample * finer)
    in_pixel[finer // 2 :: finer] = 1 / oversample
    in_pixels = convolve(image, np.outer(in_pixel, in_pixel), mode="constant")
    star = PointSpreadFunction(np.array([in_pixels[::finer, ::finer]] * 2), oversample)
    # Within two pixels of the border the box and the spline have nothing beyond it.
    inner = slice(2 * oversample * finer, -2 * oversample * finer)
    direct = in_pixels[inner, inner]
    red, _ = star.splines()
    found = red(positions[inner], positions[inner])
    np.testing.assert_allclose(found, direct, rtol=0, atol=error * direct.max())
