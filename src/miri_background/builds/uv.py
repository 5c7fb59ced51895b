"""How uv is called, which makes environments, and how it says what is wrong."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from miri_background.builds.index import uv_settings
from miri_background.outcomes import Cause, SetUpWrong
from miri_background.settings import suite_cache

__all__ = ["Answer", "NoEnvironment", "ask_uv", "builds_home", "cache_of"]

# s that a question to the package index may take
_PATIENCE = 120.0
# Settings of this process that would let uv work on, or build with, another environment, and
# those of uv that are for other packages.
_NOT_HANDED_ON = (
    *("CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
    *("UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_OVERRIDE", "UV_PYTHON", "UV_REQUIRE_HASHES"),
)
_FIXED = {
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
}
_LINES_QUOTED = 300  # characters of what uv says that a sentence quotes


class NoEnvironment(SetUpWrong):
    """A build of the pipeline has no environment, and cannot be given one here and now.

    Parameters
    ----------
    message : str
        One sentence that names what is wrong, where, and what to do.
    cause : Cause, optional
        Why.
    """

    def __init__(self, message, cause=Cause.SET_UP):
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Answer:
    """What uv answered.

    Parameters
    ----------
    code : int
        0 if it did what it was asked for, 1 if requirements cannot be met, 2 for other errors.
    output, messages : str
        What it printed for programs, and for people.
    """

    code: int
    output: str
    messages: str

    @property
    def reason(self):
        """What uv says is the matter: the innermost cause, on one line without a full stop."""
        lines = self.messages.splitlines()
        errors = [number for number, line in enumerate(lines) if line.startswith("error:")]
        block = lines[errors[-1] :] if errors else lines
        # What uv guesses that its user may want is not the cause.
        hints = [number for number, line in enumerate(block) if line.startswith("hint:")]
        block = [line.strip() for line in block[: hints[0] if hints else None] if line.strip()]
        if not block:
            return f"exit code {self.code}"
        causes = [number for number, line in enumerate(block) if line.startswith("cause:")]
        innermost = block[causes[-1] if causes else 0 :]
        if not {"[stderr]", "--- stderr"}.isdisjoint(innermost):
            # Of a compiler or of git, the last line.
            innermost = innermost[-1:]
        text = " ".join(" ".join(innermost).removeprefix("cause:").removeprefix("error:").split())
        if len(text) > _LINES_QUOTED:
            text = text[:_LINES_QUOTED] + "…"
        return text.rstrip(".")


def builds_home():
    """Return the directory that environments are kept in between runs, unless one is named."""
    return suite_cache() / "builds"


def cache_of(home):
    """Return the cache of uv that belongs to a directory of environments.

    It is in the directory itself: environments consist of hard links to it, which are possible
    on one file system only, and what builds take is removed with them.
    """
    return Path(home) / ".uv-cache"


@cache
def _settings_of_index():
    """Return the settings of pip, which do not change while this process runs."""
    return uv_settings()


def _program():
    """Return the words that call uv."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if found is None:
        msg = (
            "Builds of the pipeline get their environments from uv, which is not installed: "
            f"install it with '{sys.executable} -m pip install uv'."
        )
        raise NoEnvironment(msg)
    return [found]


def ask_uv(*arguments, home, given="", patience=_PATIENCE, kept=(), **environment):
    """Call uv, and return its answer.

    Parameters
    ----------
    *arguments : str or path-like
        Command and options.
    home : path-like
        Directory of environments, whose cache is used.
    given : str, optional
        Standard input.
    patience : float, optional
        Seconds that it may take.
    kept : sequence of int, optional
        Descriptors of locks that are to be held as long as uv runs, even if this process is
        killed before.
    **environment : str
        Environment variables.

    Returns
    -------
    Answer
        Of an error, too.

    Raises
    ------
    NoEnvironment
        If there is no uv, or it takes longer.
    """
    own = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
    # Of several indexes, whichever has the release of the right date.
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"} | _settings_of_index() | own | _FIXED
    words = [*_program(), "--no-config", "--cache-dir", cache_of(home), *arguments]
    with subprocess.Popen(
        words,
        env=settings | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        pass_fds=kept,
        start_new_session=True,  # so that compilers that it starts can be ended with it
    ) as process:
        try:
            output, messages = process.communicate(given, patience)
        except subprocess.TimeoutExpired:
            msg = (
                f"`uv {arguments[0]}` did not end within {patience:g} s and was stopped: "
                "see whether the package index answers, and try again."
            )
            raise NoEnvironment(msg, Cause.TIME_LIMIT) from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return Answer(process.returncode, output, messages)
