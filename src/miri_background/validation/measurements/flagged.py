"""Pixels that are flagged and stay usable: a class of their own, which no other statistic sees.

Hits of cosmic rays are the most of them.  What the jump step leaves of them scatters more than
empty sky, and in ramps of few groups, where it takes noise for hits, it has a bias of up to
0.8 of a pixel's noise.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["flagged_pixels"]

_CLIP = 20.0  # noises of a pixel: further off, one pixel counts as much as this
_FEW = 20  # pixels, below which a class has no number
_AROUND = 5  # pixels: side of the box in which most pixels have to be empty sky
_MOST = 0.5
_UNUSABLE = DO_NOT_USE | SATURATED


def _classes(analysis, number):
    """Yield the name of each class of flagged pixels of empty sky, and the pixels."""
    expectation, masks = analysis.expectation, analysis.masks
    own = expectation.science[number].dq
    others = np.bitwise_or.reduce([image.dq for image in expectation.backgrounds])
    # Sources that were looked for have flagged pixels as their own: their surroundings tell.
    empty = masks.empty[number] & masks.usable[number]
    around = uniform_filter(empty.astype(np.float32), _AROUND) > _MOST
    usable = masks.lit & ((own | others) & _UNUSABLE == 0) & around
    usable &= np.isfinite(analysis.residuals.images[number])
    yield "science", usable & (own > 0)
    yield "backgrounds", usable & (own == 0) & (others > 0)


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
        noise = np.hypot(
            expectation.science_noise[number], np.sqrt(expectation.clipping.variance)
        )
        means, scatters = [], []
        for name, pixels in _classes(analysis, number):
            values = analysis.residuals.images[number][pixels] / noise
            if values.size < _FEW:
                continue
            values = np.clip(values, -_CLIP, _CLIP)
            scatter = float(np.sqrt(np.mean(values**2)))
            place = f"{values.size} pixels that {name} flag and that stay usable"
            means.append((values.mean(), scatter / np.sqrt(values.size), place))
            scatters.append((scatter, scatter / np.sqrt(2 * values.size), place))
        for criterion, found in (("flagged pixels", means), ("flagged scatter", scatters)):
            if found:
                value, error, place = max(found, key=lambda each: abs(each[0]))
                yield Measurement(
                    criterion, WHOLE_ARRAY, number + 1, float(value), float(error), detail=place
                )
