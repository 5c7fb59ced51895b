"""What reads pick up from other electronics: one line whose phase runs on through the exposure."""

import numpy as np

from miri_background.instrument.interference import LINES, SAMPLE_TIME, sampling

__all__ = ["interference"]


def interference(observation, readout, generator):
    """Return what interference adds to the reads of an exposure, None where there is none.

    Parameters
    ----------
    observation : Observation
        Its `interference` is the amplitude, DN, and its `interference_line` the frequency.
    readout : Readout
        How the exposure is read.
    generator : numpy.random.Generator
        Of the exposure: nothing ties the phase to its start.

    Returns
    -------
    callable or None
        Of integration and group, from 0, gives DN, shape (rows, columns), in reference pixels, too.
    """
    if observation.interference == 0:
        return None
    frequency = LINES[observation.interference_line]
    samples = sampling(readout.pattern, readout.subarray, readout.window.shape)
    rows, columns = samples.turns(frequency)
    pattern = observation.interference * rows[:, np.newaxis] * columns
    start = generator.random()  # of a period

    def added(integration, group):
        frame = samples.frame(integration, group, readout.groups)
        turn = np.exp(2j * np.pi * (start + frequency * SAMPLE_TIME * frame))
        return (pattern * turn).imag

    return added
