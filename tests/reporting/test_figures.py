"""Every figure has its number in the title, and its alternative text beside it."""

import base64
import re
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from PIL import Image as Picture
from traitlets.config import Config

from miri_background.instrument.footprint import illuminated, regions
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.reporting.background_figures import (
    combined_background_figure,
    leak_figure,
    star_figure,
)
from miri_background.reporting.drawing import draw, show
from miri_background.reporting.figures import (
    rates_figure,
    residuals_figure,
    structure_figure,
    subtracted_figure,
)
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.measurements.statistical import statistical_measurements
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.products.images import Image, Products, Truth
from miri_background.validation.verdict.limits import judge

SKY = 14.0  # DN/s
NOISE = 0.3  # DN/s
PEAK = 40.0  # DN/s, of the background star
FLUX = 50.0  # uJy
DITHER = 60  # pixels
EXPOSURES = 2
OFFSET = 0.5  # DN/s
BAD_FRACTION = 1e-3  # of all pixels, dead or hot
ALT = "What a reader who does not see the figure should know."
NUMBER = r"[+-]?\d+\.\d+"


@dataclass(frozen=True)
class Scene:
    """What the figures show.

    Parameters
    ----------
    subarray : str
        Name of the subarray.
    star : tuple of int
        x and y of the background star, in its pixels.
    regions : tuple of str
        What is judged by itself.
    """

    subarray: str
    star: tuple
    regions: tuple


SMALL = Scene("SUB256", (100, 120), ("imager",))
WHOLE = Scene("FULL", (600, 500), ("imager", "Lyot", "4QPM 1065", "4QPM 1140", "4QPM 1550"))


def image(scene, values, generator):
    """Return a product with noise around values."""
    shape = values.shape
    noisy = values + generator.normal(0.0, NOISE, shape)
    read = subarrays()[scene.subarray]
    header = {
        "SUBARRAY": scene.subarray,
        "SUBSTRT1": read.x.start + 1,
        "SUBSTRT2": read.y.start + 1,
        "SUBSIZE1": read.shape[1],
        "SUBSIZE2": read.shape[0],
        "READPATT": "FASTR1",
        "NGROUPS": 20,
        "NINTS": 1,
        "TFRAME": frame_time("FASTR1", scene.subarray),
    }
    return Image(
        "in memory",
        fits.Header(header),
        noisy.astype(np.float32),
        np.full(shape, NOISE, dtype=np.float32),
        np.zeros(shape, dtype=np.uint32),
        {
            name: np.full(shape, NOISE**2 / 2, dtype=np.float32)
            for name in ("VAR_RNOISE", "VAR_POISSON")
        },
    )


@pytest.fixture(
    scope="module",
    params=[SMALL, pytest.param(WHOLE, marks=pytest.mark.slow)],
    ids=lambda scene: scene.subarray,
)
def scene(request):
    """Return what the figures show."""
    return request.param


@pytest.fixture(scope="module")
def products(scene):
    """Return products of two exposures with one background star, averaged without clipping."""
    generator = np.random.default_rng(770)
    shape = subarrays()[scene.subarray].shape
    sky = np.where(illuminated(scene.subarray), SKY, 0.0)
    no_sources = Truth(sky, np.zeros(shape), QTable())
    science = [image(scene, sky, generator) for _ in range(EXPOSURES)]
    truths, backgrounds = [], []
    for dither in range(EXPOSURES):
        sources = np.zeros(shape)
        x, y = scene.star[0] + dither * DITHER, scene.star[1]
        sources[y, x] = PEAK
        catalogue = QTable(
            {"x": [float(x)], "y": [float(y)], "flux": [FLUX]}, units={"flux": "uJy"}
        )
        truths.append(Truth(sky, sources, catalogue))
        backgrounds.append(image(scene, sky + sources, generator))
    mean = replace(backgrounds[0], data=np.mean([each.data for each in backgrounds], axis=0))
    subtracted = [replace(each, data=each.data - mean.data) for each in science]
    headers = [fits.Header({"S_BKDSUB": "COMPLETE"})] * EXPOSURES
    return Products(
        science,
        backgrounds,
        subtracted,
        [mean] * EXPOSURES,
        headers,
        [no_sources] * EXPOSURES,
        truths,
        2.0,
        3,
        ["image2_asn.json"] * EXPOSURES,
    )


