"""All faults by name."""

from miri_background.detection.faults import averaging, damage, errors, inputs, later, subtraction
from miri_background.outcomes import SetUpWrong

__all__ = ["FAULTS", "fault"]

_ORDER = (
    "averaging",
    "subtraction",
    "errors",
    "flags",
    "not a number",
    "precision",
    "local damage",
    "metadata",
    "calibration",
    "inputs",
)
_MODULES = (averaging, subtraction, errors, damage, later, inputs)
_ALL = tuple(each for module in _MODULES for each in module.FAULTS)
FAULTS = {each.name: each for each in sorted(_ALL, key=lambda each: _ORDER.index(each.family))}


def fault(name):
    """Return a fault by its name.

    Parameters
    ----------
    name : str
        One of `FAULTS`.

    Returns
    -------
    Fault
        The fault.

    Raises
    ------
    CannotJudge
        If there is none of this name; the sentence lists them.
    """
    if name not in FAULTS:
        msg = f"There is no fault {name!r}: choose of {', '.join(FAULTS)}."
        raise SetUpWrong(msg)
    return FAULTS[name]
