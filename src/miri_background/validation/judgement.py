"""The one road from products to a verdict: expect, measure, judge.

It needs neither the pipeline, nor CRDS, nor a truth, and says what it could not compare.
"""

import warnings
from dataclasses import replace
from functools import cached_property

from miri_background.instrument.readout import subarrays
from miri_background.references.mappings import CONTEXTS
from miri_background.validation.findings.clipping import other_clipping
from miri_background.validation.findings.examination import (
    examined,
    released,
    subtracted_by_the_suite,
)
from miri_background.validation.measurements.advisories import advisories, mixed_kinds
from miri_background.validation.measurements.against_truth import truth_measurements
from miri_background.validation.measurements.analysis import Analysis, ExactAnalysis
from miri_background.validation.measurements.behaviour_catalogue import expected_behaviours
from miri_background.validation.measurements.behaviours import behaviours
from miri_background.validation.measurements.calibrated import calibrated_measurements
from miri_background.validation.measurements.exact import exact_measurements
from miri_background.validation.measurements.statistical import statistical_measurements
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.verdict.baselines import compare_with_baseline
from miri_background.validation.verdict.limits import judge
from miri_background.validation.verdict.not_judged import not_judged
from miri_background.validation.verdict.verdict import Verdict

__all__ = ["Judgement", "judge_products", "measure", "use_of_truth"]

# Exact criteria that another clipping breaks.
_OF_AVERAGE = {"combined value", "subtraction"}
# Most groups and integrations whose noise is predicted: a matrix has the square of the groups.
_PREDICTED = {"NGROUPS": 2000, "NINTS": 5000}


def use_of_truth(products):
    """Return what the truth of products can be used for.

    Numbers are compared with it where the rates were made with the references that are made
    from the simulator's own constants.  Otherwise it only says where sources are expected.

    Parameters
    ----------
    products : Products
        What was read.

    Returns
    -------
    str
        "compared", "expected" or "none".
    """
    if products.science_truth is None:
        return "none"
    truths = (*products.science_truth, *products.background_truth)
    rates = (*products.science, *products.backgrounds)
    matching = all(image.header.get("CRDS_CTX") in CONTEXTS for image in rates)
    return "compared" if matching and all(truth.exact for truth in truths) else "expected"


def scattering_measurements(analysis):
    """Return all measurements that scatter.

    Parameters
    ----------
    analysis : Analysis
        Products beside what is expected of them.

    Returns
    -------
    list of Measurement
        Those of `measure` that are not exact.
    """
    measurements = statistical_measurements(analysis)
    if analysis.expectation.truth:
        measurements += truth_measurements(analysis)
    return measurements


def measure(analysis):
    """Return all measurements of products.

    Parameters
    ----------
    analysis : Analysis or ExactAnalysis
        Products beside what is expected of them.

    Returns
    -------
    list of Measurement
        In the order in which they are shown.
    """
    if isinstance(analysis, ExactAnalysis):
        return [
            *exact_measurements(analysis.products, analysis.combined),
            *calibrated_measurements(analysis),
        ]
    return [
        *exact_measurements(analysis.products, analysis.expectation.combined),
        *calibrated_measurements(analysis),
        *scattering_measurements(analysis),
    ]


def _without_expectation(products):
    """Return why nothing but what is exact can be judged of products, empty if more can."""
    images = (*products.science, *products.backgrounds)
    unknown = sorted({image.header["SUBARRAY"] for image in images} - set(subarrays()))
    if unknown:
        return f"what subarray {unknown[0]} sees of the sky is not known here"
    for name, most in _PREDICTED.items():
        number = max(image.header[name] for image in images)
        if number > most:
            return f"the noise of {name} = {number} is predicted up to {most} only"
    return ""


def _exact_analysis(products, reason):
    """Return what is needed to judge only what is exact."""
    combined = average_backgrounds(products.backgrounds, products.sigma, products.maxiters)
    return ExactAnalysis(products, combined, reason)


