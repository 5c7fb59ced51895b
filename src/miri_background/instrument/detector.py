"""The MIRI imager's Si:As detector and its readout: constants and pixel maps.

Flight values where they are public (JWST user documentation, "MIRI Detector
Performance"), else round values of the right size; each says which.  The maps
stand for one particular detector, so their seed is fixed: another observation
has other noise, but the same bad pixels.
"""

from functools import lru_cache

import numpy as np

__all__ = [
    "AMPLIFIERS",
    "BAD_PIXEL_KINDS",
    "BIAS",
    "DARK_CURRENT",
    "FRAME_TIME",
    "FULL_WELL",
    "GAIN",
    "READ_NOISE",
    "REFERENCE_COLUMNS",
    "SHAPE",
    "bad_pixels",
    "dark_current",
    "linear_signal",
    "linearity_coefficients",
    "pixel_flat",
    "raw_signal",
    "reference_pixels",
    "saturation_level",
]

SHAPE = (1024, 1032)  # rows, columns of the full array, reference columns included
REFERENCE_COLUMNS = 4  # on each side, SIAF and JWST user documentation
AMPLIFIERS = 4  # interleaved by column: column number modulo 4
PIXEL_SIZE = 25.0  # micrometre, JWST user documentation

FRAME_TIME = 2.77504  # s, FASTR1 full array, JWST user documentation

GAIN = 4.0  # electron / DN, JWST user documentation, "about 4"
READ_NOISE = 6.0  # DN in one read, JWST user documentation, "about 6"
DARK_CURRENT = 0.2  # electron / s, JWST user documentation, "about 0.2"
FULL_WELL = 210_000.0  # electron, JWST user documentation
BIAS = 9_000.0  # DN at zero signal; of the size that flight ramps start at

# Linear signal = raw + c2 raw^2, DN: 7 % at 50 000 DN, the size of the flight correction.
_LINEARITY_QUADRATIC = 1.4e-6  # 1 / DN
# Flagged as saturated at this part of the well, below the hard clip of the simulator.
_SATURATION_FRACTION = 0.97

_MAP_SEED = 20220714  # date of the first public JWST data; any fixed number would do
_FLAT_SCATTER = 0.01  # pixel-to-pixel response, rms; of the size of the flight flat
_HOT_FRACTION = 5e-4
_DEAD_FRACTION = 5e-4
_HOT_DARK_CURRENT = (5.0, 200.0)  # electron / s, drawn uniformly in the logarithm

BAD_PIXEL_KINDS = ("good", "dead", "hot")


def reference_pixels():
    """Return a detector-shaped boolean array, True in the reference columns."""
    columns = np.zeros(SHAPE, dtype=bool)
    columns[:, :REFERENCE_COLUMNS] = True
    columns[:, -REFERENCE_COLUMNS:] = True
    return columns


def _map_generator(index):
    """Return the random generator of one of the detector's maps."""
    return np.random.default_rng([_MAP_SEED, index])


@lru_cache(maxsize=1)
def bad_pixels():
    """Return a detector-shaped map of indices into `BAD_PIXEL_KINDS`."""
    draw = _map_generator(0).random(SHAPE)
    kinds = np.zeros(SHAPE, dtype=np.uint8)
    kinds[draw < _DEAD_FRACTION + _HOT_FRACTION] = BAD_PIXEL_KINDS.index("hot")
    kinds[draw < _DEAD_FRACTION] = BAD_PIXEL_KINDS.index("dead")
    kinds[reference_pixels()] = BAD_PIXEL_KINDS.index("good")
    kinds.flags.writeable = False
    return kinds


@lru_cache(maxsize=1)
def pixel_flat():
    """Return the relative response of the pixels, mean 1; 0 in dead and reference pixels."""
    flat = _map_generator(1).normal(1.0, _FLAT_SCATTER, SHAPE)
    flat[(bad_pixels() == BAD_PIXEL_KINDS.index("dead")) | reference_pixels()] = 0.0
    flat.flags.writeable = False
    return flat


@lru_cache(maxsize=1)
def dark_current():
    """Return the dark current of each pixel, electron / s; 0 in reference pixels."""
    low, high = np.log(_HOT_DARK_CURRENT)
    hot = np.exp(_map_generator(2).uniform(low, high, SHAPE))
    dark = np.where(bad_pixels() == BAD_PIXEL_KINDS.index("hot"), hot, DARK_CURRENT)
    dark[reference_pixels()] = 0.0
    dark.flags.writeable = False
    return dark


def linearity_coefficients():
    """Return c0, c1, c2 of linear = c0 + c1 raw + c2 raw^2, DN."""
    return np.array([0.0, 1.0, _LINEARITY_QUADRATIC])


def linear_signal(raw):
    """Return the linear signal, DN, of a raw signal in DN."""
    return raw + _LINEARITY_QUADRATIC * raw * raw


def raw_signal(linear):
    """Return the raw signal, DN, of a linear signal in DN: the inverse of `linear_signal`.

    Written without the difference of nearly equal numbers that the textbook
    solution of the quadratic equation has.
    """
    return 2.0 * linear / (1.0 + np.sqrt(1.0 + 4.0 * _LINEARITY_QUADRATIC * linear))


def saturation_level():
    """Return the raw signal, DN, above which a pixel is flagged as saturated."""
    return float(raw_signal(BIAS + _SATURATION_FRACTION * FULL_WELL / GAIN))
