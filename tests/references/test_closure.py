"""What the simulator puts into a ramp, calwebb_detector1 takes out with these references."""

from functools import lru_cache

import numpy as np
import pytest
from astropy.io import fits

from miri_background.instrument.detector import (
    AMPLIFIERS,
    OUTPUT_DRIFT,
    READ_NOISE,
    bad_pixels,
    dark_current,
    fitted_groups,
    linearity_coefficients,
    read_noise,
    reference_pixels,
    reset_anomaly,
)
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import PATTERNS, subarrays
from miri_background.observation import Observation

pytestmark = pytest.mark.slow

# Empty sky alone: with cosmic rays the question would be how well they are found.
EMPTY = {"science_stars": 0, "galaxy_flux": 0.0, "cosmic_ray_rate": 0.0}
KINDS = {
    "SUB256": {"subarray": "SUB256", "groups": 10, "integrations": 2},
    "SLOWR1": {"readout_pattern": "SLOWR1", "groups": 8, "integrations": 2},
}
# Of all kinds the one with the smallest errors is calibrated without a step, too.
WITHOUT = "SLOWR1"
K = 4.0  # standard errors that a correct number may be off: 1 chance in 16 000

# The pipeline in a process of its own, since CRDS reads its environment once; frozen, because
# half of its time would go into looking for garbage.
RUN_PIPELINE = """
import gc, sys
import numpy as np
from jwst.pipeline import Detector1Pipeline
from miri_background.instrument.optics import PointSpreadFunction
from miri_background.observation import Observation, exposures
from miri_background.simulation.exposures import simulate

observation, skipped = Observation.model_validate_json(sys.argv[1]), sys.argv[2:]
# On empty sky it is convolved with nothing: the one that takes no time to compute will do.
psf = PointSpreadFunction(np.zeros((2, 505, 505)), 5)
simulated = simulate(observation, exposures(observation)[0], psf)
simulated.level1b.save("uncal.fits")
simulated.write_truth("truth.fits")
gc.collect()
gc.freeze()
Detector1Pipeline.call("uncal.fits").save("rate.fits")
for step in skipped:
    # Without cosmic rays there are no jumps, and to look for them takes most of the time.
    steps = {name: {"skip": True} for name in (step, "jump")}
    Detector1Pipeline.call("uncal.fits", steps=steps).save(f"{step}.fits")
"""

# Keywords that say what became of a step, of every step that MIRI's ramps need.
STEPS = (
    "S_DQINIT",
    "S_SATURA",
    "S_LASTFR",
    "S_RESET",
    "S_LINEAR",
    "S_RSCD",
    "S_DARK",
    "S_JUMP",
    "S_RAMP",
)
# Without these, what the simulator puts in is left in the rate.
NEEDED = ("reset", "linearity", "rscd", "dark_current", "lastframe")
# Maps of which the reference has each pixel's own value, by the step that uses it.
MAPS = {
    "reset": lambda: reset_anomaly(0)[1],
    "linearity": lambda: linearity_coefficients()[2],
    "dark_current": dark_current,
}
# Poisson noise of a slope from equally weighted reads, in units of that from the ends alone.
EQUAL_WEIGHTS = 6 / 5


@pytest.fixture(scope="module")
def pipeline(run_pipeline):
    """Return a function that gives the directory of an exposure with its truth and rates.

    A process for each, which calibrates the exposure in all the ways that are asked about.
    """

    @lru_cache
    def run(kind):
        observation = Observation(**EMPTY, **KINDS[kind])
        skipped = NEEDED if kind == WITHOUT else ()
        return observation, run_pipeline(RUN_PIPELINE, observation, *skipped)

    return run


