"""Columns and rows that the two fields do not have in common: dark current that has changed."""

from miri_background.validation.findings.finding import SPREAD, Finding

__all__ = ["striped"]

_LEAST_SKY = 0.001  # of the sky, rms: below it, a flux in a small aperture does not notice


def striped(inputs):
    """Yield by how much columns, and rows, of science less background scatter."""
    sky = inputs.expectation.sky_level
    for name, rms in inputs.stripes.items():
        if rms < _LEAST_SKY * sky or not rms:
            continue
        yield Finding(
            f"stripes of {name}",
            rms,
            "DN/s",
            "",
            f"The {name} of the science exposures and of the backgrounds differ by {rms:.2g} DN/s "
            f"(rms beyond the noise, {rms / sky:.2%} of the sky) from one to the next: dark "
            "current, offsets or interference differ between the fields, and the step subtracts "
            "the difference.",
            "Take backgrounds close in time and with the same readout; medians of rows and columns "
            "with sources masked take stripes away where there is no extended light.",
            (name, *SPREAD),
        )
