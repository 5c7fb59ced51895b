"""The verb that makes a colour picture of mosaics in several filters."""

from pathlib import Path

import click

from miri_background.cli.options import FILE
from miri_background.cli.verbs import Topic, Verb
from miri_background.outcomes import Outcome, SetUpWrong
from miri_background.places import require_products_directory, writable

__all__ = ["composite"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background composite runs/f770w runs/f1000w runs/f1500w",
        "miri-background composite blue red --output colours.png",
    ),
)
@click.argument(
    "directories",
    nargs=-1,
    type=click.Path(path_type=Path),
    help="two or three, each with a mosaic *_i2d of one field, or with image3/ that has it",
)
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default=Path("composite.png"),
    help="PNG file, which is not there yet  [default: composite.png]",
    **FILE,
)
def composite(directories, output):
    """Make a colour picture of mosaics in two or three filters.

    The longest wavelength is red, and empty sky is equally dark in all.
    """
    if not 2 <= len(directories) <= 3:
        msg = f"A composite is of two or three mosaics, and not of {len(directories)}: name them."
        raise SetUpWrong(msg)
    for directory in directories:
        require_products_directory(directory)
    # Imported here, so that a wrong directory is answered at once.
    from miri_background.files import replace_whole, require_own
    from miri_background.reporting.composite import composite_png
    from miri_background.validation.mosaic.reading import mosaic_in

    require_own(output)
    content = composite_png([mosaic_in(directory) for directory in directories])
    with writable(output.parent), replace_whole(output) as (aside,):
        aside.write_bytes(content)
    print(f"Written: {output}")
    return Outcome.PASSED
