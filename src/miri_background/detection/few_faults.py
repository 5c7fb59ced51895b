"""A few faults that stand for all: each criterion that notices any of them notices one of these."""

from miri_background.reading import read_json
from miri_background.repository import repository_file

__all__ = ["few_faults"]


def few_faults():
    """Return faults for a test that has no time for all.

    Returns
    -------
    list of str
        Names, in the order of the committed kill matrix: for each criterion and each family
        at least one, whichever shows most of what is still missing.
    """
    rows = read_json(repository_file("docs", "kill_matrix.json"))["rows"]
    shows = {row["fault"]: {*row["ratios"], row["family"]} for row in rows if row["ratios"]}
    missing, chosen = set().union(*shows.values()), set()
    while missing:
        best = max(shows, key=lambda name: len(shows[name] & missing))
        chosen.add(best)
        missing -= shows[best]
    return [name for name in shows if name in chosen]
