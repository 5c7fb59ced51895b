"""Which clipping parameters products were really made with, found by trying."""

from dataclasses import replace
from itertools import product

import numpy as np

from miri_background.validation.findings.finding import Finding
from miri_background.validation.measurements.build import Build, pixels_of
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.rounding import UNIT_ROUNDOFF, different

__all__ = ["other_clipping", "with_clipping"]

# What people use: the step's default, papers, STScI's notebooks, and between.
_SIGMAS = (3.0, 2.0, 1.5, 2.5, 1.0, 4.0, 5.0, 1.8, 2.2, 1.2, 3.5, 10.0)
_MAXITERS = (3, None, 5, 1, 2, 10)
_TRIED = 4000  # pixels in a first look, at most as many of which are known to differ


def with_clipping(products, sigma, maxiters):
    """Return the same products, as if the step was given these parameters."""
    return replace(products, sigma=sigma, maxiters=maxiters)


def other_clipping(products, average):
    """Return with which parameters every pixel of the products is exact, and in words.

    Parameters
    ----------
    products : Products
        Products that are not exact with their own parameters.
    average : CombinedBackground
        Independent average of their backgrounds.

    Returns
    -------
    products : Products or None
        With the parameters that were found; None if there are none.
    finding : Finding or None
        The parameters that were given, and those that were found.
    """
    given = (products.sigma, products.maxiters)
    build = Build(products, average)
    numbers = build.subtracted_exposures
    if not numbers:
        return None, None
    if not any(build.wrong_values(number).any() for number in numbers):
        return None, None
    rows, columns = _looked_at(build, numbers)
    members = pixels_of(products.backgrounds, rows, columns)
    results = _Results(products, (rows, columns))
    found = [
        choice
        for choice in product(_SIGMAS, _MAXITERS)
        if choice != given and _fits(results, numbers, members, choice)
    ]
    for choice in found:
        changed = with_clipping(products, *choice)
        whole = Build(changed, average_backgrounds(changed.backgrounds, *choice))
        if not any(whole.wrong_values(number).any() for number in numbers):
            return changed, _finding(products, choice, found)
    return None, None


def _looked_at(build, numbers):
    """Return rows and columns of pixels that differ with the given parameters, and of others."""
    wrong = np.logical_or.reduce([build.wrong_values(number) for number in numbers])
    places = np.flatnonzero(wrong)
    places = places[:: max(1, places.size // _TRIED)]
    others = np.flatnonzero(build.average.certain)
    others = others[:: max(1, others.size // _TRIED)]
    return np.unravel_index(np.union1d(places, others), wrong.shape)


class _Results:
    """Chosen pixels of what the step has made, of each exposure read once.

    Parameters
    ----------
    products : Products
        What was read.
    places : tuple of ndarray of int
        Rows and columns.
    """

    def __init__(self, products, places):
        self._products, self._places = products, (..., *places)
        self._known = {}

    def of(self, number):
        """Return rate and subtracted values; None and the combined background where it is saved."""
        if number not in self._known:
            combined = self._products.combined[number]
            if combined is not None:
                found = None, combined.data[self._places]
            else:
                pair = self._products.science[number], self._products.subtracted[number]
                found = tuple(image.data[self._places] for image in pair)
            self._known[number] = found
        return self._known[number]


def _fits(results, numbers, members, choice):
    """Return whether chosen pixels of all exposures are exact with these parameters."""
    average = average_backgrounds(members, *choice)
    expected, rounding = average.data[0], average.rounding[0]
    certain = average.certain[0]
    for number in numbers:
        rate, values = results.of(number)
        if rate is None:
            wrong = different(values, expected, rounding)
        else:
            with np.errstate(invalid="ignore"):
                wanted = rate - expected
            allowed = rounding + UNIT_ROUNDOFF * np.abs(wanted)
            wrong = different(values, wanted, allowed)
        if (wrong & certain).any():
            return False
    return True


def _finding(products, choice, found):
    """Return the finding on parameters that were found."""
    # Several choices may give the same result on these data.
    same = [str(each[1] or "none") for each in found if each[0] == choice[0] and each != choice]
    others = dict.fromkeys(f"{each[0]:g}" for each in found if each[0] != choice[0])
    more = f"; maxiters {', '.join(same)} would give the same" if same else ""
    more += f"; sigma {', '.join(others)}, too" if others else ""
    given = _in_words((products.sigma, products.maxiters))
    sentence = (
        f"The products are exactly those of {_in_words(choice)}{more and f' ({more[2:]})'}, and "
        f"{given} "
        + ("is on record for the step" if products.clipping_is_sure else "was given or assumed")
        + "."
    )
    advice = (
        "The step did not do what it was given: look at how its parameters reach it."
        if products.clipping_is_sure
        else f"They are judged with {_in_words(choice)}; say so with --sigma {choice[0]:g} "
        f"--maxiters {choice[1] or 0}."
    )
    return Finding("other clipping", choice[0], "sigma", "", sentence, advice)


def _in_words(choice):
    """Return sigma and maxiters in words."""
    return f"sigma {choice[0]:g}, maxiters {choice[1] or 'none'}"
