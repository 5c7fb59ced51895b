"""Places on disk: whether they can be written, are ours, and are free of other runs."""

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from miri_background.outcomes import DirectoryRefused, DiskFailed, SetUpWrong

__all__ = [
    "executing",
    "held",
    "locked",
    "refuse_foreign",
    "require_products_directory",
    "require_writable",
    "writable",
]


@contextmanager
def writable(directory):
    """Turn failures to write below a directory into a sentence and a could-not-judge.

    Parameters
    ----------
    directory : path-like
        What is written to, for the sentence.

    Raises
    ------
    CannotJudge
        In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        msg = (
            f"{directory} cannot be written ({error.strerror or error}): "
            "free space or permissions there, or name another directory."
        )
        raise DiskFailed(msg) from error


def require_writable(directory):
    """Refuse a directory that cannot be written or made, before the work and without a trace.

    Parameters
    ----------
    directory : path-like
        Where results are to be written.

    Raises
    ------
    DiskFailed
        If a file cannot be written there.
    """
    directory = Path(directory).expanduser().absolute()
    there = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
    # Tried, because permissions show neither a read-only disk nor the superuser's rights.
    with writable(directory), tempfile.TemporaryDirectory(prefix=".writing-", dir=there):
        pass


def require_products_directory(directory):
    """Refuse a directory of products that is not there.

    Parameters
    ----------
    directory : path-like
        What was named.

    Raises
    ------
    CannotJudge
        If it is not a directory.
    """
    directory = Path(directory)
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "is missing"
        msg = f"{directory} {what}: name the directory that holds the products."
        raise SetUpWrong(msg)


def refuse_foreign(root):
    """Refuse a directory that holds something else, before anything is written there."""
    if not root.exists():
        return
    if (root / "calibration.json").exists():
        msg = (
            f"{root} holds one run of an observation: name the directory of the observation, "
            f"{root.parents[1]}."
        )
        raise DirectoryRefused(msg)
    foreign = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    if foreign and not (root / "observation.json").exists():
        msg = (
            f"{root} is not empty and not a run of this suite "
            f"(it holds {foreign[0]}): name an empty or a new directory."
        )
        raise DirectoryRefused(msg)


def locked(root, name):
    """Return a lock of a run directory; the system releases it when the process ends."""
    (root / ".records").mkdir(parents=True, exist_ok=True)
    lock = (root / ".records" / name).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        msg = (
            f"{root} is in use by another run: wait for it to end, "
            "or use another working directory."
        )
        raise DirectoryRefused(msg) from None
    return lock


@contextmanager
def executing(root):
    """Keep a run directory for the notebook that is executed into it, to its last page.

    The kernel holds the directory while it computes (`RunDirectory`), and ends before notebook
    and page are written.

    Parameters
    ----------
    root : pathlib.Path
        The directory of the observation; made if there is none.

    Raises
    ------
    DirectoryRefused
        If it holds something else, or another notebook is executed into it; nothing is written.
    """
    refuse_foreign(root)
    with locked(root, "executing"):
        yield


@contextmanager
def held(root):
    """Keep runs from a directory while results are added to it.

    Parameters
    ----------
    root : pathlib.Path
        A run directory, or one that is none and needs no protection.

    Raises
    ------
    DirectoryRefused
        If a run is using it.
    """
    root = root.resolve()
    # The lock is that of the observation, two directories above the run's own.
    observed = root.parents[1] if len(root.parents) > 1 else root
    if not (observed / ".records").is_dir():
        yield
        return
    with locked(observed, "lock"):
        yield
