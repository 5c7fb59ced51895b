"""Files that appear whole or not at all, and a record of what wrote them.

A product is written aside, in a directory of its own on the same file system,
its checksum is recorded, and only then is it renamed into place.  Whatever is
interrupted leaves either nothing or a whole file, and a file that is there can
be told from one that somebody else, or a broken disk, has put there.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from miri_background.outcomes import CannotJudge

__all__ = [
    "ProductRecords",
    "checksum",
    "content_key",
    "json_value",
    "replace_whole",
    "write_text_whole",
]


def checksum(path):
    """Return the SHA-256 of a file, hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replace_whole(*targets):
    """Give paths to write to, and rename them to `targets` if the block succeeds.

    Parameters
    ----------
    *targets : path-like
        Final paths, all in one directory.

    Yields
    ------
    list of pathlib.Path
        Paths with the same names in a temporary directory beside the targets;
        the names are kept because the pipeline writes file names into headers.
    """
    targets = [Path(target) for target in targets]
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


def write_text_whole(path, text):
    """Write a text file so that no reader ever sees a part of it."""
    with replace_whole(path) as (aside,):
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
            record = json.loads(self._record_path(product).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            record = None
        return record if isinstance(record, dict) else {}

    def is_current(self, product, key):
        """Tell whether a product is there, whole, and made from what `key` stands for.

        Parameters
        ----------
        product : path-like
            Path of the product, inside the run directory.
        key : str
            Key of the inputs that it should have been made from.

        Returns
        -------
        bool
            False if the product has to be made (again).

        Raises
        ------
        CannotJudge
            If a file is in the product's place that this suite did not write, or
            that has changed since.  It is left untouched.
        """
        product = Path(product)
        if not product.exists():
            return False
        record = self._record(product)
        if not product.is_file() or record.get("sha256") != checksum(product):
            msg = (
                f"{product} is not the file that this suite wrote there "
                "(it was damaged, cut short or put there by hand): "
                "move it away, or use another working directory, and run again."
            )
            raise CannotJudge(msg)
        return record.get("key") == key

    @contextmanager
    def writing(self, key, *products):
        """Write products whole, and record them just before they are renamed.

        A file that is already in the place of a product must be one of the
        suite's own; see `is_current`.

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
        for product in products:
            self.is_current(product, key)
        with replace_whole(*products) as aside:
            yield aside
            # Recorded first, and what is stale removed before: killed in between, a run
            # leaves a record without its product, which only means that it is made again.
            for path, product in zip(aside, products, strict=True):
                record = {"sha256": checksum(path), "key": key}
                Path(product).unlink(missing_ok=True)
                write_text_whole(self._record_path(product), json.dumps(record, indent=1) + "\n")


def content_key(*parts):
    """Return a short key of JSON-serialisable parts, equal for equal content."""
    text = json.dumps(parts, sort_keys=True, default=os.fspath)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def json_value(value):
    """Return a value as strict JSON has it: a number that is not finite becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
