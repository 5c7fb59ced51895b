"""The scene holds the light that it should, where it should be."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import QTable
from scipy.special import gammainc, gammaincinv
from scipy.stats import kstest

from miri_background.instrument import detector
from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.footprint import (
    regions,
    transmission,
    within_regions,
)
from miri_background.instrument.optics import (
    SPECTRAL_INDICES,
    PointSpreadFunction,
    point_spread_function,
)
from miri_background.instrument.readout import subarrays
from miri_background.instrument.response import point_response, sky_response
from miri_background.instrument.throughput import (
    BORESIGHT_OFFSETS,
    FILTERS,
    SKY_LEVELS,
    electrons_per_microjansky,
    electrons_per_surface_brightness,
)
from miri_background.observation import DITHER_PATTERN, FIELDS, Observation
from miri_background.simulation import exposures, sky
from miri_background.simulation.sky import (
    catalogue,
    pixel_positions,
    pointing,
    sky_rate,
    source_rate,
)
from miri_background.simulation.sky_level import sky_brightness

FLUX = 100.0  # uJy
# In the imager, far from its borders, off the centre of a pixel
STAR = (700.37, 300.81)
STANDARD_ERRORS = 4
SURROUNDINGS = 100  # pixels beyond the array


@pytest.fixture(scope="module")
def observation():
    """Return the default observation."""
    return Observation()


@pytest.fixture(scope="module")
def psf(observation):
    """Return the point-spread function."""
    return point_spread_function(observation.filter)


@pytest.fixture
def pinhole():
    """Return a point-spread function that leaves all light in its pixel."""
    samples = np.zeros((15, 15))
    samples[7, 7] = 1.0
    return PointSpreadFunction(np.array([samples, samples]), 5)


@pytest.fixture(scope="module")
def field_catalogue(observation):
    """Return a function that gives the catalogue of a field, of the default observation or not."""

    def sources_of(field, **changes):
        changed = Observation(**changes) if changes else observation
        stream = (FIELDS.index(field), exposures._CATALOGUE_STREAM)
        return catalogue(changed, field, exposures._generator(changed, *stream))

    return sources_of


@pytest.fixture(scope="module")
def render(observation, psf):
    """Return a function that gives the image of one star."""

    def image_of(x, y, flux=FLUX, spectral_index=0.0, **changes):
        sources = stars([flux], [spectral_index])
        changed = observation.model_copy(update=changes)
        return source_rate(changed, "science", sources, np.array([x]), np.array([y]), psf)

    return image_of


@pytest.fixture(scope="module")
def star_image(render):
    """Return the image of an isolated star."""
    return render(*STAR)


@pytest.fixture(scope="module")
def science_image(observation, field_catalogue, psf):
    """Return the image of all sources of the science field, undithered."""
    sources = field_catalogue("science")
    positions = pixel_positions(observation, sources, pointing(observation, "science", 0))
    return source_rate(observation, "science", sources, *positions, psf)


def stars(fluxes, spectral_indices):
    """Return a table of stars."""
    columns = {"kind": ["star"] * len(fluxes), "flux": fluxes, "spectral_index": spectral_indices}
    return QTable(columns, units={"flux": "uJy"})


def galaxy_place(observation):
    """Return where the galaxy is in what is read, undithered, in F770W."""
    read = subarrays()[observation.subarray]
    x, y = sky._galaxy_position(observation)
    return x - read.x.start, y - read.y.start


def full_array_pixels(observation, sources):
    """Return the pixels of the full array, undithered and in F770W, of sources."""
    attitude = sky.field_attitude(observation, "science")
    v2v3 = attitude.telescope(sources["ra"].to_value("deg"), sources["dec"].to_value("deg"))
    return imager_aperture().v2v3_to_pixel(*v2v3)


def brightness(observation):
    """Return the brightness of the sky, MJy/sr, in the pixels that respond."""
    response = subarrays()[observation.subarray].cut(sky_response())
    lit = response > 0
    electrons = sky_rate(observation, "science")[lit] / response[lit]
    return electrons / electrons_per_surface_brightness(observation.filter), lit


def inside(region, x, y):
    """Tell which positions lie in a region."""
    return (
        (x >= region.x.start - 0.5)
        & (x < region.x.stop - 0.5)
        & (y >= region.y.start - 0.5)
        & (y < region.y.stop - 0.5)
    )


# ------------------------------------------------------------------------- sky


def test_sky_has_its_level_in_the_middle(observation):
    """The plane through the sky has the level of the observation at the centre of the array."""
    found, lit = brightness(observation)
    y, x = np.nonzero(lit)
    rows, columns = detector.SHAPE
    plane = np.column_stack([np.ones(x.size), x - (columns - 1) / 2, y - (rows - 1) / 2])
    level, *_ = np.linalg.lstsq(plane, found, rcond=None)[0]
    assert level == pytest.approx(SKY_LEVELS[observation.filter], rel=1e-9)


@pytest.mark.parametrize("angle", [0.0, 30.0, 200.0])
def test_sky_brightens_along_its_angle(angle):
    """The gradient has its size, per arcmin, and its direction, from +x towards +y."""
    observation = Observation(sky_gradient=5.0, sky_gradient_angle=angle)
    found, lit = brightness(observation)
    y, x = np.nonzero(lit)
    plane = np.column_stack([np.ones(x.size), x, y])
    _, along_x, along_y = np.linalg.lstsq(plane, found, rcond=None)[0]
    aperture = imager_aperture()
    pixel = np.sqrt(aperture.pixel_area(aperture.x_ref, aperture.y_ref)) / 60  # arcmin
    expected = 0.05 * sky_brightness(observation) * pixel * np.exp(1j * np.deg2rad(angle))
    assert along_x + 1j * along_y == pytest.approx(expected, rel=1e-9)


def test_sky_without_gradient_is_uniform():
    """Divided by the response, a sky without gradient is the same everywhere."""
    observation = Observation(sky_gradient=0.0)
    found, _ = brightness(observation)
    np.testing.assert_allclose(found, sky_brightness(observation), rtol=1e-12)


def test_steep_sky_is_not_negative():
    """The steepest gradient ends at darkness."""
    steepest = Observation(sky_gradient=20.0, sky_gradient_angle=0.0)
    assert sky_rate(steepest, "science").min() >= 0


def test_sky_does_not_pass_the_masks(observation):
    """Where the masks of the focal plane are dark, there is no sky."""
    assert not sky_rate(observation, "science")[transmission() == 0].any()


@pytest.mark.parametrize("name", FILTERS)
def test_sky_is_the_filters(name):
    """Where no level is asked for, the sky is that of the filter."""
    assert sky_brightness(Observation(filter=name)) == SKY_LEVELS[name]


@pytest.mark.parametrize("name", FILTERS)
def test_sky_level_is_the_observations(name):
    """A level that is asked for holds in every filter."""
    assert sky_brightness(Observation(filter=name, sky_level=12.5)) == 12.5


@pytest.mark.parametrize("name", ["BRIGHTSKY", "SUB256"])
def test_sky_of_a_subarray_is_cut_from_the_array(observation, name):
    """A subarray sees the sky that the full array would see there."""
    subarray = observation.model_copy(update={"subarray": name})
    expected = subarrays()[name].cut(sky_rate(observation, "science"))
    np.testing.assert_array_equal(sky_rate(subarray, "science"), expected)


# ------------------------------------------------------------------- catalogue


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("dither", range(4))
def test_each_region_has_a_star(observation, field_catalogue, field, dither):
    """In each dither of the default observation, no region is without a star."""
    sources = field_catalogue(field)
    x, y = pixel_positions(observation, sources, pointing(observation, field, dither))
    assert all(inside(region, x, y).any() for region in regions().values())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("subarray", ["FULL", "SUB256"])
def test_number_of_stars_is_the_observations(field_catalogue, field, subarray):
    """The regions of the full array have the stars that were asked for, whatever is read."""
    observation = Observation(subarray=subarray)
    sources = field_catalogue(field, subarray=subarray, galaxy_flux=0.0)
    attitude = sky.field_attitude(observation, field)
    v2v3 = attitude.telescope(sources["ra"].to_value("deg"), sources["dec"].to_value("deg"))
    # Positions went to the sky and back: they may be off by rounding.
    inside_regions = within_regions(*imager_aperture().v2v3_to_pixel(*v2v3), -1e-6)
    assert inside_regions.sum() == getattr(observation, f"{field}_stars")


def test_stars_are_as_dense_outside_the_regions(observation, field_catalogue):
    """Between and beside the regions, the density is theirs within Poisson's error."""
    count = 3000
    sources = field_catalogue("science", science_stars=count, galaxy_flux=0.0)
    x, y = full_array_pixels(observation, sources)
    found = np.sum(~within_regions(x, y, -1e-6))
    rows, columns = (size + 2 * SURROUNDINGS for size in detector.SHAPE)
    area = sum(region.area for region in regions().values())
    expected = count * (rows * columns - area) / area
    assert found == pytest.approx(expected, abs=STANDARD_ERRORS * np.sqrt(expected))


