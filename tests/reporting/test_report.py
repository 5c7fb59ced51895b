"""The page that a check leaves: what it says first, what it shows, and what it never replaces."""

import csv
import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import IPython.display
import numpy as np
import pytest
from PIL import Image as Picture

from miri_background.cli import main
from miri_background.observation import Observation
from miri_background.reporting.pictured import description_of
from miri_background.reporting.report import pictures
from miri_background.reporting.report.answer import SCOPE, Answer, AnswerBox
from miri_background.reporting.report.page_files import PageFiles
from miri_background.reporting.report.pictures import pictures_of
from miri_background.runs.check import check, write_check
from miri_background.runs.check_page import page_of_check
from miri_background.validation.measurements.analysis import Analysis
from miri_background.validation.products.images import DO_NOT_USE
from miri_background.validation.verdict.verdict import Verdict

HOSTILE = '<script>alert("1")</script>'
MINE = "mine"


class Page(HTMLParser):
    """Collect the elements of a page in their order, with the text before each."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Remember an element and where it is."""
        self.elements.append((tag, dict(attrs), len(self.text)))

    def handle_data(self, data):
        """Remember text."""
        self.text += data

    def of(self, tag):
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def judged(stage2_original):
    """Return small products of a correct step that were judged without truth."""
    return check(stage2_original)


@pytest.fixture(scope="module")
def failed(judged):
    """Return the same with one metric that is broken."""
    metrics = [
        replace(each, value=-1.0, status="failed") if each.name == "residual" else each
        for each in judged.verdict.metrics
    ]
    verdict = Verdict(metrics, judged.verdict.provenance, (), judged.verdict.advisories)
    verdict.drift = judged.verdict.drift
    return replace(judged, verdict=verdict)


@pytest.fixture(scope="module")
def place(failed, tmp_path_factory):
    """Return a directory with the results of the failed check, not to be changed."""
    directory = tmp_path_factory.mktemp("results")
    write_check(failed, directory)
    return directory


@pytest.fixture(scope="module")
def page(place):
    """Return the page of the failed check."""
    return Page(place / "report.html")


# ------------------------------------------------------------------ what it has


def test_page_is_whole_and_fetches_nothing_from_elsewhere(page, place):
    """Each picture, style and link that is no anchor is a file beside it."""
    fetched = [each["src"] for each in page.of("img")]
    fetched += [each["href"] for tag in ("link", "a") for each in page.of(tag)]
    files = [each for each in fetched if not each.startswith("#")]
    assert {"metrics.json", "report_files/metrics.csv"} <= set(files)
    assert [each for each in files if not (place / each).is_file()] == []


def test_page_has_nothing_that_a_strict_server_blocks(page):
    """Neither scripts, nor styles of its own."""
    assert page.of("script") + page.of("style") == []
    assert [tag for tag, attributes, _ in page.elements if "style" in attributes] == []


def test_anchors_lead_somewhere(page):
    """The contents list names sections that there are."""
    ids = {attributes.get("id") for _, attributes, _ in page.elements}
    anchors = [each["href"][1:] for each in page.of("a") if each["href"].startswith("#")]
    assert set(anchors) <= ids


def test_answer_comes_before_pictures_and_pictures_before_tables(page):
    """Nobody has to scroll to learn how it ended."""
    answer = page.text.index("FAILED: ")
    first = {tag: where for tag, _, where in reversed(page.elements)}
    assert answer < first["img"] < first["table"]


def test_broken_criteria_are_named_with_numbers(page, failed):
    """Above the pictures, and first in the table."""
    broken = [each for each in failed.verdict.metrics if not each.passed]
    first = {tag: where for tag, _, where in reversed(page.elements)}
    assert {"residual"} < {each.name for each in broken}
    for each in broken:
        assert page.text.index(each.sentence()) < first["img"]
        assert page.text.find(each.name, first["tbody"]) < page.text.find("step", first["tbody"])


def test_table_of_values_is_that_of_the_verdict(place, failed):
    """What a spreadsheet reads are the numbers of metrics.json."""
    with (place / "report_files" / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["name"], float(row["value"])) for row in rows] == [
        (each.name, each.value) for each in failed.verdict.metrics
    ]


