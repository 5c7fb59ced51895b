"""One night: preflight, each observation's notebook once, JUnit, history, and the outcome of all.

Each job is a process of its own, so that one that dies, hangs or fills the disk stops nothing
else; its record is added to the history as soon as it ends.
"""

import contextlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten

import psutil

from miri_background.files import write_text_whole
from miri_background.nightly.message import changes_of, state_of
from miri_background.nightly.processes import Task, carried_out
from miri_background.observation import exposures
from miri_background.outcomes import (
    CannotJudge,
    DiskFailed,
    MemoryFailed,
    Outcome,
    ReferencesUnfit,
    headline,
    worst,
)
from miri_background.places import writable
from miri_background.references.doctor import UNFIT, examine_choice, report
from miri_background.reporting.history import Record, append
from miri_background.reporting.junit import junit_error, junit_xml
from miri_background.run_directory import RunDirectory, run_path, space_needed
from miri_background.runs.latest import point_latest_to, require_latest
from miri_background.runs.names import VALIDATION
from miri_background.runs.notebook import execute_notebook, keep_unfinished
from miri_background.simulation.sky_level import require_unsaturated
from miri_background.tables import text_table
from miri_background.validation.verdict.baselines import baseline_directory, baselines_of
from miri_background.validation.verdict.metrics_file import verdict_of

__all__ = ["Night", "carry_out_night"]

_NIGHTS = Path("runs") / "nights"

# Measured, bytes: the kernel holds all rates and products, a worker one ramp with its copies.
_MEMORY_OF_JOB = 0.9e9  # Python, the pipeline's modules, papermill
_MEMORY_PER_EXPOSURE = 60  # bytes per pixel, in the kernel
_MEMORY_OF_WORKER = 0.5e9
_MEMORY_PER_READ = 30  # bytes per pixel and group, in a worker
_WIDTH = 90  # characters of a reason in the table


@dataclass(frozen=True)
class Night:
    """How a night ended.

    Parameters
    ----------
    directory : pathlib.Path
        Holds ``night.json``, ``junit/``, ``logs/``, and a run directory for each job.
    records : tuple of Record
        Of the jobs, in the order of the matrix.
    problems : tuple of CannotJudge
        What could not be written, beside what is in the records.
    """

    directory: Path
    records: tuple
    problems: tuple = ()

    @property
    def outcome(self):
        """The worst outcome of all: failed, could not judge, drifted, passed, in this order."""
        return worst(
            [Outcome.of(record.outcome) for record in self.records]
            + [Outcome.CANNOT_JUDGE for _ in self.problems]
        )

    def reason(self):
        """Return in one sentence what did not pass; empty if all did."""
        parts = []
        for outcome in (Outcome.FAILED, Outcome.CANNOT_JUDGE, Outcome.DRIFTED):
            names = [
                record.name + (f": {record.cause}" if record.cause else "")
                for record in self.records
                if record.outcome == outcome.word
            ]
            if names:
                word = "drifted" if outcome is Outcome.DRIFTED else outcome.word
                parts.append(f"{len(names)} of {len(self.records)} {word} ({', '.join(names)})")
        return "; ".join([*parts, *map(str, self.problems)])

    def text(self):
        """Return the table of all jobs and the outcome as text for a terminal."""
        rows = [
            (
                record.name,
                Outcome.of(record.outcome).marked(),
                record.cause or "–",
                f"{record.seconds / 60:.1f}",
                shorten(
                    record.reason or "every metric is within its limit", _WIDTH, placeholder=" …"
                ),
            )
            for record in self.records
        ]
        table = text_table(("observation", "outcome", "cause", "min", "why"), rows, right=(3,))
        return f"{table}\n\n{headline(self.outcome, self.reason())}"


def carry_out_night(matrix, history, workers=0, tell=lambda _: None):
    """Carry out all jobs of a night.

    Parameters
    ----------
    matrix : Matrix
        The jobs.
    history : path-like
        Directory that gets a record for each.
    workers : int, optional
        Processes that calibrate at the same time, of all jobs together; 0 for one per core.
    tell : callable, optional
        Called with lines of text during the night.

    Returns
    -------
    Night
        Problems of jobs are reported there, not raised.

    Raises
    ------
    CannotJudge
        If there is no place for the results of any job.
    """
    started = datetime.now(UTC)
    directory = _new_night(started)
    with writable(history):
        Path(history).expanduser().mkdir(parents=True, exist_ok=True)
        if not os.access(Path(history).expanduser(), os.W_OK | os.X_OK):
            msg = f"{history} cannot be written: name another directory for the history."
            raise DiskFailed(msg)
    night = _Diary(matrix, directory, Path(history).expanduser(), started, tell)
    at_once, workers = _shares(matrix, workers)
    tell(
        f"Night {directory.name}: {len(matrix.jobs)} observations, {at_once} at once with "
        f"{workers} worker{'s' * (workers > 1)} each, in {directory}"
    )
    sound = _preflight(night, at_once, workers)
    tasks = [
        Task(
            job.name,
            _execute,
            (job, str(directory / job.name), workers),
            night.log(job),
            job.time_limit,
        )
        for job in sound
    ]
    with contextlib.closing(carried_out(tasks, at_once)) as executed:
        for ended in executed:
            night.enter(ended.name, ended.result, ended.started, ended.seconds)
    return night.close()


