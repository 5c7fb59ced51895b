"""A directory belongs to one observation, a run in it to one calibration; the rest is untouched."""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from miri_background.calibration import builds
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.places import writable
from miri_background.run_directory import RunDirectory, run_path, space_needed

OBSERVATION = Observation()
OTHER_OBSERVATION = Observation(seed=7)
TIMEOUT = 60  # s, many times what starting Python takes
CALIBRATION = Calibration()
OTHER_CALIBRATION = Calibration(sigma=3.0)
# Folders of an observation, of what a build makes of it, and of a run.
FOLDERS = {"observed": {"uncal", "truth"}, "calibrated": {"rate"}}
FOLDERS["root"] = {"image2", "figures", "logs"}
EACH_FOLDER = [(of, name) for of, names in FOLDERS.items() for name in sorted(names)]

OPEN_RUN = """
import sys
from miri_background.observation import Observation
from miri_background.run_directory import RunDirectory

run = RunDirectory(sys.argv[1], Observation())
print(run.observed, run.root.is_dir(), flush=True)
sys.stdin.read()
"""

# In a namespace of its own even a user without privileges may mount; it goes with the process.
OPEN_RUN_ON_SMALL_DISK = """
set -e
mount -t tmpfs -o size=50m none "$1"
exec "$2" -c '
import sys
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.run_directory import RunDirectory

try:
    RunDirectory(sys.argv[1], Observation.model_validate_json(sys.argv[2]))
except CannotJudge as refusal:
    print(refusal)
' "$1" "$3"
"""


@pytest.fixture
def open_run():
    """Give a function that opens a run directory, and let go of them all afterwards."""
    runs = []

    def open_directory(location, observation=OBSERVATION, calibration=CALIBRATION):
        runs.append(RunDirectory(location, observation, calibration))
        return runs[-1]

    yield open_directory
    for run in runs:
        run.release()


@pytest.fixture
def open_elsewhere():
    """Give a function that opens a run directory in another process; also return what it says."""
    processes = []

    def start(location):
        process = subprocess.Popen(
            [sys.executable, "-c", OPEN_RUN, location],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, process.stdout.readline().split()

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=TIMEOUT)


@pytest.fixture
def said_on_small_disk(tmp_path):
    """Return a function that opens a run on a disk of 50 MB and returns the refusal, if any."""
    permitted = shutil.which("unshare") and subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path],
        check=False,
        capture_output=True,
    )
    if not permitted or permitted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")

    def said_of(observation):
        command = ["unshare", "-rm", "sh", "-c", OPEN_RUN_ON_SMALL_DISK, "sh"]
        arguments = [tmp_path, sys.executable, observation.model_dump_json()]
        return subprocess.run(
            command + arguments, check=True, capture_output=True, text=True, timeout=TIMEOUT
        ).stdout

    return said_of


def contents(path):
    """Return all paths below a directory with the bytes of files."""
    return {each: each.read_bytes() if each.is_file() else None for each in path.rglob("*")}


def test_given_path_is_used(open_run, tmp_path):
    """A path is taken as it is."""
    assert open_run(tmp_path / "run").observed == tmp_path / "run"


def test_path_may_be_text(open_run, tmp_path):
    """A command line gives text."""
    assert open_run(os.fspath(tmp_path / "run")).observed == tmp_path / "run"


def test_home_is_found(open_run, tmp_path, monkeypatch):
    """A tilde is the user's home."""
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert open_run("~/run").observed == tmp_path / "run"


def test_path_outlasts_a_change_of_directory(open_run, tmp_path, monkeypatch):
    """The path is absolute."""
    monkeypatch.chdir(tmp_path)
    assert open_run("run").observed == tmp_path / "run"


@pytest.mark.parametrize("of", FOLDERS)
def test_folders_are_made(open_run, tmp_path, of):
    """Every step finds its folder."""
    directory = getattr(open_run(tmp_path / "run"), of)
    assert {path.name for path in directory.iterdir() if path.is_dir()} >= FOLDERS[of]


def test_kept_run_is_below_runs(open_run, tmp_path, monkeypatch):
    """A run that is kept has a name of its own below runs/ of the current directory."""
    monkeypatch.chdir(tmp_path)
    observed = open_run("kept").observed
    assert observed.parent == tmp_path / "runs"
    assert observed.name == f"F770W-FULL-20groups-seed770-{OBSERVATION.key[:6]}"


