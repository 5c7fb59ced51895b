"""Which sources of a mosaic stand alone."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.wcs import WCS

from miri_background.validation.mosaic.sources import true_sources

SIZE = 200


@pytest.mark.parametrize(
    ("kind", "apart", "flux", "alone"),
    [
        ("star", 12, 400.0, False),
        ("star", 20, 400.0, True),
        ("star", 12, 0.05, True),
        ("galaxy", 20, 400.0, False),
        ("galaxy", 32, 400.0, True),
    ],
)
def test_star_stands_alone_from_the_edge_of_its_neighbour_on(kind, apart, flux, alone):
    """15 pixels, and a galaxy has 15 of its own; what has a fiftieth of its light is none."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (80.49, -69.498)
    wcs.wcs.crpix, wcs.wcs.cdelt = (SIZE / 2, SIZE / 2), (-3e-5, 3e-5)
    ra, dec = wcs.wcs_pix2world([90.0, 90.0 + apart], [100.0, 100.0], 0)
    catalogue = QTable(
        {"ra": ra * u.deg, "dec": dec * u.deg, "flux": [5.0, flux] * u.uJy, "kind": ["star", kind]}
    )
    data = np.zeros((SIZE, SIZE))
    mosaic = SimpleNamespace(wcs=wcs, data=data, covered=data == 0)
    found = true_sources(mosaic, [SimpleNamespace(catalogue=catalogue)])
    assert found.inside.all()
    assert found.clear[0] == alone
