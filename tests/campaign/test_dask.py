"""Workers of Dask give the same bits as this process, and lose nothing."""

import os

import pytest

from miri_background.campaign.carrying_out import carry_out
from miri_background.campaign.case import code_fingerprint, rows_of_cases
from miri_background.campaign.executors import DaskWorkers
from miri_background.campaign.grid import Case
from miri_background.campaign.table import CampaignTable, contents
from miri_background.campaign.ways.exposures import Nods, Step

dask = pytest.importorskip("dask", reason="distributed is not installed (extra dask)")
pytest.importorskip("distributed", reason="distributed is not installed (extra dask)")

# Dask sets it in this process, too, when it starts workers.
TRIMMING = os.getenv("MALLOC_TRIM_THRESHOLD_")


@pytest.fixture(scope="module")
def workers():
    """Return a worker of this machine's loopback."""
    workers = DaskWorkers(workers=1)
    yield workers
    workers.close()


@pytest.mark.slow
def test_workers_keep_their_memory(workers):
    """Memory that is given back after every array costs a case half its time more."""
    trimming = workers.executor.submit(os.getenv, "MALLOC_TRIM_THRESHOLD_").result()
    assert trimming == TRIMMING


@pytest.mark.slow
def test_workers_are_not_profiled(workers):
    """Nobody looks at a profile of them."""
    assert not workers.executor.submit(
        dask.config.get, "distributed.worker.profile.enabled"
    ).result()


@pytest.mark.slow
def test_rows_are_those_of_this_process(workers, empty_scene, tmp_path):
    """Rows that are done and rows that failed, on a worker of this machine's loopback."""
    cases = [Case(empty_scene(exposures=1), way) for way in (Step(), Nods())]
    table = CampaignTable(tmp_path / "campaign")
    outcomes = carry_out(cases, table, workers)
    assert (outcomes.done, outcomes.failed) == (1, 1)
    here = [
        dict.fromkeys(next(iter(table.rows().values()))) | row
        for row in rows_of_cases(cases, code_fingerprint(), 1e12)
    ]
    assert contents(list(table.rows().values())) == contents(here)
