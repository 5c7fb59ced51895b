"""What the records of a history say: the last night, what changed, and since when."""

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from miri_background.outcomes import Outcome
from miri_background.reporting.history import Record
from miri_background.reporting.site.slow_trends import slow_trends
from miri_background.validation.measurements.measurement import normal_deviation
from miri_background.validation.verdict.limits import Metric, criteria_of_validation, severity
from miri_background.validation.verdict.metrics_file import upgraded, verdict_of
from miri_background.validation.verdict.verdict import Verdict

__all__ = ["KINDS", "NOT_RUN", "Answer", "KindRow", "Run", "Standing", "kind_of"]

NOT_RUN = "was not run"
KINDS = ("exact", "statistical", "against truth")
# The worst first; nothing is known of what was not judged, but a broken limit is known.
_WORST_FIRST = (
    Outcome.FAILED.word,
    Outcome.CANNOT_JUDGE.word,
    NOT_RUN,
    Outcome.DRIFTED.word,
    Outcome.PASSED.word,
)
_GOOD = (Outcome.PASSED.word, Outcome.DRIFTED.word)
_ENDED = {Outcome.CANNOT_JUDGE.word: "could not be judged"}  # where the word does not fit
# What metrics.json of an earlier layout may lack.
_LACKING = {"description": "", "operator": "|value| <= limit", "figure": "", "reason": "–"}


def kind_of(metric):
    """Return the kind of a metric: exact, statistical, or against truth."""
    criterion = criteria_of_validation().get(metric.name, {})
    if criterion.get("needs") == "truth":
        return "against truth"
    rule = criterion.get("kind") or ("exact" if metric.limit == 0 else "statistical")
    return "exact" if rule == "exact" else "statistical"


@dataclass(frozen=True)
class Run:
    """A record with what follows from it.

    Parameters
    ----------
    record : Record
        As the history has it.
    """

    record: Record

    @cached_property
    def verdict(self):
        """The verdict, a `Verdict`; None if the run did not come so far."""
        content = self.record.verdict
        if content is None:
            return None
        try:
            return verdict_of(upgraded(content))
        except (KeyError, TypeError):  # of an earlier layout: the record's schema has the least
            metrics = [Metric(**_completed(each)) for each in content["metrics"]]
            return Verdict(metrics, content["provenance"])

    @property
    def started(self):
        """When it began, a `datetime.datetime` in UTC."""
        return datetime.fromisoformat(self.record.started)

    @property
    def day(self):
        """Day and time at which it began, as people read it."""
        return f"{self.started:%Y-%m-%d %H:%M}"

    @property
    def good(self):
        """Whether every metric is within its limit."""
        return self.record.outcome in _GOOD

    @cached_property
    def build(self):
        """Version of jwst, with what tells it from another build of the same version."""
        if self.verdict is None:
            return "–"
        provenance = self.verdict.provenance
        version = provenance.get("versions", {}).get("jwst", "unknown")
        fingerprint = provenance.get("pipeline_fingerprint", "")
        return f"{version} ({fingerprint[:8]})" if fingerprint else version

    @cached_property
    def worst(self):
        """By criterion, the metric that is closest to or furthest over its limit."""
        if self.verdict is None:
            return {}
        return {metric.name: metric for metric, _, _ in self.verdict.summary()}

    def metric(self, key):
        """Return the metric of a criterion, region and exposure, None if there is none."""
        metrics = self.verdict.metrics if self.verdict else ()
        return next((each for each in metrics if each.key == key), None)


def _completed(content):
    """Return what an earlier layout says of a metric, with what it lacks."""
    known = {name: content[name] for name in Metric.__dataclass_fields__ if name in content}
    known |= {name: math.nan for name in ("value", "limit") if known[name] is None}
    return _LACKING | known


@dataclass(frozen=True)
class KindRow:
    """The metrics of one kind of one run, by the worst of them.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    status : str
        Word of an `Outcome`.
    worst : Metric
        The metric that is closest to or furthest over its limit.
    change : str
        What changed in it since the last good run before, in words.
    since : str
        Day and time of that run; empty if there is none.
    """

    kind: str
    status: str
    worst: Metric
    change: str
    since: str


@dataclass(frozen=True)
class Answer:
    """Whether it is all right, and since when.

    Parameters
    ----------
    outcome : str
        The worst word of the night.
    sentence : str
        The answer.
    """

    outcome: str
    sentence: str


