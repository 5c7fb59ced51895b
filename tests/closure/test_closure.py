"""Each link of the closure passes on a correct chain, and fails for a fault of its own."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Shift
from astropy.table import QTable
from scipy.ndimage import gaussian_filter

from miri_background.closure.closure import (
    PURPOSE,
    Closure,
    _trend,
    closure_measurements,
    jump_detection,
    rate_pulls,
    rms_beyond_noise,
    saturation_flags,
    star_measurements,
)
from miri_background.instrument.detector import saturation_level
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.reporting import closure_figures
from miri_background.run_directory import RunDirectory
from miri_background.validation.judgement import judge_products
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.products.images import (
    DO_NOT_USE,
    JUMP_DET,
    SATURATED,
    Image,
    Truth,
)
from miri_background.validation.products.stage2 import read_products
from miri_background.validation.verdict.limits import criteria, judge

OBSERVATION = Observation(subarray="SUB256", groups=8)
SKY = 14.0  # DN/s
STRONG = 50_000.0  # electrons, more than 100 standard deviations of a group
WEAK = 10.0  # electrons, less than half a standard deviation of a group

# ---------------------------------------------------------------- arrays in memory


@pytest.fixture(scope="module")
def exposed():
    """Return the detector as it is read."""
    return KnownDetector(OBSERVATION.readout("science"))


@pytest.fixture(scope="module")
def truth(exposed):
    """Return a sky without sources."""
    return Truth(np.full(exposed.read.shape, SKY), np.zeros(exposed.read.shape), QTable())


def image(data, dq=None):
    """Return a rate."""
    flags = np.zeros(data.shape, dtype=np.uint32) if dq is None else dq
    return Image("in memory", fits.Header(), data, np.ones(data.shape), flags)


def test_true_rates_have_no_pull(exposed, truth):
    """A rate that is the truth is off by nothing, in all good pixels."""
    values = rate_pulls(exposed, image(truth.background), truth).values
    assert np.all(values[exposed.good] == 0)


def test_pulls_are_in_units_of_the_noise(exposed, truth):
    """The pull of a rate is twice as large if it is off by twice as much."""
    one, two = (
        rate_pulls(exposed, image(truth.background + offset), truth).values for offset in (1, 2)
    )
    np.testing.assert_allclose(two[exposed.good], 2 * one[exposed.good])


@pytest.mark.parametrize("flag", [DO_NOT_USE, SATURATED, JUMP_DET])
def test_flagged_pixels_have_no_pull(exposed, truth, flag):
    """Whatever the flag, the pixel is not judged."""
    where = np.argwhere(exposed.good)[1000]
    dq = np.zeros(exposed.read.shape, dtype=np.uint32)
    dq[tuple(where)] = flag
    values = rate_pulls(exposed, image(truth.background, dq), truth).values
    assert np.argwhere(np.isnan(values) & exposed.good).tolist() == [where.tolist()]


def test_bad_pixels_have_no_pull(exposed, truth):
    """Dead and hot pixels are known."""
    values = rate_pulls(exposed, image(truth.background), truth).values
    assert np.all(np.isnan(values[~exposed.good]))


@pytest.fixture
def raw(exposed):
    """Return level-1b signal far from saturation."""
    return np.full((1, OBSERVATION.groups, *exposed.read.shape), 20_000, dtype=np.int32)


def test_no_flag_is_expected_below_the_level(exposed, raw):
    """A ramp that stays low is not saturated."""
    assert not saturation_flags(exposed, raw).any()


def test_neighbours_of_a_saturated_pixel_are_expected(exposed, raw):
    """From the group on that reaches the level, the pixel and all around it."""
    row, column, group = 100, 120, 3
    raw[0, group, row, column] = exposed.read.cut(saturation_level())[row, column] + 1
    flags = saturation_flags(exposed, raw)
    expected = np.zeros_like(flags)
    expected[0, group:, row - 1 : row + 2, column - 1 : column + 2] = True
    assert np.array_equal(flags, expected)


def clean_pixel(exposed):
    """Return row and column of a good pixel with good ones around it."""
    good = exposed.good
    inner = good.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(good, step, axis)
    return tuple(np.argwhere(inner[2:-2, 2:-2])[500] + 2)


def detected(exposed, truth, group, electrons=STRONG, flagged=False, elsewhere=()):
    """Return what is found of one hit, with flags of its own and in other groups and pixels."""
    row, column = clean_pixel(exposed)
    flags = np.zeros((1, OBSERVATION.groups, *exposed.read.shape), dtype=np.uint8)
    if flagged:
        flags[0, group, row, column] = JUMP_DET
    for place in elsewhere:
        flags[(0, *place)] = JUMP_DET
    hits = QTable(
        {
            "integration": [0],
            "group": [group],
            "row": [row],
            "column": [column],
            "electrons": [electrons],
        }
    )
    return jump_detection(exposed, flags, truth, hits)


@pytest.mark.parametrize("flagged", [True, False])
def test_hit_is_found_if_it_is_flagged(exposed, truth, flagged):
    """In its own group and pixel."""
    assert detected(exposed, truth, 4, flagged=flagged).found.tolist() == [flagged]


@pytest.mark.parametrize("group", [0, OBSERVATION.groups - 1])
def test_hit_at_the_ends_is_not_judged(exposed, truth, group):
    """Before the first group that is fitted and after the last there is no difference."""
    assert len(detected(exposed, truth, group).found) == 0


def test_hit_in_a_saturated_pixel_is_not_judged(exposed, truth):
    """Its ramp has ended."""
    row, column = clean_pixel(exposed)
    flags = np.zeros((1, OBSERVATION.groups, *exposed.read.shape), dtype=np.uint8)
    flags[0, -1, row, column] = SATURATED
    hits = QTable(
        {"integration": [0], "group": [4], "row": [row], "column": [column], "electrons": [STRONG]}
    )
    assert len(jump_detection(exposed, flags, truth, hits).found) == 0


def test_charge_is_in_units_of_a_groups_noise(exposed, truth):
    """By hand: two reads and the photons of a frame."""
    (ratio,) = detected(exposed, truth, 4).ratios
    place = clean_pixel(exposed)
    gain = exposed.gain[place]
    photons = (SKY + exposed.dark[place]) * exposed.time / gain
    reads = exposed.raw_read_noise[place]
    # The linearity correction stretches the noise by a few per cent.
    assert ratio == pytest.approx(STRONG / gain / np.hypot(np.sqrt(2) * reads, photons**0.5), 0.1)


def test_flag_beside_a_hit_is_not_false(exposed, truth):
    """The jump step flags neighbours on purpose."""
    row, column = clean_pixel(exposed)
    assert detected(exposed, truth, 4, elsewhere=[(4, row, column + 1)]).false == 0


def test_flag_in_a_clean_pixel_is_false(exposed, truth):
    """One flag in one difference of one pixel is counted once."""
    row, column = clean_pixel(exposed)
    one, two = (
        detected(exposed, truth, 4, WEAK, elsewhere=places).false
        for places in ([(4, row, column)], [(4, row, column), (5, row, column)])
    )
    assert 0 < one == two / 2


def test_trend_is_the_change_over_the_range():
    """A straight line from 1 to 3 changes by 2, whatever the axis."""
    along = np.linspace(100, 900, 5)
    assert _trend(np.linspace(1, 3, 5), np.ones(5), along)[0] == pytest.approx(2)


@pytest.fixture
def star_noise():
    """Return the noise of positions, pixels: few stars are bright."""
    return np.geomspace(0.002, 0.05, 400)


def test_noise_is_no_error_of_positions(star_noise):
    """What is left of offsets that are noise is no more than its error."""
    offsets = np.random.default_rng(8).normal(0, star_noise)
    rms, error = rms_beyond_noise(offsets, star_noise)
    assert rms < 2 * error
    assert error < 0.002  # the noise of the brightest, so that a shift of 0.02 is seen


def test_error_of_positions_is_seen_below_their_noise(star_noise):
    """A shift that is a third of a typical star's noise comes back."""
    offsets = 0.006 + np.random.default_rng(9).normal(0, star_noise)
    rms, error = rms_beyond_noise(offsets, star_noise)
    # The weighted mean has 0.00025 pixel of noise.
    assert rms == pytest.approx(0.006, abs=4 * 0.00025)
    assert rms > 3 * error