@pytest.fixture(scope="module")
def analysis(products):
    """Return their analysis."""
    return Analysis(products, Expectation(products))


@pytest.fixture(scope="module")
def metrics(scene):
    """Return metrics of residuals, one of them over its limit."""
    measurements = [
        Measurement("residual", region, number, 0.0, 0.002)
        for region in scene.regions
        for number in range(1, EXPOSURES + 1)
    ]
    return judge([replace(measurements[0], value=-0.1234), *measurements[1:]])


@pytest.fixture(autouse=True)
def _close_figures():
    """Leave no figure behind."""
    yield
    plt.close("all")


@pytest.fixture
def shell():
    """Give a shell that displays, as a notebook does."""
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


def drawn(name, products, analysis, metrics):
    """Return one of the figures."""
    return {
        "rates": lambda: rates_figure(products.science, products.backgrounds),
        "combined background": lambda: combined_background_figure(analysis),
        "star": lambda: star_figure(analysis),
        "subtracted": lambda: subtracted_figure(analysis),
        "residuals": lambda: residuals_figure(analysis, metrics),
        "leak": lambda: leak_figure(analysis),
        "structure": lambda: structure_figure(analysis, judge(statistical_measurements(analysis))),
    }[name]()


def titles(figure):
    """Return all titles of a figure in one text."""
    return "\n".join([figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)])


def with_products(analysis, **changed):
    """Return an analysis of which some products are others, and the backgrounds the same."""
    return Analysis(replace(analysis.products, **changed), analysis.expectation)


def with_offset(analysis, name):
    """Return an analysis whose images of one kind are off by a known number."""
    images = [replace(each, data=each.data + OFFSET) for each in getattr(analysis.products, name)]
    return with_products(analysis, **{name: images})


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("rates", "rate (DN/s, linear stretch)"),
        ("combined background", "DN/s, linear stretch"),
        ("star", "DN/s, linear"),
        ("subtracted", "DN/s, linear stretch"),
        ("residuals", "DN/s, linear stretch"),
    ],
)
def test_figure_states_unit_stretch_and_number(products, analysis, metrics, name, units):
    """Each figure has a unit and stretch at its colours and a number with unit in its title."""
    figure = drawn(name, products, analysis, metrics)
    assert isinstance(figure, Figure)
    assert units in [axes.get_ylabel() for axes in figure.axes]
    assert re.search(rf"{NUMBER} DN/s", titles(figure))


def test_region_is_drawn_where_it_is():
    """A part of the array has the array's pixels at its axes, and its own dark places."""
    region = regions("FULL")["Lyot"]
    axes = plt.figure().add_subplot()
    drawn = draw(axes, np.ones(region.mask()[region.slices].shape), "FULL", 0, 1, region)
    assert axes.get_xlim() == (region.x.start - 0.5, region.x.stop - 0.5)
    assert axes.get_ylim() == (region.y.start - 0.5, region.y.stop - 0.5)
    assert np.isfinite(drawn.get_array().filled(np.nan)).mean() == pytest.approx(
        illuminated("FULL")[region.slices].mean(), abs=0.01
    )


def test_rates_have_the_sky(products):
    """The title's number is the sky under the sources."""
    title = titles(rates_figure(products.science, products.backgrounds))
    assert f"sky of {SKY:.2f} DN/s" in title


def test_every_rate_is_shown(products):
    """Each exposure has a panel with its name."""
    title = titles(rates_figure(products.science, products.backgrounds))
    fields = [(field, number) for field in ("science", "background") for number in (1, 2)]
    assert all(f"{field} {number}" in title for field, number in fields)


def test_integrations_are_shown_as_their_mean(products):
    """A cube is drawn like the image that it gives on average."""

    def apart(image):
        return replace(
            image, **{name: np.stack([getattr(image, name)] * 2) for name in ("data", "err", "dq")}
        )

    fields = products.science, products.backgrounds
    cubes = ([apart(image) for image in field] for field in fields)
    figures = rates_figure(*fields), rates_figure(*cubes)
    (one, *_), (other, *_) = (figure.axes[0].images for figure in figures)
    assert np.allclose(one.get_array().filled(0), other.get_array().filled(0))
    assert titles(figures[0]) == titles(figures[1])


