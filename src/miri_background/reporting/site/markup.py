"""Text and tables for the sources of pages: whatever a reason says, it is shown as it is."""

import re
from html import escape
from string import punctuation

from miri_background.outcomes import Outcome

__all__ = [
    "NOT_RUN",
    "Cell",
    "badge",
    "html_block",
    "link",
    "markdown_text",
    "page_name",
    "status_class",
    "status_symbol",
    "table",
]

NOT_RUN = "was not run"
_CLASSES = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.CANNOT_JUDGE: "unjudged",
    Outcome.DRIFTED: "drifted",
}
_SPECIAL = re.compile(f"([{re.escape(punctuation)}])")


class Cell(str):
    """A piece of HTML that is not escaped again."""

    __slots__ = ()


def markdown_text(text):
    """Return words as Markdown that shows just them, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def page_name(text):
    """Return words as the name of a page's file."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())


def status_symbol(word):
    """Return the symbol of an outcome, which is never shown without the word."""
    return _outcome(word).symbol


def _outcome(word):
    """Return the outcome of a word; what was not run could not be judged."""
    return Outcome.CANNOT_JUDGE if word == NOT_RUN else Outcome.of(word)


def badge(word):
    """Return an outcome as HTML: symbol, word, and a class for the colour."""
    symbol, kind = status_symbol(word), status_class(word)
    return Cell(
        f'<span class="badge {kind}"><span aria-hidden="true">{symbol}</span> {escape(word)}</span>'
    )


def status_class(word):
    """Return the class that colours what has an outcome."""
    return _CLASSES[_outcome(word)]


def link(words, target):
    """Return a link as HTML."""
    return Cell(f'<a href="{escape(target)}">{_html(words)}</a>')


def _html(cell):
    """Return what a cell shows as HTML on one line."""
    text = cell if isinstance(cell, Cell) else escape(str(cell))
    return " ".join(text.split())


def html_block(html):
    """Return HTML as a block of a page's source."""
    return f"``````{{raw}} html\n{' '.join(html.split())}\n``````\n"


def table(caption, heads, rows, numbers=(), broken=True):
    """Return a table as a block of a page's source.

    Parameters
    ----------
    caption : str
        What the table shows; above it.
    heads : sequence of str
        Heads of the columns.
    rows : sequence of sequence of (str or Cell)
        Cells, a row each; the first is the head of its row, the last may take several columns.
    numbers : collection of int, optional
        Columns, from 0, that are set to the right.
    broken : bool, optional
        Whether lines may be broken in cells, as words want it and numbers do not.

    Returns
    -------
    str
        The block; empty without rows.
    """
    if not rows:
        return ""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    head = "".join(
        f'<th scope="col"{kind}>{_html(name)}</th>' for name, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(_row(row, kinds) for row in rows)
    whole = "" if broken else ' class="whole"'
    return html_block(
        f"<table{whole}><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(cells, kinds):
    """Return a row of a table as HTML; the last cell of a short row takes the rest of it."""
    rest = len(kinds) - len(cells) + 1
    spans = [*[""] * (len(cells) - 1), f' colspan="{rest}"' if rest > 1 else ""]
    first, *others = (
        f"{kind}{span}>{_html(cell)}</t"
        for cell, kind, span in zip(cells, kinds, spans, strict=False)
    )
    return f'<tr><th scope="row"{first}h>{"".join(f"<td{each}d>" for each in others)}</tr>'
