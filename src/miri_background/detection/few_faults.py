"""A few faults that stand for all where there is no time for all, and few pixels."""

import numpy as np

from miri_background.reading import read_json
from miri_background.repository import repository_file
from miri_background.validation.verdict.limits import criteria

__all__ = ["few_faults"]

# How far over a limit on the full array a fault has to be, so that a short ramp of a subarray
# shows it, too: with 10 groups of SUB256, a mean has the noise of 13 times fewer pixels, each of
# which is some 9 times as noisy.
_FAR_OVER = 30.0


def few_faults():
    """Return faults for a test that has no time for all.

    Returns
    -------
    list of str
        Names, in the order of the committed kill matrix: for each criterion and each family
        that a fault is far over the limit of, at least one, whichever shows most of what is
        still missing.
    """
    rows = read_json(repository_file("docs", "kill_matrix.json"))["rows"]
    shows = {row["fault"]: {*_far_over(row["ratios"]), row["family"]} for row in rows}
    shows = {name: shown for name, shown in shows.items() if len(shown) > 1}
    missing, chosen = set().union(*shows.values()), set()
    while missing:
        best = max(shows, key=lambda name: len(shows[name] & missing))
        chosen.add(best)
        missing -= shows[best]
    return [name for name in shows if name in chosen]


def _far_over(ratios):
    """Return the criteria whose limit is far away; the ratio to a limit of zero is null.

    A finding is none of them: how far away it is, is not known.
    """
    far = {name: np.inf if ratio is None else ratio for name, ratio in ratios.items()}
    return [name for name in criteria()["criteria"] if far.get(name, 0.0) > _FAR_OVER]
