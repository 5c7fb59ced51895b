"""Reads files that anybody may have written, and refuses all but plain, whole files.

A pipe, a device or a header with impossible sizes would keep a reader waiting for ever, or fill
the memory.  Every file that this suite reads is opened here.
"""

import errno
import gzip
import json
import math
import os
import stat
import tempfile
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "NotRegularFile",
    "is_compressed",
    "open_fits",
    "open_regular",
    "read_json",
    "read_text",
    "require_end",
]

_MOST_TEXT = 100_000_000  # bytes: many times what the largest notebook has
_BLOCK, _CARD = 2880, 80  # bytes of a FITS block and of a card
_MOST_BLOCKS = 500  # of one header; that of a product of the pipeline has some ten
_MOST_EXTENSIONS = 1000  # of one file; a product of the pipeline has some ten
# What is so much larger than it was compressed has next to nothing in it: rates become a few
# times as large.  Bytes, and how many of them for each that was compressed.
_LARGE, _MOST_EXPANSION = 50_000_000, 100
_CHUNK = 1 << 20  # bytes
_IN_MEMORY = 64 << 20  # bytes of what is decompressed
_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSION = {
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"\x1f\x9d": "compress",
}
_BEGINNINGS = (b"SIMPLE  ", b"XTENSION")
_MOST_ZEROS = 1_000_000  # bytes that may follow the last extension of a FITS file
_BITS = (8, 16, 32, 64, -32, -64)  # FITS standard 4.0, section 4.4.1.1
_SCALING = ("BSCALE", "BZERO")  # what values in the file are multiplied by and raised by
_OTHER_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularFile(OSError):
    """What should be a file is something else, or is too large for what it should be."""

    def __init__(self, path, reason):
        super().__init__(errno.EINVAL, reason, os.fspath(path))

    def __str__(self):
        return self.strerror


