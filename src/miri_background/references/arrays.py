"""The reference files of MIRI imaging, from the constants of the instrument.

What the simulator puts in, these files take out; nothing else is in them.  Each
function returns data models; `write_references` writes them under CRDS names.
"""

from pathlib import Path

import numpy as np
from sedpy.observate import Filter

from miri_background.instrument import detector, throughput
from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.response import relative_pixel_area, sky_response
from miri_background.references.mappings import MATCH_KEYS, SERIAL, USE_AFTER, reference_name

__all__ = ["RESET_GROUPS", "write_references"]

READOUT_PATTERN = "FASTR1"  # one frame per group, no gaps
SUBARRAY = "FULL"
EXPOSURE_TYPE = "MIR_IMAGE"

# The reset anomaly fades within the first groups.  The detector of the simulator has
# none, so that the reference holds zeros; the step still runs.
RESET_GROUPS = 4

# Groups that the first and the later integrations lose to the reset-switch charge decay.
_GROUP_SKIP_FIRST = 1
_GROUP_SKIP_LATER = 4

# Where a star moves with the filter, pixel columns and rows: boresight offsets of the
# MIRI distortion delivery SS.09.00, distributed in pysiaf.  They are relative to F770W.
_BORESIGHT_OFFSETS = {"F770W": (0.0, 0.0)}

# Fraction of a star's light inside a radius in pixels: computed from the JWST pupil,
# with the detector's cruciform artefact and inter-pixel capacitance.
_ENCIRCLED_ENERGY = {
    "F770W": {
        1.5: 0.515, 2.5: 0.629, 3.5: 0.667, 5.0: 0.753, 7.0: 0.790, 10.0: 0.825, 20.0: 0.878
    },
}  # fmt: skip
_CORE_SIGMA = {"F770W": 1.04}  # pixel; full width at half maximum 2.445, JWST user documentation
_APERTURE_ENERGIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # choices of the source catalogue
_SKY_ANNULUS = (12.0, 20.0)  # inner and outer radius, pixel

# Degree at which the inverse distortion closes to 1e-3 pixel; the inverse of the SIAF,
# of degree 4, misses by up to 0.11 pixel in the corners.
_INVERSE_DEGREE = 7
_INVERSE_FIT_POINTS = 80  # along each axis, many more than the coefficients

_DESCRIPTIONS = {
    "mask": "Dead and hot pixels and reference columns of the simulated detector",
    "saturation": "Saturation level of the simulated detector",
    "reset": "No reset anomaly: the simulated detector has none",
    "linearity": "Quadratic linearity correction of the simulated detector",
    "rscd": "Groups to leave out at the start of an integration",
    "dark": "Dark current of the simulated detector",
    "gain": "Gain of the simulated detector",
    "readnoise": "Correlated-double-sampling read noise of the simulated detector",
    "area": "Relative pixel area from the SIAF distortion",
    "photom": "Flux conversion from bandpass, mirror area and gain",
    "flat": "Pixel flat times relative pixel area of the simulated detector",
    "distortion": "Distortion of MIRIM_FULL from the SIAF, inverse refitted",
    "filteroffset": "Boresight offsets of the filters",
    "apcorr": "Aperture corrections from computed encircled energies",
    "abvegaoffset": "AB minus Vega magnitudes from bandpass and spectrum of Vega",
}


def _new_model(kind, reftype, **content):
    """Return a reference data model with the metadata that CRDS asks of every file.

    Parameters
    ----------
    kind : str
        Name of the data model's class.
    reftype : str
        CRDS reference type.
    **content
        Arrays, tables or transforms of the model.
    """
    # Imported here: it takes a second, and a cache that is already there needs none of it.
    from stdatamodels.jwst import datamodels

    # Strict: what does not agree with the schema is an error, not a warning.
    model = getattr(datamodels, kind)(strict_validation=True, **content)
    model.meta.reftype = reftype.upper()
    model.meta.author = "miri_background"
    model.meta.pedigree = "SIMULATION"
    model.meta.description = _DESCRIPTIONS[reftype]
    model.meta.useafter = "T".join(USE_AFTER)
    model.meta.instrument.name = "MIRI"
    model.meta.instrument.detector = "MIRIMAGE"
    model.add_history_entry("Written from the constants of the simulated instrument.")
    return model


