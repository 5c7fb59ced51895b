"""Faults of what is made of the subtracted images: calibrated products of something else."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from miri_background.detection.faults.fault import family
from miri_background.detection.faults.patterns import CORNER
from miri_background.files import replace_whole
from miri_background.reading import open_fits

__all__ = ["FAULTS"]

_VALUES, _FLAGS = "SCI", "DQ"


def _changed(path, change):
    """Change a file in place."""
    with open_fits(path) as hdus:
        change(hdus)
        # In a scratch directory, made a moment ago.
        with replace_whole(Path(path), ours=Path.is_file) as (aside,):
            hdus.writeto(aside)


def _unsubtracted(calibrated, rate):
    with open_fits(rate) as hdus:
        values = hdus[_VALUES].data.copy()

    def change(hdus):
        hdus[_VALUES].data = values

    _changed(calibrated, change)


def _errors_lost(calibrated, _):
    def change(hdus):
        hdus["ERR"].data[:] = 0

    _changed(calibrated, change)


def _flags_lost(calibrated, _):
    def change(hdus):
        hdus[_FLAGS].data[:] = 0

    _changed(calibrated, change)


def _values_lost(calibrated, _):
    def change(hdus):
        hdus[_VALUES].data[-CORNER:, -CORNER:] = np.nan

    _changed(calibrated, change)


def _other_unit(calibrated, _):
    fits.setval(calibrated, "BUNIT", extname=_VALUES, value="Jy")


def _older_than_its_image(calibrated, _):
    fits.setval(calibrated, "DATE", value="2021-12-25T12:20:00.000")


FAULTS = family(
    "calibration",
    (
        "calibrated rate",
        "the calibrated product is that of the rate",
        {"calibrated": _unsubtracted},
    ),
    ("calibrated errors lost", "they are zero", {"calibrated": _errors_lost}),
    ("calibrated flags lost", "no flag is carried on", {"calibrated": _flags_lost}),
    ("calibrated values lost", "a corner has no value and no flag", {"calibrated": _values_lost}),
    ("another unit", "the calibrated product is in Jy by its header", {"calibrated": _other_unit}),
    (
        "older than its image",
        "the calibrated product is of another day",
        {"calibrated": _older_than_its_image},
    ),
)
