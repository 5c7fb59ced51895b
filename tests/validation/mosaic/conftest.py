"""A small mosaic of three exposures in memory, that no pipeline had to run for."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from miri_background.validation.mosaic.reading import Member, Mosaic

SCALE = 0.11  # arcsec
SHAPE, GRID = (40, 44), (52, 58)
DITHERS = ((0.0, 0.0, 0.0), (3.4, -2.7, 1.0), (-2.2, 4.6, -2.0))  # pixels, and degrees
SKY, NOISE = 5.0, 0.3  # MJy/sr


def tangent(shape, across=0.0, along=0.0, angle=0.0, scale=SCALE):
    """Return a tangent projection whose middle is so far from the target, pixels and degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 80.49, -69.498
    wcs.wcs.crpix = shape[1] / 2 + 0.5 + across, shape[0] / 2 + 0.5 + along
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    wcs.wcs.pc = [[cosine, -sine], [sine, cosine]]
    return wcs


class SkyOfPixels:
    """What of a generalised WCS is asked for."""

    def __init__(self, wcs):
        self.wcs = wcs

    def __call__(self, x, y, with_bounding_box):
        """Return right ascension and declination, degrees."""
        assert not with_bounding_box
        return self.wcs.wcs_pix2world(x, y, 0)

    def to_grid(self, grid):
        """Return where the middles of pixels are on a grid, shape (rows, columns, 2)."""
        y, x = np.indices(SHAPE)
        return np.stack(grid.wcs_world2pix(*self.wcs.wcs_pix2world(x, y, 0), 0), axis=-1)


def make_members(generator, level=0.0):
    """Return three exposures of empty sky, in which pixels are bad here and there."""
    members = []
    for number, dither in enumerate(DITHERS):
        variance = generator.uniform(0.5, 1.5, SHAPE) * NOISE**2
        data = SKY + np.sqrt(variance) * generator.standard_normal(SHAPE)
        header = fits.Header({"FILTER": "F770W", "S_BKDSUB": "COMPLETE", "BKGDTARG": False})
        header["BKGLEVEL"], header["BKGSUB"] = level * number, False
        members.append(
            Member(
                Path(f"exposure{number + 1}_crf.fits"),
                header,
                fits.Header({"BUNIT": "MJy/sr"}),
                data,
                (generator.random(SHAPE) < 0.02).astype(np.uint32),
                {"VAR_RNOISE": variance},
                SkyOfPixels(tangent(SHAPE, *dither)),
            )
        )
    return members


@pytest.fixture
def members():
    """Return three exposures."""
    return make_members(np.random.default_rng(3), level=0.1)


@pytest.fixture
def mosaic(members):
    """Return the mosaic of the exposures."""
    return drizzled(members)


def drizzled(members, fraction=1.0):
    """Return the mosaic of exposures as the drizzle package makes it, from their weights."""
    from drizzle.resample import Drizzle

    grid = tangent(GRID)
    made = Drizzle(kernel="square", out_shape=GRID, fillval="NAN")
    for member in members:
        weight = np.where(member.dq == 0, 1 / member.variances["VAR_RNOISE"], 0.0)
        made.add_image(
            (member.data - member.level).astype(np.float32),
            exptime=1.0,
            pixmap=member.wcs.to_grid(grid),
            weight_map=weight.astype(np.float32),
            in_units="cps",
            pixfrac=fraction,
        )
    done = ("S_RESAMP", "S_OUTLIR", "S_FLAT", "S_PHOTOM")
    header = fits.Header(dict.fromkeys(done, "COMPLETE") | {"RESWHT": "ivm", "FILTER": "F770W"})
    header["PIXFRAC"] = fraction
    extension = grid.to_header()
    area = SCALE**2
    extension.update({"BUNIT": "MJy/sr", "PIXAR_A2": area})
    extension["PIXAR_SR"] = area * np.deg2rad(1 / 3600) ** 2
    err = np.full(GRID, NOISE)
    names = [member.path.name for member in members]
    weight = np.nan_to_num(made.out_wht)
    return Mosaic(
        Path("mosaic_i2d.fits"), header, extension, made.out_img, err, weight, names, members
    )
