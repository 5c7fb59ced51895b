"""The verb that says whether the subtraction of products could be better."""

from pathlib import Path

import click

from miri_background.cli.options import FILE, clipping_options
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome
from miri_background.places import require_products_directory, writable
from miri_background.validation.products.clipping_choice import require_clipping

__all__ = ["advise"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background advise stage2 --sigma 2 --maxiters 3",
        "miri-background advise stage2 --plot advice.png",
    ),
)
@click.argument(
    "directory",
    type=click.Path(path_type=Path),
    help="rates, associations and *_bsub, as for check",
)
@clipping_options
@click.option(
    "--plot",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="PNG file for the plot, which is not there yet",
    **FILE,
)
def advise(directory, sigma, maxiters, association, plot):
    """Say whether another sigma, or fewer backgrounds, would be better.

    Only clipping is repeated, over the rates that are there; the pipeline is never run.
    """
    require_products_directory(directory)
    require_clipping(sigma, maxiters)
    # Imported here, so that a wrong directory is answered at once.
    from miri_background.files import replace_whole, require_own
    from miri_background.runs.advise import advice_on

    if plot is not None:
        require_own(plot)
    advice = advice_on(directory, sigma, maxiters, association)
    print(advice)
    if plot is not None and advice.done is not None:
        from miri_background.reporting.advice_figures import advised

        (pictured,) = advised(advice).pictures
        with writable(plot.parent), replace_whole(plot) as (aside,):
            aside.write_bytes(pictured.content)
        print(f"Written: {plot}")
    return Outcome.PASSED
