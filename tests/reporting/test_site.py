"""The site tells what the records tell, its links lead somewhere, and nothing in it runs."""

import inspect
import json
import re
import shutil
from html.parser import HTMLParser
from importlib import import_module
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from miri_background.cli import main
from miri_background.detection.faults.catalogue import FAULTS
from miri_background.detection.kill_matrix import KillMatrix, Kills
from miri_background.outcomes import CannotJudge, Cause, Outcome
from miri_background.rendering import Part, macros, markdown, page_name
from miri_background.reporting.history import load
from miri_background.reporting.site.build import Places, build_site
from miri_background.reporting.site.faults import caught_faults
from miri_background.reporting.site.interface import INTERFACE
from miri_background.reporting.site.notebooks import ENDED, published, section_of_figure
from miri_background.reporting.site.pages import Pages
from miri_background.reporting.site.standing import Run, Standing, kind_of
from miri_background.reporting.site.trends import DARK, history_svg, repainted
from miri_background.validation.measurements import against_truth
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.verdict.limits import criteria, judge
from miri_background.validation.verdict.metrics_file import upgraded

BLOCKS = ("caption", "div", "h1", "h2", "li", "p", "td", "th")  # each stands by itself
LARGEST = 25e6  # bytes of the site of a night
# Attributes by which a page fetches something, or runs it.
FETCHING = {("img", "src"), ("link", "href"), ("script", "src"), ("source", "srcset")}


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.path, self.elements, self.text = path, [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Remember an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in BLOCKS:
            self.text += " "

    def handle_data(self, data):
        """Remember text."""
        self.text += data

    def attributes(self, tag, name):
        """Return the values of an attribute of all elements that have it."""
        return [attrs[name] for each, attrs in self.elements if each == tag and name in attrs]

    @property
    def words(self):
        """The text without line ends."""
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def site(sample_site):
    """Return all pages of the sample site by their place in it."""
    root = sample_site.front.parent
    return {str(path.relative_to(root)): Page(path) for path in sorted(root.rglob("*.html"))}


def standing(root):
    """Return what the history of a root says."""
    return Standing(load(root / "history"))


# ------------------------------------------------------------------ what records say


def test_all_well_since_the_last_failure(add_run, tmp_path):
    """The answer counts the nights from the first one after whatever was wrong."""
    add_run(tmp_path, "a", 0, Outcome.FAILED, reason="off", notebook=False)
    for night in (1, 2, 3):
        add_run(tmp_path, "a", night, notebook=False)
    answer = standing(tmp_path).answer
    assert answer.outcome == Outcome.PASSED.word
    assert "since 21 November 2026 (3 nights in a row)" in answer.sentence


def test_failure_is_told_with_its_first_night(add_run, tmp_path):
    """What fails for two nights is not new."""
    for night, outcome in enumerate((Outcome.PASSED, Outcome.FAILED, Outcome.FAILED)):
        add_run(tmp_path, "a", night, outcome, notebook=False)
        add_run(tmp_path, "b", night, notebook=False)
    answer = standing(tmp_path).answer
    assert answer.outcome == Outcome.FAILED.word
    assert "a failed (since 21 November 2026); 1 of 2 passed" in answer.sentence


def test_failure_is_worse_than_not_judged(add_run, tmp_path):
    """A broken limit is known; of what was not judged, nothing is."""
    reason = "no space"
    add_run(tmp_path, "a", 0, Outcome.CANNOT_JUDGE, Cause.DISK, reason, notebook=False)
    assert standing(tmp_path).answer.sentence.endswith("a could not be judged, for disk (new).")
    add_run(tmp_path, "b", 0, Outcome.FAILED, notebook=False)
    assert standing(tmp_path).answer.outcome == Outcome.FAILED.word


def test_observation_that_was_not_run_is_missed(add_run, tmp_path):
    """A night that broke off is not a good one, though all that it did passed."""
    add_run(tmp_path, "a", 0, notebook=False)
    add_run(tmp_path, "b", 0, notebook=False)
    add_run(tmp_path, "a", 1, notebook=False)
    answer = standing(tmp_path).answer
    assert "b was not run" in answer.sentence
    assert answer.sentence.startswith("Not all is well")


def test_change_is_in_standard_errors(add_run, tmp_path):
    """The difference from the last good run is over the error of the new value."""
    for night in range(2):
        path = add_run(tmp_path, "a", night, notebook=False)
        content = json.loads(path.read_text(encoding="utf-8"))
        # What is the furthest of many is compared in another way.
        metrics = content["verdict"]["metrics"]
        content["verdict"]["metrics"] = [each for each in metrics if each["trials"] == 1]
        path.write_text(json.dumps(content), encoding="utf-8")
    (row,) = (
        each
        for each in standing(tmp_path).kinds(standing(tmp_path).last["a"])
        if each.kind == "statistical"
    )
    worst = row.worst
    for metric in content["verdict"]["metrics"]:
        if (metric["name"], metric["region"], metric["exposure"]) == (
            worst.name,
            worst.region,
            worst.exposure,
        ):
            metric["value"] *= 1 + 0.7 * metric["standard_error"] / abs(metric["value"])
    path.write_text(json.dumps(content), encoding="utf-8")
    said = standing(tmp_path)
    changes = {row.kind: row.change for row in said.kinds(said.last["a"])}
    assert changes["exact"] == "unchanged"
    assert changes["statistical"] == f"{np.sign(worst.value) * 0.7:+.1f} std. err."


def test_verdict_of_an_earlier_layout_is_read(add_run, tmp_path):
    """A record that says only what its schema asks for still has its metrics."""
    path = add_run(tmp_path, "a", 0, notebook=False)
    content = json.loads(path.read_text(encoding="utf-8"))
    verdict = content["verdict"]
    needed = ("name", "region", "exposure", "value", "unit", "standard_error", "limit", "status")
    verdict["metrics"] = [{name: each[name] for name in needed} for each in verdict["metrics"]]
    del verdict["behaviours"], verdict["advisories"]
    path.write_text(json.dumps(content), encoding="utf-8")
    (run,) = standing(tmp_path).runs
    assert len(run.verdict.metrics) == len(verdict["metrics"])


def test_page_of_a_run_says_what_is_wrong_and_what_was_not_judged(add_run, tmp_path):
    """Details of metrics and reasons stand beside the names; nothing is said of nothing."""
    path = add_run(tmp_path, "a", 0, notebook=False)

    def page():
        """Return the page of the run."""
        said = standing(tmp_path)
        return Pages(said, Places(said, tmp_path / "history")).run(said.runs[0])

    assert "Not judged" not in page()
    content = json.loads(path.read_text(encoding="utf-8"))
    content["verdict"] = upgraded(content["verdict"])
    content["verdict"]["metrics"][0]["detail"] = "a_bsub.fits is wrong"
    left_out = [{"name": "star flux", "where": "", "reason": "there is no truth"}]
    content["verdict"]["not_judged"] = left_out
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "a_bsub.fits is wrong" in page()
    assert "there is no truth" in page().partition("## Not judged")[2]


def test_kinds_are_those_that_the_truth_is_needed_for():
    """The criteria that are said to need the truth are those that are measured against it."""
    source = inspect.getsource(against_truth.truth_measurements)
    source += inspect.getsource(against_truth.reported_variances)
    source += inspect.getsource(against_truth.background_levels)
    source += inspect.getsource(against_truth.star_leak)
    source += inspect.getsource(against_truth.source_fluxes)
    by_name = criteria()["criteria"]
    measured = {name for name in by_name if f'"{name}"' in source}
    assert {name for name in by_name if by_name[name].get("needs") == "truth"} == measured


def test_kinds_of_metrics_are_all_there(passed_verdict):
    """A run with truth has metrics of each kind."""
    (run,) = [Run(_record(passed_verdict))]
    assert {kind_of(metric) for metric in run.verdict.metrics} == {
        "exact",
        "statistical",
        "against truth",
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mosaic members", "exact"), ("mosaic sky", "against truth"), ("mosaic error", "statistical")],
)
def test_metrics_of_the_mosaic_have_kinds_of_their_own_criteria(name, kind):
    """Not only those of the exposures are known."""
    (metric,) = judge([Measurement(name, "whole array", None, 0.0, 0.1)], "mosaic")
    assert kind_of(metric) == kind


def _record(verdict):
    """Return a record that has a verdict and nothing else."""
    return type("Record", (), {"verdict": verdict})()


# ------------------------------------------------------------------ the kill matrix


def test_kill_matrix_is_of_the_faults_and_criteria_that_there_are(repository):
    """After a change of either, `miri-background faults --output docs` writes it anew."""
    content = json.loads((repository / "docs" / "kill_matrix.json").read_text(encoding="utf-8"))
    assert {row["fault"] for row in content["rows"]} - {"nothing"} == set(FAULTS)
    assert content["criteria"] == KillMatrix([]).criteria


def test_kill_matrix_is_that_of_the_notebook(repository):
    """What pages say of faults, the notebook on them says as well."""
    content = json.loads((repository / "docs" / "kill_matrix.json").read_text(encoding="utf-8"))
    names = set(Kills.__dataclass_fields__)
    rows = [Kills(**{name: row[name] for name in names}) for row in content["rows"]]
    notebook = (repository / "notebooks" / "detection_power.ipynb").read_text(encoding="utf-8")
    assert KillMatrix(rows).counts().splitlines()[0] in notebook


def test_every_criterion_has_its_faults_the_own_ones_first():
    """A page tells first what would be missed without its criterion."""
    caught = caught_faults()
    firsts = {name: [fault.first for fault in faults] for name, faults in caught.items()}
    assert all(order == sorted(order, reverse=True) for order in firsts.values())
    assert "median" in [fault.name for fault in caught["combined value"]]


def test_damaged_kill_matrix_is_named(tmp_path):
    """One sentence says which file, and how to make it."""
    path = tmp_path / "kill_matrix.json"
    path.write_text('{"criteria": []')
    with pytest.raises(CannotJudge, match=r"kill_matrix\.json cannot be read .* faults --output"):
        caught_faults(path)


# ------------------------------------------------------------------ sources of pages


def test_markdown_is_text():
    """Whatever has a meaning in Markdown has none in what is told."""
    told = markdown("*a* `b`\n<c> [d](e) | {f}")
    assert told == r"\*a\* \`b\` \<c\> \[d\]\(e\) \| \{f\}"


def table(*rows, **options):
    """Return a table of two columns."""
    return macros().table("of <all>", ("a & b", "status"), rows, **options)


def test_table_escapes_words_and_keeps_badges():
    """A reason is no markup; a badge is."""
    source = table(("<script>", Part(outcome="passed")))
    assert "<caption>of &lt;all&gt;</caption>" in source
    assert '<th scope="row">&lt;script&gt;</th>' in source
    assert "✓</span> passed</span></td>" in source


def test_numbers_of_a_table_are_on_the_right():
    """Head and cells of their column, and no other."""
    assert table(("a", 1), numbers=(1,)).count('class="number"') == 2


def test_last_cell_of_a_short_row_takes_the_rest_of_it():
    """A reason that is all there is to say has room."""
    source = macros().table("of all", ("a", "b", "c"), [("a", "reason")])
    assert '<td colspan="2"><span class="reason">reason</span></td>' in source


def test_table_without_rows_is_not_there():
    """Nothing is said of nothing."""
    assert table().strip() == ""


@pytest.mark.parametrize("word", [outcome.word for outcome in Outcome])
def test_badge_has_symbol_and_word(word):
    """No meaning by colour alone."""
    assert re.fullmatch(
        rf'<span class="badge \w+"><span aria-hidden="true">.</span> {word}</span>',
        macros().badge(word),
    )


def notebook(*outputs, source="show()"):
    """Return a notebook of a title and a cell with outputs."""
    cells = [
        new_markdown_cell("# Title\n\nWords, [closure](simulator_closure.ipynb)."),
        new_markdown_cell("## Section"),
        new_code_cell(source, outputs=list(outputs)),
    ]
    return new_notebook(cells=cells)


def test_styled_output_becomes_text():
    """What a strict page would show without its looks is shown as the text that comes with it."""
    data = {"text/html": '<p style="color: red">a</p>', "text/plain": "a"}
    page = published(notebook(new_output("display_data", data)), "new")
    assert page.cells[-1].outputs[0].data == {"text/plain": "a"}


def test_plain_table_stays():
    """Tables of the suite's own have no style."""
    data = {"text/html": "<table><tr><td>a</td></tr></table>", "text/plain": "a"}
    page = published(notebook(new_output("display_data", data)), "new")
    assert "text/html" in page.cells[-1].outputs[0].data


def test_description_of_a_picture_is_kept():
    """The alternative text is where the page's maker looks for it."""
    output = new_output(
        "display_data", {"image/png": "AA=="}, metadata={"image/png": {"alt": "a star"}}
    )
    page = published(notebook(output), "new")
    assert page.cells[-1].metadata["mystnb"]["image"]["alt"] == "a star"


def test_end_of_a_broken_run_can_be_linked_to():
    """The page of a run that broke off leads to the cell."""
    error = new_output("error", ename="E", evalue="e", traceback=["e"])
    page = published(notebook(error), "new")
    assert f'id="{ENDED}"' in page.cells[-2].source


def test_notice_of_papermill_is_left_out():
    """It has colours of its own, and says what the banner says."""
    told = notebook()
    told.cells.insert(0, new_markdown_cell("x", metadata={"tags": ["papermill-error-cell-tag"]}))
    page = published(told, "new", "banner")
    assert page.cells[0].source == "# new\n\nbanner"
    assert page.cells[1].source.startswith("\nWords")


def test_links_between_notebooks_move_with_the_page():
    """A notebook that is shown elsewhere still finds its neighbours."""
    page = published(notebook(), "new", moved={"simulator_closure.ipynb": "../x.ipynb"})
    assert "[closure](../x.ipynb)" in page.cells[1].source


def test_section_of_a_figure_is_found():
    """A metric's page leads to the section that shows its figure."""
    shown = notebook(source='show("figures" / "residuals.png")')
    assert section_of_figure(shown, "residuals") == "Section"
    assert section_of_figure(shown, "leak") == ""


# ------------------------------------------------------------------ pictures


@pytest.fixture(scope="module")
def picture(nights):
    """Return the history of the residual as SVG."""
    said = standing(nights)
    return history_svg("residual", "DN/s", {name: said.of(name) for name in ("f770w", "f1500w")})


def test_picture_needs_no_style(picture):
    """Its looks are in attributes, which are let through everywhere."""
    assert "style" not in picture
    assert 'stroke-linejoin="round"' in picture


def test_failed_run_has_another_shape(picture):
    """A value over its limit is told by more than its colour."""
    shapes = dict(re.findall(r'<path id="(\w+)" d="([^"]+)"', picture))
    used = re.findall(r'<use xlink:href="#(\w+)"[^>]*fill="(#\w+)"', picture)
    of = {colour: {shapes[name] for name, each in used if each == colour} for _, colour in used}
    assert of["#b3261e"]
    assert of["#b3261e"].isdisjoint(of["#0a5a9c"])


def test_dark_picture_has_no_light_colour(picture):
    """On a dark page nothing is drawn in the colours of a light one."""
    painted = repainted(picture)
    assert [colour for colour in DARK if colour in painted] == []
    assert all(colour in picture for colour in DARK)


# ------------------------------------------------------------------ building


def test_directory_of_others_is_refused(tmp_path):
    """A directory that is no site is not replaced."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CannotJudge, match="has files that are not of a site"):
        build_site(tmp_path / "history", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_place_that_cannot_be_written_is_told(tmp_path):
    """No traceback where a sentence says it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotJudge, match="cannot be written"):
        build_site(tmp_path / "history", tmp_path / "file" / "site")


