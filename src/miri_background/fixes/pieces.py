"""What the trial of candidate fixes observes, and the parts that it is done in."""

from dataclasses import dataclass

from miri_background.observation import Observation
from miri_background.outcomes import SetUpWrong

__all__ = ["CASES", "DATA", "Piece", "chosen_cases", "pieces"]

CASES = ("errors", "flags", "place")
# No sources: what is tried is as true with them, and each pixel is empty sky.
_EMPTY = {"science_stars": 0, "background_stars": 0, "galaxy_flux": 0, "science_exposures": 1}
DATA = {
    "SUB256": {"subarray": "SUB256", "groups": 10, "background_exposures": 8},
    "SUB256, 40 groups from 6": {
        "subarray": "SUB256",
        "groups": 40,
        "background_groups": 6,
        "background_exposures": 4,
    },
    "FULL": {"subarray": "FULL", "groups": 8, "background_exposures": 4},
    "BRIGHTSKY": {"subarray": "BRIGHTSKY", "groups": 8, "background_exposures": 2},
}
_SHORT, _LONG, _FULL, _BRIGHT = DATA
# Science exposure and backgrounds, and how many backgrounds.
_PLACES = (
    (_FULL, _BRIGHT, 2),
    (_FULL, _SHORT, 2),
    (_SHORT, _BRIGHT, 2),
    (_BRIGHT, _SHORT, 2),
    (_SHORT, _FULL, 2),
)
_FIRST_SEED = 770


@dataclass(frozen=True)
class Piece:
    """A part of the trial that is done at once, and kept.

    Parameters
    ----------
    case : str
        One of `CASES`.
    data, other : str
        What was observed, and of what observation the backgrounds are if of another.
    seed : int
        Of the observation.
    counts : tuple of int
        How many backgrounds are averaged.
    """

    case: str
    data: str
    seed: int
    counts: tuple
    other: str = ""

    @property
    def name(self):
        """Name of the file that keeps what came out."""
        words = "-".join(filter(None, (self.case, self.data, self.other, str(self.seed))))
        return "".join(each if each.isalnum() or each == "-" else "_" for each in words)

    @property
    def words(self):
        """What was observed."""
        return f"{self.data} from {self.other}" if self.other else self.data

    @property
    def flat(self):
        """Whether the flat-field step follows; it takes long on the full array."""
        return self.data != _FULL

    @property
    def observations(self):
        """What has to be observed, by its words."""
        return {each: _observation(each, self.seed) for each in (self.data, self.other) if each}


def chosen_cases(names):
    """Return the cases of some names, all if there are none.

    Parameters
    ----------
    names : iterable of str
        Names.

    Returns
    -------
    tuple of str
        In the order of `CASES`.

    Raises
    ------
    SetUpWrong
        Naming what is no case.
    """
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        msg = f"{', '.join(unknown)} is not a case of fixes: there are {', '.join(CASES)}."
        raise SetUpWrong(msg)
    return tuple(each for each in CASES if each in names or not names)


def _observation(words, seed):
    """Return an observation of the trial."""
    return Observation.create(**_EMPTY, **DATA[words], seed=seed)


def pieces(cases, seeds):
    """Return the parts of a trial.

    Parameters
    ----------
    cases : sequence of str
        Some of `CASES`.
    seeds : int
        How many observations there are of each small kind.

    Returns
    -------
    list of Piece
        In the order in which they are shown.
    """
    several = range(_FIRST_SEED, _FIRST_SEED + seeds)
    found = []
    if "errors" in cases:
        found += [Piece("errors", _SHORT, seed, (1, 2, 4, 8)) for seed in several]
        found += [Piece("errors", _LONG, seed, (4,)) for seed in several]
        found += [Piece("errors", _FULL, _FIRST_SEED, (2, 4))]
    if "flags" in cases:
        found += [Piece("flags", _SHORT, seed, (2, 4, 8)) for seed in several]
        found += [Piece("flags", _FULL, _FIRST_SEED, (4,))]
    if "place" in cases:
        found += [
            Piece("place", science, _FIRST_SEED, (count,), other)
            for science, other, count in _PLACES
        ]
    return found
