import errno
import json
import os
import pickle
from importlib import resources

import pytest

from miri_background.observation import Observation
from miri_background.outcomes import (
    CannotJudge,
    Cause,
    Outcome,
    ReferencesUnfit,
    cause_of,
    headline,
    is_cannot_judge,
    unforeseen,
    worst,
)
from miri_background.parallel import completed, process_pool
from miri_background.places import writable


@pytest.mark.parametrize(
    ("name", "message", "cause"),
    [
        ("CannotJudge", "", Cause.DATA),
        ("InvalidParameter", "", Cause.SET_UP),
        ("ReferencesUnfit", "", Cause.REFERENCES),
        ("MemoryError", "", Cause.MEMORY),
        ("OSError", f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}", Cause.DISK),
        ("OSError", "[Errno 2] No such file or directory", Cause.PIPELINE),
        ("ZeroDivisionError", "division by zero", Cause.PIPELINE),
    ],
)
def test_cause_follows_from_what_a_notebook_tells(name, message, cause):
    """Class name and message are enough to tell why there is no verdict."""
    assert cause_of(name, message) is cause


def test_only_the_family_is_for_people():
    """An error that nobody foresaw is not taken for a sentence."""
    assert [is_cannot_judge(name) for name in ("SetUpWrong", "KeyError")] == [True, False]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Cause.DISK),
        (MemoryError(), Cause.MEMORY),
        (SystemExit(1), Cause.REFERENCES),
        (KeyError("SCI"), Cause.PIPELINE),
    ],
    ids=lambda each: getattr(each, "word", type(each).__name__),
)
def test_what_others_raise_keeps_its_cause(error, cause):
    """An error of the pipeline, of CRDS or of the system is told with its own cause."""
    assert unforeseen(error, "sentence").cause is cause


def test_errors_of_crds_are_of_the_references():
    """Whatever CRDS raises is about references."""
    from crds.core.exceptions import CrdsLookupError

    assert type(unforeseen(CrdsLookupError("no match"), "sentence")) is ReferencesUnfit


def test_wrong_parameter_is_of_the_set_up():
    """A parameter outside its range is no fault of the data."""
    with pytest.raises(CannotJudge) as caught:
        Observation.create(groups=1)
    assert caught.value.cause is Cause.SET_UP


def test_failed_writing_is_of_the_disk(tmp_path):
    """What cannot be written is told as such."""
    with pytest.raises(CannotJudge) as caught, writable(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.cause is Cause.DISK


def test_cause_survives_another_process():
    """What a worker raises arrives with its cause."""
    error = pickle.loads(pickle.dumps(ReferencesUnfit("sentence")))  # noqa: S301 - our own
    assert (error.cause, str(error)) == (Cause.REFERENCES, "sentence")


@pytest.mark.slow
def test_dead_worker_is_for_lack_of_memory():
    """A worker that is killed, as the system does when memory runs out, is told as that."""
    with process_pool(1) as executor, pytest.raises(CannotJudge) as caught:
        completed(executor, os._exit, [1], "Dying")
    assert caught.value.cause is Cause.MEMORY


def test_headline_names_the_cause():
    """Terminal and page have outcome, cause and sentence in one line."""
    said = headline(Outcome.CANNOT_JUDGE, "It is full.", Cause.DISK)
    assert said == "COULD NOT JUDGE (disk): It is full."
    assert headline(Outcome.PASSED) == "PASSED"


def test_failed_is_worse_than_not_judged():
    """No trouble of the machine hides a step that is wrong."""
    assert worst([Outcome.PASSED, Outcome.CANNOT_JUDGE, Outcome.FAILED]) is Outcome.FAILED
    assert worst([Outcome.DRIFTED, Outcome.CANNOT_JUDGE]) is Outcome.CANNOT_JUDGE
    assert worst([Outcome.PASSED, Outcome.DRIFTED]) is Outcome.DRIFTED


def test_nothing_judged_is_not_passed():
    """A night without any job has not passed."""
    assert worst([]) is Outcome.CANNOT_JUDGE


def test_history_knows_all_words():
    """The schema of the history has the outcomes and causes, and no others."""
    path = resources.files("miri_background.reporting") / "history.schema.json"
    properties = json.loads(path.read_text(encoding="utf-8"))["properties"]
    assert set(properties["outcome"]["enum"]) == {each.word for each in Outcome}
    assert set(properties["cause"]["enum"]) == {"", *(each.word for each in Cause)}
