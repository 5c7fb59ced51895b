"""The pipeline takes interference out of ramps with the synthetic reference, where it can."""

import asdf
import numpy as np
import pytest
from astropy.io import fits

from miri_background.instrument.detector import bad_pixels, fitted_groups
from miri_background.instrument.interference import LINES
from miri_background.instrument.readout import READABLE
from miri_background.observation import Observation
from miri_background.references import tables
from miri_background.references.interference import emicorr, emicorr_parameters
from miri_background.references.mappings import MATCH_KEYS
from miri_background.references.needs import ImplausibleReference, Needs
from miri_background.references.plausible import CHECKS
from miri_background.references.reference_files import ExposureKind, write_references

AMPLITUDE = 5.0  # DN
# Empty sky, dim enough for equal weights of all reads in a slope: signal over noise is below 5.
OBSERVATION = Observation(
    subarray="SUB256",
    groups=10,
    sky_level=1.0,
    science_stars=0,
    galaxy_flux=0.0,
    cosmic_ray_rate=0.0,
    interference=AMPLITUDE,
)
FRAME = 0.29952  # s, JWST user documentation
ROW, SAMPLE = 96, 1e-5  # samples from row to row, and their duration, s
# The linearity correction stretches a DN at the level of an empty ramp: 1 + 2 c2 raw.
STRETCH = 1 + 2 * 1.4e-6 * 9000
K = 5  # standard errors that a correct number may be off

RUN_PIPELINE = """
import sys
import numpy as np
from jwst.pipeline import Detector1Pipeline
from miri_background.instrument.optics import PointSpreadFunction
from miri_background.observation import Observation, exposures
from miri_background.simulation.exposures import simulate

observation = Observation.model_validate_json(sys.argv[1])
psf = PointSpreadFunction(np.zeros((2, 505, 505)), 5)  # nothing is convolved with it
simulate(observation, exposures(observation)[0], psf).level1b.save("uncal.fits")
# Without cosmic rays there are no jumps, and to look for them takes most of the time.
for name, steps in (("with", {}), ("without", {"emicorr": {"skip": True}})):
    steps["jump"] = {"skip": True}
    Detector1Pipeline.call("uncal.fits", steps=steps).save(f"{name}.fits")
"""


@pytest.fixture(scope="module")
def rates(run_pipeline):
    """Return the directory with rates of one exposure, corrected and not corrected."""
    return run_pipeline(RUN_PIPELINE, OBSERVATION)


