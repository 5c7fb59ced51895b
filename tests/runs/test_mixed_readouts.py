"""Backgrounds that are read otherwise than the science field, as users run them."""

import pytest

from miri_background.outcomes import Outcome
from miri_background.validation.verdict.metrics_file import load_metrics

pytestmark = pytest.mark.slow

# The smallest part of the detector, and the fewest exposures that can be judged.
OBSERVED = {"subarray": "SUB256", "groups": 10, "science_exposures": 1, "background_exposures": 3}
TWO = {"background_exposures": 2}
SUB256_PIXELS = 256 * 256
CORNER = "placed at the corner of the science frame"


def options(parameters):
    """Return parameters as options of the command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in parameters.items()]


@pytest.fixture
def validated(command_line, run_of, tmp_path):
    """Return a function that validates an observation, and gives exit code, text and verdict."""

    def run(calibration=None, **changes):
        calibration = calibration or {}
        chosen = options(OBSERVED | changes | calibration)
        ended = command_line("validate", "--run", tmp_path / "run", *chosen)
        path = run_of(tmp_path / "run", **calibration) / "metrics.json"
        assert path.exists(), ended.stdout
        return ended.returncode, ended.stdout, load_metrics(path)

    return run


def worst(verdict):
    """Return the names of criteria that are broken."""
    return {metric.name for metric in verdict.failures()}


@pytest.mark.parametrize("groups", ["20", "6", "8,10,30"])
def test_other_groups_pass(validated, groups):
    """Each exposure is expected to scatter as its own ramp lets it."""
    code, said, _ = validated(background_groups=groups)
    assert code == 0, said


@pytest.mark.parametrize("product", ["rate", "rateints"])
def test_mixed_integrations_pass(validated, product):
    """Backgrounds of one and of two integrations are averaged with one vote each."""
    code, said, _ = validated({"rate_product": product}, background_integrations="1,2,2")
    assert code == 0, said


def test_backgrounds_of_the_full_array_pass(validated):
    """They are cut to the subarray, and so is their truth, with which they are compared."""
    changes = TWO | {"background_subarray": "FULL", "groups": 8}
    code, said, verdict = validated(**changes)
    assert code == 0, said
    # Stars of so small a part have too little light for a leak to be compared.
    assert "background level" in {metric.name for metric in verdict.metrics}


def test_part_that_backgrounds_cover_passes(validated):
    """A smaller subarray at the corner of the science frame is right there, and that is said."""
    changes = {"subarray": "BRIGHTSKY", "background_subarray": "SUB256"}
    code, said, verdict = validated(**changes)
    assert code == 0, said
    (part,) = [each for each in verdict.not_judged if "illuminated pixels" in each.where]
    assert part.where.startswith("79.3 % of")
    assert "(SUB256) have read only columns 1 to 212 and rows 1 to 256" in part.reason


def test_backgrounds_at_the_wrong_place_fail(validated):
    """A larger subarray that begins elsewhere is subtracted at the wrong place by this build."""
    code, said, verdict = validated(**(TWO | {"background_subarray": "BRIGHTSKY"}))
    assert code == Outcome.FAILED.exit_code, said
    assert "combined value" in worst(verdict)
    places = {each.aspect: each.name for each in verdict.behaviours}
    assert places["place of another subarray"] == CORNER
    (value,) = [each.value for each in verdict.failures() if each.name == "combined value"]
    assert SUB256_PIXELS / 2 < value <= SUB256_PIXELS


def test_brighter_background_field_passes(validated):
    """What is known of the difference of both skies is taken off."""
    code, said, _ = validated(background_sky=115)
    assert code == 0, said


def test_another_sigma_makes_no_ramps_again(validated, tmp_path):
    """Clipping is another run of the same rates, in a directory of its own beside the first."""
    assert validated()[0] == 0
    made = [
        path
        for pattern in ("uncal/*.fits", "truth/*.fits", "jwst-*/rate/*.fits")
        for path in sorted((tmp_path / "run").glob(pattern))
    ]
    before = {path: path.stat().st_mtime_ns for path in made}
    code, said, _ = validated({"sigma": 3.0})
    assert code == 0, said
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert len(list((tmp_path / "run").glob("jwst-*/sigma*/metrics.json"))) == 2
