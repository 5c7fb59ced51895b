"""Where a campaign computes: a process pool of this machine, or workers of a Dask scheduler.

Both are `concurrent.futures.Executor`, so that there is one way through a campaign.
"""

import logging
import os
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

import psutil

from miri_background.outcomes import SetUpWrong
from miri_background.parallel import process_pool

__all__ = ["DaskWorkers", "ProcessPool", "WorkersLost", "fitting_workers"]

_KEPT_FREE = 0.1  # part of the memory that is left to others
_PATIENCE = "20s"  # in which a scheduler has to answer
# Dask lets its workers give memory back to the system at once: then every large array is of new
# pages, which costs a case half its processor time more.  Nobody looks at a profile of the workers.
_OF_WORKERS = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
}


class WorkersLost(SetUpWrong):
    """The scheduler, or all connections to it, are gone."""


def fitting_workers(needed, cores=None, memory=None):
    """Return how many processes work at a time without running out of memory.

    Parameters
    ----------
    needed : float
        Bytes that the largest case needs.
    cores : int, optional
        Processor cores; by default those that this process may use.
    memory : float, optional
        Bytes; by default those that are free.

    Returns
    -------
    int
        At least 1: what is too large for the machine is a row that says so.
    """
    if cores is None:
        available = getattr(os, "sched_getaffinity", None)
        cores = len(available(0)) if available else os.cpu_count() or 1
    if memory is None:
        memory = psutil.virtual_memory().available
    return max(1, min(cores, int((1 - _KEPT_FREE) * memory / needed)))


class ProcessPool:
    """Processes of this machine.

    Parameters
    ----------
    workers : int
        How many.

    Attributes
    ----------
    executor : concurrent.futures.Executor
        Where to submit.
    most_memory : float
        Bytes that each worker may take.
    died : tuple of type
        Errors that say that a worker died.
    die_together : bool
        Whether all that is out is lost with one worker.
    """

    died = (BrokenProcessPool,)
    die_together = True

    def __init__(self, workers):
        self.workers = workers
        self.most_memory = (1 - _KEPT_FREE) * psutil.virtual_memory().available / workers
        self.executor = process_pool(workers)

    def renew(self):
        """Make a new pool in place of a broken one."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = process_pool(self.workers)

    def lost(self, error):
        """Return None: a pool of this process is never out of reach."""

    def close(self):
        """End the processes; what has not begun is not begun."""
        self.executor.shutdown(wait=True, cancel_futures=True)


class DaskWorkers:
    """Workers of a Dask scheduler, of this machine's own or of one that is running.

    Parameters
    ----------
    scheduler : str, optional
        Address such as ``tcp://127.0.0.1:8786``; without it, workers are started here.
    workers : int, optional
        How many are started here.
    memory : float, optional
        Bytes that each worker may take, if that is known.

    Raises
    ------
    SetUpWrong
        If distributed is not installed, or no scheduler answers.
    """

    die_together = False

    def __init__(self, scheduler=None, workers=1, memory=None):
        try:
            import dask
            import distributed
        except ImportError:
            msg = (
                "distributed, which gives work to the workers of Dask, is not installed: install "
                "miri-background-validation[dask]."
            )
            raise SetUpWrong(msg) from None
        # What goes wrong is said in one sentence, by who asked.
        for name in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self.died = (distributed.scheduler.KilledWorker,)
        self._cluster = None
        self._address = scheduler
        if scheduler is None:
            with dask.config.set(_OF_WORKERS):
                self._cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.ERROR,
                )
            self._address = self._cluster.scheduler_address
        try:
            self._client = distributed.Client(self._address, timeout=_PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            msg = f"No Dask scheduler answers at {self._address} ({reason}): start one there."
            raise SetUpWrong(msg) from error
        self.executor = self._client.get_executor(pure=False)
        infos = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self.workers = max(1, sum(each["nthreads"] for each in infos))
        own = [each["memory_limit"] / each["nthreads"] for each in infos if each["memory_limit"]]
        self.most_memory = memory or (1 - _KEPT_FREE) * min(
            own, default=psutil.virtual_memory().available / self.workers
        )

    def renew(self):
        """Keep the workers: the scheduler replaces those that died."""

    def lost(self, error):
        """Return what to raise if an error means that the scheduler is gone, else None."""
        import distributed

        gone = (CancelledError, distributed.CancelledError, OSError, TimeoutError)
        if isinstance(error, gone) or self._client.status != "running":
            return WorkersLost(
                f"The Dask scheduler at {self._address} is gone: start it and its workers, and "
                "run the same command again; finished cases are kept."
            )
        return None

    def close(self):
        """Let the workers go; those that were started here end."""
        self._client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=5)
