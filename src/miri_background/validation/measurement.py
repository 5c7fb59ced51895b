"""One measured number, before it is judged."""

from dataclasses import dataclass

__all__ = ["WHOLE_ARRAY", "Measurement"]

WHOLE_ARRAY = "whole array"


@dataclass(frozen=True)
class Measurement:
    """One number.

    Parameters
    ----------
    criterion : str
        Name of the criterion that judges it.
    region : str
        Region of the detector, or "whole array".
    exposure : int or None
        Number of the science exposure, from 1; None where all are taken together.
    value : float
        The number.
    error : float or None
        Predicted standard error, where the number is a statistic.
    trials : int, optional
        Of how many statistics with such an error this is the one that is furthest off.
    """

    criterion: str
    region: str
    exposure: int | None
    value: float
    error: float | None = None
    trials: int = 1
