"""The pictures of a report page: what was subtracted, before and after, and the limits.

They need neither truth, nor sources, nor a known geometry.  What has nothing to show has no
picture.  Each is narrow enough for a phone, and brings its alternative text, made of its numbers.
"""

import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from miri_background.files import replace_recorded
from miri_background.reporting.drawing import COLOURS, described, picture
from miri_background.reporting.mosaic_figures import catalogue_figure, without_figure
from miri_background.reporting.pictured import COMBINED, LIMITS, MOSAIC, PREFIX, SIDES, Pictured
from miri_background.reporting.report.blocks import (
    SIZE,
    Blocks,
    figure_of,
    stretch_around_level,
    stretch_of_rest,
)
from miri_background.reporting.report.page import SCALE
from miri_background.reporting.words import counted
from miri_background.validation.measurements.build import skipped
from miri_background.validation.measurements.measurement import share_of_limit
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import DO_NOT_USE, in_two_dimensions
from miri_background.validation.verdict.limits import severity, worst_of_each

__all__ = ["limits_figure", "pictured", "pictures_of", "write_pictures"]

_AXIS_END = 1.6  # limits: what is further off stands at the edge with its number
_OF_LIMITS = {"left": 0.33, "right": 0.96, "bottom": 0.12, "top": 0.92}


def pictured(name, figure, caption):
    """Return a figure as a picture of a page, so fine that it is crisp on any screen.

    Parameters
    ----------
    name : str
        Of its file, without the ending.
    figure : matplotlib.figure.Figure
        The figure, with its alternative text; closed afterwards.
    caption : str
        What stands below it.

    Returns
    -------
    Pictured
        With alternative text and caption inside.
    """
    figure.caption = caption
    return Pictured(name, picture(figure, SCALE))


def pictures_of(metrics, analysis=None, mosaic=None):
    """Return the pictures of a judgement.

    Parameters
    ----------
    metrics : list of Metric
        What was judged.
    analysis : Analysis or ExactAnalysis, optional
        The products, with their expectation if there is one.
    mosaic : MosaicJudgement, optional
        What was made of the same exposures by calwebb_image3.

    Returns
    -------
    list of Pictured
        Those that have something to show.
    """
    drawn = []
    if analysis is not None:
        drawn += [(COMBINED, *each) for each in _combined(analysis)]
        pair = before_and_after(analysis, _exposure_to_show(metrics, analysis))
        drawn += [(name, *each) for name, each in zip(SIDES, pair, strict=False)]
    # The mosaic has limits of its own below.
    metrics = [each for each in metrics if mosaic is None or each not in mosaic.metrics]
    if metrics:
        of_what = "" if mosaic is None else " of the exposures"
        caption = f"Every criterion{of_what} against its limit."
        drawn.append((LIMITS, limits_figure(metrics), caption))
    if mosaic is not None:
        drawn += _of_mosaic(mosaic)
    return [pictured(*each) for each in drawn]


def write_pictures(judgement, directory, mosaic=None):
    """Write the pictures of a judgement, for the page that is made of a notebook later.

    Parameters
    ----------
    judgement : Judgement
        Products that were judged.
    directory : pathlib.Path
        Where to.
    mosaic : MosaicJudgement, optional
        What was made of the same exposures by calwebb_image3.
    """
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        pictures = pictures_of(judgement.metrics, judgement.analysis, mosaic)
    for each in pictures:
        with replace_recorded(directory / f"{PREFIX}{each.name}.png") as aside:
            aside.write_bytes(each.content)


def _exposure_to_show(metrics, analysis):
    """Return the number, from 0, of the science exposure that breaks a limit most, else the first.

    Only an exposure that has something to show is chosen.
    """
    broken = [each for each in metrics if not each.passed and each.exposure]
    broken.sort(key=severity, reverse=True)
    return next(
        (each.exposure - 1 for each in broken if each.exposure <= len(analysis.subtracted)), 0
    )


# ------------------------------------------------------------------ images


def _seen(analysis, *images):
    """Return the pixels that see the sky and that none of some images flags."""
    seen = np.array(analysis.lit)
    for image in images:
        seen &= (image.dq & DO_NOT_USE) == 0
    return seen


def _combined(analysis):
    """Yield figure and caption of the combined background, if there is one."""
    combined = next((each for each in analysis.products.combined if each is not None), None)
    if combined is None:
        return
    count = len(analysis.products.backgrounds)
    kept = analysis.combined.kept > 0
    image = Blocks.of(combined.data, _seen(analysis) & kept)
    values = image.values
    if not values.size:
        return
    level = float(np.median(values))
    scatter = float(clipped_scatter(values))
    norm = stretch_around_level(values)
    title = f"Combined background: {level:.4g} DN/s"
    figure = figure_of(image, norm, title, f"DN/s, linear, {image.words}")
    alt = (
        f"Detector image of the combined background, the average of "
        f"{counted(count, 'background exposure')}: its median is {level:.4g} DN/s, displayed "
        f"values scatter by {scatter:.2g} DN/s around it, and reach from {values.min():.4g} to "
        f"{values.max():.4g} DN/s."
    )
    what = f"the sigma-clipped average of {count} backgrounds" if count > 1 else "the background"
    yield (
        described(figure, alt),
        f"What was subtracted: {what}.",
    )


