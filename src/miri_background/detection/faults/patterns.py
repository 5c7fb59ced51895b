"""Patterns over the array, with a largest value of 1."""

import numpy as np

from miri_background.instrument.detector import AMPLIFIERS
from miri_background.instrument.footprint import regions

__all__ = [
    "CORNER",
    "SMALL",
    "between_amplifiers",
    "in_a_corner",
    "in_lyot",
    "in_one_amplifier",
    "in_one_column",
    "mottled",
    "striped",
    "tilted",
    "tilted_imager",
]

SMALL = np.float32(0.02)  # DN/s: a seven-hundredth of the sky in F770W
SEED = 20260104  # of mottling
CORNER = 40  # pixels: side of the damaged corner


def part(name, shape):
    """Return rows and columns of a region; all of an array that is not the full one."""
    region = regions()[name]
    return region.slices if region.shape == shape else (slice(None), slice(None))


def in_lyot(shape):
    """Return 1 in the Lyot field, 0 elsewhere."""
    where = np.zeros(shape, dtype=np.float32)
    where[part("Lyot", shape)] = 1
    return where


def in_one_column(shape):
    """Return 1 in one column, 0 elsewhere."""
    where = np.zeros(shape, dtype=np.float32)
    where[:, 2 * shape[1] // 3] = 1
    return where


def in_one_amplifier(shape):
    """Return 1 in every fourth column, 0 elsewhere."""
    where = np.zeros(shape, dtype=np.float32)
    where[:, 1::AMPLIFIERS] = 1
    return where


def between_amplifiers(shape):
    """Return 1 in the columns of one amplifier and -1 in those of the next."""
    # Without a mean, which others would notice.
    return in_one_amplifier(shape) - np.roll(in_one_amplifier(shape), 1, axis=1)


def tilted(shape):
    """Return a gradient along rows, from -1 to 1."""
    return np.tile(np.linspace(-1, 1, shape[1], dtype=np.float32), (shape[0], 1))


def tilted_imager(shape):
    """Tilt the imager alone, where no region's mean changes."""
    where = np.zeros(shape, dtype=np.float32)
    inside = where[part("imager", shape)]
    inside += tilted(inside.shape)
    return where


def in_a_corner(shape):
    """Return 1 in a corner, 0 elsewhere."""
    where = np.zeros(shape, dtype=np.float32)
    where[-CORNER:, -CORNER:] = 1
    return where


def striped(shape):
    """Return 1 in one row, 0 elsewhere."""
    return np.tile(in_one_column(shape[::-1]).T[:, :1], (1, shape[1]))


def mottled(shape):
    """Return noise that neighbouring pixels have in common, with a scatter of 1."""
    # Imported here, as in all faults: a wrong name is refused at once.
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.random.default_rng(SEED).standard_normal(shape), 2.0)
    return (smooth / smooth.std()).astype(np.float32)
