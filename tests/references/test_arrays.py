"""The reference files hold what the instrument's constants say."""

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import dqflags

from miri_background.instrument import detector, throughput
from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.response import relative_pixel_area, sky_response
from miri_background.references.cache import synthetic_cache
from miri_background.references.mappings import MATCH_KEYS

GROUPS = 8
FLOAT32_ROUNDING = 2.0**-23
IMAGER_CORNERS_X = np.array([-0.5, 1031.5, -0.5, 1031.5, 692.5])
IMAGER_CORNERS_Y = np.array([-0.5, -0.5, 1023.5, 1023.5, 511.5])


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Return the directory of the reference files."""
    # One root for all test files: the cache is written by whichever comes first.
    cache = synthetic_cache(tmp_path_factory.getbasetemp() / "synthetic_caches", GROUPS)
    return cache / "references" / "jwst" / "miri"


@pytest.fixture
def read(references):
    """Return a reader of arrays and tables of FITS references."""

    def read_extension(reftype, extension):
        return fits.getdata(references / f"jwst_miri_{reftype}_9001.fits", extension)

    return read_extension


@pytest.fixture
def distortion(references):
    """Give the transform from pixels to V2, V3."""
    with datamodels.DistortionModel(references / "jwst_miri_distortion_9001.asdf") as model:
        yield model.model


def flagged(dq, name):
    """Tell where a flag is set."""
    return (dq & dqflags.pixel[name]) != 0


@pytest.mark.parametrize("reftype", MATCH_KEYS)
def test_each_type_has_a_file(references, reftype):
    """Every type that the rules select has at least one file."""
    assert list(references.glob(f"jwst_miri_{reftype}_*"))


def test_read_noise_is_that_of_a_difference(read):
    """The pipeline divides by sqrt(2) and then has the noise of one read."""
    np.testing.assert_allclose(
        read("readnoise", "SCI") / np.sqrt(2), detector.READ_NOISE, rtol=FLOAT32_ROUNDING
    )


def test_gain_is_the_detectors(read):
    """The gain is the same in every pixel."""
    assert np.all(read("gain", "SCI") == detector.GAIN)


def test_saturation_is_the_detectors(read):
    """The saturation level is the one that the detector module gives."""
    np.testing.assert_allclose(
        read("saturation", "SCI"), detector.saturation_level(), rtol=FLOAT32_ROUNDING
    )


def test_linearity_inverts_the_detector(read):
    """The correction turns raw into linear signal in the light-sensitive pixels."""
    coefficients = read("linearity", "COEFFS")[:, ~detector.reference_pixels()]
    signal = 40_000.0
    raw = detector.raw_signal(signal)
    corrected = sum(c * raw**power for power, c in enumerate(coefficients.astype(float)))
    np.testing.assert_allclose(corrected, signal, rtol=FLOAT32_ROUNDING)


def test_linearity_leaves_reference_pixels(read):
    """Reference pixels are not corrected."""
    coefficients = read("linearity", "COEFFS")[:, detector.reference_pixels()]
    np.testing.assert_array_equal(coefficients.T - np.array([0.0, 1.0, 0.0]), 0.0)


def test_dark_accumulates_from_the_reset(read):
    """Group i of the dark holds i + 1 frame times of dark current."""
    dark = read("dark", "SCI")[0]
    expected = detector.dark_current() / detector.GAIN * detector.FRAME_TIME * GROUPS
    np.testing.assert_allclose(dark[GROUPS - 1], expected, rtol=4 * FLOAT32_ROUNDING)


def test_dark_covers_the_ramp(read):
    """The dark has a multiple of 20 groups, at least those of the ramp."""
    assert read("dark", "SCI").shape == (1, 20, *detector.SHAPE)


def test_reset_changes_nothing(read):
    """The reset reference is zero, as the detector has no reset anomaly."""
    assert not read("reset", "SCI").any()


def test_rscd_skips_the_readout_of_the_simulator(read):
    """The first integration loses one group, later ones four."""
    (row,) = read("rscd", 1)
    assert tuple(row) == ("FULL", "FASTR1", 1, 4)


@pytest.mark.parametrize(("kind", "flag"), [("dead", "DEAD"), ("hot", "HOT")], ids=["dead", "hot"])
def test_mask_marks_bad_pixels(read, kind, flag):
    """Dead and hot pixels carry their flag."""
    expected = detector.bad_pixels() == detector.BAD_PIXEL_KINDS.index(kind)
    np.testing.assert_array_equal(flagged(read("mask", "DQ"), flag), expected)


def test_mask_rules_out_bad_pixels_only(read):
    """DO_NOT_USE is set in bad pixels and nowhere else."""
    expected = detector.bad_pixels() != detector.BAD_PIXEL_KINDS.index("good")
    np.testing.assert_array_equal(flagged(read("mask", "DQ"), "DO_NOT_USE"), expected)


def test_mask_marks_reference_columns(read):
    """The reference columns are flagged as such."""
    np.testing.assert_array_equal(
        flagged(read("mask", "DQ"), "REFERENCE_PIXEL"), detector.reference_pixels()
    )


def test_flat_is_the_sky_response(read):
    """The flat divides out what the simulator multiplies by."""
    np.testing.assert_allclose(read("flat", "SCI"), sky_response(), rtol=FLOAT32_ROUNDING)


def test_flat_can_be_divided_by_where_it_is_used(read):
    """Where the flat is not ruled out it is close to 1."""
    used = read("flat", "SCI")[~flagged(read("flat", "DQ"), "DO_NOT_USE")]
    # 1 % pixel scatter, a few per cent of pixel area.
    assert 0.85 < used.min() <= used.max() < 1.15


def test_flat_rules_out_what_sees_no_sky(read):
    """What is not illuminated is flagged as no part of the science."""
    np.testing.assert_array_equal(flagged(read("flat", "DQ"), "NON_SCIENCE"), ~illuminated())


def test_area_is_that_of_the_distortion(read):
    """The pixel area is relative to the reference pixel."""
    np.testing.assert_allclose(read("area", "SCI"), relative_pixel_area(), rtol=FLOAT32_ROUNDING)


def test_area_names_the_nominal_pixel(references):
    """The nominal solid angle is that of the reference pixel."""
    area = fits.getval(references / "jwst_miri_area_9001.fits", "PIXAR_SR")
    assert area == pytest.approx(throughput.PIXEL_SOLID_ANGLE, rel=1e-12)


@pytest.mark.parametrize("name", throughput.FILTERS)
def test_photom_is_the_throughput(read, name):
    """The flux conversion of each filter is that of the throughput module."""
    table = read("photom", "PHOTOM")
    (value,) = table["photmjsr"][table["filter"] == name]
    assert value == pytest.approx(throughput.photmjsr(name), rel=FLOAT32_ROUNDING)


def test_distortion_is_the_apertures(distortion):
    """Pixels look where the aperture says, to rounding (arcsec)."""
    expected = imager_aperture().pixel_to_v2v3(IMAGER_CORNERS_X, IMAGER_CORNERS_Y)
    np.testing.assert_allclose(
        distortion(IMAGER_CORNERS_X, IMAGER_CORNERS_Y), expected, rtol=0, atol=1e-9
    )


def test_inverse_distortion_closes(distortion):
    """The way there and back ends within a thousandth of a pixel, corners included."""
    x, y = distortion.inverse(*distortion(IMAGER_CORNERS_X, IMAGER_CORNERS_Y))
    assert np.hypot(x - IMAGER_CORNERS_X, y - IMAGER_CORNERS_Y).max() < 1e-3


@pytest.mark.parametrize("reftype", ["distortion", "filteroffset", "abvegaoffset"])
def test_asdf_version_is_read_by_early_builds(references, reftype):
    """ASDF references are of the standard that builds back to jwst 1.6 read."""
    with asdf.open(references / f"jwst_miri_{reftype}_9001.asdf") as file:
        assert str(file.version) == "1.5.0"


def test_filter_offsets_cover_the_filters(references):
    """Each filter has its boresight offset."""
    with datamodels.FilteroffsetModel(references / "jwst_miri_filteroffset_9001.asdf") as model:
        assert {entry.filter for entry in model.filters} == set(throughput.FILTERS)


def test_f770w_defines_the_boresight(references):
    """Offsets are relative to F770W, which has none."""
    with datamodels.FilteroffsetModel(references / "jwst_miri_filteroffset_9001.asdf") as model:
        (entry,) = (entry for entry in model.filters if entry.filter == "F770W")
    assert (entry.column_offset, entry.row_offset) == (0.0, 0.0)


@pytest.mark.parametrize("name", throughput.FILTERS)
def test_aperture_corrections_undo_the_loss(read, name):
    """A correction makes up at least for the light outside its aperture."""
    table = read("apcorr", "APCORR")
    rows = table[table["filter"] == name]
    assert np.all(rows["apcorr"] * rows["eefraction"] > 1 - FLOAT32_ROUNDING)


@pytest.mark.parametrize("name", throughput.FILTERS)
def test_apertures_grow_with_the_light_inside(read, name):
    """More encircled energy takes a larger radius, inside the sky annulus."""
    table = read("apcorr", "APCORR")
    rows = table[table["filter"] == name]
    radii = np.append(rows["radius"], rows["skyin"][-1])
    assert np.all(np.diff(radii) > 0)


def test_vega_offset_of_f770w(references):
    """AB minus Vega agrees with the zero magnitude of a neighbouring band."""
    # IRAC at 7.872 um: 64.13 Jy +- 1.5 % (Reach et al. 2005), moved to the pivot
    # wavelength of F770W along the Rayleigh-Jeans slope of Vega.
    vega = 64.13 * (7.872 / 7.639) ** 2
    expected = 2.5 * np.log10(3631.0 / vega)
    with datamodels.ABVegaOffsetModel(references / "jwst_miri_abvegaoffset_9001.asdf") as model:
        table = model.abvega_offset
        (offset,) = table["abvega_offset"][table["filter"] == "F770W"]
    assert offset == pytest.approx(expected, abs=2 * 0.016)  # twice 1.5 %, in magnitudes


def test_references_say_that_they_are_simulated(references):
    """No reference can be taken for a flight one."""
    pedigrees = {fits.getval(path, "PEDIGREE") for path in references.glob("*.fits")}
    assert pedigrees == {"SIMULATION"}
