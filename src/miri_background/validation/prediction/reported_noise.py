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
    """

    def __init__(self, science, backgrounds, noises, levels, costs):
        self._images = [*science, *backgrounds]
        self._science = len(science)
        self._noises, self._levels, self._costs = noises, levels, costs

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
            Of reads and of photons on empty sky, (DN/s)^2, shape (rows, columns).
        """
        return self._noises[number].known_variances(self._levels[number])

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

    @cached_property
    def _combined_variance(self):
        """Variance of the combined background that follows from the errors of the rates."""
        backgrounds = zip(
            self._costs, self._images[self._science :], self.parts[self._science :], strict=True
        )
        return sum(
            cost * (image.err.astype(float) / part) ** 2 for cost, image, part in backgrounds
        )

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
        """Return the noise of a residual as `of_residual`, without what a pixel's own noise is in.

        A pixel's own reported error depends on its own noise: divided by it, noise would not be
        normal any more.  Its mean over each region is taken, and from pixel to pixel it varies
        as the reads do.

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
            DN/s, shape (rows, columns); 1 outside the regions.
        """
        predicted = self.of_residual(number)
        typical = self._typical_variance(number) + self._typical_of_combined
        smooth = np.ones(predicted.shape)
        for region in regions:
            inside = judged & region.mask()
            if not inside.any():
                continue
            mean = np.mean(predicted[inside] ** 2) - self._photon_excess(number, inside)
            relative = typical[region.slices] / np.nanmean(typical[inside])
            smooth[region.slices] = np.sqrt(mean * np.where(np.isfinite(relative), relative, 1.0))
        return smooth

    @cached_property
    def _alike(self):
        """Of each exposure, the first that is read in the same way on the same sky."""
        pairs = list(zip(self._noises, self._levels, strict=True))
        return [pairs.index(pair) for pair in pairs]

    def _typical_variance(self, number):
        """Return the variance of an exposure from each pixel's reads and the photons of all."""
        first = self._alike[number]
        known = self.known_variances(first)
        if known is None:
            reported = self._images[first].variances
            known = reported["VAR_RNOISE"].astype(float), np.nanmedian(reported["VAR_POISSON"])
        return known[0] + known[1]

    @cached_property
    def _typical_of_combined(self):
        """The same of the combined background, (DN/s)^2, shape (rows, columns)."""
        firsts = self._alike[self._science :]
        typical = {first: self._typical_variance(first) for first in dict.fromkeys(firsts)}
        return self._of_backgrounds(typical[first] for first in firsts)

    def _photon_excess(self, number, judged):
        """Return by how much reported photon variances raise `of_residual` on average.

        The ramp fit takes the photons from the ramp itself, and none where its slope is
        negative: of faint ramps, the variance that it reports is too large on average.  By how
        much follows from the detector, not from what is reported: so chance is not taken off,
        and a pipeline that reports something else is not forgiven.

        Parameters
        ----------
        number : int
            Science exposure, from 0.
        judged : ndarray of bool
            Pixels that are averaged.

        Returns
        -------
        float
            Variance of a residual, (DN/s)^2; 0 where the detector is not known.
        """
        excess = {
            first: self._excess_of_rate(first, judged) for first in dict.fromkeys(self._alike)
        }
        of_exposures = [excess[first] for first in self._alike]
        return of_exposures[number] + self._of_backgrounds(of_exposures[self._science :])

    def _excess_of_rate(self, number, judged):
        """Return what a rate on empty sky contributes to `_photon_excess`, before averaging."""
        known = self.known_variances(number)
        if known is None:
            return 0.0
        photons = float(np.nanmean(known[1][judged]))
        return photons * (self.reported_photons(number) - 1) / self.parts[number] ** 2
