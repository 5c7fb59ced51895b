"""No verb replaces or removes what this suite did not write, and says so before the work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from miri_background.calibration_choice import Calibration
from miri_background.cli import main
from miri_background.data import manifest
from miri_background.detection.false_alarms import is_table
from miri_background.detection.kill_matrix import KillMatrix
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.reporting.site.build import require_replaceable
from miri_background.run_directory import RunDirectory, run_path
from miri_background.validation.verdict.baselines import load_baseline

SMALL = {"subarray": "SUB256", "groups": 6, "science_exposures": 1, "background_exposures": 3}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
RUN = run_path("/run", Calibration()).relative_to("/")
MINE = "mine"
TIMEOUT = 60  # s, many times what starting Python takes

# What is called in a directory, and what in it is somebody else's.
VERBS = {
    "check, JUnit": (["check", "products"], "products/junit.xml"),
    "check, metrics": (["check", "products"], "products/metrics.json"),
    "check, page": (["check", "products"], "products/report.html"),
    "advise, plot": (["advise", "products", "--plot=out.png"], "out.png"),
    "check with output": (["check", "products", "--output=out"], "out/junit.xml"),
    "false-alarms": (["false-alarms", "--runs=1", "--output=out/table"], "out/table"),
    "faults": (["faults", "run", "--names=median", "--output=out"], "out/kill_matrix.json"),
    "render": (["render", "--output=out"], "out/detection_power.ipynb"),
    "site": (["site", "--output=out"], "out"),
    "site, one page": (["site", "--output=out"], "out/index.html"),
    "nightly, pages": (["nightly", "--site=out"], "out"),
    "nightly, latest": (["nightly"], "runs/nights/latest"),
    "validate, latest": (["validate", *OPTIONS], "runs/latest"),
    "validate, notebook": (["validate", "--run=run", *OPTIONS], f"{RUN}/image2_background.ipynb"),
    "validate, page": (["validate", "--run=run", *OPTIONS], f"{RUN}/image2_background.html"),
    "validate, metrics": (["validate", "--run=run", *OPTIONS], f"{RUN}/metrics.json"),
    "closure": (["closure", "--run=out"], "out/simulator_closure.html"),
}


def put_file(path):
    """Put a file of somebody else there."""
    path.write_text(MINE)


def put_directory(path):
    """Put a directory of somebody else there."""
    path.mkdir()
    (path / "notes").write_text(MINE)


def put_link(path):
    """Put a link to a file of somebody else there."""
    elsewhere = Path("elsewhere").absolute()
    elsewhere.write_text(MINE)
    path.symlink_to(elsewhere)


def contents(root):
    """Return all paths below a directory, with what files hold and where links lead."""
    return {
        str(path): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in root.rglob("*")
        if ".records" not in path.parts
    }


@pytest.fixture
def place(stage2, tmp_path, monkeypatch):
    """Return the current directory, with products, a run, and an empty history."""
    monkeypatch.chdir(tmp_path)
    for name in ("history", "out", "runs/nights"):
        (tmp_path / name).mkdir(parents=True)
    RunDirectory(tmp_path / "run", Observation.create(**SMALL)).release()
    (tmp_path / "nightly.yaml").write_text(json.dumps({"observations": {"any": SMALL}}))
    assert stage2 == tmp_path / "products"
    return tmp_path


@pytest.mark.parametrize("put", [put_file, put_directory, put_link])
@pytest.mark.parametrize("verb", VERBS)
def test_foreign_file_stays(verb, put, place, capsys):
    """Whatever is in the place of a result, one sentence names it, and all stays as it is."""
    arguments, name = VERBS[verb]
    path = place / name
    if path.is_dir():
        path.rmdir()
    if put is put_directory and name == "out":
        path.mkdir()
        path /= "notes"
    put(path)
    before = contents(place)
    assert main(arguments) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("COULD NOT JUDGE (")
    assert path.name in line
    assert "PASSED" not in said.out
    assert contents(place) == before


@pytest.mark.parametrize("put", [put_file, put_directory, put_link])
def test_foreign_baseline_stays(put, baseline_file, tmp_path, monkeypatch):
    """A baseline takes the place of a baseline only."""
    monkeypatch.chdir(tmp_path)
    path = baseline_file
    baseline = load_baseline(path)
    put(tmp_path / path.name)
    before = contents(tmp_path)
    with pytest.raises(CannotJudge, match=f"{path.name} is not the file that this suite wrote"):
        baseline.write(tmp_path)
    assert contents(tmp_path) == before


def test_baseline_is_replaced(baseline_file, tmp_path):
    """What was okified may be okified again."""
    path = baseline_file
    (tmp_path / path.name).write_bytes(path.read_bytes())
    load_baseline(path).write(tmp_path)
    assert (tmp_path / path.name).read_text() == path.read_text()


def test_committed_results_are_known(repository):
    """What a checkout has of the suite may be written anew there."""
    assert is_table(repository / "docs" / "false_alarms.ecsv")
    assert KillMatrix.is_one(repository / "docs" / "kill_matrix.json")
    assert manifest.is_manifest(repository / "data_manifest.yaml")


def test_notebook_is_rendered_again(place):
    """What nobody has changed is replaced by another size."""
    assert main(["render", "--output=out"]) == 0
    assert main(["render", "--output=out", "--groups=7"]) == 0
    assert '"groups = 7' in (place / "out" / "image2_background.ipynb").read_text()


def test_edited_notebook_is_kept(place, capsys):
    """Work that somebody did in a rendered notebook is not lost."""
    assert main(["render", "--output=out"]) == 0
    path = place / "out" / "simulator_closure.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("My notes"))
    nbformat.write(notebook, path)
    before = contents(place)
    capsys.readouterr()
    assert main(["render", "--output=out", "--groups=7"]) == 2
    assert f"{path.name} is not the file that this suite wrote there" in capsys.readouterr().err
    assert contents(place) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["image2_background.ipynb", "image2_background.html"])
def test_edited_result_of_a_run_is_kept(name, finished_copy, command_line, small_options):
    """A run goes on where nobody has worked, and nowhere else."""
    text = (finished_copy / name).read_text()
    (finished_copy / name).unlink()  # linked to the original
    (finished_copy / name).write_text(text.replace("observation", "exposure"))
    before = contents(finished_copy)
    ended = command_line("validate", "--run", finished_copy.parents[1], *small_options)
    assert (ended.returncode, name in ended.stdout) == (2, True), ended.stdout
    assert contents(finished_copy) == before


# ------------------------------------------------------------------ a directory of pages


@pytest.fixture
def pages(tmp_path):
    """Return a small site with the checksums of its pages."""
    from miri_background.reporting.site import build

    root = tmp_path / "site"
    (root / "runs").mkdir(parents=True)
    for name in ("index.html", "runs/a.html"):
        (root / name).write_text(name)
    (root / build._MARK).write_text(json.dumps(build._checksums(root)))
    return root


def test_pages_as_they_were_built_may_be_replaced(pages):
    """Nothing of others is lost."""
    require_replaceable(pages)


@pytest.mark.parametrize("name", ["notes.txt", "runs/notes.txt", "index.html", ".nojekyll"])
def test_file_among_the_pages_is_named(name, pages):
    """A file that somebody added, or a page that was changed, is not removed."""
    (pages / name).write_text(MINE)
    with pytest.raises(CannotJudge, match=f"such as {name}"):
        require_replaceable(pages)


def test_history_among_the_pages_is_kept(pages):
    """A history in the directory of the pages would go with them."""
    (pages / "history").mkdir()
    (pages / "history" / "a.json").write_text("{}")
    with pytest.raises(CannotJudge, match=r"such as history/a\.json"):
        require_replaceable(pages)


# ------------------------------------------------------------------ a run that is in use

HOLD = """
import json, sys
from miri_background.observation import Observation
from miri_background.run_directory import RunDirectory
from miri_background.places import executing

