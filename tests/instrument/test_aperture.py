"""The geometry is that of pysiaf, and its inverse is exact."""

from itertools import pairwise

import numpy as np
import pytest

from miri_background.instrument.aperture import Attitude, imager_aperture
from miri_background.instrument.detector import SHAPE

# Angles of hundreds of arcsec, and degrees up to 360, round at 1e-10 arcsec.
ARCSEC_ROUNDING = 1e-9
PIXEL_ROUNDING = 1e-9  # pixel: rounding of the angles over 0.11 arcsec
DEGREE_ROUNDING = 1e-12
# What the distortion's cubic and quartic terms add up to anywhere on the array
THIRD_DERIVATIVE = 5e-8  # arcsec / pixel^3
PIXEL_SCALE = 0.11  # arcsec
HALF = 0.5  # pixel

# ra, dec, roll in degrees: the default field, across right ascension 0, near a pole
POINTINGS = {
    "default": (80.49, -69.498, 115.0),
    "meridian": (0.0001, 12.0, 0.0),
    "pole": (250.0, 88.9, 359.0),
}


@pytest.fixture(scope="module")
def pysiaf():
    """Return pysiaf, imported without its question to GitHub about newer tables."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing listens at the discard port: what asks is refused at once.
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        import pysiaf

        return pysiaf


@pytest.fixture(scope="module")
def siaf_aperture(pysiaf):
    """Return pysiaf's own MIRIM_FULL."""
    return pysiaf.Siaf("MIRI")["MIRIM_FULL"]


@pytest.fixture(scope="module")
def aperture():
    """Return the aperture of this package."""
    return imager_aperture()


@pytest.fixture(scope="module")
def grid():
    """Return pixels x, y over the whole array, its outer corners included."""
    rows, columns = SHAPE
    return np.meshgrid(
        np.linspace(-0.5, columns - 0.5, 44),
        np.linspace(-0.5, rows - 0.5, 42),
    )


@pytest.fixture(params=POINTINGS.values(), ids=POINTINGS)
def pointing(request):
    """Return right ascension, declination and roll, degrees."""
    return request.param


@pytest.fixture
def attitude(aperture, pointing):
    """Return the attitude of a pointing of the reference point."""
    return Attitude(aperture.v2_ref, aperture.v3_ref, *pointing)


@pytest.fixture
def siaf_attitude(pysiaf, aperture, pointing):
    """Return the attitude matrix of pysiaf for the same pointing."""
    return pysiaf.utils.rotations.attitude(aperture.v2_ref, aperture.v3_ref, *pointing)


