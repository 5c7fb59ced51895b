"""What is exact: every pixel of the step's products against the documented algorithm."""

from pathlib import Path

import numpy as np

from miri_background.validation.measurements.build import Build, pixels_of
from miri_background.validation.measurements.counted import counted, first_wrong, some
from miri_background.validation.measurements.headers import calibrated_name, metadata
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.clipping import kept_values, member_averages
from miri_background.validation.prediction.rounding import different
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["exact_measurements"]

_SAMPLE = 20_000  # pixels that are looked at for the members' parts in the average
_ENOUGH = 100  # pixels for each of the members
_OUTLIER = 5.0  # standard deviations
_ONE_DEVIATION = 68.27  # %, of the magnitudes of normal deviates within a standard deviation
# Nearly equal members cannot be distinguished; singular values below this part are rounding.
_SINGULAR = 1e-3


def _steps(build):
    """Yield the number of exposures of which a product says that the step was not completed."""
    products = build.products
    incomplete, problems, any_product = 0, [], False
    for number, image in enumerate(products.subtracted):
        headers = {calibrated_name(products, number): products.calibrated_headers[number]}
        if not products.is_computed(number):
            headers[Path(image.path).name] = image.header
        elif not products.calibrated_files[number]:
            continue  # neither the subtracted image nor the calibrated product is there
        any_product = True
        wrong = [
            f"{name} has S_BKDSUB = {header.get('S_BKDSUB')!r}"
            for name, header in headers.items()
            if header.get("S_BKDSUB") != "COMPLETE"
        ]
        incomplete += bool(wrong)
        problems += wrong
    if any_product:
        yield Measurement("step", WHOLE_ARRAY, None, float(incomplete), detail=some(problems))


def _behaviours(build):
    """Yield in how many aspects the build does what nobody expects of it."""
    others = [each.problem for each in build.recognised if each.problem]
    detail = f"in jwst {build.release or 'between releases'}, {some(others)}" if others else ""
    yield Measurement("behaviour", WHOLE_ARRAY, None, float(len(others)), detail=detail)


def _combined_backgrounds(build):
    """Yield how many pixels of the combined backgrounds are not the independent average."""
    average = build.average
    for number in build.subtracted_exposures:
        image = build.products.combined[number]
        if image is None:
            continue
        yield counted("combined value", number, build.wrong_values(number), image)
        errors = different(image.err, average.error, average.error_rounding)
        yield counted("combined error", number, errors & average.certain, image)
        yield counted("combined DQ", number, build.wrong_flags(number), image)


def _subtraction(build):
    """Yield how many pixels of the subtracted images are not rate minus combined background."""
    products = build.products
    for number in build.saved_exposures:
        rate, image = products.science[number], products.subtracted[number]
        combined = products.combined[number]
        if combined is None:
            yield counted("subtraction", number, build.wrong_values(number), image)
            yield counted("subtraction DQ", number, build.wrong_flags(number), image)
        else:
            with np.errstate(invalid="ignore"):
                difference = rate.data - combined.data
            yield counted("subtraction", number, different(image.data, difference), image)
            yield counted("subtraction DQ", number, image.dq != (rate.dq | combined.dq), image)


def _science_errors(build):
    """Yield how many pixels' errors and parts of the variance are not as they should be."""
    for number in build.saved_exposures:
        rate, image = build.products.science[number], build.products.subtracted[number]
        yield counted("science error", number, build.wrong_errors(number), image)
        count, problems = 0, []
        for name, variance in rate.variances.items():
            if name in image.variances:
                wrong = different(image.variances[name], variance)
                count += np.count_nonzero(wrong)
                problems += [f"{name}: {first_wrong(wrong, image)}"] if wrong.any() else []
            else:
                count += variance.size
                problems.append(f"{Path(image.path).name} has no {name}")
        yield Measurement(
            "science variance", WHOLE_ARRAY, number + 1, float(count), detail=some(problems)
        )


def _sample(build):
    """Return rows and columns of pixels in which the members' parts can be distinguished.

    Common structure does not help to distinguish the members: pixels are of the middle half of
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
        wrong = np.abs(beyond) > tolerance
        problems = [
            f"{Path(products.backgrounds[each].path).name} counts {1 + beyond[each]:.2f} times"
            for each in np.flatnonzero(wrong)
        ]
        yield Measurement(
            "members", WHOLE_ARRAY, number + 1, float(wrong.sum()), detail=some(problems)
        )


def exact_measurements(products, average):
    """Return how many pixels and products are not what the documentation says.

    Parameters
    ----------
    products : Products
        What was read.
    average : CombinedBackground
        Independent average of the backgrounds.

    Returns
    -------
    list of Measurement
        Counts; every one should be zero.
    """
    build = Build(products, average)
    measures = (
        _steps,
        _behaviours,
        metadata,
        _members,
        _combined_backgrounds,
        _subtraction,
        _science_errors,
    )
    return [measurement for measure in measures for measurement in measure(build)]
