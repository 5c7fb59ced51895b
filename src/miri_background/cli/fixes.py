"""Verb that tries candidate fixes of the background step."""

from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY, FILE, given, parameter_options
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome

__all__ = ["fixes"]

_SEEDS = 4


@click.command(
    cls=Verb,
    examples=(
        "miri-background fixes",
        "miri-background fixes --cases errors flags --seeds 2 --output errors.html",
    ),
)
@click.option(
    "--cases",
    "names",
    cls=Topic,
    many=True,
    metavar="NAME ...",
    help="what is tried: errors, flags, place [default: all]",
)
@click.option(
    "--seeds",
    cls=Topic,
    type=click.IntRange(1, 100),
    default=_SEEDS,
    metavar="NUMBER",
    help="how many observations of SUB256 there are of each kind; errors go as one over its root "
    f"[default: {_SEEDS}]",
)
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default=Path("fixes.html"),
    help="page to write; what to paste is beside it, with the ending .md [default: fixes.html]",
    **FILE,
)
@click.option(
    "--home",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="where observations and what came out are kept [default: with the caches of the suite]",
    **DIRECTORY,
)
@parameter_options(names=["workers"])
def fixes(names, seeds, output, home, workers):
    """Try small changes of the background step on simulated data, against truth and prediction.

    Errors in quadrature, flags of all backgrounds, DO_NOT_USE masked, backgrounds of another
    subarray in their place: each is a subclass of the installed step, and the numbers are made for
    those who decide on jwst 8723, 10566 and 10539. What was found before is not tried again. Exit
    code 0: tried; 2: could not be.
    """
    # Imported here, so that --help is answered at once.
    from miri_background.fixes.pieces import chosen_cases
    from miri_background.reporting.comparison.file import require_own_page, write_page
    from miri_background.settings import suite_cache

    cases = chosen_cases(names)
    summary = output.with_suffix(".md")
    require_own_page(output)
    require_own_page(summary)
    from miri_background.fixes.trial import try_fixes
    from miri_background.reporting.fixes.page import html_page, markdown, text

    chosen = given({"workers": workers}).get("workers", 0)
    tried = try_fixes(cases, home or suite_cache() / "fixes", seeds, chosen)
    print(text(tried))
    write_page(output, html_page(tried))
    write_page(summary, markdown(tried))
    print(f"\nWritten: {output}\nWritten: {summary}")
    return Outcome.PASSED