def test_findings_stand_before_advisories_and_are_escaped():
    """With the member that they are about, whoever wrote them."""
    finding = SimpleNamespace(
        name="skies differ", sentence=f"by 25 % {HOSTILE}", advice="Scale.", member="b_rate.fits"
    )
    advisory = SimpleNamespace(name="errors", sentence="too small", advice="Multiply.")
    html = Answer(None, "x", findings=(finding,), advisories=(advisory,))._repr_html_()
    assert html.index("skies differ (b_rate.fits)") < html.index("errors")
    assert HOSTILE not in html


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"science_stars": 7, "filter": "F1500W"},
            "F1500W, FULL: 4 exposures of the science field w",
        ),
        ({"data": "flight"}, "field, flight data."),
    ],
)
def test_words_of_the_box_follow_the_parameters(changes, told, judged, monkeypatch):
    """Filter, exposures and stars are those of the run; nobody counts the stars of real data."""
    shown = []
    handle = SimpleNamespace(update=lambda answer, metadata: shown.append((answer, metadata)))
    monkeypatch.setattr(IPython.display, "display", lambda *_, **__: handle)
    box = AnswerBox()
    box.show()
    observation = Observation.of(changes)
    box.answer(judged.verdict, judged.analysis, observation)
    ((answer, metadata),) = shown
    assert told in answer.scope
    assert ("7 stars" in answer.scope, "star" in answer.scope) == 2 * ("data" not in changes,)
    assert metadata[SCOPE] == answer.scope


def test_findings_of_a_verdict_are_on_its_page(judged, tmp_path):
    """As soon as a verdict has any."""
    verdict = Verdict(judged.verdict.metrics, judged.verdict.provenance)
    verdict.drift = judged.verdict.drift
    verdict.findings = (SimpleNamespace(name="skies differ", sentence="by 25 %", advice=""),)
    (path,) = page_of_check(replace(judged, verdict=verdict)).write(tmp_path)
    assert "Findings about the data" in Page(path).text


# ------------------------------------------------------------------ pictures


def test_pictures_are_crisp_and_described(page, place):
    """The files have twice the pixels of the page, and words with numbers."""
    shown = page.of("img")
    assert len(shown) >= 4
    for each in shown:
        with Picture.open(place / each["src"]) as opened:
            assert opened.width == pytest.approx(2 * int(each["width"]), abs=1)
        assert any(sign.isdigit() for sign in each["alt"])
        assert int(each["width"]) <= 500


def names_of(drawn):
    """Return the names of pictures."""
    return [each.name for each in drawn]


def altered(analysis, **changes):
    """Return an analysis of other products with the same expectation."""
    return Analysis(replace(analysis.products, **changes), analysis.expectation)


def test_flagged_images_have_no_picture(judged):
    """An empty axis would show nothing; the limits are still there."""
    subtracted = [
        replace(each, dq=np.full_like(each.dq, DO_NOT_USE))
        for each in judged.analysis.products.subtracted
    ]
    drawn = pictures_of(judged.verdict.metrics, altered(judged.analysis, subtracted=subtracted))
    assert names_of(drawn) == ["combined_background", "limits"]


def test_nothing_subtracted_is_said(judged):
    """There is no combined background to show, and before and after are the same."""
    science = judged.analysis.products.science
    analysis = altered(judged.analysis, combined=[None], subtracted=science)
    drawn = pictures_of(judged.verdict.metrics, analysis)
    assert names_of(drawn) == ["before", "after", "limits"]
    alt, caption, _ = description_of(drawn[1].content)
    assert "nothing was subtracted" in alt
    assert "nothing was subtracted" in caption


def test_picture_shows_what_is_left(judged):
    """Title and alternative text follow the pixels."""
    subtracted = [replace(each, data=each.data + 3) for each in judged.analysis.products.subtracted]
    _, _, after, _ = pictures_of(
        [judged.verdict.metrics[0]], altered(judged.analysis, subtracted=subtracted)
    )
    assert "+3 DN/s is left" in description_of(after.content)[0]


def test_limits_are_shown_without_an_analysis(failed):
    """Whatever could not be analysed, the verdict has numbers."""
    (limits,) = pictures_of(failed.verdict.metrics)
    alt, _, _ = description_of(limits.content)
    broken = [each for each in failed.verdict.metrics if not each.passed]
    assert f"{len(broken)} of " in alt
    assert all(each.sentence() in alt for each in broken)


