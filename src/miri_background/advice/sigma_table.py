"""For each number of backgrounds: which sigma, and what to expect of it.

A source that dithers is bright in one of n exposures at any pixel.  Clipping can reject it only
if sigma is below n / sqrt(n - 1) (`largest_deviation`), and a lower sigma throws away more noise
than it must.  Expected light and noise come from clipping noise that is drawn, with the suite's own
clipping; `docs/which_background.md` shows the real step beside them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from miri_background.validation.prediction.clipping import sigma_clipped_mean
from miri_background.validation.prediction.clipping_theory import largest_deviation

__all__ = ["DEFAULT_SIGMA", "HEIGHT", "MOST", "SigmaRow", "clipped", "sigma_for", "sigma_table"]

MOST = 16  # backgrounds
HEIGHT = 10.0  # noise of one exposure: of the source that has to go
DEFAULT_SIGMA = 3.0  # of the step
_SIGMAS = np.arange(3.0, 1.45, -0.1)
_MOST_LEFT = 10.0  # percent of the source's light in the plain mean
_DRAWS = 100_000
_SEED = 20260103


@dataclass(frozen=True)
class SigmaRow:
    """What to choose for a number of backgrounds, and what to expect.

    Parameters
    ----------
    count : int
        Backgrounds.
    limit : float
        Standard deviations that one source among them can be off, however bright.
    sigma : float
        What to choose; the step's default where nothing can be rejected.
    left, left_error : float
        Light of a source of `HEIGHT` that stays, percent of that in a plain mean.
    price : float
        Noise of the average over that of a plain mean, on empty sky, percent more.
    residual_price : float
        The same of a science exposure of the same length less the average.
    """

    count: int
    limit: float
    sigma: float
    left: float
    left_error: float
    price: float
    residual_price: float


def clipped(count, sigma, height, lit=1, maxiters=None):
    """Return what clipping leaves of a source that some of several exposures have.

    Parameters
    ----------
    count : int
        Exposures of the same noise.
    sigma : float
        Threshold.
    height : float
        Light of the source in one pixel, in units of the noise of an exposure.
    lit : int, optional
        Exposures that have it.
    maxiters : int, optional
        Most iterations.

    Returns
    -------
    left, error : float
        Percent of the light in a plain mean, and the error of the draws.
    price : float
        Scatter of the clipped mean over that of the plain one on empty sky, percent more.
    """
    noise, empty = _noise(count), _empty(count, sigma, maxiters)
    with_source = noise.copy()
    with_source[:lit] += height
    mean = sigma_clipped_mean(with_source, sigma, maxiters) if count > 1 else with_source[0]
    part = 100 * count / (height * lit) * (mean - empty)
    # What clipping does follows from the differences between the values, which tell nothing of
    # their mean (Basu's theorem): its variance adds to that of the mean, which is 1 / n.
    added = np.var(empty - noise.mean(axis=0))
    price = 100 * (np.sqrt(1 + count * added) - 1)
    return float(part.mean()), float(part.std() / np.sqrt(part.size)), float(price)


@lru_cache(maxsize=MOST)
def _noise(count):
    """Return noise of several exposures, read-only."""
    noise = np.random.default_rng((_SEED, count)).standard_normal((count, _DRAWS))
    noise.flags.writeable = False
    return noise


@lru_cache(maxsize=512)
def _empty(count, sigma, maxiters):
    """Return clipped means on empty sky."""
    noise = _noise(count)
    return sigma_clipped_mean(noise, sigma, maxiters) if count > 1 else noise[0]


@lru_cache(maxsize=MOST)
def sigma_for(count):
    """Return the row of a number of backgrounds.

    The largest threshold, in steps of 0.1, that leaves less than a tenth of a source of ten times
    the noise: it costs least noise.

    Parameters
    ----------
    count : int
        Backgrounds, from 1 to `MOST`.

    Returns
    -------
    SigmaRow
        With the step's default where no threshold from 1.5 on does that.
    """
    limit = largest_deviation(count) if count > 1 else 0.0
    chosen = DEFAULT_SIGMA
    for sigma in np.round(_SIGMAS, 1):
        if sigma < limit and clipped(count, float(sigma), HEIGHT)[0] < _MOST_LEFT:
            chosen = float(sigma)
            break
    left, error, price = clipped(count, chosen, HEIGHT)
    # Variances of the exposure and of the average add.
    average = (1 + price / 100) ** 2 / count
    residual = 100 * (np.sqrt((1 + average) / (1 + 1 / count)) - 1)
    return SigmaRow(count, float(limit), chosen, left, error, price, float(residual))


def sigma_table(most=MOST):
    """Return the rows of all numbers of backgrounds from 2 on."""
    return [sigma_for(count) for count in range(2, most + 1)]
