"""The stars of a calibrated image beside the catalogue: flux, position, shape.

Aperture photometry with the apcorr reference, fitted positions through the world
coordinates, and the profile of bright stars.
"""

import numpy as np
from astropy.table import QTable
from photutils.aperture import CircularAperture
from photutils.psf import ImagePSF, PSFPhotometry

from miri_background.instrument.apertures import aperture_sums
from miri_background.instrument.detector import GAIN
from miri_background.instrument.footprint import within_regions
from miri_background.instrument.optics import SPECTRAL_INDICES, blue_part
from miri_background.instrument.response import sky_response
from miri_background.instrument.throughput import MICROJANSKY_PER_MEGAJANSKY
from miri_background.outcomes import ReferencesUnfit
from miri_background.reading import open_fits
from miri_background.validation.products.images import (
    DO_NOT_USE,
    SATURATED,
    read_image,
    read_truth,
    source_positions,
)

__all__ = ["BRIGHT", "GROWTH_RADII", "SIGNAL_TO_NOISE", "CalibratedStars", "aperture_correction"]

SIGNAL_TO_NOISE = 50.0  # of the stars whose fluxes are compared
BRIGHT = 150.0  # signal-to-noise ratio of those whose positions and shapes are
_APERTURE_ENERGY = 0.7  # of a star's light in the aperture: a row of the apcorr reference
_CONTAMINATION = 0.01  # of a star's light in its aperture: more from neighbours is too much
_LEAST_SKY = 0.5  # of the pixels of a sky annulus: fewer without neighbours' light are too few
_FAINT = 0.05  # of a pixel's noise: brighter light of neighbours is not sky
GROWTH_RADII = np.array([2.5, 3.5, 5.0, 7.0, 9.0])  # pixels: up to one arcsec
_FIT_SIZE = 7  # pixels across: the part of a star that its position is fitted to
_FIT_MARGIN = 3  # pixels around it: for the star's place in its pixel, and the ends of the spline


def aperture_correction(header):
    """Return radius, factor and sky annulus of the apcorr reference that CRDS selects.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Primary header of a calibrated image.

    Returns
    -------
    radius, factor, sky_in, sky_out : float
        Lengths in pixels.

    Raises
    ------
    CannotJudge
        If the reference has no such aperture.
    """
    # Imported here: CRDS reads its environment then.
    import crds

    names = ("INSTRUME", "DETECTOR", "FILTER", "EXP_TYPE", "SUBARRAY", "DATE-OBS", "TIME-OBS")
    parameters = {name: header[name] for name in names}
    path = crds.getreferences(parameters, reftypes=["apcorr"], observatory="jwst")["apcorr"]
    with open_fits(path) as hdus:
        rows = hdus[1].data
    for row in rows:
        if row["filter"] == header["FILTER"] and np.isclose(row["eefraction"], _APERTURE_ENERGY):
            return tuple(float(row[name]) for name in ("radius", "apcorr", "skyin", "skyout"))
    msg = f"{path} has no aperture of {_APERTURE_ENERGY} of the light in {header['FILTER']}."
    raise ReferencesUnfit(msg)


def _sums(image, apertures):
    """Return the sums of an image over apertures."""
    return np.array([aperture_sums(image, aperture)[0] for aperture in apertures])


