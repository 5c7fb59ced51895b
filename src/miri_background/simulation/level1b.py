"""Level-1b models with the metadata that a real exposure carries."""

from collections import Counter

import numpy as np
from astropy.time import Time, TimeDelta

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import AMPLIFIERS, SCA_NUMBER
from miri_background.instrument.readout import PATTERNS
from miri_background.observation import PROGRAM, exposures
from miri_background.simulation.ephemeris import arrival_metadata
from miri_background.simulation.visit import visit_metadata

__all__ = ["BETWEEN_EXPOSURES", "START", "level1b_model", "start_time"]
START = "2026-01-01T00:00:00"  # of the first exposure, UTC
BETWEEN_EXPOSURES = 600.0  # s: dithers and slews
_PRD = "PRDOPSSOC-075"  # of which the geometry is, see miri_siaf.json


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
    arrival = arrival_metadata(exposure.readout, start, where)
    for group in (
        _exposure_metadata(observation, exposure, start),
        _identity_metadata(exposure, start),
        visit_metadata(observation, exposure, *_visit(observation, exposure.field)),
        _pointing_metadata(observation, exposure, where),
        arrival,
    ):
        model.update({"meta": group})
    correction = arrival["time"]["barycentric_correction"]
    model.int_times = _integration_times(exposure.readout, start, correction)
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


def _seconds_later(time, seconds):
    """Return a time some seconds after another."""
    return time + TimeDelta(seconds, format="sec")


def _exposure_metadata(observation, exposure, start):
    """Return metadata of instrument, readout and times."""
    readout = exposure.readout
    frame, read = readout.frame_time, readout.window
    middle, end = (_seconds_later(start, readout.duration * part) for part in (0.5, 1.0))
    collecting = readout.integration_time * readout.integrations
    return {
        "telescope": "JWST",
        "origin": "miri-background-validation",
        "time_sys": "UTC",
        "time_unit": "s",
        "prd_software_version": _PRD,
        "hga_move": False,
        "compress": False,
        "instrument": {
            "name": "MIRI",
            "detector": "MIRIMAGE",
            "filter": observation.filter,
            "lamp_state": "OFF",
            "lamp_mode": "NONE",
            "ccc_state": "OPEN",
            "miri_fpe_side": "A",
            "miri_ice_side": "A",
        },
        "exposure": {
            "type": "MIR_IMAGE",
            "count": exposure.dither + 1,
            "prime_parallel": "PRIME",
            "sca_num": SCA_NUMBER,
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
            "exposure_time": collecting,
            "effective_exposure_time": collecting,
            "measurement_time": (readout.groups - 1) * frame * readout.integrations,
            "elapsed_exposure_time": readout.duration,
            "duration": readout.duration,
            "start_time": start.mjd,
            "start_time_mjd": start.mjd,
            "mid_time": middle.mjd,
            "mid_time_mjd": middle.mjd,
            "end_time": end.mjd,
            "end_time_mjd": end.mjd,
            "nresets_at_start": 0,
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


def _identity_metadata(exposure, start):
    """Return metadata that say which exposure of which programme this is."""
    number = exposure.observation_number
    end = _seconds_later(start, exposure.readout.duration)
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
            "exposure_number": f"{exposure.dither + 1}",
            "observation_label": f"{exposure.field} field",
            "template": "MIRI Imaging",
            "bkgdtarg": exposure.field == "background",
            "date": start.isot.split("T")[0],
            "time": start.isot.split("T")[1],
            "date_beg": start.isot,
            "date_end": end.isot,
        },
    }


def _visit(observation, field):
    """Return when the first exposure of a field begins, and when its last one ends."""
    every = exposures(observation, field)
    begins = [start_time(observation, exposure) for exposure in (every[0], every[-1])]
    return begins[0], _seconds_later(begins[1], every[-1].readout.duration)


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
            "starting_set": 1,
            "number_of_sets": -(-len(exposures(observation, exposure.field)) // 4),
            "direction": "POSITIVE",
            "optimized_for": "POINT-SOURCE",
            # The headers say where the target lies, which moves against the pointing.
            "x_offset": -where.x_offset,
            "y_offset": -where.y_offset,
        },
        "pointing": {
            "ra_v1": float(ra_v1),
            "dec_v1": float(dec_v1),
            "pa_v3": float(where.attitude.roll_at(0.0, 0.0)),
        },
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
        "s_region": "POLYGON ICRS  " + " ".join(f"{angle:.9f}" for angle in region.ravel()),
    }


def _integration_times(readout, start, correction):
    """Return the table of integration times, days, also as `correction` s later."""
    integration = readout.integration_time
    rows = []
    for number in range(readout.integrations):
        begin = _seconds_later(start, number * (integration + readout.frame_time))
        times = [_seconds_later(begin, part * integration) for part in (0, 0.5, 1)]
        late = [_seconds_later(each, correction) for each in times]
        rows.append((number + 1, *(each.mjd for each in (*times, *late))))
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
