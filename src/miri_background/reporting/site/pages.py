"""What stands on each page: Markdown for words, HTML for tables."""

import math
from html import escape

import yaml

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.site.markup import (
    NOT_RUN,
    Cell,
    badge,
    html_block,
    link,
    markdown_text,
    page_name,
    status_class,
    status_symbol,
    table,
)
from miri_background.reporting.site.notebooks import ENDED
from miri_background.reporting.site.standing import FAMILIES, family_of
from miri_background.validation.verdict.limits import criteria, critical_value

__all__ = [
    "banner",
    "documents_page",
    "front_page",
    "metric_page",
    "metrics_page",
    "run_page",
    "runs_page",
]

_NIGHTS = 14  # that the front page looks back
_MEANINGS = {
    Outcome.PASSED.word: "every metric is within its limit",
    Outcome.FAILED.word: "at least one limit is broken",
    Outcome.CANNOT_JUDGE.word: "data, references or resources did not allow a verdict",
    Outcome.DRIFTED.word: "within all limits, but not what the last released build gave",
}
_READING = {
    "exact": (
        "The number is a count, and a correct step gives 0: two implementations of the same "
        "arithmetic are compared pixel by pixel. Any other number is a defect, of the step or of "
        "its description, not noise: look at which pixels they are, in the figure."
    ),
    "statistical": (
        "The number scatters from run to run by its standard error, the error bar. Inside the band "
        "it means nothing; outside it, chance would put a correct step in one of a thousand runs. "
        "Several runs on the same side of zero, each inside the band, are worth a look."
    ),
    "against truth": (
        "The number compares the product with what was simulated, so that an error is seen that "
        "all products share. It scatters by its standard error, the error bar; outside the band a "
        "correct step is in one of a thousand runs. It needs the truth of a simulation."
    ),
}


def _toctree(pages):
    """Return a hidden list of pages, so that Sphinx knows each to belong somewhere."""
    return "\n".join(["```{toctree}\n:hidden:\n", *pages, "```\n"])


# ------------------------------------------------------------------ the front page


def front_page(standing, places):
    """Return the source of the front page.

    Parameters
    ----------
    standing : Standing
        What the history says.
    places : Places
        Where other pages are.

    Returns
    -------
    str
        Markdown.
    """
    answer = standing.answer
    parts = ["# MIRI background validation\n", _answer(answer)]
    parts.append(_told_problems(standing.problems))
    if standing.last:
        parts += [_last_night(standing, places), _recent_nights(standing, places), _LEGEND]
    parts.append(_toctree(["metrics/index", "runs/index", "documents", *places.observations]))
    return "\n".join(filter(None, parts))


def _answer(answer):
    """Return the answer as what is seen first."""
    symbol = status_symbol(answer.outcome)
    words = Cell(f'<span class="sign" aria-hidden="true">{symbol}</span> ')
    return html_block(
        f'<p class="answer {status_class(answer.outcome)}">{words}{_escaped(answer.sentence)}</p>'
    )


