"""A preset gives what nobody gave, of parameters that there are, and what is given wins."""

import re

import pytest

from miri_background.calibration_choice import Calibration
from miri_background.cli.options import given
from miri_background.nightly.plan import read_matrix
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.parameters import (
    FILTERS,
    InvalidParameter,
    ObservationParameters,
    RunParameters,
    every_parameter,
)
from miri_background.presets import PRESETS, preset_parameters, with_preset

CHANGED = 1.5
SMALL = {"subarray": "SUB256", "groups": 12}


def described(parameters):
    """Return observation and calibration of parameters."""
    return Observation.of(parameters), Calibration.of(parameters)


def test_registry_and_presets_have_the_same_names():
    """What can be chosen is what there is."""
    assert RunParameters.legal_range("preset").startswith(f"{' or '.join(PRESETS)} (")


@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_of_legal_parameters(preset, filter_name):
    """Each names parameters of observation and calibration, within their ranges."""
    chosen = preset_parameters(preset, filter_name)
    assert set(chosen) <= set(every_parameter()) - set(RunParameters.model_fields)
    observation, calibration = described(chosen | {"filter": filter_name})
    made = observation.model_dump() | calibration.model_dump()
    assert {name: made[name] for name in chosen} == chosen


def test_clean_changes_nothing():
    """The preset that isolates the step is the one of all defaults, with their keys."""
    assert described(with_preset({"preset": "clean"})) == (Observation(), Calibration())


@pytest.mark.parametrize("preset", ["flight", "hard"])
def test_others_change_what_is_observed(preset):
    """Observations of other presets have keys of their own."""
    assert described(with_preset({"preset": preset}))[0].key != Observation().key


@pytest.mark.parametrize("value", [CHANGED, 0.0], ids=["another value", "the default"])
def test_what_is_given_wins(value):
    """An option of the command line is not that of the preset, nor is the default if given."""
    parameters = given({"preset": "flight", "dark_stripes": str(value)})
    assert parameters["dark_stripes"] == value
    assert parameters["brighter_fatter"] == PRESETS["flight"]["brighter_fatter"]
    assert "preset" not in parameters


def test_cell_of_the_notebook_gives_every_parameter():
    """There, what is at its default was not given."""
    cell = {name: kind.model_fields[name].default for name, kind in every_parameter().items()}
    chosen = with_preset(cell | {"preset": "hard", "dark_stripes": CHANGED}, complete=True)
    observation, calibration = described(chosen)
    assert observation.dark_stripes == CHANGED
    assert observation.background_groups == PRESETS["hard"]["background_groups"]
    assert calibration.dark_groups == PRESETS["hard"]["dark_groups"]


def test_flight_follows_the_filter():
    """First exposures are a quarter brighter in F560W, and in F770W as the others."""
    excess = [
        described(with_preset({"preset": "flight", "filter": name}))[0].first_exposure_excess
        for name in ("F560W", "F770W")
    ]
    assert excess == [24.8, 0.0]


def test_unknown_preset_is_refused():
    """The sentence has the name and those that there are."""
    with pytest.raises(InvalidParameter, match="preset = 'none' is not clean or flight or hard "):
        with_preset({"preset": "none"})


def test_night_takes_presets(tmp_path):
    """An entry of nightly.yaml may name one, and change it."""
    path = tmp_path / "nightly.yaml"
    path.write_text("observations:\n  a: {preset: flight, brighter_fatter: 0, filter: F560W}\n")
    (job,) = read_matrix(path, 7).jobs
    flight = preset_parameters("flight", "F560W")
    del flight["brighter_fatter"]
    assert job.observation.changes() == flight | {"filter": "F560W", "seed": 7}
    assert "preset" not in job.parameters()


def test_night_refuses_an_unknown_preset(tmp_path):
    """The sentence names the file and the observation."""
    path = tmp_path / "nightly.yaml"
    path.write_text("observations:\n  a: {preset: none}\n")
    with pytest.raises(CannotJudge, match=r"nightly\.yaml, a: preset = 'none' is not clean or"):
        read_matrix(path, 7)


def test_document_has_the_values(repository):
    """The table of docs/running.md has each parameter of a preset, with its values."""
    text = (repository / "docs" / "running.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+ \| [^|]+) \|$", text, re.MULTILINE))
    for preset, column in (("flight", 0), ("hard", 1)):
        for filter_name in ("F560W", "F1130W", "F770W"):
            for name, value in preset_parameters(preset, filter_name).items():
                told = rows[name].split(" | ")[column]
                (number,) = value if isinstance(value, tuple) else (value,)
                assert re.search(rf"(^|else ){number:g}$|{number:g} in {filter_name}", told), name


def test_mirisim_has_a_detector_of_its_own():
    """What the embedded detector does is not simulated there, and is refused."""
    with pytest.raises(InvalidParameter, match="leave zodiacal_season, dark_stripes, "):
        described(with_preset({"preset": "flight", "simulator": "mirisim"}))


def test_defaults_of_presets_are_off():
    """What a preset switches on is off without it: keys and baselines stay."""
    effects = PRESETS["flight"]
    assert {getattr(ObservationParameters(), name) for name in effects} == {0.0}
