"""Every case has one row, whatever happens; a campaign that was stopped goes on."""

import os
import signal

import pyarrow.parquet
import pytest

from miri_background.campaign import case as case_module
from miri_background.campaign.carrying_out import carry_out
from miri_background.campaign.case import code_fingerprint, rows_of_cases
from miri_background.campaign.executors import ProcessPool, fitting_workers
from miri_background.campaign.grid import Case
from miri_background.campaign.scene import Scene
from miri_background.campaign.scores import SCORES
from miri_background.campaign.table import CampaignTable, contents, read_table
from miri_background.campaign.ways.exposures import Nods, Step
from miri_background.outcomes import CannotJudge, SetUpWrong

ROOM = 1e12  # bytes


@pytest.fixture
def hopeless(empty_scene):
    """Return cases that fail at once: nods of one exposure."""
    return [Case(empty_scene(exposures=1, seed=seed), Nods()) for seed in range(4)]


@pytest.fixture
def table(tmp_path):
    """Return an empty table."""
    return CampaignTable(tmp_path / "campaign")


def row_of(case):
    """Return the row of a case that is carried out here."""
    (row,) = rows_of_cases([case], code_fingerprint(), ROOM)
    return row


def test_failed_case_is_a_row_with_its_cause(hopeless):
    """What the way says is in it."""
    row = row_of(hopeless[0])
    assert (row["status"], row["cause"]) == ("failed", "pipeline")
    assert "two science exposures" in row["reason"]


def test_step_that_crashes_is_a_row(empty_scene, monkeypatch):
    """The pipeline's own error ends no campaign."""

    def crash(*_):
        msg = "the step is broken"
        raise IndexError(msg)

    monkeypatch.setattr("jwst.background.background_step.background_sub", crash)
    row = row_of(Case(empty_scene(), Step()))
    assert (row["status"], row["cause"]) == ("failed", "pipeline")
    assert row["reason"] == "IndexError: the step is broken."


def test_case_that_needs_too_much_memory_is_a_row(empty_scene):
    """It is not begun."""
    (row,) = rows_of_cases([Case(empty_scene(), Step())], code_fingerprint(), 1e8)
    assert (row["status"], row["cause"]) == ("failed", "memory")


def test_worker_with_other_code_is_refused(empty_scene):
    """Its numbers would not be comparable."""
    with pytest.raises(SetUpWrong, match="another version of miri-background-validation"):
        rows_of_cases([Case(empty_scene(), Step())], "other", ROOM)


@pytest.mark.parametrize(
    ("cores", "memory", "workers"), [(8, 100e9, 8), (8, 5e9, 4), (8, 0.5e9, 1), (1, 100e9, 1)]
)
def test_workers_fit_cores_and_memory(cores, memory, workers):
    """A case of one gigabyte; a tenth of the memory is left to others."""
    assert fitting_workers(1e9, cores, memory) == workers


def test_table_has_units_and_every_row(hopeless, table):
    """Columns say what they are; rows of several pieces are together."""
    for case in hopeless[:2]:
        table.add([row_of(case)])
    keys = [row_of(case)["key"] for case in hopeless]
    assert [row["key"] for row in table.write(keys)] == keys[:2]
    schema = pyarrow.parquet.read_schema(table.path)
    assert {name: schema.field(name).metadata[b"unit"].decode() for name in SCORES} == {
        name: unit for name, (unit, _) in SCORES.items()
    }
    assert set(Scene.model_fields) < set(schema.names)


def test_what_was_done_is_not_replaced_by_a_failure(hopeless, table):
    """Whichever piece is read first."""
    failed = row_of(hopeless[0])
    table.add([failed])
    table.add([failed | {"status": "done"}])
    (row,) = table.rows().values()
    assert row["status"] == "done"


def test_damaged_rows_are_refused(table):
    """The sentence says what to do."""
    (table.directory / "rows" / "some.parquet").write_bytes(b"PAR1")
    with pytest.raises(CannotJudge, match=r"some\.parquet is no table of a campaign .*remove it"):
        table.rows()


def test_contents_do_not_depend_on_time_and_place(hopeless):
    """Two runs with the same bits are told to be the same, others not."""
    row = row_of(hopeless[0])
    assert contents([row]) == contents([row | {"worker": "elsewhere", "case_seconds": 1.0}])
    assert contents([row]) != contents([row | {"bias": 1e-9}])


@pytest.fixture
def carried_out(table, hopeless):
    """Return a function that carries out cases in a pool of one process."""

    def carry(report=None, again=False):
        workers = ProcessPool(1)
        try:
            return carry_out(hopeless, table, workers, again, report)
        finally:
            workers.close()

    return carry


@pytest.mark.slow
def test_killed_worker_loses_no_case_and_doubles_none(carried_out, table, hopeless):
    """Killed by hand after the first rows, its work is done by another; then all is kept."""
    workers = []

    def kill(rows):
        pid = int(rows[0]["worker"].rpartition(":")[2])
        if not workers:
            os.kill(pid, signal.SIGKILL)
        workers.append(pid)

    outcomes = carried_out(kill)
    assert len(set(workers)) > 1
    assert (outcomes.failed, len(table.rows())) == (len(hopeless), len(hopeless))
    assert sum(len(read_table(path)) for path in (table.directory / "rows").iterdir()) == 4
    assert carried_out().kept == len(hopeless)
    assert carried_out(again=True).failed == len(hopeless)


class Deadly(Case):
    """A case that ends the process that it is handed to, as the kernel ends one without memory."""

    def __reduce__(self):
        """Be an exit where it is unpickled."""
        return os._exit, (1,)


@pytest.mark.slow
def test_case_whose_workers_die_is_a_row(table, hopeless):
    """It is tried alone, and blamed; the others, which died with it, are carried out."""
    deadly = Deadly(hopeless[1].scene, hopeless[1].way)
    workers = ProcessPool(1)
    try:
        outcomes = carry_out([hopeless[0], deadly, *hopeless[2:]], table, workers)
    finally:
        workers.close()
    assert outcomes.failed == len(hopeless)
    causes = {row["seed"]: row["cause"] for row in table.rows().values()}
    assert causes.pop(deadly.scene.seed) == "memory"
    assert set(causes.values()) == {"pipeline"}


def test_code_decides_the_key(hopeless, monkeypatch):
    """After a change of what computes, a case is another one."""
    before = row_of(hopeless[0])["key"]
    monkeypatch.setattr(case_module, "code_fingerprint", lambda: "other")
    (row,) = rows_of_cases(hopeless[:1], "other", ROOM)
    assert row["key"] != before
