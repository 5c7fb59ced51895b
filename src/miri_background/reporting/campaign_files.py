"""Figures of a campaign as files: SVG and PNG, and their numbers as CSV."""

import csv
import io
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from miri_background.files import replace_recorded, write_text_recorded
from miri_background.places import writable
from miri_background.reporting.campaign_figures import FIGURES, study_of
from miri_background.reporting.drawing import picture

__all__ = ["campaign_figures", "numbers", "write_figures"]


def campaign_figures(run):
    """Return the figures of those studies that a campaign has.

    Parameters
    ----------
    run : CampaignRun
        What was carried out.

    Returns
    -------
    list of CampaignFigure
        In the order of the page.
    """
    return [
        draw(run)
        for name, draw in FIGURES.items()
        if study_of(name) is None
        or (study_of(name) in run.grid.studies and run.study(study_of(name)))
    ]


def numbers(drawn):
    """Return the numbers of a figure as CSV.

    Parameters
    ----------
    drawn : CampaignFigure
        The figure.

    Returns
    -------
    str
        A line for each point.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["score", "way", "value", "mean", "standard_error", "seeds", "theory"])
    for score, found in drawn.points.items():
        for each in found:
            figures = [f"{number:.6g}" for number in (each.mean, each.error)]
            theory = f"{each.expected:.6g}"
            writer.writerow([score, each.way, each.value, *figures, each.seeds, theory])
    return stream.getvalue()


def write_figures(run, directory):
    """Write the figures of a campaign with their numbers, and the sentences on them.

    Parameters
    ----------
    run : CampaignRun
        What was carried out.
    directory : path-like
        Where to write.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    directory = Path(directory)
    paths, sentences = [], []
    with writable(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for drawn in campaign_figures(run):
            # Without a date and with fixed names, the same numbers give the same file.
            with mpl.rc_context({"svg.hashsalt": drawn.name, "svg.fonttype": "none"}):
                stream = io.StringIO()
                drawn.figure.savefig(stream, format="svg", metadata={"Date": None})
            svg, png, table = (
                directory / f"{drawn.name}.{ending}" for ending in ("svg", "png", "csv")
            )
            write_text_recorded(svg, stream.getvalue())
            write_text_recorded(table, numbers(drawn))
            with replace_recorded(png) as aside:
                aside.write_bytes(picture(drawn.figure))
            plt.close(drawn.figure)
            paths += [svg, png, table]
            sentences += [f"{drawn.name}: {drawn.conclusion} {drawn.limits}", ""]
        write_text_recorded(directory / "conclusions.txt", "\n".join(sentences))
    return [*paths, directory / "conclusions.txt"]
