"""A notebook run from the command line."""

import logging
import shlex
import sys
from pathlib import Path

import click

from miri_background.cli.endings import written
from miri_background.cli.verbs import Topic
from miri_background.parameters import INSTALLED
from miri_background.places import refuse_foreign, require_writable

__all__ = ["again_option", "require_directory", "run_notebook"]

_UNCHANGED = (
    "Nothing that this depends on has changed since that run began ({} UTC): "
    "with --again, the notebook is executed once more."
)

again_option = click.option(
    "--again",
    cls=Topic,
    is_flag=True,
    help="execute the notebook even if nothing has changed since its last verdict",
)


def require_directory(parameters):
    """Refuse a directory that is somebody else's or cannot be written, at once.

    Parameters
    ----------
    parameters : dict
        Those of the command line, by name.

    Raises
    ------
    CannotJudge
        Naming it; nothing is written there.
    """
    named = parameters.get("working_directory")
    if named not in (None, "kept", "temporary"):
        root = Path(named).expanduser()
        require_writable(root)
        refuse_foreign(root)


def run_notebook(name, parameters, of_notebook, run, again):
    """Execute a notebook in a new or named directory, and print the verdict.

    Parameters
    ----------
    name : str
        Which notebook.
    parameters : dict
        Those of the command line, by name.
    of_notebook : dict
        Those that the notebook's cell takes.
    run : tuple of (Observation, Calibration, str or None)
        What is taken, what is made of it, and the purpose; see `RunDirectory`.
    again : bool
        Whether the notebook is executed even if nothing has changed since its last verdict.

    Returns
    -------
    Outcome
        Of the run.

    Raises
    ------
    KeyboardInterrupt
        With the command line that goes on, if the run was interrupted.
    """
    from miri_background.calibration.builds import pipeline_of
    from miri_background.run_directory import RunDirectory
    from miri_background.runs.latest import point_latest_to, require_latest

    named = parameters.get("working_directory")
    if not named:
        require_latest(Path("runs"))
    build = run[1].build
    if build != INSTALLED:
        print(f"The pipeline is {build}: its environment is made if it is not there.", flush=True)
        pipeline_of(run[1])
    # Refused here, a directory stays as it was; the notebook takes it over.
    run = RunDirectory(named or "kept", *run)
    run.release()
    # With these comes much that a directory which is refused does without.
    from miri_background.runs.notebook_run import former_run
    from miri_background.runs.unchanged import forget, recall, remember

    former = None if again else recall(run, name, of_notebook)
    if former is not None:
        ended = former_run(name, run, *former)
        print(f"{ended.text()}\n\n{_UNCHANGED.format(ended.verdict.provenance['started'][:16])}")
    else:
        print(f"Running {name} in {_from_here(run.root)}", flush=True)
        from miri_background.runs.notebook import execute_notebook

        forget(run)
        try:
            ended = execute_notebook(name, of_notebook, run)
        except KeyboardInterrupt:
            # At the end of the process it would report what the interrupted cell has raised.
            logging.getLogger("asyncio").disabled = True
            goes_on = parameters | {"working_directory": str(_from_here(run.observed))}
            raise KeyboardInterrupt(f"`{_command_line(goes_on)}` goes on.") from None
        print(f"\n{ended.text()}")
        if ended.has_verdict:
            written(remember, run, name, of_notebook, ended.outcome, ended.reason)
    if not named:
        # All that was judged is written: for want of a link, nothing is less true.
        _, problem = written(point_latest_to, run.root, run.observed.parent)
        if problem:
            print(problem, file=sys.stderr)
    return ended.outcome


def _from_here(path):
    """Return a path from the current directory, where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _command_line(parameters):
    """Return the command line of the verb that is running, with these parameters."""
    words = click.get_current_context().command_path.split()
    for name, value in parameters.items():
        flag = "--run" if name == "working_directory" else f"--{name.replace('_', '-')}"
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += [flag, text]
    return shlex.join(words)
