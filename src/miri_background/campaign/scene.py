"""What the exposures of a campaign see: a frozen, validated description of two fields.

Brightness is given in units of the noise of one pixel in one science exposure, because that is
what sigma clipping and masks respond to.  A scene is a square of the detector, so that a case
takes about a second.
"""

from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from miri_background.instrument.detector import fitted_groups, gain, read_noise
from miri_background.instrument.footprint import regions
from miri_background.instrument.readout import Readout, Subarray, subarrays
from miri_background.instrument.throughput import SKY_LEVELS, electrons_per_surface_brightness
from miri_background.parameters import FILTERS, Description
from miri_background.validation.prediction.slopes import pipeline_weights, slope_noise

__all__ = ["FWHM", "MOST_EXPOSURES", "TARGETS", "Scene"]

MOST_EXPOSURES = 16  # of one field
_PIXEL = 0.11  # arcsec, JWST user documentation, "MIRI Imaging"

# Full width at half maximum of a point source, arcsec: JWST user documentation, "MIRI
# Performance", table of the imager's measured point-spread functions.
FWHM = {
    "F560W": 0.207,
    "F770W": 0.269,
    "F1000W": 0.328,
    "F1130W": 0.375,
    "F1280W": 0.420,
    "F1500W": 0.488,
    "F1800W": 0.591,
    "F2100W": 0.674,
    "F2550W": 0.803,
}

# What a science field has beside its stars.
TARGETS = ("point", "galaxy 1 arcsec", "galaxy 5 arcsec", "nebula", "none")