class Standing:
    """What a history says about the last night.

    Parameters
    ----------
    history : History
        All records.
    """

    def __init__(self, history):
        self.runs = [Run(record) for record in history.records]
        self.problems = history.problems

    @cached_property
    def night(self):
        """Id of the last night; empty if no run was part of one."""
        return max((run.record.night for run in self.runs), default="")

    @cached_property
    def nights(self):
        """By night, the runs of each name; the last night first.

        Runs outside of nights count as a night each where there is no other.
        """
        found = {}
        for run in self.runs:
            night = run.record.night or ("" if self.night else run.record.started[:10])
            if night:
                found.setdefault(night, {})[run.record.name] = run
        return dict(sorted(found.items(), reverse=True))

    @cached_property
    def last(self):
        """By name, the runs of the last night; None for what was run the night before only."""
        nights = list(self.nights.values())
        if not nights:
            return {}
        before = nights[1] if len(nights) > 1 else {}
        names = sorted(nights[0] | before)
        return {name: nights[0].get(name) for name in names}

    @cached_property
    def names(self):
        """All names, those of the last night first."""
        return list(dict.fromkeys([*self.last, *(run.record.name for run in self.runs)]))

    def of(self, name):
        """Return the runs of a name, in order of time."""
        return [run for run in self.runs if run.record.name == name]

    def outcome(self, name):
        """Return the word of a name in the last night."""
        run = self.last[name]
        return NOT_RUN if run is None else run.record.outcome

    def before(self, run):
        """Return the run of the same name before another that has a verdict, or None."""
        earlier = self.of(run.record.name)
        earlier = earlier[: earlier.index(run)]
        return next((each for each in reversed(earlier) if each.verdict), None)

    def last_good(self, name, run=None):
        """Return the last run of a name, before one of its runs if given, that kept all limits."""
        earlier = self.of(name)
        earlier = earlier if run is None else earlier[: earlier.index(run)]
        return next((each for each in reversed(earlier) if each.good), None)

    def since(self, name):
        """Return the first of the unbroken row of runs that ended as the last night's did."""
        runs, last = self.of(name), self.last[name]
        first = last
        for run in reversed(runs[: runs.index(last)]):
            if run.record.outcome != last.record.outcome:
                break
            first = run
        return first

    def kinds(self, run):
        """Return the kinds of metrics of a run.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        list of KindRow
            Empty without a verdict.
        """
        good = self.last_good(run.record.name, run)
        rows = []
        for kind in KINDS:
            metrics = [each for each in run.worst.values() if kind_of(each) == kind]
            if metrics:
                worst = max(metrics, key=severity)
                passed = all(metric.passed for metric in metrics)
                status = (Outcome.PASSED if passed else Outcome.FAILED).word
                change = "no good run before"
                if good is not None:
                    change = _change(worst, good.metric(worst.key))
                since = good.day if good is not None else ""
                rows.append(KindRow(kind, status, worst, change, since))
        return rows

    @cached_property
    def answer(self):
        """The answer of the front page, an `Answer`."""
        if not self.last:
            return Answer(NOT_RUN, "Nothing was run yet: `make nightly` does.")
        words = {name: self.outcome(name) for name in self.last}
        worst = min(words.values(), key=_WORST_FIRST.index)
        if worst == Outcome.PASSED.word:
            return Answer(worst, self._all_well(len(words)))
        amiss = sorted(
            (name for name in words if words[name] != Outcome.PASSED.word),
            key=lambda name: _WORST_FIRST.index(words[name]),
        )
        endings = [self._ending_of(name) for name in amiss]
        if len(words) > len(amiss):
            endings.append(f"{len(words) - len(amiss)} of {len(words)} passed")
        start = "Within the limits, but not as before" if worst in _GOOD else "Not all is well"
        return Answer(worst, f"{start}: {'; '.join(endings)}.")

    @cached_property
    def slow_trends(self):
        """What creeps one way, a sentence for each metric."""
        return [each.sentence() for each in slow_trends(self)]

    def _all_well(self, number):
        """Return the answer for a night in which all passed."""
        first = max((self.since(name) for name in self.last), key=lambda run: run.started)
        subject = "the observation is" if number == 1 else f"all {number} observations are"
        return (
            f"All is well: {subject} within every limit, and so it is since "
            f"{first.started:%-d %B %Y} ({_count(self._streak(), 'night')} in a row)."
        )

    def _streak(self):
        """Return how many nights in a row all passed, the last one included."""
        number = 0
        for runs in self.nights.values():
            if any(run.record.outcome != Outcome.PASSED.word for run in runs.values()):
                break
            number += 1
        return number

    def _ending_of(self, name):
        """Return how an observation ended that did not pass, and since when."""
        run = self.last[name]
        if run is None:
            return f"{name} {NOT_RUN} (before, on {self.of(name)[-1].started:%-d %B %Y})"
        first = self.since(name)
        since = "new" if first is run else f"since {first.started:%-d %B %Y}"
        cause = f", for {run.record.cause}" if run.record.cause else ""
        return f"{name} {_ENDED.get(run.record.outcome, run.record.outcome)}{cause} ({since})"


def _count(number, noun):
    """Return a number of things in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _change(new, old):
    """Return in words how a metric changed since the last good run, in standard errors."""
    if old is None:
        return "not in the last good run"
    difference, unit = new.value - old.value, new.unit
    if new.standard_error:
        difference, unit = difference / new.standard_error, "std. err."
    trials = max(new.trials, old.trials)
    if trials > 1 and new.standard_error and old.standard_error:
        # Which of many is furthest off is chance, and so are its sign and its error.
        now, then = (
            abs(normal_deviation(each.value / each.standard_error, trials)) for each in (new, old)
        )
        difference = now - then
    if not math.isfinite(difference):
        return "cannot be compared"
    if difference == 0:
        return "unchanged"
    number = f"{difference:+.3g}" if unit == new.unit else f"{round(difference, 1) + 0:+.1f}"
    return f"{number} {unit}"
