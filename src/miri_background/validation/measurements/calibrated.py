"""The calibrated products: whether each was made of the subtracted image beside it.

Flat field and photometric calibration multiply each pixel by a factor that is the same for all
exposures of one set, but for the conversion that each header names.  So the calibrated image over
the subtracted one is one map, positive and near the conversion: an image of which no background
was subtracted, or another one, has other ratios, and signs, wherever the sky is near zero.
"""

from dataclasses import dataclass

import numpy as np

from miri_background.instrument.detector import GAIN, gain
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import subarrays
from miri_background.instrument.response import sky_response
from miri_background.validation.measurements.analysis import ExactAnalysis
from miri_background.validation.measurements.counted import counted
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.rounding import UNIT_ROUNDOFF
from miri_background.validation.products.images import DO_NOT_USE, read_image
from miri_background.validation.products.requirements import require_same_shape

__all__ = ["calibrated_measurements", "usable_area"]

# A division, a product, and the rounding of both factors; of two exposures twice.
_ROUNDING = 8 * UNIT_ROUNDOFF
# Of a variance the factor is squared; of an error it is the root of three.
_VARIANCE_ROUNDING = 3 * _ROUNDING
_FACTORS = 10.0  # of a usable pixel's factor over that of a typical one, either way
_CONVERSION = 2.0  # of a typical pixel's factor over the header's conversion, either way
_LEAST = 1e-30  # DN/s: below, single precision has no full digits
_PARTS = ("VAR_POISSON", "VAR_RNOISE")
_MOST = 0.5  # of the pixels, that have to be wrong before a common cause is looked for


@dataclass(frozen=True)
class _Pair:
    """A subtracted image and what was calibrated of it.

    Parameters
    ----------
    subtracted, calibrated : Image
        Of one science exposure.
    usable : ndarray of bool
        Pixels that both have, and that nothing flags.
    factors : ndarray
        Calibrated over subtracted value and over the header's conversion; NaN where either is
        not usable.
    converted : bool
        Whether the header names the conversion to surface brightness.
    """

    subtracted: object
    calibrated: object
    usable: np.ndarray
    factors: np.ndarray
    converted: bool

    @classmethod
    def of(cls, subtracted, calibrated):
        """Return the pair of two images."""
        with np.errstate(invalid="ignore"):
            usable = (
                np.isfinite(calibrated.data)
                & (np.abs(subtracted.data) > _LEAST)
                & np.isfinite(subtracted.data)
                & (calibrated.dq & DO_NOT_USE == 0)
            )
        factors = np.full(subtracted.shape, np.nan)
        np.divide(calibrated.data, subtracted.data, out=factors, where=usable, dtype=float)
        conversion = calibrated.extension.get("PHOTMJSR")
        converted = calibrated.header.get("S_PHOTOM") == "COMPLETE" and isinstance(
            conversion, float
        )
        if converted:
            factors /= conversion
        return cls(subtracted, calibrated, usable, factors, converted)


def _known_map(analysis, calibrated):
    """Return what each value is multiplied by, where the flat field is known, else None."""
    if isinstance(analysis, ExactAnalysis):
        return None
    header = calibrated.header
    done = [header.get(name) == "COMPLETE" for name in ("S_FLAT", "S_PHOTOM")]
    if not analysis.expectation.truth or not all(done):
        return None
    if not all(truth.exact for truth in analysis.products.science_truth):
        return None
    flat = subarrays()[analysis.products.subarray].cut(sky_response() * GAIN / gain())
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / flat.astype(np.float32).astype(float)


def _outside(pair, known):
    """Return where factors are not those of the set, or cannot be those of any."""
    factors, usable = pair.factors, pair.usable
    typical = np.median(factors[usable]) if usable.any() else np.nan
    if pair.converted and not 1 / _CONVERSION < typical < _CONVERSION:
        return usable
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = ~((factors > typical / _FACTORS) & (factors < typical * _FACTORS))
        if known is not None:
            off = np.abs(factors - known) > _ROUNDING * np.abs(known)
            wrong |= off & np.isfinite(known)
    return wrong & usable


def _cause(pair, rate, wrong):
    """Return, of an image that is wrong nearly everywhere, what it holds instead."""
    if np.count_nonzero(wrong) < _MOST * np.count_nonzero(pair.usable):
        return ""
    unsubtracted = _Pair.of(rate, pair.calibrated)
    if not _outside(unsubtracted, None).any():
        return "it is the calibrated rate, of which no background was subtracted"
    return ""


