"""How a number with its standard error is written."""

import math

__all__ = ["number_text", "score_text"]

_NOTHING = "–"
_MOST_DECIMALS = 4


def number_text(value, error):
    """Return a number with so many decimals that its error has one or two digits.

    Parameters
    ----------
    value, error : float
        In one unit.

    Returns
    -------
    str
        Such as ``1.183 ± 0.003``; a dash where there is no number.
    """
    if not math.isfinite(value):
        return _NOTHING
    if not math.isfinite(error) or error <= 0:
        return f"{value:.3g}"
    decimals = min(max(-math.floor(math.log10(error) - math.log10(2)), 0), _MOST_DECIMALS)
    # The sign of a zero says nothing.
    rounded = round(value, decimals) + 0.0
    return f"{rounded:.{decimals}f} ± {error:.{decimals}f}"


def score_text(score):
    """Return the number of a score, a dash where there is none."""
    return _NOTHING if score is None else number_text(score.value, score.error)
