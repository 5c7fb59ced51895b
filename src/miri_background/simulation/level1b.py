"""Level-1b models with the metadata that a real exposure carries."""

from collections import Counter

import numpy as np
from astropy.time import Time, TimeDelta

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import (
    AMPLIFIERS,
)
from miri_background.instrument.readout import PATTERNS
from miri_background.observation import PROGRAM, exposures

__all__ = ["BETWEEN_EXPOSURES", "START", "level1b_model", "start_time"]
START = "2026-01-01T00:00:00"  # of the first exposure, UTC
BETWEEN_EXPOSURES = 600.0  # s: dithers and slews


def level1b_model(observation, exposure, where, science, output):
    """Return a level-1b model with all the metadata that a real exposure carries.

    Parameters
    ----------
    observation : Observation
        The observation.
    exposure : Exposure
        Which of its exposures.
    where : Pointing
        Where the telescope points.
    science, output : ndarray of uint16
        Ramps and reference output, DN, as `ramp` returns them.

    Returns
    -------
    stdatamodels.jwst.datamodels.Level1bModel
        Ready to be saved.
    """
    # Imported here: it costs seconds, and listing exposures does not need it.
    from stdatamodels.jwst.datamodels import Level1bModel

    model = Level1bModel()
    model.data = science
    model.refout = output
    start = start_time(observation, exposure)
    for group in (
        _exposure_metadata(observation, exposure.readout, start),
        _identity_metadata(observation, exposure, start),
        _pointing_metadata(observation, exposure, where),
    ):
        model.update({"meta": group})
    model.int_times = _integration_times(exposure.readout, start)
    return model


def start_time(observation, exposure):
    """Return when an exposure begins, an `astropy.time.Time`.

    Exposures follow each other; the background field begins after its delay.
    """
    every = exposures(observation)
    before = Counter(each.readout.duration for each in every[: every.index(exposure)])
    seconds = sum((each + BETWEEN_EXPOSURES) * count for each, count in before.items())
    if exposure.field == "background":
        seconds += observation.background_delay * 86_400
    return Time(START, scale="utc") + TimeDelta(seconds, format="sec")


def _exposure_metadata(observation, readout, start):
    """Return metadata of instrument, readout and times."""
    end = start + TimeDelta(readout.duration, format="sec")
    frame, read = readout.frame_time, readout.window
    return {
        "telescope": "JWST",
        "origin": "miri-background-validation",
        "time_sys": "UTC",
        "instrument": {
            "name": "MIRI",
            "detector": "MIRIMAGE",
            "filter": observation.filter,
            "lamp_state": "OFF",
            "ccc_state": "OPEN",
        },
        "exposure": {
            "type": "MIR_IMAGE",
            "count": 1,
            "readpatt": readout.pattern,
            "nints": readout.integrations,
            "ngroups": readout.groups,
            "nframes": 1,
            "groupgap": 0,
            "nsamples": PATTERNS[readout.pattern].samples,
            "noutputs": AMPLIFIERS,
            "sample_time": 10.0,
            "frame_time": frame,
            "group_time": frame,
            "integration_time": readout.integration_time,
            "exposure_time": readout.integration_time * readout.integrations,
            "duration": readout.duration,
            "start_time": start.mjd,
            "mid_time": (start + TimeDelta(readout.duration / 2, format="sec")).mjd,
            "end_time": end.mjd,
            "nresets_at_start": 1,
            "nresets_between_ints": 1,
            "zero_frame": False,
            "frame_divisor": 1,
            "drop_frames1": 0,
            "drop_frames3": 0,
            "integration_start": 1,
            "integration_end": readout.integrations,
            "segment_number": 1,
            "segment_total": 1,
            "data_problem": False,
        },
        "subarray": {
            "name": readout.subarray,
            "xstart": read.x.start + 1,
            "ystart": read.y.start + 1,
            "xsize": read.shape[1],
            "ysize": read.shape[0],
            "fastaxis": 1,
            "slowaxis": 2,
        },
    }


def _identity_metadata(observation, exposure, start):
    """Return metadata that say which exposure of which programme this is."""
    number = exposure.observation_number
    end = start + TimeDelta(exposure.readout.duration, format="sec")
    return {
        "filename": f"{exposure.name}_uncal.fits",
        "program": {
            "title": "Simulated validation of MIRI imaging background subtraction",
            "pi_name": "miri-background-validation",
            "category": "CAL",
            "sub_category": "MIRI",
            "science_category": "Calibration",
        },
        "observation": {
            "obs_id": f"V{PROGRAM}{number}001P0000000002101",
            "visit_id": f"{PROGRAM}{number}001",
            "program_number": PROGRAM,
            "observation_number": number,
            "visit_number": "001",
            "visit_group": "02",
            "sequence_id": "1",
            "activity_id": "01",
            "exposure_number": f"{exposure.dither + 1:05d}",
            "observation_label": f"{exposure.field} field",
            "template": "MIRI Imaging",
            "bkgdtarg": exposure.field == "background",
            "date": start.isot.split("T")[0],
            "time": start.isot.split("T")[1],
            "date_beg": start.isot,
            "date_end": end.isot,
        },
        "visit": {
            "type": "PRIME_TARGETED_FIXED",
            "status": "SUCCESSFUL",
            "start_time": START.replace("T", " "),
            "total_exposures": len(exposures(observation, exposure.field)),
            "internal_target": False,
            "too_visit": False,
            "tsovisit": False,
            "exp_only": False,
            "crowded_field": False,
        },
        "target": {
            "catalog_name": f"{exposure.field.upper()} FIELD",
            "proposer_name": f"{exposure.field.upper()}-FIELD",
            "type": "FIXED",
            "ra": getattr(observation, f"{exposure.field}_ra"),
            "dec": getattr(observation, f"{exposure.field}_dec"),
            "proposer_ra": getattr(observation, f"{exposure.field}_ra"),
            "proposer_dec": getattr(observation, f"{exposure.field}_dec"),
        },
    }


