"""Figures of a campaign show its numbers, and its notebook and verb run at a small size."""

import csv
import io
import json

import numpy as np
import papermill
import pytest

from miri_background.campaign.expected import expected_holes, expected_noise
from miri_background.campaign.scene import Scene
from miri_background.cli import main
from miri_background.reporting.campaign_drawing import points
from miri_background.reporting.campaign_files import campaign_figures, numbers
from miri_background.repository import repository_file
from miri_background.runs.campaign import run_campaign

SMALL = "which_background_small.yaml"


def row(way, value, seed, bias):
    """Return what a figure looks at."""
    return {"way": way, "backgrounds": value, "seed": seed, "bias": bias}


def test_points_are_means_with_errors_of_seeds():
    """Of 1 and 3: 2 with a standard error of 1; a row without a number does not count."""
    rows = [row("step", 4, 1, 1.0), row("step", 4, 2, 3.0), row("step", 4, 3, None)]
    (found,) = points(rows, "backgrounds", "bias")
    assert (found.mean, found.error, found.seeds) == (2.0, 1.0, 2)


def test_points_ascend_whatever_is_done_first():
    """A line goes from left to right."""
    rows = [row("step", value, 1, 0.0) for value in (8, 2, 4)]
    assert [each.value for each in points(rows, "backgrounds", "bias")] == [2, 4, 8]


def test_expected_noise_of_unclipped_average_is_that_of_a_mean():
    """Sigma 10 clips nothing: one and a fourth of the variance."""
    assert expected_noise(4, 10.0) == pytest.approx(np.sqrt(1.25))


@pytest.mark.slow
def test_expected_holes_of_unclipped_average_are_all_light():
    """By symmetry, to the scatter of the draws."""
    scene = Scene.create(size=128, source_density=400)
    assert expected_holes(scene, 10.0) == pytest.approx(100, abs=2)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return the small campaign, carried out by the command line in a process."""
    directory = tmp_path_factory.mktemp("campaign")
    path = repository_file("docs", SMALL)
    figures = directory / "figures"
    options = ["--output", directory / "table", "--workers", "1", "--figures", figures]
    assert main(["campaign", str(path), *map(str, options)]) == 0
    return directory, run_campaign(path, directory / "table", workers=1)


@pytest.mark.slow
def test_verb_writes_vectors_pictures_and_numbers(ran):
    """Figures are there in each form, with the CSV of the numbers that they show."""
    directory, run = ran
    assert run.kept == len(run.rows)
    for drawn in campaign_figures(run):
        for ending in ("svg", "png"):
            assert (directory / "figures" / f"{drawn.name}.{ending}").stat().st_size > 1000
        text = (directory / "figures" / f"{drawn.name}.csv").read_text()
        assert text == numbers(drawn)
        shown = list(csv.DictReader(io.StringIO(text)))
        assert len(shown) == sum(map(len, drawn.points.values()))
        assert f"{float(shown[0]['mean']):.3g}" in drawn.figure.alt or drawn.name == "sigma"


@pytest.mark.slow
def test_default_leaves_the_light_of_four_backgrounds(ran):
    """Sigma 3 clips nothing there, sigma 2 does; both by the real step."""
    _, run = ran
    left = {
        each.way: each
        for each in points(run.study("number"), "backgrounds", "holes")
        if each.value == 4
    }
    errors = [each["holes_error"] for each in run.study("number")]
    assert left["step, sigma 3"].mean == pytest.approx(100, abs=5 * max(errors))
    assert left["step, sigma 2"].mean < 80


@pytest.mark.long
@pytest.mark.slow
def test_notebook_runs(ran, repository, tmp_path):
    """On the table that is there, so that it takes seconds."""
    directory, _ = ran
    executed = papermill.execute_notebook(
        repository / "notebooks" / "which_background.ipynb",
        tmp_path / "executed.ipynb",
        {"output": str(directory)},
        progress_bar=False,
        log_output=False,
    )
    printed = json.dumps(executed.cells[-1].outputs)
    assert "standard errors from clipping theory" in printed
