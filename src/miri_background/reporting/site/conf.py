"""Settings of Sphinx for the pages; read by it, not imported."""

import importlib.metadata
from datetime import UTC, datetime
from pathlib import Path

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
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
toc_object_entries = False
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 3
# A page's source has HTML in blocks of its own; elsewhere it is text to be shown.
myst_disable_syntax = ["html_block", "html_inline"]


class Writer(HTML5Translator):
    """Let wide tables and long lines scroll in themselves, and from the keyboard, not the page."""

    def starttag(self, node, tagname, *arguments, **attributes):
        """Return a tag; what has lines that are not broken can get the focus."""
        if isinstance(node, (nodes.literal_block, nodes.doctest_block)):
            attributes["tabindex"] = "0"
        return super().starttag(node, tagname, *arguments, **attributes)

    def visit_table(self, node):
        """Open a box around a table of a document."""
        title = node.next_node(nodes.title)
        self._open_box(title.astext() if title else "Table")
        super().visit_table(node)

    def depart_table(self, node):
        """Close its box."""
        super().depart_table(node)
        self.body.append("</div>")

    def visit_raw(self, node):
        """Write HTML, with a box around tables of notebooks that have none."""
        bare = "<table" in node.astext() and 'class="box"' not in node.astext()
        if bare:
            self._open_box("Table")
        try:
            super().visit_raw(node)
        finally:  # it ends with an exception, so that what is inside is not visited
            if bare:
                self.body.append("</div>")

    def _open_box(self, name):
        """Open a box, the name of which no other on the page has."""
        self._boxes = getattr(self, "_boxes", 0) + 1
        named = {"role": "region", "aria-label": f"{name} ({self._boxes})"}
        self.body.append(self.starttag({}, "div", "", CLASS="box", tabindex="0", **named))


def setup(app):
    """Let Sphinx write pages as above."""
    app.set_translator("html", Writer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
