"""Advice follows what single backgrounds have, and the truth supports it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from miri_background.advice.members import Members
from miri_background.advice.recommendation import MOST_BACKGROUNDS, advise
from miri_background.advice.sweep import Choice, Sweep
from miri_background.reporting.advice_figures import advice_figure, advised
from miri_background.validation.prediction.clipping import sigma_clipped_mean
from miri_background.validation.prediction.clipping_theory import Clipping
from miri_background.validation.products.images import DO_NOT_USE, Image, Products

SHAPE = (256, 256)
SKY, NOISE = 14.0, 0.3  # DN/s
STAR_WIDTH = 1.3  # pixels, standard deviation
STARS = 12  # of each background
BACKGROUNDS = 4
ROWS, COLUMNS = np.indices(SHAPE)
PLANES = ("data", "err", "dq")
LIT = np.ones(SHAPE, dtype=bool)


def light(y, x, peak, width=STAR_WIDTH):
    """Return the light of a round source, DN/s."""
    return peak * np.exp(-0.5 * ((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / width**2)


def image(generator, sources, number, flags=None):
    """Return a rate; numbers count in the order of time, those of the science field first."""
    values = SKY + sources + generator.normal(0.0, NOISE, SHAPE)
    return Image(
        f"exposure{number}",
        fits.Header({"EXPSTART": 60000.0 + number / 100}),
        values.astype(np.float32),
        np.full(SHAPE, NOISE, np.float32),
        np.zeros(SHAPE, np.uint32) if flags is None else flags.astype(np.uint32),
    )


def products(own, sigma=2.0, of_science=0.0, seed=770, flags=None, count=BACKGROUNDS):
    """Return rates of which each background has light of its own.

    Parameters
    ----------
    own : dict of ndarray
        By background, from 0.
    """
    generator = np.random.default_rng(seed)
    science = [image(generator, of_science, 0)]
    backgrounds = [
        image(generator, own.get(n, 0.0), n + 1, (flags or {}).get(n)) for n in range(count)
    ]
    return Products(science, backgrounds, [], [], [], None, None, sigma, 3, [])


def field_of_stars(peak=20.0):
    """Return stars of each background, nowhere two of them in one place."""
    generator = np.random.default_rng(7)
    places = [(y, x) for y in range(20, 250, 30) for x in range(20, 250, 30)]
    generator.shuffle(places)
    faintest = 0.05 * peak
    own = {}
    for number in range(BACKGROUNDS):
        mine = places[number * STARS : (number + 1) * STARS]
        peaks = np.geomspace(faintest, peak, STARS)
        own[number] = sum(light(y, x, each) for (y, x), each in zip(mine, peaks, strict=True))
    return own


@pytest.fixture(scope="module")
def starry():
    """Return the light of stars in each background."""
    return field_of_stars()


def flux_errors(own, rates, choice):
    """Return the true error of fluxes near background stars that an average brings, DN/s."""
    used = [
        each.data.astype(float)
        for number, each in enumerate(rates.backgrounds)
        if number not in choice.left_out
    ]
    combined = sigma_clipped_mean(np.stack(used), choice.sigma, choice.maxiters)
    off = combined - SKY
    near = np.argwhere(sum(own.values()) > NOISE)
    sums = [off[y - 2 : y + 3, x - 2 : x + 3].sum() for y, x in near]
    return float(np.sqrt(np.mean(np.square(sums))))


# ------------------------------------------------------------------ good data


def test_nothing_is_better_where_nothing_is_wrong():
    """Empty sky, averaged without clipping: nothing can be gained."""
    advice = advise(products({}, sigma=3.0), LIT)
    assert not advice.changes
    assert advice.line.startswith("No choice is better than what was done (sigma 3, maxiters 3)")
    assert "light of background sources" not in advice.line


def test_noise_that_clipping_costs_is_given_back():
    """On empty sky, a low threshold has only noise to offer."""
    advice = advise(products({}, sigma=1.2), LIT)
    assert advice.recommended.choice.sigma >= 2.0
    assert advice.recommended.choice.left_out == ()


@pytest.mark.parametrize("sigma", [3.0, 2.0])
def test_stars_of_four_backgrounds_are_clipped(sigma, starry):
    """Of four values none can be 2.31 standard deviations off: from 3, advice leads below that."""
    advice = advise(products(starry, sigma), LIT)
    assert 1.2 < advice.recommended.choice.sigma < 2.31
    assert advice.recommended.choice.left_out == ()


@pytest.mark.parametrize("count", [BACKGROUNDS, 2 * BACKGROUNDS])
def test_truth_supports_the_recommendation(count, starry):
    """Near stars, fluxes are hardly more wrong than with the best of all thresholds."""
    rates = products(starry, 3.0, count=count)
    advice = advise(rates, LIT)
    recommended, done, *others = (
        np.hypot(flux_errors(starry, rates, choice), 5 * NOISE)
        for choice in (
            advice.recommended.choice,
            advice.done.choice,
            *(Choice(sigma, 3) for sigma in (1.2, 1.5, 1.8, 2.0, 2.25, 2.5)),
        )
    )
    assert recommended < 0.5 * done
    assert recommended < 1.05 * min(others)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 2.2, 3.0])
def test_light_that_stays_is_that_of_the_truth(sigma, starry):
    """Measured of the rates alone, it is what the truth says of the same pixels."""
    rates = products(starry)
    members = Members(rates, LIT)
    effect = Sweep(members).effect(Choice(sigma, 3))
    values = np.stack([each.data.astype(float) for each in rates.backgrounds])
    places = members.masks.any(axis=0)
    empty = members.empty
    combined = sigma_clipped_mean(values, sigma, 3)
    # Light beyond the sky that clipping of the same noise leaves where there is none.
    stays = (combined[places] - combined[empty].mean()).sum()
    true = sum(starry.values())[places].sum()
    assert effect.light == pytest.approx(100 * stays / true, abs=4 * effect.light_error + 1)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_noise_is_that_of_theory(sigma):
    """What clipping costs on empty sky is what draws of the noise say."""
    effect = Sweep(Members(products({}), LIT)).effect(Choice(sigma, 3))
    variance = Clipping(BACKGROUNDS, sigma, 3, [NOISE] * BACKGROUNDS).variance
    expected = np.sqrt(NOISE**2 + variance)
    assert effect.noise == pytest.approx(expected, abs=5 * effect.noise_error + 0.002 * expected)


# ------------------------------------------------------------------ one bad background

GLOW = light(150, 90, 0.8, 22.0)  # DN/s: too faint in a pixel to be clipped


def striped():
    """Return an image of rows with offsets."""
    rows = np.random.default_rng(3).normal(0.0, 0.5, (SHAPE[0], 1))
    return np.broadcast_to(rows, SHAPE)


def test_extended_light_of_one_background_is_left_out():
    """No pixel of it stands out; together they do."""
    advice = advise(products({2: GLOW}), LIT)
    assert advice.recommended.choice.left_out == (2,)
    told = re.match(
        r"Leave out background 3 \(extended light at x, y = (\d+), (\d+)\)", advice.line
    )
    assert np.hypot(float(told[1]) - 90, float(told[2]) - 150) < 40


def test_what_an_earlier_exposure_had_there_is_a_latent():
    """The science field had a hundred times as much light in the same pixels before."""
    advice = advise(products({2: GLOW}, of_science=100 * GLOW), LIT)
    assert advice.line.startswith("Leave out background 3 (latent at x, y = ")


def test_brighter_sky_of_one_background_is_left_out():
    """As of the first exposure of a visit."""
    advice = advise(products({1: 0.25 * SKY}, sigma=3.0), LIT)
    told = re.match(r"Leave out background 2 \(its sky is (\S+) % above that of the", advice.line)
    assert float(told[1]) == pytest.approx(25, abs=0.2)


def test_stripes_of_one_background_are_left_out():
    """Its rows have offsets of their own."""
    advice = advise(products({3: striped()}), LIT)
    assert advice.line.startswith("Leave out background 4 (stripes of 0.")


def test_flags_of_one_background_are_left_out():
    """What one flags is lost in the result, though the others are good there."""
    flags = {0: DO_NOT_USE * (COLUMNS < 50)}
    advice = advise(products({}, flags=flags), LIT)
    assert advice.line.startswith("Leave out background 1 (19.5 % of its pixels are flagged")
    assert advice.recommended.lost == 0


def test_star_of_one_background_is_no_reason_to_leave_it_out():
    """It is clipped where it is, and all other pixels keep their exposure."""
    advice = advise(products({0: light(60, 60, 40.0)}), LIT)
    assert advice.recommended.choice.left_out == ()


@pytest.mark.parametrize("seed", range(4))
def test_drifts_that_all_have_are_no_reason(seed):
    """Levels that scatter by a tenth of the noise are those of one sky."""
    levels = np.random.default_rng(seed).normal(0.0, 0.1 * NOISE, BACKGROUNDS)
    advice = advise(products(dict(enumerate(levels)), seed=seed), LIT)
    assert advice.recommended.choice.left_out == ()


# ------------------------------------------------------------------ nothing to choose


@pytest.mark.parametrize(
    ("count", "words"), [(1, "one background exposure"), (MOST_BACKGROUNDS + 1, "up to")]
)
def test_numbers_of_backgrounds_that_leave_no_choice(count, words):
    """That is said, and nothing is tried."""
    advice = advise(products({}, count=count), LIT)
    assert words in advice.line
    assert advised(advice).pictures == ()


def test_two_backgrounds_do_not_say_which_is_wrong():
    """And a threshold would change nothing."""
    advice = advise(products({}, sigma=3.0, count=2), LIT)
    assert not advice.changes
    assert any("do not say which" in each for each in advice.sentences)


def test_no_good_pixel_is_told():
    """Without a pixel, nothing is recommended."""
    flags = dict.fromkeys(range(BACKGROUNDS), np.full(SHAPE, DO_NOT_USE))
    assert "No pixel" in advise(products({}, flags=flags), LIT).line


@pytest.mark.parametrize("part", [np.s_[:, 128:], np.s_[:200, :]])
def test_part_that_backgrounds_have_not_read_is_left_alone(part, starry):
    """Of backgrounds of another subarray only what they share is looked at."""
    rates = products(starry, 3.0)
    backgrounds = []
    for each in rates.backgrounds:
        data = each.data.copy()
        data[part] = np.nan
        backgrounds.append(replace(each, data=data))
    advice = advise(replace(rates, backgrounds=backgrounds), LIT)
    assert np.isfinite(advice.excess(advice.recommended))
    assert advice.recommended.choice.left_out == ()


def test_integrations_are_averaged_first(starry):
    """That is said, as the step clips them before."""
    rates = products(starry)
    cubes = [
        replace(each, **{name: np.stack([getattr(each, name)] * 2) for name in PLANES})
        for each in rates.backgrounds
    ]
    advice = advise(replace(rates, backgrounds=cubes), LIT)
    assert "Integrations were averaged before anything was clipped." in advice.sentences


# ------------------------------------------------------------------ how it is shown


def test_figure_and_table_have_the_same_numbers(starry):
    """Alternative text and table say what was done and what is recommended."""
    advice = advise(products(starry, 3.0), LIT)
    figure = advice_figure(advice)
    assert advice.line in figure.alt
    assert f"sigma 3: {advice.excess(advice.done):+.1f} %" in figure.alt
    shown = advised(advice)
    assert [row[0].partition(":")[0] for row in shown.rows][:2] == ["done", "recommended"]
    assert shown.rows[0][1] == f"{advice.excess(advice.done):+.1f}"


def test_figure_without_sources_has_no_empty_panel():
    """Where no light was found, there is no axis for it."""
    figure = advice_figure(advise(products({}), LIT))
    assert len(figure.axes) == 1
