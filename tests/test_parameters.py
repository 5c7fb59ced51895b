"""Every parameter is described once, and everything that lists parameters lists the same."""

import ast
import math
import re

import nbformat
import pytest
import yaml
from pydantic import Field

from miri_background.calibration_choice import Calibration
from miri_background.cli import main
from miri_background.nightly.plan import read_matrix
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.parameters import (
    CalibrationParameters,
    InvalidParameter,
    ObservationParameters,
    RunParameters,
    every_parameter,
    refuse_unknown,
)

KINDS = (ObservationParameters, CalibrationParameters, RunParameters)
SCHEMAS = {kind: kind.model_json_schema()["properties"] for kind in KINDS}
EVERY = [(kind, name) for kind in KINDS for name in kind.model_fields]
CHOICES = [(kind, name) for kind, name in EVERY if "enum" in SCHEMAS[kind][name]]
# One number for all background exposures, or one for each.
EACH = [(kind, name) for kind, name in EVERY if SCHEMAS[kind][name].get("type") == "array"]
NUMBERS = [
    (kind, name) for kind, name in EVERY if SCHEMAS[kind][name].get("type") in {"integer", "number"}
]
TEXTS = [pair for pair in EVERY if pair not in (*CHOICES, *EACH, *NUMBERS)]
WHOLE = [(kind, name) for kind, name in NUMBERS if SCHEMAS[kind][name]["type"] == "integer"]
SMALL = 1e-6
OWN_TO_THE_NIGHT = {"working_directory", "workers"}


def other_value(kind, name):
    """Return a legal value that is not the default."""
    field = SCHEMAS[kind][name]
    if (kind, name) in CHOICES:
        return field["enum"][-1]
    if (kind, name) in EACH:
        return (7,)
    if (kind, name) in TEXTS:
        return "another"
    return field["default"] + 1


def beyond(kind, name, side):
    """Return the nearest value that is out of a parameter's range, below or above."""
    field = SCHEMAS[kind][name]
    closed, opened = {
        "below": ("minimum", "exclusiveMinimum"),
        "above": ("maximum", "exclusiveMaximum"),
    }[side]
    if opened in field:
        return field[opened]
    step = 1 if field["type"] == "integer" else SMALL
    return field[closed] + (step if side == "above" else -step)


def refusal(kind, **parameters):
    """Return the sentence with which parameters are refused."""
    with pytest.raises(InvalidParameter) as refused:
        kind.create(**parameters)
    return str(refused.value)


# ------------------------------------------------------------------ the registry


def test_every_parameter_has_a_meaning():
    """Each parameter says what it means."""
    assert [name for kind, name in EVERY if not kind.model_fields[name].description] == []


def test_what_is_measured_or_counted_has_a_unit():
    """Names, texts and the seed have none."""
    with_unit = {name for kind, name in EVERY if kind.unit(name)}
    assert with_unit == {name for _, name in (*NUMBERS, *EACH)} - {"seed"}


def test_every_legal_range_ends_with_the_meaning():
    """The range is in words, and says of what it is."""
    for kind, name in EVERY:
        meaning = f" ({kind.model_fields[name].description})"
        words = kind.legal_range(name)
        assert words.endswith(meaning)
        assert words.removesuffix(meaning).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_legal(kind):
    """Without parameters there is a description."""
    assert kind.create(**kind().model_dump()) == kind()


def test_parameter_belongs_to_one_description():
    """No name is in two descriptions, so that a flat list of parameters can be sorted."""
    names = [name for _, name in EVERY]
    assert len(names) == len(set(names))


def test_every_parameter_knows_its_description():
    """The list by name is that of the three descriptions."""
    assert list(every_parameter().items()) == [(name, kind) for kind, name in EVERY]


