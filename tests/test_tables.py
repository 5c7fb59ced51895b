"""The table of the terminal: what it shows, and how it fits."""

import os
import pty
import subprocess
import sys

import pytest

from miri_background.tables import text_table

HEADS = ("criterion", "within", "why")
ROWS = [
    "a title that is longer than the first column",
    ("residual", "12/12", "every metric is within its limit"),
    ("star leak [bold]", "3/4", "the star of the second exposure is left"),
]


def test_elsewhere_a_row_is_a_line():
    """What a log is searched for stands in one line, without any box."""
    assert text_table(HEADS, ROWS, right=(1,)).splitlines() == [
        "criterion         within  why",
        "a title that is longer than the first column",
        "residual           12/12  every metric is within its limit",
        "star leak [bold]     3/4  the star of the second exposure is left",
    ]


def test_indent_of_a_cell_is_kept():
    """What stands below a title may be set back."""
    assert text_table(("metric",), ["residual, DN/s", ("  imager",)]).splitlines()[2] == "  imager"


@pytest.mark.parametrize("widest", [40, 60])
def test_words_are_wrapped_and_numbers_are_not(widest):
    """No line is longer than it may be, and no word or number is lost."""
    text = text_table(HEADS, ROWS, right=(1,), widest=widest)
    assert max(map(len, text.splitlines())) <= widest
    assert "12/12" in text
    cells = [cell for row in ROWS if not isinstance(row, str) for cell in row]
    assert sorted(" ".join([*cells, *HEADS, ROWS[0]]).split()) == sorted(text.split())


def test_table_without_rows_has_its_heads():
    """An empty list is no error."""
    assert text_table(HEADS, []) == "criterion  within  why"


def on_terminal(columns):
    """Return the lines that a table has on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_tables as t; "
        "print(t.text_table(t.HEADS, t.ROWS, right=(1,)))"
    )
    place = os.path.dirname(__file__)  # noqa: PTH120 - an argument is a text
    subprocess.run(
        [sys.executable, "-c", code, place],
        stdout=theirs,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"COLUMNS": str(columns)},
        check=True,
    )
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    return said.splitlines()


@pytest.mark.parametrize("columns", [36, 50, 120])
def test_terminal_is_filled_and_not_overrun(columns):
    """The table is as wide as the terminal allows, with a line below its heads."""
    lines = on_terminal(columns)
    assert max(map(len, lines)) <= columns
    assert set(lines[1]) <= {"─", " "}


def test_terminal_has_the_same_words():
    """Only the line and the ends of lines differ."""
    words = " ".join(on_terminal(50)).replace("─", "").split()
    assert sorted(words) == sorted(text_table(HEADS, ROWS, right=(1,)).split())
