"""Pixels that are flagged and stay usable: a class of their own, which no other statistic sees.

Hits of cosmic rays are the most of them.  What the jump step leaves of them scatters more than
empty sky.  In ramps of few groups it takes noise for hits, and always that which made the ramp
rise: what is left of these is too low, by up to four noises of a pixel with six groups of bright
sky.  Where the truth knows the hits, only pixels that were hit are looked at.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["flagged_pixels"]

_CLIP = 20.0  # noises of a pixel: further off, one pixel counts as much as this
# Pixels, below which a class has no number: of so many, mean and scatter are known to a fifth of
# the noise, and limits that are twice what is usual are five times that away.
_FEW = 100
_AROUND = 5  # pixels: side of the box in which most pixels have to be empty sky
_MOST = 0.5
_UNUSABLE = DO_NOT_USE | SATURATED


def _classes(analysis, number):
    """Yield the name of each class of flagged pixels of empty sky, and the pixels."""
    expectation, masks = analysis.expectation, analysis.masks
    own = expectation.science[number].dq
    others = expectation.combined.dq
    # Sources that were looked for have flagged pixels as their own: their surroundings tell.
    empty = masks.empty[number] & masks.usable[number]
    around = uniform_filter(empty.astype(np.float32), _AROUND) > _MOST
    usable = masks.lit & ((own | others) & _UNUSABLE == 0) & around
    usable &= np.isfinite(analysis.residuals.images[number])
    hit, hit_others = _hits(analysis, number)
    yield "the science exposure flags", usable & hit & (own > 0)
    yield "only a background flags", usable & hit_others & (own == 0) & (others > 0)


def _hits(analysis, number):
    """Return which pixels were hit in a science exposure, and in any background.

    True where nobody knows.
    """
    products = analysis.products
    if not analysis.expectation.truth:
        return True, True
    own = products.science_truth[number].hit
    others = [truth.hit for truth in products.background_truth]
    if own is None or any(hit is None for hit in others):
        return True, True
    return own, np.logical_or.reduce(others)


def flagged_pixels(analysis):
    """Yield mean and scatter of the residual in flagged pixels that stay usable.

    In units of the noise of a pixel without a flag, of each science exposure: of the class
    that is further off.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.

    Yields
    ------
    Measurement
        Two for each exposure that has such pixels.
    """
    expectation = analysis.expectation
    for number in analysis.numbers:
        noise = np.hypot(expectation.science_noise[number], np.sqrt(expectation.clipping.variance))
        means, scatters = [], []
        for name, pixels in _classes(analysis, number):
            values = analysis.residuals.images[number][pixels] / noise
            if values.size < _FEW:
                continue
            values = np.clip(values, -_CLIP, _CLIP)
            place = f"{values.size} pixels that {name} and that stay usable"
            means.append((float(values.mean()), place))
            scatters.append((float(np.sqrt(np.mean(values**2))), place))
        for criterion, found in (("flagged pixels", means), ("flagged scatter", scatters)):
            if found:
                value, place = max(found, key=lambda each: abs(each[0]))
                yield Measurement(criterion, WHOLE_ARRAY, number + 1, value, detail=place)
