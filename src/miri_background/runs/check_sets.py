"""Judging a directory with several sets of backgrounds: each set, and all in one summary."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files

from miri_background.files import write_text_whole
from miri_background.outcomes import CannotJudge, Outcome, headline, printable, worst
from miri_background.places import writable
from miri_background.reporting.junit import joined, junit_error, junit_xml
from miri_background.reporting.report.page_files import PageFiles
from miri_background.runs.check import (
    OWN_RESULTS,
    SETS,
    check_set,
    ending,
    report,
    results_place,
    write_check,
)
from miri_background.runs.check_page import page_of_sets
from miri_background.schemas import require
from miri_background.tables import text_table

__all__ = ["Summary", "judge_sets", "sets_schema"]

_SCHEMA_VERSION = 1  # of the metrics.json of several sets
_LONGEST = 100  # characters of the name of a directory
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.+-]")


@dataclass(frozen=True)
class _SetSummary:
    """How the products that share one set of backgrounds were judged.

    Parameters
    ----------
    content : dict
        What the summary says of them.
    outcome : Outcome
        How they were judged.
    junit : str
        Document for continuous integration.
    """

    content: dict
    outcome: Outcome
    junit: str


class Summary:
    """How all sets of a directory were judged.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the products.
    place : pathlib.Path
        Where the results are written.
    started : datetime.datetime
        When the check began.
    page : bool, optional
        Whether there is a page of all, which leads to those of the sets.
    """

    def __init__(self, directory, place, started, page=True):
        self._directory, self._place, self._started = directory, place, started
        self._page = page
        self._sets = []
        self._left_out, self._without = (), ()

    @property
    def outcome(self):
        """The worst of all: failed, could not judge, drifted, passed, in this order."""
        return worst(each.outcome for each in self._sets)

    def add(self, summary):
        """Add a set that was judged."""
        self._sets.append(summary)

    def leave_out(self, found):
        """Note what no set names, once all were read."""
        self._left_out, self._without = found.left_out(), found.without_backgrounds

    def text(self):
        """Return the summary as lines for a terminal."""
        rows = [
            (
                each.content["name"],
                f"{len(each.content['science'])} + {len(each.content['backgrounds'])}",
                each.outcome.marked(),
            )
            for each in self._sets
        ]
        lines = [text_table(("set of backgrounds", "exposures", "outcome"), rows)]
        lines += [
            f"not judged: {', '.join(names)} ({reason})" for names, reason in self._not_judged()
        ]
        return "\n".join(lines)

    def _not_judged(self):
        """Return what no set has, and why."""
        several = (
            (self._left_out, "no association names its exposure"),
            (self._without, "its association has no background members"),
        )
        return [(names, reason) for names, reason in several if names]

    def ending(self):
        """Return the last line: the outcome, and how many sets have which."""
        numbers = [
            f"{number} {outcome.word}"
            for outcome in Outcome
            if (number := sum(each.outcome is outcome for each in self._sets))
        ]
        return f"{self.outcome.word.upper()}: of {len(self._sets)} sets {', '.join(numbers)}."

    def content(self):
        """Return what metrics.json holds, checked against its schema."""
        content = {
            "schema_version": _SCHEMA_VERSION,
            "outcome": self.outcome.word,
            "exit_code": self.outcome.exit_code,
            "provenance": {
                "kind": "check of sets",
                "directory": str(self._directory.resolve()),
                "started": self._started.isoformat(),
                "wall_time_s": (datetime.now(UTC) - self._started).total_seconds(),
            },
            "sets": [each.content for each in self._sets],
            "left_out": list(self._left_out),
            "without_backgrounds": list(self._without),
        }
        require(content, sets_schema)
        return content

    def json_text(self):
        """Return metrics.json as text."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False) + "\n"

    def write(self):
        """Write metrics.json, junit.xml and the page of all sets.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        CannotJudge
            If they cannot be written.
        """
        texts = {
            "metrics.json": self.json_text(),
            "junit.xml": joined(each.junit for each in self._sets),
        }
        with writable(self._place):
            for name, text in texts.items():
                write_text_whole(self._place / name, text, ours=OWN_RESULTS[name])
            pages = []
            if self._page:
                page = page_of_sets(
                    self._directory, self.content(), self.ending(), self._not_judged(), texts
                )
                pages = page.write(self._place)
        return [*(self._place / name for name in texts), *pages]


@lru_cache(maxsize=1)
def sets_schema():
    """Return the JSON schema of the metrics.json of several sets."""
    return json.loads((files(__package__) / "sets.schema.json").read_text(encoding="utf-8"))


def judge_sets(found, output=None, stream=None, page=True, **choices):
    """Judge all sets of a directory, one after the other, and write what was found.

    Parameters
    ----------
    found : ProductSets
        Several.
    output : path-like, optional
        Where results are written: of all together there, and of each in ``sets`` below.
    stream : file, optional
        Where each verdict is printed.
    page : bool, optional
        Whether each set has a page, and all together.
    **choices
        Others of `check_set`.

    Returns
    -------
    Summary
        Of all; its own files are not yet written.

    Raises
    ------
    CannotJudge
        If the results of a set cannot be written.
    """
    place = results_place(found.directory, output)
    summary = Summary(found.directory, place, datetime.now(UTC), page)
    if page:
        # That of an earlier check of one set speaks of none of these.
        PageFiles(place).remove()
    names = set()
    for chosen in found.sets:
        name = _directory_name(chosen.name, names)
        print(f"\n— {chosen.name} —", file=stream)
        # Nothing is kept of what was judged: a directory may have a hundred sets.
        summary.add(_judged(found, chosen, place / SETS / name, stream, page, choices))
    summary.leave_out(found)
    return summary


def _judged(found, chosen, place, stream, page, choices):
    """Judge one set, print and write its verdict, and return its summary."""
    members = {
        "science": [each.science.name for each in chosen.associated],
        "backgrounds": [path.name for each in chosen.associated[:1] for path in each.backgrounds],
    }
    content = {"name": chosen.name, "directory": f"{SETS}/{place.name}", **members}
    try:
        judged = check_set(found, chosen, **choices)
    except CannotJudge as error:
        outcome = Outcome.CANNOT_JUDGE
        print(headline(outcome, printable(str(error)), error.cause), file=stream)
        junit = junit_error(chosen.name, str(error), error.cause)
        with writable(place):
            write_text_whole(place / "junit.xml", junit, ours=OWN_RESULTS["junit.xml"])
        said = {"sentence": str(error), "cause": error.cause.word}
    else:
        outcome = judged.verdict.outcome
        if outcome is Outcome.FAILED:
            print(report(judged), file=stream)
        print(ending(judged), file=stream)
        for path in write_check(judged, place, page=page):
            print(f"Written: {path}", file=stream)
        seconds = judged.verdict.provenance["wall_time_s"]
        junit = junit_xml(judged.verdict, judged.name, seconds)
        said = {"sentence": ending(judged)}
    content |= {"outcome": outcome.word, "exit_code": outcome.exit_code, **said}
    return _SetSummary(content, outcome, junit)


def _directory_name(name, names):
    """Return the name of a set's directory, which no other set has."""
    plain = _NOT_IN_NAMES.sub("_", name)[:_LONGEST].lstrip(".") or "set"
    unique, number = plain, 1
    while unique in names:
        number += 1
        unique = f"{plain}-{number}"
    names.add(unique)
    return unique
