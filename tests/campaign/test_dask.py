"""Workers of Dask give the same bits as this process, and lose nothing."""

import pytest

from miri_background.campaign.carrying_out import carry_out
from miri_background.campaign.case import code_fingerprint, rows_of_cases
from miri_background.campaign.executors import DaskWorkers
from miri_background.campaign.grid import Case
from miri_background.campaign.table import CampaignTable, contents
from miri_background.campaign.ways.exposures import Nods, Step

pytest.importorskip("distributed", reason="distributed is not installed (extra dask)")


@pytest.mark.slow
def test_rows_are_those_of_this_process(empty_scene, tmp_path):
    """Rows that are done and rows that failed, on a worker of this machine's loopback."""
    cases = [Case(empty_scene(exposures=1), way) for way in (Step(), Nods())]
    table = CampaignTable(tmp_path / "campaign")
    workers = DaskWorkers(workers=1)
    try:
        outcomes = carry_out(cases, table, workers)
    finally:
        workers.close()
    assert (outcomes.done, outcomes.failed) == (1, 1)
    here = [
        dict.fromkeys(next(iter(table.rows().values()))) | row
        for row in rows_of_cases(cases, code_fingerprint(), 1e12)
    ]
    assert contents(list(table.rows().values())) == contents(here)