@pytest.mark.parametrize("history", ["nowhere", "damaged"])
def test_history_without_any_run_to_read_makes_no_pages(history, tmp_path, capsys):
    """A name that is mistyped does not replace the pages by those of an empty history."""
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.json").write_text("{")
    arguments = [f"--history={tmp_path / history}", f"--output={tmp_path / 'site'}"]
    assert main(["site", *arguments]) == Outcome.CANNOT_JUDGE.exit_code
    assert str(tmp_path / history) in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


@pytest.mark.slow
def test_former_site_survives_a_build_that_fails(sample_site, tmp_path, capsys, monkeypatch):
    """Whatever goes wrong, the pages of yesterday are there; what goes well replaces them.

    A link to them stays a link.
    """
    output = tmp_path / "site"
    (tmp_path / "history").mkdir()
    shutil.copytree(sample_site.front.parent, tmp_path / "pages")
    output.symlink_to("pages")
    before = (output / "index.html").read_text(encoding="utf-8")
    arguments = ["site", f"--history={tmp_path / 'history'}", f"--output={output}"]
    with monkeypatch.context() as patched:
        patched.setattr("sys.executable", "/bin/false")
        assert main(arguments) == Outcome.CANNOT_JUDGE.exit_code
    assert "is left as it was" in capsys.readouterr().err
    assert (output / "index.html").read_text(encoding="utf-8") == before
    assert main(arguments) == 0
    assert "Nothing was run yet" in capsys.readouterr().out
    assert output.is_symlink()
    assert not (tmp_path / "pages" / "observations").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"site", "pages", "history"}


