"""Rates are made once, the association says what is subtracted, nothing of others is in the way."""

import json
from concurrent.futures import Executor, Future

import pytest

from miri_background.calibration import builds, image2
from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.parallel import process_pool
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures

OBSERVATION = Observation(science_exposures=2, background_exposures=3)
FEW = Observation(subarray="SUB256", groups=8, science_exposures=1, background_exposures=2)


@pytest.fixture
def run(tmp_path):
    """Return an empty run directory."""
    run = RunDirectory(tmp_path, OBSERVATION)
    yield run
    run.release()


def members(path):
    """Return the types of the members of the only product."""
    (product,) = json.loads(path.read_text())["products"]
    return [member["exptype"] for member in product["members"]]


def test_associations_are_written_without_a_warning(run):
    """A warning of the pipeline is an error here, whatever its release deprecates."""
    associated = [members(path) for path in write_associations(run)]
    assert associated == [["science", *["background"] * 3]] * 2


def test_associations_are_written_again(run):
    """A run that goes on replaces its own."""
    before = [path.read_text() for path in write_associations(run)]
    assert [len(path.read_text()) for path in write_associations(run)] == list(map(len, before))


@pytest.mark.parametrize("kind", ["asn.json", "rate.fits"])
def test_file_of_others_stays(kind, run):
    """Neither an association nor a link to a member takes the place of somebody's file."""
    (association, *_) = write_associations(run)
    (path, *_) = association.parent.glob(f"*_{kind}")
    path.unlink()
    path.write_text("mine")
    with pytest.raises(CannotJudge, match=path.name):
        write_associations(run)
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
        future.set_result((None, 0))
        return future


class Refusing:
    """A pipeline that shows in which process it is called."""

    @staticmethod
    def call(*_, **__):
        """Refuse to do anything."""
        msg = "taken here"
        raise RuntimeError(msg)


@pytest.fixture(scope="module")
def calibrated(synthetic_caches, tmp_path_factory):
    """Return a directory with the rates of an observation, in the environment of its references."""
    cache = synthetic_cache(synthetic_caches, FEW)
    with pytest.MonkeyPatch.context() as patch:
        # Other tests may have imported them here.
        patch.setattr(image2, "steps_are_imported", lambda: False)
        for name, value in crds_environment(cache).items():
            patch.setenv(name, value)
        run = RunDirectory(tmp_path_factory.mktemp("calibrated"), FEW)
        with process_pool(1) as executor:
            take_exposures(run, executor)
            detector1_rates(run, executor)
        run.release()
        yield run.observed


def made_again(directory, **changed):
    """Return how many rates a calibration of the observation would make."""
    run, executor = RunDirectory(directory, FEW, Calibration(**changed)), Waiting()
    detector1_rates(run, executor)
    run.release()
    return len(executor.taken)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{}, {"sigma": 3.0}, {"control": "step skipped"}], ids=str)
def test_rates_that_are_there_are_used(calibrated, changed):
    """What is decided after the rates leaves nothing to do before them."""
    assert made_again(calibrated, **changed) == 0


@pytest.mark.slow
def test_slopes_of_integrations_are_made(calibrated):
    """Rates of exposures are not taken for those of integrations."""
    assert made_again(calibrated, rate_product="rateints") == len(exposures(FEW))


@pytest.mark.slow
def test_rates_of_another_context_are_made_again(calibrated, monkeypatch):
    """Where the choice of the context is CRDS's, it may choose another one later."""
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_1322.pmap")
    assert made_again(calibrated) == len(exposures(FEW))


def images_made_again(directory, calibration=None, steps=None):
    """Return the associations that calwebb_image2 would be called on again."""
    run, executor = RunDirectory(directory, FEW, calibration), Waiting()
    write_associations(run)
    subtract_backgrounds(run, executor, steps or image2_steps(run.calibration))
    run.release()
    return [item[1] for _, (_, item) in executor.taken]


@pytest.mark.slow
def test_images_that_are_there_are_used(calibrated):
    """What calwebb_image2 made of the same rates in the same way is not made again."""
    run = RunDirectory(calibrated, FEW)
    write_associations(run)
    with process_pool(1) as executor:
        made = subtract_backgrounds(run, executor, image2_steps(run.calibration))
    run.release()
    assert [path.name.rpartition("_")[2] for path in made] == [
        "bsub.fits",
        "combinedbackground.fits",
        "cal.fits",
    ]
    assert images_made_again(calibrated) == []


@pytest.mark.slow
def test_images_are_made_again_where_a_step_may_have_been_changed(calibrated, monkeypatch):
    """Who has imported a step here may have broken it, and wants to see that."""
    monkeypatch.setattr(image2, "steps_are_imported", lambda: True)
    run = RunDirectory(calibrated, FEW)
    write_associations(run)
    with pytest.raises(CannotJudge, match="taken here"):
        subtract_backgrounds(run, Waiting(), image2_steps(run.calibration), Refusing)
    run.release()


@pytest.mark.slow
def test_images_of_other_steps_are_made_again(calibrated):
    """Products of one choice of steps are not taken for those of another."""
    steps = image2_steps(Calibration(), later_steps=False)
    (association,) = images_made_again(calibrated, steps=steps)
    assert members(association) == ["science", *["background"] * 2]


@pytest.mark.slow
def test_missing_background_is_hidden_from_the_pipeline_only(calibrated):
    """calwebb_image2 gets one background less than the association says that is judged by."""
    (association,) = images_made_again(calibrated, Calibration(control="background missing"))
    assert members(association) == ["science", "background"]
    (judged,) = association.parent.glob("*_asn.json")
    assert members(judged) == ["science", *["background"] * 2]


@pytest.mark.slow
def test_rates_of_a_build_that_was_edited_are_made_again(calibrated, monkeypatch):
    """A pipeline that somebody changed by hand keeps its version, and not its rates."""
    monkeypatch.setattr(builds, "pipeline_fingerprint", lambda: "edited")
    assert made_again(calibrated) == len(exposures(FEW))


# ------------------------------------------------------------------ headers


@pytest.mark.slow
def test_cards_of_rates_are_those_of_flight(calibrated, flight_file, different_cards):
    """What flight has after calwebb_detector1 is there, of the same type and form."""
    (rate, *_) = sorted(calibrated.rglob("*_rate.fits"))
    later = ("that are not needed", "that calwebb_image2 writes", "of resampled images")
    assert different_cards(rate, flight_file, later) == {}


@pytest.mark.slow
def test_cards_of_calibrated_images_are_those_of_flight(calibrated, flight_file, different_cards):
    """What flight has after calwebb_image2 is there, of the same type and form."""
    run = RunDirectory(calibrated, FEW)
    write_associations(run)
    with process_pool(1) as executor:
        made = subtract_backgrounds(run, executor, image2_steps(run.calibration))
    run.release()
    (image,) = [path for path in made if path.name.endswith("_cal.fits")]
    assert different_cards(image, flight_file, ("that are not needed", "of resampled images")) == {}
