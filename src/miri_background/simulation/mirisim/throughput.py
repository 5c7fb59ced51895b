"""What MIRISim makes of a photon, compared with the embedded instrument."""

from miri_background.instrument.throughput import (
    COLLECTING_AREA,
    TELESCOPE_TRANSMISSION,
    in_flight_factor,
)
from miri_background.simulation.mirisim.constants import (
    MIRISIM_TELESCOPE_AREA,
    MIRISIM_TELESCOPE_TRANSMISSION,
)

__all__ = ["mirisim_throughput"]


def mirisim_throughput(name):
    """Return MIRISim's electrons per photon in a filter, in units of the embedded instrument's.

    MIRISim has the pre-flight curves, which flight exceeds.
    """
    telescope = MIRISIM_TELESCOPE_AREA * MIRISIM_TELESCOPE_TRANSMISSION
    return telescope / (COLLECTING_AREA * TELESCOPE_TRANSMISSION) / in_flight_factor(name)
