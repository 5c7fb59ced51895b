"""What a notebook says of its own data, in sentences with their numbers."""

import textwrap

from miri_background.data.manifest import data_set
from miri_background.instrument.footprint import regions
from miri_background.instrument.readout import subarrays
from miri_background.rendering import macros

__all__ = ["Paragraph", "counted", "listed", "observation_in_words"]

_WIDTH = 100  # columns of text
_ENDS = ("faintest", "brightest")


def counted(number, noun, plural=None):
    """Return a number of things in words, such as ``1 star`` or ``no stars``.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        One of them.
    plural : str, optional
        Several of them, where an s is not enough.

    Returns
    -------
    str
        Number and noun.
    """
    return f"{number if number else 'no'} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names):
    """Return names as they stand in a sentence.

    Parameters
    ----------
    names : sequence of str
        At least one.

    Returns
    -------
    str
        Such as ``imager, Lyot and 4QPM 1065``.
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


class Paragraph(str):
    """Text in lines of at most 100 columns, and a paragraph on pages."""

    __slots__ = ()

    def __new__(cls, text):
        """Break a text into lines."""
        return super().__new__(cls, textwrap.fill(text, _WIDTH))

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        """Return the text as HTML, which breaks lines where there is room."""
        return str(macros().paragraph(self))


def observation_in_words(observation):
    """Return what is observed, and which part of the detector is read.

    Parameters
    ----------
    observation : Observation
        The observation.

    Returns
    -------
    Paragraph
        Exposures, sources and regions.
    """
    if observation.data != "simulated":
        one = data_set(observation.data)
        return Paragraph(f"{one.description} Filter {one.filter}. Source: {one.source}.")
    galaxy = " and a galaxy" if observation.galaxy_flux else ""
    science, background = (
        counted(getattr(observation, f"{field}_exposures"), "exposure")
        for field in ("science", "background")
    )
    shape, whole = (subarrays()[name].shape for name in (observation.subarray, "FULL"))
    stars = ", ".join(
        f"{_stars(observation, field)}{more} in the {field} field"
        for field, more in (("science", galaxy), ("background", ""))
    )
    part = 100 * shape[0] * shape[1] / (whole[0] * whole[1])
    places = [
        f"{name} (x {each.x.start} to {each.x.stop - 1}, y {each.y.start} to {each.y.stop - 1})"
        for name, each in regions(observation.subarray).items()
    ]
    ramps = counted(observation.integrations, "integration")
    text = (
        f"{science} of the science field and {background} of the background field in "
        f"{observation.filter}, each of {ramps} of {observation.groups} groups. The full array has "
        f"{stars}. {observation.subarray} reads {shape[1]} x {shape[0]} pixels, {part:.0f} % of "
        f"the full array, and sees the sky in {listed(places)}."
    )
    return Paragraph(text)


def _stars(observation, field):
    """Return how many stars a field has, and how bright they are."""
    number = getattr(observation, f"{field}_stars")
    if not number:
        return "no stars"
    faintest, brightest = (getattr(observation, f"{field}_{end}") for end in _ENDS)
    return f"{counted(number, 'star')} of {faintest:g} to {brightest:g} µJy"
