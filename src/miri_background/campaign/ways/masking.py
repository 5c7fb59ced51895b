"""Where an exposure has sources, as somebody finds them who does not know the truth."""

import warnings

import numpy as np
from astropy.stats import SigmaClip
from astropy.utils.exceptions import AstropyUserWarning
from photutils.background import Background2D, MedianBackground
from photutils.segmentation import detect_sources
from photutils.utils.exceptions import NoDetectionsWarning
from scipy.ndimage import binary_dilation, gaussian_filter

from miri_background.validation.prediction.masks import USABLE_FLAGS
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["found_sources", "smooth_background", "usable_pixels"]

# As photutils' documentation finds sources: a smoothed image above a threshold.
_BOXES = 4  # along a side: of the smooth background under what is looked for
_WIDTH = 1.2  # pixels: standard deviation of the Gaussian that the image is smoothed with
_THRESHOLD = 2.5  # standard deviations of the smoothed image
_CONNECTED = 5  # pixels that a source has above it, at least
_GROWN = 3  # pixels around what is found


def usable_pixels(rate):
    """Return the pixels of a rate that have a number and are not hit by a cosmic ray."""
    return np.isfinite(rate.data) & ((rate.dq & USABLE_FLAGS) == 0)


def smooth_background(data, masked, box, filter_size=3):
    """Return the background of an image in boxes, as `photutils.background.Background2D` has it.

    Parameters
    ----------
    data : ndarray
        Image, DN/s.
    masked : ndarray of bool
        Pixels that do not count.
    box : int
        Side of a box, pixels.
    filter_size : int, optional
        Boxes over which a median is taken.

    Returns
    -------
    ndarray
        DN/s, shape of the image.
    """
    with warnings.catch_warnings(action="ignore", category=AstropyUserWarning):
        found = Background2D(
            np.where(masked, 0.0, data),
            box,
            mask=masked,
            filter_size=filter_size,
            sigma_clip=SigmaClip(sigma=3.0, maxiters=10),
            bkg_estimator=MedianBackground(),
            exclude_percentile=90.0,
        )
    return np.asarray(found.background, dtype=float)


def found_sources(rate):
    """Return where a rate has sources: what stands out from a smooth background, and a margin.

    Parameters
    ----------
    rate : Rate
        One exposure.

    Returns
    -------
    ndarray of bool
        True at sources only, not at bad pixels.
    """
    good = usable_pixels(rate)
    lost = ~np.isfinite(rate.data) | ((rate.dq & DO_NOT_USE) != 0)
    box = max(rate.data.shape[0] // _BOXES, 16)
    mask = np.zeros(rate.data.shape, dtype=bool)
    # What was found the first time does not lift the background the second time.
    for _ in range(2):
        below = smooth_background(rate.data, lost | mask, box)
        flat = gaussian_filter(np.where(good, rate.data - below, 0.0), _WIDTH)
        scatter = float(clipped_scatter(flat[good & ~mask]))
        with warnings.catch_warnings(action="ignore", category=NoDetectionsWarning):
            found = detect_sources(flat, _THRESHOLD * scatter, _CONNECTED)
        if found is None:
            return mask
        mask = binary_dilation(found.data > 0, iterations=_GROWN)
    return mask
