"""Charge that goes to a neighbour of a fuller pixel: the brighter-fatter effect."""

import numpy as np

from miri_background.instrument.detector import counted_groups, full_well, reference_pixels

__all__ = ["ChargeMigration", "charge_migration"]

_LEAST_FILLED = 0.005  # of the well, by which the ends of two ramps differ: less passes on nothing
_STEP = 2.0**-12  # electron, of expected charge: draws do not depend on rounding


class ChargeMigration:
    """New charge of pixels that are fuller than their neighbours, which comes to lie there.

    A full pixel has lost a part of its bias: charge that is made in it is collected by a
    neighbour with more bias instead (Argyriou et al. 2023, A&A 680, A96, on MIRI).  The part is
    proportional to the difference of the charges, so that the core of a bright star gets
    fainter, and its surroundings brighter, as a ramp goes on.

    Parameters
    ----------
    rate : ndarray
        Expected electrons per second in each pixel that is read.
    readout : Readout
        How the exposure is read.
    part : float
        Of the new charge of a full pixel, what each of its four neighbours gets if it is empty.
    """

    def __init__(self, rate, readout, part):
        read = readout.window
        self._part, self._readout = part, readout
        self._well = read.cut(full_well()).ravel()
        self._fuller, self._emptier = self._pairs(rate, read.cut(reference_pixels()))
        self._counted = counted_groups(readout.groups, readout.integrations)
        self._moved = np.zeros(rate.size)

    def _pairs(self, rate, blind):
        """Return the flat indices of the fuller and of the emptier pixels of neighbours."""
        final = np.minimum(rate.ravel() * self._readout.integration_time, self._well)
        filled = final / self._well
        number = np.arange(rate.size).reshape(rate.shape)
        found = []
        for one, other in ((number[:-1], number[1:]), (number[:, :-1], number[:, 1:])):
            first, second = one.ravel(), other.ravel()
            difference = filled[first] - filled[second]
            seen = (np.abs(difference) > _LEAST_FILLED) & ~(
                blind.ravel()[first] | blind.ravel()[second]
            )
            first, second, swapped = first[seen], second[seen], difference[seen] < 0
            found.append((np.where(swapped, second, first), np.where(swapped, first, second)))
        return (np.concatenate(each) for each in zip(*found, strict=True))

    def expected(self, expected, collected, integration, group):
        """Return the expected new charge of a group with what passes from pixel to pixel.

        Parameters
        ----------
        expected : ndarray
            Electrons that arrive in the group.
        collected : ndarray
            Electrons that are there.
        integration, group : int
            Numbers from 0.

        Returns
        -------
        ndarray
            Electrons; their sum is that of what arrives.
        """
        arriving, held = expected.ravel(), collected.ravel()
        lead = (held[self._fuller] - held[self._emptier]) / self._well[self._fuller]
        flow = self._part * np.clip(lead, 0.0, 1.0) * arriving[self._fuller]
        flow = np.rint(flow / _STEP) * _STEP
        size = arriving.size
        moved = np.bincount(self._emptier, flow, size) - np.bincount(self._fuller, flow, size)
        if group in self._counted[integration]:
            self._moved += moved
        return (arriving + moved).reshape(expected.shape)

    @property
    def rate(self):
        """Rate by which slopes differ, electron / s, mean of the fitted groups."""
        time = sum(map(len, self._counted)) * self._readout.frame_time
        return self._moved.reshape(self._readout.window.shape) / time


def charge_migration(observation, rate, readout):
    """Return what passes charge on in an exposure, None where nothing does.

    Parameters
    ----------
    observation : Observation
        Its `brighter_fatter` is the part of the charge.
    rate : ndarray
        Expected electrons per second.
    readout : Readout
        How the exposure is read.

    Returns
    -------
    ChargeMigration or None
        Of this exposure alone, as it counts what has moved.
    """
    if observation.brighter_fatter == 0:
        return None
    return ChargeMigration(rate, readout, observation.brighter_fatter / 100)
