"""What a build does where the documentation leaves a choice, and what that is worth."""

from functools import partial

import numpy as np

from miri_background.instrument.footprint import illuminated
from miri_background.validation.measurements.analysis import ExactAnalysis
from miri_background.validation.measurements.behaviour_catalogue import (
    EMPTY,
    ERRORS,
    FLAGS,
    PIXELS,
    PLACE,
    catalogue,
)
from miri_background.validation.measurements.build import Build, FlagRule
from miri_background.validation.measurements.remarks import Behaviour
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["behaviours"]

_PROPOSED = "none: proposed"

# Between these parts of the values lie those within a standard deviation of a normal mean.
_ONE_DEVIATION = (15.87, 84.13)  # %


def _where(planes, chosen):
    """Return the values of planes of different shapes in the pixels that are chosen."""
    shape = np.broadcast_shapes(*(plane.shape for plane in planes), chosen.shape)
    chosen = np.broadcast_to(chosen, shape)
    return [np.broadcast_to(plane, shape)[chosen] for plane in planes]


def _scatter(values):
    """Return the standard deviation of values, from the part that holds 68 % of them."""
    low, high = np.percentile(values, _ONE_DEVIATION)
    return (high - low) / 2


def _rate_error(rate, residual):
    """Return the error of what a residual is made of: a rate, or the mean of its integrations."""
    error = rate.err.astype(float)
    if error.ndim == residual.ndim:
        return error
    return np.sqrt(np.nansum(error**2, axis=0)) / np.isfinite(error).sum(axis=0)


def _worth_of_errors(analysis, build, numbers):
    """Say how the errors under each behaviour compare with the scatter of the residual."""
    scatters, alone, together = [], [], []
    for number in numbers:
        residual = analysis.residuals.images[number]
        error = _rate_error(build.products.science[number], residual)
        values, rate, background = _where(
            (residual, error, build.average.error), analysis.residuals.judged[number]
        )
        if values.size == 0:
            return "No pixel of empty sky shows what errors are worth."
        scatters.append(_scatter(values))
        alone.append(np.nanmedian(rate))
        together.append(np.nanmedian(np.hypot(rate, background)))
    scatter, alone, together = (float(np.mean(each)) for each in (scatters, alone, together))
    if scatter == 0:
        return "Nothing is left that scatters, so that it does not show what errors are worth."
    return (
        f"On empty sky the subtracted images scatter by {scatter:.3g} DN/s; the errors of the "
        f"rates alone say {alone:.3g} DN/s ({alone / scatter:.0%} of it), with those of the "
        f"combined background in quadrature {together:.3g} DN/s ({together / scatter:.0%})."
    )


def _worth_of_flags(analysis, build, numbers):
    """Say how many pixels can be used under each behaviour."""
    members = len(build.products.backgrounds)
    half = -(-members // 2)
    lit = illuminated(analysis.expectation.subarray)
    parts = []
    for rule in (FlagRule("", every=False), FlagRule("", every=True), FlagRule("", False, half)):
        flags = rule.flags(build.member_flags)
        usable = [
            np.mean((build.products.science[number].dq | flags)[..., lit] & DO_NOT_USE == 0)
            for number in numbers
        ]
        parts.append(float(np.mean(usable)))
    return (
        f"Of the illuminated pixels {parts[0]:.3%} can be used with the flags of any background, "
        f"{parts[1]:.3%} with those of all, {parts[2]:.3%} where DO_NOT_USE counts if at least "
        f"{half} of {members} have it."
    )


def _worth_of_averaging(analysis, build, numbers, aspect):
    """Say what the residual is where the average depends on the behaviour, under each."""
    names = {each.aspect: each.name for each in build.recognised}
    chosen = [names[PIXELS], names.get(EMPTY, next(iter(catalogue()[EMPTY])))]
    position = (PIXELS, EMPTY).index(aspect)
    choices = {}
    for name in catalogue()[aspect]:
        chosen[position] = name
        choices[name] = tuple(chosen)
    apart = np.logical_or.reduce([build.affected(*choice) for choice in choices.values()])
    apart &= analysis.masks.sky
    averages = {name: build.averaged(*choice) for name, choice in choices.items()}
    apart &= np.logical_or.reduce(
        [average.data != build.average.data for average in averages.values()]
    )
    under = {name: [] for name in averages}
    for number in numbers:
        good = apart & (build.products.science[number].dq & DO_NOT_USE == 0)
        residual = analysis.residuals.images[number]
        for name, average in averages.items():
            (values,) = _where((residual + (build.average.data - average.data),), good)
            under[name].append(values[np.isfinite(values)])
    pixels = int(np.count_nonzero(apart))
    if pixels == 0 or not all(np.concatenate(values).size for values in under.values()):
        return "No pixel of empty sky depends on it in these data."
    sides = []
    for name, values in under.items():
        together = np.concatenate(values)
        sides.append(f"{np.median(together):.3g} ± {_scatter(together):.3g} DN/s ({name})")
    return (
        f"It decides {pixels} pixels of empty sky; median and scatter of the residual there: "
        f"{', '.join(sides)}."
    )


def _worth_of_place(_, build, __):
    """Say how many pixels get the background of a wrong place."""
    return (
        "Placed at the corner of the science frame, a background of another subarray changes "
        f"{build.misplaced()} illuminated pixels."
    )


def behaviours(analysis):
    """Return what the build does in each aspect, and what that is worth on the same data.

    Parameters
    ----------
    analysis : Analysis or ExactAnalysis
        Products with their expectation, masks and noise, or without.

    Returns
    -------
    list of Behaviour
        One of each aspect, for the verdict.
    """
    exact = isinstance(analysis, ExactAnalysis)
    combined = analysis.combined if exact else analysis.expectation.combined
    build = Build(analysis.products, combined)
    numbers = build.subtracted_exposures
    worth = {
        PLACE: _worth_of_place,
        ERRORS: _worth_of_errors,
        FLAGS: _worth_of_flags,
        PIXELS: partial(_worth_of_averaging, aspect=PIXELS),
        EMPTY: partial(_worth_of_averaging, aspect=EMPTY),
    }
    verdicts = []
    for each in build.recognised:
        releases = catalogue()[each.aspect][each.name].get("releases")
        unknown = f"What it is worth is not known: {analysis.reason}." if exact else ""
        verdicts.append(
            Behaviour(
                each.aspect,
                f"{each.name} ({each.detail})" if each.detail else each.name,
                f"jwst {releases}" if releases else _PROPOSED,
                unknown or worth[each.aspect](analysis, build, numbers)
                if numbers
                else "Nothing was subtracted from any exposure.",
            )
        )
    return verdicts
