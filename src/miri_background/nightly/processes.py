"""Work in processes of its own: with a log, a time limit, and an end that leaves nothing behind."""

import contextlib
import multiprocessing
import os
import secrets
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from miri_background.outcomes import (
    CannotJudge,
    MemoryFailed,
    Outcome,
    TimeLimitReached,
    error_in_words,
    headline,
    unforeseen,
)

__all__ = ["Ended", "Task", "carried_out"]

# An environment variable that a kernel and its workers inherit, in whatever session they are.
_MARK = "MIRI_BACKGROUND_TASK"
_PATIENCE = 10  # s that a process may take to end after it has reported its result


@dataclass(frozen=True)
class Task:
    """A function to be called in a process of its own.

    Parameters
    ----------
    name : str
        For sentences.
    function : callable
        Importable by name; what it prints goes to the log.
    arguments : tuple
        Its arguments.
    log : pathlib.Path
        Added to.
    time_limit : float
        Minutes.
    """

    name: str
    function: object
    arguments: tuple
    log: Path
    time_limit: float


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Parameters
    ----------
    name : str
        Of the task.
    started : datetime.datetime
        When it began, in UTC.
    seconds : float
        How long it took.
    result : object
        What the function returned, or the `CannotJudge` that ended it.
    """

    name: str
    started: datetime
    seconds: float
    result: object


def carried_out(tasks, at_once):
    """Carry tasks out, several at a time, and yield an `Ended` for each as it ends.

    When the caller ends, for any reason, its unfinished tasks end with all their processes.
    """
    waiting, running = deque(tasks), []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                # Among those that are killed before it starts: a signal may come at any moment.
                running.append(_Running(waiting.popleft()))
                running[-1].start()
            patience = max(0.0, min(each.time_left() for each in running))
            wait([each.connection for each in running], patience)
            for each in list(running):
                if each.over():
                    running.remove(each)
                    yield each.end()
    finally:
        for each in running:
            each.kill()


@contextlib.contextmanager
def _signals_held_back():
    """Let signals that stop a night wait for the end of what is done inside."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = {
        each: signal.signal(each, lambda number, _: came.append(number))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


class _Running:
    """A task that is started."""

    def __init__(self, task):
        self.task, self.mark = task, secrets.token_hex(8)
        self.started, self._clock = datetime.now(UTC), time.monotonic()
        context = multiprocessing.get_context("spawn")
        self.connection, self._theirs = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_carry_out,
            args=(task.function, task.arguments, str(task.log), self.mark, self._theirs),
        )

    def start(self):
        """Start the process."""
        # Interrupted here, the new process would get no task, and print a traceback.
        with _signals_held_back():
            self.process.start()
        self._theirs.close()

    def time_left(self):
        """Return the seconds to the end of the time limit."""
        return self.task.time_limit * 60 - (time.monotonic() - self._clock)

    def over(self):
        """Return whether there is a result, the process has died, or its time is over."""
        return self.connection.poll() or self.time_left() <= 0

    def end(self):
        """Return how the task ended, when nothing of it is left."""
        if self.connection.poll():
            try:
                result = self.connection.recv()
                self.process.join(_PATIENCE)
            except EOFError:
                result = self._death()
        else:
            result = TimeLimitReached(
                f"{self.task.name} took longer than {self.task.time_limit:g} min and was stopped: "
                f"allow it more time, or see its log, {self.task.log}."
            )
        seconds = time.monotonic() - self._clock
        self.kill()
        return Ended(self.task.name, self.started, seconds, result)

    def _death(self):
        """Return why a process ended without a result."""
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return MemoryFailed(
            f"The process of {self.task.name} died ({how}), most likely for lack of memory: "
            f"close other programs, or see its log, {self.task.log}."
        )

    def kill(self):
        """End the process, and all that it started in whatever session."""
        if self.process.pid is not None:
            # What is just being started does not show its mark yet.
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(self.process.pid)
                for each in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
            self.process.join()
        self.connection.close()
        _kill_marked(self.mark)


def _marked(mark):
    """Return the processes that were started by the task of a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def _kill_marked(mark):
    """Kill what the task of a mark started, until there is nothing left of it."""
    while alive := _marked(mark):
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if psutil.wait_procs(alive, timeout=_PATIENCE)[1]:
            return  # the system cannot end them, as when a disk does not answer


def _carry_out(function, arguments, log, mark, connection):
    """Call a function, and send what it returns, or the `CannotJudge` that ended it."""
    # Signals of the terminal are for the caller, which ends what it has started.
    os.setsid()
    os.environ[_MARK] = mark
    threading.Thread(target=_end_with_parent, args=(mark,), daemon=True).start()
    try:
        _redirect(log)
        result = function(*arguments)
    except CannotJudge as error:
        result = error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - every error has to be reported
        reason = error_in_words(error)
        result = unforeseen(error, f"It ended with an error that nobody foresaw ({reason}).")
    if isinstance(result, CannotJudge):
        with contextlib.suppress(OSError):
            print(headline(Outcome.CANNOT_JUDGE, str(result), result.cause), flush=True)  # noqa: T201
    connection.send(result)


def _redirect(log):
    """Let this process, and what it starts, write to a log, and read nothing."""
    with Path(log).open("ab") as stream, Path(os.devnull).open("rb") as nothing:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(nothing.fileno(), 0)
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)


def _end_with_parent(mark):
    """End this process, and all that it started, when the caller is gone, even if killed."""
    multiprocessing.parent_process().join()
    _kill_marked(mark)
    os._exit(1)
