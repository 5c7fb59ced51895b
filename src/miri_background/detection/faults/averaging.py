"""Faults of averaging: which values, which members, which clipping."""

from functools import partial

import numpy as np

from miri_background.detection.faults.fault import family

__all__ = ["FAULTS"]


def _use(combined, members, keep, centre=np.nanmean):
    """Average the members' values that are kept, errors as the step has them."""
    kept = keep & np.isfinite(members.data)
    count = np.maximum(kept.sum(axis=0), 1)
    values = np.where(kept, members.data, np.nan)
    known = kept.any(axis=0)
    filled = np.where(known, values, 0.0)
    combined.data = np.where(known, centre(filled, axis=0), 0.0).astype(np.float32)
    squares = np.where(kept, members.err**2, 0.0).sum(axis=0)
    combined.err = (np.sqrt(squares) / count).astype(np.float32)


def _all(members):
    return np.ones(members.data.shape, dtype=bool)


def _plain_mean(combined, members):
    _use(combined, members, _all(members))


def _median(combined, members):
    _use(combined, members, _all(members), np.nanmedian)


def _clipped(combined, members, axis=0, **choices):
    """Average what astropy's clipping keeps with other choices than the step's."""
    from astropy.stats import sigma_clip

    options = {"sigma": members.sigma, "maxiters": members.maxiters} | choices
    values = np.ma.masked_invalid(members.data)
    clipped = sigma_clip(values, axis=axis, **options)
    _use(combined, members, ~np.ma.getmaskarray(clipped))


def _sample_deviation(values, axis):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanstd(values, axis=axis, ddof=1)


def _weighted_mean(combined, members):
    known = np.isfinite(members.data) & (members.err > 0)
    weights = np.where(known, members.err, np.inf) ** -2
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    combined.data = (np.nansum(weights * members.data, axis=0) / total).astype(np.float32)


def _without_last(files, _):
    return files[:-1]


def _first_doubled(files, _):
    return [*files[:-1], files[0]]


def _science_as_member(files, science):
    return [*files[:-1], science.copy()]


def _clipping_off(sigma, maxiters):
    return 1e9 * sigma, maxiters


def _default_sigma(sigma, maxiters):
    return (3.0 if sigma != 3 else 2.0), maxiters


FAULTS = (
    *family(
        "averaging",
        ("plain mean", "nothing is clipped", {"average": _plain_mean}),
        ("median", "the median is taken for the mean", {"average": _median}),
        ("clipping off", "sigma is taken as infinite", {"clipping": _clipping_off}),
        (
            "wrong sigma",
            "the default sigma is taken for the one given",
            {"clipping": _default_sigma},
        ),
        (
            "wrong centre",
            "clipped about the mean",
            {"average": partial(_clipped, cenfunc="mean")},
        ),
        (
            "sample deviation",
            "clipped by the sample's standard deviation",
            {"average": partial(_clipped, stdfunc=_sample_deviation)},
        ),
        ("one iteration", "clipped once only", {"average": partial(_clipped, maxiters=1)}),
        ("wrong axis", "clipped along rows", {"average": partial(_clipped, axis=1)}),
        (
            "low values only",
            "only low values are clipped",
            {"average": partial(_clipped, sigma_upper=1e9)},
        ),
        ("weighted mean", "weighted with the errors, not clipped", {"average": _weighted_mean}),
        ("member dropped", "the last background is left out", {"members": _without_last}),
        ("member doubled", "the first stands for the last, too", {"members": _first_doubled}),
        (
            "foreign member",
            "the science exposure stands for the last",
            {"members": _science_as_member},
        ),
    ),
)
