"""Pictures of pages as files: what they are called, and which words they bring along.

Nothing is drawn here: a page is put together without what draws.
"""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from miri_background.reading import open_regular

__all__ = [
    "COMBINED",
    "LIMITS",
    "MOSAIC",
    "PREFIX",
    "SIDES",
    "WORDS_OF_PICTURES",
    "Pictured",
    "description_of",
    "pictures_since",
]

COMBINED, SIDES, LIMITS = "combined_background", ("before", "after"), "limits"
MOSAIC = "mosaic_without", "mosaic", "mosaic_limits"
PREFIX = "answer_"  # of the files beside the other figures of a notebook
# Keywords of the PNG specification, and what of a figure they have.
WORDS_OF_PICTURES = {"Description": "alt", "Title": "caption"}


@dataclass(frozen=True)
class Pictured:
    """A picture of a page.

    Parameters
    ----------
    name : str
        Of its file, without the ending.
    content : bytes
        PNG file, with alternative text and caption inside.
    """

    name: str
    content: bytes


def pictures_since(directory, started):
    """Return the pictures that a run has written.

    Parameters
    ----------
    directory : pathlib.Path
        Of the run's figures.
    started : datetime.datetime
        When the run began: what is older is of another.

    Returns
    -------
    list of Pictured
        In the order of a page.
    """
    found = []
    for name in (COMBINED, *SIDES, LIMITS, *MOSAIC):
        path = directory / f"{PREFIX}{name}.png"
        if path.is_file() and path.stat().st_mtime >= started.timestamp():
            with open_regular(path) as stream:
                found.append(Pictured(name, stream.read()))
    return found


def description_of(content):
    """Return alternative text, caption and size of a picture's file.

    Parameters
    ----------
    content : bytes
        As `picture` returns it.

    Returns
    -------
    alt, caption : str
        Empty if it has none.
    size : tuple of int
        Width and height in pixels.
    """
    with Image.open(BytesIO(content)) as opened:
        opened.load()
        alt, caption = (opened.info.get(keyword, "") for keyword in WORDS_OF_PICTURES)
        return alt, caption, opened.size
