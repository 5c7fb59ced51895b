"""Clipped means of draws, which are not normal, and how many of them look."""

from dataclasses import dataclass

import numpy as np

from miri_background.validation.prediction.pixel_statistics import clipped_mean, clipped_scatter

__all__ = ["DrawnMeans"]

_BATCHES = 50  # of draws, between which an error shows itself


@dataclass(frozen=True)
class DrawnMeans:
    """Clipped means of draws, which are not normal, and how many of them look.

    Parameters
    ----------
    clipped, plain : ndarray
        Clipped and plain means of the same draws, shape (draws,).
    normal : ndarray
        As many standard normal draws.
    mixed : bool
        Whether noise or sky differ from exposure to exposure.
    uneven : bool
        Whether skies do.
    """

    clipped: np.ndarray
    plain: np.ndarray
    normal: np.ndarray
    mixed: bool
    uneven: bool

    def in_sight(self, other):
        """Return how much of its standard deviation a difference shows that is clipped itself.

        A clipped mean is not normal: it is further off where a value is clipped, and where the
        noisiest of exposures that differ in noise is not.

        Parameters
        ----------
        other : float
            Standard deviation of normal noise that the mean is subtracted from.

        Returns
        -------
        part : float
            `clipped_scatter` over standard deviation; 1 for normal noise.
        uncertainty : float
            Relative error of `clipped_scatter` over that of as many normal values.
        """
        # The plain mean of the same draws is normal: what chance gives to it, it gives to both.
        clipped, plain = (other * self.normal + each for each in (self.clipped, self.plain))
        part = float(_clipped_part(clipped) / _clipped_part(plain))
        # Batches do not tell the spread of exposures with one noise from that of normal values.
        return part, float(_spread(clipped) / _spread(plain)) if self.mixed else 1.0

    def mean_in_sight(self, other=0.0):
        """Return by how much the mean that clipping leaves of many pixels is off the real one.

        Where skies differ, clipped means are not distributed symmetrically: of those that are far
        off, most are on one side.

        Parameters
        ----------
        other : float, optional
            Standard deviation of normal noise that is added to each.

        Returns
        -------
        float
            In the unit of the noise; 0 where skies do not differ.
        """
        if not self.uneven:
            return 0.0
        # What chance gives to the plain mean of the same draws is taken off.
        clipped, normal = (
            clipped_mean(other * self.normal + each - each.mean())[0]
            for each in (self.clipped, self.plain)
        )
        return float(clipped - normal)


def _clipped_part(values):
    """Return clipped scatter over standard deviation."""
    return clipped_scatter(values) / values.std()


def _spread(values):
    """Return the relative spread of the clipped scatter of batches."""
    batches = np.array([clipped_scatter(each) for each in np.array_split(values, _BATCHES)])
    return batches.std() / batches.mean()
