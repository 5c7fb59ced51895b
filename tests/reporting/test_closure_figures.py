"""Every figure of the closure has its number in the title, and says what its axes are."""

import copy
import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.table import QTable
from matplotlib.figure import Figure

from miri_background.closure.calibrated_stars import GROWTH_RADII
from miri_background.closure.closure import (
    Closure,
    Detection,
    Pulls,
    SaturatedStar,
    ramp_measurements,
    rate_measurements,
    star_measurements,
)
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import subarrays
from miri_background.reporting import closure_figures
from miri_background.validation.verdict.limits import judge

FILTER = "F770W"
STARS = 40
EXCESS = 0.4  # % of the flux that is measured too much
MISSED = 0.25  # of the strong hits
FLAGS_THAT_DIFFER = 3
OFFSET = 0.01  # pixel
LIGHT_BEYOND = 1.02  # of what is expected


@pytest.fixture(scope="module")
def closure():
    """Return a closure with known numbers, of a subarray."""
    generator = np.random.default_rng(770)
    shape = subarrays()["SUB256"].shape
    # Made without a run: only what a run would have measured.
    closed = object.__new__(Closure)
    closed.filter, closed.psf = FILTER, point_spread_function(FILTER)
    expectation = SimpleNamespace(
        subarray="SUB256", exposure_common_variances=[1e-4], sky_noise=1.0
    )
    closed.analysis = SimpleNamespace(expectation=expectation)
    pulls = generator.normal(size=(2, *shape))
    pulls[:, :4] = np.nan
    closed.pulls = [Pulls(values, 0.96) for values in pulls]
    found = np.arange(400) % 4 > 0
    closed.detection = Detection(np.geomspace(6, 100, 400), found, 1e-4, 17)
    closed.saturation = FLAGS_THAT_DIFFER, 500
    counts = np.zeros((25, 25), dtype=int)
    counts[10:13, 10:13] = 5
    closed.saturated_star = SaturatedStar(counts * 10_000, counts, counts)
    flux = np.geomspace(10, 1000, STARS)
    closed.stars = QTable(
        {
            "flux": flux,
            "measured": flux * (1 + EXCESS / 100),
            "error": flux / 200,
            "x": generator.uniform(0, 255, STARS),
            "y": generator.uniform(0, 255, STARS),
            "spectral_index": generator.uniform(-2, 2, STARS),
            "dx": np.full(STARS, OFFSET),
            "dy": np.full(STARS, -OFFSET),
            "x_error": np.full(STARS, OFFSET / 1000),
            "y_error": np.full(STARS, OFFSET / 1000),
        }
    )
    reddest, colour = closed.psf.splines()
    distance = generator.uniform(0, max(GROWTH_RADII), 2000)
    brightness = [(reddest([0.0], [r]) + colour([0.0], [r]) / 2)[0, 0] for r in distance]
    closed.profile = distance, np.array(brightness)
    closed.growth = np.full((5, len(GROWTH_RADII)), LIGHT_BEYOND)
    return closed


@pytest.fixture(scope="module")
def metrics(closure):
    """Return the judged measurements of the closure."""
    families = rate_measurements, ramp_measurements, star_measurements
    return judge([each for family in families for each in family(closure)], "closure")


@pytest.fixture(autouse=True)
def _close_figures():
    """Leave no figure behind."""
    yield
    plt.close("all")


def value(metrics, name):
    """Return the first value of a criterion."""
    return next(metric.value for metric in metrics if metric.name == name)


def titles(figure):
    """Return all titles of a figure in one text."""
    return "\n".join([figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)])


every_figure = pytest.mark.parametrize("name", closure_figures.__all__)


@every_figure
def test_figure_can_be_drawn(closure, metrics, name):
    """To its last pixel, without a warning."""
    figure = getattr(closure_figures, name)(closure, metrics)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@every_figure
def test_axes_are_labelled(closure, metrics, name):
    """Diagrams have both axes named; images have a bar that says what their colours are."""
    figure = getattr(closure_figures, name)(closure, metrics)
    images = [axes for axes in figure.axes if axes.images]
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    others = [axes for axes in figure.axes if axes not in (*images, *bars)]
    shared = {axes.get_ylabel() for axes in others}
    assert all(axes.get_xlabel() and (axes.get_ylabel() or any(shared)) for axes in others)
    assert [bool(axes.get_ylabel()) for axes in bars] == [True] * len(images)


@every_figure
def test_number_is_in_a_title(closure, metrics, name):
    """What is judged can be read without the table."""
    assert re.search(r"\d", titles(getattr(closure_figures, name)(closure, metrics)))


@every_figure
def test_alternative_text_has_the_numbers_of_the_titles(closure, metrics, name):
    """Whoever does not see the figure learns what it is about, and nothing that is fixed."""
    figure = getattr(closure_figures, name)(closure, metrics)
    numbers = re.findall(r"[+-]?\d+\.\d+", titles(figure))
    assert [each for each in numbers if each not in figure.alt] == []
    for claim in ("equal", "without a trend", "well inside", "all of them", "lying on"):
        assert claim not in figure.alt


