"""Behaviours of builds where the documentation leaves a choice, by behaviours.yaml."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

from miri_background.outcomes import SetUpWrong

__all__ = [
    "EMPTY",
    "ERRORS",
    "FLAGS",
    "PIXELS",
    "PLACE",
    "Recognised",
    "catalogue",
    "expected_behaviours",
]

# Aspects.
ERRORS, FLAGS = "errors", "flags"
PIXELS, EMPTY = "averaged pixels", "empty integrations"
PLACE = "place of another subarray"


@lru_cache(maxsize=1)
def catalogue():
    """Return the known and proposed behaviours of each aspect, what releases do first.

    Returns
    -------
    dict
        Of dicts, by aspect and name: description; releases and issue where there are any.
    """
    text = (files(__package__) / "behaviours.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def expected_behaviours(text):
    """Return the behaviours that a build is expected to have.

    Parameters
    ----------
    text : str
        Such as ``errors=quadrature, flags=fraction``: aspects, each with any part of the name
        of a behaviour that no other of the aspect has.

    Returns
    -------
    dict of str
        Names of behaviours by aspect.

    Raises
    ------
    SetUpWrong
        If there is no such aspect or behaviour, or more than one.
    """
    expected = {}
    for part in filter(None, (each.strip() for each in str(text).split(","))):
        aspect, _, wanted = (each.strip() for each in part.partition("="))
        if aspect not in catalogue():
            msg = f"There is no behaviour {aspect!r}: choose of {', '.join(catalogue())}."
            raise SetUpWrong(msg)
        names = list(catalogue()[aspect])
        found = [name for name in names if name == wanted] or [
            name for name in names if wanted and wanted.lower() in name.lower()
        ]
        if len(found) != 1:
            msg = f"{part!r} names {len(found) or 'no'} behaviours: choose of {', '.join(names)}."
            raise SetUpWrong(msg)
        expected[aspect] = found[0]
    return expected


@dataclass(frozen=True)
class Recognised:
    """The behaviour of a build in one aspect.

    Parameters
    ----------
    aspect, name : str
        As in behaviours.yaml.
    detail : str
        What else is to be known to repeat it, "" if nothing.
    as_known : bool
        Whether it is what its release is known to do, True where nothing is known of it.
    expected : str, optional
        What the run expects, empty if nothing.
    """

    aspect: str
    name: str
    detail: str
    as_known: bool
    expected: str = ""

    @property
    def proposed(self):
        """Whether no release is known to behave so."""
        # Of places only one is right, whatever releases do.
        return self.aspect != PLACE and not catalogue()[self.aspect][self.name].get("releases")

    @property
    def problem(self):
        """Why it is not right, as a part of a sentence; empty if it is."""
        if self.expected and self.name == self.expected:
            return ""
        what = f"{self.aspect}: {self.name}"
        if self.expected:
            return f"{what}, and {self.expected} is expected"
        if self.proposed:
            return (
                f"{what}, which is only proposed (say --expect "
                f"'{self.aspect}={self.name}' where it is wanted)"
            )
        return "" if self.as_known else f"{what}, which this release is not known to do"
