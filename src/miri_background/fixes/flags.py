"""What flags are worth: pixels that are lost, and wrong values that nothing flags.

Backgrounds are given what happens to some pixels in one exposure and not in the next: a latent
image that is flagged and has a value, as a pixel that is hot for a time, and a ramp that saturates
at once and has none.  How many of the backgrounds have it is known of each pixel.
"""

import math
from functools import partial

import numpy as np

from miri_background.fixes.score import score_of_average
from miri_background.fixes.scores import deviation, level, part, pulls, right_and_flagged
from miri_background.fixes.taken import subtracted, unflagged
from miri_background.fixes.variants import VARIANTS
from miri_background.validation.prediction.clipping_theory import Clipping
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["KINDS", "Spoiled", "flags_scores"]

_PERSISTENCE = 128  # bit of DQ; jwst documentation, "Data Quality Flags"
KINDS = ("latent image", "saturated")
# Of the good pixels, at most so many are spoiled in all classes together.
_MOST = 0.3
_FAINTEST, _BRIGHTEST = 1.0, 100.0  # latent images, standard deviations of a pixel; uniform in log
_CLIPPING = (2.0, 3)  # sigma and iterations
_SEED = 20261127  # of the choice of pixels


class Spoiled:
    """Which pixels are spoiled in how many backgrounds, and by what.

    Parameters
    ----------
    good : ndarray of bool
        Pixels that no exposure flags, shape (rows, columns).
    count : int
        Number of backgrounds.
    noise : float
        Standard deviation of a pixel, DN/s.
    seed : int
        Of the choice.

    Attributes
    ----------
    members : ndarray of bool
        In which backgrounds a pixel is spoiled, shape (count, rows, columns).
    of_kind : dict of ndarray of bool
        Which pixels are spoiled by each of `KINDS`, shape (rows, columns).
    excess : ndarray
        Of latent images, DN/s, shape of `members`.
    """

    def __init__(self, good, count, noise, seed=0):
        generator = np.random.default_rng([_SEED, seed, count])
        places = generator.permutation(np.flatnonzero(good))
        size = int(_MOST * places.size) // (count * len(KINDS))
        self.members = np.zeros((count, *good.shape), dtype=bool)
        self.of_kind = {kind: np.zeros(good.shape, dtype=bool) for kind in KINDS}
        flat = self.members.reshape(count, -1)
        for number in range(1, count + 1):
            for kind in KINDS:
                chosen, places = places[:size], places[size:]
                self.of_kind[kind].ravel()[chosen] = True
                order = generator.random((count, size)).argsort(axis=0)
                flat[:, chosen] = order < number
        height = generator.uniform(math.log(_FAINTEST), math.log(_BRIGHTEST), self.members.shape)
        self.excess = noise * np.exp(height)

    @property
    def number(self):
        """In how many backgrounds each pixel is spoiled, shape (rows, columns)."""
        return self.members.sum(axis=0)

    def backgrounds(self, exposed):
        """Return models of the backgrounds with their pixels spoiled."""
        from stdatamodels.jwst import datamodels

        found = []
        for each, spoiled, excess in zip(exposed, self.members, self.excess, strict=True):
            with datamodels.open(str(each.path)) as opened:
                model = opened.copy()
            latent, saturated = (spoiled & self.of_kind[kind] for kind in KINDS)
            model.data[latent] += excess[latent].astype(np.float32)
            model.data[saturated] = np.nan
            for plane in (model.err, model.var_poisson, model.var_rnoise):
                plane[saturated] = 0
            model.dq[latent] |= np.uint32(DO_NOT_USE | _PERSISTENCE)
            model.dq[saturated] |= np.uint32(DO_NOT_USE | SATURATED)
            found.append(model)
        return found


def flags_scores(data, science, backgrounds, counts, seed=0):
    """Return the scores of flags on one observation.

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
    seed : int, optional
        Of the choice of pixels.

    Returns
    -------
    list of Score
        Of each variant, number of backgrounds, kind and number of spoiled backgrounds.
    """
    noise = backgrounds[0].noise
    found = []
    for count in counts:
        members = backgrounds[:count]
        good = unflagged([science, *members])
        spoiled = Spoiled(good, count, noise.scatter, seed)
        models = spoiled.backgrounds(members)
        sky = np.mean([each.truth.background for each in members], axis=0)
        scatter = _scatters(count, noise.scatter)[spoiled.number]
        for variant in VARIANTS["flags"]:
            score = partial(score_of_average, "flags", data, variant.name, count)
            made = subtracted(variant, science.path, models, *_CLIPPING)
            found += _of_classes(score, spoiled, made, sky, scatter, good)
            usual = subtracted(variant, science.path, [each.path for each in members], *_CLIPPING)
            found += _as_calibrated(score, usual.result, science.lit)
    return found


def _scatters(count, scatter):
    """Return the predicted noise of the average of what is not spoiled, by how many are."""
    left = range(count, 0, -1)
    return np.sqrt([*(Clipping(each, *_CLIPPING, [scatter]).variance for each in left), 0.0])


def _of_classes(score, spoiled, made, sky, scatter, good):
    """Yield scores of the pixels that some number of backgrounds has spoiled."""
    difference = made.combined.data - sky
    count = len(spoiled.members)
    right, flagged = right_and_flagged(made.combined.data, sky, scatter, made.combined.dq)
    lost = made.result.dq & DO_NOT_USE > 0
    for number in range(1, count + 1):
        for kind in KINDS:
            pixels = spoiled.of_kind[kind] & (spoiled.number == number)
            words = f"{kind} in {number} of {count}"
            yield score("pixels that can be used", part(~lost, pixels), words)
            yield score("wrong and not flagged", part(~right & ~flagged, pixels), words)
            yield score("right and flagged", part(right & flagged, pixels), words)
            yield score("bias", level(difference, pixels), words, 0.0)
            yield score("pull", pulls(difference, made.combined.err, pixels), words)
            expected = float(scatter[pixels].mean()) if number < count else math.nan
            yield score("noise", deviation(difference[pixels]), words, expected)
    rest = good & (spoiled.number == 0)
    yield score("noise", deviation(difference[rest]), "no background", float(scatter[rest].mean()))


def _as_calibrated(score, result, lit):
    """Yield what can be used with the flags that calwebb_detector1 sets in these data."""
    words = "as calibrated"
    yield score("pixels that can be used", part(result.dq & DO_NOT_USE == 0, lit), words)
    yield score("pixels without any flag", part(result.dq == 0, lit), words)
