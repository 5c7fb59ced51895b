"""Where sources are, found in the exposures themselves.

What is looked at is an exposure less the average of the backgrounds: the sky and what is
fixed to the detector are gone, and sources are left.  Smoothed with kernels of several
widths, it shows cores of faint stars, their wings, and faint extended light.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["source_mask"]

# Standard deviations of the smoothing, pixels: of a star's core, its wings, extended light.
_WIDTHS = (1.2, 3.0, 8.0)
# Standard deviations of the smoothed noise: 1 of 1000 independent places is masked for its
# noise alone, as many dark ones as bright ones, so that what is left has no bias.
_THRESHOLD = 3.3
_LEAST_COVERED = 0.2  # part of the kernel that has to be on good pixels


def source_mask(difference, good, noise, looser=1.0):
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

    Returns
    -------
    ndarray of bool
        True at sources, and where the data leave it open.
    """
    image = np.where(good, difference, 0.0).astype(np.float32)
    weights = good.astype(np.float32)
    found = ~good
    for width in _WIDTHS:
        covered = gaussian_filter(weights, width)
        smooth = gaussian_filter(image, width)
        # Of white noise under a Gaussian kernel with holes, by the area that is covered.
        scatter = noise / (2 * np.sqrt(np.pi) * width) * np.sqrt(covered)
        seen = covered > _LEAST_COVERED
        level = np.median(smooth[seen & good] / covered[seen & good])
        found |= seen & (np.abs(smooth - level * covered) > looser * _THRESHOLD * scatter)
    return found