def test_stars_surround_the_array(observation, field_catalogue):
    """On each side, stars lie up to 100 pixels beyond the array, and none further."""
    sources = field_catalogue("science", science_stars=3000, galaxy_flux=0.0)
    x, y = full_array_pixels(observation, sources)
    rows, columns = detector.SHAPE
    beyond = np.array(
        [-0.5 - x.min(), x.max() - columns + 0.5, -0.5 - y.min(), y.max() - rows + 0.5]
    )
    # The outermost of 5000 stars is 1 pixel from the border on average: 7 is one in a thousand.
    assert np.all((beyond > SURROUNDINGS - 7) & (beyond < SURROUNDINGS + 1e-6))


def test_spectral_indices_are_in_their_range(field_catalogue):
    """No star is redder or bluer than what the images are computed for."""
    index = field_catalogue("science")["spectral_index"]
    assert SPECTRAL_INDICES[0] <= index.min() <= index.max() <= SPECTRAL_INDICES[1]


def test_most_stars_are_photospheres(field_catalogue):
    """Seven stars in ten have the bluest spectrum, to binomial error."""
    index = field_catalogue("science", science_stars=3000, galaxy_flux=0.0)["spectral_index"]
    error = np.sqrt(0.7 * 0.3 / index.size)
    assert np.mean(index == SPECTRAL_INDICES[1]) == pytest.approx(0.7, abs=STANDARD_ERRORS * error)


