"""Another choice of sigma, exposure or region is answered as the validation would answer it."""

import os
import re
import tempfile
import time
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from jupyter_client.manager import KernelManager

from miri_background.instrument.detector import SHAPE
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.outcomes import CannotJudge
from miri_background.reporting import exploring as exploring_module
from miri_background.reporting.closer_look import CloserLook
from miri_background.reporting.exploring import (
    Choice,
    Explorer,
    controls,
    exploration_figure,
    show,
)
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.measurements.statistical import statistical_measurements
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.products.images import DO_NOT_USE, Image, Products, Truth
from miri_background.validation.verdict.limits import judge

pytestmark = pytest.mark.slow

SUBARRAY, REGION = "SUB256", "imager"
SKY = 14.0  # DN/s
NOISE = 0.3  # DN/s
PEAK = 40.0  # DN/s, of the background star, a pixel wide
STAR, DITHER = (100, 120), 30  # x, y in the first background; pixels between exposures
SIGMA, MAXITERS = 2.0, 3
NEVER = 2.5  # standard deviations: no value of four can be further from their median
BACKGROUNDS, SCIENCE = 4, 2
# Products are written in single precision, the independent mean is not.
ROUNDING = 2e-7 * SKY
WIDGET = "application/vnd.jupyter.widget-view+json"


def rate(generator, subarray, sources, integrations):
    """Return a rate with noise around sky and sources."""
    read = subarrays()[subarray]
    shape = (*((integrations,) if integrations > 1 else ()), *read.shape)
    values = np.where(illuminated(subarray), SKY, 0.0) + sources
    header = {
        "SUBARRAY": subarray,
        "SUBSTRT1": read.x.start + 1,
        "SUBSTRT2": read.y.start + 1,
        "SUBSIZE1": read.shape[1],
        "SUBSIZE2": read.shape[0],
        "READPATT": "FASTR1",
        "NGROUPS": 20,
        "NINTS": integrations,
        "TFRAME": frame_time("FASTR1", subarray),
    }
    return Image(
        "in memory",
        fits.Header(header),
        (values + generator.normal(0.0, NOISE, shape)).astype(np.float32),
        np.full(shape, NOISE, dtype=np.float32),
        np.zeros(shape, dtype=np.uint32),
        {
            name: np.full(shape, NOISE**2 / 2, dtype=np.float32)
            for name in ("VAR_RNOISE", "VAR_POISSON")
        },
    )


def observed(subarray=SUBARRAY, integrations=1, truth=True):
    """Return products of a correct step: a star in another place of each background."""
    generator = np.random.default_rng(770)
    shape = subarrays()[subarray].shape
    science = [rate(generator, subarray, 0.0, integrations) for _ in range(SCIENCE)]
    backgrounds, truths = [], []
    for number in range(BACKGROUNDS):
        sources = np.zeros(shape)
        sources[STAR[1], STAR[0] + number * DITHER] = PEAK
        backgrounds.append(rate(generator, subarray, sources, integrations))
        truths.append(Truth(np.full(shape, SKY), sources, QTable()))
    mean = average_backgrounds(backgrounds, SIGMA, MAXITERS)
    combined = replace(backgrounds[0], data=mean.data, err=mean.error, dq=mean.dq)
    subtracted = [
        replace(each, data=(each.data - mean.data).astype(np.float32)) for each in science
    ]
    no_sources = Truth(np.full(shape, SKY), np.zeros(shape), QTable())
    return Products(
        science,
        backgrounds,
        subtracted,
        [combined] * SCIENCE,
        [fits.Header({"S_BKDSUB": "COMPLETE"})] * SCIENCE,
        [no_sources] * SCIENCE if truth else None,
        truths if truth else None,
        SIGMA,
        MAXITERS,
        ["image2_asn.json"] * SCIENCE,
    )


def exploring(products, truth=True):
    """Return the explorer of products, and the metrics of its residuals."""
    analysis = Analysis(products, Expectation(products, truth))
    metrics = judge(statistical_measurements(analysis))
    return Explorer(analysis, metrics), [each for each in metrics if each.name == "residual"]


@pytest.fixture(scope="module")
def run():
    """Return the explorer of a run whose truth is known, and the metrics of its residuals."""
    return exploring(observed())


@pytest.fixture(scope="module")
def explorer(run):
    """Return the explorer of the run."""
    return run[0]


