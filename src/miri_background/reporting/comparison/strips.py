"""One metric of two results on a strip: both values with their errors, and the limit."""

import math
from dataclasses import dataclass

from markupsafe import Markup

from miri_background.rendering import render

__all__ = ["strip"]

_WIDTH, _MIDDLE = 200, 100  # of a strip, and where zero is
_REACH = 1.6  # limits to either side that a strip shows; what is further off stands at its end


@dataclass(frozen=True)
class _Mark:
    """Where a value stands on a strip, and how far its standard error reaches."""

    place: float
    low: float
    high: float
    beyond: bool

    @classmethod
    def of(cls, metric, limit):
        """Return where a metric stands."""
        if metric is None or not math.isfinite(metric.value):
            return None
        error = metric.standard_error or 0.0
        ends = (metric.value, metric.value - error, metric.value + error)
        return cls(*(_place(end / limit) for end in ends), abs(metric.value) > _REACH * limit)


def _place(share):
    """Return where a value over its limit stands."""
    return round(_MIDDLE + _MIDDLE * max(-_REACH, min(_REACH, share)) / _REACH, 1)


def strip(old, new):
    """Return a drawing of a metric's two values within its limit, as HTML.

    Parameters
    ----------
    old, new : Metric or None
        Of the first and the second result; None where it has none.

    Returns
    -------
    Markup or str
        Empty where nothing can be drawn: no pixel may differ, or nothing is a number.
    """
    limit = (old if new is None else new).limit
    if not (math.isfinite(limit) and limit > 0):
        return ""
    marks = [_Mark.of(each, limit) for each in (old, new)]
    if not any(marks):
        return ""
    edges = _place(-1.0), _place(1.0)
    drawn = render("report/strip.svg.j2", marks=marks, edges=edges, width=_WIDTH, middle=_MIDDLE)
    return Markup(drawn)  # noqa: S704 - numbers only
