"""The link to the last run."""

import os
import tempfile
from pathlib import Path

from miri_background.outcomes import SetUpWrong
from miri_background.places import writable

__all__ = ["point_latest_to", "require_latest"]


def require_latest(runs):
    """Refuse runs beside a ``latest`` that does not point to one of them.

    Parameters
    ----------
    runs : pathlib.Path
        Directory of runs.

    Raises
    ------
    SetUpWrong
        If somebody else has put it there.
    """
    latest = runs / "latest"
    if not os.path.lexists(latest):
        return
    below = latest.is_symlink() and not {"..", "/"} & set(latest.readlink().parts)
    if not below or (latest.exists() and not latest.is_dir()):
        msg = (
            f"{latest} is not the link to the last run that this suite puts there, and stays as "
            "it is: move it away, or run in another directory."
        )
        raise SetUpWrong(msg)


def point_latest_to(run, within):
    """Let the link ``latest`` of a directory point to a run below it."""
    require_latest(within)
    with writable(within), tempfile.TemporaryDirectory(prefix=".writing-", dir=within) as aside:
        link = Path(aside) / "latest"
        link.symlink_to(os.path.relpath(run, within.resolve()))
        link.replace(within / "latest")