def test_other_stars_have_every_colour(field_catalogue):
    """The spectral indices of the other stars are uniform over their range."""
    index = field_catalogue("science", science_stars=3000, galaxy_flux=0.0)["spectral_index"]
    red, blue = SPECTRAL_INDICES
    others = index[index < blue]
    # Kolmogorov's distance is above 1.95 / sqrt(n) in one sample of a thousand.
    distance = kstest((others - red) / (blue - red), "uniform").statistic
    assert distance < 1.95 / np.sqrt(others.size)


def test_stars_of_a_subarray_are_those_of_the_array(field_catalogue):
    """The fluxes of the field do not depend on what is read of it."""
    full, small = (
        field_catalogue("science", subarray=name, galaxy_flux=0.0) for name in ("FULL", "SUB256")
    )
    np.testing.assert_array_equal(full["flux"], small["flux"])


@pytest.mark.parametrize("dither", range(4))
@pytest.mark.parametrize("name", subarrays())
def test_galaxy_is_inside_what_is_read(field_catalogue, name, dither):
    """In each dither of the first set, the galaxy's core is in the imager, in each subarray."""
    observation = Observation(subarray=name)
    sources = field_catalogue("science", subarray=name)
    galaxy = sources[sources["kind"] == "galaxy"]
    place = pixel_positions(observation, galaxy, pointing(observation, "science", dither))
    assert within_regions(*place, sky._CORE_WIDTH / 2, name).all()


@pytest.mark.parametrize(("field", "galaxies"), [("science", 1), ("background", 0)])
def test_galaxy_is_in_the_science_field_only(field_catalogue, field, galaxies):
    """One field has the galaxy."""
    assert np.sum(field_catalogue(field)["kind"] == "galaxy") == galaxies


def test_galaxy_without_flux_is_left_out(field_catalogue):
    """A flux of 0 means that there is no galaxy."""
    assert set(field_catalogue("science", galaxy_flux=0.0)["kind"]) == {"star"}


def test_empty_field_has_no_sources(field_catalogue):
    """A field without stars and galaxy has an empty catalogue."""
    assert len(field_catalogue("science", galaxy_flux=0.0, science_stars=0)) == 0


