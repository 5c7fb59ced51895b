"""What every reference file needs: its data model with the metadata that CRDS asks for."""

import numpy as np

from miri_background.instrument import throughput
from miri_background.instrument.aperture import ARCSEC_TO_RAD
from miri_background.instrument.readout import subarrays
from miri_background.references.mappings import USE_AFTER

__all__ = ["EXPOSURE_TYPE", "detector_model", "flags", "new_model", "set_pixel_area"]

EXPOSURE_TYPE = "MIR_IMAGE"

_DESCRIPTIONS = {
    "mask": "Dead and hot pixels and reference columns of the simulated detector",
    "saturation": "Saturation level of the simulated detector, per pixel",
    "reset": "Reset anomaly of the simulated detector",
    "linearity": "Quadratic linearity correction of the simulated detector, per pixel",
    "rscd": "Groups to leave out at the start of an integration",
    "dark": "Dark current of the simulated detector, per pixel",
    "gain": "Gain of the simulated detector, per pixel",
    "readnoise": "Correlated-double-sampling read noise of the simulated detector, per pixel",
    "area": "Relative pixel area from the SIAF distortion",
    "photom": "Flux conversion from bandpass, mirror area and gain",
    "flat": "Response in DN of the simulated detector to a uniform sky",
    "distortion": "Distortion of MIRIM_FULL from the SIAF, inverse refitted",
    "filteroffset": "Boresight offsets of the filters",
    "apcorr": "Aperture corrections from the computed point-spread function",
    "emicorr": "Waveform of the interference in simulated ramps",
    "abvegaoffset": "AB minus Vega magnitudes from bandpass and spectrum of Vega",
}


def new_model(kind, reftype, **content):
    """Return a reference data model with the metadata that CRDS asks of every file.

    Parameters
    ----------
    kind : str
        Name of the data model's class.
    reftype : str
        CRDS reference type.
    **content
        Arrays, tables or transforms of the model.

    Returns
    -------
    stdatamodels.jwst.datamodels.JwstDataModel
        The model.
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


def detector_model(kind, reftype, subarray="FULL", **content):
    """Return a reference data model of a part of the detector.

    Parameters
    ----------
    kind, reftype : str
        As for `new_model`.
    subarray : str, optional
        Name of the subarray that the arrays are of.
    **content
        Arrays.

    Returns
    -------
    stdatamodels.jwst.datamodels.JwstDataModel
        The model.
    """
    model = new_model(kind, reftype, **content)
    read = subarrays()[subarray]
    rows, columns = read.shape
    model.meta.subarray.name = subarray
    model.meta.subarray.xstart = read.x.start + 1
    model.meta.subarray.ystart = read.y.start + 1
    model.meta.subarray.xsize = columns
    model.meta.subarray.ysize = rows
    model.meta.subarray.fastaxis = 1
    model.meta.subarray.slowaxis = 2
    return model


def flags(**where):
    """Return data-quality flags and their definitions.

    Parameters
    ----------
    **where
        For each flag, by the pipeline's name, a boolean array of the detector's shape.

    Returns
    -------
    dq : ndarray
        Of 32-bit unsigned numbers.
    dq_def : ndarray
        Table of bit, value, name and description.
    """
    from stdatamodels.jwst.datamodels import dqflags

    dq = np.zeros(next(iter(where.values())).shape, dtype=np.uint32)
    rows = []
    for name, flagged in where.items():
        value = dqflags.pixel[name]
        dq[flagged] |= value
        rows.append((value.bit_length() - 1, value, name, name.replace("_", " ").capitalize()))
    columns = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    return dq, np.array(rows, dtype=columns)


def set_pixel_area(model):
    """Give a model the solid angle of the nominal pixel, in steradian and arcsec^2."""
    model.meta.photometry.pixelarea_steradians = throughput.PIXEL_SOLID_ANGLE
    model.meta.photometry.pixelarea_arcsecsq = throughput.PIXEL_SOLID_ANGLE / ARCSEC_TO_RAD**2
