"""An observation says how each exposure of its fields is taken, or what is wrong with it."""

import itertools
import math

import numpy as np
import pytest

from miri_background.instrument.readout import PATTERNS, Readout, frame_time, subarrays
from miri_background.observation import (
    DITHER_PATTERN,
    FIELDS,
    Observation,
    exposures,
)
from miri_background.parameters import InvalidParameter
from miri_background.simulation.level1b import START, start_time
from miri_background.simulation.sky import sky_rate
from miri_background.simulation.sky_level import sky_brightness

SCHEMA = Observation.model_json_schema()["properties"]
CHOICE_VALUES = {name: field["enum"] for name, field in SCHEMA.items() if "enum" in field}
SMALL = 1e-6
NEAREST_DITHERS = 3.3  # arcsec, 12 FWHM of F770W
POINTS_OF_A_SET = 4
BETWEEN = 600.0  # s from the end of an exposure to the start of the next
DAY = 86_400.0  # s
TIME_ROUNDING = 1e-6  # s, in days since 1858


def refusal(**parameters):
    """Return the sentence with which an observation is refused."""
    with pytest.raises(InvalidParameter) as refused:
        Observation.create(**parameters)
    return str(refused.value)


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
    ("name", "known"), [("subarray", subarrays()), ("readout_pattern", PATTERNS)]
)
def test_choices_are_the_instruments(name, known):
    """What can be chosen is what the instrument has."""
    assert CHOICE_VALUES[name] == list(known)


def test_observation_survives_json():
    """What is written to a run directory is what is read from it."""
    observation = Observation(seed=7, sky_level=10 / 3)
    assert Observation.model_validate_json(observation.model_dump_json()) == observation


@pytest.mark.parametrize("field", FIELDS)
def test_exposures_of_a_field(field):
    """Science and background have numbers of exposures of their own."""
    assert len(exposures(Observation.create(**{f"{field}_exposures": 7}), field)) == 7


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


# ------------------------------------------------------------------ a background of its own

SAME = {
    "subarray": "BRIGHTSKY",
    "readout_pattern": "FASTR1",
    "groups": 12,
    "integrations": 3,
}


def backgrounds(**parameters):
    """Return how each background exposure of an observation is read."""
    observation = Observation.create(**parameters)
    return [each.readout for each in exposures(observation, "background")]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"background_subarray": "same", "background_groups": 0, "background_integrations": "0"},
        {"background_groups": "0,0,0,0"},
    ],
    ids=str,
)
def test_background_is_read_as_the_science_field(given):
    """Unless it is asked for otherwise, both fields are read in the same way."""
    assert backgrounds(**SAME, **given) == [Readout("BRIGHTSKY", "FASTR1", 12, 3)] * 4


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("subarray", "SUB256", Readout("SUB256", "FASTR1", 12, 3)),
        ("groups", 30, Readout("BRIGHTSKY", "FASTR1", 30, 3)),
        ("integrations", "2", Readout("BRIGHTSKY", "FASTR1", 12, 2)),
    ],
)
def test_background_differs_in_what_is_asked_for(name, value, expected):
    """The rest is that of the science field."""
    assert backgrounds(**SAME, **{f"background_{name}": value}) == [expected] * 4


def test_background_may_be_read_with_the_slow_pattern():
    """The pattern of the science field is left as it is."""
    observation = Observation(background_readout_pattern="SLOWR1")
    patterns = [observation.readout(field).pattern for field in FIELDS]
    assert patterns == ["FASTR1", "SLOWR1"]


def test_each_background_has_its_own_groups():
    """One number for each exposure; 0 is that of the science field."""
    read = backgrounds(groups=20, background_groups="10,60,0,60")
    assert [each.groups for each in read] == [10, 60, 20, 60]


def test_each_background_has_its_own_integrations():
    """The same holds for integrations."""
    read = backgrounds(background_exposures=2, background_integrations="1,3")
    assert [each.integrations for each in read] == [1, 3]


def test_science_field_is_not_read_as_the_background():
    """What is asked for the background changes no science exposure."""
    given = {"background_subarray": "SUB256", "background_groups": "6,7,8,9"}
    science = exposures(Observation.create(**given), "science")
    assert {each.readout for each in science} == {Observation().readout("science")}


@pytest.mark.parametrize("name", ["background_groups", "background_integrations"])
@pytest.mark.parametrize("given", ["8,8", "8,8,8,8,8"])
def test_wrong_count_of_numbers_is_refused(name, given):
    """The sentence has both counts."""
    sentence = refusal(**{name: given})
    count = len(given.split(","))
    expected = f"{name} has {count} numbers, and background_exposures is 4: give one number"
    assert sentence.startswith(expected)


@pytest.mark.parametrize(
    "given",
    [
        {"background_readout_pattern": "SLOWR1", "background_subarray": "SUB256"},
        {"background_readout_pattern": "SLOWR1", "subarray": "SUB256"},
        {"background_subarray": "SUB256", "readout_pattern": "SLOWR1"},
    ],
    ids=str,
)
def test_slow_readout_of_a_background_subarray_is_refused(given):
    """It does not matter which parameter makes the pair."""
    assert refusal(**given).startswith(
        "subarray = SUB256 is not read with readout_pattern = SLOWR1"
    )


def test_slow_full_background_of_a_subarray_is_accepted():
    """Who changes both parameters gets what the instrument can do."""
    given = {"background_subarray": "FULL", "background_readout_pattern": "SLOWR1"}
    read = backgrounds(subarray="SUB256", **given)
    assert {(each.subarray, each.pattern) for each in read} == {("FULL", "SLOWR1")}


