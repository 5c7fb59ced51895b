"""Areas that quadrilaterals share with pixels are those of plane geometry."""

import numpy as np
import pytest
from shapely import Polygon, box

from miri_background.validation.mosaic.overlaps import overlap_areas

SHAPE = (7, 8)
ROUNDING = 1e-12


def corners(rows, columns):
    """Return the corners of an array of unit pixels, 0-based pixels of the grid."""
    y, x = np.mgrid[: rows + 1, : columns + 1] - 0.5
    return x, y


def test_shifted_pixel_is_shared_by_four():
    """A quarter of a pixel to the right and half of one up."""
    x, y = corners(1, 1)
    areas = overlap_areas(x + 2.25, y + 3.5, np.ones((1, 1), dtype=bool), SHAPE)
    found = areas.toarray().reshape(SHAPE)
    assert found[3:5, 2:4] == pytest.approx(np.array([[0.375, 0.125], [0.375, 0.125]]))
    assert found.sum() == pytest.approx(1.0)


def test_areas_are_those_of_clipped_polygons():
    """Any convex quadrilateral, as shapely cuts it."""
    generator = np.random.default_rng(5)
    x, y = corners(3, 3)
    angle = 0.4
    x, y = (
        3 + 1.3 * (x * np.cos(angle) - y * np.sin(angle)) + generator.uniform(-0.1, 0.1, x.shape),
        2 + 0.9 * (x * np.sin(angle) + y * np.cos(angle)) + generator.uniform(-0.1, 0.1, x.shape),
    )
    found = overlap_areas(x, y, np.ones((3, 3), dtype=bool), SHAPE).toarray()
    places = [(row, column) for row in range(SHAPE[0]) for column in range(SHAPE[1])]
    order = ((0, 0), (0, 1), (1, 1), (1, 0))
    expected = [
        [
            Polygon([(x[a + i, b + j], y[a + i, b + j]) for i, j in order])
            .intersection(box(column - 0.5, row - 0.5, column + 0.5, row + 0.5))
            .area
            for a in range(3)
            for b in range(3)
        ]
        for row, column in places
    ]
    assert found == pytest.approx(np.array(expected), abs=ROUNDING)


def test_what_lies_beside_the_grid_is_left_out():
    """Only the half of a pixel that is on it."""
    x, y = corners(1, 1)
    areas = overlap_areas(x - 0.5, y, np.ones((1, 1), dtype=bool), SHAPE)
    assert areas.sum() == pytest.approx(0.5)


def test_only_chosen_pixels_are_looked_at():
    """Others have no area."""
    x, y = corners(2, 2)
    chosen = np.array([[True, False], [False, False]])
    areas = overlap_areas(x, y, chosen, SHAPE)
    assert areas.sum(axis=0).tolist() == [1, 0, 0, 0]


def test_no_chosen_pixel_gives_no_area():
    """An exposure may be bad everywhere."""
    areas = overlap_areas(*corners(2, 2), np.zeros((2, 2), dtype=bool), SHAPE)
    assert (areas.shape, areas.nnz) == ((56, 4), 0)
