"""Limits: what is allowed of each measurement, and why."""

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

from miri_background.outcomes import Outcome
from miri_background.validation.measurements.measurement import limit_in_words, place_in_words

__all__ = [
    "OF_VALIDATION",
    "RELEASED",
    "Metric",
    "criteria_of_validation",
    "judge",
    "severity",
    "worst_of_each",
]

RELEASED = "released"  # status of a metric that is beyond its limit for what a finding names
# Files of criteria that a run of the validation may be judged by, each by itself.
OF_VALIDATION = ("criteria", "mosaic")
_KINDS = ("exact", "statistical", "requirement")


@dataclass(frozen=True)
class Metric:
    """A measurement with its limit and status.

    Parameters
    ----------
    name, description : str
        The criterion.
    region : str
        Region of the detector.
    exposure : int or None
        Science exposure, from 1.
    value : float
        The number.
    unit : str
        Its unit.
    standard_error : float or None
        Predicted standard error.
    operator : str
        How value and limit are compared: ``|value| <= limit``.
    limit : float
        The limit, in the unit.
    status : str
        Word of an `Outcome`, or "released": beyond its limit, and not deciding.
    figure : str
        Name of the figure that shows it.
    reason : str
        Why the limit is what it is.
    trials : int, optional
        Of how many statistics with such an error this is the one that is furthest off.
    detail : str, optional
        Of a broken limit, what is wrong first, and where; empty if there is nothing to say.
    finding : str, optional
        Name of the finding that keeps it from deciding; empty if it decides.
    """

    name: str
    description: str
    region: str
    exposure: int | None
    value: float
    unit: str
    standard_error: float | None
    operator: str
    limit: float
    status: str
    figure: str
    reason: str
    trials: int = 1
    detail: str = ""
    finding: str = ""

    @property
    def key(self):
        """What the metric is found by in another result: criterion, region, exposure."""
        return self.name, self.region, self.exposure

    @property
    def passed(self):
        """Whether the limit is kept, or does not decide."""
        return self.status != Outcome.FAILED.word

    @property
    def released(self):
        """Whether it is beyond its limit for what a finding names."""
        return self.status == RELEASED

    def standing(self):
        """Return symbol and word of the status, with the finding that releases it."""
        if self.released:
            return f"· {self.finding}"
        return Outcome.of(self.status).marked()

    def value_text(self):
        """Return the value with its standard error, without the unit."""
        if self.limit == 0:
            return f"{self.value:.0f}"
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2g}"
        return f"{self.value:.3g}{error}"

    def limit_text(self):
        """Return the limit, without the unit."""
        return limit_in_words(self.limit)

    def place(self):
        """Return region and exposure in words."""
        return place_in_words(self.region, self.exposure)

    def sentence(self):
        """Return the metric in words, with number, unit, limit and detail."""
        return (
            f"{self.name} ({self.place()}): {self.value_text()} {self.unit}, "
            f"limit {self.limit_text()} {self.unit}" + (self.detail and f": {self.detail}")
        )


@lru_cache
def criteria(name="criteria"):
    """Return the checked contents of a file of criteria.

    Parameters
    ----------
    name : str, optional
        "criteria" for the validation, "closure" for that of the simulation.

    Returns
    -------
    dict
        The probability of a false alarm, and each criterion by its name.

    Raises
    ------
    ValueError
        If a criterion has no unit, reason, figure or description, or an unknown kind.
    """
    content = yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    check_criteria(content)
    return content


def criteria_of_validation():
    """Return the criteria that a run of the validation may be judged by.

    Returns
    -------
    dict
        Each criterion by its name, those of the mosaic last.
    """
    return {
        name: each for file in OF_VALIDATION for name, each in criteria(file)["criteria"].items()
    }


