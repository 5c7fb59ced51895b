"""Executed notebooks without what only mattered while they ran."""

import nbformat

__all__ = ["tidied"]

_WIDGET = "application/vnd.jupyter.widget-view+json"


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
