"""An observation is valid, or its parameters are told what is wrong with them."""

import itertools
import math

import pytest

from miri_background.instrument.readout import PATTERNS, frame_time, subarrays
from miri_background.observation import (
    DITHER_PATTERN,
    FIELDS,
    Observation,
    exposures,
)
from miri_background.outcomes import CannotJudge
from miri_background.parameters import InvalidParameter

SCHEMA = Observation.model_json_schema()["properties"]
CHOICES = [name for name, field in SCHEMA.items() if "enum" in field]
CHOICE_VALUES = {name: SCHEMA[name]["enum"] for name in CHOICES}
NUMBERS = [name for name in SCHEMA if name not in CHOICES]
UNIT_LESS = {*CHOICES, "seed"}
SMALL = 1e-6
NEAREST_DITHERS = 3.3  # arcsec, 12 FWHM of F770W
POINTS_OF_A_SET = 4
# One more than the default is legal for every number.
OTHER_VALUES = {name: SCHEMA[name]["default"] + 1 for name in NUMBERS}


def beyond(name, side):
    """Return the nearest value that is out of a parameter's range, below or above."""
    field = SCHEMA[name]
    closed, opened = {
        "below": ("minimum", "exclusiveMinimum"),
        "above": ("maximum", "exclusiveMaximum"),
    }[side]
    if opened in field:
        return field[opened]
    step = 1 if field["type"] == "integer" else SMALL
    return field[closed] + (step if side == "above" else -step)


def refusal(**parameters):
    """Return the sentence with which an observation is refused."""
    with pytest.raises(InvalidParameter) as refused:
        Observation.create(**parameters)
    return str(refused.value)


def test_default_is_valid():
    """Without parameters there is an observation."""
    assert Observation.create() == Observation()


@pytest.mark.parametrize("name", SCHEMA)
def test_parameter_is_described(name):
    """Each parameter says what it means."""
    assert SCHEMA[name]["description"]


@pytest.mark.parametrize("name", SCHEMA)
def test_parameter_has_a_unit(name):
    """Each parameter has a unit, but for names and the seed."""
    assert bool(Observation.unit(name)) is (name not in UNIT_LESS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("side", ["below", "above"])
def test_number_out_of_range_is_refused(name, side):
    """The sentence names parameter, value and range."""
    value = beyond(name, side)
    assert refusal(**{name: value}) == f"{name} = {value!r} is not {Observation.legal_range(name)}"


@pytest.mark.parametrize("name", CHOICES)
def test_unknown_choice_is_refused(name):
    """The sentence names parameter, value and choices."""
    sentence = refusal(**{name: "ABC"})
    assert sentence == f"{name} = 'ABC' is not {Observation.legal_range(name)}"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["many", None, math.nan, math.inf])
def test_value_that_is_no_number_is_refused(name, value):
    """Neither words nor infinities pass for numbers."""
    assert refusal(**{name: value}).startswith(f"{name} = {value!r} is not ")


@pytest.mark.parametrize("name", [name for name in NUMBERS if SCHEMA[name]["type"] == "integer"])
def test_fraction_of_a_whole_number_is_refused(name):
    """What is counted is not rounded."""
    assert refusal(**{name: 6.5}).startswith(f"{name} = 6.5 is not a whole number ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("groups", "a whole number from 6 to 100 groups (groups in an integration)"),
        ("sigma", "a number from 1.1 to 10 standard deviations (bkg_subtract clipping)"),
        ("roll", "a number from 0 below 360 deg (position angle of the V3 axis)"),
        ("seed", "a whole number from 0 to 999999999 (random seed)"),
        ("simulator", "embedded or mirisim (source of the data)"),
        ("subarray", "FULL or BRIGHTSKY or SUB256 (subarray)"),
    ],
)
def test_legal_range_in_words(name, words):
    """A range is told with limits, unit and meaning."""
    assert Observation.legal_range(name) == words


def test_all_wrong_parameters_are_named():
    """Of two wrong parameters both are named at once."""
    sentence = refusal(groups=1, sigma=-1)
    assert "groups = 1 is not" in sentence
    assert "sigma = -1 is not" in sentence


def test_unknown_parameter_is_refused():
    """A parameter that does not exist is named, with those that do."""
    sentence = refusal(grops=20)
    assert sentence.startswith("grops is not a parameter; the parameters are simulator, ")


@pytest.mark.parametrize("field", FIELDS)
def test_faintest_is_below_brightest(field):
    """Fluxes in the wrong order are named with their values."""
    sentence = refusal(**{f"{field}_faintest": 50.0, f"{field}_brightest": 40.0})
    assert f"{field}_faintest = 50.0 uJy is above {field}_brightest = 40.0 uJy" in sentence