def _parameter(default, unit, meaning, **limits):
    """Return the field of a parameter."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class Scene(Description):
    """Two fields, how they are read, and the random seed of one realisation.

    Raises
    ------
    InvalidParameter
        From `Scene.create`, naming parameter, value and legal range.
    """

    filter: Literal[*FILTERS] = _parameter("F770W", "", "imaging filter")
    subarray: Literal["FULL", "SUB256"] = _parameter("FULL", "", "subarray that is read")
    size: int = _parameter(256, "pixels", "side of the square that is looked at", ge=96, le=640)
    groups: int = _parameter(40, "groups", "groups of science exposures", ge=6, le=100)
    background_groups: int = _parameter(
        0, "groups", "groups of background exposures; 0 for those of science", ge=0, le=100
    )
    exposures: int = _parameter(
        4, "exposures", "dithered science exposures", ge=1, le=MOST_EXPOSURES
    )
    backgrounds: int = _parameter(
        4, "exposures", "dithered exposures of the background field", ge=1, le=MOST_EXPOSURES
    )
    dither_step: float = _parameter(
        11.0, "FWHM", "distance of neighbouring dithers, of both fields", ge=0, le=30
    )
    target: Literal[*TARGETS] = _parameter("point", "", "whose flux is measured")
    contrast: float = _parameter(
        20.0, "pixel noise", "brightest pixel of a target in one exposure", gt=0, le=10_000
    )
    source_density: float = _parameter(20.0, "stars/arcmin2", "stars of both fields", ge=0, le=2000)
    source_contrast: float = _parameter(
        30.0, "pixel noise", "brightest pixel of the brightest star", ge=1, le=10_000
    )
    sky_level: float = _parameter(
        0.0, "MJy/sr", "sky of the science field; 0 for the filter's", ge=0, le=2000
    )
    sky_ratio: float = _parameter(
        100.0, "%", "sky of the background field over that of the science field", ge=10, le=1000
    )
    pattern: float = _parameter(
        2.0, "%", "part of the sky that has a pattern and is the same in both fields", ge=0, le=50
    )
    stripes: float = _parameter(
        0.0, "% of pixel noise", "rms of column offsets, other ones in each field", ge=0, le=500
    )
    cosmic_ray_rate: float = _parameter(
        28.0, "hits/s", "cosmic rays on the full array", ge=0, le=500
    )
    seed: int = _parameter(1, "", "random seed", ge=0, le=999_999_999)

    @model_validator(mode="after")
    def _is_possible(self):
        if 0 < self.background_groups < Scene.model_fields["groups"].metadata[0].ge:
            msg = f"background_groups = {self.background_groups} is neither 0 nor from 6 to 100"
            raise ValueError(msg)
        rows, columns = self._largest
        if self.size > min(rows, columns):
            msg = (
                f"size = {self.size} pixels is more than {self.subarray} has of the imager, "
                f"{min(rows, columns)} pixels"
            )
            raise ValueError(msg)
        return self

    @property
    def _largest(self):
        """Rows and columns of the imager in the subarray."""
        imager = regions(self.subarray)["imager"]
        return imager.y.stop - imager.y.start, imager.x.stop - imager.x.start

    @cached_property
    def window(self):
        """The square of the detector that is looked at, a `Subarray`, in the imager's middle."""
        read, imager = subarrays()[self.subarray], regions(self.subarray)["imager"]
        slices = []
        for whole, part in ((read.x, imager.x), (read.y, imager.y)):
            first = whole.start + (part.start + part.stop - self.size) // 2
            # Amplifiers and odd rows are told by their place in the array that is read.
            first -= (first - whole.start) % 4
            slices.append(slice(first, first + self.size))
        reference = (read.x_ref, read.y_ref, read.v2_ref, read.v3_ref)
        return Subarray(read.name, read.aperture, *slices, *reference)

    def readout(self, field):
        """Return how exposures of a field, "science" or "background", are read."""
        own = self.background_groups if field == "background" else 0
        return Readout(self.subarray, "FASTR1", own or self.groups, 1)

    @property
    def fwhm(self):
        """Width of a point source at half maximum, pixels."""
        return FWHM[self.filter] / _PIXEL

    @property
    def sky_electrons(self):
        """Sky of the science field in a pixel, electron / s."""
        level = self.sky_level or SKY_LEVELS[self.filter]
        return level * electrons_per_surface_brightness(self.filter)

    @cached_property
    def pixel_noise(self):
        """Standard deviation of a typical pixel of one science exposure on empty sky, DN/s."""
        return float(self.noise_of("science"))

    def noise_of(self, field, light=0.0):
        """Return the standard deviation of a typical pixel of one exposure, DN/s.

        Parameters
        ----------
        field : str
            "science" or "background".
        light : float or ndarray, optional
            Of sources, DN/s.

        Returns
        -------
        float or ndarray
            Shape of the light.
        """
        readout = self.readout(field)
        of_gain, reads = (float(np.median(each())) for each in (gain, read_noise))
        averaging = pipeline_weights(fitted_groups(readout.groups, 1))
        ratio = self.sky_ratio / 100 if field == "background" else 1.0
        rate = ratio * self.sky_electrons / of_gain + np.asarray(light)
        return slope_noise(rate, of_gain, reads, readout.frame_time, averaging)[0]

    def number(self, field):
        """Return how many exposures a field has."""
        return self.exposures if field == "science" else self.backgrounds

    def dithers(self, field):
        """Return the offsets of a field's exposures, pixels, shape (exposures, 2): rows, columns.

        A square spiral that is turned a little, so that sources sample pixels at many phases.
        """
        turned = np.deg2rad(14.0)
        rotation = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        places = np.array(_spiral(self.number(field)), dtype=float)
        places -= (places.max(axis=0) + places.min(axis=0)) / 2
        return places @ rotation.T * self.dither_step * self.fwhm


def _spiral(count):
    """Return the first places of a square spiral, each beside the one before."""
    y, x, places = 0, 0, [(0, 0)]
    side, direction = 1, 0
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    while len(places) < count:
        for _ in range(2):
            for _ in range(side):
                y, x = y + steps[direction][0], x + steps[direction][1]
                places.append((y, x))
            direction = (direction + 1) % 4
        side += 1
    return places[:count]
