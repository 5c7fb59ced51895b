"""The scene: stars, a galaxy and the sky, as expected electrons per second in the pixels."""

from dataclasses import dataclass

import numpy as np
from astropy.modeling.models import Sersic2D
from astropy.table import QTable
from scipy.signal import fftconvolve
from scipy.special import gamma, gammaincinv

from miri_background.instrument.aperture import Attitude, imager_aperture
from miri_background.instrument.detector import SHAPE
from miri_background.instrument.footprint import regions
from miri_background.instrument.response import point_response, sky_response
from miri_background.instrument.throughput import (
    electrons_per_microjansky,
    electrons_per_surface_brightness,
)
from miri_background.observation import DITHER_PATTERN

__all__ = ["Pointing", "catalogue", "pixel_positions", "pointing", "sky_rate", "source_rate"]

# Number of stars per logarithm of flux falls as flux^-0.6, between the counts of
# a cluster's main sequence and of a field of distant galaxies.
_LUMINOSITY_SLOPE = -0.6

# The galaxy: a Sersic profile, sizes in arcsec; a quarter of the array from the
# centre of the imager so that the bright core does not hide the reference star.
_GALAXY_POSITION = (520.0, 700.0)  # detector pixels of the undithered pointing
_SERSIC_INDEX = 2.0
_EFFECTIVE_RADIUS = 1.8  # arcsec
_ELLIPTICITY = 0.4
_GALAXY_ANGLE = 40.0  # degrees from +x towards +y on the detector
_CORE_WIDTH = 41  # pixels that are oversampled: outside, the profile is smooth
_CORE_OVERSAMPLE = 11


@dataclass(frozen=True)
class Pointing:
    """One dither of one field.

    Parameters
    ----------
    attitude : Attitude
        Rotation between telescope and sky.
    ra_ref, dec_ref : float
        Sky position of the aperture's reference point, degrees.
    roll_ref : float
        Position angle of V3 there, degrees.
    x_offset, y_offset : float
        Dither offset in the Ideal frame, arcsec.
    """

    attitude: Attitude
    ra_ref: float
    dec_ref: float
    roll_ref: float
    x_offset: float
    y_offset: float


def field_attitude(observation, field):
    """Return the attitude that puts a field's centre on the reference point, undithered."""
    aperture = imager_aperture()
    return Attitude(
        aperture.v2_ref,
        aperture.v3_ref,
        getattr(observation, f"{field}_ra"),
        getattr(observation, f"{field}_dec"),
        observation.roll,
    )


def pointing(observation, field, dither):
    """Return where the telescope points in one dither.

    The reference point is moved to the sky position that lies at the dither's
    Ideal offset when the field is centred; the roll follows the great circle.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    dither : int
        Number of the dither, from 0.

    Returns
    -------
    Pointing
        The pointing of this dither.
    """
    aperture = imager_aperture()
    centred = field_attitude(observation, field)
    x_offset, y_offset = DITHER_PATTERN[dither]
    moved = aperture.ideal_to_v2v3(x_offset, y_offset)
    ra, dec = (float(angle) for angle in centred.sky(*moved))
    attitude = Attitude(aperture.v2_ref, aperture.v3_ref, ra, dec, float(centred.roll_at(*moved)))
    return Pointing(
        attitude,
        ra,
        dec,
        float(attitude.roll_at(aperture.v2_ref, aperture.v3_ref)),
        x_offset,
        y_offset,
    )


def catalogue(observation, field, generator):
    """Return the sources of a field with their sky positions and fluxes.

    Stars are uniform over all regions that see the sky; each region gets its
    share of them by area, so the coronagraphs' fields are never empty by chance.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    astropy.table.QTable
        Columns ``id``, ``kind`` ("star" or "galaxy"), ``ra``, ``dec`` (deg) and
        ``flux`` (uJy).
    """
    count = getattr(observation, f"{field}_stars")
    fields = list(regions().values())
    areas = np.array([region.area for region in fields])
    owners = np.searchsorted(np.cumsum(areas) / areas.sum(), (np.arange(count) + 0.5) / count)
    low_x, high_x, low_y, high_y = (
        np.array([(r.x.start, r.x.stop, r.y.start, r.y.stop) for r in fields], dtype=float)[owners]
        .reshape(-1, 4)
        .T
    )
    x = generator.uniform(low_x, high_x) - 0.5
    y = generator.uniform(low_y, high_y) - 0.5
    faintest, brightest = (
        getattr(observation, f"{field}_{end}") for end in ("faintest", "brightest")
    )
    low, high = np.array([faintest, brightest]) ** _LUMINOSITY_SLOPE
    flux = (low + generator.random(count) * (high - low)) ** (1 / _LUMINOSITY_SLOPE)
    kind = ["star"] * count
    if field == "science" and observation.galaxy_flux > 0:
        x, y = np.append(x, _GALAXY_POSITION[0]), np.append(y, _GALAXY_POSITION[1])
        flux = np.append(flux, observation.galaxy_flux)
        kind.append("galaxy")
    ra, dec = field_attitude(observation, field).sky(*imager_aperture().pixel_to_v2v3(x, y))
    return QTable(
        {
            "id": np.arange(1, len(kind) + 1),
            "kind": np.array(kind, dtype="U6"),
            "ra": ra,
            "dec": dec,
            "flux": flux,
        },
        units={"ra": "deg", "dec": "deg", "flux": "uJy"},
    )


