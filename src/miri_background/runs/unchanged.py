"""Whether a run's verdict still stands: nothing that it was made from or wrote has changed."""

import json
import os
from pathlib import Path

from miri_background.calibration.image2 import steps_are_imported
from miri_background.files import checksum, content_key, for_each_file, write_text_whole
from miri_background.outcomes import Outcome
from miri_background.provenance import source_fingerprint, versions
from miri_background.reading import NotRegularFile, read_json
from miri_background.references.any_cache import cache_directory
from miri_background.repository import checkout_state, repository_file
from miri_background.validation.verdict.baselines import baseline_directory

__all__ = ["forget", "recall", "remember"]

# Parameters that a verdict does not depend on.
_OF_NO_EFFECT = {"workers", "working_directory"}
# Variables that packages of a run look at, by how their names begin.
_VARIABLES = ("CRDS_", "MIRI_BACKGROUND_", "PYTHON", "STPIPE_", "PASS_INVALID", "STRICT_")
_RULES = {".pmap", ".imap", ".rmap"}


def _record(run):
    """Return the path of what is remembered of a run."""
    return run.root / ".records" / "ended.json"


def forget(run):
    """Remove what is remembered, before a run begins that may end otherwise."""
    _record(run).unlink(missing_ok=True)


def remember(run, name, parameters, outcome, reason):
    """Record how a run ended and what that depends on.

    Parameters
    ----------
    run : RunDirectory
        Where it ended, with a verdict.
    name : str
        Which notebook.
    parameters : dict
        Those of the notebook.
    outcome : Outcome
        That of its verdict.
    reason : str
        Why.
    """
    state = _state(run, name, parameters)
    content = {"state": state, "outcome": outcome.word, "reason": reason}
    write_text_whole(_record(run), json.dumps(content, indent=1) + "\n", ours=Path.is_file)


def recall(run, name, parameters):
    """Return how a run ended, if all that this depends on is as it was.

    Parameters
    ----------
    run : RunDirectory
        Where it may have ended.
    name : str
        Which notebook.
    parameters : dict
        Those of the notebook.

    Returns
    -------
    tuple of (Outcome, str) or None
        As `remember` was given them; None if the run has to be made, or made again.
    """
    if run.calibration.crds_server_url:
        return None  # the server may have other references by now
    if steps_are_imported():
        return None  # whoever imported them before this suite did may have changed them
    try:
        found = read_json(_record(run))
        now = _state(run, name, parameters, found["state"]["references"])
        if found["state"] != now:
            return None
        return Outcome.of(found["outcome"]), found["reason"]
    except (OSError, NotRegularFile, ValueError, KeyError, TypeError, StopIteration):
        return None  # nothing to recall, or nothing that can be relied on


def _state(run, name, parameters, references=None):
    """Return what a verdict depends on, and what was written with it.

    Of references, those that are given are looked at again; others may come into a cache.
    """
    baselines = baseline_directory(parameters.get("baselines"))
    given = {key: value for key, value in parameters.items() if key not in _OF_NO_EFFECT}
    return {
        "suite": source_fingerprint("miri_background"),
        "checkout": checkout_state(),
        "notebook": checksum(repository_file("notebooks", f"{name}.ipynb")),
        "pipeline": run.pipeline.fingerprint,
        "versions": versions() | run.pipeline.versions(),
        "parameters": content_key(given),
        "environment": content_key(
            {each: os.environ[each] for each in sorted(os.environ) if each.startswith(_VARIABLES)}
        ),
        "baselines": _checksums(baselines, baselines),
        "references": _times(_references(run) if references is None else references),
        "files": _checksums(run.observed, run.root, *run.products_directories),
    }


def _references(run):
    """Return the paths of the rules of a run's cache, and of the references that it names."""
    named = set(read_json(run.metrics)["provenance"].get("references", ()))
    paths = _files_below(cache_directory(run.calibration.crds_cache, run.observed))
    return [str(each) for each in paths if each.name in named or each.suffix in _RULES]


def _times(paths):
    """Return size and time of files, None of one that is not there."""
    found = {}
    for path in map(Path, sorted(paths)):
        status = path.stat() if path.exists() else None
        found[str(path)] = status and [status.st_size, status.st_mtime_ns]
    return found


def _checksums(start, *directories):
    """Return the checksums of all files of directories, by path from a start.

    Records and other hidden files are left out, and links.
    """
    paths = {path for top in directories for path in _files_below(top)}
    files = sorted(path for path in paths if not path.is_symlink())
    return content_key(
        for_each_file(checksum, {os.path.relpath(path, start): path for path in files})
    )


def _files_below(top):
    """Yield the paths of all files of a directory; what another process is writing is hidden."""
    for directory, below, names in os.walk(top):
        below[:] = [each for each in below if not each.startswith(".")]
        yield from (Path(directory, each) for each in names if not each.startswith("."))
