"""The figures of the combined background: its noise, one star, and the light that stays."""

import textwrap
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from miri_background.instrument.footprint import within_regions
from miri_background.reporting.drawing import (
    COLOURS,
    COLOURS_OF_IMAGES,
    NOISE_RANGE,
    STANDS_OUT,
    colour_reach,
    described,
    draw,
    write_title,
)
from miri_background.validation.measurements.against_truth import leak_of
from miri_background.validation.prediction.clipping_theory import largest_deviation
from miri_background.validation.products.images import source_positions

__all__ = ["combined_background_figure", "leak_figure", "sky_level", "star_figure"]

_CUTOUT = 15  # pixels around a star
_NO_LIGHT = 0.01  # standard deviations of a pixel: less is nothing
_CONTRAST_RANGE, _CONTRAST_CLASSES = (0.5, 500.0), 12  # of the figure of leaking light


def sky_level(analysis):
    """Return the mean of the combined background on empty sky, DN/s."""
    return float(analysis.expectation.combined.data[analysis.masks.sky].mean())


def combined_background_figure(analysis) -> Figure:
    """Return one background, the average that was subtracted, and its noise against truth."""
    products = analysis.products
    level = sky_level(analysis)
    combined = combined_image(analysis)
    truth = products.background_truth[0].background
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
    images = (analysis.expectation.backgrounds[0].data, combined, combined - truth)
    titles = ("background 1", "combined background", "combined background − true sky")
    single = colour_reach(analysis.expectation.sky_noise, combined)
    of_mean = np.sqrt(analysis.expectation.clipping.variance)
    of_mean = colour_reach(of_mean, combined)
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
    title = write_title(
        figure,
        f"On empty sky, the combined background is {float(difference.mean()):+.4f} DN/s off the "
        "true sky",
        nothing_subtracted(analysis),
    )
    count = len(analysis.expectation.backgrounds)
    return described(
        figure,
        f"One of {count} background exposures, the combined background, and the difference of the "
        f"combined background from the true sky. {title}. The difference scatters by "
        f"{difference.std():.2g} DN/s from pixel to pixel.",
    )


def nothing_subtracted(analysis):
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


def combined_image(analysis):
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
    combined = combined_image(analysis)[box]
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
            cmap=COLOURS_OF_IMAGES,
            vmin=level - 3 * noise,
            vmax=level + max(NOISE_RANGE * noise, light / 4),
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
    title = write_title(
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
    nothing = nothing_subtracted(analysis)
    if nothing:
        return nothing
    if light < STANDS_OUT * noise:
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
    if nothing_subtracted(analysis):
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