@pytest.mark.parametrize(
    ("field", "siaf_field", "offset"),
    [
        ("x_ref", "XSciRef", 1),
        ("y_ref", "YSciRef", 1),
        ("v2_ref", "V2Ref", 0),
        ("v3_ref", "V3Ref", 0),
        ("v3_ideal_y_angle", "V3IdlYAngle", 0),
        ("parity", "VIdlParity", 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_scalar_is_the_siafs(aperture, siaf_aperture, field, siaf_field, offset):
    """Each number of the aperture is pysiaf's, pixels counted from 0 instead of 1."""
    assert getattr(aperture, field) == getattr(siaf_aperture, siaf_field) - offset


@pytest.mark.parametrize("name", ["Sci2IdlX", "Sci2IdlY", "Idl2SciX", "Idl2SciY"])
def test_coefficients_are_the_siafs(aperture, siaf_aperture, name):
    """Each stored distortion coefficient is pysiaf's, digit by digit."""
    stored = {
        f"{name}{k}{j}": value
        for k, row in enumerate(aperture.coefficients[name])
        for j, value in enumerate(row)
    }
    assert stored == {key: getattr(siaf_aperture, key) for key in stored}


def test_no_coefficient_is_left_out(aperture, siaf_aperture):
    """The polynomials have the SIAF's degree."""
    lengths = {len(rows) - 1 for rows in aperture.coefficients.values()}
    assert lengths == {siaf_aperture.Sci2IdlDeg}


def test_pixels_look_where_pysiaf_says(aperture, siaf_aperture, grid):
    """V2, V3 of the whole array are those of pysiaf in its planar approximation."""
    x, y = grid
    np.testing.assert_allclose(
        aperture.pixel_to_v2v3(x, y),
        siaf_aperture.sci_to_tel(x + 1, y + 1),
        rtol=0,
        atol=ARCSEC_ROUNDING,
    )


def test_reference_pixel_looks_at_the_reference_point(aperture):
    """The distortion has no constant term."""
    assert aperture.pixel_to_v2v3(aperture.x_ref, aperture.y_ref) == (
        aperture.v2_ref,
        aperture.v3_ref,
    )


def test_inverse_returns_to_the_pixels(aperture, grid):
    """Newton's method undoes the distortion over the whole array."""
    np.testing.assert_allclose(
        aperture.v2v3_to_pixel(*aperture.pixel_to_v2v3(*grid)), grid, rtol=0, atol=PIXEL_ROUNDING
    )


def test_inverse_takes_a_single_position(aperture):
    """The inverse works on numbers as well as on arrays."""
    pixel = (400.25, 10.5)
    found = aperture.v2v3_to_pixel(*aperture.pixel_to_v2v3(*pixel))
    np.testing.assert_allclose(found, pixel, rtol=0, atol=PIXEL_ROUNDING)


def test_jacobian_is_the_slope_of_the_distortion(aperture, grid):
    """The derivatives are those of central differences."""
    x, y = grid
    along_x = np.subtract(
        aperture.pixel_to_v2v3(x + HALF, y), aperture.pixel_to_v2v3(x - HALF, y)
    ) / (2 * HALF)
    along_y = np.subtract(
        aperture.pixel_to_v2v3(x, y + HALF), aperture.pixel_to_v2v3(x, y - HALF)
    ) / (2 * HALF)
    np.testing.assert_allclose(
        aperture.jacobian(x, y),
        np.moveaxis([along_x, along_y], (0, 1), (-1, -2)),
        rtol=0,
        atol=THIRD_DERIVATIVE * HALF**2 / 6,
    )


def test_pixel_area_is_that_of_its_corners(aperture, grid):
    """The area is that of the quadrangle that a pixel's corners form in V2, V3."""
    x, y = grid
    around = [(-HALF, -HALF), (HALF, -HALF), (HALF, HALF), (-HALF, HALF), (-HALF, -HALF)]
    reference = [[aperture.v2_ref], [aperture.v3_ref]]
    corners = [
        np.reshape(aperture.pixel_to_v2v3(x + dx, y + dy), (2, -1)) - reference for dx, dy in around
    ]
    area = 0.5 * sum(
        first[0] * second[1] - first[1] * second[0] for first, second in pairwise(corners)
    )
    # Straight edges and the scale in the centre are right to the third derivative.
    np.testing.assert_allclose(
        aperture.pixel_area(x, y).ravel(),
        np.abs(area),
        rtol=THIRD_DERIVATIVE * HALF**2 / PIXEL_SCALE,
    )


def test_attitude_points_where_pysiaf_points(pysiaf, attitude, siaf_attitude, aperture, grid):
    """Pixels have the sky positions that pysiaf's attitude matrix gives them."""
    v2, v3 = (angle.ravel() for angle in aperture.pixel_to_v2v3(*grid))
    np.testing.assert_allclose(
        attitude.sky(v2, v3),
        pysiaf.utils.rotations.pointing(siaf_attitude, v2, v3),
        rtol=0,
        # Right ascension is stretched by 1 / cos(dec), 52 at most here.
        atol=60 * DEGREE_ROUNDING,
    )


@pytest.mark.parametrize(("v2", "v3"), [(0.0, 0.0), (-453.0, -373.0), (-380.0, -440.0)])
def test_roll_is_pysiafs_position_angle(pysiaf, attitude, siaf_attitude, v2, v3):
    """The position angle of V3 anywhere is that of pysiaf."""
    theirs = pysiaf.utils.rotations.posangle(siaf_attitude, v2, v3)
    difference = (attitude.roll_at(v2, v3) - theirs + 180) % 360 - 180
    assert difference == pytest.approx(0, abs=60 * DEGREE_ROUNDING)


def test_reference_point_is_where_it_was_put(attitude, aperture, pointing):
    """The attitude's own direction looks at its own position."""
    np.testing.assert_allclose(
        attitude.sky(aperture.v2_ref, aperture.v3_ref), pointing[:2], rtol=0, atol=DEGREE_ROUNDING
    )


def test_roll_is_what_it_was_set_to(attitude, aperture, pointing):
    """The position angle of V3 at the attitude's own direction is its roll."""
    difference = attitude.roll_at(aperture.v2_ref, aperture.v3_ref) - pointing[2]
    assert (difference + 180) % 360 - 180 == pytest.approx(0, abs=60 * DEGREE_ROUNDING)


def test_telescope_undoes_sky(attitude, aperture, grid):
    """From the telescope to the sky and back."""
    v2v3 = aperture.pixel_to_v2v3(*grid)
    np.testing.assert_allclose(
        attitude.telescope(*attitude.sky(*v2v3)), v2v3, rtol=0, atol=ARCSEC_ROUNDING
    )


def test_right_ascension_is_not_negative(attitude, aperture, grid):
    """Right ascension lies in [0, 360), also where a field crosses 0."""
    ra, _ = attitude.sky(*aperture.pixel_to_v2v3(*grid))
    assert np.all((ra >= 0) & (ra < 360))
