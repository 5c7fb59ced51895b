"""Files that the page of a run offers: numbers for programs, the notebook, and pictures."""

import json
from datetime import datetime
from functools import cached_property

import nbformat

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.junit import junit_error, junit_xml
from miri_background.reporting.pictured import description_of, pictures_since
from miri_background.reporting.report.page import CSV, metrics_csv

__all__ = ["RunFiles"]


class RunFiles:
    """What is left of a run, as files beside its page.

    Parameters
    ----------
    run : Run
        The run.
    directory : pathlib.Path
        Its run directory, which may be gone.
    notebook : nbformat.NotebookNode or None
        Its executed notebook.
    """

    def __init__(self, run, directory, notebook):
        self._run, self._directory, self._notebook = run, directory, notebook

    @cached_property
    def _pictures(self):
        """The pictures that this run has written, not an earlier one in its directory."""
        started = datetime.fromisoformat(self._run.record.started)
        return pictures_since(self._directory / "figures", started)

    @property
    def downloads(self):
        """What can be taken along: a dict of bytes by name; the notebook only where it is."""
        record, verdict = self._run.record, self._run.verdict
        texts = {}
        if verdict is not None:
            texts["metrics.json"] = json.dumps(record.verdict, indent=1, ensure_ascii=False) + "\n"
            texts[CSV] = metrics_csv(verdict.metrics)
        texts["junit.xml"] = self._junit()
        if self._notebook is not None:
            texts[f"{record.notebook}.ipynb"] = nbformat.writes(self._notebook) + "\n"
        return {name: text.encode() for name, text in texts.items()}

    def _junit(self):
        """Return how the run ended, as continuous integration reads it."""
        record, verdict = self._run.record, self._run.verdict
        if verdict is not None and record.outcome != Outcome.CANNOT_JUDGE.word:
            return junit_xml(verdict, record.name, record.seconds)
        cause = next((each for each in Cause if each.word == record.cause), Cause.PIPELINE)
        return junit_error(record.name, record.reason, cause, record.seconds)

    @property
    def pictures(self):
        """The pictures of the run's own page, dicts of name, alt, caption, width and height."""
        found = []
        for each in self._pictures:
            alt, caption, (width, height) = description_of(each.content)
            named = {"name": f"{each.name}.png", "alt": alt, "caption": caption}
            found.append(named | {"width": width, "height": height})
        return found

    def contents(self):
        """Return all files: a dict of bytes by name."""
        return self.downloads | {f"{each.name}.png": each.content for each in self._pictures}
