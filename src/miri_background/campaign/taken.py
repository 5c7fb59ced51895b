"""Rates of two fields with their truth: what every way to make a background is given."""

from dataclasses import dataclass

import numpy as np

from miri_background.campaign.light import Light, field_light
from miri_background.campaign.rates import Rate, draw_rate
from miri_background.instrument.detector import GAIN, gain
from miri_background.instrument.footprint import transmission
from miri_background.instrument.readout import Subarray
from miri_background.instrument.response import sky_response

__all__ = ["Taken", "memory_needed", "take"]

_EXPOSURE = 3  # spawn key of random streams
# Measured: bytes for each pixel of each exposure, with what the ways hold beside the rates, and
# what Python and the pipeline take.
_BYTES_PER_PIXEL = 160
_BYTES_OF_PROCESS = 600e6


@dataclass(frozen=True)
class Taken:
    """Rates of two fields.

    Parameters
    ----------
    science, backgrounds : list of Rate
        In the order of their dithers.
    science_light, background_light : list of Light
        What they see without noise.
    window : Subarray
        Their pixels of the detector.
    filter : str
        Imaging filter.
    fwhm : float
        Width of a point source at half maximum, pixels.
    """

    science: list[Rate]
    backgrounds: list[Rate]
    science_light: list[Light]
    background_light: list[Light]
    window: Subarray
    filter: str
    fwhm: float

    @property
    def flat(self):
        """Response of the pixels to the sky in DN, as a perfect flat has it; 0 in the dark."""
        return self.window.cut(sky_response() * GAIN / gain())

    @property
    def lit(self):
        """Boolean array, True where the sky is seen."""
        return self.window.cut(transmission()) > 0


def take(scene):
    """Return the rates of a scene, drawn from its seed.

    Parameters
    ----------
    scene : Scene
        What is seen.

    Returns
    -------
    Taken
        The same numbers wherever it is drawn.
    """
    light = {field: field_light(scene, field) for field in ("science", "background")}
    rates = {
        field: [_drawn(scene, field, number, each) for number, each in enumerate(light[field])]
        for field in light
    }
    return Taken(
        rates["science"],
        rates["background"],
        light["science"],
        light["background"],
        scene.window,
        scene.filter,
        scene.fwhm,
    )


def _drawn(scene, field, number, light):
    """Return the rate of one exposure."""
    key = (("science", "background").index(field), _EXPOSURE, number)
    generator = np.random.default_rng(np.random.SeedSequence(scene.seed, spawn_key=key))
    return draw_rate(
        light.sky + light.sources + light.stripes,
        scene.readout(field),
        scene.window,
        scene.cosmic_ray_rate,
        generator,
    )


def memory_needed(scene):
    """Return how many bytes a process needs for a case of a scene, with a margin."""
    exposures = scene.exposures + scene.backgrounds
    return _BYTES_OF_PROCESS + _BYTES_PER_PIXEL * scene.size**2 * exposures
