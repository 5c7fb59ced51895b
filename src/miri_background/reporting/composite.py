"""A colour composite of mosaics in two or three filters, the longest wavelength in red.

Each mosaic counts in units of its own noise, so that empty sky is equally dark in all.  Colours are
those of Lupton et al. (2004, PASP 116, 133): bright stars keep theirs.
"""

from io import BytesIO

import numpy as np
from astropy.visualization import make_lupton_rgb
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import map_coordinates

from miri_background.outcomes import SetUpWrong
from miri_background.reporting.pictured import WORDS_OF_PICTURES
from miri_background.validation.prediction.pixel_statistics import clipped_scatter

__all__ = ["composite", "composite_png"]

# In noises: what is black, how far the scale is linear, and how much of it is left for stars.
_BLACK, _LINEAR, _SOFT = -1.0, 12.0, 10.0
_OUTSIDE = 217  # of 255: the grey of what no exposure sees, as in the other pictures


def composite(mosaics):
    """Return a colour composite on the grid of the mosaic with the shortest wavelength.

    Parameters
    ----------
    mosaics : list of Mosaic
        Two or three of one part of the sky, each in a filter of its own.

    Returns
    -------
    colours : ndarray of uint8
        Red, green and blue of the part that all see, shape (rows, columns, 3), rows from below.
    filters : list of str
        By wavelength, the longest (red) last.

    Raises
    ------
    CannotJudge
        If they are not two or three filters, or have no sky in common.
    """
    ordered = sorted(mosaics, key=_wavelength)
    filters = [mosaic.header.get("FILTER", "") for mosaic in ordered]
    if not 2 <= len(set(filters)) == len(filters) <= 3:
        words = ", ".join(filters)
        msg = f"A composite has two or three filters, each once, and not {words}: name such runs."
        raise SetUpWrong(msg)
    grid = ordered[0]
    bands = [_in_noises(_on_grid(mosaic, grid)) for mosaic in ordered]
    seen = np.all(np.isfinite(bands), axis=0)
    if not seen.any():
        names = " and ".join(str(mosaic.path) for mosaic in mosaics)
        msg = f"{names} have no part of the sky in common: name runs of one field."
        raise SetUpWrong(msg)
    blue, red = np.nan_to_num(bands[0]), np.nan_to_num(bands[-1])
    green = np.nan_to_num(bands[1]) if len(bands) == 3 else (blue + red) / 2
    colours = make_lupton_rgb(red, green, blue, minimum=_BLACK, stretch=_LINEAR, Q=_SOFT)
    colours[~seen] = _OUTSIDE
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    return colours[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], filters


def _wavelength(mosaic):
    """Return the wavelength in the name of a filter, such as F770W, um."""
    digits = "".join(filter(str.isdigit, mosaic.header.get("FILTER", "")))
    return float(digits or 0) / 100


def _on_grid(mosaic, grid):
    """Return the values of a mosaic on the pixels of another, interpolated between its own."""
    values = np.where(mosaic.covered, mosaic.data, np.nan)
    if mosaic is grid:
        return values
    y, x = np.indices(grid.data.shape)
    x, y = mosaic.wcs.wcs_world2pix(*grid.wcs.wcs_pix2world(x, y, 0), 0)
    return map_coordinates(values, [y, x], order=1, cval=np.nan)


def _in_noises(values):
    """Return values in units of the scatter of empty sky."""
    good = values[np.isfinite(values)]
    return values / clipped_scatter(good) if good.size else values


def composite_png(mosaics):
    """Return a colour composite as a PNG file, with its alternative text inside.

    Parameters
    ----------
    mosaics : list of Mosaic
        As `composite` takes them.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    CannotJudge
        As `composite` does.
    """
    colours, filters = composite(mosaics)
    description = dict(zip(WORDS_OF_PICTURES, _words(filters), strict=True))
    information = PngInfo()
    for keyword, text in description.items():
        information.add_text(keyword, text)
    stream = BytesIO()
    Image.fromarray(colours[::-1]).save(stream, "PNG", pnginfo=information, optimize=True)
    return stream.getvalue()


def _words(filters):
    """Return alternative text and caption of a composite."""
    caption = f"{filters[0]} in blue and {filters[-1]} in red"
    if len(filters) == 3:
        caption = f"{filters[0]} in blue, {filters[1]} in green and {filters[2]} in red"
    return f"Colour composite of mosaics: {caption}; empty sky is dark.", caption
