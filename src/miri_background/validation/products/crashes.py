"""The last error of a pipeline that ended before it wrote its products, from its log."""

import os
import re

from miri_background.outcomes import CannotJudge, PipelineFailed
from miri_background.reading import open_regular

__all__ = ["last_error", "missing_product"]

_MOST = 2_000_000  # bytes of the end of a log
_LONGEST = 300  # characters of what is quoted
_MOST_LOGS = 100
# "2026-01-02 03:04:05,678 - stpipe.Image2Pipeline - ERROR - words", as stpipe writes it; newer
# ones name the module, and leave out the part before it.
_LOGGED = re.compile(r"^\S*[\d:, .-]* - (?P<name>\S+) - (?P<level>[A-Z]+) - (?P<words>.*)$")
_BAD = ("ERROR", "CRITICAL")
# The last line of a traceback names the exception's class, and stands at its beginning.
_RAISED = re.compile(
    r"^(?P<name>[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning|Fault))(: (?P<words>.*))?$"
)
_TRACEBACK = "Traceback (most recent call last):"
_DONE = re.compile(r"Step \w*Pipeline done")  # what was logged before did no harm


def last_error(path):
    """Return the last error that a log has, as one line.

    Parameters
    ----------
    path : pathlib.Path
        A log as stpipe writes it, or what a terminal showed.

    Returns
    -------
    str
        Empty if there is none, or the log cannot be read.
    """
    try:
        with open_regular(path) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _MOST))
            lines = stream.read(_MOST).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found, in_traceback = "", False
    for line in lines:
        if _TRACEBACK in line:
            in_traceback = True
        elif in_traceback and (raised := _RAISED.match(line)):
            found, in_traceback = raised.group(0), False
        elif _DONE.search(line):
            found = ""
        elif (
            (logged := _LOGGED.match(line))
            and logged["level"] in _BAD
            and _says_more(logged["words"], found)
        ):
            found = logged["words"]
    found = " ".join(found.split())
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…"


def _says_more(words, found):
    """Return whether a logged line is more than the beginning of what is known."""
    return bool(words.strip()) and not found.startswith(words)


def missing_product(what, advice, files):
    """Return what to raise for a file that is not there.

    Parameters
    ----------
    what : str
        Which file is missing, as the beginning of a sentence.
    advice : str
        What to do, as its end.
    files : Files
        Those of the directory: where a log of the pipeline says why, it is quoted.

    Returns
    -------
    CannotJudge
        Of the pipeline's own class if it has crashed.
    """
    logs = files.named(lambda name: name.endswith(".log"))
    logs = sorted(logs, key=_modified, reverse=True)[:_MOST_LOGS]
    for path in logs:
        error = last_error(path)
        if error:
            return PipelineFailed(
                f'{what}, and {path} ends with "{error.rstrip(". ")}": mend what it names, and '
                "run the pipeline again."
            )
    return CannotJudge(f"{what}: {advice}.")


def _modified(path):
    """Return when a file was written, the earliest time if it cannot be known."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
