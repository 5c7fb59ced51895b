"""What one background flags, and how many science pixels that costs."""

from functools import reduce

import numpy as np

from miri_background.validation.findings.finding import Finding
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["flagged_by_one"]

# Bits of the pipeline's data quality arrays (jwst documentation, "Data Quality Flags").
_KINDS = {
    2: "SATURATED",
    4: "JUMP_DET",
    32: "PERSISTENCE",
    2048: "HOT",
}
_LEAST = 2e-4  # of the illuminated pixels
_MOST = 0.5  # of them, that a kind of flag has to be of, to be named
_TIMES = 3.0  # more than any other background: not what cosmic rays do to each


def flagged_by_one(inputs):
    """Yield each background that alone flags many pixels that are good in the others."""
    numbers = inputs.backgrounds
    if len(numbers) < 2:
        return
    lit = inputs.expectation.masks.lit

    def flagged(number):
        return inputs.images[number].dq & DO_NOT_USE > 0

    of_one = lit & (sum(flagged(number).astype(int) for number in numbers) == 1)
    counts = [np.count_nonzero(of_one & flagged(number)) for number in numbers]
    science = reduce(np.bitwise_and, (image.dq for image in inputs.images[: inputs.count]))
    for place, number in enumerate(numbers):
        others = np.delete(counts, place)
        count = counts[place]
        if count < max(_LEAST * np.count_nonzero(lit), _TIMES * np.max(others)):
            continue
        alone = of_one & flagged(number)
        lost = int(np.count_nonzero(alone & (science & DO_NOT_USE == 0)))
        flags = inputs.images[number].dq[alone]
        kinds = [name for bit, name in _KINDS.items() if np.mean(flags & bit > 0) > _MOST]
        rows, columns = np.nonzero(alone)
        name = inputs.names[number]
        listed = f" ({', '.join(kinds)})" if kinds else ""
        part = lost / np.count_nonzero(lit)
        yield Finding(
            "flags of one background",
            float(lost),
            "pixels",
            name,
            f"{name} alone flags {count} pixels{listed} around x = {np.median(columns):.0f}, "
            f"y = {np.median(rows):.0f} (from 0), the other backgrounds at most {np.max(others)}: "
            f"{lost} good science pixels ({part:.2%}) are lost for it where flags of any member "
            "count.",
            "Leave it out, or clear DO_NOT_USE where the other backgrounds are good "
            "(jwst issue 10539).",
        )
