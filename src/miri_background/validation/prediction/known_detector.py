"""The embedded detector in the way that an exposure reads it: maps cut to its subarray."""

import numpy as np

from miri_background.instrument.detector import (
    BIAS,
    bad_pixels,
    dark_current,
    fitted_groups,
    gain,
    linearity_coefficients,
    read_noise,
)
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import PATTERNS

__all__ = ["KnownDetector"]

_OF_WHOLE_NUMBERS = 12**-0.5  # DN: what is rounded off is spread evenly over one number


class KnownDetector:
    """Values of each pixel that rates and their noise depend on.

    Parameters
    ----------
    readout : Readout
        How the exposure is read.
    frame : Subarray, optional
        Pixels that are looked at; by default all that are read.

    Attributes
    ----------
    time : float
        From group to group, s.
    fitted : list of int
        Groups that the slope of each integration is fitted to.
    gain : ndarray
        Electron / DN.
    dark : ndarray
        Dark current, DN/s.
    raw_read_noise : ndarray
        Standard deviation of a group, DN.
    good : ndarray of bool
        Pixels that see the sky and are not bad.
    """

    def __init__(self, readout, frame=None):
        self.read = readout.window if frame is None else frame
        self.groups = readout.groups
        self.fitted = fitted_groups(readout.groups, readout.integrations)
        self.time = readout.frame_time
        self.gain = self.read.cut(gain())
        self.dark = self.read.cut(dark_current()) / self.gain
        averaged = PATTERNS[readout.pattern].averaged
        self.raw_read_noise = self.read.cut(read_noise()) / np.sqrt(averaged)
        self.good = self.read.cut(illuminated()) & (self.read.cut(bad_pixels()) == 0)

    def read_noise(self, rate):
        """Return the noise of one read of the linear signal in the middle of a ramp, DN.

        The noise is of the raw signal, which is converted to whole numbers and which the
        linearity correction stretches.
        """
        raw = BIAS + rate * self.time * self.groups / 2
        stretch = 1 + 2 * self.read.cut(linearity_coefficients()[2]) * raw
        return np.hypot(self.raw_read_noise, _OF_WHOLE_NUMBERS) * stretch

    def group_noise(self, rate):
        """Return the noise of the difference of two groups, DN."""
        return np.sqrt(2 * self.read_noise(rate) ** 2 + rate * self.time / self.gain)
