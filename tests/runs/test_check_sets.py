"""A directory with several sets of backgrounds: each is judged, and all in one summary."""

import json
import os
import re
from xml.etree import ElementTree as ET

import pytest

from miri_background.cli import main
from miri_background.outcomes import Outcome
from miri_background.runs.check_sets import sets_schema
from miri_background.schemas import require
from miri_background.validation.verdict.metrics_file import load_metrics


def add_set(directory, name, backgrounds):
    """Add products of another exposure, with backgrounds of its own."""
    for path in directory.glob("science_*.fits"):
        os.link(path, directory / path.name.replace("science", name))
    members = [{"expname": f"{name}_rate.fits", "exptype": "science"}]
    members += [{"expname": f"{each}_rate.fits", "exptype": "background"} for each in backgrounds]
    content = {"asn_type": "image2", "products": [{"name": name, "members": members}]}
    (directory / f"{name}_asn.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def judged(stage2_original, tmp_path_factory):
    """Return a directory of two sets of which one cannot be judged, and the exit code."""
    directory = tmp_path_factory.mktemp("sets") / "products"
    directory.mkdir()
    for path in stage2_original.iterdir():
        os.link(path, directory / path.name)
    add_set(directory, "nod", ["background1", "missing"])
    return directory, main(["check", str(directory)])


def test_worst_outcome_decides(judged):
    """What failed is not hidden by what could not be judged."""
    directory, code = judged
    content = json.loads((directory / "metrics.json").read_text())
    assert [each["outcome"] for each in content["sets"]] == ["failed", "could not judge"]
    assert (content["outcome"], content["exit_code"], code) == ("failed", 1, 1)


def test_summary_is_as_its_schema_says(judged):
    """Machines may rely on it."""
    require(json.loads((judged[0] / "metrics.json").read_text()), sets_schema)


def test_each_set_has_results_of_its_own(judged):
    """The verdict of a set is where the summary says that it is."""
    directory, _ = judged
    one, other = json.loads((directory / "metrics.json").read_text())["sets"]
    verdict = load_metrics(directory / one["directory"] / "metrics.json")
    assert verdict.outcome is Outcome.FAILED
    assert not (directory / other["directory"] / "metrics.json").exists()
    assert "missing_rate.fits, a member of" in other["sentence"]
    assert other["cause"] == "data"


def test_junit_has_a_suite_for_each_set(judged):
    """Continuous integration shows all sets."""
    suites = ET.parse(judged[0] / "junit.xml").getroot().findall("testsuite")  # noqa: S314
    assert [suite.get("errors") for suite in suites] == ["0", "1"]


def test_page_of_all_leads_to_that_of_each(judged):
    """It says how all ended; what could not be judged has no page that it could lead to."""
    directory, _ = judged
    page = (directory / "report.html").read_text()
    assert "2 sets of backgrounds in products" in page
    assert "FAILED: of 2 sets 1 failed, 1 could not judge." in page
    (place,) = re.findall(r'href="(sets/[^"]*)"', page)
    assert (directory / place).is_file()
    assert "missing_rate.fits, a member of" in page


def test_no_page_is_written_that_was_not_wanted(stage2):
    """Neither of all nor of each."""
    add_set(stage2, "nod", ["missing"])
    (stage2 / "background1_rate.fits").unlink()
    main(["check", str(stage2), "--no-page"])
    assert list(stage2.rglob("report.html")) == []


def test_summary_names_what_no_set_has(stage2, capsys):
    """A product that no association names, and an exposure without backgrounds."""
    add_set(stage2, "nod", ["missing"])
    add_set(stage2, "lone", [])
    add_set(stage2, "forgotten", [])
    (stage2 / "forgotten_asn.json").unlink()
    (stage2 / "background1_rate.fits").unlink()  # so that nothing has to be judged
    assert main(["check", str(stage2)]) == 2
    said = capsys.readouterr().out
    assert "forgotten_bsub.fits, forgotten_cal.fits (no association names its exposure)" in said
    assert "not judged: lone (its association has no background members)" in said
    assert "COULD NOT JUDGE: of 2 sets 2 could not judge.\n" in said


def test_association_that_cannot_be_read_is_a_set(stage2, capsys):
    """It stops nothing else, and is not passed over."""
    (stage2 / "another_asn.json").write_text("{")
    (stage2 / "background1_rate.fits").unlink()
    assert main(["check", str(stage2), "--json"]) == 2
    said = capsys.readouterr()
    names = [each["name"] for each in json.loads(said.out)["sets"]]
    assert names == ["science", "another_asn.json"]
    assert "another_asn.json cannot be read as JSON" in said.err


def test_results_of_earlier_sets_are_removed(stage2):
    """A set that is no longer there has no verdict, and a file of others stays."""
    add_set(stage2, "nod", ["missing"])
    (stage2 / "background1_rate.fits").unlink()
    main(["check", str(stage2)])
    mine = stage2 / "sets" / "nod" / "notes.txt"
    mine.write_text("mine")
    (stage2 / "nod_asn.json").unlink()
    assert main(["check", str(stage2)]) == 2
    assert [path for path in (stage2 / "sets").rglob("*") if path.is_file()] == [mine]
    assert not (stage2 / "metrics.json").exists()


def test_chosen_association_is_judged_alone(stage2, capsys):
    """One set is chosen by its association."""
    add_set(stage2, "nod", ["missing"])
    assert main(["check", str(stage2), "--association", str(stage2 / "nod_asn.json")]) == 2
    assert capsys.readouterr().out == ""
