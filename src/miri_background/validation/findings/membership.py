"""Which exposures are averaged: science among its own backgrounds, one twice, subtracted ones."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from miri_background.validation.findings.finding import (
    AGAINST_TRUTH,
    LEVELS,
    SPREAD,
    STRUCTURE,
    Finding,
)

__all__ = ["own_background", "repeated_member", "subtracted_before"]

_ALL = (*LEVELS, *STRUCTURE, *SPREAD, *AGAINST_TRUTH)
_PROBED = 64  # rows and columns apart: a first look whether two exposures are the same


@dataclass(frozen=True)
class _Compared:
    """An exposure, and a few of its pixels, of which all can be compared with all.

    Parameters
    ----------
    image : Image
        The exposure.
    few : ndarray
        Some of its values.
    """

    image: object
    few: np.ndarray

    @classmethod
    def of(cls, images):
        """Return each of several exposures with a few pixels."""
        step = (..., slice(None, None, _PROBED), slice(None, None, _PROBED))
        return [cls(image, image.data[step].copy()) for image in images]

    def same(self, other):
        """Return whether both have the same values, bit for bit, of which some are finite."""
        if self.image is other.image:
            return True
        return (
            self.image.shape == other.image.shape
            and np.array_equal(self.few, other.few, equal_nan=True)
            and np.isfinite(self.image.data).any()
            and np.array_equal(self.image.data, other.image.data, equal_nan=True)
        )


def own_background(inputs):
    """Yield each background that is the science exposure itself."""
    count, number = inputs.count, len(inputs.images) - inputs.count
    compared = _Compared.of(inputs.images)
    for background in inputs.backgrounds:
        # Of cubes and rates of other subarrays, too: what is averaged is compared.
        own = [science for science in range(count) if compared[science].same(compared[background])]
        if not own:
            continue
        name, science = inputs.names[background], inputs.names[own[0]]
        alias = "" if name == science else f" (the same pixels as {science})"
        yield Finding(
            "science exposure among its own backgrounds",
            100 / number,
            "%",
            name,
            f"{name}{alias} is a science exposure and one of its own {number} backgrounds: up to "
            f"{100 / number:.0f} % of its own light, and of its own noise, is subtracted from it.",
            "Take it out of the background members, and run calwebb_image2 again.",
            _ALL,
            despite_truth=True,
        )


def repeated_member(inputs):
    """Yield each background that is averaged twice, under one name or two."""
    backgrounds = _Compared.of(inputs.products.backgrounds)
    names = inputs.names[inputs.count :]
    found = {}
    for one, other in combinations(range(len(backgrounds)), 2):
        if backgrounds[one].same(backgrounds[other]):
            found.setdefault(names[one], names[other])
    for name, other in found.items():
        what = "is listed twice" if name == other else f"has the same pixels as {other}"
        yield Finding(
            "background twice",
            2.0,
            "times",
            name,
            f"{name} {what} among the {len(names)} backgrounds: its sources are in two of the "
            "values that are averaged, and its noise does not average out.",
            "List each background exposure once.",
            _ALL,
            despite_truth=True,
        )


def subtracted_before(inputs):
    """Yield each rate of which its header says that a background was already subtracted."""
    for number, (image, name) in enumerate(zip(inputs.images, inputs.names, strict=True)):
        status = image.header.get("S_BKDSUB")
        if status != "COMPLETE":
            continue
        kind = "science exposure" if number < inputs.count else "background"
        yield Finding(
            "background already subtracted",
            float(inputs.levels[number]),
            "DN/s",
            name,
            f"{name}, a {kind}, has S_BKDSUB = {status!r}: a background was subtracted from it "
            f"before; its median sky is {inputs.levels[number]:.3g} DN/s.",
            "Give calwebb_image2 the rates as calwebb_detector1 wrote them.",
            _ALL,
            despite_truth=True,
        )
