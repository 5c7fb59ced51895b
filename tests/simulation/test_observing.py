"""An observation's files are the same however they are taken, and whole however it ends."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from miri_background.instrument.optics import point_spread_function
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.parallel import process_pool
from miri_background.provenance import level1b_checksum
from miri_background.run_directory import RunDirectory
from miri_background.simulation.exposures import simulate
from miri_background.simulation.observing import take_exposures

TIMEOUT = 120  # s, several times what an exposure takes, or the end of a killed process
SMALL = {"subarray": "SUB256", "groups": 6, "science_exposures": 1, "background_exposures": 2}
# All that an exposure can have: its second dither has latent images.
EVERYTHING = {
    "subarray": "BRIGHTSKY",
    "groups": 8,
    "integrations": 2,
    "filter": "F560W",
    "latent_fraction": 1.0,
    "shower_rate": 6.0,
}

# What an exposure's numbers depend on, made in a process with another arithmetic.
CHECKSUM = f"""
import hashlib
from miri_background.observation import Observation
from miri_background.observation import exposures
from miri_background.simulation.exposures import simulate
from miri_background.instrument.optics import point_spread_function
observation = Observation(**{EVERYTHING})
psf = point_spread_function(observation.filter)
science = simulate(observation, exposures(observation)[1], psf).level1b.data
print(hashlib.sha256(science.astype(">u2").tobytes()).hexdigest())
"""

# Threads, so that no process outlives the one that is killed.
TAKE = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from miri_background.observation import Observation
from miri_background.provenance import level1b_checksum
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
with ThreadPoolExecutor(1) as executor:
    take_exposures(RunDirectory(sys.argv[1], Observation(**{SMALL})), executor)
"""


@pytest.fixture(scope="module")
def observation():
    """Return an observation of three short exposures."""
    return Observation(**SMALL)


@pytest.fixture(scope="module")
def taken(observation, tmp_path_factory):
    """Give a run directory with the exposures, taken by one thread of this process."""
    run = RunDirectory(tmp_path_factory.mktemp("taken") / "run", observation)
    with ThreadPoolExecutor(1) as executor:
        take_exposures(run, executor)
    yield run
    run.release()


@pytest.fixture
def run(observation, tmp_path):
    """Give an empty run directory."""
    run = RunDirectory(tmp_path / "run", observation)
    yield run
    run.release()


@pytest.fixture(scope="module")
def checksums(taken, observation):
    """Return the checksum of the ramps of each exposure."""
    return [level1b_checksum(taken.uncal(each)) for each in exposures(observation)]


@pytest.fixture(scope="module")
def checksum_of_everything():
    """Return the checksum of the ramps of an exposure with everything that it can have."""
    observation = Observation(**EVERYTHING)
    psf = point_spread_function(observation.filter)
    return checksum(simulate(observation, exposures(observation)[1], psf).level1b.data)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return the directory of a run that was killed while it wrote a level-1b file."""
    root = tmp_path_factory.mktemp("killed") / "run"
    process = subprocess.Popen([sys.executable, "-c", TAKE, root])
    while not list(root.glob("uncal/.writing-*")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait(TIMEOUT) == -signal.SIGKILL
    return root


def checksum(science):
    """Return the checksum of ramps, whatever the processor's order of bytes."""
    return hashlib.sha256(science.astype(">u2").tobytes()).hexdigest()


def products(root):
    """Return the files of a run's exposures, those that are being written left out."""
    return sorted([*root.glob("uncal/*.fits"), *root.glob("truth/*.fits")])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same_ramps(run, checksums, workers):
    """One process, two processes and a thread of this one write the same numbers."""
    with process_pool(workers) as executor:
        paths = take_exposures(run, executor)
    assert [level1b_checksum(path) for path in paths] == checksums


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"NPY_DISABLE_CPU_FEATURES": "all"},
    ],
    ids=["one thread", "old processor for matrices", "old processor for arrays"],
)
def test_processor_does_not_change_the_ramps(checksum_of_everything, environment):
    """Sums in another order and instructions of an old processor give the same numbers."""
    if "NPY_DISABLE_CPU_FEATURES" in environment:
        simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
        environment = {"NPY_DISABLE_CPU_FEATURES": " ".join(simd.get("found", []))}
    answer = subprocess.run(
        [sys.executable, "-c", CHECKSUM],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert answer.stdout.strip() == checksum_of_everything


@pytest.mark.slow
def test_files_hold_what_is_simulated(observation, checksums):
    """The file of an exposure has the numbers of a simulation of this exposure alone."""
    psf = point_spread_function(observation.filter)
    science = simulate(observation, exposures(observation)[1], psf).level1b.data
    assert checksum(science) == checksums[1]


@pytest.mark.slow
def test_each_exposure_has_its_files(observation, taken):
    """There is a level-1b and a truth file for each exposure, and nothing else."""
    expected = [
        path(exposure) for path in (taken.truth, taken.uncal) for exposure in exposures(observation)
    ]
    assert products(taken.observed) == sorted(expected)


@pytest.mark.slow
def test_exposures_are_taken_once(taken):
    """Asked for again, files that are there are left as they are."""
    before = {path: path.stat().st_mtime_ns for path in products(taken.observed)}
    with ThreadPoolExecutor(1) as executor:
        take_exposures(taken, executor)
    assert {path: path.stat().st_mtime_ns for path in products(taken.observed)} == before


@pytest.mark.slow
def test_killed_run_leaves_no_part_of_a_file(killed, taken, checksums):
    """What is in its place after a kill has all its bytes."""
    names = [path.relative_to(killed) for path in products(killed) if path.parent.name == "uncal"]
    order = [path.name for path in products(taken.observed) if path.parent.name == "uncal"]
    found = {name.name: level1b_checksum(killed / name) for name in names}
    assert found.items() <= dict(zip(order, checksums, strict=True)).items()


@pytest.mark.slow
def test_killed_run_is_completed(observation, killed, checksums, tmp_path):
    """Taken again, an interrupted observation is as one that was not interrupted."""
    root = shutil.copytree(killed, tmp_path / "run")
    assert len(list(root.glob("uncal/*.fits"))) < len(checksums)
    run = RunDirectory(root, observation)
    try:
        with ThreadPoolExecutor(1) as executor:
            paths = take_exposures(run, executor)
    finally:
        run.release()
    assert [level1b_checksum(path) for path in paths] == checksums


@pytest.mark.slow
def test_foreign_file_is_left_alone(observation, run):
    """A file that the suite did not write is reported, not replaced."""
    foreign = run.uncal(exposures(observation)[-1])
    foreign.write_text("mine")
    with ThreadPoolExecutor(1) as executor, pytest.raises(CannotJudge, match=foreign.name):
        take_exposures(run, executor)
    assert products(run.observed) == [foreign]
