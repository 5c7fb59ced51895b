"""What of a mosaic is exact: members, header, values, weights, and the errors that it reports."""

import numpy as np

from miri_background.instrument.aperture import ARCSEC_TO_RAD
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement

__all__ = ["exact_measurements", "expected_errors", "resampled_measurements"]

_UNIT = "MJy/sr"
_DONE = {
    "S_RESAMP": "resampling",
    "S_OUTLIR": "outlier detection",
    "S_FLAT": "the flat field",
    "S_PHOTOM": "flux calibration",
}
_AREA = 1e-5  # of a pixel's solid angle: seven digits of a header, squared
# The corners of a pixel are taken from the middles of its neighbours by the pipeline, and from the
# distortion here; at its steepest the two differ by so much of the light and of the weight.
_VALUES, _WEIGHTS = 1e-3, 2e-3
_CORNER = 1e-4  # pixels: places of corners inside of an exposure differ by a fifth (measured)
_LEAST = 1e-6  # MJy/sr: single precision of values near 1
_ROOT = 1e-5  # of an error: single precision of the sum of three variances
# Of a magnitude: the zero point is 8.9, or that of 3631 Jy, 0.00007 lower.
_AB_ZERO, _MAGNITUDE = 8.9, 1e-3
_PLACE = 1.0  # mas: a hundredth of what a place may be off the truth


def exact_measurements(mosaic, stems=None):
    """Yield what contradicts itself in a mosaic's members and header.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    stems : list of str, optional
        Beginnings of the names of the exposures that it should be made of, each once.

    Yields
    ------
    Measurement
        Counts of members and cards, and of pixels and entries where these are there.
    """
    wrong = _wrong_members(mosaic, stems)
    yield Measurement(
        "mosaic members", WHOLE_ARRAY, None, float(len(wrong)), detail="; ".join(wrong[:1])
    )
    wrong = _contradictions(mosaic)
    yield Measurement(
        "mosaic header", WHOLE_ARRAY, None, float(len(wrong)), detail="; ".join(wrong[:2])
    )
    if mosaic.variance is not None:
        with np.errstate(invalid="ignore"):
            off = np.abs(np.sqrt(mosaic.variance) - mosaic.err) > _ROOT * mosaic.err
        off &= mosaic.covered
        number = float(np.count_nonzero(off))
        yield Measurement("mosaic variances", WHOLE_ARRAY, None, number, detail=_first(off))
    if mosaic.catalogue is not None and len(mosaic.catalogue):
        wrong = _wrong_columns(mosaic)
        number = float(np.count_nonzero(np.any(list(wrong.values()), axis=0))) if wrong else 0.0
        detail = ", ".join(name for name, entries in wrong.items() if entries.any())
        yield Measurement("catalogue columns", WHOLE_ARRAY, None, number, detail=detail)


def _wrong_members(mosaic, stems):
    """Return what is wrong with the members, in words."""
    wrong = [
        f"{name} is there {mosaic.named.count(name)} times"
        for name in dict.fromkeys(mosaic.named)
        if mosaic.named.count(name) > 1
    ]
    for member in mosaic.members:
        if member.header.get("BKGDTARG"):
            wrong.append(f"{member.path.name} is of a background field (BKGDTARG)")
        elif member.header.get("S_BKDSUB") != "COMPLETE":
            done = member.header.get("S_BKDSUB")
            wrong.append(f"{member.path.name} had no background subtracted (S_BKDSUB = {done})")
    if stems is not None:
        wrong += [
            f"{stem} is not in it"
            for stem in stems
            if not any(name.startswith(stem) for name in mosaic.named)
        ]
        wrong += [
            f"{name} does not belong to it"
            for name in mosaic.named
            if not any(name.startswith(stem) for stem in stems)
        ]
    return wrong


def _contradictions(mosaic):
    """Return what contradicts itself in the header, in words."""
    header, extension = mosaic.header, mosaic.extension
    found = []
    if extension.get("BUNIT") != _UNIT:
        found.append(f"BUNIT = {extension.get('BUNIT')!r}, and {_UNIT} is needed")
    found += [
        f"{words} was not done ({name} = {header.get(name)!r})"
        for name, words in _DONE.items()
        if header.get(name) != "COMPLETE"
    ]
    areas = {"PIXAR_A2": mosaic.pixel_scale**2}
    areas["PIXAR_SR"] = areas["PIXAR_A2"] * ARCSEC_TO_RAD**2
    for name, area in areas.items():
        said = extension.get(name)
        if not isinstance(said, float) or not abs(said / area - 1) <= _AREA:
            found.append(f"{name} = {said!r}, and a pixel of its world coordinates has {area:.6g}")
    for member in mosaic.members:
        if member.header.get("FILTER") != header.get("FILTER"):
            found.append(f"{member.path.name} has FILTER = {member.header.get('FILTER')}")
        if member.extension.get("BUNIT") != _UNIT:
            found.append(f"{member.path.name} has BUNIT = {member.extension.get('BUNIT')!r}")
    return found


