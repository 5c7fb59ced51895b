"""What programs read of a site says the same as its front page."""

import json
from xml.etree import ElementTree as ET

import pytest

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.history import load
from miri_background.reporting.site.machine import BADGE, FEED, STATUS, machine_files
from miri_background.reporting.site.standing import Standing

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def files(add_run, tmp_path):
    """Return the files of a history: one observation failed in the third of four nights."""
    outcomes = (Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, Outcome.PASSED)
    for night, outcome in enumerate(outcomes):
        reason = "<off> & beyond" if outcome is Outcome.FAILED else ""
        add_run(tmp_path, "a", night, outcome, reason=reason, notebook=False)
        add_run(tmp_path, "b", night, notebook=False)
    return machine_files(Standing(load(tmp_path / "history")))


def root_of(text):
    """Return the root of a document of our own."""
    return ET.fromstring(text)  # noqa: S314 - just made


def test_status_is_that_of_the_front_page(files):
    """With when each observation began to be so."""
    status = json.loads(files[STATUS])
    assert status["outcome"] == Outcome.PASSED.word
    assert status["sentence"].startswith("All is well")
    first, second = status["observations"]
    assert (first["name"], second["name"]) == ("a", "b")
    assert first["since"] > second["since"]
    assert first["last_good"] == first["started"]


def test_status_names_cause_and_last_good_run(add_run, tmp_path):
    """Of what could not be judged."""
    add_run(tmp_path, "a", 0, notebook=False)
    cannot = (Outcome.CANNOT_JUDGE, Cause.DISK, "no space")
    add_run(tmp_path, "a", 1, *cannot, notebook=False)
    (status,) = json.loads(machine_files(Standing(load(tmp_path / "history")))[STATUS])[
        "observations"
    ]
    assert (status["cause"], status["reason"]) == ("disk", "no space")
    assert status["last_good"] < status["since"] == status["started"]


def test_feed_has_an_entry_for_each_change(files):
    """The latest first; a night like the one before is none."""
    feed = root_of(files[FEED])
    titles = [each.findtext(f"{ATOM}title") for each in feed.iter(f"{ATOM}entry")]
    assert titles[:2] == ["a: passed, was failed", "a: failed, was passed"]
    assert sorted(titles[2:]) == ["a: passed", "b: passed"]
    assert "<off> & beyond" in {each.findtext(f"{ATOM}content") for each in feed}
    updated = [each.findtext(f"{ATOM}updated") for each in feed.iter(f"{ATOM}entry")]
    assert feed.findtext(f"{ATOM}updated") == updated[0] == max(updated)
    identifiers = [each.findtext(f"{ATOM}id") for each in feed.iter(f"{ATOM}entry")]
    assert len(set(identifiers)) == len(identifiers)


def test_badge_says_the_outcome(files):
    """In words, also for who does not see it."""
    badge = root_of(files[BADGE])
    assert badge.get("aria-label") == "MIRI background: passed"
    assert "".join(badge.itertext()).split()[-1] == Outcome.PASSED.word


def test_history_without_a_night_is_said(tmp_path):
    """Nothing was run yet: every file says so."""
    (tmp_path / "history").mkdir()
    files = machine_files(Standing(load(tmp_path / "history")))
    assert json.loads(files[STATUS])["observations"] == []
    assert "was not run" in files[BADGE]
    assert list(root_of(files[FEED]).iter(f"{ATOM}entry")) == []
