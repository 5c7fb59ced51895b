"""Work is done on any executor, and what goes wrong in a worker is told."""

import math
import os
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from miri_background.outcomes import CannotJudge
from miri_background.parallel import completed, process_pool

DESCRIPTION = "Taking square roots"
SQUARES = [16, 9, 4, 1]
ROOTS = [4.0, 3.0, 2.0, 1.0]


class InTurn(Executor):
    """Compute at once and in the caller's thread: the least that an executor may be."""

    def submit(self, function, /, *arguments, **keywords):
        """Return a future that is done."""
        future = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except ValueError as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def processes():
    """Give a pool of two processes."""
    with process_pool(2) as executor:
        yield executor


@pytest.fixture(params=["processes", "threads", "in turn"])
def executor(request):
    """Give executors of several kinds."""
    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    with ThreadPoolExecutor(2) if request.param == "threads" else InTurn() as executor:
        yield executor


@pytest.fixture
def broken_pool():
    """Give a pool whose workers die of their work."""
    with process_pool(1) as executor:
        yield executor


def slowest_first(seconds):
    """Return a number after as many seconds."""
    time.sleep(seconds)
    return seconds


def test_results_are_complete(executor):
    """Every item has its result, on any executor."""
    assert completed(executor, math.sqrt, SQUARES, DESCRIPTION) == ROOTS


def test_results_are_in_the_order_of_items():
    """What is ready first does not come first."""
    delays = [0.2, 0.1, 0.0]
    with ThreadPoolExecutor(len(delays)) as executor:
        assert completed(executor, slowest_first, delays, DESCRIPTION) == delays


def test_nothing_to_do(executor):
    """No items, no results."""
    assert completed(executor, math.sqrt, [], DESCRIPTION) == []


def test_error_of_a_call_surfaces(executor):
    """The error is the one that the function raised."""
    with pytest.raises(ValueError, match=r"^(math domain error|expected a nonnegative input.*)$"):
        completed(executor, math.sqrt, [4, -1, 9], DESCRIPTION)


def test_error_cancels_what_has_not_begun():
    """After an error nothing else is begun."""
    with ThreadPoolExecutor(1) as executor:
        begun = []

        def fail(item):
            begun.append(item)
            time.sleep(0.05)
            raise ValueError

        with pytest.raises(ValueError, match=r"^$"):
            completed(executor, fail, range(100), DESCRIPTION)
    assert len(begun) < 10


def test_dead_worker_is_a_could_not_judge(broken_pool):
    """A killed worker, as for lack of memory, is told with what it did and what helps."""
    with pytest.raises(
        CannotJudge, match=r"^A worker process died while taking square roots, .* `workers` to 1\.$"
    ):
        completed(broken_pool, os._exit, [1], DESCRIPTION)


def test_worker_may_die_before_all_work_is_given(broken_pool):
    """A pool that is broken already says the same."""
    for _ in range(2):
        with pytest.raises(CannotJudge, match=r"^A worker process died while taking"):
            completed(broken_pool, os._exit, [1], DESCRIPTION)


def test_negative_number_of_workers_is_refused():
    """The sentence names parameter, value and range."""
    with pytest.raises(CannotJudge, match=r"^workers = -1 is not a whole number from 0 "):
        process_pool(-1)


def test_workers_inherit_the_environment(monkeypatch):
    """CRDS is pointed to its cache by variables that are set while the suite runs."""
    monkeypatch.setenv("CRDS_PATH", "of this test")
    with process_pool(1) as executor:
        assert completed(executor, os.getenv, ["CRDS_PATH"], DESCRIPTION) == ["of this test"]


# The last is imported with the first model of a process.
@pytest.mark.parametrize(
    "name",
    ["jwst.pipeline", "miri_background.simulation.observing", "asdf_astropy.extensions"],
)
def test_workers_have_imported_what_they_work_with(processes, name):
    """None of them spends its time on what the process that they are forked from has done."""
    question = f"{name!r} in __import__('sys').modules"
    assert completed(processes, eval, [question], DESCRIPTION) == [True]


def test_workers_have_made_what_each_needs(processes):
    """The response of the detector takes half a second, and is the same in all of them."""
    module = "__import__('miri_background.instrument.response', fromlist=['sky_response'])"
    question = f"{module}.sky_response.cache_info().currsize"
    assert completed(processes, eval, [question], DESCRIPTION) == [1]
