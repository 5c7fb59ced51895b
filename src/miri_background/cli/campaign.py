"""The verb that compares ways to make a background over many observations."""

from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY, parameter_options
from miri_background.cli.verbs import Topic, Verb

__all__ = ["campaign"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background campaign docs/which_background.yaml",
        "miri-background campaign mine.yaml --dask 4",
        "miri-background campaign mine.yaml --scheduler tcp://127.0.0.1:8786",
    ),
)
@click.argument("file", type=click.Path(path_type=Path), help="YAML file of scenes and ways")
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="of the table; rows that are there are kept [default: runs/campaigns/NAME]",
    **DIRECTORY,
)
@parameter_options(names=["workers"])
@click.option(
    "--dask",
    cls=Topic,
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Dask workers that are started on this machine, in place of processes",
)
@click.option(
    "--scheduler", cls=Topic, metavar="ADDRESS", help="of a Dask scheduler that is running"
)
@click.option("--again", cls=Topic, is_flag=True, help="try cases again that failed")
@click.option(
    "--figures",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="for figures as SVG and PNG, and their numbers as CSV [default: none are drawn]",
    **DIRECTORY,
)
def campaign(file, output, dask, scheduler, again, figures, workers):
    """Compare ways to make a background, on the same truth, over many cases.

    One row a case, written as it goes: the same command goes on where a campaign was interrupted.
    """
    from miri_background.cli.options import given
    from miri_background.runs.campaign import run_campaign

    progress = _Progress()
    try:
        ran = run_campaign(
            file,
            output,
            given({"workers": workers}).get("workers", 0),
            dask or 0,
            scheduler,
            again,
            progress,
        )
    except KeyboardInterrupt:
        msg = "finished cases are kept; the same command goes on."
        raise KeyboardInterrupt(msg) from None
    finally:
        progress.close()
    print(ran.text())
    if figures is not None:
        from miri_background.reporting.campaign_files import write_figures

        for path in write_figures(ran, figures):
            print(f"Written:  {path}")
    return ran.outcome


class _Progress:
    """A progress bar over cases, and a line for each that failed."""

    def __init__(self):
        self._bar = None

    def __call__(self, news):
        from miri_background.progress import progress_bar

        if self._bar is None:
            self._bar = progress_bar("Carrying out cases", total=news)
            return
        self._bar.update(len(news))
        for row in news:
            if row["status"] == "failed":
                self._bar.write(f"failed ({row['cause']}), {row['way']}: {row['reason']}")

    def close(self):
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