def test_catalogue_is_reproducible(field_catalogue):
    """The same seed gives the same sources."""
    first, second = field_catalogue("science"), field_catalogue("science")
    assert all(np.array_equal(first[name], second[name]) for name in first.colnames)


@pytest.mark.parametrize("field", FIELDS)
def test_catalogue_does_not_depend_on_the_number_of_exposures(field_catalogue, field):
    """More dithers look at the same sources."""
    few = field_catalogue(field, science_exposures=2, background_exposures=2)
    many = field_catalogue(field)
    assert all(np.array_equal(few[name], many[name]) for name in many.colnames)


def test_sources_are_numbered(field_catalogue):
    """Each source has an id of its own, from 1."""
    sources = field_catalogue("science")
    assert sources["id"].tolist() == list(range(1, len(sources) + 1))


def test_fluxes_are_in_their_range(observation, field_catalogue):
    """No star is fainter or brighter than asked for."""
    sources = field_catalogue("science")
    flux = sources["flux"][sources["kind"] == "star"].to_value("uJy")
    assert observation.science_faintest <= flux.min() <= flux.max() <= observation.science_brightest


def test_fluxes_follow_the_luminosity_function(observation, field_catalogue):
    """Flux to the power of -0.6 is uniform: so is the power law that it is drawn from."""
    sources = field_catalogue("science", science_stars=3000, galaxy_flux=0.0)
    power = sources["flux"].to_value("uJy") ** -0.6
    low, high = observation.science_brightest**-0.6, observation.science_faintest**-0.6
    # Kolmogorov's distance is above 1.95 / sqrt(n) in one sample of a thousand.
    assert kstest((power - low) / (high - low), "uniform").statistic < 1.95 / np.sqrt(power.size)


@pytest.mark.parametrize("name", regions())
def test_region_has_its_share_of_stars(observation, field_catalogue, name):
    """The number of stars is that of the region's area, to rounding."""
    sources = field_catalogue("science", galaxy_flux=0.0)
    x, y = full_array_pixels(observation, sources)
    share = regions()[name].area / sum(region.area for region in regions().values())
    found = inside(regions()[name], x, y).sum()
    assert found == pytest.approx(share * observation.science_stars, abs=1)


# -------------------------------------------------------------------- pointing


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("dither", range(len(DITHER_PATTERN)))
def test_dither_moves_the_field(observation, field, dither):
    """The field's centre moves against the offset of the reference point, in pixels."""
    aperture = imager_aperture()
    centre = QTable(
        {
            "ra": [getattr(observation, f"{field}_ra")],
            "dec": [getattr(observation, f"{field}_dec")],
        },
        units={"ra": "deg", "dec": "deg"},
    )
    offset = np.array(DITHER_PATTERN[dither])
    expected = aperture.v2v3_to_pixel(*aperture.ideal_to_v2v3(*-offset))
    found = pixel_positions(observation, centre, pointing(observation, field, dither))
    # V2, V3 are taken as plane: lengths along V2 are 1 - cos(V3) too large.
    plane = np.hypot(*offset) / 0.11 * (1 - np.cos(aperture.v3_ref * ARCSEC_TO_RAD))  # pixel
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected), rtol=0, atol=plane)


def test_dither_does_not_rotate_the_field(observation):
    """The position angle at the reference point changes with the meridians only."""
    dithered = pointing(observation, "science", 1)
    turned = (dithered.ra_ref - observation.science_ra) * np.sin(
        np.deg2rad(observation.science_dec)
    )
    # The meridians of V2, V3 converge like those of the sky.
    own = DITHER_PATTERN[1][0] / 3600 * np.sin(imager_aperture().v3_ref * ARCSEC_TO_RAD)
    assert dithered.roll_ref - observation.roll == pytest.approx(turned, abs=2 * abs(own))


@pytest.mark.parametrize("name", subarrays())
def test_field_is_centred_on_the_subarrays_reference_point(name):
    """Undithered, the field's centre would be on the reference pixel of what is read."""
    observation = Observation(subarray=name)
    read = subarrays()[name]
    v2v3 = sky.field_attitude(observation, "science").telescope(
        observation.science_ra, observation.science_dec
    )
    # The SIAF's V2, V3 of a subarray are rounded to a microarcsecond.
    np.testing.assert_allclose(
        imager_aperture().v2v3_to_pixel(*v2v3), (read.x_ref, read.y_ref), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", FILTERS)
def test_filter_moves_the_sources(observation, field_catalogue, name):
    """All sources are moved from their places in F770W by the filter's boresight offset."""
    sources, where = field_catalogue("science"), pointing(observation, "science", 1)
    filtered = observation.model_copy(update={"filter": name})
    moved = np.subtract(
        pixel_positions(filtered, sources, where), pixel_positions(observation, sources, where)
    )
    expected = np.broadcast_to(np.reshape(BORESIGHT_OFFSETS[name], (2, 1)), moved.shape)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12 * detector.SHAPE[1])


