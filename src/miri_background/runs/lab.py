"""JupyterLab on copies of the notebooks, so that nobody's changes get into those of the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from miri_background.files import ProductRecords, checksum
from miri_background.outcomes import SetUpWrong
from miri_background.places import writable
from miri_background.repository import repository_file

__all__ = ["copy_notebooks", "notebook_to_open", "open_lab"]

# Notebooks, and what they lead to.
_COPIED = {"notebooks": "*.ipynb", "docs": "**/*"}


def copy_notebooks(directory):
    """Copy the notebooks and the documents, but for those that somebody has changed there.

    Parameters
    ----------
    directory : path-like
        Where to.

    Returns
    -------
    list of pathlib.Path
        Notebooks that stay as somebody left them, although the suite has others.

    Raises
    ------
    CannotJudge
        If they cannot be written.
    """
    directory, kept = Path(directory), []
    records = ProductRecords(directory)
    for folder, pattern in _COPIED.items():
        top = repository_file(folder)
        for source in sorted(path for path in top.glob(pattern) if path.is_file()):
            target = directory / folder / source.relative_to(top)
            if target.is_file() and checksum(target) == checksum(source):
                continue
            if os.path.lexists(target) and not (target.is_file() and records.is_own(target)):
                kept.append(target)
                continue
            with writable(directory):
                target.parent.mkdir(parents=True, exist_ok=True)
            with writable(directory), records.writing("", target) as (aside,):
                shutil.copy(source, aside)
    return [path for path in kept if path.suffix == ".ipynb"]


def notebook_to_open(wanted, directory):
    """Return the path of the notebook that somebody asked for.

    Parameters
    ----------
    wanted : str
        A notebook of the suite by its name or path, or a path of one's own.
    directory : path-like
        Holds copies of the suite's notebooks.

    Returns
    -------
    pathlib.Path
        A copy of a notebook of the suite, or what is somebody's own.

    Raises
    ------
    SetUpWrong
        If there is none.
    """
    path = Path(wanted)
    tracked = repository_file("notebooks")
    names = sorted(each.stem for each in tracked.glob("*.ipynb"))
    if wanted in names or (path.is_file() and path.resolve().parent == tracked):
        return Path(directory) / "notebooks" / f"{path.name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        msg = f"{wanted} is no notebook: name {', '.join(names)}, or a file of your own."
        raise SetUpWrong(msg)
    return path


def open_lab(notebook, arguments=()):
    """Start JupyterLab with a notebook, and wait until it ends.

    What JupyterLab shows begins at the current directory.  It neither asks whether news are
    wanted nor looks for updates and extensions.

    Parameters
    ----------
    notebook : path-like
        Below the current directory.
    arguments : sequence of str, optional
        Further options of JupyterLab.

    Returns
    -------
    int
        Its exit code.
    """
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={Path.cwd()}",
        f"--LabApp.app_settings_dir={repository_file('tools', 'jupyterlab')}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        *arguments,
        str(notebook),
    ]
    # A kernel of the same name in the user's own directories must not come first.
    kernels = str(Path(sys.prefix) / "share" / "jupyter")
    with subprocess.Popen(command, env=os.environ | {"JUPYTER_PATH": kernels}) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:
                # JupyterLab got it, too, and asks whether it shall end.
                continue
