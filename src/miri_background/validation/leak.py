"""What clipping theory predicts: how much of a source stays in the average of backgrounds.

A star that dithers over the array is bright in one exposure of n at any pixel.
Clipping removes it where it stands out far enough: for n values of which one is
high, the most it can stand out is n / sqrt(n - 1) population standard deviations,
2.309 for n = 4.  How much stays in between depends on noise, so it is computed by
clipping noise that is drawn around the true rates.
"""

import numpy as np

from miri_background.validation.clipping import sigma_clipped_mean

__all__ = ["predicted_leak"]

# Sources below this part of the noise in every exposure are averaged like the sky:
# by symmetry each of n values has weight 1/n where none stands out.
_FAINT = 0.1
_DRAWS = 120
_SEED = 20260101  # of the prediction: another seed changes it by a small part of its error


def predicted_leak(sources, sky_noise, photon_time, sigma, maxiters):
    """Return the expected source light in the sigma-clipped mean of backgrounds.

    Parameters
    ----------
    sources : ndarray
        True source rates, DN/s, shape (exposures, rows, columns).
    sky_noise : float
        Standard deviation of a rate on empty sky, DN/s.
    photon_time : float
        A source's rate over the variance that its photons give to it, (DN/s) / (DN/s)^2.
    sigma : float
        Clipping threshold of the step.
    maxiters : int
        Clipping iterations of the step.

    Returns
    -------
    leak : ndarray
        Expected source light in the mean, DN/s, shape (rows, columns).
    variance : ndarray
        Variance of the mean in one realisation, (DN/s)^2.
    """
    count = len(sources)
    leak = sources.mean(axis=0)
    generator = np.random.default_rng(_SEED)
    # On empty sky: how much more scatter the clipped mean has than the plain one.
    empty = sigma_clipped_mean(generator.normal(0.0, sky_noise, (count, 100_000)), sigma, maxiters)
    variance = np.full(leak.shape, empty.var())
    bright = sources.max(axis=0) > _FAINT * sky_noise
    light = sources[:, bright]
    scatter = np.sqrt(sky_noise**2 + np.maximum(light, 0.0) / photon_time)
    total, squares = np.zeros(light.shape[1]), np.zeros(light.shape[1])
    for _ in range(_DRAWS):
        mean = sigma_clipped_mean(
            light + scatter * generator.standard_normal(light.shape), sigma, maxiters
        )
        total += mean
        squares += mean**2
    leak[bright] = total / _DRAWS
    # The prediction's own scatter is part of what a comparison with it can tell.
    spread = (squares / _DRAWS - leak[bright] ** 2) * _DRAWS / (_DRAWS - 1)
    variance[bright] = spread * (1 + 1 / _DRAWS)
    return leak, variance
