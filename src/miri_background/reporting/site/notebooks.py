"""Executed notebooks as sources of pages: nothing in them that a strict page would not show."""

import re

import nbformat

from miri_background.rendering import render
from miri_background.reporting.report.tidy import tidied

__all__ = ["ENDED", "NOTICE", "NOT_PLAIN", "published", "section_of_figure", "title_of"]

# Where a run that broke off did so; the page's own link leads there.
ENDED = "where-it-ended"
_TITLE = re.compile(r"\A\s*# +(.+?) *\n?$", re.MULTILINE)
_SECTION = re.compile(r"^## +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")
# Papermill's own notice, with colours and a link of its own.
NOTICE = "papermill-error-cell-tag"
# Looks, scripts and fetched pictures in outputs of others; a policy would stop them.
NOT_PLAIN = re.compile(r"<(?:style|script|iframe|link)\b|\sstyle\s*=|\son\w+\s*=|\ssrc\s*=", re.I)
_PICTURES = ("image/png", "image/jpeg")


def title_of(notebook):
    """Return the title of a notebook, empty if it has none."""
    found = _TITLE.match(notebook.cells[0].source) if notebook.cells else None
    return found[1] if found else ""


def published(notebook, title, banner="", moved=None):
    """Return a notebook as the source of a page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        An executed notebook.
    title : str
        Title of the page, as Markdown.
    banner : str, optional
        What stands below it, as the source of a page.
    moved : dict, optional
        By files that the notebook links to, where they are from the page.

    Returns
    -------
    nbformat.NotebookNode
        A copy, without what only mattered while it ran.
    """
    notebook = tidied(notebook)
    notebook.cells = [
        cell for cell in notebook.cells if NOTICE not in cell.metadata.get("tags", [])
    ]
    start = notebook.cells[0] if notebook.cells else None
    if start is not None and start.cell_type == "markdown":
        start.source = _TITLE.sub("", start.source, count=1)
    head = render("site/head.md.j2", title=title, banner=banner)
    cells = [nbformat.v4.new_markdown_cell(head, id="page-head")]
    broken = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if not broken and any(each.output_type == "error" for each in cell.outputs):
                broken = True
                ended = render("site/broke_off.md.j2", anchor=ENDED)
                cells.append(nbformat.v4.new_markdown_cell(ended, id=ENDED))
            _make_plain(cell)
        elif cell.cell_type == "markdown":
            cell.source = _LINK.sub(
                lambda found: (moved or {}).get(found[1], found[1]), cell.source
            )
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _make_plain(cell):
    """Leave in a cell's outputs what a page without styles and scripts can show."""
    texts = []
    for output in cell.outputs:
        data = output.get("data", {})
        if "text/plain" in data and NOT_PLAIN.search("".join(data.get("text/html", ""))):
            del data["text/html"]
        texts += [output.metadata.get(kind, {}).get("alt") for kind in _PICTURES if kind in data]
    if texts:
        alt = "; ".join(filter(None, texts)) or "A figure without a description."
        cell.metadata["mystnb"] = {"image": {"alt": alt}}


def section_of_figure(notebook, figure):
    """Return the title of the section that shows a figure.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The notebook.
    figure : str
        Stem of the figure's file.

    Returns
    -------
    str
        Empty if no cell shows it.
    """
    section = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = (_SECTION.findall(cell.source) or [section])[-1]
        elif f'"{figure}.png"' in cell.source:
            return section
    return ""
