"""The flux calibration of MIRI imaging in flight, and how it falls with time."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

__all__ = ["EPOCH", "FLIGHT_CALIBRATION", "FlightCalibration", "flight_photmjsr"]

EPOCH = 61041.0  # MJD of 2026-01-01, when the first simulated exposure begins

_FIRST_DAY = 59720.0  # MJD, t0 of the reference file
_DAYS_PER_YEAR = 365.0  # as the pipeline counts the loss for a year


@dataclass(frozen=True)
class FlightCalibration:
    """How many MJy/sr a DN/s stands for in a filter of the full array, and since when.

    Parameters
    ----------
    photmjsr : float
        On the first day, MJy/sr per DN/s.
    loss : float
        Part of the throughput that is lost in a year, linearly.
    amplitude, decay, rest : float
        Throughput relative to the first day: amplitude exp(-days / decay) + rest.
    """

    photmjsr: float
    loss: float
    amplitude: float
    decay: float
    rest: float


# Rows FULL of CRDS's jwst_miri_photom_0230.fits, PEDIGREE INFLIGHT 2022-05-21 to 2025-08-27
# (method: Gordon et al. 2025, AJ 169, 6), as the repository JaimeLuisi/jurassic lists them in
# miri_photom.csv; the header of a flight exposure calibrated with this file has the same factor.
FLIGHT_CALIBRATION = MappingProxyType(
    {
        "F560W": FlightCalibration(0.4513866, 0.002297593, -0.01887158, 100.0, 1.0188715),
        "F770W": FlightCalibration(0.2552117, 0.002057319, -0.003192812, 100.0, 1.0031928),
        "F1000W": FlightCalibration(0.3447944, 0.002478132, 0.006256767, 100.0, 0.9937432),
        "F1130W": FlightCalibration(1.0800078, 0.002406428, 0.0002447276, 100.0, 0.9997553),
        "F1280W": FlightCalibration(0.4062515, 0.004960035, 0.02355107, 100.0, 0.9764490),
        "F1500W": FlightCalibration(0.3604127, 0.004393956, 0.01143198, 140.2417, 0.9885680),
        "F1800W": FlightCalibration(0.4761763, 0.004853585, 0.05018049, 354.6792, 0.9498195),
        "F2100W": FlightCalibration(0.3925222, 0.01869284, 0.07449934, 105.9413, 0.9255006),
        "F2550W": FlightCalibration(0.7158471, 0.03351362, 0.1425790, 93.28366, 0.8574210),
    }
)


def flight_photmjsr(name, day):
    """Return the flight calibration factor of a filter on a day.

    Parameters
    ----------
    name : str
        Imaging filter.
    day : float
        MJD.

    Returns
    -------
    float
        MJy/sr per DN/s, of the full array; what calwebb_image2 writes as PHOTMJSR.
    """
    at = FLIGHT_CALIBRATION[name]
    days = day - _FIRST_DAY
    linear = 1.0 - at.loss * days / _DAYS_PER_YEAR
    return float(at.photmjsr / (linear * (at.amplitude * np.exp(-days / at.decay) + at.rest)))
