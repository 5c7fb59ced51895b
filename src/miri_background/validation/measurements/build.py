"""The build that made products: its behaviours, and what is expected under them.

Behaviours are named and versioned in behaviours.yaml, those of releases and those that are
proposed.  A build has that behaviour under which every pixel of its products is exact; where
there is none, or where the data leave it open, it is taken to be what its release is known to do.
"""

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import product

import numpy as np
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from miri_background.instrument.footprint import illuminated
from miri_background.validation.measurements.behaviour_catalogue import (
    EMPTY,
    ERRORS,
    FLAGS,
    PIXELS,
    PLACE,
    Recognised,
    catalogue,
)
from miri_background.validation.prediction.clipping import average_backgrounds, united_flags
from miri_background.validation.prediction.rounding import UNIT_ROUNDOFF, different
from miri_background.validation.products.frames import placed_at_corner
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["Build", "FlagRule", "MemberFlags", "pixels_of", "skipped"]

_IN_PLACE, _AT_CORNER = "where it was read", "placed at the corner of the science frame"

# Two squares, a sum and a root round the error in quadrature.
_QUADRATURE_ROUNDING = 3 * UNIT_ROUNDOFF


@dataclass(frozen=True)
class FlagRule:
    """How flags are combined.

    Parameters
    ----------
    name : str
        Name of the behaviour.
    every : bool
        Whether flags are those of all backgrounds, otherwise of any.
    least : int or None
        How many backgrounds have DO_NOT_USE at least where it is set, if that is a rule of its own.
    """

    name: str
    every: bool
    least: int | None = None

    def flags(self, members):
        """Return the flags of the combined background, of `MemberFlags`."""
        combined = members.every if self.every else members.some
        if self.least is None:
            return combined
        enough = members.count >= self.least
        return (combined & ~np.uint32(DO_NOT_USE)) | np.where(enough, np.uint32(DO_NOT_USE), 0)

    def detail(self, number):
        """Return what else is to be known to repeat it, with this number of backgrounds."""
        if self.least is None:
            return ""
        others = "all" if self.every else "any"
        return f"in at least {self.least} of {number}, other flags of {others}"


@dataclass(frozen=True)
class MemberFlags:
    """What all backgrounds flag together, arrays of shape (rows, columns).

    Parameters
    ----------
    some, every : ndarray of uint32
        Flags that any background has, and that all have.
    count : ndarray of int
        How many have DO_NOT_USE.
    """

    some: np.ndarray
    every: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, backgrounds):
        """Return the flags of backgrounds, of which each is looked at once."""
        flags = map(united_flags, backgrounds)
        first = next(flags)
        some, every, count = first, first, (first & DO_NOT_USE > 0).astype(int)
        for each in flags:
            some, every = some | each, every & each
            count += each & DO_NOT_USE > 0
        return cls(some, every, count)


def skipped(products, number):
    """Return whether nothing was subtracted from a science exposure, numbered from 0."""
    return products.combined[number] is None and (
        products.subtracted[number] is products.science[number]
    )


def pixels_of(images, rows, columns):
    """Return images of chosen pixels only, in one row.

    Parameters
    ----------
    images : list of Image
        Of shape (rows, columns) or (integrations, rows, columns).
    rows, columns : ndarray of int
        The pixels.

    Returns
    -------
    list of Image
        Values, errors and flags, shape (1, pixels) or (integrations, 1, pixels).
    """
    chosen = (..., rows[np.newaxis, :], columns[np.newaxis, :])
    return [
        replace(
            image,
            data=image.data[chosen],
            err=image.err[chosen],
            dq=image.dq[chosen],
            variances={},
        )
        for image in images
    ]


def _finite_but_flagged(image):
    """Return where an exposure has a value that is not to be used, shape (rows, columns)."""
    marked = np.isfinite(image.data) & (image.dq & DO_NOT_USE > 0)
    return marked if marked.ndim == 2 else marked.any(axis=0)


def _empty(image):
    """Return where no integration of a cube has a value, shape (rows, columns)."""
    if len(image.shape) == 2:
        return np.zeros(image.shape, dtype=bool)
    return ~np.isfinite(image.data).any(axis=0)


