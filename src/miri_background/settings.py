"""How a run is carried out, beside what it observes: checked before anything runs."""

import os
from pathlib import Path

import platformdirs

from miri_background.outcomes import SetUpWrong

__all__ = ["CONTROLS", "check_settings", "suite_cache"]

# What can be broken on purpose, to see the validation fail.
CONTROLS = ("none", "step skipped", "background missing")


def check_settings(control="none", workers=0):
    """Refuse settings that a run cannot be carried out with.

    Parameters
    ----------
    control : str, optional
        What is broken on purpose, one of `CONTROLS`.
    workers : int, optional
        Number of processes, 0 for one per core.

    Raises
    ------
    CannotJudge
        Naming the setting, its value and what it may be.
    """
    if control not in CONTROLS:
        msg = f"control = {control!r} is not one of {', '.join(map(repr, CONTROLS))}."
        raise SetUpWrong(msg)
    if not isinstance(workers, int) or workers < 0:
        msg = f"workers = {workers!r} is not a whole number from 0 (number of processes)."
        raise SetUpWrong(msg)


def suite_cache():
    """Return the directory that the suite keeps between runs what takes long to make."""
    chosen = os.environ.get("MIRI_BACKGROUND_CACHE")
    if chosen:
        return Path(chosen)
    return platformdirs.user_cache_path("miri-background-validation")
