"""The regions that see the sky are the SIAF's."""

from itertools import combinations

import numpy as np
import pytest

from miri_background.instrument.detector import SHAPE, reference_pixels
from miri_background.instrument.footprint import illuminated, regions

# Region, SIAF aperture, width and height in pixels (JWST user documentation)
APERTURES = [
    ("imager", "MIRIM_ILLUM", 668, 1024),
    ("Lyot", "MIRIM_CORONLYOT", 272, 272),
    ("4QPM 1065", "MIRIM_CORON1065", 216, 216),
    ("4QPM 1140", "MIRIM_CORON1140", 216, 216),
    ("4QPM 1550", "MIRIM_CORON1550", 216, 216),
]
NAMES = [name for name, *_ in APERTURES]
# pysiaf finds corners with the SIAF's inverse polynomials, which miss by this much.
INVERSE_ERROR = 0.12  # pixel


@pytest.fixture(scope="module")
def siaf():
    """Return the SIAF of MIRI, without pysiaf's question to GitHub about newer tables."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing listens at the discard port: what asks is refused at once.
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        import pysiaf

        return pysiaf.Siaf("MIRI")


def test_regions_are_imager_and_coronagraphs():
    """The imager and its four coronagraphs, nothing else."""
    assert list(regions()) == NAMES


@pytest.mark.parametrize(("name", "width", "height"), [(n, w, h) for n, _, w, h in APERTURES])
def test_region_has_its_size(name, width, height):
    """Each region is as large as documented."""
    region = regions()[name]
    assert (region.x.stop - region.x.start, region.y.stop - region.y.start) == (width, height)


@pytest.mark.parametrize(("name", "aperture"), [(n, a) for n, a, *_ in APERTURES])
def test_region_ends_at_the_apertures_corners(siaf, name, aperture):
    """The edges are those of the SIAF aperture on the detector."""
    region = regions()[name]
    columns, rows = siaf[aperture].corners("det", rederive=False)
    # Counted from 1, the outer edge of the first pixel is at 0.5.
    left, right, bottom, top = (
        edge + 0.5 for edge in (region.x.start, region.x.stop, region.y.start, region.y.stop)
    )
    np.testing.assert_allclose(
        [columns, rows],
        [[left, right, right, left], [bottom, bottom, top, top]],
        rtol=0,
        atol=INVERSE_ERROR,
    )


@pytest.mark.parametrize(("first", "second"), list(combinations(NAMES, 2)))
def test_regions_do_not_overlap(first, second):
    """No pixel belongs to two regions."""
    assert not np.any(regions()[first].mask() & regions()[second].mask())


@pytest.mark.parametrize("name", NAMES)
def test_region_has_no_reference_pixel(name):
    """Reference columns see no sky."""
    assert not np.any(regions()[name].mask() & reference_pixels())


@pytest.mark.parametrize("name", NAMES)
def test_area_is_the_number_of_pixels(name):
    """The area counts the pixels of the mask, none of which is outside the array."""
    assert regions()[name].area == regions()[name].mask().sum()


def test_slices_select_the_mask():
    """A region's index selects rows first, then columns."""
    columns = np.broadcast_to(np.arange(SHAPE[1]), SHAPE)
    region = regions()["Lyot"]
    assert set(columns[region.slices].ravel()) == set(range(region.x.start, region.x.stop))


def test_illuminated_is_all_regions():
    """What is illuminated is the sum of the regions."""
    np.testing.assert_array_equal(
        illuminated(), sum(region.mask().astype(int) for region in regions().values()) > 0
    )


def test_illuminated_cannot_be_changed():
    """The shared mask is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        illuminated()[0, 0] = True
