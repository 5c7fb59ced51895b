"""The association says what the pipeline is to subtract, and nothing of others is in its way."""

import json

import pytest

from miri_background.calibration.pipeline import write_association
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.run_directory import RunDirectory

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
