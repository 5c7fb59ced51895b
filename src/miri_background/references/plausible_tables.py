"""Whether reference files that hold tables and transforms are plausible."""

import numpy as np

from miri_background.instrument import detector
from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.interference import sampling
from miri_background.references.needs import (
    ImplausibleReference,
    check_solid_angle,
    interval_in_words,
    number_in_words,
    open_model,
)

__all__ = ["CHECKS_OF_TABLES"]

_FITTED_GROUPS = 3  # one is lost to the last frame, two make a slope
_PHOTMJSR = (0.01, 1_000.0)  # MJy/sr per DN/s; 0.2 to 3 for the imager's filters
_POINTING = 5.0  # arcsec from the SIAF, 45 pixels: deliveries differ by tenths of an arcsec
_CLOSURE = 0.2  # pixel; the inverse that is in the SIAF closes to 0.11 pixel
_FILTER_OFFSET = 5.0  # pixel; the largest boresight offset is 2.2 pixel
_WAVEFORM = 4  # values of a period, the fewest that the pipeline's cubic spline takes
_VEGA = 10.0  # mag; AB minus Vega is 4 to 7 in the imager's filters


def rows_of(table, **wanted):
    """Return the indices of a table's rows with the wanted words in its columns."""
    columns = {name: [word_of(value) for value in table[name]] for name in wanted}
    return [
        index
        for index in range(len(table))
        if all(columns[name][index] == word for name, word in wanted.items())
    ]


def word_of(value):
    """Return a table's text, which may be bytes and padded, as a string."""
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _check_rscd(path, needs):
    wanted = needs.observation
    with open_model("RSCDModel", path) as model:
        table = model.rscd_group_skip_table
        found = rows_of(table, subarray=wanted.subarray, readpatt=wanted.readout_pattern)
        if not found:
            raise ImplausibleReference(
                f"it has no row for {wanted.subarray} in {wanted.readout_pattern}, "
                "and the pipeline would skip the step"
            )
        later = int(table["group_skip"][found[0]])
        # Tables for builds before jwst 2.0 do not say it: one group is left out then.
        known = "group_skip1" in table.dtype.names
        first = int(table["group_skip1"][found[0]]) if known else 1
    skipped = max(first, later) if wanted.integrations > 1 else first
    if wanted.groups - skipped < _FITTED_GROUPS:
        raise ImplausibleReference(
            f"it skips {skipped} of {wanted.groups} groups, and a ramp needs "
            f"{_FITTED_GROUPS} after that",
            "observe more groups, or choose a context that skips fewer",
        )
    return f"groups left out: {first} in the first integration, {later} in later ones"


def _check_photom(path, needs):
    wanted = needs.observation
    # Strict, as the pipeline opens it.
    with open_model("MirImgPhotomModel", path, strict_validation=True) as model:
        model.validate()
        table = model.phot_table
        found = rows_of(table, filter=wanted.filter, subarray=wanted.subarray) or rows_of(
            table, filter=wanted.filter, subarray="GENERIC"
        )
        if len(found) != 1:
            raise ImplausibleReference(
                f"it has {len(found) or 'no'} row{'s' * (len(found) > 1)} for {wanted.filter} "
                f"and {wanted.subarray} or GENERIC, where one is needed"
            )
        factor = float(table["photmjsr"][found[0]])
        for name in ("timecoeff_linear", "timecoeff_exponential", "timecoeff_powerlaw"):
            if model.hasattr(name):
                row = getattr(model, name)[found[0]]
                terms = [value for value in row if isinstance(value, (float, np.floating))]
                if not np.all(np.isfinite(terms)):
                    raise ImplausibleReference(f"its {name} is not finite for {wanted.filter}")
        pixel = model.meta.photometry
        steradian, arcsec = pixel.pixelarea_steradians, pixel.pixelarea_arcsecsq
    if not _PHOTMJSR[0] <= factor <= _PHOTMJSR[1]:
        raise ImplausibleReference(
            f"its photmjsr for {wanted.filter} is {number_in_words(factor)}, "
            f"outside {interval_in_words(_PHOTMJSR, 'MJy/sr per DN/s')}"
        )
    sentence = f"{number_in_words(factor)} MJy/sr per DN/s"
    # Not used where there is a map of the pixel area.
    if needs.area and steradian is None:
        return f"{sentence}; no PIXAR_SR, the area reference gives it"
    return f"{sentence}, {check_solid_angle(steradian, arcsec)}"


def _check_distortion(path, _):
    rows, columns = detector.SHAPE
    # Centre, corners and points between them.
    x, y = (
        axis.ravel()
        for axis in np.meshgrid(np.linspace(0, columns - 1, 9), np.linspace(0, rows - 1, 9))
    )
    with open_model("DistortionModel", path) as model:
        forward = model.model
        v2, v3 = (np.asarray(angle, dtype=float) for angle in forward(x, y))
        siaf_v2, siaf_v3 = imager_aperture().pixel_to_v2v3(x, y)
        miss = np.hypot(v2 - siaf_v2, v3 - siaf_v3)
        worst = int(np.argmax(np.nan_to_num(miss, nan=np.inf)))
        if not miss[worst] <= _POINTING:
            raise ImplausibleReference(
                f"it puts pixel x = {x[worst]:.0f}, y = {y[worst]:.0f} "
                f"{number_in_words(miss[worst])} arcsec from where the SIAF has it, "
                f"more than {_POINTING:g} arcsec"
            )
        try:
            inverse = forward.inverse
        except NotImplementedError:
            raise ImplausibleReference(
                "it has no inverse, which turns sky positions into pixels"
            ) from None
        back = np.hypot(
            *(np.asarray(axis) - at for axis, at in zip(inverse(v2, v3), (x, y), strict=True))
        )
    if not back.max() <= _CLOSURE:
        raise ImplausibleReference(
            f"its inverse misses by up to {number_in_words(back.max())} pixel, "
            f"more than {_CLOSURE:g} pixel"
        )
    return (
        f"within {number_in_words(miss[worst])} arcsec of the SIAF; "
        f"inverse closes to {number_in_words(back.max())} pixel"
    )


