"""Sky levels: of the two fields, and of each background against the others."""

import numpy as np

from miri_background.validation.findings.finding import LEVELS, SPREAD, STRUCTURE, Finding
from miri_background.validation.findings.inputs import share
from miri_background.validation.products.images import read_extension

__all__ = ["differing_skies", "level_of_member", "level_of_science", "sky_in_flux_units"]

_STANDARD_ERRORS = 5.0
# Of the sky.  Below it, what differs is in the noise of a residual (0.2 % in one exposure); nine
# flight dithers of one field in F770W scatter by 0.08 % (PID 2736).
_LEAST_FIELDS, _LEAST_MEMBER = 0.002, 0.002
_LEAST_SCIENCE = 0.02  # of one science exposure: its sources differ from dither to dither
_UNSEEN = 0.001  # of the sky: light of faint sources that nothing masks, in one field
# Group times that were wrong before: four reads taken for one (jwst issue 8069, FASTGRPAVG).
_FACTORS = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)
_FACTOR_ERROR = 0.03
_ALIKE = 0.5  # of the factor: errors of averaged groups follow it only roughly
_BLOCKS = 8  # rows and columns of places at which a scaled background is compared


def sky_in_flux_units(products):
    """Return MJy/sr per DN/s of the calibrated products, None where none says it."""
    for path in products.calibrated_files:
        if path is None:
            continue
        factor = read_extension(path).get("PHOTMJSR")
        if isinstance(factor, float) and factor > 0:
            return factor
    return None


def _in_both_units(difference, factor):
    """Return a difference in words, in DN/s and, where the factor is known, in MJy/sr."""
    flux = "" if factor is None else f" ({difference * factor:+.3g} MJy/sr)"
    return f"{difference:+.3g} DN/s{flux}"


def differing_skies(inputs):
    """Yield by how much the sky of the science field differs from that of the backgrounds."""
    background = float(np.median(inputs.levels[inputs.backgrounds]))
    difference, variance = inputs.difference
    part = difference / background
    error = np.hypot(np.sqrt(variance), 0.0 if inputs.expectation.truth else _UNSEEN * background)
    if abs(difference) < max(_STANDARD_ERRORS * error, _LEAST_FIELDS * background):
        return
    factor = sky_in_flux_units(inputs.products)
    left = _left_by_scaling(inputs, 1 + part)
    yield Finding(
        "skies of the fields differ",
        difference,
        "DN/s",
        "",
        f"The sky of the science field is {_in_both_units(difference, factor)}, {share(part)}, off "
        f"that of the backgrounds ({background:.4g} DN/s){_of_fields(inputs)}; zodiacal and "
        "thermal light change with time and place. As much is left in the subtracted images, or "
        "missing there. A "
        f"background scaled by {1 + part:.4f} would leave {left:.2g} DN/s (rms from place to "
        "place).",
        "Subtract what is left as a constant (skymatch does), or take backgrounds closer in time "
        "and on the sky.",
        (*LEVELS, *STRUCTURE, *SPREAD),
    )


def _of_fields(inputs):
    """Return, in words, by which factor the fields differ if it is that of a group time."""
    science, backgrounds = list(range(inputs.count)), inputs.backgrounds
    ratio, errors = (
        float(np.median(each[science]) / np.median(each[backgrounds]))
        for each in (inputs.levels, inputs.reported)
    )
    factor = _factor(ratio, errors)
    return "" if factor is None else f", {factor:g} times as much, as of a wrong group time or gain"


def _factor(ratio, errors):
    """Return the factor of a wrong group time that ratios of levels and errors show, or None."""
    for factor in _FACTORS:
        if abs(ratio / factor - 1) < _FACTOR_ERROR and abs(errors / factor - 1) < _ALIKE:
            return factor
    return None


