"""The regions that see the sky are the SIAF's, and the masks' shadows lie in their centres."""

from itertools import combinations

import numpy as np
import pytest

from miri_background.instrument.detector import SHAPE, reference_pixels
from miri_background.instrument.footprint import (
    illuminated,
    regions,
    transmission,
    within_regions,
)
from miri_background.instrument.readout import subarrays

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

PHASE_MASKS = ["4QPM 1065", "4QPM 1140", "4QPM 1550"]
# Centres of the coronagraphs, detector pixels from 1 (apertures of the SIAF), and of the slit
CENTRES = {
    "Lyot": (144.33, 885.88),
    "4QPM 1065": (121.18, 133.12),
    "4QPM 1140": (120.75, 355.24),
    "4QPM 1550": (120.75, 576.29),
}
SLIT = (325.13 + 1, 299.7 + 1)  # miricoord's, counted from 0
SPOT_RADIUS = 19.6  # pixel
FRAME = 3  # pixels of a frame's shadow
STEP = 2.0**-12  # of the transmission
# Edges of regions that end with the array, where no frame is: the imager's below and above
OPEN_EDGES = {("imager", "bottom"), ("imager", "top")}
EDGES = {
    "left": np.s_[:, 0],
    "right": np.s_[:, -1],
    "bottom": np.s_[0, :],
    "top": np.s_[-1, :],
}


@pytest.fixture(scope="module")
def siaf():
    """Return the SIAF of MIRI, without pysiaf's question to GitHub about newer tables."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing listens at the discard port: what asks is refused at once.
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        import pysiaf

        return pysiaf.Siaf("MIRI")


def in_regions():
    """Return a boolean array, True inside the regions."""
    return sum(region.mask().astype(int) for region in regions().values()) > 0


def from_centre(name):
    """Return the distance, pixels, of each pixel from the centre of a coronagraph."""
    y, x = np.indices(SHAPE)
    return np.hypot(x + 1 - CENTRES[name][0], y + 1 - CENTRES[name][1])


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


# -------------------------------------------------------------------- subarrays


@pytest.mark.parametrize("subarray", ["BRIGHTSKY", "SUB256"])
def test_subarray_sees_the_imager(subarray):
    """The subarrays of imaging look through the imager alone, with all of their pixels."""
    read = subarrays()[subarray]
    (region,) = regions(subarray).values()
    assert (region.name, region.mask().all(), region.shape) == ("imager", True, read.shape)


@pytest.mark.parametrize("subarray", subarrays())
def test_illuminated_is_cut_from_the_array(subarray):
    """A subarray is illuminated where the full array is."""
    np.testing.assert_array_equal(
        illuminated(subarray), subarrays()[subarray].cut(illuminated("FULL"))
    )


@pytest.mark.parametrize("subarray", subarrays())
@pytest.mark.parametrize("margin", [0, 7])
def test_margin_is_counted_from_the_outer_edge_of_the_pixels(subarray, margin):
    """A margin of whole pixels leaves out as many of them along each edge."""
    read = subarrays()[subarray]
    expected = np.zeros(read.shape, dtype=bool)
    for region in regions(subarray).values():
        expected[region.slices][margin : -margin or None, margin : -margin or None] = True
    y, x = np.indices(read.shape)
    np.testing.assert_array_equal(within_regions(x, y, margin, subarray), expected)


def test_position_between_regions_is_in_none():
    """Beside the array and behind the frames there is no region."""
    x, y = np.array([-5.0, 300.0, 1100.0]), np.array([500.0, 100.0, 500.0])
    assert not within_regions(x, y, 0.0).any()


# ----------------------------------------------------------------- illumination


def test_illuminated_is_in_the_regions():
    """No light is counted that is in no region."""
    assert not illuminated()[~in_regions()].any()


@pytest.mark.parametrize("name", ["imager", *PHASE_MASKS])
def test_only_corners_of_frames_are_dark(name):
    """But for the Lyot mask, light arrives in all pixels that are not at the frame."""
    assert illuminated()[regions()[name].slices][1:-1, 1:-1].all()


def test_spot_is_the_dark_part_of_the_lyot_mask():
    """Spot and bar hide less than a tenth of the Lyot mask."""
    region = regions()["Lyot"]
    hidden = 1 - illuminated()[region.slices].mean()
    # Spot and bar: circle, and strip of 6 pixels through the rest of 272
    expected = (np.pi * SPOT_RADIUS**2 + 6 * (272 - 2 * SPOT_RADIUS)) / region.area
    # Soft edges of two pixels, and where a fifth of the light is the limit
    error = (2 * np.pi * SPOT_RADIUS + 2 * 272) / region.area
    assert hidden == pytest.approx(expected, abs=error)


@pytest.mark.parametrize(
    "shared_map", [illuminated, transmission], ids=["illuminated", "transmission"]
)
def test_map_cannot_be_changed(shared_map):
    """The shared map is protected from those who use it."""
    with pytest.raises(ValueError, match="read-only"):
        shared_map()[0, 0] = True


# ----------------------------------------------------------------- transmission


def test_transmission_is_a_part():
    """Masks add no light."""
    assert (transmission().min(), transmission().max()) == (0.0, 1.0)


def test_transmission_is_zero_or_enough():
    """What sees less than a fifth of the sky is in the dark."""
    assert transmission()[transmission() > 0].min() >= 0.2


def test_transmission_is_rounded():
    """The values are whole multiples of a step."""
    np.testing.assert_array_equal(transmission() / STEP, np.rint(transmission() / STEP))


def test_light_outside_the_regions_comes_through_the_slit():
    """Between the regions it is dark, but for the spectrometer's slit."""
    y, x = np.nonzero((transmission() > 0) & ~in_regions())
    # The slit is 4.7 arcsec long and 0.51 arcsec wide, half a pixel more by whole pixels.
    np.testing.assert_array_less(np.abs(x + 1 - SLIT[0]), 4.7 / 0.11 / 2 + 1)
    np.testing.assert_array_less(np.abs(y + 1 - SLIT[1]), 0.51 / 0.11 / 2 + 1)


