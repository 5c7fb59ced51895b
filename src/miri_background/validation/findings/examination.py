"""All findings about the inputs, and the statistical criteria that they keep from deciding."""

from dataclasses import replace

import numpy as np

from miri_background.validation.findings.extended import extended_light
from miri_background.validation.findings.finding import (
    AGAINST_TRUTH,
    LEVELS,
    SPREAD,
    STRUCTURE,
    Finding,
)
from miri_background.validation.findings.flags import flagged_by_one
from miri_background.validation.findings.inputs import Inputs
from miri_background.validation.findings.interference import interfered
from miri_background.validation.findings.latents import latent_images
from miri_background.validation.findings.membership import (
    own_background,
    repeated_member,
    subtracted_before,
)
from miri_background.validation.findings.saturation import saturated_early
from miri_background.validation.findings.settings import (
    another_epoch,
    another_readout,
    another_temperature,
)
from miri_background.validation.findings.skies import (
    differing_skies,
    level_of_member,
    level_of_science,
)
from miri_background.validation.findings.spread import errors_of_all, noise_of_member
from miri_background.validation.findings.stripes import striped
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.products.planes import rate_less_background
from miri_background.validation.verdict.limits import RELEASED

__all__ = ["UNEXPLAINED", "examined", "released", "subtracted_by_the_suite"]

# In the order in which they are shown: what is to be mended first.
_MEMBERSHIP = (own_background, repeated_member)
_BEFORE = (subtracted_before,)
# What other kinds of findings would only show the symptoms of.
_LEVELS = (interfered, level_of_member, level_of_science, extended_light, differing_skies)
_NOISE = (striped, noise_of_member, errors_of_all)
_OTHERS = (
    flagged_by_one,
    latent_images,
    saturated_early,
    another_readout,
    another_temperature,
    another_epoch,
)
UNEXPLAINED = "structure of the rates"
_STATISTICAL = {*LEVELS, *STRUCTURE, *SPREAD, *AGAINST_TRUTH}


def examined(products, expectation):
    """Return what is found in the rates and their headers.

    Parameters
    ----------
    products : Products
        What was read, of which nothing that the step made is looked at.
    expectation : Expectation
        Of the same rates.

    Returns
    -------
    list of Finding
        None of them for exposures that belong together.
    """
    inputs = Inputs(products, expectation)

    def found(kinds):
        return [finding for kind in kinds for finding in kind(inputs)]

    members, before = found(_MEMBERSHIP), found(_BEFORE)
    findings = [*members, *before]
    if not before:
        findings += found(_LEVELS)
        if not members:
            findings += found(_NOISE)
    return findings + found(_OTHERS)


def subtracted_by_the_suite(analysis):
    """Return the analysis of what an exact step would have made of the same rates.

    Parameters
    ----------
    analysis : Analysis
        Of products.

    Returns
    -------
    Analysis
        With rates less the independent average in place of the step's products.
    """
    expectation, products = analysis.expectation, analysis.products
    average = expectation.combined.data.astype(np.float32)
    flags = expectation.combined.dq
    error = expectation.combined.error.astype(np.float32)
    combined = [
        replace(rate, data=average, err=error, dq=flags, variances={}) for rate in products.science
    ]
    subtracted = list(map(rate_less_background, products.science, combined))
    own = replace(products, subtracted=subtracted, combined=combined)
    return Analysis(own, expectation, analysis.masks)


def released(metrics, findings, expectation, own_measurements):
    """Return metrics of which those that the inputs break do not decide, and all findings.

    Parameters
    ----------
    metrics : list of Metric
        What was judged.
    findings : list of Finding
        Of the inputs.
    expectation : Expectation
        Says whether a truth is compared.
    own_measurements : callable
        Returns the same measurements of what an exact step would have made of the rates; only
        called where a statistical criterion is broken.

    Returns
    -------
    metrics : list of Metric
        In the same order.
    findings : list of Finding
        With one for what nothing else explains.
    """
    broken = [each for each in metrics if not each.passed and each.name in _STATISTICAL]
    if not broken:
        return metrics, findings
    own = {_key(each.criterion, each): each.value for each in own_measurements()}
    result, unexplained = [], []
    for metric in metrics:
        name = None
        if metric in broken and _from_inputs(metric, own.get(_key(metric.name, metric))):
            name = _explaining(metric.name, findings, expectation.truth)
            if name == UNEXPLAINED:
                unexplained.append(metric)
        result.append(metric if name is None else replace(metric, status=RELEASED, finding=name))
    if unexplained:
        findings = [*findings, _structure(unexplained)]
    return result, findings


def _key(name, place):
    """Return what a measurement and its metric have in common."""
    return name, place.region, place.exposure


def _from_inputs(metric, own):
    """Return whether the rates alone break a limit in the same way as the products."""
    if own is None:
        return False
    if not (np.isfinite(own) and np.isfinite(metric.value)):
        return bool(np.isnan(own) and np.isnan(metric.value))
    # What the step adds to it may not break the limit by itself.
    return abs(own) > metric.limit and abs(metric.value - own) <= metric.limit


def _explaining(criterion, findings, truth):
    """Return the name of the finding that explains a broken criterion, None if it decides."""
    for finding in findings:
        if criterion in finding.explains and (finding.despite_truth or not truth):
            return finding.name
    # A truth says what the rates should have.
    return None if truth or criterion in AGAINST_TRUTH else UNEXPLAINED


def _structure(metrics):
    """Return the finding on what the rates leave although nothing else was found."""
    names = ", ".join(dict.fromkeys(metric.name for metric in metrics))
    worst = max(metrics, key=lambda each: abs(each.value) / each.limit)
    return Finding(
        UNEXPLAINED,
        worst.value,
        worst.unit,
        "",
        f"The rates themselves, averaged and subtracted by the suite, break the limits of {names}: "
        f"{worst.name} ({worst.place()}) is {worst.value_text()} {worst.unit}, limit "
        f"{worst.limit_text()} {worst.unit}. The step did not make it.",
        "Look at stripes of the dark current, drifts, showers of cosmic rays and faint sources "
        "in the rates.",
        tuple(dict.fromkeys(metric.name for metric in metrics)),
    )