class Judgement:
    """Products that are judged.

    Parameters
    ----------
    products : Products
        What was read.
    expectation : Expectation, optional
        Of the same rates, where it is known already.

    Attributes
    ----------
    truth : str
        As `use_of_truth` returns it.
    analysis : Analysis or ExactAnalysis
        Products beside what is expected of them, or only what is exact.
    measurements : list of Measurement
        What was measured.
    metrics : list of Metric
        The measurements with their limits.
    findings : list of Finding
        Properties of the data that are not the step's.
    """

    def __init__(self, products, expectation=None):
        self.truth = use_of_truth(products)
        # numpy warns of numbers that are not finite; they are judged.
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            self._only_exact = "" if expectation else _without_expectation(products)
            if self._only_exact:
                self.truth = "none"
            self._measure(products, expectation)
            self.findings = []
            if not self._only_exact:
                self.findings = examined(products, self.analysis.expectation)
            if any(not metric.passed for metric in self.metrics):
                self._find_causes()

    def _measure(self, products, expectation=None):
        """Measure products, and judge what was measured."""
        if self._only_exact:
            self.analysis = _exact_analysis(products, self._only_exact)
        else:
            if expectation is None:
                expectation = Expectation(products, truth=self.truth == "compared")
            self.analysis = Analysis(products, expectation)
        self.measurements = measure(self.analysis)
        self.metrics = judge(self.measurements)

    def _find_causes(self):
        """Look for what is not the step's in what is broken."""
        products = self.analysis.products
        broken = {metric.name for metric in self.metrics if not metric.passed}
        if broken & _OF_AVERAGE:
            changed, finding = other_clipping(products, self.analysis.combined)
            if finding is not None:
                self.findings.insert(0, finding)
                if not products.clipping_is_sure:
                    # The step was right, and what it was said to have been given was not.
                    self._measure(changed)
        if self._only_exact:
            return
        self.metrics, self.findings = released(
            self.metrics,
            self.findings,
            self.analysis.expectation,
            lambda: scattering_measurements(subtracted_by_the_suite(self.analysis)),
        )

    @cached_property
    def behaviours(self):
        """What the build does where the documentation leaves a choice, a list of `Behaviour`."""
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            return behaviours(self.analysis)

    @cached_property
    def advisories(self):
        """What a user of the products should know, a list of `Advisory`."""
        mixed = list(mixed_kinds(self.analysis.products))
        if isinstance(self.analysis, ExactAnalysis):
            return mixed
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            return mixed + advisories(self.analysis)

    def verdict(self, provenance, baselines=None, mosaic=None):
        """Return the verdict, compared with a baseline where there is one.

        Parameters
        ----------
        provenance : dict
            What the result depends on.
        baselines : path-like, optional
            Directory of baselines, by default that of the checkout.
        mosaic : MosaicJudgement, optional
            What was made of the same exposures by calwebb_image3.

        Returns
        -------
        Verdict
            Metrics, behaviours, advisories, and what changed.
        """
        later = [] if mosaic is None else mosaic.metrics
        verdict = Verdict(
            [*self.metrics, *later],
            provenance,
            self.behaviours,
            self.advisories,
            not_judged=[
                *not_judged(self.analysis, self.metrics),
                *([] if mosaic is None else mosaic.not_judged),
            ],
            findings=[*self.findings, *([] if mosaic is None else mosaic.findings)],
        )
        verdict.drift = compare_with_baseline(verdict, baselines)
        return verdict


def judge_products(products, expectation=None, expect=""):
    """Return the judgement of products.

    Parameters
    ----------
    products : Products
        What was read.
    expectation : Expectation, optional
        Of the same rates, where it is known already.
    expect : str, optional
        Proposed behaviours that the build is to have; see `expected_behaviours`.

    Returns
    -------
    Judgement
        Analysis, metrics, behaviours, advisories, and from them the verdict.

    Raises
    ------
    CannotJudge
        If the rates do not allow an expectation.
    """
    if expect:
        products = replace(products, expected_behaviours=expected_behaviours(expect))
    return Judgement(products, expectation)
