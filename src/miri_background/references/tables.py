"""Reference files that hold tables and transforms: one function for each data model."""

from functools import lru_cache

import numpy as np

from miri_background.instrument import detector, throughput
from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import READABLE, subarrays
from miri_background.references.metadata import EXPOSURE_TYPE, new_model, set_pixel_area

__all__ = [
    "abvegaoffset",
    "apcorr",
    "distortion",
    "filteroffset",
    "photom",
    "rscd",
]

_APERTURE_ENERGIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # choices of the source catalogue
# The sky annulus begins where a star has become faint: in units of the radius of 80 %
# of the light, but at least as far out as this.
_SKY_RADII = 1.3
_SKY_START, _SKY_WIDTH = 12.0, 8.0  # pixel
_RADIUS_STEP = 0.05  # pixel, of the curve of growth

# Degree at which the inverse distortion closes to 1e-3 pixel; the inverse of the SIAF,
# of degree 4, misses by up to 0.11 pixel in the corners.
_INVERSE_DEGREE = 7
_INVERSE_FIT_POINTS = 80  # along each axis, many more than the coefficients


def rscd():
    """Return the number of groups to leave out at the start of integrations."""
    columns = [
        ("subarray", "S17"),
        ("readpatt", "S12"),
        ("group_skip1", "i4"),
        ("group_skip", "i4"),
    ]
    skipped = detector.GROUP_SKIP_FIRST, detector.GROUP_SKIP_LATER
    rows = [(subarray, pattern, *skipped) for pattern, subarray in READABLE]
    table = np.array(rows, dtype=columns)
    return new_model("RSCDModel", "rscd", rscd_group_skip_table=table)


def photom(maps):
    """Return the flux conversion of all filters, MJy/sr per DN/s."""
    columns = [
        ("filter", "S12"),
        ("subarray", "S17"),
        ("photmjsr", "f4"),
        ("uncertainty", "f4"),
    ]
    # No uncertainty: the simulator multiplies by what the pipeline divides by.
    scale = maps.conversion / detector.GAIN
    rows = [
        (name, subarray, throughput.photmjsr(name) * scale / maps.throughput[name], 0.0)
        for name in throughput.FILTERS
        for subarray in subarrays()
    ]
    table = np.array(rows, dtype=columns)
    model = new_model("MirImgPhotomModel", "photom", phot_table=table)
    model.meta.exposure.type = EXPOSURE_TYPE
    set_pixel_area(model)
    return model


def _siaf_polynomial(coefficients):
    """Return the astropy model of triangular SIAF coefficients."""
    from astropy.modeling.models import Polynomial2D

    terms = {
        f"c{k - j}_{j}": value for k, row in enumerate(coefficients) for j, value in enumerate(row)
    }
    return Polynomial2D(len(coefficients) - 1, **terms)


def _fitted_polynomial(x, y, values, degree):
    """Return the least-squares polynomial of `values` at `x` and `y`, as an astropy model.

    The powers are of coordinates scaled to the unit square, which keeps the fit
    well conditioned; the coefficients are scaled back.
    """
    from astropy.modeling.models import Polynomial2D

    x_scale, y_scale = np.abs(x).max(), np.abs(y).max()
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    design = np.stack([(x / x_scale) ** i * (y / y_scale) ** j for i, j in powers], axis=-1)
    solution = np.linalg.lstsq(design, values)[0]
    terms = {
        f"c{i}_{j}": value / x_scale**i / y_scale**j
        for (i, j), value in zip(powers, solution, strict=True)
    }
    return Polynomial2D(degree, **terms)


@lru_cache  # several caches may be written
def _inverse_polynomials():
    """Return the polynomials from ideal coordinates to column and row, from the reference."""
    aperture = imager_aperture()
    rows, columns = detector.SHAPE
    y, x = np.meshgrid(
        np.linspace(-0.5, rows - 0.5, _INVERSE_FIT_POINTS),
        np.linspace(-0.5, columns - 0.5, _INVERSE_FIT_POINTS),
    )
    x, y = x.ravel(), y.ravel()
    reference = np.array([[aperture.v2_ref], [aperture.v3_ref]])
    offsets = np.array(aperture.pixel_to_v2v3(x, y)) - reference
    ideal = np.linalg.inv(aperture.ideal_to_v2v3_matrix) @ offsets
    return (
        _fitted_polynomial(*ideal, x - aperture.x_ref, _INVERSE_DEGREE),
        _fitted_polynomial(*ideal, y - aperture.y_ref, _INVERSE_DEGREE),
    )