@pytest.mark.parametrize("name", ["BRIGHTSKY", "SUB256"])
def test_subarray_counts_its_own_pixels(observation, field_catalogue, name):
    """With the telescope where it is, a subarray counts pixels from its own first one."""
    sources, where = field_catalogue("science"), pointing(observation, "science", 1)
    read = subarrays()[name]
    small = replace(where, window=read)
    moved = np.subtract(
        *(pixel_positions(observation, sources, each) for each in (where, small)),
    )
    expected = np.broadcast_to([[read.x.start], [read.y.start]], moved.shape)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12 * detector.SHAPE[1])


# --------------------------------------------------------------------- sources


def test_star_has_its_light(observation, psf, star_image):
    """The image of a star adds up to its electrons per second in the stamp of the PSF."""
    expected = FLUX * electrons_per_microjansky(observation.filter) * psf.kernel().sum()
    # The flat weighs the pixels: its scatter over the number of pixels that share the light.
    share = psf.kernel() / psf.kernel().sum()
    error = detector._FLAT_SCATTER * np.sqrt(np.sum(share**2))
    assert star_image.sum() == pytest.approx(expected, rel=STANDARD_ERRORS * error)


def test_star_is_as_bright_as_its_flux(render, star_image):
    """Three times the flux gives three times the light in each pixel."""
    np.testing.assert_allclose(
        render(*STAR, flux=3 * FLUX), 3 * star_image, rtol=8 * np.finfo(float).eps
    )


def test_star_is_where_the_catalogue_says(star_image):
    """The centroid, weighted around itself, is the star's position."""
    response = point_response()
    image = np.divide(star_image, response, out=np.zeros_like(response), where=response > 0)
    y, x = np.indices(image.shape)
    width = 2.0  # pixel: of the size of the star, so that its wings do not matter
    centre = np.round(STAR)
    for _ in range(20):
        weight = image * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * width**2))
        moved = np.array([np.sum(weight * x), np.sum(weight * y)]) / weight.sum()
        # A Gaussian weight takes back half of the way or more.
        centre = centre + 2 * (moved - centre)
    np.testing.assert_allclose(centre, STAR, rtol=0, atol=0.01)


def test_stars_add_up(observation, psf, render, star_image):
    """Two stars give the sum of their images."""
    sources = stars([FLUX, FLUX], [0.0, 0.0])
    x, y = np.array([STAR[0], STAR[0] + 5]), np.array([STAR[1], STAR[1]])
    both = source_rate(observation, "science", sources, x, y, psf)
    expected = star_image + render(STAR[0] + 5, STAR[1])
    np.testing.assert_allclose(both, expected, rtol=8 * np.finfo(float).eps)


def test_star_off_the_array_gives_no_light(render):
    """What lies further away than the stamp does not reach the array."""
    assert not render(-150.0, 1200.0).any()


def test_star_beyond_the_border_gives_its_wings(render):
    """A star just outside the array lights the part of its stamp that is inside."""
    image = render(600.0, -3.0)
    assert image[:90].any()
    assert not image[110:].any()


def test_star_behind_a_mask_shines_into_the_regions(render):
    """The wings of a star in the dark between imager and coronagraphs are in both."""
    x, y = 300.0, 100.0
    assert not within_regions(x, y, 0.0)
    image = render(x, y)
    assert [name for name, region in regions().items() if image[region.slices].any()] == [
        "imager",
        "4QPM 1065",
    ]


def test_star_behind_a_mask_is_not_seen_there(render):
    """Where no light passes, the core of the star is missing."""
    image = render(300.0, 100.0)
    assert not image[90:111, 290:311].any()


