"""Titles and alternative texts say what a figure of these data shows, or what it lacks."""

import re
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from miri_background.instrument.readout import frame_time, subarrays
from miri_background.observation import Observation
from miri_background.reporting import background_figures, figures
from miri_background.reporting.words import counted, listed, observation_in_words
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.measurements.statistical import statistical_measurements
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.products.images import Image, Products, Truth
from miri_background.validation.verdict.limits import judge

SUBARRAY, GROUPS = "SUB256", 20
STAR = 100, 120  # x and y in the first background
DITHER = 60  # pixels
NUMBER = r"[+-]?\d+(?:\.\d+)?"
SATURATED = 0.05  # part of an image that may be beyond the ends of its colours


@dataclass(frozen=True)
class Field:
    """What is observed.

    Parameters
    ----------
    sky, noise : float
        Level and standard deviation of a pixel, DN/s.
    backgrounds : int
        Exposures.
    peak : float
        Light of the background star in its pixel, DN/s; 0 for none.
    sources : int
        Of the science field, each with ten times the noise.
    integrations : int
        More than 0 for cubes.
    """

    sky: float = 14.0
    noise: float = 0.3
    backgrounds: int = 4
    peak: float = 40.0
    sources: int = 2
    integrations: int = 0


FIELDS = {
    "few groups, no star": Field(noise=9.0, backgrounds=2, peak=0.0),
    "few groups, faint star": Field(noise=9.0, peak=3.0),
    "few groups, bright star": Field(noise=9.0, peak=400.0),
    "cubes of integrations": Field(noise=9.0, backgrounds=2, peak=3.0, integrations=2),
    "bright sky": Field(sky=800.0, noise=11.0, backgrounds=2, peak=0.01, sources=0),
    "as deep as by default": Field(),
    "two backgrounds": Field(backgrounds=2),
    "no source at all": Field(peak=0.0, sources=0),
}


def exposure(field, generator, sources):
    """Return a rate of sky, noise and sources."""
    read = subarrays()[SUBARRAY]
    cube = ((field.integrations,) if field.integrations else ()) + read.shape
    header = {
        "SUBARRAY": SUBARRAY,
        "SUBSTRT1": read.x.start + 1,
        "SUBSTRT2": read.y.start + 1,
        "SUBSIZE1": read.shape[1],
        "SUBSIZE2": read.shape[0],
        "READPATT": "FASTR1",
        "NGROUPS": GROUPS,
        "NINTS": max(field.integrations, 1),
        "TFRAME": frame_time("FASTR1", SUBARRAY),
    }
    noise = field.noise * np.sqrt(max(field.integrations, 1))
    values = field.sky + sources + generator.normal(0.0, noise, cube)
    half = np.full(cube, noise**2 / 2, dtype=np.float32)
    return Image(
        "in memory",
        fits.Header(header),
        values.astype(np.float32),
        np.full(cube, noise, dtype=np.float32),
        np.zeros(cube, dtype=np.uint32),
        {"VAR_RNOISE": half, "VAR_POISSON": half},
    )


def truth(field, stars):
    """Return the truth of an exposure with stars of x, y and light in one pixel."""
    sources = np.zeros(subarrays()[SUBARRAY].shape)
    for x, y, light in stars:
        sources[y, x] = light
    sky = np.full(sources.shape, field.sky)
    if not stars:
        return Truth(sky, sources, QTable())
    x, y, light = (np.array(each, dtype=float) for each in zip(*stars, strict=True))
    return Truth(sky, sources, QTable({"x": x, "y": y, "flux": light}, units={"flux": "uJy"}))


def analysis_of(field):
    """Return the analysis of what a correct step makes of a field."""
    generator = np.random.default_rng(770)
    of_science = truth(field, [(200, 30 + 9 * n, 10 * field.noise) for n in range(field.sources)])
    truths = [
        truth(field, [(STAR[0] + n * DITHER, STAR[1], field.peak)] if field.peak else [])
        for n in range(field.backgrounds)
        if STAR[0] + n * DITHER < 256
    ]
    truths += [truth(field, [])] * (field.backgrounds - len(truths))
    science = [exposure(field, generator, of_science.sources)]
    backgrounds = [exposure(field, generator, each.sources) for each in truths]
    average = average_backgrounds(backgrounds, 2.0, 3).data.astype(np.float32)
    combined = Image(
        "in memory",
        fits.Header(),
        average,
        np.full(average.shape, field.noise, dtype=np.float32),
        np.zeros(average.shape, dtype=np.uint32),
    )
    subtracted = [replace(science[0], data=science[0].data - average)]
    headers = [fits.Header({"S_BKDSUB": "COMPLETE"})]
    products = Products(
        science,
        backgrounds,
        subtracted,
        [combined],
        headers,
        [of_science],
        truths,
        2.0,
        3,
        ["image2_asn.json"],
    )
    return Analysis(products, Expectation(products))


