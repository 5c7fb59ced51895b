"""Which pixels are judged: those that see empty sky in every exposure and that nothing flags."""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from miri_background.instrument.footprint import illuminated, regions
from miri_background.outcomes import CannotJudge
from miri_background.validation.products.frames import covered
from miri_background.validation.products.images import DO_NOT_USE, JUMP_DET, SATURATED

__all__ = ["USABLE_FLAGS", "Masks", "seen_pixels"]

# Pixels with any of these have no number to be judged by.
USABLE_FLAGS = DO_NOT_USE | SATURATED | JUMP_DET


@dataclass(frozen=True)
class Masks:
    """Boolean images of the pixels of the science exposures.

    Parameters
    ----------
    regions : dict of str to Region
        Regions of the subarray in which all exposures have pixels.
    lit : ndarray of bool
        Pixels of the subarray that see the sky, bad ones included.
    seen : ndarray of bool
        Those of them that are good in every background, and that each covers.
    clean_backgrounds : ndarray of bool
        Pixels that no background flags, and that no cosmic ray is known to have hit in one.
    usable : list of ndarray of bool
        Pixels, per science exposure, that no exposure flags, and that no cosmic ray is known to
        have hit.
    sky : ndarray of bool
        Pixels of `seen` that see no source of a background.
    empty : list of ndarray of bool
        Pixels of `sky`, per science exposure, that see no source of it either.
    """

    regions: dict
    lit: np.ndarray
    seen: np.ndarray
    clean_backgrounds: np.ndarray
    usable: list
    sky: np.ndarray
    empty: list

    def without_sources(self, science, backgrounds):
        """Return the masks without sources.

        Parameters
        ----------
        science, backgrounds : iterable of ndarray of bool
            Pixels of each exposure that see no source.

        Returns
        -------
        Masks
            With other `sky` and `empty`.

        Raises
        ------
        CannotJudge
            If a region has no empty sky.
        """
        sky = self.seen & reduce(np.logical_and, backgrounds)
        masks = replace(self, sky=sky, empty=[sky & pixels for pixels in science])
        masks.require_sky()
        return masks

    def without_hits(self, science, backgrounds):
        """Return the masks without pixels that are known to have been hit by cosmic rays.

        Most of them are flagged.  The charge of hits that are too faint for the jump step stays
        in the rates: with 167 s of bright sky, two parts in a hundred thousand.

        Parameters
        ----------
        science, backgrounds : list of ndarray of bool
            Pixels of each exposure that were hit.

        Returns
        -------
        Masks
            With other `clean_backgrounds` and `usable`.

        Raises
        ------
        CannotJudge
            If a region has no empty sky.
        """
        clean = self.clean_backgrounds & ~reduce(np.logical_or, backgrounds)
        usable = [each & clean & ~hit for each, hit in zip(self.usable, science, strict=True)]
        masks = replace(self, clean_backgrounds=clean, usable=usable)
        masks.require_sky()
        return masks

    def require_sky(self):
        """Refuse exposures of which a region has no pixel of empty sky."""
        for number, (empty, usable) in enumerate(zip(self.empty, self.usable, strict=True)):
            for region in self.regions.values():
                if not (empty & usable)[region.slices].any():
                    msg = (
                        f"{region.name} has no pixel of empty sky without a flag in science "
                        f"exposure {number + 1}: take fewer or fainter sources, or shorter "
                        "exposures."
                    )
                    raise CannotJudge(msg)

    @property
    def clean_sky(self):
        """Boolean image of empty sky without flag and known hit in any background."""
        return self.sky & self.clean_backgrounds


def seen_pixels(subarray, science, backgrounds):
    """Return the masks of exposures before any source is masked.

    Parameters
    ----------
    subarray : str
        Name of the subarray of the science exposures.
    science, backgrounds : list of Image
        Two-dimensional rates, backgrounds as the science exposures see them.

    Returns
    -------
    Masks
        All pixels that are seen count as empty sky.

    Raises
    ------
    CannotJudge
        If the backgrounds cover no region of the science exposures, or an exposure flags all
        pixels of a region.
    """
    # One after the other: a stack of a hundred exposures of the whole array has 400 MB.
    of_backgrounds = reduce(np.bitwise_or, (image.dq for image in backgrounds))
    clean = (of_backgrounds & USABLE_FLAGS) == 0
    # Where an error is not a number, or a background has no pixel, neither is any prediction.
    errors = (
        plane
        for image in backgrounds
        for plane in (image.err, *(image.variances[name] for name in sorted(image.variances)))
    )
    known = np.isfinite(sum(errors))
    lit = illuminated(subarray)
    seen = lit & ((of_backgrounds & DO_NOT_USE) == 0) & known
    everywhere = reduce(
        np.logical_and, (covered(image, science[0].header) for image in backgrounds)
    )
    found = {
        name: region
        for name, region in regions(subarray).items()
        if everywhere[region.slices].any()
    }
    if not found:
        msg = (
            f"{science[0].path} has no pixel in the imager or a coronagraph that all backgrounds "
            "have, too: name backgrounds of the same subarray, or of one that contains it."
        )
        raise CannotJudge(msg)
    usable = [everywhere & clean & ((image.dq & USABLE_FLAGS) == 0) for image in science]
    for region in found.values():
        if not all(each[region.slices].any() for each in usable):
            _refuse_flagged(region, (*science, *backgrounds))
    masks = Masks(found, lit, seen, clean, usable, seen, [seen] * len(science))
    masks.require_sky()
    return masks


def _refuse_flagged(region, images):
    """Refuse an exposure that flags every pixel of a region."""
    for image in images:
        if ((image.dq[region.slices] & USABLE_FLAGS) != 0).all():
            msg = (
                f"{image.path} flags every pixel of the {region.name} as DO_NOT_USE, SATURATED or "
                "JUMP_DET: look at its DQ array, and leave it out or make it anew."
            )
            raise CannotJudge(msg)
