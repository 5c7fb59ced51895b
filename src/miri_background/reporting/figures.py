"""The figures of the validation notebook.

Every image has a perceptually uniform map, a stated stretch and unit, and every
title the number that the figure is about.  The range of colours follows light and noise.
A figure brings its alternative text, made of the same numbers, as its attribute ``alt``.
"""

import textwrap
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
from miri_background.instrument.footprint import illuminated, regions, within_regions
from miri_background.instrument.readout import subarrays
from miri_background.reporting.words import counted, listed
from miri_background.validation.measurements.against_truth import leak_of
from miri_background.validation.measurements.statistical import aperture_pulls, line_means
from miri_background.validation.prediction.clipping_theory import largest_deviation
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import in_two_dimensions, source_positions
from miri_background.validation.verdict.limits import severity

__all__ = [
    "COLOURS",
    "block_size",
    "combined_background_figure",
    "described",
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
_NOISE_RANGE = 5.0  # standard deviations of what is displayed: colours reach so far at least
_STANDS_OUT = 5.0  # standard deviations of a pixel: light above it is seen
_BRIGHT = 99.9  # percentile of the science pixels that colours reach to
_NO_LIGHT = 0.01  # standard deviations of a pixel: less is nothing
_TITLE_WIDTH = 125  # characters of a line over a whole figure
_DPI = 90
_CONTRAST_RANGE, _CONTRAST_CLASSES = (0.5, 500.0), 12  # of the figure of leaking light
_PALETTE_SIZE = 256  # of the picture files: a third of the size of true colour
_COLOURS_OF_IMAGES = plt.get_cmap(_MAP).with_extremes(bad="0.85")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "osD^vP"


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
    drawn = axes.imshow(
        _binned(image, subarray, region.slices if region else ...),
        origin="lower",
        cmap=_COLOURS_OF_IMAGES,
        vmin=low,
        vmax=high,
        extent=(left - 0.5, left + width - 0.5, bottom - 0.5, bottom + height - 0.5),
        interpolation="nearest",
    )
    axes.locator_params(nbins=4)
    return drawn


def _sky_level(analysis):
    """Return the mean of the combined background on empty sky, DN/s."""
    return float(analysis.expectation.combined.data[analysis.masks.sky].mean())


def _reach(noise, image):
    """Return how far colours go from a level so that noise does not saturate them, DN/s."""
    return _NOISE_RANGE * noise / block_size(image)


def _title(figure, *lines):
    """Write a title over a figure, and return it as one text."""
    lines = [each for each in lines if each]
    wrapped = [textwrap.fill(each, _TITLE_WIDTH) for each in lines]
    figure.suptitle("\n".join(wrapped), fontsize=10)
    return ". ".join(lines)


def _gallery(columns, subarray, images, titles, low, high, label):
    """Return a figure of detector images with one stretch."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(11, 2.75 * rows + 0.7),
        sharex=True,
        sharey=True,
        layout="compressed",
        squeeze=False,
    )
    for panel, image, title in zip(axes.flat, images, titles, strict=False):
        drawn = draw(panel, image, subarray, low, high)
        panel.set_title(title, fontsize=9)
    for panel in axes.flat[len(images) :]:
        panel.set_axis_off()
    for panel in axes[-1]:
        panel.set_xlabel("x (detector pixel)", fontsize=9)
    for panel in axes[:, 0]:
        panel.set_ylabel("y (detector pixel)", fontsize=9)
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    return figure


def _part_that_stands_out(images, seen, level, noise):
    """Return which part of the pixels that see the sky is brighter than its noise, percent."""
    high = [image[seen] > level + _STANDS_OUT * noise for image in images]
    return 100 * float(np.mean(high))


def rates_figure(science, backgrounds) -> Figure:
    """Return the science and background rates."""
    images = [in_two_dimensions(image).data for image in (*science, *backgrounds)]
    titles = [
        f"{field} {number}"
        for field, rates in (("science", science), ("background", backgrounds))
        for number in range(1, len(rates) + 1)
    ]
    subarray = backgrounds[0].header["SUBARRAY"]
    seen = illuminated(subarray)
    first = images[len(science)][seen]
    level = float(np.nanmedian(first))
    # A difference has neither the gradient nor the shadows of the sky.
    pair = (images[-1] - images[-2])[seen]
    noise = float(clipped_scatter(pair[np.isfinite(pair)]) / np.sqrt(2))
    bright = np.nanpercentile(np.array(images[: len(science)])[:, seen], _BRIGHT) - level
    above = max(_reach(noise, images[0]), min(0.5 * level, bright))
    below = max(0.4 * above, 0.6 * _reach(noise, images[0]))
    label = "rate (DN/s, linear stretch)"
    figure = _gallery(4, subarray, images, titles, level - below, level + above, label)
    parts = [
        f"{_part_that_stands_out(rates, seen, level, noise):.2g} % of the {field} pixels"
        for field, rates in (
            ("science", images[: len(science)]),
            ("background", images[len(science) :]),
        )
    ]
    title = _title(figure, f"Rates of calwebb_detector1: sky of {level:.2f} DN/s under the sources")
    return described(
        figure,
        f"Detector images of {counted(len(science), 'science exposure')} and "
        f"{counted(len(backgrounds), 'background exposure')} ({listed(list(regions(subarray)))}) "
        f"in the same colours. {title}; noise of a pixel {noise:.2g} DN/s. "
        f"{' and '.join(parts)} are more than {_STANDS_OUT:g} times the noise above the sky.",
    )


def combined_background_figure(analysis) -> Figure:
    """Return one background, the average that was subtracted, and its noise against truth."""
    products = analysis.products
    level = _sky_level(analysis)
    combined = _combined_image(analysis)
    truth = products.background_truth[0].background
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
    images = (analysis.expectation.backgrounds[0].data, combined, combined - truth)
    titles = ("background 1", "combined background", "combined background − true sky")
    single = _reach(analysis.expectation.sky_noise, combined)
    of_mean = np.sqrt(analysis.expectation.clipping.variance)
    of_mean = _reach(of_mean, combined)
    for panel, image, title, (low, high) in zip(
        axes,
        images,
        titles,
        (
            (level - max(0.05 * level, single), level + max(0.10 * level, single)),
            (level - max(0.05 * level, of_mean), level + max(0.10 * level, of_mean)),
            (-max(0.03 * level, of_mean), max(0.03 * level, of_mean)),
        ),
        strict=True,
    ):
        drawn = draw(panel, image, analysis.expectation.subarray, low, high)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("x (detector pixel)")
        figure.colorbar(drawn, ax=panel, label="DN/s, linear stretch", shrink=0.75)
    axes[0].set_ylabel("y (detector pixel)")
    difference = (combined - truth)[analysis.masks.sky]
    title = _title(
        figure,
        f"On empty sky, the combined background is {float(difference.mean()):+.4f} DN/s off the "
        "true sky",
        _nothing_subtracted(analysis),
    )
    count = len(analysis.expectation.backgrounds)
    return described(
        figure,
        f"One of {count} background exposures, the combined background, and the difference of the "
        f"combined background from the true sky. {title}. The difference scatters by "
        f"{difference.std():.2g} DN/s from pixel to pixel.",
    )


def _nothing_subtracted(analysis):
    """Return that there is no combined background, in words; empty if there is one."""
    if any(image is not None for image in analysis.products.combined):
        return ""
    return "There is no combined background, nothing was subtracted: zeros are shown in its place"


def _star_to_follow(analysis):
    """Return x, y and flux of the brightest background star that is far enough from any edge.

    Without such a star, the centre of the imager and no flux.
    """
    stars = analysis.products.background_truth[0].catalogue
    if len(stars):
        x, y = source_positions(stars)
        inside = within_regions(x, y, _CUTOUT + 0.5, analysis.expectation.subarray)
        for star in np.flatnonzero(inside):
            pixel = round(y[star]), round(x[star])
            inside[star] = all(
                np.isfinite(image.data[pixel]) for image in analysis.expectation.backgrounds
            )
        if inside.any():
            flux = stars["flux"].to_value("uJy")
            star = np.argmax(np.where(inside, flux, 0.0))
            return float(x[star]), float(y[star]), float(flux[star])
    imager = analysis.masks.regions["imager"]
    return (imager.x.start + imager.x.stop) / 2, (imager.y.start + imager.y.stop) / 2, 0.0


def _combined_image(analysis):
    """Return the background that was subtracted, zero where nothing was."""
    for image in analysis.products.combined:
        if image is not None:
            return image.data
    return np.zeros_like(analysis.expectation.leak)


def star_figure(analysis) -> Figure:
    """Return one background star in every exposure, their plain mean and their clipped mean."""
    products = analysis.products
    x, y, flux = _star_to_follow(analysis)
    column, row = round(x), round(y)
    box = (slice(row - _CUTOUT, row + _CUTOUT + 1), slice(column - _CUTOUT, column + _CUTOUT + 1))
    exposures = [image.data[box] for image in analysis.expectation.backgrounds]
    with np.errstate(invalid="ignore"):
        plain = np.mean(exposures, axis=0)
    combined = _combined_image(analysis)[box]
    level = float(products.background_truth[0].background[row, column])
    peak, left, stays = (
        float(image[_CUTOUT, _CUTOUT] - level) for image in (exposures[0], plain, combined)
    )
    figure, axes = plt.subplots(
        1, len(exposures) + 2, figsize=(11, 3.2), layout="compressed", sharey=True
    )
    titles = [
        *(f"background {n}" for n in range(1, len(exposures) + 1)),
        "plain mean",
        "combined\nbackground",
    ]
    noise = analysis.expectation.sky_noise
    light = analysis.expectation.background_light[0][row, column] if flux else 0.0
    for panel, image, title in zip(axes, [*exposures, plain, combined], titles, strict=True):
        drawn = panel.imshow(
            image,
            origin="lower",
            cmap=_COLOURS_OF_IMAGES,
            vmin=level - 3 * noise,
            vmax=level + max(_NOISE_RANGE * noise, light / 4),
            extent=(
                column - _CUTOUT - 0.5,
                column + _CUTOUT + 0.5,
                row - _CUTOUT - 0.5,
                row + _CUTOUT + 0.5,
            ),
        )
        panel.set_title(title, fontsize=9)
        panel.set_xticks([column - 10, column, column + 10])
        panel.set_xlabel("x (pixel)", fontsize=9)
    axes[0].set_ylabel("y (pixel)", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="DN/s, linear", shrink=0.8)
    if flux:
        first = f"A star of {flux:.0f} µJy at x, y = {column}, {row}: peak "
    else:
        first = f"No star at x, y = {column}, {row}: centre "
    title = _title(
        figure,
        f"{first}{peak:.1f} DN/s above the sky, {left:.1f} in the plain mean, {stays:.2f} in the "
        "combined background",
        _fate_of_star(analysis, row, column, light, stays),
    )
    size = 2 * _CUTOUT + 1
    return described(
        figure,
        f"The same {size} x {size} pixels of the detector in {len(exposures)} background "
        f"exposures, in their plain mean and in the combined background. {title}.",
    )


def _fate_of_star(analysis, row, column, light, stays):
    """Return in words what becomes of the light of a star in its central pixel.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.
    row, column : int
        The pixel.
    light : float
        Light of the star in it in the first background, DN/s; 0 without a star.
    stays : float
        What the combined background has above the sky, DN/s.

    Returns
    -------
    str
        Without a number of decimals, so that it can stand below the numbers themselves.
    """
    noise, count = analysis.expectation.sky_noise, len(analysis.expectation.backgrounds)
    if not light > 0:
        return (
            "No background star is far enough from the edges to be followed: "
            "empty sky with its noise is shown"
        )
    nothing = _nothing_subtracted(analysis)
    if nothing:
        return nothing
    if light < _STANDS_OUT * noise:
        return (
            f"The star is lost in the noise ({light:.2g} DN/s of it in its central pixel, noise "
            f"{noise:.2g} DN/s): these pixels do not show whether clipping removes it"
        )
    sigma = analysis.products.sigma
    others = [each[row, column] for each in analysis.expectation.background_light[1:]]
    shining = 1 + sum(each > 0.1 * light for each in others)
    total = light + sum(others)
    error = np.sqrt(analysis.expectation.combined_variance[row, column])
    expected = analysis.expectation.leak[row, column]
    where = f"It is here in {shining} of {count} backgrounds"
    if largest_deviation(count) <= sigma:
        where += f", of which sigma = {sigma:g} can clip none"
    return (
        f"{where}: {100 * stays / total:.0f} ± {100 * error / total:.0f} % of its light stay in "
        f"the combined background, theory has {100 * expected / total:.0f} %"
    )


def subtracted_figure(analysis) -> Figure:
    """Return the background-subtracted science exposures."""
    images = [image.data for image in analysis.subtracted]
    titles = [f"science {number} subtracted" for number in range(1, len(images) + 1)]
    means = [
        analysis.residuals.images[number][analysis.residuals.judged[number]].mean()
        for number in range(len(images))
    ]
    high = _NOISE_RANGE * analysis.expectation.sky_noise
    figure = _gallery(
        4, analysis.expectation.subarray, images, titles, -high, high, "DN/s, linear stretch"
    )
    title = _title(
        figure,
        f"After subtraction: of {_sky_level(analysis):.2f} DN/s of sky, "
        f"{np.mean(means):+.4f} are left where no source is",
        _sources_in_view(analysis),
    )
    return described(
        figure,
        f"{counted(len(images), 'background-subtracted science exposure')} "
        f"({listed(list(analysis.masks.regions))}), in colours of {_NOISE_RANGE:g} times the noise "
        f"around zero. {title}.",
    )


def _sources_in_view(analysis):
    """Return in words how many sources the first science exposure has, and how many are seen."""
    if analysis.products.science_truth is None:
        return ""
    catalogue = analysis.products.science_truth[0].catalogue
    peaks = np.zeros(0)
    if len(catalogue):
        x, y = source_positions(catalogue)
        inside = within_regions(x, y, 0.5, analysis.expectation.subarray)
        rows, columns = (np.rint(each[inside]).astype(int) for each in (y, x))
        peaks = analysis.expectation.science_light[0][rows, columns]
    bright = np.count_nonzero(peaks > _STANDS_OUT * analysis.expectation.sky_noise)
    return (
        f"Exposure 1 has {counted(peaks.size, 'source')} in view, {bright or 'none'} of them "
        f"more than {_STANDS_OUT:g} times the noise in the central pixel"
        if peaks.size
        else "Exposure 1 has no source in view"
    )


def residuals_figure(analysis, metrics) -> Figure:
    """Return the mean residual of each region and exposure with error and limit, and one map."""
    rows = [metric for metric in metrics if metric.name == "residual"]
    figure, (points, image) = plt.subplots(
        1, 2, figsize=(11, 3.9), width_ratios=(1.7, 1), layout="constrained"
    )
    names = list(analysis.masks.regions)
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
    worst = max(rows, key=severity)
    title = (
        f"worst: {worst.region}, exposure {worst.exposure}: {worst.value:+.4f} DN/s, "
        f"limit ±{worst.limit:.4f}"
    )
    points.set_title(title, fontsize=10)
    residual = np.where(analysis.residuals.judged[0], analysis.residuals.images[0], np.nan)
    reach = _reach(analysis.expectation.sky_noise, residual)
    drawn = draw(image, residual, analysis.expectation.subarray, -reach, reach)
    image.set_title("residual of exposure 1, judged pixels", fontsize=10)
    image.set_xlabel("x (detector pixel)")
    figure.colorbar(drawn, ax=image, label="DN/s, linear stretch", shrink=0.8)
    inside = sum(metric.passed for metric in rows)
    judged = 100 * np.mean(analysis.residuals.judged[0][analysis.masks.lit])
    return described(
        figure,
        f"Mean residual with error bar of {listed(names)} in "
        f"{counted(len(numbers), 'science exposure')}: {inside} of {len(rows)} are inside the band "
        f"of the limit; {title}. Beside it a map of the residual of exposure 1: "
        f"{judged:.0f} % of the pixels are judged.",
    )


def structure_figure(analysis, metrics) -> Figure:
    """Return the mean residuals of columns and rows of the imager, and fluxes on empty sky."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    means = {each.criterion: each for each in line_means(analysis) if each.region.name == "imager"}
    titles = []
    for panel, criterion in zip(axes, ("columns", "rows"), strict=False):
        of_regions = {metric.region: metric for metric in metrics if metric.name == criterion}
        panel.set_xlabel("x (detector pixel)" if criterion == "columns" else "y (detector pixel)")
        titles.append(_worst_line(criterion, of_regions.values()))
        panel.set_title(titles[-1], fontsize=10)
        if criterion not in means:
            panel.text(
                0.5, 0.5, "nothing to show of the imager", ha="center", transform=panel.transAxes
            )
            continue
        each, mine = means[criterion], of_regions["imager"]
        factor = mine.limit / mine.standard_error
        panel.fill_between(
            each.numbers, -factor * each.errors, factor * each.errors, color="0.9", zorder=0
        )
        panel.plot(each.numbers, each.means, ".", markersize=3, color=COLOURS[0])
        within = np.count_nonzero(np.abs(each.means) <= factor * each.errors)
        titles[-1] += f", {within} of {each.means.size} of the imager in the band of their limits"
        panel.axhline(0, color="0.4", linewidth=0.8)
    axes[0].set_ylabel("mean residual in the imager (DN/s)")
    pulls = np.concatenate([each for _, each in aperture_pulls(analysis)])
    edges = np.linspace(-5, 5, 51)
    if pulls.size:
        axes[2].hist(pulls, edges, density=True, color=COLOURS[4])
    axes[2].plot(edges, norm.pdf(edges), color=COLOURS[1], label="independent pixels")
    axes[2].legend(fontsize=8)
    axes[2].set_xlabel("aperture flux / predicted noise")
    scatter = f"\nscatter {pulls.std():.3f} of predicted" if pulls.size else "\nnothing to show"
    titles.append(f"{pulls.size} apertures on empty sky:{scatter}")
    axes[2].set_title(titles[-1], fontsize=10)
    return described(
        figure,
        "Mean residuals of the imager's columns and rows with the band of their limits, and a "
        "histogram of fluxes in apertures over their predicted noise with the normal distribution "
        f"that independent pixels have. {'; '.join(titles)}.",
    )


def _worst_line(criterion, metrics):
    """Return in words which row or column is closest to or furthest over its limit."""
    if not metrics:
        return f"{criterion}: none has enough pixels"
    worst = max(metrics, key=severity)
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
    count = len(analysis.expectation.backgrounds)
    axes.axhline(100 / count, color="0.4", linestyle="--", label=f"plain mean of {count}")
    axes.set_xscale("log")
    axes.set_xlim(*_CONTRAST_RANGE)
    axes.set_xlabel("light of a source in a pixel / noise of the sky")
    axes.set_ylabel("light that stays (%)")
    about = "Percent of the light of background sources that stays in the combined background"
    if not found:
        lacking = _no_light(analysis)
        axes.set_ylim(0, 110)
        axes.text(0.5, 0.15, "nothing to measure", transform=axes.transAxes, ha="center")
        axes.legend(fontsize=8)
        axes.set_title(textwrap.fill(lacking, 80), fontsize=10)
        return described(figure, f"{about}: a diagram without points. {lacking}.")
    contrasts = [leak.contrast for leak in found]
    axes.plot(
        contrasts,
        [leak.predicted for leak in found],
        "x-",
        color=COLOURS[1],
        markersize=9,
        label="predicted",
    )
    axes.errorbar(
        contrasts,
        [leak.measured for leak in found],
        [leak.error for leak in found],
        fmt="o",
        color=COLOURS[0],
        capsize=2,
        label="measured",
    )
    axes.legend(fontsize=8)
    worst = max(abs(leak.measured - leak.predicted) / leak.error for leak in found)
    title = (
        f"What sigma = {analysis.products.sigma:g} leaves of background sources: at most "
        f"{worst:.1f} standard errors off theory"
    )
    axes.set_title(title, fontsize=10)
    points = "; ".join(
        f"at {leak.contrast:.2g} times the noise {leak.measured:.1f} ± {leak.error:.2g} % "
        f"(predicted {leak.predicted:.1f} %)"
        for leak in found
    )
    return described(
        figure,
        f"{about}, by contrast: {points}. The plain mean keeps {100 / count:.3g} %. {title}.",
    )


def _no_light(analysis):
    """Return in words why there is no light of background sources to measure."""
    if _nothing_subtracted(analysis):
        return "There is no combined background: nothing was subtracted, nothing can stay"
    brightest = max(
        float(light[analysis.masks.seen].max()) for light in analysis.expectation.background_light
    )
    if not brightest > _NO_LIGHT * analysis.expectation.sky_noise:
        return "The background exposures have no source in view: there is no light that could stay"
    return (
        "Background sources have too little light to measure what stays of it: at most "
        f"{brightest / analysis.expectation.sky_noise:.2g} times the noise in a pixel"
    )