# ------------------------------------------------------------------ the built site


@pytest.mark.slow
def test_sphinx_has_nothing_to_say(sample_site):
    """No link without target, no page without place, no picture without file."""
    assert sample_site.warnings == ""


@pytest.mark.slow
def test_every_link_and_picture_is_there(site, sample_site):
    """From a file:// path as well: files and the anchors in them."""
    root = sample_site.front.parent
    ids = {
        path: {attrs["id"] for _, attrs in page.elements if "id" in attrs}
        for path, page in site.items()
    }
    missing = []
    for path, page in site.items():
        targets = [
            attrs[name]
            for tag, attrs in page.elements
            for name in ("href", "src")
            if name in attrs and not urlsplit(attrs[name]).scheme
        ]
        for target in targets:
            split = urlsplit(target)
            file = (root / path).parent / unquote(split.path) if split.path else root / path
            inside = str(file.resolve().relative_to(root.resolve()))
            anchor = unquote(split.fragment)
            if not file.is_file() or (anchor and anchor not in ids.get(inside, ())):
                missing.append((path, target))
    assert missing == []


@pytest.mark.slow
def test_nothing_runs_and_nothing_is_styled_in_pages(site):
    """What the default policy of Jenkins would stop is in no page but that of the search."""
    found = []
    for path, page in site.items():
        for tag, attrs in page.elements:
            handlers = [name for name in attrs if name == "style" or name.startswith("on")]
            if handlers or tag == "style" or (tag == "script" and path != "search.html"):
                found.append((path, tag, attrs))
    assert found == []


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site):
    """Neither from other hosts nor out of the page itself."""
    fetched = {
        value
        for page in site.values()
        for tag, name in FETCHING
        for value in page.attributes(tag, name)
    }
    assert [each for each in fetched if urlsplit(each).scheme or each.startswith("//")] == []


