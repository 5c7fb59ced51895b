"""The history of a metric as a picture: values, errors, limits and builds, run after run."""

import math
import re
from io import StringIO
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from miri_background.outcomes import Outcome

__all__ = ["DARK", "history_svg", "repainted"]

_INK, _FAINT, _GRID, _BAND = "#1b2733", "#4d5b6a", "#d5dbe1", "#d9e8f5"
_PASSED, _FAILED, _EDGE = "#0a5a9c", "#b3261e", "#5f8fb8"
# What each colour becomes on a dark page.
DARK = {
    _INK: "#e6e9ed",
    _FAINT: "#b4bdc7",
    _GRID: "#3a4552",
    _BAND: "#1f3a52",
    _PASSED: "#7fc1ff",
    _FAILED: "#ff9d94",
    _EDGE: "#6f9fc8",
}
_WIDTH, _PANEL, _ABOVE, _BELOW = 8.6, 1.2, 0.35, 0.72  # inch
_ROOM = 1.7  # limits that the axis reaches to; what is further off is drawn at its edge
_TICKS = 7  # dates along the axis
_NAMESPACE = "http://www.w3.org/2000/svg"
_LINKS = "http://www.w3.org/1999/xlink"
# Lines end as matplotlib's own style sheet, which a strict page would not let through, has it.
_JOINTS = {"stroke-linejoin": "round", "stroke-linecap": "butt"}


def history_svg(criterion, unit, series):
    """Return the history of a criterion as SVG that needs no style sheet.

    Parameters
    ----------
    criterion, unit : str
        What is shown.
    series : dict of list of Run
        By observation, its runs in order of time.

    Returns
    -------
    str
        A panel for each observation: the worst metric of each run with its standard error, in
        the band of its limit.
    """
    height = (_PANEL + _BELOW) * len(series) + _ABOVE
    figure = Figure(figsize=(_WIDTH, height))
    # Set by hand: to find margins that fit, each picture would have to be drawn three times.
    edges = {"left": 0.1, "right": 0.985, "bottom": _BELOW / height, "top": 1 - _ABOVE / height}
    panels = figure.subplots(
        len(series), 1, squeeze=False, gridspec_kw=edges | {"hspace": _BELOW / _PANEL}
    )[:, 0]
    style = {"svg.fonttype": "path", "svg.hashsalt": criterion, "font.size": 9}
    with mpl.rc_context(style):
        for axes, (name, runs) in zip(panels, series.items(), strict=True):
            _draw_panel(axes, name, criterion, runs)
        label = {"color": _INK, "fontsize": 9.5}
        figure.text(0.015, 0.5, f"{criterion} ({unit})", rotation=90, va="center", **label)
        below = "day of the run (UTC), and the build of jwst where it is another than before"
        figure.text(0.54, 0.07 / height, below, ha="center", va="bottom", **label)
        stream = StringIO()
        figure.savefig(
            stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return _without_styles(stream.getvalue())


def repainted(svg):
    """Return a picture in the colours of a dark page."""
    return re.sub("|".join(DARK), lambda found: DARK[found[0]], svg)


def _draw_panel(axes, name, criterion, runs):
    """Draw the runs of one observation."""
    metrics = [run.worst.get(criterion) for run in runs]
    places = np.arange(len(runs))
    limits = np.array([metric.limit if metric else np.nan for metric in metrics])
    reach = _reach(metrics, limits)
    exact = not np.nanmax(limits, initial=0.0) > 0
    low = -0.12 * reach if exact else -reach
    axes.set_ylim(low, reach)
    axes.set_xlim(-0.6, max(len(runs) - 0.4, 5.6))
    _draw_limits(axes, places, limits, exact)
    _draw_values(axes, metrics, reach)
    for place, (run, metric) in enumerate(zip(runs, metrics, strict=True)):
        if metric is None:
            symbol = Outcome.of(run.record.outcome).symbol
            axes.annotate(
                symbol,
                (place, low),
                (0, 4),
                textcoords="offset points",
                color=_INK,
                ha="center",
                fontsize=10,
                fontweight="bold",
            )
    _mark_builds(axes, runs)
    axes.set_title(name, loc="left", fontsize=10, color=_INK, fontweight="bold")
    axes.tick_params(colors=_FAINT, labelcolor=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="y", nbins=4, integer=exact)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_FAINT)


