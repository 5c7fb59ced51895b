"""What programs read of a site: the state as JSON, a badge, and a feed of what changed."""

import json
from datetime import UTC, datetime
from importlib.metadata import version

from miri_background.outcomes import Outcome
from miri_background.rendering import render

__all__ = ["BADGE", "FEED", "STATUS", "machine_files"]

STATUS, BADGE, FEED = "status.json", "badge.svg", "feed.xml"
_SCHEMA_VERSION = 1
_ENTRIES = 50  # changes of state that a feed has, the latest first
_SUBJECT = "MIRI background"
_CHARACTER, _MARGIN = 6.6, 6  # width of a character of the badge's letters, and of its ends, pixels
# Grounds of the badge, on which white letters have a contrast of more than 4.5.
_COLOURS = {
    Outcome.PASSED.word: "#11632b",
    Outcome.FAILED.word: "#a3201a",
    Outcome.DRIFTED.word: "#5a3aa0",
}
_OTHER_COLOUR = "#6b4700"


def machine_files(standing):
    """Return the files of a site that programs read.

    Parameters
    ----------
    standing : Standing
        What the history says.

    Returns
    -------
    dict of str
        Contents by name.
    """
    return {
        STATUS: json.dumps(_status(standing), indent=1, ensure_ascii=False) + "\n",
        BADGE: _badge(standing.answer.outcome),
        FEED: _feed(standing),
    }


def _status(standing):
    """Return the answer of the front page, and how each observation of the night ended."""
    observations = []
    for name, run in standing.last.items():
        content = {"name": name, "outcome": standing.outcome(name)}
        if run is not None:
            good = standing.last_good(name, None if run.good else run)
            content |= {
                "cause": run.record.cause,
                "reason": run.record.reason,
                "jwst": run.build,
                "started": run.record.started,
                "since": standing.since(name).record.started,
                "last_good": None if good is None else good.record.started,
                "id": run.record.id,
            }
        observations.append(content)
    return {
        "schema_version": _SCHEMA_VERSION,
        "outcome": standing.answer.outcome,
        "sentence": standing.answer.sentence,
        "night": standing.night,
        "observations": observations,
        "slow_trends": standing.slow_trends,
        "problems": list(standing.problems),
        "written_by": f"miri-background {version('miri-background-validation')}",
    }


def _badge(outcome):
    """Return a badge with the outcome, as SVG."""
    widths = [round(_CHARACTER * len(words)) + 2 * _MARGIN for words in (_SUBJECT, outcome)]
    return render(
        "site/badge.svg.j2",
        subject=_SUBJECT,
        outcome=outcome,
        widths=widths,
        margin=_MARGIN,
        colour=_COLOURS.get(outcome, _OTHER_COLOUR),
    )


def _changes(standing):
    """Return the runs that ended otherwise than the run of the same name before, latest first."""
    found = []
    for name in standing.names:
        runs = standing.of(name)
        found += [
            (run, before)
            for before, run in zip([None, *runs[:-1]], runs, strict=True)
            if before is None or before.record.outcome != run.record.outcome
        ]
    return sorted(found, key=lambda pair: pair[0].started, reverse=True)[:_ENTRIES]


def _feed(standing):
    """Return a feed with an entry for each change of state, as Atom (RFC 4287)."""
    entries = [
        {
            "id": run.record.id,
            "updated": run.started.isoformat(),
            "title": f"{run.record.name}: {run.record.outcome}"
            + (f", was {before.record.outcome}" if before else ""),
            "content": run.record.reason or f"jwst {run.build}",
        }
        for run, before in _changes(standing)
    ]
    updated = entries[0]["updated"] if entries else datetime.fromtimestamp(0, UTC).isoformat()
    return render(
        "site/feed.xml.j2",
        subject=f"{_SUBJECT} validation",
        sentence=standing.answer.sentence,
        updated=updated,
        entries=entries,
    )
