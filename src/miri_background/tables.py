"""Tables for terminals, notebooks and pages."""

import io
import shutil
import sys
import textwrap

from miri_background.rendering import macros

__all__ = ["html_table", "markdown_table", "text_table"]

_UNLIMITED = 10_000  # characters: no line of a table is longer
_TITLE = "\ue000"  # stands for a title until the table is set; for private use in Unicode


def html_table(caption, heads, rows, numbers=()):
    """Return a table as HTML.

    Parameters
    ----------
    caption : str
        What the table shows.
    heads : sequence of str
        Heads of the columns.
    rows : sequence of sequence of str
        Cells, a row each; the first is the head of its row.
    numbers : collection of int, optional
        Columns, from 0, that are set to the right.

    Returns
    -------
    str
        The table; empty without rows.
    """
    return str(macros().table(caption, heads, rows, numbers))


def markdown_table(heads, rows):
    """Return a table as lines of Markdown.

    Parameters
    ----------
    heads : iterable of str
        Heads of the columns.
    rows : iterable of iterable of str
        Cells, a row each.

    Returns
    -------
    list of str
        The last line is empty, so that what follows does not belong to the table.
    """

    def line(cells):
        return "| " + " | ".join(str(each).replace("|", "\\|") for each in cells) + " |"

    return [line(heads), line("---" for _ in heads), *map(line, rows), ""]


def text_table(heads, rows, right=(), widest=None):
    """Return a table as lines of text.

    On a terminal, words are wrapped so that no line is longer than the terminal is wide, and a
    line is drawn below the heads.  Elsewhere each row is one line, as a log is searched by lines,
    unless the caller sets a width.

    Parameters
    ----------
    heads : sequence of str
        Heads of the columns.
    rows : sequence of (sequence of str or str)
        Cells, a row each; a row that is only a text is a title above the rows that follow.
    right : collection of int, optional
        Numbers of the columns, from 0, that are set to the right and never wrapped.
    widest : int, optional
        Longest line where there is no terminal; without it, lines are as long as their words.

    Returns
    -------
    str
        Columns two spaces apart.
    """
    # Imported here: the help of the command line needs no tables, and should come at once.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else widest or _UNLIMITED
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False)
    for number, head in enumerate(heads):
        to_the_right = number in right
        table.add_column(
            Text(str(head)),
            justify="right" if to_the_right else "left",
            no_wrap=to_the_right,
            overflow="fold",
        )
    titles = [row for row in rows if isinstance(row, str)]
    for row in rows:
        cells = (_TITLE,) if isinstance(row, str) else map(str, row)
        table.add_row(*map(Text, cells))
    # Neither colours nor signs of other character sets: what a notebook keeps has to be the same
    # on every machine.
    # A notebook would be shown the table here, and lack it where the text is shown.
    settings = {"color_system": None, "legacy_windows": False, "force_jupyter": False}
    console = Console(width=width, file=io.StringIO(), **settings)
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join(_titled(lines, titles, width))


def _titled(lines, titles, width):
    """Return the lines of a table with titles, which may be longer than their column."""
    titles = iter(titles)
    for line in lines:
        if line == _TITLE:
            yield from textwrap.wrap(next(titles), width, break_on_hyphens=False)
        else:
            yield line
