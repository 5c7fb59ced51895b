"""From a history to a site: sources, Sphinx, and the new pages in the place of the old."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import nbformat
from nbformat.reader import NotJSONError

from miri_background.files import checksum
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.places import writable
from miri_background.reading import read_text
from miri_background.rendering import markdown, page_name, render
from miri_background.reporting.history import load, require_history
from miri_background.reporting.site.faults import caught_faults
from miri_background.reporting.site.interface import INTERFACE, TITLE
from miri_background.reporting.site.machine import machine_files
from miri_background.reporting.site.notebooks import published, section_of_figure, title_of
from miri_background.reporting.site.pages import Pages
from miri_background.reporting.site.run_files import RunFiles
from miri_background.reporting.site.standing import Standing
from miri_background.reporting.site.trends import history_svg, repainted
from miri_background.repository import repository_file
from miri_background.validation.verdict.limits import criteria_of_validation

__all__ = ["Places", "Site", "build_site", "require_replaceable"]

_NIGHTS = 14  # of which each run has a page
_RUNS = 40  # of each observation in the history of a metric
_MARK = ".miri-background-site"  # has the checksums of all other files of a site
_LARGEST = 1_000_000  # bytes of a file that is offered for download
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s:]+)(#[^)]*)?\)")
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_PAGES = {("docs", ".md"), ("notebooks", ".ipynb")}  # what is a page, not a file
_ATTEMPTS = 10  # to put a site in its place beside others who do so


@dataclass(frozen=True)
class Site:
    """A site that was built.

    Parameters
    ----------
    front : pathlib.Path
        Its front page.
    answer : Answer
        What the front page says.
    warnings : str
        What Sphinx had to say, a line each; empty if nothing.
    """

    front: Path
    answer: object
    warnings: str


class Places:
    """Which pages a site has, and where.

    Parameters
    ----------
    standing : Standing
        What the history says.
    history : path-like
        Directory of the history, to which run directories are relative.
    """

    def __init__(self, standing, history):
        self._standing = standing
        self._history = history
        self._notebooks = {}

    @cached_property
    def runs(self):
        """The runs that have a page of their own, in order of time."""
        chosen = {
            run.record.id: run
            for night in islice(self._standing.nights.values(), _NIGHTS)
            for run in night.values()
        }
        chosen |= {run.record.id: run for run in self.observed}
        # Pages of runs that did not pass lead to the last good ones before them.
        amiss = [run for run in chosen.values() if not run.good]
        good = [self._standing.last_good(run.record.name, run) for run in amiss]
        chosen |= {run.record.id: run for run in good if run is not None}
        return sorted(chosen.values(), key=lambda run: run.started)

    @cached_property
    def observed(self):
        """The runs whose notebook, or what is left of it, has a page."""
        runs = []
        for name, run in self._standing.last.items():
            good = None
            if run is None or not run.good:
                good = self._standing.last_good(name, run)
            runs += [each for each in (run, good) if each is not None]
        return runs

    @cached_property
    def _observations(self):
        """The page of each notebook, as Sphinx calls it, by the id of the run."""
        # The names of observations have no dots.
        return {
            run.record.id: f"observations/{run.record.name}"
            + ("" if run is self._standing.last[run.record.name] else ".last-good")
            for run in self.observed
        }

    @property
    def observations(self):
        """The pages of notebooks, as Sphinx calls them."""
        return list(self._observations.values())

    def run(self, run):
        """Return the page of a run, empty if it has none."""
        known = any(each is run for each in self.runs)
        return f"runs/{page_name(run.record.id)}.html" if known else ""

    def observation(self, run):
        """Return the page of a run's notebook, empty if it has none."""
        page = self._observations.get(run.record.id)
        return f"{page}.html" if page else ""

    def verdict(self, run):
        """Return the place of the verdict on the page of a run's notebook."""
        notebook = self.notebook(run)
        there = notebook is not None and any(
            re.search(r"^## Verdict *$", cell.source, re.MULTILINE) for cell in notebook.cells
        )
        return f"{self.observation(run)}{'#verdict' if there else ''}"

    def notebook(self, run):
        """Return the executed notebook of a run, None if it is gone or cannot be read."""
        key = run.record.id
        if key not in self._notebooks:
            directory = run.record.run_directory(self._history)
            self._notebooks[key] = _read(directory / f"{run.record.notebook}.ipynb")
        return self._notebooks[key]

    def files(self, run):
        """Return the files that belong to the page of a run."""
        directory = run.record.run_directory(self._history)
        # A notebook has a megabyte: those that have a page can be taken along.
        return RunFiles(run, directory, self.notebook(run) if self.observation(run) else None)

    def has_notebook(self, run):
        """Tell whether the executed notebook of a run is there."""
        return self.notebook(run) is not None

    def broke_off(self, run):
        """Tell whether a cell of a run's notebook ended with an error."""
        notebook = self.notebook(run)
        return notebook is not None and any(
            output.output_type == "error"
            for cell in notebook.cells
            for output in cell.get("outputs", [])
        )


