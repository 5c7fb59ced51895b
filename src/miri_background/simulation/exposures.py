"""Level-1b exposures as the telescope would deliver them, each with its truth beside it."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time, TimeDelta

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import (
    AMPLIFIERS,
    FRAME_TIME,
    GAIN,
    SHAPE,
    dark_current,
)
from miri_background.observation import FIELDS, PROGRAM, exposures
from miri_background.simulation.detector import ramp
from miri_background.simulation.sky import (
    catalogue,
    pixel_positions,
    pointing,
    sky_rate,
    source_rate,
)

__all__ = ["SimulatedExposure", "simulate"]

_START = "2026-01-01T00:00:00"
_MINUTES_BETWEEN_EXPOSURES = 10
# Spawn keys of the random streams: one for a field's catalogue, one per exposure.
_CATALOGUE_STREAM, _EXPOSURE_STREAM = 0, 1


@dataclass(frozen=True)
class SimulatedExposure:
    """What the simulator gives for one exposure.

    Parameters
    ----------
    level1b : stdatamodels.jwst.datamodels.Level1bModel
        Ramps, reference output and metadata.
    background, sources : ndarray
        Expected rates of sky and sources, DN/s, shape of the detector.
    catalogue : astropy.table.QTable
        Sources with true sky and pixel positions and fluxes.
    """

    level1b: object
    background: np.ndarray
    sources: np.ndarray
    catalogue: QTable

    def write_truth(self, path):
        """Write the truth file: images BACKGROUND and SOURCES, table CATALOG."""
        images = [
            fits.ImageHDU(image.astype(np.float32), name=name)
            for name, image in (("BACKGROUND", self.background), ("SOURCES", self.sources))
        ]
        for hdu in images:
            hdu.header["BUNIT"] = "DN/s"
        table = fits.table_to_hdu(self.catalogue)
        table.name = "CATALOG"
        fits.HDUList([fits.PrimaryHDU(), *images, table]).writeto(path)


def _generator(observation, *stream):
    """Return the random generator of one stream of the observation."""
    return np.random.default_rng(np.random.SeedSequence(observation.seed, spawn_key=stream))


def simulate(observation, exposure, psf):
    """Return one simulated exposure with its truth.

    All randomness comes from a seed sequence of this exposure's own, so the
    result does not depend on which exposures are simulated, where, or in what order.

    Parameters
    ----------
    observation : Observation
        The observation.
    exposure : Exposure
        Which of its exposures.
    psf : PointSpreadFunction
        Image of a point source in the observation's filter.

    Returns
    -------
    SimulatedExposure
        Level-1b model and truth.
    """
    field = FIELDS.index(exposure.field)
    where = pointing(observation, exposure.field, exposure.dither)
    sources = catalogue(
        observation, exposure.field, _generator(observation, field, _CATALOGUE_STREAM)
    )
    x, y = pixel_positions(sources, where)
    sources["x"], sources["y"] = x * u.pix, y * u.pix
    sky = sky_rate(observation)
    light = source_rate(observation, sources, x, y, psf)
    science, output = ramp(
        sky + light + dark_current(),
        observation.groups,
        observation.integrations,
        observation.cosmic_ray_rate,
        _generator(observation, field, _EXPOSURE_STREAM, exposure.dither),
    )
    model = _level1b(observation, exposure, where, science, output)
    sources = sources["id", "ra", "dec", "x", "y", "flux", "kind"]
    return SimulatedExposure(model, sky / GAIN, light / GAIN, sources)


def _level1b(observation, exposure, where, science, output):
    """Return the level-1b model with all the metadata that a real exposure carries."""
    # Imported here: it costs seconds, and listing exposures does not need it.
    from stdatamodels.jwst.datamodels import Level1bModel

    model = Level1bModel()
    model.data = science
    model.refout = output
    start = Time(_START, scale="utc") + TimeDelta(
        60.0 * _MINUTES_BETWEEN_EXPOSURES * exposures(observation).index(exposure), format="sec"
    )
    for group in (
        _exposure_metadata(observation, start),
        _identity_metadata(observation, exposure, start),
        _pointing_metadata(observation, exposure, where),
    ):
        model.update({"meta": group})
    model.int_times = _integration_times(observation, start)
    return model


def _durations(observation):
    """Return the integration time and the clock time of an exposure, s.

    FASTR1 spends one frame on the reset between integrations.
    """
    integration = observation.groups * FRAME_TIME
    frames = observation.integrations * observation.groups + observation.integrations - 1
    return integration, frames * FRAME_TIME


def _exposure_metadata(observation, start):
    """Return metadata of instrument, readout and times."""
    integration, duration = _durations(observation)
    end = start + TimeDelta(duration, format="sec")
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
            "readpatt": observation.readout_pattern,
            "nints": observation.integrations,
            "ngroups": observation.groups,
            "nframes": 1,
            "groupgap": 0,
            "nsamples": 1,
            "noutputs": AMPLIFIERS,
            "sample_time": 10.0,
            "frame_time": FRAME_TIME,
            "group_time": FRAME_TIME,
            "integration_time": integration,
            "exposure_time": integration * observation.integrations,
            "duration": duration,
            "start_time": start.mjd,
            "mid_time": (start + TimeDelta(duration / 2, format="sec")).mjd,
            "end_time": end.mjd,
            "nresets_at_start": 1,
            "nresets_between_ints": 1,
            "zero_frame": False,
            "frame_divisor": 1,
            "drop_frames1": 0,
            "drop_frames3": 0,
            "integration_start": 1,
            "integration_end": observation.integrations,
            "segment_number": 1,
            "segment_total": 1,
            "data_problem": False,
        },
        "subarray": {
            "name": observation.subarray,
            "xstart": 1,
            "ystart": 1,
            "xsize": SHAPE[1],
            "ysize": SHAPE[0],
            "fastaxis": 1,
            "slowaxis": 2,
        },
    }


def _identity_metadata(observation, exposure, start):
    """Return metadata that say which exposure of which programme this is."""
    number = exposure.observation_number
    end = start + TimeDelta(_durations(observation)[1], format="sec")
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
            "start_time": _START.replace("T", " "),
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
    aperture = imager_aperture()
    ra_v1, dec_v1 = where.attitude.sky(0.0, 0.0)
    jacobian = aperture.jacobian(aperture.x_ref, aperture.y_ref)
    scale = np.hypot(*jacobian)
    corners = np.array([[0, 0], [0, SHAPE[0]], [SHAPE[1], SHAPE[0]], [SHAPE[1], 0]]) - 0.5
    region = np.column_stack(where.attitude.sky(*aperture.pixel_to_v2v3(*corners.T)))
    # FITS scales the rows of the matrix: CD_ij = CDELT_i PC_ij.
    roll = np.deg2rad(where.roll_ref)
    to_sky = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    matrix = to_sky @ jacobian / scale[:, np.newaxis]
    return {
        "aperture": {
            "name": "MIRIM_FULL",
            "pps_name": "MIRIM_FULL",
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
        "wcsinfo": {
            "wcsaxes": 2,
            "crpix1": aperture.x_ref + 1,
            "crpix2": aperture.y_ref + 1,
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
            "siaf_xref_sci": aperture.x_ref + 1,
            "siaf_yref_sci": aperture.y_ref + 1,
            "v2_ref": aperture.v2_ref,
            "v3_ref": aperture.v3_ref,
            "vparity": aperture.parity,
            "v3yangle": aperture.v3_ideal_y_angle,
            "ra_ref": where.ra_ref,
            "dec_ref": where.dec_ref,
            "roll_ref": where.roll_ref,
            "s_region": "POLYGON ICRS " + " ".join(f"{angle:.9f}" for angle in region.ravel()),
        },
    }


def _integration_times(observation, start):
    """Return the table of integration times, days; the barycentre is not simulated."""
    integration, _ = _durations(observation)
    rows = []
    for number in range(observation.integrations):
        begin = start + TimeDelta(number * (integration + FRAME_TIME), format="sec")
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
