"""How the step clipped, and who says so."""

import math
from dataclasses import dataclass
from pathlib import Path

from miri_background.files import json_object
from miri_background.outcomes import SetUpWrong

__all__ = ["ClippingParameters", "is_number", "read_clipping", "require_clipping"]

# What the step does unless it is given other parameters (jwst documentation, "Background Step").
_DEFAULT_SIGMA, _DEFAULT_MAXITERS = 3.0, None
_RECORD = "calibration.json"  # of a run of this suite


@dataclass(frozen=True)
class ClippingParameters:
    """The clipping parameters of the step, and where they come from.

    Parameters
    ----------
    sigma : float
        Threshold, standard deviations.
    maxiters : int or None
        Most iterations; None for as many as change anything.
    sources : tuple of str
        Where sigma and maxiters are from.
    """

    sigma: float
    maxiters: int | None
    sources: tuple

    @property
    def sure(self):
        """Whether the run that was made with them has both on record."""
        return all(source == _RECORD for source in self.sources)

    def sentence(self):
        """Return both in words."""
        values = (f"sigma {self.sigma:g}", f"maxiters {self.maxiters or 'none'}")
        return ", ".join(
            f"{value} ({source})" for value, source in zip(values, self.sources, strict=True)
        )


def read_clipping(directory, sigma=None, maxiters=None):
    """Return the clipping parameters of the step.

    Parameters
    ----------
    directory : path-like
        If it is a run of this suite, its calibration says what is not given.
    sigma : float, optional
        Threshold; without it and a run, the step's default of 3.
    maxiters : int, optional
        Most iterations, 0 for no limit; without it and a run, the step's default of no limit.

    Returns
    -------
    ClippingParameters
        Both parameters with their sources.

    Raises
    ------
    CannotJudge
        If one of them is not possible, or the calibration cannot be read.
    """
    path = Path(directory) / _RECORD
    recorded = json_object(path) if path.exists() else {}
    chosen, sources = {}, []
    for name, given, default in (
        ("sigma", sigma, _DEFAULT_SIGMA),
        ("maxiters", maxiters, _DEFAULT_MAXITERS),
    ):
        if given is not None:
            chosen[name], source = given, f"--{name}"
        elif name in recorded:
            chosen[name], source = recorded[name], path.name
        else:
            chosen[name] = default
            source = f"the step's default: give another with --{name}"
        sources.append(source)
    sigma, maxiters = chosen["sigma"], chosen["maxiters"]
    require_clipping(sigma, maxiters, sources)
    # The step, too, takes 0 for no limit.
    return ClippingParameters(float(sigma), maxiters or None, tuple(sources))


def require_clipping(sigma, maxiters, sources=("--sigma", "--maxiters")):
    """Refuse clipping parameters that the step cannot have been given.

    Parameters
    ----------
    sigma : float or None
        Threshold; None if it was not given.
    maxiters : int or None
        Most iterations; None if they were not given.
    sources : sequence of str, optional
        Where both are from.

    Raises
    ------
    CannotJudge
        If one of them is not possible.
    """
    if sigma is not None and (not is_number(sigma) or not 0 < sigma < math.inf):
        msg = f"sigma = {sigma!r} ({sources[0]}) is not a number above 0."
        raise SetUpWrong(msg)
    if maxiters is not None and (not isinstance(maxiters, int) or maxiters < 0):
        msg = f"maxiters = {maxiters!r} ({sources[1]}) is not a whole number from 0."
        raise SetUpWrong(msg)


def is_number(value):
    """Return whether a value of a header or of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
