"""An executed notebook as the story of a page: prose, folded code, outputs, pictures in files."""

import re
from base64 import b64decode

from markupsafe import Markup
from nbconvert.filters import markdown2html, strip_ansi

from miri_background.rendering import render
from miri_background.reporting.site.notebooks import NOT_PLAIN, NOTICE

__all__ = ["story_of"]

ANSWER = "answer"  # tag of the cell that shows it in a notebook

_HEAD = re.compile(r"<(/?)h([1-5])\b")
_TITLE = re.compile(r"\A\s*# +.+?\n")
_SECTION = re.compile(r"^## +(.+?) *$", re.MULTILINE)
_ANCHOR = re.compile(r'<h3 id="([^"]*)">')
_LINK = re.compile(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>')


def story_of(notebook, assets):
    """Return an executed notebook as HTML, and the pictures that it shows.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed and tidied.
    assets : str
        Name of the directory of its pictures, seen from the page.

    Returns
    -------
    story : markupsafe.Markup
        Without scripts, styles or anything from elsewhere.
    files : dict of bytes
        Pictures by the names of their files.
    title : str
        Of the notebook, empty if it has none.
    """
    files, cells, sections, title = {}, [], [], ""
    for cell in notebook.cells:
        # The answer stands above the story.
        if {NOTICE, ANSWER} & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            source = cell.source
            if not cells and (found := _TITLE.match(source)):
                title, source = found[0].strip("# \n"), source[found.end() :]
            html = _markdown(source)
            sections += zip(_ANCHOR.findall(html), _SECTION.findall(source), strict=False)
            cells.append({"kind": "prose", "html": Markup(html)})  # noqa: S704 - our own words
        elif cell.cell_type == "code":
            outputs = [_output(each, files) for each in cell.outputs]
            shown = [each for each in outputs if each]
            cells.append({"kind": "code", "source": cell.source, "outputs": shown})
    html = render("report/story_of_notebook.html.j2", cells=cells, sections=sections, assets=assets)
    return Markup(html), files, title  # noqa: S704 - the template has escaped what it was given


def _markdown(source):
    """Return Markdown as HTML with heads a level lower: the page has a title of its own."""
    html = markdown2html(source)
    html = _HEAD.sub(lambda found: f"<{found[1]}h{int(found[2]) + 1}", html)
    # Documents and other notebooks of the suite are not beside the page.
    return _LINK.sub(r"\1", html)


def _output(output, files):
    """Return an output as the template shows it, None if there is nothing to show."""
    if output.output_type == "stream":
        return {"kind": "printed", "text": strip_ansi(output.text).rstrip()}
    if output.output_type == "error":
        text = strip_ansi("\n".join(output.traceback)) or f"{output.ename}: {output.evalue}"
        return {"kind": "problem", "text": text}
    data = output.get("data", {})
    if "image/png" in data:
        name = f"story_{len(files) + 1:02d}.png"
        files[name] = b64decode(data["image/png"])
        alt = output.metadata.get("image/png", {}).get("alt") or data.get("text/plain", "")
        return {"kind": "picture", "file": name, "alt": alt}
    html = "".join(data.get("text/html", ""))
    if html and not NOT_PLAIN.search(html):
        return {"kind": "html", "html": Markup(html)}  # noqa: S704 - has nothing that is active
    text = "".join(data.get("text/plain", ""))
    return {"kind": "printed", "text": text} if text else None
