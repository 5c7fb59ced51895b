"""The exposures of a run are those of its data set, verified, under the names they have there."""

import pytest

from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.data.exposures import detector1_steps, exposures_checked, place_exposures
from miri_background.data.manifest import data_set, data_sets
from miri_background.data.resolver import NotHere
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.parameters import DATA_SETS, InvalidParameter
from miri_background.references.choice import use_references
from miri_background.reporting.words import observation_in_words
from miri_background.run_directory import RunDirectory
from miri_background.simulation.sky_level import require_unsaturated

SUFFIXES = {"archived": "", "flight": "_uncal"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty local root."""
    monkeypatch.setenv("TEST_BIGDATA", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def put(root, content):
    """Return a function that puts the files of one level of a data set into the local root."""

    def write(name, level, count=None):
        files = [each for each in data_set(name).files if each.level == level][:count]
        (root / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            (root / name / file.name).write_bytes(content)
        return files

    return write


@pytest.fixture
def run_of_data(tmp_path):
    """Return a function that gives a run directory of a data set."""
    made = []

    def make(name):
        made.append(RunDirectory(tmp_path / "run", Observation(data=name)))
        return made[-1]

    yield make
    for run in made:
        run.release()


def test_every_data_set_is_a_choice():
    """The parameter has the names of the manifest."""
    assert set(data_sets()) == set(DATA_SETS)


@pytest.mark.parametrize("name", DATA_SETS)
def test_exposures_have_the_names_of_the_files(name):
    """Ramps of the manifest are those of the observation, in its order, and of its filter."""
    observation = Observation(data=name)
    files = [each for each in data_set(name).files if each.level == "uncal"]
    assert [each.name for each in files] == [
        f"{exposure.name}{SUFFIXES[name]}.fits" for exposure in exposures(observation)
    ]
    assert observation.filter == data_set(name).filter


@pytest.mark.parametrize(
    "wrong", [{"filter": "F1000W"}, {"science_exposures": 5}, {"simulator": "mirisim"}], ids=str
)
def test_what_the_files_are_not_is_refused(wrong):
    """A data set has its own filter and its own exposures."""
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        Observation.create(data="flight", **wrong)


def test_key_of_simulated_data_is_what_it_was():
    """Runs and baselines of before are found."""
    assert Observation().changes() == {}
    assert Observation(data="simulated").key == Observation().key != Observation(data="flight").key


@pytest.mark.parametrize("name", DATA_SETS)
def test_ramps_are_placed(put, run_of_data, content, name):
    """The files are in the run's directory, as ramps of their exposures."""
    put(name, "uncal")
    run = run_of_data(name)
    placed = place_exposures(run, None)
    assert placed == [run.uncal(exposure) for exposure in exposures(run.observation)]
    assert all(path.read_bytes() == content for path in placed)
    assert place_exposures(run, None) == placed


def test_slopes_are_placed_where_ramps_are_not_all_here(put, run_of_data):
    """They go on as they are: calwebb_detector1 has nothing to do."""
    put("flight", "uncal", 7)
    put("flight", "rate")
    run = run_of_data("flight")
    rates = [run.rate(exposure) for exposure in exposures(run.observation)]
    assert place_exposures(run, None) == rates
    assert detector1_rates(run, None) == rates


def test_what_is_missing_is_one_sentence(put, run_of_data):
    """Of some files all that are missing are counted, and it is said what to do."""
    put("flight", "rate", 6)
    with pytest.raises(NotHere, match=r"00003_mirimage_rate\.fits and 1 other of .* fetch flight"):
        place_exposures(run_of_data("flight"), None)


def test_wrong_file_is_not_placed(put, run_of_data, root):
    """An error page in the place of a file does not become a ramp."""
    (first, *_) = put("flight", "uncal")
    (root / "flight" / first.name).write_text("<html>")
    run = run_of_data("flight")
    with pytest.raises(CannotJudge, match="it is a web page"):
        place_exposures(run, None)
    assert not list((run.observed / "uncal").iterdir())


def test_files_that_are_replaced_are_placed_anew(put, run_of_data, root, content):
    """A run goes on with what its data set is now."""
    (first, *_) = put("flight", "uncal")
    run = run_of_data("flight")
    (before, *_) = place_exposures(run, None)
    (root / "flight" / first.name).unlink()
    (root / "flight" / first.name).write_bytes(content + bytes(2880))
    assert place_exposures(run, None)[0].stat().st_size == len(content) + 2880
    assert before.exists()


def test_archived_exposures_have_their_read_noise(put, root):
    """Jumps and slopes use the reference that came with them; refpix is skipped, as it was."""
    (noise,) = put("archived", "reference")
    steps = detector1_steps(Observation(data="archived"))
    path = str(root / "archived" / noise.name)
    assert steps["jump"] == {"rejection_threshold": 10.0, "override_readnoise": path}
    assert steps["ramp_fit"] == {"override_readnoise": path}
    assert steps["refpix"] == {"skip": True}


@pytest.mark.parametrize("data", ["simulated", "flight"])
def test_other_exposures_need_nothing_of_the_steps(data):
    """They go through the pipeline with its own parameters."""
    assert detector1_steps(Observation(data=data)) == {}


def test_synthetic_references_are_not_for_data_of_others():
    """They describe another detector."""
    with pytest.raises(SetUpWrong, match="name another CRDS cache"):
        use_references(Observation(data="flight"), Calibration())


def test_words_follow_the_data():
    """No star is promised that the simulator did not put there."""
    said = observation_in_words(Observation(data="flight"))
    assert "supernova" in said
    assert "340" not in said


def test_sky_of_others_is_not_predicted():
    """A sky that would saturate the simulator is theirs."""
    assert require_unsaturated(Observation(data="flight", groups=100, sky_level=2000)) is None


def test_data_are_named(run_of_data):
    """The notebook says which data it has."""
    assert "data set flight" in exposures_checked(run_of_data("flight"))
