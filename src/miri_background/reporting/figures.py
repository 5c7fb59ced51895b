"""The figures of the validation notebook.

Every image has a perceptually uniform map, a stated stretch and unit, and every
title the number that the figure is about.  The range of colours follows light and noise.
A figure brings its alternative text, made of the same numbers, as its attribute ``alt``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from miri_background.instrument.footprint import illuminated, regions, within_regions
from miri_background.reporting.background_figures import sky_level
from miri_background.reporting.drawing import (
    COLOURS,
    NOISE_RANGE,
    STANDS_OUT,
    colour_reach,
    described,
    draw,
    write_title,
)
from miri_background.reporting.words import counted, listed
from miri_background.validation.measurements.statistical import aperture_pulls, line_means
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import in_two_dimensions, source_positions
from miri_background.validation.verdict.limits import severity

__all__ = ["rates_figure", "residuals_figure", "structure_figure", "subtracted_figure"]

_BRIGHT = 99.9  # percentile of the science pixels that colours reach to
_MARKERS = "osD^vP"


def _gallery(columns, subarrays, images, titles, low, high, label):
    """Return a figure of detector images, of a subarray each, with one stretch."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    one_frame = len(set(subarrays)) == 1
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(11, 2.75 * rows + 0.7),
        sharex=one_frame,
        sharey=one_frame,
        layout="compressed",
        squeeze=False,
    )
    for panel, subarray, image, title in zip(axes.flat, subarrays, images, titles, strict=False):
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


def _part_that_stands_out(values, level, noise):
    """Return which part of the pixels that see the sky is brighter than its noise, percent."""
    high = [each > level + STANDS_OUT * noise for each in values]
    return 100 * float(np.mean(high))


def rates_figure(science, backgrounds) -> Figure:
    """Return the science and background rates."""
    images = [in_two_dimensions(image).data for image in (*science, *backgrounds)]
    titles = [
        f"{field} {number}"
        for field, rates in (("science", science), ("background", backgrounds))
        for number in range(1, len(rates) + 1)
    ]
    subarrays = [image.header["SUBARRAY"] for image in (*science, *backgrounds)]
    values = [
        image[illuminated(subarray)] for image, subarray in zip(images, subarrays, strict=True)
    ]
    level = float(np.nanmedian(values[len(science)]))
    # A difference has neither the gradient nor the shadows of the sky.
    pair = values[-1] - values[-2]
    noise = float(clipped_scatter(pair[np.isfinite(pair)]) / np.sqrt(2))
    bright = np.nanpercentile(np.array(values[: len(science)]), _BRIGHT) - level
    above = max(colour_reach(noise, images[0]), min(0.5 * level, bright))
    below = max(0.4 * above, 0.6 * colour_reach(noise, images[0]))
    label = "rate (DN/s, linear stretch)"
    figure = _gallery(4, subarrays, images, titles, level - below, level + above, label)
    parts = [
        f"{_part_that_stands_out(rates, level, noise):.2g} % of the {field} pixels"
        for field, rates in (
            ("science", values[: len(science)]),
            ("background", values[len(science) :]),
        )
    ]
    parts_of_detector = list(dict.fromkeys(name for each in subarrays for name in regions(each)))
    title = write_title(
        figure, f"Rates of calwebb_detector1: sky of {level:.2f} DN/s under the sources"
    )
    return described(
        figure,
        f"Detector images of {counted(len(science), 'science exposure')} and "
        f"{counted(len(backgrounds), 'background exposure')} ({listed(parts_of_detector)}) "
        f"in the same colours. {title}; noise of a pixel {noise:.2g} DN/s. "
        f"{' and '.join(parts)} are more than {STANDS_OUT:g} times the noise above the sky.",
    )


def subtracted_figure(analysis) -> Figure:
    """Return the background-subtracted science exposures."""
    images = [image.data for image in analysis.subtracted]
    titles = [f"science {number} subtracted" for number in range(1, len(images) + 1)]
    means = [
        analysis.residuals.images[number][analysis.residuals.judged[number]].mean()
        for number in range(len(images))
    ]
    high = NOISE_RANGE * analysis.expectation.sky_noise
    subarrays = [analysis.expectation.subarray] * len(images)
    figure = _gallery(4, subarrays, images, titles, -high, high, "DN/s, linear stretch")
    title = write_title(
        figure,
        f"After subtraction: of {sky_level(analysis):.2f} DN/s of sky, "
        f"{np.mean(means):+.4f} are left where no source is",
        _sources_in_view(analysis),
    )
    return described(
        figure,
        f"{counted(len(images), 'background-subtracted science exposure')} "
        f"({listed(list(analysis.masks.regions))}), in colours of {NOISE_RANGE:g} times the noise "
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
    bright = np.count_nonzero(peaks > STANDS_OUT * analysis.expectation.sky_noise)
    return (
        f"Exposure 1 has {counted(peaks.size, 'source')} in view, {bright or 'none'} of them "
        f"more than {STANDS_OUT:g} times the noise in the central pixel"
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
    reach = colour_reach(analysis.expectation.sky_noise, residual)
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
