"""All that is measured on the products of a run."""

from miri_background.validation.measurements.against_truth import truth_measurements
from miri_background.validation.measurements.exact import exact_measurements
from miri_background.validation.measurements.statistical import statistical_measurements

__all__ = ["measure"]


def measure(analysis):
    """Return all measurements of a run.

    Parameters
    ----------
    analysis : Analysis
        Products with their expectation; they are compared with the truth where it is known.

    Returns
    -------
    list of Measurement
        In the order in which they are shown.
    """
    measurements = [*exact_measurements(analysis), *statistical_measurements(analysis)]
    if analysis.truth:
        measurements += truth_measurements(analysis)
    return measurements
