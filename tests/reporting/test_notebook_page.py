"""The page of a notebook: the answer, the notebook as its story, and nothing from elsewhere."""

from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.report.answer import Answer
from miri_background.reporting.report.notebook_page import (
    SECONDS,
    page_of_notebook,
    seconds_by_section,
)
from miri_background.reporting.report.tidy import tidied

NAME = "image2_background"
REASON = "sky rate over its limit of <1> DN/s"
HEADLINE = f"COULD NOT JUDGE (data): {REASON}"
ALT = 'Sky of 14 DN/s, "empty" & < 1 % off'
# A white pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg=="
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
# Attributes by which a page fetches something.
FETCHING = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
}


class Elements(HTMLParser):
    """Collect the elements of a page with their attributes, and its text."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        """Remember an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        """Remember text."""
        self.text.append(data)


@pytest.fixture(scope="module")
def notebook():
    """Return an executed notebook: a progress bar, text and a figure."""
    outputs = [
        new_output("display_data", {WIDGET: {"model_id": "a1"}, "text/plain": "  0%|  | 0/8"}),
        new_output("stream", name="stdout", text="PASSED: 5 < 6"),
        new_output("display_data", {"image/png": PNG}, metadata={"image/png": {"alt": ALT}}),
    ]
    timed = {"papermill": {"duration": 1.5}, "execution": {"iopub.status.busy": "now"}}
    return new_notebook(
        cells=[
            new_markdown_cell("# Question\n\nWords.", metadata=dict(timed)),
            new_code_cell("show()", outputs=outputs, metadata={"tags": ["kept"]} | timed),
        ],
        metadata={
            "widgets": {STATE: {"state": {}}},
            "papermill": {},
            "language_info": {"name": "python"},
        },
    )


def written(notebook, directory):
    """Return the page of a notebook, written to a directory."""
    answer = Answer.without_verdict(Outcome.CANNOT_JUDGE, REASON, Cause.DATA)
    (path,) = page_of_notebook(notebook, NAME, answer).write(directory, f"{NAME}.html")
    return path


@pytest.fixture(scope="module")
def path(notebook, tmp_path_factory):
    """Return the path of its page."""
    return written(tidied(notebook), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def page(path):
    """Return the elements of its page."""
    elements = Elements()
    elements.feed(path.read_text(encoding="utf-8"))
    return elements


def test_page_fetches_only_what_is_beside_it(page, path):
    """Styles and pictures are in a directory of their own, and all of them are there."""
    fetched = [
        attributes[name]
        for tag, attributes in page.elements
        for name in attributes
        if (tag, name) in FETCHING
    ]
    assert fetched
    assert [place for place in fetched if not (path.parent / place).is_file()] == []


def test_page_has_nothing_that_a_strict_server_blocks(page):
    """Neither scripts nor styles of its own."""
    assert [tag for tag, _ in page.elements if tag in ("script", "style")] == []
    assert [tag for tag, attributes in page.elements if "style" in attributes] == []


def test_banner_comes_first(page):
    """How the run ended stands above everything else."""
    text = "".join(page.text)
    assert text.index(HEADLINE) < text.index("Words.")


def test_outputs_are_on_the_page(page):
    """What was printed is there, as text."""
    assert "PASSED: 5 < 6" in "".join(page.text)


def test_picture_has_its_alternative_text(page):
    """A reader who does not see the figure reads what it shows."""
    assert [attributes["alt"] for tag, attributes in page.elements if tag == "img"] == [ALT]


def test_page_has_a_title(page):
    """The browser's tab says what the page is."""
    titles = [page.elements[0][0], *page.text[:40]]
    assert any("Question" in each for each in titles)


def test_page_leaves_the_notebook_alone(notebook, tmp_path):
    """The banner is on the page, not in the notebook."""
    before = nbformat.writes(notebook)
    written(notebook, tmp_path)
    assert nbformat.writes(notebook) == before


def test_progress_bars_are_removed(notebook):
    """Widgets that moved while the notebook ran are of no use afterwards."""
    outputs = tidied(notebook).cells[1].outputs
    assert [output.output_type for output in outputs] == ["stream", "display_data"]


def test_no_trace_of_widgets_is_left(notebook):
    """Their state, which no page needs, is gone as well."""
    assert "widget" not in nbformat.writes(tidied(notebook))


def test_times_are_removed(notebook):
    """Two runs of a notebook do not differ in when its cells ran."""
    tidy = tidied(notebook)
    metadata = [tidy.metadata, *(cell.metadata for cell in tidy.cells)]
    assert not {"papermill", "execution"} & set().union(*metadata)


def test_other_metadata_stays(notebook):
    """Tags of cells and the language are kept."""
    tidy = tidied(notebook)
    assert (tidy.cells[1].metadata.tags, tidy.metadata.language_info.name) == (["kept"], "python")


def test_tidied_notebook_is_valid(notebook):
    """It is still a notebook."""
    assert nbformat.validate(tidied(notebook)) is None


def test_tidying_leaves_the_notebook_alone(notebook):
    """What was given is not changed."""
    before = nbformat.writes(notebook)
    tidied(notebook)
    assert nbformat.writes(notebook) == before


def test_page_shows_the_seconds_of_each_section(tmp_path):
    """Cells count for the section that they stand in; what takes no time is not named."""
    timed = [
        new_markdown_cell("# Question"),
        new_code_cell("1", metadata={"papermill": {"duration": 1.25}}),
        new_code_cell("1", metadata={"papermill": {"duration": 1.25}}),
        new_markdown_cell("Words.\n\n## Simulate & see\n\nMore words."),
        new_code_cell("2", metadata={"papermill": {"duration": 0.5}}),
        new_markdown_cell("## Conclusions"),
        new_code_cell("3", metadata={"papermill": {"duration": 0.001}}),
    ]
    notebook = new_notebook(cells=timed)
    seconds = seconds_by_section(notebook)
    assert seconds == {"Beginning": 2.5, "Simulate & see": 0.5}
    notebook.metadata[SECONDS] = seconds
    page = written(tidied(notebook), tmp_path).read_text(encoding="utf-8")
    assert "Seconds by section, 3 s in all" in page
    assert '<th scope="row">Simulate &amp; see</th><td>0.5 s</td>' in page
