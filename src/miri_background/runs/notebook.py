"""Executes a notebook and reports how it ended."""

import contextlib
import os
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config

from miri_background.files import (
    ProductRecords,
    replace_whole,
    require_own,
    write_text_recorded,
)
from miri_background.outcomes import (
    CannotJudge,
    Cause,
    CriterionFailed,
    DirectoryRefused,
    Outcome,
    SetUpWrong,
    cause_of,
    is_cannot_judge,
)
from miri_background.places import executing, writable
from miri_background.reporting.pictured import pictures_since
from miri_background.reporting.report.answer import Answer, scope_of
from miri_background.reporting.report.notebook_page import (
    SECONDS,
    page_of_notebook,
    seconds_by_section,
)
from miri_background.reporting.report.page_files import PageFiles
from miri_background.reporting.report.tidy import tidied
from miri_background.repository import repository_file
from miri_background.runs.engine import ENGINE
from miri_background.runs.kernel import LoggedKernelManager
from miri_background.runs.notebook_run import NotebookRun, results_of
from miri_background.validation.verdict.metrics_file import load_metrics

__all__ = [
    "execute_notebook",
    "keep_unfinished",
    "refresh_notebook",
    "render_notebook",
]


_GONE_AFTER = 5.0  # s, by which processes that were killed are gone


def render_notebook(name, parameters, output):
    """Write a notebook with other parameters, its stored outputs kept, without running it.

    Parameters
    ----------
    name : str
        Which notebook, one of `runs.names.NAMES`.
    parameters : dict
        Parameters by name.
    output : pathlib.Path
        Notebook file to write.
    """
    notebook = load_notebook_node(str(repository_file("notebooks", f"{name}.ipynb")))
    rendered = parameterize_notebook(notebook, parameters)
    with writable(output.parent):
        write_text_recorded(output, nbformat.writes(rendered) + "\n")


def _execute(source, target, parameters, log=os.devnull):
    """Execute a notebook with papermill, in this environment's kernel, which has a log."""
    # Kernels of this environment come before kernels of the same name that the user has.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    # A machine without any network interface has no TCP to talk to the kernel, so that is
    # done over sockets in the file system; their paths may have only about 100 characters.
    short = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 - of its own below it
    with tempfile.TemporaryDirectory(prefix="miri-", dir=short) as sockets:
        os.environ["JUPYTER_RUNTIME_DIR"] = sockets
        kernel = Config(
            NotebookClient=Config(kernel_manager_class=LoggedKernelManager),
            LoggedKernelManager=Config(
                transport="ipc", ip=str(Path(sockets) / "kernel"), log_file=str(log)
            ),
        )
        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters,
                engine_name=ENGINE,
                kernel_name="python3",
                cwd=str(source.parent),
                progress_bar=sys.stderr.isatty(),
                config=kernel,
            )
        except KeyboardInterrupt:
            # A kernel that was just being started is in nobody's hands.
            family = psutil.Process().children(recursive=True)
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=_GONE_AFTER)
            raise


def refresh_notebook(name):
    """Execute a notebook as it is, and store its outputs in it.

    Parameters
    ----------
    name : str
        Which notebook, one of `runs.names.NAMES`.

    Returns
    -------
    pathlib.Path
        The notebook.

    Raises
    ------
    papermill.exceptions.PapermillExecutionError
        If a cell fails; the notebook is then left as it was.
    """
    source = repository_file("notebooks", f"{name}.ipynb")
    # Its cells stay as they are, whoever wrote them.
    with replace_whole(source, ours=Path.is_file) as (aside,):
        _execute(source, aside, {})
        notebook = tidied(nbformat.read(aside, as_version=4))
        aside.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return source


def execute_notebook(name, parameters, run):
    """Execute a notebook into a run directory.

    Parameters
    ----------
    name : str
        Which notebook, one of `runs.names.NAMES`.
    parameters : dict
        Parameters by name; the working directory is set from `run`.
    run : RunDirectory
        Where to; also holds the executed notebook and its page.

    Returns
    -------
    NotebookRun
        The outcome; problems of the run are reported there, not raised.

    Raises
    ------
    CannotJudge
        If not even the notebook could be started or written, or the directory is in use or that
        of others, where nothing is written then.
    """
    source = repository_file("notebooks", f"{name}.ipynb")
    directory, started = run.root, datetime.now(UTC)
    with writable(directory), executing(run.observed):
        executed, page = results_of(directory, name)
        require_own(executed, ours=ProductRecords(directory).is_own)
        PageFiles(directory, page.name).require_own()
        aside = _unfinished(directory, name)
        try:
            given = parameters | {"working_directory": str(run.observed)}
            _execute(source, aside, given, run.log("kernel"))
            outcome, reason, cause = Outcome.PASSED, "", None
        except KeyboardInterrupt:
            # Nobody else may write there yet.
            run.remove_leftovers()
            raise
        except PapermillExecutionError as error:
            if error.ename == DirectoryRefused.__name__:
                aside.unlink()
                raise DirectoryRefused(error.evalue) from error
            outcome, reason, cause = _ending(error)
        except DeadKernelError:
            outcome, cause = Outcome.CANNOT_JUDGE, Cause.DEAD_KERNEL
            reason = (
                "The notebook's kernel died, most likely for lack of memory: "
                "close other programs, or use fewer groups or --workers 1."
            )
        except (RuntimeError, NoSuchKernel) as error:
            msg = (
                f"The notebook's kernel did not start ({error}): "
                "see that `make env` ended well, and run again."
            )
            raise SetUpWrong(msg) from error
        timed = nbformat.read(aside, as_version=4)
        notebook = tidied(timed)
        notebook.metadata[SECONDS] = seconds_by_section(timed)
        aside.unlink()
        verdict = _verdict_since(directory / "metrics.json", started)
        outcome, reason, cause = _with_verdict(verdict, outcome, reason, cause)
        if parameters.get("control", "none") != "none":
            reason = f"broken on purpose (control: {parameters['control']}). {reason}"
        _write(notebook, directory, name, (outcome, reason, cause), verdict, started)
    return NotebookRun(outcome, reason, cause, verdict, executed, page)


