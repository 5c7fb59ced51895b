"""What headers of products say: names, settings, pointing, units, steps and dates."""

import re
from itertools import chain
from pathlib import Path

from miri_background.validation.measurements.counted import some
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.prediction.rounding import same_value
from miri_background.validation.products.finding import plain_name
from miri_background.validation.products.images import read_extension

__all__ = ["calibrated_name", "metadata"]

# What calibration takes from a rate as it is.
_KEPT_KEYWORDS = (
    *("TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "APERNAME"),
    *("PROGRAM", "OBSERVTN", "VISIT", "EXPOSURE", "OBS_ID", "DATE-OBS", "TIME-OBS", "TARGNAME"),
    *("EXP_TYPE", "READPATT", "NINTS", "NGROUPS", "NFRAMES", "TFRAME", "EFFINTTM", "EFFEXPTM"),
    *("SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2"),
)
# Pointing, in the extension of the values; assign_wcs adds to it and changes none of these.
_POINTING = (
    *("RA_V1", "DEC_V1", "PA_V3", "RA_REF", "DEC_REF", "ROLL_REF", "RADESYS"),
    *("V2_REF", "V3_REF", "VPARITY", "V3I_YANG"),
)
# The world coordinates, which assign_wcs refines later.
_COORDINATES = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CTYPE1", "CTYPE2")
# What the combined background has in common with the science exposure, where it says it.
_OF_COMBINED = ("INSTRUME", "DETECTOR", "FILTER", "SUBARRAY")
_OF_PIPELINE = re.compile(r"_(bsub|bsubints|backgroundstep|combinedbackground)\.fits$")
_MODELS = {2: "ImageModel", 3: "CubeModel"}  # by the number of dimensions
_STEP, _BACKGROUND_STEP = "S_", "S_BKDSUB"  # keywords of the status of steps
_FLUX_UNIT = "MJy/sr"  # of what photom has calibrated
_SECONDS = 19  # characters of a date with its time, to the second


def calibrated_name(products, number):
    """Return the name of the file whose header is taken for that of the calibrated product.

    Parameters
    ----------
    products : Products
        What was read.
    number : int
        Science exposure, from 0.

    Returns
    -------
    str
        Words, where it has no file.
    """
    files = products.calibrated_files
    if files:
        return Path(files[number] or products.subtracted[number].path).name
    return f"the calibrated product of exposure {number + 1}"


def _contradictions(name, header, keywords, rate, of_rate, needed=True):
    """Return in which keywords a header contradicts that of its rate, both values in words."""
    return [
        f"{name} has {keyword} = {header.get(keyword)!r} and its rate "
        f"{Path(rate.path).name} has {of_rate.get(keyword)!r}"
        for keyword in keywords
        if not same_value(header.get(keyword), of_rate.get(keyword))
        and (needed or None not in (header.get(keyword), of_rate.get(keyword)))
    ]


def _inconsistencies(name, header, rate, association):
    """Return in which keywords the header of a product contradicts its rate or association."""
    found = _contradictions(name, header, _KEPT_KEYWORDS, rate, rate.header)
    steps = [
        keyword
        for keyword in rate.header
        if keyword.startswith(_STEP) and keyword != _BACKGROUND_STEP
    ]
    found += _contradictions(name, header, steps, rate, rate.header)
    if association is not None:
        used, named = str(header.get("ASNTABLE", "")), Path(association).name
        if Path(used).name != named:
            found.append(f"{name} has ASNTABLE = {used!r} and its association is {named!r}")
    return found


def _older(name, header, others):
    """Return than which of the files that it was made of a product says to be older."""
    made = _date(header)
    return [
        f"{name} has DATE = {header['DATE']!r} and {Path(other.path).name}, of which it is made, "
        f"has {other.header['DATE']!r}"
        for other in others
        if made and _date(other.header) and made < _date(other.header)
    ]


def _date(header):
    """Return when a file was written, to the second; empty if its header does not say it."""
    date = header.get("DATE")
    return date[:_SECONDS] if isinstance(date, str) and len(date) >= _SECONDS else ""


def _misnamed(image):
    """Return in which keywords a product's header names another file or kind of data."""
    # Whoever compresses a file, or calls it as they like, does not change its header.
    name = plain_name(Path(image.path).name)
    proper = {"DATAMODL": _MODELS[len(image.shape)]}
    if _OF_PIPELINE.search(name):
        proper = {"FILENAME": name} | proper
    return [
        f"{name} has {keyword} = {image.header.get(keyword)!r} in place of {value!r}"
        for keyword, value in proper.items()
        if image.header.get(keyword) != value
    ]


def _of_subtracted(products, number):
    """Return what is wrong in the headers of a subtracted image."""
    rate, image = products.science[number], products.subtracted[number]
    name = Path(image.path).name
    keywords = (*_POINTING, *_COORDINATES, "BUNIT")
    return [
        *_misnamed(image),
        *_inconsistencies(name, image.header, rate, products.associations[number]),
        *_contradictions(name, image.extension, keywords, rate, rate.extension),
        *_older(name, image.header, [rate, *products.backgrounds]),
    ]


def _of_calibrated(products, number):
    """Return what is wrong in the headers of a calibrated product."""
    rate, header = products.science[number], products.calibrated_headers[number]
    name = calibrated_name(products, number)
    found = _inconsistencies(name, header, rate, products.associations[number])
    path = products.calibrated_files[number] if products.calibrated_files else None
    if path is None:
        return found
    extension, unit = read_extension(path), rate.extension.get("BUNIT")
    found += _contradictions(name, extension, _POINTING, rate, rate.extension)
    found += _older(name, header, [products.subtracted[number]])
    if header.get("S_PHOTOM") == "COMPLETE":
        unit = _FLUX_UNIT
    if unit and extension.get("BUNIT") != unit:
        found.append(
            f"{name} has BUNIT = {extension.get('BUNIT')!r} and S_PHOTOM = "
            f"{header.get('S_PHOTOM')!r}, of which {unit!r} is the unit"
        )
    return found


def _of_combined_background(products, number):
    """Return what is wrong in the headers of a combined background."""
    rate, image = products.science[number], products.combined[number]
    if image is None:
        return []
    name = Path(image.path).name
    return [
        *_misnamed(image),
        *_contradictions(name, image.header, _OF_COMBINED, rate, rate.header, needed=False),
        *_contradictions(name, image.extension, ["BUNIT"], rate, rate.extension, needed=False),
        *_older(name, image.header, products.backgrounds),
    ]


def metadata(build):
    """Yield the number of products whose headers are wrong.

    Parameters
    ----------
    build : Build
        The products.

    Yields
    ------
    Measurement
        One, which names file, keyword and both values.
    """
    products, problems = build.products, []
    for number in build.subtracted_exposures:
        saved = number in build.saved_exposures
        there = saved or products.calibrated_files[number] is not None
        problems += [
            _of_subtracted(products, number) if saved else [],
            _of_calibrated(products, number) if there else [],
            _of_combined_background(products, number),
        ]
    wrong = float(sum(map(bool, problems)))
    yield Measurement("metadata", WHOLE_ARRAY, None, wrong, detail=some(chain(*problems)))