def test_few_stars_cannot_be_judged():
    """A median of a few says nothing; the sentence says why they are few, and what to do."""
    few = SimpleNamespace(
        stars=QTable({"flux": np.ones(9)}), growth=np.ones((9, 5)), left_out={"saturate": 7}
    )
    with pytest.raises(CannotJudge, match=r"^9 isolated stars .*, 7 saturate\): take fewer groups"):
        list(star_measurements(few))


def test_criteria_are_complete():
    """Unit, kind, reason and figure of each: `criteria` refuses a file without them."""
    assert criteria("closure")["criteria"]


def test_every_criterion_has_its_figure():
    """The figure that a criterion names is one of the closure's."""
    names = {f"{each['figure']}_figure" for each in criteria("closure")["criteria"].values()}
    assert names == set(closure_figures.__all__)


# ---------------------------------------------------------------- a finished run

FAULTS = {}  # name: the fault, and the criteria that it breaks


def fault(*broken):
    """Return a decorator that registers a fault with the criteria that it breaks."""

    def register(function):
        FAULTS[function.__name__.replace("_", " ")] = function, set(broken)
        return function

    return register


def each_rate(analysis, change):
    """Return an analysis of rates that were changed, each with its truth at hand."""
    products = analysis.products
    changed = {
        name: [
            replace(rate, data=change(rate.data, known.background + known.sources))
            for rate, known in zip(getattr(products, name), getattr(products, truths), strict=True)
        ]
        for name, truths in (("science", "science_truth"), ("backgrounds", "background_truth"))
    }
    return judge_products(replace(products, **changed)).analysis


