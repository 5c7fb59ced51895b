"""Notebooks, documents and baselines: of the checkout, or as the package brings them.

Of a checkout, also what git knows of it.
"""

import os
import subprocess
from pathlib import Path

from miri_background.outcomes import SetUpWrong

__all__ = ["ask_git", "checkout_state", "repository_file", "require_checkout"]

_ROOT = Path(__file__).resolve().parents[2]
# An installed wheel has this directory; in a checkout the same files are where people look.
_SHIPPED = Path(__file__).resolve().parent / "shipped"
_PATIENCE = 20  # s that git may take; on a network disk, the state of a checkout takes seconds
# Set by a hook that this process runs in, they would name another repository.
_REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def repository_file(*parts):
    """Return the path of a file of the checkout, or of the installed package.

    Parameters
    ----------
    *parts : str
        Path below the checkout.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CannotJudge
        If the installation is not whole.
    """
    path = (_SHIPPED if _SHIPPED.is_dir() else _ROOT).joinpath(*parts)
    if not path.exists():
        msg = (
            f"{path} is not there: install the package again, or run the suite from a checkout "
            "of its repository, with the environment that `make env` makes."
        )
        raise SetUpWrong(msg)
    return path


def require_checkout(verb):
    """Refuse what changes files of the repository where there is none.

    Parameters
    ----------
    verb : str
        What was asked for.

    Raises
    ------
    CannotJudge
        If the package was installed from a wheel.
    """
    if _SHIPPED.is_dir():
        msg = (
            f"`{verb}` changes files of the repository, and this is an installed package: run it "
            "in a checkout, with the environment that `make env` makes."
        )
        raise SetUpWrong(msg)


def ask_git(root, *arguments):
    """Return what a git command prints about a repository.

    Parameters
    ----------
    root : path-like
        Directory that the command is run in.
    *arguments : str
        Command and options.

    Returns
    -------
    str or None
        Standard output without the last line end; None if git is missing, fails or hangs.
    """
    environment = {name: os.environ[name] for name in os.environ if name not in _REDIRECTING}
    try:
        answer = subprocess.run(
            ["git", *arguments],  # noqa: S607 - git is found on the PATH, as everywhere
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",  # names of files may have any bytes
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.rstrip("\n")


def checkout_state(root=_ROOT):
    """Return the commit of the suite that is running, and whether it was changed since.

    Parameters
    ----------
    root : path-like, optional
        The checkout, by default that of this package.

    Returns
    -------
    dict
        Under suite_commit 40 hexadecimal digits, and under suite_dirty whether any file differs
        from that commit, new ones included; both None where git does not know.  The files in
        ``baselines/`` do not count: they are written from results, and decide none.
    """
    unknown = {"suite_commit": None, "suite_dirty": None}
    top = ask_git(root, "rev-parse", "--show-toplevel")
    # A package that is installed below another project's repository is no part of it.
    if top is None or Path(top).resolve() != Path(root).resolve():
        return unknown
    commit = ask_git(root, "rev-parse", "--verify", "HEAD")
    changes = ask_git(root, "status", "--porcelain", "--", ".", ":(exclude)baselines")
    if commit is None or changes is None:
        return unknown
    return {"suite_commit": commit, "suite_dirty": bool(changes)}