run = RunDirectory(sys.argv[1], Observation.create(**json.loads(sys.argv[2])))
print("held", flush=True)
sys.stdin.read()
"""
EXECUTE = """
import sys
from pathlib import Path
from miri_background.places import executing

with executing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Return a function that lets another process use a directory."""
    processes = []

    def start(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(os.fspath, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=TIMEOUT)


def test_notebook_that_is_executed_is_left_alone(place, hold, capsys):
    """Before its kernel has taken the directory, it is in use as well."""
    hold(EXECUTE, place / "run")
    before = contents(place)
    assert main(["validate", "--run=run", *OPTIONS]) == 2
    assert f"{place / 'run'} is in use by another run" in capsys.readouterr().err
    assert contents(place) == before


@pytest.mark.slow
@pytest.mark.parametrize("program", [HOLD, EXECUTE])
def test_closure_leaves_a_run_in_use_alone(program, place, hold, capsys):
    """Notebook and page of the run that has the directory stay."""
    few = {"science_exposures": 2, "background_exposures": 2, "science_brightest": 10_000}
    observation = few | {"subarray": "SUB256"}
    RunDirectory(place / "closure", Observation.create(**observation), purpose="closure").release()
    hold(program, place / "closure", json.dumps(observation))
    before = contents(place)
    assert main(["closure", "--run=closure", "--subarray=SUB256"]) == 2
    assert "is in use by another run" in capsys.readouterr().err
    assert contents(place) == before


def test_run_inside_an_observation_is_told_from_the_observation(place, capsys):
    """Named by its own directory, a run is not buried in itself, and the other one is said."""
    run = RunDirectory(place / "night", Observation())
    run.release()
    before = contents(place)
    assert main(["validate", f"--run={run.root}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"name the directory of the observation, {place / 'night'}." in said
    assert contents(place) == before


@pytest.mark.slow
def test_closure_leaves_another_observation_alone(place, capsys):
    """A directory of other data is refused, and gets neither notebook nor page."""
    before = contents(place)
    assert main(["closure", "--run=run"]) == 2
    assert "describes another observation" in capsys.readouterr().err
    assert contents(place) == before


@pytest.mark.slow
def test_faults_leave_a_run_in_use_alone(finished_copy, hold, capsys):
    """No matrix is written into a directory that a run is using."""
    hold(HOLD, finished_copy.parents[1], (finished_copy / "observation.json").read_text())
    assert main(["faults", str(finished_copy), "--names", "median"]) == 2
    assert "is in use by another run" in capsys.readouterr().err
    assert not (finished_copy / "kill_matrix.json").exists()
