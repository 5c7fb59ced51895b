"""What ``miri-background check`` prints, writes and returns."""

import json
import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from miri_background.cli import main
from miri_background.outcomes import Cause
from miri_background.references.mappings import CONTEXT
from miri_background.reporting.junit import junit_error
from miri_background.runs.check import check
from miri_background.validation import judgement
from miri_background.validation.verdict.metrics_file import load_metrics

EXPOSURES = ["science", "background1", "background2", "background3"]


@pytest.fixture
def broken(stage2, rewrite, add_truth):
    """Return products of a step that subtracted too much, so that the verdict is known."""

    def change(hdus):
        hdus["SCI"].data -= 1

    rewrite(stage2 / "science_bsub.fits", change)
    add_truth(stage2, EXPOSURES)
    return stage2


def suite(path):
    """Return the suite of a JUnit file."""
    return ET.parse(path).getroot().find("testsuite")  # noqa: S314 - our own document


def sentence_of(capsys):
    """Return the only line that was printed, without outcome and cause."""
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    outcome, sentence = line.split("): ", maxsplit=1)
    assert outcome.startswith("COULD NOT JUDGE (")
    return sentence


def checked(directory, *options):
    """Return the code of a check without a page, whose pictures take most of the time."""
    return main(["check", str(directory), "--no-page", *options])


# ------------------------------------------------------------------ a verdict


def test_failure_is_told(broken, capsys):
    """Files, clipping parameters, table and outcome are printed; the code is 1."""
    assert main(["check", str(broken)]) == 1
    said = capsys.readouterr()
    for words in (
        "  image2_asn.json\n",
        "  science_rate.fits\n",
        "sigma 3 (the step's default: give another with --sigma)",
        "rates 1.6.2 and jwst_1000.pmap",
        "truth: expected",
        "✗ failed",
        "\nFAILED: ",
        f"Written: {broken / 'metrics.json'}\n",
    ):
        assert words in said.out
    assert said.err == ""


def test_files_are_written(broken):
    """metrics.json is whole, and junit.xml says the same."""
    checked(broken)
    verdict = load_metrics(broken / "metrics.json")
    assert suite(broken / "junit.xml").get("failures") == str(len(verdict.failures()))


def test_provenance_tells_what_was_judged(broken):
    """Every file has its checksum, and the products their pipeline."""
    checked(broken, "--sigma", "5", "--maxiters", "7")
    provenance = load_metrics(broken / "metrics.json").provenance
    assert (provenance["kind"], provenance["sigma"], provenance["maxiters"]) == ("check", 5.0, 7)
    assert provenance["rates"] == [{"CAL_VER": "1.6.2", "CRDS_CTX": "jwst_1000.pmap"}]
    assert "truth/background2_truth.fits" in provenance["inputs"]
    assert len(provenance["inputs"]) == 12


def test_json_is_all_of_standard_output(broken, capsys):
    """Machines read standard output, and people the rest."""
    code = checked(broken, "--json")
    said = capsys.readouterr()
    content = json.loads(said.out)
    assert (content["exit_code"], content["outcome"], code) == (1, "failed", 1)
    assert content == json.loads((broken / "metrics.json").read_text())
    assert "\nFAILED: " in said.err


@pytest.mark.slow
def test_pipeline_is_not_needed(broken):
    """Neither jwst nor CRDS is imported: products of any build are judged anywhere."""
    code = (
        "import sys; from miri_background.cli import main; main(sys.argv[1:]); "
        "names = {name.split('.')[0] for name in sys.modules}; "
        "sys.exit(str(sorted(names & {'jwst', 'crds', 'stcal', 'stdatamodels', 'stpipe'})))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "check", broken], capture_output=True, text=True, check=False
    )
    assert ended.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("context", "cosmic_rays", "use"),
    [(CONTEXT, True, "compared"), (CONTEXT, False, "expected"), ("other", True, "expected")],
)
def test_truth_is_compared_with_matching_references_only(
    context, cosmic_rays, use, stage2, rewrite, add_truth
):
    """Numbers are those of the truth where simulator and references have the same constants."""

    def change(hdus):
        hdus[0].header["CRDS_CTX"] = context

    for name in EXPOSURES:
        rewrite(stage2 / f"{name}_rate.fits", change)
    add_truth(stage2, EXPOSURES, cosmic_rays)
    assert check(stage2).verdict.provenance["truth"] == use


# ------------------------------------------------------------------ where it is written


def test_output_is_written_elsewhere(broken, tmp_path):
    """A directory that is asked for is made."""
    main(["check", str(broken), "--output", str(tmp_path / "new" / "place")])
    assert {path.name for path in (tmp_path / "new" / "place").iterdir()} == {
        "metrics.json",
        "junit.xml",
        "report.html",
        "report_files",
    }
    assert not (broken / "metrics.json").exists()