def _read(path):
    """Return a notebook, None if there is none that can be read."""
    try:
        return nbformat.reads(read_text(path), as_version=4)
    except (OSError, ValueError, LookupError, AttributeError, NotJSONError):
        return None


def build_site(history, output):
    """Build the site of a history, and put it in the place of the former one.

    Parameters
    ----------
    history : path-like
        Directory of the history.
    output : path-like
        Directory of the site.

    Returns
    -------
    Site
        What was built.

    Raises
    ------
    CannotJudge
        If it cannot be built or written; the former site is then left as it was.
    """
    history = Path(history).expanduser()
    require_replaceable(output)
    # A link to the pages stays, and what it leads to is replaced.
    output = Path(output).expanduser().resolve()
    with writable(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        require_history(history)
        loaded = load(history)
        if loaded.problems and not loaded.records:
            loaded.require_whole()
        standing = Standing(loaded)
        with tempfile.TemporaryDirectory(prefix=".site-", dir=output.parent) as aside:
            sources, built = Path(aside) / "sources", Path(aside) / "html"
            beside = _write_sources(sources, standing, Places(standing, history))
            warnings = _run_sphinx(sources, built)
            for name, content in machine_files(standing).items():
                (built / name).write_text(content, encoding="utf-8")
            for name, content in beside.items():
                (built / name).parent.mkdir(exist_ok=True)
                (built / name).write_bytes(content)
            (built / _MARK).write_text(json.dumps(_checksums(built)), encoding="utf-8")
            _put_in_place(built, output, Path(aside) / "former")
    return Site(output / "index.html", standing.answer, warnings)


def require_replaceable(output):
    """Refuse a place that has anything but a site as it was built.

    Parameters
    ----------
    output : path-like
        Directory of the site.

    Raises
    ------
    SetUpWrong
        If a file there is not as this suite wrote it; nothing is changed.
    """
    output = Path(output).expanduser()
    if not os.path.lexists(output):
        return
    if not output.is_dir():
        msg = f"{output} is a file and stays as it is: name a directory for the pages."
        raise SetUpWrong(msg)
    there = _checksums(output)
    try:
        built = json.loads((output / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        built = {}
    for name in there:
        if name not in built or there[name] != built[name]:
            msg = (
                f"{output} has files that are not of a site, or were changed, such as {name}: "
                "name another directory, or move them away."
            )
            raise SetUpWrong(msg)


def _checksums(directory):
    """Return the SHA-256 of each file below a directory but the mark, None of what is no file."""
    return {
        str(path.relative_to(directory)): checksum(path)
        if path.is_file() and not path.is_symlink()
        else None
        for path in sorted(directory.rglob("*"))
        if path.name != _MARK and (path.is_symlink() or not path.is_dir())
    }


def _run_sphinx(sources, built):
    """Let Sphinx make pages of sources, and return its warnings."""
    aside = sources.parent
    log = aside / "warnings"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-b", "html", "-c", Path(__file__).parent),
            *("-d", aside / "doctrees", "-w", log, sources, built),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore"},
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        said = [line for line in ended.stderr.splitlines() if line.strip()] or ["no message"]
        msg = (
            f"Sphinx could not make the pages ({said[-1].strip()}): "
            "the former site, if there was one, is left as it was."
        )
        raise CannotJudge(msg)
    return log.read_text(encoding="utf-8").replace(f"{sources}{os.sep}", "").strip()


def _put_in_place(built, output, former):
    """Put a directory in the place of another, which may be put there by others as well."""
    for _ in range(_ATTEMPTS):
        if output.exists():
            try:
                output.rename(former)
            except FileNotFoundError:
                continue
        try:
            built.rename(output)
        except OSError:
            if not output.exists():
                raise
        else:
            return
        shutil.rmtree(former, ignore_errors=True)
    msg = f"{output} is replaced by others all the time: name another directory."
    raise SetUpWrong(msg)


# ------------------------------------------------------------------ sources


def _write(path, text):
    """Write a source with the directory that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_sources(sources, standing, places):
    """Write the sources of all pages, and return the files beside pages of runs."""
    pages, beside = Pages(standing, places), {}
    documents = _write_documents(sources)
    _write(sources / "index.md", pages.front())
    _write(sources / "documents.md", pages.documents(documents))
    _write(sources / "runs" / "index.md", pages.runs())
    for run in places.runs:
        place = places.run(run).removesuffix(".html")
        _write(sources / f"{place}.md", pages.run(run))
        contents = places.files(run).contents()
        beside |= {f"{place}/{name}": content for name, content in contents.items()}
    for run in places.observed:
        _write_observation(sources, run, places, pages)
    _write_metrics(sources, standing, places, pages)
    return beside


def _write_documents(sources):
    """Write the committed notebooks and documents, and return their titles by page."""
    found = {}
    root = repository_file()
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        page = f"notebooks/{path.name}"
        found[page] = title_of(notebook) or path.stem
        _write(sources / page, nbformat.writes(published(notebook, found[page])))
    for path in sorted((root / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        page = f"docs/{path.name}"
        title = _TITLE.search(text)
        found[page] = title[1] if title else path.stem
        _write(sources / page, _with_links_of_site(text, path, root, sources))
    found["interface.md"] = TITLE
    text = render("site/interface.md.j2", title=TITLE, interface=INTERFACE)
    _write(sources / "interface.md", text)
    return found


def _with_links_of_site(text, path, root, sources):
    """Return a document with links to pages and to small files; to others, just their words."""

    def changed(found):
        words, target = found[1], (path.parent / found[2]).resolve()
        if not target.is_relative_to(root):
            return words
        inside = target.relative_to(root)
        if target.is_file() and (inside.parts[0], target.suffix) in _PAGES:
            return found[0]
        if target.is_file() and target.suffix != ".md" and target.stat().st_size < _LARGEST:
            (sources / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, sources / inside)
            return found[0]
        return words

    return _LINK.sub(changed, text)


def _write_observation(sources, run, places, pages):
    """Write the page of a run's notebook, or of what is known without one."""
    page = sources / places.observation(run).removesuffix(".html")
    notebook = places.notebook(run)
    banner = pages.banner(run)
    name = markdown(run.record.name)
    if notebook is None:
        text = render("site/head.md.j2", title=name, banner=banner)
        _write(page.with_name(f"{page.name}.md"), text)
        return
    committed = repository_file("notebooks").glob("*.ipynb")
    moved = {path.name: f"../notebooks/{path.name}" for path in committed}
    title = f"{name}: {title_of(notebook)}" if title_of(notebook) else name
    text = nbformat.writes(published(notebook, title, banner, moved))
    _write(page.with_name(f"{page.name}.ipynb"), text)


def _write_metrics(sources, standing, places, pages):
    """Write the pages of all metrics with their pictures."""
    directory = sources / "metrics"
    series = {name: standing.of(name)[-_RUNS:] for name in standing.names}
    measured = dict.fromkeys(name for runs in series.values() for run in runs for name in run.worst)
    names = list(dict.fromkeys([*criteria_of_validation(), *measured]))
    _write(directory / "index.md", pages.metrics(names))
    caught = caught_faults()
    for name in names:
        mine = {
            each: runs for each, runs in series.items() if any(name in run.worst for run in runs)
        }
        if mine:
            unit = next(
                run.worst[name].unit for runs in mine.values() for run in runs if name in run.worst
            )
            picture = history_svg(name, unit, mine)
            for scheme, painted in (("light", picture), ("dark", repainted(picture))):
                _write(directory / f"{page_name(name)}-{scheme}.svg", painted)
        figures = _figures(name, standing, places)
        text = pages.metric(name, mine, caught.get(name, []), figures)
        _write(directory / f"{page_name(name)}.md", text)


def _figures(name, standing, places):
    """Return names and places of the sections that show the figure of a metric."""
    figure = criteria_of_validation().get(name, {}).get("figure", "")
    found = []
    for observation, run in standing.last.items():
        notebook = places.notebook(run) if run and name in run.worst else None
        section = section_of_figure(notebook, figure) if notebook else ""
        if section:
            anchor = re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-")
            found.append((observation, f"../{places.observation(run)}#{anchor}"))
    return found
