"""A verdict as JUnit XML, the report that continuous integration reads.

The structure is that of pytest's family xunit2: one suite, one case for each metric, its
numbers as properties of the case.
"""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from miri_background.outcomes import Outcome

__all__ = ["is_junit_of_check", "joined", "junit_error", "junit_xml"]

# Servers group cases by the part of the class name before the last dot.
_PACKAGE = "image2_background"
# Sequences that colour a terminal, and characters that XML 1.0 does not allow.
_NO_TEXT = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def junit_xml(verdict, name, seconds, facts=(), package=_PACKAGE):
    """Return a verdict as JUnit XML.

    Parameters
    ----------
    verdict : Verdict
        What was judged.
    name : str
        Of the observation.
    seconds : float
        How long it took.
    facts : iterable of (str, str), optional
        More properties of the suite.
    package : str, optional
        By which servers group the cases.

    Returns
    -------
    str
        A document of one suite.
    """
    failures = verdict.failures()
    suites, suite = _suite(name, len(verdict.metrics), seconds, failures=len(failures))
    properties = [("outcome", verdict.outcome.word), *facts]
    properties += [
        (f"behaviour: {each.aspect}", f"{each.name} (known in {each.known_in}): {each.worth}")
        for each in verdict.behaviours
    ]
    properties += [
        (f"advisory: {each.name}", f"{each.sentence} {each.advice}") for each in verdict.advisories
    ]
    properties += [
        (f"not judged: {' of '.join(filter(None, (each.name, each.where)))}", each.reason)
        for each in verdict.not_judged
    ]
    _add_properties(suite, properties)
    for metric in verdict.metrics:
        case = _case(suite, package, metric.name, f"{metric.name} ({metric.place()})")
        _add_properties(
            case,
            [
                (field, getattr(metric, field))
                for field in ("value", "unit", "standard_error", "limit", "status")
            ],
        )
        if not metric.passed:
            message = _text(metric.sentence())
            ET.SubElement(case, "failure", message=message).text = _text(metric.reason)
    return _document(suites)


def junit_error(name, sentence, cause, seconds=0.0, facts=(), package=_PACKAGE):
    """Return as JUnit XML that something could not be judged.

    Parameters
    ----------
    name : str
        What could not be judged.
    sentence : str
        Why.
    cause : Cause
        What kept it from being judged; also the type of the error.
    seconds : float, optional
        How long it took.
    facts : iterable of (str, str), optional
        More properties of the suite.
    package : str, optional
        By which servers group the cases.

    Returns
    -------
    str
        A document of one suite with one case.
    """
    suites, suite = _suite(name, 1, seconds, errors=1)
    _add_properties(suite, [("outcome", Outcome.CANNOT_JUDGE.word), ("cause", cause.word), *facts])
    case = _case(suite, package, "verdict", Outcome.CANNOT_JUDGE.word)
    error = ET.SubElement(case, "error", type=cause.word, message=_text(sentence))
    error.text = _text(f"{cause.word}: {cause.meaning}")
    return _document(suites)


def is_junit_of_check(path):
    """Return whether a file is a document of this suite on products that were checked.

    Parameters
    ----------
    path : pathlib.Path
        Any regular file.

    Returns
    -------
    bool
        False also for documents of other programs, and of the jobs of a night.
    """
    try:
        suites = ET.parse(path).getroot().findall("testsuite")  # noqa: S314 - nothing is run
    except (OSError, ValueError, LookupError, ET.ParseError):
        return False
    return bool(suites) and all(map(_is_of_check, suites))


def _is_of_check(suite):
    """Return whether a suite is that of products that were checked."""
    outcome = suite.find("properties/property[@name='outcome']")
    words = [outcome.word for outcome in Outcome]
    classes = [case.get("classname", "") for case in suite.findall("testcase")]
    # The jobs of a night have their name in the middle.
    packages = {name.rpartition(".")[0] for name in classes}
    return outcome is not None and outcome.get("value") in words and packages == {_PACKAGE}


def joined(documents):
    """Return several documents as one that has the suites of all.

    Parameters
    ----------
    documents : iterable of str
        As `junit_xml` and `junit_error` return them.

    Returns
    -------
    str
        The document.
    """
    suites = ET.Element("testsuites")
    for document in documents:
        suites.extend(ET.fromstring(document).findall("testsuite"))  # noqa: S314 - our own
    return _document(suites)


def _suite(name, tests, seconds, failures=0, errors=0):
    """Return the document's root and its only suite."""
    suites = ET.Element("testsuites")
    counts = {"errors": errors, "failures": failures, "skipped": 0, "tests": tests}
    suite = ET.SubElement(
        suites,
        "testsuite",
        name=_text(name),
        **{key: str(count) for key, count in counts.items()},
        time=f"{seconds:.3f}",
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return suites, suite


def _case(suite, package, family, name):
    """Add a case; metrics are measured together, so that none has a time of its own."""
    return ET.SubElement(
        suite, "testcase", classname=_text(f"{package}.{family}"), name=_text(name), time="0.000"
    )


def _add_properties(element, facts):
    """Add names with values; None for what there is not."""
    properties = ET.SubElement(element, "properties")
    for name, value in facts:
        text = "" if value is None else _text(str(value))
        ET.SubElement(properties, "property", name=_text(name), value=text)


def _text(text):
    """Return a text without what is for terminals or not allowed in XML."""
    return _NO_TEXT.sub("", text)


def _document(root):
    """Return an element with all below it as a document."""
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
