"""Extended light in the background field that the dithers do not move off."""

import warnings
from functools import reduce

import numpy as np
from scipy.ndimage import label

from miri_background.validation.findings.finding import LEVELS, SPREAD, STRUCTURE, Finding

__all__ = ["extended_light"]

_BLOCK = 16  # pixels, 1.8 arcsec: wider than a star and narrower than a nebula
_STANDARD_ERRORS = 5.0  # of the median of a block
_LEAST_SKY = 0.005  # of the sky, that the light has at its brightest
_LEAST_BLOCKS = 6  # side by side: more than a star or a galaxy's core
_LEAST_GOOD = 0.3  # of a block's pixels
_MEDIAN_COST = np.sqrt(np.pi / 2)  # scatter of a median over that of a mean
_COMPARABLE = 0.1  # of the sky, that both fields may differ by
_ROUNDS = 3  # of fitting the sky without what stands out


def extended_light(inputs):
    """Yield where, and how much, extended light of the background field is taken away."""
    sky = inputs.expectation.sky_level
    if abs(inputs.difference[0]) > _COMPARABLE * sky:
        return  # what is left of the detector's pattern is no light
    medians, errors = _blocks(inputs)
    excess = _beyond_plane(medians, errors)
    # Light of the background field is negative in science less background.
    dark = excess < -_STANDARD_ERRORS * errors / 2
    groups, count = label(dark, structure=np.ones((3, 3)))
    found = []
    for number in range(1, count + 1):
        inside = groups == number
        row, column = np.unravel_index(np.argmin(np.where(inside, excess, 0.0)), excess.shape)
        deepest = -float(excess[row, column])
        # Only neighbouring blocks together make an extended source.
        if np.count_nonzero(inside) >= _LEAST_BLOCKS and deepest >= max(
            _STANDARD_ERRORS * errors[row, column], _LEAST_SKY * sky
        ):
            found.append((deepest, row, column, inside))
    if not found:
        return
    deepest, row, column, inside = max(found, key=lambda each: each[0])
    area = np.count_nonzero(inside) * _BLOCK**2
    mean = -float(excess[inside].mean())
    x, y = (int((place + 0.5) * _BLOCK) for place in (column, row))
    more = f", and less in {len(found) - 1} more places" if len(found) > 1 else ""
    yield Finding(
        "extended light in the backgrounds",
        deepest,
        "DN/s",
        "",
        f"The backgrounds have extended light that the dithers do not move off: around x = {x}, "
        f"y = {y} (from 0) up to {deepest:.2g} DN/s ({deepest / sky:.1%} of the sky), "
        f"{mean:.2g} DN/s on average over {area} pixels{more}, is taken away from the science "
        "exposures, unless it is darker there in them.",
        "Take backgrounds from a field without it, or mask it before averaging; do not trust "
        "faint extended light there.",
        (*LEVELS, *STRUCTURE, *SPREAD),
    )


def _blocks(inputs):
    """Return medians of science less average in blocks, and their errors, DN/s."""
    expectation = inputs.expectation
    masks = expectation.masks
    differences = inputs.differences
    good = masks.seen & reduce(np.logical_and, masks.usable) & np.isfinite(differences)
    rows, columns = (size // _BLOCK for size in differences.shape)
    cut = (slice(rows * _BLOCK), slice(columns * _BLOCK))

    def in_blocks(plane):
        parts = plane[cut].reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2)
        return parts.reshape(rows, columns, -1)

    values = in_blocks(np.where(good, differences, np.nan))
    count = in_blocks(good).sum(axis=-1)
    enough = count > _LEAST_GOOD * _BLOCK**2
    medians = np.full((rows, columns), np.nan)
    medians[enough] = np.nanmedian(values[enough], axis=-1)
    noise = np.hypot(
        expectation.mean_noise / np.sqrt(len(expectation.science)),
        np.sqrt(expectation.clipping.variance),
    )
    for axis, name in enumerate(("columns", "rows")):
        if inputs.stripes.get(name):
            # Stripes go through the whole array; a source that is wider than half of it is lost.
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                medians = medians - np.nanmedian(medians, axis=axis, keepdims=True)
    return medians, _MEDIAN_COST * noise / np.sqrt(np.maximum(count, 1))


def _beyond_plane(medians, errors):
    """Return medians of blocks beyond a plane through those that do not stand out; 0 if none."""
    rows, columns = np.indices(medians.shape)
    known = np.isfinite(medians)
    if np.count_nonzero(known) < _LEAST_BLOCKS:
        return np.zeros(medians.shape)
    place = np.stack([np.ones(medians.shape), rows, columns], axis=-1)
    middle = np.median(medians[known])
    # Half of what is seen may be a nebula: what is brightest is the sky.
    used = known & (medians >= middle - _STANDARD_ERRORS * errors)
    for _ in range(_ROUNDS):
        level = np.median(medians[used])
        coefficients, *_ = np.linalg.lstsq(place[used], medians[used] - level, rcond=None)
        plane = level + place @ coefficients
        inside = known & (np.abs(medians - plane) < _STANDARD_ERRORS / 2 * errors)
        if np.count_nonzero(inside) < _LEAST_BLOCKS:
            break
        used = inside
    return np.where(known, medians - plane, 0.0)
