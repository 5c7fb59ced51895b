"""The CRDS cache of synthetic references: written whole or not at all, and found again.

A cache is complete when its manifest says so: the manifest is written last,
before the directory is renamed into place.
"""

import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from miri_background.files import checksum, content_key
from miri_background.outcomes import ReferencesUnfit
from miri_background.provenance import source_fingerprint
from miri_background.reading import read_json
from miri_background.references.mappings import CONTEXT, OLDER_SERIAL, write_mappings
from miri_background.references.needs import DamagedReference
from miri_background.references.reference_files import (
    ExposureKind,
    write_older_references,
    write_references,
)

__all__ = ["require_as_written", "synthetic_cache"]

# What decides the bytes of a reference file, beside its kind.
_SOURCES = (
    *(
        f"miri_background.references.{name}"
        for name in (
            "arrays",
            "cache",
            "detectors",
            "interference",
            "mappings",
            "metadata",
            "reference_files",
            "tables",
        )
    ),
    "miri_background.instrument",
    "miri_background.simulation.mirisim.constants",
)

_MANIFEST = "manifest.json"
_ASIDE_PREFIX = ".writing-"
# Writing takes seconds: what is older than this belongs to a process that was killed.
_ABANDONED_AFTER = 3600.0  # s


def _cache_key(kind):
    """Return the key of everything that decides what a cache holds."""
    libraries = ("asdf", "astro-sedpy", "crds", "numpy", "photutils", "scipy", "stdatamodels")
    versions = {name: version(name) for name in libraries}
    return content_key(kind.parameters(), source_fingerprint(*_SOURCES), versions)


def _write_cache(directory, kind):
    """Write a cache into an empty directory, its manifest last."""
    configuration = directory / "config" / "jwst"
    mappings = directory / "mappings" / "jwst"
    references = directory / "references" / "jwst" / "miri"
    for folder in (configuration, mappings, references):
        folder.mkdir(parents=True)

    selections = write_references(references, kind)
    write_mappings(mappings, selections)
    write_mappings(mappings, write_older_references(references, selections), OLDER_SERIAL)
    # What CRDS would have got from its server, as a Python literal.
    server_config = {
        "observatory": "jwst",
        "operational_context": CONTEXT,
        "latest_context": CONTEXT,
        "bad_files_list": [],
        "force_remote_mode": False,
        "last_synced": "never",
    }
    (configuration / "server_config").write_text(f"{server_config!r}\n", encoding="utf-8")
    # References lie in one directory per instrument.
    (configuration / "ref_cache_subdir_mode").write_text("instrument", encoding="utf-8")

    files = {
        path.relative_to(directory).as_posix(): {
            "size": path.stat().st_size,
            "sha256": checksum(path),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"context": CONTEXT, "files": files}, indent=1)
    (directory / _MANIFEST).write_text(text + "\n", encoding="utf-8")


def _is_complete(directory):
    """Return whether a directory holds a whole cache: every file there, of its size."""
    try:
        manifest = read_json(directory / _MANIFEST)
        return all(
            (directory / name).stat().st_size == properties["size"]
            for name, properties in manifest["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False  # a file is missing, or the manifest is not what was written


def require_as_written(path):
    """Require that a reference of a synthetic cache is, byte for byte, what was written.

    Parameters
    ----------
    path : path-like
        The reference, of any cache: others have no checksums of their references.

    Raises
    ------
    DamagedReference
        If size or checksum is another one.
    """
    path = Path(path)
    try:
        root = next(each for each in path.parents if (each / _MANIFEST).is_file())
        known = read_json(root / _MANIFEST)["files"][path.relative_to(root).as_posix()]
        size, sha256 = known["size"], known["sha256"]
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return
    remedy = "remove the cache, so that it is written anew"
    if (found := path.stat().st_size) != size:
        raise DamagedReference(f"it has {found} bytes, and {size} were written", remedy)
    if checksum(path) != sha256:
        raise DamagedReference("its SHA-256 is not that of the file that was written", remedy)


def _rename_into_place(written, target, aside):
    """Rename a new cache into place, unless a whole one is already there.

    Parameters
    ----------
    written : pathlib.Path
        The new cache.
    target : pathlib.Path
        Its final path.
    aside : pathlib.Path
        Directory on the same file system that takes a damaged cache.
    """
    while not _is_complete(target):
        _refuse_foreign(target, written)
        with suppress(FileNotFoundError):  # the usual case: nothing is there
            target.rename(aside / "damaged")
        try:
            written.rename(target)
        except OSError:
            # Another process put its cache there in between; a real obstacle, such
            # as a file system that is full or read-only, leaves nothing there.
            if not target.exists():
                raise


def _refuse_foreign(target, written):
    """Refuse to replace what has more in it than a cache that is damaged."""
    if not os.path.lexists(target):
        return
    there = {Path()} if not target.is_dir() else _names_below(target)
    for name in sorted(there - _names_below(written)):
        msg = (
            f"{target / name} is in the way of synthetic references and was not written by this "
            "suite: move it away, or name another directory with MIRI_BACKGROUND_CACHE."
        )
        raise ReferencesUnfit(msg)


def _names_below(directory):
    """Return the paths of everything in a directory, relative to it."""
    return {path.relative_to(directory) for path in directory.rglob("*")}


def _remove_abandoned(root):
    """Remove what killed processes have left half written."""
    for path in root.glob(f"{_ASIDE_PREFIX}*"):
        try:
            abandoned = time.time() - path.stat().st_mtime > _ABANDONED_AFTER
        except FileNotFoundError:
            continue  # another process has just finished with it
        if abandoned:
            shutil.rmtree(path, ignore_errors=True)


def synthetic_cache(root, observation, mirisim_read_noise=None, dark_groups=0, emicorr=True):
    """Return a complete synthetic CRDS cache, written first if it is not there yet.

    Parameters
    ----------
    root : path-like
        Directory of caches; made if it does not exist.
    observation : Observation
        What is to be calibrated.  Observations of the same filter, subarray and readout
        pattern, with ramps of similar length, share a cache.
    mirisim_read_noise : float, optional
        Noise of one read, DN, if MIRISim has made the ramps.
    dark_groups : int, optional
        Most groups of the dark, which the pipeline extrapolates for longer ramps; 0 for as many
        as they have.
    emicorr : bool, optional
        Whether calwebb_detector1 is to remove interference, where the ramps have any.

    Returns
    -------
    pathlib.Path
        The cache, to be used as CRDS_PATH; see `crds_environment`.  Its name is
        the key of its content.

    Raises
    ------
    OSError
        If `root` cannot be written.
    """
    kind = ExposureKind.of(observation, mirisim_read_noise, dark_groups, emicorr)
    root = Path(root).absolute()
    target = root / f"crds-{_cache_key(kind)}"
    if _is_complete(target):
        return target

    root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE_PREFIX, dir=root))
    try:
        # In a directory of its own, which unlike the temporary one has the
        # permissions that the user's umask gives.
        written = aside / target.name
        written.mkdir()
        _write_cache(written, kind)
        _rename_into_place(written, target, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target
