"""Figures of the kill matrix tell by colour, symbol and number what notices each fault."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from miri_background.detection.kill_matrix import CONTROL, KillMatrix, Kills
from miri_background.reporting import power_figures

RESIDUAL, LEAK, VALUE = "residual", "star leak", "combined value"
TIMES, MANY = 3.25, 1234.5  # times the limit


@pytest.fixture(scope="module")
def matrix():
    """Return a matrix of faults of three families, with a control."""
    rows = [
        (CONTROL, "control", {}, False),
        ("median", "averaging", {VALUE: np.inf, LEAK: TIMES}, False),
        ("twice", "subtraction", {RESIDUAL: MANY}, True),
        ("pedestal", "inputs", {RESIDUAL: 12.3}, False),
        ("unseen", "inputs", {}, False),
    ]
    return KillMatrix(
        [Kills(name, family, "text", ratios, told, 1.0) for name, family, ratios, told in rows]
    )


def axes_of(figure):
    """Return the only panel of a figure."""
    plt.close(figure)
    (axes,) = figure.axes
    return axes


def texts(axes):
    """Return all texts inside a panel."""
    return [text.get_text() for text in axes.texts]


def marks(axes, marker):
    """Return the places of marks of one kind, without those of the key."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() == marker and len(line.get_xdata())
    ]


def test_matrix_has_a_line_for_each_fault_and_a_column_for_each_criterion(matrix):
    """The order is that of the matrix, the predecessor comes last."""
    axes = axes_of(power_figures.kill_matrix_figure(matrix))
    assert [each.get_text() for each in axes.get_yticklabels()] == [
        row.fault for row in matrix.rows
    ]
    columns = [each.get_text() for each in axes.get_xticklabels()]
    assert columns == [*matrix.criteria, "predecessor"]


def test_cheapest_criterion_has_a_symbol_of_its_own(matrix):
    """Without colour, too, the first to notice is told from the others."""
    axes = axes_of(power_figures.kill_matrix_figure(matrix))
    place = matrix.criteria.index
    assert sorted(marks(axes, "s")) == sorted(
        [(place(VALUE), 1), (place(RESIDUAL), 2), (place(RESIDUAL), 3)]
    )
    assert marks(axes, "o") == [(place(LEAK), 1)]
    assert marks(axes, "^") == [(len(matrix.criteria), 2)]


@pytest.mark.parametrize("told", ["●", "3.2", ">99", "12"])
def test_numbers_say_how_far_over_the_limit(matrix, told):
    """Statistics are told in units of their limit, what has limit 0 by a dot."""
    assert told in texts(axes_of(power_figures.kill_matrix_figure(matrix)))


def test_families_can_be_shown_alone(matrix):
    """Only the faults of the family are there, and counted in the title."""
    axes = axes_of(power_figures.kill_matrix_figure(matrix, ["inputs"]))
    assert [each.get_text() for each in axes.get_yticklabels()] == ["pedestal", "unseen"]
    assert axes.get_title() == "1 of 2 faults caught; 0 by the predecessor's one pixel"
    assert "inputs" in texts(axes)


def test_predecessor_is_beside_all_criteria(matrix):
    """Both numbers are there for each family, the control is none."""
    axes = axes_of(power_figures.predecessor_figure(matrix))
    assert [each.get_text() for each in axes.get_yticklabels()] == [
        "averaging",
        "subtraction",
        "inputs",
    ]
    assert texts(axes) == ["1 of 1", "0 of 1", "1 of 1", "1 of 1", "1 of 2", "0 of 2"]
    assert axes.get_title().startswith("3 of 4 faults caught; 1 by")


def test_catches_name_what_could_go(matrix):
    """Each bar has its number, and criteria without catches of their own are in the title."""
    axes = axes_of(power_figures.catches_figure(matrix))
    names = [each.get_text() for each in axes.get_yticklabels()]
    counts = dict(zip(names, texts(axes), strict=True))
    assert counts[RESIDUAL] == "2 of 2"
    assert counts[LEAK] == "0 of 1"
    assert LEAK in axes.get_title()
    assert RESIDUAL not in axes.get_title()


def test_alternative_text_tells_what_goes_unnoticed(matrix):
    """No text says that all faults are caught where one is not."""
    figure = power_figures.kill_matrix_figure(matrix)
    assert "3 of 4 faults caught; 1 by the predecessor" in figure.alt
    assert "Not as they should be: unseen." in figure.alt
    figure = power_figures.kill_matrix_figure(matrix, ["averaging"])
    assert "1 of 1 faults caught; 0 by the predecessor" in figure.alt
    assert "All are as they should be." in figure.alt
    assert f"is {VALUE} of 1." in figure.alt


def test_alternative_texts_count_by_family_and_criterion(matrix):
    """The bars are in words as well."""
    told = power_figures.predecessor_figure(matrix).alt
    assert "averaging 1 and 0 of 1; subtraction 1 and 1 of 1; inputs 1 and 0 of 2" in told
    assert f"{RESIDUAL} 2, 2 of them" in power_figures.catches_figure(matrix).alt
