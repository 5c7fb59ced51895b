"""Sums of images in apertures."""

import numpy as np

__all__ = ["aperture_sums"]


def aperture_sums(image, apertures):
    """Return the sums of an image in apertures, pixels at their edges counted in part.

    Parameters
    ----------
    image : ndarray
        Shape (rows, columns).
    apertures : photutils.aperture.PixelAperture
        One, or one for each of several positions.

    Returns
    -------
    ndarray
        One sum for each position; 0 of one that lies beside the image.
    """
    # Masks are what no release of photutils 3 has deprecated.
    masks = apertures.to_mask(method="exact")
    parts = [mask.multiply(image) for mask in ([masks] if apertures.isscalar else masks)]
    return np.array([0.0 if part is None else part.sum() for part in parts])
