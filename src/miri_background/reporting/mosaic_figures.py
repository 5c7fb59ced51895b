"""The mosaic as a picture: with and without the subtraction, and with its catalogue.

The stretch is asinh: linear in the noise, so that empty sky shows, and logarithmic in the stars.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from miri_background.reporting.drawing import described, write_title
from miri_background.reporting.words import counted
from miri_background.validation.mosaic.expectation import exposure_numbers
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import read_image

__all__ = ["catalogue_figure", "sides_figure", "unsubtracted_mosaic", "without_figure"]

_MAP = "inferno"
_BELOW, _ABOVE = 3.0, 400.0  # pixel noises of the mosaic, that colours reach from and to
_BAR = 10.0  # arcsec
_COMPASS = 0.07  # of the width of the picture
_MARKER = 7.0  # pixels
_WRITING = {"color": "white", "fontsize": 8}


def unsubtracted_mosaic(judgement):
    """Return what the mosaic would be if no background had been subtracted.

    Parameters
    ----------
    judgement : MosaicJudgement
        With the products of calwebb_image2.

    Returns
    -------
    ndarray or None
        MJy/sr: rates, calibrated and resampled as the subtracted exposures were; not a number
        where the mosaic has no value.  None where nothing says how they are calibrated.
    """
    factors = _factors(judgement)
    if factors is None:
        return None
    products = judgement.analysis.products
    numbers = exposure_numbers(judgement.mosaic, products)
    images = [products.science[number].data * factors for number in numbers]
    mosaic = judgement.resampling.of(images)
    return np.where(judgement.mosaic.covered, mosaic, np.nan)


def _factors(judgement):
    """Return what slopes are multiplied by, MJy/sr per DN/s, None where that is not known."""
    if judgement.expected is not None:
        return judgement.expected.factors
    if judgement.analysis is None or judgement.resampling is None:
        return None
    files = judgement.analysis.products.calibrated_files or [None]
    if None in files:
        return None
    ratios = [
        read_image(path).data / image.data
        for path, image in zip(files, judgement.analysis.subtracted, strict=True)
    ]
    return np.nanmedian(ratios, axis=0)


def _noise(data):
    """Return the scatter of the pixels of a mosaic."""
    return float(clipped_scatter(data[np.isfinite(data)]))


def _stretch(level, noise):
    """Return an asinh stretch that is linear within a few noises of a level."""
    low, high = level - _BELOW * noise, level + _ABOVE * noise
    soft = 3 * noise

    def forward(values):
        return np.arcsinh((np.asarray(values) - level) / soft)

    def inverse(values):
        return level + soft * np.sinh(values)

    return FuncNorm((forward, inverse), low, high)


def _draw(axes, data, norm):
    """Draw a mosaic without ticks."""
    colours = plt.get_cmap(_MAP).with_extremes(bad="0.85")
    drawn = axes.imshow(data, origin="lower", cmap=colours, norm=norm, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    return drawn


def _colour_bar(figure, drawn, axes):
    """Draw what colours mean."""
    low, high = drawn.norm.vmin, drawn.norm.vmax
    ticks = [0.0, *(each for each in 10.0 ** np.arange(-3, 4) if -low < each < high)]
    bar = figure.colorbar(drawn, ax=axes, label="MJy/sr, asinh stretch", shrink=0.85, ticks=ticks)
    bar.ax.set_yticklabels([f"{each:g}" for each in ticks])


def _orientation(axes, mosaic):
    """Draw a bar of ten arcseconds, and where north and east are."""
    rows, columns = mosaic.data.shape
    length = _BAR / mosaic.pixel_scale
    left, bottom = 0.06 * columns, 0.05 * rows
    axes.plot([left, left + length], [bottom, bottom], color="white", lw=1.5)
    axes.text(left + length / 2, bottom + 0.015 * rows, '10"', ha="center", **_WRITING)
    centre = np.array([0.87 * columns, 0.13 * rows])
    ra, dec = mosaic.wcs.wcs_pix2world(*centre, 0)
    step = 1 / 3600
    for words, moved in (
        ("N", (ra, dec + step)),
        ("E", (ra + step / np.cos(np.deg2rad(dec)), dec)),
    ):
        towards = np.array(mosaic.wcs.wcs_world2pix(*moved, 0)) - centre
        towards *= _COMPASS * columns / np.hypot(*towards)
        axes.annotate(
            "",
            centre + towards,
            centre,
            arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.2},
        )
        axes.text(*(centre + 1.25 * towards), words, ha="center", va="center", **_WRITING)


def sides_figure(judgement) -> Figure:
    """Return the mosaic without and with the subtraction, in the same colours.

    Parameters
    ----------
    judgement : MosaicJudgement
        With the products of calwebb_image2.

    Returns
    -------
    matplotlib.figure.Figure
        Two images, from zero on in one stretch.
    """
    mosaic = judgement.mosaic
    after = np.where(mosaic.covered, mosaic.data, np.nan)
    before = unsubtracted_mosaic(judgement)
    noise = _noise(after)
    # Faint wings of sources are everywhere else.
    empty = mosaic.covered if judgement.expected is None else judgement.expected.empty
    skies = [float(np.nanmedian(each[empty])) for each in (before, after)]
    norm = _stretch(0.0, noise)
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="compressed")
    figure.colours = _MAP
    heads = (
        f"Without: the sky of {skies[0]:.2f} MJy/sr is brighter than most sources",
        f"With: an empty sky of {skies[1]:+.3f} MJy/sr",
    )
    for panel, data, head in zip(axes, (before, after), heads, strict=True):
        drawn = _draw(panel, data, norm)
        panel.set_title(head, fontsize=10)
    _orientation(axes[1], mosaic)
    _colour_bar(figure, drawn, axes)
    name = mosaic.header.get("FILTER", "")
    count = counted(len(mosaic.named), "exposure")
    title = write_title(figure, f"Mosaic of {count} in {name}, without and with the subtraction")
    return described(
        figure,
        f"{title}, in the same colours. Without it, the sky is {skies[0]:.2f} MJy/sr; with it, "
        f"{skies[1]:+.3f} MJy/sr, and pixels scatter by {noise:.2g} MJy/sr around that.",
    )


def without_figure(judgement, size) -> Figure:
    """Return what the mosaic would be without the subtraction, in the colours of the mosaic.

    Parameters
    ----------
    judgement : MosaicJudgement
        With the products of calwebb_image2.
    size : tuple of float
        Width and height, inches.

    Returns
    -------
    matplotlib.figure.Figure or None
        One image; None where it is not known.
    """
    mosaic = judgement.mosaic
    before = unsubtracted_mosaic(judgement)
    if before is None:
        return None
    norm = _stretch(0.0, _noise(np.where(mosaic.covered, mosaic.data, np.nan)))
    figure, axes = plt.subplots(figsize=size, layout="compressed")
    figure.colours = _MAP
    _colour_bar(figure, _draw(axes, before, norm), axes)
    sky = float(np.nanmedian(before))
    axes.set_title(f"Mosaic without the subtraction: {sky:.3g} MJy/sr", fontsize=11)
    return described(
        figure,
        f"The mosaic as it would be without the subtraction, in the colours of the one with it: "
        f"its median is {sky:.3g} MJy/sr.",
    )


def catalogue_figure(judgement, size=(7.6, 7.2)) -> Figure:
    """Return the mosaic with the entries of its catalogue, and stars that are missing there.

    Parameters
    ----------
    judgement : MosaicJudgement
        What was judged.
    size : tuple of float, optional
        Width and height, inches.

    Returns
    -------
    matplotlib.figure.Figure
        One image.
    """
    mosaic = judgement.mosaic
    data = np.where(mosaic.covered, mosaic.data, np.nan)
    norm = _stretch(0.0, _noise(data))
    figure, axes = plt.subplots(figsize=size, layout="compressed")
    figure.colours = _MAP
    _colour_bar(figure, _draw(axes, data, norm), axes)
    entries = [] if mosaic.catalogue is None else mosaic.catalogue
    for entry in entries:
        place = float(entry["xcentroid"]), float(entry["ycentroid"])
        axes.add_patch(Circle(place, _MARKER, fill=False, color="#56B4E9", lw=1.0))
    axes.set(xlim=(-0.5, data.shape[1] - 0.5), ylim=(-0.5, data.shape[0] - 0.5))
    _orientation(axes, mosaic)
    lines = [f"Mosaic with {counted(len(entries), 'entry', 'entries')} of its catalogue"]
    if judgement.missing is not None:
        missing = judgement.missing
        x, y = judgement.sources.x[missing], judgement.sources.y[missing]
        axes.plot(x, y, "x", color="#009E73", ms=7)
        lines.append(f"{counted(len(x), 'star')} missing that must be there")
    if judgement.depth is not None:
        limit = judgement.depth.limit(mosaic.extension["PIXAR_SR"])
        lines.append(f"five standard deviations in an aperture of 3 pixels are {limit:.2g} uJy")
    title = write_title(figure, *lines)
    return described(figure, f"The mosaic with its catalogue: {title}.")
