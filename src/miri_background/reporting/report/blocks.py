"""Images of pages: means of blocks of pixels, so that faint structure is seen on a phone."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import AsinhNorm, Normalize

from miri_background.reporting.drawing import COLOURS_OF_IMAGES, block_means
from miri_background.validation.prediction.pixel_statistics import clipped_scatter

__all__ = ["SIZE", "Blocks", "figure_of", "stretch_around_level", "stretch_of_rest"]

SIZE = 5.0, 4.4  # inches: at 90 pixels each, wider than a phone by a fifth
_STRETCH = 4.0  # standard deviations of a block that colours around a level reach to
_LINEAR = 3.0  # of what is left: standard deviations of a block up to which colours are linear
_LEAST_REACH = 8.0  # standard deviations of a block that colours reach to
_BRIGHT = 99.7  # percentile of the blocks that colours reach to
_BLOCKS = 128  # of a displayed image, about, along its longer side
_OF_IMAGE = {"left": 0.13, "right": 0.78, "bottom": 0.13, "top": 0.91}  # of the figure
_OF_COLOURS = (0.81, 0.17, 0.035, 0.7)  # left, bottom, width, height


def _block_size(image):
    """Return over how many rows, and columns, an image is averaged."""
    return max(1, math.ceil(max(image.shape) / _BLOCKS))


@dataclass(frozen=True)
class Blocks:
    """An image in blocks of pixels.

    Parameters
    ----------
    blocks : ndarray
        Means of blocks, not a number where nothing is seen.
    size_of_block : int
        Rows and columns of a block.
    """

    blocks: np.ndarray
    size_of_block: int

    @classmethod
    def of(cls, image, good):
        """Return an image in blocks.

        Parameters
        ----------
        image : ndarray
            Shape (rows, columns).
        good : ndarray of bool
            Which pixels count.

        Returns
        -------
        Blocks
            Of so many pixels that some hundred blocks remain along its longer side.
        """
        size = _block_size(image)
        return cls(block_means(np.asarray(image, dtype=float), good, size), size)

    @classmethod
    def furthest(cls, image):
        """Return an image of which each block shows the value that is furthest from zero.

        Parameters
        ----------
        image : ndarray
            Shape (rows, columns).

        Returns
        -------
        Blocks
            In which a single pixel is not lost among others.
        """
        size = _block_size(image)
        rows, columns = (pixels // size for pixels in image.shape)
        cut = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
        low, high = (reduce(cut, axis=(1, 3)) for reduce in (np.min, np.max))
        return cls(np.where(-low > high, low, high), size)

    @property
    def values(self):
        """The means that are a number."""
        return self.blocks[np.isfinite(self.blocks)]

    @property
    def words(self):
        """Of how many pixels each displayed one is the mean."""
        size = self.size_of_block
        return f"means of {size} x {size} pixels" if size > 1 else "each pixel"


def stretch_around_level(values):
    """Return the linear stretch of an image that is nearly flat.

    Parameters
    ----------
    values : ndarray
        Of its blocks.

    Returns
    -------
    matplotlib.colors.Normalize
        Around their median.
    """
    level, scatter = float(np.median(values)), float(clipped_scatter(values))
    reach = _STRETCH * scatter if scatter > 0 else max(1e-3, 0.01 * abs(level))
    return Normalize(level - reach, level + reach)


def stretch_of_rest(values, scatter):
    """Return the stretch in which faint structure is seen beside sources.

    Parameters
    ----------
    values : ndarray
        Of the blocks of a subtracted image.
    scatter : float
        Up to three times this, colours are linear.

    Returns
    -------
    matplotlib.colors.AsinhNorm
        Up to the bright ones.
    """
    reach, bright = _LEAST_REACH * scatter, float(np.percentile(values, _BRIGHT))
    return AsinhNorm(_LINEAR * scatter, -reach, max(reach, bright))


def figure_of(image, norm, title, label, colours=COLOURS_OF_IMAGES):
    """Return a figure of one image, on axes in pixels.

    Parameters
    ----------
    image : Blocks
        The image.
    norm : matplotlib.colors.Normalize
        Its stretch.
    title, label : str
        Of figure and colour bar.
    colours : matplotlib.colors.Colormap, optional
        Colours of the values.

    Returns
    -------
    matplotlib.figure.Figure
        Without alternative text.
    """
    height, width = (size * image.size_of_block for size in image.blocks.shape)
    # Adjusting the layout to what is drawn takes as long as to draw it.
    figure, axes = plt.subplots(figsize=SIZE, gridspec_kw=_OF_IMAGE)
    shown = axes.imshow(
        image.blocks,
        origin="lower",
        cmap=colours,
        norm=norm,
        extent=(-0.5, width - 0.5, -0.5, height - 0.5),
        interpolation="nearest",
    )
    axes.locator_params(nbins=4)
    axes.set_xlabel("x (pixel)")
    axes.set_ylabel("y (pixel)")
    axes.set_title(title, fontsize=11)
    bar = figure.colorbar(shown, cax=figure.add_axes(_OF_COLOURS), label=label)
    if isinstance(norm, AsinhNorm):
        bar.ax.minorticks_off()
        linear = norm.linear_width
        ticks = (norm.vmin, -linear, 0.0, linear, *([norm.vmax] if norm.vmax > 2 * linear else ()))
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    return figure