def before_and_after(analysis, number):
    """Return a science exposure before and after the subtraction, on one stretch.

    Parameters
    ----------
    analysis : Analysis
        The products with their expectation.
    number : int
        Science exposure, from 0.

    Returns
    -------
    list of (matplotlib.figure.Figure, str)
        Two figures with their captions; none if no pixel can be shown.
    """
    rate = in_two_dimensions(analysis.products.science[number])
    subtracted = analysis.subtracted[number]
    good = _seen(analysis, rate, subtracted)
    before, after = (Blocks.of(image.data, good) for image in (rate, subtracted))
    if not before.values.size or not after.values.size:
        return []
    level = float(np.median(before.values))
    structures = [float(clipped_scatter(image.values)) for image in (before, after)]
    # Of the quieter one: what it shows is what is left.
    scatter = min(filter(None, structures), default=1e-3)
    norm = stretch_of_rest(after.values, scatter)
    label = f"DN/s, asinh, {before.words}"
    shifted = Blocks(before.blocks - level, before.size_of_block)
    nothing = skipped(analysis.products, number)
    exposure = f"Science exposure {number + 1}"
    same = "in the same colours as the other, so faint that the noise is just seen"
    without = ": nothing was subtracted" if nothing else ""
    spreads = [f"{each:.2g} DN/s from block to block" for each in structures]
    rest = _rest(analysis, number, after)
    sides = (
        (
            shifted,
            f"Before: less its median of {level:.4g} DN/s",
            f"{exposure} before the subtraction, less its median of {level:.4g} DN/s, {same}. ",
            f"{exposure} before: sky, shadows and noise ({spreads[0]}).",
        ),
        (
            after,
            f"After: {rest}",
            f"{exposure} after the subtraction{without}, {same}: {rest}. ",
            f"The same after{without}, on the same stretch ({spreads[1]}).",
        ),
    )
    return [
        (
            described(
                figure_of(image, norm, title, label), f"{alt}Its values scatter by {spread}."
            ),
            caption,
        )
        for (image, title, alt, caption), spread in zip(sides, spreads, strict=True)
    ]


def _rest(analysis, number, after):
    """Return in words what is left of the sky: where no source is, if that is known."""
    empty = analysis.residuals and analysis.residuals.judged[number]
    if empty is None or not empty.any():
        return f"the median is {np.median(after.values):+.2g} DN/s"
    left = np.mean(analysis.residuals.images[number][empty])
    return f"{left:+.2g} DN/s is left on empty sky"


def _of_mosaic(judgement):
    """Yield name, figure and caption of the pictures of a mosaic."""
    before, after, limits = MOSAIC
    without = without_figure(judgement, SIZE)
    if without is not None:
        yield before, without, "What the mosaic would be without the subtraction."
    words = "The mosaic with the entries of its catalogue."
    yield after, catalogue_figure(judgement, SIZE), words
    if judgement.metrics:
        words = "Every criterion of the mosaic against its limit."
        yield limits, limits_figure(judgement.metrics), words


# ------------------------------------------------------------------ limits


def limits_figure(metrics) -> Figure:
    """Return how close each criterion comes to its limit, failures on top."""
    shares = [
        (not each.passed, share_of_limit(each.value, each.limit), each)
        for each, _, _ in worst_of_each(metrics)
    ]
    shares.sort(key=lambda each: each[:2])
    worst = [metric for _, _, metric in shares]
    figure, axes = plt.subplots(figsize=SIZE, gridspec_kw=_OF_LIMITS)
    axes.axvspan(0, 1, color="0.92", zorder=0)
    axes.axvline(1, color="0.35", linewidth=1.2)
    for row, (broken, share, metric) in enumerate(shares):
        shown = min(share, _AXIS_END)
        colour, marker = (COLOURS[1], "X") if broken else (COLOURS[0], "o")
        axes.plot([0, shown], [row, row], color=colour, linewidth=1.2, zorder=1)
        axes.plot(shown, row, marker, color=colour, markersize=7, clip_on=False, zorder=3)
        if share > _AXIS_END:
            times = f"{share:.2g} x" if math.isfinite(share) else metric.value_text()
            axes.text(shown - 0.06, row + 0.14, times, ha="right", va="bottom", fontsize=8)
    axes.set_yticks(range(len(worst)), [metric.name for metric in worst], fontsize=8.5)
    axes.set_ylim(-0.7, len(worst))
    axes.set_xlim(0, _AXIS_END)
    axes.set_xticks([0, 0.5, 1, 1.5])
    axes.set_xlabel("worst value / limit")
    failed = [metric for metric in worst if not metric.passed]
    title = (
        f"{len(failed)} of {counted(len(worst), 'criterion', 'criteria')} broken"
        if failed
        else f"All {counted(len(worst), 'criterion', 'criteria')} within their limits"
    )
    axes.set_title(title, fontsize=11)
    closest = worst[-1]
    worst_words = "; ".join(each.sentence() for each in reversed(failed)) or (
        f"closest to its limit is {closest.sentence()}"
    )
    return described(
        figure, f"For each criterion its worst value over its limit. {title}: {worst_words}."
    )