def _escaped(text):
    """Return words as HTML, code between backticks."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _told_problems(problems):
    """Return what of the history could not be read."""
    if not problems:
        return ""
    items = "".join(f"<li>{_escaped(each)}</li>" for each in problems)
    return html_block(
        '<div class="note unjudged" role="note"><p><strong>Part of the history could not be '
        f"read.</strong> These pages were made without it:</p><ul>{items}</ul></div>"
    )


def _last_night(standing, places):
    """Return the table of the last night."""
    runs = [run for run in standing.last.values() if run]
    started = min(run.started for run in runs)
    rows = [row for name in standing.last for row in _rows_of(standing, name, places)]
    heads = ("observation", "metrics", "status", "worst", "value", "limit", "change", "page")
    caption = "Each observation of the last night, by family of metrics"
    builds = ", ".join(sorted({run.build for run in runs if run.verdict})) or "unknown"
    return (
        f"## Last night\n\nStarted on {started:%-d %B %Y at %H:%M} UTC, with jwst "
        f"{markdown_text(builds)}. "
        "The change compares the same metric with the last good run before.\n\n"
        + table(caption, heads, rows, broken=False)
    )


def _rows_of(standing, name, places):
    """Return the rows of one observation: one for each family, or one that says why not."""
    run = standing.last[name]
    if run is None:
        latest = standing.of(name)[-1]
        told = f"in the last night; it was before, on {latest.day}"
        return [(name, "all", badge(NOT_RUN), told)]
    record = run.record
    head = link(name, places.run(run))
    families = standing.families(run)
    if record.outcome == Outcome.CANNOT_JUDGE.word or not families:
        why = link("its page", places.observation(run))
        told = f"{_escaped(record.cause)}: {_escaped(record.reason)} ({why})"
        return [(head, "all", badge(record.outcome), Cell(f'<span class="told">{told}</span>'))]
    rows = []
    for each in families:
        status = each.status
        if status == Outcome.PASSED.word and record.outcome == Outcome.DRIFTED.word:
            status = record.outcome if _drifted(run, each.family) else status
        metric = each.worst
        rows.append(
            (
                head,
                each.family,
                badge(status),
                Cell(
                    f"{link(metric.name, f'metrics/{page_name(metric.name)}.html')}"
                    f"<br><small>{_escaped(metric.place())}</small>"
                ),
                f"{metric.value_text()} {metric.unit}",
                f"{metric.limit_text()} {metric.unit}",
                Cell(f"{_escaped(each.change)}{_since(each)}"),
                link(Cell(f'verdict<span class="hidden"> of {name}</span>'), places.verdict(run)),
            )
        )
    return rows


def _since(row):
    """Return with which run a change compares."""
    return f"<br><small>since {_escaped(row.since)}</small>" if row.since else ""


def _drifted(run, family):
    """Tell whether a metric of a family moved since the baseline, or a behaviour changed."""
    drift = run.verdict.drift
    if drift is None:
        return False
    return any(family_of(each) == family for each in drift.moved) or (
        family == "exact" and bool(drift.behaviours)
    )


def _recent_nights(standing, places):
    """Return the table of outcomes, a row for each night."""
    nights = list(standing.nights.items())[:_NIGHTS]
    names = list(standing.last)
    rows = []
    for _, runs in nights:
        first = min(runs.values(), key=lambda run: run.started)
        cells = []
        for name in names:
            run = runs.get(name)
            if run is None:
                cells.append("not run")
                continue
            words = badge(run.record.outcome)
            cause = run.record.cause and f"<br><small>{_escaped(run.record.cause)}</small>"
            place = places.run(run)
            cells.append(Cell(f"{link(words, place) if place else words}{cause}"))
        build = ", ".join(sorted({run.build for run in runs.values() if run.verdict})) or "–"
        rows.append((first.day, *cells, build))
    caption = f"The last {len(rows)} nights" if len(rows) > 1 else "The only night so far"
    return "## Recent nights\n\n" + table(caption, ("started (UTC)", *names, "build of jwst"), rows)


_LEGEND = "## What the words mean\n\n" + table(
    "Outcomes",
    ("word", "meaning"),
    [(badge(word), meaning) for word, meaning in _MEANINGS.items()],
)


# ------------------------------------------------------------------ an observation


def banner(standing, run, places):
    """Return what stands on top of the page of a run: how it ended, and where else to look.

    Parameters
    ----------
    standing : Standing
        What the history says.
    run : Run
        The run.
    places : Places
        Where other pages are.

    Returns
    -------
    str
        Source of a page in ``observations/``.
    """
    record = run.record
    when = f"{_escaped(run.day)} UTC, jwst {_escaped(run.build)}"
    links = [link("versions, inputs and all metrics of this run", f"../{places.run(run)}")]
    if places.broke_off(run):
        links.insert(0, link("where it ended", f"#{ENDED}"))
    if not run.good:
        links.append(_last_good_link(standing, run, places.observation))
    gone = (
        ""
        if places.has_notebook(run)
        else "<p>There is no executed notebook: the run ended before it was written, or its "
        f"directory <code>{_escaped(record.directory)}</code> is gone.</p>"
    )
    return _ending(record, f" {when}", links, gone)


def _ending(record, when, links, more=""):
    """Return the box that says how a run ended, why, and where else to look."""
    lines = [f"<p><strong>{badge(record.outcome)}</strong>{when}</p>"]
    if record.cause:
        lines.append(
            f"<p><strong>Cause: {_escaped(record.cause)}</strong>, that is, "
            f"{_escaped(_meaning(record.cause))}.</p>"
        )
    if record.reason:
        lines.append(f"<p>{_escaped(record.reason)}</p>")
    if links:
        lines.append(f"<p>{' · '.join(links)}</p>")
    kind = status_class(record.outcome)
    return html_block(f'<div class="note {kind}" role="note">{"".join(lines)}{more}</div>')


def _meaning(word):
    """Return what a cause stands for."""
    return next((each.meaning for each in Cause if each.word == word), word)


def _last_good_link(standing, run, page):
    """Return a link to a page of the last run before another of its name that kept all limits."""
    good = standing.last_good(run.record.name, run)
    if good is None:
        return "no run of this observation passed before"
    return link(f"the last good run before, {good.day} UTC", f"../{page(good)}")


# ------------------------------------------------------------------ metrics


def metrics_page(standing, names):
    """Return the source of the list of metrics.

    Parameters
    ----------
    standing : Standing
        What the history says.
    names : sequence of str
        All that have a page.

    Returns
    -------
    str
        Markdown.
    """
    by_name = criteria()["criteria"]
    words = (
        "# Metrics\n\nWhat is judged, in the order of cost. Each page says what the number is, "
        "how to read it, which faults it catches, and shows its history.\n"
    )
    parts = [words]
    for family in FAMILIES:
        rows = [
            (
                link(name, f"{page_name(name)}.html"),
                content["description"],
                content["unit"],
                _states(standing, name),
            )
            for name, content in by_name.items()
            if _family(name) == family
        ]
        heads = ("metric", "what is counted or measured", "unit", "last night")
        parts.append(f"## {family.capitalize()}\n\n{table(f'Metrics: {family}', heads, rows)}")
    others = [(link(name, f"{page_name(name)}.html"),) for name in names if name not in by_name]
    if others:
        parts.append(
            "## Of earlier runs\n\n" + table("Metrics that are no more", ("metric",), others)
        )
    return "\n".join([*parts, _toctree([page_name(name) for name in names])])


def _states(standing, criterion):
    """Return how a criterion ended in the last night, in words."""
    failed, seen = [], 0
    for name, run in standing.last.items():
        metric = run and run.worst.get(criterion)
        if metric:
            seen += 1
            failed += [] if metric.passed else [name]
    if failed:
        return Cell(f"{badge(Outcome.FAILED.word)} in {_escaped(', '.join(failed))}")
    return badge(Outcome.PASSED.word) if seen else "not measured"


class _Named:
    """A criterion by name, as `family_of` takes it."""

    def __init__(self, name):
        self.name, self.limit = name, math.nan


def _family(name):
    """Return the family of a criterion by its name."""
    return family_of(_Named(name))


def metric_page(name, series, caught, places, figures):
    """Return the source of the page of a metric.

    Parameters
    ----------
    name : str
        The criterion.
    series : dict of list of Run
        By observation, its runs in order of time.
    caught : list of CaughtFault
        The faults that it was seen to notice.
    places : Places
        Where other pages are.
    figures : list of (str, str)
        Names and places of sections that show the metric's figure.

    Returns
    -------
    str
        Markdown.
    """
    content = criteria()["criteria"].get(name, {})
    latest = [run.worst[name] for runs in series.values() for run in runs if name in run.worst]
    unit = content.get("unit") or (latest[-1].unit if latest else "")
    family = family_of(latest[-1]) if latest else _family(name)
    description = content.get("description") or (latest[-1].description if latest else "")
    parts = [
        f"# {markdown_text(name)}\n\n{markdown_text(description.capitalize())}.\n",
        _facts(content, family, unit, latest),
        f"## How to read it\n\n{_READING[family]}\n",
        _shown_in(figures),
        _history(name, series),
        _caught(caught),
        _numbers(name, unit, series, places),
    ]
    return "\n".join(filter(None, parts))


def _facts(content, family, unit, latest):
    """Return kind, unit and limit with its reason."""
    rows = [("family", family), ("unit", unit), ("limit", _limit_rule(content, unit))]
    if content:
        rows.append(("why this limit", content["reason"]))
    if latest:
        last = latest[-1]
        errors = last.standard_error and f", {last.limit / last.standard_error:.2f} standard errors"
        rows.append(("limit of the last run", f"{last.limit_text()} {unit}{errors or ''}"))
    return table("What it is", ("property", "value"), rows)


def _limit_rule(content, unit):
    """Return in words how the limit is found."""
    probability = criteria()["false_alarm_probability"]
    kind = content.get("kind")
    multiple = (
        f"standard errors that a correct run exceeds, in any of its statistics, with a probability "
        f"of {probability:g} (for twenty statistics {critical_value(20, probability):.1f})"
    )
    return {
        "exact": "0: nothing may differ",
        "statistical": f"as many {multiple}",
        "requirement": f"±{content.get('limit', math.nan):g} {unit}, or as many {multiple}, "
        "where they are more",
    }.get(kind, "that of an earlier version of the criteria")


def _shown_in(figures):
    """Return where the figure is that shows the metric."""
    if not figures:
        return ""
    links = ", ".join(link(words, place) for words, place in figures)
    return html_block(f"<p>The figure that shows it, in the last night: {links}.</p>")


def _history(name, series):
    """Return the picture of a metric's history."""
    if not series:
        return "## History\n\nNothing was measured yet.\n"
    file = page_name(name)
    runs = [run for each in series.values() for run in each]
    failed = [run for run in runs if name in run.worst and not run.worst[name].passed]
    told = (
        f"{len(failed)} of {len(runs)} runs over the limit, marked by a cross: "
        + ", ".join(f"{run.record.name} of {run.day}" for run in failed[-3:])
        if failed
        else f"none of {len(runs)} runs over the limit"
    )
    alt = markdown_text(
        f"History of {name} in {', '.join(series)}: {told}. The table further down has all numbers."
    )
    pictures = "".join(
        f"```{{image}} {file}-{scheme}.svg\n:alt: {alt}\n:class: only-{scheme}\n```\n\n"
        for scheme in ("light", "dark")
    )
    return (
        "## History\n\nThe metric of each run that is closest to its limit or furthest over it, "
        "with its standard error; the band is where it passes. A cross is over the limit, a "
        f"question mark could not be judged.\n\n{pictures}"
    )


