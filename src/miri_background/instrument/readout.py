"""How the imager's detector is read: subarrays, readout patterns, and one exposure's readout."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

__all__ = [
    "PATTERNS",
    "READABLE",
    "Readout",
    "ReadoutPattern",
    "Subarray",
    "frame_time",
    "subarrays",
]


@dataclass(frozen=True)
class Subarray:
    """A part of the detector with a readout of its own.

    Parameters
    ----------
    name : str
        Value of the keyword SUBARRAY.
    aperture : str
        SIAF aperture.
    x, y : slice
        Columns and rows of the full array, 0-based.
    x_ref, y_ref : float
        Reference pixel, 0-based pixels of the full array.
    v2_ref, v3_ref : float
        Where the reference pixel looks on the telescope, arcsec.
    """

    name: str
    aperture: str
    x: slice
    y: slice
    x_ref: float
    y_ref: float
    v2_ref: float
    v3_ref: float

    @property
    def shape(self):
        """Number of rows and columns."""
        return self.y.stop - self.y.start, self.x.stop - self.x.start

    def cut(self, array):
        """Return this part of an array of the full array's rows and columns, its last axes."""
        return array[..., self.y, self.x]


@dataclass(frozen=True)
class ReadoutPattern:
    """A way to sample the pixels.

    Parameters
    ----------
    name : str
        Value of the keyword READPATT.
    samples : int
        Value of NSAMPLES: samples of a pixel in one frame.
    averaged : int
        Samples that are averaged: the noise of a read falls with their square root.
    """

    name: str
    samples: int
    averaged: int


# JWST user documentation, "MIRI Detector Readout": SLOWR1 leaves out the first of nine
# samples and averages the others.
PATTERNS = MappingProxyType(
    {
        "FASTR1": ReadoutPattern("FASTR1", 1, 1),
        "SLOWR1": ReadoutPattern("SLOWR1", 9, 8),
    }
)

# First column and row of the subarrays, counted from 1, and their size (SIAF).
_PLACES = {
    "FULL": (1, 1, 1032, 1024),
    "BRIGHTSKY": (457, 51, 512, 512),
    "SUB256": (413, 51, 256, 256),
}

# Seconds from frame to frame: JWST user documentation; subarrays are read with FASTR1 only.
_FRAME_TIMES = {
    ("FASTR1", "FULL"): 2.77504,
    ("FASTR1", "BRIGHTSKY"): 0.86528,
    ("FASTR1", "SUB256"): 0.29952,
    ("SLOWR1", "FULL"): 23.88992,
}
READABLE = tuple(_FRAME_TIMES)  # pairs of readout pattern and subarray


@lru_cache(maxsize=1)
def subarrays():
    """Return the subarrays of imaging by name."""
    siaf = json.loads((files(__package__) / "data" / "miri_siaf.json").read_text())["subarrays"]
    found = {}
    for name, (x_start, y_start, columns, rows) in _PLACES.items():
        geometry = siaf[name]
        found[name] = Subarray(
            name,
            geometry["aperture"],
            slice(x_start - 1, x_start - 1 + columns),
            slice(y_start - 1, y_start - 1 + rows),
            geometry["XDetRef"] - 1,
            geometry["YDetRef"] - 1,
            geometry["V2Ref"],
            geometry["V3Ref"],
        )
    return MappingProxyType(found)


def frame_time(pattern, subarray):
    """Return the time from frame to frame, s.

    Parameters
    ----------
    pattern : str
        Name of a readout pattern.
    subarray : str
        Name of a subarray.

    Returns
    -------
    float
        Also the time from group to group.

    Raises
    ------
    KeyError
        If the subarray is not read with this pattern.
    """
    return _FRAME_TIMES[pattern, subarray]


@dataclass(frozen=True)
class Readout:
    """How one exposure is read.

    Parameters
    ----------
    subarray : str
        Name of the subarray.
    pattern : str
        Name of the readout pattern.
    groups : int
        Groups in an integration.
    integrations : int
        Integrations in the exposure.
    """

    subarray: str
    pattern: str
    groups: int
    integrations: int

    @property
    def window(self):
        """The part of the detector that is read, a `Subarray`."""
        return subarrays()[self.subarray]

    @property
    def frame_time(self):
        """Time from frame to frame and from group to group, s."""
        return frame_time(self.pattern, self.subarray)

    @property
    def integration_time(self):
        """Time that one integration collects light, s."""
        return self.groups * self.frame_time

    @property
    def duration(self):
        """Clock time of the exposure, s: one frame is spent on each reset between integrations."""
        return (self.integrations * (self.groups + 1) - 1) * self.frame_time

    def sentence(self):
        """Return the readout in words."""
        return f"{self.subarray} {self.pattern}, {self.integrations} × {self.groups} groups"
