"""Tables for terminals, notebooks and pages."""

from html import escape

__all__ = ["html_table", "text_table"]


def html_table(heads, rows):
    """Return a table as HTML.

    Parameters
    ----------
    heads : sequence of str
        Heads of the columns.
    rows : sequence of sequence of str
        Cells, a row each.

    Returns
    -------
    str
        The table; empty without rows.
    """
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text_table(rows, right=()):
    """Return a table as lines of text.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells, a row each; the first may be heads.
    right : collection of int, optional
        Numbers of the columns, from 0, that are set to the right.

    Returns
    -------
    str
        Columns as wide as their widest cell, two spaces apart.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
