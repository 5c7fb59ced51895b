"""Ways that mask sources before exposures are averaged, and give the average to the step."""

import warnings
from typing import ClassVar, Literal

import numpy as np

from miri_background.campaign.rates import Rate
from miri_background.campaign.ways.masking import found_sources, usable_pixels
from miri_background.campaign.ways.real_step import model_of, step_subtracts
from miri_background.campaign.ways.way import Sigma, Subtracted, Way
from miri_background.validation.prediction.clipping import sigma_clipped_mean

__all__ = ["ScaledBackground", "SuperBackground"]

_MEDIAN_NOISE = np.sqrt(np.pi / 2)  # of many normal values, over that of their mean
_FITS = 3  # of level and pattern, each without what stood out in the one before
_STANDS_OUT = 3.0  # standard deviations


def _fed_back(rate, background, error, window):
    """Return what the step makes of an exposure with one background that is already made."""
    flags = np.zeros(background.shape, dtype=np.uint32)
    made = Rate(background.astype(np.float32), error.astype(np.float32), flags)
    return step_subtracts(
        model_of(rate, window, "science"), [model_of(made, window, "background")], 3.0, None
    )


def _averaged_error(errors, kept):
    """Return the error of a mean from those of the values that it has, 0 where it has none."""
    number = kept.sum(axis=0)
    total = np.where(kept, errors, 0.0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.sqrt(total.sum(axis=0)) / number)


class SuperBackground(Way):
    """The average of all other exposures with their sources masked, on a common level."""

    source: ClassVar[str] = (
        "Yang et al. 2023 (CEERS, ApJL 956, L12) and Alberts et al. 2024 (SMILES, ApJ 976, 224): "
        "super-backgrounds of masked exposures; leave-one-out and fed back into the step as in "
        "Crab.Toolkit.JWST's description"
    )

    kind: Literal["masked super-background"] = "masked super-background"
    average: Literal["median", "clipped mean"] = "median"
    sigma: Sigma = 3.0
    exposures: Literal["science", "background", "both"] = "science"

    @property
    def words(self):
        """The way with its parameters."""
        average = self.average if self.average == "median" else f"{self.average} {self.sigma:g}"
        return f"masked super-background of {self.exposures}, {average}"

    def subtract(self, taken):
        """Return the science exposures less what the others have without sources."""
        science = [_Masked(*each) for each in zip(taken.science, taken.science_light, strict=True)]
        backgrounds = []
        if self.exposures != "science":
            backgrounds = [
                _Masked(*each)
                for each in zip(taken.backgrounds, taken.background_light, strict=True)
            ]
        results = []
        for number, own in enumerate(science):
            others = [*backgrounds]
            if self.exposures != "background":
                others += [each for other, each in enumerate(science) if other != number]
            if not others:
                msg = "a super-background without the exposure itself needs another exposure"
                raise ValueError(msg)
            background, error = self._average(others, own.level)
            result = _fed_back(own.rate, background, error, taken.window)
            results.append(Subtracted(*result, [each.sources for each in others]))
        return results

    def _average(self, others, level):
        """Return average and error of exposures, moved to a level."""
        values = np.stack([each.values for each in others])
        kept = np.isfinite(values)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            if self.average == "median":
                average = np.nanmedian(values, axis=0)
            else:
                average = sigma_clipped_mean(values, self.sigma)
        # Where all are masked, the sky is as high as elsewhere: that is all that is known.
        average = np.where(np.isfinite(average), average, 0.0) + level
        error = _averaged_error(np.stack([each.rate.err for each in others]), kept)
        return average, error * (_MEDIAN_NOISE if self.average == "median" else 1.0)


class _Masked:
    """An exposure without its sources, less its level."""

    def __init__(self, rate, light):
        self.rate, self.sources = rate, light.sources
        empty = usable_pixels(rate) & ~found_sources(rate)
        self.level = float(np.median(rate.data[empty]))
        self.values = np.where(empty, rate.data - self.level, np.nan)


class ScaledBackground(Way):
    """The clipped mean of the backgrounds, brought to the sky of each science exposure."""

    source: ClassVar[str] = (
        "STScI's MIRI imaging notebook names a background that is scaled; level and pattern are "
        "fitted apart, since the telescope's thermal light does not change with the zodiacal one "
        "(Rigby et al. 2023, PASP 135, 048002)"
    )

    kind: Literal["scaled"] = "scaled"
    pattern: bool = False
    sigma: Sigma = 2.0

    @property
    def words(self):
        """The way with its parameters."""
        return f"scaled to level{' and pattern' if self.pattern else ''}, sigma {self.sigma:g}"

    def subtract(self, taken):
        """Return the science exposures less the scaled average of the backgrounds."""
        values = np.stack([rate.data.astype(float) for rate in taken.backgrounds])
        average = sigma_clipped_mean(values, self.sigma) if len(values) > 1 else values[0]
        error = _averaged_error(
            np.stack([rate.err for rate in taken.backgrounds]), np.isfinite(values)
        )
        known = np.isfinite(average)
        average = np.where(known, average, 0.0)
        averaged = [light.sources for light in taken.background_light]
        results = []
        for rate in taken.science:
            empty = usable_pixels(rate) & ~found_sources(rate) & known
            level, slope = self._fit(rate.data[empty].astype(float), average[empty])
            result = _fed_back(rate, level + slope * average, slope * error, taken.window)
            results.append(Subtracted(*result, [slope * each for each in averaged]))
        return results

    def _fit(self, science, average):
        """Return what is added to the average, and what it is multiplied by."""
        if not self.pattern:
            return 0.0, float(np.median(science) / np.median(average))
        middle = np.median(average)
        columns = np.column_stack([np.ones(average.size), average - middle])
        good = np.ones(average.size, dtype=bool)
        for _ in range(_FITS):
            level, slope = np.linalg.lstsq(columns[good], science[good], rcond=None)[0]
            off = science - columns @ (level, slope)
            good = np.abs(off - np.median(off)) < _STANDS_OUT * off[good].std()
        return float(level - slope * middle), float(slope)
