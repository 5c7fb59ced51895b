"""From measurements to a verdict: limits, metrics file, table, and the exception."""

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files

import jsonschema
import yaml
from scipy.stats import norm

from miri_background.files import write_text_whole
from miri_background.outcomes import CannotJudge, CriterionFailed, Outcome

__all__ = ["Metric", "Verdict", "judge", "load_metrics"]

_KINDS = ("exact", "statistical", "requirement")
_NUMBERS = ("value", "standard_error", "limit")
_SYMBOLS = {Outcome.PASSED.word: "✓", Outcome.FAILED.word: "✗"}


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
        return "0" if self.limit == 0 else f"±{self.limit:.2g}"

    def place(self):
        """Return region and exposure in words."""
        return self.region if self.exposure is None else f"{self.region}, exposure {self.exposure}"

    def sentence(self):
        """Return the metric in words, with number, unit and limit."""
        return (
            f"{self.name} ({self.place()}): {self.value_text()} {self.unit}, "
            f"limit {self.limit_text()} {self.unit}"
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
    kinds = {name: criterion["kind"] for name, criterion in content["criteria"].items()}
    number = sum(kinds[each.criterion] == "statistical" for each in measurements)
    k = critical_value(number, content["false_alarm_probability"])
    metrics = []
    for each in measurements:
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
            )
        )
    return metrics


class Verdict:
    """The judgement of one run.

    Parameters
    ----------
    metrics : list of Metric
        All metrics of the run.
    provenance : dict
        What the result depends on.
    """

    def __init__(self, metrics, provenance):
        self.metrics = metrics
        self.provenance = provenance

    @property
    def outcome(self):
        """Outcome of the run."""
        passed = bool(self.metrics) and all(metric.passed for metric in self.metrics)
        return Outcome.PASSED if passed else Outcome.FAILED

    def failures(self):
        """Return the metrics that break their limit."""
        return [metric for metric in self.metrics if not metric.passed]

    def sentence(self):
        """Return the verdict in one sentence, the same for every run that passed."""
        if self.outcome is Outcome.PASSED:
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
        broken = [
            f"{worst.sentence()} ({number - kept} of {number} over it)"
            for worst, kept, number in self.summary()
            if kept < number
        ]
        if broken:
            raise CriterionFailed("; ".join(broken))

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
            worst = max(group, key=_severity)
            rows.append((worst, sum(metric.passed for metric in group), len(group)))
        return rows

    def text_table(self):
        """Return the summary as lines of text for a terminal."""
        rows = [("criterion", "within", "worst value", "limit", "status")]
        for metric, kept, number in self.summary():
            status = (Outcome.PASSED if kept == number else Outcome.FAILED).word
            rows.append(
                (
                    metric.name,
                    f"{kept}/{number}",
                    f"{metric.value_text()} {metric.unit}",
                    f"{metric.limit_text()} {metric.unit}",
                    f"{_SYMBOLS[status]} {status}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if number == 1 else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def _repr_html_(self):
        """Return the summary as a table for notebook and page."""
        rows = []
        for metric, kept, number in self.summary():
            status = (Outcome.PASSED if kept == number else Outcome.FAILED).word
            cells = (
                metric.name,
                metric.description,
                f"{kept} of {number}",
                f"{metric.value_text()} ({metric.place()})",
                metric.limit_text(),
                metric.unit,
                f"{_SYMBOLS[status]} {status}",
            )
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        heads = (
            "criterion",
            "what is counted or measured",
            "within",
            "worst",
            "limit",
            "unit",
            "status",
        )
        head = "".join(f"<th>{name}</th>" for name in heads)
        return (
            "<table><thead><tr>"
            + head
            + "</tr></thead><tbody>"
            + "".join(rows)
            + "</tbody></table>"
        )

    def __repr__(self):
        return self.text_table()

    def write(self, path):
        """Write metrics.json, checked against its schema."""
        content = {
            "schema_version": 1,
            "outcome": self.outcome.word,
            "exit_code": self.outcome.exit_code,
            "provenance": self.provenance,
            "metrics": [
                asdict(metric) | {name: _json(getattr(metric, name)) for name in _NUMBERS}
                for metric in self.metrics
            ],
        }
        jsonschema.validate(content, metrics_schema())
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_text_whole(path, text + "\n")


def _json(value):
    """Return a number as JSON has it: what is not finite becomes null."""
    return value if value is not None and math.isfinite(value) else None


def _severity(metric):
    """Return how far a metric is towards or over its limit; what is not a number is furthest."""
    if not math.isfinite(metric.value):
        return math.inf
    return abs(metric.value) / metric.limit if metric.limit else abs(metric.value)


@lru_cache(maxsize=1)
def metrics_schema():
    """Return the JSON schema of metrics.json."""
    return json.loads((files(__package__) / "metrics.schema.json").read_text(encoding="utf-8"))


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
        content = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(content, metrics_schema())
    except (OSError, ValueError, jsonschema.ValidationError) as error:
        reason = getattr(error, "message", error)
        msg = f"{path} is not a whole metrics file ({reason}): run the validation again."
        raise CannotJudge(msg) from error
    metrics = [
        Metric(**(each | {name: math.nan for name in ("value", "limit") if each[name] is None}))
        for each in content["metrics"]
    ]
    return Verdict(metrics, content["provenance"])