def test_slit_has_its_area():
    """The open pixels between the regions are as many as the slit has."""
    found = np.sum((transmission() > 0) & ~in_regions())
    length, width = 4.7 / 0.11, 0.51 / 0.11
    # Pixels on the outline are in or out by their centres; the slit is parallel to the rows,
    # so that all pixels of a long side are in or out together.
    assert found == pytest.approx(length * width, abs=length + width)


def test_slit_is_open():
    """Through the slit, light is not less."""
    assert transmission()[round(SLIT[1]) - 1, round(SLIT[0]) - 1] == 1.0


def test_imager_is_open_in_the_middle():
    """But for the frame's shadow nothing takes light from the imager."""
    assert np.all(transmission()[regions()["imager"].slices][FRAME:-FRAME, FRAME:-FRAME] == 1.0)


@pytest.mark.parametrize("name", CENTRES)
def test_coronagraph_is_open_away_from_its_mask(name):
    """Halfway from the centre to the corners, coronagraphs are as open as the imager."""
    x, y = (round(position) - 1 for position in CENTRES[name])
    for dy, dx in [(-50, -50), (-50, 50), (50, -50), (50, 50)]:
        assert transmission()[y + dy, x + dx] == 1.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("edge", EDGES)
def test_frame_casts_a_shadow_where_there_is_one(name, edge):
    """The outermost pixels of a region see less light, but where it ends with the array."""
    outermost = np.median(transmission()[regions()[name].slices][EDGES[edge]])
    assert outermost == pytest.approx(1.0 if (name, edge) in OPEN_EDGES else 0.35, abs=STEP)


@pytest.mark.parametrize("name", NAMES)
def test_frame_shadow_brightens_inwards(name):
    """From the edge to the open, the transmission rises over three pixels."""
    profile = np.median(transmission()[regions()[name].slices], axis=0)
    assert np.all(np.diff(profile[: FRAME + 1]) > 0)


@pytest.mark.parametrize("name", NAMES)
def test_frame_shadow_is_alike_on_both_sides(name):
    """Left and right, the shadow is the same."""
    profile = np.median(transmission()[regions()[name].slices], axis=0)
    np.testing.assert_array_equal(profile[:FRAME], profile[: -FRAME - 1 : -1])


def test_spot_is_dark_around_its_centre():
    """No light comes through the occulting spot, whose edge is two pixels wide."""
    assert not transmission()[from_centre("Lyot") < SPOT_RADIUS - 1].any()


def test_spot_ends_at_its_radius():
    """Beside the spot the mask is open, but for the bar that holds it."""
    x = np.abs(np.arange(SHAPE[1]) + 1 - CENTRES["Lyot"][0])
    beside = (np.abs(from_centre("Lyot") - SPOT_RADIUS - 4) < 2) & (x > 5)
    assert np.all(transmission()[beside] == 1.0)


def test_bar_holds_the_spot():
    """The bar runs from the upper to the lower frame, through the centre of the spot."""
    column = round(CENTRES["Lyot"][0]) - 1
    assert not transmission()[regions()["Lyot"].y, column].any()


@pytest.mark.parametrize("name", PHASE_MASKS)
def test_phase_mask_is_darkest_in_its_centre(name):
    """The lines between the quadrants cross in the centre of the mask."""
    region = regions()[name]
    inner = transmission()[region.slices][10:-10, 10:-10]
    row, column = np.unravel_index(inner.argmin(), inner.shape)
    found = (column + 10 + region.x.start + 1, row + 10 + region.y.start + 1)
    # The nearest whole pixel
    np.testing.assert_allclose(found, CENTRES[name], rtol=0, atol=0.5)


@pytest.mark.parametrize("name", PHASE_MASKS)
@pytest.mark.parametrize("along", [-60, 60])
@pytest.mark.parametrize("axis", [0, 1], ids=["along x", "along y"])
def test_phase_mask_has_lines(name, along, axis):
    """Away from the centre, a line takes half of the light, tilted as the telescope's axes are."""
    tilt = np.deg2rad(-4.835)
    directions = [(np.cos(tilt), np.sin(tilt)), (-np.sin(tilt), np.cos(tilt))]
    dx, dy = along * np.array(directions[axis])
    column, row = np.array(CENTRES[name]) - 1 + (dx, dy)
    across = transmission()[round(row) - 6 : round(row) + 7, round(column) - 6 : round(column) + 7]
    profile = across[:, 6] if axis == 0 else across[6]
    offset = (row - round(row)) if axis == 0 else (column - round(column))
    # A Gaussian of depth 1/2 and width 1.5 pixels, cut along rows or columns
    distance = (np.arange(-6, 7) - offset) * np.cos(tilt)
    shift = (column - round(column)) if axis == 0 else (row - round(row))
    distance += (1 if axis == 0 else -1) * shift * np.sin(tilt)
    expected = 1 - 0.5 * np.exp(-0.5 * (distance / 1.5) ** 2)
    np.testing.assert_allclose(profile, expected, rtol=0, atol=STEP)