def test_temporary_run_goes_with_its_process(open_elsewhere):
    """While the process runs the directory is there, afterwards it is not."""
    process, (root, there) = open_elsewhere("temporary")
    assert there == "True"
    process.communicate("", timeout=TIMEOUT)
    assert not Path(root).exists()


def test_run_can_be_continued(open_run, tmp_path):
    """The same observation finds its products again."""
    first = open_run(tmp_path / "run")
    (first.calibrated / "rate" / "mine").touch()
    first.release()
    assert (open_run(tmp_path / "run").calibrated / "rate" / "mine").exists()


def test_process_takes_its_own_run_over(open_run, tmp_path):
    """A notebook cell can be run again."""
    first = open_run(tmp_path / "run")
    assert open_run(tmp_path / "run").root == first.root


def test_observation_can_be_read_back(open_run, tmp_path):
    """The directory says what is observed."""
    text = (open_run(tmp_path / "run").root / "observation.json").read_text()
    assert Observation.model_validate_json(text) == OBSERVATION


def test_other_observation_is_refused(open_run, tmp_path):
    """A directory serves one observation, however it is calibrated."""
    open_run(tmp_path / "run").release()
    with pytest.raises(CannotJudge, match=r"observation\.json describes another observation"):
        open_run(tmp_path / "run", OTHER_OBSERVATION, OTHER_CALIBRATION)


def test_refused_directory_is_free(open_run, tmp_path):
    """Who was refused does not keep others out."""
    open_run(tmp_path / "run").release()
    with pytest.raises(CannotJudge):
        open_run(tmp_path / "run", OTHER_OBSERVATION)
    with (tmp_path / "run" / ".records" / "lock").open("w") as lock:
        assert fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) is None


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_damaged_observation_is_refused(open_run, tmp_path, text):
    """Products of which nobody knows what they show are not used."""
    (tmp_path / "observation.json").write_text(text)
    with pytest.raises(CannotJudge, match=r"observation\.json describes another observation"):
        open_run(tmp_path)


def test_foreign_directory_is_refused(open_run, tmp_path):
    """A directory with anything else in it is named, with one thing that it holds."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CannotJudge, match=r"not a run of this suite \(it holds thesis\.tex\)"):
        open_run(tmp_path)


def test_foreign_directory_stays_as_it_is(open_run, tmp_path):
    """Refusing a directory does not change it, whatever the names in it."""
    (tmp_path / "thesis.tex").write_text("chapter 1")
    (tmp_path / "drafts" / ".writing-chapter2").mkdir(parents=True)
    before = contents(tmp_path)
    with pytest.raises(CannotJudge):
        open_run(tmp_path)
    assert contents(tmp_path) == before


def test_other_run_stays_as_it_is(open_run, tmp_path):
    """Refusing the directory of another observation does not change it."""
    open_run(tmp_path).release()
    before = contents(tmp_path)
    with pytest.raises(CannotJudge):
        open_run(tmp_path, OTHER_OBSERVATION)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("below", [".", "run"])
def test_file_in_the_way_is_named(open_run, tmp_path, below):
    """A file where a directory should be is a could-not-judge."""
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(CannotJudge, match=rf"^{occupied}.* cannot be written \(.*\): free space"):
        open_run(occupied / below)


@pytest.mark.parametrize(("of", "name"), EACH_FOLDER)
def test_file_in_a_folders_place_is_named(open_run, tmp_path, of, name):
    """So is a file where one of the folders should be."""
    run = open_run(tmp_path)
    run.release()
    path = getattr(run, of) / name
    path.rmdir()
    path.touch()
    with pytest.raises(CannotJudge, match=f"^{tmp_path} cannot be written"):
        open_run(tmp_path)


def test_place_that_nobody_may_write_is_named(open_run):
    """The kernel's own directory refuses even the superuser."""
    with pytest.raises(CannotJudge, match=r"^/proc/run cannot be written"):
        open_run("/proc/run")


def test_too_little_space_is_named(said_on_small_disk, tmp_path):
    """A run that cannot be finished is not begun."""
    said = said_on_small_disk(OBSERVATION)
    assert said.startswith(f"{tmp_path} has 0.05 GB free and this run needs 1.")


def test_small_subarray_needs_little_space(said_on_small_disk):
    """What is needed is counted for the pixels that are read."""
    small = Observation(subarray="SUB256", groups=6, science_exposures=1, background_exposures=2)
    assert said_on_small_disk(small) == ""


