"""An extended nebula: a smooth random field on the sky, the same in all exposures of a field."""

from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import SHAPE
from miri_background.observation import FIELDS

__all__ = ["nebula_brightness"]

# Power of the logarithm of the brightness over spatial frequency: that of Galactic cirrus is
# -2.9 +- 0.2 (Miville-Deschenes et al. 2007, A&A 469, 595).
_SPECTRAL_SLOPE = -2.9
_CONTRAST = 0.5  # scatter of the logarithm: most places have from 0.5 to 1.5 of the mean
_SAMPLES = 512  # along each side
_STEP = 0.5  # arcsec: 256 arcsec in all, more than twice the array
_SMOOTH = 1.0  # arcsec, Gaussian width: no structure is finer, so that the image needs no optics
_STREAM = 10  # spawn key of the random stream, behind that of the field


@lru_cache(maxsize=2)
def _structure(seed, field):
    """Return the brightness on a square of sky in units of its mean."""
    sequence = np.random.SeedSequence(seed, spawn_key=(FIELDS.index(field), _STREAM))
    white = np.random.default_rng(sequence).standard_normal((_SAMPLES, _SAMPLES))
    along = np.fft.fftfreq(_SAMPLES, _STEP)
    frequency = np.hypot(*np.meshgrid(along, along))
    frequency[0, 0] = np.inf  # the mean is set below
    amplitude = frequency ** (_SPECTRAL_SLOPE / 2)
    frequency[0, 0] = 0.0
    amplitude *= np.exp(-2 * (np.pi * frequency * _SMOOTH) ** 2)
    field = np.fft.ifft2(np.fft.fft2(white) * amplitude).real
    bright = np.exp(_CONTRAST * field / field.std())
    return bright / bright.mean()


def nebula_brightness(observation, field, where):
    """Return the brightness of a field's nebula in one dither.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    where : Pointing
        The dither: the nebula is fixed to the sky.

    Returns
    -------
    ndarray
        MJy/sr, full array.  The mean over a square of 256 arcsec is that of the parameter.
    """
    aperture, read = imager_aperture(), where.window
    y, x = np.indices(SHAPE, dtype=float, sparse=True)
    moved = aperture.ideal_to_v2v3_matrix @ (where.x_offset, where.y_offset)
    offsets = [
        (along - reference + by) / _STEP + _SAMPLES / 2
        for along, reference, by in zip(
            aperture.pixel_to_v2v3(x, y), (read.v2_ref, read.v3_ref), moved, strict=True
        )
    ]
    structure = _structure(observation.seed, field)
    mean = getattr(observation, f"{field}_nebula")
    return mean * map_coordinates(structure, offsets, order=3, mode="grid-wrap")
