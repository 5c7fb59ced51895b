"""The history of runs: one file for each, added whole, never changed and never removed."""

import json
import math
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.places import writable
from miri_background.reading import read_json
from miri_background.schemas import NotAsDescribed, require
from miri_background.tables import text_table
from miri_background.validation.measurements.measurement import place_in_words, share_of_limit
from miri_background.validation.verdict.drift import ChangedLimit, compare
from miri_background.validation.verdict.metrics_file import verdict_as_described

__all__ = [
    "History",
    "Record",
    "append",
    "compare_records",
    "history_schema",
    "load",
    "require_history",
    "text_list",
    "verdict_of_record",
]

_VERSION = 1
_OF_SHARE = ("value", "limit")
_SHOWN = 200  # characters of a reason; a schema would quote the whole file


@dataclass(frozen=True)
class Record:
    """How one run ended, and what it measured.

    Parameters
    ----------
    name : str
        Of the observation, as ``nightly.yaml`` calls it.
    notebook : str
        Which notebook was executed.
    night : str
        Id of the night that it was a job of, empty for none.
    started : str
        ISO 8601, in UTC.
    seconds : float
        How long it took.
    outcome : str
        Word of an `Outcome`.
    cause : str
        Word of a `Cause` if it could not be judged, else empty.
    reason : str
        One sentence; empty if it passed.
    directory : str
        Run directory, relative to the one that holds the history where it is below that.
    verdict : dict or None
        What ``metrics.json`` holds, if the run came so far.
    parameters : dict, optional
        What the notebook was given, the seed among it.
    id : str, optional
        Stem of the record's file; empty as long as there is none.
    """

    name: str
    notebook: str
    night: str
    started: str
    seconds: float
    outcome: str
    cause: str
    reason: str
    directory: str
    verdict: dict | None
    parameters: dict = field(default_factory=dict)
    id: str = ""

    def run_directory(self, history):
        """Return the path of the run directory, which may be gone.

        Parameters
        ----------
        history : path-like
            Directory of the history that the record is from.

        Returns
        -------
        pathlib.Path
            Absolute.
        """
        return _home(history) / self.directory


@dataclass(frozen=True)
class History:
    """All runs that a directory has records of.

    Parameters
    ----------
    records : tuple of Record
        In order of time.
    problems : tuple of str
        A sentence for each file that is damaged or of a later version of the suite.
    """

    records: tuple
    problems: tuple

    def of(self, name=None):
        """Return the records of an observation, by default of all.

        Parameters
        ----------
        name : str, optional
            Of the observation.

        Returns
        -------
        list of Record
            In order of time.

        Raises
        ------
        SetUpWrong
            If there is no such observation.
        """
        found = [record for record in self.records if name in (None, record.name)]
        if name is not None and not found:
            names = ", ".join(sorted({record.name for record in self.records}))
            msg = f"The history has no run of an observation {name}: it has runs of {names}."
            raise SetUpWrong(msg)
        return found

    def require_whole(self):
        """Refuse a history of which something cannot be read, or that has no run.

        Raises
        ------
        CannotJudge
            With the first of the problems.
        """
        if self.problems:
            count = len(self.problems)
            more = f" ({count} of {count + len(self.records)} files cannot be read.)"
            raise CannotJudge(self.problems[0] + more * (count > 1))
        if not self.records:
            msg = "There is no run in the history: `miri-background nightly` adds runs to it."
            raise SetUpWrong(msg)

    def record(self, identifier):
        """Return a record by its id, or by a beginning that no other has.

        Parameters
        ----------
        identifier : str
            As `Record.id`.

        Returns
        -------
        Record
            The only one.

        Raises
        ------
        SetUpWrong
            If there is none, or more than one.
        """
        found = [each for each in self.records if each.id.startswith(identifier)]
        if len(found) != 1:
            msg = (
                f"{len(found) or 'No'} runs of the history have an id that begins with "
                f"{identifier}: name one as `miri-background history` lists them."
            )
            raise SetUpWrong(msg)
        return found[0]


@lru_cache(maxsize=1)
def history_schema():
    """Return the JSON schema of a record's file."""
    return json.loads((files(__package__) / "history.schema.json").read_text(encoding="utf-8"))


def _home(history):
    """Return the directory that holds the history, to which run directories are relative."""
    return Path(history).expanduser().resolve().parent


def _relative(directory, history):
    """Return a run directory as a record names it."""
    path = Path(directory).expanduser().resolve()
    home = _home(history)
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def append(record, history):
    """Add a record to a history: whole or not at all, and beside any other writer.

    Parameters
    ----------
    record : Record
        What is added; its run directory may be an absolute path.
    history : path-like
        Directory of the history; made if there is none.

    Returns
    -------
    pathlib.Path
        The record's file.

    Raises
    ------
    DiskFailed
        If it cannot be written.
    NotAsDescribed
        If the record is not what the schema describes.
    """
    history = Path(history).expanduser()
    content = {"schema_version": _VERSION} | asdict(record)
    content["directory"] = _relative(record.directory, history)
    del content["id"]
    require(content, history_schema)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    started = datetime.fromisoformat(record.started).strftime("%Y%m%dT%H%M%SZ")
    with writable(history):
        history.mkdir(parents=True, exist_ok=True)
        while True:
            path = history / f"{started}-{record.name}-{secrets.token_hex(4)}.json"
            try:
                _add_whole(path, text)
            except FileExistsError:
                continue
            return path


