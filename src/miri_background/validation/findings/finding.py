"""A finding: a property of the data that is not a fault of the step."""

from dataclasses import dataclass

__all__ = [
    "AGAINST_TRUTH",
    "LEVELS",
    "SPREAD",
    "STRUCTURE",
    "Finding",
]

# Statistical criteria by what moves them.
LEVELS = ("residual",)
STRUCTURE = ("gradient", "outputs", "columns", "rows")
SPREAD = ("aperture scatter", "noise", "flagged pixels", "flagged scatter")
AGAINST_TRUTH = ("background level", "star leak", "star flux", "galaxy flux")


@dataclass(frozen=True)
class Finding:
    """A property of the inputs, by its name.

    Parameters
    ----------
    name : str
        What it is about.
    value : float or None
        The number, None where there is none.
    unit : str
        Its unit.
    member : str
        Name of the file that it is of, empty if it is of all.
    sentence : str
        What was found, with the numbers.
    advice : str
        What to do about it.
    explains : tuple of str, optional
        Statistical criteria that it may break although the step is right.  Such a criterion
        does not decide where the rates alone, averaged and subtracted by the suite itself,
        break it in the same way.
    despite_truth : bool, optional
        Whether that holds where the truth is compared as well: a known truth says what the
        rates should have, so that most of what is found contradicts it.
    """

    name: str
    value: float | None
    unit: str
    member: str
    sentence: str
    advice: str
    explains: tuple = ()
    despite_truth: bool = False
