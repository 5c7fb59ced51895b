"""What the place of a background of another subarray is worth."""

import math
from functools import partial

import numpy as np

from miri_background.fixes.score import score_of_average
from miri_background.fixes.scores import deviation, level, part
from miri_background.fixes.taken import subtracted
from miri_background.fixes.variants import VARIANTS
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.pixel_statistics import levelled
from miri_background.validation.prediction.rounding import different
from miri_background.validation.products.frames import covered, in_frame, truth_in_frame
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["place_scores"]

_CLIPPING = (2.0, 3)  # sigma and iterations


def place_scores(data, science, backgrounds):
    """Return the scores of the place, for a science exposure and backgrounds of other subarrays.

    What is expected is the suite's own average of the backgrounds in the science exposure's
    pixels.

    Parameters
    ----------
    data : str
        What was observed.
    science : Exposed
        The science exposure.
    backgrounds : list of Exposed
        What is averaged.

    Returns
    -------
    scores : list of Score
        Of each variant.
    images : dict of ndarray
        Subtracted image less its truth, DN/s, by the name of the variant; not a number where
        nothing is known.
    """
    header = science.image.header
    seen = [in_frame(each.image, header) for each in backgrounds]
    expected = average_backgrounds(seen, *_CLIPPING)
    there = np.logical_or.reduce([covered(each.image, header) for each in backgrounds])
    sky = np.mean(
        [truth_in_frame(each.truth, each.image, header).background for each in backgrounds], axis=0
    )
    usable = science.lit & (science.image.dq & DO_NOT_USE == 0)
    left = np.where(there, science.truth.background - sky, science.truth.background)
    own_noise, noise = science.noise, backgrounds[0].noise
    scatter = math.hypot(own_noise.scatter, noise.scatter / math.sqrt(len(seen)))
    common = own_noise.common + noise.common / len(seen)
    offset = own_noise.offset - noise.offset
    scores, images = [], {}
    for variant in VARIANTS["place"]:
        score = partial(score_of_average, "place", data, variant.name, len(seen), group="covered")
        made = subtracted(variant, science.path, [each.path for each in backgrounds], *_CLIPPING)
        own = ~different(made.combined.data, expected.data, expected.rounding) & expected.certain
        flagged = made.result.dq & DO_NOT_USE > 0
        given = made.combined.data != 0
        inside, outside = usable & there & expected.certain, usable & ~there
        good = inside & ~flagged & np.logical_and.reduce([each.dq == 0 for each in seen])
        good &= science.image.dq == 0
        scores += [
            score("its own background", part(own, inside)),
            score("another pixel's background", part(given & ~own, inside)),
            score("no background, and no flag", part(~given & ~flagged, inside)),
            score(
                "bias of the subtracted image",
                level(made.result.data - left, good, common),
                predicted=offset,
            ),
            score(
                "noise of the subtracted image",
                _noise(made.result.data - left, good),
                predicted=scatter,
            ),
        ]
        if outside.any():
            scores += [
                score("another pixel's background", part(given, outside), group="not covered"),
                score(
                    "no background, and no flag",
                    part(~given & ~flagged, outside),
                    group="not covered",
                ),
                score("flagged", part(flagged, outside), group="not covered"),
            ]
        images[variant.name] = np.where(usable, made.result.data - left, np.nan)
    return scores, images


def _noise(difference, good):
    """Return the scatter of what is left, without what whole outputs have in common."""
    return deviation(levelled(difference, good)[good])
