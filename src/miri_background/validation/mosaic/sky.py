"""The empty sky of a mosaic: level, tiles, seams and noise."""

import numpy as np
from photutils.aperture import CircularAperture
from scipy.sparse import csr_array

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.mosaic.skies import mode_error

__all__ = ["Depth", "depth", "sky_measurements"]

_TILE = 64  # pixels along a side
_FEWEST = 100  # pixels of empty sky, from which a mean is taken
_SAMPLE = 400  # pixels, of which correlations are taken
_RADIUS = 3.0  # pixels of the apertures on empty sky: 65 % of the light of a star in F770W
_APART = 12  # pixels between apertures: their neighbours' noise is their own
_DETECTION = 5.0  # standard deviations of the depth


def sky_measurements(mosaic, expected):
    """Yield how far the empty sky of a mosaic is from what it should be.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    expected : MosaicExpectation
        What it should have.

    Yields
    ------
    Measurement
        In the order in which they are shown.
    """
    yield from _levels(expected)
    yield _delivered(mosaic, expected)
    for name, groups in (("mosaic tiles", _tiles(expected)), ("mosaic seams", _seams(expected))):
        yield from _furthest(name, expected, groups)
    yield from _noise(expected)


def _mean_of(places, size):
    """Return the weights of the mean over some pixels, one row."""
    return csr_array(
        (np.full(len(places), 1 / len(places)), (np.zeros(len(places), dtype=int), places)),
        shape=(1, size),
    )


def _levels(expected):
    """Yield the mean of the empty sky of each region, the skies of skymatch put back."""
    size = expected.empty.size
    for name in expected.regions:
        places = np.flatnonzero(expected.empty & expected.region(name))
        if len(places) < _FEWEST:
            continue
        value = float(expected.residual.ravel()[places].mean())
        sums = _mean_of(places, size)
        (variance,) = expected.independent_variances(sums) + expected.common_variances(
            expected.parts_of_exposures(sums)
        )
        yield Measurement("mosaic sky", name, None, value, float(np.sqrt(variance)))


def _delivered(mosaic, expected):
    """Return the mean of the empty sky as it was delivered."""
    places = np.flatnonzero(expected.empty)
    values = (mosaic.data - expected.values).ravel()[places]
    value = float(values.mean()) / expected.pixel_noise if values.size else np.nan
    sums = _mean_of(places, expected.empty.size)
    (common,) = expected.common_variances(expected.parts_of_exposures(sums))
    return Measurement(
        "mosaic level",
        WHOLE_ARRAY,
        None,
        value,
        float(np.hypot(_mode_error(expected), np.sqrt(common) / expected.pixel_noise)),
        detail=f"{value * expected.pixel_noise:.3g} MJy/sr",
    )


def _mode_error(expected):
    """Return the scatter of the mode of an exposure's pixels, in units of a pixel's noise."""
    number = np.mean([np.count_nonzero(each) for each in expected.without_sources])
    return mode_error(number)


