"""What sources of one exposure leave in the pixels of the next one."""

from functools import reduce
from itertools import pairwise

import numpy as np
from scipy.ndimage import binary_dilation

from miri_background.validation.findings.finding import LEVELS, SPREAD, STRUCTURE, Finding
from miri_background.validation.findings.settings import times_of
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["latent_images"]

_PERSISTENCE = 32  # bit of DQ; jwst documentation, "Data Quality Flags"
_BRIGHT = 100.0  # times the noise: sources that may leave something
_LEAST_PIXELS = 12  # of such sources
_RING = 4  # pixels around, whose light is that of wings
_STANDARD_ERRORS = 6.0
_LEAST_PART = 1e-4  # of the light of the source
_MEDIAN_COST = np.sqrt(np.pi / 2)  # scatter of a median over that of a mean


def latent_images(inputs):
    """Yield the exposure in which the sources of the one before are seen best."""
    times, found = times_of(inputs), []
    for field in (list(range(inputs.count)), inputs.backgrounds):
        order = sorted((each for each in field if np.isfinite(times[each])), key=times.__getitem__)
        if len(order) < 3:
            continue
        for before, number in pairwise(order):
            others = [each for each in order if each not in (before, number)]
            seen = _left_behind(inputs, before, number, others)
            if seen is not None:
                found.append((*seen, before, number))
    if not found:
        return
    value, error, part, pixels, before, number = max(found, key=lambda each: each[0] / each[1])
    name = inputs.names[number]
    yield Finding(
        "latent image",
        value,
        "DN/s",
        name,
        f"{name} has {value:.2g} ± {error:.1g} DN/s (median of {pixels} pixels, less what is "
        f"around) where {inputs.names[before]}, taken before, has bright sources: {part:.2g} of "
        f"their light is still released.{_flags(inputs, number)}",
        "Flag these pixels with PERSISTENCE where the light matters; DO_NOT_USE in a background "
        "deletes science pixels (jwst issues 10553, 10539).",
        (*LEVELS, *STRUCTURE, *SPREAD),
    )


def _left_behind(inputs, before, number, others):
    """Return excess, error, part of the light and pixels of latent images, None without any."""
    expectation = inputs.expectation
    images, lit = inputs.images, expectation.masks.lit
    noise = [*expectation.science_noise, *expectation.background_noise][number]
    reference = np.median([images[each].data for each in others], axis=0)
    light = images[before].data - reference
    good = lit & np.isfinite(images[number].data - light)
    good &= reduce(np.bitwise_or, (images[each].dq for each in (number, *others))) & DO_NOT_USE == 0
    # Where a source is in another exposure, too, or in this one, nothing is seen of what is left.
    difference = images[number].data - reference
    level = np.median(difference.ravel()[inputs.places])
    good &= np.abs(difference - level) < _BRIGHT / 2 * noise
    # A saturated pixel has no light that is known, and leaves most.
    bright = lit & ((light > _BRIGHT * noise) | ~np.isfinite(light))
    ring = binary_dilation(bright, iterations=2 * _RING) & ~binary_dilation(
        bright, iterations=_RING
    )
    inside, around = good & bright, good & ring
    pixels = int(np.count_nonzero(inside))
    if pixels < _LEAST_PIXELS or not around.any():
        return None
    value = float(np.median(difference[inside]) - np.median(difference[around]))
    # The reference is a median of few, with up to pi / 2 of the variance of a mean.
    of_pixel = noise * np.sqrt(1 + np.pi / 2 / len(others))
    error = _MEDIAN_COST * of_pixel * np.sqrt(1 / pixels + 1 / np.count_nonzero(around))
    part = value / float(np.median(light[inside]))
    if value < _STANDARD_ERRORS * error or part < _LEAST_PART:
        return None
    return value, float(error), part, pixels


def _flags(inputs, number):
    """Return, in words, whether any pixel of an exposure is flagged for persistence."""
    flagged = np.count_nonzero(inputs.images[number].dq & _PERSISTENCE)
    return f" {flagged} pixels have PERSISTENCE." if flagged else " No pixel has PERSISTENCE."
