"""What resampling makes of the exposures of a mosaic: a weighted mean, and so a matrix.

Each pixel of the mosaic is the mean of the exposures' pixels that overlap it, weighted by the part
of their area on it and by a weight of their own.  Written as sparse matrices, one for each
exposure, that gives the mosaic of any images, the variance of any sum over it, and how much the
noise of neighbours has in common.
"""

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.sparse import csr_array, diags_array

from miri_background.outcomes import CannotJudge
from miri_background.validation.mosaic.overlaps import overlap_areas

__all__ = ["Resampling", "member_weights"]

# In the order in which stcal's get_tmeasure takes them.
_EXPOSURE_TIMES = ("TMEASURE", "EFFEXPTM", "XPOSURE")


def member_weights(member, kind):
    """Return the weights of an exposure's pixels.

    Parameters
    ----------
    member : Member
        The exposure.
    kind : str
        "ivm" for the inverse variance of the read noise, "exptime" for the time.

    Returns
    -------
    ndarray
        Zero where a pixel does not go into the mosaic.
    """
    if kind == "ivm" and "VAR_RNOISE" in member.variances:
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = 1.0 / member.variances["VAR_RNOISE"].astype(float)
        weight[~np.isfinite(weight)] = 0.0
    else:
        headers = (member.extension, member.header)
        times = [each[name] for name in _EXPOSURE_TIMES for each in headers if name in each]
        weight = np.full(member.data.shape, float(times[0]) if times and kind == "exptime" else 1.0)
    return np.where(member.usable, weight, 0.0)


class Resampling:
    """How the pixels of the exposures become those of the mosaic.

    Parameters
    ----------
    mosaic : Mosaic
        With all its exposures.

    Raises
    ------
    CannotJudge
        If it has no exposures beside it, or no part of a pixel is what it was made with.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the mosaic.
    parts : list of scipy.sparse.csr_array
        Of each exposure, shape (pixels of the mosaic, pixels of the exposure): how much each of
        its pixels counts.  All rows of all exposures together add up to 1, or to 0 where the
        mosaic has no value.
    weight : ndarray
        Sum of the weights, as the pipeline writes it.
    inside : ndarray of bool
        Pixels of the mosaic that no exposure's pixel reaches that also crosses the edge of the
        grid: the pipeline cuts those, or leaves them out.
    """

    def __init__(self, mosaic):
        _require_known(mosaic)
        self.shape = mosaic.data.shape
        kind = mosaic.header.get("RESWHT", "ivm")
        shares, reaches = zip(
            *(self._shares(mosaic, member, kind) for member in mosaic.members), strict=True
        )
        reach = int(np.ceil(max(reaches)))
        self.inside = np.zeros(self.shape, dtype=bool)
        self.inside[reach:-reach, reach:-reach] = True
        total = sum(share.sum(axis=1) for share in shares)
        self.weight = total.reshape(self.shape)
        with np.errstate(divide="ignore"):
            inverse = np.where(total > 0, 1 / total, 0.0)
        self.parts = [csr_array(diags_array(inverse) @ share) for share in shares]

    def _shares(self, mosaic, member, kind):
        """Return the weight that each pixel of an exposure brings to each of the mosaic.

        And how far one reaches at most, in pixels of the mosaic.
        """
        weight = member_weights(member, kind)
        x, y = mosaic.wcs.wcs_world2pix(*member.corners, 0)
        fraction = float(mosaic.header.get("PIXFRAC", 1.0))
        areas = overlap_areas(x, y, weight > 0, self.shape, fraction)
        # Of its own area: a pixel has its weight once, however large the mosaic's are.
        own = _area_of(x, y).ravel() * fraction**2
        share = csr_array(areas @ diags_array(weight.ravel() / own))
        return share, max(_longest(x, y), _longest(x[::-1], y[::-1]))

    def of(self, images):
        """Return the mosaic of images of the exposures.

        Parameters
        ----------
        images : iterable of ndarray
            One for each exposure; what is not finite has no weight.

        Returns
        -------
        ndarray
            Shape of the mosaic; 0 where no exposure counts.
        """
        flat = sum(
            part @ np.nan_to_num(image.ravel().astype(float), posinf=0, neginf=0)
            for part, image in zip(self.parts, images, strict=True)
        )
        return flat.reshape(self.shape)

    def others(self, mosaic, number):
        """Return how many other exposures see each pixel of an exposure and its neighbours.

        Parameters
        ----------
        mosaic : Mosaic
            With its exposures.
        number : int
            Member of the mosaic, from 0.

        Returns
        -------
        ndarray of int
            The fewest on 3 by 3 pixels of the mosaic; shape of the exposure.
        """
        parts = (part for other, part in enumerate(self.parts) if other != number)
        depth = sum((part.sum(axis=1) > 0).astype(int) for part in parts)
        fewest = minimum_filter(depth.reshape(self.shape), 3, mode="constant")
        x, y = mosaic.wcs.wcs_world2pix(*mosaic.members[number].corners, 0)
        # The middle of a pixel is that of two corners across.
        column, row = (np.rint((each[1:, 1:] + each[:-1, :-1]) / 2).astype(int) for each in (x, y))
        on = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        return np.where(on, fewest[np.where(on, row, 0), np.where(on, column, 0)], 0)

    def variance(self, variances):
        """Return the variance of each pixel of the mosaic, of independent pixels.

        Parameters
        ----------
        variances : iterable of ndarray
            One for each exposure.

        Returns
        -------
        ndarray
            Shape of the mosaic.
        """
        flat = sum(
            part.multiply(part) @ np.nan_to_num(each.ravel().astype(float), posinf=0, neginf=0)
            for part, each in zip(self.parts, variances, strict=True)
        )
        return flat.reshape(self.shape)

    def of_sums(self, sums):
        """Return how much each pixel of each exposure counts in weighted sums over the mosaic.

        Parameters
        ----------
        sums : scipy.sparse.sparray or ndarray
            Shape (sums, pixels of the mosaic).

        Returns
        -------
        list of scipy.sparse.csr_array
            Of each exposure, shape (sums, pixels of the exposure).
        """
        return [csr_array(sums) @ part for part in self.parts]


def _longest(x, y):
    """Return the longest of the diagonals between corners, from one to that after it."""
    return float(np.nanmax(np.hypot(x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1])))


def _area_of(x, y):
    """Return the areas of the quadrilaterals between corners (shoelace formula)."""
    dx1, dy1 = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
    dx2, dy2 = x[1:, :-1] - x[:-1, 1:], y[1:, :-1] - y[:-1, 1:]
    return np.abs(dx1 * dy2 - dx2 * dy1) / 2


def _require_known(mosaic):
    """Refuse a mosaic whose exposures are not there, or that no such kernel has made."""
    found = {member.path.name for member in mosaic.members}
    missing = [name for name in mosaic.named if name not in found]
    if missing or not mosaic.members:
        what = missing[0] if missing else "any exposure (*_crf.fits)"
        msg = f"{mosaic.path} has not {what} beside it: save the results of outlier_detection, too."
        raise CannotJudge(msg)
    fraction = mosaic.header.get("PIXFRAC", 1.0)
    if not (isinstance(fraction, (int, float)) and 0 < fraction <= 1):
        msg = f"{mosaic.path} has PIXFRAC = {fraction}, and a part of a pixel is needed."
        raise CannotJudge(msg)
