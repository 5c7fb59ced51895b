"""The verb that opens a notebook."""

from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome, SetUpWrong

__all__ = ["lab"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background lab",
        "miri-background lab detection_power -- --no-browser --port 9000",
    ),
)
@click.argument(
    "notebook",
    default="image2_background",
    help="image2_background, which_background, simulator_closure, detection_power, or a file of "
    "your own",
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, help="of JupyterLab, after --")
@click.option(
    "--copies",
    cls=Topic,
    type=click.Path(path_type=Path),
    default="lab",
    help="for the copies; those that you change stay as they are [default: lab]",
    **DIRECTORY,
)
def lab(notebook, options, copies):
    """Open a notebook in JupyterLab, as a copy that you may change."""
    from miri_background.runs.lab import copy_notebooks, notebook_to_open, open_lab
    from miri_background.runs.names import VALIDATION

    if notebook.startswith("-"):  # the first option of JupyterLab, where no notebook is named
        notebook, options = VALIDATION, (notebook, *options)
    path = notebook_to_open(notebook, copies)
    for kept in copy_notebooks(copies):
        print(f"{kept} has changes of yours and stays: move it away for the suite's own.")
    code = open_lab(path, options)
    # Stopped with Ctrl-C, it has done what it should.
    if code > 0:
        msg = f"JupyterLab ended with exit code {code}: what it said is above."
        raise SetUpWrong(msg)
    return Outcome.PASSED
