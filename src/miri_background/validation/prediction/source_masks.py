"""Where sources are, found in the exposures themselves.

What is looked at is an exposure less the average of the backgrounds: the sky and what is
fixed to the detector are gone, and sources are left.  Smoothed with kernels of several
widths, it shows cores of faint stars, their wings, and faint extended light.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["coverage", "source_mask"]

# Standard deviations of the smoothing, pixels: of a star's core, its wings, extended light.
_WIDTHS = (1.2, 3.0, 8.0)
# Standard deviations of the smoothed noise: 1 of 1000 independent places is masked for its
# noise alone, as many dark ones as bright ones, so that what is left has no bias.
_THRESHOLD = 3.3
_LEAST_COVERED = 0.2  # part of the kernel that has to be on good pixels


def coverage(good):
    """Return which part of each kernel is on good pixels: a list of images, one a width."""
    weights = good.astype(np.float32)
    return [gaussian_filter(weights, width) for width in _WIDTHS]


def source_mask(difference, good, noise, looser=1.0, brighter=False, covers=None):
    """Return the pixels in which an image stands out from zero.

    Parameters
    ----------
    difference : ndarray
        Exposure less average, DN/s, shape (rows, columns).
    good : ndarray of bool
        Pixels that may be used.
    noise : float
        Standard deviation of the rate of one pixel on empty sky, DN/s.
    looser : float, optional
        Factor to the threshold: sources fainter by it are left.
    brighter : bool, optional
        Whether only what is brighter is looked for.
    covers : list of ndarray, optional
        What `coverage` returns, where the same pixels are good in several images.

    Returns
    -------
    ndarray of bool
        True at sources, and where the data leave it open.
    """
    image = np.where(good, difference, 0.0).astype(np.float32)
    found = ~good
    for width, covered in zip(_WIDTHS, covers or coverage(good), strict=True):
        smooth = gaussian_filter(image, width)
        # Of white noise under a Gaussian kernel with holes, by the area that is covered.
        scatter = noise / (2 * np.sqrt(np.pi) * width) * np.sqrt(covered)
        seen = covered > _LEAST_COVERED
        level = np.median(smooth[seen & good] / covered[seen & good])
        off = smooth - level * covered
        found |= seen & ((off if brighter else np.abs(off)) > looser * _THRESHOLD * scatter)
    return found