@pytest.mark.slow
def test_every_picture_is_described(site):
    """Also in notebooks, where the description comes with the output."""
    bare = [
        path
        for path, page in site.items()
        for tag, attrs in page.elements
        if tag == "img" and not attrs.get("alt")
    ]
    assert bare == []
    assert len(site["observations/f770w.html"].attributes("img", "alt")) > 5


@pytest.mark.slow
def test_front_page_agrees_with_the_records(site, nights):
    """The sentence on top and the rows below say what the history says."""
    words = site["index.html"].words
    assert standing(nights).answer.sentence in words
    for told in (
        "f1500w failed (new)",
        "rateints could not be judged, for references (since 21 November 2026)",
        "not-run was not run",
        "2 of 5 passed",
        "f1500w statistical ✗ failed residual",
        "f1500w exact ✓ passed",
        "rateints all ? could not judge references: jwst_miri_flat_9001.fits is missing",
        "20261120T000000Z-cut-00000000.json is not a whole record",
    ):
        assert told in words


@pytest.mark.slow
def test_programs_read_what_people_do(site, sample_site):
    """The state beside the front page is that on it."""
    status = json.loads((sample_site.front.parent / "status.json").read_text())
    assert status["sentence"] == sample_site.answer.sentence
    assert status["sentence"] in site["index.html"].words