def test_integrations_apart_need_their_space():
    """Rates, subtracted and calibrated images are there for each integration."""
    kept = [
        space_needed(Observation(integrations=5), Calibration(rate_product=each))
        for each in ("rate", "rateints")
    ]
    pixels = 1024 * 1032
    images = 5 * (8 + 4 + 4)  # more of rates, subtracted and calibrated images
    assert kept[1] - kept[0] > images * 20 * pixels


def test_run_of_another_process_is_refused(open_run, open_elsewhere, tmp_path):
    """Two runs do not write to one directory."""
    open_elsewhere(tmp_path)
    with pytest.raises(CannotJudge, match=f"^{tmp_path} is in use by another run"):
        open_run(tmp_path)


def test_run_of_a_killed_process_can_be_continued(open_run, open_elsewhere, tmp_path):
    """The system lets go of the directory when its process is killed."""
    process, _ = open_elsewhere(tmp_path)
    process.kill()
    process.wait(TIMEOUT)
    assert open_run(tmp_path).observed == tmp_path


@pytest.mark.parametrize("folder", [".", "rate", ".records/rate"])
def test_leftovers_of_killed_runs_are_removed(open_run, tmp_path, folder):
    """What a killed run was writing is of no use."""
    open_run(tmp_path).release()
    leftover = tmp_path / folder / ".writing-a1b2c3"
    leftover.mkdir(parents=True)
    open_run(tmp_path)
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("rate_product", "suffixes"),
    [
        ("rate", ["bsub", "combinedbackground", "cal"]),
        ("rateints", ["bsubints", "combinedbackground", "calints"]),
    ],
)
def test_products_of_a_whole_run(open_run, tmp_path, rate_product, suffixes):
    """Each science exposure has every product of calwebb_image2, under the pipeline's names."""
    run = open_run(tmp_path, calibration=Calibration(rate_product=rate_product))
    science = exposures(OBSERVATION, "science")
    names = [path.name for each in science for path in run.products(each)]
    assert names == [f"{each.name}_{suffix}.fits" for each in science for suffix in suffixes]
    assert run.rate(science[0]).name == f"{science[0].name}_{rate_product}.fits"


@pytest.mark.parametrize("product", ["uncal", "truth", "rate"])
def test_products_have_their_folder(open_run, tmp_path, product):
    """A product is in the folder of its kind, under the exposure's name."""
    run = open_run(tmp_path)
    (exposure, *_) = exposures(OBSERVATION)
    directory = run.calibrated if product == "rate" else run.observed
    expected = directory / product / f"{exposure.name}_{product}.fits"
    assert getattr(run, product)(exposure) == expected


# ------------------------------------------------------------------ several runs beside each other


@pytest.mark.parametrize(
    "changed",
    [{"sigma": 3.0}, {"maxiters": 5}, {"control": "step skipped"}, {"rate_product": "rateints"}],
    ids=str,
)
def test_other_clipping_has_a_run_of_its_own(open_run, tmp_path, changed):
    """What decides calwebb_image2 alone starts from the same ramps and the same rates."""
    first, second = open_run(tmp_path), open_run(tmp_path, calibration=Calibration(**changed))
    assert second.root != first.root
    assert (second.observed, second.calibrated) == (first.observed, first.calibrated)


@pytest.mark.parametrize(
    "changed", [{"crds_cache": "home"}, {"crds_context": "jwst_1322.pmap"}], ids=str
)
def test_other_references_have_rates_of_their_own(open_run, tmp_path, changed):
    """The ramps are shared, and what is made of them with other references is kept apart."""
    first, second = open_run(tmp_path), open_run(tmp_path, calibration=Calibration(**changed))
    assert second.observed == first.observed
    assert second.calibrated != first.calibrated


def test_other_build_has_rates_of_its_own(tmp_path, monkeypatch):
    """Rates of one build are not taken for those of another."""
    here = run_path(tmp_path, CALIBRATION)
    monkeypatch.setattr(builds, "version", lambda _: "99.0")
    assert run_path(tmp_path, CALIBRATION).parent != here.parent


def test_rates_of_exposures_and_of_integrations_are_kept_both(open_run, tmp_path):
    """They are beside each other, under the pipeline's names."""
    kinds = [Calibration(rate_product=each) for each in ("rate", "rateints")]
    runs = [open_run(tmp_path, calibration=each) for each in kinds]
    paths = [run.rate(exposures(OBSERVATION)[0]) for run in runs]
    assert paths[0].parent == paths[1].parent
    assert len(set(paths)) == 2