def _reach(metrics, limits):
    """Return how far the axis goes, so that limits and all values near them are seen."""
    largest = np.nanmax(limits, initial=0.0)
    if largest > 0:
        return _ROOM * largest
    values = [abs(metric.value) for metric in metrics if metric and math.isfinite(metric.value)]
    return 1.15 * max([1.0, *values])


def _draw_limits(axes, places, limits, exact):
    """Draw the band in which a value passes; a line where it has to be 0."""
    if exact:
        axes.axhline(0, color=_EDGE, linewidth=1.2)
        return
    edges = np.column_stack([places - 0.5, places + 0.5]).ravel()
    steps = np.repeat(limits, 2)
    axes.fill_between(edges, -steps, steps, color=_BAND, linewidth=0)
    for sign in (-1, 1):
        axes.plot(edges, sign * steps, color=_EDGE, linewidth=1, linestyle="--")
    axes.axhline(0, color=_EDGE, linewidth=0.6)


def _draw_values(axes, metrics, reach):
    """Draw values with errors; one that is off the axis at its edge, with the number."""
    edge = 0.93 * reach
    for passed, marker, size, colour in ((True, "o", 5, _PASSED), (False, "X", 9, _FAILED)):
        mine = [(place, each) for place, each in enumerate(metrics) if each]
        mine = [(place, each) for place, each in mine if each.passed is passed]
        if not mine:
            continue
        values = np.array([each.value for _, each in mine])
        shown = np.nan_to_num(values, nan=edge).clip(-edge, edge)
        errors = np.array([each.standard_error or np.nan for _, each in mine])
        errors[shown != values] = np.nan
        axes.errorbar(
            [place for place, _ in mine],
            shown,
            errors,
            fmt=marker,
            color=colour,
            markersize=size,
            capsize=2.5,
            linewidth=1,
            zorder=3,
        )
        _name_values_off_the_axis(axes, mine, shown, len(metrics), colour)


def _name_values_off_the_axis(axes, mine, shown, number, colour):
    """Write the number beside what is drawn at the edge, where there is room for it."""
    room = max(1, number // _TICKS)  # places that a number takes
    written = -room
    for (place, each), at in zip(mine, shown, strict=True):
        if at != each.value and place - written >= room:
            last = place + room >= number
            axes.annotate(
                f"{each.value:.3g}",
                (place, at),
                (-8 if last else 8, 0),
                textcoords="offset points",
                ha="right" if last else "left",
                va="center",
                fontsize=8.5,
                color=colour,
            )
            written = place


def _mark_builds(axes, runs):
    """Write days below the axis, and the build where it is another than before."""
    known = [run.build if run.verdict else None for run in runs]
    changes, build = [], None
    for place, each in enumerate(known):
        if each is not None and each != build:
            if build is not None:
                axes.axvline(place - 0.5, color=_FAINT, linewidth=1, linestyle=":")
            changes.append(place)
            build = each
    every = max(1, math.ceil(len(runs) / _TICKS))
    clear = max(1, every - every // 3)
    days = [
        place
        for place in range(0, len(runs), every)
        if all(place == change or abs(place - change) >= clear for change in changes)
    ]
    places = sorted({*changes, *days})
    labels = [
        f"{runs[place].started:%b %d}" + (f"\n{known[place]}" if place in changes else "")
        for place in places
    ]
    axes.set_xticks(places, labels, fontsize=8)


def _without_styles(svg):
    """Return a picture whose looks are in attributes that every content policy lets through."""
    ET.register_namespace("", _NAMESPACE)
    ET.register_namespace("xlink", _LINKS)
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.split("}")[-1] in ("style", "metadata"):
                parent.remove(child)
    for element in root.iter():
        declared = element.attrib.pop("style", "")
        for name, _, value in (each.partition(":") for each in declared.split(";") if each.strip()):
            element.set(name.strip(), value.strip())
    for name, value in _JOINTS.items():
        root.set(name, value)
    return ET.tostring(root, encoding="unicode")
