"""What changed between a run and the baseline of its observation, and what counts as changed."""

import math
import textwrap
from dataclasses import asdict, dataclass
from itertools import groupby

from miri_background.files import json_value
from miri_background.tables import text_table
from miri_background.validation.measurements.measurement import limit_in_words, place_in_words

__all__ = ["ChangedBehaviour", "ChangedLimit", "ChangedMetric", "Drift", "compare"]

_WIDTH = 100  # columns of text
_HEADS = ("metric", "old", "new", "difference", "std. err.", "limit", "concerned")
_NUMBERS = range(1, len(_HEADS) - 1)  # columns

# In standard errors.  The same ramps through the same pipeline differ by the rounding of float32
# only.  Rates that were changed at random by 1e-7 of themselves (float32 rounds by 6e-8) moved the
# statistics of the default observation by up to 0.0014 standard errors, through 7e-6 of all pixels
# in which a clipping decision turned; changes ten times as large moved them by up to 0.028.
_ROUNDING = 0.05
# In the same trials, predicted errors, and with them limits, changed by up to 1.2e-4 of themselves.
_LIMIT_ROUNDING = 1e-3
# On other ramps they scatter: the smallest region has 3e4 pixels, so the noise that is measured
# there is known to 0.4 percent, and two such to 0.6 percent of each other; 3.5 times that.
_LIMIT_SCATTER = 0.02


