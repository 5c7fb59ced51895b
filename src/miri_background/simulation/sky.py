"""The scene: stars, a galaxy and the sky, as expected electrons per second in the pixels."""

from dataclasses import dataclass

import numpy as np
from astropy.modeling.models import Sersic2D
from astropy.table import QTable
from scipy.signal import fftconvolve
from scipy.special import gamma, gammaincinv

from miri_background.instrument.aperture import Attitude, imager_aperture
from miri_background.instrument.detector import SHAPE, pixel_flat
from miri_background.instrument.footprint import regions, transmission, within_regions
from miri_background.instrument.glow import phase_mask_glow
from miri_background.instrument.optics import SPECTRAL_INDICES
from miri_background.instrument.readout import Subarray
from miri_background.instrument.response import point_response, sky_response
from miri_background.instrument.throughput import (
    BORESIGHT_OFFSETS,
    electrons_per_microjansky,
    electrons_per_surface_brightness,
)
from miri_background.observation import DITHER_PATTERN
from miri_background.simulation.galaxies import DISTANT, GALAXY_WIDTH, distant_galaxies
from miri_background.simulation.nebula import nebula_brightness
from miri_background.simulation.sky_level import sky_brightness

__all__ = [
    "EFFECTIVE_RADIUS",
    "ELLIPTICITY",
    "GALAXY_ANGLE",
    "SERSIC_INDEX",
    "Pointing",
    "catalogue",
    "field_attitude",
    "pixel_positions",
    "pointing",
    "sky_rate",
    "source_rate",
]

# Number of stars per logarithm of flux falls as flux^-0.6, between the counts of
# a cluster's main sequence and of a field of distant galaxies.
_LUMINOSITY_SLOPE = -0.6

# Of the stars, this part are photospheres, with the spectral index of the Rayleigh-Jeans
# limit; the others are anything between warm dust and that.
_PHOTOSPHERES = 0.7
# Stars out to this distance beyond the array can be dithered in, or shine in.
_SURROUNDINGS = 100  # pixels: dithers of up to 80 and the bright part of a star

