"""How figures are drawn, described and shown."""

import textwrap
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display
from matplotlib.colors import to_rgb
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from miri_background.files import replace_recorded
from miri_background.instrument.detector import bad_pixels
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import subarrays
from miri_background.reporting.pictured import WORDS_OF_PICTURES

__all__ = [
    "COLOURS",
    "COLOURS_OF_IMAGES",
    "NOISE_RANGE",
    "STANDS_OUT",
    "block_means",
    "block_size",
    "colour_reach",
    "described",
    "draw",
    "picture",
    "show",
    "write_title",
]

_MAP = "viridis"
COLOURS_OF_IMAGES = plt.get_cmap(_MAP).with_extremes(bad="0.85")
STANDS_OUT = 5.0  # standard deviations of a pixel: light above it is seen
_DISPLAYED = 256  # pixels of a displayed image, about: more are averaged in blocks
NOISE_RANGE = 5.0  # standard deviations of what is displayed: colours reach so far at least
_TITLE_WIDTH = 125  # characters of a line over a whole figure
_DPI = 90
_PALETTE_SIZE = 256  # of the picture files: a third of the size of true colour
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def described(figure, text):
    """Return a figure with its alternative text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    text : str
        What a reader who does not see the figure should know, as its attribute ``alt``.

    Returns
    -------
    matplotlib.figure.Figure
        The same figure.
    """
    figure.alt = " ".join(text.split())
    return figure


def show(figure, path, alt=None):
    """Write a figure as PNG and show it with its alternative text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; closed afterwards.
    path : pathlib.Path
        PNG file to write.
    alt : str, optional
        What a reader who does not see the figure should know; that of the figure if not given.
    """
    alt = figure.alt if alt is None else alt
    content = picture(figure)
    with replace_recorded(path) as aside:
        aside.write_bytes(content)
    display(Image(data=content, format="png"), metadata={"image/png": {"alt": alt}})


def picture(figure, scale=1.0):
    """Return a figure as the bytes of a small PNG file, with its alternative text and caption.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; closed afterwards.  Its attribute ``colours`` names the map of its images, if
        that is another than usual.
    scale : float, optional
        Pixels of the file for each of a page: 2 for screens that have them so fine.

    Returns
    -------
    bytes
        The file's content.
    """
    stream = BytesIO()
    # Compressed once, at the end.
    figure.savefig(stream, dpi=scale * _DPI, format="png", pil_kwargs={"compress_level": 0})
    plt.close(figure)
    drawn = Picture.open(stream).convert("RGB")
    # The map's own colours and greys: an adapted palette would merge rare colours of a scale.
    palette = Picture.new("P", (1, 1))
    palette.putpalette(_palette(getattr(figure, "colours", _MAP)))
    drawn = drawn.quantize(palette=palette, dither=Picture.Dither.NONE)
    described_so = PngInfo()
    for keyword, attribute in WORDS_OF_PICTURES.items():
        if words := getattr(figure, attribute, ""):
            described_so.add_itxt(keyword, words)
    compact = BytesIO()
    drawn.save(compact, "PNG", optimize=True, pnginfo=described_so)
    return compact.getvalue()


def _palette(colours_of_images):
    """Return red, green, blue of the colours that a figure uses, 0 to 255."""
    greys = np.linspace(0, 1, 40)[:, np.newaxis] * np.ones(3)
    map_colours = plt.get_cmap(colours_of_images)(np.linspace(0, 1, 132))[:, :3]
    # Marker colours and their blends with white, as edges of lines have.
    blends = [
        1 - part * (1 - np.array(to_rgb(colour)))
        for colour in COLOURS
        for part in np.linspace(0.15, 1, 14)
    ]
    colours = np.vstack([greys, map_colours, blends])
    return np.rint(255 * colours[:_PALETTE_SIZE]).astype(int).ravel().tolist()


def block_size(image):
    """Return over how many rows, and columns, an image is averaged where it is displayed."""
    return max(image.shape[0] // _DISPLAYED, 1)


def _binned(image, subarray, part):
    """Return the mean of blocks of pixels where the sky is seen, NaN elsewhere."""
    # Bad pixels have no rate; the combined background holds 0 there.
    good = subarrays()[subarray].cut(bad_pixels()) == 0
    return block_means(image, (illuminated(subarray) & good)[part], block_size(image))


def block_means(image, good, size):
    """Return the means of blocks of pixels.

    Parameters
    ----------
    image : ndarray
        Shape (rows, columns).
    good : ndarray of bool
        Which pixels count, of those that are finite.
    size : int
        Rows and columns of a block; what is left at the upper and right edge is left out.

    Returns
    -------
    ndarray
        Not a number where no pixel of a block counts.
    """
    rows, columns = (pixels // size for pixels in image.shape)
    seen = good & np.isfinite(image)
    blocks = [
        values[: rows * size, : columns * size].reshape(rows, size, columns, size).sum(axis=(1, 3))
        for values in (np.where(seen, image, 0.0), seen)
    ]
    with np.errstate(invalid="ignore"):
        return np.where(blocks[1] > 0, blocks[0] / blocks[1], np.nan)


def draw(axes, image, subarray, low, high, region=None):
    """Draw the image of a subarray, or of a region, with axes in the subarray's pixels.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    image : ndarray
        Shape of the subarray or region; averaged in blocks where it is large.
    subarray : str
        Its name: what sees no sky stays grey.
    low, high : float
        Ends of the colour scale.
    region : Region, optional
        Of which the image is; of the whole subarray if not given.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    height, width = image.shape
    left, bottom = (region.x.start, region.y.start) if region else (0, 0)
    drawn = axes.imshow(
        _binned(image, subarray, region.slices if region else ...),
        origin="lower",
        cmap=COLOURS_OF_IMAGES,
        vmin=low,
        vmax=high,
        extent=(left - 0.5, left + width - 0.5, bottom - 0.5, bottom + height - 0.5),
        interpolation="nearest",
    )
    axes.locator_params(nbins=4)
    return drawn


def colour_reach(noise, image):
    """Return how far colours go from a level so that noise does not saturate them, DN/s."""
    return NOISE_RANGE * noise / block_size(image)


def write_title(figure, *lines):
    """Write a title over a figure, and return it as one text."""
    lines = [each for each in lines if each]
    wrapped = [textwrap.fill(each, _TITLE_WIDTH) for each in lines]
    figure.suptitle("\n".join(wrapped), fontsize=10)
    return ". ".join(lines)
