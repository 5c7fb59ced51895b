"""The files of a report page: the page, and a directory beside it with all that it shows.

A list of checksums goes with them, so that an earlier page is replaced wherever it was copied to,
and nothing that somebody else wrote or changed ever is.
"""

import hashlib
import json
import os
from pathlib import Path

from miri_background.files import ProductRecords, checksum, replace_whole, require_own
from miri_background.reading import read_json

__all__ = ["ASSETS", "PAGE", "PageFiles", "page_file"]

PAGE, ASSETS = "report.html", "report_files"
_LIST = "checksums.json"
_SHOWN = (".png", ".css", ".svg", ".csv")  # files that a page may be about to write
_KIND = "report page of miri-background"


def _content_checksum(content):
    """Return the SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class PageFiles:
    """The files of a page in a directory.

    Parameters
    ----------
    place : path-like
        Directory of the page.
    page : str, optional
        Name of the page; that of the directory beside it follows from it.
    """

    def __init__(self, place, page=PAGE):
        self.page = Path(place) / page
        self.assets = self.page.with_name(f"{self.page.stem}_files")
        self._list = self.assets / _LIST

    def _listed(self):
        """Return the checksums that each file may have, by its name from the page's directory."""
        try:
            content = read_json(self._list)
            if content["kind"] != _KIND:
                return None
            # Anybody may have written the list: it speaks of no file but those of a page.
            return {
                name: list(sums)
                for name, sums in content["files"].items()
                if self._is_of_page(name)
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def _is_of_page(self, name):
        """Return whether a name is that of the page or of a file beside it."""
        directory, _, base = name.rpartition("/")
        if not directory:
            return name == self.page.name
        return directory == self.assets.name and base not in ("", ".", "..")

    def _name(self, path):
        """Return how a file is listed."""
        return path.relative_to(self.page.parent).as_posix()

    def _is_own(self, path):
        """Return whether a file is, byte for byte, what was written."""
        listed = self._listed() or {}
        # A run's directory has records of its own.
        return checksum(path) in listed.get(self._name(path), ()) or ProductRecords(
            self.page.parent
        ).is_own(path)

    def _is_list(self, _):
        """Return whether the list of checksums is one."""
        return self._listed() is not None

    def require_own(self):
        """Refuse a place in which a page or its directory is somebody else's.

        Raises
        ------
        SetUpWrong
            If it is there and was not written by this suite, or was changed since.
        """
        if os.path.lexists(self.assets) and (self.assets.is_symlink() or not self.assets.is_dir()):
            require_own(self.assets)
        require_own(self._list, ours=self._is_list)
        there = self.assets.iterdir() if self.assets.is_dir() else ()
        shown = [path for path in there if path.suffix in _SHOWN]
        require_own(self.page, *self._earlier(), *shown, ours=self._is_own)

    def _earlier(self):
        """Return the files beside the page that an earlier one has left."""
        names = self._listed() or {}
        return [path for name in names if (path := self.page.parent / name) != self.page]

    def write(self, page, assets):
        """Write a page whole, in the place of an earlier one.

        Parameters
        ----------
        page : str
            HTML.
        assets : dict of bytes
            Content of each file beside it, by its name.

        Returns
        -------
        list of pathlib.Path
            The page.

        Raises
        ------
        SetUpWrong
            If a file is in the place of one of them that this suite did not write.
        """
        self.require_own()
        contents = {self.assets / name: content for name, content in assets.items()}
        contents[self.page] = page.encode()
        require_own(*contents, ours=self._is_own)
        earlier = self._earlier()
        before, now = self._listed() or {}, {}
        for path, content in contents.items():
            now[self._name(path)] = [_content_checksum(content)]
        # Killed in between, a file is either the former or the new one, and both are listed.
        self._write_list(
            {name: [*before.get(name, ()), *now.get(name, ())] for name in {*before, *now}}
        )
        for path, content in contents.items():
            with replace_whole(path, ours=self._is_own) as (aside,):
                aside.write_bytes(content)
        for path in earlier:
            if path not in contents:
                path.unlink(missing_ok=True)
        self._write_list(now)
        return [self.page]

    def _write_list(self, files):
        """Write the list of checksums."""
        content = {"kind": _KIND, "files": dict(sorted(files.items()))}
        with replace_whole(self._list, ours=self._is_list) as (aside,):
            aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def remove(self):
        """Remove an earlier page, with what is beside it."""
        self.require_own()
        for path in (self.page, *self._earlier(), self._list):
            path.unlink(missing_ok=True)
        if self.assets.is_dir() and not any(self.assets.iterdir()):
            self.assets.rmdir()


def page_file(name):
    """Return the name of the file of a notebook's page."""
    return f"{name}.html"
