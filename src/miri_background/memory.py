"""How much memory the processes of a run took."""

import resource
import sys
from pathlib import Path

__all__ = ["own_peak_memory", "peak_memory", "worker_took"]

_of_workers = [0]


def peak_memory():
    """Return the largest resident memory so far of a process of this run, bytes.

    That is this process, its children that have ended, or a worker that did work for it.
    """
    children = _bytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return max(own_peak_memory(), children, *_of_workers)


def worker_took(peak):
    """Take note of the memory of a worker, which is not a child of this process.

    Parameters
    ----------
    peak : int
        Its largest resident memory so far, bytes.
    """
    _of_workers[0] = max(peak, *_of_workers)


def own_peak_memory():
    """Return the largest resident memory so far of this process, bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # Linux counts in ru_maxrss what the process that started this one had, too.
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def _bytes(maxrss):
    """Return what `getrusage` counts, in bytes: Linux counts kibibytes, macOS bytes."""
    return maxrss if sys.platform == "darwin" else maxrss * 1024
