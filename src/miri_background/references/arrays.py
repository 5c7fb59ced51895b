"""Reference files that hold a value for each pixel.

What the simulator puts in, these files take out; nothing else is in them.  Each
function returns a data model.
"""

import numpy as np

from miri_background.instrument.detector import BAD_PIXEL_KINDS, SHAPE, reference_pixels
from miri_background.instrument.footprint import illuminated, transmission
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.instrument.response import relative_pixel_area
from miri_background.references.metadata import detector_model, flags, new_model, set_pixel_area

__all__ = [
    "area",
    "dark",
    "flat",
    "gain",
    "linearity",
    "mask",
    "readnoise",
    "reset",
    "saturation",
]

# A pixel that sees less of the sky than this lies in a shadow: its flat is steep.
_CLEAR = 0.9


def _no_flags(shape=SHAPE):
    """Return data-quality flags, none of them set."""
    return np.zeros(shape, dtype=np.uint32)


def _bad(maps, kind):
    """Return a boolean array, True in bad pixels of one kind."""
    return maps.bad_pixels == BAD_PIXEL_KINDS.index(kind)


def mask(maps):
    """Return the bad-pixel mask."""
    dead, hot = _bad(maps, "dead"), _bad(maps, "hot")
    dq, dq_def = flags(
        DO_NOT_USE=dead | hot, DEAD=dead, HOT=hot, REFERENCE_PIXEL=reference_pixels()
    )
    return detector_model("MaskModel", "mask", dq=dq, dq_def=dq_def)


def saturation(maps):
    """Return the saturation levels, DN."""
    level = maps.saturation_level.astype(np.float32)
    return detector_model("SaturationModel", "saturation", data=level, dq=_no_flags())


def reset(maps, readout_pattern, subarray, integrations):
    """Return the reset anomaly, DN, of as many integrations as differ."""
    read = subarrays()[subarray]
    data = np.stack([read.cut(maps.reset_anomaly[number]) for number in range(integrations)])
    model = detector_model(
        "ResetModel",
        "reset",
        subarray,
        data=data.astype(np.float32),
        err=np.zeros(data.shape, dtype=np.float32),
        dq=_no_flags(read.shape),
    )
    model.meta.exposure.readpatt = readout_pattern
    model.meta.exposure.nints, model.meta.exposure.ngroups = data.shape[:2]
    return model


def linearity(maps):
    """Return the coefficients of the linearity polynomial."""
    planes = maps.linearity.astype(np.float32)
    return detector_model("LinearityModel", "linearity", coeffs=planes, dq=_no_flags())


def dark(maps, readout_pattern, subarray, groups):
    """Return the dark current, DN, in each group."""
    read = subarrays()[subarray]
    electrons = read.cut(maps.dark_current)
    rate = (electrons / read.cut(maps.gain)).astype(np.float32)
    # The first group ends one frame time after the reset.
    times = frame_time(readout_pattern, subarray) * np.arange(1, groups + 1)
    data = np.empty((1, groups, *read.shape), dtype=np.float32)
    np.multiply(times.astype(np.float32)[:, np.newaxis, np.newaxis], rate, out=data[0])
    model = detector_model(
        "DarkMIRIModel",
        "dark",
        subarray,
        data=data,
        dq=_no_flags((1, 1, *read.shape)),
        # For the noise of the dark current, electron / s.
        average_dark_current=electrons.astype(np.float32),
    )
    model.meta.exposure.readpatt = readout_pattern
    model.meta.exposure.nframes = 1
    model.meta.exposure.groupgap = 0
    model.meta.exposure.ngroups = groups
    return model


def gain(maps):
    """Return the gain, electron / DN."""
    model = detector_model("GainModel", "gain", data=maps.gain.astype(np.float32))
    model.meta.bunit_data = "ELECTRONS/DN"
    return model


def readnoise(maps, readout_pattern):
    """Return the noise of the difference of two reads, DN; the pipeline divides by root 2."""
    noise = (maps.read_noise * np.sqrt(2)).astype(np.float32)
    model = detector_model("ReadnoiseModel", "readnoise", data=noise)
    model.meta.exposure.readpatt = readout_pattern
    model.meta.bunit_data = "DN"
    return model


def area():
    """Return the relative pixel area."""
    model = new_model("PixelAreaModel", "area", data=relative_pixel_area().astype(np.float32))
    set_pixel_area(model)
    # CRDS wants to know the readout, for which this schema has no place.
    rows, columns = SHAPE
    readout = {
        "SUBARRAY": "FULL",
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


def flat(maps, name):
    """Return the flat field of a filter."""
    lit = illuminated()
    dead = _bad(maps, "dead")
    dq, dq_def = flags(
        DO_NOT_USE=~lit | dead,
        NON_SCIENCE=~lit,
        NO_FLAT_FIELD=lit & dead,
        UNRELIABLE_FLAT=lit & (transmission() < _CLEAR),
    )
    data = maps.flat.astype(np.float32)
    # No error: what the flat removes is exactly what the simulator put in.
    model = detector_model(
        "FlatModel", "flat", data=data, err=np.zeros_like(data), dq=dq, dq_def=dq_def
    )
    model.meta.instrument.filter = name
    return model
