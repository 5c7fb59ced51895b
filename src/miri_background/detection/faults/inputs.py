"""Faults of the inputs: rates that are changed before the step."""

from functools import partial

import numpy as np

from miri_background.detection.faults.fault import family
from miri_background.detection.faults.patterns import (
    SEED,
    SMALL,
    between_amplifiers,
    in_one_column,
    mottled,
    striped,
    tilted,
    tilted_imager,
)
from miri_background.validation.products.images import DO_NOT_USE, JUMP_DET

__all__ = ["FAULTS"]

_STAR_BOX, _GALAXY_BOX = 12, 60  # pixels around a source
_HIT = 5.0  # DN/s: fifteen times the noise of a pixel of the default observation


def _pedestal(exposures):
    for hdus in exposures:
        hdus["SCI"].data += SMALL


def _background_pedestal(rates):
    _pedestal(rates.backgrounds)


def _pedestal_everywhere(rates):
    _pedestal([*rates.science, *rates.backgrounds])


def _background_pattern(rates, pattern, amplitude):
    """Add a pattern to all backgrounds."""
    for hdus in rates.backgrounds:
        hdus["SCI"].data += np.float32(amplitude) * pattern(hdus["SCI"].data.shape[-2:])


def _rate_errors(rates, factor):
    """Scale all errors of all rates."""
    for hdus in (*rates.science, *rates.backgrounds):
        hdus["ERR"].data *= np.float32(factor)
        for name in ("VAR_POISSON", "VAR_RNOISE"):
            hdus[name].data *= np.float32(factor**2)


def _noisier(rates, part):
    """Add noise to all rates, a part of each pixel's error, that errors do not have."""
    generator = np.random.default_rng(SEED)
    for hdus in (*rates.science, *rates.backgrounds):
        error = hdus["ERR"].data
        hdus["SCI"].data += part * error * generator.standard_normal(error.shape, np.float32)


def _light_times(exposures, truths, kind, box, factor):
    """Scale the light of sources of one kind."""
    for hdus, truth in zip(exposures, truths, strict=True):
        near = np.zeros(truth.sources.shape, dtype=bool)
        for row in truth.catalogue[truth.catalogue["kind"] == kind]:
            x, y = (round(float(getattr(row[name], "value", row[name]))) for name in ("x", "y"))
            near[max(y - box, 0) : max(y + box, 0), max(x - box, 0) : max(x + box, 0)] = True
        more = np.where(near, (factor - 1) * truth.sources, 0.0)
        hdus["SCI"].data += more.astype(np.float32)


def _science_stars(rates):
    _light_times(rates.science, rates.science_truth, "star", _STAR_BOX, 0.99)


def _science_galaxy(rates):
    _light_times(rates.science, rates.science_truth, "galaxy", _GALAXY_BOX, 0.95)


def _background_stars(rates):
    _light_times(rates.backgrounds, rates.background_truth, "star", _STAR_BOX, 1.3)


def _same_exposure_twice(rates):
    first, last = rates.backgrounds[0], rates.backgrounds[-1]
    for name in ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"):
        last[name].data = first[name].data.copy()


def _opposite(rates, pattern, amplitude):
    """Add a pattern to one science exposure, and take it from the next."""
    for number, hdus in enumerate(rates.science):
        shape = hdus["SCI"].data.shape[-2:]
        hdus["SCI"].data += np.float32((-1) ** number * amplitude) * pattern(shape)


def _part_times(rates, part, factor):
    """Scale one part of the variance of all rates."""
    for hdus in (*rates.science, *rates.backgrounds):
        hdus[part].data *= np.float32(factor)


def _hits_left(rates, signs):
    """Leave light of cosmic rays in the pixels of the science exposures that they flagged."""
    for hdus in rates.science:
        hit = (hdus["DQ"].data & JUMP_DET > 0) & (hdus["DQ"].data & DO_NOT_USE == 0)
        places = np.flatnonzero(hit)
        added = np.where(np.arange(places.size) % 2, signs[0], signs[1])
        hdus["SCI"].data.ravel()[places] += np.float32(_HIT) * added.astype(np.float32)