def test_combined_background_has_its_error(analysis):
    """The title's number is how far the average is off from the true sky."""
    title = titles(combined_background_figure(with_offset(analysis, "combined")))
    (number,) = re.findall(rf"({NUMBER}) DN/s", title)
    assert float(number) == pytest.approx(OFFSET, abs=0.001)


def test_subtracted_has_its_residual(analysis):
    """The title's number is what is left of the sky."""
    title = titles(subtracted_figure(with_offset(analysis, "subtracted")))
    left = re.search(rf"({NUMBER}) are left", title)
    assert float(left[1]) == pytest.approx(OFFSET, abs=0.001)


def test_star_is_followed(scene, analysis):
    """The title's numbers are the star's peak and the half that stays in the mean of two."""
    title = titles(star_figure(analysis))
    assert f"A star of {FLUX:.0f} µJy at x, y = {scene.star[0]}, {scene.star[1]}: peak " in title
    peak, plain, combined = (float(number) for number in re.findall(rf"({NUMBER})", title))
    # Single pixels with their noise.
    assert [peak, plain, combined] == pytest.approx([PEAK, PEAK / 2, PEAK / 2], abs=4 * NOISE)


@pytest.fixture(scope="module")
def statistics(analysis):
    """Return the metrics of what needs no truth."""
    return judge(statistical_measurements(analysis))


@pytest.mark.parametrize("criterion", ["columns", "rows"])
def test_structure_has_the_worst_line(analysis, statistics, criterion):
    """The title of each panel has the line that is furthest off, of all regions."""
    title = titles(structure_figure(analysis, statistics))
    (found,) = re.findall(rf"{criterion}: worst ({NUMBER}) DN/s", title)
    values = [metric.value for metric in statistics if metric.name == criterion]
    assert min(abs(float(found) - value) for value in values) < 0.001


def test_structure_counts_its_apertures(analysis, statistics):
    """The histogram tells how many fluxes it has and how they scatter."""
    title = titles(structure_figure(analysis, statistics))
    number, scatter = re.search(r"(\d+) apertures on empty sky:\nscatter (\S+) of", title).groups()
    assert int(number) > 0
    # Independent noise of 0.3 DN/s; a standard deviation of n fluxes is certain to 1 / sqrt(2 n).
    assert float(scatter) == pytest.approx(1, abs=4 / np.sqrt(2 * int(number)) + 0.01)


def test_leak_tells_how_far_it_is_off_theory(analysis):
    """The title's number is that of the worst class; of two exposures, half of the star stays."""
    title = titles(leak_figure(analysis))
    (deviation,) = re.findall(r"at most (\S+) standard errors", title)
    # One class of contrast, in which one pixel has its noise.
    assert float(deviation) < 4


def test_leak_shows_light_that_should_not_stay(analysis):
    """Ten times the light in the average is far off theory."""
    bright = [
        replace(image, data=image.data + 10 * np.float32(analysis.expectation.leak))
        for image in analysis.products.combined
    ]
    title = titles(leak_figure(with_products(analysis, combined=bright)))
    (deviation,) = re.findall(r"at most (\S+) standard errors", title)
    assert float(deviation) > 100


def test_leak_of_nothing_is_no_error(analysis):
    """A step that subtracted nothing has nothing to show."""
    skipped = with_products(analysis, combined=[None] * EXPOSURES)
    assert "What sigma" not in titles(leak_figure(skipped))


def test_no_star_is_no_error(analysis):
    """A background field may be empty: the sky is shown in its place."""
    truths = analysis.products.background_truth
    empty = [replace(truth, catalogue=truth.catalogue[:0]) for truth in truths]
    starless = with_products(analysis, background_truth=empty)
    assert titles(star_figure(starless)).startswith("No star at x, y = ")


def test_residuals_have_the_worst(analysis, metrics):
    """The title names the residual that is furthest over its limit, with the limit."""
    title = titles(residuals_figure(analysis, metrics))
    assert f"worst: imager, exposure 1: -0.1234 DN/s, limit ±{metrics[0].limit:.4f}" in title


