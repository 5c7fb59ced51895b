"""What clipping theory expects of the step on a scene, without the step."""

import numpy as np

from miri_background.advice.sigma_table import clipped
from miri_background.campaign.light import field_light
from miri_background.campaign.scores import LIT
from miri_background.validation.prediction.clipping_theory import Clipping

__all__ = ["expected_holes", "expected_noise"]


def expected_holes(scene, sigma, maxiters=None):
    """Return how much light of background sources clipping should leave as holes.

    Parameters
    ----------
    scene : Scene
        What is seen.
    sigma : float
        Threshold of the step.
    maxiters : int, optional
        Most iterations.

    Returns
    -------
    float
        Percent of the light in a plain mean, as the score `holes` has it; not a number where
        there is no light.
    """
    light = [each.sources for each in field_light(scene, "background")]
    plain = np.mean(light, axis=0)
    lit = plain > LIT * scene.pixel_noise
    if not lit.any():
        return np.nan
    noise = scene.noise_of("background")
    # Photons of the source add to the noise of the pixels that have them.
    of_source = [each[lit] for each in light]
    scatter = [scene.noise_of("background", each) for each in of_source]
    clipping = Clipping(len(light), sigma, maxiters, noise)
    leak, _ = clipping.leak(of_source, scatter)
    return float(100 * leak.sum() / plain[lit].sum())


def expected_noise(count, sigma, maxiters=None):
    """Return the noise of a subtracted image over that with the true background subtracted.

    Parameters
    ----------
    count : int
        Backgrounds, read as the science exposure is.
    sigma : float
        Threshold of the step.
    maxiters : int, optional
        Most iterations.

    Returns
    -------
    float
        On empty sky.
    """
    price = 1 + clipped(count, sigma, 1.0, maxiters=maxiters)[2] / 100
    return float(np.sqrt(1 + price**2 / count))
