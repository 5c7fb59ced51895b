"""Ways that look at the science exposure itself: rows, columns, boxes."""

import warnings
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from miri_background.campaign.rates import Rate
from miri_background.campaign.ways.exposures import Step
from miri_background.campaign.ways.masking import (
    found_sources,
    smooth_background,
    usable_pixels,
)
from miri_background.campaign.ways.way import Maxiters, Sigma, Subtracted, Way

__all__ = ["Boxes", "RowsAndColumns"]


class RowsAndColumns(Way):
    """The step, and then the median of each row and of each column without sources."""

    source: ClassVar[str] = (
        "Alberts et al. 2024 (SMILES, ApJ 976, 224) and Yang et al. 2023 (CEERS, ApJL 956, L12): "
        "stripes are removed by medians of rows and columns with sources masked"
    )

    kind: Literal["rows and columns"] = "rows and columns"
    sigma: Sigma = 3.0
    maxiters: Maxiters = None
    rows: bool = True
    columns: bool = True

    @property
    def words(self):
        """The way with its parameters."""
        lines = [name for name in ("rows", "columns") if getattr(self, name)]
        return f"step, sigma {self.sigma:g}, then {' and '.join(lines) or 'nothing'}"

    def subtract(self, taken):
        """Return the subtracted science exposures without the medians of their lines."""
        subtracted = Step(sigma=self.sigma, maxiters=self.maxiters).subtract(taken)
        return [replace(each, data=self._filtered(each)) for each in subtracted]

    def _filtered(self, image):
        """Return an image less the medians of its rows and columns."""
        rate = Rate(image.data, image.err, image.dq)
        empty = usable_pixels(rate) & ~found_sources(rate)
        data = image.data.astype(float)
        for wanted, axis in ((self.rows, 1), (self.columns, 0)):
            if not wanted:
                continue
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                lines = np.nanmedian(np.where(empty, data, np.nan), axis=axis, keepdims=True)
            # A line of which nothing is left stays as it is.
            data = data - np.where(np.isfinite(lines), lines, 0.0)
        return data


class Boxes(Way):
    """The background of the science exposure itself, from medians of boxes."""

    source: ClassVar[str] = (
        "photutils documentation, Background2D: sigma-clipped medians in boxes, sources masked; "
        "here on flat-fielded images"
    )

    kind: Literal["boxes"] = "boxes"
    box: Annotated[int, Field(ge=8, le=256)] = 32
    filter_size: Annotated[int, Field(ge=1, le=15)] = 3
    mask: bool = True

    @property
    def words(self):
        """The way with its parameters."""
        return f"boxes of {self.box} pixels{'' if self.mask else ', no mask'}"

    def subtract(self, taken):
        """Return the science exposures less their own smooth backgrounds."""
        results = []
        # On flat-fielded images, as people do: the pattern of the flat is no smooth background.
        flat = np.where(taken.flat > 0, taken.flat, 1.0)
        for rate in taken.science:
            masked = ~np.isfinite(rate.data)
            if self.mask:
                masked = masked | found_sources(rate)
            below = smooth_background(rate.data / flat, masked, self.box, self.filter_size)
            results.append(Subtracted(rate.data - below * flat, rate.err, rate.dq, []))
        return results
