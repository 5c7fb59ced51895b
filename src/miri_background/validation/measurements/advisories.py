"""What the step does as its documentation says, and what a user of its products should know.

None of it fails a run.  Each advisory has a number, measured on the products, and says what
to do about it.
"""

from functools import reduce

import numpy as np

from miri_background.validation.measurements.remarks import Advisory
from miri_background.validation.prediction.clipping_theory import largest_deviation
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["advisories", "mixed_kinds"]

_SOURCE = 3.0  # standard deviations above the sky: from there on, light is a source's
_LEAST_PART = 0.01  # by which errors have to be too small to be worth a word


def advisories(analysis):
    """Return what the products should be used with care for.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.

    Returns
    -------
    list of Advisory
        Those that apply.
    """
    if all(image is None for image in analysis.products.combined):
        return []
    measures = (unclipped, lost_light, lost_pixels, unsubtracted, bad_values, small_errors)
    return [advisory for measure in measures for advisory in measure(analysis)]


def mixed_kinds(products):
    """Yield that rates of integrations and rates of exposures were mixed.

    Parameters
    ----------
    products : Products
        What was read.

    Yields
    ------
    Advisory
        Where it is so.
    """
    cubes = len(products.science[0].shape) == 3
    number = sum((len(image.shape) == 3) != cubes for image in products.backgrounds)
    if number == 0:
        return
    ours, theirs = ("rateints", "rate") if cubes else ("rate", "rateints")
    yield Advisory(
        "mixed rates",
        float(number),
        "exposures",
        f"Science exposures are {ours} files and {number} of {len(products.backgrounds)} "
        f"backgrounds {theirs} files: jwst before 1.12 subtracts them, later releases end with an "
        "error.",
        "Use files of one kind, which every release can subtract.",
    )


def unclipped(analysis):
    """Yield that the threshold cannot be reached by a source in one exposure."""
    count, sigma = len(analysis.products.backgrounds), analysis.products.sigma
    reach = largest_deviation(count)
    if reach > sigma:
        return
    enough = next(number for number in range(3, 10_000) if largest_deviation(number) > sigma)
    yield Advisory(
        "nothing is clipped",
        reach,
        "standard deviations",
        f"Of {count} exposures, one can be at most {reach:.3f} standard deviations off the median: "
        f"sigma = {sigma:g} clips no source, and 1/{count} of each stays in the background.",
        f"Choose sigma below {reach:.2f}, or take at least {enough} background exposures.",
    )


def lost_light(analysis):
    """Yield how much light of background sources is taken from the science exposures."""
    expectation, masks = analysis.expectation, analysis.masks
    if not expectation.truth:
        return
    light = np.stack(expectation.background_light)
    bright = light > _SOURCE * expectation.sky_noise
    sources = masks.seen & masks.clean_backgrounds & bright.any(axis=0)
    total = light.sum(axis=0)[sources].sum()
    if total == 0:
        return
    part = 100 * expectation.leak[sources].sum() / total
    overlapping = np.count_nonzero((bright.sum(axis=0) > 1) & sources)
    yield Advisory(
        "light of background sources",
        float(part),
        "%",
        f"{part:.1f} % of the light of background sources stays in the combined background and is "
        f"missing in the subtracted images; in {overlapping} pixels sources of two exposures "
        "overlap and are not clipped.",
        "Mask the background's sources before averaging, or take more background exposures with "
        "larger dithers.",
    )


def lost_pixels(analysis):
    """Yield how many science pixels one background flags although another is good."""
    backgrounds = analysis.expectation.backgrounds
    some, every = (
        reduce(combine, ((image.dq & DO_NOT_USE) != 0 for image in backgrounds))
        for combine in (np.logical_or, np.logical_and)
    )
    inside = analysis.masks.lit
    lost = np.mean(
        [
            np.count_nonzero(
                inside
                & some
                & ~every
                & ((before.dq & DO_NOT_USE) == 0)
                & ((after.dq & DO_NOT_USE) != 0)
            )
            for before, after in zip(analysis.expectation.science, analysis.subtracted, strict=True)
        ]
    )
    if lost == 0:
        return
    part = 100 * lost / np.count_nonzero(inside)
    yield Advisory(
        "lost pixels",
        float(lost),
        "pixels",
        f"{lost:.0f} pixels ({part:.3f} %) of a science exposure are DO_NOT_USE after the "
        "subtraction because of one background, though others are good there.",
        "Drop the exposure that flags them, or clear its flags where the others are good.",
    )


def unsubtracted(analysis):
    """Yield in how many pixels nothing is subtracted, without a flag."""
    backgrounds = analysis.expectation.backgrounds
    none = ~reduce(np.logical_or, (np.isfinite(image.data) for image in backgrounds))
    inside = analysis.masks.lit
    number = np.mean(
        [
            np.count_nonzero(
                none & inside & np.isfinite(image.data) & ((image.dq & DO_NOT_USE) == 0)
            )
            for image in analysis.subtracted
        ]
    )
    if number == 0:
        return
    yield Advisory(
        "no background",
        float(number),
        "pixels",
        f"In {number:.0f} pixels no background has a value: 0 with an error of 0 is subtracted, "
        "and no flag marks them.",
        "Flag pixels in which the combined background is exactly 0.",
    )


def bad_values(analysis):
    """Yield how many flagged values are averaged like good ones."""
    inside = analysis.masks.lit
    number = sum(
        np.count_nonzero(((image.dq & DO_NOT_USE) != 0) & np.isfinite(image.data) & inside)
        for image in analysis.expectation.backgrounds
    )
    if number == 0:
        return
    yield Advisory(
        "flagged values",
        float(number),
        "values",
        f"{number} values of the backgrounds are DO_NOT_USE and not NaN: flags are not looked at, "
        "and they are averaged like the others.",
        "Set flagged pixels of background exposures to NaN before the step.",
    )


def small_errors(analysis):
    """Yield by how much the errors after subtraction are smaller than the noise."""
    judged = analysis.residuals.judged[0]
    if not judged.any():
        return
    reported = np.sqrt(np.mean(analysis.subtracted[0].err[judged].astype(float) ** 2))
    expected = np.sqrt(np.mean(analysis.expectation.reported.of_residual(0)[judged] ** 2))
    part = 1 - reported / expected
    if part < _LEAST_PART:
        return
    yield Advisory(
        "errors too small",
        float(100 * part),
        "%",
        f"The errors after subtraction are {100 * part:.1f} % smaller than the noise: that of the "
        "combined background is not in them, nor all that the ramp fit's weights cost.",
        f"Multiply ERR by {expected / reported:.3f} for this number of backgrounds, or add the "
        "combined background's ERR in quadrature.",
    )
