"""A notebook that is being executed is on the disk as far as it has come."""

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from miri_background.runs.engine import ENGINE


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return an executed notebook with much text, and how often it was written meanwhile."""
    directory = tmp_path_factory.mktemp("executed")
    source, target = directory / "source.ipynb", directory / "target.ipynb"
    text = [new_markdown_cell(f"Text {number}.") for number in range(20)]
    # The words together are in no source, only in what the first cell shows.
    code = [
        "print('the first has', 'shown')",
        f"print('has sh' + 'own' in open({str(target)!r}).read())",
    ]
    cells = text + [new_code_cell(each) for each in code]
    nbformat.write(new_notebook(cells=cells), source)
    written = []
    with pytest.MonkeyPatch.context() as patch:
        write = papermill.engines.write_ipynb
        patch.setattr(
            "papermill.engines.write_ipynb",
            lambda *arguments: (written.append(None), write(*arguments)),
        )
        papermill.execute_notebook(
            source, target, engine_name=ENGINE, kernel_name="python3", progress_bar=False
        )
    return nbformat.read(target, as_version=4), len(written)


def test_what_was_shown_is_on_the_disk_when_the_next_cell_begins(executed):
    """A run that is killed has kept what it had come to."""
    notebook, _ = executed
    assert notebook.cells[-1].outputs[0].text == "True\n"


def test_text_is_no_reason_to_write(executed):
    """Once at the beginning, and once for each cell of code."""
    _, written = executed
    assert written == 1 + 2
