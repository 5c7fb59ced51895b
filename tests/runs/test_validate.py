"""The command that users run, from the first byte to the exit code."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from astropy.io import fits

from miri_background.cli import main
from miri_background.observation import Observation
from miri_background.validation.verdict.metrics_file import load_metrics

pytestmark = pytest.mark.slow

CONTROL = "background missing"


def outcomes(paths):
    """Return the outcomes of metrics files."""
    return {json.loads(path.read_text())["outcome"] for path in paths}


def values(directory):
    """Return the values of all metrics of a run."""
    return [metric.value for metric in load_metrics(directory / "metrics.json").metrics]


def start(directory, options, environment, before=()):
    """Start a validation in a process group of its own."""
    program = Path(sys.executable).with_name("miri-background")
    return subprocess.Popen(
        [*before, program, "validate", "--run", directory, *options],
        env=environment,
        cwd=directory.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, process, seconds=120):
    """Wait until a condition holds while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def family_of(process):
    """Return a run's process and all below it: papermill, kernel, workers."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def kill_all(process):
    """Kill a run with its kernel and workers, as the end of a session does."""
    for member in family_of(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.communicate()


def test_named_cache_serves_as_well(full_array):
    """A cache that is named by its path is used, and the run passes."""
    told = json.loads((full_array[0] / "calibration.json").read_text())
    assert Path(told["crds_cache"]).is_absolute()
    assert "\nPASSED\n" in full_array[1]


def test_run_needs_no_network(full_array, alone):
    """Without any network interface, a run from the simulation to the verdict passes."""
    if not alone:
        pytest.skip("this machine does not allow namespaces of one's own")
    assert "\nPASSED\n" in full_array[1]


def test_full_array_leaves_nothing_out(full_array):
    """The notebook of a run with every region and bright stars says that everything was judged."""
    assert json.loads((full_array[0] / "metrics.json").read_text())["not_judged"] == []


def test_a_correct_pipeline_passes(finished):
    """The last word of a run of a subarray, with the suite's own references, is passed."""
    assert "\nPASSED\n" in finished[1]


def test_all_products_are_there(finished):
    """A run directory holds what the documentation names."""
    directory, _ = finished
    names = {path.relative_to(directory).parts[0] for path in directory.rglob("*")}
    assert names >= {
        "observation.json",
        "calibration.json",
        "uncal",
        "truth",
        "rate",
        "image2",
        "figures",
        "logs",
        "metrics.json",
        "image2_background.ipynb",
        "image2_background.html",
    }


def test_inputs_are_recorded(finished):
    """metrics.json names every level-1b file with its checksum."""
    content = json.loads((finished[0] / "metrics.json").read_text())
    uncal = {path.name for path in (finished[0] / "uncal").iterdir()}
    assert set(content["provenance"]["inputs"]) == uncal


def test_peak_memory_is_below_two_gigabytes(full_array):
    """No process of the kernel's needs more memory than a laptop has to spare."""
    content = json.loads((full_array[0] / "metrics.json").read_text())
    assert content["provenance"]["peak_memory_bytes"] < 2e9


def test_calibration_really_ran(finished):
    """The final product went through WCS, flat field and flux calibration."""
    cal = next((finished[0] / "image2").glob("*_cal.fits"))
    header = fits.getheader(cal)
    assert {header[name] for name in ("S_BKDSUB", "S_WCS", "S_FLAT", "S_PHOTOM")} == {"COMPLETE"}


@pytest.fixture(scope="module")
def controlled(finished, link_observation, command_line, small_options, tmp_path_factory):
    """Return a copied observation below ``runs/``, and how its run with a control ended.

    The ramps and rates of the finished run serve again, and a background is left out on purpose.
    """
    current = tmp_path_factory.mktemp("current")
    original = finished[0].parents[1]
    observation = Observation.model_validate_json((original / "observation.json").read_text())
    place = current / "runs" / f"{observation.words}-{observation.key[:6]}"
    observed = link_observation(original, place)
    ended = command_line("validate", "--control", CONTROL, *small_options, current=current)
    return observed, ended


@pytest.fixture(scope="module")
def run_directories(controlled, run_of):
    """Return the directories of the correct and of the broken run."""
    return run_of(controlled[0]), run_of(controlled[0], control=CONTROL)


def test_control_fails(controlled):
    """With a background missing on purpose, the exit code is 1."""
    _, ended = controlled
    assert ended.returncode == 1, ended.stdout
    assert f"FAILED: broken on purpose (control: {CONTROL})" in ended.stdout


def test_runs_of_one_observation_are_kept_apart(run_directories):
    """The correct and the broken run have a verdict each."""
    assert [outcomes([path / "metrics.json"]) for path in run_directories] == [
        {"passed"},
        {"failed"},
    ]


