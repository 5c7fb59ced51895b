"""Level-1b exposures as the telescope would deliver them, each with its truth beside it."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from miri_background.instrument.detector import (
    counted_groups,
    dark_current,
    full_well,
    gain,
)
from miri_background.observation import FIELDS, exposures
from miri_background.simulation.changes import dark_stripes, settling
from miri_background.simulation.detector import ramp
from miri_background.simulation.interference import interference
from miri_background.simulation.level1b import BETWEEN_EXPOSURES, level1b_model
from miri_background.simulation.migration import charge_migration
from miri_background.simulation.particles import Deposits, cosmic_rays, showers
from miri_background.simulation.sky import (
    catalogue,
    pixel_positions,
    pointing,
    sky_rate,
    source_rate,
)
from miri_background.simulation.sky_by_date import sky_by_date

__all__ = ["SimulatedExposure", "field_catalogue", "simulate", "write_truth"]

# Spawn keys of the random streams: two of a field, its catalogue and stripes, and three of an
# exposure.
_CATALOGUE_STREAM, _EXPOSURE_STREAM, _PARTICLE_STREAM, _STRIPES_STREAM = range(4)
_INTERFERENCE_STREAM = 4

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
        Expected rates, DN/s, shape of what is read: of the sky with what the detector adds to it
        that no reference takes away, and of sources, their latent images and showers, as slopes
        show them.
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
    change = settling(observation, exposure) * sky_by_date(observation, exposure)
    sky = sky_rate(observation, exposure.field, where, change)
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
    stripes = dark_stripes(observation, read, _generator(observation, field, _STRIPES_STREAM))
    latent = _latent_image(observation, exposure, psf)
    rate = np.maximum(sky + light + read.cut(dark_current()) + stripes, 0.0)
    migration = charge_migration(observation, rate, readout)
    science, output = ramp(
        rate,
        readout,
        hits.joined(shower),
        _generator(observation, field, _EXPOSURE_STREAM, exposure.dither),
        latent,
        migration,
        interference(
            observation,
            readout,
            _generator(observation, field, _INTERFERENCE_STREAM, exposure.dither),
        ),
    )
    if latent is not None:
        light = light + latent(0.0, readout.duration) / readout.duration
    if migration is not None:
        light = light + migration.rate
    if observation.shower_rate:
        light = light + _mean_rate(shower, readout)
    model = level1b_model(observation, exposure, where, science, output)
    conversion = read.cut(gain())
    sources = sources["id", "ra", "dec", "x", "y", "flux", "kind", "spectral_index"]
    return SimulatedExposure(model, (sky + stripes) / conversion, light / conversion, sources, hits)


def _scene(observation, exposure, psf):
    """Return pointing, catalogue with pixel positions, and source light, electron / s."""
    where = pointing(observation, exposure.field, exposure.dither)
    sources = field_catalogue(observation, exposure.field)
    x, y = pixel_positions(observation, sources, where)
    sources["x"], sources["y"] = x * u.pix, y * u.pix
    return where, sources, source_rate(observation, exposure.field, sources, x, y, psf)


def _mean_rate(deposits, readout):
    """Return the rate of deposits, electron / s, mean of the groups that are in the slopes."""
    rate, steps = np.zeros(readout.window.shape), 0
    for integration, counted in enumerate(counted_groups(readout.groups, readout.integrations)):
        for group in counted:
            row, column, electrons = deposits.within(integration, group)
            np.add.at(rate, (row, column), electrons)
            steps += 1
    return rate / (steps * readout.frame_time)


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
    released = observation.latent_fraction / 100 * held * np.exp(-BETWEEN_EXPOSURES / _LATENT_DECAY)

    def between(start, end):
        return released * (np.exp(-start / _LATENT_DECAY) - np.exp(-end / _LATENT_DECAY))

    return between
