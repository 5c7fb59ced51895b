"""A message when the state of an observation changes: to a webhook, or to a mail command."""

import shlex
import subprocess
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from miri_background.outcomes import Outcome
from miri_background.reporting.history import load

__all__ = ["Change", "Message", "changes_of", "state_of"]

_PATIENCE = 30.0  # s that a server, or a command, may take
_QUOTED = 200  # characters of an answer that a sentence quotes


@dataclass(frozen=True)
class Change:
    """An observation whose outcome is not that of the run before.

    Parameters
    ----------
    record : Record
        How it ended now.
    before : str
        Outcome of the run before.
    """

    record: object
    before: str

    def sentence(self):
        """Return what changed, and why."""
        now = Outcome.of(self.record.outcome)
        reason = f": {self.record.reason}" if self.record.reason else ""
        return f"{now.symbol} {self.record.name} {now.word}, was {self.before}{reason}"


def state_of(history):
    """Return how each observation ended last.

    Parameters
    ----------
    history : path-like
        Directory of the history, before the night is added to it.

    Returns
    -------
    dict of str
        Outcome by name.
    """
    return {record.name: record.outcome for record in load(history).records}


def changes_of(records, before):
    """Return the observations whose outcome changed.

    Parameters
    ----------
    records : iterable of Record
        Of a night.
    before : dict
        As `state_of` returns it.

    Returns
    -------
    list of Change
        One that was never observed before is no change if it passed.
    """
    passed = Outcome.PASSED.word
    pairs = [(record, before.get(record.name, passed)) for record in records]
    return [Change(record, old) for record, old in pairs if record.outcome != old]


class Message(BaseModel):
    """Where a message goes when something changed.

    Parameters
    ----------
    webhook : HttpUrl, optional
        Gets a JSON object by POST: ``text``, as chat servers show it, and the changes.
    command : str, optional
        As in a shell, such as ``mail -s "MIRI background" me@example.org``; gets the text on its
        standard input.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: HttpUrl | None = None
    command: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _goes_somewhere(self):
        if self.webhook is None and self.command is None:
            msg = "a message has neither a webhook nor a command"
            raise ValueError(msg)
        return self

    def send(self, night, changes):
        """Send what changed.

        Parameters
        ----------
        night : Night
            In which it changed.
        changes : list of Change
            At least one.

        Returns
        -------
        list of str
            A sentence for each way in which it could not be sent.
        """
        lines = [f"MIRI background validation: {night.outcome.word}", ""]
        text = "\n".join([*lines, *(each.sentence() for each in changes), "", f"{night.directory}"])
        problems = []
        if self.webhook is not None:
            content = {
                "text": text,
                "outcome": night.outcome.word,
                "night": night.directory.name,
                "changes": [
                    {
                        "name": each.record.name,
                        "outcome": each.record.outcome,
                        "before": each.before,
                        "cause": each.record.cause,
                        "reason": each.record.reason,
                        "id": each.record.id,
                    }
                    for each in changes
                ],
            }
            problems += self._post(content)
        if self.command is not None:
            problems += self._run(text)
        return problems

    def _post(self, content):
        """Send to the webhook, and return why that failed, if it did."""
        # Imported here: a plan is read in a fraction of the time that this takes.
        import requests

        # Only the name of the server: the rest of a webhook's address is often a secret.
        server = self.webhook.host
        try:
            answer = requests.post(str(self.webhook), json=content, timeout=_PATIENCE)
        except requests.RequestException as error:
            return [f"The webhook at {server} was not reached ({type(error).__name__})."]
        if answer.ok:
            return []
        said = " ".join(answer.text.split())[:_QUOTED]
        return [f"The webhook at {server} answered {answer.status_code} {answer.reason}: {said}"]

    def _run(self, text):
        """Give the text to the command, and return why that failed, if it did."""
        try:
            ended = subprocess.run(
                shlex.split(self.command),
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            reason = getattr(error, "strerror", None) or error
            return [f"The message command could not be run ({reason})."]
        if ended.returncode == 0:
            return []
        said = " ".join(ended.stderr.split())[:_QUOTED]
        return [f"The message command ended with exit code {ended.returncode}: {said}"]