def _new_night(started):
    """Return the new directory of a night, with places for JUnit and logs."""
    require_latest(_NIGHTS)
    with writable(_NIGHTS):
        while True:
            directory = _NIGHTS / f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
            try:
                directory.mkdir(parents=True)
            except FileExistsError:
                continue
            for name in ("junit", "logs"):
                (directory / name).mkdir()
            return directory


class _Diary:
    """What a night has reported so far."""

    def __init__(self, matrix, directory, history, started, tell):
        self.jobs = {job.name: job for job in matrix.jobs}
        self.directory, self.history, self.tell = directory, history, tell
        self._started = started
        self._records, self._problems = {}, []
        self._message = matrix.message
        self._before = state_of(history) if self._message else {}

    def log(self, job):
        """Return the path of the log of a job."""
        return self.directory / "logs" / f"{job.name}.log"

    def enter(self, name, result, started, seconds):
        """Add a job that has ended to the history, and write its JUnit file.

        Parameters
        ----------
        name : str
            Of the job.
        result : (Outcome, str, Cause or None, dict or None) or CannotJudge
            Outcome, reason, cause and the content of metrics.json; or why there is none.
        started : datetime.datetime
            When it began.
        seconds : float
            How long it took.
        """
        job = self.jobs[name]
        place = run_path(self.directory / name, job.calibration)
        if isinstance(result, CannotJudge):
            error, result = result, (Outcome.CANNOT_JUDGE, str(result), result.cause, None)
            with self._problems_kept():
                result = _ending(keep_unfinished(VALIDATION, place, error))
        outcome, reason, cause, verdict = result
        record = Record(
            name,
            VALIDATION,
            self.directory.name,
            started.isoformat(),
            round(seconds, 3),
            outcome.word,
            cause.word if cause else "",
            reason,
            str(place),
            verdict,
            job.parameters(),
        )
        self._records[name] = record
        self.tell(
            f"  {outcome.symbol} {name}: {headline(outcome, reason, cause)} "
            f"({seconds / 60:.1f} min)"
        )
        with self._problems_kept():
            path = append(record, self.history)
            # Only what is in the history has an id.
            record = self._records[name] = replace(record, id=path.stem)
        with self._problems_kept(), writable(self.directory):
            write_text_whole(self.directory / "junit" / f"{name}.xml", _junit(job, record, cause))

    @contextlib.contextmanager
    def _problems_kept(self):
        """Keep what could not be written for the end, as other jobs go on."""
        try:
            yield
        except CannotJudge as error:
            self._problems.append(error)
            outcome = Outcome.CANNOT_JUDGE
            self.tell(f"  {outcome.symbol} {headline(outcome, str(error), error.cause)}")

    def close(self):
        """Write night.json, let ``latest`` point to this night, and return how it ended."""
        records = tuple(self._records[name] for name in self.jobs)
        night = Night(self.directory, records, tuple(self._problems))
        told = self._tell_others(night)
        content = {
            "schema_version": 1,
            "night": self.directory.name,
            "started": self._started.isoformat(),
            "seconds": round((datetime.now(UTC) - self._started).total_seconds(), 3),
            "outcome": night.outcome.word,
            "reason": night.reason(),
            "jobs": [record.id for record in records if record.id],
            "message": told,
        }
        with self._problems_kept(), writable(self.directory):
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            write_text_whole(self.directory / "night.json", text)
            point_latest_to(self.directory, _NIGHTS)
        return Night(self.directory, records, tuple(self._problems))

    def _tell_others(self, night):
        """Send a message if something changed, and return in words what became of it."""
        changes = changes_of(night.records, self._before) if self._message else []
        if not changes:
            return "none"
        problems = self._message.send(night, changes)
        # The verdict is the same, whether somebody heard of it or not.
        words = " ".join(problems) or f"sent: {len(changes)} changed"
        self.tell(words if problems else f"Message {words}")
        return words


def _junit(job, record, cause):
    """Return the JUnit document of a job."""
    observation = job.observation
    facts = [
        ("night", record.night),
        ("record", record.id),
        ("directory", record.directory),
        ("observation", f"{observation.filter} {observation.subarray}"),
        ("seed", str(observation.seed)),
        ("control", job.calibration.control),
    ]
    package = f"{VALIDATION}.{job.name}"
    if cause is not None:
        return junit_error(job.name, record.reason, cause, record.seconds, facts, package)
    verdict = verdict_of(record.verdict)
    facts += [(f"version: {name}", text) for name, text in verdict.provenance["versions"].items()]
    return junit_xml(verdict, job.name, record.seconds, facts, package)


