"""The plot of advice: error of a flux and light that stays, by sigma and by what is left out."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from miri_background.advice.members import APERTURE
from miri_background.reporting import drawing
from miri_background.reporting.drawing import COLOURS, described
from miri_background.reporting.report.page import Advised
from miri_background.reporting.report.pictures import pictured

__all__ = ["advice_figure", "advised", "show"]

_SIZE = (5.0, 5.0)  # inches
_LAYOUT = {"left": 0.14, "right": 0.97, "bottom": 0.1, "top": 0.93, "hspace": 0.1}
_MARKERS = "osD^vP"


def advice_figure(advice) -> Figure:
    """Return error of a flux and light that stays against sigma, a line for each set of exposures.

    Parameters
    ----------
    advice : Advice
        With what was tried.

    Returns
    -------
    matplotlib.figure.Figure
        With its alternative text; the light only where there is any.
    """
    effects = [each for each in advice.tried if each.choice.maxiters == advice.done.choice.maxiters]
    has_light = any(np.isfinite(each.light) for each in effects)
    figure, axes = plt.subplots(
        1 + has_light, figsize=_SIZE, sharex=True, squeeze=False, gridspec_kw=_LAYOUT
    )
    subsets = list(dict.fromkeys(each.choice.left_out for each in effects))
    for number, left_out in enumerate(subsets):
        mine = sorted(
            (each for each in effects if each.choice.left_out == left_out),
            key=lambda each: each.choice.sigma,
        )
        names = " and ".join(str(each + 1) for each in left_out)
        look = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "markersize": 4,
            "linewidth": 1.6 if not left_out else 0.9,
            "label": f"without {names}" if left_out else "all backgrounds",
        }
        sigmas = [each.choice.sigma for each in mine]
        axes[0, 0].plot(sigmas, [advice.excess(each) for each in mine], **look)
        if has_light:
            errors = [each.light_error for each in mine]
            axes[1, 0].errorbar(sigmas, [each.light for each in mine], errors, capsize=2, **look)
    _mark_choices(axes[:, 0], advice)
    axes[0, 0].set_ylabel("error over the best possible (%)")
    axes[0, 0].set_ylim(bottom=min(0, axes[0, 0].get_ylim()[0]))
    axes[0, 0].legend(fontsize=7.5, ncols=2)
    if has_light:
        axes[1, 0].set_ylabel("light that stays (%)")
    axes[-1, 0].set_xlabel("sigma")
    title = f"Error of a flux in {APERTURE} x {APERTURE} pixels near background sources"
    axes[0, 0].set_title(title, fontsize=10)
    of_all = [each for each in effects if not each.choice.left_out]
    numbers = "; ".join(
        f"sigma {each.choice.sigma:g}: {advice.excess(each):+.1f} %"
        + (f", {each.light:.0f} % of the light stays" if np.isfinite(each.light) else "")
        for each in sorted(of_all, key=lambda each: each.choice.sigma)
    )
    return described(
        figure,
        f"{title} over the best possible, against sigma, for {len(subsets)} sets of backgrounds. "
        f"With all of them: {numbers}. {advice.line}",
    )


def _mark_choices(panels, advice):
    """Mark what was done, and what is recommended where that is something else."""
    chosen = [(advice.done, "o", 13, "done")]
    if advice.changes:
        chosen.append((advice.recommended, "*", 14, "recommended"))
    for effect, marker, size, words in chosen:
        for panel, value in zip(panels, (advice.excess(effect), effect.light), strict=False):
            panel.plot(
                effect.choice.sigma,
                value,
                marker,
                markersize=size,
                markerfacecolor="none",
                color="0.1",
                label=words if panel is panels[0] else None,
                linestyle="none",
            )


def show(advice, path):
    """Show the plot of advice, where anything could be tried, and write it.

    Parameters
    ----------
    advice : Advice
        What is recommended.
    path : pathlib.Path
        PNG file to write.
    """
    if advice.done is not None:
        drawing.show(advice_figure(advice), path)


def advised(advice):
    """Return advice as a page shows it.

    Parameters
    ----------
    advice : Advice
        What is recommended.

    Returns
    -------
    Advised
        Line, sentences, plot and table.
    """
    if advice.done is None:
        return Advised(advice.line)
    shown = pictured(
        "advice",
        advice_figure(advice),
        "What each sigma would make of all backgrounds, and of all but one where that was tried.",
    )
    return Advised(
        advice.line, advice.sentences, (shown,), advice.CAPTION, advice.HEADS, advice.rows()
    )
