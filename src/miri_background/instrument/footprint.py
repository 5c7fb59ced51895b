"""Which part of the MIRI imager's detector sees the sky, region by region."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np

from miri_background.instrument.detector import SHAPE

__all__ = ["Region", "illuminated", "regions", "within_regions"]

# Name of each region in tables and metrics, and the SIAF aperture that bounds it.
_APERTURES = {
    "imager": "MIRIM_ILLUM",
    "Lyot": "MIRIM_CORONLYOT",
    "4QPM 1065": "MIRIM_CORON1065",
    "4QPM 1140": "MIRIM_CORON1140",
    "4QPM 1550": "MIRIM_CORON1550",
}


@dataclass(frozen=True)
class Region:
    """A rectangle of the detector that sees the sky.

    Parameters
    ----------
    name : str
        Name used in tables, figures and metrics.
    x : slice
        Columns, 0-based.
    y : slice
        Rows, 0-based.
    """

    name: str
    x: slice
    y: slice

    @property
    def slices(self):
        """Index (rows, columns) of the region in a detector-shaped array."""
        return self.y, self.x

    @property
    def area(self):
        """Number of pixels."""
        return (self.x.stop - self.x.start) * (self.y.stop - self.y.start)

    def mask(self):
        """Return a detector-shaped boolean array, True inside the region."""
        inside = np.zeros(SHAPE, dtype=bool)
        inside[self.slices] = True
        return inside


@lru_cache(maxsize=1)
def regions():
    """Return the regions of the full array by name: imager, Lyot and the three 4QPM."""
    siaf = json.loads((files(__package__) / "data" / "miri_siaf.json").read_text())
    found = {}
    for name, aperture in _APERTURES.items():
        # SIAF edges are 1-based and lie between pixels: 0.5 is the outer edge of pixel 1.
        left, right, bottom, top = (round(edge - 0.5) for edge in siaf["detector_edges"][aperture])
        found[name] = Region(name, slice(left, right), slice(bottom, top))
    return MappingProxyType(found)


def within_regions(x, y, margin):
    """Tell which positions are further than a margin from any edge of their region.

    Parameters
    ----------
    x, y : ndarray
        0-based detector pixels.
    margin : float
        Distance from the outer edge of the region's pixels.

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
            for region in regions().values()
        ],
        axis=0,
    )


@lru_cache(maxsize=1)
def illuminated():
    """Return a detector-shaped boolean array, True where any region sees the sky."""
    lit = np.any([region.mask() for region in regions().values()], axis=0)
    lit.flags.writeable = False
    return lit
