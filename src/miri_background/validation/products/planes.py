"""Planes of images that stay in their files, and are read each time that they are looked at.

A hundred exposures of the whole array have several gigabytes.  Whatever judges them looks at one
of them after the other, or at the same few rows of all, and so holds no more than that.
"""

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.reading import is_compressed, open_regular

__all__ = [
    "Held",
    "MadePlane",
    "Planes",
    "StoredPlane",
    "rate_less_background",
    "rows_of",
    "state_of",
]

# What was read last is asked for again by the next line, so that it is kept: a few planes of the
# whole array, each of which has 4 MB.
_MOST_RECENT = 32_000_000  # bytes

# Arrays of these types are as they are in the file (FITS standard 4.0, section 4.4.1.1) ...
_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# ... but that flags without a sign are stored with one, and this offset (section 5.2.5).
_BITS, _OFFSET = 32, 2**31


@dataclass(frozen=True)
class StoredPlane:
    """An array in a file.

    Parameters
    ----------
    path : pathlib.Path
        The file, no link.
    place : int
        Bytes before the array.
    stored : str
        Type of the values in the file, of numpy.
    shape : tuple of int
        Of the array.
    unsigned : bool
        Whether the values have no sign, and the offset that stands for it in the file.
    state : tuple of int
        Device, number, size and time of the file when it was looked at first.
    """

    path: Path
    place: int
    stored: str
    shape: tuple
    unsigned: bool
    state: tuple

    @classmethod
    def of(cls, path, hdu, state):
        """Return the array of an extension, None if the bytes of the file are not its values.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        hdu : astropy.io.fits.ImageHDU
            The extension, of which no array was read yet.
        state : tuple
            As `state_of` returns it, None of a compressed file.

        Returns
        -------
        StoredPlane or None
            None of what is compressed or scaled.
        """
        header = hdu.header
        scale, offset = header.get("BSCALE", 1), header.get("BZERO", 0)
        unsigned = (header.get("BITPIX"), offset) == (_BITS, _OFFSET)
        plain = scale == 1 and (offset == 0 or unsigned) and "BLANK" not in header
        if state is None or not plain or type(hdu) is not fits.ImageHDU:
            return None
        place, stored = hdu.fileinfo()["datLoc"], _STORED[header["BITPIX"]]
        return cls(Path(path).resolve(), place, stored, tuple(hdu.shape), unsigned, state)

    @property
    def dtype(self):
        """Type of the values."""
        return np.dtype(np.uint32) if self.unsigned else np.dtype(self.stored).newbyteorder("=")

    def __call__(self):
        """Return the whole array, not to be written into."""
        found = _recent.pop(self, None)
        if found is None:
            found = self.rows(slice(None))
        _recent[self] = found
        while len(_recent) > 1 and sum(each.nbytes for each in _recent.values()) > _MOST_RECENT:
            _recent.popitem(last=False)
        return found

    def rows(self, part):
        """Return some rows.

        Parameters
        ----------
        part : slice
            The rows, without gaps.

        Returns
        -------
        ndarray
            Of the shape of the array but for the number of rows; not to be written into.

        Raises
        ------
        CannotJudge
            If the file cannot be read any more, or has changed.
        """
        *integrations, rows, columns = self.shape
        first, last, _ = part.indices(rows)
        values = np.empty((math.prod(integrations), last - first, columns), self.stored)
        size = values.itemsize * columns
        try:
            with open_regular(self.path) as stream:
                whole = _state(stream) == self.state
                for number, plane in enumerate(values):
                    stream.seek(self.place + (number * rows + first) * size)
                    whole = whole and stream.readinto(plane.data.cast("B")) == plane.nbytes
        except OSError as error:
            msg = f"{self.path} cannot be read any more ({error.strerror}): check again."
            raise CannotJudge(msg) from error
        if not whole:
            msg = f"{self.path} has changed while it was judged: check again."
            raise CannotJudge(msg)
        if values.dtype.byteorder == ">":
            values = values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))
        if self.unsigned:
            values = values.view(np.uint32)
            values ^= np.uint32(_OFFSET)
        values = values.reshape(*integrations, last - first, columns)
        values.flags.writeable = False
        return values


_recent = OrderedDict()  # planes that were read last, by what they were read from


def state_of(path):
    """Return by what it is noticed that a file has changed, None if it is compressed."""
    with open_regular(path) as stream:
        return None if is_compressed(stream) else _state(stream)


def _state(stream):
    """Return device, number, size and time of an open file."""
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class MadePlane:
    """An array that is made of others each time that it is looked at.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    make : callable
        Returns it.
    """

    shape: tuple
    make: Callable

    def __call__(self):
        """Return the array."""
        return self.make()


def _array(held):
    """Return the array of what is held: itself, or what reads or makes it."""
    return held() if callable(held) else held


def rows_of(held, part):
    """Return some rows of what is held."""
    return held.rows(part) if isinstance(held, StoredPlane) else _array(held)[..., part, :]


class Held:
    """Attribute of an image: an array, or what reads or makes it each time it is looked at."""

    def __set_name__(self, owner, name):
        """Note under which name it is held."""
        self._name = f"_{name}"

    def __get__(self, image, owner=None):
        """Return the array."""
        if image is None:
            raise AttributeError(self._name)  # there is no default
        return _array(image.__dict__[self._name])

    def __set__(self, image, held):
        """Hold an array, or what reads or makes it."""
        image.__dict__[self._name] = held


class Planes(Mapping):
    """Arrays by their names, each read or made when it is looked at.

    Parameters
    ----------
    held : dict
        Arrays, or what reads or makes them, by name.
    """

    def __init__(self, held):
        self._held = held

    def __getitem__(self, name):
        """Return an array."""
        return _array(self._held[name])

    def __iter__(self):
        """Return the names, one after the other."""
        return iter(self._held)

    def __len__(self):
        """Return how many there are."""
        return len(self._held)

    def __or__(self, others):
        """Return these and others, which take the place of those of the same name."""
        return Planes(self._held | dict(others))


def rate_less_background(rate, combined):
    """Return a rate from which a combined background is subtracted as the step does it.

    Parameters
    ----------
    rate, combined : Image
        A science exposure, and what is subtracted, in single precision.

    Returns
    -------
    Image
        With the rate's errors and the flags of both; made whenever it is looked at.
    """

    def data():
        with np.errstate(invalid="ignore"):
            return rate.data - combined.data

    def dq():
        return rate.dq | combined.dq

    return rate.changed(data=MadePlane(rate.shape, data), dq=MadePlane(rate.shape, dq))
