"""The MIRI imager's Si:As detector: constants and pixel maps.

Flight values where they are public (JWST user documentation, "MIRI Detector
Performance"), else round values of the right size; each says which.  The maps
stand for one particular detector, so their seed is fixed: another observation
has other noise, but the same bad pixels.  All maps are of the full array,
shape `SHAPE`, and read-only.
"""

from functools import lru_cache

import numpy as np

__all__ = [
    "AMPLIFIERS",
    "BAD_PIXEL_KINDS",
    "BIAS",
    "DARK_CURRENT",
    "FULL_WELL",
    "GAIN",
    "GROUP_SKIP_FIRST",
    "GROUP_SKIP_LATER",
    "INTERPIXEL_CAPACITANCE",
    "LEAST_WELL",
    "OUTPUT_DRIFT",
    "PIXEL_SIZE",
    "READ_NOISE",
    "REFERENCE_COLUMNS",
    "RESET_GROUPS",
    "SCA_NUMBER",
    "SHAPE",
    "bad_pixels",
    "counted_groups",
    "dark_current",
    "fitted_groups",
    "full_well",
    "gain",
    "linear_signal",
    "linearity_coefficients",
    "pixel_flat",
    "raw_signal",
    "read_noise",
    "reference_pixels",
    "reset_anomaly",
    "saturation_level",
    "skipped_groups",
]

SHAPE = (1024, 1032)  # rows, columns of the full array, reference columns included
REFERENCE_COLUMNS = 4  # on each side, SIAF and JWST user documentation
AMPLIFIERS = 4  # interleaved by column: column number modulo 4
SCA_NUMBER = 493  # of the imager's sensor chip, SCA_NUM in flight headers
PIXEL_SIZE = 25.0  # micrometre, JWST user documentation

GAIN = 4.0  # electron / DN, JWST user documentation, "about 4"
READ_NOISE = 6.0  # DN in one FASTR1 read, JWST user documentation, "about 6"
DARK_CURRENT = 0.2  # electron / s, JWST user documentation, "about 0.2"
FULL_WELL = 210_000.0  # electron, JWST user documentation
OUTPUT_DRIFT = 1.0  # DN, rms from frame to frame of each amplifier in odd and even rows
BIAS = 9_000.0  # DN at zero signal; of the size that flight ramps start at

# Charge seen by the neighbours (JWST-STScI-002925, as quoted in stpsf): a pixel
# keeps 0.834, its neighbours in x and y get 0.033 and 0.024, the corners 0.013.
INTERPIXEL_CAPACITANCE = np.array(
    [[0.013, 0.024, 0.013], [0.033, 0.834, 0.033], [0.013, 0.024, 0.013]]
)
INTERPIXEL_CAPACITANCE.flags.writeable = False

# Groups at the start of the first and of later integrations that the reset-switch charge
# decay spoils: the pipeline leaves them out, and the last group of each.
GROUP_SKIP_FIRST = 1
GROUP_SKIP_LATER = 4

# Linear signal = raw + c2 raw^2, DN: 7 % at 50 000 DN, the size of the flight correction.
_LINEARITY_QUADRATIC = 1.4e-6  # 1 / DN
# Flagged as saturated at this part of the well, below the hard clip of the simulator.
_SATURATION_FRACTION = 0.97

# After a reset the signal starts low and recovers within a few groups ("reset anomaly").
RESET_GROUPS = 6
_RESET_DEPTH = (-60.0, -30.0)  # DN, first and later integrations; tens of DN in flight
_RESET_DECAY = 1.0  # groups, e-folding

