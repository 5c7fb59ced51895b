"""Rates are made once, the association says what is subtracted, nothing of others is in the way."""

import json
from concurrent.futures import Executor, Future

import pytest

from miri_background.calibration import pipeline
from miri_background.calibration.pipeline import detector1_rates, write_association
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.references.cache import crds_environment
from miri_background.run_directory import RunDirectory, run_path

OBSERVATION = Observation(science_exposures=1, background_exposures=3)


@pytest.fixture
def run(tmp_path):
    """Return an empty run directory."""
    run = RunDirectory(tmp_path, OBSERVATION)
    yield run
    run.release()


@pytest.fixture
def control(tmp_path):
    """Return an empty directory of a run that lacks a background on purpose."""
    run = RunDirectory(tmp_path, OBSERVATION, Calibration(control="background missing"))
    yield run
    run.release()


def members(path):
    """Return the types of the members of the only product."""
    (product,) = json.loads(path.read_text())["products"]
    return [member["exptype"] for member in product["members"]]


def test_association_is_written_without_a_warning(run):
    """A warning of the pipeline is an error here, whatever its release deprecates."""
    assert members(write_association(run)) == ["science", *["background"] * 3]


def test_association_is_written_again(run):
    """A run that goes on replaces its own."""
    write_association(run)
    assert members(write_association(run)) == ["science", *["background"] * 3]


def test_missing_background_is_hidden_from_the_pipeline_only(control):
    """calwebb_image2 gets one background less than the association says that is judged by."""
    assert members(write_association(control)) == ["science", *["background"] * 2]
    assert members(control.association) == ["science", *["background"] * 3]


@pytest.mark.parametrize("name", ["image2_background_asn.json", "rate"])
def test_file_of_others_stays(name, run):
    """Neither the association nor a link to a member takes the place of somebody's file."""
    write_association(run)
    if name == "rate":
        (name, *_) = (path.name for path in run.association.parent.glob("*_rate.fits"))
    path = run.association.with_name(name)
    path.unlink()
    path.write_text("mine")
    with pytest.raises(CannotJudge, match=name):
        write_association(run)
    assert path.read_text() == "mine"


# ------------------------------------------------------------------ rates that are there already


class Waiting(Executor):
    """Take work and leave it undone, so that what would be made can be counted."""

    def __init__(self):
        self.taken = []

    def submit(self, function, /, *arguments, **_):
        """Return a future that is done."""
        self.taken.append((function, arguments))
        future = Future()
        future.set_result(None)
        return future


@pytest.fixture
def finished_run(finished_copy, small_cache, monkeypatch):
    """Return the run of a directory with all products, in the environment of its references."""
    for name, value in crds_environment(small_cache).items():
        monkeypatch.setenv(name, value)
    described = json.loads((finished_copy / "observation.json").read_text())
    run = RunDirectory(finished_copy, Observation.create(**described))
    yield run
    run.release()


def made_again(run):
    """Return how many rates of a run would be made."""
    executor = Waiting()
    detector1_rates(run, executor)
    return len(executor.taken)


@pytest.mark.slow
def test_rates_that_are_there_are_used(finished_run):
    """The same build with the same references has nothing to do."""
    assert made_again(finished_run) == 0


@pytest.mark.slow
def test_rates_of_another_context_are_made_again(finished_run, monkeypatch):
    """A context that CRDS chose later under the same name of the run gives other rates."""
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_1322.pmap")
    assert made_again(finished_run) == len(exposures(finished_run.observation))


@pytest.mark.slow
def test_rates_of_a_build_that_was_changed_are_made_again(finished_run, monkeypatch):
    """A pipeline that somebody edited keeps its version, and not its rates."""
    monkeypatch.setattr(pipeline, "pipeline_fingerprint", lambda: "edited")
    assert made_again(finished_run) == len(exposures(finished_run.observation))


@pytest.mark.slow
def test_another_sigma_starts_from_the_same_files(finished_copy, command_line, small_options):
    """Ramps and rates stay as they are, and the run has a verdict beside the first one."""
    made = [*finished_copy.glob("uncal/*.fits"), *finished_copy.glob("*/rate/*.fits")]
    before = {path: path.stat().st_mtime_ns for path in made}
    ended = command_line("validate", "--run", finished_copy, "--sigma=3", *small_options)
    assert ended.returncode == 0, ended.stdout
    assert {path: path.stat().st_mtime_ns for path in made} == before
    runs = [run_path(finished_copy, each) for each in (Calibration(), Calibration(sigma=3))]
    assert all((each / "metrics.json").is_file() for each in runs)
