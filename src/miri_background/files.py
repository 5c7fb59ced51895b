"""Files that appear whole or not at all, and replace only what this suite wrote.

A file is written aside, in a directory of its own on the same file system, and
only then renamed into place.  An interrupted write leaves either nothing or
a whole file.  A file that is already there is replaced only if it is the
suite's own: by its content, or by the checksum that was recorded for it.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.reading import NotRegularFile, open_regular, read_json

__all__ = [
    "ProductRecords",
    "checksum",
    "content_key",
    "for_each_file",
    "json_value",
    "remembered",
    "replace_recorded",
    "replace_whole",
    "require_own",
    "write_text_recorded",
    "write_text_whole",
]

_NOT_OWN = (
    "{} is not the file that this suite wrote there (it was changed, damaged or put there by "
    "somebody else), and stays as it is: move it away, or name another place, and run again."
)
# A file that changed less than this ago may change again without another time: clocks of file
# systems have steps, those of a FAT disk of 2 s.
_SETTLED = 3e9  # ns
# Each has a file in memory, and the bytes of a disk come no faster for more.
_THREADS = 2


def _state_of(path):
    """Return what changes when somebody writes to a file, None if there is no regular one."""
    path = Path(path)
    if not path.is_file():
        return None
    status = path.stat()
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def remembered(of_content):
    """Let a function of a file's content be computed again only if somebody wrote to the file.

    Parameters
    ----------
    of_content : callable
        Called with a path.

    Returns
    -------
    callable
        The same; a file that has just been written is always read.
    """
    known = {}

    @wraps(of_content)
    def of_file(path):
        before = _state_of(path)
        state, result = known.get(os.fspath(path), (None, None))
        if before is not None and before == state:
            return result
        result = of_content(path)
        settled = before is not None and time.time_ns() - max(before[-2:]) > _SETTLED
        if settled and _state_of(path) == before:
            known[os.fspath(path)] = before, result
        return result

    return of_file


def for_each_file(function, files):
    """Return what a function gives for each of some files.

    Parameters
    ----------
    function : callable
        Called with a path, in several threads.
    files : dict of path-like
        The files, each by a name.

    Returns
    -------
    dict
        The results by the same names, in the same order.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip(files, threads.map(function, files.values()), strict=True))


