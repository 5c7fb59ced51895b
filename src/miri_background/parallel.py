"""Work on all exposures at once, on any `concurrent.futures.Executor`."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from tqdm.auto import tqdm

from miri_background.outcomes import MemoryFailed
from miri_background.parameters import RunParameters

__all__ = ["completed", "process_pool"]

# More processes than this gain little for eight exposures, and each needs up to 1.4 GB.
_MOST_WORKERS = 8


def process_pool(workers=0):
    """Return a pool of processes that start afresh and inherit the environment variables.

    Parameters
    ----------
    workers : int, optional
        Number of processes; 0 for one per processor core that may be used.

    Returns
    -------
    concurrent.futures.ProcessPoolExecutor
        Use as a context manager.

    Raises
    ------
    CannotJudge
        If the number is negative.
    """
    RunParameters.create(workers=workers)
    if workers == 0:
        available = getattr(os, "sched_getaffinity", None)
        cores = len(available(0)) if available else os.cpu_count() or 1
        workers = min(cores, _MOST_WORKERS)
    # Started afresh (not forked): a fork of a process with threads can hang.
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )


def _end_with_parent():
    """End this worker when the process that started it has ended, even if it was killed."""

    def wait_and_end():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait_and_end, daemon=True).start()


def completed(executor, function, items, description):
    """Return the results of a function for each item, in order, with a progress bar.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Where to compute.
    function : callable
        Called with one item; importable, so that other processes find it.
    items : sequence
        What to work on.
    description : str
        Words on the progress bar.

    Returns
    -------
    list
        Results in the order of the items.

    Raises
    ------
    CannotJudge
        If a worker process died, as it does when memory runs out.
    Exception
        The first error of a call; work that has not begun is cancelled.
    """
    futures = []
    try:
        # A pool may break while it is still being given work.
        futures.extend(executor.submit(function, item) for item in items)
        # In a worker process there is no progress to show: its parent shows it for all.
        worker = multiprocessing.parent_process() is not None
        for future in tqdm(
            as_completed(futures), description, len(futures), leave=False, disable=worker
        ):
            future.result()
    except BrokenProcessPool as error:
        msg = (
            f"A worker process died while {description[0].lower()}{description[1:]}, most likely "
            "for lack of memory: close other programs or set the parameter `workers` to 1."
        )
        raise MemoryFailed(msg) from error
    finally:
        for future in futures:
            future.cancel()
    return [future.result() for future in futures]
