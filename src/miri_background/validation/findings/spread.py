"""Noise of the exposures against what their errors say."""

import numpy as np

from miri_background.validation.findings.finding import SPREAD, Finding

__all__ = ["errors_of_all", "noise_of_member"]

_LEAST_MEMBER = 0.10  # of the noise, by which one exposure stands out
_LEAST_ALL = 0.03  # of the noise: predictions from reported errors are certain to 1 %
_STANDARD_ERRORS = 5.0
_COMPARABLE = 0.1  # of the sky, that an exposure may be off that of the backgrounds
_FEW = 3  # DN a group: below, whole numbers show in differences of groups
_TWO_VALUES = 0.6  # part of the pixels that the two most frequent variances have at least


def _ratios(inputs):
    """Return measured over predicted noise of each exposure, NaN where it cannot be measured."""
    ratios = inputs.scatters / (inputs.reported / np.array(inputs.expectation.reported.parts))
    # Where levels differ much, the detector's pattern is what scatters.
    level = np.median(inputs.levels[inputs.backgrounds])
    return np.where(np.abs(inputs.levels / level - 1) < _COMPARABLE, ratios, np.nan)


def _error(inputs):
    """Return the standard error of such a ratio."""
    # Each is solved from sums over all exposures: twice what one alone would have.
    return 2 / np.sqrt(2 * max(inputs.pixels, 1))


def noise_of_member(inputs):
    """Yield each exposure whose noise is not that which its errors say, other than the others'."""
    ratios = _ratios(inputs)
    for number in [*range(inputs.count), *inputs.backgrounds]:
        others = np.delete(ratios, number)
        others = others[np.isfinite(others)]
        if others.size < 2 or not np.isfinite(ratios[number]):
            continue
        usual = float(np.median(others))
        if usual <= 0:
            continue
        off = ratios[number] / usual - 1
        if abs(off) < max(_LEAST_MEMBER, _STANDARD_ERRORS * _error(inputs)):
            continue
        name = inputs.names[number]
        yield Finding(
            "noise of an exposure",
            100 * off,
            "%",
            name,
            f"{name} scatters by {inputs.scatters[number]:.3g} DN/s, {ratios[number]:.2f} times "
            f"what its errors say ({inputs.reported[number]:.3g} DN/s in the median); of the "
            f"others it is {usual:.2f} times.",
            "Look at its gain, read noise and unit, and at showers of cosmic rays; leave it out, "
            "or run calwebb_detector1 again.",
            SPREAD,
        )


def errors_of_all(inputs):
    """Yield by how much the errors of all exposures are not their scatter."""
    ratios = _ratios(inputs)
    ratios = ratios[np.isfinite(ratios)]
    if not ratios.size:
        return
    off = float(np.median(ratios)) - 1
    if abs(off) < max(_LEAST_ALL, _STANDARD_ERRORS * _error(inputs)):
        return
    why = _whole_numbers(inputs)
    yield Finding(
        "errors are not the scatter",
        100 * off,
        "%",
        "",
        f"The rates scatter by {100 * (1 + off):.0f} % of what their errors say{why}.",
        f"Multiply ERR by {1 + off:.2f} before weighting with it; the subtraction itself does "
        "not use it.",
        SPREAD,
    )


def _whole_numbers(inputs):
    """Return, where it is so, that ramps of whole numbers give few values of VAR_POISSON."""
    for image in inputs.images:
        photons = image.variances.get("VAR_POISSON")
        time = image.header.get("TGROUP") or image.header.get("TFRAME")
        if photons is None or not time:
            continue
        sample = photons.ravel()[inputs.places]
        _, counts = np.unique(sample, return_counts=True)
        most = float(np.sort(counts)[-2:].sum() / sample.size)
        step = float(np.median(image.data.ravel()[inputs.places])) * time
        if most > _TWO_VALUES and 0 < step < _FEW:
            return (
                f": {100 * most:.0f} % of the pixels have one of two values of VAR_POISSON, as "
                f"ramps of whole numbers that rise by {step:.1f} DN a group give it"
            )
    return ""
