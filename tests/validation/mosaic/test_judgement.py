"""A mosaic of the installed pipeline passes, and each criterion fails where it should."""

import json
from dataclasses import replace

import numpy as np
import pytest

from miri_background.calibration import image2, image3
from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.image3 import image3_steps, make_mosaic, write_mosaic_association
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.cli import main
from miri_background.detection.kill_matrix import CONTROL
from miri_background.observation import Observation
from miri_background.parallel import process_pool
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.reporting.mosaic_figures import catalogue_figure, sides_figure
from miri_background.reporting.pictured import LIMITS, MOSAIC, description_of
from miri_background.reporting.report.pictures import pictures_of
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
from miri_background.validation.judgement import judge_products
from miri_background.validation.mosaic.findings import SkyOfMosaic, mosaic_findings
from miri_background.validation.mosaic.judgement import MosaicJudgement, judge_mosaic
from miri_background.validation.products.stage2 import read_products
from miri_background.validation.verdict.limits import criteria

pytestmark = pytest.mark.slow

# So many bright stars that the catalogue of a small subarray has enough of them.
OBSERVATION = Observation(
    subarray="SUB256",
    groups=8,
    science_exposures=3,
    background_exposures=3,
    science_stars=700,
    science_faintest=150,
    cosmic_ray_rate=5,
)
THROUGH = Calibration(through="image3")
# Of a small subarray, no star is far enough from others and from the edge, or no hit is left.
NOT_HERE = {"outliers missed"}


@pytest.fixture(scope="module")
def run(synthetic_caches, tmp_path_factory):
    """Return the directory of a run through calwebb_image3."""
    cache = synthetic_cache(synthetic_caches, OBSERVATION)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in crds_environment(cache).items():
            patch.setenv(name, value)
        for module in (image2, image3):
            # Other tests may have imported them here.
            patch.setattr(module, "steps_are_imported", lambda: False)
        run = RunDirectory(tmp_path_factory.mktemp("mosaic"), OBSERVATION, THROUGH)
        with process_pool(2) as executor:
            take_exposures(run, executor)
            detector1_rates(run, executor)
            write_associations(run)
            subtract_backgrounds(run, executor, image2_steps(THROUGH))
            write_mosaic_association(run)
            make_mosaic(run, executor, image3_steps(THROUGH))
        run.release()
        yield run


@pytest.fixture(scope="module")
def analysis(run):
    """Return the analysis of what calwebb_image2 made."""
    return judge_products(read_products(run.root)).analysis


@pytest.fixture(scope="module")
def judged(run, analysis):
    """Return the judgement of the mosaic."""
    return judge_mosaic(run.root, analysis)


def broken(mosaic, analysis):
    """Return the names of the criteria that a mosaic breaks."""
    metrics = MosaicJudgement(mosaic, analysis).metrics
    return {metric.name for metric in metrics if not metric.passed}


def test_mosaic_of_the_installed_pipeline_passes(judged):
    """Nothing is broken, and what is not judged is told."""
    assert [metric.sentence() for metric in judged.metrics if not metric.passed] == []
    told = {each.name for each in judged.not_judged}
    assert {metric.name for metric in judged.metrics} | told == set(criteria("mosaic")["criteria"])
    assert told <= NOT_HERE


def test_error_is_a_small_part_of_what_is_wrong(judged):
    """An image of no sky at all is far over the limits: they are no wider than they need be."""
    (sky,) = (metric for metric in judged.metrics if metric.name == "mosaic sky")
    assert sky.limit < 0.5 * judged.expected.pixel_noise


def test_noise_of_pixels_follows_their_read_noise(judged):
    """Weights prefer those of little: with one noise for all, the mosaic's would be too high."""
    expected, ratios = judged.expected, []
    for number, member in enumerate(judged.mosaic.members):
        clean = expected.clean[number] & member.usable
        variance = expected.own_variances[number] + expected.shared_variance
        pulls = (member.data - expected.images[number])[clean] / np.sqrt(variance[clean])
        reads = member.variances["VAR_RNOISE"][clean]
        low, high = np.quantile(reads, [0.25, 0.75])
        quarters = [pulls[reads <= low], pulls[reads >= high]]
        ratios.append(np.std(quarters[1]) / np.std(quarters[0]))
    # Each of two standard deviations is of a quarter of the pixels; the background is shared.
    error = np.sqrt(1 / (np.count_nonzero(clean) / 4))
    assert np.mean(ratios) == pytest.approx(1, abs=4 * error)
    # As large an error as the test allows would be seen.
    spread = np.sqrt(expected.own_variances[0] + expected.shared_variance)[expected.clean[0]]
    assert np.quantile(spread, 0.95) / np.quantile(spread, 0.05) > 1 + 8 * error


