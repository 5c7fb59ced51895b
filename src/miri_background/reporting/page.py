"""The HTML page of an executed notebook: one file that needs nothing from elsewhere."""

from html import escape

import nbformat
from nbconvert import HTMLExporter

from miri_background.files import write_text_recorded

__all__ = ["tidied", "write_page"]

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


def _describe_pictures(cell):
    """Put the alternative text of a cell's pictures where nbconvert's template leaves it out."""
    for output in cell.get("outputs", []):
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if alt:
            source = "data:image/png;base64," + "".join(output.data["image/png"].split())
            output.data = {"text/html": f'<img src="{source}" alt="{escape(alt)}"/>'}


def write_page(notebook, path, banner):
    """Write an executed notebook as an HTML page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed notebook.
    path : pathlib.Path
        HTML file to write.
    banner : str
        Markdown that stands above everything else: how the run ended.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(banner))
    for cell in notebook.cells:
        _describe_pictures(cell)
    exporter = HTMLExporter(template_name="lab", **_NO_SCRIPTS)
    body, _ = exporter.from_notebook_node(
        notebook, resources={"metadata": {"name": path.stem.replace("_", " ")}}
    )
    write_text_recorded(path, body)
