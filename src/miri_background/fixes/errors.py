"""What errors are worth: how values scatter around the truth, in units of what is reported."""

import math
from functools import partial

import numpy as np

from miri_background.fixes.predicted import predicted_pulls
from miri_background.fixes.score import Score
from miri_background.fixes.scores import deviation, level, pulls
from miri_background.fixes.taken import subtracted, unflagged
from miri_background.fixes.variants import UNMODIFIED, VARIANTS
from miri_background.validation.prediction.pixel_statistics import levelled

__all__ = ["CLIPPINGS", "errors_scores"]

# Words, sigma and iterations: what this suite and STScI's notebook choose, and the defaults.
CLIPPINGS = {"sigma 2": (2.0, 3), "sigma 3 (default)": (3.0, None)}


def errors_scores(data, science, backgrounds, counts, flat):
    """Return the scores of errors on one observation.

    Parameters
    ----------
    data : str
        What was observed.
    science : Exposed
        The science exposure.
    backgrounds : list of Exposed
        All that there are.
    counts : sequence of int
        How many of them are averaged.
    flat : bool
        Whether the flat-field step follows.

    Returns
    -------
    list of Score
        Of each variant, number of backgrounds and clipping.
    """
    good = unflagged([science, *backgrounds])
    own, others = science.noise, backgrounds[0].noise
    found = [_of_a_rate(data, science, good, own)]
    for count in counts:
        members = backgrounds[:count]
        sky = np.mean([each.truth.background for each in members], axis=0)
        for words, clipping in CLIPPINGS.items():
            predicted = predicted_pulls(count, *clipping, own, others)
            for variant in VARIANTS["errors"]:
                made = subtracted(
                    variant, science.path, [each.path for each in members], *clipping, flat
                )
                score = partial(_score, data, variant.name, backgrounds=count, clipping=words)
                found += _of_variant(score, variant, made, science, sky, good, predicted)
                if variant.name == UNMODIFIED:
                    pull = predicted["combined"].value
                    found += _of_combined(score, made.combined, sky, good, pull, others, count)
    return found


def _score(data, variant, quantity, value, predicted=math.nan, **others):
    """Return a score of this case."""
    return Score(
        "errors", data, variant, quantity, value.value, value.error, predicted=predicted, **others
    )


def _of_a_rate(data, science, good, noise):
    """Return the pull of the science exposure itself: what no background can be blamed for."""
    value = pulls(science.image.data - science.truth.background, science.image.err, good)
    return _score(data, "", "pull of the rate alone", value, 1 / noise.reported, backgrounds=0)


def _of_variant(score, variant, made, science, sky, good, predicted):
    """Return noise and pulls of a subtracted image."""
    difference = made.result.data - (science.truth.background - sky)
    expected = "science" if variant.name == UNMODIFIED else "quadrature"
    yield score(
        "pull of the subtracted image",
        pulls(difference, made.result.err, good),
        predicted[expected].value,
    )
    if variant.name == UNMODIFIED:
        yield score(
            "noise of the subtracted image",
            deviation(levelled(difference, good)[good]),
            predicted["noise"].value,
        )
    if made.flat_fielded is not None:
        # The flat field divides value and truth alike.
        with np.errstate(invalid="ignore", divide="ignore"):
            error = made.flat_fielded.err * (made.result.data / made.flat_fielded.data)
        kept = {"variances": "quadrature"}.get(variant.name, "science")
        yield score(
            "pull after flat_field",
            pulls(difference, error, good & np.isfinite(error)),
            predicted[kept].value,
        )


def _of_combined(score, combined, sky, good, pull, noise, count):
    """Return pull and bias of the combined background, which no variant of errors changes."""
    difference = combined.data - sky
    yield score("pull of the combined background", pulls(difference, combined.err, good), pull)
    yield score(
        "bias of the combined background",
        level(difference, good, noise.common / count),
        noise.offset,
    )
