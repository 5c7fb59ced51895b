"""Every criterion that the criteria's file has is either judged or named with a reason."""

import pytest

from miri_background.references.mappings import CONTEXT
from miri_background.runs.check import check
from miri_background.validation.verdict.limits import criteria
from miri_background.validation.verdict.metrics_file import load_metrics

EXPOSURES = ["science", "background1", "background2", "background3"]
AGAINST_TRUTH = [
    name for name, each in criteria()["criteria"].items() if each.get("needs") == "truth"
]
# The small products have no flagged pixel that stays usable.
FLAGGED = ["flagged pixels", "flagged scatter"]
ALWAYS = [name for name in criteria()["criteria"] if name in {*FLAGGED, *AGAINST_TRUTH}]
OF_COMBINED = ["combined value", "combined error", "combined DQ"]


def reasons(directory):
    """Return why criteria were not judged, each by its name; none is left out."""
    verdict = check(directory).verdict
    told = {each.name: each.reason for each in verdict.not_judged}
    assert {each.name for each in verdict.metrics} | set(told) >= set(criteria()["criteria"])
    return told


def test_missing_truth_is_said(stage2):
    """Some criteria need it."""
    told = reasons(stage2)
    assert list(told) == ALWAYS
    assert "there is no truth file such as science_truth.fits" in told["star leak"]


def test_references_that_the_truth_does_not_belong_to_are_said(stage2, add_truth):
    """Numbers are not compared with a truth of other units."""
    add_truth(stage2, EXPOSURES)
    told = reasons(stage2)
    assert list(told) == ALWAYS
    assert {told[name] for name in AGAINST_TRUTH} == {
        (
            "the rates were made with references of jwst_1000.pmap, "
            f"and the truth belongs to those of {CONTEXT}"
        )
    }


def test_truth_of_another_simulator_is_said(stage2, add_truth):
    """It is only an expectation."""
    add_truth(stage2, EXPOSURES, cosmic_rays=False)
    assert reasons(stage2)["star flux"] == "the truth is not of the simulator that made the ramps"


def test_combined_background_that_was_not_saved_is_said(stage2):
    """Its value, error and flags are judged in the subtracted image only."""
    (stage2 / "science_combinedbackground.fits").unlink()
    told = reasons(stage2)
    assert list(told) == [*OF_COMBINED, *ALWAYS]
    assert "save_combined_background" in told["combined DQ"]


def test_subtracted_image_that_was_not_saved_is_said(stage2, rewrite):
    """The combined background is judged all the same, by what it leaves, too."""
    (stage2 / "science_bsub.fits").unlink()

    def change(hdus):
        hdus["SCI"].data[100, 100] += 1

    rewrite(stage2 / "science_combinedbackground.fits", change)
    told = reasons(stage2)
    assert "no subtracted image was saved" in told["subtraction DQ"]
    assert told["subtracted image"].endswith("what is judged is rate less combined background")
    verdict = check(stage2).verdict
    judged = {each.name: each for each in verdict.metrics}
    assert judged["combined value"].value == 1
    assert {"residual", "noise"} <= set(judged)
    # Nothing shows what became of the errors.
    assert "errors" not in {each.aspect for each in verdict.behaviours}


def test_skipped_step_is_said(stage2, rewrite):
    """Where nothing was subtracted, nothing is exact."""

    def skip(hdus):
        hdus[0].header["S_BKDSUB"] = "SKIPPED"

    rewrite(stage2 / "science_cal.fits", skip)
    (stage2 / "science_bsub.fits").unlink()
    (stage2 / "science_combinedbackground.fits").unlink()
    assert reasons(stage2)["subtraction"] == "no background was subtracted"


def test_exposure_without_combined_background_is_said(stage2):
    """The other exposure's does not speak for it."""
    for path in list(stage2.glob("science_*")):
        (stage2 / path.name.replace("science", "second")).hardlink_to(path)
    (stage2 / "second_combinedbackground.fits").unlink()
    text = (stage2 / "image2_asn.json").read_text().replace("science_", "second_")
    (stage2 / "second_asn.json").write_text(text.replace('"name": "science"', '"name": "second"'))
    left_out = [each for each in check(stage2).verdict.not_judged if each.name in OF_COMBINED]
    assert {each.where for each in left_out} == {"exposure 2"}
    assert [each.name for each in left_out] == OF_COMBINED


def test_missing_calibrated_product_is_said(stage2):
    """Its header is not compared with that of the rate."""
    (stage2 / "science_cal.fits").unlink()
    verdict = check(stage2).verdict
    (said,) = (each for each in verdict.not_judged if each.name == "metadata")
    assert said.where == "the calibrated product of exposure 1"
    reason = {each.name: each.reason for each in verdict.not_judged}["calibrated value"]
    assert reason == "there is no calibrated product"


def test_lack_of_flagged_pixels_is_said(stage2):
    """No statistic is left out without a word."""
    assert reasons(stage2)["flagged pixels"] == "no flagged pixel of empty sky stays usable"


def test_product_of_no_association_is_said(stage2):
    """A subtracted image that nobody judged is named."""
    (stage2 / "before_bsub.fits").hardlink_to(stage2 / "science_bsub.fits")
    assert "no association" in reasons(stage2)["before_bsub.fits"]


@pytest.mark.slow
def test_cubes_of_a_linked_run_leave_nothing_out_but_the_truth(write_stage2, tmp_path):
    """Cubes of integrations are judged by all criteria."""
    write_stage2(tmp_path, integrations=2)
    assert list(reasons(tmp_path)) == ALWAYS


@pytest.mark.slow
def test_linked_truth_is_compared(copied_observation, finished_copy, tmp_path):
    """With its truth behind a link, a run is judged by the same criteria."""
    of_run = load_metrics(finished_copy / "metrics.json")
    (copied_observation / "truth").rename(tmp_path / "elsewhere")
    (copied_observation / "truth").symlink_to(tmp_path / "elsewhere")
    told = check(finished_copy).verdict
    assert told.provenance["truth"] == "compared"
    assert told.not_judged == of_run.not_judged
    assert {metric.name for metric in told.metrics} == {metric.name for metric in of_run.metrics}