def open_regular(path):
    """Open a regular file, or a link to one, to read its bytes.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    io.BufferedReader
        The open file.

    Raises
    ------
    NotRegularFile
        If it is a directory, a pipe, a socket or a device.
    OSError
        If it is missing or may not be read.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _OTHER_KINDS if test(mode)), "something else")
        raise NotRegularFile(path, f"it is {kind}, not a regular file")
    return Path(path).open("rb")


def read_text(path, most=_MOST_TEXT):
    """Return the text of a regular file.

    Parameters
    ----------
    path : path-like
        The file, UTF-8.
    most : int, optional
        Bytes that it may have.

    Returns
    -------
    str
        All of it.

    Raises
    ------
    OSError
        If it is missing, not a regular file, or larger than that.
    ValueError
        If it is no text.
    """
    with open_regular(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise NotRegularFile(path, f"it has more than {most / 1e6:.0f} MB")
    return content.decode("utf-8")


def read_json(path, most=_MOST_TEXT):
    """Return what a JSON file holds.

    Parameters
    ----------
    path : path-like
        The file.
    most : int, optional
        Bytes that it may have.

    Returns
    -------
    object
        As `json.loads` returns it.

    Raises
    ------
    OSError
        As of `read_text`.
    ValueError
        If it is no JSON.
    """
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        msg = "it has brackets in brackets without end"
        raise ValueError(msg) from None


@contextmanager
def open_fits(path, whole=True):
    """Open a FITS file of which every extension is inside the file.

    Parameters
    ----------
    path : path-like
        The file, which may be compressed as a whole by gzip.
    whole : bool, optional
        Whether whole arrays are read, so that all must have room in the machine's memory.

    Yields
    ------
    astropy.io.fits.HDUList
        Arrays are read, not mapped, so that none is shorter than its header says.

    Raises
    ------
    OSError
        If it is missing, not a regular file, or no FITS file.
    ValueError
        If a header has sizes that cannot be, or an array does not end before the file does.
    """
    # Imported here: it takes long, and most files are no FITS files.
    from astropy.io import fits

    # astropy would not close a file that it opened itself and stumbled over.
    with open_regular(path) as file, _plain(file) as stream:
        _require_possible_sizes(stream, fits.Header.fromstring, whole)
        stream.seek(0)
        with fits.open(stream, memmap=False) as hdus:
            yield hdus


def require_end(path, hdus):
    """Require that a FITS file ends where its last extension does.

    Parameters
    ----------
    path : path-like
        The file.
    hdus : astropy.io.fits.HDUList
        The open file; its headers are read to the last that is whole.

    Raises
    ------
    ValueError
        If it ends earlier, or has the piece of a further extension.
    """
    # The piece of a header is warned of; here it is refused.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        len(hdus)
    place = hdus[-1].fileinfo()
    end = place["datLoc"] + place["datSpan"]
    with open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(end)
        rest = stream.read(_MOST_ZEROS)
    # Blocks of zeros may follow; anything else is the piece of a further extension.
    if not end <= size < end + _MOST_ZEROS or any(rest):
        msg = f"it ends after {size} bytes, and its last whole extension after {end}"
        raise ValueError(msg)


def is_compressed(stream):
    """Return whether a file, open at its beginning, is compressed as a whole by gzip."""
    beginning = stream.read(len(_GZIP))
    stream.seek(0)
    return beginning == _GZIP


@contextmanager
def _plain(stream):
    """Give a FITS file as it is without compression, and refuse what expands without end."""
    beginning = stream.read(8)
    stream.seek(0)
    other = next(
        (name for magic, name in _OTHER_COMPRESSION.items() if beginning.startswith(magic)), ""
    )
    if other:
        msg = f"it is compressed by {other}: decompress it"
        raise ValueError(msg)
    if not is_compressed(stream):
        yield stream
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as expanded:
        try:
            with gzip.open(stream) as compressed:
                while chunk := compressed.read(_CHUNK):
                    expanded.write(chunk)
                    size = expanded.tell()
                    if size > _LARGE and size > _MOST_EXPANSION * stream.tell():
                        msg = (
                            f"decompressed, it is more than {_MOST_EXPANSION} times as large: "
                            "decompress it by another program"
                        )
                        raise ValueError(msg)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            msg = f"it was cut short or damaged: {error}"
            raise ValueError(msg) from None
        expanded.seek(0)
        yield expanded


def _require_possible_sizes(stream, parse, whole):
    """Refuse a file whose headers have sizes that cannot be.

    An axis of negative length would lead astropy from an extension back to the same extension.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if whole and size > memory:
        msg = f"it has {size / 1e9:.3g} GB, and this machine {memory / 1e9:.3g} GB of memory"
        raise ValueError(msg)
    beginning = stream.read(len(_BEGINNINGS[0]))
    stream.seek(0)
    if beginning != _BEGINNINGS[0]:
        msg = "it is not a FITS file" if size else "it is empty"
        raise ValueError(msg)
    number = 0
    while (cards := _next_header(stream)) is not None:
        if number == _MOST_EXTENSIONS:
            msg = f"it has more than {_MOST_EXTENSIONS} extensions"
            raise ValueError(msg)
        header = parse(cards.decode("latin-1"))
        place = f"extension {number}" if number else "the primary header"
        end = stream.tell() + _extent(header, "", place)
        if end > size:
            msg = f"it was cut short: it ends after {size} bytes, and {place} after {end}"
            raise ValueError(msg)
        if header.get("ZIMAGE") is True and _extent(header, "Z", place) > memory:
            msg = f"{place} has a compressed array that is larger than this machine's memory"
            raise ValueError(msg)
        stream.seek(-(-end // _BLOCK) * _BLOCK)
        number += 1


def _next_header(stream):
    """Return the cards of the header that begins here, None where there is no whole header."""
    found = bytearray()
    while len(found) < _MOST_BLOCKS * _BLOCK:
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK or not (found or block.startswith(_BEGINNINGS)):
            return None
        found += block
        if any(block[first : first + 8] == b"END     " for first in range(0, _BLOCK, _CARD)):
            return bytes(found)
    msg = f"it has a header of more than {_MOST_BLOCKS * _BLOCK // _CARD} cards"
    raise ValueError(msg)


def _extent(header, prefix, place):
    """Return how many bytes an extension's array has (FITS standard 4.0, equation 2)."""
    bits = header.get(f"{prefix}BITPIX")
    if bits not in _BITS:
        msg = f"{place} has {prefix}BITPIX = {bits!r}"
        raise ValueError(msg)

    def number(name, default=None):
        value = header.get(name, default)
        if type(value) is not int or value < 0:
            msg = f"{place} has {name} = {value!r}, and a whole number from 0 is needed"
            raise ValueError(msg)
        return value

    for name in _SCALING:
        value = header.get(name, 0)
        if type(value) not in (int, float):
            msg = f"{place} has {name} = {value!r}, and a number is needed"
            raise ValueError(msg)
    axes = [number(f"{prefix}NAXIS{axis + 1}") for axis in range(number(f"{prefix}NAXIS"))]
    if header.get("GROUPS") is True and axes[:1] == [0]:
        axes = axes[1:]
    pixels = math.prod(axes) if axes else 0
    # Those of a compressed array are of the table that holds it.
    groups, parameters = (1, 0) if prefix else (number("GCOUNT", 1), number("PCOUNT", 0))
    return abs(bits) // 8 * groups * (parameters + pixels)