@pytest.mark.parametrize("field", FIELDS)
def test_faintest_may_be_the_brightest(field):
    """All stars may be alike."""
    flux = {f"{field}_faintest": 40.0, f"{field}_brightest": 40.0}
    assert Observation.create(**flux).model_dump().items() >= flux.items()


@pytest.mark.parametrize("level", [SMALL, 0.999])
def test_sky_that_cannot_be_told_from_none_is_refused(level):
    """Between no level and the faintest sky, the sentence names both."""
    sentence = refusal(sky_level=level)
    assert f"sky_level = {level} MJy/sr is neither 0" in sentence
    assert "nor from 1.0 MJy/sr" in sentence


@pytest.mark.parametrize("level", [0.0, 1.0, 2000.0])
def test_sky_is_the_filters_or_bright_enough(level):
    """A level of 0 asks for the filter's own sky; from 1 MJy/sr it is a level."""
    assert Observation.create(sky_level=level).sky_level == level


@pytest.mark.parametrize("subarray", ["BRIGHTSKY", "SUB256"])
def test_slow_readout_of_a_subarray_is_refused(subarray):
    """Of subarrays the instrument has no slow readout: both are named."""
    sentence = refusal(readout_pattern="SLOWR1", subarray=subarray)
    assert sentence.startswith(f"subarray = {subarray} is not read with readout_pattern = SLOWR1")


@pytest.mark.parametrize("subarray", CHOICE_VALUES["subarray"])
@pytest.mark.parametrize("pattern", CHOICE_VALUES["readout_pattern"])
def test_readout_that_is_accepted_can_be_timed(subarray, pattern):
    """The observation refuses just what has no frame time."""
    try:
        accepted = bool(Observation.create(subarray=subarray, readout_pattern=pattern))
    except InvalidParameter:
        accepted = False
    try:
        timed = frame_time(pattern, subarray) > 0
    except KeyError:
        timed = False
    assert accepted == timed


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in CHOICES for value in CHOICE_VALUES[name]]
)
def test_choice_is_accepted(name, value):
    """Each choice that is offered can be made."""
    assert getattr(Observation.create(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "known"), [("subarray", subarrays()), ("readout_pattern", PATTERNS)]
)
def test_choices_are_the_instruments(name, known):
    """What can be chosen is what the instrument has."""
    assert CHOICE_VALUES[name] == list(known)


def test_refusal_is_a_could_not_judge():
    """A wrong parameter says nothing about the pipeline."""
    assert issubclass(InvalidParameter, CannotJudge)


@pytest.mark.parametrize("name", NUMBERS)
def test_text_is_converted(name):
    """A command line gives text."""
    value = OTHER_VALUES[name]
    assert getattr(Observation.create(**{name: str(value)}), name) == value


def test_observation_is_frozen():
    """An observation does not change under those who use it."""
    with pytest.raises(ValueError, match="frozen"):
        Observation().groups = 7


def test_key_of_equal_observations():
    """Equal parameters have equal keys, however they were written."""
    assert Observation.create(roll="115", groups=20.0).key == Observation(roll=115.0).key


@pytest.mark.parametrize("name", SCHEMA)
def test_key_changes_with_each_parameter(name):
    """No two observations share a key."""
    other = OTHER_VALUES[name] if name in NUMBERS else CHOICE_VALUES[name][-1]
    changed = Observation.create(**{name: other})
    assert changed.key != Observation().key


def test_observation_survives_json():
    """What is written to a run directory is what is read from it."""
    observation = Observation(seed=7, sky_level=10 / 3)
    assert Observation.model_validate_json(observation.model_dump_json()) == observation


@pytest.mark.parametrize("field", FIELDS)
def test_exposures_of_a_field(field):
    """Science and background have numbers of exposures of their own."""
    assert len(exposures(Observation.create(**{f"{field}_exposures": 7}), field)) == 7


def test_table_has_every_parameter():
    """The table of a notebook names every parameter."""
    table = Observation()._repr_html_()
    assert all(f"<td>{name}</td>" in table for name in SCHEMA)


def test_every_exposure_has_a_dither():
    """The largest number of exposures is that of the pattern's points."""
    most = {SCHEMA[f"{field}_exposures"]["maximum"] for field in FIELDS}
    assert most == {len(DITHER_PATTERN)}


def test_dithers_differ():
    """No point of the pattern is taken twice."""
    assert len(set(DITHER_PATTERN)) == len(DITHER_PATTERN)


@pytest.mark.parametrize("start", range(0, len(DITHER_PATTERN), POINTS_OF_A_SET))
def test_dithers_of_a_set_are_far_apart(start):
    """Within a set of four a star does not overlap itself."""
    points = DITHER_PATTERN[start : start + POINTS_OF_A_SET]
    nearest = min(math.dist(*pair) for pair in itertools.combinations(points, 2))
    assert nearest >= NEAREST_DITHERS
