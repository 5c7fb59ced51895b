"""Files of exposures as every build of the pipeline reads them."""

import numpy as np
from astropy.io import fits

from miri_background.reading import open_fits

__all__ = ["without_own_format", "write_common"]

# Builds before 1.14 cannot read the extension that newer ones write, and newer ones cannot do
# without it: all read one that says nothing (asdf-standard 1.5.0).
_ASDF = b"""#ASDF 1.0.0
#ASDF_STANDARD 1.5.0
%YAML 1.1
%TAG ! tag:stsci.edu:asdf/
--- !core/asdf-1.1.0
meta: {telescope: JWST}
...
"""


def without_own_format(hdus):
    """Replace what only some builds can read in a file by what all can.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        A level-1b file or a rate; changed.
    """
    column = fits.Column("ASDF_METADATA", f"{len(_ASDF)}B", array=[np.frombuffer(_ASDF, np.uint8)])
    plain = fits.BinTableHDU.from_columns([column], name="ASDF")
    if "ASDF" in hdus:
        hdus["ASDF"] = plain
    else:
        hdus.append(plain)


def write_common(path, target):
    """Write a copy of a file that every build reads.

    Parameters
    ----------
    path : path-like
        A level-1b file or a rate.
    target : path-like
        Where to.
    """
    with open_fits(path) as hdus:
        without_own_format(hdus)
        hdus.writeto(target)