_MAP_SEED = 20220714  # date of the first public JWST data; any fixed number would do
_FLAT_SCATTER = 0.01  # pixel-to-pixel response, rms; of the size of the flight flat
# From pixel to pixel, relative rms; round numbers of the size of flight reference files.
_GAIN_SCATTER = 0.01
_READ_NOISE_SCATTER = 0.08
_LINEARITY_SCATTER = 0.03
_FULL_WELL_SCATTER = 0.02
_RESET_SCATTER = 0.1
# Charge, electron, that all but one in a thousand pixels hold without a flag.
LEAST_WELL = FULL_WELL * _SATURATION_FRACTION * (1 - 3 * _FULL_WELL_SCATTER)
_DARK_GLOW = 1.0  # dark current that the upper right corner has more, relative
_HOT_FRACTION = 5e-4
_DEAD_FRACTION = 5e-4
_HOT_DARK_CURRENT = (5.0, 200.0)  # electron / s, drawn uniformly in the logarithm

BAD_PIXEL_KINDS = ("good", "dead", "hot")

# Maps are rounded to steps far below their meaning and far above rounding errors, so
# that no processor's own exponential function changes a bit of a simulated exposure.
_STEP = 2.0**-20


def _settled(values, step=_STEP):
    """Return values rounded to a step, read-only."""
    rounded = np.rint(np.asarray(values) / step) * step
    rounded.flags.writeable = False
    return rounded


@lru_cache(maxsize=1)
def reference_pixels():
    """Return a boolean array, True in the reference columns."""
    columns = np.zeros(SHAPE, dtype=bool)
    columns[:, :REFERENCE_COLUMNS] = True
    columns[:, -REFERENCE_COLUMNS:] = True
    columns.flags.writeable = False
    return columns


def _map_generator(index):
    """Return the random generator of one of the detector's maps."""
    return np.random.default_rng([_MAP_SEED, index])


def _scattered(index, mean, scatter, in_reference_pixels):
    """Return a map of positive values around a mean, the same in all reference pixels."""
    draw = _map_generator(index).standard_normal(SHAPE)
    # Five standard deviations at most: no pixel becomes another kind of pixel.
    values = mean * (1 + scatter * np.clip(draw, -5, 5))
    return _settled(np.where(reference_pixels(), in_reference_pixels, values))


@lru_cache(maxsize=1)
def bad_pixels():
    """Return a map of indices into `BAD_PIXEL_KINDS`."""
    draw = _map_generator(0).random(SHAPE)
    kinds = np.zeros(SHAPE, dtype=np.uint8)
    kinds[draw < _DEAD_FRACTION + _HOT_FRACTION] = BAD_PIXEL_KINDS.index("hot")
    kinds[draw < _DEAD_FRACTION] = BAD_PIXEL_KINDS.index("dead")
    kinds[reference_pixels()] = BAD_PIXEL_KINDS.index("good")
    kinds.flags.writeable = False
    return kinds


@lru_cache(maxsize=1)
def pixel_flat():
    """Return the relative quantum efficiency, mean 1; 0 in dead and reference pixels."""
    dead = bad_pixels() == BAD_PIXEL_KINDS.index("dead")
    flat = _scattered(1, 1.0, _FLAT_SCATTER, 0.0)
    return _settled(np.where(dead, 0.0, flat))


@lru_cache(maxsize=1)
def dark_current():
    """Return the dark current, electron / s; 0 in reference pixels."""
    low, high = np.log(_HOT_DARK_CURRENT)
    hot = np.exp(_map_generator(2).uniform(low, high, SHAPE))
    y, x = np.indices(SHAPE) / np.reshape(SHAPE, (2, 1, 1))
    usual = DARK_CURRENT * (1 + _DARK_GLOW * (x * y) ** 2)
    dark = np.where(bad_pixels() == BAD_PIXEL_KINDS.index("hot"), hot, usual)
    return _settled(np.where(reference_pixels(), 0.0, dark))


@lru_cache(maxsize=1)
def gain():
    """Return the conversion factor, electron / DN."""
    return _scattered(3, GAIN, _GAIN_SCATTER, GAIN)


@lru_cache(maxsize=1)
def read_noise():
    """Return the standard deviation of one sample, DN."""
    return _scattered(4, READ_NOISE, _READ_NOISE_SCATTER, READ_NOISE)


@lru_cache(maxsize=1)
def full_well():
    """Return the charge that a pixel can hold, electron."""
    return _scattered(5, FULL_WELL, _FULL_WELL_SCATTER, FULL_WELL)


