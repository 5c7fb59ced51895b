"""Metrics that creep one way for many nights, each night within its limit."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SlowTrend", "slow_trends"]

_NIGHTS = 14  # that a trend is looked for in, the last ones
_FEWEST = 6  # of which it takes at least
# How often nights of nothing but noise would show any trend at all.
_CHANCE = 1e-3


@dataclass(frozen=True)
class SlowTrend:
    """A metric that creeps.

    Parameters
    ----------
    name : str
        Of the observation.
    metric : Metric
        As it was last.
    nights : int
        How many runs show it.
    slope : float
        Standard errors a night.
    """

    name: str
    metric: object
    nights: int
    slope: float

    def sentence(self):
        """Return what creeps, how fast and for how long."""
        way = "rises" if self.slope > 0 else "falls"
        return (
            f"{self.name}: {self.metric.name} ({self.metric.place()}) {way} by "
            f"{abs(self.slope):.2g} standard errors a night, over {self.nights} nights."
        )


def slow_trends(standing):
    """Return the metrics that creep, of the observations of the last night.

    A line is fitted to the last values in units of their standard errors.  Where these are
    noise, its slope has a known error.

    Parameters
    ----------
    standing : Standing
        What the history says.

    Returns
    -------
    list of SlowTrend
        The steepest first.
    """
    series = [
        (name, metric, values)
        for name in standing.last
        for metric, values in _series(standing.of(name))
    ]
    if not series:
        return []
    # Imported here: most histories are too short for it.
    from scipy.stats import norm

    limit = norm.isf(_CHANCE / len(series) / 2)
    found = []
    for name, metric, values in series:
        nights = np.arange(len(values)) - (len(values) - 1) / 2
        slope = float(nights @ values / (nights @ nights))
        if abs(slope) * np.sqrt(nights @ nights) > limit:
            found.append(SlowTrend(name, metric, len(values), slope))
    return sorted(found, key=lambda each: -abs(each.slope))


def _series(runs):
    """Yield each metric that scatters, with its last values in units of their standard errors."""
    good = [run for run in runs if run.verdict and run.good][-_NIGHTS:]
    # What the last run does not show as good, its own page says.
    if len(good) < _FEWEST or not runs[-1].good:
        return
    for last in good[-1].verdict.metrics:
        # Which of many is furthest off is chance.
        if last.trials > 1 or not last.standard_error:
            continue
        metrics = [run.metric(last.key) for run in good]
        if all(each and each.standard_error for each in metrics):
            values = np.array([each.value / each.standard_error for each in metrics])
            if np.isfinite(values).all():
                yield last, values