def test_same_name_of_another_calibration_is_refused(open_run, tmp_path):
    """A run serves one calibration: a name that does not tell two apart mixes nothing."""
    open_run(tmp_path).release()
    with pytest.raises(CannotJudge, match=r"calibration\.json describes another calibration"):
        open_run(tmp_path, calibration=Calibration(crds_server_url="https://crds.example.org"))


def test_calibration_can_be_read_back(open_run, tmp_path):
    """The run says what it makes of the observation."""
    run = open_run(tmp_path, calibration=OTHER_CALIBRATION)
    text = (run.root / "calibration.json").read_text()
    assert Calibration.model_validate_json(text) == OTHER_CALIBRATION


def test_names_of_a_run_are_readable(tmp_path):
    """A path says which build, which references, and how it clips."""
    calibration = Calibration(
        crds_cache="central", crds_context="jwst_1322.pmap", sigma=2.5, control="background missing"
    )
    below = run_path(tmp_path, calibration).relative_to(tmp_path)
    build = f"jwst-{version('jwst')}-central-jwst_1322"
    assert below.parts == (build, "sigma2.5-maxiters3-background-missing")


def test_caches_at_other_paths_have_other_names():
    """A path is too long for a name, and two paths have two."""
    words = {Calibration(crds_cache=each).references_words for each in ("/data/a", "/data/b")}
    assert len(words) == 2
    assert not any("/" in each for each in words)


def test_shorter_dark_has_rates_of_its_own():
    """Rates that a shorter dark was subtracted from are not those of the usual one."""
    assert Calibration().references_words == "synthetic"
    assert Calibration(dark_groups=10).references_words == "synthetic-dark10"


def test_rates_with_interference_left_are_others():
    """Rates that emicorr has not corrected are not those that it has."""
    assert Calibration(emicorr="none").references_words == "synthetic-no-emicorr"


def test_purpose_is_the_name_of_its_run(tmp_path):
    """What is no validation has a directory of its own, whatever its clipping."""
    assert run_path(tmp_path, CALIBRATION, "closure").name == "closure"


@pytest.mark.parametrize("name", ["observation.json", "uncal", "truth", "rate"])
def test_run_shows_what_it_is_made_from(open_run, tmp_path, name):
    """The directory of a run has links to everything that a reader looks for."""
    run = open_run(tmp_path / "run")
    link = run.root / name
    made_from = (run.calibrated if name == "rate" else run.observed) / name
    assert link.is_symlink()
    assert link.resolve() == made_from


def test_links_outlast_a_move(open_run, tmp_path):
    """A directory that is archived elsewhere shows the same."""
    run = open_run(tmp_path / "run")
    (run.observed / "uncal" / "any.fits").touch()
    run.release()
    (tmp_path / "run").rename(tmp_path / "archived")
    moved = tmp_path / "archived" / run.root.relative_to(run.observed)
    assert (moved / "uncal" / "any.fits").exists()
    assert (moved / "observation.json").is_file()


def test_second_run_of_an_observation_waits_for_the_first(open_run, open_elsewhere, tmp_path):
    """Two calibrations at once would write the same rates."""
    open_elsewhere(tmp_path)
    with pytest.raises(CannotJudge, match=f"^{tmp_path} is in use by another run"):
        open_run(tmp_path, calibration=OTHER_CALIBRATION)


# ------------------------------------------------------------------ verdicts


def test_other_errors_are_left_alone():
    """Only what the file system refuses is a could-not-judge."""
    with pytest.raises(ZeroDivisionError), writable("anywhere"):
        _ = 1 / 0


class Written:
    """A verdict that writes a text."""

    def __init__(self, text):
        self.text = text

    def write(self, path):
        """Write the text."""
        path.write_text(self.text)


def test_verdict_takes_the_place_of_the_one_before(open_run, tmp_path):
    """It is the suite's own; a file that somebody has edited stays."""
    run = open_run(tmp_path)
    for text in ("first", "second"):
        run.write_verdict(Written(text))
    assert run.metrics.read_text() == "second"
    run.metrics.write_text("edited")
    with pytest.raises(CannotJudge, match=r"metrics\.json"):
        run.write_verdict(Written("third"))


def test_verdict_that_cannot_be_written_leaves_nothing(open_run, tmp_path):
    """Not a part of a file."""
    run = open_run(tmp_path)
    with pytest.raises(TypeError):
        run.write_verdict(Written(None))
    assert not run.metrics.exists()
