"""The file of a comparison: one page, which says of itself whether somebody changed it."""

import hashlib
import re

from miri_background.files import require_own, write_text_whole
from miri_background.places import writable
from miri_background.reading import read_text

__all__ = ["require_own_page", "write_page"]

_MOST = 100_000_000  # bytes of a page with all its pictures
# Last in the file: the checksum of all that stands before.
_SEAL = "<!-- miri-background compare, SHA-256 of what stands above: {} -->\n"
_SEALED = re.compile(re.escape(_SEAL).replace(r"\{\}", "([0-9a-f]{64})") + r"\Z")


def _sealed(page):
    """Return a page with its checksum."""
    return page + _SEAL.format(hashlib.sha256(page.encode()).hexdigest())


def _is_own(path):
    """Return whether a file is a page of a comparison, as it was written."""
    try:
        content = read_text(path, _MOST)
    except (OSError, ValueError):
        return False
    found = _SEALED.search(content)
    return found is not None and content == _sealed(content[: found.start()])


def require_own_page(path):
    """Refuse a place in which there is something that this suite did not write.

    Parameters
    ----------
    path : path-like
        Of the page.

    Raises
    ------
    SetUpWrong
        If there is; it is left untouched.
    """
    require_own(path, ours=_is_own)


def write_page(path, page):
    """Write a page whole, in the place of an earlier one.

    Parameters
    ----------
    path : pathlib.Path
        Of the file.
    page : str
        HTML.

    Raises
    ------
    SetUpWrong
        If something is in its place that this suite did not write, or cannot be written there.
    """
    with writable(path.parent):
        write_text_whole(path, _sealed(page), ours=_is_own)