def pixel_positions(sources, where):
    """Return the 0-based detector pixels of catalogue sources in one dither.

    Parameters
    ----------
    sources : astropy.table.QTable
        A catalogue.
    where : Pointing
        The dither.

    Returns
    -------
    x, y : ndarray
        Through the distortion by Newton's method, so true to 1e-9 pixel.
    """
    v2v3 = where.attitude.telescope(sources["ra"].to_value("deg"), sources["dec"].to_value("deg"))
    return imager_aperture().v2v3_to_pixel(*v2v3)


def sky_rate(observation):
    """Return the sky's electrons per second in each pixel, shape of the detector.

    The gradient is fixed to the array: what varies over two arcminutes is light
    scattered in the telescope, which does not move with a dither of arcseconds.
    """
    aperture = imager_aperture()
    y, x = np.indices(SHAPE)
    angle = np.deg2rad(observation.sky_gradient_angle)
    pixels_per_arcmin = 60 / np.sqrt(aperture.pixel_area(aperture.x_ref, aperture.y_ref))
    centre_y, centre_x = (SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2
    along = ((x - centre_x) * np.cos(angle) + (y - centre_y) * np.sin(angle)) / pixels_per_arcmin
    brightness = observation.sky_level * (1 + observation.sky_gradient / 100 * along)
    per_brightness = electrons_per_surface_brightness(observation.filter)
    return np.maximum(brightness, 0.0) * per_brightness * sky_response()


def _galaxy_image(x, y, psf):
    """Return the image of the galaxy with a total of 1, centred at x, y, in the detector."""
    aperture = imager_aperture()
    scale = np.sqrt(aperture.pixel_area(x, y))
    profile = Sersic2D(
        amplitude=1.0,
        r_eff=_EFFECTIVE_RADIUS / scale,
        n=_SERSIC_INDEX,
        x_0=x,
        y_0=y,
        ellip=_ELLIPTICITY,
        theta=np.deg2rad(_GALAXY_ANGLE),
    )
    # Total of a Sersic profile (Graham & Driver 2005, eq. 2), intensity 1 at r_eff.
    n, b = _SERSIC_INDEX, gammaincinv(2 * _SERSIC_INDEX, 0.5)
    total = (
        2
        * np.pi
        * n
        * np.exp(b)
        * b ** (-2 * n)
        * gamma(2 * n)
        * (_EFFECTIVE_RADIUS / scale) ** 2
        * (1 - _ELLIPTICITY)
    )
    all_rows, all_columns = np.indices(SHAPE, dtype=float)
    image = profile(all_columns, all_rows)
    left, bottom = (round(centre) - _CORE_WIDTH // 2 for centre in (x, y))
    fine = (np.arange(_CORE_WIDTH * _CORE_OVERSAMPLE) + 0.5) / _CORE_OVERSAMPLE - 0.5
    core = profile(*np.meshgrid(left + fine, bottom + fine)).reshape(
        _CORE_WIDTH, _CORE_OVERSAMPLE, _CORE_WIDTH, _CORE_OVERSAMPLE
    )
    rows, columns = slice(bottom, bottom + _CORE_WIDTH), slice(left, left + _CORE_WIDTH)
    image[rows, columns] = core.mean(axis=(1, 3))
    return fftconvolve(image / total, psf.kernel(), mode="same")


def source_rate(observation, sources, x, y, psf):
    """Return the sources' electrons per second in each pixel.

    Parameters
    ----------
    observation : Observation
        The observation.
    sources : astropy.table.QTable
        Catalogue with ``kind`` and ``flux``.
    x, y : ndarray
        Positions, 0-based detector pixels.
    psf : PointSpreadFunction
        Image of a point source.

    Returns
    -------
    ndarray
        Shape of the detector.  The masks of the focal plane cut the light at the
        borders of the regions.
    """
    image = np.zeros(SHAPE)
    spline = psf.spline()
    radius = int(psf.radius)
    electrons = sources["flux"].to_value("uJy") * electrons_per_microjansky(observation.filter)
    for kind, star_x, star_y, rate in zip(sources["kind"], x, y, electrons, strict=True):
        if kind == "galaxy":
            image += rate * np.maximum(_galaxy_image(star_x, star_y, psf), 0.0)
            continue
        columns = np.arange(
            max(round(star_x) - radius, 0), min(round(star_x) + radius + 1, SHAPE[1])
        )
        rows = np.arange(max(round(star_y) - radius, 0), min(round(star_y) + radius + 1, SHAPE[0]))
        if columns.size and rows.size:
            image[np.ix_(rows, columns)] += rate * spline(rows - star_y, columns - star_x)
    return image * point_response()
