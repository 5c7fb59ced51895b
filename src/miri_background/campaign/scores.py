"""What a way to make a background does to fluxes, noise, stripes and pixels, against the truth.

Everything is measured on the subtracted image less the true light of its sources: what is left
should be noise around zero.
"""

from dataclasses import dataclass, field

import numpy as np
from photutils.aperture import CircularAperture
from scipy.signal import fftconvolve

from miri_background.instrument.detector import GAIN
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.throughput import electrons_per_microjansky
from miri_background.validation.products.images import DO_NOT_USE, JUMP_DET, SATURATED

__all__ = ["LIT", "SCORES", "scored"]

# Name, unit and meaning of each score, in the order of the table.
SCORES = {
    "bias": ("%", "light that apertures on targets have too much, of the targets' light"),
    "bias_error": ("%", "its error by the noise of pixels"),
    "level": ("DN/s", "median of the residual on empty sky"),
    "noise": ("DN/s", "scatter in empty apertures, from the median absolute deviation"),
    "noise_rms": ("DN/s", "root mean square in empty apertures"),
    "noise_ratio": ("", "noise over that with the true background subtracted"),
    "rms_ratio": ("", "the same of the root mean square"),
    "depth": ("AB mag", "5 sigma depth of a point source in one exposure"),
    "holes": ("%", "light of averaged sources that is left as holes, of that of a plain mean"),
    "holes_error": ("%", "its error by the noise of pixels"),
    "columns_low": ("", "power of columns' means below 1/64 per pixel, over white noise"),
    "columns_middle": ("", "the same from 1/64 to 1/8 per pixel"),
    "columns_high": ("", "the same above 1/8 per pixel"),
    "rows_low": ("", "power of rows' means below 1/64 per pixel, over white noise"),
    "rows_middle": ("", "the same from 1/64 to 1/8 per pixel"),
    "rows_high": ("", "the same above 1/8 per pixel"),
    "lost": ("%", "pixels that see the sky and are lost by the background"),
    "error_ratio": ("", "reported error over the real scatter of a pixel"),
}

_APERTURE = 1.2  # FWHM: radius of empty apertures
_EMPTY = 0.3  # pixel noise: sources that are fainter leave a pixel empty
LIT = 0.2  # pixel noise: mean light of averaged sources that counts in `holes`
_UNLIT = 0.02  # pixel noise: where there is no such light
_BANDS = {"low": (0.0, 1 / 64), "middle": (1 / 64, 1 / 8), "high": (1 / 8, 0.5)}
_MAD = 1.4826  # standard deviation of normal values over their median absolute deviation
_ZERO_POINT = 23.9  # AB magnitude of 1 microjansky
_SIGMAS = 5.0


@dataclass
class _Sums:
    """What is added up over the science exposures of a case."""

    residual: float = 0.0
    light: float = 0.0
    variance: float = 0.0
    hole: float = 0.0
    hole_light: float = 0.0
    hole_variance: float = 0.0
    apertures: list = field(default_factory=list)
    best: list = field(default_factory=list)
    levels: list = field(default_factory=list)
    ratios: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    power: list = field(default_factory=list)


def scored(taken, subtracted):
    """Return the scores of a way.

    Parameters
    ----------
    taken : Taken
        Rates and truth.
    subtracted : list of Subtracted
        What the way made of the science exposures.

    Returns
    -------
    dict of float
        By the names of `SCORES`; not a number where a score has no meaning.
    """
    sums = _Sums()
    kernel = _circle(_APERTURE * taken.fwhm)
    for rate, light, result in zip(taken.science, taken.science_light, subtracted, strict=True):
        _add_exposure(sums, taken, rate, light, result, kernel)
    apertures, best = (np.concatenate(each) for each in (sums.apertures, sums.best))
    scatter, of_best = _core(apertures), _core(best)
    spread, of_best_spread = _spread(apertures), _spread(best)
    found = {
        "bias": _percent(sums.residual, sums.light),
        "bias_error": _percent(np.sqrt(sums.variance), sums.light),
        "level": float(np.mean(sums.levels)),
        "noise": scatter,
        "noise_rms": spread,
        "noise_ratio": scatter / of_best,
        "rms_ratio": spread / of_best_spread,
        "depth": _depth(scatter, taken),
        "holes": _percent(sums.hole, sums.hole_light),
        "holes_error": _percent(np.sqrt(sums.hole_variance), sums.hole_light),
        "lost": float(np.mean(sums.lost)),
        "error_ratio": float(np.mean(sums.ratios)),
    }
    for name in sums.power[0]:
        found[name] = float(np.mean([each[name] for each in sums.power]))
    return {name: float(found[name]) for name in SCORES}