class CalibratedStars:
    """The isolated stars of one calibrated science exposure, and what is measured of them."""

    def __init__(self, exposed, run, exposure, psf, leak):
        self.psf, self.read = psf, exposed.read
        self.path = run.image2(exposure, "cal")
        image, truth = read_image(self.path), read_truth(run.truth(exposure))
        with open_fits(self.path) as hdus:
            area = hdus["AREA"].data.astype(float)
            header = hdus["SCI"].header
            per_pixel = header["PIXAR_SR"] * MICROJANSKY_PER_MEGAJANSKY
            per_rate = header["PHOTMJSR"]
        # Flat-fielded, the image is surface brightness: light needs the area of the pixel.
        self.flux, self.error = (
            plane * area * per_pixel for plane in (image.data.astype(float), image.err)
        )
        flat = self.read.cut(sky_response()) * GAIN / exposed.gain
        with np.errstate(invalid="ignore", divide="ignore"):
            per_slope = per_rate * area * per_pixel / flat
            self.known = truth.sources * per_slope
            # What the combined background has of its own sources was subtracted.
            self.holes = leak * per_slope
        self.usable = np.isfinite(self.flux) & ((image.dq & (DO_NOT_USE | SATURATED)) == 0)
        self.radius, self.factor, *self.annulus = aperture_correction(image.header)
        self.splines = psf.splines()
        stars = self._isolated(truth.catalogue)
        sky = np.array([self._sky(star) for star in stars])
        # None around a star that neighbours outshine all around.
        self.stars, self.sky = stars[np.isfinite(sky)], sky[np.isfinite(sky)]

    def _isolated(self, catalogue):
        """Return the stars that nothing spoils, with truth and noise."""
        stars = catalogue[catalogue["kind"] == "star"]
        x, y = source_positions(stars)
        inside = within_regions(x, y, self.annulus[1] + 1, self.read.name)
        stars = QTable(
            {
                "x": x[inside],
                "y": y[inside],
                "ra": stars["ra"][inside],
                "dec": stars["dec"][inside],
                "flux": stars["flux"].to_value("uJy")[inside],
                "spectral_index": stars["spectral_index"][inside],
            }
        )
        apertures = self._circles(stars, self.radius)
        variance = _sums(np.where(self.usable, self.error, 0.0) ** 2, apertures)
        light, holes = (
            _sums(np.where(self.usable, plane, 0.0), apertures)
            for plane in (self.known, self.holes)
        )
        spoilt = _sums((~self.usable).astype(float), apertures)
        energy = self._energies([self.radius], stars["spectral_index"])[:, 0]
        stars["colour_correction"] = self.psf.encircled_energy([self.radius])[0] / energy
        own = stars["flux"] * energy
        stars["ratio"] = own / np.sqrt(variance)
        stars["error"] = np.sqrt(variance) * self.factor
        alone = np.maximum(np.abs(light / own - 1), holes / own) < _CONTAMINATION
        whole, bright = spoilt == 0, stars["ratio"] > SIGNAL_TO_NOISE
        self.left_out = {
            "have pixels that saturate or cannot be used": np.count_nonzero(~whole),
            "have light of neighbours or holes of background stars": np.count_nonzero(
                whole & ~alone
            ),
            "are too faint": np.count_nonzero(whole & alone & ~bright),
        }
        return stars[whole & alone & bright]

    def _energies(self, radii, spectral_indices):
        """Return the part of all light inside circles around stars, shape (stars, radii).

        The image, and so its energy, is linear in the spectral index.
        """
        red, blue = (self.psf.encircled_energy(radii, index) for index in SPECTRAL_INDICES)
        part = blue_part(np.asarray(spectral_indices))[:, np.newaxis]
        return (1 - part) * red + part * blue

    @staticmethod
    def _circles(stars, radius):
        """Return a circular aperture around each star."""
        return [CircularAperture((star["x"], star["y"]), radius) for star in stars]

    def _box(self, star, reach):
        """Return rows and columns around a star, and the offsets of their pixels from it."""
        box = tuple(
            slice(round(star[axis]) - reach, round(star[axis]) + reach + 1) for axis in ("y", "x")
        )
        y, x = (
            np.arange(part.start, part.stop) - star[axis]
            for part, axis in zip(box, ("y", "x"), strict=True)
        )
        return box, y, x

    def _sky(self, star):
        """Return the mean brightness of the annulus around a star, uJy per pixel, or NaN.

        Pixels with light of neighbours are left out, and must not be too many.  A median
        would leave out the star's own bright spikes, too, but only those of bright stars.
        """
        inner, outer = self.annulus
        box, y, x = self._box(star, int(outer) + 1)
        part = blue_part(star["spectral_index"])
        reddest, colour = (spline(y, x) for spline in self.splines)
        neighbours = self.known[box] - star["flux"] * (reddest + part * colour)
        neighbours = np.maximum(neighbours, self.holes[box])
        distance = np.hypot(y[:, np.newaxis], x)
        ring = (distance > inner) & (distance < outer) & self.usable[box]
        empty = ring & (neighbours < _FAINT * self.error[box])
        if empty.sum() < _LEAST_SKY * ring.sum():
            return np.nan
        return self.flux[box][empty].mean()

    def table(self):
        """Return the stars with measured flux, and position of the bright ones."""
        if len(self.stars) == 0:
            return self.stars
        table = self.stars.copy()
        sums = _sums(np.where(self.usable, self.flux, 0.0), self._circles(table, self.radius))
        light = sums - self.sky * np.pi * self.radius**2
        table["measured"] = self.factor * table["colour_correction"] * light
        for name, values in self._position_errors().items():
            table[name] = values
        return table

    def _position_errors(self):
        """Return measured minus true positions on the sky along the detector's axes, and noise.

        In pixels, under dx, dy, x_error and y_error.  Each star is fitted with the point-spread
        function, and its pixels are turned into a position on the sky by the world coordinates of
        the product.  Faint stars are NaN.
        """
        from stdatamodels.jwst.datamodels import ImageModel

        names = ("dx", "dy", "x_error", "y_error")
        bright = self.stars["ratio"] > BRIGHT
        columns = {name: np.full(len(bright), np.nan) for name in names}
        if not bright.any():
            return columns
        # The fit copies the model, and makes its spline anew, for each star: no more than it sees.
        samples = self.psf.samples(1.0)
        middle, reach = samples.shape[0] // 2, (_FIT_SIZE // 2 + _FIT_MARGIN) * self.psf.oversample
        seen = slice(middle - reach, middle + reach + 1)
        model = ImagePSF(samples[seen, seen], oversampling=self.psf.oversample)
        start = QTable(
            {
                "x": self.stars["x"][bright],
                "y": self.stars["y"][bright],
                "flux": self.stars["flux"][bright],
            }
        )
        fit = PSFPhotometry(model, _FIT_SIZE)
        found = fit(
            np.nan_to_num(self.flux),
            mask=~self.usable,
            error=np.where(self.usable, self.error, 1.0),
            init_params=start,
        )
        with ImageModel(str(self.path)) as calibrated:
            world = calibrated.meta.wcs
            pixels = [world(found["x_fit"] + step, found["y_fit"]) for step in (0.0, 1.0)]
            above = world(found["x_fit"], found["y_fit"] + 1.0)
        truth = self.stars[bright]
        # The sky is flat over a pixel: the errors in right ascension and declination, arcsec,
        # are turned into pixels by the sizes of one step in x and one in y.
        here = np.stack(pixels[0])
        shrink = np.array([np.cos(np.deg2rad(here[1])), np.ones(len(here[1]))])
        offsets = (here - [truth["ra"].to_value("deg"), truth["dec"].to_value("deg")]) * shrink
        steps = [(np.stack(each) - here) * shrink for each in (pixels[1], above)]
        matrix = np.moveaxis(np.array(steps), (0, 1), (2, 1))
        solved = np.linalg.solve(matrix, offsets.T[..., np.newaxis])[..., 0]
        for name, values in zip(names, (*solved.T, found["x_err"], found["y_err"]), strict=True):
            columns[name][bright] = values
        return columns

    def profile(self):
        """Return distance and relative brightness of the pixels of bright stars.

        Returns
        -------
        distance, brightness : ndarray
            Pixels, and part of the star's light per pixel.
        """
        distances, values = [np.zeros(0)], [np.zeros(0)]
        for star, sky in zip(self.stars, self.sky, strict=True):
            if star["ratio"] > BRIGHT:
                box, y, x = self._box(star, int(max(GROWTH_RADII)) + 1)
                kept = self.usable[box]
                distances.append(np.hypot(y[:, np.newaxis], x)[kept])
                values.append(((self.flux[box] - sky) / star["flux"])[kept])
        return np.concatenate(distances), np.concatenate(values)

    def growth(self):
        """Return measured over expected light of bright stars, shape (stars, radii)."""
        bright = self.stars["ratio"] > BRIGHT
        stars, sky = self.stars[bright], self.sky[bright]
        if len(stars) == 0:
            return np.zeros((0, len(GROWTH_RADII)))
        light = np.where(self.usable, self.flux, 0.0)
        measured = np.array(
            [
                _sums(light, self._circles(stars, radius)) - sky * np.pi * radius**2
                for radius in GROWTH_RADII
            ]
        ).T
        # The annulus holds a part of the star's own light.
        inner, outer = self.annulus
        own_sky = np.diff(self.psf.encircled_energy([inner, outer]))[0] / (
            np.pi * (outer**2 - inner**2)
        )
        inside = self._energies(GROWTH_RADII, stars["spectral_index"])
        inside -= own_sky * np.pi * GROWTH_RADII**2
        return measured / (np.asarray(stars["flux"])[:, np.newaxis] * inside)
