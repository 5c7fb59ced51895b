"""The committed notebooks: complete, executed, small, and of one mind with the package."""

import re

import nbformat
import pytest

from miri_background.observation import Observation
from miri_background.parameters import KINDS, every_parameter
from miri_background.runs.names import CLOSURE, NAMES, POWER, VALIDATION

SECTIONS = {}
SECTIONS[VALIDATION] = [
    "Introduction",
    "Terms",
    "Test description",
    "Data description",
    "Parameters",
    "Working directory",
    "CRDS references",
    "Pipeline",
    "Exposures",
    "calwebb_detector1",
    "Science and background rates",
    "Associations",
    "Background step",
    "Averaged background",
    "One background star",
    "Subtracted images",
    "Residuals",
    "Structure",
    "calwebb_image3",
    "Passing criteria",
    "What to know about these products",
    "Another choice",
    "About this run",
    "Verdict",
]
SECTIONS[CLOSURE] = [
    "Introduction",
    "Parameters",
    "Pipeline",
    "Measurements",
    "Rates",
    "Cosmic rays",
    "Saturation",
    "Fluxes of stars",
    "Positions of stars",
    "Shape of stars",
    "Passing criteria",
    "Verdict",
]
SECTIONS[POWER] = [
    "Introduction",
    "Parameters",
    "Rates",
    "Breaking the step",
    "Faults of the step",
    "Faults of the inputs",
    "What the predecessor would have caught",
    "What each criterion is for",
    "Power",
    "False alarms",
    "Verdict",
]
VERDICTS = dict.fromkeys((VALIDATION, CLOSURE), "PASSED: every metric is within its limit.\n")
VERDICTS[POWER] = "PASSED: every fault is caught, and nothing where nothing is broken.\n"
IMPORTS = ("code-05", "code-09")  # of the closure and of the validation
LONGEST_CELL = 20  # lines; only the cells of parameters and imports are longer than 12


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    """Return the name of a notebook."""
    return request.param


@pytest.fixture(scope="module")
def path(repository, name):
    """Return the path of the notebook."""
    return repository / "notebooks" / f"{name}.ipynb"


@pytest.fixture(scope="module")
def notebook(path):
    """Return the notebook."""
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def code(notebook):
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parameters(repository, name):
    """Return what the cell of parameters sets."""
    cells = nbformat.read(repository / "notebooks" / f"{name}.ipynb", as_version=4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = {}
    exec(cell.source, names)  # noqa: S102 - our own cell, to see what it sets
    del names["__builtins__"]
    return names


def test_sections_are_complete_and_in_order(name, notebook):
    """Readers find every section where they look for it."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS[name]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_defaults_are_those_of_the_package(repository, kind):
    """The validation opened by hand does what the package does by default."""
    assert kind.of(parameters(repository, VALIDATION)) == kind()


def test_no_parameter_of_the_validation_is_missing_or_unknown(repository):
    """The notebook's cell has those of the registry, in its order, and no more."""
    given = parameters(repository, VALIDATION)
    assert list(given) == list(every_parameter())


@pytest.mark.parametrize(("of", "own"), [(CLOSURE, {}), (POWER, {"names": []})])
def test_no_parameter_of_other_notebooks_is_missing_or_unknown(repository, of, own):
    """Those of the observation come together, and nothing is changed or left out by default."""
    given = parameters(repository, of)
    assert set(given) == {"working_directory", "workers", "changes", *own}
    assert {name: given[name] for name in ("changes", *own)} == {"changes": {}} | own


def test_cells_have_names(notebook):
    """A difference between two versions is told by cell, and each name is there once."""
    names = [cell.get("id", "") for cell in notebook.cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"parameters|verdict|(?:text|code)-\d\d", each) for each in names)


def test_every_cell_was_executed(code):
    """The committed notebook is one whole run from top to bottom."""
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_no_error_is_stored(code):
    """The committed run ended well."""
    assert [o for cell in code for o in cell.outputs if o.output_type == "error"] == []


def test_verdict_cell_holds_the_verdict(name, code):
    """What nbval compares is the verdict itself."""
    checked = [c for c in code if "nbval-check-output" in c.metadata.get("tags", [])]
    printed = ["".join(output.text for output in cell.outputs) for cell in checked]
    assert printed == [VERDICTS[name]]


def test_every_figure_has_alternative_text(code):
    """Each picture says in words what it shows."""
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    texts = [o.metadata.get("image/png", {}).get("alt", "") for o in pictures]
    assert len(texts) >= 5
    assert min(map(len, texts)) > 40


def test_alternative_texts_follow_the_data(code):
    """They come with the figures, made of their numbers, and are not part of the notebook."""
    assert [cell.id for cell in code if "alt=" in cell.source] == []


def test_words_do_not_depend_on_the_observation(notebook):
    """What only the default observation has, no text says of all."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    default = Observation()
    # Examples of the command line give other values than the default ones.
    stars = f"{default.science_stars} stars|{default.background_stars} "
    found = rf"{default.filter}|{stars}|[Ff]our dither|the four|the Lyot|4QPM fields|still there"
    assert re.findall(found, text) == []


def test_observation_is_told_in_words(code):
    """Beside the table, whatever the parameters are."""
    assert any("display(observation_in_words(observation))" in cell.source for cell in code)


def test_notebook_is_small(path):
    """It renders on GitHub and loads fast."""
    assert path.stat().st_size <= 1.5e6


def test_cells_are_short(code):
    """One idea a cell: no logic that belongs in the package."""
    longest = {"parameters", *IMPORTS}
    lines = {cell.id: len(cell.source.splitlines()) for cell in code if cell.id not in longest}
    assert {name: count for name, count in lines.items() if count > LONGEST_CELL} == {}


def test_outputs_name_no_place_of_a_machine(code):
    """What was run on one machine says nothing about its directories."""
    text = "\n".join(
        o.get("text", "") + str(o.get("data", {}).get("text/plain", ""))
        for cell in code
        for o in cell.outputs
    )
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|usr|work|Users)/\S*", text) == []


def test_nothing_moves_the_current_directory(code):
    """Cells work from wherever the notebook is opened."""
    source = "\n".join(cell.source for cell in code)
    assert re.findall(r"chdir|global |glob\(|except\s*:", source) == []