def _numbers(name, unit, series, places):
    """Return the table of a metric's history."""
    runs = sorted(
        (run for each in series.values() for run in each),
        key=lambda run: run.started,
        reverse=True,
    )
    rows = [_history_row(run, run.worst.get(name), unit, places) for run in runs]
    heads = ("run (UTC)", "observation", "status", "value", "limit", "where", "build of jwst")
    caption = f"{name} in each run, the last one first"
    shown = table(caption, heads, rows, numbers=(3, 4), broken=False)
    return shown and f"## The same in numbers\n\n{shown}"


def _history_row(run, metric, unit, places):
    """Return a row of the table of a metric's history."""
    place = places.run(run)
    day = link(run.day, f"../{place}") if place else run.day
    if metric is None:
        judged = run.verdict is not None
        told = "not measured" if judged else badge(run.record.outcome)
        return (day, run.record.name, told, "–", "–", run.record.cause or "–", run.build)
    return (
        day,
        run.record.name,
        badge((Outcome.PASSED if metric.passed else Outcome.FAILED).word),
        f"{metric.value_text()} {unit}",
        f"{metric.limit_text()} {unit}",
        metric.place(),
        run.build,
    )


def _caught(caught):
    """Return the faults that a criterion catches."""
    words = (
        "## Faults that it catches\n\nThe background step was broken on purpose, in one way at a "
        "time, and judged; see [what the criteria can detect](../notebooks/detection_power.ipynb)."
    )
    if not caught:
        return f"{words} This metric noticed none of those faults.\n"
    rows = [
        (
            each.name,
            each.family,
            each.description,
            "this metric first" if each.first else "a cheaper one, too",
        )
        for each in caught
    ]
    heads = ("fault", "what is broken", "how", "noticed by")
    return f"{words}\n\n{table('Faults that it notices', heads, rows)}"


