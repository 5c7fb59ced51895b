"""What the reference file of each type has to hold so that it neither ends nor spoils a run.

CRDS's own certification looks at form, not at values: it accepts a gain that is NaN
everywhere.  Here values are looked at, of the pixels that an observation reads, with
limits wide enough for any detector of the imager.
"""

from miri_background.reading import open_regular
from miri_background.references.needs import ImplausibleReference, open_images
from miri_background.references.plausible_maps import CHECKS_OF_MAPS
from miri_background.references.plausible_tables import CHECKS_OF_TABLES

__all__ = ["CHECKS", "check_readable"]


def check_readable(path, _=None):
    """Check a reference whose values no limit is known for: it opens to its end.

    Parameters
    ----------
    path : path-like
        The file.
    _ : Needs, optional
        What is observed; not used.

    Returns
    -------
    str
        What was found.

    Raises
    ------
    ImplausibleReference
        If it holds nothing.
    """
    if str(path).endswith(".fits"):
        with open_images(path) as hdus:
            number = len(hdus) - 1
    else:
        import asdf

        with open_regular(path) as stream, asdf.open(stream) as tree:
            number = len(tree.tree)
    if number == 0:
        raise ImplausibleReference("it holds nothing")
    return "readable; its values are not looked at"


CHECKS = CHECKS_OF_MAPS | CHECKS_OF_TABLES
