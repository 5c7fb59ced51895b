"""Faults of the subtraction, of its errors, and of what headers say."""

from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from miri_background.detection.faults.errors import clipped_counted, error_times, variance_for_error
from miri_background.detection.faults.fault import family

__all__ = ["FAULTS"]


def _subtracted_is(rate, combined, result, data):
    """Replace the values of the result."""
    result.data = data(rate.data, combined.data).astype(np.float32)


class _Stale:
    """Average for each exposure the members of the one before it.

    Before the first one came an exposure that had one background fewer.
    """

    def __init__(self):
        self.left = None

    def __call__(self, files, _):
        before = files[:-1] if self.left is None else self.left
        self.left = files
        return before


def _linear_error(rate, combined, result):
    result.err = rate.err + combined.err


def _scaled_error(rate, _, result):
    result.err = np.float32(1.01) * rate.err


def _lost_variance(rate, _, result):
    result.var_rnoise = 0 * rate.var_rnoise


def _says_nothing(result):
    result.meta.cal_step.bkg_subtract = None


def _says_skipped(result):
    result.meta.cal_step.bkg_subtract = "SKIPPED"


def _forgets_association(result):
    result.meta.asn.table_name = "none"


def _names_another_filter(result):
    result.meta.instrument.filter = "F1000W"


def _points_elsewhere(result):
    result.meta.wcsinfo.ra_ref = 0.1 + (result.meta.wcsinfo.ra_ref or 0.0)


def _forgets_a_step(result):
    result.meta.cal_step.ramp_fit = "SKIPPED"


def _errors_in_quadrature(rate, combined, result):
    result.err = np.hypot(rate.err, combined.err)


def _names_another_file(path):
    fits.setval(path, "FILENAME", value=Path(path).name.replace("_bsub", "_rate"))


FAULTS = (
    *family(
        "subtraction",
        *(
            (name, description, {"subtract": partial(_subtracted_is, data=data)})
            for name, description, data in (
                ("wrong sign", "the background is added", lambda rate, sky: rate + sky),
                (
                    "scaled by 0.1 %",
                    "a thousandth too much",
                    lambda rate, sky: rate - 1.001 * sky,
                ),
                ("twice", "subtracted two times", lambda rate, sky: rate - 2 * sky),
                (
                    "shifted by a pixel",
                    "each column gets that of its neighbour",
                    lambda rate, sky: rate - np.roll(sky, 1, axis=-1),
                ),
                ("not at all", "called complete, and nothing done", lambda rate, _: rate),
            )
        ),
        (
            "stale background",
            "the background of the exposure before, which had one member fewer",
            {"members": _Stale},
        ),
    ),
    *family(
        "errors",
        (
            "not divided by N",
            "N times too large",
            {"average": partial(error_times, factor=float)},
        ),
        (
            "divided by root N",
            "root of N times too large",
            {"average": partial(error_times, factor=np.sqrt)},
        ),
        ("clipped ones counted", "errors of all members", {"average": clipped_counted}),
        ("variance for error", "the root is missing", {"average": variance_for_error}),
        (
            "1 % too large",
            "a hundredth too large",
            {"average": partial(error_times, factor=lambda _: 1.01)},
        ),
        ("science error linear", "added, not in quadrature", {"subtract": _linear_error}),
        ("science error 1 % off", "scaled by 1.01", {"subtract": _scaled_error}),
        ("science variance lost", "read noise is set to zero", {"subtract": _lost_variance}),
        (
            "science error in quadrature",
            "as it is only proposed",
            {"subtract": _errors_in_quadrature},
        ),
    ),
    *family(
        "metadata",
        (
            "status missing",
            "the header does not say that it was done",
            {"finish": _says_nothing},
        ),
        ("status skipped", "the header says that it was not done", {"finish": _says_skipped}),
        (
            "association lost",
            "the header does not name the association",
            {"finish": _forgets_association},
        ),
        (
            "wrong filter",
            "the header names another filter",
            {"finish": _names_another_filter},
        ),
        (
            "another pointing",
            "the header points a tenth of a degree away",
            {"finish": _points_elsewhere},
        ),
        (
            "step forgotten",
            "the header says that no ramp was fitted",
            {"finish": _forgets_a_step},
        ),
        (
            "wrong file name",
            "the header names the rate's file",
            {"saved": _names_another_file},
        ),
    ),
)
