"""What the documents say of parameters, files and commands is so."""

import importlib.util
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from miri_background.museum.cases import chosen_cases
from miri_background.parameters import KINDS, every_parameter

ROOT = Path(__file__).parents[1]
RUNNING = ROOT / "docs" / "running.md"
CONSTANTS = ROOT / "docs" / "flight_constants.md"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGES.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TIMEOUT = 60  # s


def ids(documents):
    """Return the names of documents."""
    return [path.name for path in documents]


def with_tables(path):
    """Return a document after its tables of parameters were made again."""
    tool = ROOT / "tools" / "parameter_tables.py"
    subprocess.run([sys.executable, tool, path], check=True, timeout=TIMEOUT)
    return path.read_text(encoding="utf-8")


def test_tables_of_parameters_are_those_of_the_registry(tmp_path):
    """The tables are as tools/parameter_tables.py makes them."""
    copy = tmp_path / "running.md"
    copy.write_text(RUNNING.read_text(encoding="utf-8"), encoding="utf-8")
    assert with_tables(copy) == RUNNING.read_text(encoding="utf-8")


def test_another_default_is_put_right(tmp_path):
    """A table that says something else is made anew."""
    text = RUNNING.read_text(encoding="utf-8")
    copy = tmp_path / "running.md"
    copy.write_text(text.replace("| `--sigma` | `2.0` |", "| `--sigma` | `3.0` |"), "utf-8")
    assert with_tables(copy) == text


def test_every_parameter_has_its_row():
    """No class of parameters is without its table."""
    rows = re.findall(r"^\| `--([a-z0-9-]+)` \|", RUNNING.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row.replace("-", "_") for row in rows] == list(every_parameter())


@pytest.fixture(scope="module")
def constants():
    """Return the tool that writes ours beside flight's constants, as a module."""
    path = ROOT / "tools" / "flight_constants.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


def test_constants_are_those_of_the_code(constants):
    """The table of constants is as tools/flight_constants.py makes it."""
    text = CONSTANTS.read_text(encoding="utf-8")
    assert constants.with_table(text) == text


def test_constants_are_those_of_flight_or_explained(constants):
    """Each constant is within a tenth of flight, or the table says why not."""
    assert [row.name for row in constants.rows() if not row.explained] == []


def test_constant_far_from_flight_needs_a_reason(constants):
    """A constant of its own value is no constant of flight."""
    rows = [constants.Row("x", 1.2, 1.0, "somebody", reason) for reason in ("", "because")]
    assert [row.explained for row in rows] == [False, True]


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids(DOCUMENTS))
def test_links_lead_to_files(document):
    """Each relative link of a document leads to something in the checkout."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids(DOCUMENTS))
def test_commands_have_legal_parameters(document):
    """Each `make validate ARGS=...` of a document has parameters within their legal ranges."""
    text = document.read_text(encoding="utf-8")
    for options in re.findall(r'make validate ARGS="([^"]*)"', text):
        words = shlex.split(options)
        names = [word.removeprefix("--").replace("-", "_") for word in words[::2]]
        given = dict(zip(names, words[1::2], strict=True))
        assert set(given) <= set(every_parameter())
        for kind in KINDS:
            kind.of(given)


@pytest.mark.slow
def test_reproducer_shows_what_the_museum_says():
    """The block of code as it is, and what it says of the installed jwst."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/builds.md").read_text(), re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=TIMEOUT, capture_output=True, text=True
    )
    (case,) = chosen_cases(["full-from-sub256"])
    known = "misplaced" if case.known(version("jwst")) == "wrong" else "in place"
    first, row_1, row_9 = ran.stdout.splitlines()
    assert first == f"jwst {version('jwst')}: {known}"
    # What the block says of itself is what its numbers show.
    assert ("-8. -8. -8. -8." in row_1) == (known == "misplaced")
    assert ("0.  0.  0.  0." in row_9) == (known == "in place")