@pytest.mark.slow
def test_reason_is_shown_as_it_was_said(site):
    """With every sign that has a meaning in a page's source, and none of them in force."""
    told = "residual: 0.03 DN/s <script>alert(1)</script> | *no* code [x](javascript:1) {role}y"
    run = next(
        path
        for path in site
        if path.startswith("runs/") and "20261122" in path and "f1500w" in path
    )
    for path in ("observations/f1500w.html", run):
        assert told in site[path].words
        assert not any("javascript" in href for href in site[path].attributes("a", "href"))


@pytest.mark.slow
def test_failing_page_leads_to_the_last_good_run(site):
    """Which keeps its own page, with its notebook."""
    for name in ("f1500w", "rateints"):
        links = site[f"observations/{name}.html"].attributes("a", "href")
        assert f"../observations/{name}.last-good.html" in links
        assert site[f"observations/{name}.last-good.html"].attributes("img", "alt")
    assert f"#{ENDED}" in site["observations/f1500w.html"].attributes("a", "href")


@pytest.mark.slow
def test_run_without_notebook_has_its_page(site):
    """Cause and reason are told where the notebook would be; so is that a directory is gone."""
    words = site["observations/rateints.html"].words
    assert "Cause: references" in words
    assert "There is no executed notebook" in words
    assert "There is no executed notebook" in site["observations/gone.html"].words
    assert "gone statistical ✓ passed" in site["index.html"].words


