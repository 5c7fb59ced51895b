"""HTML and sources of pages, all of it from the templates of this package."""

from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase, digits, punctuation

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from miri_background.outcomes import Outcome

__all__ = ["TEMPLATES", "Part", "macros", "markdown", "page_name", "render"]

TEMPLATES = "templates"  # directory in this package
_LONGEST = 30  # characters of a word that a line is not broken in
_IN_PAGE_NAMES = f"{ascii_lowercase}{digits}._-"
_ESCAPED_IN_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in punctuation})


@dataclass(frozen=True)
class Part:
    """Part of a table's cell that is more than text.

    Parameters
    ----------
    words : str, optional
        Text, code between backticks.
    outcome : str, optional
        Word of an outcome, shown as a badge.
    place : str, optional
        Where words and badge link to.
    hidden : str, optional
        Words of the link that only a screen reader reads.
    small : str, optional
        Line below, in small letters.
    """

    words: str = ""
    outcome: str = ""
    place: str = ""
    hidden: str = ""
    small: str = ""


@cache
def _environment():
    """Return the environment of all templates, which escapes whatever is put into HTML."""
    environment = Environment(
        loader=PackageLoader("miri_background", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cells": _cells,
        "has_long_words": _has_long_words,
        "markdown": markdown,
        "one_line": _one_line,
        "outcome": _outcome,
        "page_name": page_name,
    }
    return environment


def render(template, **values):
    """Return what a template makes of values.

    Parameters
    ----------
    template : str
        Path of the template in the package's templates.
    **values : dict
        What the template names.

    Returns
    -------
    str
        HTML, or the source of a page.
    """
    return str(_environment().get_template(template).render(values))


@cache
def macros():
    """Return the macros of HTML as functions of their names."""
    return _environment().get_template("macros.html.j2").module


def page_name(text):
    """Return words as the name of a page's file."""
    return "-".join(
        "".join(each if each in _IN_PAGE_NAMES else " " for each in text.lower()).split()
    )


def _cells(items, *names):
    """Return attributes of items as rows of a table."""
    return [tuple(getattr(item, name) for name in names) for item in items]


def _has_long_words(content):
    """Return whether a cell is text with a word that is as long as the name of an exposure."""
    return isinstance(content, str) and any(len(word) > _LONGEST for word in content.split())


def markdown(text):
    """Return words as Markdown that shows just them, on one line."""
    return Markup(" ".join(str(text).split()).translate(_ESCAPED_IN_MARKDOWN))  # noqa: S704


def _one_line(html):
    """Return HTML without line ends and indents; that of a block of Markdown may have none."""
    return Markup(" ".join(html.split()))  # noqa: S704 - was escaped before


def _outcome(word):
    """Return the outcome of a word; what was not run has the looks of what cannot be judged."""
    return next((each for each in Outcome if each.word == word), Outcome.CANNOT_JUDGE)