@pytest.mark.parametrize(
    "given",
    [
        {"groups": 7, "background_integrations": "1,1,2,1"},
        {"integrations": 2, "background_groups": "8,8,7,8"},
    ],
    ids=str,
)
def test_too_few_groups_of_one_background_are_refused(given):
    """One exposure of which later integrations have no slope is enough."""
    assert refusal(**given).startswith("groups = 7 is below 8")


@pytest.mark.parametrize(
    "given",
    [
        {"background_subarray": "SUB256"},
        {"background_readout_pattern": "SLOWR1"},
        {"background_groups": "6,7,8,9"},
        {"background_integrations": 2},
        {"background_sky": 50},
    ],
    ids=str,
)
def test_mirisim_takes_both_fields_in_the_same_way(given):
    """What its configuration cannot say is refused before it runs."""
    assert refusal(simulator="mirisim", **given).startswith("simulator = mirisim takes both fields")


def test_readouts_are_each_named_once():
    """That of the science field comes first."""
    observation = Observation.create(background_groups="30,20,30,20")
    assert [each.groups for each in observation.readouts] == [20, 30]


def test_readouts_follow_a_changed_copy():
    """A copy has readouts of its own, though those of the original are known."""
    observation = Observation()
    assert [each.groups for each in observation.readouts] == [20]
    assert [each.groups for each in observation.model_copy(update={"groups": 8}).readouts] == [8]


def test_all_exposures_can_be_read_as_one():
    """What is asked about one readout is asked of an observation that has no other."""
    mixed = Observation.create(subarray="SUB256", background_groups="30,20,30,20")
    for readout in mixed.readouts:
        assert mixed.read_as(readout).readouts == (readout,)


def test_reading_in_one_way_changes_nothing_else():
    """Sky, sources and seed stay."""
    mixed = Observation.create(seed=7, background_groups=30, background_sky=50, sky_level=20)
    one = mixed.read_as(Readout("SUB256", "FASTR1", 9, 2))
    changed = {"subarray", "groups", "integrations", "background_groups"}
    assert one.model_dump(exclude=changed) == mixed.model_dump(exclude=changed)


# ------------------------------------------------------------------ times


def seconds(observation, exposure):
    """Return when an exposure starts, s after the first of all."""
    return (
        start_time(observation, exposure) - start_time(observation, exposures(observation)[0])
    ).sec


def test_first_exposure_starts_the_observation():
    """Its start is the date from which references are chosen."""
    observation = Observation(background_delay=3)
    assert start_time(observation, exposures(observation)[0]).isot[:19] == START


def test_exposures_follow_each_other_whatever_their_readouts():
    """Each begins a fixed time after the one before has ended."""
    observation = Observation.create(
        subarray="SUB256", integrations=3, background_subarray="FULL", background_groups="10,60,9,8"
    )
    every = exposures(observation)
    gaps = [
        seconds(observation, after) - seconds(observation, before) - before.readout.duration
        for before, after in itertools.pairwise(every)
    ]
    assert gaps == pytest.approx([BETWEEN] * (len(every) - 1), abs=TIME_ROUNDING)


@pytest.mark.parametrize("days", [-3000.0, -0.5, 365.25])
def test_delay_moves_the_background_field(days):
    """Each background is later by the delay, or earlier."""
    usual, late = Observation(), Observation(background_delay=days)
    moved = [
        seconds(late, exposure) - seconds(usual, exposure)
        for exposure in exposures(usual, "background")
    ]
    assert moved == pytest.approx([days * DAY] * len(moved), abs=TIME_ROUNDING)


def test_delay_leaves_the_science_field():
    """The first field is taken when it always is."""
    usual, late = Observation(), Observation(background_delay=100)
    science = exposures(usual, "science")
    assert [seconds(late, each) for each in science] == [seconds(usual, each) for each in science]


# ------------------------------------------------------------------ sky of the two fields


def test_sky_of_the_background_is_its_own():
    """A background field with four fifths of the sky has these in every pixel."""
    observation = Observation(background_sky=80)
    science, background = (sky_rate(observation, field) for field in FIELDS)
    # Of a million pixels: pytest.approx would look at each by itself.
    np.testing.assert_allclose(background, 0.8 * science, rtol=1e-6)


def test_sky_of_the_science_field_is_left():
    """Another background sky changes no science exposure."""
    skies = [sky_rate(Observation(background_sky=each), "science") for each in (50, 100)]
    assert (skies[0] == skies[1]).all()


@pytest.mark.parametrize("level", [0.0, 20.0])
def test_sky_of_the_background_is_relative(level):
    """Per cent are of the filter's own sky or of the level that is asked for."""
    observation = Observation(sky_level=level, background_sky=250)
    skies = [sky_brightness(observation, field) for field in FIELDS]
    assert skies[1] == pytest.approx(2.5 * skies[0])


def test_sky_of_a_background_subarray_is_cut_from_the_array():
    """The background sees the sky that the full array would see there."""
    mixed = Observation(background_subarray="SUB256")
    expected = subarrays()["SUB256"].cut(sky_rate(Observation(), "background"))
    assert (sky_rate(mixed, "background") == expected).all()


@pytest.mark.parametrize("changes", [{"subarray": "SUB256"}, {"background_subarray": "SUB256"}])
def test_interference_that_looks_like_slopes_is_refused(changes):
    """10 Hz advances by 0.007 of a period from frame to frame of SUB256: nothing can tell it."""
    wave = {"interference": 5.0, "interference_line": "Hz10"}
    with pytest.raises(InvalidParameter, match="Hz10 is not taken with subarray = SUB256"):
        Observation.create(**wave, **changes)
    assert Observation.create(**changes, interference_line="Hz10").interference == 0
    for line in ("Hz218", "Hz390"):
        assert Observation.create(**changes, interference=5.0, interference_line=line)
