"""What a verdict does not speak of, and why: nothing is left out without a word."""

from functools import reduce

import numpy as np

from miri_background.instrument.footprint import illuminated, regions
from miri_background.references.mappings import CONTEXTS
from miri_background.validation.measurements.against_truth import CONTRASTS
from miri_background.validation.measurements.analysis import ExactAnalysis
from miri_background.validation.measurements.build import skipped
from miri_background.validation.measurements.measurement import WHOLE_ARRAY
from miri_background.validation.products.frames import covered
from miri_background.validation.verdict.limits import criteria
from miri_background.validation.verdict.verdict import NotJudged

__all__ = ["not_judged"]

# Criteria of the background that was subtracted, which only a file of its own shows.
_OF_COMBINED = (
    "combined value",
    "combined error",
    "combined DQ",
    "background level",
    "star leak",
)
_OF_CALIBRATED = ("calibrated value", "calibrated error", "calibrated DQ")
_OF_SUBTRACTED = ("step", "subtraction", "subtraction DQ", "science error", "science variance")
_OF_SOURCES = ("star flux", "galaxy flux")  # which a skipped step does not touch
_NOTHING_LEFT = {
    "flagged pixels": "no flagged pixel of empty sky stays usable",
    "flagged scatter": "no flagged pixel of empty sky stays usable",
    "star leak": "background sources have too little light",
    "star flux": "no star is bright enough inside a region",
    "galaxy flux": "no galaxy is bright enough inside a region",
}


def not_judged(analysis, metrics):
    """Return what the metrics of products do not speak of.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation.
    metrics : list of Metric
        All that was judged of them.

    Returns
    -------
    list of NotJudged
        Criteria, in their order, without a metric or without one of an exposure, a region or a
        class; pixels that the backgrounds have not read; exposures without calibrated product;
        subtracted images that were not read.
    """
    if isinstance(analysis, ExactAnalysis):
        return _beside_exact(analysis, metrics)
    products, found = analysis.products, []
    for name in criteria()["criteria"]:
        of_name = [each for each in metrics if each.name == name]
        if not of_name:
            found.append(NotJudged(name, "", _reason(name, analysis)))
            continue
        for where, exposure in _missing(of_name, analysis):
            found.append(NotJudged(name, where, _reason(name, analysis, exposure)))
    found += [
        NotJudged("residual", name, "the backgrounds do not cover it")
        for name in regions(analysis.expectation.subarray)
        if name not in analysis.masks.regions
    ]
    return [*found, *_uncovered(analysis.expectation), *_files(products)]


def _files(products):
    """Return what is not judged for want of files, or for what they say."""
    found = [
        NotJudged("metadata", f"the calibrated product of exposure {number + 1}", "it is not there")
        for number, path in enumerate(products.calibrated_files)
        if path is None
    ]
    why = "no association that was judged names its exposure"
    found += [NotJudged(name, "", why) for name in products.left_out]
    return found + [NotJudged(*each) for each in products.not_judged]


def _beside_exact(analysis, metrics):
    """Return what is not judged where only what is exact is."""
    names, found = {each.name for each in metrics}, []
    for name, criterion in criteria()["criteria"].items():
        if name not in names:
            exact = criterion["kind"] == "exact"
            reason = _without_exact(name, analysis.products) if exact else analysis.reason
            reason = reason or "too few pixels can be used"
            found.append(NotJudged(name, "", reason))
    return found + _files(analysis.products)


def _without_exact(name, products, numbers=None):
    """Return why an exact criterion was not judged, of some exposures or of all."""
    numbers = range(len(products.science)) if numbers is None else numbers
    if all(skipped(products, number) for number in numbers):
        return "no background was subtracted"
    if name in _OF_SUBTRACTED and all(map(products.is_computed, numbers)):
        return "no subtracted image was saved (save_results of bkg_subtract)"
    if name in _OF_COMBINED and all(products.combined[number] is None for number in numbers):
        return "no combined background was saved (save_combined_background of bkg_subtract)"
    return ""


def _uncovered(expectation):
    """Yield how much of the science exposures the backgrounds have not read, if any."""
    header = expectation.science[0].header
    read = reduce(np.logical_and, (covered(image, header) for image in expectation.backgrounds))
    lit = illuminated(expectation.subarray)
    if read[lit].all():
        return
    names = sorted({str(image.header["SUBARRAY"]) for image in expectation.backgrounds})
    columns, rows = (np.flatnonzero(read.any(axis=axis)) + 1 for axis in (0, 1))
    yield NotJudged(
        "residual",
        f"{100 * np.mean(~read[lit]):.1f} % of the illuminated pixels of {expectation.subarray}",
        f"the backgrounds ({', '.join(names)}) have read only columns {columns[0]} to "
        f"{columns[-1]} and rows {rows[0]} to {rows[-1]}",
    )


def _missing(metrics, analysis):
    """Yield the exposures, regions or classes without a metric, each with the exposure or None."""
    named = {each.region.partition(",")[0] for each in metrics}
    numbers = {each.exposure for each in metrics} - {None}
    if numbers:
        for number in range(len(analysis.products.science)):
            if number + 1 not in numbers:
                yield f"exposure {number + 1}", number
    if named != {WHOLE_ARRAY}:
        # Of the regions of the detector, or of the classes of contrast.
        expected = CONTRASTS if named & set(CONTRASTS) else analysis.masks.regions
        for region in expected:
            if region not in named:
                yield region, None


def _reason(name, analysis, exposure=None):
    """Return why there is no metric of a criterion, of one exposure or of all."""
    products = analysis.products
    numbers = range(len(products.science)) if exposure is None else (exposure,)
    if criteria()["criteria"][name].get("needs") == "truth" and not analysis.expectation.truth:
        return _without_truth(products)
    if name in _OF_CALIBRATED and all(path is None for path in products.calibrated_files):
        return "there is no calibrated product"
    found = "" if name in _OF_SOURCES else _without_exact(name, products, numbers)
    return found or _NOTHING_LEFT.get(name, "too few pixels can be used")


def _without_truth(products):
    """Return why numbers are not compared with a truth."""
    if products.science_truth is None:
        return products.no_truth or "there is no truth"
    if not all(each.exact for each in (*products.science_truth, *products.background_truth)):
        return "the truth is not of the simulator that made the ramps"
    rates = (*products.science, *products.backgrounds)
    contexts = sorted({str(image.header.get("CRDS_CTX")) for image in rates} - {*CONTEXTS})
    used = f"references of {', '.join(contexts)}" if contexts else "other references"
    return f"the rates were made with {used}, and the truth belongs to those of {CONTEXTS[0]}"
