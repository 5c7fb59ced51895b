"""Stars and galaxy of a mosaic and of its catalogue, against the truth."""

from dataclasses import dataclass

import numpy as np
from photutils.aperture import CircularAperture
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement

__all__ = [
    "TrueSources",
    "catalogue_measurements",
    "flux_measurements",
    "missing_stars",
    "true_sources",
]

_STAR_RADIUS, _GALAXY_RADIUS = 3.0, 15.0  # pixels, as in the exposures
_LEAST_SIGNAL_TO_NOISE = 10.0
_MARGIN = 25  # pixels from the edge of what is covered: aperture and sky annulus are inside
_ALONE = 15.0  # pixels to the next source ...
_MUCH = 0.02  # ... that has more than this part of the light
_MATCH = 3.0  # pixels, a little more than the width of a star
_WINGS = 60.0  # pixels from a star a hundred times brighter: its wings are no source of their own
_WING_FLUX = 300.0  # uJy
# Defaults of source_catalog: width of the kernel, threshold, and pixels that have to be above it.
_KERNEL, _THRESHOLD, _PIXELS = 2.0, 3.0, 25
_WIDTHS = 2.3548  # full width at half maximum over standard deviation
_CERTAIN = 2.0  # times as many pixels: noise does not decide
_FEWEST = 5  # stars
_CERTAINTY = 1e-3  # of the light of a star, that its place in the exposures moves
_CATALOGUE_RADIUS = 4.0  # pixels: 70 % of the light in F770W, the catalogue's largest aperture
_PLACE_IN_PIXEL = 1.0  # %, by which the light in it varies with the place of a star in its pixel
_MILLIARCSEC = 1e3
_FAR = 1e9  # pixels: nothing is near


