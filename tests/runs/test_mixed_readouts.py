"""Backgrounds that are read otherwise than the science field, as users run them."""

from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import pytest

from miri_background.calibration import image2
from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.files import content_key
from miri_background.observation import Observation
from miri_background.parallel import process_pool
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.reporting import background_figures, figures
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
from miri_background.validation.judgement import judge_products
from miri_background.validation.products.images import read_rates
from miri_background.validation.products.stage2 import read_products
from miri_background.validation.verdict.not_judged import not_judged

# What the pipeline warns of is in its log.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

# The smallest part of the detector, and the fewest exposures that can be judged.
OBSERVED = {"subarray": "SUB256", "groups": 10, "science_exposures": 1, "background_exposures": 3}
TWO = {"background_exposures": 2}
SUB256_PIXELS = 256 * 256
CORNER = "placed at the corner of the science frame"


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Return a function that gives the directory of an observation, whose ramps are made once."""
    root = tmp_path_factory.mktemp("observations")
    return lambda **changes: root / content_key(changes)


@pytest.fixture
def judged(synthetic_caches, monkeypatch, observed):
    """Return a function that observes, runs the pipeline, and judges what it makes."""
    # Other tests may have imported them here, and changed nothing that stays.
    monkeypatch.setattr(image2, "steps_are_imported", lambda: False)

    def run(calibration=None, **changes):
        # CRDS remembers the references of the first subarray that a process asks it for.
        subarrays = {name for name in changes if name.endswith("subarray")}
        run = RunDirectory(observed(**changes), Observation(**(OBSERVED | changes)), calibration)
        cache = synthetic_cache(synthetic_caches, run.observation)
        for name, value in crds_environment(cache).items():
            monkeypatch.setenv(name, value)
        with process_pool(2) if subarrays else ThreadPoolExecutor(1) as executor:
            take_exposures(run, executor)
            detector1_rates(run, executor)
            write_associations(run)
            subtract_backgrounds(run, executor, image2_steps(run.calibration))
        run.release()
        judgement = judge_products(read_products(run.root))
        if subarrays:
            draw_all(run, judgement.analysis, judgement.metrics)
        return judgement

    return run


def broken(judgement):
    """Return the criteria that are broken, with their values."""
    return {each.name: each.value for each in judgement.metrics if not each.passed}


def draw_all(run, analysis, metrics):
    """Draw every figure of the notebook: images of several shapes have to fit."""
    for figure in (
        figures.rates_figure(read_rates(run, "science"), read_rates(run, "background")),
        background_figures.combined_background_figure(analysis),
        background_figures.star_figure(analysis),
        background_figures.leak_figure(analysis),
        figures.subtracted_figure(analysis),
        figures.residuals_figure(analysis, metrics),
        figures.structure_figure(analysis, metrics),
    ):
        figure.canvas.draw()
        plt.close(figure)


def test_other_groups_pass(judged):
    """Each exposure is expected to scatter as its own ramp lets it."""
    assert broken(judged(background_groups=(8, 10, 20))) == {}


MIXED_INTEGRATIONS = {"integrations": 2, "background_integrations": (1, 2, 2)}


@pytest.mark.parametrize("product", [pytest.param("rate", marks=pytest.mark.long), "rateints"])
def test_mixed_integrations_pass(judged, product):
    """Backgrounds of one and of two integrations are averaged with one vote each."""
    assert broken(judged(Calibration(rate_product=product), **MIXED_INTEGRATIONS)) == {}


def test_skipped_step_fails_for_integrations(judged):
    """The slopes of each integration are judged, too: without the step, all its sky is left."""
    calibration = Calibration(rate_product="rateints", control="step skipped")
    assert "residual" in broken(judged(calibration, **MIXED_INTEGRATIONS))


@pytest.mark.long
def test_backgrounds_of_the_full_array_pass(judged):
    """They are cut to the subarray, and so is their truth, with which they are compared."""
    judgement = judged(**TWO, background_subarray="FULL", groups=8)
    assert broken(judgement) == {}
    # Stars of so small a part have too little light for a leak to be compared.
    assert "background level" in {metric.name for metric in judgement.metrics}


@pytest.mark.long
def test_part_that_backgrounds_cover_passes(judged):
    """A smaller subarray at the corner of the science frame is right there, and that is said."""
    judgement = judged(**TWO, subarray="BRIGHTSKY", background_subarray="SUB256")
    assert broken(judgement) == {}
    left_out = not_judged(judgement.analysis, judgement.metrics)
    (part,) = [each for each in left_out if "illuminated pixels" in each.where]
    assert part.where.startswith("79.3 % of")
    assert "(SUB256) have read only columns 1 to 212 and rows 1 to 256" in part.reason


def test_backgrounds_at_the_wrong_place_fail(judged):
    """A larger subarray that begins elsewhere is subtracted at the wrong place by this build."""
    judgement = judged(**TWO, background_subarray="BRIGHTSKY")
    assert SUB256_PIXELS / 2 < broken(judgement)["combined value"] <= SUB256_PIXELS
    places = {each.aspect: each.name for each in judgement.behaviours}
    assert places["place of another subarray"] == CORNER


def test_brighter_background_field_passes(judged):
    """What is known of the difference of both skies is taken off."""
    assert broken(judged(**TWO, background_sky=115)) == {}


@pytest.mark.long
def test_another_sigma_makes_no_ramps_again(judged, observed):
    """Clipping is another run of the same rates, in a directory of its own beside the first."""
    assert broken(judged(**TWO)) == {}
    directory = observed(**TWO)
    made = [
        path
        for pattern in ("uncal/*.fits", "truth/*.fits", "jwst-*/rate/*.fits")
        for path in sorted(directory.glob(pattern))
    ]
    before = {path: path.stat().st_mtime_ns for path in made}
    assert broken(judged(Calibration(sigma=3.0), **TWO)) == {}
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert len(list(directory.glob("jwst-*/sigma*/image2/*_cal.fits"))) == 2
