"""What each choice of sigma, iterations and exposures would make of a background.

The suite's own clipping is repeated where a background has light that the others have not, and on
a sample of empty sky.  What counts is the error of a flux in a small square of pixels where a
background has such light: there a choice makes the most of a difference, and its noise counts, too.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from miri_background.advice.members import APERTURE
from miri_background.validation.prediction.clipping import kept_values
from miri_background.validation.prediction.masks import USABLE_FLAGS

__all__ = ["Choice", "Effect", "Sweep"]

_SAMPLE = 30_000  # pixels of empty sky: variances to one percent
_SEED = 20260101
_PIXELS = APERTURE**2
_STANDS_OUT = 3.0  # standard deviations of a flux in one exposure: more light counts
_WIDE = 2.0  # what clipping adds has wider wings than normal noise: so are errors of its variance


@dataclass(frozen=True)
class Choice:
    """How backgrounds are averaged.

    Parameters
    ----------
    sigma : float
        Clipping threshold, standard deviations.
    maxiters : int or None
        Most iterations; None for as many as change anything.
    left_out : tuple of int, optional
        Backgrounds that are not averaged, from 0.
    """

    sigma: float
    maxiters: int | None
    left_out: tuple = ()

    def words(self):
        """Return sigma, iterations and what is left out, in words."""
        left = [f"background {each + 1}" for each in self.left_out]
        return ", ".join(
            [f"sigma {self.sigma:g}", f"maxiters {self.maxiters or 'none'}"]
            + ([f"without {' and '.join(left)}"] if left else [])
        )


@dataclass(frozen=True)
class Effect:
    """What a choice makes of the rates.

    Parameters
    ----------
    choice : Choice
        The choice.
    noise, noise_error : float
        Standard deviation of a pixel of a subtracted image on empty sky, DN/s.
    light, light_error : float
        Light of background sources that stays, percent of all of it; not a number where there is
        none.
    level : float
        By how much the average is off the level that most backgrounds have, DN/s.
    stripes : float
        Scatter of rows' and columns' means that the backgrounds add, DN/s.
    lost : int
        Pixels that are lost for the flag of some background.
    parts : dict of float
        Squared error of a flux by cause, (DN/s)^2: "noise", "light", "level", "stripes".
    lost_part : float
        Part of the pixels that are lost.
    residual, residual_error : float
        Mean of the science exposures less the average on empty sky, DN/s.
    stays, variances : ndarray
        Light that stays in each square around light of a background, DN/s, and its variance.
    """

    choice: Choice
    noise: float
    noise_error: float
    light: float
    light_error: float
    level: float
    stripes: float
    lost: int
    parts: dict
    lost_part: float
    residual: float
    residual_error: float
    stays: np.ndarray
    variances: np.ndarray

    @property
    def error(self):
        """Error of a flux where backgrounds have light, DN/s; lost pixels count as lost time."""
        return float(np.sqrt(sum(self.parts.values()) / (1 - min(self.lost_part, 0.99))))

    def better_than(self, other):
        """Return by how much the error of a flux is smaller than that of another choice.

        Parameters
        ----------
        other : Effect
            Of the same rates.

        Returns
        -------
        part, error : float
            Part of the other's error, and the standard error of it.
        """
        gain = 1 - self.error / other.error
        half = 2 * other.error**2
        by_light = 0.0
        if self.stays.size:
            # The noise itself is in both choices: it counts where they differ.
            apart = self.stays.astype(float) - other.stays
            variance = np.maximum(self.variances, other.variances).astype(float)
            # Squares overlap: as many as one has pixels have their noise in common.
            of_sum = _PIXELS * np.sum(4 * apart**2 * variance)
            by_light = np.sqrt(of_sum) / self.stays.size / half
        by_noise = (
            _WIDE * np.sqrt(2 / _SAMPLE) * (other.parts["noise"] - self.parts["noise"]) / half
        )
        return float(gain), float(np.hypot(by_light, by_noise))


@dataclass(frozen=True)
class _Stays:
    """What stays of light that single backgrounds have.

    Parameters
    ----------
    part, part_error : float
        Percent of all of it; not a number where there is none.
    square : float
        Squared error of a flux by it, (DN/s)^2.
    sums, variances : ndarray
        Of each square around such light, DN/s, and its variance.
    """

    part: float
    part_error: float
    square: float
    sums: np.ndarray
    variances: np.ndarray


class Sweep:
    """Tries choices on the same rates.

    Parameters
    ----------
    members : Members
        The backgrounds beside each other.
    """

    def __init__(self, members):
        self.members = members
        generator = np.random.default_rng(_SEED)
        empty = np.flatnonzero(members.empty)
        if empty.size > _SAMPLE:
            empty = np.sort(generator.choice(empty, _SAMPLE, replace=False))
        with_light = members.masks.any(axis=0) & np.isfinite(members.reference)
        lit = np.flatnonzero(with_light)
        self._places = lit
        values = members.values.reshape(members.count, -1)
        self._empty, self._lit = values[:, empty], values[:, lit]
        reference = members.reference.ravel()
        self._reference_empty, self._reference_lit = reference[empty], reference[lit]
        self._masks = members.masks.reshape(members.count, -1)[:, lit]
        light = members.light.sum(axis=0)
        self._light = light.ravel()[lit]
        self._near = self._where_light_counts(light)
        self._science = _residual_of(members, empty)

    def _where_light_counts(self, light):
        """Return the pixels around which a flux has light of a background, of all places.

        Outer wings, in which nothing can be gained, would hide what a choice does.
        """
        of_flux = self.members.apertures(light).ravel()[self._places]
        counts = of_flux > _STANDS_OUT * APERTURE * self.members.noise.max()
        return self._places[counts] if counts.any() else self._places

    @cached_property
    def best_possible(self):
        """Error of a flux if all backgrounds were averaged and had nothing but noise, DN/s."""
        members = self.members
        variance = members.science_noise**2 + np.sum(members.noise**2) / members.count**2
        return float(np.sqrt(_PIXELS * variance))

    def least_error(self, left_out):
        """Return an error of a flux below which no choice without some backgrounds comes, DN/s.

        Parameters
        ----------
        left_out : tuple of int
            Backgrounds that are not averaged, from 0.

        Returns
        -------
        float
            That of the plain mean without any light.
        """
        members = self.members
        chosen = self._chosen(left_out)
        noise = members.science_noise**2 + np.sum(members.noise[chosen] ** 2) / len(chosen) ** 2
        stripes = np.sum(members.stripes[chosen] ** 2) / len(chosen) ** 2
        usable = 1 - min(members.lost(chosen) / max(np.count_nonzero(members.lit), 1), 0.99)
        return float(np.sqrt((_PIXELS * noise + APERTURE**3 * stripes) / usable))

    def _chosen(self, left_out):
        """Return the backgrounds that are averaged."""
        return [each for each in range(self.members.count) if each not in left_out]

    def effect(self, choice):
        """Return what a choice makes of the rates.

        Parameters
        ----------
        choice : Choice
            At least one background is not left out.

        Returns
        -------
        Effect
            Errors with their causes.
        """
        members = self.members
        chosen = self._chosen(choice.left_out)
        number = len(chosen)
        on_empty, _ = self._averaged(self._empty[chosen], choice)
        off = on_empty - self._empty[chosen].mean(axis=0)
        # What clipping does does not depend on the plain mean (Basu's theorem): variances add.
        added = float(off.var())
        plain = float(np.sum(members.noise[chosen] ** 2)) / number**2
        shift = float(np.mean(on_empty - self._reference_empty))
        # Where all are of one sky, what is left is chance.
        level = shift if members.levels.any() else 0.0
        light = self._light_that_stays(chosen, choice, shift, added, plain)
        stripes = float(np.sqrt(np.sum(members.stripes[chosen] ** 2)) / number)
        variance = members.science_noise**2 + plain + added
        noise_error = np.sqrt(2 / max(off.size, 1)) * np.hypot(plain, added) / 2 / np.sqrt(variance)
        lost = members.lost(chosen)
        residual = self._science - on_empty if self._science is not None else np.array([np.nan])
        residual = residual[np.isfinite(residual)]
        return Effect(
            choice,
            float(np.sqrt(variance)),
            float(noise_error),
            light.part,
            light.part_error,
            level,
            stripes,
            lost,
            {
                "noise": _PIXELS * variance,
                "light": light.square,
                "level": (_PIXELS * level) ** 2,
                # All pixels of a row or column of a square have the same stripe.
                "stripes": APERTURE**3 * stripes**2,
            },
            lost / max(np.count_nonzero(members.lit), 1),
            float(np.median(residual)) if residual.size else np.nan,
            float(1.25 * residual.std() / np.sqrt(residual.size)) if residual.size else np.nan,
            light.sums,
            light.variances,
        )

    @staticmethod
    def _averaged(values, choice):
        """Return the clipped mean of values, and which were kept."""
        if len(values) == 1:
            return values[0], np.ones(values.shape, dtype=bool)
        keep, _ = kept_values(values, choice.sigma, choice.maxiters)
        mean = np.where(keep, values, 0.0).sum(axis=0) / np.maximum(keep.sum(axis=0), 1)
        return mean, keep

    def _light_that_stays(self, chosen, choice, shift, added, plain):
        """Return what stays of light that single backgrounds have."""
        members, shape = self.members, self.members.good.shape
        if not self._places.size or not self._light.sum() > 0:
            return _Stays(np.nan, np.nan, 0.0, np.zeros(0), np.zeros(0))
        mean, keep = self._averaged(self._lit[chosen], choice)
        stays = mean - self._reference_lit - shift
        # The noise of what stays: of the exposure that has the light, where it is averaged.
        averaged = (keep & self._masks[chosen]).any(axis=0)
        of_pixel = added + np.where(averaged, plain / max(len(chosen) - 1, 1), 0.0)
        images = []
        for values in (stays, of_pixel):
            image = np.zeros(shape)
            image.ravel()[self._places] = values
            images.append(members.apertures(image).ravel()[self._near])
        sums, variances = images[0], np.maximum(images[1], 0.0)
        total = self._light.sum()
        return _Stays(
            float(100 * stays.sum() / total),
            float(100 * np.sqrt(of_pixel.sum()) / total),
            # On average no square is negative.
            max(float(np.mean(sums**2 - variances)), 0.0),
            sums,
            variances,
        )


def _residual_of(members, pixels):
    """Return the mean of the science exposures in pixels, not a number where none is clean."""
    clean = [
        np.where((image.dq & USABLE_FLAGS) == 0, image.data, np.nan).ravel()[pixels]
        for image in members.science
    ]
    stacked = np.stack(clean)
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, stacked, 0).sum(axis=0) / known.sum(axis=0)
