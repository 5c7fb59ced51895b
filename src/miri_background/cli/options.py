"""Options made from the registry of parameters, and those that several verbs have."""

from pathlib import Path
from typing import Literal, get_args, get_origin

import click

from miri_background.calibration_choice import Calibration
from miri_background.cli.verbs import Topic
from miri_background.observation import Observation
from miri_background.parameters import CalibrationParameters, RunParameters, every_parameter
from miri_background.presets import with_preset

__all__ = [
    "DIRECTORY",
    "FILE",
    "absolute",
    "clipping_options",
    "given",
    "history_option",
    "parameter_options",
]

DIRECTORY, FILE = {"metavar": "DIRECTORY"}, {"metavar": "FILE"}
_TOPICS = {
    "science": "The science field",
    "galaxy": "The science field",
    "background": "The background field",
    "sky": "The sky",
}
_OBSERVATION, _CALIBRATION, _RUN = "The observation", "The calibration", "The run"
_METAVARS = {"working_directory": "DIRECTORY", "baselines": "DIRECTORY", "crds_cache": "CACHE"}


def absolute(text):
    """Return a path that means the same from every directory, as the notebook has its own.

    Parameters
    ----------
    text : str
        Path as somebody gave it.

    Returns
    -------
    str
        From the root of the file system.
    """
    return str(Path(text).expanduser().absolute())


def parameter_options(names=None, without=(), defaults=()):
    """Return a decorator that gives a verb an option for each parameter.

    Parameters
    ----------
    names : collection of str, optional
        Of the parameters; by default all.
    without : collection of str, optional
        Names that are left out.
    defaults : dict, optional
        Defaults that the verb has in place of those of the registry.

    Returns
    -------
    callable
        To decorate the function of a verb.
    """
    kinds = {
        name: kind
        for name, kind in every_parameter().items()
        if name not in without and (names is None or name in names)
    }
    # Options of a topic have to stand together, in the order of the help.
    topics = (_OBSERVATION, *dict.fromkeys(_TOPICS.values()), _CALIBRATION, _RUN)
    ordered = sorted(kinds, key=lambda name: topics.index(_topic(name)))

    def decorate(function):
        for name in reversed(ordered):
            function = _option(name, dict(defaults))(function)
        return function

    return decorate


def _topic(name):
    """Return the head that a parameter's option stands below."""
    kind = every_parameter()[name]
    if kind is CalibrationParameters:
        return _CALIBRATION
    if kind is RunParameters:
        return _RUN
    return _TOPICS.get(name.partition("_")[0], _OBSERVATION)


def _option(name, defaults):
    """Return the decorator of one parameter's option; its value is for the registry to check."""
    kind = every_parameter()[name]
    field = kind.model_fields[name]
    flag = "--run" if name == "working_directory" else f"--{name.replace('_', '-')}"
    also = ("--working-directory",) if name == "working_directory" else ()
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return click.option(
        flag,
        *also,
        name,
        cls=Topic,
        topic=_topic(name),
        type=click.UNPROCESSED,
        metavar=_METAVARS.get(name) or _metavar(field, choices),
        help=_help(kind, name, defaults),
        shell_complete=lambda _context, _option, begun: [
            each for each in choices if each.startswith(begun)
        ],
    )


def _metavar(field, choices):
    """Return what stands for a value in the help."""
    if choices:
        return "NAME"
    return "TEXT" if field.annotation is str else "NUMBER"


def _help(kind, name, defaults):
    """Return meaning, legal range with its unit, and default of a parameter."""
    field = kind.model_fields[name]
    # As the sentence on a wrong value has it, in the other order.
    legal = kind.legal_range(name).removesuffix(f" ({field.description})")
    default, unit = defaults.get(name, field.default), kind.unit(name)
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, float):
        default = f"{default:g}"
    shown = f"{default} {unit}".strip() if default != "" else "empty"
    # Some meanings go on from the unit, as "processes that simulate and calibrate".
    meaning = field.description
    if meaning.startswith(("of ", "that ")):
        meaning = f"{unit} {meaning}"
    return f"{meaning} [{legal}; default: {shown}]"


def given(values):
    """Return the parameters among options that were given, checked and converted, by name.

    Parameters
    ----------
    values : dict
        Options by name, None for those that were not given.

    Returns
    -------
    dict
        Parameters by name, those of a preset among them in place of its name.

    Raises
    ------
    InvalidParameter
        Naming those that are outside their legal range.
    """
    parameters = {name: values[name] for name in every_parameter() if values.get(name) is not None}
    parameters = with_preset(parameters)
    if "baselines" in parameters:
        parameters["baselines"] = absolute(parameters["baselines"])
    checked = {}
    for kind in (Observation, Calibration, RunParameters):
        checked |= kind.of(parameters).model_dump(mode="json", include=set(parameters))
    return checked


def history_option(function):
    """Give a verb the option that names the history.

    Parameters
    ----------
    function : callable
        Of the verb.

    Returns
    -------
    callable
        The function with its option.
    """
    return click.option(
        "--history",
        cls=Topic,
        type=click.Path(path_type=Path),
        default="history",
        help="one file for each run [default: history]",
        **DIRECTORY,
    )(function)


def clipping_options(function):
    """Give a verb on products the options that say how they were made.

    Parameters
    ----------
    function : callable
        Of the verb.

    Returns
    -------
    callable
        The function with its options.
    """
    options = (
        click.option(
            "--sigma",
            cls=Topic,
            type=float,
            metavar="NUMBER",
            help="clipping threshold that the step was given, in standard deviations [default: of "
            "the run, else 3]",
        ),
        click.option(
            "--maxiters",
            cls=Topic,
            type=int,
            metavar="NUMBER",
            help="clipping iterations that it was given, 0 for no limit [default: of the run, "
            "else 0]",
        ),
        click.option(
            "--association",
            cls=Topic,
            type=click.Path(path_type=Path, exists=True),
            help="the only one to look at [default: all of type image2]",
            **FILE,
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
