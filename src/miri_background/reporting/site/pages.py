"""What stands on each page; the words around it are in templates."""

import math
from types import SimpleNamespace

import yaml

from miri_background.outcomes import Cause, Outcome
from miri_background.rendering import Part, page_name, render
from miri_background.reporting.site.notebooks import ENDED
from miri_background.reporting.site.standing import KINDS, NOT_RUN, kind_of
from miri_background.validation.verdict.limits import (
    criteria,
    criteria_of_validation,
    critical_value,
)

__all__ = ["Pages"]

_NIGHTS = 14  # that the front page looks back
_MEANINGS = {
    Outcome.PASSED: "every metric is within its limit",
    Outcome.FAILED: "at least one limit is broken",
    Outcome.CANNOT_JUDGE: "data, references or resources did not allow a verdict",
    Outcome.DRIFTED: "within all limits, but not what the last released build gave",
}


class Pages:
    """Sources of pages, in Markdown.

    Parameters
    ----------
    standing : Standing
        What the history says.
    places : Places
        Where the pages are.
    """

    def __init__(self, standing, places):
        self._standing, self._places = standing, places

    def front(self):
        """Return the source of the front page."""
        last = [run for run in self._standing.last.values() if run]
        nights = list(self._standing.nights.values())[:_NIGHTS]
        return render(
            "site/front.md.j2",
            answer=self._standing.answer,
            problems=self._standing.problems,
            trends=self._standing.slow_trends,
            observations=list(self._standing.last),
            started=f"{min(run.started for run in last):%-d %B %Y at %H:%M}" if last else "",
            builds=_builds(last) or "unknown",
            last_night=[row for name in self._standing.last for row in self._rows_of(name)],
            nights=[self._night(runs, self._standing.last) for runs in nights],
            meanings=[(_badge(outcome), meaning) for outcome, meaning in _MEANINGS.items()],
            pages=self._places.observations,
        )

    def _rows_of(self, name):
        """Return the rows of one observation: one for each kind, or one that says why not."""
        run = self._standing.last[name]
        if run is None:
            before = f"in the last night; it was before, on {self._standing.of(name)[-1].day}"
            return [(name, "all", Part(outcome=NOT_RUN), before)]
        record = run.record
        head = Part(name, place=self._places.run(run))
        kinds = self._standing.kinds(run)
        if record.outcome == Outcome.CANNOT_JUDGE.word or not kinds:
            why = Part(f"{record.cause}: {record.reason}")
            more = Part("its page", place=self._places.observation(run))
            return [(head, "all", Part(outcome=record.outcome), (why, " (", more, ")"))]
        verdict = Part("verdict", place=self._places.verdict(run), hidden=f"of {name}")
        return [(head, *_kind_cells(run, each), verdict) for each in kinds]

    def _night(self, runs, names):
        """Return the row of a night: the outcome of each observation."""
        first = min(runs.values(), key=lambda run: run.started)
        cells = [
            Part(outcome=run.record.outcome, place=self._places.run(run), small=run.record.cause)
            if (run := runs.get(name))
            else "not run"
            for name in names
        ]
        return (first.day, *cells, _builds(runs.values()) or "–")

    def banner(self, run):
        """Return what stands on top of the page of a run: how it ended, and where else to look.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        str
            Markdown.
        """
        words = "versions, inputs and all metrics of this run"
        links = [Part(words, place=f"../{self._places.run(run)}")]
        if self._places.broke_off(run):
            links.insert(0, Part("where it ended", place=f"#{ENDED}"))
        if not run.good:
            links.append(self._last_good_link(run, self._places.observation))
        gone = not self._places.has_notebook(run)
        return render("site/banner.md.j2", run=run, cause=_cause(run), links=links, gone=gone)

    def _last_good_link(self, run, page):
        """Return a link to a page of the last run before another one that kept all limits."""
        good = self._standing.last_good(run.record.name, run)
        if good is None:
            return "no run of this observation passed before"
        return Part(f"the last good run before, {good.day} UTC", place=f"../{page(good)}")

    def metrics(self, names):
        """Return the source of the list of metrics.

        Parameters
        ----------
        names : sequence of str
            All that have a page.

        Returns
        -------
        str
            Markdown.
        """
        kinds = {kind: [] for kind in KINDS}
        for name, content in criteria_of_validation().items():
            last = self._last_status(name)
            row = (_metric_link(name), content["description"], content["unit"], last)
            kinds[_kind(name)].append(row)
        others = [(_metric_link(name),) for name in names if name not in criteria_of_validation()]
        pages = [page_name(name) for name in names]
        return render("site/metrics.md.j2", kinds=kinds, others=others, pages=pages)

    def _last_status(self, criterion):
        """Return how a criterion ended in the last night, as a cell."""
        metrics = {
            name: run.worst[criterion]
            for name, run in self._standing.last.items()
            if run and criterion in run.worst
        }
        failed = [name for name, metric in metrics.items() if not metric.passed]
        if failed:
            return (_badge(Outcome.FAILED), f" in {', '.join(failed)}")
        return _badge(Outcome.PASSED) if metrics else "not measured"

    def metric(self, name, series, caught, figures):
        """Return the source of the page of a metric.

        Parameters
        ----------
        name : str
            The criterion.
        series : dict of list of Run
            By observation, its runs in order of time.
        caught : list of CaughtFault
            The faults that it was seen to notice.
        figures : list of (str, str)
            Names and places of sections that show the metric's figure.

        Returns
        -------
        str
            Markdown.
        """
        content = criteria_of_validation().get(name, {})
        runs = [run for each in series.values() for run in each]
        measured = [run.worst[name] for run in runs if name in run.worst]
        latest = measured[-1] if measured else None
        unit = content.get("unit") or (latest.unit if latest else "")
        kind = kind_of(latest) if latest else _kind(name)
        newest_first = sorted(runs, key=lambda run: run.started, reverse=True)
        return render(
            "site/metric.md.j2",
            name=name,
            description=content.get("description") or (latest.description if latest else ""),
            facts=_facts(content, kind, unit, latest),
            kind=kind,
            figures=[Part(words, place=place) for words, place in figures],
            observations=list(series),
            runs=runs,
            failed=[run for run in runs if name in run.worst and not run.worst[name].passed],
            caught=[
                (each.name, each.family, each.description, _noticed_by(each)) for each in caught
            ],
            history=[self._history_row(run, run.worst.get(name), unit) for run in newest_first],
        )

    def _history_row(self, run, metric, unit):
        """Return a row of the table of a metric's history."""
        place = self._places.run(run)
        day = Part(run.day, place=place and f"../{place}")
        record = run.record
        if metric is None:
            status = Part(outcome=record.outcome) if run.verdict is None else "not measured"
            return (day, record.name, status, "–", "–", record.cause or "–", run.build)
        value, limit = f"{metric.value_text()} {unit}", f"{metric.limit_text()} {unit}"
        return (day, record.name, _status(metric), value, limit, metric.place(), run.build)

    def runs(self):
        """Return the source of the list of runs that have a page."""
        pages = [self._places.run(run).removeprefix("runs/") for run in self._places.runs]
        rows = [
            (
                Part(run.day, place=page),
                run.record.name,
                Part(outcome=run.record.outcome),
                run.record.cause or "–",
                run.build,
                f"{run.record.seconds:.0f} s",
            )
            for run, page in zip(self._places.runs, pages, strict=True)
        ]
        return render(
            "site/runs.md.j2",
            number=len(self._standing.runs),
            rows=rows[::-1],
            pages=[page.removesuffix(".html") for page in pages],
        )

    def run(self, run):
        """Return the source of the page of a run.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        str
            Markdown.
        """
        record = run.record
        links = []
        if self._places.observation(run):
            words = "its notebook" if self._places.has_notebook(run) else "what is left of it"
            links.append(Part(words, place=f"../{self._places.observation(run)}"))
        before = self._standing.before(run)
        if before and self._places.run(before):
            links.append(
                Part(f"the run before, {before.day}", place=f"../{self._places.run(before)}")
            )
        if not run.good:
            links.append(self._last_good_link(run, self._places.run))
        provenance = run.verdict.provenance if run.verdict else {}
        return render(
            "site/run.md.j2",
            run=run,
            files=self._places.files(run),
            place=page_name(record.id),
            cause=_cause(run),
            links=links,
            circumstances=_circumstances(run, provenance),
            given=_values(dict(sorted(record.parameters.items()))),
            observation=_values(provenance.get("observation", {})),
            calibration=_values(provenance.get("calibration", {})),
            changed=_changed(run.verdict.drift) if run.verdict and run.verdict.drift else [],
            metrics=_metric_rows(run.verdict) if run.verdict else [],
        )

    def documents(self, documents):
        """Return the source of the list of notebooks, documents and all pages.

        Parameters
        ----------
        documents : dict of str
            By page, its title.

        Returns
        -------
        str
            Markdown.
        """
        observed = [
            Part(f"{run.record.name}, {run.day}", place=self._places.observation(run))
            for run in self._places.observed
        ]
        metrics = [Part(name, place=_metric_place(name)) for name in criteria_of_validation()]
        runs = [
            Part(f"run of {run.record.name}, {run.day}", place=self._places.run(run))
            for run in self._places.runs
        ]
        return render(
            "site/documents.md.j2",
            documents=documents,
            places=[*observed, *metrics, *runs],
            pages=[page.rsplit(".", 1)[0] for page in documents],
        )


