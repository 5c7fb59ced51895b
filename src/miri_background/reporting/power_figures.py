"""The figures of the notebook on what the criteria can detect.

Each brings its alternative text, made of the same numbers, as its attribute ``alt``.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from miri_background.reporting.drawing import COLOURS, described
from miri_background.reporting.words import counted, listed

__all__ = [
    "catches_figure",
    "false_alarms_figure",
    "kill_matrix_figure",
    "predecessor_figure",
]

_FIRST, _FURTHER, _PREDECESSOR = COLOURS[1], COLOURS[4], COLOURS[2]
_MOST = 99  # times the limit: larger ratios have the same colour
_ROW = 0.2  # inch: the height of a fault
_PREDECESSORS_NAME = "predecessor"
_COLUMNS = 4  # panels in a row
_EDGES = np.linspace(-4.5, 4.5, 28)  # of histograms, standard deviations


def kill_matrix_figure(matrix, families=None) -> Figure:
    """Return faults by criteria: what notices each, and which is the cheapest that does.

    Parameters
    ----------
    matrix : KillMatrix
        What noticed the faults.
    families : sequence of str, optional
        Families of faults to show; all if not given.

    Returns
    -------
    matplotlib.figure.Figure
        A number is how many times the limit a statistic is; a dot, that the limit is 0.
    """
    rows = [row for row in matrix.rows if families is None or row.family in families]
    columns = [*matrix.criteria, _PREDECESSORS_NAME]
    figure, axes = plt.subplots(figsize=(11, _ROW * (len(rows) + 10)), layout="constrained")
    for height, row in enumerate(rows):
        _draw_row(axes, height, row, matrix)
        if row.fault in matrix.predecessor:
            axes.plot(len(matrix.criteria), height, "^", color=_PREDECESSOR, markersize=7)
    _rule_families(axes, rows, len(columns))
    axes.axvline(len(columns) - 1.5, color="0.4", linewidth=1)
    axes.set_xticks(range(len(columns)), columns, rotation=55, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), [row.fault for row in rows], fontsize=8)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color("0.1" if row.as_it_should else COLOURS[3])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    _explain_symbols(axes)
    axes.set_title(_sentence(matrix, rows), fontsize=10)
    return described(
        figure,
        f"Matrix of {counted(len(rows), 'broken or correct step')} by "
        f"{counted(len(matrix.criteria), 'criterion', 'criteria')}. {_sentence(matrix, rows)}. "
        f"{_unnoticed(rows)} {_firsts(matrix, rows)}",
    )


def _unnoticed(rows):
    """Return in words which lines of a matrix are not as they should be."""
    amiss = [row.fault for row in rows if not row.as_it_should]
    return f"Not as they should be: {listed(amiss)}." if amiss else "All are as they should be."


def _firsts(matrix, rows):
    """Return in words of how many faults each criterion is the cheapest that notices."""
    firsts = [matrix.first(row) for row in rows]
    counts = [f"{name} of {firsts.count(name)}" for name in matrix.criteria if name in firsts]
    if not counts:
        return "No criterion notices anything."
    return f"The cheapest criterion that notices is {listed(counts)}."


def _sentence(matrix, rows):
    """Return in words how many faults are caught."""
    faults = [row for row in rows if row in matrix.faults]
    caught = sum(row.caught for row in faults)
    before = sum(row.fault in matrix.predecessor for row in faults)
    return f"{caught} of {len(faults)} faults caught; {before} by the predecessor's one pixel"


def _draw_row(axes, height, row, matrix):
    """Draw what notices one fault."""
    first = matrix.first(row)
    for place, name in enumerate(matrix.criteria):
        if name in row.ratios:
            marker, colour = ("s", _FIRST) if name == first else ("o", _FURTHER)
            axes.plot(place, height, marker, color=colour, markersize=12)
            axes.text(
                place,
                height,
                _factor(row.ratios[name]),
                ha="center",
                va="center_baseline",
                fontsize=6.5,
                color="1.0" if name == first else "0.0",
            )


def _factor(ratio):
    """Return in at most three characters how many times the limit a value is."""
    if not math.isfinite(ratio):
        return "●"
    if ratio > _MOST:
        return f">{_MOST}"
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _rule_families(axes, rows, columns):
    """Draw a line where a family begins, and name it at the right."""
    starts = [0]
    starts += [
        number for number in range(1, len(rows)) if rows[number].family != rows[number - 1].family
    ]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        axes.axhline(start - 0.5, color="0.4", linewidth=0.8)
        axes.text(columns - 0.3, (start + end - 1) / 2, rows[start].family, va="center", fontsize=8)


def _explain_symbols(axes):
    """Draw the key of colours and symbols below."""
    for marker, colour, label in (
        ("s", _FIRST, "cheapest criterion that notices"),
        ("o", _FURTHER, "notices, too"),
        ("^", _PREDECESSOR, "the predecessor's criterion would have noticed"),
    ):
        axes.plot([], [], marker, color=colour, label=label, markersize=8)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=3, fontsize=8, frameon=False)
    axes.text(
        1,
        -0.012,
        "●: limit 0;  number: times the limit",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
    )


def catches_figure(matrix) -> Figure:
    """Return for each criterion how many faults it notices, and how many it alone comes first.

    Parameters
    ----------
    matrix : KillMatrix
        What noticed the faults.

    Returns
    -------
    matplotlib.figure.Figure
        Bars, the cheapest criterion on top.
    """
    names = [name for name in matrix.criteria if _notices(matrix, name) or name in matrix.idle]
    own = np.array([len(matrix.unique(name)) for name in names])
    whole = np.array([_notices(matrix, name) for name in names])
    figure, axes = plt.subplots(figsize=(11, 0.24 * len(names) + 1.2), layout="constrained")
    places = np.arange(len(names))
    axes.barh(places, own, color=_FIRST, label="no cheaper one notices them")
    axes.barh(places, whole - own, left=own, color=_FURTHER, hatch="//", label="a cheaper one does")
    for place, (few, all_of_them) in enumerate(zip(own, whole, strict=True)):
        axes.text(all_of_them + 0.3, place, f"{few} of {all_of_them}", va="center", fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("faults that the criterion notices")
    axes.legend(fontsize=8, loc="lower right")
    idle = ", ".join(matrix.idle)
    title = f"Criteria with nothing of their own: {idle or 'none'}"
    axes.set_title(title, fontsize=10)
    counts_in_words = [
        f"{name} {all_of_them}, {few} of them that no cheaper one does"
        for name, few, all_of_them in zip(names, own, whole, strict=True)
    ]
    bars = "; ".join(counts_in_words) or "no criterion notices any"
    return described(figure, f"Bars of the faults that each criterion notices: {bars}. {title}.")


def _notices(matrix, name):
    """Return how many faults a criterion notices."""
    return sum(name in row.ratios for row in matrix.faults)


def predecessor_figure(matrix) -> Figure:
    """Return by family how many faults are caught, and how many one pixel would have shown.

    Parameters
    ----------
    matrix : KillMatrix
        What noticed the faults.

    Returns
    -------
    matplotlib.figure.Figure
        Two bars for each family.
    """
    families = list(dict.fromkeys(row.family for row in matrix.faults))
    counts = {
        family: [
            (row.caught, row.fault in matrix.predecessor)
            for row in matrix.faults
            if row.family == family
        ]
        for family in families
    }
    caught, before = (
        np.array([sum(each[which] for each in counts[family]) for family in families])
        for which in (0, 1)
    )
    figure, axes = plt.subplots(figsize=(11, 0.42 * len(families) + 1.2), layout="constrained")
    places = np.arange(len(families))
    axes.barh(places - 0.2, caught, 0.38, color=_FIRST, label="all criteria")
    axes.barh(
        places + 0.2, before, 0.38, color=_PREDECESSOR, hatch="//", label="the predecessor's pixel"
    )
    for place, family in enumerate(families):
        for offset, number in ((-0.2, caught[place]), (0.2, before[place])):
            axes.text(
                number + 0.1,
                place + offset,
                f"{number} of {len(counts[family])}",
                va="center",
                fontsize=8,
            )
    axes.set_yticks(places, families, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("faults that are caught")
    axes.legend(fontsize=8, loc="center right")
    axes.set_title(_sentence(matrix, matrix.faults), fontsize=10)
    counts_in_words = [
        f"{family} {both[0]} and {both[1]} of {len(counts[family])}"
        for family, both in zip(families, zip(caught, before, strict=True), strict=True)
    ]
    return described(
        figure,
        "Bars of the faults of each family that are caught by all criteria together, and by the "
        f"one pixel that the predecessor looked at: {'; '.join(counts_in_words)}. "
        f"{_sentence(matrix, matrix.faults)}.",
    )


def false_alarms_figure(runs) -> Figure:
    """Return how each statistic of correct runs is distributed over its predicted error.

    Parameters
    ----------
    runs : astropy.table.QTable
        Correct runs; see `miri_background.detection.false_alarms`.

    Returns
    -------
    matplotlib.figure.Figure
        A histogram for each statistic, on the standard normal distribution.
    """
    deviations = np.asarray(runs["deviation"], dtype=float)
    named = [
        name
        if region in ("imager", "whole array")
        else f"{name}, {region.removeprefix('imager, ')}"
        for name, region in zip(runs["criterion"], runs["region"], strict=True)
    ]
    panels = [
        name for name in dict.fromkeys(named) if np.isfinite(_of(deviations, named, name)).all()
    ]
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(
        rows,
        _COLUMNS,
        figsize=(11, 1.9 * rows + 0.6),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for panel, name in zip(axes.flat, panels, strict=False):
        values = _of(deviations, named, name)
        panel.hist(values, _EDGES, density=True, color=_FURTHER)
        panel.plot(_EDGES, norm.pdf(_EDGES), color=_FIRST)
        panel.set_title(
            f"{name}\nmean {values.mean():+.2f}, scatter {values.std():.2f}", fontsize=9
        )
    for panel in axes.flat[len(panels) :]:
        panel.set_axis_off()
    figure.supxlabel("value / predicted standard error", fontsize=9)
    number, alarms = len(np.unique(runs["seed"])), len(runs[runs["status"] != "passed"])
    figure.suptitle(
        f"{number} correct runs: {alarms} metrics over their limits; the line is standard normal"
    )
    counts_in_words = [
        f"{name} mean {values.mean():+.2f}, scatter {values.std():.2f}"
        for name in panels
        for values in [_of(deviations, named, name)]
    ]
    return described(
        figure,
        f"Histograms of each statistic of {counted(number, 'correct run')} over its predicted "
        f"error, beside the standard normal distribution: {'; '.join(counts_in_words)}. "
        f"{alarms or 'No'} metrics are over their limits.",
    )


def _of(deviations, named, name):
    """Return the deviations of one statistic."""
    return deviations[[each == name for each in named]]