def _left_by_scaling(inputs, factor):
    """Return the rms of block medians of science less the scaled average, DN/s."""
    shape = inputs.images[0].shape
    rows, columns = np.unravel_index(inputs.places, shape)
    blocks = (rows * _BLOCKS // shape[0]) * _BLOCKS + columns * _BLOCKS // shape[1]
    left = np.mean(inputs.values[: inputs.count], axis=0) - factor * inputs.average
    medians = [np.median(left[blocks == each]) for each in np.unique(blocks)]
    return float(np.std(medians))


def level_of_member(inputs):
    """Yield each background whose level is not that of the others."""
    numbers = inputs.backgrounds
    if len(numbers) < 3:
        return
    for number in numbers:
        others = [each for each in numbers if each != number]
        deviation, variance = _deviation(inputs, number, others)
        level = float(np.median(inputs.levels[others]))
        part = deviation / level
        if abs(deviation) < max(_STANDARD_ERRORS * np.sqrt(variance), _LEAST_MEMBER * abs(level)):
            continue
        # Where one of few is off, each of the others is off from a set that has it.
        if not _is_furthest(inputs, number, others, deviation):
            continue
        name = inputs.names[number]
        cause, advice = _cause(inputs, number, others, level)
        yield Finding(
            "level of a background",
            100 * part,
            "%",
            name,
            f"{name} has a sky of {inputs.levels[number]:.4g} DN/s, {share(part)} off that of the "
            f"other backgrounds ({level:.4g} DN/s){cause}.",
            advice,
            (*LEVELS, *STRUCTURE, *SPREAD),
        )


def level_of_science(inputs):
    """Yield each science exposure whose level is not that of the other ones."""
    numbers = range(inputs.count)
    sky = float(np.median(inputs.levels[inputs.backgrounds]))
    for number in numbers:
        others = [each for each in numbers if each != number]
        if not others:
            return
        deviation, variance = _deviation(inputs, number, others)
        if abs(deviation) < max(_STANDARD_ERRORS * np.sqrt(variance), _LEAST_SCIENCE * sky):
            continue
        # Of two, that is off which is further from the backgrounds.
        off = [abs(inputs.levels[each] - sky) for each in (number, *others)]
        if off[0] < max(off[1:]):
            continue
        name, level = inputs.names[number], float(np.median(inputs.levels[others]))
        cause, _ = _cause(inputs, number, others, level)
        yield Finding(
            "level of a science exposure",
            100 * deviation / level,
            "%",
            name,
            f"{name} has a sky of {inputs.levels[number]:.4g} DN/s, {share(deviation / level)} off "
            f"that of the other science exposures ({level:.4g} DN/s){cause}.",
            "Look at its group time, gain and unit before it is combined with the others.",
            (*LEVELS, *STRUCTURE, *SPREAD),
        )


def _deviation(inputs, number, others):
    """Return the level of a background less the median of the others', and its variance."""
    mean, variance = inputs.excess[number]
    middle = np.median([inputs.excess[each][0] for each in others])
    # A median of few has up to pi / 2 of the variance of their mean.
    more = np.pi / 2 * np.mean([inputs.excess[each][1] for each in others]) / len(others)
    return float(mean - middle), float(variance + more)


def _is_furthest(inputs, number, others, deviation):
    """Return whether no other background is further off, or all are scattered."""
    rest = [
        abs(_deviation(inputs, each, [one for one in [number, *others] if one != each])[0])
        for each in others
    ]
    return abs(deviation) >= 0.5 * max(rest)


def _cause(inputs, number, others, level):
    """Return what may be the cause of another level, and what to do, in words."""
    header = inputs.headers[number]
    ratio = inputs.levels[number] / level
    errors = inputs.reported[number] / np.median(inputs.reported[others])
    factor = _factor(ratio, errors)
    if factor is not None:
        cause = (
            f": {factor:g} times as much, and its errors are {errors:.2g} times theirs, as of a "
            f"wrong group time (TGROUP = {header.get('TGROUP')}, READPATT = "
            f"{header.get('READPATT')!r})"
        )
        advice = (
            "Look at its group time, gain and unit, and run calwebb_detector1 again; without it "
            "the average is right."
        )
        return cause, advice
    first = str(header.get("EXPOSURE", "")).lstrip("0") == "1" and ratio > 1
    advice = (
        "Leave it out where the others are enough: clipping sees it as noise, and keeps a part of "
        "it."
    )
    cause = ", as first exposures of a visit have it: the detector settles" if first else ""
    return cause, advice
