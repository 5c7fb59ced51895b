"""A campaign of a file, from its first case to its table."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from miri_background.campaign.grid import read_grid
from miri_background.files import content_key
from miri_background.outcomes import Outcome, SetUpWrong

__all__ = ["CampaignRun", "run_campaign"]


@dataclass(frozen=True)
class CampaignRun:
    """A campaign with its rows.

    Parameters
    ----------
    grid : Grid
        Its cases.
    rows : list of dict
        Of its cases, in their order.
    keys : dict of str
        Keys of rows by the content of cases.
    table : pathlib.Path
        Where they are.
    kept : int
        Rows that were there before.
    """

    grid: object
    rows: list
    keys: dict
    table: Path
    kept: int

    @property
    def failed(self):
        """The rows of cases that failed."""
        return [row for row in self.rows if row["status"] == "failed"]

    @property
    def outcome(self):
        """Return passed if every case has its numbers."""
        return Outcome.CANNOT_JUDGE if self.failed else Outcome.PASSED

    def study(self, name):
        """Return the rows of a study that are done."""
        wanted = {self.keys[case.content] for case in self.grid.studies[name]}
        return [row for row in self.rows if row["key"] in wanted and row["status"] == "done"]

    def text(self):
        """Return in lines how many cases there are, what failed, and where the table is."""
        from miri_background.campaign.table import contents

        seconds = sum(row["case_seconds"] or 0.0 for row in self.rows)
        peak = max((row["peak_memory"] or 0 for row in self.rows), default=0)
        first_line = (
            f"{len(self.rows)} cases, {self.kept} of them from before; {seconds:.0f} s of "
            f"processor time, {peak / 1e9:.2f} GB at most."
        )
        lines = [first_line]
        causes = Counter(row["cause"] for row in self.failed)
        for cause, number in causes.items():
            first = next(row for row in self.failed if row["cause"] == cause)
            lines.append(f"{number} failed ({cause}); the first, {first['way']}: {first['reason']}")
        lines += [f"Content:  {contents(self.rows)}", f"Table:    {self.table}"]
        return "\n".join(lines)


def run_campaign(path, output=None, workers=0, dask=0, scheduler=None, again=False, report=None):
    """Carry out the cases of a file that have no row yet.

    Parameters
    ----------
    path : path-like
        YAML file.
    output : path-like, optional
        Directory of the table; by default one of the campaign's name below ``runs/campaigns``.
    workers : int, optional
        Processes of this machine; 0 for as many as have cores and memory.
    dask : int, optional
        Dask workers that are started on this machine, in place of processes.
    scheduler : str, optional
        Address of a Dask scheduler that is running.
    again : bool, optional
        Whether cases that failed are tried again.
    report : callable, optional
        Called with the number of all cases at the beginning, and with each list of new rows.

    Returns
    -------
    CampaignRun
        All rows.

    Raises
    ------
    CannotJudge
        If the file, the workers or the directory are not as they should be; finished cases are
        kept.
    """
    if sum(map(bool, (workers, dask, scheduler))) > 1:
        msg = "Give one of --workers, --dask and --scheduler: they exclude each other."
        raise SetUpWrong(msg)
    grid = read_grid(path)
    cases = grid.cases()
    from miri_background.campaign.carrying_out import carry_out
    from miri_background.campaign.case import code_fingerprint
    from miri_background.campaign.table import CampaignTable

    table = CampaignTable(output or Path("runs") / "campaigns" / grid.name)
    keys = {case.content: content_key(case.content, code_fingerprint()) for case in cases}
    if report is not None:
        report(len(cases))
    try:
        with closing(_workers(cases, workers, dask, scheduler)) as at_work:
            outcomes = carry_out(cases, table, at_work, again, report)
    finally:
        # What there is can be read, however this ends.
        rows = table.write(list(keys.values()))
    return CampaignRun(grid, rows, keys, table.path, outcomes.kept)


def _workers(cases, workers, dask, scheduler):
    """Return where to compute."""
    from miri_background.campaign.carrying_out import largest_need
    from miri_background.campaign.executors import DaskWorkers, ProcessPool, fitting_workers

    if scheduler:
        return DaskWorkers(scheduler)
    if dask:
        return DaskWorkers(workers=dask)
    return ProcessPool(workers or fitting_workers(largest_need(cases)))