class Closure:
    """The rate of an exposure of empty sky less its truth, on pixels without a flag.

    Parameters
    ----------
    observation : Observation
        What was observed.
    directory : pathlib.Path
        Where truth and rate are.
    name : str, optional
        Which rate.

    Attributes
    ----------
    header : astropy.io.fits.Header
        Primary header of the rate.
    clean : ndarray of bool
        Pixels that see the sky and have no flag.
    difference, photons, reads : ndarray
        In these pixels: rate less truth, DN/s, and its variances as the pipeline has them.
    """

    def __init__(self, observation, directory, name="rate"):
        self.observation = observation
        read = subarrays()[observation.subarray]
        self.lit = illuminated(observation.subarray) & (read.cut(bad_pixels()) == 0)
        with (
            fits.open(directory / f"{name}.fits") as rate,
            fits.open(directory / "truth.fits") as truth,
        ):
            self.header = rate[0].header.copy()
            self.clean = self.lit & (rate["DQ"].data == 0)
            known = truth["BACKGROUND"].data.astype(float) + truth["SOURCES"].data
            self.difference = (rate["SCI"].data - known)[self.clean]
            self.photons, self.reads = (
                rate[extension].data[self.clean].astype(float)
                for extension in ("VAR_POISSON", "VAR_RNOISE")
            )
        self.fitted = fitted_groups(observation.groups, observation.integrations)

    def common_variance(self):
        """Return the variance that all pixels of a rate share, (DN/s)^2.

        Of a slope from the difference of the last and the first read, the most that any
        weighting of the reads gives: 2 / (n - 1)^2 of the variance of a read.
        """
        read = subarrays()[self.observation.subarray]
        blind = read.cut(reference_pixels())
        if blind.any():
            # The mean of the reference pixels is subtracted in every group.
            samples = PATTERNS[self.observation.readout_pattern].averaged
            of_a_read = np.mean(read.cut(read_noise())[blind] ** 2) / samples / blind.sum()
        else:
            # Each output drifts by itself in odd and even rows.
            of_a_read = OUTPUT_DRIFT**2 / (2 * AMPLIFIERS)
        weights = [(groups - 1) ** 2 / 2 for groups in self.fitted]  # inverse variances
        return of_a_read / float(self.header["TFRAME"]) ** 2 / sum(weights)

    def deviation(self):
        """Return the mean of the sky in units of its error."""
        pixels = self.difference.var() / self.difference.size
        return self.difference.mean() / np.sqrt(pixels + self.common_variance())

    def likeness(self, full_map):
        """Return how much the pixels' differences follow a map, in units of its error.

        What all pixels share does not matter to it.
        """
        pattern = subarrays()[self.observation.subarray].cut(full_map)[self.clean].astype(float)
        pattern -= pattern.mean()
        return pattern @ self.difference / self.difference.std() / np.linalg.norm(pattern)


# Of the slow readout, only the read noise differs, and what depends on the number of groups.
@pytest.fixture(
    scope="module",
    params=["SUB256", pytest.param("SLOWR1", marks=pytest.mark.long)],
)
def closure(request, pipeline):
    """Return the comparison of rate and truth of one exposure."""
    return Closure(*pipeline(request.param))


@pytest.mark.parametrize("step", STEPS)
def test_step_is_complete(closure, step):
    """No step is skipped for lack of a reference."""
    assert closure.header[step] == "COMPLETE"


def test_reference_pixels_are_used_where_they_are_read(closure):
    """A subarray without reference pixels does without their correction, and says so."""
    expected = {"FULL": "COMPLETE", "SUB256": "SKIPPED"}[closure.observation.subarray]
    assert closure.header["S_REFPIX"] == expected


def test_most_pixels_are_clean(closure):
    """The sky does not saturate, nor are jumps seen where there are none."""
    # Beyond four standard deviations is 1 in 16 000 differences of reads, of which a pixel has
    # some ten.
    assert np.count_nonzero(closure.clean) > 0.99 * np.count_nonzero(closure.lit)


def test_sky_rate_is_the_truth(closure):
    """Reset, linearity, dark, gain and the groups left out close: the mean is the true sky."""
    assert abs(closure.deviation()) < K


@pytest.mark.parametrize("step", MAPS)
def test_nothing_of_a_map_is_left(closure, step):
    """Each pixel gets its own value of a reference, in a subarray too."""
    assert abs(closure.likeness(MAPS[step]())) < K


def test_pixels_scatter_by_their_errors(closure):
    """Gain and read noise predict the scatter of pixels, but for the weights of a ramp's reads."""
    scatter = 2 * K / np.sqrt(2 * closure.difference.size)  # relative, of a variance
    measured = closure.difference.var()
    least = np.mean(closure.photons + closure.reads)
    drift = OUTPUT_DRIFT**2 / READ_NOISE**2
    groups = max(closure.fitted)
    # At most, reads count as the difference of the last and the first: 2 / (n - 1)^2 of a
    # read's variance instead of 12 / (n^3 - n).
    two_reads = groups * (groups + 1) / (6 * (groups - 1))
    most = np.mean(EQUAL_WEIGHTS * closure.photons + two_reads * (1 + drift) * closure.reads)
    assert least * (1 - scatter) < measured < most * (1 + scatter)


@pytest.fixture(scope="module")
def without(pipeline):
    """Return comparisons in which one of the steps was left out, by its name."""
    return {step: Closure(*pipeline(WITHOUT), step) for step in NEEDED}


@pytest.mark.long
@pytest.mark.parametrize("step", NEEDED)
def test_missing_step_is_seen(without, step):
    """The comparison has teeth: the rate is off where a step is left out."""
    assert abs(without[step].deviation()) > K


@pytest.mark.long
@pytest.mark.parametrize("step", MAPS)
def test_map_of_a_missing_step_is_seen(without, step):
    """What a step leaves in the rate follows its map."""
    assert abs(without[step].likeness(MAPS[step]())) > K
