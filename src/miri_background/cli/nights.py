"""Verbs of nights: carry one out, look through the history, build the pages."""

import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from miri_background.cli.endings import in_place_of_errors
from miri_background.cli.options import DIRECTORY, FILE, given, history_option, parameter_options
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome, worst

__all__ = ["history", "nightly", "site"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background nightly --site build/site",
        "miri-background nightly --matrix nightly.yaml --names f770w f1500w --seed 7",
    ),
)
@click.option(
    "--matrix",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="what is observed [default: nightly.yaml, where there is none here that of the suite]",
    **FILE,
)
@history_option
@click.option(
    "--seed",
    cls=Topic,
    type=int,
    metavar="NUMBER",
    help="random seed of all observations [default: as the file says]",
)
@click.option(
    "--names", cls=Topic, many=True, metavar="NAME...", help="of observations [default: all]"
)
@parameter_options(names=["workers"])
@click.option(
    "--site",
    "output",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="for pages, built however the night ends [default: none are built]",
    **DIRECTORY,
)
def nightly(output, **values):
    """Judge a matrix of observations, and add the results to the history.

    Workers are those of all observations together. A night that was interrupted may be
    repeated: what had ended is in the history.
    """
    if output is None:
        return in_place_of_errors(_night, values)
    from miri_background.reporting.site.build import require_replaceable

    require_replaceable(output)
    try:
        outcomes = [in_place_of_errors(_night, values)]
    except KeyboardInterrupt:
        in_place_of_errors(_pages, values["history"], output)
        raise
    outcomes.append(in_place_of_errors(_pages, values["history"], output))
    return worst(outcomes)


def _night(values):
    """Carry out a night, print how its jobs ended, and return the worst outcome."""
    workers = given(values).get("workers", 0)
    from miri_background.nightly.plan import night_seed, read_matrix

    matrix = read_matrix(
        values["matrix"] or _matrix(), night_seed(datetime.now(UTC)), values["seed"]
    )
    if values["names"]:
        matrix = matrix.only(list(values["names"]))
    # Imported after what is wrong there has been reported at once.
    from miri_background.nightly.night import carry_out_night

    # Continuous integration stops a night by this signal; what was started has to end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        night = carry_out_night(matrix, values["history"], workers, partial(print, flush=True))
    except KeyboardInterrupt:
        msg = "what had ended is in the history; run the night again for the rest."
        raise KeyboardInterrupt(msg) from None
    print(f"\n{night.text()}")
    print(f"JUnit:    {night.directory / 'junit'}\nHistory:  {values['history']}")
    return night.outcome


def _matrix():
    """Return the file that says what is observed: somebody's own, else the suite's."""
    own = Path("nightly.yaml")
    if own.exists():
        return own
    from miri_background.repository import repository_file

    path = repository_file("nightly.yaml")
    print(f"Observations are those of {path}: copy it here to choose others.")
    return path


@click.command(
    cls=Verb,
    examples=(
        "miri-background history --name f770w",
        "miri-background history --compare 20261123 20261124",
    ),
)
@history_option
@click.option("--name", cls=Topic, metavar="NAME", help="of the observation [default: all]")
@click.option(
    "--compare",
    cls=Topic,
    nargs=2,
    metavar="ID ID",
    help="earlier and later run, as the list calls them, or the beginnings of their ids",
)
def history(history, name, compare):
    """List runs, or compare two of them.

    A comparison reports what changed in standard errors.
    """
    from miri_background.reporting.history import (
        compare_records,
        load,
        require_history,
        text_list,
    )

    require_history(history)
    kept = load(history)
    if not kept.records:
        kept.require_whole()
    listed = kept.of(name)
    if compare:
        print(compare_records(*map(kept.record, compare)))
        return Outcome.PASSED
    print(text_list(listed))
    # A list that lacks runs is no whole answer.
    kept.require_whole()
    return Outcome.PASSED


@click.command(
    cls=Verb,
    examples=(
        "miri-background site",
        "miri-background site --history history --output build/site",
    ),
)
@history_option
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default="build/site",
    help="for the pages; a former site there is replaced [default: build/site]",
    **DIRECTORY,
)
def site(history, output):
    """Build the pages on the last nights.

    They are static: any server, or a browser from the disk, shows them.
    """
    return _pages(history, output)


def _pages(history, output):
    """Build the pages of a history, print where they are, and return the outcome."""
    from miri_background.reporting.history import require_history

    require_history(history)
    from miri_background.reporting.site.build import build_site

    built = build_site(history, output)
    if built.warnings:
        print(built.warnings, file=sys.stderr)
    print(f"{built.answer.sentence}\nPages: {built.front}")
    return Outcome.PASSED
