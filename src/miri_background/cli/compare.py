"""Verb that compares: two results side by side."""

from pathlib import Path

import click

from miri_background.cli.options import FILE, given, history_option, parameter_options
from miri_background.cli.verbs import Topic, Verb

__all__ = ["compare"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background compare runs/first runs/second",
        "miri-background compare jwst-3.0.0 runs/latest",
        "miri-background compare 20261123 20261124 --output nights.html",
    ),
)
@click.argument(
    "first",
    help="directory of a run or a check, metrics.json, a baseline's name or file, or the id of a "
    "run in the history",
)
@click.argument("second", help="the same of what came later")
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default=Path("comparison.html"),
    show_default="comparison.html",
    help="page to write",
    **FILE,
)
@history_option
@parameter_options(names=["baselines"])
def compare(first, second, output, history, baselines):
    """Compare two results, and write a page that needs no other file.

    The page has the metrics that changed, in standard errors, images side by side, and what else
    differs. Exit code 0: nothing changed; 3: something changed within all limits; 1: the second
    breaks a limit.
    """
    # Imported here, so that --help is answered at once.
    from miri_background.reporting.comparison.file import require_own_page, write_page
    from miri_background.reporting.comparison.sides import side_of

    require_own_page(output)
    baselines = given({"baselines": baselines}).get("baselines")
    sides = [side_of(named, history, baselines) for named in (first, second)]
    from miri_background.reporting.comparison.page import comparison_of

    comparison = comparison_of(*sides)
    print(comparison.text())
    write_page(output, comparison.html())
    print(f"Written: {output}")
    return comparison.outcome