def _wrong_columns(mosaic):
    """Return which entries of a catalogue contradict themselves, by the column that does."""
    catalogue, found = mosaic.catalogue, {}
    for name in catalogue.colnames:
        base = name.removesuffix("_abmag")
        errors = f"{base}_flux_err", f"{base}_abmag_err"
        if base == name or f"{base}_flux" not in catalogue.colnames:
            continue
        flux = catalogue[f"{base}_flux"].to_value("Jy")
        flux = np.where(flux > 0, flux, np.nan)  # others have no magnitude
        found[name] = _differ(catalogue[name], _AB_ZERO - 2.5 * np.log10(flux), _MAGNITUDE)
        if set(errors) <= set(catalogue.colnames):
            part = catalogue[errors[0]].to_value("Jy") / flux
            found[errors[1]] = _differ(catalogue[errors[1]], 2.5 * np.log10(1 + part), _MAGNITUDE)
    if {"sky_centroid", "xcentroid", "ycentroid"} <= set(catalogue.colnames):
        places = (np.asarray(catalogue[name], dtype=float) for name in ("xcentroid", "ycentroid"))
        sky = catalogue["sky_centroid"]
        ra, dec = mosaic.wcs.wcs_pix2world(*places, 0)
        cosine = np.cos(np.deg2rad(dec))
        off = np.hypot((sky.ra.deg - ra + 180) % 360 - 180, (sky.dec.deg - dec) / cosine) * cosine
        found["sky_centroid"] = _differ(3600e3 * off, 0.0, _PLACE)
    return found


def _differ(said, expected, allowed):
    """Return which numbers are off; what has no number on either side is not."""
    said = np.ma.filled(np.ma.asarray(said, dtype=float), np.nan)
    off = np.abs(said - expected) > allowed
    return off | (np.isfinite(said) != np.isfinite(expected))


def resampled_measurements(mosaic, resampling):
    """Yield how many pixels are not the weighted mean of the exposures, and how errors differ.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    resampling : Resampling
        What resampling should do.

    Yields
    ------
    Measurement
        Counts of values and weights, and the errors beyond those of the exposures.
    """
    inside = resampling.inside
    has = resampling.weight > 0
    typical = np.median(resampling.weight[has]) if has.any() else 0.0
    images = [member.data - member.level for member in mosaic.members]
    mean, size = resampling.of(images), resampling.of([np.abs(each) for each in images])
    # Of the weight: a corner that is so far off matters most where little falls on a pixel.
    corner = _CORNER * typical
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (_VALUES + corner / resampling.weight) * size + _LEAST
        same = np.abs(mosaic.data - mean) <= values
        weighted = (
            np.abs(mosaic.weight - resampling.weight) <= _WEIGHTS * resampling.weight + corner
        )
    # Where next to nothing falls on a pixel of the mosaic, rounding decides whether it has a value.
    least = _WEIGHTS * typical
    full = np.maximum(resampling.weight, np.nan_to_num(mosaic.weight)) > least
    uniform = _factor(mosaic.data, mean, values, inside & full & mosaic.covered)
    for name, good in (("mosaic value", same), ("mosaic weight", weighted)):
        wrong = inside & full & ~good
        detail = (name == "mosaic value" and wrong.any() and uniform) or _first(wrong)
        yield Measurement(name, WHOLE_ARRAY, None, float(np.count_nonzero(wrong)), detail=detail)
    errors = expected_errors(mosaic, resampling)
    judged = inside & full & mosaic.covered & (errors > 0)
    ratio = np.median(mosaic.err[judged] / errors[judged]) if judged.any() else np.nan
    yield Measurement("mosaic error", WHOLE_ARRAY, None, 100 * float(ratio - 1))


def _factor(data, mean, allowed, judged):
    """Return in words the one factor that all values are off by, empty if it is not one."""
    if not judged.any():
        return ""
    factor = np.sum(data[judged] * mean[judged]) / np.sum(mean[judged] ** 2)
    if not np.all(np.abs(data - factor * mean)[judged] <= allowed[judged]):
        return ""
    return (
        f"all are {factor:.5f} times the weighted mean of the exposures, as where the areas of "
        "pixels in header and world coordinates are compared (jwst 9246)"
    )


def _first(wrong):
    """Return where the first wrong pixel is, in words; empty if there is none."""
    if not wrong.any():
        return ""
    row, column = np.unravel_index(np.argmax(wrong), wrong.shape)
    return f"first at column {column + 1}, row {row + 1}"


def expected_errors(mosaic, resampling):
    """Return the errors that follow from those of the exposures, MJy/sr.

    Of each exposure the mean error of the pixels that fall on one of the mosaic, and of those the
    error of the weighted mean: as of pixels that each fall on one of the mosaic as a whole.  Sums
    over many pixels have right errors then, and single pixels scatter less.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    resampling : Resampling
        What resampling does.

    Returns
    -------
    ndarray
        Zero where no exposure counts.
    """
    total = np.zeros(resampling.weight.size)
    for part, member in zip(resampling.parts, mosaic.members, strict=True):
        for variance in member.variances.values():
            deviation = np.sqrt(np.where(member.usable & (variance > 0), variance, 0.0)).ravel()
            total += (part @ deviation) ** 2  # the share times the mean error, squared
    return np.sqrt(total).reshape(resampling.shape)
