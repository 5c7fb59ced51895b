"""JupyterLab shows copies: what people change there is theirs, and the suite's stays as it is."""

import nbformat
import pytest

from miri_background.cli import main
from miri_background.runs.lab import copy_notebooks, notebook_to_open
from miri_background.runs.names import NAMES


@pytest.fixture
def copies(tmp_path):
    """Return a directory that has copies of the notebooks."""
    copy_notebooks(tmp_path / "lab")
    return tmp_path / "lab"


def test_copies_have_all_that_the_notebooks_lead_to(copies, repository):
    """Links between notebooks and documents work as they do in the repository."""
    for folder in ("notebooks", "docs"):
        tracked, copied = (
            {path.relative_to(top) for path in top.rglob("[!.]*") if path.is_file()}
            for top in (repository / folder, copies / folder)
        )
        assert {path for path in copied if ".records" not in path.parts} == tracked


def test_changed_copy_stays_and_is_named(copies):
    """What somebody has worked on is not replaced."""
    path = copies / "notebooks" / f"{NAMES[0]}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[:1]
    nbformat.write(notebook, path)
    assert copy_notebooks(copies) == [path]
    assert len(nbformat.read(path, as_version=4).cells) == 1


def test_copy_of_an_earlier_version_is_replaced(copies):
    """What nobody has worked on follows the suite."""
    path = copies / "docs" / "running.md"
    whole = path.read_text()
    path.unlink()
    assert copy_notebooks(copies) == []
    assert path.read_text() == whole


def test_notebook_of_the_suite_is_opened_as_a_copy(copies, repository):
    """By its name, or by its path in the checkout."""
    expected = copies / "notebooks" / f"{NAMES[1]}.ipynb"
    tracked = repository / "notebooks" / f"{NAMES[1]}.ipynb"
    assert notebook_to_open(NAMES[1], copies) == expected
    assert notebook_to_open(str(tracked), copies) == expected


def test_own_notebook_is_opened_where_it_is(copies, tmp_path):
    """A file of one's own is no copy."""
    own = tmp_path / "mine.ipynb"
    own.write_text("{}")
    assert notebook_to_open(str(own), copies) == own


def test_unknown_notebook_is_one_sentence(tmp_path, monkeypatch, capsys):
    """Nothing is copied, and the names that there are are said."""
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "validation"]) == 2
    assert (
        "validation is no notebook: name detection_power, image2_background, "
        in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_end_of_jupyterlab_is_passed_on(tmp_path, monkeypatch, capsys):
    """An option that JupyterLab refuses is no success; no notebook has to be named before it."""
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--", "--ServerApp.port=none"]) == 2
    assert "JupyterLab ended with exit code 1" in capsys.readouterr().err