# ------------------------------------------------------------------ runs


def runs_page(standing, places):
    """Return the source of the list of runs that have a page."""
    rows = [
        (
            link(run.day, places.run(run).removeprefix("runs/")),
            run.record.name,
            badge(run.record.outcome),
            run.record.cause or "–",
            run.build,
            f"{run.record.seconds:.0f} s",
        )
        for run in reversed(places.runs)
    ]
    heads = ("run (UTC)", "observation", "outcome", "cause", "build of jwst", "time")
    number = len(standing.runs)
    return (
        f"# Runs\n\nRuns of the last nights, and the last good one of each observation. The "
        f"history has {number} in all: `miri-background history` lists and compares them.\n\n"
        + table("Runs that have a page", heads, rows, numbers=(5,), broken=False)
        + _toctree(
            [places.run(run).removeprefix("runs/").removesuffix(".html") for run in places.runs]
        )
    )


def run_page(standing, run, places):
    """Return the source of the page of a run.

    Parameters
    ----------
    standing : Standing
        What the history says.
    run : Run
        The run.
    places : Places
        Where other pages are.

    Returns
    -------
    str
        Markdown.
    """
    record = run.record
    links = []
    if places.observation(run):
        words = "its notebook" if places.has_notebook(run) else "what is left of it"
        links.append(link(words, f"../{places.observation(run)}"))
    before = standing.before(run)
    if before and places.run(before):
        links.append(link(f"the run before, {before.day}", f"../{places.run(before)}"))
    if not run.good:
        links.append(_last_good_link(standing, run, places.run))
    parts = [
        f"# {markdown_text(record.name)}, {run.day} UTC\n",
        _ending(record, "", links),
        _circumstances(run),
    ]
    if run.verdict is not None:
        parts += [_behaviours(run.verdict), _advisories(run.verdict), _drift(run.verdict)]
        parts += [_metrics(run.verdict), _provenance(run.verdict.provenance)]
    return "\n".join(filter(None, parts))