def _add_exposure(sums, taken, rate, light, result, kernel):
    """Add what one science exposure shows."""
    usable = ((rate.dq & (DO_NOT_USE | SATURATED)) == 0) & np.isfinite(rate.data) & taken.lit
    good = usable & ((result.dq & (DO_NOT_USE | SATURATED)) == 0) & np.isfinite(result.data)
    sums.lost.append(100 * (1 - np.count_nonzero(good) / max(np.count_nonzero(usable), 1)))
    residual = np.where(good, result.data - light.sources, 0.0)
    perfect = np.where(good, rate.data - light.sky - light.stripes - light.sources, 0.0)
    noise = _core(perfect[good])
    empty = good & (light.sources < _EMPTY * noise)
    level = _median(residual[empty])
    quiet = empty & ((result.dq & JUMP_DET) == 0)
    of_pixel = _core(residual[quiet])
    sums.levels.append(level)
    sums.ratios.append(_median(result.err[quiet]) / of_pixel)
    _add_targets(sums, light, residual, of_pixel)
    _add_holes(sums, result, residual, good, noise, of_pixel)
    places = _empty_places(empty, kernel)
    for images, image in ((sums.apertures, residual), (sums.best, perfect)):
        images.append(fftconvolve(image, kernel, mode="same")[places])
    sums.power.append(_power(residual, empty, of_pixel))


def _add_targets(sums, light, residual, of_pixel):
    """Add fluxes in apertures on targets that are wholly in the image."""
    targets, (rows, columns) = light.targets, residual.shape
    for y, x in zip(targets.y, targets.x, strict=True):
        reach = targets.radius + 0.5
        if not (reach <= y <= rows - 1 - reach and reach <= x <= columns - 1 - reach):
            continue
        mask = CircularAperture((x, y), targets.radius).to_mask(method="exact")
        sums.residual += mask.multiply(residual).sum()
        sums.light += mask.multiply(light.sources).sum()
        sums.variance += of_pixel**2 * (mask.data**2).sum()


def _add_holes(sums, result, residual, good, noise, of_pixel):
    """Add the light of averaged sources that the subtracted image lacks."""
    if not result.averaged:
        return
    plain = np.mean(result.averaged, axis=0)
    lit, unlit = good & (plain > LIT * noise), good & (plain < _UNLIT * noise)
    if not lit.any() or not unlit.any():
        return
    # Light of the exposure's own sources is known: it was taken off the residual.
    outside = float(np.median(residual[unlit]))
    sums.hole += float(np.sum(outside - residual[lit]))
    sums.hole_light += float(np.sum(plain[lit]))
    sums.hole_variance += of_pixel**2 * np.count_nonzero(lit)


def _circle(radius):
    """Return the part of each pixel that is in a circle around the middle one."""
    half = int(np.ceil(radius + 0.5))
    mask = CircularAperture((half, half), radius).to_mask(method="exact")
    return mask.to_image((2 * half + 1, 2 * half + 1))


def _empty_places(empty, kernel):
    """Return rows and columns of the apertures, side by side, that are of empty sky only."""
    half = kernel.shape[0] // 2
    whole = fftconvolve(empty.astype(float), kernel, mode="same") > kernel.sum() - 1e-6
    rows, columns = (np.arange(half, size - half, 2 * half + 1) for size in empty.shape)
    grid = np.zeros(empty.shape, dtype=bool)
    grid[np.ix_(rows, columns)] = True
    return np.nonzero(grid & whole)


def _median(values):
    """Return the median of values, not a number of none."""
    return float(np.median(values)) if values.size else np.nan


def _spread(values):
    """Return the standard deviation of values, not a number of none."""
    return float(values.std()) if values.size else np.nan


def _core(values):
    """Return the standard deviation of values from their median absolute deviation."""
    return _MAD * _median(np.abs(values - _median(values)))


def _power(residual, empty, of_pixel):
    """Return the power of the means of columns and of rows in bands, over that of white noise."""
    found = {}
    for name, axis in (("columns", 0), ("rows", 1)):
        number = empty.sum(axis=axis)
        lines = np.where(empty, residual, 0.0).sum(axis=axis) / np.maximum(number, 1)
        known = number > 0.1 * empty.shape[axis]
        if not known.any():
            found |= {f"{name}_{band}": np.nan for band in _BANDS}
            continue
        lines = np.where(known, lines - lines[known].mean(), 0.0)
        white = np.sum(np.where(known, of_pixel**2 / np.maximum(number, 1), 0.0))
        spectrum = np.abs(np.fft.rfft(lines)) ** 2 / white
        frequency = np.fft.rfftfreq(lines.size)
        for band, (low, high) in _BANDS.items():
            inside = (frequency > low) & (frequency <= high)
            found[f"{name}_{band}"] = float(spectrum[inside].mean())
    return found


def _percent(part, whole):
    """Return a part in percent, not a number of nothing."""
    return 100 * part / whole if whole > 0 else np.nan


def _depth(scatter, taken):
    """Return the 5 sigma depth of a point source, AB magnitudes."""
    radius = np.array([_APERTURE * taken.fwhm])
    enclosed = float(point_spread_function(taken.filter).encircled_energy(radius)[0])
    flux = _SIGMAS * scatter * GAIN / electrons_per_microjansky(taken.filter) / enclosed
    return float(_ZERO_POINT - 2.5 * np.log10(flux))
