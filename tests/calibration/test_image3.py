"""A mosaic is made of the subtracted science exposures alone, and of nothing that is another's."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from miri_background.calibration.image3 import image3_steps, make_mosaic, write_mosaic_association
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.run_directory import RunDirectory, run_path, space_needed

OBSERVATION = Observation(subarray="SUB256", science_exposures=3, background_exposures=2)
THROUGH = Calibration(through="image3")


@pytest.fixture
def open_run(tmp_path):
    """Return a function that opens an empty run, with calibrated exposures if it can have them."""
    opened = []

    def open_one(observation=OBSERVATION, calibration=THROUGH):
        run = RunDirectory(tmp_path, observation, calibration)
        opened.append(run)
        for exposure in exposures(observation, "science"):
            run.products(exposure)[-1].write_text(exposure.name)
        return run

    yield open_one
    for each in opened:
        each.release()


def test_default_changes_no_key_and_no_directory(tmp_path):
    """Only who asks for a mosaic has a run of its own."""
    default = Calibration()
    assert Calibration(through="image2").key == default.key
    assert run_path(tmp_path, default).name == "sigma2-maxiters3"
    assert run_path(tmp_path, THROUGH).name == "sigma2-maxiters3-image3"


def test_mosaic_needs_more_space():
    """What calwebb_image3 writes is counted before anything is begun."""
    assert space_needed(OBSERVATION, THROUGH) > space_needed(OBSERVATION, Calibration())


def test_members_are_the_subtracted_science_exposures(open_run):
    """A background of another part of the sky is no part of the mosaic."""
    run = open_run()
    (product,) = json.loads(write_mosaic_association(run).read_text())["products"]
    science = [run.products(each)[-1].name for each in exposures(OBSERVATION, "science")]
    assert [member["expname"] for member in product["members"]] == science
    assert {member["exptype"] for member in product["members"]} == {"science"}


def test_members_are_found_beside_the_association(open_run):
    """As the pipeline looks for them."""
    run = open_run()
    path = write_mosaic_association(run)
    write_mosaic_association(run)  # once more
    for exposure in exposures(OBSERVATION, "science"):
        member = path.parent / run.products(exposure)[-1].name
        assert member.read_text() == exposure.name


def test_file_of_others_stays(open_run):
    """No link to a member takes the place of somebody's file."""
    run = open_run()
    mine = run.mosaic_association.parent / run.products(exposures(OBSERVATION)[0])[-1].name
    mine.write_text("mine")
    with pytest.raises(CannotJudge, match=mine.name):
        write_mosaic_association(run)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"calibration": Calibration(through="image3", rate_product="rateints")}, "rateints gives"),
        ({"observation": OBSERVATION.model_copy(update={"science_exposures": 1})}, "one exposure"),
    ],
    ids=["integrations", "one exposure"],
)
def test_what_gives_no_mosaic_is_refused(open_run, changed, words):
    """In one sentence that says what to choose instead."""
    with pytest.raises(CannotJudge, match=words):
        write_mosaic_association(open_run(**changed))


def test_error_of_the_pipeline_names_its_log(open_run):
    """It is no fault of what is judged."""

    class Broken:
        """A pipeline that ends with an error."""

        @staticmethod
        def call(*_, **__):
            """Refuse."""
            msg = "no sky"
            raise ValueError(msg)

    run = open_run()
    write_mosaic_association(run)
    words = r"calwebb_image3 on .* ended with ValueError: no sky.*log"
    with ThreadPoolExecutor(1) as here, pytest.raises(CannotJudge, match=words):
        make_mosaic(run, here, image3_steps(THROUGH), Broken)
