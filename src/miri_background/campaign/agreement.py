"""Drawn rates beside those of calwebb_detector1, on the same truth."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from miri_background.calibration.pipeline import detector1_rates
from miri_background.campaign.light import Light, Targets
from miri_background.campaign.rates import Rate, draw_rate
from miri_background.campaign.scene import FWHM
from miri_background.campaign.scores import scored
from miri_background.campaign.taken import Taken
from miri_background.observation import exposures
from miri_background.references.choice import use_references
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
from miri_background.validation.prediction.masks import USABLE_FLAGS
from miri_background.validation.products.images import JUMP_DET, read_image, read_truth

__all__ = [
    "Agreement",
    "both_scored",
    "drawn_like",
    "pixel_statistics",
    "taken_of",
    "taken_through",
]

_PIXEL = 0.11  # arcsec
_APERTURE = 1.2  # FWHM
_BRIGHT = 30  # microjansky: stars whose flux is measured
_FAINT = 0.02  # of the sky: source light below leaves a pixel empty


@dataclass(frozen=True)
class Agreement:
    """One number of real and of drawn rates.

    Parameters
    ----------
    name : str
        What was measured.
    real, drawn : float
        Means over observations.
    error : float
        Standard error of the difference, from its scatter between observations.
    """

    name: str
    real: float
    drawn: float
    error: float

    @property
    def deviation(self):
        """Difference in standard errors."""
        return (self.drawn - self.real) / self.error if self.error > 0 else 0.0


def taken_through(observation, calibration):
    """Return rates of an observation whose ramps went through calwebb_detector1.

    Parameters
    ----------
    observation : Observation
        What is simulated.
    calibration : Calibration
        Which references are used.

    Returns
    -------
    Taken
        With the simulator's truth.
    """
    with tempfile.TemporaryDirectory(prefix="miri-background-") as directory:
        run = RunDirectory(Path(directory) / "run", observation, calibration)
        try:
            use_references(observation, run.calibration)
            with ThreadPoolExecutor(1) as executor:
                take_exposures(run, executor)
                detector1_rates(run, executor)
            return taken_of(run)
        finally:
            run.release()


def taken_of(run):
    """Return the rates of a run with their truth.

    Parameters
    ----------
    run : RunDirectory
        Holds rates and truth files.

    Returns
    -------
    Taken
        Targets are the brighter stars of the science field.
    """
    observation = run.observation
    window = observation.readout("science").window
    fwhm = FWHM[observation.filter] / _PIXEL
    rates, light = {}, {}
    for field in ("science", "background"):
        rates[field], light[field] = [], []
        for exposure in exposures(observation, field):
            image = read_image(run.rate(exposure))
            truth = read_truth(run.truth(exposure))
            stars = truth.catalogue
            bright = np.asarray(stars["flux"]) > _BRIGHT
            targets = Targets(
                np.asarray(stars["y"])[bright], np.asarray(stars["x"])[bright], _APERTURE * fwhm, 0
            )
            rates[field].append(Rate(image.data, image.err, image.dq))
            stripes = np.zeros(window.shape[1])
            light[field].append(
                Light(truth.background.astype(float), truth.sources.astype(float), stripes, targets)
            )
    return Taken(
        rates["science"],
        rates["background"],
        light["science"],
        light["background"],
        window,
        observation.filter,
        fwhm,
    )


def drawn_like(taken, observation, seed):
    """Return rates that are drawn for the truth of others.

    Parameters
    ----------
    taken : Taken
        Whose truth is used.
    observation : Observation
        How its exposures are read.
    seed : int
        Of the draws.

    Returns
    -------
    Taken
        With the same truth.
    """
    generator = np.random.default_rng(seed)
    drawn = {
        field: [
            draw_rate(
                each.sky + each.sources,
                observation.readout(field),
                taken.window,
                observation.cosmic_ray_rate,
                generator,
            )
            for each in light
        ]
        for field, light in (
            ("science", taken.science_light),
            ("background", taken.background_light),
        )
    }
    return replace(taken, science=drawn["science"], backgrounds=drawn["background"])


def pixel_statistics(taken):
    """Return what single rates of a field are off their truth, and what they report.

    Parameters
    ----------
    taken : Taken
        Rates with their truth.

    Returns
    -------
    dict of float
        Of empty sky: offset and scatter of pixels without a flag, DN/s; reported error; part of
        the pixels that a cosmic ray has hit, and the scatter of those; correlation of a pixel
        with its neighbour, which common noise gives.
    """
    found = {name: [] for name in ("offset", "scatter", "error", "hit", "scatter of hit pixels")}
    for rate, light in zip(taken.backgrounds, taken.background_light, strict=True):
        residual = rate.data - light.sky - light.sources
        empty = taken.lit & (light.sources < _FAINT * light.sky) & np.isfinite(residual)
        clean = empty & ((rate.dq & USABLE_FLAGS) == 0)
        hit = empty & ((rate.dq & JUMP_DET) != 0) & ((rate.dq & (USABLE_FLAGS - JUMP_DET)) == 0)
        found["offset"].append(np.mean(residual[clean]))
        found["scatter"].append(np.std(residual[clean]))
        found["error"].append(np.median(rate.err[clean]))
        found["hit"].append(np.count_nonzero(hit) / np.count_nonzero(empty))
        spread = np.percentile(residual[hit], [16, 84]) if hit.any() else (np.nan, np.nan)
        found["scatter of hit pixels"].append((spread[1] - spread[0]) / 2)
    return {name: float(np.mean(values)) for name, values in found.items()}


def both_scored(pairs, ways):
    """Return numbers of real and drawn rates beside each other.

    Parameters
    ----------
    pairs : list of (Taken, Taken)
        Real and drawn rates of several observations, two at least.
    ways : list of Way
        Ways to make a background that are scored on both.

    Returns
    -------
    list of Agreement
        Of pixels, and of each score of each way.
    """
    measured = []
    for pair in pairs:
        both = [{f"pixels: {k}": v for k, v in pixel_statistics(each).items()} for each in pair]
        for way in ways:
            for numbers, each in zip(both, pair, strict=True):
                scores = scored(each, way.subtract(each))
                numbers |= {f"{way.words}: {name}": value for name, value in scores.items()}
        measured.append(both)
    agreements = []
    for name in measured[0][0]:
        real, drawn = (np.array([both[which][name] for both in measured]) for which in (0, 1))
        apart = drawn - real
        error = float(apart.std(ddof=1) / np.sqrt(len(measured)))
        agreements.append(Agreement(name, float(real.mean()), float(drawn.mean()), error))
    return agreements
