"""The figures of the validation notebook.

Every image has a perceptually uniform map, a stated stretch and unit, and every
title the number that the figure is about.
"""

from io import BytesIO
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image as Picture
from scipy.stats import norm

from miri_background.files import replace_recorded
from miri_background.instrument.detector import bad_pixels
from miri_background.instrument.footprint import illuminated, within_regions
from miri_background.instrument.readout import subarrays
from miri_background.validation.against_truth import leak_of
from miri_background.validation.products import in_two_dimensions, source_positions
from miri_background.validation.statistical import aperture_pulls, line_means

__all__ = [
    "COLOURS",
    "block_size",
    "combined_background_figure",
    "draw",
    "leak_figure",
    "picture",
    "rates_figure",
    "residuals_figure",
    "show",
    "star_figure",
    "structure_figure",
    "subtracted_figure",
]

_MAP = "viridis"
_DISPLAYED = 256  # pixels of a displayed image, about: more are averaged in blocks
_CUTOUT = 15  # pixels around a star
_DPI = 90
_CONTRAST_RANGE, _CONTRAST_CLASSES = (0.5, 500.0), 12  # of the figure of leaking light
_PALETTE_SIZE = 256  # of the picture files: a third of the size of true colour
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "osD^vP"


def show(figure, path, alt):
    """Write a figure as PNG and show it with its alternative text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; closed afterwards.
    path : pathlib.Path
        PNG file to write.
    alt : str
        What a reader who does not see the figure should know.
    """
    content = picture(figure)
    with replace_recorded(path) as aside:
        aside.write_bytes(content)
    display(Image(data=content, format="png"), metadata={"image/png": {"alt": alt}})


def picture(figure):
    """Return a figure as the bytes of a small PNG file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; closed afterwards.

    Returns
    -------
    bytes
        The file's content.
    """
    stream = BytesIO()
    # Compressed once, at the end.
    figure.savefig(stream, dpi=_DPI, format="png", pil_kwargs={"compress_level": 0})
    plt.close(figure)
    drawn = Picture.open(stream).convert("RGB")
    # The map's own colours and greys: an adapted palette would merge rare colours of a scale.
    palette = Picture.new("P", (1, 1))
    palette.putpalette(_palette())
    drawn = drawn.quantize(palette=palette, dither=Picture.Dither.NONE)
    compact = BytesIO()
    drawn.save(compact, "PNG", optimize=True)
    return compact.getvalue()


