"""Verb that tries builds of the pipeline, and a candidate under review."""

from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY, FILE
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome, SetUpWrong

__all__ = ["builds"]

_ENVIRONMENTS, _TRIAL = "Environments", "What is tried"


@click.command(
    cls=Verb,
    examples=(
        "miri-background builds 1.12.5 1.20.2 3.0.0",
        "miri-background builds --candidate ~/jwst",
        "miri-background builds --candidate ~/jwst@my-branch --with ~/stcal --against 3.0.0",
        "miri-background builds --list",
    ),
)
@click.argument("versions", nargs=-1, help="releases of jwst, such as 1.12.5")
@click.option(
    "--candidate",
    cls=Topic,
    topic=_TRIAL,
    default="",
    metavar="PATH",
    help="what is under review: a checkout of jwst, PATH@REF of one, or a wheel; it is copied, and "
    "never installed into this environment",
)
@click.option(
    "--with",
    "companions",
    cls=Topic,
    topic=_TRIAL,
    many=True,
    metavar="PATH ...",
    help="checkouts or wheels of stcal, stdatamodels, stpipe that belong to it",
)
@click.option(
    "--against",
    cls=Topic,
    topic=_TRIAL,
    default="",
    metavar="VERSION",
    help="release that a candidate is compared with [default: the one that is installed here]",
)
@click.option(
    "--cases",
    "names",
    cls=Topic,
    topic=_TRIAL,
    many=True,
    metavar="NAME ...",
    help="cases of the museum [default: all]",
)
@click.option(
    "--time-limit",
    cls=Topic,
    topic=_TRIAL,
    type=click.FloatRange(1, 86_400),
    default=600.0,
    metavar="NUMBER",
    help="seconds that one call may take [default: 600]",
)
@click.option(
    "--memory-limit",
    cls=Topic,
    topic=_TRIAL,
    type=click.FloatRange(0.1, 1000),
    default=6.0,
    metavar="NUMBER",
    help="GB that one call may take [default: 6]",
)
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default=Path("builds.html"),
    help="page to write; the summary to paste is beside it, with the ending .md "
    "[default: builds.html]",
    **FILE,
)
@click.option(
    "--home",
    cls=Topic,
    topic=_ENVIRONMENTS,
    type=click.Path(path_type=Path),
    help="where environments and results are kept [default: with the caches of the suite]",
    **DIRECTORY,
)
@click.option(
    "--list",
    "listed",
    cls=Topic,
    topic=_ENVIRONMENTS,
    is_flag=True,
    help="show the environments and the space that they take, and end",
)
@click.option(
    "--remove",
    cls=Topic,
    topic=_ENVIRONMENTS,
    many=True,
    metavar="NAME ...",
    help="remove environments, and end",
)
def builds(
    versions,
    candidate,
    companions,
    against,
    names,
    time_limit,
    memory_limit,
    output,
    home,
    listed,
    remove,
):
    """Try builds of the pipeline on the same rates, each in an environment of its own.

    Each case is something that has gone wrong, or may. A candidate is compared with a release, and
    the page is made to be linked where it is reviewed. Exit code 0: releases do what is known of
    them, or the candidate does what the release does; 3: something differs, and nothing is worse;
    1: something is worse; 2: there is no environment.
    """
    # Imported here, so that --help is answered at once.
    from miri_background.builds.environments import builds_home

    home = (home or builds_home()).expanduser().absolute()
    if listed or remove:
        return _look_after(home, remove)
    if not versions and not candidate:
        msg = "Name releases of jwst, such as 1.20.2 3.0.0, or a candidate with --candidate."
        raise SetUpWrong(msg)
    if (companions or against) and not candidate:
        msg = "--with and --against belong to a candidate: name it with --candidate."
        raise SetUpWrong(msg)
    from miri_background.reporting.comparison.file import require_own_page, write_page

    summary = output.with_suffix(".md")
    require_own_page(output)
    require_own_page(summary)
    from miri_background.builds.calling import Limits
    from miri_background.museum.cases import chosen_cases
    from miri_background.museum.trying import try_builds
    from miri_background.reporting.builds.page import html_page, markdown, text

    tried, trial = try_builds(
        versions,
        chosen_cases(names),
        home,
        candidate,
        companions,
        against,
        Limits(time_limit, memory_limit * 1e9),
    )
    print()
    print(text(tried))
    write_page(output, html_page(tried, trial.images))
    write_page(summary, markdown(tried))
    print(f"Written: {output}\nWritten: {summary}")
    return tried.outcome


def _look_after(home, remove):
    """Remove environments, or show which there are."""
    from miri_background.builds.environments import (
        environments,
        remove_environments,
        size_on_disk,
    )
    from miri_background.tables import text_table

    if remove:
        print(f"{remove_environments(home, remove) / 1e9:.2f} GB are free again.")
        return Outcome.PASSED
    rows = [
        (each.name, each.stamp["python"], f"{each.size / 1e9:.2f} GB", each.stamp["made"])
        for each in environments(home)
    ]
    if rows:
        print(text_table(("build", "Python", "size", "made"), rows))
    print(f"{home}: {size_on_disk(home) / 1e9:.2f} GB; what builds share counts once.")
    return Outcome.PASSED
