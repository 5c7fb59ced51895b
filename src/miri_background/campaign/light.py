"""Expected light of a scene: sky with its pattern, stars, and the targets that are measured.

Point sources and galaxies are put on fifths of a pixel, so that nothing has to be interpolated:
what is drawn is the truth.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy.modeling.models import Sersic2D
from scipy.signal import fftconvolve

from miri_background.instrument.detector import gain
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.response import point_response, sky_response
from miri_background.instrument.throughput import electrons_per_microjansky

__all__ = ["Light", "Targets", "field_light", "radius_of_aperture", "template", "true_sky"]

_POINT_REACH = 48  # pixels: beyond, no light of a source is drawn
_GALAXY_REACH = 120  # of the large galaxy, 5 effective radii
_PIXEL = 0.11  # arcsec
# Effective radii of galaxies, arcsec: half of the diameter that they are called by, which holds
# half of the light.  Exponential discs, seen from above.
_GALAXIES = {"galaxy 1 arcsec": 0.5, "galaxy 5 arcsec": 2.5}
_NEBULA = 12.0 / _PIXEL / 2.3548  # pixels: standard deviation of a Gaussian of 12 arcsec FWHM
# Targets along a side of the square.
_ALONG = {"point": 5, "galaxy 1 arcsec": 4, "galaxy 5 arcsec": 2, "nebula": 1, "none": 0}
_SPACING = 0.55  # of the square, from the first target of a row to the last
# Radii of the apertures, arcsec; a point's is 1.2 FWHM, of the usual size for depths.
_APERTURES = {"galaxy 1 arcsec": 1.0, "galaxy 5 arcsec": 3.75, "nebula": 5.0}
# Stars per logarithm of flux, as in the simulator: between a cluster and distant galaxies.
_LUMINOSITY_SLOPE = -0.6
_FAINTEST = 0.5  # pixel noise, brightest pixel of the faintest star
_RATE_STEP = 2.0**-14  # electron / s: rounding of processors does not reach the draws
_STARS, _COLUMNS = 1, 2  # spawn keys of random streams of a field


@dataclass(frozen=True)
class Targets:
    """Sources whose flux is measured.

    Parameters
    ----------
    y, x : ndarray
        Pixels in one exposure.
    radius : float
        Of the aperture, pixels.
    flux : float
        All light of one, microjansky.
    """

    y: np.ndarray
    x: np.ndarray
    radius: float
    flux: float


@dataclass(frozen=True)
class Light:
    """What one exposure should see without noise, DN/s, shape (rows, columns).

    Parameters
    ----------
    sky : ndarray
        Sky with its pattern.
    sources : ndarray
        Stars and targets.
    stripes : ndarray
        Offsets of columns, shape (columns,).
    targets : Targets
        Where the targets are.
    """

    sky: np.ndarray
    sources: np.ndarray
    stripes: np.ndarray
    targets: Targets


@lru_cache(maxsize=8)
def template(kind, name):
    """Return the image of a source at five samples a pixel, as part of all light in a pixel.

    Parameters
    ----------
    kind : str
        "point" or a galaxy of `TARGETS`.
    name : str
        Filter.

    Returns
    -------
    ndarray
        Square with the source in its middle.
    """
    psf = point_spread_function(name)
    reach = _POINT_REACH * psf.oversample
    samples = psf.samples(0.0)
    middle = samples.shape[0] // 2
    inner = slice(middle - reach, middle + reach + 1)
    image = samples[inner, inner]
    if kind != "point":
        half = _GALAXY_REACH if "5" in kind else _POINT_REACH
        rows, columns = np.indices((2 * half * psf.oversample + 1,) * 2) - half * psf.oversample
        radius = _GALAXIES[kind] / _PIXEL * psf.oversample
        profile = Sersic2D(1.0, radius, n=1.0)(columns.astype(float), rows.astype(float))
        # Of the light within the stamp: what is beyond is not drawn.
        image = fftconvolve(profile / profile.sum(), image, mode="same")
    image = np.maximum(image, 0.0)
    image.flags.writeable = False
    return image


def radius_of_aperture(scene):
    """Return the radius of the apertures of a scene's targets, pixels."""
    arcsec = _APERTURES.get(scene.target)
    return 1.2 * scene.fwhm if arcsec is None else arcsec / _PIXEL


