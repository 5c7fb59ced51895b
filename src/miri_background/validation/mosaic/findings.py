"""What the empty sky of a mosaic says by itself: its level, seams, and holes around sources.

Nothing but the mosaic is needed.  Errors come from how the means of blocks of empty sky scatter,
so that the noise that neighbours have in common is in them.
"""

from functools import cached_property

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from miri_background.validation.findings.finding import Finding

__all__ = ["SkyOfMosaic", "mosaic_findings"]

_GROWN = 4  # pixels around a source that are its own
_BLOCK = 16  # pixels along a side
_FEWEST = 0.4  # of a block that has to be empty sky
_FEWEST_BLOCKS = 12
_STANDARD_ERRORS = 5.0
# Of the noise of a pixel: a level that moves the flux in an aperture of 3 pixels, with noise in
# common, by a standard deviation.
_LEAST = 0.25
_CLIP = 4.0  # standard deviations, from which on a pixel is no sky
_RING = 3, 12  # pixels from the border of a source, where a bowl is looked for
_SCATTER = 1.4826  # of a median of distances from the median


class SkyOfMosaic:
    """The pixels of a mosaic that see no source.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.

    Attributes
    ----------
    sources : ndarray of bool
        Pixels of sources: those of the catalogue's segments, else those that stand out.
    empty : ndarray of bool
        Pixels of empty sky.
    level, noise : float
        Median and scatter of these, MJy/sr.
    """

    def __init__(self, mosaic):
        self._data = np.where(mosaic.covered, mosaic.data, np.nan)
        self.sources = self._sources(mosaic)
        grown = binary_dilation(self.sources, iterations=_GROWN) if self.sources.any() else False
        self.empty = mosaic.covered & ~np.asarray(grown)
        for _ in range(2):
            self.level, self.noise = _level_and_noise(self._data[self.empty])
            with np.errstate(invalid="ignore"):
                self.empty &= np.abs(self._data - self.level) < _CLIP * max(self.noise, 1e-30)

    def _sources(self, mosaic):
        """Return the pixels of sources."""
        if mosaic.segments is not None and mosaic.segments.shape == mosaic.data.shape:
            return mosaic.segments > 0
        level, noise = _level_and_noise(self._data[mosaic.covered])
        with np.errstate(invalid="ignore"):
            return self._data > level + _CLIP * noise

    def blocks(self, chosen):
        """Return the means of blocks of chosen pixels of empty sky.

        Parameters
        ----------
        chosen : ndarray of bool
            Which pixels count.

        Returns
        -------
        ndarray
            Of the blocks that have enough of them.
        """
        good = self.empty & chosen
        rows, columns = (size // _BLOCK for size in good.shape)
        cut = slice(rows * _BLOCK), slice(columns * _BLOCK)

        def sums(image):
            return image[cut].reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3))

        count = sums(good.astype(float))
        total = sums(np.where(good, np.nan_to_num(self._data), 0.0))
        enough = count > _FEWEST * _BLOCK**2
        return total[enough] / count[enough]

    def mean(self, chosen):
        """Return the median of the blocks of chosen pixels, its error, and how many they are."""
        values = self.blocks(chosen)
        if values.size < _FEWEST_BLOCKS:
            return np.nan, np.inf, values.size
        _, scatter = _level_and_noise(values)
        return (
            float(np.median(values)),
            float(scatter * np.sqrt(np.pi / 2 / values.size)),
            len(values),
        )

    def pixels(self, chosen):
        """Return the mean of chosen pixels of empty sky and its error, wherever they are.

        Parameters
        ----------
        chosen : ndarray of bool
            Which pixels count.

        Returns
        -------
        mean, error : float
            The error is that of independent pixels, times what neighbours have in common.
        """
        values = self._data[self.empty & chosen]
        if values.size < _FEWEST_BLOCKS * _BLOCK:
            return np.nan, np.inf
        return float(values.mean()), self.noise * self._in_common / np.sqrt(values.size)

    @cached_property
    def _in_common(self):
        """How many times more than independent pixels the means of blocks scatter."""
        values = self.blocks(np.ones(self.empty.shape, dtype=bool))
        if values.size < _FEWEST_BLOCKS:
            return 2.0  # of four exposures, square kernel
        return max(1.0, _level_and_noise(values)[1] * _BLOCK / self.noise)


