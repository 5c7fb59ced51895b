"""Two results side by side: what changed is said first, and nothing else is."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from miri_background.cli import main
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.reporting.comparison import page as module
from miri_background.reporting.comparison.images import compared_products
from miri_background.reporting.comparison.page import Comparison, comparison_of
from miri_background.reporting.comparison.sides import side_of
from miri_background.reporting.comparison.strips import strip
from miri_background.reporting.history import Record, append
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.products.images import DO_NOT_USE
from miri_background.validation.verdict.limits import judge

ROW, COLUMN, STEP = 30, 40, 0.5  # a pixel, and by how much it is made brighter, DN/s


def judged(directory):
    """Judge products, and return their directory."""
    assert main(["check", str(directory), "--no-page"]) in (0, 1)
    return directory


@pytest.fixture
def pair(stage2, tmp_path, rewrite):
    """Return products that were judged, and a copy that can be changed and judged again."""
    for name in ("science_bsub.fits", "science_combinedbackground.fits"):
        rewrite(stage2 / name, partial(sign, name))
    other = tmp_path / "other"
    shutil.copytree(stage2, other)
    return judged(stage2), other


def sign(name, hdus):
    """Give a product the cards that every build writes."""
    hdus[0].header.update({"FILENAME": name, "DATAMODL": "ImageModel"})


def brighten(hdus):
    """Make one pixel brighter."""
    hdus["SCI"].data[ROW, COLUMN] += STEP


def compared(*directories):
    """Return the comparison of two directories."""
    return comparison_of(*(side_of(str(each)) for each in directories))


def with_metrics(side, **values):
    """Return a result of which some criteria have other values, judged anew."""
    measurements = [
        Measurement(name, WHOLE_ARRAY, None, value, 1.0) for name, value in values.items()
    ]
    verdict = side.verdict
    changed = type(verdict)(judge(measurements), verdict.provenance, verdict.behaviours)
    return replace(side, verdict=changed)


# ------------------------------------------------------------------ what changed


def test_same_products_have_not_changed(pair):
    """Neither metrics nor pixels, and no difference is drawn."""
    first, second = pair
    comparison = compared(first, judged(second))
    assert comparison.drift.metrics == ()
    assert "Nothing changed" in comparison.sentence()
    for images in comparison.products.images:
        assert images.sentence.endswith("are the same, bit for bit.")
        assert [words for words, _ in images.frames] == ["first", "second"]
    assert comparison.products.headers == []


def test_one_pixel_is_found(pair, rewrite):
    """Which one, by how much, and that nothing else differs."""
    first, second = pair
    rewrite(second / "science_bsub.fits", brighten)
    comparison = compared(first, judged(second))
    combined, subtracted = comparison.products.images
    assert combined.sentence.endswith("are the same, bit for bit.")
    assert subtracted.sentence.startswith("1 of ")
    assert f"most by +{STEP} DN/s, at x, y = {COLUMN}, {ROW}." in subtracted.sentence
    assert [words for words, _ in subtracted.frames] == ["first", "second", "difference"]
    assert comparison.outcome is Outcome.FAILED
    assert {each.name for each in comparison.newly_broken} >= {"subtraction"}
    assert "that the first does not: subtraction" in comparison.sentence()


def test_pixels_of_one_only_are_counted(pair, rewrite):
    """A pixel that is flagged in one of them is not compared, and not left out silently."""

    def flag(hdus):
        hdus["DQ"].data[ROW, COLUMN : COLUMN + 2] |= DO_NOT_USE

    first, second = pair
    rewrite(second / "science_bsub.fits", flag)
    subtracted = compared(first, judged(second)).products.images[1]
    assert subtracted.sentence.endswith("bit for bit. 2 pixels can be used in one of them only.")


@pytest.mark.parametrize(
    ("old", "new", "outcome", "words"),
    [
        (0.0, 0.0, Outcome.PASSED, "Nothing changed"),
        (0.0, 1.0, Outcome.DRIFTED, "1 metric changed, none beyond a limit: most residual"),
        (0.0, 9.0, Outcome.FAILED, "breaks 1 limit that the first does not: residual"),
        (9.0, 9.0, Outcome.FAILED, "breaks 1 limit, and the first breaks the same: residual"),
        (8.0, 9.0, Outcome.FAILED, "the first breaks the same, and 1 metric changed: residual"),
        (9.0, 0.0, Outcome.DRIFTED, "keeps all limits, and the first broke 1 of them"),
    ],
)
def test_answer_is_what_is_new(old, new, outcome, words, pair):
    """A limit that only the second breaks is not mixed up with one that both break."""
    side = side_of(str(pair[0]))
    sides = [with_metrics(side, residual=value) for value in (old, new)]
    drift = module.compare(sides[1].verdict, sides[0].verdict, "first")
    comparison = Comparison(*sides, drift, compared_products(side, replace(side, products=None)))
    assert comparison.outcome is outcome
    assert words in comparison.sentence()


def test_products_that_are_gone_are_named(pair):
    """Metrics are compared all the same."""
    side = side_of(str(pair[0]))
    found = compared_products(side, replace(side, name="the other", products=None))
    assert found.reason == "There are no products of the other to compare."
    assert found.images == []


def test_headers_that_differ_are_shown(pair, rewrite):
    """Keyword and both values."""

    def rename(hdus):
        hdus[0].header["TARGNAME"] = "another"

    first, second = pair
    rewrite(second / "science_bsub.fits", rename)
    (card,) = compared(first, judged(second)).products.headers
    assert (card[0], card[2]) == ("TARGNAME", "another")


def test_setup_shows_only_what_differs(pair):
    """A version that is another one, and no other line."""
    first = side_of(str(pair[0])).verdict.provenance
    second = json.loads(json.dumps(first))
    second["versions"]["numpy"] = "0.1"
    assert module._setup_rows(first, first) == []
    assert module._setup_rows(first, second) == [("numpy", first["versions"]["numpy"], "0.1")]


# ------------------------------------------------------------------ strips


def metric(value):
    """Return a residual of one value."""
    return judge([Measurement("residual", WHOLE_ARRAY, None, value, 1.0)])[0]


def test_strip_shows_values_within_the_limit():
    """Zero is in the middle, and a value at its limit at the end of the band."""
    limit = metric(0.0).limit
    drawn = strip(metric(0.0), metric(limit))
    assert 'cx="100.0"' in drawn
    band_end = 100 + 100 / 1.6
    assert f'cx="{band_end:.1f}"' in drawn
    assert "beyond" not in drawn


def test_strip_keeps_what_is_far_off_at_its_end():
    """A value of many limits is marked, and stays in the drawing."""
    drawn = strip(metric(0.0), metric(1e6))
    assert 'class="second beyond"' in drawn
    assert 'cx="200.0"' in drawn


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_strip_of_no_number_is_empty(value):
    """There is no place for it."""
    assert strip(None, metric(value)) == ""


# ------------------------------------------------------------------ what is named


def test_metrics_file_is_the_result(pair):
    """The file and its directory are the same result."""
    directory = pair[0]
    by_file = side_of(str(directory / "metrics.json"))
    by_directory = side_of(str(directory))
    assert by_file.verdict.content() == by_directory.verdict.content()
    assert by_file.products.samefile(directory)


def test_baseline_is_named_by_its_beginning(baseline_file):
    """The only one that begins so."""
    path = baseline_file
    for named in (str(path), path.name, path.stem, "jwst-3"):
        side = side_of(named)
        assert (side.build, side.products) == ("3.0.0", None)


def test_run_of_the_history_is_named_by_its_id(pair, tmp_path):
    """Its metrics are in the history, also where its directory is gone."""
    content = side_of(str(pair[0])).verdict.content()
    times = ("2026-11-23T01:02:18+00:00", 1.0, "passed")
    append(Record("f770w", "n", "", *times, "", "", "gone", content), tmp_path / "history")
    side = side_of("20261123", tmp_path / "history")
    assert side.name.startswith("20261123T010218Z-f770w-")
    assert side.products is None


def test_nothing_of_that_name_is_a_sentence(tmp_path):
    """What can be named is said."""
    with pytest.raises(CannotJudge, match="no directory of a run or a check, no metrics"):
        side_of("nonsense", tmp_path)


def test_directory_without_a_verdict_is_a_sentence(stage2):
    """It is said how to get one."""
    with pytest.raises(CannotJudge, match=r"has no metrics\.json: .* check"):
        side_of(str(stage2))


# ------------------------------------------------------------------ the page


def test_command_writes_one_page(pair, rewrite, tmp_path, capsys):
    """It needs nothing from elsewhere; the code is that of the answer."""
    first, second = pair
    rewrite(second / "science_bsub.fits", brighten)
    judged(second)
    page = tmp_path / "page.html"
    capsys.readouterr()
    assert main(["compare", str(first), str(second), "--output", str(page)]) == 1
    said = capsys.readouterr().out
    assert "FAILED: The second breaks " in said
    assert f"Written: {page}\n" in said
    html = page.read_text()
    assert html.count("data:image/png;base64,") == 5
    assert "http" not in html.replace("http-equiv", "")
    assert list(tmp_path.glob("page*")) == [page]


def test_page_is_replaced_unless_somebody_changed_it(pair, tmp_path):
    """An own page only: a changed one, and a file of others, stay as they are."""
    page = tmp_path / "page.html"
    command = ["compare", str(pair[0]), str(pair[0]), "--output", str(page)]
    assert [main(command), main(command)] == [0, 0]
    for content in (page.read_text().replace("MIRI", "mine", 1), "something else"):
        page.write_text(content)
        assert main(command) == 2
        assert page.read_text() == content
