"""A history of three nights with what happens in them, and the site that is made of it."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_output

from miri_background.outcomes import Cause, Outcome
from miri_background.reporting.history import Record, append
from miri_background.reporting.site.build import build_site

FIRST = datetime(2026, 11, 20, 2, tzinfo=UTC)
HOSTILE = "residual: 0.03 DN/s <script>alert(1)</script> | *no* `code` [x](javascript:1) {role}`y`"


@pytest.fixture(scope="session")
def passed_verdict(baseline_file):
    """Return what metrics.json held of a real run that passed, not to be changed."""
    return json.loads(baseline_file.read_text(encoding="utf-8"))["metrics"]


@pytest.fixture(scope="session")
def executed(repository):
    """Return the executed validation notebook, not to be changed."""
    return nbformat.read(repository / "notebooks" / "image2_background.ipynb", as_version=4)


def failing(verdict):
    """Return a verdict in which one residual is over its limit."""
    changed = copy.deepcopy(verdict)
    metric = next(each for each in changed["metrics"] if each["name"] == "residual")
    metric["value"], metric["status"] = 4 * metric["limit"], Outcome.FAILED.word
    changed["outcome"], changed["exit_code"] = Outcome.FAILED.word, Outcome.FAILED.exit_code
    return changed


@pytest.fixture(scope="session")
def add_run(passed_verdict, executed):
    """Return a function that adds a run to the history of a root, and returns the record's file."""

    def add(root, name, night, outcome=Outcome.PASSED, cause=None, reason="", notebook=True):
        started = FIRST + timedelta(days=night, minutes=len(name))
        day = f"{FIRST + timedelta(days=night):%Y%m%dT%H%M%SZ}-00aa"
        directory = root / "runs" / "nights" / day / name
        content = failing(passed_verdict) if outcome is Outcome.FAILED else passed_verdict
        if notebook:
            page = copy.deepcopy(executed)
            if outcome is not Outcome.PASSED:
                error = new_output("error", ename="Error", evalue=reason, traceback=[reason])
                page.cells[-1].outputs = [error]
            directory.mkdir(parents=True)
            nbformat.write(page, directory / "image2_background.ipynb")
        record = Record(
            name,
            "image2_background",
            day,
            started.isoformat(),
            60.0,
            outcome.word,
            cause.word if cause else "",
            reason,
            str(directory),
            None if outcome is Outcome.CANNOT_JUDGE else content,
            {"seed": night},
        )
        return append(record, root / "history")

    return add


@pytest.fixture(scope="session")
def nights(add_run, tmp_path_factory):
    """Return a root with three nights: a failure, missing references, a run that is gone."""
    root = tmp_path_factory.mktemp("nights")
    for night in range(3):
        add_run(root, "f770w", night)
        add_run(root, "gone", night, notebook=night == 1)
    for night in range(2):
        add_run(root, "f1500w", night)
        add_run(root, "not-run", night, notebook=False)
    add_run(root, "f1500w", 2, Outcome.FAILED, reason=HOSTILE)
    add_run(root, "rateints", 0)
    for night in (1, 2):
        missing = f"jwst_miri_flat_9001.fits is missing in night {night}: run the doctor."
        add_run(
            root, "rateints", night, Outcome.CANNOT_JUDGE, Cause.REFERENCES, missing, notebook=False
        )
    (root / "history" / "20261120T000000Z-cut-00000000.json").write_text('{"schema_version": 1')
    return root


@pytest.fixture(scope="session")
def sample_site(nights, shared):
    """Return the site of the three nights, as `build_site` returns it, not to be changed."""
    kept = shared / "sample_site.pickle"
    # Sphinx takes many seconds: the processes of this session build it once.
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(build_site(nights / "history", nights / "site")))
    return pickle.loads(kept.read_bytes())  # noqa: S301 - our own file
