"""Whether reference files with a value for each pixel are plausible."""

import numpy as np

from miri_background.instrument import detector
from miri_background.references.needs import (
    BLEMISHED,
    ImplausibleReference,
    check_solid_angle,
    cut_to_window,
    extension_of,
    flagged_pixels,
    interval_in_words,
    number_in_words,
    open_images,
    ordinary_values,
)

__all__ = ["CHECKS_OF_MAPS"]

_GAIN = (1.0, 10.0)  # e-/DN; MIRI's is between 3 and 6, whoever measures it
_READ_NOISE = (0.5, 200.0)  # DN; about 6 for one read, more in hot pixels
_SATURATION = (10_000.0, 66_000.0)  # DN; above the bias, up to what 16 bits hold
_LINEAR_TERM = (0.5, 1.5)  # the correction is of some per cent: its first order is near 1
_FOLDED = 0.001  # part of pixels whose corrected signal may fall while the raw one rises
_SIGNAL_LEVELS = np.linspace(0.1, 1.0, 16)  # of saturation; below lies no ramp, for the bias
_BLOCK = 32  # rows
_DARK_RATE = 100.0  # DN/s; a hundred times the sky's smallest rate in the imager's filters
_RESET = 5_000.0  # DN; the anomaly is of some hundred, a ramp starts at about 10 000
_BAD_PIXELS = 0.1  # part of the field; in flight some per cent
_FLAT_MEDIAN = (0.5, 1.5)  # flats are normalised to about 1
_LIT_PIXELS = 0.5  # part of the imager that a flat has to cover
_RELATIVE_AREA = (0.8, 1.2)  # distortion changes the pixel by 3 % over the imager
_IPC_SUM = (0.9, 1.1)  # inter-pixel capacitance moves charge, it makes none


def _check_map(path, needs, limits, unit, ignored=("DO_NOT_USE",)):
    """Check one value per pixel; return its words, the values and where they are good."""
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "SCI", 2, needs)
        values = hdu.section[index]
        good = needs.sensitive & ~flagged_pixels(hdus, hdu, index, *ignored)
    return ordinary_values(values, good, limits, unit, needs), values, good


def _check_gain(path, needs):
    return _check_map(path, needs, _GAIN, "e-/DN")[0]


def _check_readnoise(path, needs):
    return _check_map(path, needs, _READ_NOISE, "DN")[0]


def _check_saturation(path, needs):
    sentence, values, _ = _check_map(path, needs, _SATURATION, "DN", ("DO_NOT_USE", "NO_SAT_CHECK"))
    needs.saturation = values
    return sentence


def _falling(coefficients, saturation):
    """Return which pixels' corrected signal falls somewhere up to saturation.

    Parameters
    ----------
    coefficients : ndarray
        Shape (terms, rows, columns), lowest order first.
    saturation : ndarray
        Saturation level, DN, shape (rows, columns).

    Returns
    -------
    ndarray of bool
        Shape (rows, columns).
    """
    falls = np.zeros(saturation.shape, dtype=bool)
    # By blocks that stay in the processor's cache.
    for start in range(0, len(saturation), _BLOCK):
        rows = slice(start, start + _BLOCK)
        terms = coefficients[:, rows].astype(np.float32)  # in the machine's byte order
        below = np.full(falls[rows].shape, -np.inf, dtype=np.float32)
        for level in _SIGNAL_LEVELS:
            raw = (level * saturation[rows]).astype(np.float32)
            corrected = np.zeros_like(raw)
            for term in terms[::-1]:
                corrected *= raw
                corrected += term
            falls[rows] |= ~(corrected > below)
            below = corrected
    return falls