def drawn(analysis):
    """Return each figure of the validation by its name."""
    products = analysis.products
    metrics = judge(statistical_measurements(analysis))
    figures_by_name = {
        "rates": figures.rates_figure(products.science, products.backgrounds),
        "combined background": background_figures.combined_background_figure(analysis),
        "star": background_figures.star_figure(analysis),
        "leak": background_figures.leak_figure(analysis),
        "subtracted": figures.subtracted_figure(analysis),
        "residuals": figures.residuals_figure(analysis, metrics),
        "structure": figures.structure_figure(analysis, metrics),
    }
    plt.close("all")
    return figures_by_name


@pytest.fixture(scope="module", params=FIELDS, ids=lambda name: name.replace(" ", "-"))
def followed(request):
    """Return a field, its analysis and its figures."""
    field = FIELDS[request.param]
    analysis = analysis_of(field)
    return field, analysis, drawn(analysis)


def titles(figure):
    """Return all titles of a figure in one line."""
    text = " ".join([figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)])
    return " ".join(text.split())


def test_alternative_texts_have_the_numbers_of_the_titles(followed):
    """Whoever does not see a figure learns the numbers that it is about."""
    for name, figure in followed[2].items():
        # Numbers without decimals are those of panels, which are counted and not listed.
        numbers = [each for each in re.findall(NUMBER, titles(figure)) if "." in each]
        assert [each for each in numbers if each not in figure.alt] == [], name


def test_alternative_texts_claim_nothing_that_is_fixed(followed):
    """No word of what the default observation happens to have."""
    told = " ".join(figure.alt for figure in followed[2].values())
    for claim in ("agree", "galaxy", "4QPM", "Lyot", "are gone", "Nan", " nan"):
        assert claim not in told


def test_colours_show_more_than_noise_at_their_ends(followed):
    """Images do not consist of the two ends of their colours."""
    for name, figure in followed[2].items():
        for panel in figure.axes:
            for image in panel.images:
                shown = np.ma.masked_invalid(image.get_array()).compressed()
                low, high = image.get_clim()
                assert np.mean((shown < low) | (shown > high)) < SATURATED, name


def test_star_is_said_to_be_removed_only_where_it_can_be_seen(followed):
    """A star below the noise, or none, says nothing about clipping."""
    field, analysis, drawn_figures = followed
    title = titles(drawn_figures["star"])
    assert ("No star at" in title) == (field.peak == 0)
    if 0 < field.peak < 5 * analysis.expectation.sky_noise:
        assert "lost in the noise" in title
        assert "do not show whether clipping removes it" in title
    elif field.peak:
        stays = re.search(rf"({NUMBER}) ± ({NUMBER}) % of its light stay", title)
        theory = re.search(rf"theory has ({NUMBER}) %", title)
        assert abs(float(stays[1]) - float(theory[1])) <= 4 * float(stays[2]) + 1


def test_star_that_cannot_be_clipped_is_not_said_to_be(followed):
    """Of two backgrounds none can stand out, and half of the star stays."""
    field, analysis, drawn_figures = followed
    if field.peak < 5 * analysis.expectation.sky_noise:
        pytest.skip("this star cannot be seen")
    title = titles(drawn_figures["star"])
    assert ("can clip none" in title) == (field.backgrounds == 2)
    stays = float(re.search(rf"({NUMBER}) ± ({NUMBER}) % of its light stay", title)[1])
    assert stays == pytest.approx(50 if field.backgrounds == 2 else 0, abs=15)


def test_leak_shows_points_or_says_why_there_are_none(followed):
    """A diagram without points does not compare measured and predicted."""
    field, _, drawn_figures = followed
    figure = drawn_figures["leak"]
    (axes,) = figure.axes
    points = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    reason = re.search("no source in view|too little light", titles(figure))
    assert bool(points) != bool(reason)
    assert ("without points" in figure.alt) == bool(reason)
    if not field.peak:
        assert "no source in view" in figure.alt
    if points:
        measured = re.findall(r"(\S+) ± \S+ % \(predicted", figure.alt)
        assert [float(each) for each in measured] == pytest.approx(
            list(points[0].get_ydata()), abs=0.06
        )