def _detector_model(kind, reftype, **content):
    """Return a reference data model of the full array, reference columns included."""
    model = _new_model(kind, reftype, **content)
    rows, columns = detector.SHAPE
    model.meta.subarray.name = SUBARRAY
    model.meta.subarray.xstart = 1
    model.meta.subarray.ystart = 1
    model.meta.subarray.xsize = columns
    model.meta.subarray.ysize = rows
    model.meta.subarray.fastaxis = 1
    model.meta.subarray.slowaxis = 2
    return model


def _constant(value):
    """Return a detector-shaped float32 array of one value."""
    return np.full(detector.SHAPE, value, dtype=np.float32)


def _no_flags(shape=detector.SHAPE):
    """Return data-quality flags, none of them set."""
    return np.zeros(shape, dtype=np.uint32)


def _flags(**where):
    """Return data-quality flags and their definitions.

    Parameters
    ----------
    **where
        For each flag, by the pipeline's name, a detector-shaped boolean array.

    Returns
    -------
    dq : ndarray
        Detector-shaped, uint32.
    dq_def : ndarray
        Table of bit, value, name and description.
    """
    from stdatamodels.jwst.datamodels import dqflags

    dq = _no_flags()
    rows = []
    for name, flagged in where.items():
        value = dqflags.pixel[name]
        dq[flagged] |= value
        rows.append((value.bit_length() - 1, value, name, name.replace("_", " ").capitalize()))
    columns = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    return dq, np.array(rows, dtype=columns)


def _bad(kind):
    """Return a detector-shaped boolean array, True in bad pixels of one kind."""
    return detector.bad_pixels() == detector.BAD_PIXEL_KINDS.index(kind)


def _mask():
    dead, hot = _bad("dead"), _bad("hot")
    dq, dq_def = _flags(
        DO_NOT_USE=dead | hot,
        DEAD=dead,
        HOT=hot,
        REFERENCE_PIXEL=detector.reference_pixels(),
    )
    return _detector_model("MaskModel", "mask", dq=dq, dq_def=dq_def)


def _saturation():
    level = _constant(detector.saturation_level())
    return _detector_model("SaturationModel", "saturation", data=level, dq=_no_flags())


def _reset():
    zeros = np.zeros((1, RESET_GROUPS, *detector.SHAPE), dtype=np.float32)
    model = _detector_model("ResetModel", "reset", data=zeros, err=zeros.copy(), dq=_no_flags())
    model.meta.exposure.readpatt = READOUT_PATTERN
    model.meta.exposure.nints, model.meta.exposure.ngroups = zeros.shape[:2]
    return model


def _linearity():
    coefficients = detector.linearity_coefficients()
    planes = np.empty((len(coefficients), *detector.SHAPE), dtype=np.float32)
    planes[:] = coefficients[:, np.newaxis, np.newaxis]
    identity = np.eye(1, len(coefficients), 1)[0]
    # The reference columns see no light: they are read as they are.
    planes[:, detector.reference_pixels()] = identity[:, np.newaxis]
    return _detector_model("LinearityModel", "linearity", coeffs=planes, dq=_no_flags())


def _rscd():
    columns = [
        ("subarray", "S17"),
        ("readpatt", "S12"),
        ("group_skip1", "i4"),
        ("group_skip", "i4"),
    ]
    rows = [(SUBARRAY, READOUT_PATTERN, _GROUP_SKIP_FIRST, _GROUP_SKIP_LATER)]
    table = np.array(rows, dtype=columns)
    return _new_model("RSCDModel", "rscd", rscd_group_skip_table=table)


def _dark(groups):
    rate = (detector.dark_current() / detector.GAIN).astype(np.float32)
    # The first group ends one frame time after the reset.
    times = (detector.FRAME_TIME * np.arange(1, groups + 1)).astype(np.float32)
    data = np.empty((1, groups, *detector.SHAPE), dtype=np.float32)
    np.multiply(times[:, np.newaxis, np.newaxis], rate, out=data[0])
    model = _detector_model(
        "DarkMIRIModel", "dark", data=data, dq=_no_flags((1, 1, *detector.SHAPE))
    )
    model.meta.exposure.readpatt = READOUT_PATTERN
    model.meta.exposure.nframes = 1
    model.meta.exposure.groupgap = 0
    model.meta.exposure.ngroups = groups
    return model


def _gain():
    model = _detector_model("GainModel", "gain", data=_constant(detector.GAIN))
    model.meta.bunit_data = "ELECTRONS/DN"
    return model


