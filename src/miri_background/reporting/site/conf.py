"""Settings of Sphinx for the pages; read by it, not imported."""

import importlib.metadata
import re
from datetime import UTC, datetime
from pathlib import Path

extensions = ["myst_nb"]
project = "MIRI background validation"
release = importlib.metadata.version("miri-background-validation")
html_title = project
html_theme = "theme"
html_theme_path = [str(Path(__file__).parent)]
html_context = {"built": f"{datetime.now(UTC):%Y-%m-%d %H:%M}"}
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_permalinks = False
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 3
# A page's source has HTML in blocks of its own; elsewhere it is text to be shown.
myst_disable_syntax = ["html_block", "html_inline"]

_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_CAPTION = re.compile(r"<caption[^>]*>(.*?)</caption>", re.DOTALL)
_TAGS = re.compile(r"<[^>]+>")
_BOX = '<div class="box" tabindex="0" role="region" aria-label="{}">{}</div>'


def _boxed(number, table):
    """Return a table in a box that scrolls by itself, and can be scrolled from the keyboard."""
    caption = _CAPTION.search(table)
    name = _TAGS.sub("", caption[1]).strip().replace('"', "&quot;") if caption else "Table"
    return _BOX.format(f"{name} ({number})", table)


def _make_scrollable(_app, _page, _template, context, _doctree):
    """Let wide tables and long lines scroll in themselves, not the page."""
    body = context.get("body", "")
    numbers = iter(range(1, body.count("<table") + 1))
    body = _TABLE.sub(lambda found: _boxed(next(numbers), found[0]), body)
    context["body"] = body.replace("<pre>", '<pre tabindex="0">')


def setup(app):
    """Connect what is done to each page."""
    app.connect("html-page-context", _make_scrollable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