def _add(image, stamp, y, x, light, oversample=5):
    """Add a source to an image at the nearest fifth of a pixel."""
    half = (stamp.shape[0] // 2) // oversample
    row, column = (int(np.rint(place * oversample)) for place in (y, x))
    row, dy = divmod(row + oversample // 2, oversample)
    column, dx = divmod(column + oversample // 2, oversample)
    dy, dx = oversample // 2 - dy, oversample // 2 - dx
    part = stamp[_phase(stamp, dy, half, oversample)][:, _phase(stamp, dx, half, oversample)]
    rows, columns = (
        slice(max(centre - half, 0), min(centre + half + 1, size))
        for centre, size in ((row, image.shape[0]), (column, image.shape[1]))
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    inside = part[
        rows.start - row + half : rows.stop - row + half,
        columns.start - column + half : columns.stop - column + half,
    ]
    image[rows, columns] += light * inside


def _phase(stamp, offset, half, oversample):
    """Return which samples of a stamp are those of whole pixels, for an offset in samples."""
    middle = stamp.shape[0] // 2
    places = middle + offset + oversample * np.arange(-half, half + 1)
    # At the very edge an offset leaves the stamp, where there is next to no light.
    return np.clip(places, 0, stamp.shape[0] - 1)


def _generator(scene, field, stream, *more):
    """Return the random generator of a stream of a scene."""
    number = ("science", "background").index(field)
    return np.random.default_rng(
        np.random.SeedSequence(scene.seed, spawn_key=(number, stream, *more))
    )


def _flux_for(scene, kind, contrast):
    """Return the flux whose brightest pixel is so many times the noise, microjansky."""
    electrons = contrast * scene.pixel_noise * float(np.median(gain()))
    return electrons / electrons_per_microjansky(scene.filter) / _peak(kind, scene.filter)


def _peak(kind, name):
    """Return the largest part of a source's light that one pixel has."""
    if kind == "nebula":
        return 1.0 / (2 * np.pi * _NEBULA**2)
    return float(template(kind, name).max())


def _stars(scene, field):
    """Return rows, columns and fluxes of a field's stars, undithered."""
    generator = _generator(scene, field, _STARS)
    reach = float(np.abs(scene.dithers(field)).max()) + _POINT_REACH
    side = scene.size + 2 * reach
    count = generator.poisson(scene.source_density * (side * _PIXEL / 60) ** 2)
    y, x = generator.uniform(-reach, scene.size + reach, (2, count))
    low, high = np.array([_FAINTEST, max(scene.source_contrast, _FAINTEST)]) ** _LUMINOSITY_SLOPE
    contrast = (low + generator.random(count) * (high - low)) ** (1 / _LUMINOSITY_SLOPE)
    return y, x, contrast * _flux_for(scene, "point", 1.0) if count else contrast


def _target_places(scene):
    """Return rows and columns of the targets, undithered."""
    along = _ALONG[scene.target]
    steps = (np.arange(along) - (along - 1) / 2) / max(along - 1, 1) * _SPACING * scene.size
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return y.ravel() + scene.size / 2, x.ravel() + scene.size / 2


def true_sky(scene, field):
    """Return the sky of a field, electron / s, with the pattern that both fields share."""
    window = scene.window
    y, x = (np.indices((scene.size, scene.size)) + 0.5) / scene.size - 0.5
    # A glow towards a corner and a ripple: what scattered and thermal light look like.
    pattern = (x + y) * 0.7 + 0.5 * np.cos(2 * np.pi * (x - 0.6 * y))
    shared = scene.pattern / 100 * (pattern - pattern.mean())
    ratio = scene.sky_ratio / 100 if field == "background" else 1.0
    return scene.sky_electrons * (ratio + shared) * window.cut(sky_response())


def field_light(scene, field):
    """Return the expected light of each exposure of a field.

    Parameters
    ----------
    scene : Scene
        What is seen.
    field : str
        "science" or "background".

    Returns
    -------
    list of Light
        One for each dither.
    """
    window = scene.window
    conversion, response = window.cut(gain()), window.cut(point_response())
    sky = true_sky(scene, field)
    stars = _stars(scene, field)
    places = _target_places(scene) if field == "science" else (np.zeros(0), np.zeros(0))
    # Which columns a field is read with does not depend on its dithers.
    columns = _generator(scene, field, _COLUMNS).standard_normal(scene.size)
    stripes = scene.stripes / 100 * scene.pixel_noise * columns
    return [
        _exposure_light(scene, sky, stars, places, offset, conversion, response, stripes)
        for offset in scene.dithers(field)
    ]


def _exposure_light(scene, sky, stars, places, offset, conversion, response, stripes):
    """Return the light of one dither."""
    image = np.zeros(sky.shape)
    per_flux = electrons_per_microjansky(scene.filter)
    for y, x, flux in zip(*stars, strict=True):
        _add(image, template("point", scene.filter), y + offset[0], x + offset[1], flux * per_flux)
    y, x = places[0] + offset[0], places[1] + offset[1]
    flux = _flux_for(scene, scene.target, scene.contrast) if y.size else 0.0
    for row, column in zip(y, x, strict=True):
        if scene.target == "nebula":
            rows, columns = np.indices(image.shape)
            distance = (rows - row) ** 2 + (columns - column) ** 2
            image += flux * per_flux * _peak("nebula", "") * np.exp(-distance / 2 / _NEBULA**2)
        else:
            stamp = template(scene.target, scene.filter)
            _add(image, stamp, row, column, flux * per_flux)
    settled = [np.rint(each / _RATE_STEP) * _RATE_STEP for each in (sky, image * response)]
    targets = Targets(y, x, radius_of_aperture(scene), flux)
    return Light(settled[0] / conversion, settled[1] / conversion, stripes, targets)