def _level_and_noise(values):
    """Return median and robust scatter of values."""
    if not values.size:
        return np.nan, np.nan
    level = float(np.median(values))
    return level, _SCATTER * float(np.median(np.abs(values - level)))


def mosaic_findings(mosaic):
    """Return what is to be known of the empty sky of a mosaic.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic; nothing but its own values, weights and segments is looked at.

    Returns
    -------
    list of Finding
        Of sky level, seams and over-subtraction, where there is one.
    """
    sky = SkyOfMosaic(mosaic)
    if not np.isfinite(sky.noise):
        return []
    found = [_level(mosaic, sky), _seam(mosaic, sky), _bowls(mosaic, sky)]
    return [each for each in found if each is not None]


def _matters(value, error, noise):
    """Return whether a level is neither chance nor small."""
    return abs(value) > max(_STANDARD_ERRORS * error, _LEAST * noise)


def _level(mosaic, sky):
    """Return the finding that empty sky is not zero."""
    level, error, _ = sky.mean(np.ones(sky.empty.shape, dtype=bool))
    if not _matters(level, error, sky.noise):
        return None
    less = level < 0
    return Finding(
        "sky of the mosaic",
        level,
        "MJy/sr",
        mosaic.path.name,
        f"Empty sky of {mosaic.path.name} has {level:+.3g} ± {error:.1g} MJy/sr, "
        f"{abs(level) / sky.noise:.2g} of a pixel's noise: "
        + ("more than the sky was subtracted." if less else "a part of the sky is left."),
        "Fluxes in apertures need a local sky; see what skymatch took off (BKGLEVEL of *_crf), and "
        "whether science and background fields have the same sky.",
    )


def _seam(mosaic, sky):
    """Return the finding that the sky has a step where the number of exposures changes."""
    depth = np.round(mosaic.weight / np.median(mosaic.weight[mosaic.covered]) * len(mosaic.named))
    worst = None
    for number in np.unique(depth[sky.empty]):
        inside = depth == number
        level, error, _ = sky.mean(inside)
        rest, of_rest, _ = sky.mean(~inside)
        step, uncertainty = level - rest, float(np.hypot(error, of_rest))
        if np.isfinite(step) and _matters(step, uncertainty, sky.noise):
            ratio = abs(step) / uncertainty
            if worst is None or ratio > worst[0]:
                worst = ratio, step, uncertainty, int(number)
    if worst is None:
        return None
    _, step, error, number = worst
    return Finding(
        "seam in the mosaic",
        step,
        "MJy/sr",
        mosaic.path.name,
        f"Where about {number} exposures overlap in {mosaic.path.name}, empty sky is "
        f"{step:+.3g} ± {error:.1g} MJy/sr off the rest.",
        "Exposures have different skies that skymatch has not made equal: compare the empty sky of "
        "each *_crf, and look for light that only a part of the field has.",
    )


def _bowls(mosaic, sky):
    """Return the finding that sky next to sources is darker than elsewhere."""
    if not sky.sources.any():
        return None
    distance = distance_transform_edt(~sky.sources)
    near = (distance > _RING[0] + _GROWN) & (distance < _RING[1] + _GROWN)
    far = distance >= _RING[1] + _GROWN
    level, error = sky.pixels(near)
    rest, of_rest = sky.pixels(far)
    step, uncertainty = level - rest, float(np.hypot(error, of_rest))
    if not (step < 0 and _matters(step, uncertainty, sky.noise)):
        return None
    return Finding(
        "over-subtraction around sources",
        step,
        "MJy/sr",
        mosaic.path.name,
        f"Next to sources, empty sky of {mosaic.path.name} is darker than far from them, by "
        f"{step:+.3g} ± {uncertainty:.1g} MJy/sr.",
        "Sources, of the science field itself or of the background field, are in the background "
        "that was subtracted: take other backgrounds, or a lower sigma.",
    )
