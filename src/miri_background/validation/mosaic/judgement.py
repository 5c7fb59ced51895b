"""The road from a mosaic to its metrics: expect, measure, judge."""

import warnings
from functools import cached_property

from miri_background.outcomes import CannotJudge
from miri_background.validation.mosaic.exact import exact_measurements, resampled_measurements
from miri_background.validation.mosaic.expectation import MosaicExpectation
from miri_background.validation.mosaic.findings import mosaic_findings
from miri_background.validation.mosaic.outliers import alignment, outlier_measurements
from miri_background.validation.mosaic.reading import (
    find_mosaics,
    mosaic_in,
    named_exposures,
    read_mosaic,
)
from miri_background.validation.mosaic.resampling import Resampling
from miri_background.validation.mosaic.skies import (
    SkiesOfExposures,
    skies_findings,
    skymatch_measured,
)
from miri_background.validation.mosaic.sky import depth, sky_measurements
from miri_background.validation.mosaic.sources import (
    catalogue_measurements,
    flux_measurements,
    missing_stars,
    true_sources,
)
from miri_background.validation.products.finding import stem_of
from miri_background.validation.verdict.limits import criteria, judge
from miri_background.validation.verdict.verdict import NotJudged

__all__ = ["MosaicJudgement", "judge_mosaic", "mosaic_of"]

_NO_TRUTH = "it needs the truth of the simulation"
_NOTHING_LEFT = {
    "skymatch": "skymatch was not to make exposures equal, or they see no sky in common",
    "outliers missed": "calwebb_detector1 has left too few cosmic rays",
    "catalogue flux": "too few stars stand alone",
    "catalogue position": "too few stars stand alone",
    "catalogue completeness": "no star that stands alone is bright enough",
    "catalogue purity": "there is no catalogue",
    "catalogue columns": "there is no catalogue",
    "mosaic variances": "it has errors alone",
    "mosaic star flux": "no star is bright enough",
    "mosaic star scatter": "too few stars are bright enough",
    "mosaic galaxy flux": "there is no galaxy inside",
}


class MosaicJudgement:
    """A mosaic that is judged.

    Parameters
    ----------
    mosaic : Mosaic
        What was read.
    analysis : Analysis, optional
        The products of calwebb_image2 that its exposures are, with their expectation.

    Attributes
    ----------
    mosaic : Mosaic
        What was read.
    resampling : Resampling or None
        What resampling does; None where that is not known.
    skies : SkiesOfExposures or None
        What sky each exposure has left; None where resampling is not known.
    expected : MosaicExpectation or None
        What the mosaic should hold; None without truth.
    sources : TrueSources or None
        Where its sources are; None without truth.
    metrics : list of Metric
        What was measured, with limits.
    not_judged : list of NotJudged
        Criteria without a metric, and why.
    """

    def __init__(self, mosaic, analysis=None):
        self.mosaic, self.analysis = mosaic, analysis
        self.resampling = self.skies = self.expected = self.sources = None
        truth = analysis is not None and getattr(analysis, "expectation", None) is not None
        self._truth = truth and analysis.expectation.truth
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            self.metrics = judge(list(self._measure()), "mosaic")

    def _measure(self):
        """Yield all measurements that can be taken."""
        stems, self._reason = None, ""
        if self.analysis is not None:
            science = self.analysis.products.science
            stems = [stem_of(image.path).rpartition("_")[0] for image in science]
        yield from exact_measurements(self.mosaic, stems)
        try:
            self.resampling = Resampling(self.mosaic)
        except CannotJudge as error:
            self._reason = str(error).rstrip(".")
            return
        yield from resampled_measurements(self.mosaic, self.resampling)
        self.skies = SkiesOfExposures(self.mosaic, self.resampling)
        yield from skymatch_measured(self.mosaic, self.skies)
        if not self._truth:
            return
        try:
            self.expected = MosaicExpectation(self.mosaic, self.resampling, self.analysis)
        except CannotJudge as error:
            self._reason = str(error).rstrip(".")
            return
        truths = self.analysis.products.science_truth
        yield from alignment(self.mosaic, self.expected, truths)
        yield from sky_measurements(self.mosaic, self.expected)
        yield from outlier_measurements(self.mosaic, self.expected)
        self.sources = true_sources(self.mosaic, truths)
        yield from flux_measurements(self.mosaic, self.expected, self.sources)
        yield from catalogue_measurements(self.mosaic, self.expected, self.sources)

    @cached_property
    def findings(self):
        """What skies say by themselves, a list of `Finding`; of empty sky, metrics say more."""
        found = [] if self.skies is None else skies_findings(self.mosaic, self.skies)
        return found + ([] if self.expected is not None else mosaic_findings(self.mosaic))

    @property
    def not_judged(self):
        """Criteria without a metric, a list of `NotJudged`."""
        measured = {metric.name for metric in self.metrics}
        found = []
        for name, criterion in criteria("mosaic")["criteria"].items():
            if name not in measured:
                reason = self._reason or _NOTHING_LEFT.get(name, "too little of it is empty sky")
                if criterion.get("needs") == "truth" and not self._truth:
                    reason = _NO_TRUTH
                found.append(NotJudged(name, "", reason))
        return found

    @cached_property
    def depth(self):
        """The fluxes in apertures on empty sky, a `Depth`; None where it is not known."""
        return None if self.expected is None else depth(self.expected)

    @cached_property
    def missing(self):
        """Boolean array of the sources that the catalogue must have and has not, or None."""
        if self.sources is None:
            return None
        return missing_stars(self.mosaic, self.expected, self.sources)[1]


def mosaic_of(directory, analysis):
    """Return the judgement of the mosaic of exposures that were judged, None if there is none.

    Parameters
    ----------
    directory : path-like
        Where their products are; the mosaic is there or in ``image3``.
    analysis : Analysis or ExactAnalysis
        The products of calwebb_image2.

    Returns
    -------
    MosaicJudgement or None
        Of the first mosaic that names one of the exposures.

    Raises
    ------
    CannotJudge
        If it is damaged.
    """
    stems = [stem_of(image.path).rpartition("_")[0] for image in analysis.products.science]
    for path in find_mosaics(directory):
        if any(name.startswith(stem) for name in named_exposures(path) for stem in stems):
            return MosaicJudgement(read_mosaic(path), analysis)
    return None


def judge_mosaic(directory, analysis=None):
    """Return the judgement of the mosaic of a run.

    Parameters
    ----------
    directory : path-like
        Holds it, itself or in ``image3``.
    analysis : Analysis, optional
        The products of calwebb_image2 that its exposures are.

    Returns
    -------
    MosaicJudgement
        Metrics, and what could not be judged.

    Raises
    ------
    CannotJudge
        If there is no mosaic, or it is damaged.
    """
    return MosaicJudgement(mosaic_in(directory), analysis)
