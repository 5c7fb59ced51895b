"""The page of an executed notebook: the answer, and the notebook as its story."""

from miri_background.reporting.report.page import ReportPage, day, tables_of
from miri_background.reporting.report.page_files import PageFiles, page_file
from miri_background.reporting.report.story import story_of

__all__ = ["SECONDS", "page_of_notebook", "seconds_by_section"]

SECONDS = "seconds_by_section"  # among the metadata of an executed notebook
_NOTICED = 0.05  # s that a section takes to be named


def seconds_by_section(notebook):
    """Return how long the cells of each section took, as papermill has noted it.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed notebook, not yet tidied.

    Returns
    -------
    dict of str to float
        Seconds by title; sections that took none are left out.
    """
    title, seconds = "Beginning", {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heads = [line for line in cell.source.splitlines() if line.startswith("## ")]
            title = heads[-1].removeprefix("## ") if heads else title
        took = cell.metadata.get("papermill", {}).get("duration") or 0.0
        seconds[title] = seconds.get(title, 0.0) + took
    return {title: round(took, 2) for title, took in seconds.items() if took >= _NOTICED}


def page_of_notebook(notebook, name, answer, verdict=None, pictures=()):
    """Return the page of an executed notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed notebook, tidied.
    name : str
        Its name, as that of its file.
    answer : Answer
        How the run ended.
    verdict : Verdict, optional
        What was judged, where the run came so far.
    pictures : sequence of Pictured, optional
        Those on top.

    Returns
    -------
    ReportPage
        To be written as `page_file` says.
    """
    assets = PageFiles(".", page_file(name)).assets.name
    story, files, title = story_of(notebook, assets)
    provenance = verdict.provenance if verdict else {}
    seconds = notebook.metadata.get(SECONDS, {})
    times = [(each, f"{took:.1f} s") for each, took in seconds.items()]
    beside = ["metrics.json"] if verdict else []
    return ReportPage(
        title=title or name.replace("_", " "),
        answer=answer,
        when=day(provenance["started"]) if "started" in provenance else "",
        verdict=verdict,
        pictures=pictures,
        story=story,
        story_files=files,
        files=[(each, each) for each in (*beside, f"{name}.ipynb")],
        tables=[
            (f"Seconds by section, {sum(seconds.values()):.0f} s in all", ("section", "s"), times),
            *tables_of(provenance),
        ],
    )
