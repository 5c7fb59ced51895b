"""The page of a verdict: answer first, then pictures, table, advice and story."""

import csv
import io
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files

from markupsafe import Markup

from miri_background.rendering import TEMPLATES, Part, render
from miri_background.reporting.report.page_files import PAGE, PageFiles
from miri_background.validation.verdict.limits import Metric, severity

__all__ = ["SCALE", "Advised", "ReportPage", "day", "looks", "metrics_csv", "tables_of"]

CSV = "metrics.csv"
SCALE = 2.0  # pixels of pictures' files for each of a page: crisp on any screen
_THEME = ("reporting", "site", "theme", "static")


@dataclass(frozen=True)
class Advised:
    """Advice as a page shows it.

    Parameters
    ----------
    line : str
        What is recommended.
    sentences : sequence of str
        Why, and how sure it is.
    pictures : sequence of Pictured
        Its plot.
    caption : str
        Of the table.
    heads, rows : sequence
        The table of choices.
    """

    line: str
    sentences: tuple = ()
    pictures: tuple = ()
    caption: str = ""
    heads: tuple = ()
    rows: tuple = ()


@dataclass(frozen=True)
class ReportPage:
    """All that the page of a verdict has.

    Parameters
    ----------
    title : str
        What was judged.
    answer : Answer
        What stands first.
    when : str
        Day and time.
    verdict : Verdict or None
        With the metrics, where there is one.
    pictures : sequence of Pictured, optional
        Those on top.
    advice : Advised, optional
        Whether it could be better.
    story : Markup or str, optional
        HTML of the story.
    story_title : str, optional
        Its heading.
    story_files : dict of bytes, optional
        Files that the story shows, by their names.
    files : sequence of (str, str), optional
        Place and words of files that are linked.
    tables : sequence of (str, tuple, list), optional
        Folded tables of the end: title, heads and rows.
    """

    title: str
    answer: object
    when: str = ""
    verdict: object = None
    pictures: tuple = ()
    advice: Advised | None = None
    story: Markup | str = ""
    story_title: str = "The story"
    story_files: dict | None = None
    files: tuple = ()
    tables: tuple = ()

    def write(self, place, page=PAGE):
        """Write the page with the files that it shows.

        Parameters
        ----------
        place : path-like
            Directory.
        page : str, optional
            Name of the file.

        Returns
        -------
        list of pathlib.Path
            The page.

        Raises
        ------
        SetUpWrong
            If it would replace a file that this suite did not write.
        """
        target = PageFiles(place, page)
        assets = looks() | (self.story_files or {})
        pictures = list(self.pictures) + list(self.advice.pictures if self.advice else ())
        assets |= {f"{each.name}.png": each.content for each in pictures}
        linked = list(self.files)
        if self.verdict is not None:
            assets[CSV] = metrics_csv(self.verdict.metrics).encode()
            linked.append((f"{target.assets.name}/{CSV}", CSV))
        return target.write(self._html(target.assets.name, linked), assets)

    def _html(self, assets, linked):
        """Return the page, of which all that is shown is in a directory of assets."""
        findings, advisories = self.answer.remarks()
        verdict = self.verdict
        parts = {
            "pictures": ("Pictures", self.pictures),
            "criteria": ("Criteria", verdict),
            "advice": ("Could it be better?", self.advice),
            "story": (self.story_title, self.story),
            "about": ("About this verdict", [rows for _, _, rows in self.tables if rows]),
        }
        return render(
            "report/page.html.j2",
            title=self.title,
            when=self.when,
            assets=assets,
            outcome=self.answer.outcome,
            sentence=self.answer.sentence,
            scope=self.answer.scope,
            broken=self.answer.broken,
            findings=findings,
            advisories=advisories,
            contents=[(anchor, words) for anchor, (words, content) in parts.items() if content],
            files=linked,
            pictures=[_shown(each) for each in self.pictures],
            criteria=_criterion_rows(verdict) if verdict else [],
            metrics=_metric_rows(verdict) if verdict else [],
            not_judged=[(each.name, each.where or "–", each.reason) for each in verdict.not_judged]
            if verdict
            else [],
            advice=self.advice and _advice_shown(self.advice),
            story=self.story,
            story_title=self.story_title,
            tables=self.tables,
            version=version("miri-background-validation"),
        )