def test_star_outside_a_subarray_shines_in(render):
    """A star beside a subarray gives what the full array has of it there."""
    read = subarrays()["SUB256"]
    # Ten pixels left of the subarray, in the imager
    x, y = read.x.start - 10.0, read.y.start + 100.3
    expected = read.cut(render(x, y))
    found = render(x - read.x.start, y - read.y.start, subarray="SUB256")
    assert expected.any()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())


@pytest.mark.parametrize("spectral_index", [-2.0, -0.7, 2.0])
def test_star_has_the_image_of_its_spectrum(psf, render, spectral_index):
    """On a pixel's centre, the image is the kernel for the spectral index."""
    x, y = 700, 300
    half = psf.kernel().shape[0] // 2
    here = np.s_[y - half : y + half + 1, x - half : x + half + 1]
    image = render(float(x), float(y), spectral_index=spectral_index)[here]
    electrons = FLUX * electrons_per_microjansky("F770W")
    expected = electrons * psf.kernel(spectral_index) * point_response()[here]
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-12 * expected.max())


def test_galaxy_has_its_light(observation, psf):
    """The galaxy adds up to the analytic total of its profile, in the stamp of the PSF."""
    x, y = galaxy_place(observation)
    image = sky._galaxy_image(x, y, 0.0, psf)
    # Beyond the closest border of the array, along the galaxy's long axis, there is no light
    index = sky.SERSIC_INDEX
    scale = np.sqrt(imager_aperture().pixel_area(x, y))
    radii = (min(detector.SHAPE) - y) * scale / sky.EFFECTIVE_RADIUS
    outside = 1 - gammainc(2 * index, gammaincinv(2 * index, 0.5) * radii ** (1 / index))
    # What the wings of the PSF lose there, and 11 samples per pixel in the core, is 1e-3.
    assert image.sum() == pytest.approx(psf.kernel().sum(), rel=outside + 1e-3)


@pytest.mark.parametrize("name", subarrays())
def test_half_of_the_galaxy_is_inside_its_effective_radius(pinhole, name):
    """Without optics, the ellipse of the effective radius holds half of the light."""
    x, y = sky._galaxy_position(Observation(subarray=name))
    image = sky._galaxy_image(x, y, 0.0, pinhole)
    rows, columns = np.indices(image.shape)
    angle = np.deg2rad(sky.GALAXY_ANGLE)
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    scale = np.sqrt(imager_aperture().pixel_area(x, y))
    radius = sky.EFFECTIVE_RADIUS / scale
    ellipse = np.hypot(along, across / (1 - sky.ELLIPTICITY)) < radius
    # The border of the ellipse cuts through pixels: 1 / radius of what it encloses, at random
    border = 1 / radius / np.sqrt(2 * np.pi * radius)
    assert image[ellipse].sum() == pytest.approx(0.5, abs=STANDARD_ERRORS * border)


def test_galaxy_is_bright_as_its_flux(observation, psf):
    """In its own light the galaxy's flux is the observation's."""
    columns = {"kind": ["galaxy"], "flux": [FLUX], "spectral_index": [0.0]}
    sources = QTable(columns, units={"flux": "uJy"})
    x, y = galaxy_place(observation)
    found = source_rate(observation, "science", sources, np.array([x]), np.array([y]), psf)
    expected = (
        FLUX
        * electrons_per_microjansky(observation.filter)
        * np.maximum(sky._galaxy_image(x, y, 0.0, psf), 0)
        * point_response()
    )
    np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(float).eps)


def test_galaxy_may_be_dithered_out_of_a_subarray(field_catalogue, psf):
    """With the whole dither pattern, the galaxy leaves the smallest subarray, and its light."""
    observation = Observation(subarray="SUB256", science_exposures=len(DITHER_PATTERN))
    sources = field_catalogue("science", subarray="SUB256")
    galaxy = sources[sources["kind"] == "galaxy"]
    # The last set of four moves it over the border.
    for dither in range(8, len(DITHER_PATTERN)):
        place = pixel_positions(observation, galaxy, pointing(observation, "science", dither))
        assert source_rate(observation, "science", galaxy, *place, psf).any()


def test_sources_light_no_mask(science_image):
    """The masks of the focal plane cut the light of sources."""
    assert not science_image[transmission() == 0].any()


def test_sources_take_no_light_away(science_image):
    """No pixel has a negative rate."""
    assert science_image.min() >= 0
