"""What the page of a run offers beside its words."""

import csv
import io
import json
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.history import load
from miri_background.reporting.site.run_files import RunFiles
from miri_background.reporting.site.standing import Standing


@pytest.fixture
def files_of(add_run, tmp_path):
    """Return a function that makes a run, and returns it with the files of its page."""

    def make(*outcome, picture=None, notebook=None, **more):
        add_run(tmp_path, "f770w", 0, *outcome, **more)
        (run,) = [each for each in Standing(load(tmp_path / "history")).last.values() if each]
        directory = tmp_path / "figures of a run"
        (directory / "figures").mkdir(parents=True)
        if picture:
            words = PngInfo()
            words.add_text("Description", "nothing to be seen")
            words.add_text("Title", "Empty")
            path = directory / "figures" / picture
            Image.new("L", (40, 30)).save(path, pnginfo=words)
        return run, RunFiles(run, directory, notebook)

    return make


def test_numbers_are_those_of_the_run(files_of, passed_verdict):
    """As JSON, as a table with a row for each metric, and as JUnit with a case for each."""
    _, files = files_of()
    content = files.contents()
    assert list(content) == ["metrics.json", "metrics.csv", "junit.xml"]
    assert json.loads(content["metrics.json"]) == passed_verdict
    rows = list(csv.DictReader(io.StringIO(content["metrics.csv"].decode())))
    cases = ET.fromstring(content["junit.xml"]).findall(".//testcase")  # noqa: S314 - our own
    assert len(rows) == len(cases) == len(passed_verdict["metrics"])


def test_run_without_verdict_has_its_cause(files_of):
    """There are no metrics to take along, and an error with the reason."""
    _, files = files_of(Outcome.CANNOT_JUDGE, Cause.DISK, "the disk is full")
    (name,) = files.contents()
    (error,) = ET.fromstring(files.contents()[name]).findall(".//error")  # noqa: S314 - our own
    assert (name, error.get("message")) == ("junit.xml", "the disk is full")


def test_pictures_have_their_words(files_of):
    """Alternative text, caption and size are those of the file."""
    _, files = files_of(picture="answer_limits.png")
    (picture,) = files.pictures
    assert picture == {
        "name": "limits.png",
        "alt": "nothing to be seen",
        "caption": "Empty",
        "width": 40,
        "height": 30,
    }
    assert files.contents()["limits.png"].startswith(b"\x89PNG")


def test_picture_of_an_earlier_run_is_none_of_it(files_of, monkeypatch):
    """A directory that was used before may have older ones."""
    run, files = files_of(picture="answer_limits.png")
    assert files.pictures
    later = datetime.fromisoformat(run.record.started) + timedelta(days=3650)
    monkeypatch.setitem(vars(run.record), "started", later.isoformat())
    assert not RunFiles(run, files._directory, None).pictures


def test_site_has_what_its_pages_offer(sample_site):
    """Each link to take along, and each picture, leads to a file."""
    root = sample_site.front.parent / "runs"
    pages = [path for path in root.glob("*.html") if path.name != "index.html"]
    for page in pages:
        directory = page.with_suffix("")
        text = page.read_text(encoding="utf-8")
        assert all(f'href="{page.stem}/{each.name}"' in text for each in directory.iterdir())
        assert (directory / "junit.xml").is_file()
    assert list(root.glob("*/image2_background.ipynb"))


def test_numbers_come_before_what_the_run_was_given(sample_site):
    """Whoever opens the page asks how it ended."""
    for page in (sample_site.front.parent / "runs").glob("*f770w*.html"):
        text = page.read_text(encoding="utf-8")
        assert text.index(">Metrics<") < text.index(">Circumstances<")