def amplitude(path):
    """Return the amplitude of the line in a rate, DN/s, and its error, from a fit of a sine."""
    with fits.open(path) as hdus:
        rate, good = hdus["SCI"].data.astype(float), hdus["DQ"].data == 0
    good &= bad_pixels()[OBSERVATION.readout("science").window.y, 412:668] == 0
    rows, columns = np.indices(rate.shape)
    angle = 2 * np.pi * LINES["Hz218"] * SAMPLE * (rows * ROW + columns // 4)[good]
    basis = np.stack([np.sin(angle), np.cos(angle), np.ones(angle.size)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, rate[good])
    scatter = np.std(rate[good] - basis @ weights)
    return np.hypot(*weights[:2]), scatter * np.sqrt(2 / angle.size)


def footprint():
    """Return the amplitude of the slopes that straight lines have through reads of the wave, DN/s.

    Lines are fitted to the reads of one pixel for many phases; nothing is known of weights.
    """
    (fitted,) = fitted_groups(OBSERVATION.groups, 1)
    times = FRAME * np.arange(fitted)
    phases = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    reads = AMPLITUDE * np.sin(2 * np.pi * LINES["Hz218"] * times[:, np.newaxis] + phases)
    slopes = np.polyfit(times, reads, 1)[0]
    return slopes.std() * np.sqrt(2)


@pytest.mark.long
@pytest.mark.slow
def test_line_is_in_rates_as_slopes_have_it(rates):
    """Without the step, the rate has the amplitude of lines through reads of the wave."""
    found, error = amplitude(rates / "without.fits")
    assert found == pytest.approx(STRETCH * footprint(), abs=K * error)


@pytest.mark.long
@pytest.mark.slow
def test_step_takes_the_line_away(rates):
    """With the step, what is left is noise: of 65 000 pixels, and of the amplitude that it fits."""
    found, error = amplitude(rates / "with.fits")
    assert fits.getval(rates / "with.fits", "S_MIREMI") == "COMPLETE"
    assert found < K * error


# ------------------------------------------------------------------ what is written


def cases(line):
    """Return the ways to read, by the pipeline's names, in which a line is corrected."""
    with emicorr(READABLE, line) as model:
        return set(model.to_flat_dict()), dict(model.subarray_cases.instance)


@pytest.mark.parametrize(
    ("line", "corrected"),
    [
        ("Hz218", {"FULL_FAST", "FULL_SLOW", "BRIGHTSKY", "SUB256"}),
        ("Hz10", {"FULL_FAST", "FULL_SLOW", "BRIGHTSKY"}),
        ("Hz390", set()),
    ],
)
def test_line_is_corrected_where_ramps_can_tell_it(line, corrected):
    """Not where it is nearly the same in every frame: a slope has nothing of it, or is like it."""
    assert set(cases(line)[1]) == corrected


@pytest.mark.parametrize(("pattern", "subarray"), READABLE)
def test_pipeline_knows_the_same_clocks(pattern, subarray):
    """Where the pipeline corrects without a reference, it takes the same numbers."""
    from jwst.emicorr.emicorr import get_subarcase, subarray_clocks

    with emicorr(READABLE, "Hz218") as model:
        name, row, frame, lines = get_subarcase(model, subarray, pattern, "MIRIMAGE")
    assert {"rowclocks": row, "frameclocks": frame} == subarray_clocks[name]
    assert list(lines) == ["Hz218"]


def test_waveform_is_one_period_of_a_sine():
    """Its values are those in the middle of equal parts of a period, as the pipeline takes them."""
    with emicorr(READABLE, "Hz218") as model:
        wave = np.asarray(model.frequencies.Hz218.phase_amplitudes)
    turned = np.roll(wave, wave.size // 4)
    np.testing.assert_allclose(wave**2 + turned**2, 1, atol=1e-6)
    np.testing.assert_allclose(wave, -wave[::-1], atol=1e-6)


def test_parameters_turn_the_step_on(tmp_path):
    """They are of the step, and are read as stpipe reads them."""
    from jwst.emicorr import EmiCorrStep
    from stpipe import config_parser

    path = tmp_path / "parameters.asdf"
    emicorr_parameters().write_to(path)
    settings = config_parser.load_config_file(str(path))
    assert settings["class"].rpartition(".")[2] == EmiCorrStep.__name__
    assert settings["skip"] is False


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes references of a kind, and gives the names of their types."""
    # Which numbers are written is asked elsewhere; those of the optics take seconds.
    monkeypatch.setattr(tables, "aperture_corrections", lambda _: [(0.5, 2.0, 2.0, 12.0, 20.0)])

    def write(**how):
        return write_references(tmp_path, ExposureKind.of(OBSERVATION, **how))

    return write


@pytest.mark.slow
def test_references_are_there_where_interference_is_to_be_removed(written, tmp_path):
    """Waveform and switch are written beside the others, in the version that early builds read."""
    found = written()
    assert set(found) - set(MATCH_KEYS) == {"emicorr", "pars-emicorrstep"}
    for reftype in set(found) - set(MATCH_KEYS):
        ((match, name),) = found[reftype].items()
        assert match in {("MIRIMAGE",), ("MIR_IMAGE",)}
        with asdf.open(tmp_path / name) as file:
            assert str(file.version) == "1.5.0"


@pytest.mark.slow
def test_no_reference_where_interference_is_to_stay(written):
    """Then a run is one with a context that knows nothing of interference."""
    assert set(written(emicorr=False)) == set(MATCH_KEYS)


# ------------------------------------------------------------------ what the doctor says of it


@pytest.fixture
def said(tmp_path):
    """Return a function that writes a reference, changed, and gives what the doctor says."""

    def examine(change=None, line="Hz218"):
        path = tmp_path / "emicorr.asdf"
        with emicorr(READABLE, line) as model:
            if change is not None:
                change(model)
            model.save(str(path))
        return CHECKS["emicorr"](path, Needs(OBSERVATION))

    return examine


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("Hz218", "removes Hz218"), ("Hz10", "it has no line for SUB256: emicorr is skipped")],
)
def test_doctor_says_which_lines_are_removed(said, line, sentence):
    """A subarray without a line is no fault of the reference."""
    assert said(line=line) == sentence


def other_clocks(model):
    """Give the subarray another time from row to row, as flight's BRIGHTSKY once had."""
    model.subarray_cases.SUB256.rowclocks = 82


def no_wave(model):
    """Leave a waveform that is nowhere a number."""
    model.frequencies.Hz218.phase_amplitudes = np.full(500, np.nan, dtype=np.float32)


def no_line(model):
    """Name a line that is not there."""
    model.subarray_cases.SUB256.freqs = {"FAST": ["Hz164"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_clocks, "82 samples from row to row"),
        (no_wave, "no wave of finite numbers"),
        (no_line, "names Hz164 for SUB256"),
    ],
)
def test_doctor_refuses_what_would_spoil_rates(said, change, words):
    """A wrong clock or waveform would put stripes into rates instead of taking them away."""
    with pytest.raises(ImplausibleReference, match=words):
        said(change)
