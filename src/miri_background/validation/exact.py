"""What is exact: every pixel of the step's products against the documented algorithm."""

from pathlib import Path

import numpy as np

from miri_background.validation.behaviours import Build, pixels_of
from miri_background.validation.clipping import kept_values, member_averages
from miri_background.validation.comparison import different
from miri_background.validation.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.products import DO_NOT_USE

__all__ = ["exact_measurements"]

# What calibration takes from a rate as it is.
_KEPT_KEYWORDS = (
    *("TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "APERNAME"),
    *("PROGRAM", "OBSERVTN", "VISIT", "EXPOSURE", "OBS_ID", "DATE-OBS", "TIME-OBS", "TARGNAME"),
    *("EXP_TYPE", "READPATT", "NINTS", "NGROUPS", "NFRAMES", "TFRAME", "EFFINTTM", "EFFEXPTM"),
    *("SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2"),
)
_MODELS = {2: "ImageModel", 3: "CubeModel"}  # by the number of dimensions
_SAMPLE = 20_000  # pixels that are looked at for the members' parts in the average
_ENOUGH = 100  # pixels for each of the members
_OUTLIER = 5.0  # standard deviations
_ONE_DEVIATION = 68.27  # %, of the magnitudes of normal deviates within a standard deviation
# Nearly equal members cannot be told apart; singular values below this part are rounding.
_SINGULAR = 1e-3


def _count(criterion, number, wrong):
    """Return how many pixels of an exposure, numbered from 0, are wrong."""
    return Measurement(criterion, WHOLE_ARRAY, number + 1, float(np.count_nonzero(wrong)))


def _steps(build):
    """Yield the number of exposures of which a product says that the step was not completed."""
    products = build.products
    incomplete = [
        any(header.get("S_BKDSUB") != "COMPLETE" for header in (image.header, calibrated))
        for image, calibrated in zip(products.subtracted, products.calibrated_headers, strict=True)
    ]
    yield Measurement("step", WHOLE_ARRAY, None, float(sum(incomplete)))


def _behaviours(build):
    """Yield in how many aspects the build does not what its release is known to do."""
    others = sum(not each.as_known for each in build.recognised)
    yield Measurement("behaviour", WHOLE_ARRAY, None, float(others))


def _inconsistencies(header, rate, association):
    """Tell whether the header of a product contradicts its rate or its association."""
    changed = [name for name in _KEPT_KEYWORDS if header.get(name) != rate.get(name)]
    foreign = association is not None and (
        Path(str(header.get("ASNTABLE", ""))).name != Path(association).name
    )
    return bool(changed) or foreign


def _misnamed(image):
    """Tell whether a product's header names another file or kind of data."""
    return (
        image.header.get("FILENAME") != Path(image.path).name
        or image.header.get("DATAMODL") != _MODELS[image.data.ndim]
    )


def _metadata(build):
    """Yield the number of products whose headers say what is not so."""
    products, wrong = build.products, 0
    for number in build.subtracted_exposures:
        rate, image = products.science[number].header, products.subtracted[number]
        association = products.associations[number]
        calibrated, combined = products.calibrated_headers[number], products.combined[number]
        wrong += _misnamed(image) or _inconsistencies(image.header, rate, association)
        wrong += _inconsistencies(calibrated, rate, association)
        wrong += combined is not None and _misnamed(combined)
    yield Measurement("metadata", WHOLE_ARRAY, None, float(wrong))


def _combined_backgrounds(build):
    """Yield how many pixels of the combined backgrounds are not the independent average."""
    average = build.average
    for number in build.subtracted_exposures:
        image = build.products.combined[number]
        if image is None:
            continue
        yield _count("combined value", number, build.wrong_values(number))
        errors = different(image.err, average.error, average.error_rounding)
        yield _count("combined error", number, errors & average.certain)
        yield _count("combined DQ", number, build.wrong_flags(number))


def _subtraction(build):
    """Yield how many pixels of the subtracted images are not rate minus combined background."""
    products = build.products
    for number in build.subtracted_exposures:
        rate, image = products.science[number], products.subtracted[number]
        combined = products.combined[number]
        if combined is None:
            yield _count("subtraction", number, build.wrong_values(number))
            yield _count("subtraction DQ", number, build.wrong_flags(number))
        else:
            with np.errstate(invalid="ignore"):
                difference = rate.data - combined.data
            yield _count("subtraction", number, different(image.data, difference))
            yield _count("subtraction DQ", number, image.dq != (rate.dq | combined.dq))


def _science_errors(build):
    """Yield how many pixels' errors and parts of the variance are not as they should be."""
    for number in build.subtracted_exposures:
        rate, image = build.products.science[number], build.products.subtracted[number]
        yield _count("science error", number, build.wrong_errors(number))
        wrong = 0
        for name, variance in rate.variances.items():
            if name in image.variances:
                wrong += np.count_nonzero(different(image.variances[name], variance))
            else:
                wrong += variance.size
        yield Measurement("science variance", WHOLE_ARRAY, number + 1, float(wrong))


def _sample(build):
    """Return rows and columns of pixels in which the members' parts can be told.

    Common structure is no help to tell the members apart: pixels are of the middle half of
    the values, without flags.  Where clipping keeps all members by a wide margin in enough
    pixels, those are taken, so that a fault of the clipping is not put down to the members.
    """
    average, backgrounds = build.average, build.products.backgrounds
    usable = average.certain & (average.kept > 0)
    for image in backgrounds:
        finite = np.isfinite(image.data)
        good = finite & (image.dq & DO_NOT_USE == 0)
        # A member that sees no pixel of the exposure has no part anywhere.
        if finite.any():
            usable &= good if good.ndim == 2 else good.all(axis=0)
    whole = usable & (average.kept == average.kept.max())
    wide = whole & (average.margin >= np.median(average.margin[whole])) if whole.any() else whole
    if np.count_nonzero(wide) > _ENOUGH * len(backgrounds):
        usable = wide
    rows, columns = np.nonzero(usable)
    step = max(1, rows.size // _SAMPLE)
    rows, columns = rows[::step], columns[::step]
    values = average.data[rows, columns]
    low, high = np.percentile(values, (25, 75)) if values.size else (0, 0)
    middle = (low <= values) & (values <= high)
    return rows[middle], columns[middle]


def _inliers(parts, excess):
    """Return the pixels that do not stand out, so that damage to a few has no part in a fit."""
    finite = np.isfinite(excess)
    size = np.abs(np.where(finite, excess, 0.0))
    inside = finite & (size <= _OUTLIER * np.percentile(size, _ONE_DEVIATION))
    return parts[inside], excess[inside]


def _members(build):
    """Yield how many members' parts in the subtracted backgrounds are not those of one member.

    The average is a sum of the members, each times a factor that is 1 in an average of the
    members of the association: least squares give how far the factors are from it.
    """
    products = build.products
    rows, columns = _sample(build)
    number_of_members = len(products.backgrounds)
    if rows.size <= number_of_members:
        return
    sample = pixels_of(products.backgrounds, rows, columns)
    values = member_averages(sample, products.sigma, products.maxiters).values[:, 0]
    keep, _ = kept_values(values, products.sigma, products.maxiters)
    expected = build.average.data[rows, columns]
    parts = np.where(keep, values - np.median(expected), 0.0) / keep.sum(axis=0)
    # Half of what one member more or less changes of the factors of the others.
    tolerance = 0.5 / (number_of_members + 1)
    for number in build.subtracted_exposures:
        image = products.combined[number]
        if image is not None:
            found = image.data[rows, columns].astype(float)
        else:
            rate, subtracted = products.science[number].data, products.subtracted[number].data
            with np.errstate(invalid="ignore"):
                difference = rate.astype(float) - subtracted
            found = (difference if difference.ndim == 2 else difference[0])[rows, columns]
        beyond, *_ = np.linalg.lstsq(*_inliers(parts.T, found - expected), rcond=_SINGULAR)
        yield _count("members", number, np.abs(beyond) > tolerance)


def exact_measurements(analysis):
    """Return how many pixels and products are not what the documentation says.

    Parameters
    ----------
    analysis : Analysis
        Products with the independent average of their backgrounds.

    Returns
    -------
    list of Measurement
        Counts; every one should be zero.
    """
    build = Build(analysis)
    families = (
        _steps,
        _behaviours,
        _metadata,
        _members,
        _combined_backgrounds,
        _subtraction,
        _science_errors,
    )
    return [measurement for family in families for measurement in family(build)]
