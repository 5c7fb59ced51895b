"""What rates report of their noise, and by how much a residual should scatter by it."""

from functools import cached_property

import numpy as np

__all__ = ["ReportedNoise"]


class ReportedNoise:
    """The noise of residuals that follows from the errors of the rates.

    Parameters
    ----------
    science, backgrounds : list of Image
        Two-dimensional rates.
    noises : list of RateNoise
        How each exposure scatters, science first; one object for all that are read in one way.
    levels : list of float
        Rate of the sky of each, DN/s.
    costs : list of float
        By what factor the variance of each background counts in the combined background.
    known_rates : callable, optional
        Of the number of an exposure, returns what each pixel sees, DN/s, where it is known:
        fields of the coronagraphs see less of the sky, and wings of sources are faint light.
    """

    def __init__(self, science, backgrounds, noises, levels, costs, known_rates=None):
        self._images = [*science, *backgrounds]
        self._science = len(science)
        self._noises, self._levels, self._costs = noises, levels, costs
        self._is_known = known_rates is not None
        self._known_rates = known_rates or levels.__getitem__

    def _of_backgrounds(self, values):
        """Return what values of the backgrounds are for their average."""
        return sum(cost * each for cost, each in zip(self._costs, values, strict=True))

    @cached_property
    def parts(self):
        """Of each exposure, which part of its scatter the pipeline reports, science first."""
        pairs = list(zip(self._noises, self._levels, strict=True))
        found = {pair: pair[0].reported_part(pair[1]) for pair in dict.fromkeys(pairs)}
        return [found[pair] for pair in pairs]

    def known_variances(self, number):
        """Return what a known detector gives to the variance of a rate, None of an unknown one.

        Parameters
        ----------
        number : int
            Exposure, from 0, science first.

        Returns
        -------
        tuple of ndarray or None
            Of reads and of photons, (DN/s)^2, shape (rows, columns).
        """
        return self._noises[number].known_variances(self._known_rates(number))

    def reported_photons(self, number):
        """Return what a correct pipeline reports of photons on empty sky, over what there are."""
        return self._photons_of_ways[self._alike[number]]

    @cached_property
    def _photons_of_ways(self):
        """Of the first exposure of each way on each sky, what `reported_photons` returns."""
        return {
            first: self._noises[first].reported_photons(self._levels[first])
            for first in dict.fromkeys(self._alike)
        }

    def _reported_variance(self, number):
        """Return the variance of a rate that follows from its reported error, (DN/s)^2."""
        return (self._images[number].err.astype(float) / self.parts[number]) ** 2

    @cached_property
    def _combined_variance(self):
        """The same of the combined background."""
        backgrounds = range(self._science, len(self._images))
        return self._of_backgrounds(map(self._reported_variance, backgrounds))

    def of_residual(self, number):
        """Return the noise of a residual that follows from the reported errors of the rates.

        Parameters
        ----------
        number : int
            Science exposure, from 0.

        Returns
        -------
        ndarray
            DN/s: of the science exposure and of the combined background.
        """
        own = self._images[number].err / self.parts[number]
        return np.sqrt(own**2 + self._combined_variance)

    def smooth(self, number, regions, judged):
        """Return the noise of a residual, without what a pixel's own noise is in.

        A pixel's own reported error depends on its own noise: divided by it, noise would not be
        normal any more.  Its mean over each region is taken, and from pixel to pixel it varies
        as the reads do.  Of a known detector, the noise of each pixel is known.

        Parameters
        ----------
        number : int
            Science exposure, from 0.
        regions : list of Region
            Where to average.
        judged : ndarray of bool
            Pixels that are averaged.

        Returns
        -------
        ndarray
            DN/s, shape (rows, columns); 1 where it is not known.
        """
        variance = self._variance(number) + self._variance_of_combined
        if self._is_known:
            return np.sqrt(np.where(judged, variance, 1.0))
        typical = self._typical_variance(number) + self._typical_of_combined
        smooth = np.ones(variance.shape)
        for region in regions:
            inside = judged & region.mask()
            if not inside.any():
                continue
            relative = typical[region.slices] / np.nanmean(typical[inside])
            mean = np.mean(variance[inside])
            smooth[region.slices] = np.sqrt(mean * np.where(np.isfinite(relative), relative, 1.0))
        return smooth

    def _variance(self, number):
        """Return the variance of a rate on empty sky, (DN/s)^2, shape (rows, columns).

        Of a known detector, that of whole ramps is known.  What hits left of the others, only
        their errors say: by these, their variance is larger than that of whole ramps.
        """
        reported = self._reported_variance(number)
        if not self._is_known:
            return reported
        known = sum(self.known_variances(number)) / self.parts[number] ** 2
        whole = (self._images[number].dq == 0) & np.isfinite(reported) & np.isfinite(known)
        if not whole.any():
            return reported
        excess = np.sum(reported[whole]) / np.sum(known[whole])
        return np.where(whole, known, reported / excess)

    @cached_property
    def _variance_of_combined(self):
        """The same of the combined background, (DN/s)^2, shape (rows, columns)."""
        if not self._is_known:
            return self._combined_variance
        return self._of_backgrounds(map(self._variance, range(self._science, len(self._images))))

    @cached_property
    def _alike(self):
        """Of each exposure, the first that is read in the same way on the same sky."""
        pairs = list(zip(self._noises, self._levels, strict=True))
        return [pairs.index(pair) for pair in pairs]

    def _typical_variance(self, number):
        """Return the variance of an exposure from each pixel's reads and the photons of all."""
        reported = self._images[self._alike[number]].variances
        return reported["VAR_RNOISE"].astype(float) + np.nanmedian(reported["VAR_POISSON"])

    @cached_property
    def _typical_of_combined(self):
        """The same of the combined background, (DN/s)^2, shape (rows, columns)."""
        firsts = self._alike[self._science :]
        typical = {first: self._typical_variance(first) for first in dict.fromkeys(firsts)}
        return self._of_backgrounds(typical[first] for first in firsts)
