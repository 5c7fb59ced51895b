"""The history keeps what was added to it, whatever else happens to its directory."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from miri_background.cli import main
from miri_background.outcomes import CannotJudge, Cause, Outcome
from miri_background.reporting import history as module
from miri_background.reporting.history import Record, append, compare_records, load, text_list
from miri_background.schemas import NotAsDescribed
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.verdict.limits import judge
from miri_background.validation.verdict.verdict import Verdict

STARTED = "2026-11-23T01:02:18.123456+00:00"
ERROR = 0.01  # DN/s
WRITERS, EACH = 2, 50

# A writer of its own: it adds records as fast as it can.
ADD_MANY = """
import json, sys
from miri_background.reporting.history import Record, append

record = Record(**json.loads(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    append(record, sys.argv[1])
"""


def verdict(residual=0.0, level1b="a"):
    """Return the content of metrics.json of a run with one residual."""
    measurements = [
        Measurement("step", WHOLE_ARRAY, None, 0.0),
        Measurement("residual", "imager", 1, residual, ERROR),
    ]
    provenance = {
        "kind": "run",
        "versions": {"jwst": "3.0.0"},
        "host": "host",
        "started": STARTED,
        "wall_time_s": 1.0,
        "peak_memory_bytes": 1,
        "inputs": {},
        "level1b_sci_sha256": {"uncal": level1b * 64},
        "pipeline_fingerprint": "f",
        "crds_context": "jwst_9001.pmap",
        "simulator": "embedded",
        "observation": {},
        "calibration": {},
        "suite_commit": None,
        "suite_dirty": None,
    }
    return Verdict(judge(measurements), provenance).content()


@pytest.fixture
def history(tmp_path):
    """Return the directory of a history beside the directory of runs."""
    return tmp_path / "history"


@pytest.fixture
def record(tmp_path):
    """Return a record of a run that passed."""
    return Record(
        name="f770w",
        notebook="image2_background",
        night="20261123T010000Z-12ab",
        started=STARTED,
        seconds=72.5,
        outcome=Outcome.PASSED.word,
        cause="",
        reason="",
        directory=str(tmp_path / "runs" / "f770w"),
        verdict=verdict(),
        parameters={"seed": 770},
    )


def unjudged(record, cause=Cause.DISK):
    """Return the record of a run that could not be judged."""
    word = Outcome.CANNOT_JUDGE.word
    return replace(record, outcome=word, cause=cause.word, reason="It is full.", verdict=None)


def test_record_comes_back(record, history):
    """What is read is what was written, with the stem of its file as id."""
    path = append(record, history)
    (found,) = load(history).records
    assert found == replace(record, directory="runs/f770w", id=path.stem)


def test_name_of_file_tells_time_and_observation(record, history):
    """Files sort by time and can be found by name."""
    assert append(record, history).stem.startswith("20261123T010218Z-f770w-")


def test_run_directory_is_found(record, history, tmp_path):
    """A run beside the history is named by its relative path, so that both may move."""
    append(record, history)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    history.rename(moved / "history")
    (found,) = load(moved / "history").records
    assert found.run_directory(moved / "history") == moved / "runs" / "f770w"


def test_run_directory_elsewhere_is_absolute(record, history):
    """One that is not below the same directory keeps its whole path."""
    append(replace(record, directory="/elsewhere/run"), history)
    (found,) = load(history).records
    assert found.run_directory(history) == Path("/elsewhere/run")


def test_no_history_is_empty(history):
    """Where nothing was ever added, there is nothing, and nothing is wrong."""
    found = load(history)
    assert (found.records, found.problems, history.exists()) == ((), (), False)


def test_records_are_in_order_of_time(record, history):
    """Also those of one second, and those that were added later."""
    times = [f"2026-11-23T01:02:{second}+00:00" for second in ("18.5", "18.2", "17", "59")]
    for started in times:
        append(replace(record, started=started), history)
    assert [each.started for each in load(history).records] == sorted(times, key=lambda t: t[:21])


def test_nothing_is_replaced(record, history, monkeypatch):
    """A name that is taken, as by another writer just now, is left alone."""
    draws = iter(["0" * 8, "0" * 8, "1" * 8])
    monkeypatch.setattr(module.secrets, "token_hex", lambda _: next(draws))
    first = append(record, history)
    content = first.read_bytes()
    second = append(unjudged(record), history)
    assert (first.read_bytes(), second.stem[-8:]) == (content, "1" * 8)


@pytest.mark.slow
def test_writers_do_not_disturb_each_other(record, history):
    """Processes that add at once lose nothing, and a reader never sees a part."""
    arguments = [sys.executable, "-c", ADD_MANY, history, json.dumps(vars(record)), str(EACH)]
    writers = [subprocess.Popen(arguments) for _ in range(WRITERS)]
    while any(writer.poll() is None for writer in writers):
        assert load(history).problems == ()
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    found = load(history)
    assert (len(found.records), found.problems) == (WRITERS * EACH, ())


def test_killed_writer_leaves_no_record(record, history, monkeypatch):
    """Ended before the file is whole, a writer leaves nothing that is read."""

    def end(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "fsync", end)
    with pytest.raises(KeyboardInterrupt):
        append(record, history)
    assert load(history) == module.History((), ())


DAMAGES = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "no object": lambda _: "[1]",
    "no outcome": lambda text: text.replace('"outcome": "passed",\n "cause"', '"cause"'),
    "unknown word": lambda text: text.replace('"cause": ""', '"cause": "weather"'),
    "no such day": lambda text: text.replace("2026-11-23T01", "2026-19-99T01"),
    "no text": lambda _: "\x00\xff",
    "without version": lambda text: text.replace('"schema_version": 1,\n "name"', '"name"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_file_is_named_and_kept(damage, record, history):
    """One that is damaged hides no other, is named in a sentence, and stays as it is."""
    append(record, history)
    path = append(record, history)
    changed = damage(path.read_text(encoding="utf-8"))
    assert changed != path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="latin-1")
    left = path.read_bytes()
    found = load(history)
    (problem,) = found.problems
    assert (len(found.records), path.read_bytes()) == (1, left)
    assert problem.startswith(f"{path} is not a whole record (")


def test_unreadable_file_is_named(record, history):
    """So is what is no file at all."""
    append(record, history)
    (history / "20261123T010218Z-f770w-00000000.json").mkdir()
    found = load(history)
    assert (len(found.records), len(found.problems)) == (1, 1)


def test_later_version_is_named_and_kept(record, history):
    """A record of a later suite is no damage; the sentence says what to do."""
    path = append(record, history)
    path.write_text(json.dumps({"schema_version": 2, "moon": "full"}))
    found = load(history)
    assert found.records == ()
    assert "written by a later version of the suite (schema_version 2" in found.problems[0]
    assert path.exists()


def test_metrics_of_an_earlier_version_are_kept(record, history):
    """A history outlives the layout of metrics.json: what all layouts have is enough."""
    old = verdict() | {"schema_version": 1}
    del old["advisories"]
    append(replace(record, verdict=old), history)
    assert load(history).records[0].verdict == old


WRONG = {
    "unjudged without cause": {"outcome": "could not judge", "reason": "Full.", "cause": ""},
    "unjudged without reason": {"outcome": "could not judge", "cause": "disk", "reason": ""},
    "judged with cause": {"cause": "disk"},
    "judged without metrics": {"verdict": None},
    "local time": {"started": "2026-11-23T01:02:18"},
    "name that is no file's": {"name": "../f770w"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_record_is_checked_when_written(change, record, history):
    """A record that would not tell the truth is refused, and nothing is written."""
    with pytest.raises(NotAsDescribed):
        append(replace(record, **change), history)
    assert load(history) == module.History((), ())


def test_history_that_cannot_be_written_is_of_the_disk(record, tmp_path):
    """One sentence, with the cause."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotJudge, match="cannot be written") as caught:
        append(record, tmp_path / "file" / "history")
    assert caught.value.cause is Cause.DISK


def test_list_tells_outcome_cause_and_closest_metric(record, history):
    """A line for each run: what became of it, what was closest to its limit, which build."""
    append(replace(record, verdict=verdict(residual=2 * ERROR)), history)
    append(replace(unjudged(record), started="2026-11-23T02:00:00+00:00"), history)
    _, passed, full = text_list(load(history).records).splitlines()
    assert "passed" in passed
    assert "residual (imager, exposure 1): " in passed
    assert passed.split()[-2:] == ["3.0.0", "1.2"]
    assert "could not judge (disk)" in full


def test_broken_exact_limit_is_the_worst(record):
    """What may not differ at all goes before what is far over a limit of noise."""
    broken = verdict(residual=100 * ERROR)
    broken["metrics"][0]["value"] = 1.0
    listed = text_list([replace(record, verdict=broken)])
    assert "step (whole array): 1.0 products, not 0" in listed


def test_comparison_tells_what_moved(record):
    """Changes are reported in standard errors."""
    before, after = (
        replace(record, verdict=verdict(residual), id=name)
        for residual, name in ((0.0, "before"), (0.5 * ERROR, "after"))
    )
    said = compare_records(before, after)
    assert "1 metric changed, with the same level-1b data." in said
    assert "+0.50" in said


def test_comparison_of_other_data_allows_their_noise(record):
    """Two draws of the noise differ, and nothing moved."""
    before, after = (
        replace(record, verdict=verdict(residual, level1b), id=level1b)
        for residual, level1b in ((0.0, "a"), (0.5 * ERROR, "b"))
    )
    assert "0 metrics changed, with other level-1b data." in compare_records(before, after)


def test_run_without_metrics_is_not_compared(record):
    """The sentence says why there are none."""
    with pytest.raises(CannotJudge, match=r"could not be judged \(disk\)"):
        compare_records(record, unjudged(record))


def test_metrics_of_an_earlier_version_are_not_compared(record):
    """They are kept for their values, and not taken for today's."""
    old = replace(record, verdict=verdict() | {"schema_version": 1}, id="old")
    with pytest.raises(CannotJudge, match="old has metrics of another version"):
        compare_records(old, record)


def test_verb_lists_and_compares(record, history, capsys):
    """The command line finds runs by the beginning of their ids."""
    earlier = append(record, history)
    later = append(replace(record, started="2026-11-24T01:00:00+00:00", name="f1500w"), history)
    assert main(["history", "--history", str(history), "--name", "f770w"]) == 0
    said = capsys.readouterr()
    assert (earlier.stem in said.out, later.stem in said.out) == (True, False)
    ids = [earlier.stem[:20], later.stem[:20]]
    assert main(["history", "--history", str(history), "--compare", *ids]) == 0
    assert "0 metrics changed" in capsys.readouterr().out


def put_three_damaged(history):
    """Make a history of which nothing can be read."""
    for name in "abc":
        (history / f"{name}.json").write_text("{")


# How a history is no whole answer, what is asked, and what the sentence has.
QUESTIONS = {
    "missing": (Path.rmdir, [], "cannot be read as the directory of a history (No such file"),
    "file": (
        lambda history: (history.rmdir(), history.touch()),
        [],
        "cannot be read as the directory of a history (Not a directory",
    ),
    "empty": (lambda _: None, [], "There is no run in the history"),
    "empty, name": (lambda _: None, ["--name", "a"], "There is no run in the history"),
    "empty, ids": (lambda _: None, ["--compare", "1", "2"], "There is no run in the history"),
    "damaged": (put_three_damaged, [], "a.json is not a whole record ("),
    "damaged, number": (put_three_damaged, ["--name", "a"], "(3 of 3 files cannot be read.)"),
    "damaged, ids": (put_three_damaged, ["--compare", "1", "2"], "a.json is not a whole record"),
}


@pytest.mark.parametrize(("make", "question", "said"), QUESTIONS.values(), ids=list(QUESTIONS))
def test_history_without_an_answer_is_one_sentence(make, question, said, history, capsys):
    """What is not there, empty, or cannot be read is no list, and no success."""
    history.mkdir()
    make(history)
    assert main(["history", "--history", str(history), *question]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert (printed.out, said in line) == ("", True), line


def test_unknown_name_is_told_with_those_that_there_are(record, history, capsys):
    """Also where runs are compared."""
    ids = [append(replace(record, name=name), history).stem for name in ("f770w", "f1500w")]
    for more in ([], ["--compare", *ids]):
        assert main(["history", "--history", str(history), "--name", "f707w", *more]) == 2
        said = capsys.readouterr().err
        assert "no run of an observation f707w: it has runs of f1500w, f770w." in said


def test_list_that_lacks_runs_is_no_success(record, history, capsys):
    """What can be read is listed; what cannot be read is named, and the code is 2."""
    path = append(record, history)
    (history / "broken.json").write_text("{")
    assert main(["history", "--history", str(history)]) == 2
    said = capsys.readouterr()
    assert path.stem in said.out
    assert "broken.json is not a whole record" in said.err
    assert main(["history", "--history", str(history), "--compare", path.stem, path.stem]) == 0


@pytest.mark.parametrize(("beginning", "number"), [("2026", "2"), ("1999", "No")])
def test_id_has_to_be_of_one_run(beginning, number, record, history, capsys):
    """None, or more than one, is told in a sentence."""
    for name in ("f770w", "f1500w"):
        append(replace(record, name=name), history)
    code = main(["history", "--history", str(history), "--compare", beginning, beginning])
    assert code == 2
    assert f"{number} runs of the history have an id that begins" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="no directory is closed to the superuser")
def test_closed_history_is_told(record, history):
    """A directory that may not be written to is a sentence."""
    history.mkdir(mode=0o500)
    with pytest.raises(CannotJudge, match="cannot be written"):
        append(record, history)
