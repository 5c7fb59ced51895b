"""Electromagnetic interference: the lines that reads pick up, and when each pixel is read."""

from types import MappingProxyType

import numpy as np

from miri_background.instrument.detector import AMPLIFIERS, SHAPE
from miri_background.instrument.readout import PATTERNS

__all__ = ["LEAST_ADVANCE", "LINES", "SAMPLE_TIME", "Sampling", "sampling"]

# Hz, by the names that calwebb_detector1's references give them: 10.039216 in the documentation of
# the EMICORR reference file, the others in jwst.emicorr.emicorr (jwst 3.0.0).
LINES = MappingProxyType({"Hz10": 10.039216, "Hz218": 218.52055, "Hz390": 390.625})

SAMPLE_TIME = 1e-5  # s, of one sample of the four amplifiers (TSAMPLE in flight headers: 10 us)

# A wave that advances by less of a period from frame to frame is nearly straight in a ramp, and the
# joint fit takes the ramps' own curvature for it: with 5 DN of 10 Hz in SUB256 (0.007 of a period),
# jwst 3.0.0 leaves stripes of 10 DN/s in 20 groups, where without the step they have 0.7 DN/s.
# The flight reference was changed because of it (jwst issue 9620).
LEAST_ADVANCE = 0.01
_SAME = 1e-6  # of a period: rounding

# Samples from row to row (jwst.emicorr.emicorr, jwst 3.0.0).
_ROW_SAMPLES = MappingProxyType(
    {
        ("FAST", "FULL"): 271,
        ("SLOW", "FULL"): 2333,
        ("FAST", "BRIGHTSKY"): 162,
        ("FAST", "SUB256"): 96,
        ("FAST", "SUB128"): 44,
        ("FAST", "SUB64"): 28,
        ("FAST", "MASKLYOT"): 90,
        ("FAST", "MASK1065"): 82,
        ("FAST", "MASK1140"): 82,
        ("FAST", "MASK1550"): 82,
    }
)
# Samples that each row of the full array takes which a subarray leaves out (the same source).
_SKIPPED_ROW_SAMPLES = 7


class Sampling:
    """When pixels are sampled, in numbers of samples from the first one of a frame.

    The four amplifiers are read at the same time: four neighbouring columns share a sample.

    Parameters
    ----------
    row_samples : int
        Samples from row to row.
    pixel_samples : int
        Samples of one pixel in a frame.
    kept : range
        Which of these are averaged to the pixel's value.
    shape : tuple of int
        Rows and columns that are read.

    Attributes
    ----------
    row_samples : int
        Samples from row to row.
    frame_samples : int
        Samples from frame to frame.
    rows, columns : ndarray
        First sample of each row, and of each column's pixels after that of their row: a pixel is
        read at the sum of the two.
    """

    def __init__(self, row_samples, pixel_samples, kept, shape):
        rows, columns = shape
        self.row_samples, self.kept = row_samples, kept
        self.frame_samples = rows * row_samples + (SHAPE[0] - rows) * _SKIPPED_ROW_SAMPLES
        self.rows = np.arange(rows) * row_samples
        self.columns = np.arange(columns) // AMPLIFIERS * pixel_samples

    def frame(self, integration, group, groups):
        """Return the first sample of a frame, counted from the start of the exposure.

        Parameters
        ----------
        integration, group : int
            From 0.
        groups : int
            Of an integration; one frame of reset follows each.

        Returns
        -------
        int
            The number of samples before it.
        """
        return (integration * (groups + 1) + group) * self.frame_samples

    def turns(self, frequency):
        """Return how far a wave has turned at a pixel's mean sample, and how much is left of it.

        Parameters
        ----------
        frequency : float
            Hz.

        Returns
        -------
        rows, columns : ndarray of complex
            Of modulus 1 but for what the average of several samples takes off the wave: their
            product is the wave in a pixel, as a complex number, with phase 0 at the first sample.
        """
        turn = 2j * np.pi * frequency * SAMPLE_TIME
        averaged = np.mean(np.exp(turn * np.array(self.kept)))
        return np.exp(turn * self.rows), np.exp(turn * self.columns) * averaged

    def is_nearly_straight(self, frequency):
        """Return whether a wave advances so little from frame to frame that a ramp has it straight.

        One that is exactly the same in every frame is nothing that a slope has.
        """
        advance = self.turn_of_frame(frequency)
        return _SAME < min(advance, 1 - advance) < LEAST_ADVANCE

    def turn_of_frame(self, frequency):
        """Return the part of a period by which a wave has advanced from frame to frame, 0 to 1."""
        return frequency * SAMPLE_TIME * self.frame_samples % 1


def sampling(pattern, subarray, shape):
    """Return when the pixels of a subarray are sampled.

    Parameters
    ----------
    pattern : str
        Name of a readout pattern.
    subarray : str
        Name of a subarray.
    shape : tuple of int
        Rows and columns that are read.

    Returns
    -------
    Sampling or None
        None where it is not known.
    """
    speed = "SLOW" if "SLOW" in pattern else "FAST"
    known = _ROW_SAMPLES.get((speed, subarray))
    if known is None:
        return None
    how = PATTERNS[f"{speed}R1"]
    kept = range(how.samples - how.averaged, how.samples)
    return Sampling(known, how.samples, kept, shape)
