"""Tables and transforms are those of throughput, distortion and point-spread function."""

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from photutils.aperture import CircularAnnulus, CircularAperture

from miri_background.instrument import throughput
from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.apertures import aperture_sums
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import READABLE, subarrays
from miri_background.references import tables
from miri_background.references.detectors import embedded_detector

FLOAT32_ROUNDING = 2.0**-23
IMAGER_CORNERS_X = np.array([-0.5, 1031.5, -0.5, 1031.5, 692.5])
IMAGER_CORNERS_Y = np.array([-0.5, -0.5, 1023.5, 1023.5, 511.5])

# The point-spread function of a filter takes seconds: the default one, and both ends of the range.
SOME_FILTERS = [pytest.param("F560W", marks=pytest.mark.slow), "F770W", "F2550W"]


@pytest.fixture(scope="module")
def maps():
    """Return the maps of the embedded detector."""
    return embedded_detector("FASTR1")


# ------------------------------------------------------------------ readout and flux


@pytest.mark.parametrize(("pattern", "subarray"), READABLE)
def test_rscd_skips_the_groups_of_the_simulator(pattern, subarray):
    """The first integration loses one group, later ones four, however the detector is read."""
    with tables.rscd() as model:
        table = model.rscd_group_skip_table
        (row,) = table[(table["readpatt"] == pattern) & (table["subarray"] == subarray)]
        assert tuple(row) == (subarray, pattern, 1, 4)


def test_photom_has_each_filter_once(maps):
    """Nine filters have a row of each subarray, and no other."""
    with tables.photom(maps) as model:
        rows = [(row["filter"], row["subarray"]) for row in model.phot_table]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(itertools.product(throughput.FILTERS, subarrays()))


@pytest.mark.parametrize("name", throughput.FILTERS)
def test_photom_is_the_throughput(maps, name):
    """The flux conversion of each filter is that of the throughput module in each subarray."""
    with tables.photom(maps) as model:
        values = model.phot_table["photmjsr"][model.phot_table["filter"] == name]
    np.testing.assert_allclose(values, throughput.photmjsr(name), rtol=FLOAT32_ROUNDING)


@pytest.mark.parametrize(
    ("changed", "factor"),
    [
        ({"conversion": 8.0}, 2.0),
        ({"throughput": dict.fromkeys(throughput.FILTERS, 0.5)}, 2.0),
    ],
    ids=["conversion", "throughput"],
)
def test_photom_is_of_its_detector(maps, changed, factor):
    """Twice the electrons for a DN, or half the electrons of a photon: twice the flux."""
    with (
        tables.photom(maps) as usual,
        tables.photom(replace(maps, **changed)) as other,
    ):
        ratio = other.phot_table["photmjsr"] / usual.phot_table["photmjsr"]
    np.testing.assert_allclose(ratio, factor, rtol=2 * FLOAT32_ROUNDING)


def test_vega_offset_of_f770w():
    """AB minus Vega agrees with the zero magnitude of a neighbouring band."""
    # IRAC at 7.872 um: 64.13 Jy +- 1.5 % (Reach et al. 2005), moved to the pivot
    # wavelength of F770W along the Rayleigh-Jeans slope of Vega.
    vega = 64.13 * (7.872 / 7.639) ** 2
    expected = 2.5 * np.log10(3631.0 / vega)
    with tables.abvegaoffset() as model:
        table = model.abvega_offset
        (offset,) = table["abvega_offset"][table["filter"] == "F770W"]
    assert offset == pytest.approx(expected, abs=2 * 0.016)  # twice 1.5 %, in magnitudes


def test_vega_is_fainter_the_longer_the_wavelength():
    """Of a photosphere AB minus Vega grows with the wavelength: its flux density falls."""
    with tables.abvegaoffset() as model:
        assert np.all(np.diff(np.asarray(model.abvega_offset["abvega_offset"])) > 0)


# ------------------------------------------------------------------ geometry


@pytest.fixture(scope="module")
def distortion():
    """Return the transform from pixels to V2, V3."""
    with tables.distortion() as model:
        return model.model


def test_distortion_is_the_apertures(distortion):
    """Pixels look where the aperture says, to rounding (arcsec)."""
    expected = imager_aperture().pixel_to_v2v3(IMAGER_CORNERS_X, IMAGER_CORNERS_Y)
    np.testing.assert_allclose(
        distortion(IMAGER_CORNERS_X, IMAGER_CORNERS_Y), expected, rtol=0, atol=1e-9
    )