def distortion():
    """Return the transform from 0-based detector pixels to V2, V3 in arcsec.

    It has no bounding box: the pipeline then sets the array's, and early builds
    cannot read one that a recent build of asdf has written.
    """
    from astropy import units
    from astropy.modeling.models import AffineTransformation2D, Mapping, Shift

    aperture = imager_aperture()
    reference = (aperture.v2_ref, aperture.v3_ref)
    to_x, to_y = _inverse_polynomials()
    forward = (
        Shift(-aperture.x_ref) & Shift(-aperture.y_ref)
        | Mapping((0, 1, 0, 1))
        | _siaf_polynomial(aperture.coefficients["Sci2IdlX"])
        & _siaf_polynomial(aperture.coefficients["Sci2IdlY"])
        | AffineTransformation2D(aperture.ideal_to_v2v3_matrix, translation=reference)
    )

    forward.inverse = (
        Shift(-aperture.v2_ref) & Shift(-aperture.v3_ref)
        | AffineTransformation2D(np.linalg.inv(aperture.ideal_to_v2v3_matrix))
        | Mapping((0, 1, 0, 1))
        | to_x & to_y
        | Shift(aperture.x_ref) & Shift(aperture.y_ref)
    )
    return new_model(
        "DistortionModel",
        "distortion",
        model=forward,
        input_units=units.pixel,
        output_units=units.arcsec,
    )


def filteroffset():
    """Return how far the filters move a star, pixels."""
    # The reference moves pixels to where F770W would have seen them: the opposite sign.
    filters = [
        {
            "filter": name,
            "pupil": "N/A",
            "column_offset": -throughput.BORESIGHT_OFFSETS[name][0],
            "row_offset": -throughput.BORESIGHT_OFFSETS[name][1],
        }
        for name in throughput.FILTERS
    ]
    model = new_model("FilteroffsetModel", "filteroffset")
    model.filters = filters
    return model


@lru_cache  # several caches of one filter may be written
def aperture_corrections(name):
    """Return rows of encircled energy, radius, correction and sky annulus of a filter.

    The correction undoes the light outside the aperture and the star's own light in
    the sky annulus.

    Parameters
    ----------
    name : str
        Filter.

    Returns
    -------
    list of tuple of float
        Fraction of all light, radius in pixels, factor, inner and outer radius in pixels.
    """
    psf = point_spread_function(name)
    radii = np.arange(_RADIUS_STEP, psf.radius / 2, _RADIUS_STEP)
    energies = psf.encircled_energy(radii)
    widest = np.interp(_APERTURE_ENERGIES[-1], energies, radii)
    sky_in = max(_SKY_START, np.ceil(_SKY_RADII * widest))
    sky_out = sky_in + _SKY_WIDTH
    light_in, light_out = np.interp((sky_in, sky_out), radii, energies)
    sky = (light_out - light_in) / (sky_out**2 - sky_in**2)
    rows = []
    for energy in _APERTURE_ENERGIES:
        radius = np.interp(energy, energies, radii)
        rows.append((energy, radius, 1.0 / (energy - sky * radius**2), sky_in, sky_out))
    return rows


def apcorr(name):
    """Return the aperture corrections of a filter."""
    columns = [
        ("filter", "S12"),
        ("subarray", "S17"),
        ("eefraction", "f4"),
        ("radius", "f4"),
        ("apcorr", "f4"),
        ("skyin", "f4"),
        ("skyout", "f4"),
    ]
    corrections = aperture_corrections(name)
    rows = [(name, subarray, *row) for subarray in subarrays() for row in corrections]
    table = np.array(rows, dtype=columns)
    model = new_model("MirImgApcorrModel", "apcorr", apcorr_table=table)
    model.meta.exposure.type = EXPOSURE_TYPE
    return model


def abvegaoffset():
    """Return AB minus Vega magnitudes of all filters."""
    from astropy.table import Table
    from sedpy.observate import Filter

    # sedpy has Vega minus AB.
    offsets = [-Filter(f"jwst_{name.lower()}").ab_to_vega for name in throughput.FILTERS]
    model = new_model("ABVegaOffsetModel", "abvegaoffset")
    model.abvega_offset = Table(
        {
            "filter": list(throughput.FILTERS),
            "abvega_offset": np.array(offsets, dtype=np.float32),
        }
    )
    return model
