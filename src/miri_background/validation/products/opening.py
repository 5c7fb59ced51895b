"""Opening of the FITS files of products: whole ones only, of arrays that have room in memory."""

import math
import os
import warnings
from contextlib import contextmanager

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from miri_background.outcomes import CannotJudge
from miri_background.reading import open_fits
from miri_background.validation.products.planes import StoredPlane

__all__ = ["array_of", "held_of", "primary_header", "require_room", "whole_file"]

_BYTES = 4  # of a value in memory
_MOST_OF_MEMORY = 0.2  # for the arrays of one file


@contextmanager
def whole_file(path, kind):
    """Open a FITS file that has all its bytes, and explain what cannot be read.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : str
        What it should be, for the sentence.

    Yields
    ------
    astropy.io.fits.HDUList
        Arrays are read, not mapped, so that none is shorter than its header says.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    try:
        # What astropy warns of in a file that was cut short is refused here.
        with (
            warnings.catch_warnings(action="ignore", category=AstropyUserWarning),
            open_fits(path) as hdus,
        ):
            _require_whole(hdus)
            yield hdus
    except FileNotFoundError:
        msg = f"{path} is missing: run the pipeline's steps again."
        raise CannotJudge(msg) from None
    except (OSError, LookupError, TypeError, ValueError, AttributeError, fits.VerifyError) as error:
        reason = getattr(error, "strerror", None) or " ".join(map(str, error.args))
        reason = " ".join(reason.split()).rstrip(".")
        msg = f"{path} cannot be read as {kind} ({reason}): make it anew."
        raise CannotJudge(msg) from error


def _require_whole(hdus):
    """Refuse a file whose extensions do not end where it ends."""
    places = [hdu.fileinfo() for hdu in hdus]
    size = places[0]["file"].size
    if max(place["datLoc"] + place["datSpan"] for place in places) != size:
        msg = "it was cut short, or has bytes that belong to no extension"
        raise ValueError(msg)


def primary_header(hdus):
    """Return the primary header, of which every value can be read."""
    header = hdus[0].header.copy()
    tuple(header.values())  # astropy parses a card when it is asked for its value
    return header


def _image(hdus, name):
    """Return the extension of an array, None if there is none or if it has no values."""
    if name not in hdus:
        return None
    if not hdus[name].is_image:
        msg = f"{name} is a table, and an image is needed"
        raise ValueError(msg)
    shape = hdus[name].shape
    return hdus[name] if shape and math.prod(shape) else None


def array_of(hdus, name):
    """Return the array of an extension in the machine's own byte order."""
    image = _image(hdus, name)
    if image is None:
        msg = f"it has no array {name}"
        raise ValueError(msg)
    return image.data.astype(image.data.dtype.newbyteorder("="), copy=False)


def held_of(hdus, name, path, state):
    """Return the array of an extension, or what reads it from a file that can be read in parts."""
    image = _image(hdus, name)
    stored = image and StoredPlane.of(path, image, state)
    return stored or array_of(hdus, name)


def require_room(hdus, names):
    """Refuse arrays of different shapes, or that leave no room in memory for others.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        The file.
    names : iterable of str
        Extensions whose arrays are to be read; those that are not there are refused later.
    """
    shapes = {name: image.shape for name in names if (image := _image(hdus, name))}
    for name, shape in shapes.items():
        if "SCI" in shapes and shape != shapes["SCI"]:
            msg = f"{name} has shape {shape}, and SCI {shapes['SCI']}"
            raise ValueError(msg)
    size = _BYTES * sum(math.prod(shape) for shape in shapes.values())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > _MOST_OF_MEMORY * memory:
        msg = (
            f"its arrays need {size / 1e9:.3g} GB, and this machine has {memory / 1e9:.3g} GB of "
            "memory"
        )
        raise ValueError(msg)
