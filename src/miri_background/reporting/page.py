"""The HTML page of an executed notebook: one file that needs nothing from elsewhere."""

from importlib.resources import files

import nbformat
from nbconvert import HTMLExporter

from miri_background.files import write_text_recorded
from miri_background.rendering import TEMPLATES

__all__ = ["SECONDS", "seconds_by_section", "tidied", "write_page"]

SECONDS = "seconds_by_section"  # among the metadata of an executed notebook
_NOTICED = 0.05  # s that a section takes to be named

_WIDGET = "application/vnd.jupyter.widget-view+json"
# Scripts that nbconvert's template would load from other hosts; the page has no
# formulas, widgets or diagrams that would need them.
_NO_SCRIPTS = dict.fromkeys(
    (
        "jquery_url",
        "mathjax_url",
        "mermaid_js_url",
        "mermaid_layout_elk_js_url",
        "require_js_url",
    ),
    "",
)


def tidied(notebook):
    """Return an executed notebook without what only mattered while it ran.

    Progress bars, which were widgets, and times of cells, which would make every
    version of a notebook differ.
    """
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if _WIDGET not in output.get("data", {})
            ]
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    return notebook


def seconds_by_section(notebook):
    """Return how long the cells of each section took, as papermill has noted it.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed notebook, not yet tidied.

    Returns
    -------
    dict of str to float
        Seconds by title; sections that took none are left out.
    """
    title, seconds = "Beginning", {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heads = [line for line in cell.source.splitlines() if line.startswith("## ")]
            title = heads[-1].removeprefix("## ") if heads else title
        took = cell.metadata.get("papermill", {}).get("duration") or 0.0
        seconds[title] = seconds.get(title, 0.0) + took
    return {title: round(took, 2) for title, took in seconds.items() if took >= _NOTICED}


def write_page(notebook, path, headline, reason=""):
    """Write an executed notebook as an HTML page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed notebook.
    path : pathlib.Path
        HTML file to write.
    headline : str
        How the run ended; stands above everything else.
    reason : str, optional
        Why it ended so.
    """
    exporter = HTMLExporter(
        template_name="notebook_page",
        extra_template_basedirs=[str(files("miri_background") / TEMPLATES)],
        **_NO_SCRIPTS,
    )
    resources = {
        "metadata": {"name": path.stem.replace("_", " ")},
        "ending": {"headline": headline, "reason": reason},
        "seconds": notebook.metadata.get(SECONDS, {}),
    }
    # The exporter changes what it is given.
    body, _ = exporter.from_notebook_node(nbformat.from_dict(notebook), resources=resources)
    write_text_recorded(path, body)
