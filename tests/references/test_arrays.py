"""References with a value per pixel hold the very maps that the simulator uses."""

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import dqflags

from miri_background.instrument import detector
from miri_background.instrument.footprint import illuminated, transmission
from miri_background.instrument.readout import subarrays
from miri_background.instrument.response import relative_pixel_area, sky_response
from miri_background.references import arrays
from miri_background.references.detectors import embedded_detector

GROUPS = 8
FLOAT32_ROUNDING = 2.0**-23
FAST, SLOW = 2.77504, 23.88992  # s, frame times of the full array in JWST's user documentation
# Part of the sky that open pixels see at least, and what gain, pixel response and distortion
# make of it: two scatters of 1 %, cut off at five standard deviations, and 5 % of pixel area.
OPEN, SCATTER, AREA = 0.9, 0.05, 0.05


@pytest.fixture(scope="module")
def maps():
    """Return the maps of the embedded detector."""
    return embedded_detector("FASTR1")


def flagged(model, name):
    """Tell where a flag is set."""
    return (model.dq & dqflags.pixel[name]) != 0


def kind(name):
    """Tell which pixels are bad in one way."""
    return detector.bad_pixels() == detector.BAD_PIXEL_KINDS.index(name)


# ------------------------------------------------------------------ full arrays


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda maps: arrays.gain(maps).data, detector.gain),
        (lambda maps: arrays.saturation(maps).data, detector.saturation_level),
        (lambda maps: arrays.linearity(maps).coeffs, detector.linearity_coefficients),
        (lambda _: arrays.area().data, relative_pixel_area),
        (
            lambda maps: arrays.flat(maps, "F770W").data,
            lambda: sky_response() * detector.GAIN / detector.gain(),
        ),
    ],
    ids=["gain", "saturation", "linearity", "area", "flat"],
)
def test_array_is_the_detectors(maps, build, expected):
    """The full array of the simulator, in float32: the pipeline cuts a subarray out of it."""
    np.testing.assert_array_equal(build(maps), expected().astype(np.float32), strict=True)


@pytest.mark.parametrize(("pattern", "averaged"), [("FASTR1", 1), ("SLOWR1", 8)])
def test_read_noise_is_that_of_a_difference(pattern, averaged):
    """The pipeline divides by sqrt(2) and then has the noise of one read."""
    noise = arrays.readnoise(embedded_detector(pattern), pattern).data
    np.testing.assert_allclose(
        noise * np.sqrt(averaged / 2), detector.read_noise(), rtol=2 * FLOAT32_ROUNDING
    )


@pytest.mark.parametrize("signal", [10_000.0, 30_000.0, 55_000.0])
def test_linearity_inverts_the_detector(maps, signal):
    """In each pixel the correction turns what the simulator makes of a signal back into it."""
    coefficients = arrays.linearity(maps).coeffs.astype(float)
    raw = detector.raw_signal(np.full(detector.SHAPE, signal))
    corrected = sum(c * raw**power for power, c in enumerate(coefficients))
    np.testing.assert_allclose(corrected, signal, rtol=FLOAT32_ROUNDING)


def test_linearity_differs_from_pixel_to_pixel(maps):
    """Light-sensitive pixels have coefficients of their own."""
    sensitive = ~detector.reference_pixels()
    assert np.ptp(arrays.linearity(maps).coeffs[2][sensitive]) > 0


def test_linearity_leaves_reference_pixels(maps):
    """Reference pixels are not corrected."""
    coefficients = arrays.linearity(maps).coeffs[:, detector.reference_pixels()]
    np.testing.assert_array_equal(coefficients.T - np.array([0.0, 1.0, 0.0]), 0.0)


@pytest.mark.parametrize(("name", "flag"), [("dead", "DEAD"), ("hot", "HOT")])
def test_mask_marks_bad_pixels(maps, name, flag):
    """Dead and hot pixels carry their flag."""
    np.testing.assert_array_equal(flagged(arrays.mask(maps), flag), kind(name))


def test_mask_rules_out_bad_pixels_only(maps):
    """DO_NOT_USE is set in bad pixels and nowhere else."""
    ruled_out = flagged(arrays.mask(maps), "DO_NOT_USE")
    np.testing.assert_array_equal(ruled_out, ~kind("good"))


def test_mask_marks_reference_columns(maps):
    """The reference columns are flagged as such."""
    np.testing.assert_array_equal(
        flagged(arrays.mask(maps), "REFERENCE_PIXEL"), detector.reference_pixels()
    )