@pytest.fixture(autouse=True)
def _close_figures():
    """Leave no figure behind."""
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("integrations", "files", "truth"),
    [(1, True, True), (1, True, False), (1, False, False), (3, True, True)],
    ids=["truth", "expected light", "sources looked for", "integrations"],
)
def test_own_sigma_gives_the_numbers_of_the_validation(integrations, files, truth):
    """Value, error, limit and status of each residual are those that the run was judged by."""
    explorer, metrics = exploring(observed(SUBARRAY, integrations, files), truth)
    assert len(metrics) == SCIENCE
    for metric in metrics:
        found = explorer.explore(Choice(SIGMA, metric.exposure, metric.region)).metric
        numbers = [(each.value, each.standard_error, each.limit) for each in (found, metric)]
        assert numbers[0] == pytest.approx(numbers[1], abs=ROUNDING)
        assert found.status == metric.status


def test_own_sigma_gives_the_combined_background_of_the_validation(explorer):
    """The average of the region is the independent one that products are compared with."""
    region = explorer.analysis.masks.regions[REGION]
    explored = explorer.explore(explorer.own)
    expected = explorer.analysis.expectation.combined
    assert np.array_equal(explored.combined, expected.data[region.slices])
    assert np.array_equal(explored.clipped, BACKGROUNDS - expected.kept[region.slices])


def test_own_choice_is_that_of_the_run(explorer):
    """What is shown first is the first exposure and region with the run's sigma."""
    assert explorer.own == Choice(SIGMA, 1, REGION)


def star(explored, explorer):
    """Return the average where the first background has its star, less the sky, DN/s."""
    region = explorer.analysis.masks.regions[REGION]
    return explored.combined[STAR[1] - region.y.start, STAR[0] - region.x.start] - SKY


def test_sigma_decides_whether_a_star_stays(explorer):
    """With four backgrounds, 2 leaves a star out, and 2.5 no value at all."""
    clipped, kept = (explorer.explore(Choice(sigma, 1, REGION)) for sigma in (SIGMA, NEVER))
    assert star(clipped, explorer) == pytest.approx(0, abs=4 * NOISE)
    assert star(kept, explorer) == pytest.approx(PEAK / BACKGROUNDS, abs=4 * NOISE)
    assert kept.left_out == 0
    assert (
        kept.values
        == clipped.values
        == BACKGROUNDS * np.count_nonzero(explorer.analysis.masks.seen)
    )


def test_smaller_sigma_clips_more(explorer):
    """The number of clipped values grows, and with it the error of the mean residual."""
    explored = [explorer.explore(Choice(sigma, 1, REGION)) for sigma in (NEVER, SIGMA, 1.2)]
    left_out = [each.left_out for each in explored]
    errors = [each.metric.standard_error for each in explored]
    assert left_out == sorted(set(left_out))
    assert errors == sorted(set(errors))


def test_exposures_differ(explorer):
    """Each science exposure has its own residual after the same combined background."""
    first, second = (explorer.explore(Choice(SIGMA, number, REGION)) for number in (1, 2))
    assert first.metric.value != second.metric.value
    assert first.combined is second.combined


def test_wrong_level_fails(explorer):
    """Backgrounds that are brighter than the science field's sky break the limit."""
    products = explorer.analysis.products
    brighter = [replace(each, data=each.data + NOISE) for each in products.backgrounds]
    wrong, _ = exploring(replace(products, backgrounds=brighter))
    explored = wrong.explore(wrong.own)
    assert explored.metric.value == pytest.approx(-NOISE, abs=explored.metric.limit)
    assert explored.metric.status == "failed"
    assert explored.sentences()[0].startswith("Failed: residual (imager, exposure 1): -0.3")


