"""What a fault is, and what it is given."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Fault", "Members", "Rates", "family"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Parameters
    ----------
    name, family : str
        What it is called, and what is broken.
    description : str
        What is done, in one sentence.
    members : callable, optional
        Takes the background files and the science model, returns the files that are averaged;
        or a class of which an object does so for one exposure after the other.
    clipping : callable, optional
        Takes sigma and maxiters, returns those that are used.
    average : callable, optional
        Takes the combined background and the `Members`, changes the former in place.
    subtract : callable, optional
        Takes rate, combined background and result, changes the last in place.
    finish : callable, optional
        Takes the result when the step is done, changes it in place.
    saved : callable, optional
        Takes the path of a file that the step has saved, changes the file.
    rates : callable, optional
        Takes the `Rates` of a run, changes them in place.
    calibrated : callable, optional
        Takes the paths of a calibrated product and of its rate, changes the former.
    """

    name: str
    family: str
    description: str
    members: object = None
    clipping: object = None
    average: object = None
    subtract: object = None
    finish: object = None
    saved: object = None
    rates: object = None
    calibrated: object = None

    @property
    def of_step(self):
        """Whether it is the step that is broken."""
        hooks = (self.members, self.clipping, self.average, self.subtract, self.finish, self.saved)
        return any(hooks)


@dataclass(frozen=True)
class Members:
    """What is averaged: values, errors and flags, shape (members, rows, columns), and how."""

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    sigma: float
    maxiters: int | None
    files: list


@dataclass(frozen=True)
class Rates:
    """The rates of a run, open to be changed, with their truth.

    Parameters
    ----------
    science, backgrounds : list of astropy.io.fits.HDUList
        Rate files.
    science_truth, background_truth : list of Truth
        Truth of the exposures.
    """

    science: list
    backgrounds: list
    science_truth: list
    background_truth: list


def family(name, *faults):
    """Return faults of one family from name, description and hooks of each."""
    return tuple(Fault(each, name, description, **what) for each, description, what in faults)