def test_check_of_a_run_has_a_directory_of_its_own(broken):
    """A run's metrics stay as they are."""
    (broken / "observation.json").write_text("{}")
    (broken / "calibration.json").write_text('{"sigma": 3.0, "maxiters": 3}')
    (broken / "metrics.json").write_text("{}")
    checked(broken)
    assert (broken / "metrics.json").read_text() == "{}"
    assert load_metrics(broken / "check" / "metrics.json").provenance["maxiters"] == 3


def test_earlier_check_is_replaced(broken):
    """What a check has written is its own."""
    main(["check", str(broken)])
    main(["check", str(broken), "--sigma", "9"])
    assert load_metrics(broken / "metrics.json").provenance["sigma"] == 9.0


FOREIGN = {
    "another program's": '<testsuites><testsuite name="pytest"><testcase classname="tests.a" '
    'name="a"/></testsuite></testsuites>',
    "a run's": '{"provenance": {"kind": "run"}}',
    "a night's": junit_error("f770w", "Full.", Cause.DISK, package="image2_background.f770w"),
    "nothing": "",
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=list(FOREIGN))
@pytest.mark.parametrize("name", ["metrics.json", "junit.xml"])
def test_foreign_results_stay(name, text, broken, capsys):
    """What others have written is not overwritten; that is said instead of a verdict."""
    (broken / name).write_text(text)
    assert main(["check", str(broken)]) == 2
    assert f"{name} is not the file that this suite wrote there" in sentence_of(capsys)
    assert (broken / name).read_text() == text


def test_products_that_were_mended_are_judged(broken, tmp_path, capsys):
    """The report that products could not be judged is in nobody's way."""
    path, away = broken / "background3_rate.fits", tmp_path / "away.fits"
    path.rename(away)
    assert main(["check", str(broken)]) == 2
    away.rename(path)
    capsys.readouterr()
    assert checked(broken) == 1
    assert f"Written: {broken / 'junit.xml'}" in capsys.readouterr().out
    assert suite(broken / "junit.xml").get("errors") == "0"
    assert load_metrics(broken / "metrics.json").failures()


@pytest.mark.parametrize("kept", ["metrics.json", "junit.xml"])
def test_half_of_the_results_is_in_nobodys_way(kept, broken):
    """Each file is known by itself, whichever of the two was moved away."""
    checked(broken)
    for name in {"metrics.json", "junit.xml"} - {kept}:
        (broken / name).unlink()
    assert checked(broken) == 1


@pytest.mark.parametrize("output", ["{}/science_rate.fits/below", "/proc/below"])
def test_place_that_cannot_be_written_is_told_before_the_work(output, broken, capsys):
    """There is no verdict above a sentence that there is none."""
    assert main(["check", str(broken), "--output", output.format(broken)]) == 2
    assert "cannot be written" in sentence_of(capsys)


FULL_DISK = ["sh", "-c", 'ulimit -f 4 && exec "$@"', "sh"]  # blocks of 512 bytes


@pytest.mark.slow
@pytest.mark.parametrize("option", [[], pytest.param(["--json"], marks=pytest.mark.long)])
def test_failure_is_told_on_a_full_disk(option, broken, command_line, tmp_path):
    """What fails has failed, and that it is not written is said as well."""
    output = ["--output", tmp_path / "out"]
    ended = command_line("check", broken, *output, *option, before=FULL_DISK)
    assert ended.returncode == 1, ended.stdout
    assert "\nFAILED: " in ended.stdout
    assert "The results were not written: " in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("option", [pytest.param([], marks=pytest.mark.long), ["--json"]])
def test_pass_that_cannot_be_written_is_none(option, finished_copy, command_line, tmp_path):
    """Nobody reads PASSED, or an exit code of 0, where the code is 2."""
    output = ["--output", tmp_path / "out"]
    ended = command_line("check", finished_copy, *output, *option, before=FULL_DISK)
    assert ended.returncode == 2, ended.stdout
    assert "COULD NOT JUDGE (disk): " in ended.stdout
    assert ("PASSED" in ended.stdout, '"exit_code": 0' in ended.stdout) == (False, False)


# ------------------------------------------------------------------ could not judge


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sigma", "nan"],
        ["--sigma", "-1"],
        ["--maxiters", "-1"],
        ["--expect", "errors=sum"],
        ["--baselines", "none"],
        ["--association", "none.json"],
        ["--backgrounds", "none.fits"],
    ],
    ids=" ".join,
)
def test_wrong_command_line_leaves_an_earlier_verdict(wrong, stage2):
    """It says nothing about the products."""
    (stage2 / "metrics.json").write_text("an earlier verdict")
    before = sorted(stage2.iterdir())
    assert main(["check", str(stage2), *wrong]) == 2
    assert (stage2 / "metrics.json").read_text() == "an earlier verdict"
    assert sorted(stage2.iterdir()) == before


def truncate(directory):
    """Cut a file short."""
    path = directory / "background1_rate.fits"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])