def test_lost_pixels_are_no_clipped_values(explorer):
    """A pixel that one background has lost is neither counted nor averaged."""
    products = explorer.analysis.products
    first, *others = products.backgrounds
    data, flags = first.data.copy(), first.dq.copy()
    hole = (slice(100, 110), slice(50, 60))
    data[hole], flags[hole] = np.nan, DO_NOT_USE
    lost = [replace(first, data=data, dq=flags), *others]
    with_hole, _ = exploring(replace(products, backgrounds=lost))
    explored, whole = (each.explore(Choice(NEVER, 1, REGION)) for each in (with_hole, explorer))
    assert not explored.clipped.any()
    assert whole.values - explored.values == 100 * BACKGROUNDS


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(SIGMA, 1, "Lyot"), "Lyot is not a region of SUB256: choose one of imager."),
        (Choice(SIGMA, 0, REGION), "There is no science exposure 0: choose one from 1 to 2."),
        (Choice(SIGMA, 3, REGION), "There is no science exposure 3: choose one from 1 to 2."),
        (Choice(0.0, 1, REGION), "sigma = 0.0 is not a number from 1.1 to 10"),
        (Choice(np.nan, 1, REGION), "sigma = nan is not a number from 1.1 to 10"),
    ],
)
def test_what_cannot_be_chosen_is_told(explorer, choice, sentence):
    """The sentence says what can be chosen."""
    with pytest.raises(CannotJudge, match=re.escape(sentence)):
        explorer.explore(choice)


def test_figure_has_verdict_and_units(explorer):
    """The title has number, limit and status, each panel its unit and stretch."""
    explored = explorer.explore(explorer.own)
    figure = exploration_figure(explorer.analysis, explored)
    assert figure.get_suptitle() == "\n".join(explored.sentences())
    assert re.match(
        r"Passed: residual \(imager, exposure 1\): \S+ ± \S+ DN/s", figure.get_suptitle()
    )
    labels = [axes.get_ylabel() for axes in figure.axes[3:]]
    assert labels == [f"{unit}, linear stretch" for unit in ("DN/s", "exposures", "DN/s")]


def alt_text(panel):
    """Return the alternative text of the picture that is shown."""
    return re.search(r'alt="([^"]*)"', panel.children[1].value)[1]


def test_controls_change_the_picture(explorer):
    """Each control that is moved leads to the numbers of its choice."""
    panel = controls(explorer)
    sigma, exposure, _ = panel.children[0].children
    before = panel.children[1].value
    sigma.value = NEVER
    assert "With sigma = 2.5, 0 of" in alt_text(panel)
    exposure.value = 2
    assert "exposure 2" in alt_text(panel)
    assert panel.children[1].value != before
    sigma.value, exposure.value = SIGMA, 1
    assert panel.children[1].value == before


def test_background_that_is_left_out_has_no_part(explorer):
    """Its star is gone even where nothing is clipped, and no limit of all is applied."""
    without = explorer.explore(Choice(NEVER, 1, REGION, (1,)))
    assert star(without, explorer) == pytest.approx(0, abs=4 * NOISE)
    assert without.values == (BACKGROUNDS - 1) * np.count_nonzero(explorer.analysis.masks.seen)
    assert without.sentences()[0].startswith("Without background 1: mean residual of imager, ")


def test_some_background_has_to_be_averaged(explorer):
    """Of none there is no average."""
    with pytest.raises(CannotJudge, match="No background is left"):
        explorer.explore(Choice(SIGMA, 1, REGION, tuple(range(1, BACKGROUNDS + 1))))


def test_backgrounds_stretch_and_blinking_change_the_picture(explorer):
    """Exposures are switched on and off, colours reach less far, the next exposure is shown."""
    panel = controls(explorer)
    averaged, stretch, blink = panel.children[2].children
    averaged.value = (2, 3, 4)
    assert "Without background 1" in alt_text(panel)
    shown = panel.children[1].value
    averaged.value = ()
    assert panel.children[1].value == shown
    averaged.value = tuple(range(1, BACKGROUNDS + 1))
    before = panel.children[1].value
    stretch.value = 0.4
    assert panel.children[1].value != before
    blink.value = 2
    assert panel.children[0].children[1].value == 2
    assert "exposure 2" in alt_text(panel)


@pytest.fixture
def closer(explorer):
    """Return a closer look at the run's own choice, which is still closed."""
    look = CloserLook(explorer.analysis)
    look.show(explorer.explore(explorer.own))
    return look


def test_nothing_is_drawn_before_it_is_opened(closer):
    """Images of every pixel take time that nobody has asked for."""
    assert closer.figure.axes == []
    closer.widget.selected_index = 0
    assert len(closer.figure.axes) > 3