def test_outputs_of_a_subarray_drift_as_much_as_is_expected(judged, analysis):
    """Four amplifiers, each in odd and even rows: no reference pixels take their drift off."""
    expected, squares = judged.expected, []
    for number, member in enumerate(judged.mosaic.members):
        clean = expected.clean[number] & member.usable
        factors = np.where(clean, expected.factors, 1)
        slopes = np.where(clean, member.data - expected.images[number], 0) / factors
        outputs = [(row, column) for row in range(2) for column in range(4)]
        means = [np.nanmean(slopes[r::2, c::4][clean[r::2, c::4]]) for r, c in outputs]
        predicted = sum(analysis.expectation.output_variance(expected.numbers[number])) * 8 / 7
        squares.append(np.var(means, ddof=1) / predicted)
    # Of 7 degrees of freedom in each exposure; five standard deviations of chi squared.
    freedom = 7 * len(squares)
    assert np.mean(squares) == pytest.approx(1, abs=5 * np.sqrt(2 / freedom))
    assert np.mean(squares) > 0.2


def with_members(mosaic, change):
    """Return a mosaic whose exposures were changed before it was made."""
    return replace(mosaic, members=[change(*each) for each in enumerate(mosaic.members)])


def level_of(member, level):
    """Return an exposure of which skymatch has taken off another sky."""
    header = member.header.copy()
    header["BKGLEVEL"] = level
    return replace(member, header=header)


class Moved:
    """World coordinates of an exposure that is not where it says."""

    def __init__(self, wcs, pixels):
        self._wcs, self._pixels = wcs, pixels

    def __call__(self, x, y, with_bounding_box):
        """Return right ascension and declination, degrees."""
        return self._wcs(np.asarray(x) + self._pixels, y, with_bounding_box=with_bounding_box)


def test_sky_that_skymatch_measures_wrongly_is_noticed(judged, analysis):
    """By one pixel noise in one exposure."""
    noise = judged.expected.pixel_noise

    def change(number, member):
        return level_of(member, member.level + noise * (number == 1))

    assert "skymatch" in broken(with_members(judged.mosaic, change), analysis)


def test_exposure_that_is_not_where_it_says_is_noticed(judged, analysis):
    """By half a pixel."""

    def change(number, member):
        return replace(member, wcs=Moved(member.wcs, 0.5 * (number == 1)))

    assert "exposure position" in broken(with_members(judged.mosaic, change), analysis)


@pytest.mark.parametrize("name", ["false outliers", "outliers missed"])
def test_flags_of_outliers_are_compared_with_true_cosmic_rays(judged, analysis, name):
    """Pixels that are flagged at random, and hits that are not."""
    generator = np.random.default_rng(5)
    expected = judged.expected
    truths = []

    def change(number, member):
        random = generator.random(member.data.shape) < 0.003
        if name == "false outliers":
            return replace(member, dq=np.where(random, member.dq | 17, member.dq))
        hit = random & expected.clean[number]
        truths.append(replace(analysis.products.science_truth[number], hit=hit))
        return replace(member, data=np.where(hit, 30 * expected.pixel_noise, member.data))

    changed = with_members(judged.mosaic, change)
    if truths:
        products = replace(analysis.products, science_truth=truths)
        analysis = replace(analysis, products=products)
    assert name in broken(changed, analysis)


def step(mosaic, noise):
    """Return a mosaic of which the left third is too high."""
    return mosaic.data + noise * (np.indices(mosaic.data.shape)[1] < mosaic.data.shape[1] / 3)


def alone(mosaic, noise):
    """Return a mosaic with a step where two exposures are seen, by their weights."""
    return mosaic.data + noise * (mosaic.weight < 0.8 * np.median(mosaic.weight))


# What is done to the values of the mosaic, and what notices it beside "mosaic value".
VALUES = {
    "sky too high": (lambda each, noise: each.data + 0.6 * noise, {"mosaic sky", "mosaic level"}),
    "a step": (step, {"mosaic tiles"}),
    "a seam": (alone, {"mosaic seams"}),
    "too bright": (lambda each, _: 1.3 * each.data, {"mosaic star flux", "mosaic noise"}),
}


