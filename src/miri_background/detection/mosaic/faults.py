"""Faults of the steps after the background step: what each breaks."""

import numpy as np
from scipy.ndimage import binary_dilation, median_filter, shift

from miri_background.detection.mosaic.fault import family
from miri_background.files import replace_whole
from miri_background.outcomes import SetUpWrong
from miri_background.reading import open_fits, read_text

__all__ = ["FAULTS", "fault"]

_OUTLIER, _DO_NOT_USE = 16, 1
_RARE = 0.002  # of the pixels, flagged at random: twenty times what is allowed
_STEP = 0.4  # pixel noises: a step between exposures that nobody sees in one of them
_TURN = 0.3  # pixels at the edge
_HIGH = 8.0  # MJy/sr, as in jwst #4302


# ------------------------------------------------------------------ flux calibration, flat field


def _scaled(factor):
    def change(hdus, _, number):  # noqa: ARG001 - all exposures
        for name in ("SCI", "ERR"):
            hdus[name].data *= np.float32(factor)
        for name in ("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"):
            hdus[name].data *= np.float32(factor**2)

    return change


def _drift(hdus, rate, number):
    _scaled(1 + 0.08 * number)(hdus, rate, number)


def _flat_upside_down(hdus, rate, number):  # noqa: ARG001 - as all are called
    # Where no light arrives, neither has a factor.
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = hdus["SCI"].data / rate["subtracted"]
        turned = factor[::-1] / factor
    good = np.isfinite(turned) & (turned > 0)
    hdus["SCI"].data *= np.where(good, turned, 1).astype(np.float32)


def _unsubtracted(hdus, rate, number):
    if number != 1:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = hdus["SCI"].data / rate["subtracted"]
    level = np.nanmedian(factor) * rate["rate"]
    hdus["SCI"].data = level.astype(np.float32)
    hdus[0].header["S_BKDSUB"] = "SKIPPED"


# ------------------------------------------------------------------ world coordinates


def _moved(x, y, only=None):
    """Return what moves the sky of exposures by pixels."""

    def change(model, number):
        if only is None or number == only:
            _transformed(model, x, y, 0.0)

    return change


def _rotated(model, number):
    if number == 1:
        rows, columns = model.data.shape
        _transformed(model, 0, 0, np.rad2deg(_TURN / (max(rows, columns) / 2)))


def _transformed(model, x, y, angle):
    """Put a shift and a rotation about the middle before an exposure's world coordinates."""
    from astropy.modeling.models import Rotation2D, Shift

    rows, columns = model.data.shape
    middle = columns / 2, rows / 2
    turned = (
        Shift(x - middle[0]) & Shift(y - middle[1])
        | Rotation2D(angle)
        | Shift(middle[0]) & Shift(middle[1])
    )
    wcs = model.meta.wcs
    wcs.insert_transform(wcs.input_frame, turned, after=True)


# ------------------------------------------------------------------ sky


def _noise_of(model):
    return float(np.nanmedian(model.err))


def _sky_of_another_region(model, number):
    if number == 1:
        model.meta.background.level += 1.5 * _noise_of(model)


def _skies_high(model, number):  # noqa: ARG001 - all exposures
    model.meta.background.level += _HIGH


def _sky_added(model, number):
    # As if it had been subtracted from the exposure as well, and the record of it lost.
    if number == 0:
        model.data += np.float32(_STEP * _noise_of(model))