# ------------------------------------------------------------------ whose files


def put_page(place):
    """Put a page of somebody else there."""
    (place / "report.html").write_text(MINE)
    return place / "report.html"


def put_asset(place):
    """Put a picture of somebody else there."""
    (place / "report_files").mkdir()
    (place / "report_files" / "limits.png").write_text(MINE)
    return place / "report_files" / "limits.png"


def put_list(place):
    """Put a list of somebody else there."""
    (place / "report_files").mkdir()
    (place / "report_files" / "checksums.json").write_text(json.dumps({"files": MINE}))
    return place / "report_files" / "checksums.json"


@pytest.mark.parametrize("put", [put_page, put_asset, put_list])
def test_foreign_files_stay(put, tmp_path, stage2, capsys):
    """They are named in one sentence, and nothing is replaced."""
    path = put(tmp_path)
    before = path.read_text()
    assert main(["check", str(stage2), "--output", str(tmp_path)]) == 2
    assert f"{path.name} is not the file that this suite wrote there" in capsys.readouterr().err
    assert path.read_text() == before


def test_linked_directory_stays(tmp_path):
    """A link in the place of the directory leads to somebody's files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "report_files").symlink_to(elsewhere)
    with pytest.raises(Exception, match="report_files is not the file"):
        PageFiles(tmp_path).write("page", {"a.png": b"a"})
    assert list(elsewhere.iterdir()) == []


def test_page_with_notes_stays(tmp_path):
    """A page that somebody wrote notes into is no longer the suite's own."""
    PageFiles(tmp_path).write("page", {})
    (tmp_path / "report.html").write_text("page, with notes")
    with pytest.raises(Exception, match=r"report\.html is not the file"):
        PageFiles(tmp_path).write("another page", {})


def test_earlier_page_is_replaced_wherever_it_was_copied(tmp_path):
    """Files that the new page does not show are gone."""
    first, second = tmp_path / "first", tmp_path / "second"
    PageFiles(first).write("page", {"a.png": b"a", "b.png": b"b"})
    second.mkdir()
    shutil.copy(first / "report.html", second)
    shutil.copytree(first / "report_files", second / "report_files")
    PageFiles(second).write("new page", {"b.png": b"c"})
    assert (second / "report.html").read_text() == "new page"
    assert {each.name for each in (second / "report_files").iterdir()} == {
        "b.png",
        "checksums.json",
    }


def test_list_speaks_of_no_file_elsewhere(tmp_path):
    """A list that names a file outside does not get it removed."""
    place, outside = tmp_path / "place", tmp_path / "outside.txt"
    outside.write_text(MINE)
    files = PageFiles(place)
    files.write("page", {"a.png": b"a"})
    path = place / "report_files" / "checksums.json"
    content = json.loads(path.read_text())
    known = content["files"]["report.html"]
    content["files"] |= {"../outside.txt": known, "report_files/..": known}
    path.write_text(json.dumps(content))
    files.write("page", {})
    files.remove()
    assert outside.read_text() == MINE


def test_no_page_is_written_where_none_is_wanted(stage2):
    """Not even somebody else's page is in the way."""
    (stage2 / "report.html").write_text(MINE)
    main(["check", str(stage2), "--no-page"])
    assert (stage2 / "report.html").read_text() == MINE
    assert not (stage2 / "report_files").exists()


def test_pictures_that_cannot_be_drawn_take_no_verdict_back(failed, stage2, monkeypatch):
    """The verdict has its page and its files, and the page says what it lacks."""
    write_check(failed, stage2)

    def stumble(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(pictures, "pictures_of", stumble)
    assert main(["check", str(stage2)]) == 1
    page = Page(stage2 / "report.html")
    assert "could not be drawn (ZeroDivisionError)" in page.text
    assert page.of("img") == []
    assert page.text.index("FAILED: ") < page.text.index("Criteria")


def test_what_could_not_be_judged_has_a_page(failed, stage2):
    """It has the reason, and nothing of the verdict before."""
    write_check(failed, stage2)
    (stage2 / "background1_rate.fits").unlink()
    assert main(["check", str(stage2)]) == 2
    page = Page(stage2 / "report.html")
    assert "COULD NOT JUDGE (data): " in page.text
    assert "background1_rate.fits" in page.text
    assert page.of("img") == []
