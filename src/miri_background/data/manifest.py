"""Reads and writes data_manifest.yaml, checked against its schema."""

import json
from dataclasses import dataclass, replace
from importlib.resources import files

import yaml

from miri_background.files import write_text_whole
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.reading import open_regular, read_text
from miri_background.repository import repository_file
from miri_background.schemas import require

__all__ = [
    "DataFile",
    "DataSet",
    "data_set",
    "data_sets",
    "is_manifest",
    "manifest_text",
    "read_manifest",
    "record",
]

_NAME = "data_manifest.yaml"
_HEADER = """\
# The data that the suite knows. Written by `miri-background manifest` and `data fetch --record`.
#
# main_job: the observation that `make validate` simulates by default, and the SHA-256 of the SCI
# array (big-endian 16-bit numbers) of each level-1b file that it gives.
# data_sets: files that others have made. Size and SHA-256 (of the whole file) are recorded at the
# first download that was verified; what has none was not downloaded by anybody who recorded it.
"""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Parameters
    ----------
    data_set : str
        Name of the data set.
    name : str
        File name.
    role : str
        "science", "background" or "read noise".
    level : str
        "uncal" for ramps, "rate" for slopes, "reference" for a reference file.
    url : str or None
        Where it can be downloaded, if anywhere.
    path : str or None
        Its place below a local root, if it has one there by convention.
    size : int or None
        Bytes, if recorded.
    sha256 : str or None
        Checksum of the file, if recorded.
    """

    data_set: str
    name: str
    role: str
    level: str
    url: str | None = None
    path: str | None = None
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class DataSet:
    """Files that belong together.

    Parameters
    ----------
    name : str
        Such as "archived".
    description, source : str
        What they are, and whose.
    filter : str
        Imaging filter of the exposures.
    files : tuple of DataFile
        In the order of the manifest.
    """

    name: str
    description: str
    source: str
    filter: str
    files: tuple

    def select(self, names=(), level=None):
        """Return those files that are asked for, by default of the level that is smallest.

        Parameters
        ----------
        names : collection of str, optional
            Of files.
        level : str, optional
            "uncal" or "rate"; reference files belong to both.

        Returns
        -------
        list of DataFile
            In the order of the manifest.

        Raises
        ------
        SetUpWrong
            If the data set has no such file.
        """
        if names:
            known = {each.name for each in self.files}
            for name in names:
                if name not in known:
                    msg = (
                        f"{name} is not a file of the data set {self.name} in {_NAME}: "
                        "see `miri-background data list`."
                    )
                    raise SetUpWrong(msg)
            return [each for each in self.files if each.name in names]
        levels = {each.level for each in self.files}
        level = level or ("rate" if "rate" in levels else "uncal")
        if level not in levels:
            msg = (
                f"The data set {self.name} has no files of level {level}: "
                f"it has {' and '.join(sorted(levels))}."
            )
            raise SetUpWrong(msg)
        return [each for each in self.files if each.level in (level, "reference")]


def _schema():
    """Return the JSON schema of the manifest."""
    text = (files(__package__) / "data_manifest.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def read_manifest(path=None):
    """Return what the manifest holds.

    Parameters
    ----------
    path : path-like, optional
        The manifest; by default that of the checkout or the installed package.

    Returns
    -------
    dict
        As its schema describes it.

    Raises
    ------
    CannotJudge
        If it is damaged.
    """
    path = path or repository_file(_NAME)
    try:
        content = yaml.safe_load(read_text(path))
        require(content, _schema)
        for name, properties in content["data_sets"].items():
            _refuse_twice(name, [each["name"] for each in properties["files"]])
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()).rstrip(".:") or "brackets in brackets without end"
        msg = f"{path} is not a whole manifest ({reason}): restore it with git."
        raise CannotJudge(msg) from error
    return content


def _refuse_twice(data_set, names):
    """Refuse a name that two files of a data set have."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"{data_set} has {twice[0]} twice"
        raise ValueError(msg)


def data_sets(path=None):
    """Return the data sets of a manifest by name, as `DataSet`."""
    return {
        name: DataSet(
            name,
            properties["description"],
            properties["source"],
            properties["filter"],
            tuple(DataFile(name, **each) for each in properties["files"]),
        )
        for name, properties in read_manifest(path)["data_sets"].items()
    }


def data_set(name, path=None):
    """Return one data set of a manifest.

    Parameters
    ----------
    name : str
        Of the data set.
    path : path-like, optional
        The manifest; by default that of the checkout or the installed package.

    Returns
    -------
    DataSet
        Its files.

    Raises
    ------
    SetUpWrong
        If there is none of this name.
    """
    known = data_sets(path)
    if name not in known:
        msg = f"{name} is not a data set of {_NAME}, which has {', '.join(known)}."
        raise SetUpWrong(msg)
    return known[name]


def manifest_text(content):
    """Return the text of a manifest.

    Parameters
    ----------
    content : dict
        As the schema describes it.

    Returns
    -------
    str
        With the comment that it begins with.
    """
    require(content, _schema)
    return _HEADER + yaml.safe_dump(content, sort_keys=False, width=100)


def is_manifest(path):
    """Return whether a file is a manifest that was written, by the words it begins with."""
    beginning = _HEADER.encode()
    with open_regular(path) as stream:
        return stream.read(len(beginning)) == beginning


def record(file, size, sha256, path=None):
    """Write size and checksum of a file into the manifest, where it has none.

    Parameters
    ----------
    file : DataFile
        Which file.
    size : int
        Bytes.
    sha256 : str
        Hexadecimal.
    path : path-like, optional
        The manifest; by default that of the checkout.

    Returns
    -------
    DataFile
        With what the manifest now has.

    Raises
    ------
    CannotJudge
        If the manifest has another checksum: it is not changed.
    """
    path = path or repository_file(_NAME)
    content = read_manifest(path)
    (entry,) = [
        each for each in content["data_sets"][file.data_set]["files"] if each["name"] == file.name
    ]
    if entry.get("sha256", sha256) != sha256:
        msg = (
            f"{file.name} has the SHA-256 {sha256}, and {path} has {entry['sha256']}: find out "
            "which one is right, and remove the wrong one by hand."
        )
        raise CannotJudge(msg)
    if "sha256" not in entry:
        entry |= {"size": size, "sha256": sha256}
        write_text_whole(path, manifest_text(content), ours=is_manifest)
    return replace(file, size=size, sha256=sha256)