def test_latest_is_the_last_run(controlled, run_directories, monkeypatch):
    """The link is followed by `check`, which says again that the last run is broken."""
    runs, broken = controlled[0].parent, run_directories[1]
    assert (runs / "latest").resolve() == broken.resolve()
    monkeypatch.chdir(runs.parent)
    assert main(["check", "runs/latest", "--no-page"]) == 1
    assert (broken / "check" / "metrics.json").exists()


@pytest.mark.long
def test_killed_run_completes_when_repeated(
    finished, run_of, suite_environment, small_options, tmp_path
):
    """Killed while it calibrates, a run that is repeated ends with the same numbers.

    Begun on all cores and ended on one, it also shows that their number does not matter.
    """
    directory = tmp_path / "killed"
    process = start(directory, small_options, suite_environment)
    wait_for(lambda: any(directory.glob("jwst-*/rate/*/*.fits")), process)
    kill_all(process)
    repeated = start(directory, [*small_options, "--workers=1"], suite_environment)
    printed, _ = repeated.communicate()
    assert repeated.returncode == 0, printed
    assert values(run_of(directory)) == values(finished[0])


def test_dead_kernel_is_noticed(suite_environment, small_options, tmp_path):
    """A kernel that is killed, as for lack of memory, ends the run at once with code 2."""
    directory = tmp_path / "dead"
    process = start(directory, small_options, suite_environment)
    wait_for(lambda: any((directory / "truth").glob("*/*.fits")), process)
    for member in family_of(process):
        if "ipykernel_launcher" in " ".join(member.cmdline()):
            member.kill()
    printed, _ = process.communicate(timeout=30)
    assert (process.returncode, "kernel died" in printed) == (2, True), printed


def cut_short(path):
    """Replace a file by its first half, as a copy of its own."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("kind", [pytest.param("uncal", marks=pytest.mark.long), "rate"])
def test_truncated_file_is_named_and_kept(
    kind, command_line, small_options, copied_observation, finished_copy
):
    """A cut file in the place of a product is not used, not replaced, and named."""
    damaged = sorted((finished_copy / kind).glob("*.fits"))[0]
    cut_short(damaged)
    left = damaged.read_bytes()
    ended = command_line("validate", "--run", copied_observation, *small_options)
    assert (ended.returncode, damaged.name in ended.stdout) == (2, True), ended.stdout
    assert damaged.read_bytes() == left


def test_references_without_context_are_refused(command_line, small_options, tmp_path):
    """A CRDS directory without context ends with one sentence and code 2."""
    cache = tmp_path / "empty"
    cache.mkdir()
    run = tmp_path / "run"
    ended = command_line("validate", "--run", run, "--crds-cache", cache, *small_options)
    assert ended.returncode == 2
    assert f"{cache} is a CRDS directory without context" in ended.stdout


def test_foreign_directory_is_left_as_it_was(command_line, small_options, tmp_path):
    """A directory that holds something else is refused, and nothing is added to it."""
    (tmp_path / "mine.txt").write_text("mine")
    ended = command_line("validate", "--run", tmp_path, *small_options)
    assert (ended.returncode, "is not empty and not a run" in ended.stdout) == (2, True)
    visible = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert visible == ["mine.txt"]


def test_unwritable_directory_is_refused(command_line, small_options):
    """A run directory that cannot be written ends with one sentence and code 2."""
    ended = command_line("validate", "--run", "/proc/nowhere", *small_options)
    assert ended.returncode == 2
    assert "/proc/nowhere cannot be written" in ended.stdout


def test_small_disk_is_refused_before_work(command_line, full_options, alone, tmp_path):
    """A working directory with too little space ends with one sentence and code 2."""
    if not alone:
        pytest.skip("this machine does not allow mounts of one's own")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=100m none "$0" && exec "$@"'
    before = ["unshare", "-rm", "sh", "-c", mount, disk]
    ended = command_line("validate", "--run", disk / "run", *full_options, before=before)
    assert ended.returncode == 2, ended.stdout
    assert "GB free and this run needs" in ended.stdout


@pytest.mark.parametrize("begun", ["kernel", "simulation"])
def test_interruption_is_one_line_that_says_how_to_go_on(
    begun, suite_environment, small_options, interruptible, tmp_path
):
    """Ctrl-C, which all processes of the terminal get, shows no traceback and leaves nothing."""
    conditions = {
        "kernel": lambda: len(family_of(process)) > 1,
        "simulation": lambda: list(tmp_path.glob("run/uncal/*.fits")),
    }
    process = start(tmp_path / "run", small_options, suite_environment, interruptible)
    wait_for(conditions[begun], process)
    family = family_of(process)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert len(said.splitlines()) == 3, said
    running, empty, interrupted = said.splitlines()
    assert process.returncode == 130
    assert (running.startswith("Running "), empty) == (True, "")
    assert interrupted.startswith("INTERRUPTED: `miri-background validate ")
    assert interrupted.endswith(" --run run` goes on.")
    assert psutil.wait_procs(family, timeout=20)[1] == []
    assert list(tmp_path.glob("run/uncal/.writing-*")) == []
