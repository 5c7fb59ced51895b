"""Light of the observatory that the edges of the phase masks scatter: "glow sticks"."""

from functools import lru_cache

import numpy as np

from miri_background.instrument.detector import SHAPE
from miri_background.instrument.footprint import PHASE_ANGLE, phase_mask_centres, regions

__all__ = ["phase_mask_glow"]

# Gaussian width across the edge.  Boccaletti et al. (2022, A&A 667, A165) describe the light,
# along the horizontal edge between the quadrants; its width here is round, not measured.
_WIDTH = 4.0  # pixels


@lru_cache(maxsize=1)
def phase_mask_glow():
    """Return the shape of the glow along the horizontal edges of the three phase masks.

    The light comes from warm parts of the observatory outside of the beam, so that it is fixed
    to the detector and the same in both fields.

    Returns
    -------
    ndarray
        Full array, float64, read-only: brightness as part of its largest.
    """
    glow = np.zeros(SHAPE)
    y, x = np.indices(SHAPE, dtype=float, sparse=True)
    cosine, sine = np.cos(np.deg2rad(PHASE_ANGLE)), np.sin(np.deg2rad(PHASE_ANGLE))
    for name, (x_centre, y_centre) in phase_mask_centres().items():
        across = (y - y_centre) * cosine - (x - x_centre) * sine
        region = regions()[name].slices
        glow[region] = np.exp(-0.5 * (across / _WIDTH) ** 2)[region]
    glow.flags.writeable = False
    return glow
