"""Files of a directory, found by their names, and never outside what was named."""

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePath

from miri_background.outcomes import CannotJudge
from miri_background.validation.products.crashes import missing_product

__all__ = ["LEVELS", "Files", "plain_name", "real", "stem_of"]

LEVELS = 2  # directories below the named one, and behind a link, that are looked into for more
_DEEPEST = 20  # directories below the named one: a run of this suite has four
_MOST = 200_000  # files: many times what a programme has
_GZIP = ".gz"  # the pipeline reads and writes whole files that are compressed so


def plain_name(name):
    """Return a file's name without what says that it is compressed."""
    return name.removesuffix(_GZIP)


def stem_of(path):
    """Return the name of a product's file without its endings."""
    return PurePath(plain_name(PurePath(path).name)).stem


def real(path):
    """Return where a path leads, links followed, whatever an association gives for one."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(path)


def _exists(path):
    """Return whether there is something at a path, whatever an association gives for one."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with characters that no file system has
        return False


def _there(path):
    """Return the path of a file, compressed or not as it is there, None if it is not."""
    if not path.name:
        return path if _exists(path) else None
    choices = (path.name, path.name + _GZIP, plain_name(path.name))
    found = (each for name in choices if _exists(each := path.with_name(name)))
    return next(found, None)


class Files:
    """The files of a directory, found by their names.

    Compressed files (``.fits.gz``) are found by the names of those that are not, and the other
    way round.

    Parameters
    ----------
    directory : pathlib.Path
        Where they are, or below; what is in hidden directories is being written.
    association : pathlib.Path, optional
        The association that was named: what is beside it is named with it.
    allow_outside : bool, optional
        Whether members of associations may be anywhere.
    """

    def __init__(self, directory, association=None, allow_outside=False):
        self.directory, self.association = directory, association
        self._named = [directory, *([association.parent] if association else [])]
        self._allow_outside = allow_outside
        self._members = {}

    @cached_property
    def _places(self):
        """Directories by the plain names of their files, those behind links last and once."""
        places, seen, number = defaultdict(list), set(), 0
        waiting, links = [(self.directory, _DEEPEST)], []
        while waiting or links:
            directory, levels = (waiting or links).pop(0)
            if real(directory) in seen:
                continue
            seen.add(real(directory))
            for entry, holds_files in self._entries(directory):
                number += 1
                if number > _MOST:
                    msg = (
                        f"{self.directory} holds more than {_MOST:,} files: name the directory "
                        "that has the products."
                    )
                    raise CannotJudge(msg)
                if not holds_files:
                    beside = places[plain_name(entry.name)]
                    if directory not in beside:
                        beside.append(directory)
                elif levels > 0 and not entry.name.startswith("."):
                    if entry.is_symlink():
                        # A link may lead anywhere, to the whole file system, too.
                        links.append((entry, min(levels - 1, LEVELS)))
                    else:
                        waiting.append((entry, levels - 1))
        return places

    @staticmethod
    def _entries(directory):
        """Return what is in a directory, sorted, and whether it is one; nothing if closed."""
        try:
            return [(path, path.is_dir()) for path in sorted(directory.iterdir())]
        except OSError:
            return []

    def named(self, suits):
        """Return the paths of all files whose plain name suits, sorted by their names.

        Parameters
        ----------
        suits : callable
            Returns whether a name is looked for.

        Returns
        -------
        list of pathlib.Path
            Compressed or not, as they are there.
        """
        return [
            found
            for name in sorted(filter(suits, self._places))
            for place in self._places[name]
            if (found := _there(place / name))
        ]

    def find(self, beside, name):
        """Return the file of a name beside another or below the directory, None without one."""
        return _there(beside.with_name(name)) or self._below(PurePath(name))

    def _below(self, path):
        """Return the file below the directory whose path ends most like another."""
        if not path.name:
            return None
        # Links to one file are no ambiguity.
        found = {
            real(there): there
            for place in self._places.get(plain_name(path.name), ())
            if (there := _there(place / path.name))
        }
        if len(found) > 1:
            common = {
                each: _common_end(found[each].parent.parts, path.parent.parts) for each in found
            }
            most = max(common.values())
            found = {each: found[each] for each in found if common[each] == most}
        if len(found) > 1:
            first, second, *_ = sorted(found.values())
            msg = f"{first} and {second} have the same name: move one away."
            raise CannotJudge(msg)
        return next(iter(found.values()), None)

    def member(self, association, expname):
        """Return the file of a member of an association.

        Parameters
        ----------
        association : pathlib.Path
            The association.
        expname : str
            What it calls the member: a name, or a path that is absolute, from the association,
            or from the directory that the pipeline was called in.

        Returns
        -------
        pathlib.Path
            What is in the directory comes before what an absolute path says, which is where the
            files of a copied directory have been.

        Raises
        ------
        CannotJudge
            If it is nowhere, or outside of what was named and may not be read there.
        """
        key = association.parent, expname
        if key not in self._members:
            self._members[key] = self._member(association, expname)
        return self._members[key]

    def _member(self, association, expname):
        """Look for the file of a member of an association."""
        named = PurePath(expname)
        possible = [Path(named)] if named.is_absolute() else [association.parent / named]
        if not named.is_absolute() and (path := _there(possible[0])) and self._is_inside(path):
            return path
        path = self._below(named)
        if path is not None:
            return path
        if not named.is_absolute():
            possible.append(Path.cwd() / named)
        path = next(filter(None, map(_there, possible)), None)
        if path is None:
            raise missing_product(
                f"{named.name or repr(expname)}, a member of {association}, is neither beside it "
                f"nor below {self.directory}",
                "put it there",
                self,
            )
        if not self._allow_outside and not self._is_inside(path):
            msg = (
                f"{path}, a member of {association}, is outside of {self.directory}: read it "
                "there with --allow-outside, or put it into the directory."
            )
            raise CannotJudge(msg)
        return path

    def _is_inside(self, path):
        """Return whether a file is below what was named; links there are its owner's."""
        lexical = _without_steps_up(path.absolute())
        return any(
            real(path).is_relative_to(real(named))
            or (lexical and lexical.is_relative_to(_without_steps_up(named.absolute()) or named))
            for named in self._named
        )


def _without_steps_up(path):
    """Return a path without "..", as it is written; None if a step up leads out of a link."""
    plain = Path(path.anchor)
    for part in path.parts[1:]:
        if part != "..":
            plain /= part
        elif plain.is_symlink():
            return None
        else:
            plain = plain.parent
    return plain


def _common_end(parts, others):
    """Return how many parts of two paths are the same, from their ends."""
    number = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if one != other:
            break
        number += 1
    return number