@pytest.mark.parametrize(
    ("described", "kind"),
    [(Observation, ObservationParameters), (Calibration, CalibrationParameters)],
)
def test_description_adds_no_parameter(described, kind):
    """What is used has the parameters of the list, and no other."""
    assert list(described.model_fields) == list(kind.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_flat_parameters_are_sorted(kind):
    """Of a mapping of all parameters, a description takes its own."""
    given = {name: other_value(of, name) for of, name in EVERY}
    assert kind.of(given).model_dump() == {name: given[name] for of, name in EVERY if of is kind}


@pytest.mark.parametrize("kind", KINDS)
def test_table_has_every_parameter(kind):
    """The table of a notebook names every parameter."""
    table = kind()._repr_html_()
    assert all(f'<th scope="row">{name}</th>' in table for name in kind.model_fields)


# ------------------------------------------------------------------ legal values


@pytest.mark.parametrize("side", ["below", "above"])
def test_number_out_of_range_is_refused(side):
    """The sentence names parameter, value and range."""
    for kind, name in NUMBERS:
        value = beyond(kind, name, side)
        expected = f"{name} = {value!r} is not {kind.legal_range(name)}"
        assert refusal(kind, **{name: value}) == expected


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("5", 5),
        ("6,301", 301),
        ("10,,10", ""),
        ("many", "many"),
        ([6, 6.5], 6.5),
        ([6, math.nan], math.nan),
        (None, None),
        (True, True),
    ],
    ids=str,
)
def test_number_of_an_exposure_that_is_wrong_is_refused(given, wrong):
    """One wrong number of several is enough, and the sentence has this one."""
    sentence = refusal(ObservationParameters, background_groups=given)
    expected = ObservationParameters.legal_range("background_groups")
    assert sentence == f"background_groups = {wrong!r} is not {expected}"


def test_unknown_choice_is_refused():
    """The sentence names parameter, value and choices."""
    for kind, name in CHOICES:
        expected = f"{name} = 'ABC' is not {kind.legal_range(name)}"
        assert refusal(kind, **{name: "ABC"}) == expected


@pytest.mark.parametrize("value", ["many", None, math.nan, math.inf])
def test_value_that_is_no_number_is_refused(value):
    """Neither words nor infinities pass for numbers."""
    for kind, name in NUMBERS:
        assert refusal(kind, **{name: value}).startswith(f"{name} = {value!r} is not ")


def test_fraction_of_a_whole_number_is_refused():
    """What is counted is not rounded."""
    for kind, name in WHOLE:
        assert refusal(kind, **{name: 6.5}).startswith(f"{name} = 6.5 is not a whole number ")


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (
            ObservationParameters,
            "groups",
            "a whole number from 6 to 300 groups (groups in an integration)",
        ),
        (
            CalibrationParameters,
            "sigma",
            "a number from 1.1 to 10 standard deviations (bkg_subtract clipping)",
        ),
        (
            ObservationParameters,
            "roll",
            "a number from 0 below 360 deg (position angle of the V3 axis)",
        ),
        (ObservationParameters, "seed", "a whole number from 0 to 999999999 (random seed)"),
        (ObservationParameters, "simulator", "embedded or mirisim (source of the data)"),
        (ObservationParameters, "subarray", "FULL or BRIGHTSKY or SUB256 (subarray)"),
        (CalibrationParameters, "crds_context", "a text (CRDS context of a real cache)"),
        (
            ObservationParameters,
            "background_groups",
            (
                "0, or whole numbers from 6 to 300 with commas between them "
                "(of backgrounds, or one for each exposure; 0: the same)"
            ),
        ),
    ],
)
def test_legal_range_in_words(kind, name, words):
    """A range has limits, unit and meaning."""
    assert kind.legal_range(name) == words


def test_all_wrong_parameters_are_named():
    """Of two wrong parameters both are named at once."""
    sentence = refusal(ObservationParameters, groups=1, roll=-1)
    assert "groups = 1 is not" in sentence
    assert "roll = -1 is not" in sentence


def test_parameter_of_another_description_is_refused():
    """A parameter that a description does not have is named, with those that it has."""
    sentence = refusal(ObservationParameters, sigma=3)
    assert sentence.startswith("sigma is not a parameter; the parameters are data, simulator, ")


def test_every_choice_is_accepted():
    """Each choice that is offered can be made."""
    for kind, name in CHOICES:
        for value in SCHEMAS[kind][name]["enum"]:
            assert getattr(kind.create(**{name: value}), name) == value


def test_text_is_converted():
    """A command line gives text."""
    for kind, name in NUMBERS:
        value = other_value(kind, name)
        assert getattr(kind.create(**{name: str(value)}), name) == value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, (0,)),
        ("0", (0,)),
        (60, (60,)),
        ("10, 60,60", (10, 60, 60)),
        ([10, 60], (10, 60)),
        ((10, 60), (10, 60)),
    ],
    ids=str,
)
def test_numbers_of_exposures_may_be_written_in_any_way(given, expected):
    """The notebook gives a number, the command line a text, a file a list."""
    assert ObservationParameters.create(background_groups=given).background_groups == expected


def test_refusal_is_a_could_not_judge():
    """A wrong parameter says nothing about the pipeline."""
    assert issubclass(InvalidParameter, CannotJudge)


