"""Nights as users and servers run them, from the first byte to the exit code."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest
import yaml

from miri_background.cli import main
from miri_background.cli import nights as verbs_of_nights
from miri_background.nightly.night import Night
from miri_background.outcomes import Cause, DiskFailed, Outcome
from miri_background.references.mappings import CONTEXT
from miri_background.reporting.history import Record, load

# The smallest part of the detector, and the fewest exposures that can be judged.
SMALL = {"subarray": "SUB256", "groups": 10, "science_exposures": 1, "background_exposures": 3}
PATIENCE = 300  # s, on a busy machine
SOON = 40  # s in which a dead kernel, or the end of a caller, is to be noticed
PROGRAM = Path(sys.executable).with_name("miri-background")


# ------------------------------------------------------------------ without any process


@pytest.fixture
def record():
    """Return a record of a job that passed."""
    return Record("a", "image2_background", "n", "", 60.0, Outcome.PASSED.word, "", "", "", None)


def night_of(record, *ends, problems=()):
    """Return a night of jobs that ended as given, by outcome and cause."""
    records = [
        Record(name, *list(vars(record).values())[1:5], outcome.word, cause, "Why.", "", None)
        for name, (outcome, cause) in zip("abcd", ends, strict=False)
    ]
    return Night(Path("night"), tuple(records), problems)


def test_failed_is_not_hidden_by_a_full_disk(record):
    """The sentence and the outcome of a night name both, failed first."""
    ends = (Outcome.CANNOT_JUDGE, "disk"), (Outcome.FAILED, ""), (Outcome.PASSED, "")
    night = night_of(record, *ends)
    assert night.outcome is Outcome.FAILED
    assert night.reason() == "1 of 3 failed (b); 1 of 3 could not judge (a: disk)"


def test_night_that_passed_needs_no_sentence(record):
    """The last line is one word."""
    assert night_of(record, (Outcome.PASSED, "")).text().splitlines()[-1] == "PASSED"


def test_lost_record_is_no_pass(record):
    """A night whose results cannot be kept has not passed."""
    lost = DiskFailed("history cannot be written.")
    night = night_of(record, (Outcome.PASSED, ""), problems=(lost,))
    assert (night.outcome, night.reason()) == (Outcome.CANNOT_JUDGE, str(lost))


# ------------------------------------------------------------------ with real ones


@pytest.fixture(scope="module")
def write_matrix():
    """Return a function that writes what a night in a directory observes."""

    def write(directory, name, jobs, **others):
        path = directory / name
        observations = {job: SMALL | changes for job, changes in jobs.items()}
        path.write_text(yaml.safe_dump(others | {"observations": observations}))
        return path

    return write


@pytest.fixture(scope="module")
def start(suite_environment):
    """Return a function that starts a night in a directory."""

    def begin(directory, matrix, *options, before=()):
        return subprocess.Popen(
            [*before, PROGRAM, "nightly", "--matrix", matrix, *options],
            env=suite_environment,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


@dataclass(frozen=True)
class Ended:
    """How a night ended: what it printed, its exit code and directory, and all processes gone."""

    said: str
    code: int
    directory: Path

    @property
    def records(self):
        """Records of the history by name of the job, of this night only."""
        history = load(self.directory.parents[2] / "history")
        assert history.problems == ()
        return {each.name: each for each in history.records if each.night == self.directory.name}

    @property
    def summary(self):
        """What night.json holds."""
        return json.loads((self.directory / "night.json").read_text())

    def suite(self, name):
        """Return the suite of a job's JUnit file."""
        path = self.directory / "junit" / f"{name}.xml"
        return ET.parse(path).getroot().find("testsuite")  # noqa: S314 - our own document


def end(process, cwd):
    """Wait for a night, and return how it ended."""
    said, _ = process.communicate(timeout=PATIENCE)
    named = next(word for word in said.split() if word.startswith("runs/nights/"))
    return Ended(said, process.returncode, cwd / named)


