"""The detector: from expected electrons per second to ramps of 16-bit numbers."""

import numpy as np

from miri_background.instrument.detector import (
    AMPLIFIERS,
    BIAS,
    OUTPUT_DRIFT,
    RESET_GROUPS,
    full_well,
    gain,
    raw_signal,
    read_noise,
    reference_pixels,
    reset_anomaly,
)
from miri_background.instrument.readout import PATTERNS

__all__ = ["ramp"]

_LARGEST_NUMBER = 65535  # 16-bit converter

# Expected electrons per frame are rounded to this step before any random number is
# drawn.  Rounding errors of the scene, which differ between processors and numbers
# of threads, then cannot change the draws: the same seed gives the same bytes.
_RATE_STEP = 2.0**-12  # electron

# The outputs of the four amplifiers differ, as do odd and even rows, and they drift
# together with the reference pixels; of the size seen in flight ramps.
_AMPLIFIER_OFFSETS = (0.0, 35.0, -20.0, 10.0)  # DN
_ODD_ROW_OFFSET = 15.0  # DN

# Reset-switch charge decay: the start of an integration lacks this part of the signal that
# the one before has ended with.  After the groups that the pipeline leaves out, a thousandth
# of it is left.  Of the size of the effect in Ressler et al. (2015).
_RSCD_PART = 0.005
_RSCD_DECAY = 0.7  # groups, e-folding
# Resetting the rows of a pair one after the other pulls down the last frame.
_LAST_FRAME_PART = 0.005  # of the signal of the other row


def ramp(rate, readout, deposits, generator, latent=None, migration=None, interference=None):
    """Return the ramps of one exposure.

    Parameters
    ----------
    rate : ndarray
        Expected electrons per second in each pixel that is read, dark current included.
    readout : Readout
        How the exposure is read.
    deposits : Deposits
        Charge of cosmic rays.
    generator : numpy.random.Generator
        Source of randomness.
    latent : callable, optional
        Gives the expected electrons of a latent image between two times, s after the start
        of the exposure.
    migration : ChargeMigration, optional
        What passes charge from pixel to pixel.
    interference : callable, optional
        Gives DN that reads of an integration and group have more.

    Returns
    -------
    science : ndarray of uint16
        DN, shape (integrations, groups, rows, columns).
    reference_output : ndarray of uint16
        DN of the fifth, blind output, shape (integrations, groups, rows, columns / 4).
    """
    read, pattern = readout.window, PATTERNS[readout.pattern]
    groups, integrations, time = readout.groups, readout.integrations, readout.frame_time
    pixels = (read.y, read.x)
    rows, columns = read.shape
    noise = (read.cut(read_noise()) / np.sqrt(pattern.averaged)).astype(np.float32)
    pedestal = BIAS + _output_offsets(read.shape)
    per_electron, well = 1.0 / read.cut(gain()), read.cut(full_well())
    sensitive = ~read.cut(reference_pixels())
    science = np.empty((integrations, groups, rows, columns), dtype=np.uint16)
    output = np.empty((integrations, groups, rows, columns // AMPLIFIERS), dtype=np.uint16)
    steady = _settled(rate * time)
    before = np.zeros(read.shape)  # DN at the end of the previous integration
    for integration in range(integrations):
        reset = read.cut(reset_anomaly(integration))
        collected = np.zeros(read.shape)
        for group in range(groups):
            expected = steady
            if latent is not None:
                # FASTR1 and SLOWR1 spend one frame on the reset between integrations.
                start = ((groups + 1) * integration + group) * time
                expected = _settled(rate * time + latent(start, start + time) * sensitive)
            if migration is not None:
                expected = migration.expected(expected, collected, integration, group)
            collected += generator.poisson(expected)
            row, column, electrons = deposits.within(integration, group)
            np.add.at(collected, (row, column), electrons)
            np.minimum(collected, well, out=collected)
            linear = collected * per_electron
            if group == groups - 1:
                final = linear.copy()
                other = final.reshape(rows // 2, 2, columns)[:, ::-1].reshape(read.shape)
                linear -= _LAST_FRAME_PART * other
            if integration:
                linear -= _RSCD_PART * np.exp(-(group + 1) / _RSCD_DECAY) * before
            drift = generator.normal(0.0, OUTPUT_DRIFT, (2, AMPLIFIERS))
            by_output = linear.reshape(rows // 2, 2, columns // AMPLIFIERS, AMPLIFIERS)
            by_output += drift[np.newaxis, :, np.newaxis, :]
            linear += pedestal
            signal = raw_signal(linear, pixels)
            if group < RESET_GROUPS:
                signal += reset[group]
            if interference is not None:
                signal += interference(integration, group)
            signal += noise * generator.standard_normal(read.shape, dtype=np.float32)
            science[integration, group] = _converted(signal)
            blind = generator.standard_normal(output.shape[2:], dtype=np.float32)
            output[integration, group] = _converted(BIAS + noise[:, ::AMPLIFIERS] * blind)
        before = final
    return science, output


def _settled(expected):
    """Return expected electrons rounded to a step, so that draws do not depend on rounding."""
    return np.rint(expected / _RATE_STEP) * _RATE_STEP


def _converted(signal):
    """Return what the 16-bit converter makes of a signal in DN."""
    return np.clip(np.rint(signal), 0, _LARGEST_NUMBER)


def _output_offsets(shape):
    """Return the constant offsets of amplifier and row parity, DN."""
    rows, columns = np.indices(shape)
    return np.asarray(_AMPLIFIER_OFFSETS)[columns % AMPLIFIERS] + _ODD_ROW_OFFSET * (rows % 2)
