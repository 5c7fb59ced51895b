"""Work on all exposures at once, on any `concurrent.futures.Executor`."""

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver

from miri_background.memory import own_peak_memory, worker_took
from miri_background.outcomes import MemoryFailed
from miri_background.parameters import RunParameters
from miri_background.progress import progress_bar

__all__ = ["completed", "prepare_processes", "process_pool"]

# More processes than this gain little for eight exposures, and each needs up to 1.4 GB.
_MOST_WORKERS = 8


def prepare_processes():
    """Start to import, in another process, what the processes of a pool work with.

    Those of every later pool of this process are forked from it.
    """
    # Not forks of this process: a fork of a process with threads can hang.
    forkserver.set_forkserver_preload(["miri_background.preloaded"])
    forkserver.ensure_running()


def process_pool(workers=0):
    """Return a pool of processes that have this process's environment variables.

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
    prepare_processes()
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("forkserver"),
        initializer=_begin,
        initargs=(dict(os.environ),),
    )


def _begin(variables):
    """Take over the environment variables of the process whose worker this is, and end with it.

    It ends even if that process was killed.
    """
    os.environ.clear()
    os.environ.update(variables)
    crds = sys.modules.get("crds")
    if crds and "CRDS_SERVER_URL" in variables:
        # The one variable that CRDS looks at when it is imported, which has been done before.
        crds.client.api.set_crds_server(variables["CRDS_SERVER_URL"])

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
        futures.extend(executor.submit(_with_memory, function, item) for item in items)
        # In a worker process there is no progress to show: its parent shows it for all.
        worker = multiprocessing.parent_process() is not None
        for future in progress_bar(description, as_completed(futures), len(futures), worker):
            worker_took(future.result()[1])
    except BrokenProcessPool as error:
        msg = (
            f"A worker process died while {description[0].lower()}{description[1:]}, most likely "
            "for lack of memory: close other programs or set the parameter `workers` to 1."
        )
        raise MemoryFailed(msg) from error
    finally:
        for future in futures:
            future.cancel()
    return [future.result()[0] for future in futures]


def _with_memory(function, item):
    """Return the result of a call, and the memory that this process took so far, bytes."""
    return function(item), own_peak_memory()