def test_one_point_of_theory_can_be_seen(followed):
    """A line through a single point would have no length."""
    (axes,) = followed[2]["leak"].axes
    for line in axes.lines:
        if line.get_label() == "predicted":
            assert line.get_marker() == "x"


def test_subtracted_counts_the_sources_that_are_in_view(followed):
    """No star is promised where none is."""
    field, _, drawn_figures = followed
    told = drawn_figures["subtracted"].alt
    if field.sources:
        assert f"{field.sources} sources in view, {field.sources} of them" in told
    else:
        assert "no source in view" in told


def test_exposures_and_regions_are_those_that_there_are(followed):
    """A subarray inside the imager has no other region."""
    field, _, drawn_figures = followed
    told = drawn_figures["rates"].alt
    assert f"1 science exposure and {field.backgrounds} background exposures (imager)" in told
    panels = [axes for axes in drawn_figures["rates"].axes if axes.images]
    assert len(panels) == 1 + field.backgrounds


def test_figures_say_that_nothing_was_subtracted():
    """What is not there is not compared."""
    analysis = analysis_of(FIELDS["as deep as by default"])
    products = analysis.products
    nothing = replace(products, combined=[None], subtracted=products.science)
    skipped = Analysis(nothing, analysis.expectation)
    drawn_figures = drawn(skipped)
    for name in ("combined background", "star", "leak"):
        assert "nothing was subtracted" in titles(drawn_figures[name]), name
        assert "nothing was subtracted" in drawn_figures[name].alt, name


def test_residuals_outside_of_their_band_are_not_said_to_be_inside():
    """The alternative text counts those inside."""
    analysis = analysis_of(FIELDS["as deep as by default"])
    subtracted = [replace(each, data=each.data + 1) for each in analysis.products.subtracted]
    changed = replace(analysis.products, subtracted=subtracted)
    told = drawn(Analysis(changed, analysis.expectation))
    assert "0 of 1 are inside the band" in told["residuals"].alt


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(("subarray", "fields"), [("SUB256", False), ("FULL", True)])
def test_regions_of_an_observation_are_those_of_its_subarray(subarray, fields):
    """Coronagraphic fields are named only where they are read."""
    told = observation_in_words(Observation(subarray=subarray))
    assert ("Lyot" in told, "4QPM 1550" in told) == (fields, fields)
    assert all(len(line) <= 100 for line in told.splitlines())


@pytest.mark.parametrize("galaxy", [0.0, 10.0])
@pytest.mark.parametrize("stars", [0, 1, 7])
def test_sources_of_an_observation_are_those_that_it_has(stars, galaxy):
    """Neither a star nor a galaxy is made up."""
    observation = Observation(science_stars=stars, background_stars=stars, galaxy_flux=galaxy)
    told = " ".join(observation_in_words(observation).split())
    noun = {0: "no stars", 1: "1 star of"}.get(stars, f"{stars} stars of")
    assert told.count(noun) == 2
    assert ("galaxy" in told) == bool(galaxy)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("science_exposures", 1, "1 exposure of the science field"),
        ("background_exposures", 3, "3 exposures of the background field"),
        ("filter", "F2550W", "in F2550W"),
        ("integrations", 2, "2 integrations of 20 groups"),
        ("groups", 6, "1 integration of 6 groups"),
    ],
)
def test_observation_is_the_one_that_was_asked_for(field, value, words):
    """Each parameter that is written down is that of the run."""
    assert words in " ".join(observation_in_words(Observation(**{field: value})).split())


def test_words_fit_a_narrow_page():
    """A page breaks the lines itself, a terminal gets lines that fit."""
    told = observation_in_words(Observation())
    assert told._repr_html_() == f"<p>{' '.join(told.split())}</p>"
    assert repr(told) == str(told)


def test_numbers_and_lists_are_english():
    """One thing has no s, and the last of several an and."""
    assert [counted(number, "star") for number in (0, 1, 2)] == ["no stars", "1 star", "2 stars"]
    assert counted(2, "criterion", "criteria") == "2 criteria"
    assert [listed(["a"]), listed(["a", "b", "c"])] == ["a", "a, b and c"]