def test_inverse_distortion_closes(distortion):
    """The way there and back ends within a thousandth of a pixel, corners included."""
    x, y = distortion.inverse(*distortion(IMAGER_CORNERS_X, IMAGER_CORNERS_Y))
    assert np.hypot(x - IMAGER_CORNERS_X, y - IMAGER_CORNERS_Y).max() < 1e-3


def test_filter_offsets_undo_those_of_the_simulator():
    """The reference moves each filter's stars back by as much as the filter moves them."""
    with tables.filteroffset() as model:
        moved = {entry.filter: (-entry.column_offset, -entry.row_offset) for entry in model.filters}
    assert moved == dict(throughput.BORESIGHT_OFFSETS)


def test_f770w_defines_the_boresight():
    """Offsets are relative to F770W, which has none."""
    with tables.filteroffset() as model:
        (entry,) = (entry for entry in model.filters if entry.filter == "F770W")
    assert (entry.column_offset, entry.row_offset) == (0.0, 0.0)


# ------------------------------------------------------------------ aperture corrections

PHASES = 4  # along each axis: positions of a star within a pixel
HALF = 50  # pixels around a star, more than any sky annulus
# What is left after an average over positions, where the light is in a few pixels.
PHOTOMETRY_ERROR = 0.005


@pytest.fixture(scope="module", params=SOME_FILTERS)
def apertures(request):
    """Return point-spread function and aperture corrections of a filter."""
    return point_spread_function(request.param), of_subarray(all_apertures(request.param), "SUB256")


@lru_cache
def all_apertures(name):
    """Return the aperture corrections of a filter, those of all subarrays."""
    with tables.apcorr(name) as model:
        return np.array(model.apcorr_table)


def of_subarray(rows, name):
    """Return the aperture corrections of a subarray."""
    return rows[rows["subarray"] == name.encode()]


def corrected_fluxes(psf, rows):
    """Return the flux in each aperture, of stars of flux 1 at several places in a pixel."""
    pixels = np.arange(-HALF, HALF + 1)
    reddest, colour = psf.splines()
    places = (np.arange(PHASES) + 0.5) / PHASES - 0.5
    fluxes = []
    for y, x in np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2):
        offsets = (pixels - y, pixels - x)
        image = reddest(*offsets) + 0.5 * colour(*offsets)  # flat in frequency
        centre = (HALF + x, HALF + y)
        annulus = CircularAnnulus(centre, rows["skyin"][0], rows["skyout"][0])
        sky = aperture_sums(image, annulus)[0] / annulus.area
        around = [CircularAperture(centre, radius) for radius in rows["radius"]]
        inside = [aperture_sums(image, each)[0] - sky * each.area for each in around]
        fluxes.append(inside * rows["apcorr"])
    return np.array(fluxes)


def test_aperture_corrections_recover_the_flux(apertures):
    """Photometry of a star in pixels, sky annulus and all, gives its flux at every radius."""
    fluxes = corrected_fluxes(*apertures).mean(axis=0)
    np.testing.assert_allclose(fluxes, 1.0, rtol=PHOTOMETRY_ERROR)


def test_apertures_grow_with_the_light_inside(apertures):
    """More encircled energy takes a larger radius."""
    assert np.all(np.diff(apertures[1]["radius"]) > 0)


def test_more_light_needs_less_correction(apertures):
    """The correction falls with the radius."""
    assert np.all(np.diff(apertures[1]["apcorr"]) < 0)


def test_sky_is_outside_the_largest_aperture(apertures):
    """There is one sky annulus, around all apertures."""
    _, rows = apertures
    (sky,) = set(rows["skyin"])
    assert sky > rows["radius"].max()


def test_sky_is_inside_the_curve_of_growth(apertures):
    """The light in the annulus was computed, not extrapolated."""
    psf, rows = apertures
    assert rows["skyout"].max() < psf.radius / 2


@pytest.mark.parametrize("subarray", subarrays())
def test_aperture_corrections_are_those_of_any_subarray(subarray):
    """Each subarray has the same rows: a star is the same wherever it is read."""
    names = ["eefraction", "radius", "apcorr", "skyin", "skyout"]
    mine, full = (of_subarray(all_apertures("F770W"), each) for each in (subarray, "FULL"))
    np.testing.assert_array_equal(mine[names], full[names])


def test_aperture_corrections_are_for_the_source_catalogue(apertures):
    """Rows are at the energies that source_catalog can be asked for."""
    _, rows = apertures
    assert np.rint(100 * rows["eefraction"]).tolist() == [20, 30, 40, 50, 60, 70, 80]
