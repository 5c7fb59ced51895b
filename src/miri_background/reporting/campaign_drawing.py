"""Points of a campaign's figures and how they are drawn: means over seeds, with theory beside."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from miri_background.reporting.drawing import COLOURS, described

__all__ = [
    "SIZE",
    "CampaignFigure",
    "Point",
    "bars",
    "finished",
    "lines",
    "log_ticks",
    "points",
    "told",
]

_MARKERS = "osD^vPX<>ph*d"
SIZE = (7.0, 4.2)  # inches


@dataclass(frozen=True)
class Point:
    """Mean of a score over the seeds of one way on scenes that differ in nothing else.

    Parameters
    ----------
    way : str
        Words of the way.
    value : float or str
        Of the parameter that is varied.
    mean, error : float
        Mean over seeds and its standard error.
    seeds : int
        How many.
    expected : float
        What theory says; not a number where it says nothing.
    """

    way: str
    value: object
    mean: float
    error: float
    seeds: int
    expected: float = np.nan


@dataclass(frozen=True)
class CampaignFigure:
    """A figure with what it shows.

    Parameters
    ----------
    name : str
        Of its files.
    figure : matplotlib.figure.Figure
        With its alternative text.
    conclusion : str
        One sentence.
    limits : str
        For what it holds.
    points : dict of list of Point
        Numbers by score.
    """

    name: str
    figure: object
    conclusion: str
    limits: str
    points: dict


def points(rows, parameter, score, expected=None):
    """Return means of a score by way and parameter, in the order of the rows.

    Parameters
    ----------
    rows : list of dict
        Of a study.
    parameter : str
        Column that is varied.
    score : str
        Column that is averaged.
    expected : callable, optional
        Gives what theory says of a row.

    Returns
    -------
    list of Point
        Without those of which no seed has a number.
    """
    groups = defaultdict(list)
    for row in rows:
        if row[score] is not None and np.isfinite(row[score]):
            groups[row["way"], row[parameter]].append(row)
    found = []
    for (way, value), group in groups.items():
        numbers = np.array([row[score] for row in group])
        error = numbers.std(ddof=1) / np.sqrt(numbers.size) if numbers.size > 1 else np.nan
        theory = expected(group) if expected else np.nan
        mean = float(numbers.mean())
        found.append(Point(way, value, mean, float(error), numbers.size, theory))
    ways = list(dict.fromkeys(each.way for each in found))
    # Numbers ascend; words keep their order.
    return sorted(
        found,
        key=lambda each: (
            ways.index(each.way),
            each.value if isinstance(each.value, int | float) else 0,
        ),
    )


def lines(axes, found, label=True):
    """Draw a line for each way, with theory dashed.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    found : list of Point
        Those of a way are joined.
    label : bool, optional
        Whether the legend names them.
    """
    for number, way in enumerate(dict.fromkeys(each.way for each in found)):
        mine = [each for each in found if each.way == way]
        colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]
        values = [each.value for each in mine]
        axes.errorbar(
            values,
            [each.mean for each in mine],
            [each.error for each in mine],
            color=colour,
            marker=marker,
            markersize=4,
            capsize=2,
            linewidth=1.2,
            label=way if label else None,
        )
        theory = [each.expected for each in mine]
        if np.isfinite(theory).any():
            axes.plot(values, theory, "--", color=colour, linewidth=2.5, alpha=0.4)


def bars(axes, found, unit):
    """Draw ways one below the other, a mark for each value of the parameter.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    found : list of Point
        Of one score.
    unit : str
        What is along x.
    """
    ways = list(dict.fromkeys(each.way for each in found))
    values = list(dict.fromkeys(each.value for each in found))
    for number, value in enumerate(values):
        mine = {each.way: each for each in found if each.value == value}
        places = [place for place, way in enumerate(ways) if way in mine]
        offset = 0.6 * (number / max(len(values) - 1, 1) - 0.5)
        axes.errorbar(
            [mine[ways[place]].mean for place in places],
            np.array(places) + offset,
            xerr=[mine[ways[place]].error for place in places],
            fmt=_MARKERS[number % len(_MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=5,
            capsize=2,
            label=str(value),
        )
    axes.set_yticks(range(len(ways)), ways, fontsize=8)
    axes.set_ylim(len(ways) - 0.4, -0.6)
    axes.set_xlabel(unit)
    axes.grid(axis="y", color="0.9")
    axes.axvline(0, color="0.6", linewidth=0.8)


def log_ticks(axes, values):
    """Make the x axis logarithmic, with a tick at each of a few values.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    values : iterable of float
        Those that have a point.
    """
    ticks = sorted(set(values))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def finished(name, figure, conclusion, limits, of_scores):
    """Return a figure with its alternative text.

    Parameters
    ----------
    name : str
        Of its files.
    figure : matplotlib.figure.Figure
        What was drawn.
    conclusion, limits : str
        What it says, and for what.
    of_scores : dict of list of Point
        The numbers in it, by score.

    Returns
    -------
    CampaignFigure
        All together.
    """
    numbers = "; ".join(
        f"{score}, {each.way} at {each.value}: {told(each)}"
        for score, found in of_scores.items()
        for each in found
    )
    described(figure, f"{conclusion} {numbers}.")
    return CampaignFigure(name, figure, conclusion, limits, of_scores)


def told(point):
    """Return a mean with its error.

    Parameters
    ----------
    point : Point
        Its error is not a number if it has one seed.

    Returns
    -------
    str
        Both, rounded.
    """
    if not np.isfinite(point.error):
        return f"{point.mean:.3g}"
    return f"{point.mean:.3g} ± {float(f'{point.error:.1g}'):g}"
