"""What the command line accepts, refuses and writes without running anything."""

import re

import nbformat
import pytest

from miri_background.cli import main
from miri_background.cli.tend import TEST_SIZE
from miri_background.files import content_key
from miri_background.observation import Observation, exposures
from miri_background.outcomes import SetUpWrong
from miri_background.repository import repository_file
from miri_background.runs.names import CLOSURE, NAMES
from miri_background.simulation.sky_level import require_unsaturated


def wrong(capsys, *arguments):
    """Return what is said about wrong arguments of validate, and the exit code."""
    code = main(["validate", *arguments])
    return capsys.readouterr().err, code


def test_unknown_filter_is_refused(capsys):
    """A filter that does not exist is named with what there is."""
    said, code = wrong(capsys, "--filter", "F999W")
    assert (code, "filter = 'F999W' is not F560W or F770W or" in said) == (2, True)


def test_negative_groups_are_refused(capsys):
    """A number outside its range is named with the range."""
    said, code = wrong(capsys, "--groups", "-3")
    assert (code, "groups = '-3' is not a whole number from 6 to 300" in said) == (2, True)


def test_unknown_control_is_refused(capsys):
    """A control that does not exist is named with those that do."""
    said, code = wrong(capsys, "--control", "explode")
    assert (code, "control = 'explode' is not none or step skipped or" in said) == (2, True)


def test_negative_workers_are_refused(capsys):
    """So is a number of processes that cannot be."""
    said, code = wrong(capsys, "--workers", "-1")
    assert (code, "workers = '-1' is not a whole number from 0" in said) == (2, True)


def test_missing_directory_of_baselines_is_refused(capsys, tmp_path):
    """A directory that is not there is named before anything runs."""
    said, code = wrong(capsys, "--baselines", str(tmp_path / "none"))
    assert (code, f"{tmp_path}/none is not a directory" in said) == (2, True)


def test_damaged_baseline_is_refused(capsys, tmp_path):
    """So is a file that a run would be compared with, and that is none."""
    path = tmp_path / f"jwst-3.0.0-F770W-FULL-{content_key({}, {})}.json"
    path.write_text("{")
    said, code = wrong(capsys, "--baselines", str(tmp_path))
    assert (code, f"{path} is not a whole baseline" in said) == (2, True)


@pytest.mark.parametrize("verb", ["validate", "closure"])
def test_sky_that_saturates_is_refused(capsys, verb):
    """Ramps that the sky alone fills within a few groups are not begun."""
    code = main([verb, "--filter", "F2550W", "--readout-pattern", "SLOWR1"])
    said = capsys.readouterr().err
    assert (code, "998 MJy/sr in F2550W fills the pixels within 3 groups" in said) == (2, True)


@pytest.mark.parametrize("name", ["F560W", "F1500W", "F2100W"])
def test_sky_that_fits_is_not_refused(name):
    """In FASTR1, the default ramps of these filters stay below the well."""
    require_unsaturated(Observation(filter=name))


def test_groups_that_fit_are_named():
    """What the sky would fill is refused, and the number of groups that it says is taken."""
    with pytest.raises(SetUpWrong, match="take at most") as refused:
        require_unsaturated(Observation(filter="F2550W"))
    (most,) = map(int, re.findall(r"at most (\d+) groups", str(refused.value)))
    require_unsaturated(Observation(filter="F2550W", groups=most))
    with pytest.raises(SetUpWrong, match=f"take at most {most} groups"):
        require_unsaturated(Observation(filter="F2550W", groups=most + 1))


def parameter_cell(notebook):
    """Return the names that a notebook's injected parameters set."""
    cell = next(c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", []))
    names = {}
    exec(cell.source, names)  # noqa: S102 - our own cell, to see what it sets
    return names


@pytest.mark.parametrize("spelling", ["--sky-level", "--sky_level"])
def test_parameters_reach_the_notebook(spelling, tmp_path):
    """An option is found in the notebook under its name, converted."""
    main(["render", "--output", str(tmp_path), spelling, "7.5"])
    rendered = nbformat.read(tmp_path / "image2_background.ipynb", as_version=4)
    assert parameter_cell(rendered)["sky_level"] == 7.5


def test_rendered_notebook_keeps_stored_outputs(tmp_path):
    """Cells that nbval compares must not lose what they are compared with."""
    main(["render", "--output", str(tmp_path)])
    rendered = nbformat.read(tmp_path / "image2_background.ipynb", as_version=4)
    checked = [c for c in rendered.cells if "nbval-check-output" in c.metadata.get("tags", [])]
    assert [bool(c.outputs and c.execution_count) for c in checked] == [True]


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_is_rendered(name, tmp_path):
    """Both notebooks are written under their names, and each cell is one of the originals."""
    main(["render", "--output", str(tmp_path)])
    rendered = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    source = nbformat.read(repository_file("notebooks", f"{name}.ipynb"), as_version=4)
    written = [c for c in rendered.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    assert [cell.source for cell in written] == [cell.source for cell in source.cells]


def test_changes_reach_the_closure(tmp_path):
    """Its notebook takes the parameters of the observation together, test size included."""
    main(["render", "--output", str(tmp_path), "--sky-level", "7.5"])
    rendered = nbformat.read(tmp_path / f"{CLOSURE}.ipynb", as_version=4)
    assert parameter_cell(rendered)["changes"] == TEST_SIZE | {"sky_level": 7.5}


def test_fields_are_read_out_as_the_command_line_says(tmp_path):
    """Groups of each background are a list in the notebook's cell, and reach their exposures."""
    counted = ["--science-exposures", "1", "--background-exposures", "2"]
    given = ["--groups", "10", "--background-groups", "8,12", *counted]
    main(["render", "--output", str(tmp_path), *given])
    rendered = nbformat.read(tmp_path / "image2_background.ipynb", as_version=4)
    names = ("groups", "background_groups", "science_exposures", "background_exposures")
    cell = parameter_cell(rendered)
    observation = Observation.create(**{name: cell[name] for name in names})
    assert [each.readout.groups for each in exposures(observation)] == [10, 8, 12]
