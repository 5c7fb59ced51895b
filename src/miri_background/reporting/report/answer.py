"""The answer to a verdict in words: what stands first on a page, and in a notebook."""

from dataclasses import dataclass

import numpy as np

from miri_background.outcomes import Outcome, headline
from miri_background.rendering import render

__all__ = ["SCOPE", "Answer", "AnswerBox", "scope_of", "usable_part"]

SCOPE = "scope"  # in the metadata of the box's output: for what the answer speaks
_FIELDS = ("science", "background")
_NOT_YET = "No answer yet: it comes when the notebook has run to its end."


@dataclass(frozen=True)
class Answer:
    """How a run ended, and what has to be known first.

    Parameters
    ----------
    outcome : Outcome or None
        How it ended; None while it runs.
    sentence : str
        The answer.
    scope : str, optional
        For what it speaks.
    broken : sequence of str, optional
        The worst metric of each broken criterion, in words.
    findings, advisories : sequence, optional
        What has a name, a sentence and perhaps a member and an advice.
    """

    outcome: Outcome | None
    sentence: str
    scope: str = ""
    broken: tuple = ()
    findings: tuple = ()
    advisories: tuple = ()

    @classmethod
    def of(cls, verdict, scope=""):
        """Return the answer of a verdict.

        Parameters
        ----------
        verdict : Verdict
            Of a run or a check.
        scope : str, optional
            For what it speaks.

        Returns
        -------
        Answer
            Findings before advisories.
        """
        broken = tuple(f"{each}." for each in verdict.broken_criteria())
        sentence = verdict.sentence()
        if verdict.outcome is Outcome.DRIFTED:
            sentence = f"{sentence} {verdict.drift.sentence()}"
        remarks = verdict.findings, verdict.advisories
        return cls(verdict.outcome, sentence, scope, broken, *remarks)

    @classmethod
    def without_verdict(cls, outcome, reason, cause=None):
        """Return the answer of a run that came to no verdict.

        Parameters
        ----------
        outcome : Outcome
            How it ended.
        reason : str
            Why, in one sentence.
        cause : Cause, optional
            The kind of reason.

        Returns
        -------
        Answer
            What the cause stands for is its scope.
        """
        scope = f"Cause: {cause.word}, that is, {cause.meaning}." if cause else ""
        return cls(outcome, headline(outcome, reason, cause), scope)

    def remarks(self):
        """Return findings and advisories as plain records, which lack nothing."""
        return [
            [
                {
                    "name": each.name,
                    "member": getattr(each, "member", ""),  # of findings
                    "sentence": each.sentence,
                    "advice": each.advice,
                }
                for each in items
            ]
            for items in (self.findings, self.advisories)
        ]

    def __repr__(self):
        """Return the answer as text for a terminal."""
        findings, advisories = self.remarks()
        lines = [self.sentence, self.scope, *(f"  {each}" for each in self.broken)]
        lines += [
            f"  {kind}, {each['name']}: {each['sentence']}"
            for kind, items in (("finding", findings), ("advisory", advisories))
            for each in items
        ]
        return "\n".join(filter(None, lines))

    def _repr_html_(self):
        """Return the answer as a box for notebook and page."""
        findings, advisories = self.remarks()
        return render(
            "report/answer.html.j2", answer=self, findings=findings, advisories=advisories
        )


class AnswerBox:
    """The answer at the beginning of a notebook, which is filled when there is one."""

    def __init__(self):
        self._handle = None

    def show(self):
        """Show that there is no answer yet."""
        # Only a notebook has it; a check does without.
        from IPython.display import display

        self._handle = display(Answer(None, _NOT_YET), display_id=True)

    def answer(self, verdict, analysis=None, observation=None):
        """Show the answer in the place of the empty box.

        Parameters
        ----------
        verdict : Verdict
            Of the run.
        analysis : Analysis, optional
            The products with their expectation.
        observation : Observation, optional
            What was taken, for words that follow it.
        """
        scope = [_observed(observation)] if observation is not None else []
        if analysis is not None:
            scope.append(usable_part(analysis))
        if self._handle is not None:
            speaks_for = " ".join(filter(None, scope))
            self._handle.update(Answer.of(verdict, speaks_for), metadata={SCOPE: speaks_for})


def scope_of(notebook):
    """Return for what the answer of an executed notebook speaks, empty if it does not say so."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return next(filter(None, (each.get("metadata", {}).get(SCOPE) for each in outputs)), "")


def _observed(observation):
    """Return what was observed, in one sentence."""
    from miri_background.reporting.words import counted  # with the instrument's geometry

    fields = [
        f"{counted(getattr(observation, f'{field}_exposures'), 'exposure')} of the {field} field"
        for field in _FIELDS
    ]
    seen = f"{observation.filter}, {observation.subarray}"
    if observation.data != "simulated":
        return f"{seen}: {' and '.join(fields)}, {observation.data} data."
    stars = [counted(getattr(observation, f"{field}_stars"), "star") for field in _FIELDS]
    numbers = " and ".join(f"{each} with {of}" for each, of in zip(fields, stars, strict=True))
    return f"{seen}: {numbers} in the full array."


def usable_part(analysis):
    """Return in words for how many pixels a verdict on empty sky speaks.

    Parameters
    ----------
    analysis : Analysis
        The products with their expectation.

    Returns
    -------
    str
        One sentence; empty where nothing sees the sky.
    """
    lit = np.count_nonzero(analysis.masks.lit)
    if not lit:
        return ""
    judged = np.mean([np.count_nonzero(each) for each in analysis.residuals.judged])
    return (
        f"Exact criteria look at every pixel. Statistics speak for {100 * judged / lit:.0f} % of "
        f"the {lit:,} pixels that see the sky: the others have sources, flags or cosmic rays."
    )