def rewrite(path, extension, change):
    """Replace an image of a file by a changed one, breaking the file's link."""
    aside = path.with_suffix(".aside")
    with fits.open(path, memmap=False) as hdus:
        hdus[extension].data = change(hdus[extension].data)
        hdus.writeto(aside)
    aside.replace(path)


def each_calibrated(run, change):
    """Change the image of each calibrated product."""
    for exposure in exposures(run.observation, "science"):
        rewrite(run.image2(exposure, "cal"), "SCI", change)


def first_ramp(run, change):
    """Change the group flags of the calibrated ramp."""
    rewrite(run.ramp(exposures(run.observation)[0]), "GROUPDQ", change)


@fault()
def nothing(_, analysis):
    """Leave all as it is."""
    return analysis


@fault("sky rate", "pull mean")
def rates_scaled(_, analysis):
    """Make rates half a percent too high, as a wrong gain or linearity would."""
    return each_rate(analysis, lambda rate, _: 1.005 * rate)


@fault("pull scatter")
def noise_larger(_, analysis):
    """Let rates scatter by five percent more around the truth."""
    return each_rate(analysis, lambda rate, known: known + 1.05 * (rate - known))


@fault("cosmic rays missed")
def jumps_not_flagged(run, analysis):
    """Clear the flags of jumps."""
    first_ramp(run, lambda flags: flags & ~np.uint8(JUMP_DET))
    return analysis


@fault("false jumps")
def jumps_at_random(run, analysis):
    """Flag a group of a pixel in two hundred: some twenty times what is there."""
    random = np.random.default_rng(770)
    first_ramp(run, lambda flags: flags | JUMP_DET * (random.random(flags.shape) < 5e-3))
    return analysis


@fault("saturation flags")
def saturation_not_flagged(run, analysis):
    """Clear a single flag of saturation."""

    def clear(flags):
        flags[tuple(np.argwhere(flags & SATURATED)[-1])] &= ~np.uint8(SATURATED)
        return flags

    first_ramp(run, clear)
    return analysis


@fault("star photometry")
def fluxes_larger(run, analysis):
    """Make calibrated images brighter by two percent, as a wrong flux calibration would."""
    each_calibrated(run, lambda brightness: 1.02 * brightness)
    return analysis


@fault("photometric trend")
def fluxes_with_a_trend(run, analysis):
    """Tilt the flat field towards its left and right edge by five percent, its mean as it is.

    Most stars are off by little: a tilt in proportion would hide in the scatter that it makes.
    """

    def tilt(brightness):
        along = np.linspace(-1, 1, brightness.shape[1], dtype=brightness.dtype)
        return brightness * (1 + np.float32(0.05) * along**3)

    each_calibrated(run, tilt)
    return analysis


