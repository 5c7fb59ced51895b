"""Nebulae, distant galaxies and the glow at the phase masks are as bright as was asked for."""

import numpy as np
import pytest

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.footprint import phase_mask_centres, regions
from miri_background.instrument.glow import phase_mask_glow
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.response import sky_response
from miri_background.instrument.throughput import electrons_per_surface_brightness
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.simulation.exposures import field_catalogue
from miri_background.simulation.galaxies import DISTANT, FAINTEST, _fluxes, distant_galaxies
from miri_background.simulation.nebula import nebula_brightness
from miri_background.simulation.sky import pointing, sky_rate, source_rate
from miri_background.simulation.sky_level import require_unsaturated, sky_brightness

NEBULA = 2.0  # MJy/sr
DENSITY = 155.0  # galaxies per square arcminute
GLOW = 30.0  # % of the sky


def added(name, value, field, dither=0):
    """Return what an option adds to the sky of a field, electron / s."""
    with_it = Observation.create(**{name: value})
    plain = Observation()
    where = pointing(plain, field, dither)
    return sky_rate(with_it, field, where) - sky_rate(plain, field, where)


# ------------------------------------------------------------------ nebula


@pytest.fixture(scope="module")
def nebula():
    """Return a function that gives the brightness of a nebula in a dither, MJy/sr."""

    def bright(field="background", dither=0, **changes):
        observation = Observation.create(**{f"{field}_nebula": NEBULA} | changes)
        return nebula_brightness(observation, field, pointing(observation, field, dither))

    return bright


def test_nebula_has_its_brightness(nebula):
    """The mean of many fields is that asked for, and no place is dark."""
    fields = [nebula(seed=seed)[::8, ::8] for seed in range(6)]
    means = [each.mean() for each in fields]
    error = np.std(means) / np.sqrt(len(means))
    assert np.mean(means) == pytest.approx(NEBULA, abs=4 * error)
    assert min(each.min() for each in fields) > 0


def test_nebula_is_smooth_and_large(nebula):
    """Neighbouring pixels have nearly the same value, and the array is not uniform."""
    image = nebula()
    assert np.abs(np.diff(image)).max() < 0.05 * NEBULA
    assert image.std() > 0.1 * NEBULA


def test_nebula_has_more_power_on_larger_scales(nebula):
    """The scatter of differences grows with distance, as of a steep power spectrum."""
    scatters = []
    for distance in (32, 128):
        squares = [
            np.mean((image[:, distance:] - image[:, :-distance]) ** 2)
            for image in (nebula(seed=seed)[::8] for seed in range(4))
        ]
        scatters.append(np.mean(squares))
    # A spectrum of k^-2.9 in two dimensions: differences squared grow as distance^0.9.
    assert 2 < scatters[1] / scatters[0] < 4**1.3


def test_nebula_stays_on_the_sky(nebula):
    """A dither moves it on the array as it moves a source."""
    first, second = nebula(), nebula(dither=1)
    observation = Observation()
    # Where the sky of pixel (600, 500) of the first dither is in the second.
    aperture = imager_aperture()
    sky = pointing(observation, "background", 0).attitude.sky(*aperture.pixel_to_v2v3(600.0, 500.0))
    there = pointing(observation, "background", 1).attitude.telescope(*sky)
    x, y = (float(each) for each in aperture.v2v3_to_pixel(*there))
    assert np.hypot(x - 600, y - 500) > 10
    slope = np.abs(np.gradient(second)[0]).max()
    assert second[round(y), round(x)] == pytest.approx(first[500, 600], abs=slope)


def test_nebulae_of_the_fields_differ(nebula):
    """Each field has its own, and another seed has another."""
    mine = nebula()
    assert not np.allclose(mine, nebula("science"))
    assert not np.allclose(mine, nebula(seed=1))


def test_nebula_is_light_of_the_sky():
    """Pixels collect it as they do the sky; the other field has none."""
    extra = added("background_nebula", NEBULA, "background")
    observation = Observation.create(background_nebula=NEBULA)
    where = pointing(observation, "background", 0)
    expected = nebula_brightness(observation, "background", where)
    expected *= electrons_per_surface_brightness("F770W") * sky_response()
    np.testing.assert_allclose(extra, expected, atol=1e-9)
    assert np.all(added("background_nebula", NEBULA, "science") == 0)