def test_flat_has_no_zero_where_it_is_used(maps):
    """Where the flat is not ruled out it can be divided by."""
    model = arrays.flat(maps, "F770W")
    # Nothing that sees less than a fifth of the sky counts as illuminated.
    darkest = 0.2 * (1 - SCATTER) / (1 + SCATTER) * (1 - AREA)
    assert model.data[~flagged(model, "DO_NOT_USE")].min() > darkest


def test_flat_of_open_pixels_is_near_one(maps):
    """What is not said to be unreliable sees most of the sky."""
    model = arrays.flat(maps, "F770W")
    used = model.data[~flagged(model, "DO_NOT_USE") & ~flagged(model, "UNRELIABLE_FLAT")]
    darkest = OPEN * (1 - SCATTER) / (1 + SCATTER) * (1 - AREA)
    brightest = (1 + SCATTER) / (1 - SCATTER)
    assert darkest < used.min() < used.max() < brightest


def test_shadows_have_an_unreliable_flat(maps):
    """Frames, spot and phase lines, where light arrives but less than elsewhere, are marked."""
    np.testing.assert_array_equal(
        flagged(arrays.flat(maps, "F770W"), "UNRELIABLE_FLAT"),
        illuminated() & (transmission() < OPEN),
    )


def test_flat_rules_out_what_sees_no_sky(maps):
    """What is not illuminated is flagged as no part of the science."""
    np.testing.assert_array_equal(
        flagged(arrays.flat(maps, "F770W"), "NON_SCIENCE"), ~illuminated()
    )


def test_dead_pixels_have_no_flat(maps):
    """A pixel that does not respond is not divided by its response."""
    np.testing.assert_array_equal(
        flagged(arrays.flat(maps, "F770W"), "NO_FLAT_FIELD"), illuminated() & kind("dead")
    )


def test_flat_is_of_its_filter(maps):
    """The filter that CRDS selects by is the one that was asked for."""
    assert arrays.flat(maps, "F2550W").meta.instrument.filter == "F2550W"


# ------------------------------------------------------------------ arrays of a subarray


@pytest.fixture(params=["FULL", "SUB256"])
def read(request):
    """Return what is read of the detector."""
    return subarrays()[request.param]


@pytest.mark.parametrize("integrations", [1, 2])
def test_reset_is_the_detectors(maps, read, integrations):
    """Each integration has the anomaly that the simulator puts into it."""
    model = arrays.reset(maps, "FASTR1", read.name, integrations)
    expected = [read.cut(detector.reset_anomaly(number)) for number in range(integrations)]
    np.testing.assert_array_equal(model.data, np.stack(expected), strict=True)


def test_reset_states_its_shape(maps):
    """The pipeline reads the number of integrations and groups from the header."""
    model = arrays.reset(maps, "FASTR1", "SUB256", 2)
    stated = model.meta.exposure.nints, model.meta.exposure.ngroups
    assert stated == (2, detector.RESET_GROUPS)


def test_dark_accumulates_from_the_reset(maps, read):
    """Group i of the dark holds i + 1 frame times of each pixel's dark current."""
    model = arrays.dark(maps, "FASTR1", read.name, GROUPS)
    rate = read.cut(detector.dark_current() / detector.gain())
    seconds = {"FULL": FAST, "SUB256": 0.29952}[read.name]  # JWST's user documentation
    expected = seconds * np.arange(1, GROUPS + 1)[:, np.newaxis, np.newaxis] * rate
    # Roundings of time, rate and their product.
    np.testing.assert_allclose(model.data[0], expected, rtol=3 * FLOAT32_ROUNDING)


def test_slow_dark_has_the_slow_frame_time(maps):
    """A frame of SLOWR1 collects more dark current by the ratio of the frame times."""
    fast, slow = (arrays.dark(maps, pattern, "FULL", 1).data for pattern in ("FASTR1", "SLOWR1"))
    np.testing.assert_allclose(slow, fast * (SLOW / FAST), rtol=6 * FLOAT32_ROUNDING)


def test_dark_has_its_average(maps, read):
    """The noise of the dark current is that of its electrons per second."""
    model = arrays.dark(maps, "FASTR1", read.name, 1)
    np.testing.assert_array_equal(
        model.average_dark_current, read.cut(detector.dark_current()).astype(np.float32)
    )


@pytest.mark.parametrize("pattern", ["FASTR1", "SLOWR1"])
@pytest.mark.parametrize(
    "build",
    [
        lambda maps, pattern: arrays.dark(maps, pattern, "FULL", 1),
        lambda maps, pattern: arrays.reset(maps, pattern, "FULL", 1),
        arrays.readnoise,
    ],
    ids=["dark", "reset", "readnoise"],
)
def test_readout_pattern_is_stated(maps, build, pattern):
    """The readout pattern that CRDS selects by is the one that was asked for."""
    assert build(maps, pattern).meta.exposure.readpatt == pattern
