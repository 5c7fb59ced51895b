"""What the suite predicts of a trial: how rates scatter, and what pulls averages have."""

import math
from dataclasses import dataclass

import numpy as np

from miri_background.fixes.scores import Value
from miri_background.instrument.readout import subarrays
from miri_background.validation.prediction.clipping import kept_values
from miri_background.validation.prediction.rate_noise import RateNoise, read_in_one_way

__all__ = ["Noise", "noise_of", "predicted_pulls"]

_DRAWS = 200_000  # of pixels: a standard deviation is certain to two parts in a thousand
_SEED = 20261127  # of the prediction


@dataclass(frozen=True)
class Noise:
    """How the rates of one readout scatter on empty sky.

    Parameters
    ----------
    scatter : float
        Standard deviation, DN/s; root mean square of all pixels.
    reported : float
        Which part of it the pipeline reports as the error.
    common : float
        Variance that all pixels of a rate share, (DN/s)^2.
    offset : float
        By how much slopes are too high on average, DN/s: weights are chosen by the ramp itself.
    """

    scatter: float
    reported: float
    common: float
    offset: float


def noise_of(image, clean, sky):
    """Return the noise of a rate of the embedded detector.

    Parameters
    ----------
    image : Image
        The rate, with its variances.
    clean : ndarray of bool
        Pixels of empty sky, shape (rows, columns).
    sky : float
        True rate of the sky, DN/s.

    Returns
    -------
    Noise
        From the known detector; the values of the rate decide nothing.
    """
    frame = subarrays()[image.header["SUBARRAY"].strip()]
    found = RateNoise(read_in_one_way(image), image, clean, sky, frame)
    reads, photons = found.known_variances(sky)
    reported = found.reported_part(sky)
    return Noise(
        float(np.sqrt(np.mean((reads + photons)[clean]))) / reported,
        reported,
        float(found.common_variance),
        float(found.with_slope_offset(sky) - sky),
    )


def predicted_pulls(count, sigma, maxiters, science, background):
    """Return the pulls that averages and differences should have.

    Normal noise is drawn and clipped, by the suite's own clipping.

    Parameters
    ----------
    count : int
        Backgrounds that are averaged.
    sigma : float
        Clipping threshold.
    maxiters : int or None
        Clipping iterations.
    science, background : Noise
        Of the rates.

    Returns
    -------
    dict of Value
        "combined" is the average of the backgrounds; "science" and "quadrature" the difference
        with the error of the science exposure alone, and in quadrature; "noise" is the standard
        deviation of the difference, DN/s.
    """
    generator = np.random.default_rng(_SEED)
    drawn = generator.standard_normal((count, _DRAWS)) * background.scatter
    own = generator.standard_normal(_DRAWS) * science.scatter
    keep = kept_values(drawn, sigma, maxiters)[0] if count > 1 else np.ones(drawn.shape, bool)
    number = keep.sum(axis=0)
    average = np.where(keep, drawn, 0).sum(axis=0) / number
    reported = background.reported * background.scatter / np.sqrt(number)
    alone = science.reported * science.scatter
    found = {
        "combined": average / reported,
        "science": (own - average) / alone,
        "quadrature": (own - average) / np.hypot(alone, reported),
        "noise": own - average,
    }
    return {
        name: Value(float(each.std()), float(each.std()) / math.sqrt(2 * _DRAWS))
        for name, each in found.items()
    }