@pytest.mark.parametrize("name", VALUES)
def test_wrong_values_are_noticed_by_what_they_are_wrong_in(judged, analysis, name):
    """Not only where exposures and weights say something else."""
    change, noticed = VALUES[name]
    data = change(judged.mosaic, judged.expected.pixel_noise).astype(np.float32)
    found = broken(replace(judged.mosaic, data=data), analysis)
    assert noticed <= found, found


def brighter(table):
    """Return a catalogue with larger fluxes."""
    table = table.copy()
    table["aper_total_flux"] *= 1.3
    return table


CATALOGUES = {
    "catalogue completeness": lambda table: table[::2],
    "catalogue flux": brighter,
}


@pytest.mark.parametrize("name", CATALOGUES)
def test_wrong_catalogue_is_noticed(judged, analysis, name):
    """Sources that are lost, and fluxes that are too large."""
    catalogue = CATALOGUES[name](judged.mosaic.catalogue)
    assert name in broken(replace(judged.mosaic, catalogue=catalogue), analysis)


def test_places_that_are_counted_from_one_are_noticed(judged, analysis):
    """A pixel off along both axes."""
    catalogue = judged.mosaic.catalogue.copy()
    for axis in ("xcentroid", "ycentroid"):
        catalogue[axis] += 1
    assert "catalogue position" in broken(replace(judged.mosaic, catalogue=catalogue), analysis)


# ------------------------------------------------------------------ without truth


def test_sky_of_a_correct_mosaic_has_no_finding(judged):
    """Its own scatter says how sure that is."""
    assert mosaic_findings(judged.mosaic) == []


def test_sky_level_is_found_without_truth(judged):
    """More than the sky was subtracted."""
    noise = SkyOfMosaic(judged.mosaic).noise
    low = replace(judged.mosaic, data=judged.mosaic.data - 0.8 * noise)
    found = {each.name: each for each in mosaic_findings(low)}
    assert "more than the sky was subtracted" in found["sky of the mosaic"].sentence


def test_mosaic_is_checked_by_itself(run, tmp_path, capsys):
    """With the exposures beside it, what is exact is judged; nothing needs what came before."""
    for path in (run.root / "image3").glob("*mosaic*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in (run.root / "image3").glob("*_crf.fits"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert main(["check", str(tmp_path), "--no-page"]) == 0
    printed = capsys.readouterr().out
    assert "mosaic value" in printed
    assert "it needs the truth of the simulation" in printed


# ------------------------------------------------------------------ pictures


def test_pictures_tell_their_numbers(judged):
    """The sky without the subtraction, and the entries of the catalogue."""
    assert "Without it, the sky is" in sides_figure(judged).alt
    assert f"{len(judged.mosaic.catalogue)} entries" in catalogue_figure(judged).alt


# ------------------------------------------------------------------ pictures


def test_pictures_of_a_page_have_the_mosaic_and_limits_of_its_own(judged, analysis):
    """Without and with the subtraction, and neither is crowded by the criteria of the other."""
    judgement = judge_products(analysis.products)
    metrics = [*judgement.metrics, *judged.metrics]
    drawn = {each.name: each.content for each in pictures_of(metrics, analysis, judged)}
    assert tuple(drawn)[-3:] == MOSAIC
    assert "without the subtraction" in description_of(drawn["mosaic_without"])[0]
    words = {name: description_of(drawn[name])[0] for name in (LIMITS, "mosaic_limits")}
    number = {
        name: len({each.name for each in of})
        for name, of in ((LIMITS, judgement.metrics), ("mosaic_limits", judged.metrics))
    }
    for name, text in words.items():
        assert f"All {number[name]} criteria" in text


# ------------------------------------------------------------------ faults


def test_faults_of_the_mosaic_are_noticed_by_what_they_break(run, tmp_path, capsys):
    """By the verb: in a step, and in a file; the pipeline as it is installed breaks nothing."""
    faults = {"flux per pixel": "mosaic value", "no catalogue": "catalogue completeness"}
    words = ["faults", str(run.root), "--mosaic", "--names", *faults, "--workers", "1"]
    code = main([*words, "--output", str(tmp_path)])
    text = capsys.readouterr().out
    assert code == 0, text
    rows = json.loads((tmp_path / "mosaic_kill_matrix.json").read_text())["rows"]
    noticed = {row["fault"]: set(row["ratios"]) for row in rows}
    assert noticed.pop(CONTROL) == set()
    assert noticed.keys() == faults.keys()
    for name, criterion in faults.items():
        assert criterion in noticed[name]
