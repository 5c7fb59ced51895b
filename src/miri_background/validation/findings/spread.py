"""Noise of the exposures against what their errors say."""

import numpy as np

from miri_background.validation.findings.finding import SPREAD, Finding

__all__ = ["errors_of_all", "noise_of_member"]

_LEAST_MEMBER = 0.10  # of the noise, by which one exposure stands out
_LEAST_ALL = 0.03  # of the noise: predictions from reported errors are certain to 1 %
# Of a known detector: what a correct pipeline reports of it is known to 0.2 %.
_LEAST_KNOWN = 0.005
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
    """Yield by how much the errors of all exposures are not their scatter.

    Of a known detector, are not those that follow from its constants: its scatter is known
    better than it can be measured.
    """
    if inputs.expectation.truth:
        yield from _errors_of_known_detector(inputs)
        return
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


def _errors_of_known_detector(inputs):
    """Yield by how much errors on empty sky are not those of the detector's constants."""
    found = [
        _reported_beyond_known(inputs, number)
        for number in (*range(inputs.count), *inputs.backgrounds)
        if {"VAR_RNOISE", "VAR_POISSON"} <= set(inputs.images[number].variances)
    ]
    if not found:
        return
    of_errors, of_reads, of_photons, chance = np.median(found, axis=0)
    if abs(of_errors) < max(_LEAST_KNOWN, chance):
        return
    yield Finding(
        "errors are not those of the detector",
        100 * of_errors,
        "%",
        "",
        f"The errors of the rates are off by {100 * of_errors:+.1f} % of those that follow from "
        f"the detector's read noise and gain: VAR_POISSON by {100 * of_photons:+.1f} %, "
        f"VAR_RNOISE by {100 * of_reads:+.1f} %.",
        "calwebb_detector1 of this build reports them so; the subtraction itself does not use "
        "them, and what is weighted with them is off as much.",
    )


def _reported_beyond_known(inputs, number):
    """Return by how much errors, VAR_RNOISE and VAR_POISSON of a rate are off, and may be.

    All relative.
    """
    reported = inputs.expectation.reported
    reads, photons = (each.ravel()[inputs.places] for each in reported.known_variances(number))
    photons = photons * reported.reported_photons(number)
    image = inputs.images[number]
    whole = image.dq.ravel()[inputs.places] == 0

    def ratio(plane, known):
        return float(np.sum(plane.ravel()[inputs.places][whole]) / np.sum(known[whole]))

    of_reads = ratio(image.variances["VAR_RNOISE"], reads) - 1
    of_photons = ratio(image.variances["VAR_POISSON"], photons) - 1
    of_errors = np.sqrt(ratio(image.err.astype(float) ** 2, reads + photons)) - 1
    # What all pixels have in common is in the ramps that the photons are taken from.
    common = np.sqrt(inputs.expectation.exposure_common_variances[number])
    chance = _STANDARD_ERRORS * float(common / inputs.expectation.levels[number]) / 2
    return of_errors, of_reads, of_photons, chance


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