def _mostly_flagged(rates):
    """Flag two of three rows of the science exposures."""
    for hdus in rates.science:
        rows = np.arange(hdus["DQ"].data.shape[-2]) % 3 > 0
        hdus["DQ"].data[..., rows, :] |= DO_NOT_USE


def _another_epoch(rates):
    rates.backgrounds[-1]["SCI"].data *= np.float32(1.005)


FAULTS = (
    *family(
        "inputs",
        (
            "background pedestal",
            "0.02 DN/s more in all backgrounds",
            {"rates": _background_pedestal},
        ),
        (
            "pedestal everywhere",
            "0.02 DN/s more in all exposures",
            {"rates": _pedestal_everywhere},
        ),
        *(
            (
                name,
                f"{description} in the backgrounds",
                {"rates": partial(_background_pattern, pattern=pattern, amplitude=amplitude)},
            )
            for name, description, pattern, amplitude in (
                (
                    "tilted imager",
                    "a gradient of 0.03 DN/s over the imager",
                    tilted_imager,
                    0.015,
                ),
                (
                    "drifted outputs",
                    "0.12 DN/s between two amplifiers",
                    between_amplifiers,
                    0.06,
                ),
                ("bad column", "0.2 DN/s in a column", in_one_column, 0.2),
                ("bad row", "0.2 DN/s in a row", striped, 0.2),
                (
                    "mottled backgrounds",
                    "noise of 0.05 DN/s in common with neighbours",
                    mottled,
                    0.05,
                ),
            )
        ),
        (
            "rate errors 1 % low",
            "errors of all rates are a hundredth too small",
            {"rates": partial(_rate_errors, factor=0.99)},
        ),
        (
            "noisier rates",
            "1.1 % more noise than the detector has, in all rates",
            {"rates": partial(_noisier, part=0.15)},
        ),
        ("science stars faint", "stars have lost a hundredth", {"rates": _science_stars}),
        ("galaxy faint", "the galaxy has lost a twentieth", {"rates": _science_galaxy}),
        (
            "background stars bright",
            "stars have three tenths more",
            {"rates": _background_stars},
        ),
        (
            "same exposure twice",
            "the first background stands for the last",
            {"rates": _same_exposure_twice},
        ),
        ("another epoch", "one background has 0.5 % more sky", {"rates": _another_epoch}),
        *(
            (
                name,
                f"{description}, of opposite signs in two science exposures",
                {"rates": partial(_opposite, pattern=pattern, amplitude=amplitude)},
            )
            for name, description, pattern, amplitude in (
                ("opposite tilts", "a gradient of 0.2 DN/s", tilted, 0.1),
                ("opposite outputs", "0.6 DN/s between amplifiers", between_amplifiers, 0.3),
                ("opposite columns", "0.5 DN/s in a column", in_one_column, 0.5),
                ("opposite rows", "0.5 DN/s in a row", striped, 0.5),
            )
        ),
        (
            "read variance too large",
            "VAR_RNOISE is a hundred times too large",
            {"rates": partial(_part_times, part="VAR_RNOISE", factor=100)},
        ),
        (
            "photon variance too large",
            "VAR_POISSON is a quarter too large",
            {"rates": partial(_part_times, part="VAR_POISSON", factor=1.25)},
        ),
        (
            "hits left",
            "flagged pixels of the science exposures have 5 DN/s more",
            {"rates": partial(_hits_left, signs=(1, 1))},
        ),
        (
            "hits scattered",
            "flagged pixels of the science exposures are off by 5 DN/s, either way",
            {"rates": partial(_hits_left, signs=(1, -1))},
        ),
        (
            "mostly flagged",
            "two of three rows of the science exposures are not to be used",
            {"rates": _mostly_flagged},
        ),
    ),
)
