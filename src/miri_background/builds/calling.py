"""Calling a pipeline build in its own environment, with limits of time and memory."""

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from miri_background.outcomes import CannotJudge
from miri_background.places import writable
from miri_background.reading import read_json

__all__ = ["Called", "Limits", "RunningBuild"]

_RUNNER = Path(__file__).with_name("runner.py")
# Of the suite's own Python: they keep another one from starting, or change what it warns of.
_NOT_FOR_OTHERS = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONSTARTUP", "VIRTUAL_ENV", "MPLBACKEND"),
    "PYTHONDONTWRITEBYTECODE",  # compiled once, an environment is imported faster
    *("CRDS_CONTEXT", "CRDS_PATH", "CRDS_SERVER_URL", "CRDS_MODE", "CRDS_READONLY_CACHE"),
    "STPIPE_LOGCFG",
)
_IMPORTING = 300.0  # s that an import may take, of a disk of a network
_BETWEEN_LOOKS = 0.1  # s, at time and memory of a call


@dataclass(frozen=True)
class Limits:
    """What one call of a build may take.

    Parameters
    ----------
    seconds : float
        Wall time.
    memory : float
        Resident memory of its processes, bytes.
    """

    seconds: float = 600.0
    memory: float = 6e9


@dataclass(frozen=True)
class Called:
    """How a call of a build ended.

    Parameters
    ----------
    ending : str
        "ended", "crashed", "timed out", "took too much memory" or "died".
    error : str
        Type and message of the exception, or how the process died; empty if neither.
    where : str
        The last place of the pipeline in its traceback: file, line and source.
    seconds : float
        Wall time, without imports.
    memory : float
        Most resident memory that was seen, bytes.
    """

    ending: str
    error: str
    where: str
    seconds: float
    memory: float


class RunningBuild:
    """A process that has imported a build; use as a context manager.

    Parameters
    ----------
    python : path-like
        Interpreter of the build's environment.
    log : path-like
        What imports print.
    crds_server : str
        CRDS_SERVER_URL, which is read on import.
    limits : Limits, optional
        What each call may take.
    """

    def __init__(self, python, log, crds_server, limits=None):
        self._python, self._log, self._server = python, Path(log), crds_server
        self._limits = limits or Limits()
        self._process = None

    def __enter__(self):
        """Return it; it starts with its first call."""
        return self

    def stop(self):
        """End the process, and all that it has started, whoever waits for it."""
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def __exit__(self, *_):
        """End the process, and all that it has started."""
        if self._process is None:
            return
        self.stop()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()
        self._process = None

    def _start(self):
        """Start the process."""
        inherited = {name: os.environ[name] for name in os.environ if name not in _NOT_FOR_OTHERS}
        chosen = {"PYTHONNOUSERSITE": "1", "CRDS_SERVER_URL": self._server}
        with writable(self._log.parent):
            self._log.parent.mkdir(parents=True, exist_ok=True)
            stream = self._log.open("wb")
        with stream:
            try:
                self._process = subprocess.Popen(
                    [str(self._python), "-u", str(_RUNNER)],
                    env=inherited | chosen,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    # What was read ahead could not be waited for.
                    bufsize=0,
                    start_new_session=True,  # so that all its processes can be ended together
                )
            except OSError as error:
                msg = (
                    f"The Python of a build, {self._python}, could not be started "
                    f"({error.strerror or error}): remove its environment, to have it made anew."
                )
                raise CannotJudge(msg) from error

    def call(self, job, directory, environment):
        """Carry a job out, and return how that ended.

        Parameters
        ----------
        job : dict
            As `runner` takes it, without places, but for another current directory.
        directory : pathlib.Path
            Current directory of the call; job, result and log are written there.
        environment : dict
            Environment variables.

        Returns
        -------
        Called
            How it ended.

        Raises
        ------
        CannotJudge
            If the directory cannot be written, or the interpreter cannot be started.
        """
        if self._process is None:
            self._start()
        places = {name: str(directory / f"{name}.txt") for name in ("result", "log")}
        asked = directory / "job.txt"
        content = {"directory": str(directory)} | job | places | {"environment": environment}
        with writable(directory):
            asked.write_text(json.dumps(content, indent=1), encoding="utf-8")
        self._say(f"{asked}\n")
        number = self._answer(time.monotonic() + self._limits.seconds + _IMPORTING)
        if number is None:
            self.__exit__()
            return Called("timed out", "the build is not imported", "", _IMPORTING, 0.0)
        if not number:
            code = self._process.wait()
            self.__exit__()
            return Called("died", f"exit code {code}: {_last_line(self._log)}", "", 0.0, 0.0)
        began = time.monotonic()
        stopped, memory, code = self._watched(int(number), began)
        seconds = time.monotonic() - began
        if stopped:
            return Called(stopped, "", "", seconds, memory)
        try:
            said = read_json(Path(places["result"]))
        except (OSError, ValueError):
            error = f"exit code {code}: {_last_line(Path(places['log']))}"
            return Called("died", error, "", seconds, memory)
        ending = "crashed" if said["error"] else "ended"
        return Called(ending, said["error"], said["where"], seconds, memory)

    def _say(self, line):
        """Write a line to the process; what has died is seen by its silence."""
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _answer(self, until):
        """Return what the process answers: empty if it has ended, None if it does not in time."""
        patience = max(0.0, until - time.monotonic())
        if not select.select([self._process.stdout], [], [], patience)[0]:
            return None
        # Answers are short, and written at once.
        return self._process.stdout.readline().decode().partition(" ")[2].strip()

    def _watched(self, number, began):
        """Wait for a call, and return why it was stopped, if it was, its memory and its code."""
        memory, stopped = 0.0, ""
        while True:
            code = self._answer(time.monotonic() + _BETWEEN_LOOKS)
            if code is not None:
                return stopped, memory, code or "unknown"
            memory = max(memory, _memory(number))
            if memory > self._limits.memory:
                stopped = "took too much memory"
            elif time.monotonic() - began > self._limits.seconds:
                stopped = "timed out"
            if stopped:
                _kill(number)


def _family(number):
    """Return a process and its children."""
    with suppress(psutil.Error):
        process = psutil.Process(number)
        return [process, *process.children(recursive=True)]
    return []


def _memory(number):
    """Return the resident memory of a process and its children, bytes."""
    total = 0
    for each in _family(number):
        with suppress(psutil.Error):
            total += each.memory_info().rss
    return total


def _kill(number):
    """Kill a process and its children."""
    for each in _family(number):
        with suppress(psutil.Error):
            each.kill()


def _last_line(path):
    """Return the last line of a log that says something."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
