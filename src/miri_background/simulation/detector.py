"""The detector: from expected electrons per second to ramps of 16-bit numbers."""

import numpy as np

from miri_background.instrument.detector import (
    AMPLIFIERS,
    BIAS,
    FRAME_TIME,
    FULL_WELL,
    GAIN,
    PIXEL_SIZE,
    READ_NOISE,
    REFERENCE_COLUMNS,
    SHAPE,
    raw_signal,
    reference_pixels,
)

__all__ = ["cosmic_ray_charge", "ramp"]

_LARGEST_NUMBER = 65535  # 16-bit converter

# Expected electrons per frame are rounded to this step before any random number is
# drawn.  Rounding errors of the scene, which differ between processors and numbers
# of threads, then cannot change the draws: the same seed gives the same bytes.
_RATE_STEP = 2.0**-12  # electron

# The outputs of the four amplifiers differ, as do odd and even rows, and they drift
# together with the reference pixels; of the size seen in flight ramps.
_AMPLIFIER_OFFSETS = (0.0, 35.0, -20.0, 10.0)  # DN
_ODD_ROW_OFFSET = 15.0  # DN
_OUTPUT_DRIFT = 1.0  # DN from frame to frame, rms

# Cosmic rays: minimum-ionising particles through the 35 micrometre that collect charge.
_DEPTH = 35.0  # micrometre, infrared-active layer of MIRI's Si:As arrays (Rieke et al. 2015)
_LOSS = 80.0  # electron / micrometre: 290 eV/um in silicon at 3.6 eV per pair
_LOSS_SPREAD = 0.15  # width of the Moyal (straggling) distribution, relative
_LONGEST_TRACK = 40 * PIXEL_SIZE  # micrometre in the plane of the array
_TRACK_STEP = 5.0  # micrometre between deposits along a track
_CHARGE_SPREAD = 0.28 * PIXEL_SIZE  # micrometre: diffusion, rms per axis
_INTERPIXEL = (
    (0, 0, 0.834),
    (1, 0, 0.033),
    (-1, 0, 0.033),
    (0, 1, 0.024),
    (0, -1, 0.024),
    (1, 1, 0.013),
    (1, -1, 0.013),
    (-1, 1, 0.013),
    (-1, -1, 0.013),
)  # x, y, part


def cosmic_ray_charge(frames, rate, generator):
    """Return the charge that cosmic rays leave in each frame, as a list of deposits.

    Particles come from all directions, so the number through the plane goes as the
    cosine of the angle; a slanted track is longer and crosses several pixels.

    Parameters
    ----------
    frames : int
        Number of frames.
    rate : float
        Hits per second on the whole array.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    frame, row, column : ndarray of int
        Where the deposits are; a pixel can have several.
    electrons : ndarray
        Their size.
    """
    hits = generator.poisson(rate * FRAME_TIME * frames)
    frame = generator.integers(frames, size=hits)
    x = generator.uniform(0, SHAPE[1] * PIXEL_SIZE, hits)
    y = generator.uniform(0, SHAPE[0] * PIXEL_SIZE, hits)
    # Isotropic flux through a plane: cos^2 of the angle is uniform.
    cosine = np.sqrt(1.0 - generator.random(hits))
    direction = generator.uniform(0, 2 * np.pi, hits)
    across = np.minimum(_DEPTH * np.sqrt(1 - cosine**2) / cosine, _LONGEST_TRACK)
    path = np.hypot(across, _DEPTH)
    # A Moyal variable is -ln of a squared normal one.
    straggling = 1 + _LOSS_SPREAD * -np.log(generator.standard_normal(hits) ** 2)
    charge = _LOSS * path * np.maximum(straggling, 0.1)

    steps = np.maximum(np.ceil(path / _TRACK_STEP).astype(int), 1)
    owner = np.repeat(np.arange(hits), steps)
    along = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps) + 0.5) / steps[
        owner
    ]
    spread = generator.normal(0.0, _CHARGE_SPREAD, (2, owner.size))
    column = np.floor(
        (x[owner] + along * across[owner] * np.cos(direction[owner]) + spread[0]) / PIXEL_SIZE
    ).astype(int)
    row = np.floor(
        (y[owner] + along * across[owner] * np.sin(direction[owner]) + spread[1]) / PIXEL_SIZE
    ).astype(int)
    part = charge[owner] / steps[owner]

    columns = np.concatenate([column + dx for dx, _, _ in _INTERPIXEL])
    rows = np.concatenate([row + dy for _, dy, _ in _INTERPIXEL])
    electrons = np.concatenate([part * weight for _, _, weight in _INTERPIXEL])
    owners = np.tile(frame[owner], len(_INTERPIXEL))
    inside = (
        (columns >= REFERENCE_COLUMNS)
        & (columns < SHAPE[1] - REFERENCE_COLUMNS)
        & (rows >= 0)
        & (rows < SHAPE[0])
    )
    return owners[inside], rows[inside], columns[inside], electrons[inside]


def _output_offsets():
    """Return the constant offsets of amplifier and row parity, DN, shape of the detector."""
    rows, columns = np.indices(SHAPE)
    return np.asarray(_AMPLIFIER_OFFSETS)[columns % AMPLIFIERS] + _ODD_ROW_OFFSET * (rows % 2)


def ramp(rate, groups, integrations, cosmic_ray_rate, generator):
    """Return the ramps of one exposure.

    Parameters
    ----------
    rate : ndarray
        Expected electrons per second in each pixel, dark current included.
    groups : int
        Groups (of one frame) in an integration.
    integrations : int
        Integrations; each starts from a reset without memory of the last.
    cosmic_ray_rate : float
        Hits per second on the array.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    science : ndarray of uint16
        DN, shape (integrations, groups, rows, columns).
    reference_output : ndarray of uint16
        DN of the fifth, blind output, shape (integrations, groups, rows, columns / 4).
    """
    expected = np.rint(rate * FRAME_TIME / _RATE_STEP) * _RATE_STEP
    offsets = _output_offsets()
    blind = reference_pixels()
    amplifier, parity = np.indices(SHAPE)[1] % AMPLIFIERS, np.indices(SHAPE)[0] % 2
    science = np.empty((integrations, groups, *SHAPE), dtype=np.uint16)
    output = np.empty((integrations, groups, SHAPE[0], SHAPE[1] // AMPLIFIERS), dtype=np.uint16)
    for integration in range(integrations):
        hit_frame, hit_row, hit_column, charge = cosmic_ray_charge(
            groups, cosmic_ray_rate, generator
        )
        collected = np.zeros(SHAPE)
        for group in range(groups):
            collected += generator.poisson(expected)
            now = hit_frame == group
            np.add.at(collected, (hit_row[now], hit_column[now]), charge[now])
            np.minimum(collected, FULL_WELL, out=collected)
            drift = generator.normal(0.0, _OUTPUT_DRIFT, (2, AMPLIFIERS))[parity, amplifier]
            linear = BIAS + offsets + drift + collected / GAIN
            # Reference pixels have no photosensitive layer that could saturate: linear.
            signal = np.where(blind, linear, raw_signal(linear))
            signal += READ_NOISE * generator.standard_normal(SHAPE, dtype=np.float32)
            np.clip(np.rint(signal, out=signal), 0, _LARGEST_NUMBER, out=signal)
            science[integration, group] = signal
            fifth = BIAS + READ_NOISE * generator.standard_normal(
                output.shape[2:], dtype=np.float32
            )
            output[integration, group] = np.clip(np.rint(fifth), 0, _LARGEST_NUMBER)
    return science, output
