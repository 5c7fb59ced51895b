"""What is said beside the numbers: behaviours of a build, and advice to users of its products."""

from dataclasses import dataclass

__all__ = ["Advisory", "Behaviour"]


@dataclass(frozen=True)
class Behaviour:
    """What a build does where the documentation leaves a choice, by its name.

    Parameters
    ----------
    aspect : str
        What is chosen: "errors", "flags", "averaged pixels".
    name : str
        Name of the behaviour.
    known_in : str
        Releases of jwst that are known to behave so, "none: proposed" if there is none.
    worth : str
        What it is worth on these data, in one sentence with numbers.
    """

    aspect: str
    name: str
    known_in: str
    worth: str


@dataclass(frozen=True)
class Advisory:
    """What the step does as documented, and what a user of its products should know.

    Parameters
    ----------
    name : str
        What it is about.
    value : float
        The number.
    unit : str
        Its unit.
    sentence : str
        What it means, with the number.
    advice : str
        What to do about it.
    """

    name: str
    value: float
    unit: str
    sentence: str
    advice: str