# ---------------------------------------------------------------------------- preflight


def _preflight(night, at_once, workers):
    """Enter the jobs that cannot be judged on this machine, and return the others."""
    space, sound = _Space(night.directory), []
    for job in night.jobs.values():
        now = datetime.now(UTC)
        try:
            require_unsaturated(job.observation)
            # A damaged baseline is reported before the work, not after it.
            baselines_of(
                baseline_directory(job.settings.baselines), (job.observation, job.calibration)
            )
            _require_memory(job, workers)
            space.take(job)
        except CannotJudge as error:
            night.enter(job.name, error, now, 0.0)
        else:
            sound.append(job)
    tasks = [Task(job.name, _examine, (job,), night.log(job), job.time_limit) for job in sound]
    with contextlib.closing(carried_out(tasks, at_once)) as examined:
        for ended in examined:
            if isinstance(ended.result, CannotJudge):
                night.enter(ended.name, ended.result, ended.started, ended.seconds)
                sound = [job for job in sound if job.name != ended.name]
    night.tell(f"Preflight: {len(sound)} of {len(night.jobs)} observations can be judged")
    return sound


class _Space:
    """Free space on the disk of a night, given to one job after the other."""

    def __init__(self, directory):
        self._directory = directory
        self._free = shutil.disk_usage(directory).free

    def take(self, job):
        """Reserve what a job needs, or say that there is not so much."""
        needed = space_needed(job.observation, job.calibration)
        if needed > self._free:
            msg = (
                f"{self._directory} has {self._free / 1e9:.2f} GB free for {job.name} when the "
                f"others have theirs, and it needs {needed / 1e9:.2f} GB: free space there."
            )
            raise DiskFailed(msg)
        self._free -= needed


def _examine(job):
    """Examine the references of a job, as `references doctor` does."""
    _, findings = examine_choice(job.observation, job.calibration, job.settings.mirisim_command)
    print(report(findings), flush=True)  # noqa: T201 - goes to the job's log
    unfit = [each for each in findings if each.status in UNFIT]
    if unfit:
        first = unfit[0]
        msg = (
            f"{len(unfit)} of {len(findings)} types of references are unfit, first "
            f"{first.reftype} ({first.file}): {first.sentence}."
        )
        raise ReferencesUnfit(msg)


# ---------------------------------------------------------------------------- the jobs


def _execute(job, place, workers):
    """Run the notebook of a job, and return how it ended and what metrics.json holds."""
    # Refused here, a directory stays as it was; the notebook takes it over.
    directories = RunDirectory(place, job.observation, job.calibration)
    directories.release()
    run = execute_notebook(VALIDATION, job.parameters() | {"workers": workers}, directories)
    print(run.text(), flush=True)  # noqa: T201 - goes to the job's log
    if run.outcome in (Outcome.PASSED, Outcome.DRIFTED):
        for products in directories.products_directories:
            shutil.rmtree(products, ignore_errors=True)
    return _ending(run)


def _ending(run):
    """Return what is kept of a run: outcome, reason, cause and what metrics.json holds."""
    return run.outcome, run.reason, run.cause, run.verdict and run.verdict.content()


def _memory_needed(job, workers):
    """Return the memory that a job takes, in bytes."""
    kernel, longest = 0, 0
    for exposure in exposures(job.observation):
        readout = exposure.readout
        rows, columns = readout.window.shape
        kernel += _MEMORY_PER_EXPOSURE * rows * columns * readout.integrations
        reads = readout.groups * readout.integrations
        longest = max(longest, _MEMORY_PER_READ * rows * columns * reads)
    return _MEMORY_OF_JOB + kernel + workers * (_MEMORY_OF_WORKER + longest)


def _memory_available():
    """Return the memory that is free for new processes, in bytes."""
    available = psutil.virtual_memory().available
    # A container may have less than the machine.
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int((group / f"memory.{each}").read_text()) for each in ("max", "current"))
        available = min(available, limit - used)
    return available


def _require_memory(job, workers):
    """Refuse a job that the machine has too little memory for."""
    available, needed = _memory_available(), _memory_needed(job, workers)
    if needed > available:
        msg = (
            f"{job.name} needs about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB "
            "are free: close other programs, or give it fewer groups or exposures."
        )
        raise MemoryFailed(msg)


def _shares(matrix, workers):
    """Return how many jobs run at once, and how many workers each has.

    Two jobs with one worker each end earlier than one after the other with two, because much of
    a notebook is one process.
    """
    cores = workers or _cores()
    available = _memory_available()
    largest = max(_memory_needed(job, 1) for job in matrix.jobs)
    at_once = max(1, min(cores, len(matrix.jobs), int(available // largest)))
    each = max(1, cores // at_once)
    while each > 1 and at_once * max(_memory_needed(j, each) for j in matrix.jobs) > available:
        each -= 1
    return at_once, each


def _cores():
    """Return how many processor cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