def _check_linearity(path, needs):
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "COEFFS", 3, needs)
        if hdu.shape[0] < 2:
            raise ImplausibleReference("its COEFFS have no linear term")
        coefficients = hdu.section[(slice(None), *index)]
        good = needs.sensitive & ~flagged_pixels(hdus, hdu, index, "DO_NOT_USE", "NO_LIN_CORR")
    # One term that is not finite makes the sum so.
    finite = np.isfinite(coefficients.sum(axis=0))
    linear = np.where(finite, coefficients[1], np.nan)
    sentence = ordinary_values(linear, good, _LINEAR_TERM, "", needs)
    saturation = detector.saturation_level()[needs.window.slices].astype(np.float32)
    if needs.saturation is not None:
        # What is wrong with the saturation level is reported for its own reference.
        saturation = np.clip(np.nan_to_num(needs.saturation), *_SATURATION)
    good &= finite
    falls = good & _falling(coefficients, saturation)
    part = np.count_nonzero(falls) / np.count_nonzero(good)
    if part > _FOLDED:
        raise ImplausibleReference(
            f"the corrected signal of {100 * part:.3g} % of the pixels does not always increase "
            f"up to saturation, {needs.place(falls)}"
        )
    return f"linear term {sentence}; {len(coefficients)} terms, increasing up to saturation"


def _check_mask(path, needs):
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "DQ", 2, needs)
        # Outside the field a mask may flag everything.
        bad = flagged_pixels(hdus, hdu, index, "DO_NOT_USE")[needs.lit].mean()
        reference = flagged_pixels(hdus, hdu, index, "REFERENCE_PIXEL")
    if bad > _BAD_PIXELS:
        raise ImplausibleReference(
            f"{100 * bad:.3g} % of the field's pixels are DO_NOT_USE, "
            f"more than {100 * _BAD_PIXELS:g} %"
        )
    unflagged = ~needs.sensitive & ~reference
    if unflagged.any():
        raise ImplausibleReference(
            f"{np.count_nonzero(unflagged)} reference pixels are not flagged REFERENCE_PIXEL, "
            f"{needs.place(unflagged)}"
        )
    return f"{100 * bad:.3g} % of the field's pixels are DO_NOT_USE"


def _check_readout_pattern(header, needs):
    """Refuse a reference of another readout pattern."""
    pattern, needed = header.get("READPATT"), needs.observation.readout_pattern
    # A reference that serves several readout patterns lists them for CRDS.
    several = str(header.get("P_READPA", "")).split("|")
    if pattern not in {"ANY", "N/A"} and needed not in (pattern, *map(str.strip, several)):
        raise ImplausibleReference(
            f"it is of readout pattern {pattern}, and the observation of {needed}"
        )


def _finite_groups(hdu, index, groups, good, needs):
    """Yield integration, group and values of the groups in use, refused if not finite."""
    allowed = BLEMISHED * np.count_nonzero(good)
    for integration in range(hdu.shape[0]):
        for group in range(groups):
            # One group at a time: a flight dark does not fit into memory.
            values = hdu.section[(integration, group, *index)]
            unreal = good & ~np.isfinite(values)
            if np.count_nonzero(unreal) > allowed:
                part = 100 * np.count_nonzero(unreal) / np.count_nonzero(good)
                raise ImplausibleReference(
                    f"{part:.3g} % of the pixels are not finite in integration {integration + 1}, "
                    f"group {group + 1}, {needs.place(unreal)}"
                )
            yield integration, group, values


def _check_dark(path, needs):
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "SCI", 4, needs, exactly=True)
        header = hdus[0].header
        _check_readout_pattern(header, needs)
        frames, gap = header.get("NFRAMES"), header.get("GROUPGAP")
        if (frames, gap) != (1, 0):
            raise ImplausibleReference(
                f"its NFRAMES, GROUPGAP are {frames}, {gap} and the observation's are 1, 0, "
                "and the pipeline would not subtract it"
            )
        groups, needed = hdu.shape[1], needs.observation.groups
        if groups < needed:
            raise ImplausibleReference(
                f"it has {groups} groups and the observation {needed}, "
                "and the pipeline would extrapolate it",
                "observe fewer groups, or use a longer dark",
            )
        good = needs.sensitive & ~flagged_pixels(hdus, hdu, index, "DO_NOT_USE")
        elapsed = (needed - 1) * (header.get("TGROUP") or needs.group_time)
        sentences = []
        for _, group, values in _finite_groups(hdu, index, needed, good, needs):
            if group == 0:
                first = values
            if group == needed - 1:
                rate = (values - first) / np.float32(elapsed)
                limits = (-_DARK_RATE, _DARK_RATE)
                sentences.append(ordinary_values(rate, good, limits, "DN/s", needs))
    return f"{groups} groups, {hdu.shape[0]} integrations; rate {sentences[0]}"


