"""The verb that opens a notebook."""

from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome

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
    help="image2_background, simulator_closure, detection_power, or a file of your own",
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

    path = notebook_to_open(notebook, copies)
    for kept in copy_notebooks(copies):
        print(f"{kept} has changes of yours and stays: move it away for the suite's own.")
    # Stopped with Ctrl-C, it has done what it should.
    open_lab(path, options)
    return Outcome.PASSED