@fault("star position")
def world_coordinates_shifted(run, analysis):
    """Move the world coordinates by a twentieth of a pixel along x and y."""
    from stdatamodels.jwst.datamodels import ImageModel

    for exposure in exposures(run.observation, "science"):
        path = run.image2(exposure, "cal")
        aside = path.with_name(f"aside_{path.name}")
        with ImageModel(str(path)) as model:
            first = model.meta.wcs.available_frames[0]
            model.meta.wcs.insert_transform(first, Shift(0.05) & Shift(0.05), after=True)
            model.save(str(aside))
        aside.replace(path)
    return analysis


@fault("encircled energy", "star width")
def stars_blurred(run, analysis):
    """Blur calibrated images, as a wrong pixel response or jitter would."""
    each_calibrated(run, lambda brightness: gaussian_filter(np.nan_to_num(brightness), 0.6))
    return analysis


@pytest.fixture(scope="module")
def observed(finished_closure):
    """Return the observation of the finished run."""
    text = (finished_closure[0] / "observation.json").read_text()
    return Observation.model_validate_json(text)


@pytest.fixture(scope="module")
def _references(observed, synthetic_caches):
    """Let CRDS find the references of the run, for the aperture correction."""
    from crds.core import utils

    cache = synthetic_cache(synthetic_caches, observed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in crds_environment(cache).items():
            patch.setenv(name, value)
        # CRDS remembers rules by their names, and these are the same in each cache.
        utils.clear_function_caches()
        yield
    utils.clear_function_caches()


@pytest.fixture
def run(finished_closure, observed, link_observation, tmp_path):
    """Give a copy of the finished run that a test may change."""
    target = link_observation(finished_closure[0].parents[1], tmp_path / "copy")
    directory = RunDirectory(target, observed, purpose=PURPOSE)
    yield directory
    directory.release()


@pytest.fixture(scope="module")
def analysis(finished_closure):
    """Return the analysis of the finished run, from its rates."""
    return judge_products(read_products(finished_closure[0])).analysis


@pytest.mark.slow
@pytest.mark.usefixtures("_references")
@pytest.mark.parametrize(("change", "broken"), FAULTS.values(), ids=list(FAULTS))
def test_fault_breaks_its_own_criteria(run, analysis, change, broken):
    """What is wrong is told by the criteria that are about it, and by no others."""
    metrics = judge(closure_measurements(Closure(run, change(run, analysis))), "closure")
    assert {metric.name for metric in metrics if not metric.passed} == broken


@pytest.mark.slow
@pytest.mark.usefixtures("_references")
def test_every_criterion_is_measured(run, analysis):
    """No criterion is without a number."""
    measured = {each.criterion for each in closure_measurements(Closure(run, analysis))}
    assert measured == set(criteria("closure")["criteria"])


@pytest.mark.slow
@pytest.mark.usefixtures("_references")
def test_stars_that_are_left_out_are_counted_by_their_reasons(run, analysis):
    """The brightest saturate, and none is too faint."""
    closure = Closure(run, analysis)
    assert len(closure.stars) > 0
    assert closure.left_out["are too faint"] == 0  # the faintest has 100 microjansky
    assert closure.left_out["have pixels that saturate or cannot be used"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("_references")
def test_stars_at_holes_of_background_stars_are_left_out(run, analysis):
    """A background source that no clipping removes is taken off the star beside it."""
    star = Closure(run, analysis).stars[0]
    expectation = copy.copy(analysis.expectation)
    expectation.leak = expectation.leak.copy()
    expectation.leak[round(star["y"]), round(star["x"])] += 1e6
    changed = Closure(run, replace(analysis, expectation=expectation))
    places = np.hypot(changed.stars["x"] - star["x"], changed.stars["y"] - star["y"])
    assert places.min() > 1


def test_every_criterion_has_a_fault():
    """There is a fault that shows each criterion failing."""
    broken = set().union(*(names for _, names in FAULTS.values()))
    assert broken == set(criteria("closure")["criteria"])


@pytest.mark.slow
def test_flags_of_saturation_are_there(run):
    """The run has saturated stars, without which the criterion would judge nothing."""
    flags = fits.getdata(run.ramp(exposures(run.observation)[0]), "GROUPDQ")
    assert np.any(flags & SATURATED)


def test_too_few_bright_stars_cannot_be_judged():
    """Without bright stars there is neither a profile nor a position to judge."""
    stars = QTable({"flux": np.ones(12)})
    closed = SimpleNamespace(stars=stars, growth=np.zeros((0, 5)), left_out={})
    with pytest.raises(CannotJudge, match="ratio above 150"):
        next(star_measurements(closed))