def _circumstances(run):
    """Return when, where and with what a run was made."""
    record = run.record
    told = run.verdict.provenance if run.verdict else {}
    observation, calibration = told.get("observation", {}), told.get("calibration", {})
    memory = told.get("peak_memory_bytes")
    commit = told.get("suite_commit")
    dirty = ", with changes" if told.get("suite_dirty") else ""
    rows = [
        ("night", record.night or "none"),
        ("started", f"{run.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("time", f"{record.seconds:.0f} s"),
        ("peak memory of a process", f"{memory / 1e9:.2f} GB" if memory else "–"),
        ("host", told.get("host", "–")),
        ("build of jwst", run.build),
        ("CRDS context", told.get("crds_context", "–")),
        ("simulator", told.get("simulator", "–")),
        ("seed", observation.get("seed", record.parameters.get("seed", "–"))),
        ("broken on purpose", calibration.get("control", record.parameters.get("control", "–"))),
        ("commit of the suite", f"{commit}{dirty}" if commit else "–"),
        ("run directory", record.directory),
    ]
    parts = ["## Circumstances\n\n" + table("Circumstances", ("what", "value"), rows)]
    if record.parameters:
        given = [(name, _value(value)) for name, value in sorted(record.parameters.items())]
        parts.append(table("What the notebook was given", ("parameter", "value"), given))
    if observation:
        observed = [(name, _value(value)) for name, value in observation.items()]
        parts.append(table("The observation", ("parameter", "value"), observed))
        choices = [(name, _value(value)) for name, value in calibration.items()]
        parts.append(table("The calibration", ("parameter", "value"), choices))
    return "\n".join(parts)


def _value(value):
    """Return a parameter as it is written in YAML."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def _provenance(told):
    """Return versions, references and inputs with their checksums."""
    parts = [
        "## Versions\n\n"
        + table(
            "Versions of packages", ("package", "version"), list(told.get("versions", {}).items())
        )
    ]
    fingerprint = told.get("pipeline_fingerprint")
    if fingerprint:
        parts.append(f"Fingerprint of the installed pipeline's source: `{fingerprint}`.\n")
    heads = ("file", "SHA-256")
    references = list(told.get("references", {}).items())
    parts.append(
        "## References\n\n"
        + (
            table("Reference files that the products name", heads, references)
            or "This run did not record which reference files it used.\n"
        )
    )
    parts.append(
        "## Inputs\n\n" + table("Input files", heads, list(told.get("inputs", {}).items()))
    )
    return "\n".join(parts)


def _behaviours(verdict):
    """Return what the step does where its documentation leaves a choice."""
    rows = [(each.aspect, each.name, each.known_in, each.worth) for each in verdict.behaviours]
    heads = ("aspect", "behaviour", "known in", "what it is worth")
    return rows and "## Behaviours\n\n" + table("Where there is a choice", heads, rows)


def _advisories(verdict):
    """Return what a user of the products should know."""
    rows = [(each.name, each.sentence, each.advice) for each in verdict.advisories]
    heads = ("about", "what is so", "what to do")
    return rows and "## What to know about these products\n\n" + table("Advisories", heads, rows)


def _drift(verdict):
    """Return what moved since the baseline."""
    drift = verdict.drift
    if drift is None:
        return ""
    rows = [
        (f"{each.name}, {place}", old, new, each.unit, difference, errors, limit, concerned)
        for each in drift.moved
        for place, old, new, difference, errors, limit, concerned in [each.cells()]
    ]
    heads = ("metric", "old", "new", "unit", "difference", "standard errors", "limit", "concerned")
    return f"## Since the baseline\n\n{markdown_text(drift.sentence())}\n\n" + table(
        "What moved", heads, rows
    )


def _metrics(verdict):
    """Return all metrics of a run."""
    rows = [
        (
            link(each.name, f"../metrics/{page_name(each.name)}.html"),
            each.place() + (each.detail and f": {each.detail}"),
            f"{each.value_text()} {each.unit}",
            f"{each.limit_text()} {each.unit}",
            badge((Outcome.PASSED if each.passed else Outcome.FAILED).word),
        )
        for each in verdict.metrics
    ]
    heads = ("metric", "where", "value", "limit", "status")
    listed = "## Metrics\n\n" + table(
        "All metrics of this run", heads, rows, numbers=(2, 3), broken=False
    )
    left_out = [(each.name, each.where, each.reason) for each in verdict.not_judged]
    if not left_out:
        return listed
    return listed + "\n## Not judged\n\n" + table("Not judged", ("what", "where", "why"), left_out)


# ------------------------------------------------------------------ documents


def documents_page(documents, places):
    """Return the source of the list of notebooks, documents and all pages.

    Parameters
    ----------
    documents : dict of str
        By page, its title.
    places : Places
        Where other pages are.

    Returns
    -------
    str
        Markdown.
    """
    listed = "\n".join(f"* [{markdown_text(title)}]({page})" for page, title in documents.items())
    observed = [
        (f"{run.record.name}, {run.day}", places.observation(run)) for run in places.observed
    ]
    metrics = [(name, f"metrics/{page_name(name)}.html") for name in criteria()["criteria"]]
    ran = [(f"run of {run.record.name}, {run.day}", places.run(run)) for run in places.runs]
    items = "".join(
        f"<li>{link(words, place)}</li>" for words, place in (*observed, *metrics, *ran)
    )
    return (
        "# Documents\n\nThe notebooks as they were committed, with their outputs, and what is "
        f"written about the suite.\n\n{listed}\n\n## All pages\n\n"
        + html_block(f'<ul class="columns">{items}</ul>')
        + _toctree([page.rsplit(".", 1)[0] for page in documents])
    )
