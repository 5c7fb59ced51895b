"""Stars that fill their pixels in the first groups, of which no slope is left."""

from functools import reduce

import numpy as np

from miri_background.validation.findings.finding import Finding
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["saturated_early"]

_LEAST = 4  # pixels: the core of a star, more than a cosmic ray fills


def saturated_early(inputs):
    """Yield the science exposure that has most pixels without a slope for saturation."""
    masks = inputs.expectation.masks
    bad = reduce(np.bitwise_and, (image.dq for image in inputs.images)) & DO_NOT_USE > 0
    found = []
    for number, image in enumerate(inputs.images[: inputs.count]):
        lost = masks.lit & ~bad & (image.dq & SATURATED > 0)
        lost &= (image.dq & DO_NOT_USE > 0) | ~np.isfinite(image.data)
        found.append((int(np.count_nonzero(lost)), number, lost))
    count, number, lost = max(found, key=lambda each: each[0])
    if count < _LEAST:
        return
    rows, columns = np.nonzero(lost)
    name = inputs.names[number]
    yield Finding(
        "saturated in the first groups",
        float(count),
        "pixels",
        name,
        f"{name} has {count} pixels without a slope (SATURATED, DO_NOT_USE), such as x = "
        f"{columns[0]}, y = {rows[0]} (from 0): they fill before there are two groups that a slope "
        "is fitted to. What is left of these stars is their wings.",
        "Do not measure these stars; a smaller subarray is read faster. Backgrounds have nothing "
        "to do with it (jwst issue 9199).",
    )