@pytest.mark.parametrize("kind", KINDS)
def test_description_is_frozen(kind):
    """A description does not change under those who use it."""
    name = next(iter(kind.model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(kind(), name, "another")


@pytest.mark.parametrize("name", ["gruops", "backgroundgroups", "max_iters"])
def test_similar_names_are_suggested(name):
    """Who mistypes a name gets the one that was meant."""
    meant = {"gruops": "groups", "backgroundgroups": "background_groups", "max_iters": "maxiters"}
    with pytest.raises(InvalidParameter, match=rf"^{name} is not .*\b{meant[name]}\b.*\?$"):
        refuse_unknown(["seed", name])


def test_all_names_are_offered_where_none_is_similar():
    """Without a similar name there is the whole list."""
    with pytest.raises(InvalidParameter) as refused:
        refuse_unknown(["xyzzy"])
    assert all(name in str(refused.value) for _, name in EVERY)


def test_known_names_are_not_refused():
    """Every parameter of every description is known."""
    assert refuse_unknown(name for _, name in EVERY) is None


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("kind", KINDS)
def test_key_of_defaults_is_that_of_nothing(kind):
    """Who writes every default down has the same key as who writes nothing."""
    assert kind.create(**kind().model_dump(mode="json")).key == kind().key


@pytest.mark.parametrize("kind", KINDS)
def test_key_changes_with_each_parameter(kind):
    """No two descriptions share a key."""
    keys = {kind.create(**{name: other_value(kind, name)}).key for name in kind.model_fields}
    assert len(keys - {kind().key}) == len(kind.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_new_parameter_changes_no_key(kind):
    """A parameter that a later version of the suite adds leaves directories and baselines."""

    class Later(kind):
        """The description with one more parameter."""

        later: float = Field(1.5, description="of a later version", json_schema_extra={"unit": "s"})

    given = {name: other_value(kind, name) for name in list(kind.model_fields)[1:4]}
    assert Later.create(**given).key == kind.create(**given).key
    assert Later.create(later=2).key != kind().key


def test_changes_are_what_differs_from_the_defaults():
    """Only what somebody changed is named, as JSON has it."""
    for kind, name in EVERY:
        value = other_value(kind, name)
        expected = list(value) if isinstance(value, tuple) else value
        assert kind.create(**{name: value}).changes() == {name: expected}


def test_key_does_not_depend_on_how_values_are_written():
    """Equal parameters have equal keys, however they were written."""
    assert Observation.create(roll="116", groups=20.0).key == Observation(roll=116.0).key


# ------------------------------------------------------------------ who else lists parameters


@pytest.fixture(scope="module")
def cell(repository):
    """Return the source of the parameters' cell of the notebook."""
    notebook = nbformat.read(repository / "notebooks" / "image2_background.ipynb", as_version=4)
    (found,) = [each.source for each in notebook.cells if each.id == "parameters"]
    return found


@pytest.fixture(scope="module")
def assigned(cell):
    """Return the values that the cell assigns, by name, in order."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(cell).body
        if isinstance(node, ast.Assign)
    }


def test_notebook_has_every_parameter_in_order(assigned):
    """The cell has all names of the list, and no other."""
    assert list(assigned) == [name for _, name in EVERY]


@pytest.mark.parametrize("kind", KINDS)
def test_notebook_has_the_defaults(assigned, kind):
    """Run as it is, the notebook uses what the list has."""
    assert kind.of(assigned) == kind()


def test_notebook_has_units_and_meanings(cell):
    """The comment of a parameter is its unit and its meaning."""
    for kind, name in EVERY:
        (comment,) = re.findall(rf"^{name} = .*?  # (.*)$", cell, re.MULTILINE)
        described = (kind.unit(name), kind.model_fields[name].description)
        assert comment == ", ".join(filter(None, described))


def test_night_takes_every_parameter(tmp_path):
    """What a run can be given, an entry of nightly.yaml can be given."""
    path = tmp_path / "nightly.yaml"
    for kind, name in EVERY:
        if name in OWN_TO_THE_NIGHT | {"preset"}:  # a preset becomes its parameters
            continue
        value = other_value(kind, name)
        entry = {name: list(value) if isinstance(value, tuple) else value}
        path.write_text(yaml.safe_dump({"observations": {"a": entry}}))
        (job,) = read_matrix(path, night_seed=770).jobs
        taken = kind.of(job.parameters()).changes()
        # A path is meant from where the file is.
        expected = str(tmp_path / value) if name in {"crds_cache", "baselines"} else entry[name]
        assert taken.items() >= {name: expected}.items()


def test_command_line_has_every_parameter(capsys):
    """The help of a run names each parameter as an option."""
    assert main(["validate", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for _, name in EVERY if f"--{name.replace('_', '-')}" not in said] == []