@dataclass(frozen=True)
class TrueSources:
    """The sources that a mosaic should have.

    Parameters
    ----------
    x, y : ndarray
        Places on the mosaic, 0-based pixels.
    flux : ndarray
        True flux, uJy.
    kind : ndarray of str
        "star" or "galaxy".
    inside : ndarray of bool
        Far enough from the edge of what is covered.
    alone : ndarray of bool
        Without a neighbour that matters.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    kind: np.ndarray
    inside: np.ndarray
    alone: np.ndarray

    @property
    def clear(self):
        """Boolean array of the stars that are inside and alone."""
        return (self.kind == "star") & self.inside & self.alone


def true_sources(mosaic, truths):
    """Return the sources of the science field on a mosaic.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    truths : list of Truth
        Of the science exposures.

    Returns
    -------
    TrueSources
        Those on its grid.
    """
    from scipy.ndimage import binary_erosion

    catalogue = truths[0].catalogue
    ra, dec = (catalogue[name].to_value("deg") for name in ("ra", "dec"))
    x, y = mosaic.wcs.wcs_world2pix(ra, dec, 0)
    rows, columns = mosaic.data.shape
    on = (x > -_MARGIN) & (x < columns + _MARGIN) & (y > -_MARGIN) & (y < rows + _MARGIN)
    x, y, flux = x[on], y[on], catalogue["flux"].to_value("uJy")[on]
    kind = np.array(catalogue["kind"])[on].astype(str)
    # Holes of single pixels are no edge.
    covered = gaussian_filter(mosaic.covered.astype(float), 2.0) > 0.5
    deep = binary_erosion(covered, iterations=_MARGIN)
    at_y, at_x = (
        np.clip(np.round(each).astype(int), 0, size - 1) for each, size in ((y, rows), (x, columns))
    )
    return TrueSources(x, y, flux, kind, deep[at_y, at_x], _alone(x, y, flux, kind))


def _alone(x, y, flux, kind):
    """Return which sources have no neighbour that matters, an extended one from its edge on."""
    here = np.column_stack([x, y])
    reach = np.where(kind == "galaxy", _GALAXY_RADIUS, 0.0) + _ALONE
    near = KDTree(here).query_ball_point(here, reach)  # of whom each is a neighbour
    alone = np.ones(len(x), dtype=bool)
    for number, others in enumerate(near):
        close = np.array([other for other in others if other != number], dtype=int)
        alone[close[flux[number] > _MUCH * flux[close]]] = False
    return alone


def flux_measurements(mosaic, expected, sources):
    """Yield by how much the light of stars and galaxy on a mosaic differs from the truth.

    Parameters
    ----------
    mosaic : Mosaic
        The mosaic.
    expected : MosaicExpectation
        What it should have.
    sources : TrueSources
        Where its sources are.

    Yields
    ------
    Measurement
        In percent of their light.
    """
    for name, kind, radius in (
        ("mosaic star flux", "star", _STAR_RADIUS),
        ("mosaic galaxy flux", "galaxy", _GALAXY_RADIUS),
    ):
        chosen = np.flatnonzero(sources.inside & (sources.kind == kind))
        if not chosen.size:
            continue
        good = mosaic.covered & np.isfinite(expected.residual)
        sums = _apertures(sources.x[chosen], sources.y[chosen], radius, good)
        light = sums @ expected.sources.ravel()
        bright = light > _LEAST_SIGNAL_TO_NOISE * np.sqrt(expected.independent_variances(sums))
        if not bright.any():
            continue
        together = csr_array(sums[np.flatnonzero(bright)].sum(axis=0)[np.newaxis])
        excess = float((together @ np.where(good, expected.residual, 0.0).ravel())[0])
        (variance,) = expected.independent_variances(together) + expected.common_variances(
            expected.parts_of_exposures(together)
        )
        total = float(light[bright].sum())
        yield Measurement(
            name, WHOLE_ARRAY, None, 100 * excess / total, 100 * float(np.sqrt(variance)) / total
        )
        if kind == "star" and np.count_nonzero(bright) >= _FEWEST:
            each = (sums @ np.where(good, expected.residual, 0.0).ravel())[bright]
            noise = expected.independent_variances(sums)[bright] + (_CERTAINTY * light[bright]) ** 2
            yield Measurement(
                "mosaic star scatter",
                WHOLE_ARRAY,
                None,
                100 * float(np.sqrt(np.mean(each**2 / noise)) - 1),
                100 / np.sqrt(2 * len(each)),
                detail=f"{len(each)} stars",
            )


def _apertures(x, y, radius, good):
    """Return the weights of sums in apertures, of which only good pixels count."""
    rows, columns = good.shape
    owners, places, weights = [], [], []
    masks = CircularAperture(np.column_stack([x, y]), radius).to_mask(method="exact")
    for number, mask in enumerate(masks):
        box = mask.bbox
        at_y, at_x = np.mgrid[box.iymin : box.iymax, box.ixmin : box.ixmax]
        on = (at_y >= 0) & (at_y < rows) & (at_x >= 0) & (at_x < columns) & (mask.data > 0)
        at_y, at_x, weight = at_y[on], at_x[on], mask.data[on]
        keep = good[at_y, at_x]
        places.append((at_y * columns + at_x)[keep])
        weights.append(weight[keep])
        owners.append(np.full(keep.sum(), number))
    flat = tuple(map(np.concatenate, (weights, owners, places)))
    return csr_array((flat[0], flat[1:]), shape=(len(masks), good.size))


def catalogue_measurements(mosaic, expected, sources):
    """Yield what a catalogue misses, has too much, and by how much fluxes and places are off.

    Parameters
    ----------
    mosaic : Mosaic
        With its catalogue; nothing is measured without one.
    expected : MosaicExpectation
        What the mosaic should have.
    sources : TrueSources
        Where its sources are.

    Yields
    ------
    Measurement
        Of stars that stand alone, and of all entries.
    """
    certain, missing = missing_stars(mosaic, expected, sources)
    if certain.any():
        yield _part("catalogue completeness", missing.sum(), certain.sum(), "stars are missing")
    x, y, entry, found = _matched(mosaic.catalogue, sources)
    if not x.size:
        return
    catalogue = mosaic.catalogue
    false = _unexplained(x, y, sources) & ~_on_structure(x, y, expected)
    yield _part("catalogue purity", np.count_nonzero(false), len(x), "entries are no source")
    good = sources.clear & found & _bright(expected, sources)
    if np.count_nonzero(good) >= _FEWEST:
        yield from _of_matched(mosaic, expected, catalogue[entry[good]], sources, good)


def missing_stars(mosaic, expected, sources):
    """Return which stars a catalogue must have, and which of them it has not.

    Parameters
    ----------
    mosaic : Mosaic
        With its catalogue, if there is one.
    expected : MosaicExpectation
        What the mosaic should have.
    sources : TrueSources
        Where its sources are.

    Returns
    -------
    certain, missing : ndarray of bool
        Of each source.
    """
    certain = _certain(expected, sources)
    return certain, certain & ~_matched(mosaic.catalogue, sources)[-1]


def _matched(catalogue, sources):
    """Return places of catalogue entries, the nearest one of each source, and whether it is it.

    An entry without a place is far from everything.
    """
    if catalogue is None or not len(catalogue):
        nothing = np.zeros(len(sources.x), dtype=int)
        return np.zeros(0), np.zeros(0), nothing, nothing > 0
    x, y = (
        np.nan_to_num(np.asarray(catalogue[name], dtype=float), nan=_FAR, posinf=_FAR, neginf=_FAR)
        for name in ("xcentroid", "ycentroid")
    )
    distance, entry = KDTree(np.column_stack([x, y])).query(np.column_stack([sources.x, sources.y]))
    return x, y, entry, distance < _MATCH


def _part(name, number, total, words):
    """Return a part of a number as a measurement, in percent."""
    return Measurement(
        name,
        WHOLE_ARRAY,
        None,
        100 * float(number) / float(total),
        detail=f"{number} of {total} {words}",
    )


def _certain(expected, sources):
    """Return which stars stand out in so many pixels that the catalogue must have them."""
    smooth = gaussian_filter(expected.sources, _KERNEL / _WIDTHS)
    above = smooth > _THRESHOLD * _noise(expected)
    certain = np.zeros(len(sources.x), dtype=bool)
    # source_catalog measures the scatter of the sky, and the structure that it has is in it.
    clear = np.flatnonzero(sources.clear & ~_on_structure(sources.x, sources.y, expected))
    if clear.size:
        every = np.ones(above.shape, dtype=bool)
        sums = _apertures(sources.x[clear], sources.y[clear], _ALONE / 2, every)
        certain[clear] = sums @ above.ravel() > _CERTAIN * _PIXELS
    return certain


def _noise(expected):
    """Return the noise of a typical pixel of empty sky, MJy/sr."""
    return np.sqrt(np.median(expected.variance[expected.empty]))


def _bright(expected, sources):
    """Return which sources have enough light for a flux, noise and structure of the sky aside."""
    covered = np.ones(expected.empty.shape, dtype=bool)
    sums = _apertures(sources.x, sources.y, _STAR_RADIUS, covered)
    light = sums @ expected.sources.ravel()
    # The annulus does not have the structure that an aperture has: one error for all its pixels.
    noise = np.hypot(
        np.sqrt(expected.independent_variances(sums)), sums @ expected.structure.ravel()
    )
    return light > 2 * _LEAST_SIGNAL_TO_NOISE * np.maximum(noise, 1e-30)


def _unexplained(x, y, sources):
    """Return which entries of a catalogue are neither a source nor the wing of a bright one."""
    here = np.column_stack([x, y])
    distance, _ = KDTree(np.column_stack([sources.x, sources.y])).query(here)
    explained = distance < _MATCH
    bright = (sources.flux > _WING_FLUX) | (sources.kind == "galaxy")
    if bright.any():
        wing, _ = KDTree(np.column_stack([sources.x, sources.y])[bright]).query(here)
        explained |= wing < _WINGS
    return ~explained


def _on_structure(x, y, expected):
    """Return which places have a sky of more structure than noise.

    Its peaks are entries of a catalogue, and stars have to stand out of it.
    """
    rows, columns = expected.structure.shape
    at_y, at_x = (
        np.clip(np.rint(each), 0, size - 1).astype(int) for each, size in ((y, rows), (x, columns))
    )
    return expected.structure[at_y, at_x] > _noise(expected)


def _of_matched(mosaic, expected, entries, sources, good):
    """Yield by how much fluxes and places of catalogue entries are off."""
    flux = np.asarray(entries["aper_total_flux"].to_value("uJy"), dtype=float)
    excess = 100 * (flux / sources.flux[good] - 1)
    covered = np.ones(expected.empty.shape, dtype=bool)
    sums = _apertures(sources.x[good], sources.y[good], _CATALOGUE_RADIUS, covered)
    noise = np.sqrt(expected.independent_variances(sums)) / (sums @ expected.sources.ravel())
    weights = 1 / np.hypot(100 * noise, _PLACE_IN_PIXEL) ** 2
    yield Measurement(
        "catalogue flux",
        WHOLE_ARRAY,
        None,
        float(weights @ excess / weights.sum()),
        float(1 / np.sqrt(weights.sum())),
        detail=f"{len(excess)} stars that stand alone",
    )
    scale = mosaic.pixel_scale * _MILLIARCSEC
    offsets = [
        scale * np.median(np.asarray(entries[name], dtype=float) - true[good])
        for name, true in (("xcentroid", sources.x), ("ycentroid", sources.y))
    ]
    yield Measurement(
        "catalogue position",
        WHOLE_ARRAY,
        None,
        float(np.hypot(*offsets)),
        detail=f"{offsets[0]:.1f} mas along x, {offsets[1]:.1f} mas along y",
    )