def test_closer_look_has_every_pixel(closer, explorer):
    """Rate, combined background and residual are not averaged in blocks."""
    closer.widget.selected_index = 0
    explored = explorer.explore(explorer.own)
    shown = [axes.images[0].get_array() for axes in closer.figure.axes if axes.images][:3]
    rate = explorer.analysis.expectation.science[0].data
    for image, expected in zip(shown, (rate, explored.combined, explored.residual), strict=True):
        np.testing.assert_array_equal(image.filled(np.nan), expected)


def test_place_stays_when_something_else_is_chosen(closer, explorer):
    """Zoom is linked between the images, and another sigma leaves it as it is."""
    closer.widget.selected_index = 0
    images = [axes for axes in closer.figure.axes if axes.images][:3]
    images[0].set_xlim(10, 20)
    images[0].set_ylim(30, 40)
    closer.show(explorer.explore(Choice(NEVER, 2, REGION)))
    assert [(axes.get_xlim(), axes.get_ylim()) for axes in images] == [((10, 20), (30, 40))] * 3


def test_without_the_extra_there_are_pictures(explorer, monkeypatch):
    """The closer look needs a package that not everybody has."""
    assert len(controls(explorer).children) == 4
    monkeypatch.setattr(exploring_module, "closer_look_is_there", lambda: False)
    assert len(controls(explorer).children) == 3


def test_controls_hold_what_can_be_chosen(explorer):
    """They are set to the run's own choice, and no value of theirs is refused."""
    sigma, exposure, region = controls(explorer).children[0].children
    assert Choice(sigma.value, exposure.value, region.value) == explorer.own
    assert (sigma.min, list(exposure.options), list(region.options)) == (1.1, [1, 2], [REGION])
    for choice in (Choice(sigma.min, 1, REGION), Choice(sigma.max, 1, REGION)):
        explorer.explore(choice)


def test_reader_without_controls_sees_the_figure(run, tmp_path, capsys):
    """Outside a notebook there are the file, its picture and its alternative text alone."""
    explorer, metrics = run
    path = tmp_path / "another_choice.png"
    show(explorer.analysis, metrics, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "Passed: residual (imager, exposure 1)" in capsys.readouterr().out


def test_answer_takes_little_time_at_full_size():
    """The region with most pixels, and thresholds that clip in every pixel, on one processor.

    Over the time of the median of four full arrays, which any clipping needs: some 0.05 s on
    a machine that has nothing else to do, where an answer may take a second.
    """
    explorer, _ = exploring(observed("FULL"))
    sigma = controls(explorer).children[0].children[0]
    exposures = np.random.default_rng(0).standard_normal((4, *SHAPE)).astype(np.float32)
    answers, medians = [], []
    for value in (1.15, 1.2, 1.25):
        started = time.process_time()
        sigma.value = value
        answers.append(time.process_time() - started)
        started = time.process_time()
        np.median(exposures, axis=0)
        medians.append(time.process_time() - started)
    # Other programs on the same processor can only add to it.
    assert min(answers) < 20 * min(medians)


@pytest.fixture(scope="module")
def kernel():
    """Return the client of a kernel in which a run was analysed."""
    with tempfile.TemporaryDirectory(prefix="miri-") as sockets:
        manager = KernelManager(transport="ipc", ip=str(Path(sockets) / "kernel"))
        manager.start_kernel(env=os.environ | {"JUPYTER_PATH": ""})
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        prepared = client.execute_interactive(
            f"import runpy; names = runpy.run_path({__file__!r})\n"
            "explorer, metrics = names['exploring'](names['observed']())",
        )
        assert prepared["content"]["status"] == "ok"
        yield client
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("somebody", [True, False])
def test_controls_are_there_for_somebody(kernel, tmp_path, somebody):
    """A cell that is run by a program without a user, as papermill is, shows the figure alone."""
    shown = []
    path = tmp_path / "another_choice.png"
    code = f"import pathlib; names['show'](explorer.analysis, metrics, pathlib.Path({str(path)!r}))"
    ended = kernel.execute_interactive(code, allow_stdin=somebody, output_hook=shown.append)
    assert ended["content"]["status"] == "ok"
    (content,) = [each["content"] for each in shown if each["msg_type"] == "display_data"]
    assert (WIDGET in content["data"]) is somebody
    assert b64decode(content["data"]["image/png"]) == path.read_bytes()
    assert "Passed: residual" in content["metadata"]["image/png"]["alt"]
