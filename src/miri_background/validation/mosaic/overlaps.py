"""Which part of each pixel of an exposure falls on which pixel of the mosaic.

A pixel of an exposure is a quadrilateral on the grid of the mosaic, shrunk about its middle by the
pixel fraction.  The area that it shares with a pixel of the grid is the weight of the square kernel
(Fruchter & Hook 2002, PASP 114, 144), the default of the pipeline.  It is computed here from the
corners alone.
"""

import numpy as np
from scipy.sparse import csr_array

__all__ = ["overlap_areas"]

_AT_ONCE = 2**17  # quadrilaterals: a temporary array has 1 MB


def _signed_area(x0, y0, x1, y1):
    """Return the signed area below a segment inside the unit square.

    Parameters
    ----------
    x0, y0, x1, y1 : ndarray
        Ends of the segments, in units of the square whose corner is the origin.

    Returns
    -------
    ndarray
        Area between the segment and the x axis, cut at the square's sides and top: positive where
        the segment runs towards larger x.
    """
    run = x1 - x0
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(run == 0, 0.0, (y1 - y0) / run)
    left, right = np.clip(x0, 0, 1), np.clip(x1, 0, 1)
    low, high = y0 + slope * (left - x0), y0 + slope * (right - x0)
    return (right - left) * _mean_height(low, high)


def _mean_height(first, last):
    """Return the mean of a line from one height to another one, each cut to 0 to 1."""
    # The integral of the cut line over height has the antiderivative g; its slope is constant.
    span = last - first
    flat = np.abs(span) < 1e-9
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (_integral(last) - _integral(first)) / np.where(flat, 1.0, span)
    return np.where(flat, np.clip((first + last) / 2, 0, 1), mean)


def _integral(height):
    """Return the integral from 0 to a height of the height cut to 0 to 1."""
    cut = np.clip(height, 0, 1)
    return cut**2 / 2 + np.maximum(height - 1, 0)


def overlap_areas(x, y, chosen, shape, fraction=1.0):
    """Return the area that pixels of an exposure share with those of the mosaic.

    Parameters
    ----------
    x, y : ndarray
        Where the corners of the exposure's pixels are on the mosaic, 0-based pixels, shape
        (rows + 1, columns + 1).
    chosen : ndarray of bool
        Pixels of the exposure that are looked at, shape (rows, columns).
    shape : tuple of int
        Rows and columns of the mosaic.
    fraction : float, optional
        By which the sides of pixels are shrunk.

    Returns
    -------
    scipy.sparse.csr_array
        Areas in pixels of the mosaic, shape (pixels of the mosaic, pixels of the exposure).
    """
    rows, columns = np.nonzero(chosen)
    # As small as the places of 2e9 pixels allow: most of the memory is that of places.
    sources = (rows * chosen.shape[1] + columns).astype(np.int32)
    found = [
        _areas(
            *(_corners(axis + 0.5, rows[part], columns[part], fraction) for axis in (x, y)),
            sources[part],
            shape,
        )
        for part in (slice(start, start + _AT_ONCE) for start in range(0, len(sources), _AT_ONCE))
    ]
    size = shape[0] * shape[1], chosen.size
    if not found:
        return csr_array(size)
    areas, targets, origins = map(np.concatenate, zip(*found, strict=True))
    return csr_array((areas, (targets, origins)), shape=size)


def _corners(axis, rows, columns, fraction):
    """Return the four corners of pixels along one axis, in the order around them."""
    corners = np.stack(
        [
            axis[rows, columns],
            axis[rows, columns + 1],
            axis[rows + 1, columns + 1],
            axis[rows + 1, columns],
        ]
    )
    if fraction == 1:
        return corners
    middle = corners.mean(axis=0)
    return middle + fraction * (corners - middle)


def _areas(x, y, sources, shape):
    """Return areas, pixels of the mosaic and pixels of the exposure of some quadrilaterals."""
    left, bottom = np.floor(x.min(axis=0)).astype(int), np.floor(y.min(axis=0)).astype(int)
    across = int(np.max(np.ceil(x.max(axis=0)) - left, initial=0))
    along = int(np.max(np.ceil(y.max(axis=0)) - bottom, initial=0))
    areas, targets, origins = [], [], []
    for column in range(across):
        for row in range(along):
            to_x, to_y = left + column, bottom + row
            place_x, place_y = x - to_x, y - to_y
            area = np.abs(
                sum(
                    _signed_area(
                        place_x[corner],
                        place_y[corner],
                        place_x[(corner + 1) % 4],
                        place_y[(corner + 1) % 4],
                    )
                    for corner in range(4)
                )
            )
            on = (area > 0) & (to_x >= 0) & (to_x < shape[1]) & (to_y >= 0) & (to_y < shape[0])
            areas.append(area[on])
            targets.append((to_y * shape[1] + to_x)[on].astype(np.int32))
            origins.append(sources[on])
    return tuple(map(np.concatenate, (areas, targets, origins)))