def _check_filteroffset(path, needs):
    wanted = needs.observation.filter
    with open_model("FilteroffsetModel", path) as model:
        offsets = [
            (entry.column_offset + 0.0, entry.row_offset + 0.0)  # no negative zeros
            for entry in model.filters
            if entry.filter == wanted
        ]
    if not offsets:
        raise ImplausibleReference(
            f"it has no entry for {wanted}, and the pipeline would shift by nothing"
        )
    column, row = offsets[0]
    if not max(abs(column), abs(row)) < _FILTER_OFFSET:
        raise ImplausibleReference(
            f"its offset for {wanted} is {number_in_words(column)}, {number_in_words(row)} pixel, "
            f"more than {_FILTER_OFFSET:g} pixel"
        )
    return f"offset {number_in_words(column)}, {number_in_words(row)} pixel (column, row)"


def _check_apcorr(path, needs):
    wanted = needs.observation
    with open_model("MirImgApcorrModel", path) as model:
        table = model.apcorr_table
        found = rows_of(table, filter=wanted.filter, subarray=wanted.subarray)
        if not found:
            raise ImplausibleReference(f"it has no row for {wanted.filter} and {wanted.subarray}")
        energy, radius, correction, inner, outer = (
            np.array(table[name], dtype=float)[found]
            for name in ("eefraction", "radius", "apcorr", "skyin", "skyout")
        )
    order = np.argsort(energy)
    if not (np.all(np.diff(energy[order]) > 0) and np.all(np.diff(radius[order]) > 0)):
        raise ImplausibleReference(
            f"its radii for {wanted.filter} do not increase with the encircled energy"
        )
    absent = [each for each in needs.energies if each not in np.round(100 * energy)]
    if absent:
        raise ImplausibleReference(
            f"it has no row of {wanted.filter} for the encircled energies "
            f"{', '.join(map(str, absent))} %, which the source catalogue uses"
        )
    if not np.all((correction >= 1) & np.isfinite(correction)):
        raise ImplausibleReference(
            f"its corrections for {wanted.filter} are not all finite and at least 1"
        )
    if np.ptp(inner) or np.ptp(outer) or not 0 < inner[0] < outer[0] < np.inf:
        raise ImplausibleReference(
            f"its sky annuli for {wanted.filter} are not one annulus of positive width"
        )
    return (
        f"radii {interval_in_words((radius.min(), radius.max()), 'pixel')}, corrections "
        f"{interval_in_words((correction.min(), correction.max()), '')}, "
        f"sky {interval_in_words((inner[0], outer[0]), 'pixel')}"
    )


def _check_abvegaoffset(path, needs):
    wanted = needs.observation.filter
    with open_model("ABVegaOffsetModel", path) as model:
        table = model.abvega_offset
        offsets = [float(table["abvega_offset"][row]) for row in rows_of(table, filter=wanted)]
    if len(offsets) != 1:
        raise ImplausibleReference(
            f"it has {len(offsets) or 'no'} rows for {wanted}, where one is needed"
        )
    if not abs(offsets[0]) < _VEGA:
        raise ImplausibleReference(
            f"its offset for {wanted} is {offsets[0]:g} mag, not within {_VEGA:g} mag of 0"
        )
    return f"AB minus Vega {number_in_words(offsets[0])} mag"


def _check_emicorr(path, needs):
    from jwst.emicorr.emicorr import get_subarcase

    wanted = needs.observation
    with open_model("EmiModel", path) as model:
        case = wanted.subarray, wanted.readout_pattern, "MIRIMAGE"
        _, row, frame, names = get_subarcase(model, *case)
        if not names:
            return f"it has no line for {wanted.subarray}: emicorr is skipped"
        known = sampling(wanted.readout_pattern, wanted.subarray, needs.window.shape)
        if (row, frame) != (known.row_samples, known.frame_samples):
            raise ImplausibleReference(
                f"for {wanted.subarray} it has {row} samples from row to row and {frame} from "
                f"frame to frame, and the detector takes {known.row_samples} and "
                f"{known.frame_samples}"
            )
        for name in names:
            try:
                line = getattr(model.frequencies, name)
            except AttributeError:
                raise ImplausibleReference(
                    f"it names {name} for {wanted.subarray} and has no such line"
                ) from None
            wave = np.asarray(line.phase_amplitudes, dtype=float)
            if wave.size < _WAVEFORM or not np.isfinite(wave).all() or not np.ptp(wave):
                raise ImplausibleReference(f"its waveform of {name} is no wave of finite numbers")
    return f"removes {', '.join(names)}"


CHECKS_OF_TABLES = {
    "emicorr": _check_emicorr,
    "rscd": _check_rscd,
    "photom": _check_photom,
    "distortion": _check_distortion,
    "filteroffset": _check_filteroffset,
    "apcorr": _check_apcorr,
    "abvegaoffset": _check_abvegaoffset,
}