def family_of(process):
    """Return the processes below a night, kernels and workers included."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kernels_of(process):
    """Return the kernels of a night."""
    found = []
    for each in family_of(process):
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in " ".join(each.cmdline()):
                found.append(each)
    return found


def wait_until(condition, seconds=PATIENCE):
    """Wait for a condition, and return what it gave last."""
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def nights(start, write_matrix, small_cache, tmp_path_factory):
    """Return three nights in one directory: one killed, then two at once.

    Of the two, the first has a broken step and a cache from which a file is missing; the kernel
    of the second is killed.
    """
    cwd = tmp_path_factory.mktemp("nights")
    cache = shutil.copytree(small_cache, cwd / "cache", copy_function=os.link)
    (cache / "references" / "jwst" / "miri" / "jwst_miri_gain_9001.fits").unlink()
    broken = {"control": "step skipped"}
    missing = {"crds_cache": str(cache), "crds_context": CONTEXT}
    first = write_matrix(cwd, "first.yaml", {"broken": broken, "missing": missing})
    second = write_matrix(cwd, "second.yaml", {"dying": {}})

    killed = start(cwd, second)
    assert wait_until(lambda: list(cwd.glob("runs/nights/*/dying/jwst-*/*/.executing*")))
    family = family_of(killed)
    killed.kill()
    killed.communicate()
    _, alive = psutil.wait_procs(family, timeout=SOON)
    after_killing = (len(family), alive, load(cwd / "history").records)

    both = [start(cwd, first, "--seed", "7"), start(cwd, second)]
    assert wait_until(lambda: list(cwd.glob("runs/nights/*/dying/truth/*.fits")))
    for kernel in kernels_of(both[1]):
        kernel.kill()
    begun = time.monotonic()
    dying = end(both[1], cwd)
    noticed = time.monotonic() - begun
    return after_killing, end(both[0], cwd), dying, noticed


@pytest.mark.long
@pytest.mark.slow
def test_killed_night_leaves_nothing_behind(nights):
    """Neither a process nor half a record."""
    started, alive, records = nights[0]
    assert started >= 2  # the job and its kernel
    assert (alive, records) == ([], ())


@pytest.mark.long
@pytest.mark.slow
def test_nights_at_once_have_their_own_places(nights):
    """Two nights keep apart, and both are in the history."""
    _, first, second, _ = nights
    assert first.directory != second.directory
    assert (set(first.records), set(second.records)) == ({"broken", "missing"}, {"dying"})


@pytest.mark.long
@pytest.mark.slow
def test_exit_code_is_the_worst(nights):
    """Failed goes before could not judge."""
    _, first, second, _ = nights
    assert (first.code, second.code) == (1, 2), first.said


@pytest.mark.long
@pytest.mark.slow
def test_broken_step_fails_everywhere(nights):
    """Terminal, history and JUnit tell the same story of the step that was skipped."""
    _, night, _, _ = nights
    record, suite = night.records["broken"], night.suite("broken")
    assert (record.outcome, record.cause, record.parameters["seed"]) == ("failed", "", 7)
    assert record.verdict["provenance"]["calibration"]["control"] == "step skipped"
    assert int(suite.get("failures")) == sum(
        metric["status"] == "failed" for metric in record.verdict["metrics"]
    )
    assert "broken: FAILED: broken on purpose (control: step skipped)" in night.said


@pytest.mark.long
@pytest.mark.slow
def test_metrics_are_properties(nights):
    """Servers can read every number of every metric, and what it depends on."""
    _, night, _, _ = nights
    suite, metrics = night.suite("broken"), night.records["broken"].verdict["metrics"]
    values = [each.get("value") for each in suite.iterfind(".//property[@name='value']")]
    assert values == [str(metric["value"]) for metric in metrics]
    seed = suite.find("properties/property[@name='seed']").get("value")
    assert (seed, "\x1b" in ET.tostring(suite, encoding="unicode")) == ("7", False)


@pytest.mark.long
@pytest.mark.slow
def test_missing_reference_is_told_before_the_run(nights):
    """Everywhere as references, with the file; no cell was run."""
    _, night, _, _ = nights
    record, suite = night.records["missing"], night.suite("missing")
    assert (record.outcome, record.cause) == ("could not judge", "references")
    assert "gain (jwst_miri_gain_9001.fits): it is not in the cache" in record.reason
    assert suite.find("testcase/error").get("type") == "references"
    assert not record.run_directory(night.directory.parents[2] / "history").exists()


@pytest.mark.long
@pytest.mark.slow
def test_summary_names_the_records(nights):
    """night.json has outcome, sentence and the ids of the history."""
    _, night, _, _ = nights
    records = night.records
    assert night.summary["jobs"] == [records[name].id for name in ("broken", "missing")]
    assert night.summary["outcome"] == "failed"
    assert night.summary["reason"] == (
        "1 of 2 failed (broken); 1 of 2 could not judge (missing: references)"
    )


@pytest.mark.long
@pytest.mark.slow
def test_latest_is_the_last_that_ended(nights):
    """The one that was killed is not."""
    _, night, _, _ = nights
    assert (night.directory.parent / "latest").resolve() == night.directory.resolve()


@pytest.mark.long
@pytest.mark.slow
def test_failed_run_keeps_its_products(nights):
    """What has to be looked into is there, page and notebook too."""
    _, night, _, _ = nights
    history = night.directory.parents[2] / "history"
    place = night.records["broken"].run_directory(history)
    names = {path.name for path in place.iterdir()}
    assert names >= {"image2", "rate", "figures", "image2_background.ipynb", "metrics.json"}


@pytest.mark.long
@pytest.mark.slow
def test_dead_kernel_is_noticed_within_seconds(nights):
    """And told as that everywhere, with the cells that were run."""
    _, _, night, noticed = nights
    record, suite = night.records["dying"], night.suite("dying")
    assert noticed < SOON
    assert (record.outcome, record.cause) == ("could not judge", "dead kernel")
    assert suite.find("testcase/error").get("type") == "dead kernel"
    assert "COULD NOT JUDGE (dead kernel)" in (night.directory / "logs" / "dying.log").read_text()
    place = record.run_directory(night.directory.parents[2] / "history")
    assert (place / "image2_background.html").exists()


@pytest.fixture(scope="module")
def hopeless(start, write_matrix, tmp_path_factory):
    """Return a night of which nothing can be judged, for a different cause each."""
    cwd = tmp_path_factory.mktemp("hopeless")
    (cwd / "empty").mkdir()
    jobs = {
        "saturated": {"filter": "F2550W", "subarray": "FULL", "readout_pattern": "SLOWR1"},
        "no_context": {"crds_cache": "empty"},
        "in_no_time": {"time_limit": 0.001},
        "no_baselines": {"baselines": "nowhere"},
    }
    return end(start(cwd, write_matrix(cwd, "nightly.yaml", jobs), "--site", "pages"), cwd)


@pytest.mark.slow
def test_each_job_has_its_own_cause(hopeless):
    """One that cannot be judged keeps no other from being tried."""
    causes = {name: record.cause for name, record in hopeless.records.items()}
    assert causes == {
        "saturated": "set-up",
        "no_context": "references",
        "in_no_time": "time limit",
        "no_baselines": "set-up",
    }
    assert hopeless.code == 2


@pytest.mark.slow
def test_reasons_are_sentences(hopeless):
    """Each says what is wrong, and JUnit says the same."""
    for name, record in hopeless.records.items():
        assert hopeless.suite(name).find("testcase/error").get("message") == record.reason
        assert f"{name}: COULD NOT JUDGE ({record.cause}): {record.reason}" in hopeless.said


@pytest.mark.slow
def test_pages_are_built_however_the_night_ended(hopeless):
    """They are of the history that the night has added to."""
    front = (hopeless.directory.parents[2] / "pages" / "index.html").read_text()
    assert all(f"{name} could not be judged" in front for name in hopeless.records)


@pytest.mark.slow
@pytest.mark.parametrize("ended", list(Outcome))
def test_pages_that_cannot_be_built_are_no_pass(monkeypatch, tmp_path, capsys, ended):
    """The exit code is the worse one of the night's and theirs."""
    monkeypatch.setattr(verbs_of_nights, "_night", lambda _: ended)
    code = main(["nightly", "--history", str(tmp_path), "--site", "/proc/pages"])
    assert code == (1 if ended is Outcome.FAILED else 2)
    assert "/proc" in capsys.readouterr().err


