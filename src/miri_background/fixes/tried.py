"""What came out of a trial of candidate fixes."""

from dataclasses import asdict, dataclass, field

from miri_background.fixes.score import Score
from miri_background.fixes.scores import Value, mean_of_values

__all__ = ["Tried", "together"]


@dataclass(frozen=True)
class Tried:
    """What came out of a trial.

    Parameters
    ----------
    scores : list of Score
        Means over observations that differ in their seed only.
    cases : tuple of str
        What was tried.
    seeds : int
        How many observations there are of each small kind.
    images : dict
        What is left after the subtraction, by data and variant; DN/s, shape (rows, columns).
    """

    scores: list
    cases: tuple
    seeds: int
    images: dict = field(default_factory=dict)

    def score(self, case, data, variant, quantity, **others):
        """Return the only score of some kind, None if there is none."""
        wanted = {"case": case, "data": data, "variant": variant, "quantity": quantity} | others
        found = [
            each
            for each in self.scores
            if all(getattr(each, name) == value for name, value in wanted.items())
        ]
        if len(found) > 1:
            msg = f"{len(found)} scores are {wanted}"
            raise LookupError(msg)
        return found[0] if found else None


def together(several):
    """Return scores, those of observations that differ in their seed as one.

    Parameters
    ----------
    several : iterable of Score
        Of all observations.

    Returns
    -------
    list of Score
        Means, with their standard errors.
    """
    alike = {}
    for score in several:
        content = asdict(score)
        numbers = {name: content.pop(name) for name in ("value", "error", "predicted")}
        alike.setdefault(tuple(content.items()), []).append(numbers)
    found = []
    for kind, numbers in alike.items():
        mean = mean_of_values([Value(each["value"], each["error"]) for each in numbers])
        predicted = mean_of_values([Value(each["predicted"], 0.0) for each in numbers]).value
        found.append(Score(**dict(kind), value=mean.value, error=mean.error, predicted=predicted))
    return found
