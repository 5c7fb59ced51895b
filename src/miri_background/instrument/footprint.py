"""Which part of the MIRI imager's detector sees the sky, region by region."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from matplotlib.path import Path as Polygon

from miri_background.instrument.detector import SHAPE
from miri_background.instrument.readout import subarrays

__all__ = [
    "PHASE_ANGLE",
    "Region",
    "illuminated",
    "phase_mask_centres",
    "regions",
    "transmission",
    "within_regions",
]

# Name of each region in tables and metrics, and the SIAF aperture that bounds it.
_APERTURES = {
    "imager": "MIRIM_ILLUM",
    "Lyot": "MIRIM_CORONLYOT",
    "4QPM 1065": "MIRIM_CORON1065",
    "4QPM 1140": "MIRIM_CORON1140",
    "4QPM 1550": "MIRIM_CORON1550",
}

# A region that a subarray cuts to fewer pixels across than this is not a region of it.
_LEAST_WIDTH = 32

# Shadows, detector pixels.  Where they are comes from the SIAF; how wide and deep they
# are is of the size seen in flight images, not measured.
_FRAME_SHADOW = (0.35, 0.7, 0.92)  # transmission of the outermost pixels along a frame
_SPOT_RADIUS = 19.6  # 2.16 arcsec: occulting spot of the Lyot mask, JWST user documentation
_SPOT_BAR = 3.0  # half width of the bar that holds the spot
_PHASE_EDGE = (0.5, 1.5)  # depth and Gaussian width of the lines between phase quadrants
# Degrees from +x towards +y: the lines follow the axes of the telescope, as its spikes do.
PHASE_ANGLE = -4.835  # V3IdlYAngle
_SOFT_EDGE = 1.0  # of spot and bar
# Pixels that see less of the sky than this are in the dark: no flat field can mend them.
_LEAST_TRANSMISSION = 0.2


@dataclass(frozen=True)
class Region:
    """A rectangle of the detector, or of a subarray, that sees the sky.

    Parameters
    ----------
    name : str
        Name used in tables, figures and metrics.
    x : slice
        Columns, 0-based.
    y : slice
        Rows, 0-based.
    shape : tuple of int
        Rows and columns of the array that it is a part of.
    """

    name: str
    x: slice
    y: slice
    shape: tuple = SHAPE

    @property
    def slices(self):
        """Index (rows, columns) of the region in an array of `shape`."""
        return self.y, self.x

    @property
    def area(self):
        """Number of pixels."""
        return (self.x.stop - self.x.start) * (self.y.stop - self.y.start)

    def mask(self):
        """Return a boolean array of `shape`, True inside the region."""
        inside = np.zeros(self.shape, dtype=bool)
        inside[self.slices] = True
        return inside


@lru_cache(maxsize=1)
def _siaf():
    """Return the geometry that was taken from the SIAF."""
    return json.loads((files(__package__) / "data" / "miri_siaf.json").read_text())


@lru_cache
def regions(subarray="FULL"):
    """Return the regions of a subarray by name: of the full array imager, Lyot, three 4QPM.

    Parameters
    ----------
    subarray : str, optional
        Name of the subarray; its pixels count from 0.

    Returns
    -------
    mapping of str to Region
        Those that the subarray has a part of.
    """
    read = subarrays()[subarray]
    found = {}
    for name, aperture in _APERTURES.items():
        # SIAF edges are 1-based and lie between pixels: 0.5 is the outer edge of pixel 1.
        left, right, bottom, top = (
            round(edge - 0.5) for edge in _siaf()["detector_edges"][aperture]
        )
        x, y = (
            slice(max(low, axis.start) - axis.start, min(high, axis.stop) - axis.start)
            for low, high, axis in ((left, right, read.x), (bottom, top, read.y))
        )
        if min(x.stop - x.start, y.stop - y.start) >= _LEAST_WIDTH:
            found[name] = Region(name, x, y, read.shape)
    return MappingProxyType(found)


def within_regions(x, y, margin, subarray="FULL"):
    """Return which positions are further than a margin from any edge of their region.

    Parameters
    ----------
    x, y : ndarray
        0-based pixels of the subarray.
    margin : float
        Distance from the outer edge of the region's pixels.
    subarray : str, optional
        Name of the subarray.

    Returns
    -------
    ndarray of bool
        False also outside all regions.
    """
    return np.any(
        [
            (x > region.x.start - 0.5 + margin)
            & (x < region.x.stop - 0.5 - margin)
            & (y > region.y.start - 0.5 + margin)
            & (y < region.y.stop - 0.5 - margin)
            for region in regions(subarray).values()
        ],
        axis=0,
    )


def phase_mask_centres():
    """Return where the quadrants of each phase mask meet, 0-based pixels (x, y) by region."""
    centres = _siaf()["coronagraph_centres"]
    return {name: (x - 1, y - 1) for name, (x, y) in centres.items() if name != "Lyot"}


def _edge(distance):
    """Return the transmission at a signed distance, pixels, from the edge of something opaque."""
    return np.clip(distance / (2 * _SOFT_EDGE) + 0.5, 0.0, 1.0)


def _frame(region):
    """Return the transmission inside a region: the shadow of its frame, shape of the region.

    A region that ends with the array has no frame there.
    """
    along = []
    for axis, size in ((region.y, SHAPE[0]), (region.x, SHAPE[1])):
        profile = np.ones(axis.stop - axis.start)
        if axis.start > 0:
            profile[: len(_FRAME_SHADOW)] = _FRAME_SHADOW
        if axis.stop < size:
            profile[-len(_FRAME_SHADOW) :] = _FRAME_SHADOW[::-1]
        along.append(profile)
    return np.outer(*along)


@lru_cache(maxsize=1)
def transmission():
    """Return how much of the light passes the masks of the focal plane.

    Returns
    -------
    ndarray
        Full array, float64, read-only: 1 in the open, less in the shadow of frames,
        of the Lyot spot with its bar and of the lines between the quadrants of the
        phase masks, 0 in the dark between the regions.  The slit of the
        spectrometer is open in imaging, too.
    """
    passed = np.zeros(SHAPE)
    for region in regions().values():
        passed[region.slices] = _frame(region)
    y, x = np.indices(SHAPE, dtype=float)
    for name, centre in _siaf()["coronagraph_centres"].items():
        dx, dy = x - (centre[0] - 1), y - (centre[1] - 1)
        if name == "Lyot":
            shadow = np.minimum(
                _edge(np.hypot(dx, dy) - _SPOT_RADIUS), _edge(np.abs(dx) - _SPOT_BAR)
            )
        else:
            cosine, sine = (f(np.deg2rad(PHASE_ANGLE)) for f in (np.cos, np.sin))
            depth, width = _PHASE_EDGE
            across = (dx * cosine + dy * sine, dy * cosine - dx * sine)
            shadow = np.prod(
                [1 - depth * np.exp(-0.5 * (each / width) ** 2) for each in across], axis=0
            )
        passed[regions()[name].slices] *= shadow[regions()[name].slices]
    slit = Polygon(np.array(_siaf()["slit"]["detector_vertices"]) - 1)
    passed[slit.contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(SHAPE)] = 1.0
    # Rounded, so that no processor's own functions change a bit of an exposure.
    passed = np.rint(passed * 2**12) / 2**12
    passed[passed < _LEAST_TRANSMISSION] = 0.0
    passed.flags.writeable = False
    return passed


@lru_cache
def illuminated(subarray="FULL"):
    """Return a boolean array of a subarray's shape, True in regions, except dark shadows."""
    inside = np.any([region.mask() for region in regions().values()], axis=0)
    lit = subarrays()[subarray].cut(inside & (transmission() > 0))
    lit.flags.writeable = False
    return lit
