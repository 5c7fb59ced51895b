"""One number of a trial."""

import math
from dataclasses import dataclass

__all__ = ["Score", "score_of_average"]


@dataclass(frozen=True)
class Score:
    """One number of a trial.

    Parameters
    ----------
    case : str
        "errors", "flags" or "place".
    data : str
        What was observed.
    variant : str
        Which background step.
    quantity : str
        What the number is of.
    value, error : float
        The number and its standard error.
    backgrounds : int
        How many were averaged.
    clipping : str, optional
        Sigma and iterations.
    group : str, optional
        Which pixels.
    predicted : float, optional
        What the suite predicts; not a number where it does not.
    """

    case: str
    data: str
    variant: str
    quantity: str
    value: float
    error: float
    backgrounds: int
    clipping: str = ""
    group: str = ""
    predicted: float = math.nan


def score_of_average(case, data, variant, count, quantity, measured, group="", predicted=math.nan):
    """Return the score of an average of backgrounds that was clipped at sigma 2.

    Parameters
    ----------
    case, data, variant : str
        As `Score` takes them.
    count : int
        How many backgrounds were averaged.
    quantity : str
        What the number is of.
    measured : Value
        Value and standard error.
    group : str, optional
        Which pixels.
    predicted : float, optional
        What the suite predicts.

    Returns
    -------
    Score
        One number.
    """
    return Score(
        case,
        data,
        variant,
        quantity,
        measured.value,
        measured.error,
        backgrounds=count,
        clipping="sigma 2",
        group=group,
        predicted=predicted,
    )
