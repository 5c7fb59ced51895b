"""Faults of errors, of flags, and of values that are not a number."""

from functools import partial

import numpy as np

from miri_background.detection.faults.fault import family
from miri_background.detection.faults.patterns import CORNER
from miri_background.validation.prediction.clipping import kept_values
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["FAULTS"]


def error_times(combined, members, factor):
    """Multiply the error of the average by a function of the number of members."""
    combined.err = (combined.err * factor(len(members.data))).astype(np.float32)


def clipped_counted(combined, members):
    squares = np.nansum(members.err**2, axis=0)
    combined.err = (np.sqrt(squares) / len(members.err)).astype(np.float32)


def variance_for_error(combined, _):
    combined.err = combined.err**2


def _flags(combined, members, change):
    """Replace the flags of the average."""
    combined.dq = change(members.dq, combined.dq).astype(np.uint32)


def _every_flag(each, _):
    return np.bitwise_and.reduce(each, axis=0)


def _no_flag(_, combined):
    return np.zeros_like(combined)


def _shifted_bits(_, combined):
    return combined << 1


def _one_wrong_bit(_, combined):
    wrong = combined.copy()
    wrong[wrong.shape[0] // 2, wrong.shape[1] // 2] ^= 4
    return wrong


def _zero_for_nan(combined, members):
    """Average what clipping keeps with a zero for each value that is missing."""
    kept, _ = kept_values(members.data, members.sigma, members.maxiters)
    count = np.maximum(kept.sum(axis=0), 1)
    missing = (~np.isfinite(members.data)).sum(axis=0)
    combined.data = (combined.data * (count / (count + missing))).astype(np.float32)


def _miss_values(rates):
    """Take the values of a part of one background, as of pixels that saturate at once."""
    corner = (..., slice(-CORNER, None), slice(-CORNER, None))
    for name, value in (("SCI", np.nan), ("ERR", 0), ("VAR_POISSON", 0), ("VAR_RNOISE", 0)):
        rates.backgrounds[0][name].data[corner] = value
    rates.backgrounds[0]["DQ"].data[corner] |= DO_NOT_USE | SATURATED


def _nan_from_any(combined, members):
    combined.data[~np.isfinite(members.data).all(axis=0)] = np.nan


def _nan_to_neighbours(combined, members):
    from scipy.ndimage import binary_dilation

    missing = ~np.isfinite(members.data).all(axis=0)
    combined.data[binary_dilation(missing) & ~missing] = np.nan


def _result_flags(rate, combined, result, change):
    """Replace the flags of the result."""
    result.dq = change(rate.dq, combined.dq)


FAULTS = (
    *family(
        "flags",
        (
            "AND for OR",
            "only flags of all members",
            {"average": partial(_flags, change=_every_flag)},
        ),
        (
            "flags dropped",
            "no flag is passed on",
            {"average": partial(_flags, change=_no_flag)},
        ),
        (
            "bits shifted",
            "every bit is its neighbour",
            {"average": partial(_flags, change=_shifted_bits)},
        ),
        (
            "one wrong bit",
            "one bit of one pixel",
            {"average": partial(_flags, change=_one_wrong_bit)},
        ),
        (
            "rate's flags only",
            "flags of the background are not passed on",
            {"subtract": partial(_result_flags, change=lambda rate, _: rate)},
        ),
        (
            "background's flags only",
            "flags of the rate are lost",
            {"subtract": partial(_result_flags, change=lambda _, sky: sky)},
        ),
    ),
    *family(
        "not a number",
        (
            "NaN as zero",
            "values missing in one background count as zero",
            {"average": _zero_for_nan, "rates": _miss_values},
        ),
        ("NaN from any", "one missing value is missing in all", {"average": _nan_from_any}),
        (
            "NaN spreads",
            "neighbours of missing values are lost",
            {"average": _nan_to_neighbours},
        ),
    ),
)