def test_nebula_that_saturates_the_ramps_is_refused():
    """Before anything is simulated, with the sentence of a sky that is too bright."""
    with pytest.raises(CannotJudge, match=r"The sky of .* take .* or a lower nebula"):
        require_unsaturated(Observation.create(background_nebula=1000.0))


# ------------------------------------------------------------------ glow


def test_glow_is_at_most_what_was_asked_for():
    """Its brightest pixel has that part of the sky, in both fields the same."""
    science, background = (
        added("phase_mask_glow", GLOW, field) for field in ("science", "background")
    )
    np.testing.assert_array_equal(science, background)
    level = sky_brightness(Observation()) * electrons_per_surface_brightness("F770W")
    # Pixels differ in response by 1 %.
    assert science.max() == pytest.approx(GLOW / 100 * level, rel=0.06)


def test_glow_is_along_the_horizontal_edges():
    """It is brightest at the centres of the masks and along x, and nothing is far above."""
    glow = phase_mask_glow()
    for x, y in phase_mask_centres().values():
        column, row = round(x), round(y)
        assert glow[row, column] > 0.98
        assert glow[row - 5 : row + 6, column + 50].max() > 0.98
        assert glow[row + 40, column] < 1e-6
    assert np.all(glow[regions()["imager"].slices] == 0)
    assert np.all(glow[regions()["Lyot"].slices] == 0)


# ------------------------------------------------------------------ galaxies


def test_galaxies_have_their_density():
    """Poisson numbers over the array and 100 pixels around."""
    x, *_ = distant_galaxies(DENSITY, np.random.default_rng(1))
    area = 1224 * 1232 * 0.012302 / 3600  # arcmin^2, 0.012302 arcsec^2 a pixel (SIAF)
    expected = DENSITY * area
    assert len(x) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_fluxes_follow_the_counts():
    """Of 155 above 0.1 uJy, 26 are above 1 uJy and 11 above the knee at 2 uJy."""
    flux = _fluxes(200_000, np.random.default_rng(2))
    assert flux.min() >= FAINTEST
    for above, number in ((1.0, 26.0), (2.0, 11.3)):
        assert DENSITY * np.mean(flux > above) == pytest.approx(number, rel=0.03)
    # Euclidean: eight times fewer at four times the flux.
    assert np.mean(flux > 5) / np.mean(flux > 20) == pytest.approx(8, rel=0.15)


@pytest.fixture(scope="module")
def catalogues():
    """Return the background's catalogue without and with galaxies."""
    return [
        field_catalogue(Observation.create(background_galaxies=density), "background")
        for density in (0.0, DENSITY)
    ]


def test_stars_are_the_same_with_galaxies(catalogues):
    """Galaxies come behind them, with a kind of their own."""
    plain, crowded = catalogues
    assert set(crowded["kind"][len(plain) :]) == {DISTANT}
    for name in ("ra", "dec", "flux", "kind"):
        assert np.all(crowded[name][: len(plain)] == plain[name])
    assert plain["kind"].dtype == "U6"


def test_science_field_has_no_galaxies():
    """The option is of the background."""
    changed, plain = (
        field_catalogue(Observation.create(background_galaxies=each), "science")
        for each in (DENSITY, 0.0)
    )
    assert len(changed) == len(plain)


def test_galaxy_keeps_its_light_and_is_wider_than_a_star(catalogues):
    """Inside its stamp it has the light that a star has there, less in the peak."""
    psf = point_spread_function("F770W")
    observation = Observation.create(background_galaxies=DENSITY)
    galaxy = catalogues[1][-1:]
    star = galaxy.copy()
    star["kind"] = ["star"]
    images = [
        source_rate(observation, "background", each, np.array([700.0]), np.array([500.0]), psf)
        for each in (galaxy, star)
    ]
    box = (slice(475, 526), slice(675, 726))
    round_one, point = (image[box] for image in images)
    assert round_one.sum() == pytest.approx(point.sum(), rel=0.01)
    assert 0.3 < round_one.max() / point.max() < 0.8


# ------------------------------------------------------------------ MIRISim


@pytest.mark.parametrize(
    "name",
    [
        "background_galaxies",
        "science_nebula",
        "background_nebula",
        "phase_mask_glow",
        "wavefront_error",
        "wavefront_change",
    ],
)
def test_mirisim_is_not_given_what_it_has_no_words_for(name):
    """One sentence that names the option."""
    with pytest.raises(CannotJudge, match=f"a sky and a detector of its own: leave {name} at 0"):
        Observation.create(simulator="mirisim", **{name: 1.0})
