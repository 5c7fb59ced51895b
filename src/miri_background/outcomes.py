"""The outcomes of a validation: one list of words and exit codes for every reader.

Terminal, JSON, JUnit and pages all use these words.
"""

from enum import Enum

__all__ = ["CannotJudge", "CriterionFailed", "Outcome"]


class Outcome(Enum):
    """How a run ended: the word that people read and the exit code that machines read."""

    PASSED = ("passed", 0)
    FAILED = ("failed", 1)
    CANNOT_JUDGE = ("could not judge", 2)
    DRIFTED = ("passed, but drifted from the baseline", 3)

    def __init__(self, word, exit_code):
        self.word = word
        self.exit_code = exit_code


class CannotJudge(Exception):
    """Data, references, parameters or resources do not allow a verdict.

    The message is one sentence that names what is wrong, where, and what to do.
    """


class CriterionFailed(Exception):
    """At least one limit is broken; the message names number, unit and limit."""