def _palette():
    """Return red, green, blue of the colours that the figures use, 0 to 255."""
    greys = np.linspace(0, 1, 40)[:, np.newaxis] * np.ones(3)
    map_colours = plt.get_cmap(_MAP)(np.linspace(0, 1, 132))[:, :3]
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
    size = block_size(image)
    rows, columns = (pixels // size for pixels in image.shape)
    # Bad pixels have no rate; the combined background holds 0 there.
    good = subarrays()[subarray].cut(bad_pixels()) == 0
    seen = (illuminated(subarray) & good)[part] & np.isfinite(image)
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
    colours = plt.get_cmap(_MAP).with_extremes(bad="0.85")
    drawn = axes.imshow(
        _binned(image, subarray, region.slices if region else ...),
        origin="lower",
        cmap=colours,
        vmin=low,
        vmax=high,
        extent=(left - 0.5, left + width - 0.5, bottom - 0.5, bottom + height - 0.5),
        interpolation="nearest",
    )
    axes.locator_params(nbins=4)
    return drawn


def _sky_level(analysis):
    """Return the mean of the combined background on empty sky, DN/s."""
    return float(analysis.combined.data[analysis.sky].mean())


def _gallery(columns, subarray, images, titles, low, high, label):
    """Return a figure of detector images with one stretch."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(11, 2.75 * rows + 0.5),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for panel, image, title in zip(axes.flat, images, titles, strict=False):
        drawn = draw(panel, image, subarray, low, high)
        panel.set_title(title, fontsize=9)
    for panel in axes.flat[len(images) :]:
        panel.set_axis_off()
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    figure.supxlabel("x (detector pixel)", fontsize=9)
    figure.supylabel("y (detector pixel)", fontsize=9)
    return figure


def rates_figure(science, backgrounds) -> Figure:
    """Return the science and background rates."""
    images = [in_two_dimensions(image).data for image in (*science, *backgrounds)]
    titles = [
        f"{field} {number}"
        for field, rates in (("science", science), ("background", backgrounds))
        for number in range(1, len(rates) + 1)
    ]
    subarray = backgrounds[0].header["SUBARRAY"]
    level = float(np.nanmedian(images[len(science)][illuminated(subarray)]))
    label = "rate (DN/s, linear stretch)"
    figure = _gallery(4, subarray, images, titles, 0.8 * level, 1.5 * level, label)
    figure.suptitle(f"Rates of calwebb_detector1: sky of {level:.2f} DN/s under the sources")
    return figure


def combined_background_figure(analysis) -> Figure:
    """Return one background, the average that was subtracted, and its noise against truth."""
    products = analysis.products
    level = _sky_level(analysis)
    combined = _combined_image(analysis)
    truth = products.background_truth[0].background
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    images = (analysis.backgrounds[0].data, combined, combined - truth)
    titles = ("background 1", "combined background", "combined background − true sky")
    for panel, image, title, span in zip(
        axes, images, titles, ((0.95, 1.10), (0.95, 1.10), (-0.03, 0.03)), strict=True
    ):
        drawn = draw(panel, image, analysis.subarray, span[0] * level, span[1] * level)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("x (detector pixel)")
        figure.colorbar(drawn, ax=panel, label="DN/s, linear stretch", shrink=0.75)
    axes[0].set_ylabel("y (detector pixel)")
    mean = float((combined - truth)[analysis.sky].mean())
    figure.suptitle(f"On empty sky, the combined background is {mean:+.4f} DN/s off the true sky")
    return figure


def _star_to_follow(analysis):
    """Return x, y and flux of the brightest background star that is far enough from any edge.

    Without such a star, the centre of the imager and no flux.
    """
    stars = analysis.products.background_truth[0].catalogue
    x, y = source_positions(stars)
    inside = within_regions(x, y, _CUTOUT + 0.5, analysis.subarray)
    if not inside.any():
        imager = analysis.regions["imager"]
        return (imager.x.start + imager.x.stop) / 2, (imager.y.start + imager.y.stop) / 2, 0.0
    flux = stars["flux"].to_value("uJy")
    star = np.argmax(np.where(inside, flux, 0.0))
    return float(x[star]), float(y[star]), float(flux[star])


def _combined_image(analysis):
    """Return the background that was subtracted, zero where nothing was."""
    for image in analysis.products.combined:
        if image is not None:
            return image.data
    return np.zeros_like(analysis.leak)


def star_figure(analysis) -> Figure:
    """Return one background star in every exposure, their plain mean and their clipped mean."""
    products = analysis.products
    x, y, flux = _star_to_follow(analysis)
    column, row = round(x), round(y)
    box = (slice(row - _CUTOUT, row + _CUTOUT + 1), slice(column - _CUTOUT, column + _CUTOUT + 1))
    exposures = [image.data[box] for image in analysis.backgrounds]
    with np.errstate(invalid="ignore"):
        plain = np.mean(exposures, axis=0)
    combined = _combined_image(analysis)[box]
    level = float(products.background_truth[0].background[row, column])
    peak = float(np.nanmax(exposures[0]) - level)
    figure, axes = plt.subplots(
        1, len(exposures) + 2, figsize=(11, 2.9), layout="constrained", sharey=True
    )
    titles = [
        *(f"background {n}" for n in range(1, len(exposures) + 1)),
        "plain mean",
        "combined\nbackground",
    ]
    for panel, image, title in zip(axes, [*exposures, plain, combined], titles, strict=True):
        drawn = panel.imshow(
            image,
            origin="lower",
            cmap=_MAP,
            vmin=level - 1,
            vmax=level + peak / 4,
            extent=(
                column - _CUTOUT - 0.5,
                column + _CUTOUT + 0.5,
                row - _CUTOUT - 0.5,
                row + _CUTOUT + 0.5,
            ),
        )
        panel.set_title(title, fontsize=9)
        panel.set_xticks([column - 10, column, column + 10])
    figure.colorbar(drawn, ax=axes, label="DN/s, linear", shrink=0.8)
    left = float(np.nanmax(plain) - level)
    stays = float(combined[_CUTOUT, _CUTOUT] - level)
    star = f"A star of {flux:.0f} µJy" if flux else "No star"
    figure.suptitle(
        f"{star} at x, y = {column}, {row}: peak {peak:.1f} DN/s above the sky, "
        f"{left:.1f} in the plain mean, {stays:.2f} in the combined background",
        fontsize=10,
    )
    return figure


def subtracted_figure(analysis) -> Figure:
    """Return the background-subtracted science exposures."""
    images = [image.data for image in analysis.subtracted]
    titles = [f"science {number} subtracted" for number in range(1, len(images) + 1)]
    means = [
        analysis.residual(number)[analysis.judged(number)].mean() for number in range(len(images))
    ]
    high = 5 * analysis.sky_noise
    figure = _gallery(
        min(len(images), 4), analysis.subarray, images, titles, -high, high, "DN/s, linear stretch"
    )
    figure.suptitle(
        f"After subtraction: of {_sky_level(analysis):.2f} DN/s of sky, "
        f"{np.mean(means):+.4f} are left where no source is"
    )
    return figure


def residuals_figure(analysis, metrics) -> Figure:
    """Return the mean residual of each region and exposure with error and limit, and one map."""
    rows = [metric for metric in metrics if metric.name == "residual"]
    figure, (points, image) = plt.subplots(
        1, 2, figsize=(11, 3.9), width_ratios=(1.7, 1), layout="constrained"
    )
    names = list(analysis.regions)
    numbers = sorted({metric.exposure for metric in rows})
    for index, number in enumerate(numbers):
        shift = (index - (len(numbers) - 1) / 2) * 0.16
        mine = [metric for metric in rows if metric.exposure == number]
        points.errorbar(
            [names.index(metric.region) + shift for metric in mine],
            [metric.value for metric in mine],
            [metric.standard_error for metric in mine],
            fmt=_MARKERS[index % len(_MARKERS)],
            color=COLOURS[index % len(COLOURS)],
            label=f"exposure {number}",
            capsize=2,
        )
    for position, name in enumerate(names):
        limit = max(metric.limit for metric in rows if metric.region == name)
        points.fill_between(
            [position - 0.45, position + 0.45], -limit, limit, color="0.9", zorder=0
        )
    points.axhline(0, color="0.4", linewidth=0.8)
    points.set_xticks(range(len(names)), names)
    points.set_ylabel("mean residual (DN/s)")
    points.legend(fontsize=8, ncols=2)
    worst = max(rows, key=lambda metric: abs(metric.value) / metric.limit)
    points.set_title(
        f"worst: {worst.region}, exposure {worst.exposure}: {worst.value:+.4f} DN/s, "
        f"limit ±{worst.limit:.4f}",
        fontsize=10,
    )
    residual = np.where(analysis.judged(0), analysis.residual(0), np.nan)
    drawn = draw(image, residual, analysis.subarray, -0.5, 0.5)
    image.set_title("residual of exposure 1, judged pixels", fontsize=10)
    image.set_xlabel("x (detector pixel)")
    figure.colorbar(drawn, ax=image, label="DN/s, linear stretch", shrink=0.8)
    return figure


def structure_figure(analysis, metrics) -> Figure:
    """Return the mean residuals of columns and rows of the imager, and fluxes on empty sky."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    means = {each.criterion: each for each in line_means(analysis) if each.region.name == "imager"}
    for panel, criterion in zip(axes, ("columns", "rows"), strict=False):
        of_regions = {metric.region: metric for metric in metrics if metric.name == criterion}
        panel.set_xlabel("x (detector pixel)" if criterion == "columns" else "y (detector pixel)")
        panel.set_title(_worst_line(criterion, of_regions.values()), fontsize=10)
        if criterion not in means:
            continue
        each, mine = means[criterion], of_regions["imager"]
        factor = mine.limit / mine.standard_error
        panel.fill_between(
            each.numbers, -factor * each.errors, factor * each.errors, color="0.9", zorder=0
        )
        panel.plot(each.numbers, each.means, ".", markersize=3, color=COLOURS[0])
        panel.axhline(0, color="0.4", linewidth=0.8)
    axes[0].set_ylabel("mean residual in the imager (DN/s)")
    pulls = np.concatenate([each for _, each in aperture_pulls(analysis)])
    edges = np.linspace(-5, 5, 51)
    if pulls.size:
        axes[2].hist(pulls, edges, density=True, color=COLOURS[4])
    axes[2].plot(edges, norm.pdf(edges), color=COLOURS[1], label="independent pixels")
    axes[2].legend(fontsize=8)
    axes[2].set_xlabel("aperture flux / predicted noise")
    scatter = f"\nscatter {pulls.std():.3f} of predicted" if pulls.size else ""
    axes[2].set_title(f"{pulls.size} apertures on empty sky:{scatter}", fontsize=10)
    return figure


def _worst_line(criterion, metrics):
    """Return in words which row or column is closest to or furthest over its limit."""
    if not metrics:
        return f"{criterion}: none has enough pixels"
    worst = max(metrics, key=lambda metric: abs(metric.value) / metric.limit)
    return (
        f"{criterion}: worst {worst.value:+.3f} DN/s\nin {worst.region}, limit ±{worst.limit:.3f}"
    )


def leak_figure(analysis) -> Figure:
    """Return what stays of background sources, by their contrast, and what theory predicts."""
    combined = next((image for image in analysis.products.combined if image is not None), None)
    edges = np.geomspace(*_CONTRAST_RANGE, _CONTRAST_CLASSES + 1)
    found = [
        leak
        for low, high in pairwise(edges)
        if combined is not None and (leak := leak_of(analysis, combined, low, high)) is not None
    ]
    figure, axes = plt.subplots(figsize=(8, 3.9), layout="constrained")
    contrasts = [leak.contrast for leak in found]
    axes.plot(contrasts, [leak.predicted for leak in found], color=COLOURS[1], label="predicted")
    axes.errorbar(
        contrasts,
        [leak.measured for leak in found],
        [leak.error for leak in found],
        fmt="o",
        color=COLOURS[0],
        capsize=2,
        label="measured",
    )
    count = len(analysis.backgrounds)
    axes.axhline(100 / count, color="0.4", linestyle="--", label=f"plain mean of {count}")
    axes.set_xscale("log")
    axes.set_xlim(*_CONTRAST_RANGE)
    axes.set_xlabel("light of a source in a pixel / noise of the sky")
    axes.set_ylabel("light that stays (%)")
    axes.legend(fontsize=8)
    if found:
        worst = max(found, key=lambda leak: abs(leak.measured - leak.predicted) / leak.error)
        axes.set_title(
            f"What sigma = {analysis.products.sigma:g} leaves of background sources: at most "
            f"{abs(worst.measured - worst.predicted) / worst.error:.1f} standard errors off theory",
            fontsize=10,
        )
    return figure