def _badge(outcome):
    """Return an outcome as a cell."""
    return Part(outcome=outcome.word)


def _status(metric):
    """Return whether a metric is within its limit, as a cell."""
    return _badge(Outcome.PASSED if metric.passed else Outcome.FAILED)


def _builds(runs):
    """Return the builds of jwst that runs were made with."""
    return ", ".join(sorted({run.build for run in runs if run.verdict}))


def _metric_place(name):
    """Return the page of a metric, seen from the front page."""
    return f"metrics/{page_name(name)}.html"


def _kind_cells(run, row):
    """Return the cells of a kind of metrics: its status, and its worst metric."""
    status, metric = row.status, row.worst
    drifted = run.record.outcome == Outcome.DRIFTED.word and _drifted(run, row.kind)
    if status == Outcome.PASSED.word and drifted:
        status = run.record.outcome
    return (
        row.kind,
        Part(outcome=status),
        (Part(metric.name, place=_metric_place(metric.name)), Part(small=metric.place())),
        f"{metric.value_text()} {metric.unit}",
        f"{metric.limit_text()} {metric.unit}",
        Part(row.change, small=row.since and f"since {row.since}"),
    )


def _drifted(run, kind):
    """Return whether a metric of a kind, or a behaviour, changed since the baseline."""
    drift = run.verdict.drift
    if drift is None:
        return False
    return any(kind_of(each) == kind for each in drift.metrics) or (
        kind == "exact" and bool(drift.behaviours)
    )