def _readnoise():
    # The reference holds the noise of the difference of two reads; the pipeline
    # divides by the square root of 2.
    noise = detector.READ_NOISE * np.sqrt(2)
    model = _detector_model("ReadnoiseModel", "readnoise", data=_constant(noise))
    model.meta.bunit_data = "DN"
    return model


def _set_pixel_area(model):
    """Give a model the solid angle of the nominal pixel, in steradian and arcsec^2."""
    model.meta.photometry.pixelarea_steradians = throughput.PIXEL_SOLID_ANGLE
    model.meta.photometry.pixelarea_arcsecsq = throughput.PIXEL_SOLID_ANGLE / ARCSEC_TO_RAD**2


def _area():
    data = relative_pixel_area().astype(np.float32)
    model = _new_model("PixelAreaModel", "area", data=data)
    _set_pixel_area(model)
    # CRDS wants to know the readout, for which this schema has no place.
    rows, columns = detector.SHAPE
    readout = {
        "SUBARRAY": SUBARRAY,
        "SUBSTRT1": 1,
        "SUBSTRT2": 1,
        "SUBSIZE1": columns,
        "SUBSIZE2": rows,
        "FASTAXIS": 1,
        "SLOWAXIS": 2,
    }
    cards = [[key, value, ""] for key, value in readout.items()]
    model.extra_fits = {"PRIMARY": {"header": cards}}
    return model


def _photom():
    columns = [
        ("filter", "S12"),
        ("subarray", "S17"),
        ("photmjsr", "f4"),
        ("uncertainty", "f4"),
    ]
    # No uncertainty: the simulator multiplies by what the pipeline divides by.
    rows = [(name, SUBARRAY, throughput.photmjsr(name), 0.0) for name in throughput.FILTERS]
    table = np.array(rows, dtype=columns)
    model = _new_model("MirImgPhotomModel", "photom", phot_table=table)
    model.meta.exposure.type = EXPOSURE_TYPE
    _set_pixel_area(model)
    return model


def _flat(name):
    lit = illuminated()
    dead = _bad("dead")
    dq, dq_def = _flags(
        DO_NOT_USE=~lit | dead,
        NON_SCIENCE=~lit,
        NO_FLAT_FIELD=lit & dead,
    )
    data = sky_response().astype(np.float32)
    # No error: what the flat removes is exactly what the simulator put in.
    model = _detector_model(
        "FlatModel", "flat", data=data, err=np.zeros_like(data), dq=dq, dq_def=dq_def
    )
    model.meta.instrument.filter = name
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


def _distortion():
    """Return the transform from 0-based detector pixels to V2, V3 in arcsec.

    It has no bounding box: the pipeline then sets the array's, and early builds
    cannot read one that a recent build of asdf has written.
    """
    from astropy import units
    from astropy.modeling.models import AffineTransformation2D, Mapping, Shift

    aperture = imager_aperture()
    reference = (aperture.v2_ref, aperture.v3_ref)
    forward = (
        Shift(-aperture.x_ref) & Shift(-aperture.y_ref)
        | Mapping((0, 1, 0, 1))
        | _siaf_polynomial(aperture.coefficients["Sci2IdlX"])
        & _siaf_polynomial(aperture.coefficients["Sci2IdlY"])
        | AffineTransformation2D(aperture.ideal_to_v2v3_matrix, translation=reference)
    )

    rows, columns = detector.SHAPE
    y, x = np.meshgrid(
        np.linspace(-0.5, rows - 0.5, _INVERSE_FIT_POINTS),
        np.linspace(-0.5, columns - 0.5, _INVERSE_FIT_POINTS),
    )
    x, y = x.ravel(), y.ravel()
    to_ideal = np.linalg.inv(aperture.ideal_to_v2v3_matrix)
    offsets = np.array(aperture.pixel_to_v2v3(x, y)) - np.array(reference)[:, np.newaxis]
    ideal = to_ideal @ offsets
    forward.inverse = (
        Shift(-aperture.v2_ref) & Shift(-aperture.v3_ref)
        | AffineTransformation2D(to_ideal)
        | Mapping((0, 1, 0, 1))
        | _fitted_polynomial(*ideal, x - aperture.x_ref, _INVERSE_DEGREE)
        & _fitted_polynomial(*ideal, y - aperture.y_ref, _INVERSE_DEGREE)
        | Shift(aperture.x_ref) & Shift(aperture.y_ref)
    )
    return _new_model(
        "DistortionModel",
        "distortion",
        model=forward,
        input_units=units.pixel,
        output_units=units.arcsec,
    )


