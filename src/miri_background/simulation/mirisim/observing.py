"""Taking a whole observation with MIRISim, into a run directory."""

from dataclasses import asdict

import numpy as np
from astropy import units as u
from astropy.table import QTable

from miri_background.files import content_key
from miri_background.instrument.detector import pixel_flat
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import subarrays
from miri_background.observation import FIELDS, exposures
from miri_background.places import writable
from miri_background.progress import progress_bar
from miri_background.provenance import source_fingerprint
from miri_background.simulation.exposures import SimulatedExposure, field_catalogue
from miri_background.simulation.level1b import level1b_model
from miri_background.simulation.mirisim.calibration import (
    calibration_file,
    mirisim_calibration,
)
from miri_background.simulation.mirisim.configuration import (
    SceneSource,
    SkyBackground,
    write_configuration,
)
from miri_background.simulation.mirisim.constants import MIRISIM_GAIN
from miri_background.simulation.mirisim.installation import working_directory
from miri_background.simulation.mirisim.ramps import read_ramps
from miri_background.simulation.mirisim.throughput import mirisim_throughput
from miri_background.simulation.sky import (
    EFFECTIVE_RADIUS,
    ELLIPTICITY,
    GALAXY_ANGLE,
    SERSIC_INDEX,
    Pointing,
    field_attitude,
    pixel_positions,
    pointing,
    sky_rate,
    source_rate,
)

__all__ = ["dither_offsets", "field_scene", "take_mirisim_exposures"]

# What decides the files, beside observation, MIRISim and calibration.
_SOURCES = (
    "miri_background.observation",
    "miri_background.instrument",
    "miri_background.simulation",
)


def take_mirisim_exposures(run, installation):
    """Simulate an observation's exposures with MIRISim into its run directory.

    MIRISim runs once for each field, with all dithers that are missing.  It has no random
    seed, so two runs of one observation differ in their noise.

    Truth is an expectation here: the catalogue's positions are where MIRISim was asked to put
    the sources, but its images are those of the embedded optics with MIRISim's telescope and
    gain, while MIRISim has point-spread functions, efficiencies and two levels of sky of its
    own.

    Parameters
    ----------
    run : RunDirectory
        Where to write; its observation is simulated.
    installation : MIRISim
        How MIRISim is called.

    Returns
    -------
    list of pathlib.Path
        Level-1b files, science first, in the order of the dithers.

    Raises
    ------
    CannotJudge
        If MIRISim cannot be run or does not do what it was asked for, or if the directory
        cannot be written or holds a file that this suite did not write.
    """
    observation = run.observation
    calibration = mirisim_calibration(installation, observation)
    key = content_key(observation.key, asdict(calibration), source_fingerprint(*_SOURCES))
    unfinished = run.unfinished(key)
    missing = {field: [each for each in unfinished if each.field == field] for field in FIELDS}
    for field in progress_bar("MIRISim", [field for field in FIELDS if missing[field]]):
        _take_field(run, installation, calibration, key, field, missing[field])
    return [run.uncal(exposure) for exposure in exposures(observation)]


def _take_field(run, installation, calibration, key, field, missing):
    """Run MIRISim on the missing exposures of one field and write their files."""
    observation = run.observation
    sources = _flat_sources(observation, field)
    log = run.log(f"mirisim_{field}")
    noise = calibration.stated_read_noise, calibration_file(installation, observation)
    with working_directory() as directory:
        write_configuration(
            directory,
            installation.version,
            observation,
            SkyBackground.of(observation, calibration.scene_angle(observation.sky_gradient_angle)),
            field_scene(observation, field, sources, calibration),
            [calibration.dither_sign * offset for offset in dither_offsets(observation, missing)],
        )
        images = installation.det_images(directory, len(missing), log)
        for exposure, image in zip(missing, images, strict=True):
            ramps = read_ramps(image, observation, log, noise)
            taken = _exposure(observation, exposure, sources, ramps)
            truth, uncal = run.truth(exposure), run.uncal(exposure)
            with writable(truth.parent), run.records.writing(key, truth) as (aside,):
                taken.write_truth(aside)
            with writable(uncal.parent), run.records.writing(key, uncal) as (aside,):
                taken.level1b.save(aside)
            # MIRISim's files are large: no longer kept than needed.
            image.unlink()