def small_disk_allowed():
    """Tell whether this machine lets a user mount a disk of his own."""
    if shutil.which("unshare") is None:
        return False
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


needs_small_disk = pytest.mark.skipif(
    not small_disk_allowed(), reason="this machine does not allow mounts of one's own"
)


@pytest.mark.slow
@needs_small_disk
def test_full_disk_is_told_before_the_run(start, write_matrix, tmp_path):
    """A disk that is too small for the products is a could-not-judge of the disk, and recorded."""
    matrix = write_matrix(tmp_path, "nightly.yaml", {"any": {}})
    (tmp_path / "runs").mkdir()
    mount = 'mount -t tmpfs -o size=5m none "$0" && exec "$@"'
    before = ["unshare", "-rm", "sh", "-c", mount, tmp_path / "runs"]
    night = end(start(tmp_path, matrix, before=before), tmp_path)
    assert night.code == 2
    assert night.records["any"].cause == Cause.DISK.word
    assert "GB free for any" in night.records["any"].reason


@pytest.mark.slow
@needs_small_disk
def test_disk_without_room_for_anything_is_one_sentence(start, write_matrix, tmp_path):
    """Where not even the night's own directory can be, that is said, and nothing is raised."""
    matrix = write_matrix(tmp_path, "nightly.yaml", {"any": {}})
    (tmp_path / "runs").mkdir()
    mount = 'mount -t tmpfs -o nr_inodes=2 none "$0" && exec "$@"'
    before = ["unshare", "-rm", "sh", "-c", mount, tmp_path / "runs"]
    process = start(tmp_path, matrix, before=before)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said.startswith("COULD NOT JUDGE (disk): runs/nights cannot be written")
    assert len(said.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGTERM, id="server"),
        pytest.param(signal.SIGINT, id="Ctrl-C", marks=pytest.mark.long),
    ],
)
def test_stopped_night_says_so(start, write_matrix, interruptible, tmp_path, stop):
    """Who stops a night gets one sentence, and no process is left."""
    matrix = write_matrix(tmp_path, "nightly.yaml", {"any": {}})
    process = start(tmp_path, matrix, before=interruptible)
    assert wait_until(lambda: len(family_of(process)) > 1)
    family = family_of(process)
    process.send_signal(stop)
    said, _ = process.communicate(timeout=SOON)
    assert process.returncode == 130
    assert "INTERRUPTED: what had ended is in the history" in said
    assert psutil.wait_procs(family, timeout=SOON)[1] == []
    assert "Traceback" not in said


def test_wrong_matrix_starts_nothing(start, tmp_path):
    """A file that is wrong is told before anything is written."""
    (tmp_path / "nightly.yaml").write_text("observations: {a: {groups: 3}}")
    process = start(tmp_path, "nightly.yaml")
    said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "nightly.yaml, a: groups = 3 is not" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["nightly.yaml"]
