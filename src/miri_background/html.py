"""Tables of notebooks and pages."""

from html import escape

__all__ = ["html_table"]


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
