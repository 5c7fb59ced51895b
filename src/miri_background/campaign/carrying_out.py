"""A campaign carried out: every case once, whatever happens to workers."""

from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from dataclasses import dataclass
from itertools import groupby

from miri_background.campaign.case import code_fingerprint, failed_row, rows_of_cases
from miri_background.campaign.taken import memory_needed
from miri_background.files import content_key
from miri_background.outcomes import CannotJudge, Cause

__all__ = ["Outcomes", "carry_out", "largest_need"]

_AT_ONCE = 12  # ways on one scene that are one piece of work: some ten seconds
_AHEAD = 2  # pieces of work for each worker that are handed out
_TRIES = 2  # of a case that is alone when its worker dies
_POLL = 5.0  # s between looks whether the workers are still there


@dataclass(frozen=True)
class Outcomes:
    """How a campaign ended.

    Parameters
    ----------
    done, failed, kept : int
        Cases that were done and that failed now, and those that were there before.
    """

    done: int
    failed: int
    kept: int


def largest_need(cases):
    """Return how many bytes the largest of some cases needs."""
    return max(memory_needed(case.scene) for case in cases)


def carry_out(cases, table, workers, again=False, report=None):
    """Carry out the cases that the table does not have.

    Parameters
    ----------
    cases : list of Case
        Those of one scene together.
    table : CampaignTable
        Where rows are kept.
    workers : ProcessPool or DaskWorkers
        Where to compute.
    again : bool, optional
        Whether cases that failed are tried again.
    report : callable, optional
        Called with each list of new rows.

    Returns
    -------
    Outcomes
        Numbers of cases.

    Raises
    ------
    CannotJudge
        If workers run other code or are out of reach, or the table cannot be written; finished
        cases are kept.
    """
    code = code_fingerprint()
    there = {key for key, row in table.rows().items() if row["status"] == "done" or not again}
    missing = [case for case in cases if content_key(case.content, code) not in there]
    counted = {"done": 0, "failed": 0}

    def keep(rows):
        table.add(rows)
        for row in rows:
            counted[row["status"]] += 1
        if report is not None:
            report(rows)

    _Work(code, workers, keep).through(_pieces(missing))
    return Outcomes(counted["done"], counted["failed"], len(cases) - len(missing))


def _pieces(cases):
    """Return cases in pieces of work: some ways on one scene."""
    pieces = []
    for _, group in groupby(cases, key=lambda case: case.scene):
        together = list(group)
        pieces += [together[n : n + _AT_ONCE] for n in range(0, len(together), _AT_ONCE)]
    return pieces


class _Work:
    """Pieces of work that go out to workers and come back as rows.

    Parameters
    ----------
    code : str
        `code_fingerprint` of this process.
    workers : ProcessPool or DaskWorkers
        Where to compute.
    keep : callable
        Called with rows.
    """

    def __init__(self, code, workers, keep):
        self._code, self._workers, self._keep = code, workers, keep
        self._suspects = []

    def through(self, pieces):
        """Carry out all pieces; those whose worker died again, case by case and alone."""
        waiting, out = deque(pieces), {}
        try:
            while waiting or out:
                while waiting and len(out) < _AHEAD * self._workers.workers:
                    future = self._submitted(waiting[0])
                    if future is None:
                        # The pool broke before it took this: others are to blame.
                        self._take_all_back(out)
                        continue
                    out[future] = waiting.popleft()
                ended, _ = wait(out, timeout=_POLL, return_when=FIRST_COMPLETED)
                if not ended and (gone := self._workers.lost(None)) is not None:
                    raise gone
                whole = [self._is_whole(future, out.pop(future)) for future in ended]
                if not all(whole) and self._workers.die_together:
                    self._take_all_back(out)
        finally:
            for future in out:
                future.cancel()
        for piece in self._suspects:
            for case in piece:
                self._alone(case)

    def _submitted(self, piece):
        """Return the future of a piece of work, None if the workers cannot take it."""
        try:
            return self._workers.executor.submit(
                rows_of_cases, piece, self._code, self._workers.most_memory
            )
        except self._workers.died:
            return None

    def _take_all_back(self, out):
        """Take all that is out back from a pool that is broken, and make a new one."""
        wait(out)
        for future in list(out):
            self._is_whole(future, out.pop(future))
        self._workers.renew()

    def _is_whole(self, future, piece):
        """Keep the rows of a piece of work, or suspect it if its worker died."""
        rows = self._rows(future)
        if rows is None:
            self._suspects.append(piece)
            return False
        self._keep(rows)
        return True

    def _rows(self, future):
        """Return the rows of a piece of work, None if its worker died."""
        try:
            return future.result()
        except self._workers.died:
            return None
        except CannotJudge:
            raise
        except (Exception, CancelledError) as error:
            raise (self._workers.lost(error) or error) from error

    def _alone(self, case):
        """Carry out a case while nothing else is: if its worker dies, it is to blame."""
        deaths = 0
        while deaths < _TRIES:
            future = self._submitted([case])
            rows = None
            if future is not None:
                wait([future])
                rows = self._rows(future)
                deaths += rows is None
            if rows is not None:
                self._keep(rows)
                return
            self._workers.renew()
        reason = (
            f"The worker died {_TRIES} times while it had nothing but this case, most likely for "
            "lack of memory: take a smaller square or fewer exposures."
        )
        self._keep([failed_row(case, self._code, Cause.MEMORY.word, reason)])