@pytest.mark.slow
def test_every_criterion_has_a_page_with_picture_and_faults(site):
    """What it is, how to read it, its history as a picture and as numbers, and what it catches."""
    caught = caught_faults()
    for name in criteria()["criteria"]:
        page = site[f"metrics/{page_name(name)}.html"]
        for heading in ("How to read it", "History", "Faults that it catches"):
            assert heading in page.words
        assert all(fault.description in page.words for fault in caught[name][:1])
    residual = site["metrics/residual.html"]
    assert "2026-11-22 02:06 f1500w ✗ failed" in residual.words
    assert residual.words.count("✗ failed") == 1
    assert [src for src in residual.attributes("img", "src") if src.endswith("residual-dark.svg")]


@pytest.mark.slow
def test_run_page_has_what_the_result_depends_on(site, passed_verdict):
    """Versions, context, inputs with checksums, seed, host."""
    run = next(path for path in site if path.startswith("runs/") and "f770w" in path)
    told = passed_verdict["provenance"]
    words = site[run].words
    for value in (
        *told["versions"].values(),
        *told["inputs"].values(),
        told["crds_context"],
        told["host"],
        str(told["observation"]["seed"]),
    ):
        assert value in words


@pytest.mark.slow
def test_search_knows_what_pages_say(sample_site):
    """The index has the words of documents and notebooks."""
    index = (sample_site.front.parent / "searchindex.js").read_text(encoding="utf-8")
    for word in ("cruciform", "residu", "background"):
        assert word in index


@pytest.mark.slow
def test_interface_has_every_public_name(sample_site):
    """Of each module that the page names, from its docstrings."""
    html = (sample_site.front.parent / "interface.html").read_text(encoding="utf-8")
    named = set(re.findall(r'<dt class="sig[^>]* id="([^"]+)"', html))
    for module in (name for modules in INTERFACE.values() for name in modules):
        public = import_module(module).__all__
        documented = [name for name in public if callable(getattr(import_module(module), name))]
        assert {f"{module}.{name}" for name in documented} <= named


@pytest.mark.slow
def test_site_is_small(sample_site):
    """A night fits on a server that keeps many of them."""
    files = [path for path in sample_site.front.parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST


@pytest.mark.slow
def test_notebook_of_the_run_directory_is_the_one_shown(site, nights):
    """Not the committed one: the page has the text of the run's own error."""
    (path,) = nights.glob("runs/nights/20261122*/f1500w/image2_background.ipynb")
    assert nbformat.read(path, as_version=4).cells[-1].outputs[0].output_type == "error"
    assert "The run ended in the cell below." in site["observations/f1500w.html"].words
    assert "The run ended in the cell below." not in site["observations/f770w.html"].words