def _filteroffset():
    # The reference moves pixels to where F770W would have seen them: the opposite sign.
    filters = [
        {
            "filter": name,
            "pupil": "N/A",
            "column_offset": -_BORESIGHT_OFFSETS[name][0],
            "row_offset": -_BORESIGHT_OFFSETS[name][1],
        }
        for name in throughput.FILTERS
    ]
    model = _new_model("FilteroffsetModel", "filteroffset")
    model.filters = filters
    return model


def _aperture_corrections(name):
    """Return rows of encircled energy, radius, correction and sky annulus of a filter.

    Radii are interpolated in the table of encircled energies, and below its first
    entry along a Gaussian core.  The correction undoes the light outside the
    aperture and the star's own light in the sky annulus.
    """
    radii, energies = np.array(list(_ENCIRCLED_ENERGY[name].items())).T
    inner = np.linspace(0.0, radii[0], 31)
    core = -np.expm1(-0.5 * (inner / _CORE_SIGMA[name]) ** 2)
    energies = np.concatenate([core[:-1] * energies[0] / core[-1], energies])
    radii = np.concatenate([inner[:-1], radii])

    sky_in, sky_out = _SKY_ANNULUS
    light_in, light_out = np.interp(_SKY_ANNULUS, radii, energies)
    sky = (light_out - light_in) / (sky_out**2 - sky_in**2)
    rows = []
    for energy in _APERTURE_ENERGIES:
        radius = np.interp(energy, energies, radii)
        rows.append((energy, radius, 1.0 / (energy - sky * radius**2), sky_in, sky_out))
    return rows


def _apcorr():
    columns = [
        ("filter", "S12"),
        ("subarray", "S17"),
        ("eefraction", "f4"),
        ("radius", "f4"),
        ("apcorr", "f4"),
        ("skyin", "f4"),
        ("skyout", "f4"),
    ]
    rows = [
        (name, SUBARRAY, *row) for name in throughput.FILTERS for row in _aperture_corrections(name)
    ]
    table = np.array(rows, dtype=columns)
    model = _new_model("MirImgApcorrModel", "apcorr", apcorr_table=table)
    model.meta.exposure.type = EXPOSURE_TYPE
    return model


def _abvegaoffset():
    from astropy.table import Table

    # sedpy has Vega minus AB.
    offsets = [-Filter(f"jwst_{name.lower()}").ab_to_vega for name in throughput.FILTERS]
    model = _new_model("ABVegaOffsetModel", "abvegaoffset")
    model.abvega_offset = Table(
        {
            "filter": list(throughput.FILTERS),
            "abvega_offset": np.array(offsets, dtype=np.float32),
        }
    )
    return model


def _models(dark_groups):
    """Yield reference type, serial and data model, one at a time, of every file."""
    single = {
        "mask": _mask,
        "saturation": _saturation,
        "reset": _reset,
        "linearity": _linearity,
        "rscd": _rscd,
        "dark": lambda: _dark(dark_groups),
        "gain": _gain,
        "readnoise": _readnoise,
        "area": _area,
        "photom": _photom,
        "distortion": _distortion,
        "filteroffset": _filteroffset,
        "apcorr": _apcorr,
        "abvegaoffset": _abvegaoffset,
    }
    for reftype, build in single.items():
        yield reftype, SERIAL, build()
    for index, name in enumerate(throughput.FILTERS):
        yield "flat", SERIAL + index, _flat(name)


def write_references(directory, dark_groups):
    """Write the reference files of MIRI imaging.

    Parameters
    ----------
    directory : path-like
        Where to write, an existing directory.
    dark_groups : int
        Number of groups in the dark; longer ramps would make the pipeline extrapolate.

    Returns
    -------
    dict
        What `miri_background.references.mappings.write_mappings` takes.
    """
    import asdf

    selections = {reftype: {} for reftype in MATCH_KEYS}
    with asdf.config_context() as configuration:
        # The newest version that builds back to jwst 1.6 can read.
        configuration.default_version = "1.5.0"
        for reftype, serial, model in _models(dark_groups):
            with model:
                table_or_transform = reftype in {"distortion", "filteroffset", "abvegaoffset"}
                extension = "asdf" if table_or_transform else "fits"
                name = reference_name(reftype, extension, serial)
                match = tuple(model[key.lower()] for key in MATCH_KEYS[reftype])
                model.save(str(Path(directory) / name))
                selections[reftype][match] = name
    return selections
