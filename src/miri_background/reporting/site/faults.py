"""Which faults each criterion catches, from the committed kill matrix."""

from dataclasses import dataclass

from miri_background.outcomes import CannotJudge
from miri_background.reading import read_json
from miri_background.repository import repository_file

__all__ = ["CaughtFault", "caught_faults"]


@dataclass(frozen=True)
class CaughtFault:
    """A fault that a criterion notices.

    Parameters
    ----------
    name, family, description : str
        The fault.
    first : bool
        Whether no cheaper criterion notices it.
    """

    name: str
    family: str
    description: str
    first: bool


def caught_faults(path=None):
    """Return by criterion the faults that it was seen to notice.

    Parameters
    ----------
    path : pathlib.Path, optional
        What ``miri-background faults`` wrote; by default ``docs/kill_matrix.json``.

    Returns
    -------
    dict of list of CaughtFault
        Those that no cheaper criterion notices come first.

    Raises
    ------
    CannotJudge
        If the file is missing or damaged.
    """
    path = path or repository_file("docs", "kill_matrix.json")
    try:
        content = read_json(path)
        caught = {name: [] for name in content["criteria"]}
        for row in content["rows"]:
            noticed = [name for name in caught if name in row["ratios"]]
            for name in noticed:
                caught[name].append(
                    CaughtFault(row["fault"], row["family"], row["description"], name == noticed[0])
                )
    except (OSError, ValueError, LookupError, TypeError) as error:
        msg = (
            f"{path} cannot be read as a kill matrix ({error}): "
            "write it with `miri-background faults --output docs`."
        )
        raise CannotJudge(msg) from error
    return {name: sorted(found, key=lambda each: not each.first) for name, found in caught.items()}