@lru_cache(maxsize=1)
def _quadratic():
    """Return c2 of the linearity polynomial, 1 / DN; 0 in reference pixels, which are linear."""
    # In units in which the step of the maps is fine enough.
    return _scattered(6, 1.0, _LINEARITY_SCATTER, 0.0) * _LINEARITY_QUADRATIC


def linearity_coefficients():
    """Return c0, c1, c2 of linear = c0 + c1 raw + c2 raw^2, DN, shape (3, rows, columns)."""
    return np.stack([np.zeros(SHAPE), np.ones(SHAPE), _quadratic()])


def linear_signal(raw, pixels=(slice(None), slice(None))):
    """Return the linear signal, DN, of a raw signal in DN.

    Parameters
    ----------
    raw : ndarray
        Raw signal.
    pixels : tuple of slice, optional
        Rows and columns of the full array that `raw` is of.

    Returns
    -------
    ndarray
        Shape of `raw`.
    """
    return raw + _quadratic()[pixels] * raw * raw


def raw_signal(linear, pixels=(slice(None), slice(None))):
    """Return the raw signal, DN, of a linear signal in DN: the inverse of `linear_signal`.

    Written without the difference of nearly equal numbers that the textbook
    solution of the quadratic equation has.

    Parameters
    ----------
    linear : ndarray
        Linear signal.
    pixels : tuple of slice, optional
        Rows and columns of the full array that `linear` is of.

    Returns
    -------
    ndarray
        Shape of `linear`.
    """
    return 2.0 * linear / (1.0 + np.sqrt(1.0 + 4.0 * _quadratic()[pixels] * linear))


@lru_cache(maxsize=1)
def saturation_level():
    """Return the raw signal, DN, from which on a pixel is flagged as saturated."""
    level = raw_signal(BIAS + _SATURATION_FRACTION * full_well() / gain())
    # A pixel is saturated or not by whole numbers: those of the converter.
    return _settled(level, 1.0)


@lru_cache
def reset_anomaly(integration):
    """Return what the reset leaves in the first groups, DN of the raw signal.

    Parameters
    ----------
    integration : int
        Number of the integration, from 0; all later ones are the same.

    Returns
    -------
    ndarray
        Shape (`RESET_GROUPS`, rows, columns), float32; 0 in reference pixels.
    """
    if integration > 1:
        return reset_anomaly(1)
    depth = _RESET_DEPTH[integration] * _scattered(7, 1.0, _RESET_SCATTER, 0.0)
    decay = np.exp(-np.arange(RESET_GROUPS) / _RESET_DECAY)
    # float32 with few digits: exactly what the reference file holds.
    anomaly = _settled(decay[:, np.newaxis, np.newaxis] * depth, 2.0**-10).astype(np.float32)
    anomaly.flags.writeable = False
    return anomaly


def skipped_groups(groups, integrations):
    """Return the number of groups that rscd leaves out at the start of each integration.

    Parameters
    ----------
    groups, integrations : int
        Of the exposure.

    Returns
    -------
    list of int
        As in the pipeline, no more than leave three with the last one.
    """
    skipped = [GROUP_SKIP_FIRST, *[GROUP_SKIP_LATER] * (integrations - 1)]
    return [min(skip, groups - 3) for skip in skipped]


def counted_groups(groups, integrations):
    """Return the groups whose new charge is in the slope of each integration.

    Parameters
    ----------
    groups, integrations : int
        Of the exposure.

    Returns
    -------
    list of range
        From the one after the first that is fitted to the last one that is, from 0.
    """
    return [range(skip + 1, groups - 1) for skip in skipped_groups(groups, integrations)]


def fitted_groups(groups, integrations):
    """Return the number of groups that the slope of each integration is fitted to.

    Parameters
    ----------
    groups, integrations : int
        Of the exposure.

    Returns
    -------
    list of int
        Groups without those that rscd and lastframe leave out.
    """
    return [groups - skip - 1 for skip in skipped_groups(groups, integrations)]