def _add_whole(path, text):
    """Write a file that no reader sees a part of, and that replaces none."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as aside:
        written = Path(aside) / path.name
        with written.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        # Unlike a renamed file, a link does not take the place of one that is there.
        path.hardlink_to(written)


def require_history(history):
    """Refuse a history that is no directory, or cannot be read.

    Parameters
    ----------
    history : path-like
        Should be the directory of a history.

    Raises
    ------
    SetUpWrong
        Naming it.
    """
    try:
        next(Path(history).expanduser().iterdir(), None)
    except OSError as error:
        msg = (
            f"{history} cannot be read as the directory of a history ({error.strerror or error}): "
            "name it with --history; `miri-background nightly` makes it."
        )
        raise SetUpWrong(msg) from error


def load(history):
    """Return all records of a history, and what cannot be read of it.

    Parameters
    ----------
    history : path-like
        Directory of the history; one that is not there is empty.

    Returns
    -------
    History
        Records in order of time.  A file that is damaged, or of a later version of the suite,
        is named in the problems and left as it is.
    """
    records, problems = [], []
    for path in sorted(Path(history).expanduser().glob("*.json")):
        try:
            records.append(_read(path))
        except _Unreadable as error:
            problems.append(str(error))
    return History(tuple(sorted(records, key=_in_time)), tuple(problems))


def _in_time(record):
    """Return what records are sorted by."""
    return datetime.fromisoformat(record.started), record.id


class _Unreadable(CannotJudge):
    """A file of the history is not a record of this version; the message says so."""


def _read(path):
    """Return the record of a file."""
    try:
        content = read_json(path)
        version = content.pop("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > _VERSION:
            msg = (
                f"{path} was written by a later version of the suite (schema_version {version}, "
                f"this one knows {_VERSION}): update the suite to read it."
            )
            raise _Unreadable(msg)
        require({"schema_version": version} | content, history_schema)
        record = Record(**content, id=path.stem)
        _in_time(record)
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"{path} is not a whole record ({reason[:_SHOWN]}): "
            "restore it from a copy, or move it away."
        )
        raise _Unreadable(msg) from error
    return record


def text_list(records):
    """Return records as lines of text for a terminal, the last one last.

    Parameters
    ----------
    records : sequence of Record
        In order of time.

    Returns
    -------
    str
        A table with id, outcome, the metric closest to its limit, and pipeline build of each.
    """
    rows = []
    for record in records:
        outcome = record.outcome + (f" ({record.cause})" if record.cause else "")
        build = record.verdict["provenance"]["versions"].get("jwst", "–") if record.verdict else "–"
        rows.append((record.id, outcome, _worst(record), build, f"{record.seconds / 60:.1f}"))
    heads = ("id", "outcome", "closest to its limit", "jwst", "min")
    return text_table(heads, rows, right=(4,))


def _worst(record):
    """Return in words the metric that is closest to, or furthest over, its limit."""
    if record.verdict is None:
        return "–"
    worst = max(record.verdict["metrics"], key=_share_of_limit)
    place = place_in_words(worst["region"], worst["exposure"])
    share = _share_of_limit(worst)
    number = f"{share:.0%} of it" if worst["limit"] else f"{worst['value']} {worst['unit']}, not 0"
    return f"{worst['name']} ({place}): {number if share else '0'}"


def _share_of_limit(metric):
    """Return the value of a metric over its limit, as a record keeps them."""
    # What is not a finite number has none in JSON.
    value, limit = (math.nan if metric[name] is None else metric[name] for name in _OF_SHARE)
    return share_of_limit(value, limit)


def verdict_of_record(record):
    """Return the verdict that a record keeps.

    Parameters
    ----------
    record : Record
        Of a run.

    Returns
    -------
    Verdict
        As it was written.

    Raises
    ------
    CannotJudge
        If it has no metrics, or metrics of another version of the suite.
    """
    if record.verdict is None:
        msg = (
            f"{record.id} has no metrics, it could not be judged ({record.cause}): "
            "choose another run."
        )
        raise CannotJudge(msg)
    try:
        return verdict_as_described(record.verdict)
    except NotAsDescribed as error:
        msg = (
            f"{record.id} has metrics of another version of the suite "
            f"(schema_version {record.verdict['schema_version']}): choose a later run."
        )
        raise CannotJudge(msg) from error


def compare_records(before, after):
    """Return what changed from one run to another.

    Parameters
    ----------
    before, after : Record
        Two runs, of the same observation or not.

    Returns
    -------
    str
        What changed, and by how many standard errors.

    Raises
    ------
    CannotJudge
        If one of them has no metrics, or metrics of another version of the suite.
    """
    verdicts = [verdict_of_record(record) for record in (before, after)]
    drift = compare(verdicts[1], verdicts[0], before.id)
    builds = [verdict.provenance["versions"]["jwst"] for verdict in verdicts]
    same = "the same level-1b data" if drift.same_ramps else "other level-1b data"
    lines = [
        f"{record.id}: jwst {build}, {record.outcome}"
        for record, build in zip((before, after), builds, strict=True)
    ]
    count = f"{len(drift.metrics)} metric{'s' * (len(drift.metrics) != 1)}"
    lines.append(f"{count} changed, with {same}.")
    lines += [each.sentence() for each in drift.behaviours]
    if drift.limits:
        most = max(drift.limits, key=ChangedLimit.part)
        lines.append(f"{len(drift.limits)} limits changed, most the {most.sentence()}.")
    if drift.metrics:
        lines += ["", drift.table()]
    return "\n".join(lines)
