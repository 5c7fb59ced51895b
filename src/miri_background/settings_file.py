"""YAML files of settings: read, and what is wrong with them in one line."""

import yaml
from pydantic import ValidationError

from miri_background.reading import read_text

__all__ = ["read_yaml", "reason"]

_ROOM = 100  # characters of a wrong value that are shown


class _UniqueKeys(yaml.SafeLoader):
    """Reader that refuses a name that is given twice, where YAML forgets the first."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                msg = f"{key} is given twice"
                raise yaml.YAMLError(msg)
        return super().construct_mapping(node, deep)


def read_yaml(path):
    """Return what a YAML file holds.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    object
        As YAML's safe loader has it.

    Raises
    ------
    OSError, ValueError
        If it cannot be read as text.
    yaml.YAMLError
        If it is no YAML, or gives a name twice.
    """
    return yaml.load(read_text(path), _UniqueKeys)  # noqa: S506 - safe


def reason(error):
    """Return an error of reading and checking settings in one line, without a full stop.

    Parameters
    ----------
    error : Exception
        Of the file system, of YAML, or of pydantic.

    Returns
    -------
    str
        Of several errors of pydantic, the first.
    """
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = " ".join(str(each) for each in first["loc"] if each != "[key]")
        said = first["msg"][0].lower() + first["msg"][1:]
        return f"{where or 'it'} = {repr(first['input'])[:_ROOM]}: {said}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split()).rstrip(".")
