"""Subarrays are the SIAF's, readout patterns those of the user documentation."""

import numpy as np
import pytest

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import AMPLIFIERS, SHAPE
from miri_background.instrument.readout import PATTERNS, frame_time, subarrays

SUBARRAYS = ["FULL", "BRIGHTSKY", "SUB256"]
# Seconds from frame to frame, from the clocks of MiriTE's detector simulator SCASim
FRAME_TIMES = [
    ("FASTR1", "FULL", 2.77504),
    ("SLOWR1", "FULL", 23.88992),
    ("FASTR1", "BRIGHTSKY", 0.86528),
    ("FASTR1", "SUB256", 0.29952),
]
CLOCK = 1e-5  # s, of the detector
# The SIAF gives V2, V3 to a microarcsecond; the subarrays' are derived from the full array's.
SIAF_ROUNDING = 1e-5  # arcsec


@pytest.fixture(scope="module")
def siaf():
    """Return the SIAF of MIRI, without pysiaf's question to GitHub about newer tables."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing listens at the discard port: what asks is refused at once.
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        import pysiaf

        return pysiaf.Siaf("MIRI")


@pytest.fixture(params=SUBARRAYS)
def read(request):
    """Return a subarray."""
    return subarrays()[request.param]


@pytest.fixture
def siaf_aperture(siaf, read):
    """Return pysiaf's aperture of a subarray."""
    return siaf[read.aperture]


def test_subarrays_are_those_of_imaging():
    """The full array, and the two that are used on bright and on very bright skies."""
    assert list(subarrays()) == SUBARRAYS


def test_subarray_knows_its_name(read):
    """A subarray is found by its own name."""
    assert subarrays()[read.name] is read


@pytest.mark.parametrize(
    ("field", "siaf_field", "offset"),
    [
        ("x_ref", "XDetRef", 1),
        ("y_ref", "YDetRef", 1),
        ("v2_ref", "V2Ref", 0),
        ("v3_ref", "V3Ref", 0),
    ],
)
def test_reference_point_is_the_siafs(read, siaf_aperture, field, siaf_field, offset):
    """Pixel and direction of the reference point are pysiaf's, pixels counted from 0."""
    assert getattr(read, field) == getattr(siaf_aperture, siaf_field) - offset


def test_size_is_the_siafs(read, siaf_aperture):
    """A subarray has as many rows and columns as the aperture."""
    assert read.shape == (siaf_aperture.YSciSize, siaf_aperture.XSciSize)


def test_place_is_the_siafs(read, siaf_aperture):
    """The first pixel lies as far from the reference pixel as in the aperture."""
    first = (
        siaf_aperture.XDetRef - siaf_aperture.XSciRef,
        siaf_aperture.YDetRef - siaf_aperture.YSciRef,
    )
    assert (read.x.start, read.y.start) == first


def test_reference_pixel_looks_at_the_reference_point(read):
    """The distortion of the full array gives the subarray's V2, V3."""
    found = imager_aperture().pixel_to_v2v3(read.x_ref, read.y_ref)
    np.testing.assert_allclose(found, (read.v2_ref, read.v3_ref), rtol=0, atol=SIAF_ROUNDING)


def test_subarray_is_oriented_like_the_array(siaf_aperture):
    """The Ideal axes of all imaging apertures are parallel: dithers mean the same in each."""
    found = (siaf_aperture.V3IdlYAngle, siaf_aperture.VIdlParity)
    assert found == (imager_aperture().v3_ideal_y_angle, imager_aperture().parity)


def test_subarray_begins_with_the_first_amplifier(read):
    """Columns of a subarray belong to the same amplifiers, and rows to the same parity."""
    assert (read.x.start % AMPLIFIERS, read.y.start % 2) == (0, 0)


def test_cut_takes_the_subarray(read):
    """What is cut out has the numbers of the subarray's pixels."""
    rows, columns = np.indices(SHAPE)
    cut = read.cut(np.array([rows, columns]))
    expected = np.indices(read.shape) + np.reshape([read.y.start, read.x.start], (2, 1, 1))
    np.testing.assert_array_equal(cut, expected)


@pytest.mark.parametrize(("name", "samples", "averaged"), [("FASTR1", 1, 1), ("SLOWR1", 9, 8)])
def test_pattern_has_its_samples(name, samples, averaged):
    """SLOWR1 takes nine samples of a pixel and leaves the first one out."""
    assert (PATTERNS[name].samples, PATTERNS[name].averaged) == (samples, averaged)


@pytest.mark.parametrize(("pattern", "subarray", "seconds"), FRAME_TIMES)
def test_frame_time_is_that_of_the_clocks(pattern, subarray, seconds):
    """The time of a frame is what an independent model of the clocks gives."""
    assert frame_time(pattern, subarray) == pytest.approx(seconds, abs=CLOCK / 2)


@pytest.mark.parametrize("subarray", ["BRIGHTSKY", "SUB256"])
def test_subarray_is_not_read_slowly(subarray):
    """There is no frame time for what the instrument does not do."""
    with pytest.raises(KeyError):
        frame_time("SLOWR1", subarray)


def test_smaller_subarray_is_faster():
    """Fewer pixels take less time."""
    times = [frame_time("FASTR1", name) for name in SUBARRAYS]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("table", [subarrays(), PATTERNS], ids=["subarrays", "patterns"])
def test_table_cannot_be_changed(table):
    """What is shared is protected from those who use it."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        table["FULL"] = None