def looks():
    """Return style sheet and icon: those of the site, and what is the page's own."""
    package = files("miri_background")
    theme = package.joinpath(*_THEME)
    own = package.joinpath(TEMPLATES, "report", "report.css")
    style = theme.joinpath("site.css").read_bytes() + b"\n" + own.read_bytes()
    return {"report.css": style, "icon.svg": theme.joinpath("icon.svg").read_bytes()}


def _shown(pictured):
    """Return what a page has to know of a picture."""
    # A page without pictures is there at once.
    from miri_background.reporting.pictured import description_of

    alt, caption, size = description_of(pictured.content)
    width, height = (round(pixels / SCALE) for pixels in size)
    return {
        "file": f"{pictured.name}.png",
        "alt": alt,
        "width": width,
        "height": height,
        "caption": caption,
    }


def _advice_shown(advice):
    """Return advice with what a page has to know of its pictures."""
    return {
        "line": advice.line,
        "sentences": advice.sentences,
        "pictures": [_shown(each) for each in advice.pictures],
        "caption": advice.caption,
        "heads": advice.heads,
        "rows": advice.rows,
    }


def _status(metric):
    """Return whether a metric is within its limit, as a cell."""
    return Part(outcome=metric.status)


def _criterion_rows(verdict):
    """Return a row for each criterion, broken ones first."""
    summary = sorted(verdict.summary(), key=lambda row: (row[1] == row[2], -severity(row[0])))
    return [
        (
            worst.name,
            _status(worst),
            worst.value_text(),
            worst.limit_text(),
            worst.unit,
            worst.place() + (worst.detail and f": {worst.detail}"),
            f"{kept} of {number}",
            worst.description,
        )
        for worst, kept, number in summary
    ]


def _metric_rows(verdict):
    """Return a row for each metric, broken ones first."""
    return [
        (
            each.name,
            each.place() + (each.detail and f": {each.detail}"),
            _status(each),
            each.value_text(),
            each.limit_text(),
            each.unit,
            each.reason,
        )
        for each in sorted(verdict.metrics, key=lambda each: each.passed)
    ]


def metrics_csv(metrics):
    """Return metrics as a table of comma-separated values, RFC 4180.

    Parameters
    ----------
    metrics : list of Metric
        What was judged.

    Returns
    -------
    str
        A line of names, and a line for each metric.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(Metric.__dataclass_fields__))
    writer.writeheader()
    writer.writerows(asdict(each) for each in metrics)
    return stream.getvalue()


def day(started):
    """Return the time of a provenance, ISO 8601, as people read it."""
    return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M} UTC"


def tables_of(provenance):
    """Return the folded tables of what a verdict depends on.

    Parameters
    ----------
    provenance : dict
        Of a run or a check; empty if there is none.

    Returns
    -------
    list of (str, tuple, list)
        Title, heads and rows; tables without rows are not shown.
    """
    if not provenance:
        return []
    memory = provenance.get("peak_memory_bytes")
    circumstances = [
        ("directory", provenance.get("directory")),
        ("host", provenance.get("host")),
        ("started", provenance.get("started")),
        ("time", f"{provenance.get('wall_time_s', 0):.1f} s"),
        ("peak memory of a process", memory and f"{memory / 1e9:.2f} GB"),
        ("CRDS context", provenance.get("crds_context")),
        ("pipeline source", provenance.get("pipeline_fingerprint")),
        ("commit of the suite", provenance.get("suite_commit")),
    ]
    parameters = [
        (name, value if isinstance(value, str | int | float) else json.dumps(value))
        for kind in ("observation", "calibration")
        for name, value in provenance.get(kind, {}).items()
    ]
    return [
        ("Circumstances", ("what", "value"), [row for row in circumstances if row[1]]),
        ("Parameters", ("name", "value"), parameters),
        ("Versions", ("package", "version"), list(provenance.get("versions", {}).items())),
        ("References", ("file", "SHA-256"), list(provenance.get("references", {}).items())),
        ("Input files", ("file", "SHA-256"), list(provenance.get("inputs", {}).items())),
    ]