# The galaxy: a Sersic profile, sizes in arcsec; a quarter of the array from the
# centre of the imager so that the bright core does not hide the reference star.
_GALAXY_PLACE = (0.24, 0.684)  # of width and height of the imager, undithered pointing
_GALAXY_SPECTRAL_INDEX = 0.0
SERSIC_INDEX = 2.0
EFFECTIVE_RADIUS = 1.8  # arcsec
ELLIPTICITY = 0.4
GALAXY_ANGLE = 40.0  # degrees from +x towards +y on the detector
_CORE_WIDTH = 41  # pixels that are oversampled: outside, the profile is smooth
_CORE_OVERSAMPLE = 11
_DISTANT_RADIUS = 30  # pixels: 93 % of the light of F770W, and less than a photon beyond


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
    window : Subarray
        The part of the detector that is read, whose reference point is pointed.
    """

    attitude: Attitude
    ra_ref: float
    dec_ref: float
    roll_ref: float
    x_offset: float
    y_offset: float
    window: Subarray


def field_attitude(observation, field):
    """Return the attitude that puts a field's centre on the reference point, undithered."""
    read = observation.readout(field).window
    return Attitude(
        read.v2_ref,
        read.v3_ref,
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
    read = observation.readout(field, dither).window
    reference = np.array([read.v2_ref, read.v3_ref])
    centred = field_attitude(observation, field)
    x_offset, y_offset = DITHER_PATTERN[dither]
    # The axes of all of the imager's Ideal frames are parallel.
    moved = reference + imager_aperture().ideal_to_v2v3_matrix @ (x_offset, y_offset)
    ra, dec = (float(angle) for angle in centred.sky(*moved))
    attitude = Attitude(*reference, ra, dec, float(centred.roll_at(*moved)))
    return Pointing(
        attitude,
        ra,
        dec,
        float(attitude.roll_at(*reference)),
        x_offset,
        y_offset,
        read,
    )


def _star_positions(count, generator):
    """Return pixels of the full array: `count` inside its regions, then those around them."""
    fields = list(regions().values())
    areas = np.array([region.area for region in fields])
    owners = np.searchsorted(np.cumsum(areas) / areas.sum(), (np.arange(count) + 0.5) / count)
    low_x, high_x, low_y, high_y = (
        np.array([(r.x.start, r.x.stop, r.y.start, r.y.stop) for r in fields], dtype=float)[owners]
        .reshape(-1, 4)
        .T
    )
    x, y = generator.uniform(low_x, high_x) - 0.5, generator.uniform(low_y, high_y) - 0.5
    rows, columns = (size + 2 * _SURROUNDINGS for size in SHAPE)
    # Stars over everything, of which those are kept that are in no region.
    around = round(count * rows * columns / areas.sum())
    more_x = generator.uniform(0, columns, around) - _SURROUNDINGS - 0.5
    more_y = generator.uniform(0, rows, around) - _SURROUNDINGS - 0.5
    outside = ~within_regions(more_x, more_y, 0.0)
    return np.concatenate([x, more_x[outside]]), np.concatenate([y, more_y[outside]])


def _galaxy_position(observation):
    """Return where the galaxy is in the full array, undithered: inside the imager's part read."""
    read = observation.readout("science").window
    imager = regions(read.name)["imager"]
    return tuple(
        whole.start + part.start + share * (part.stop - part.start)
        for whole, part, share in (
            (read.x, imager.x, _GALAXY_PLACE[0]),
            (read.y, imager.y, _GALAXY_PLACE[1]),
        )
    )


def catalogue(observation, field, generator):
    """Return the sources of a field with their sky positions and fluxes.

    Stars are uniform over the full array and its surroundings, whatever is read of it.
    Each region gets its share of them by area, so the coronagraphs' fields are never
    empty by chance; the stars beyond the regions have the same density.

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
        Columns ``id``, ``kind`` ("star", "galaxy" or "distant galaxy"), ``ra``, ``dec`` (deg),
        ``flux`` (uJy, mean over the band) and ``spectral_index`` (exponent of frequency).
    """
    x, y = _star_positions(getattr(observation, f"{field}_stars"), generator)
    count = len(x)
    faintest, brightest = (
        getattr(observation, f"{field}_{end}") for end in ("faintest", "brightest")
    )
    low, high = np.array([faintest, brightest]) ** _LUMINOSITY_SLOPE
    flux = (low + generator.random(count) * (high - low)) ** (1 / _LUMINOSITY_SLOPE)
    red, blue = SPECTRAL_INDICES
    index = np.where(
        generator.random(count) < _PHOTOSPHERES, blue, generator.uniform(red, blue, count)
    )
    kind = ["star"] * count
    if field == "science" and observation.galaxy_flux > 0:
        galaxy_x, galaxy_y = _galaxy_position(observation)
        x, y = np.append(x, galaxy_x), np.append(y, galaxy_y)
        flux = np.append(flux, observation.galaxy_flux)
        index = np.append(index, _GALAXY_SPECTRAL_INDEX)
        kind.append("galaxy")
    if field == "background" and observation.background_galaxies > 0:
        # Drawn last: the stars are the same with and without galaxies.
        columns = distant_galaxies(observation.background_galaxies, generator)
        kind += [DISTANT] * len(columns[0])
        x, y, flux, index = map(np.append, (x, y, flux, index), columns)
    ra, dec = field_attitude(observation, field).sky(*imager_aperture().pixel_to_v2v3(x, y))
    return QTable(
        {
            "id": np.arange(1, len(kind) + 1),
            "kind": np.array(kind, dtype=f"U{max(map(len, {'galaxy', *kind}))}"),
            "ra": ra,
            "dec": dec,
            "flux": flux,
            "spectral_index": index,
        },
        units={"ra": "deg", "dec": "deg", "flux": "uJy"},
    )


def pixel_positions(observation, sources, where):
    """Return the pixels of catalogue sources in one dither.

    Parameters
    ----------
    observation : Observation
        Its filter moves the sources.
    sources : astropy.table.QTable
        A catalogue.
    where : Pointing
        The dither, whose window counts the pixels.

    Returns
    -------
    x, y : ndarray
        0-based pixels of the subarray, through the distortion by Newton's method, so true
        to 1e-9 pixel.
    """
    v2v3 = where.attitude.telescope(sources["ra"].to_value("deg"), sources["dec"].to_value("deg"))
    x, y = imager_aperture().v2v3_to_pixel(*v2v3)
    read, offset = where.window, BORESIGHT_OFFSETS[observation.filter]
    return x + offset[0] - read.x.start, y + offset[1] - read.y.start


def sky_rate(observation, field, where=None, change=1.0):
    """Return the electrons per second that the sky of a field gives each pixel that is read.

    The gradient is fixed to the array: what varies over two arcminutes is light
    scattered in the telescope, which does not move with a dither of arcseconds.  So is the glow at
    the phase masks.  A nebula is fixed to the sky.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    where : Pointing, optional
        The dither, by default the first.
    change : float, optional
        Zodiacal and thermal light of the exposure over those of the field; neither a nebula nor
        the glow changes with them.

    Returns
    -------
    ndarray
        Shape of what is read.
    """
    aperture = imager_aperture()
    y, x = np.indices(SHAPE)
    angle = np.deg2rad(observation.sky_gradient_angle)
    pixels_per_arcmin = 60 / np.sqrt(aperture.pixel_area(aperture.x_ref, aperture.y_ref))
    centre_y, centre_x = (SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2
    along = ((x - centre_x) * np.cos(angle) + (y - centre_y) * np.sin(angle)) / pixels_per_arcmin
    level = sky_brightness(observation, field) * change
    brightness = level * (1 + observation.sky_gradient / 100 * along)
    per_brightness = electrons_per_surface_brightness(observation.filter)
    if getattr(observation, f"{field}_nebula"):
        where = where or pointing(observation, field, 0)
        brightness = brightness + nebula_brightness(observation, field, where)
    rate = np.maximum(brightness, 0.0) * per_brightness * sky_response()
    if observation.phase_mask_glow:
        # The same in both fields, whatever their skies are: the telescope shines.
        glow = observation.phase_mask_glow / 100 * sky_brightness(observation)
        # It comes from the edges themselves: they do not shade it.
        response = np.where(transmission() > 0, pixel_flat(), 0.0)
        rate += glow * per_brightness * phase_mask_glow() * response
    return observation.readout(field).window.cut(rate)


def _galaxy_image(x, y, spectral_index, psf):
    """Return the image of the galaxy with a total of 1, centred at x, y of the full array."""
    scale = np.sqrt(imager_aperture().pixel_area(x, y))
    profile = Sersic2D(
        amplitude=1.0,
        r_eff=EFFECTIVE_RADIUS / scale,
        n=SERSIC_INDEX,
        x_0=x,
        y_0=y,
        ellip=ELLIPTICITY,
        theta=np.deg2rad(GALAXY_ANGLE),
    )
    # Total of a Sersic profile (Graham & Driver 2005, eq. 2), intensity 1 at r_eff.
    n, b = SERSIC_INDEX, gammaincinv(2 * SERSIC_INDEX, 0.5)
    total = (
        2
        * np.pi
        * n
        * np.exp(b)
        * b ** (-2 * n)
        * gamma(2 * n)
        * (EFFECTIVE_RADIUS / scale) ** 2
        * (1 - ELLIPTICITY)
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
    return fftconvolve(image / total, psf.kernel(spectral_index), mode="same")


def source_rate(observation, field, sources, x, y, psf):
    """Return the sources' electrons per second in each pixel.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    sources : astropy.table.QTable
        Catalogue with ``kind``, ``flux`` and ``spectral_index``.
    x, y : ndarray
        Positions, 0-based pixels of the subarray.
    psf : PointSpreadFunction
        Image of a point source.

    Returns
    -------
    ndarray
        Shape of what is read.  The masks of the focal plane cut the light at the
        borders of the regions.
    """
    read = observation.readout(field).window
    image = np.zeros(read.shape)
    draw = {"star": psf.drawing()}
    if DISTANT in sources["kind"]:
        draw[DISTANT] = psf.blurred(GALAXY_WIDTH, _DISTANT_RADIUS).drawing()
    electrons = sources["flux"].to_value("uJy") * electrons_per_microjansky(observation.filter)
    for source, at_x, at_y, rate in zip(sources, x, y, electrons, strict=True):
        # On the full array: a dither can move the core out of a subarray, but its wings not.
        place = (at_x + read.x.start, at_y + read.y.start)
        if source["kind"] == "galaxy":
            galaxy = _galaxy_image(*place, source["spectral_index"], psf)
            image += rate * read.cut(np.maximum(galaxy, 0.0))
            continue
        drawn, radius = draw[source["kind"]]
        columns, rows = (
            np.arange(max(round(at) - radius, 0), min(round(at) + radius + 1, size))
            for at, size in ((at_x, read.shape[1]), (at_y, read.shape[0]))
        )
        if columns.size and rows.size:
            image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += rate * drawn(
                rows - at_y, columns - at_x, source["spectral_index"], place
            )
    return image * read.cut(point_response())