def _check_reset(path, needs):
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "SCI", 4, needs, exactly=True)
        header = hdus[0].header
        _check_readout_pattern(header, needs)
        said = header.get("NINTS"), header.get("NGROUPS")
        if said != hdu.shape[:2]:
            raise ImplausibleReference(
                f"its NINTS, NGROUPS are {said[0]}, {said[1]} "
                f"and its SCI has {hdu.shape[0]}, {hdu.shape[1]}"
            )
        good = needs.sensitive & ~flagged_pixels(hdus, hdu, index, "DO_NOT_USE")
        groups = min(hdu.shape[1], needs.observation.groups)
        first = None
        for _, _, values in _finite_groups(hdu, index, groups, good, needs):
            sentence = ordinary_values(values, good, (-_RESET, _RESET), "DN", needs)
            first = first or sentence
    return f"{said[1]} groups, {said[0]} integrations; first group {first}"


def _check_flat(path, needs):
    with open_images(path) as hdus:
        hdu, index = cut_to_window(hdus, "SCI", 2, needs)
        values = hdu.section[index]
        # The pipeline flags these, and pixels of 0 and NaN, as having no flat field.
        flagged = flagged_pixels(hdus, hdu, index, "DO_NOT_USE", "NO_FLAT_FIELD")
    lit = needs.lit
    good = lit & ~flagged & np.isfinite(values) & (values != 0)
    part = np.count_nonzero(good) / np.count_nonzero(lit)
    if part < _LIT_PIXELS:
        raise ImplausibleReference(
            f"only {100 * part:.3g} % of the field have a flat value "
            f"(not 0, finite, not flagged), less than {100 * _LIT_PIXELS:g} %"
        )
    sentence = ordinary_values(values, good, (0.0, np.inf), "", needs)
    median = float(np.median(values[good]))
    if not _FLAT_MEDIAN[0] <= median <= _FLAT_MEDIAN[1]:
        raise ImplausibleReference(
            f"its median is {number_in_words(median)}, "
            f"outside {interval_in_words(_FLAT_MEDIAN, '')}"
        )
    return f"{sentence}; {100 * part:.4g} % of the field covered"


def _check_area(path, needs):
    with open_images(path) as hdus:
        # The photom step cuts by detector pixels, whatever the header says.
        hdu = extension_of(hdus, "SCI", 2)
        if hdu.shape != detector.SHAPE:
            raise ImplausibleReference(
                f"its SCI has {hdu.shape[1]} x {hdu.shape[0]} pixels, not the full array's"
            )
        values = hdu.section[needs.window.slices]
        header = hdus[0].header
        pixel = check_solid_angle(header.get("PIXAR_SR"), header.get("PIXAR_A2"))
    return f"{ordinary_values(values, needs.lit, _RELATIVE_AREA, '', needs)}; {pixel}"


def _check_ipc(path, _):
    with open_images(path) as hdus:
        # A kernel for all pixels, or one for each; the first two axes are the kernel's.
        total = np.asarray(hdus["SCI"].data.sum(axis=(0, 1)), dtype=float)
    if not np.all((total >= _IPC_SUM[0]) & (total <= _IPC_SUM[1])):
        raise ImplausibleReference(
            f"its kernel does not add up to 1, but to {number_in_words(float(np.min(total)))}"
        )
    return "kernel adds up to 1"


CHECKS_OF_MAPS = {
    "gain": _check_gain,
    "readnoise": _check_readnoise,
    "saturation": _check_saturation,
    "linearity": _check_linearity,
    "mask": _check_mask,
    "dark": _check_dark,
    "reset": _check_reset,
    "flat": _check_flat,
    "area": _check_area,
    "ipc": _check_ipc,
}