def _unfinished(directory, name):
    """Return the path of a notebook that is being executed."""
    return directory / f".executing-{name}.ipynb"


def keep_unfinished(name, directory, error):
    """Keep what a notebook has shown and judged until it was killed, or could not go on.

    Parameters
    ----------
    name : str
        Which notebook, one of `runs.names.NAMES`.
    directory : path-like
        The run directory, new when the run began.
    error : CannotJudge
        Why it ended.

    Returns
    -------
    NotebookRun
        Could not judge, or failed if it came to a verdict that says so.

    Raises
    ------
    DiskFailed
        If it cannot be written.
    """
    directory = Path(directory)
    verdict = None
    with contextlib.suppress(CannotJudge):
        verdict = load_metrics(directory / "metrics.json")
    ending = _with_verdict(verdict, Outcome.CANNOT_JUDGE, str(error), error.cause)
    executed, page = results_of(directory, name)
    aside = _unfinished(directory, name)
    # It may have been killed before there was one, or while it was being written.
    with contextlib.suppress(FileNotFoundError, ValueError, nbformat.ValidationError):
        notebook = tidied(nbformat.read(aside, as_version=4))
        with writable(directory):
            aside.unlink()
            _write(notebook, directory, name, ending, verdict)
    return NotebookRun(*ending, verdict, executed, page)


def _write(notebook, directory, name, ending, verdict, started=None):
    """Write an executed notebook and its page.

    Parameters
    ----------
    ending : tuple of (Outcome, str, Cause or None)
        How the run ended, why, and the kind of reason.
    started : datetime.datetime, optional
        When it began; without it, the page has no pictures on top.
    """
    outcome, reason, cause = ending
    executed, page = results_of(directory, name)
    write_text_recorded(executed, nbformat.writes(notebook) + "\n")
    if verdict is not None and verdict.outcome is outcome:
        answer = replace(Answer.of(verdict), scope=_beside(verdict, reason) or scope_of(notebook))
    else:
        answer = Answer.without_verdict(outcome, reason, cause)
    pictures = pictures_since(directory / "figures", started) if started else ()
    page_of_notebook(notebook, name, answer, verdict, pictures).write(directory, page.name)


def _beside(verdict, reason):
    """Return what a run says beside its verdict, such as that it was broken on purpose."""
    known = (verdict.broken_limits(), verdict.drift.sentence() if verdict.drift else "")
    return "" if reason in known else reason


def _verdict_since(path, started):
    """Return the verdict of a metrics file that was written by a run begun since, or None."""
    if not path.exists():
        return None
    verdict = load_metrics(path)
    return verdict if verdict.provenance["started"] >= started.isoformat() else None


def _with_verdict(verdict, outcome, reason, cause):
    """Return outcome, reason and cause of cells that ended so, and gave a verdict or none."""
    if outcome is Outcome.PASSED and verdict is None:
        # As after a cell that leaves the kernel quietly.
        reason = "The notebook ended before its verdict: see the executed notebook."
        return Outcome.CANNOT_JUDGE, reason, Cause.PIPELINE
    if outcome is not Outcome.FAILED and verdict is not None and verdict.failures():
        # What happened after a verdict does not take it back.
        return Outcome.FAILED, f"{verdict.broken_limits()}. {reason}".rstrip(), None
    if outcome is Outcome.PASSED and verdict.outcome is Outcome.DRIFTED:
        return Outcome.DRIFTED, verdict.drift.sentence(), None
    return outcome, reason, cause


def _ending(error):
    """Return outcome, reason and cause of an error that a cell raised."""
    if error.ename == CriterionFailed.__name__:
        return Outcome.FAILED, error.evalue, None
    cause = cause_of(error.ename, error.evalue)
    if is_cannot_judge(error.ename):
        return Outcome.CANNOT_JUDGE, error.evalue, cause
    reason = (
        f"Cell {error.exec_count} of the notebook ended with {error.ename}: {error.evalue}. "
        "The executed notebook shows where."
    )
    return Outcome.CANNOT_JUDGE, reason, cause
