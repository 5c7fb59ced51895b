"""From measurements to a verdict: limits, metrics file, table, and the exception."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files

from miri_background.files import json_value, write_text_whole
from miri_background.outcomes import CriterionFailed, Outcome
from miri_background.schemas import require
from miri_background.tables import html_table, text_table
from miri_background.validation.verdict.limits import worst_of_each

__all__ = ["SCHEMA_VERSION", "NotJudged", "Verdict", "metrics_schema"]

_AREA = "usable area"  # the criterion that says how many pixels can be used
SCHEMA_VERSION = 4  # of metrics.json


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
    findings : iterable of Finding, optional
        Properties of the data that are not the step's.
    """

    def __init__(
        self,
        metrics,
        provenance,
        behaviours=(),
        advisories=(),
        drift=None,
        not_judged=(),
        findings=(),
    ):
        self.metrics = metrics
        self.provenance = provenance
        self.behaviours = tuple(behaviours)
        self.advisories = tuple(advisories)
        self.drift = drift
        self.not_judged = tuple(not_judged)
        self.findings = tuple(findings)

    @property
    def outcome(self):
        """Outcome of the run."""
        if not self.metrics or self.failures():
            return Outcome.FAILED
        return Outcome.DRIFTED if self.drift and self.drift.drifted else Outcome.PASSED

    def failures(self):
        """Return the metrics that break their limit."""
        return [metric for metric in self.metrics if not metric.passed]

    def released(self):
        """Return the metrics that are beyond their limit and do not decide."""
        return [metric for metric in self.metrics if metric.released]

    def sentence(self):
        """Return the verdict in one sentence, the same for every run that passed or drifted."""
        if self.outcome is Outcome.FAILED:
            failures = len(self.failures())
            return f"FAILED: {failures} of {len(self.metrics)} metrics are over their limit."
        released = self.released()
        if not released:
            return "PASSED: every metric is within its limit."
        names = ", ".join(dict.fromkeys(metric.finding for metric in released))
        return (
            "PASSED: every metric that decides is within its limit; "
            f"{len(released)} of {len(self.metrics)} do not decide, because of the data ({names})."
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

    def broken_criteria(self):
        """Return the worst metric of each broken criterion in words, a list."""
        return [
            f"{worst.sentence()} ({number - kept} of {number} over it)"
            for worst, kept, number in self.summary()
            if kept < number
        ]

    def broken_limits(self):
        """Return in words the worst metric of each broken criterion; empty if there is none."""
        return "; ".join(self.broken_criteria())

    def summary(self):
        """Return the worst metric of each criterion, as `worst_of_each` does."""
        return worst_of_each(self.metrics)

    def text_table(self):
        """Return the summary as lines of text for a terminal."""
        rows = []
        for metric, _, number in self.summary():
            rows.append(
                (
                    metric.name,
                    f"{self._within(metric.name)}/{number}",
                    f"{metric.value_text()} {metric.unit}",
                    f"{metric.limit_text()} {metric.unit}",
                    metric.standing(),
                )
            )
        lines = [self.scope()] if self.scope() else []
        lines += [f"not judged: {names} ({reason})" for names, reason in self._unjudged()]
        heads = ("criterion", "within", "worst value", "limit", "status")
        return "\n".join([text_table(heads, rows, right=(1,)), *lines])

    def scope(self):
        """Return in words for how many pixels the verdict speaks; empty if it is not known."""
        areas = [metric for metric in self.metrics if metric.name == _AREA and metric.detail]
        if not areas:
            return ""
        least = max(areas, key=lambda metric: metric.value)
        return f"It speaks for these pixels: {least.detail} ({least.place()})."

    def _within(self, name):
        """Return how many metrics of a criterion are within their limit."""
        return sum(
            metric.passed and not metric.released for metric in self.metrics if metric.name == name
        )

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
        for metric, _, number in self.summary():
            cells = (
                metric.name,
                metric.description,
                f"{self._within(metric.name)} of {number}",
                f"{metric.value_text()} ({metric.place()})"
                + (metric.detail and f": {metric.detail}"),
                metric.limit_text(),
                metric.unit,
                metric.standing(),
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
        return html_table("Verdict", heads, rows, numbers=(2, 4)) + html_table(
            "What was not judged", ("not judged", "why"), self._unjudged()
        )

    def __repr__(self):
        return self.text_table()

    def content(self):
        """Return what metrics.json holds, checked against its schema.

        Returns
        -------
        dict
            Outcome, provenance, metrics, what was not judged, findings, behaviours, advisories.
        """
        content = {
            "schema_version": SCHEMA_VERSION,
            "outcome": self.outcome.word,
            "exit_code": self.outcome.exit_code,
            "provenance": self.provenance,
            "metrics": [
                {name: json_value(value) for name, value in asdict(metric).items()}
                for metric in self.metrics
            ],
            "not_judged": [asdict(each) for each in self.not_judged],
            "findings": [
                asdict(each) | {"value": json_value(each.value), "explains": list(each.explains)}
                for each in self.findings
            ],
            "behaviours": [asdict(each) for each in self.behaviours],
            "advisories": [asdict(each) for each in self.advisories],
        }
        if self.drift is not None:
            content["drift"] = self.drift.content()
        require(content, metrics_schema)
        return content

    def json_text(self):
        """Return metrics.json as text."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path):
        """Write metrics.json, checked against its schema."""
        write_text_whole(path, self.json_text())


@lru_cache(maxsize=1)
def metrics_schema():
    """Return the JSON schema of metrics.json."""
    return json.loads((files(__package__) / "metrics.schema.json").read_text(encoding="utf-8"))
