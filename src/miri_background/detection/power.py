"""The smallest errors of the step that each criterion would notice on the data at hand."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from miri_background.tables import html_table, text_table
from miri_background.validation.judgement import measure
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.measurements.exact import exact_measurements

__all__ = ["PERTURBATIONS", "Power", "PowerTable", "power"]

# A criterion notices what breaks it with this probability, whatever the noise.
_PROBABILITY = 0.9
# Amplitudes that are tried where the answer is the rounding of numbers.
_ROUNDING_STEPS = 10.0 ** np.arange(-8, 1)
# A response below this part of its standard error, for a perturbation that breaks the
# residual's limit ten times over, is none.
_BLIND = 0.01
_BLIND_TEXT = "–"
_ROUNDING = 1e-3  # below such an amplitude, no statistic notices anything
_STRONG = 0.1  # amplitude at which responses are measured, in the perturbation's unit
_FAR = 10.0  # times stronger: what has to be extrapolated further is none, too
# Scatters grow with the square of an error that is added, everything else in proportion.
_QUADRATIC = ("aperture scatter", "noise")


@dataclass(frozen=True)
class Power:
    """The smallest perturbation of one kind that breaks one criterion.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    perturbation : str
        Kind of the perturbation.
    amplitude : float
        Smallest amplitude that is noticed in nine of ten realisations of the noise; infinite
        where the criterion is blind for it.
    unit : str
        Unit of the amplitude.
    """

    criterion: str
    perturbation: str
    amplitude: float
    unit: str


class PowerTable:
    """What each criterion would notice, for people.

    Parameters
    ----------
    powers : list of Power
        As `power` returns them.
    """

    def __init__(self, powers):
        self.powers = powers

    def _rows(self):
        """Return heads, and for each criterion the smallest amplitude of each perturbation."""
        heads = ["criterion", *(f"{name} ({unit})" for name, (_, unit) in PERTURBATIONS.items())]
        found = {(each.criterion, each.perturbation): each.amplitude for each in self.powers}
        criteria = dict.fromkeys(each.criterion for each in self.powers)
        rows = [
            [criterion, *(_text(found[criterion, name]) for name in PERTURBATIONS)]
            for criterion in criteria
        ]
        return [heads, *(row for row in rows if set(row[1:]) != {_BLIND_TEXT})]

    def __repr__(self):
        heads, *rows = self._rows()
        return text_table(heads, rows)

    def _repr_html_(self):
        """Return a table for notebook and page."""
        heads, *rows = self._rows()
        caption = "Smallest amplitude that each criterion notices"
        return html_table(caption, heads, rows, numbers=range(1, len(heads)))


def _text(amplitude):
    """Return an amplitude as it is read."""
    if not np.isfinite(amplitude):
        return _BLIND_TEXT
    return "rounding" if amplitude < _ROUNDING else f"{amplitude:.2g}"


def _uniform(products, amplitude):
    """Return products whose combined background is too high everywhere."""
    return _changed(products, lambda combined: amplitude + 0 * combined)


def _gradient(products, amplitude):
    """Return products whose combined background is tilted, across the columns."""

    def plane(combined):
        columns = combined.shape[-1]
        return amplitude * (np.arange(columns) / (columns - 1) - 0.5) + 0 * combined

    return _changed(products, plane)


def _scale(products, amplitude):
    """Return products whose combined background is too high by a part of itself."""
    return _changed(products, lambda combined: amplitude / 100 * combined)


def _errors(products, amplitude):
    """Return products with errors that are too large by a part of themselves."""
    factor = np.float32(1 + amplitude / 100)
    return replace(
        products,
        **{
            name: [
                image and replace(image, err=image.err * factor)
                for image in getattr(products, name)
            ]
            for name in ("combined", "subtracted")
        },
    )


def _changed(products, addition):
    """Return products with something added to the combined background, which is subtracted."""
    pairs = [
        (combined, subtracted, addition(combined.data).astype(np.float32))
        for combined, subtracted in zip(products.combined, products.subtracted, strict=True)
        if combined is not None
    ]
    return replace(
        products,
        combined=[replace(combined, data=combined.data + more) for combined, _, more in pairs],
        subtracted=[
            replace(subtracted, data=subtracted.data - more) for _, subtracted, more in pairs
        ],
    )


# What is done to the step's products, and the unit of its amplitude.
PERTURBATIONS = {
    "uniform error": (_uniform, "DN/s"),
    "gradient across the array": (_gradient, "DN/s"),
    "scale of the background": (_scale, "%"),
    "errors too large": (_errors, "%"),
}


def power(analysis, metrics):
    """Return what each criterion would notice.

    Parameters
    ----------
    analysis : Analysis
        Products of a correct step with their expectation.
    metrics : list of Metric
        Their metrics.

    Returns
    -------
    list of Power
        For each criterion and perturbation.
    """
    found = []
    for name, (perturb, unit) in PERTURBATIONS.items():
        smallest = _of_statistics(analysis, metrics, perturb)
        smallest |= _of_counts(analysis, metrics, perturb)
        found += [
            Power(criterion, name, smallest.get(criterion, np.inf), unit)
            for criterion in dict.fromkeys(metric.name for metric in metrics)
        ]
    return found


def _of_statistics(analysis, metrics, perturb):
    """Return the smallest amplitude by criterion, from the response to a strong perturbation."""
    perturbed = measure(Analysis(perturb(analysis.products, _STRONG), analysis.expectation))
    values = {(each.criterion, each.region, each.exposure): each.value for each in perturbed}
    smallest = {}
    for metric in metrics:
        if metric.standard_error is None:
            continue
        value = values[metric.name, metric.region, metric.exposure]
        response = abs(value - metric.value)
        if response < _BLIND * metric.standard_error:
            continue
        factor = _needed(metric) / response
        factor = np.sqrt(factor) if metric.name in _QUADRATIC else factor
        if factor < _FAR:
            amplitude = float(_STRONG * factor)
            smallest[metric.name] = min(amplitude, smallest.get(metric.name, np.inf))
    return smallest


def _needed(metric):
    """Return by how much a metric has to change to break its limit as often as asked."""
    return metric.limit + norm.ppf(_PROBABILITY) * metric.standard_error


def _of_counts(analysis, metrics, perturb):
    """Return by criterion the smallest amplitude that is more than rounding."""
    exact = {metric.name for metric in metrics if metric.limit == 0}
    smallest = {}
    for amplitude in _ROUNDING_STEPS:
        perturbed = perturb(analysis.products, amplitude)
        for each in exact_measurements(perturbed, analysis.expectation.combined):
            if each.value != 0:
                smallest.setdefault(each.criterion, float(amplitude))
        if exact <= set(smallest) or amplitude > _STRONG:
            break
    return smallest