def _pointing_metadata(observation, exposure, where):
    """Return metadata of dither, attitude and world coordinates."""
    aperture, read = imager_aperture(), where.window
    ra_v1, dec_v1 = where.attitude.sky(0.0, 0.0)
    return {
        "aperture": {
            "name": read.aperture,
            "pps_name": read.aperture,
            "position_angle": (where.roll_ref + aperture.v3_ideal_y_angle) % 360,
        },
        "dither": {
            "primary_type": "4-POINT-SETS",
            "position_number": exposure.dither + 1,
            "total_points": len(exposures(observation, exposure.field)),
            "pattern_size": "DEFAULT",
            "pattern_start": 1,
            # The headers say where the target lies, which moves against the pointing.
            "x_offset": -where.x_offset,
            "y_offset": -where.y_offset,
        },
        "pointing": {
            "ra_v1": float(ra_v1),
            "dec_v1": float(dec_v1),
            "pa_v3": float(where.attitude.roll_at(0.0, 0.0)),
        },
        "guidestar": {"gs_pcs_mode": "FINEGUIDE"},
        "coordinates": {"reference_frame": "ICRS"},
        "velocity_aberration": {
            "scale_factor": 1.0,
            "va_ra_ref": where.ra_ref,
            "va_dec_ref": where.dec_ref,
        },
        "wcsinfo": _world_coordinates(where),
    }


def _world_coordinates(where):
    """Return metadata of where the pixels are on the sky."""
    aperture, read = imager_aperture(), where.window
    jacobian = aperture.jacobian(read.x_ref, read.y_ref)
    scale = np.hypot(*jacobian)
    x_ref, y_ref = read.x_ref - read.x.start, read.y_ref - read.y.start
    left, right, bottom, top = read.x.start, read.x.stop, read.y.start, read.y.stop
    corners = np.array([[left, bottom], [left, top], [right, top], [right, bottom]]) - 0.5
    region = np.column_stack(where.attitude.sky(*aperture.pixel_to_v2v3(*corners.T)))
    # FITS scales the rows of the matrix: CD_ij = CDELT_i PC_ij.
    roll = np.deg2rad(where.roll_ref)
    to_sky = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    matrix = to_sky @ jacobian / scale[:, np.newaxis]
    return {
        "wcsaxes": 2,
        "crpix1": x_ref + 1,
        "crpix2": y_ref + 1,
        "crval1": where.ra_ref,
        "crval2": where.dec_ref,
        "ctype1": "RA---TAN",
        "ctype2": "DEC--TAN",
        "cunit1": "deg",
        "cunit2": "deg",
        "cdelt1": scale[0] / 3600,
        "cdelt2": scale[1] / 3600,
        "pc1_1": matrix[0, 0],
        "pc1_2": matrix[0, 1],
        "pc2_1": matrix[1, 0],
        "pc2_2": matrix[1, 1],
        "siaf_xref_sci": x_ref + 1,
        "siaf_yref_sci": y_ref + 1,
        "v2_ref": read.v2_ref,
        "v3_ref": read.v3_ref,
        "vparity": aperture.parity,
        "v3yangle": aperture.v3_ideal_y_angle,
        "ra_ref": where.ra_ref,
        "dec_ref": where.dec_ref,
        "roll_ref": where.roll_ref,
        "s_region": "POLYGON ICRS " + " ".join(f"{angle:.9f}" for angle in region.ravel()),
    }


def _integration_times(readout, start):
    """Return the table of integration times, days; the barycentre is not simulated."""
    integration = readout.integration_time
    rows = []
    for number in range(readout.integrations):
        begin = start + TimeDelta(number * (integration + readout.frame_time), format="sec")
        times = [(begin + TimeDelta(part * integration, format="sec")).mjd for part in (0, 0.5, 1)]
        rows.append((number + 1, *times, *times))
    names = [
        "integration_number",
        "int_start_MJD_UTC",
        "int_mid_MJD_UTC",
        "int_end_MJD_UTC",
        "int_start_BJD_TDB",
        "int_mid_BJD_TDB",
        "int_end_BJD_TDB",
    ]
    return np.array(rows, dtype=[(names[0], "i4"), *((name, "f8") for name in names[1:])])