def _tiles(expected):
    """Return which tile each pixel of empty sky is in, and words for each tile."""
    y, x = np.nonzero(expected.empty)
    across = -(-expected.empty.shape[1] // _TILE)
    number = (y // _TILE) * across + x // _TILE
    words = {
        each: f"columns from {each % across * _TILE + 1}, rows from {each // across * _TILE + 1}"
        for each in np.unique(number).tolist()
    }
    return number, words


def _seams(expected):
    """Return which exposures each pixel of empty sky sees, as a number, and words for them."""
    number = np.zeros(expected.empty.size, dtype=int)
    for bit, part in enumerate(expected.resampling.parts):
        number |= (part.sum(axis=1) > 0).astype(int) << bit
    number = number.reshape(expected.empty.shape)[expected.empty]
    words = {
        each: "seen by exposures "
        + ", ".join(str(bit + 1) for bit in range(each.bit_length()) if each >> bit & 1)
        for each in np.unique(number).tolist()
    }
    return number, words


def _furthest(name, expected, groups):
    """Yield by how much a group of pixels is off all others together, of the furthest."""
    number, words = groups
    places, size = np.flatnonzero(expected.empty), expected.empty.size
    values = expected.residual.ravel()[places]
    kept, owners = np.unique(number, return_inverse=True)
    counts = np.bincount(owners)
    rest = len(places) - counts
    means = np.bincount(owners, values) / counts
    others = (values.sum() - means * counts) / np.maximum(rest, 1)
    judged = np.minimum(counts, rest) >= _FEWEST
    if not judged.any():
        return
    sums = csr_array((1 / counts[owners], (owners, places)), shape=(len(kept), size))
    mean = _mean_of(places, size)

    # The noise that both sides of a border have in common is left out: it is of few pixels.
    own, whole = map(expected.independent_variances, (sums, mean))
    others_own = (
        np.maximum(whole * len(places) ** 2 - own * counts**2, 0) / np.maximum(rest, 1) ** 2
    )
    parts, of_all = map(expected.parts_of_exposures, (sums, mean))
    of_others = (len(places) * of_all - counts[:, np.newaxis] * parts) / np.maximum(rest, 1)[
        :, None
    ]
    common = expected.common_variances(parts - of_others)
    errors = np.sqrt(own + others_own + common)
    ratios = np.where(judged, np.abs(means - others) / errors, -1.0)
    worst = int(np.argmax(np.nan_to_num(ratios, nan=np.inf)))
    yield Measurement(
        name,
        WHOLE_ARRAY,
        None,
        float((means - others)[worst]),
        float(errors[worst]),
        int(judged.sum()),
        words[int(kept[worst])],
    )


def _noise(expected):
    """Yield how much more than predicted pixels and apertures of empty sky scatter."""
    places = np.flatnonzero(expected.empty)
    if len(places) < _FEWEST:
        return
    pulls = expected.residual.ravel()[places] / np.sqrt(expected.pixel_variance.ravel()[places])
    sample = places[:: max(len(places) // _SAMPLE, 1)]
    number = len(places) * expected.correlated(sample)
    yield Measurement(
        "mosaic noise",
        WHOLE_ARRAY,
        None,
        100 * float(pulls.std() - 1),
        # Half of that of the variance.
        50 * float(np.hypot(np.sqrt(2 / number), expected.drift_error(sample))),
        detail=f"a pixel's is {np.sqrt(np.median(expected.variance.ravel()[places])):.3g} MJy/sr",
    )
    found = depth(expected)
    if found is not None:
        yield Measurement(
            "mosaic aperture noise",
            WHOLE_ARRAY,
            None,
            100 * float(found.pulls.std() - 1),
            100 / np.sqrt(2 * len(found.pulls)),
            detail=found.sentence(),
        )


class Depth:
    """Fluxes in apertures on empty sky.

    Parameters
    ----------
    pulls : ndarray
        Sums over the predicted error of each.
    error : float
        Predicted error of the sum in a whole aperture, MJy/sr times pixels.
    correlation : float
        That error over the one of independent pixels.
    """

    def __init__(self, pulls, error, correlation):
        self.pulls, self.error, self.correlation = pulls, error, correlation

    def limit(self, solid_angle):
        """Return the flux of five standard deviations in an aperture, uJy.

        Parameters
        ----------
        solid_angle : float
            Of a pixel of the mosaic, sr.

        Returns
        -------
        float
            Of a whole aperture, without a correction for the light outside.
        """
        return _DETECTION * self.error * solid_angle * 1e12

    def sentence(self):
        """Return in words what neighbours have in common."""
        return (
            f"{len(self.pulls)} apertures of {_RADIUS:g} pixels; neighbours' noise in common makes "
            f"it {self.correlation:.2f} times that of independent pixels"
        )


def depth(expected):
    """Return the fluxes in apertures on empty sky, None where there are too few.

    Parameters
    ----------
    expected : MosaicExpectation
        What the mosaic should have.

    Returns
    -------
    Depth or None
        Each aperture sums the pixels that are empty sky.
    """
    shape = expected.empty.shape
    y, x = np.mgrid[_APART : shape[0] - _APART : _APART, _APART : shape[1] - _APART : _APART]
    rows, columns, owners = [], [], []
    reach = int(np.ceil(_RADIUS))
    footprint = CircularAperture((reach, reach), _RADIUS).to_mask(method="center").data > 0
    dy, dx = np.nonzero(footprint)
    count = 0
    for at_y, at_x in zip(y.ravel(), x.ravel(), strict=True):
        inside_y, inside_x = at_y + dy - reach, at_x + dx - reach
        good = expected.empty[inside_y, inside_x]
        # Of at least half an aperture: what is small is a pixel, and was looked at before.
        if good.mean() < 0.5:
            continue
        rows.append(inside_y[good])
        columns.append(inside_x[good])
        owners.append(np.full(good.sum(), count))
        count += 1
    if count < _FEWEST // 4:
        return None
    places = np.concatenate(rows) * shape[1] + np.concatenate(columns)
    owners = np.concatenate(owners)
    sums = csr_array((np.ones(len(places)), (owners, places)), shape=(count, expected.empty.size))
    # All apertures of a mosaic share what all pixels share.
    errors = np.sqrt(expected.independent_variances(sums))
    pixels = np.sqrt(sums @ expected.variance.ravel())
    values = sums @ np.nan_to_num(expected.residual.ravel())
    whole = np.bincount(owners) == footprint.sum()
    typical = np.median(errors[whole]) if whole.any() else np.median(errors)
    return Depth(values / errors, float(typical), float(np.median(errors / pixels)))
