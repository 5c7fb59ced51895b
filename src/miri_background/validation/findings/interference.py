"""Electromagnetic interference in rates: waves of known frequencies in the order of the reads."""

from functools import reduce
from itertools import chain

import numpy as np
from scipy.stats import f as ratio_of_variances

from miri_background.instrument.detector import AMPLIFIERS
from miri_background.instrument.interference import LINES, SAMPLE_TIME, sampling
from miri_background.validation.findings.finding import (
    AGAINST_TRUTH,
    SPREAD,
    STRUCTURE,
    Finding,
)
from miri_background.validation.prediction.pixel_statistics import clipped_scatter

__all__ = ["interfered"]

# That noise alone is as strong at a line of a field beside its neighbours.
_CHANCE = 1e-7
_LEAST_SKY = 0.001  # of the sky, rms: as of stripes
# Frequencies beside a line, in units of the resolution of one frame: there a wave that fills the
# frame has nothing.
_BESIDE = np.arange(2, 9)
_LOWEST = 0.4  # the same of the lowest of them: below it is the level itself
_CLIP = 5.0  # standard deviations
_SAMPLE = 50_000  # pixels: their scatter is known to a third of a percent


def interfered(inputs):
    """Yield each line that the rates of a field do not have in common.

    A wave of interference has another phase in each exposure; what exposures of a field have in
    common, such as sky and stripes of the dark, is taken off.
    """
    masks = inputs.expectation.masks
    finite = (np.isfinite(image.data) for image in inputs.images)
    # Pixels with sources count: where none are known, a slow wave itself is taken for sources.
    good = reduce(np.logical_and, chain(masks.usable, finite), masks.seen)
    fields = [
        (samples, images, [_cleaned(each, good) for each in differences], degrees)
        for samples, images, differences, degrees in _fields(inputs)
    ]
    sky = inputs.expectation.sky_level
    for name, frequency in LINES.items():
        found = [
            _excess(frequency, samples, differences, degrees)
            for samples, _, differences, degrees in fields
        ]
        if min((chance for _, chance in found), default=1.0) > _CHANCE:
            continue
        # How strong it is, exposures say by themselves: in differences it depends on their phases.
        powers = [
            _excess(frequency, samples, [_cleaned(image.data, good)], 1)[0]
            for samples, images, *_ in fields
            for image in images
        ]
        amplitude = 2 * np.sqrt(max(np.mean(powers), 0.0)) / np.count_nonzero(good)
        if amplitude / np.sqrt(2) < _LEAST_SKY * sky:
            continue
        yield _finding(name, frequency, float(amplitude), sky, inputs.headers)


def _fields(inputs):
    """Yield, of each field, clocks, images, their differences, and how many are independent."""
    for numbers in (range(inputs.count), inputs.backgrounds):
        images = [inputs.images[number] for number in numbers]
        header = images[0].header
        how = [(each.header.get("SUBARRAY"), each.header.get("READPATT")) for each in images]
        size = header.get("SUBSIZE2"), header.get("SUBSIZE1")
        # Of a part of what was read, the clocks are not those of its own rows.
        if len(set(how)) > 1 or None in how[0] or size != images[0].data.shape:
            continue
        samples = sampling(how[0][1], how[0][0], images[0].data.shape)
        if samples is None:
            continue
        if len(images) == 1:
            common, degrees = inputs.expectation.combined.data, 1
        else:
            common, degrees = sum(each.data for each in images) / len(images), len(images) - 1
        yield samples, images, [each.data - common for each in images], degrees


def _cleaned(image, good):
    """Return an image on the good pixels around 0, without outliers, summed over outputs."""
    values = image[good].astype(float)
    sample = values[:: max(1, values.size // _SAMPLE)]
    middle, reach = np.median(sample), _CLIP * clipped_scatter(sample)
    clean = np.zeros(image.shape)
    clean[good] = np.clip(values - middle, -reach, reach)
    rows, columns = image.shape
    return clean.reshape(rows, columns // AMPLIFIERS, AMPLIFIERS).sum(axis=-1)


def _excess(frequency, samples, images, degrees):
    """Return the power of a line in images beyond that beside it, and the chance of it.

    As many images as there are degrees of freedom are independent.
    """
    resolution = 1 / (SAMPLE_TIME * (samples.rows[-1] + samples.columns[-1]))
    sides = [
        beside[beside > _LOWEST * resolution]
        for beside in (frequency + sign * _BESIDE * resolution for sign in (-1, 1))
    ]
    power = _power(np.array([frequency]), samples, images)[0]
    noises = [(_power(each, samples, images).mean(), each.size) for each in sides if each.size]
    # What falls or rises with frequency is no line: the stronger side counts.
    noise, number = max(noises)
    if noise <= 0:
        return 0.0, 1.0
    chance = ratio_of_variances.sf(power / noise, 2 * degrees, 2 * degrees * number)
    return power - noise, float(chance)


def _power(frequencies, samples, images):
    """Return the power of images at some frequencies, summed over the images."""
    turns = [samples.turns(-frequency) for frequency in frequencies]
    rows = np.stack([each for each, _ in turns])
    columns = np.stack([each[::AMPLIFIERS] for _, each in turns])
    total = np.zeros(len(frequencies))
    for image in images:
        total += np.abs(np.sum((rows @ image) * columns, axis=1)) ** 2
    return total


def _finding(name, frequency, amplitude, sky, headers):
    """Return the finding on one line."""
    corrected = [str(header.get("S_MIREMI", "")).strip() == "COMPLETE" for header in headers]
    step = "although emicorr has run" if all(corrected) else "which emicorr has not removed"
    return Finding(
        "interference",
        amplitude,
        "DN/s",
        "",
        f"The rates have a wave of {frequency:g} Hz along their reads, with an amplitude of "
        f"{amplitude:.2g} DN/s ({amplitude / sky:.2%} of the sky) and another phase in each "
        f"exposure: electromagnetic interference, {step}. It looks like stripes of rows.",
        "Run calwebb_detector1 with its step emicorr turned on, with a reference that has "
        f"{name}; where it has run, compare with rates that are made without it. The "
        "subtraction itself adds what the backgrounds have to what the science exposures have.",
        # Slow waves are gradients, and sources lie on crests and troughs.
        (*STRUCTURE, *SPREAD, *AGAINST_TRUTH),
        despite_truth=True,
    )
