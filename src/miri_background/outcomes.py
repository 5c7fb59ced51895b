"""The outcomes of a validation: one list of words and exit codes for every reader.

Terminal, JSON, JUnit, history and pages all use these words.
"""

import errno
import os
from enum import Enum

__all__ = [
    "CannotJudge",
    "Cause",
    "CriterionFailed",
    "DirectoryRefused",
    "DiskFailed",
    "MemoryFailed",
    "Outcome",
    "PipelineFailed",
    "ReferencesUnfit",
    "SetUpWrong",
    "TimeLimitReached",
    "cause_of",
    "error_in_words",
    "headline",
    "is_cannot_judge",
    "printable",
    "unforeseen",
    "with_cause",
    "worst",
]


# How the system says that a disk, a quota or a limit of file sizes leaves no space.
_NO_SPACE = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))


class Outcome(Enum):
    """How a run ended: the word that people read and the exit code that machines read.

    The symbol stands beside the word in tables and on pages, never alone.
    """

    PASSED = ("passed", 0, "✓")
    FAILED = ("failed", 1, "✗")
    CANNOT_JUDGE = ("could not judge", 2, "?")
    DRIFTED = ("passed, but drifted from the baseline", 3, "~")

    def __init__(self, word, exit_code, symbol):
        self.word = word
        self.exit_code = exit_code
        self.symbol = symbol

    @classmethod
    def of(cls, word):
        """Return the outcome of a word, as files keep it."""
        return next(each for each in cls if each.word == word)

    def marked(self):
        """Return symbol and word."""
        return f"{self.symbol} {self.word}"


# Failed is the worst: it is what the suite is there to find, and no full disk may hide it.
_FROM_BAD_TO_GOOD = (Outcome.FAILED, Outcome.CANNOT_JUDGE, Outcome.DRIFTED, Outcome.PASSED)


def worst(outcomes):
    """Return the worst of outcomes: failed, could not judge, drifted, passed, in this order.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of several runs.

    Returns
    -------
    Outcome
        Could not judge if there are none.
    """
    return min(outcomes, key=_FROM_BAD_TO_GOOD.index, default=Outcome.CANNOT_JUDGE)


class Cause(Enum):
    """Why a run could not be judged: the word that all readers get, and what it stands for."""

    DATA = ("data", "what was to be judged is missing, damaged, or does not belong together")
    REFERENCES = ("references", "reference files or CRDS rules are missing or unfit")
    MEMORY = ("memory", "a process ran out of memory")
    DISK = ("disk", "there is too little space, or a place cannot be written")
    DEAD_KERNEL = ("dead kernel", "the notebook's kernel died, most likely for lack of memory")
    TIME_LIMIT = ("time limit", "the run took longer than it may")
    PIPELINE = ("pipeline", "the pipeline, or a cell of the notebook, raised an error")
    SET_UP = ("set-up", "a parameter, a file of settings or the environment is wrong")

    def __init__(self, word, meaning):
        self.word = word
        self.meaning = meaning


class CannotJudge(Exception):
    """Data, references, parameters or resources do not allow a verdict.

    The message is one sentence that names what is wrong, where, and what to do.  The class
    has the cause, because a notebook's error is known by its class name and message only.
    """

    cause = Cause.DATA


class ReferencesUnfit(CannotJudge):
    """Reference files, or the rules that select them, do not allow a verdict."""

    cause = Cause.REFERENCES


class MemoryFailed(CannotJudge):
    """Memory was not enough for a verdict."""

    cause = Cause.MEMORY


class DiskFailed(CannotJudge):
    """Space or permission on a disk was not enough for a verdict."""

    cause = Cause.DISK


class TimeLimitReached(CannotJudge):
    """What was started took longer than it may."""

    cause = Cause.TIME_LIMIT


class PipelineFailed(CannotJudge):
    """The pipeline ended with an error of its own."""

    cause = Cause.PIPELINE


class SetUpWrong(CannotJudge):
    """A parameter, a file of settings or the environment does not allow a verdict."""

    cause = Cause.SET_UP


class DirectoryRefused(SetUpWrong):
    """A run directory is that of others, who may be using it: nothing is written there."""


class CriterionFailed(Exception):
    """At least one limit is broken; the message names number, unit and limit."""


def cause_of(name, message=""):
    """Return the cause that an error's class name stands for, as a notebook reports it.

    Parameters
    ----------
    name : str
        Name of the class of the error.
    message : str, optional
        Its message.

    Returns
    -------
    Cause
        That of a `CannotJudge`; memory or disk for what Python itself raises; the pipeline for
        anything else, which nobody foresaw.
    """
    foreseen = {each.__name__: each.cause for each in _with_subclasses(CannotJudge)}
    if name in foreseen:
        return foreseen[name]
    if name == MemoryError.__name__:
        return Cause.MEMORY
    if any(words in message for words in _NO_SPACE):
        return Cause.DISK
    return Cause.PIPELINE


def is_cannot_judge(name):
    """Return whether a class name is that of a `CannotJudge`, whose message is for people."""
    return any(each.__name__ == name for each in _with_subclasses(CannotJudge))


def error_in_words(error):
    """Return an error's class and message on one line, as a part of a sentence.

    Parameters
    ----------
    error : BaseException
        Any error.

    Returns
    -------
    str
        Without a full stop.
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")


def unforeseen(error, message):
    """Return what to raise in place of an error that others raised.

    Parameters
    ----------
    error : BaseException
        Any error.
    message : str
        One sentence that says what is wrong, where, and what to do.

    Returns
    -------
    CannotJudge
        Of the class that has the cause.
    """
    # CRDS leaves the process where it finds no configuration.
    if isinstance(error, SystemExit) or _is_of_crds(error):
        return ReferencesUnfit(message)
    return with_cause(cause_of(type(error).__name__, str(error)), message)


def with_cause(cause, message):
    """Return what to raise for a cause.

    Parameters
    ----------
    cause : Cause
        Why there is no verdict.
    message : str
        One sentence that says what is wrong, where, and what to do.

    Returns
    -------
    CannotJudge
        Of the class that has the cause.
    """
    return next(each for each in _with_subclasses(CannotJudge) if each.cause is cause)(message)


def _is_of_crds(error):
    """Return whether CRDS, which selects and fetches references, raised an error."""
    return type(error).__module__.partition(".")[0] == "crds"


def _with_subclasses(errors):
    """Return a class of errors and all below it."""
    below = errors.__subclasses__()
    return [errors, *(each for one in below for each in _with_subclasses(one))]


def printable(text):
    """Return a sentence in one line, without what a terminal would take for an instruction.

    Names of files and what associations say may have any character.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        What cannot be printed is written as in Python.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def headline(outcome, reason="", cause=None):
    """Return how a run ended as one line for terminal and page.

    Parameters
    ----------
    outcome : Outcome
        How it ended.
    reason : str, optional
        One sentence.
    cause : Cause, optional
        Why it could not be judged.

    Returns
    -------
    str
        Such as ``COULD NOT JUDGE (disk): sentence``.
    """
    word = outcome.word.upper() + (f" ({cause.word})" if cause else "")
    return f"{word}: {reason}" if reason else word