def _flat_sources(observation, field):
    """Return the sources of a field, as the embedded simulator has them but without colours."""
    sources = field_catalogue(observation, field)
    sources["spectral_index"] = 0.0  # as they are described to MIRISim
    return sources


def _undithered(observation, field):
    """Return the pointing that has the field's centre on the reference point."""
    ra, dec = (getattr(observation, f"{field}_{axis}") for axis in ("ra", "dec"))
    window = observation.readout(field).window
    return Pointing(field_attitude(observation, field), ra, dec, observation.roll, 0.0, 0.0, window)


def field_scene(observation, field, sources, calibration):
    """Return a field's sources as MIRISim's files describe them.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str
        "science" or "background".
    sources : astropy.table.QTable
        Catalogue of the field.
    calibration : Calibration
        How the scene lies on the detector.

    Returns
    -------
    list of SceneSource
        In the order of the catalogue.
    """
    read = subarrays()[observation.subarray]
    x, y = pixel_positions(observation, sources, _undithered(observation, field))
    x, y = calibration.scene_positions(x + read.x.start, y + read.y.start)
    galaxy = {
        "n": SERSIC_INDEX,
        "re": EFFECTIVE_RADIUS,
        "q": 1 - ELLIPTICITY,
        "pa": round(calibration.scene_angle(GALAXY_ANGLE) % 180, 4),
    }
    return [
        SceneSource(float(cx), float(cy), float(flux), galaxy if kind == "galaxy" else None)
        for cx, cy, flux, kind in zip(
            x, y, sources["flux"].to_value("uJy"), sources["kind"], strict=True
        )
    ]


def dither_offsets(observation, taken):
    """Return how far exposures shift the image of the field's centre.

    Parameters
    ----------
    observation : Observation
        The observation.
    taken : list of Exposure
        Exposures of one field.

    Returns
    -------
    ndarray
        Shape (exposures, 2), pixels along x and y.
    """
    field = taken[0].field
    centre = QTable(
        {axis: [getattr(observation, f"{field}_{axis}")] * u.deg for axis in ("ra", "dec")}
    )
    at_rest = np.ravel(pixel_positions(observation, centre, _undithered(observation, field)))
    return np.array(
        [
            np.ravel(
                pixel_positions(observation, centre, pointing(observation, field, exposure.dither))
            )
            - at_rest
            for exposure in taken
        ]
    )


def _exposure(observation, exposure, sources, ramps):
    """Return one exposure: MIRISim's ramps with our metadata, and what is expected of them."""
    where = pointing(observation, exposure.field, exposure.dither)
    x, y = pixel_positions(observation, sources, where)
    listed = sources.copy()
    listed["x"], listed["y"] = x * u.pix, y * u.pix
    # The embedded detector's pixels differ in response, MIRISim's do not: its flat is off.
    flat = subarrays()[observation.subarray].cut(pixel_flat())
    electrons = mirisim_throughput(observation.filter) / np.where(flat > 0, flat, 1.0)
    to_rate = electrons / MIRISIM_GAIN
    light = source_rate(
        observation, exposure.field, sources, x, y, point_spread_function(observation.filter)
    )
    level1b = level1b_model(observation, exposure, where, *ramps.as_level1b())
    # SCASim does not count the sample that SLOWR1 leaves out.
    level1b.meta.exposure.nsamples = ramps.samples
    return SimulatedExposure(
        level1b,
        sky_rate(observation, exposure.field, where) * to_rate,
        light * to_rate,
        listed["id", "ra", "dec", "x", "y", "flux", "kind", "spectral_index"],
        hits=None,
    )