@remembered
def checksum(path):
    """Return the SHA-256 of a file, hexadecimal."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_own(*targets, ours=None):
    """Refuse targets that are in the place of something that this suite did not write.

    Parameters
    ----------
    *targets : path-like
        What is to be written or removed.
    ours : callable, optional
        Whether a regular file at a path is the suite's own; without it, none is.

    Raises
    ------
    SetUpWrong
        If a target is a file of others, a directory or a link; it is left untouched.
    """
    for target in map(Path, targets):
        if not os.path.lexists(target):
            continue
        # The suite writes no links in the place of files: a link is somebody's choice.
        if target.is_symlink() or not target.is_file() or ours is None or not ours(target):
            raise SetUpWrong(_NOT_OWN.format(target))


@contextmanager
def replace_whole(*targets, ours=None):
    """Give paths to write to, and rename them to `targets` if the block succeeds.

    Parameters
    ----------
    *targets : path-like
        Final paths, all in one directory.
    ours : callable, optional
        Which files may be replaced; see `require_own`.

    Yields
    ------
    list of pathlib.Path
        Paths with the same names in a temporary directory beside the targets;
        the names are kept because the pipeline writes file names into headers.

    Raises
    ------
    SetUpWrong
        If a target is in the place of something that this suite did not write.
    """
    targets = [Path(target) for target in targets]
    require_own(*targets, ours=ours)
    directory = targets[0].parent
    directory.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
    try:
        written = [aside / target.name for target in targets]
        yield written
        for path, target in zip(written, targets, strict=True):
            path.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text_whole(path, text, ours=None):
    """Write a text file of which no reader ever sees a part; see `replace_whole`."""
    with replace_whole(path, ours=ours) as (aside,):
        # Names of files may have what is no character.
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def replace_recorded(target):
    """Give a path to write to, for a file that is replaced only as long as nobody changes it.

    Its checksum is recorded in ``.records`` beside it.

    Parameters
    ----------
    target : path-like
        Final path.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    CannotJudge
        If a file is in its place that this suite did not write, or that has changed since.
    """
    with ProductRecords(Path(target).parent).writing("", target) as (aside,):
        yield aside


def write_text_recorded(path, text):
    """Write a text file whole, unless somebody changed it; see `replace_recorded`."""
    with replace_recorded(path) as aside:
        aside.write_text(text, encoding="utf-8")


class ProductRecords:
    """What a run directory's products should be, and which inputs made them.

    Each product has a small JSON file under ``.records/`` with the product's
    SHA-256 and the key of everything that it was made from.

    Parameters
    ----------
    root : path-like
        The run directory.
    """

    def __init__(self, root):
        self.root = Path(root)

    def _record_path(self, product):
        return self.root / ".records" / f"{Path(product).relative_to(self.root)}.json"

    def _record(self, product):
        """Return the record of a product, empty where there is none that can be read."""
        try:
            record = read_json(self._record_path(product))
        except (FileNotFoundError, NotRegularFile, ValueError):
            record = None
        return record if isinstance(record, dict) else {}

    def is_recorded(self, product):
        """Return whether there is a record of a product."""
        return bool(self._record(product))

    def is_own(self, product):
        """Return whether a file is, byte for byte, what was recorded when it was written."""
        return self._record(product).get("sha256") == checksum(product)

    def is_current(self, product, key):
        """Return whether a product is there, whole, and made from what `key` stands for.

        Parameters
        ----------
        product : path-like
            Path of the product, inside the run directory.
        key : str
            Key of the inputs that it should have been made from.

        Returns
        -------
        bool
            False if the product has to be made (again), or is not the suite's own.
        """
        product = Path(product)
        made_from_it = product.is_file() and self._record(product).get("key") == key
        return made_from_it and self.is_own(product)

    def refuse_foreign(self, *products):
        """Refuse products in whose place is something that this suite did not write.

        Parameters
        ----------
        *products : path-like
            Paths inside the run directory.

        Raises
        ------
        CannotJudge
            If a file is in a product's place that this suite did not write, or
            that has changed since.  It is left untouched.
        """
        for product in map(Path, products):
            if product.exists() and not (product.is_file() and self.is_own(product)):
                raise CannotJudge(_NOT_OWN.format(product))

    def remove(self, product):
        """Remove a product that may be there and is the suite's own."""
        require_own(product, ours=self.is_own)
        Path(product).unlink(missing_ok=True)

    @contextmanager
    def writing(self, key, *products):
        """Write products whole, and record them just before they are renamed.

        A file that is already in the place of a product must be one of the
        suite's own; see `refuse_foreign`.

        Parameters
        ----------
        key : str
            Key of the inputs.
        *products : path-like
            Paths inside the run directory, all in one directory of it.

        Yields
        ------
        list of pathlib.Path
            Where to write.
        """
        self.refuse_foreign(*products)
        with replace_whole(*products, ours=self.is_own) as aside:
            yield aside
            # Recorded first, and what is stale removed before: killed in between, a run
            # leaves a record without its product, which only means that it is made again.
            for path, product in zip(aside, products, strict=True):
                record = {"sha256": checksum(path), "key": key}
                Path(product).unlink(missing_ok=True)
                text = json.dumps(record, indent=1) + "\n"
                write_text_whole(self._record_path(product), text, ours=Path.is_file)


def json_object(path, **limits):
    """Return the object that a JSON file holds.

    Parameters
    ----------
    path : path-like
        The file.
    **limits
        As `read_json` takes them.

    Returns
    -------
    dict
        What it holds.

    Raises
    ------
    CannotJudge
        If it is missing, no JSON, or holds something else.
    """
    try:
        content = read_json(path, **limits)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"{path} cannot be read as JSON ({reason}): mend it, or move it away."
        raise CannotJudge(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds no JSON object: mend it, or move it away."
        raise CannotJudge(msg)
    return content


def content_key(*parts):
    """Return a short key of JSON-serialisable parts, equal for equal content."""
    text = json.dumps(parts, sort_keys=True, default=os.fspath)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def json_value(value):
    """Return a value as strict JSON has it: a number that is not finite becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