def _half_exposure_high(model, number):
    if number == 2:
        columns = model.data.shape[1]
        model.data[:, : columns // 2] += np.float32(2 * _STEP * _noise_of(model))


# ------------------------------------------------------------------ outliers


def _flagged_at_random(model, number):
    chosen = np.random.default_rng(number).random(model.data.shape) < _RARE
    model.dq[chosen] |= np.uint32(_OUTLIER | _DO_NOT_USE)


def _flagged_stars(model, number):  # noqa: ARG001 - all exposures
    with np.errstate(invalid="ignore"):
        bright = model.data > 40 * _noise_of(model)
    model.dq[bright] |= np.uint32(_OUTLIER | _DO_NOT_USE)


def _neighbours_flagged(model, number):  # noqa: ARG001 - all exposures
    flagged = binary_dilation((model.dq & _OUTLIER) != 0, np.ones((15, 15)))
    model.dq[flagged] |= np.uint32(_OUTLIER | _DO_NOT_USE)


# ------------------------------------------------------------------ resampling


def _shifted(model):
    good = np.isfinite(model.data)
    moved = shift(np.where(good, model.data, 0), (0, 0.5), order=1)
    model.data = np.where(good, moved, np.nan).astype(np.float32)


def _smoothed(model):
    good = np.isfinite(model.data)
    smooth = median_filter(np.where(good, model.data, 0), 3)
    model.data = np.where(good, smooth, np.nan).astype(np.float32)


def _doubled_errors(model):
    model.err *= 2


def _lost_weights(model):
    model.wht = (model.wht > 0).astype(np.float32)


def _area_of_exposures(model):
    # As if the mosaic had pixels of half the side.
    for name in ("pixelarea_steradians", "pixelarea_arcsecsq"):
        setattr(model.meta.photometry, name, getattr(model.meta.photometry, name) / 4)


def _flux_per_pixel(model):
    model.data *= 1.1


def _scale_of_header(model):
    model.meta.wcsinfo.cdelt1 *= 1.001
    model.meta.wcsinfo.cdelt2 *= 1.001


# ------------------------------------------------------------------ catalogue


def _table(change):
    """Return what changes the catalogue of a mosaic."""

    def of_files(path):
        from astropy.table import QTable

        path = path.with_name(path.name.replace("_i2d.fits", "_cat.ecsv"))
        table = change(QTable.read(read_text(path).splitlines(), format="ascii.ecsv"))
        # In a scratch directory, made a moment ago.
        with replace_whole(path, ours=lambda _: True) as (aside,):
            table.write(aside, format="ascii.ecsv", overwrite=True)

    return of_files


def _corrections_of_another_filter(table):
    table["aper_total_flux"] *= 1.08
    return table


def _counted_from_one(table):
    table["xcentroid"] += 1
    table["ycentroid"] += 1
    return table


def _every_second(table):
    return table[::2]


def _noise_as_sources(table):
    from astropy.table import vstack

    added = table[: max(len(table) // 5, 2)].copy()
    generator = np.random.default_rng(4)
    for name in ("xcentroid", "ycentroid"):
        span = np.nanmax(table[name])
        added[name] = generator.uniform(0.1 * span, 0.9 * span, len(added))
    return vstack([table, added], metadata_conflicts="silent")


def _wrong_unit(table):
    table["aper_total_flux"] /= 1000
    return table


def _no_catalogue(path):
    path.with_name(path.name.replace("_i2d.fits", "_cat.ecsv")).unlink()


def _magnitudes_off(table):
    table["aper_total_abmag"] += 0.05
    return table


def _file(change):
    """Return what changes the file of a mosaic."""

    def of_file(path):
        with open_fits(path) as hdus:
            change(hdus)
            with replace_whole(path, ours=lambda _: True) as (aside,):
                hdus.writeto(aside)

    return of_file


def _another_unit(hdus):
    hdus["SCI"].header["BUNIT"] = "Jy"


def _photons_twice(hdus):
    hdus["VAR_POISSON"].data *= 2


def _whole_pixels(hdus):
    hdus[0].header["PIXFRAC"] = 1.0


_ALL = (
    *family(
        "flux calibration",
        ("conversion off", "all exposures are 5 % too bright", {"calibrated": _scaled(1.05)}),
        (
            "conversion drifts",
            "each exposure is 8 % brighter than the last",
            {"calibrated": _drift},
        ),
        (
            "flat field upside down",
            "rows have the factors of others",
            {"calibrated": _flat_upside_down},
        ),
    ),
    *family(
        "members",
        (
            "an unsubtracted exposure",
            "one exposure has its background still",
            {"calibrated": _unsubtracted},
        ),
        (
            "an exposure twice",
            "the first is there twice",
            {"members": lambda each: [*each, each[0]]},
        ),
        ("an exposure less", "the last is not there", {"members": lambda each: each[:-1]}),
    ),
    *family(
        "world coordinates",
        (
            "all exposures moved",
            "half a pixel, as aligned to a wrong catalogue",
            {"after": {"tweakreg": _moved(0.5, 0.0)}},
        ),
        (
            "one exposure moved",
            "a third of a pixel against the others",
            {"after": {"tweakreg": _moved(0.3, 0.2, only=1)}},
        ),
        (
            "one exposure rotated",
            "a third of a pixel at its edge",
            {"after": {"tweakreg": _rotated}},
        ),
    ),
    *family(
        "sky",
        (
            "sky of another region",
            "one sky is of light that the overlap has not (jwst #10259)",
            {"after": {"skymatch": _sky_of_another_region}},
        ),
        (
            "skies too high",
            "all by 8 MJy/sr: the mosaic is at -8 (jwst #4302)",
            {"after": {"skymatch": _skies_high}},
        ),
        (
            "a step between exposures",
            "0.4 pixel noises that no sky takes off (jwst #7472)",
            {"after": {"skymatch": _sky_added}},
        ),
        (
            "a step in an exposure",
            "half of one is 0.8 pixel noises too high",
            {"after": {"skymatch": _half_exposure_high}},
        ),
    ),
    *family(
        "outliers",
        (
            "nothing flagged",
            "no outlier is above a threshold of 500 errors",
            {"parameters": {"outlier_detection": {"snr": "500.0 400.0"}}},
        ),
        (
            "flagged at random",
            "one pixel in 500",
            {"after": {"outlier_detection": _flagged_at_random}},
        ),
        (
            "stars flagged",
            "the cores of bright ones",
            {"after": {"outlier_detection": _flagged_stars}},
        ),
        (
            "neighbours flagged",
            "seven pixels around each outlier",
            {"after": {"outlier_detection": _neighbours_flagged}},
        ),
    ),
    *family(
        "resampling",
        (
            "another kernel",
            "turbo instead of square",
            {"parameters": {"resample": {"kernel": "turbo"}}},
        ),
        ("half a pixel off", "the values, not their coordinates", {"resampled": _shifted}),
        ("values smoothed", "by a median of nine pixels", {"resampled": _smoothed}),
        ("flux per pixel", "values are 10 % too bright", {"resampled": _flux_per_pixel}),
        ("errors doubled", "of all pixels", {"resampled": _doubled_errors}),
        ("weights lost", "they are one", {"resampled": _lost_weights}),
        (
            "pixel area",
            "a fourth of that of the pixels, which the catalogue takes",
            {"resampled": _area_of_exposures},
        ),
        ("pixel scale", "0.1 % too large in the header", {"resampled": _scale_of_header}),
        ("mosaic in another unit", "Jy by its header", {"written": _file(_another_unit)}),
        (
            "smaller pixels",
            "by a pixel fraction of 0.7 that the header does not tell",
            {"parameters": {"resample": {"pixfrac": 0.7}}, "written": _file(_whole_pixels)},
        ),
        (
            "one variance doubled",
            "that of photons, and not the error",
            {"written": _file(_photons_twice)},
        ),
    ),
    *family(
        "catalogue",
        (
            "corrections of another filter",
            "fluxes are 8 % too large",
            {"written": _table(_corrections_of_another_filter)},
        ),
        ("counted from one", "places are a pixel off", {"written": _table(_counted_from_one)}),
        ("every second source", "the others are lost", {"written": _table(_every_second)}),
        ("noise as sources", "a fifth of the entries", {"written": _table(_noise_as_sources)}),
        (
            "magnitudes of another zero point",
            "0.05 mag off their fluxes",
            {"written": _table(_magnitudes_off)},
        ),
        ("fluxes in mJy", "as if they were Jy", {"written": _table(_wrong_unit)}),
        ("no catalogue", "it was not written", {"written": _no_catalogue}),
    ),
)
FAULTS = {each.name: each for each in _ALL}


def fault(name):
    """Return a fault by its name.

    Parameters
    ----------
    name : str
        One of `FAULTS`.

    Returns
    -------
    MosaicFault
        The fault.

    Raises
    ------
    CannotJudge
        If there is none of this name.
    """
    if name not in FAULTS:
        msg = f"{name!r} is not a fault of the mosaic; these are: {', '.join(FAULTS)}."
        raise SetUpWrong(msg)
    return FAULTS[name]