@dataclass(frozen=True)
class ChangedMetric:
    """A metric that is not what it was.

    Parameters
    ----------
    name, region : str
        The criterion and the region of the detector.
    exposure : int or None
        Science exposure, from 1.
    unit : str
        Unit of old, new and limit.
    change : str
        "changed", "appeared" or "disappeared".
    old, new : float or None
        Value in the baseline and in the run; None where there is none.
    standard_errors : float or None
        Difference over the standard error of the run's value, where there is one.
    limit : float
        Limit of the run's value; that of the baseline's where it disappeared.
    concerned : str
        "limit" where the new value breaks its limit, "baseline" where it keeps it and is just
        not where it was.
    """

    name: str
    region: str
    exposure: int | None
    unit: str
    change: str
    old: float | None
    new: float | None
    standard_errors: float | None
    limit: float
    concerned: str

    @property
    def key(self):
        """What the metric is found by; see `Metric.key`."""
        return self.name, self.region, self.exposure

    def cells(self):
        """Return where it was, old and new value, difference, limit and concerned."""
        difference = None if None in (self.old, self.new) else self.new - self.old
        return (
            place_in_words(self.region, self.exposure),
            self._number(self.old),
            self._number(self.new),
            self._number(difference, "+"),
            "–" if self.standard_errors is None else f"{self.standard_errors:+.2f}",
            limit_in_words(self.limit),
            self.concerned,
        )

    def _number(self, value, sign=""):
        """Return a number as text, that of pixels or products without decimals."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{value:{sign}.0f}" if self.limit == 0 else f"{value:{sign}.4g}"

    def sentence(self):
        """Return the change in words, with numbers, unit and limit."""
        place, old, new, difference, errors, limit, _ = self.cells()
        metric, unit = f"{self.name} ({place})", self.unit
        if self.change == "appeared":
            return f"{metric} is new: {new} {unit}, limit {limit} {unit}"
        if self.change == "disappeared":
            return f"{metric} is no longer measured: it was {old} {unit}"
        off = "" if self.standard_errors is None else f", {errors} standard errors"
        return (
            f"{metric} from {old} to {new} {unit} ({difference} {unit}{off}), limit {limit} {unit}"
        )


@dataclass(frozen=True)
class ChangedLimit:
    """A limit that is not what it was.

    Parameters
    ----------
    name, region : str
        The criterion and the region of the detector.
    exposure : int or None
        Science exposure, from 1.
    unit : str
        Unit of the limits.
    old, new : float
        Limit in the baseline and in the run.
    """

    name: str
    region: str
    exposure: int | None
    unit: str
    old: float
    new: float

    def part(self):
        """Return by how much of the larger limit they differ."""
        return abs(self.new - self.old) / max(self.new, self.old)

    def sentence(self):
        """Return the limits in words."""
        return (
            f"limit of {self.name} ({place_in_words(self.region, self.exposure)}) "
            f"from ±{self.old:.4g} to ±{self.new:.4g} {self.unit}"
        )


@dataclass(frozen=True)
class ChangedBehaviour:
    """What a build does otherwise where the documentation leaves a choice.

    Parameters
    ----------
    aspect : str
        What is chosen.
    old, new : str
        Names of the behaviours of baseline and run.
    """

    aspect: str
    old: str
    new: str

    def sentence(self):
        """Return the behaviours in words."""
        return f"{self.aspect}: {self.new}, was {self.old}"


@dataclass(frozen=True)
class Drift:
    """What changed since a baseline.

    Parameters
    ----------
    baseline : str or None
        Name of the baseline's file; None if there is none to compare with.
    jwst : str
        Release of jwst that the baseline is of; without one, that of the run.
    same_ramps : bool
        Whether the level-1b data of both are the same, bit for bit.
    metrics : tuple of ChangedMetric
        Metrics that changed, appeared or disappeared.
    limits : tuple of ChangedLimit
        Limits that changed.  They are reported but make no drift: they are the suite's own
        decision, or follow the noise, and then values change, too.
    behaviours : tuple of ChangedBehaviour
        Behaviours that changed; no limit is broken by that, but it is a drift.
    """

    baseline: str | None
    jwst: str
    same_ramps: bool = False
    metrics: tuple = ()
    limits: tuple = ()
    behaviours: tuple = ()

    @property
    def drifted(self):
        """Whether a metric or a behaviour is not what it was."""
        return bool(self.metrics or self.behaviours)

    def content(self):
        """Return the drift as JSON has it: what is not finite becomes null."""
        content = asdict(self)
        for group in ("metrics", "limits", "behaviours"):
            content[group] = [
                {name: json_value(value) for name, value in each.items()} for each in content[group]
            ]
        return content

    @classmethod
    def of(cls, content):
        """Return the drift that was written as JSON.

        Parameters
        ----------
        content : dict
            What `content` returns.

        Returns
        -------
        Drift
            As it was written.
        """
        return cls(
            content["baseline"],
            content["jwst"],
            content["same_ramps"],
            tuple(ChangedMetric(**_numbers(each, "limit")) for each in content["metrics"]),
            tuple(ChangedLimit(**_numbers(each, "old", "new")) for each in content["limits"]),
            tuple(ChangedBehaviour(**each) for each in content["behaviours"]),
        )

    def sentence(self):
        """Return what changed in one sentence, with the largest change."""
        if self.baseline is None:
            return (
                f"There is no baseline of jwst {self.jwst} or an earlier release for this "
                "observation and these references: changes are not judged."
            )
        against = f"the baseline of jwst {self.jwst} ({self.baseline})"
        if not self.same_ramps:
            against += ", whose level-1b data differ: both are draws of the noise"
        sentences = [each.sentence() for each in self.behaviours]
        if self.limits:
            most = max(self.limits, key=ChangedLimit.part)
            count = f"{len(self.limits)} limit{'s' * (len(self.limits) > 1)} changed"
            sentences.append(f"{count}, most the {most.sentence()}")
        changed = f"{'No metric' if sentences else 'Nothing'} changed since {against}"
        if self.metrics:
            number = f"{len(self.metrics)} metric{'s' * (len(self.metrics) > 1)}"
            worst = max(self.metrics, key=_size)
            changed = f"{number} changed since {against}, most {worst.sentence()}"
        return "; ".join([changed, *sentences]) + "."

    def table(self):
        """Return what changed as lines of at most 100 columns, empty if nothing did."""
        if not self.metrics:
            return ""
        rows = []
        # Name and unit stand once above the lines of their own.
        for title, group in groupby(self.metrics, lambda each: f"{each.name}, {each.unit}"):
            rows.append(title)
            rows += [(f"  {place}", *cells) for place, *cells in map(ChangedMetric.cells, group)]
        return text_table(_HEADS, rows, right=_NUMBERS, widest=_WIDTH)

    def text(self):
        """Return what changed for a terminal or a notebook: a sentence, and a table if any."""
        sentence = textwrap.fill(self.sentence(), _WIDTH, break_on_hyphens=False)
        return f"{sentence}\n\n{self.table()}" if self.metrics else sentence

    def __repr__(self):
        return self.text()


def _numbers(content, *names):
    """Return what JSON says of a metric, with not a number where it has null in these names."""
    return content | {name: math.nan for name in names if content[name] is None}


def _size(metric):
    """Return by how much a metric changed, for the order: what breaks its limit is first."""
    errors = math.inf if metric.standard_errors is None else abs(metric.standard_errors)
    return metric.concerned == "limit", errors


def _same_ramps(provenance, other):
    """Return whether two results are of the same data, bit for bit.

    Level-1b files differ in the time at which they were written, so their ramps are compared;
    what was judged without any is compared by its files.
    """
    first, second = (
        each.get("level1b_sci_sha256") or each["inputs"] for each in (provenance, other)
    )
    return bool(first) and first == second


def _allowed(old, new, same_ramps):
    """Return by how much a value may differ from the baseline's without having changed.

    On the same ramps, by rounding: a small part of the standard error or, of a requirement that
    has none, of its limit.  On others, the values are two draws of a noise that is at most
    independent, so their difference has at most the errors of both, added in quadrature.  A limit
    is the critical value times the error, so limits in quadrature are the critical value
    of the difference, with the false-alarm probability of the limits themselves.  A count, whose
    limit is 0, may not differ at all, either way.
    """
    if not same_ramps:
        return math.hypot(old.limit, new.limit)
    return _ROUNDING * (new.limit if new.standard_error is None else new.standard_error)


def _off(old, new, same_ramps):
    """Return by how much a value differs from the baseline's.

    Of many rows or columns, the one that is furthest off is on either side of zero by chance: on
    other ramps, how far off it is counts.
    """
    if max(old.trials, new.trials) > 1 and not same_ramps:
        return abs(abs(new.value) - abs(old.value))
    return abs(new.value - old.value)


def _difference(old, new):
    """Return the difference in standard errors, None where there is none."""
    return (new.value - old.value) / new.standard_error if new.standard_error else None


def _changed(metric, change, old, new, standard_errors=None):
    """Return what a metric of the run, or of the baseline where it disappeared, says."""
    return ChangedMetric(
        metric.name,
        metric.region,
        metric.exposure,
        metric.unit,
        change,
        None if old is None else old.value,
        None if new is None else new.value,
        standard_errors,
        metric.limit,
        "limit" if new is not None and not new.passed else "baseline",
    )


def compare(verdict, baseline, name):
    """Return what changed between a baseline and a run of the same observation.

    Parameters
    ----------
    verdict : Verdict
        Of the run.
    baseline : Verdict
        That is compared with.
    name : str
        Name of the baseline's file.

    Returns
    -------
    Drift
        Metrics, limits and behaviours that changed.
    """
    same = _same_ramps(verdict.provenance, baseline.provenance)
    tolerance = _LIMIT_ROUNDING if same else _LIMIT_SCATTER
    before, now = ({each.key: each for each in judged.metrics} for judged in (baseline, verdict))
    changed, limits = [], []
    for key, new in now.items():
        old = before.get(key)
        if old is None:
            changed.append(_changed(new, "appeared", None, new))
            continue
        # Written so that a value that is not a number has changed.
        if not _off(old, new, same) <= _allowed(old, new, same):
            changed.append(_changed(new, "changed", old, new, _difference(old, new)))
        if not math.isclose(new.limit, old.limit, rel_tol=tolerance):
            limits.append(ChangedLimit(*key, new.unit, old.limit, new.limit))
    changed += [
        _changed(before[key], "disappeared", before[key], None) for key in before if key not in now
    ]
    known = {each.aspect: each.name for each in baseline.behaviours}
    behaviours = [
        ChangedBehaviour(each.aspect, known[each.aspect], each.name)
        for each in verdict.behaviours
        if known.get(each.aspect, each.name) != each.name
    ]
    # Products that were checked need not say by which release they were made.
    jwst = baseline.provenance["versions"].get("jwst", "unknown")
    return Drift(name, jwst, same, tuple(changed), tuple(limits), tuple(behaviours))
