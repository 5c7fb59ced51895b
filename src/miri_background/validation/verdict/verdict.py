"""From measurements to a verdict: limits, metrics file, table, and the exception."""

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files

import jsonschema
import yaml
from scipy.stats import norm

from miri_background.files import json_value, write_text_whole
from miri_background.outcomes import CannotJudge, CriterionFailed, Outcome
from miri_background.reading import read_json
from miri_background.tables import html_table, text_table
from miri_background.validation.measurements.measurement import limit_in_words, place_in_words
from miri_background.validation.verdict.drift import Drift

__all__ = [
    "Advisory",
    "Behaviour",
    "Metric",
    "NotJudged",
    "Verdict",
    "judge",
    "load_metrics",
    "metrics_schema",
    "severity",
    "upgraded",
    "verdict_of",
]

_VERSION = 3  # of metrics.json
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
        Word of an `Outcome`.
    figure : str
        Name of the figure that shows it.
    reason : str
        Why the limit is what it is.
    trials : int, optional
        Of how many statistics with such an error this is the one that is furthest off.
    detail : str, optional
        Of a broken limit, what is wrong first, and where; empty if there is nothing to say.
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

    @property
    def passed(self):
        """Whether the limit is kept."""
        return self.status == Outcome.PASSED.word

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
    return float(norm.isf(probability / (2 * max(number, 1))))


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


@dataclass(frozen=True)
class Behaviour:
    """What a build does where the documentation leaves a choice, by its name.

    Parameters
    ----------
    aspect : str
        What is chosen: "errors", "flags", "averaged pixels".
    name : str
        Name of the behaviour.
    known_in : str
        Releases of jwst that are known to behave so, "none: proposed" if there is none.
    worth : str
        What it is worth on these data, in one sentence with numbers.
    """

    aspect: str
    name: str
    known_in: str
    worth: str


@dataclass(frozen=True)
class Advisory:
    """What the step does as documented, and what a user of its products should know.

    Parameters
    ----------
    name : str
        What it is about.
    value : float
        The number.
    unit : str
        Its unit.
    sentence : str
        What it means, with the number.
    advice : str
        What to do about it.
    """

    name: str
    value: float
    unit: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class NotJudged:
    """A criterion that was not judged, or not everywhere, or a file that was left out.

    Parameters
    ----------
    name : str
        Name of the criterion or of the file.
    where : str
        Exposure, region or class that has no metric; empty if there is none at all.
    reason : str
        Why, as a part of a sentence.
    """

    name: str
    where: str
    reason: str


