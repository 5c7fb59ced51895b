"""Continuous integration reads from JUnit XML what the verdict says, with its numbers."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from miri_background.outcomes import Cause
from miri_background.reporting.junit import junit_error, junit_xml
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.measurements.remarks import Advisory, Behaviour
from miri_background.validation.verdict.limits import judge
from miri_background.validation.verdict.verdict import NotJudged, Verdict

NAME = "F770W FULL, 4 + 4 exposures"
SECONDS = 12.3456
ERROR = 0.01  # DN/s
BROKEN = 17.0  # pixels
# What readers of the family xunit2 know of a suite and of a case, as pytest writes them.
SUITE = {"name", "errors", "failures", "skipped", "tests", "time", "timestamp"}
CASE = {"classname", "name", "time"}


@pytest.fixture(scope="module")
def verdict():
    """Return a verdict of which one metric failed, with a behaviour and an advisory."""
    measurements = [
        Measurement("residual", "imager", 1, 0.0, ERROR),
        Measurement("residual", "Lyot", 1, np.nan, ERROR),
        Measurement("combined DQ", WHOLE_ARRAY, 2, BROKEN, detail="first in a.fits"),
        Measurement("step", WHOLE_ARRAY, None, 0.0),
    ]
    behaviour = Behaviour("flags", "any", "1.6.2 to 3.0.0", "It costs 2 % of the pixels.")
    advisory = Advisory("errors", 1.1, "1", "The noise is 10 % more than its error.", "Add it.")
    left_out = [NotJudged("star leak", "contrast over 10", "There is no truth.")]
    return Verdict(judge(measurements), {}, [behaviour], [advisory], not_judged=left_out)


@pytest.fixture(scope="module")
def suite(verdict):
    """Return the only suite of the verdict's document."""
    root = ET.fromstring(junit_xml(verdict, NAME, SECONDS))  # noqa: S314 - our own document
    (only,) = root
    assert (root.tag, only.tag) == ("testsuites", "testsuite")
    return only


def properties(element):
    """Return the properties of a suite or a case."""
    return {each.get("name"): each.get("value") for each in element.find("properties")}


def case_of(suite, name):
    """Return a case by its name."""
    return next(case for case in suite.iter("testcase") if case.get("name") == name)


def test_suite_has_the_counts(suite):
    """The suite is named after the observation, and counts its cases."""
    assert suite.attrib == suite.attrib | {
        "name": NAME,
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
        "time": "12.346",
    }


def test_structure_is_that_of_xunit2(suite):
    """Attributes and children are those that readers of this family know, in their order."""
    assert set(suite.attrib) == SUITE
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 4]
    for case in suite.iter("testcase"):
        assert set(case.attrib) == CASE
        assert [child.tag for child in case] in (["properties"], ["properties", "failure"])


def test_each_metric_is_a_case(suite):
    """Criterion, region and exposure make the name; the criterion is the class."""
    assert [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")] == [
        ("image2_background.residual", "residual (imager, exposure 1)"),
        ("image2_background.residual", "residual (Lyot, exposure 1)"),
        ("image2_background.combined DQ", "combined DQ (whole array, exposure 2)"),
        ("image2_background.step", "step (whole array)"),
    ]


def test_numbers_are_properties(suite, verdict):
    """Value, unit, standard error, limit and status can be read by machines."""
    metric = verdict.metrics[0]
    assert properties(case_of(suite, "residual (imager, exposure 1)")) == {
        "value": "0.0",
        "unit": "DN/s",
        "standard_error": str(ERROR),
        "limit": str(metric.limit),
        "status": "passed",
    }


def test_exact_metric_has_no_standard_error(suite):
    """What is no statistic has an empty one."""
    assert properties(case_of(suite, "step (whole array)"))["standard_error"] == ""


def test_failure_has_one_sentence(suite):
    """A broken limit is told with number, unit and limit."""
    failure = case_of(suite, "combined DQ (whole array, exposure 2)").find("failure")
    assert failure.get("message") == (
        "combined DQ (whole array, exposure 2): 17 pixels, limit 0 pixels: first in a.fits"
    )


def test_what_is_no_number_fails(suite):
    """A value that is not a number is written as such."""
    case = case_of(suite, "residual (Lyot, exposure 1)")
    assert (properties(case)["value"], case.find("failure") is None) == ("nan", False)


def test_behaviours_and_advisories_are_properties_of_the_suite(suite):
    """They decide nothing, and are told."""
    assert properties(suite) == {
        "outcome": "failed",
        "behaviour: flags": "any (known in 1.6.2 to 3.0.0): It costs 2 % of the pixels.",
        "advisory: errors": "The noise is 10 % more than its error. Add it.",
        "not judged: star leak of contrast over 10": "There is no truth.",
    }


def test_characters_that_xml_has_not_are_left_out(verdict):
    """Neither colours of a terminal nor control characters make the document unreadable."""
    hurt = replace(verdict.metrics[2], reason="\x1b[31mred\x1b[0m \x00\x07\ufffe& <unit> σ")
    text = junit_xml(Verdict([hurt], {}), "name\x0b", SECONDS)
    root = ET.fromstring(text)  # noqa: S314 - our own document
    assert root.find(".//failure").text == "red & <unit> σ"
    assert re.search("[\x00-\x08\x0b-\x1f]", text) is None


def test_could_not_judge_is_an_error():
    """What could not be judged is one case that has neither passed nor failed."""
    root = ET.fromstring(junit_error("DIRECTORY", "It is empty.", Cause.DATA))  # noqa: S314 - our own document
    suite = root.find("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "errors", "failures")}
    assert counts == {"tests": "1", "errors": "1", "failures": "0"}
    assert set(suite.attrib) == SUITE
    error = suite.find("testcase/error")
    assert (error.get("message"), error.get("type")) == ("It is empty.", "data")
    assert properties(suite) == {"outcome": "could not judge", "cause": "data"}
