"""Level-1b exposures as the telescope would deliver them, each with its truth beside it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time, TimeDelta

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import (
    AMPLIFIERS,
    dark_current,
    full_well,
    gain,
)
from miri_background.instrument.readout import PATTERNS
from miri_background.observation import FIELDS, PROGRAM, exposures
from miri_background.simulation.detector import ramp
from miri_background.simulation.particles import Deposits, cosmic_rays, showers
from miri_background.simulation.sky import (
    catalogue,
    pixel_positions,
    pointing,
    sky_rate,
    source_rate,
)

__all__ = [
    "START",
    "SimulatedExposure",
    "field_catalogue",
    "level1b_model",
    "simulate",
    "start_time",
    "write_truth",
]

START = "2026-01-01T00:00:00"  # of the first exposure, UTC
_BETWEEN_EXPOSURES = 600.0  # s: dithers and slews
# Spawn keys of the random streams: one for a field's catalogue, two per exposure.
_CATALOGUE_STREAM, _EXPOSURE_STREAM, _PARTICLE_STREAM = 0, 1, 2

# A latent image fades like this (MiriTE 7.9, SCASim's fast component).
_LATENT_DECAY = 300.0  # s, e-folding


@dataclass(frozen=True)
class SimulatedExposure:
    """What the simulator gives for one exposure.

    Parameters
    ----------
    level1b : stdatamodels.jwst.datamodels.Level1bModel
        Ramps, reference output and metadata.
    background, sources : ndarray
        Expected rates of sky and sources, DN/s, shape of what is read.
    catalogue : astropy.table.QTable
        Sources with true sky and pixel positions and fluxes.
    hits : Deposits or None
        Charge of the cosmic rays, where it is known.
    """

    level1b: object
    background: np.ndarray
    sources: np.ndarray
    catalogue: QTable
    hits: Deposits | None

    def write_truth(self, path):
        """Write the truth file: images, catalogue and cosmic rays."""
        write_truth(path, self.background, self.sources, self.catalogue, self.hits)


def write_truth(path, background, sources, catalogue, hits=None):
    """Write a truth file.

    Parameters
    ----------
    path : path-like
        FITS file to write: images BACKGROUND and SOURCES, table CATALOG, and table
        COSMIC_RAYS where they are known.
    background, sources : ndarray
        Expected rates, DN/s.
    catalogue : astropy.table.QTable
        Sources.
    hits : Deposits, optional
        Charge of cosmic rays: integration, group, row and column from 0, electrons.
    """
    images = [
        fits.ImageHDU(image.astype(np.float32), name=name)
        for name, image in (("BACKGROUND", background), ("SOURCES", sources))
    ]
    for hdu in images:
        hdu.header["BUNIT"] = "DN/s"
    tables = [("CATALOG", catalogue)]
    if hits is not None:
        places = {
            name: getattr(hits, name).astype(np.int16)
            for name in ("integration", "group", "row", "column")
        }
        charge = {"electrons": hits.electrons.astype(np.float32)}
        tables.append(("COSMIC_RAYS", QTable(places | charge)))
    units = []
    for name, table in tables:
        units.append(fits.table_to_hdu(table))
        units[-1].name = name
    fits.HDUList([fits.PrimaryHDU(), *images, *units]).writeto(path)


def _generator(observation, *stream):
    """Return the random generator of one stream of the observation."""
    return np.random.default_rng(np.random.SeedSequence(observation.seed, spawn_key=stream))


def field_catalogue(observation, field):
    """Return the sources of a field, the same in all of its exposures.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".

    Returns
    -------
    astropy.table.QTable
        As `miri_background.simulation.sky.catalogue` gives it.
    """
    generator = _generator(observation, FIELDS.index(field), _CATALOGUE_STREAM)
    return catalogue(observation, field, generator)


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
    field, readout = FIELDS.index(exposure.field), exposure.readout
    read = readout.window
    where, sources, light = _scene(observation, exposure, psf)
    sky = sky_rate(observation, exposure.field)
    hits, shower = (
        arrive(
            read,
            rate,
            readout.frame_time,
            readout.groups,
            readout.integrations,
            _generator(observation, field, _PARTICLE_STREAM, exposure.dither, number),
        )
        for number, (arrive, rate) in enumerate(
            (
                (cosmic_rays, observation.cosmic_ray_rate),
                (showers, observation.shower_rate / 60),
            )
        )
    )
    science, output = ramp(
        sky + light + read.cut(dark_current()),
        readout,
        hits.joined(shower),
        _generator(observation, field, _EXPOSURE_STREAM, exposure.dither),
        _latent_image(observation, exposure, psf),
    )
    model = level1b_model(observation, exposure, where, science, output)
    conversion = read.cut(gain())
    sources = sources["id", "ra", "dec", "x", "y", "flux", "kind", "spectral_index"]
    return SimulatedExposure(model, sky / conversion, light / conversion, sources, hits)


def _scene(observation, exposure, psf):
    """Return pointing, catalogue with pixel positions, and source light, electron / s."""
    where = pointing(observation, exposure.field, exposure.dither)
    sources = field_catalogue(observation, exposure.field)
    x, y = pixel_positions(observation, sources, where)
    sources["x"], sources["y"] = x * u.pix, y * u.pix
    return where, sources, source_rate(observation, exposure.field, sources, x, y, psf)


def _latent_image(observation, exposure, psf):
    """Return what the previous exposure's sources leave behind, None where that is nothing.

    The latent image of the sky is part of the sky that all exposures share.

    Returns
    -------
    callable or None
        Electrons that come between two times, s after the start of the exposure.
    """
    if observation.latent_fraction == 0 or exposure.dither == 0:
        return None
    before = exposures(observation, exposure.field)[exposure.dither - 1]
    light = _scene(observation, before, psf)[2]
    well = before.readout.window.cut(full_well())
    held = np.minimum(light * before.readout.integration_time, well)
    released = (
        observation.latent_fraction / 100 * held * np.exp(-_BETWEEN_EXPOSURES / _LATENT_DECAY)
    )

    def between(start, end):
        return released * (np.exp(-start / _LATENT_DECAY) - np.exp(-end / _LATENT_DECAY))

    return between


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
    seconds = sum((each + _BETWEEN_EXPOSURES) * count for each, count in before.items())
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
        "wcsinfo": {
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
        },
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
