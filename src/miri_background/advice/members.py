"""What each background has that the others have not: light, level, noise, stripes, flags."""

import warnings
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from scipy.ndimage import binary_dilation, find_objects, label, uniform_filter

from miri_background.validation.prediction.masks import USABLE_FLAGS
from miri_background.validation.prediction.pixel_statistics import clipped_mean, clipped_scatter
from miri_background.validation.prediction.source_masks import coverage, source_mask
from miri_background.validation.products.images import DO_NOT_USE, in_two_dimensions

__all__ = ["APERTURE", "Members", "Place"]

APERTURE = 5  # pixels: side of the square in which a flux is measured
_LEAST_CLEAN = 0.5  # part of the pixels that may be left out for cosmic rays, at most
_LEAST_LEVEL = 0.01  # of the sky: levels that differ by less are those of one sky
_SURE = 5.0  # standard errors, or scatters of the others, from which a level or a stripe is one
# Times the light of a place that an earlier exposure has there, at least: a latent image of MIRI is
# no more than a few percent of what left it (JDox, "MIRI Detector Performance": persistence).
_LATENT = 30.0
_STANDS_OUT = 5.0  # standard deviations of an aperture
# Half the side of the square that has most of a star's light at any wavelength, and how much.
_STAR, _OF_STAR = 7, 0.4
# Times the threshold of source masks: at 5 standard deviations, what is found is light.
_LOOSER = 1.5
_AROUND = 2  # pixels around it that are not chosen for their noise
_NAMED = 3  # places of a background that are looked at
_SAMPLE = 100_000  # pixels: a scatter to two parts in a thousand
# Any of these tells the order of exposures (JWST keyword dictionary).
_WHEN = ("EXPSTART", "DATE-BEG")


@dataclass(frozen=True)
class Place:
    """Light that one background has and the others have not.

    Parameters
    ----------
    member : int
        Background, from 0.
    x, y : int
        Brightest pixel, from 0.
    light : float
        All of it, DN/s.
    pixels : int
        Over so many pixels.
    kind : str
        "latent", "extended light" or "source".
    """

    member: int
    x: int
    y: int
    light: float
    pixels: int
    kind: str

    def words(self):
        """Return what it is and where."""
        return f"{self.kind} at x, y = {self.x}, {self.y}"