def check_criteria(content):
    """Refuse criteria that say too little.

    Parameters
    ----------
    content : dict
        What criteria.yaml holds.
    """
    for name, criterion in content["criteria"].items():
        missing = {"description", "unit", "kind", "figure", "reason"} - set(criterion)
        if missing:
            msg = f"criteria.yaml: {name} has no {', '.join(sorted(missing))}"
            raise ValueError(msg)
        if criterion["kind"] not in _KINDS:
            msg = f"criteria.yaml: {name} is {criterion['kind']}, not one of {', '.join(_KINDS)}"
            raise ValueError(msg)
        if (criterion["kind"] == "requirement") != ("limit" in criterion):
            msg = f"criteria.yaml: {name}: a limit belongs to a requirement, and only there"
            raise ValueError(msg)


def critical_value(number, probability):
    """Return how many standard errors one of several statistics may be off.

    Parameters
    ----------
    number : int
        Statistics that are judged together.
    probability : float
        That at least one of them is further off by chance.

    Returns
    -------
    float
        Quantile of the normal distribution, both sides, Bonferroni's correction.
    """
    # Imported here: products that cannot be judged are refused before any limit is asked for.
    from scipy.special import ndtri

    return float(-ndtri(probability / (2 * max(number, 1))))


def _number_of_chances(measurements, content):
    """Return how many of the measurements may break their limit by chance.

    Statistics, and requirements that are finer than what is measured: those have the limits of
    statistics.
    """
    by_name, probability = content["criteria"], content["false_alarm_probability"]
    kinds = [by_name[each.criterion]["kind"] for each in measurements]
    k = critical_value(len(kinds) - kinds.count("exact"), probability)
    return kinds.count("statistical") + sum(
        kind == "requirement" and k * (each.error or 0.0) > by_name[each.criterion]["limit"]
        for kind, each in zip(kinds, measurements, strict=True)
    )


def judge(measurements, name="criteria"):
    """Return the metrics of measurements, each with limit and status.

    Parameters
    ----------
    measurements : list of Measurement
        What was measured.
    name : str, optional
        Which file of criteria has the limits.

    Returns
    -------
    list of Metric
        In the same order.
    """
    content = criteria(name)
    number = _number_of_chances(measurements, content)
    metrics = []
    for each in measurements:
        k = critical_value(number * each.trials, content["false_alarm_probability"])
        criterion = content["criteria"][each.criterion]
        limit = {
            "exact": 0.0,
            "statistical": k * each.error if each.error is not None else None,
            # No requirement can be finer than what is measured.
            "requirement": max(criterion.get("limit", 0.0), k * (each.error or 0.0)),
        }[criterion["kind"]]
        # Written so that a value that is not a number fails.
        outcome = Outcome.PASSED if abs(each.value) <= limit else Outcome.FAILED
        reason = criterion["reason"]
        if criterion["kind"] == "statistical":
            reason = f"{k:.2f} standard errors; {reason}"
        metrics.append(
            Metric(
                each.criterion,
                criterion["description"],
                each.region,
                each.exposure,
                float(each.value),
                criterion["unit"],
                None if each.error is None else float(each.error),
                "|value| <= limit",
                float(limit),
                outcome.word,
                criterion["figure"],
                reason,
                each.trials,
                each.detail,
            )
        )
    return metrics


def severity(metric):
    """Return how far a metric is towards or over its limit; what is not a number is furthest.

    Parameters
    ----------
    metric : Metric
        The metric.

    Returns
    -------
    float
        Value over limit; where the limit is 0, the value.
    """
    if not math.isfinite(metric.value):
        return math.inf
    return abs(metric.value) / metric.limit if metric.limit else abs(metric.value)


def worst_of_each(metrics):
    """Return, for each criterion, the metric that is closest to or furthest over its limit.

    Parameters
    ----------
    metrics : list of Metric
        What was judged.

    Returns
    -------
    list of (Metric, int, int)
        Worst metric, number of metrics within the limit or released, number of metrics.
        What decides is worse than what does not.
    """
    rows = []
    for name in dict.fromkeys(metric.name for metric in metrics):
        group = [metric for metric in metrics if metric.name == name]
        worst = max(group, key=lambda each: (not each.passed, severity(each)))
        rows.append((worst, sum(metric.passed for metric in group), len(group)))
    return rows