def test_flags_that_are_not_the_same_are_counted(closure, metrics):
    """Two maps are called the same only where they are."""
    star = closure.saturated_star
    other = copy.copy(closure)
    other.saturated_star = replace(star, flagged=np.where(star.flagged > 0, 4, 0))
    of_same, of_other = (
        closure_figures.saturation_figure(each, metrics).alt for each in (closure, other)
    )
    assert "in no pixels not the same" in of_same
    assert f"in {np.count_nonzero(star.flagged)} pixels not the same" in of_other


def test_nothing_that_saturates_is_said(closure, metrics):
    """Two empty maps do not show that saturation is found."""
    other = copy.copy(closure)
    dark = np.zeros_like(closure.saturated_star.expected)
    other.saturation = 0, 0
    other.saturated_star = replace(closure.saturated_star, expected=dark, flagged=dark)
    figure = closure_figures.saturation_figure(other, metrics)
    figure.canvas.draw()
    assert "Nothing saturates" in titles(figure)
    assert "Nothing saturates" in figure.alt


def test_no_strong_hit_is_said(closure, metrics):
    """A figure of few hits does not show that strong ones are found."""
    other = copy.copy(closure)
    few = closure.detection.ratios[:3] / 10
    other.detection = replace(closure.detection, ratios=few, found=closure.detection.found[:3])
    judged = [each for each in metrics if each.name != "cosmic rays missed"]
    figure = closure_figures.cosmic_rays_figure(other, judged)
    assert "no hit is judged" in titles(figure)
    assert "none of them are above 5" in figure.alt


def test_values_far_off_are_inside_of_the_axes(closure, metrics):
    """What is worst is not left out of the picture."""
    other = copy.copy(closure)
    other.stars = closure.stars.copy()
    other.stars["measured"][0] *= 1.2
    other.stars["dx"][0] = 0.3
    other.growth = closure.growth * 1.1
    for figure, beyond in (
        (closure_figures.photometry_figure(other, metrics), 20),
        (closure_figures.positions_figure(other, metrics), 0.3),
        (closure_figures.shape_figure(other, metrics), 12),
    ):
        assert figure.axes[-1].get_ylim()[1] > beyond or figure.axes[0].get_ylim()[1] > beyond


def test_positions_outside_of_the_circle_are_counted(closure, metrics):
    """Not all stars are inside because most are."""
    other = copy.copy(closure)
    other.stars = closure.stars.copy()
    other.stars["dx"][:3] = 0.03
    told = closure_figures.positions_figure(other, metrics).alt
    assert f"{STARS} bright stars, {STARS - 3} of them inside" in told


def test_pulls_have_mean_and_scatter(closure, metrics):
    """The title has both, the scatter as such and not less one."""
    title = titles(closure_figures.pulls_figure(closure, metrics))
    mean, scatter = value(metrics, "pull mean"), 1 + value(metrics, "pull scatter")
    assert f"mean {mean:+.4f}" in title
    assert f"scatter {scatter:.4f}" in title


def test_pulls_have_the_reported_error(closure, metrics):
    """The error that the pipeline reports is beside the expected one."""
    assert "reported error 0.960" in titles(closure_figures.pulls_figure(closure, metrics))


def test_cosmic_rays_have_what_is_missed(closure, metrics):
    """In percent of the strong hits."""
    title = titles(closure_figures.cosmic_rays_figure(closure, metrics))
    assert f"missed {100 * MISSED:.2f} %" in title


def test_saturation_has_the_flags_that_differ(closure, metrics):
    """And how many there are."""
    title = titles(closure_figures.saturation_figure(closure, metrics))
    assert f"{FLAGS_THAT_DIFFER} of 500 flags differ" in title


def test_photometry_has_the_median(closure, metrics):
    """With the number of stars."""
    title = titles(closure_figures.photometry_figure(closure, metrics))
    assert f"{STARS} isolated stars: median +{EXCESS:.2f} %" in title


def test_positions_have_the_rms(closure, metrics):
    """Along both axes."""
    title = titles(closure_figures.positions_figure(closure, metrics))
    assert f"rms beyond noise {OFFSET:.4f}, {OFFSET:.4f} pixel" in title


def test_shape_has_the_width(closure, metrics):
    """The measured one beside the published one."""
    title = titles(closure_figures.shape_figure(closure, metrics))
    assert f"FWHM {closure.width():.3f} pixel, published 2.445" in title


def test_shape_has_the_light_inside(closure, metrics):
    """Of the radius that is furthest off."""
    title = titles(closure_figures.shape_figure(closure, metrics))
    assert f"worst +{100 * (LIGHT_BEYOND - 1):.2f} %" in title