class Members:
    """Background exposures beside each other.

    Parameters
    ----------
    products : Products
        Rates, of which nothing that the step has written is looked at.
    lit : ndarray of bool
        Pixels that see the sky.

    Attributes
    ----------
    cubes : list of Image
        All rates as they were read.
    values : ndarray
        Rates of the backgrounds, DN/s, shape (exposures, rows, columns).
    good : ndarray of bool
        Pixels that are looked at: they see the sky, and have no flag in any background.
    masks : ndarray of bool
        Where each background has light that the others have not, shape of the values.
    levels : ndarray
        Sky of each background less the median of all, DN/s.
    noise : ndarray
        Standard deviation of a pixel of each background, DN/s.
    reference : ndarray
        Mean of the backgrounds that have no such light, on the level of their median, DN/s;
        not a number where each has.
    """

    def __init__(self, products, lit):
        self.cubes = [*products.science, *products.backgrounds]
        self.science = [in_two_dimensions(image) for image in products.science]
        self.backgrounds = [in_two_dimensions(image) for image in products.backgrounds]
        self.lit = lit
        self.values = np.stack([image.data for image in self.backgrounds]).astype(float)
        self.good = self._good_pixels()
        self.sky = float(np.median(_some(self.values[0][self.good]))) if self.good.any() else np.nan
        if not self.good.any():
            return
        covers = coverage(self.good)
        self.masks = np.stack([self._light_in(each, covers) for each in self._differences()])
        empty = self.good & ~self.masks.any(axis=0)
        self.levels = self._levels(empty)
        self.noise = self._noise(empty)
        self.reference = self._mean_without_light()
        self.empty = empty

    @property
    def count(self):
        """Number of backgrounds."""
        return len(self.backgrounds)

    def _differences(self):
        """Yield each background less the mean of the others, DN/s.

        The noise of that is normal, and that of a difference to a median is not.
        """
        total = self.values.sum(axis=0)
        for each in self.values:
            yield (each * self.count - total) / (self.count - 1)

    def _good_pixels(self):
        """Return the pixels without a flag; cosmic rays count only if enough others are left."""
        flags = reduce(np.bitwise_or, (image.dq for image in self.backgrounds))
        usable = self.lit & np.isfinite(self.values).all(axis=0) & ((flags & DO_NOT_USE) == 0)
        clean = usable & ((flags & USABLE_FLAGS) == 0)
        enough = np.count_nonzero(clean) >= _LEAST_CLEAN * np.count_nonzero(usable)
        return clean if enough else usable

    def _light_in(self, difference, covers):
        """Return where a background is brighter than others."""
        sample = _some(difference[self.good])
        scatter = float(clipped_scatter(sample))
        if not scatter > 0:
            return np.zeros_like(self.good)
        flat = difference - np.median(sample)
        bright = source_mask(flat, self.good, scatter, _LOOSER, brighter=True, covers=covers)
        return binary_dilation(bright & self.good, iterations=_AROUND) & self.good

    def _levels(self, empty):
        """Return the level of each background over the median of all, 0 where it is not sure."""
        if self.count == 2:
            # Which of two is not as it should be, they do not say.
            return np.zeros(2)
        means = [clipped_mean(_some(each[empty])) for each in self._differences()]
        part = (self.count - 1) / self.count  # a background is not among the others
        levels = part * np.array([mean for mean, _ in means])
        levels -= np.median(levels)
        errors = part * np.sqrt([variance for _, variance in means])
        # Levels that all differ are drifts of the detector: no exposure is to be left out for them.
        others = np.array([np.delete(levels, each).std(ddof=1) for each in range(self.count)])
        least = np.maximum(_SURE * np.maximum(errors, others), _LEAST_LEVEL * self.sky)
        sure = np.abs(levels) > least
        return np.where(sure, levels, 0.0)

    def _noise(self, empty):
        """Return the noise of a pixel of each background, from the others' mean."""
        total, count = self.values.sum(axis=0), self.count
        variances = np.array(
            [
                clipped_scatter(_some((each - (total - each) / (count - 1))[empty])) ** 2
                for each in self.values
            ]
        )
        if count == 2:
            return np.sqrt(variances / 2)
        of_all = variances.sum() * (count - 1) / count
        own = (variances - of_all / (count - 1) ** 2) / (1 - 1 / (count - 1) ** 2)
        return np.sqrt(np.maximum(own, 0.01 * of_all / count))

    def _mean_without_light(self):
        """Return the mean of the backgrounds that have no light of their own in a pixel."""
        members = zip(self.values, self.levels, self.masks, strict=True)
        total = sum(np.where(mask, 0.0, each - level) for each, level, mask in members)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / (self.count - self.masks.sum(axis=0))

    @cached_property
    def light(self):
        """Light that each background has of its own, DN/s, 0 elsewhere, shape of the values."""
        light = np.zeros_like(self.values)
        for number, (each, level) in enumerate(zip(self.values, self.levels, strict=True)):
            own = each - level - self.reference
            np.copyto(light[number], own, where=self.masks[number] & np.isfinite(own))
        return light

    @cached_property
    def science_noise(self):
        """Standard deviation of a pixel of a science exposure, DN/s, the median of all."""
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            own = [
                clipped_scatter(_some(difference[np.isfinite(difference)]))
                for image in self.science
                if (difference := (image.data - self.reference)[self.empty & _clean(image)]).size
            ]
        if not own:
            return float(np.median(self.noise))
        of_reference = np.sum(self.noise**2) / self.count**2
        return float(np.sqrt(max(np.median(own) ** 2 - of_reference, 0.0)))

    @cached_property
    def stripes(self):
        """Scatter of the rows' and columns' means of each background beyond its noise, DN/s."""
        found = []
        for values in self.values:
            flat = np.where(self.empty, values - self.reference, np.nan)
            excess = 0.0
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                flat = flat - np.nanmean(flat)
                for axis in (0, 1):
                    counted = np.isfinite(flat).sum(axis=axis)
                    enough = counted > 0.1 * flat.shape[axis]
                    lines = np.nanmean(flat, axis=axis)[enough]
                    if lines.size < 2:
                        continue
                    variance = np.nanvar(flat) / counted[enough]
                    # A gradient is no stripe: neighbouring lines are compared.
                    of_pairs = np.diff(lines) ** 2 / 2
                    noise = (variance[1:] + variance[:-1]) / 2
                    error = np.sqrt(2 / of_pairs.size) * noise.mean()
                    beyond = of_pairs.mean() - noise.mean()
                    excess += beyond if beyond > _SURE * error else 0.0
            found.append(np.sqrt(excess))
        return np.array(found)

    def lost(self, chosen):
        """Return how many science pixels only some backgrounds flag, of those that are chosen.

        Parameters
        ----------
        chosen : sequence of int
            Backgrounds, from 0.

        Returns
        -------
        int
            Pixels that see the sky; flags of any background are those of the result.
        """
        some = reduce(np.bitwise_or, (self.backgrounds[each].dq for each in chosen))
        all_together = reduce(np.bitwise_and, (each.dq for each in self.backgrounds))
        return int(np.count_nonzero(self.lit & ((some & ~all_together & DO_NOT_USE) != 0)))

    # ------------------------------------------------------------------ places

    def places(self, member):
        """Return the places in which a background has light of its own, brightest first.

        Parameters
        ----------
        member : int
            Background, from 0.

        Returns
        -------
        list of Place
            With what they seem to be.
        """
        light = self.light[member]
        labels, number = label(self.masks[member])
        totals = np.bincount(labels.ravel(), light.ravel(), number + 1)[1:]
        parts, found = find_objects(labels), []
        for each in np.argsort(totals)[::-1][:_NAMED]:
            part = parts[each]
            own = np.where(labels[part] == each + 1, light[part], -np.inf)
            peak = np.unravel_index(np.argmax(own), own.shape)
            row, column = (int(p + s.start) for p, s in zip(peak, part, strict=True))
            total, pixels = float(totals[each]), int(np.isfinite(own).sum())
            kind = self._kind(member, (row, column), total)
            found.append(Place(member, column, row, total, pixels, kind))
        return found

    def _kind(self, member, peak, total):
        """Return what light in one background seems to be."""
        row, column = peak
        own = _around(self.light[member], row, column)
        if own > _STANDS_OUT * APERTURE * self.noise[member]:
            for image in self._earlier(member):
                if _around(image.data - self.reference, row, column) > _LATENT * own:
                    return "latent"
        of_star = _around(self.light[member], row, column, _STAR)
        return "extended light" if of_star < _OF_STAR * total else "source"

    def _earlier(self, member):
        """Return the exposures that were taken before a background."""
        when = _time(self.backgrounds[member])
        if when is None:
            return []
        others = [*self.science, *self.backgrounds[:member], *self.backgrounds[member + 1 :]]
        return [
            image
            for image in others
            if (time := _time(image)) is not None and type(time) is type(when) and time < when
        ]

    def apertures(self, image):
        """Return the sum of each square of pixels of an image, shape of the image."""
        single = image.astype(np.float32)
        return uniform_filter(single, APERTURE, mode="constant") * APERTURE**2


def _some(values):
    """Return some of many pixels, evenly taken."""
    # The columns of an output are four apart: an odd step takes as many pixels of each.
    return values[:: max(1, values.size // _SAMPLE) | 1]


def _time(image):
    """Return when an exposure began, in what its header has; None if it says nothing."""
    found = (image.header.get(name) for name in _WHEN)
    return next((each for each in found if isinstance(each, float | int | str) and each), None)


def _clean(image):
    """Return the pixels of an exposure without a flag that matters."""
    return (image.dq & USABLE_FLAGS) == 0


def _around(image, row, column, half=APERTURE // 2):
    """Return the sum of the pixels around one."""
    part = image[
        max(row - half, 0) : row + half + 1,
        max(column - half, 0) : column + half + 1,
    ]
    return float(np.nansum(part))