class Verdict:
    """The judgement of one run.

    Parameters
    ----------
    metrics : list of Metric
        All metrics of the run.
    provenance : dict
        What the result depends on.
    behaviours : sequence of Behaviour, optional
        What the step does where its documentation leaves a choice.
    advisories : sequence of Advisory, optional
        What the step does as documented and may surprise; they do not decide the outcome.
    drift : Drift, optional
        What changed since the baseline; None without a comparison.
    not_judged : iterable of NotJudged, optional
        What the metrics do not speak of.
    """

    def __init__(
        self, metrics, provenance, behaviours=(), advisories=(), drift=None, not_judged=()
    ):
        self.metrics = metrics
        self.provenance = provenance
        self.behaviours = tuple(behaviours)
        self.advisories = tuple(advisories)
        self.drift = drift
        self.not_judged = tuple(not_judged)

    @property
    def outcome(self):
        """Outcome of the run."""
        if not self.metrics or self.failures():
            return Outcome.FAILED
        return Outcome.DRIFTED if self.drift and self.drift.drifted else Outcome.PASSED

    def failures(self):
        """Return the metrics that break their limit."""
        return [metric for metric in self.metrics if not metric.passed]

    def sentence(self):
        """Return the verdict in one sentence, the same for every run that passed or drifted."""
        if self.outcome is not Outcome.FAILED:
            return "PASSED: every metric is within its limit."
        return (
            f"FAILED: {len(self.failures())} of {len(self.metrics)} metrics are over their limit."
        )

    def raise_if_failed(self):
        """Raise if a limit is broken.

        Raises
        ------
        CriterionFailed
            Naming the worst metric of each broken criterion with number, unit and limit.
        """
        if not self.metrics:
            msg = "nothing was measured"
            raise CriterionFailed(msg)
        if self.failures():
            raise CriterionFailed(self.broken_limits())

    def broken_limits(self):
        """Return in words the worst metric of each broken criterion; empty if there is none."""
        return "; ".join(
            f"{worst.sentence()} ({number - kept} of {number} over it)"
            for worst, kept, number in self.summary()
            if kept < number
        )

    def summary(self):
        """Return, for each criterion, the metric that is closest to or furthest over its limit.

        Returns
        -------
        list of (Metric, int, int)
            Worst metric, number of metrics within the limit, number of metrics.
        """
        rows = []
        for name in dict.fromkeys(metric.name for metric in self.metrics):
            group = [metric for metric in self.metrics if metric.name == name]
            worst = max(group, key=severity)
            rows.append((worst, sum(metric.passed for metric in group), len(group)))
        return rows

    def text_table(self):
        """Return the summary as lines of text for a terminal."""
        rows = [("criterion", "within", "worst value", "limit", "status")]
        for metric, kept, number in self.summary():
            status = Outcome.PASSED if kept == number else Outcome.FAILED
            rows.append(
                (
                    metric.name,
                    f"{kept}/{number}",
                    f"{metric.value_text()} {metric.unit}",
                    f"{metric.limit_text()} {metric.unit}",
                    status.marked(),
                )
            )
        lines = [f"not judged: {names} ({reason})" for names, reason in self._unjudged()]
        return "\n".join([text_table(rows, right=(1,)), *lines])

    def _unjudged(self):
        """Return what was not judged for a reason, as pairs of names and the reason."""
        by_reason = {}
        for each in self.not_judged:
            name = f"{each.name} of {each.where}" if each.where else each.name
            by_reason.setdefault(each.reason, []).append(name)
        return [(", ".join(names), reason) for reason, names in by_reason.items()]

    def _repr_html_(self):
        """Return the summary as a table for notebook and page."""
        rows = []
        for metric, kept, number in self.summary():
            status = Outcome.PASSED if kept == number else Outcome.FAILED
            cells = (
                metric.name,
                metric.description,
                f"{kept} of {number}",
                f"{metric.value_text()} ({metric.place()})"
                + (metric.detail and f": {metric.detail}"),
                metric.limit_text(),
                metric.unit,
                status.marked(),
            )
            rows.append(cells)
        heads = (
            "criterion",
            "what is counted or measured",
            "within",
            "worst",
            "limit",
            "unit",
            "status",
        )
        return html_table(heads, rows) + html_table(("not judged", "why"), self._unjudged())

    def __repr__(self):
        return self.text_table()

    def content(self):
        """Return what metrics.json holds, checked against its schema.

        Returns
        -------
        dict
            Outcome, provenance, metrics, what was not judged, behaviours and advisories.
        """
        content = {
            "schema_version": _VERSION,
            "outcome": self.outcome.word,
            "exit_code": self.outcome.exit_code,
            "provenance": self.provenance,
            "metrics": [
                {name: json_value(value) for name, value in asdict(metric).items()}
                for metric in self.metrics
            ],
            "not_judged": [asdict(each) for each in self.not_judged],
            "behaviours": [asdict(each) for each in self.behaviours],
            "advisories": [asdict(each) for each in self.advisories],
        }
        if self.drift is not None:
            content["drift"] = self.drift.content()
        jsonschema.validate(content, metrics_schema())
        return content

    def json_text(self):
        """Return metrics.json as text."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path):
        """Write metrics.json, checked against its schema."""
        write_text_whole(path, self.json_text())


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


@lru_cache(maxsize=1)
def metrics_schema():
    """Return the JSON schema of metrics.json."""
    return json.loads((files(__package__) / "metrics.schema.json").read_text(encoding="utf-8"))


def upgraded(content):
    """Return what a metrics file of the version before holds, in the layout of this version.

    Parameters
    ----------
    content : object
        What a metrics file holds.

    Returns
    -------
    object
        The same, if it is not of version 2, which did not say what it left out.
    """
    try:
        if content["schema_version"] != _VERSION - 1:
            return content
        metrics = [each | {"detail": ""} for each in content["metrics"]]
    except (LookupError, TypeError):
        return content
    return content | {"schema_version": _VERSION, "metrics": metrics, "not_judged": []}


def load_metrics(path):
    """Return the verdict of a metrics file.

    Parameters
    ----------
    path : pathlib.Path
        metrics.json of a run.

    Returns
    -------
    Verdict
        As it was written.

    Raises
    ------
    CannotJudge
        If the file is missing, damaged or of another version.
    """
    try:
        content = upgraded(read_json(path))
        jsonschema.validate(content, metrics_schema())
    except (OSError, ValueError, jsonschema.ValidationError) as error:
        reason = getattr(error, "message", error)
        msg = f"{path} is not a whole metrics file ({reason}): run the validation again."
        raise CannotJudge(msg) from error
    return verdict_of(content)


def verdict_of(content):
    """Return the verdict that a metrics file holds.

    Parameters
    ----------
    content : dict
        As the schema of metrics.json describes it.

    Returns
    -------
    Verdict
        As it was written.
    """
    metrics = [
        Metric(**(each | {name: math.nan for name in ("value", "limit") if each[name] is None}))
        for each in content["metrics"]
    ]
    return Verdict(
        metrics,
        content["provenance"],
        [Behaviour(**each) for each in content["behaviours"]],
        [Advisory(**each) for each in content["advisories"]],
        Drift.of(content["drift"]) if "drift" in content else None,
        [NotJudged(**each) for each in content["not_judged"]],
    )