def _cause(run):
    """Return what the cause of a run without a verdict stands for, empty if there is none."""
    word = run.record.cause
    return next((each.meaning for each in Cause if each.word == word), word)


def _metric_link(name):
    """Return a link to a metric from the list of them."""
    return Part(name, place=f"{page_name(name)}.html")


def _kind(name):
    """Return the kind of a criterion by its name."""
    return kind_of(SimpleNamespace(name=name, limit=math.nan))


def _facts(content, kind, unit, latest):
    """Return kind, unit and limit with its reason."""
    rows = [("kind", kind), ("unit", unit), ("limit", _limit_rule(content, unit))]
    if content:
        rows.append(("why this limit", content["reason"]))
    if latest:
        error = latest.standard_error
        errors = f", {latest.limit / error:.2f} standard errors" if error else ""
        rows.append(("limit of the last run", f"{latest.limit_text()} {unit}{errors}"))
    return rows


def _limit_rule(content, unit):
    """Return in words how the limit is found."""
    probability = criteria()["false_alarm_probability"]
    multiple = (
        f"standard errors that a correct run exceeds, in any of its statistics, with a probability "
        f"of {probability:g} (for twenty statistics {critical_value(20, probability):.1f})"
    )
    return {
        "exact": "0: nothing may differ",
        "statistical": f"as many {multiple}",
        "requirement": f"±{content.get('limit', math.nan):g} {unit}, or as many {multiple}, "
        "where they are more",
    }.get(content.get("kind"), "that of an earlier version of the criteria")


def _noticed_by(fault):
    """Return whether a metric is the first to notice a fault."""
    return "this metric first" if fault.first else "a cheaper one, too"


def _circumstances(run, provenance):
    """Return when, where and with what a run was made."""
    record = run.record
    observation, calibration = (provenance.get(of, {}) for of in ("observation", "calibration"))
    memory = provenance.get("peak_memory_bytes")
    commit = provenance.get("suite_commit")
    changed = ", with changes" if provenance.get("suite_dirty") else ""
    return [
        ("night", record.night or "none"),
        ("started", f"{run.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("time", f"{record.seconds:.0f} s"),
        ("peak memory of a process", f"{memory / 1e9:.2f} GB" if memory else "–"),
        ("host", provenance.get("host", "–")),
        ("build of jwst", run.build),
        ("CRDS context", provenance.get("crds_context", "–")),
        ("simulator", provenance.get("simulator", "–")),
        ("seed", observation.get("seed", record.parameters.get("seed", "–"))),
        ("broken on purpose", calibration.get("control", record.parameters.get("control", "–"))),
        ("commit of the suite", f"{commit}{changed}" if commit else "–"),
        ("run directory", record.directory),
    ]


def _values(parameters):
    """Return parameters with their values as they are written in YAML."""
    return [
        (name, yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip())
        for name, value in parameters.items()
    ]


def _changed(drift):
    """Return rows of what changed since the baseline."""
    rows = []
    for each in drift.metrics:
        place, old, new, *rest = each.cells()
        rows.append((f"{each.name}, {place}", old, new, each.unit, *rest))
    return rows


def _metric_rows(verdict):
    """Return rows of all metrics of a run."""
    return [
        (
            Part(each.name, place=f"../{_metric_place(each.name)}"),
            each.place() + (each.detail and f": {each.detail}"),
            f"{each.value_text()} {each.unit}",
            f"{each.limit_text()} {each.unit}",
            _status(each),
        )
        for each in verdict.metrics
    ]
