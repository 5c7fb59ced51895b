"""What runs in processes of its own ends whole: with a result or a reason, and nothing left."""

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from miri_background.nightly.processes import Task, carried_out
from miri_background.outcomes import CannotJudge, Cause
from miri_background.parameters import RunParameters

pytestmark = pytest.mark.slow

PATIENCE = 20  # s, on a busy machine
AT_ONCE = 2

# A caller of its own, which can be killed.
CALL = """
import sys
from pathlib import Path
from subprocess import run
from miri_background.nightly.processes import Task, carried_out

task = Task("sleeper", run, (["setsid", "sleep", sys.argv[2]],), Path(sys.argv[1]), 10)
for ended in carried_out([task], 1):
    print(ended)
"""


@pytest.fixture
def task(tmp_path):
    """Return a function that makes a task of a function and its arguments."""

    def make(function, *arguments, name="task", minutes=1):
        return Task(name, function, arguments, tmp_path / f"{name}.log", minutes)

    return make


@pytest.fixture
def long_time():
    """Return a time to sleep by which the sleeping process can be told from others."""
    return f"{3600 + time.monotonic_ns() / 1e12:.9f}"


def sleepers(seconds):
    """Return the processes that sleep for a time."""
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if each.info["cmdline"] == ["sleep", seconds]
    ]


def wait_until(condition):
    """Wait for a condition, and tell whether it came about."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def only(tasks, at_once=AT_ONCE):
    """Return how the only task ended."""
    (ended,) = carried_out(tasks, at_once)
    return ended


def test_result_comes_back(task):
    """What the function returns is the result."""
    assert only([task(operator.add, 2, 3)]).result == 5


def test_output_is_in_the_log(task, tmp_path):
    """What is printed, by the process or what it starts, is kept."""
    only([task(print, "said")])
    only([task(subprocess.call, ["echo", "more"])])
    assert (tmp_path / "task.log").read_text().split() == ["said", "more"]


def test_reason_comes_back(task, tmp_path):
    """What cannot be judged is told with its cause, and in the log."""
    ended = only([task(RunParameters.of, {"workers": "explode"})])
    assert isinstance(ended.result, CannotJudge)
    assert ended.result.cause is Cause.SET_UP
    assert (tmp_path / "task.log").read_text().startswith("COULD NOT JUDGE (set-up): workers")


def test_unforeseen_error_is_a_reason(task):
    """Any other error is one too."""
    ended = only([task(operator.truediv, 1, 0)])
    assert ended.result.cause is Cause.PIPELINE
    assert "ZeroDivisionError" in str(ended.result)


@pytest.mark.parametrize(
    ("function", "arguments", "how"),
    [(os._exit, (3,), "exit code 3"), (signal.raise_signal, (signal.SIGKILL,), "signal 9")],
)
def test_death_is_noticed(function, arguments, how, task):
    """A process that dies, as for lack of memory, is told at once."""
    ended = only([task(function, *arguments)])
    assert ended.result.cause is Cause.MEMORY
    assert f"died ({how})" in str(ended.result)
    assert ended.seconds < PATIENCE


def test_others_go_on(task):
    """One that dies takes no other with it."""
    tasks = [task(os._exit, 1, name="dying"), task(operator.add, 2, 3, name="sound")]
    results = {ended.name: ended.result for ended in carried_out(tasks, AT_ONCE)}
    assert results["sound"] == 5


def test_no_more_than_allowed_at_once(task):
    """With one at once, the second starts when the first has ended."""
    first, second = carried_out([task(time.sleep, 0.2, name=name) for name in "ab"], 1)
    assert (second.started - first.started).total_seconds() >= first.seconds


def test_time_limit_ends_everything(task, long_time):
    """Also what was started in another session, as kernels are."""
    ended = only([task(subprocess.run, ["setsid", "sleep", long_time], minutes=3 / 60)])
    assert ended.result.cause is Cause.TIME_LIMIT
    assert "took longer than 0.05 min" in str(ended.result)
    assert sleepers(long_time) == []


def test_nothing_outlives_its_task(task, long_time):
    """What a task has left behind, as a kernel whose starter died, ends with it."""
    assert only([task(os.system, f"setsid sleep {long_time} &")]).result == 0
    assert sleepers(long_time) == []


def test_nothing_outlives_an_interrupted_caller(task, long_time):
    """A caller that stops to listen has ended all that it began."""
    tasks = [
        task(subprocess.run, ["setsid", "sleep", long_time], name="sleeper"),
        task(operator.add, 2, 3, name="sound"),
    ]
    with closing(carried_out(tasks, AT_ONCE)) as ended:
        next(ended)
        assert wait_until(lambda: sleepers(long_time))
    assert sleepers(long_time) == []


def test_nothing_outlives_a_signal_at_the_start(task, monkeypatch):
    """A signal that comes when a process was started a moment ago ends it, too."""
    start, started = multiprocessing.context.SpawnProcess.start, []

    def interrupted(process):
        start(process)
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        only([task(time.sleep, 3600)])
    assert [process.exitcode for process in started] == [-signal.SIGKILL]


def test_nothing_outlives_a_killed_caller(tmp_path, long_time):
    """Even one that had no time to say so."""
    arguments = [sys.executable, "-c", CALL, tmp_path / "log", long_time]
    with subprocess.Popen(arguments) as caller:
        assert wait_until(lambda: sleepers(long_time))
        caller.kill()
    assert wait_until(lambda: not sleepers(long_time))