DAMAGES = {
    "missing": shutil.rmtree,
    "empty": lambda directory: [path.unlink() for path in directory.iterdir()],
    "no JSON": lambda directory: (directory / "image2_asn.json").write_text("{"),
    "no member": lambda directory: (directory / "background1_rate.fits").unlink(),
    "truncated": truncate,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_could_not_judge_is_one_sentence(damage, stage2, capsys):
    """Whatever is the matter, one line says so, without a traceback; the code is 2."""
    damage(stage2)
    assert main(["check", str(stage2)]) == 2
    assert str(stage2) in sentence_of(capsys)


@pytest.mark.parametrize("plane", ["SCI", "ERR"])
def test_rates_without_numbers_are_one_sentence(plane, stage2, rewrite, capsys):
    """So are rates that are not a number anywhere."""

    def change(hdus):
        hdus[plane].data[:] = np.nan

    rewrite(stage2 / "science_rate.fits", change)
    assert main(["check", str(stage2)]) == 2
    assert f"no value in {plane}" in sentence_of(capsys)


def test_unexpected_error_is_no_failure(broken, capsys, monkeypatch):
    """An error of this suite is not taken for a verdict on the step."""

    def stumble(*_, **_others):
        raise ZeroDivisionError

    monkeypatch.setattr(judgement, "judge_products", stumble)
    assert main(["check", str(broken)]) == 2
    assert "(ZeroDivisionError): please report it." in sentence_of(capsys)


def test_could_not_judge_as_json(stage2, capsys):
    """Machines get outcome, exit code, cause and reason."""
    truncate(stage2)
    assert main(["check", str(stage2), "--json"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert (content["outcome"], content["exit_code"]) == ("could not judge", 2)
    assert content["cause"] == "data"
    assert "background1_rate.fits cannot be read" in content["reason"]


def test_could_not_judge_as_junit(stage2):
    """Continuous integration is told by an error."""
    truncate(stage2)
    main(["check", str(stage2)])
    error = suite(stage2 / "junit.xml").find("testcase/error")
    assert "background1_rate.fits cannot be read" in error.get("message")


def test_earlier_verdict_does_not_outlive_could_not_judge(broken):
    """Metrics of files that are no longer there would be read as theirs."""
    checked(broken)
    truncate(broken)
    checked(broken)
    assert not (broken / "metrics.json").exists()
    assert suite(broken / "junit.xml").get("errors") == "1"


def test_missing_directory_is_not_made(tmp_path):
    """A name that is mistyped leaves nothing behind."""
    main(["check", str(tmp_path / "nowhere")])
    assert not any(tmp_path.iterdir())


# ------------------------------------------------------------------ a run


@pytest.mark.slow
def test_run_passes_again(command_line, finished_copy):
    """The products of a correct run pass, and the numbers are those of the run."""
    ended = command_line("check", finished_copy)
    assert ended.returncode == 0, ended.stdout
    assert "truth: compared" in ended.stdout
    of_run, of_check = (
        load_metrics(directory / "metrics.json")
        for directory in (finished_copy, finished_copy / "check")
    )
    assert of_check.metrics == of_run.metrics


@pytest.mark.slow
def test_flat_directory_without_truth_or_observation_passes(command_line, finished_copy, tmp_path):
    """An archive has the same files side by side, and says nothing about the clipping."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for kind in ("image2", "rate"):
        for path in (finished_copy / kind).iterdir():
            if not path.is_symlink():
                os.link(path, flat / path.name)
    told = json.loads((finished_copy / "calibration.json").read_text())
    ended = command_line("check", flat, "--sigma", told["sigma"], "--maxiters", told["maxiters"])
    assert ended.returncode == 0, ended.stdout
    assert "truth: none" in ended.stdout


# ------------------------------------------------------------------ what is expected


def test_behaviour_that_is_expected_and_not_done_fails(stage2, capsys):
    """The option reaches the criterion, whose sentence names both."""
    assert checked(stage2, "--expect", "errors=quadrature") == 1
    assert "errors: not propagated, and in quadrature is expected" in capsys.readouterr().out


def test_unknown_expectation_could_not_be_judged(stage2, capsys):
    """The sentence lists what there is."""
    assert main(["check", str(stage2), "--expect", "noise=less"]) == 2
    assert "There is no behaviour 'noise': choose of errors" in sentence_of(capsys)


def test_findings_are_in_the_last_line(stage2, capsys):
    """Whoever reads only the end learns that the data have something."""
    checked(stage2)
    line = [each for each in capsys.readouterr().out.splitlines() if each.startswith("FAILED")][-1]
    assert line.endswith("findings about the data: errors are not the scatter")


@pytest.mark.slow
def test_products_of_genuine_scasim_ramps_pass(real_file, tmp_path, capsys):
    """Another detector's ramps, correctly subtracted: all criteria are judged, nothing is found."""
    directory = real_file("scasim")
    arguments = ["check", str(directory), "--sigma=2", "--maxiters=3", "--no-page"]
    code = main([*arguments, f"--output={tmp_path / 'check'}"])
    assert code == 0, capsys.readouterr().out
    metrics = json.loads((tmp_path / "check" / "metrics.json").read_text())
    assert metrics["findings"] == []
    statistical = {"residual", "gradient", "outputs", "columns", "rows", "noise"}
    assert statistical <= {each["name"] for each in metrics["metrics"]}