@pytest.mark.parametrize("name", ["rates", "combined background", "subtracted"])
def test_images_are_whole(scene, products, analysis, metrics, name):
    """The axes of each image count the pixels of what was read, in blocks that fit a screen."""
    figure = drawn(name, products, analysis, metrics)
    images = [panel for axes in figure.axes for panel in axes.images]
    rows, columns = subarrays()[scene.subarray].shape
    assert {tuple(each.get_extent()) for each in images} == {
        (-0.5, columns - 0.5, -0.5, rows - 0.5)
    }
    assert {each.get_array().shape for each in images} == {
        (256, round(256 * columns / rows)),
    }


def test_dark_parts_are_grey(scene, products, analysis, metrics):
    """Only what sees the sky has a colour; of a subarray inside the imager that is all."""
    figure = drawn("rates", products, analysis, metrics)
    shown = np.ma.getmaskarray(np.ma.masked_invalid(figure.axes[0].images[0].get_array()))
    lit = illuminated(scene.subarray)
    size = lit.shape[0] // shown.shape[0]
    blocks = lit.reshape(shown.shape[0], size, shown.shape[1], size).any(axis=(1, 3))
    # A block of which the few lit pixels are bad is grey, too; without blocks each bad pixel is.
    assert np.mean(shown == ~blocks) > 1 - 2 * BAD_FRACTION
    assert not np.any(~shown & ~blocks)


def test_residuals_are_those_of_the_regions(scene, analysis, metrics):
    """The axis names the regions that are read, in their order."""
    points = residuals_figure(analysis, metrics).axes[0]
    assert [label.get_text() for label in points.get_xticklabels()] == list(scene.regions)


@pytest.mark.parametrize("name", ["combined background", "star", "subtracted", "leak", "structure"])
def test_skipped_step_is_shown(products, analysis, metrics, name):
    """Without a combined background there is still a figure of what happened."""
    skipped = with_products(
        analysis, combined=[None] * len(products.science), subtracted=products.science
    )
    figure = drawn(name, products, skipped, metrics)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("name", ["residuals", "structure"])
def test_lost_values_are_shown(products, analysis, metrics, name):
    """Where nothing is left to judge, there is a figure of that, too."""
    lost = [replace(each, data=np.full_like(each.data, np.nan)) for each in products.subtracted]
    figure = drawn(name, products, with_products(analysis, subtracted=lost), metrics)
    figure.canvas.draw()


@pytest.fixture
def shown(shell, tmp_path):
    """Return path and output of a figure that was shown."""
    del shell
    path = tmp_path / "figures" / "figure.png"
    with capture_output() as captured:
        show(Figure(figsize=(2, 1)), path, ALT)
    return path, captured.outputs


def test_figure_is_written(shown):
    """The file is a PNG of the size that was asked for."""
    with Picture.open(shown[0]) as picture:
        assert (picture.format, picture.size) == ("PNG", (180, 90))


def test_figure_is_shown_once(shown):
    """A notebook has the figure as one output, the same bytes as the file."""
    path, (output,) = shown
    assert base64.b64decode(output.data["image/png"]) == path.read_bytes()


def test_figure_has_its_alternative_text(shown):
    """The output carries the alternative text."""
    (output,) = shown[1]
    assert output.metadata["image/png"]["alt"] == ALT


def test_figure_is_closed(shell, tmp_path):
    """Shown figures do not stay in memory."""
    del shell
    figure, _ = plt.subplots()
    with capture_output():
        show(figure, tmp_path / "figure.png", ALT)
    assert plt.get_fignums() == []


def test_colours_survive_the_palette(shell, tmp_path):
    """Few colours make small files, and still each is near the one that was drawn."""
    del shell
    figure, axes = plt.subplots(figsize=(4, 1))
    axes.imshow(np.linspace(0, 1, 64)[np.newaxis], cmap="viridis", aspect="auto")
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    figure.canvas.draw()
    with capture_output():
        show(figure, tmp_path / "figure.png", ALT)
    with Picture.open(tmp_path / "figure.png") as picture:
        row = np.asarray(picture.convert("RGB"), dtype=float)[45]
    colours = plt.get_cmap("viridis")
    expected = 255 * colours(np.linspace(0, 1, 64))[:, :3]
    pixels = ((np.arange(64) + 0.5) * len(row) / 64).astype(int)
    # The palette has 132 colours of the map: none is further away than the next one.
    step = np.abs(np.diff(255 * colours(np.linspace(0, 1, 132))[:, :3], axis=0)).max()
    np.testing.assert_allclose(row[pixels], expected, atol=step)
