"""Where a file of a data set is: run directory, local root, cache; and that it is the right one.

The first place that has something of the file's name decides.  If that is not the file, it is
named and stays as it is; nothing else is silently used in its place.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from miri_background.files import ProductRecords, checksum
from miri_background.outcomes import CannotJudge
from miri_background.reading import open_fits, open_regular, require_end
from miri_background.settings import suite_cache

__all__ = [
    "ROOT_VARIABLE",
    "NotHere",
    "Place",
    "WrongFile",
    "cache_path",
    "cache_records",
    "find",
    "local_root",
    "places",
    "require_file",
    "require_whole",
    "verified",
]

ROOT_VARIABLE = "TEST_BIGDATA"  # of ci-watson; its --bigdata lets tests use what is there
# Below the root: ci-watson's inputs_root (pyproject.toml) and its default environment.
_INPUTS = Path("miri-background-validation", "dev")
_NO_ROOT = f"{ROOT_VARIABLE} names none"
_FITS = b"SIMPLE  ="
_FOLDERS = ("", "uncal", "rate")  # of a run directory


class WrongFile(CannotJudge):
    """A file is not the one that the manifest names.

    Parameters
    ----------
    path : path-like
        The file.
    wrong : str
        What is wrong with it, such as ``has 5 bytes``.
    """

    def __init__(self, path, wrong):
        super().__init__(f"{path} {wrong}: move it away, or put the whole file in its place.")
        self.wrong = wrong


@dataclass(frozen=True)
class Place:
    """One path where a file may be.

    Parameters
    ----------
    kind : str
        "run directory", "local root" or "cache".
    path : pathlib.Path
        Of the file.
    """

    kind: str
    path: Path


def local_root():
    """Return the local root of data that the environment names, None if it names none."""
    root = os.environ.get(ROOT_VARIABLE, "")
    # ci-watson allows the address of a server, which is no place on this machine.
    return None if not root or "://" in root else Path(root).expanduser()


def cache_records():
    """Return the records of what was downloaded into the cache."""
    return ProductRecords(suite_cache().absolute() / "data")


def cache_path(file):
    """Return the path of a file in the cache."""
    return cache_records().root / file.data_set / file.name


def places(file, run=None, root=None):
    """Return where a file is looked for, in this order.

    Parameters
    ----------
    file : DataFile
        Which file.
    run : path-like, optional
        A directory of a run, or any with such files.
    root : path-like, optional
        Local root of data; by default what the environment names.

    Returns
    -------
    list of Place
        Run directory, local root, cache.
    """
    found = []
    if run is not None:
        found += [Place("run directory", Path(run, folder, file.name)) for folder in _FOLDERS]
    root = local_root() if root is None else Path(root)
    if root is not None:
        below = [file.path] if file.path else []
        below += [_INPUTS / file.data_set / file.name, Path(file.data_set, file.name), file.name]
        found += [Place("local root", root / each) for each in below]
    return [*found, Place("cache", cache_path(file))]


def find(file, run=None, root=None):
    """Return the first place that has a file, None if none has.

    Parameters
    ----------
    file : DataFile
        Which file.
    run, root : path-like, optional
        See `places`.

    Returns
    -------
    Place or None
        Not verified; see `require_whole`.
    """
    return next(
        (each for each in places(file, run, root) if os.path.lexists(each.path)),
        None,
    )


def require_whole(path, file):
    """Require that a path has the file that the manifest names, byte for byte where it is known.

    Parameters
    ----------
    path : path-like
        Where it should be.
    file : DataFile
        Which file.

    Returns
    -------
    str
        What was compared, in words.

    Raises
    ------
    CannotJudge
        Naming what is wrong.
    """
    try:
        with open_regular(path) as stream:
            beginning = stream.read(len(_FITS))
            size = stream.seek(0, os.SEEK_END)
        if beginning != _FITS:
            raise WrongFile(path, f"does not begin as a FITS file does ({_kind(beginning)})")
        if file.size is not None and size != file.size:
            raise WrongFile(path, f"has {size} bytes and not the {file.size} of {file.name}")
        if file.sha256 is not None:
            if (found := checksum(path)) != file.sha256:
                raise WrongFile(path, f"has the SHA-256 {found} and not {file.sha256}")
            return "SHA-256 of the manifest"
        return _require_unrecorded(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        wrong = f"cannot be read as a FITS file ({reason.rstrip('.')})"
        raise WrongFile(path, wrong) from error


def _require_unrecorded(path):
    """Require of a file without checksum in the manifest what can be required."""
    records = cache_records()
    path = Path(path).absolute()
    if path.is_relative_to(records.root) and records.is_recorded(path):
        if not records.is_own(path):
            raise WrongFile(path, "is not what was downloaded there")
        return "SHA-256 of the download"
    with open_fits(path, whole=False) as hdus:
        require_end(path, hdus)
        number = len(hdus)
    return f"whole FITS file with {number - 1} extensions; no SHA-256 is recorded"


def _kind(beginning):
    """Return what a file may be that is no FITS file."""
    start = beginning.lstrip().lower()
    if not beginning:
        return "it is empty"
    if start.startswith((b"<!", b"<html", b"<?xml")):
        return "it is a web page, perhaps of an error"
    if beginning.startswith(b"\x1f\x8b"):
        return "it is compressed with gzip"
    return f"but with {beginning!r}"


def verified(file, run=None, root=None):
    """Return the path of a file that is on this machine, and how it was verified.

    Parameters
    ----------
    file : DataFile
        Which file.
    run, root : path-like, optional
        See `places`.

    Returns
    -------
    path : pathlib.Path
        The file.
    compared : str
        As `require_whole` returns it.

    Raises
    ------
    CannotJudge
        If it is nowhere, or not the file that the manifest names.
    """
    place = find(file, run, root)
    if place is None:
        raise NotHere([file], run, root)
    return place.path, require_whole(place.path, file)


def require_file(file, run=None, root=None):
    """Return the path of a file as `verified` does, without how."""
    return verified(file, run, root)[0]


class NotHere(CannotJudge):
    """Files of a data set are not on this machine.

    Parameters
    ----------
    files : list of DataFile
        Those that are missing.
    run, root : path-like or None
        Where they were looked for; see `places`.
    """

    def __init__(self, files, run, root):
        self.files = files
        first, others = files[0], len(files) - 1
        also = f" and {others} other{'s' * (others > 1)}" if others else ""
        are = "are" if others else "is"
        looked = [f"the run directory {run}"] if run is not None else []
        root = local_root() if root is None else root
        looked.append(f"the local root {root}" if root else f"no local root ({_NO_ROOT})")
        looked.append(f"the cache {cache_path(first).parent}")
        todo = []
        if any(each.url for each in files):
            todo.append(
                f"run `miri-background data fetch {first.data_set}` where there is a network"
            )
        todo += [
            f"get {each.path} into a local root ({ROOT_VARIABLE}), as it has no public address"
            for each in files
            if not each.url
        ]
        super().__init__(
            f"{first.name}{also} of the data set {first.data_set} {are} not on this machine "
            f"(looked for in {', '.join(looked)}): {', and '.join(todo)}."
        )