class Build:
    """The build that made products: its behaviours, and what is expected under them.

    Parameters
    ----------
    products : Products
        What was read.
    average : CombinedBackground
        Independent average of the backgrounds.

    Attributes
    ----------
    subtracted_exposures : list of int
        Numbers of the science exposures, from 0, of which a background was subtracted.
    saved_exposures : list of int
        Those of them whose subtracted image was saved.
    recognised : list of Recognised
        Behaviours of the build, one of each aspect; of empty integrations for rateints only.
    average : CombinedBackground
        Average of the backgrounds under the behaviour of the build.
    flags : ndarray of uint32
        Flags of the combined background under the behaviour of the build.
    """

    def __init__(self, products, average):
        self.products, self._known_average = products, average
        self.subtracted_exposures = [
            number
            for number in range(len(self.products.science))
            if not skipped(self.products, number)
        ]
        self.saved_exposures = [
            number for number in self.subtracted_exposures if not products.is_computed(number)
        ]
        self._cubes = any(len(image.shape) == 3 for image in self.products.backgrounds)

    # -------------------------------------------------------------- what is known

    @cached_property
    def release(self):
        """The release of jwst, None if the headers name none or what is between releases."""
        headers = [*self.products.calibrated_headers, *(i.header for i in self.products.subtracted)]
        text = next((str(each["CAL_VER"]) for each in headers if each.get("CAL_VER")), "")
        try:
            version = Version(text)
        except InvalidVersion:
            return None
        return None if version.is_prerelease or version.local else version

    def _known(self, aspect):
        """Return the name of what this release is known to do, None if nothing is known."""
        for name, behaviour in catalogue()[aspect].items():
            releases = behaviour.get("releases")
            if releases and self.release and self.release in SpecifierSet(releases):
                return name
        return None

    def _candidates(self, aspect):
        """Return the names of an aspect's behaviours, what the release is known to do first."""
        names = list(catalogue()[aspect])
        return sorted(names, key=lambda name: name != (self._known(aspect) or names[0]))

    def _never(self, wrong, expected, numbers=None):
        """Return whether no pixel of any exposure is wrong where something is expected."""
        numbers = self.subtracted_exposures if numbers is None else numbers
        return not any(wrong(number, expected).any() for number in numbers)

    def _recognised(self, aspect, name, detail=""):
        """Return a behaviour that was recognised."""
        expected = self.products.expected_behaviours.get(aspect, "")
        return Recognised(aspect, name, detail, self._known(aspect) in (None, name), expected)

    @cached_property
    def recognised(self):
        """What the build does, one behaviour of each aspect."""
        pixels, empty = self._averaging[0]
        recognised = [] if self._place is None else [Recognised(PLACE, self._place, "", True)]
        if self.saved_exposures or not self.subtracted_exposures:
            recognised.append(self._recognised(ERRORS, self._errors))
        recognised += [
            self._recognised(
                FLAGS, self._rule.name, self._rule.detail(len(self.products.backgrounds))
            ),
            self._recognised(PIXELS, pixels),
        ]
        return [*recognised, self._recognised(EMPTY, empty)] if self._cubes else recognised

    # -------------------------------------------------------------- place

    @cached_property
    def _at_corner(self):
        """Average of backgrounds whose overlap is at the frame's corner, None if nothing differs.

        Only one place is right, in every release: a wrong one is named, and fails.
        """
        backgrounds = self.products.backgrounds
        header = self.products.science[0].header
        moved = [placed_at_corner(image, header) for image in backgrounds]
        if all(one is other for one, other in zip(moved, backgrounds, strict=True)):
            return None
        return average_backgrounds(moved, self.products.sigma, self.products.maxiters)

    @cached_property
    def _place(self):
        """Where the build puts backgrounds of another subarray, None if nothing differs."""
        if self._at_corner is None:
            return None
        wrong = not self._never(self.wrong_values, self.average)
        if wrong and self._never(self.wrong_values, self._at_corner):
            return _AT_CORNER
        return _IN_PLACE

    def misplaced(self):
        """Return how many pixels have another background if it is put at the frame's corner."""
        moved, average = self._at_corner.data, self.average.data
        return int(np.count_nonzero((moved != average) & illuminated(self.products.subarray)))

    # -------------------------------------------------------------- averaging

    @property
    def average(self):
        """Average of the backgrounds under the behaviour of the build."""
        return self._averaging[1]

    def affected(self, pixels, empty):
        """Return where the average may differ from the known one of today's releases."""
        touched = np.zeros(self._known_average.data.shape, dtype=bool)
        today = [next(iter(catalogue()[aspect])) for aspect in (PIXELS, EMPTY)]
        if pixels != today[0]:
            touched |= self._marked
        if self._cubes and empty != today[1]:
            touched |= self._emptied
        return touched

    @cached_property
    def _marked(self):
        """Where any background has a value that is not to be used, shape (rows, columns)."""
        return reduce(np.logical_or, map(_finite_but_flagged, self.products.backgrounds))

    @cached_property
    def _emptied(self):
        """Where any background has no value in any integration, shape (rows, columns)."""
        return reduce(np.logical_or, map(_empty, self.products.backgrounds))

    def averaged(self, pixels, empty):
        """Return the average of the backgrounds under chosen behaviours.

        Parameters
        ----------
        pixels, empty : str
            Names of behaviours of averaged pixels and of empty integrations.

        Returns
        -------
        CombinedBackground
            Computed anew only where it may differ from the known one.
        """
        rows, columns = np.nonzero(self.affected(pixels, empty))
        if rows.size == 0:
            return self._known_average
        anew = average_backgrounds(
            pixels_of(self.products.backgrounds, rows, columns),
            self.products.sigma,
            self.products.maxiters,
            masked=pixels == "DO_NOT_USE masked",
            empty_as_zero=empty == "counted as zero",
        )
        changed = {}
        for name, plane in vars(self._known_average).items():
            changed[name] = plane.copy()
            changed[name][rows, columns] = vars(anew)[name][0]
        return replace(self._known_average, **changed)

    def wrong_values(self, number, average=None):
        """Return which pixels of an exposure do not have the expected background.

        Parameters
        ----------
        number : int
            Science exposure, from 0.
        average : CombinedBackground, optional
            What is expected; the average under the behaviour of the build if not given.

        Returns
        -------
        ndarray of bool
            Of the combined background; where none was saved, of the subtracted image, any of
            its integrations.  Pixels whose clipping depends on rounding are never wrong.
        """
        average = self.average if average is None else average
        combined = self.products.combined[number]
        if combined is not None:
            wrong = different(combined.data, average.data, average.rounding)
        else:
            rate, subtracted = self.products.science[number], self.products.subtracted[number]
            with np.errstate(invalid="ignore"):
                expected = rate.data - average.data
            allowed = average.rounding + UNIT_ROUNDOFF * np.abs(expected)
            wrong = different(subtracted.data, expected, allowed)
        wrong = wrong if wrong.ndim == 2 else wrong.any(axis=0)
        return wrong & average.certain

    @cached_property
    def _averaging(self):
        """Names of the behaviours of averaging, and the average under them."""
        empties = self._candidates(EMPTY) if self._cubes else self._candidates(EMPTY)[:1]
        choices = list(product(self._candidates(PIXELS), empties))
        first = self.averaged(*choices[0])
        wrong = np.zeros(first.data.shape, dtype=bool)
        for number in self.subtracted_exposures:
            wrong |= self.wrong_values(number, first)
        if not wrong.any():
            return choices[0], first
        apart = self.affected(*choices[0])
        for choice in choices[1:]:
            # Elsewhere this average is the same, and as wrong.
            if (wrong & ~(apart | self.affected(*choice))).any():
                continue
            average = self.averaged(*choice)
            if self._never(self.wrong_values, average):
                return choice, average
        return choices[0], first

    # -------------------------------------------------------------- flags

    @cached_property
    def flags(self):
        """What is flagged in the combined background under the behaviour of the build."""
        return self._rule.flags(self.member_flags)

    @cached_property
    def member_flags(self):
        """What the backgrounds flag, a `MemberFlags`."""
        return MemberFlags.of(self.products.backgrounds)

    def wrong_flags(self, number, flags=None):
        """Return which pixels of an exposure have not the expected flags of the background.

        Parameters
        ----------
        number : int
            Science exposure, from 0.
        flags : ndarray of uint32, optional
            What is expected; the flags under the behaviour of the build if not given.

        Returns
        -------
        ndarray of bool
            Of the combined background; where none was saved, of the subtracted image.
        """
        flags = self.flags if flags is None else flags
        combined = self.products.combined[number]
        if combined is not None:
            return combined.dq != flags
        return self.products.subtracted[number].dq != (self.products.science[number].dq | flags)

    @cached_property
    def _rule(self):
        """How the build combines flags."""
        any_member, all_members, fraction = catalogue()[FLAGS]
        number = len(self.products.backgrounds)
        rules = [FlagRule(any_member, every=False), FlagRule(all_members, every=True)]
        rules.sort(key=lambda rule: rule.name != self._candidates(FLAGS)[0])
        rules += [
            FlagRule(fraction, every, least)
            for every, least in product((False, True), range(1, number + 1))
        ]
        for rule in rules:
            flags = rule.flags(self.member_flags)
            if self._never(self.wrong_flags, flags):
                return rule
        return rules[0]

    # -------------------------------------------------------------- errors

    def wrong_errors(self, number, name=None):
        """Return which pixels of a subtracted image have not the expected error.

        Parameters
        ----------
        number : int
            Science exposure, from 0.
        name : str, optional
            A behaviour of errors; that of the build if not given.

        Returns
        -------
        ndarray of bool
            Shape of the subtracted image.
        """
        name = self._errors if name is None else name
        rate, subtracted = self.products.science[number], self.products.subtracted[number]
        if name == "not propagated":
            return different(subtracted.err, rate.err)
        combined, allowed = self.products.combined[number], 0.0
        background = combined.err if combined is not None else self.average.error
        with np.errstate(invalid="ignore", over="ignore"):
            expected = np.hypot(rate.err.astype(float), background)
            allowed = _QUADRATURE_ROUNDING * expected
            if combined is None:
                allowed = allowed + self.average.error_rounding
        wrong = different(subtracted.err, expected, allowed)
        # What was clipped decides the error as well.
        return wrong & self.average.certain if combined is None else wrong

    @cached_property
    def _errors(self):
        """Name of the build's behaviour of errors."""
        names = self._candidates(ERRORS)
        for name in names:
            if self._never(self.wrong_errors, name, self.saved_exposures):
                return name
        return names[0]
