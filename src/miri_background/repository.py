"""Where the suite's notebook and data manifest are: the checkout that the package runs from."""

from pathlib import Path

from miri_background.outcomes import CannotJudge

__all__ = ["repository_file"]


def repository_file(*parts):
    """Return the path of a file of the checkout.

    Parameters
    ----------
    *parts : str
        Path below the checkout.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CannotJudge
        If the package is not installed from a checkout (``make env`` does that).
    """
    path = Path(__file__).resolve().parents[2].joinpath(*parts)
    if not path.exists():
        msg = (
            f"{path} is not there: run the suite from a checkout of its repository, "
            "with the environment that `make env` makes."
        )
        raise CannotJudge(msg)
    return path