def _wrong_errors(pair):
    """Return where errors and parts of the variance are not those of the subtracted image.

    The flat field makes the error anew from the parts; without it, the error is multiplied as
    the values are.
    """
    before, after = pair.subtracted, pair.calibrated
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = np.abs(np.where(pair.usable, after.data.astype(float) / before.data, np.nan))
        wrong = np.zeros(ratio.shape, dtype=bool)
        total = np.zeros(ratio.shape)
        for name in _PARTS:
            if name not in before.variances:
                continue
            if name not in after.variances:
                return pair.usable
            expected = before.variances[name] * ratio**2
            found = after.variances[name].astype(float)
            wrong |= ~(np.abs(found - expected) <= _VARIANCE_ROUNDING * expected)
            total += found
        total += after.variances.get("VAR_FLAT", 0.0)
        errors = after.err.astype(float)
        of_parts = np.abs(errors**2 - total) <= _VARIANCE_ROUNDING * total
        multiplied = before.err * ratio
        same = np.abs(errors - multiplied) <= _VARIANCE_ROUNDING * multiplied
        wrong |= ~(of_parts | same)
    # Where no part of the variance is known, no error is.
    known = np.logical_and.reduce([np.isfinite(each) for each in before.variances.values()])
    return wrong & pair.usable & known & np.isfinite(before.err)


def _wrong_flags(pair):
    """Return where flags of the subtracted image are lost, or a value is, without a flag."""
    before, after = pair.subtracted, pair.calibrated
    lost = (before.dq & ~after.dq) != 0
    gone = np.isfinite(before.data) & ~np.isfinite(after.data)
    return lost | (gone & (after.dq & DO_NOT_USE == 0))


def calibrated_measurements(analysis):
    """Yield how many pixels of the calibrated products are not made of the subtracted images.

    Each is read, judged and left before the next one, so that only one is held.

    Parameters
    ----------
    analysis : Analysis or ExactAnalysis
        Products with their expectation, if there is one.

    Yields
    ------
    Measurement
        Three counts for each calibrated product that is there, and the area that can be used.
    """
    products, known = analysis.products, None
    for number, subtracted in enumerate(products.subtracted):
        path = products.calibrated_files[number] if products.calibrated_files else None
        if path is None:
            yield usable_area(analysis, number, subtracted)
            continue
        calibrated = read_image(path)
        require_same_shape(calibrated, subtracted.shape, subtracted)
        if known is None:
            known = _known_map(analysis, calibrated)
        pair = _Pair.of(subtracted, calibrated)
        wrong = _outside(pair, known)
        why = _cause(pair, products.science[number], wrong) if wrong.any() else ""
        yield counted("calibrated value", number, wrong, calibrated, why)
        yield counted("calibrated error", number, _wrong_errors(pair), calibrated)
        yield counted("calibrated DQ", number, _wrong_flags(pair), calibrated)
        yield usable_area(analysis, number, subtracted, calibrated)
        if known is None and not wrong.any():
            known = _first_known(pair.factors)


def _first_known(factors):
    """Return the factors of the first integration that has one, shape (rows, columns)."""
    if factors.ndim == 2:
        return factors
    found = factors[0].copy()
    for plane in factors[1:]:
        found = np.where(np.isfinite(found), found, plane)
    return found


def usable_area(analysis, number, *images):
    """Return which part of the illuminated pixels of a science exposure cannot be used.

    Parameters
    ----------
    analysis : Analysis or ExactAnalysis
        Products with their expectation, if there is one.
    number : int
        Science exposure, from 0.
    *images : Image
        Its products: a pixel that one of them cannot use is lost.

    Returns
    -------
    Measurement
        In percent, with numbers of pixels in words.
    """
    exact = isinstance(analysis, ExactAnalysis)
    shape = analysis.products.science[0].shape[-2:]
    # What sees the sky is not known of every subarray.
    lit = np.ones(shape, dtype=bool) if exact else illuminated(analysis.products.subarray)
    usable = lit.copy()
    for image in images:
        good = np.isfinite(image.data) & (image.dq & DO_NOT_USE == 0)
        usable &= good if good.ndim == 2 else good.any(axis=0)
    total, count = np.count_nonzero(lit), np.count_nonzero(usable)
    judged = 0 if exact else np.count_nonzero(analysis.residuals.judged[number])
    return Measurement(
        "usable area",
        WHOLE_ARRAY,
        number + 1,
        100 * (1 - count / total),
        detail=f"{count} of {total} {'' if exact else 'illuminated '}pixels can be used, {judged} "
        "are judged as empty sky",
    )
