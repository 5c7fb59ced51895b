"""How the run of a notebook ended, and which files it left."""

from dataclasses import dataclass
from pathlib import Path

from miri_background.outcomes import Cause, Outcome, headline
from miri_background.reporting.report.page_files import page_file
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.verdict import Verdict

__all__ = ["NotebookRun", "former_run", "results_of"]


@dataclass(frozen=True)
class NotebookRun:
    """How a run of the notebook ended.

    Parameters
    ----------
    outcome : Outcome
        Passed, failed, could not judge, or drifted.
    reason : str
        One sentence on what failed, why there is no verdict, or what changed; empty if passed.
    cause : Cause or None
        Why there is no verdict; None where there is one.
    verdict : Verdict or None
        Metrics, if the run came so far.
    notebook, page : pathlib.Path
        Executed notebook and its HTML page.
    """

    outcome: Outcome
    reason: str
    cause: Cause | None
    verdict: Verdict | None
    notebook: Path
    page: Path

    @property
    def has_verdict(self):
        """Whether the outcome is that of the verdict, whatever came after it."""
        return self.verdict is not None and self.verdict.outcome is self.outcome

    def text(self):
        """Return table, drift, outcome and places as text for a terminal."""
        parts = []
        if self.verdict is not None:
            parts.append(self.verdict.text_table())
            drift = self.verdict.drift
            if drift is not None:
                # The last line has the sentence of a run that drifted.
                changes = drift.table() if self.outcome is Outcome.DRIFTED else drift.text()
                parts.append(changes.rstrip())
        places = f"Page:     {self.page}\nNotebook: {self.notebook}"
        parts.append(f"{headline(self.outcome, self.reason, self.cause)}\n{places}")
        return "\n\n".join(parts)


def former_run(name, run, outcome, reason):
    """Return how a run ended that is not repeated.

    Parameters
    ----------
    name : str
        Which notebook, one of `runs.names.NAMES`.
    run : RunDirectory
        Where it ended with a verdict.
    outcome : Outcome
        Of the verdict.
    reason : str
        Why.

    Returns
    -------
    NotebookRun
        With the verdict and the files that are there.
    """
    return NotebookRun(
        outcome, reason, None, load_metrics(run.metrics), *results_of(run.root, name)
    )


def results_of(directory, name):
    """Return the paths of an executed notebook and its page."""
    return directory / f"{name}.ipynb", directory / page_file(name)
