"""What a result depends on: versions, source fingerprints, machine, time and memory."""

import hashlib
import platform
import resource
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from miri_background.files import checksum

__all__ = [
    "peak_memory",
    "pipeline_fingerprint",
    "run_provenance",
    "source_fingerprint",
    "versions",
]

# Packages that calwebb_detector1 and calwebb_image2 consist of.
_PIPELINE = ("jwst", "stcal", "stdatamodels", "stpipe")
_VERSIONS = (
    *_PIPELINE,
    "crds",
    "numpy",
    "scipy",
    "astropy",
    "astro-sedpy",
    "photutils",
    "miri-background-validation",
)
_SOURCES = (".py", ".so", ".yaml", ".json")


@lru_cache
def source_fingerprint(*modules):
    """Return a short hash of the installed source and data files of packages or modules.

    A pipeline that was changed by hand keeps its version, but not this number, so
    products of the unchanged one are not taken for its own.

    Parameters
    ----------
    *modules : str
        Import names.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for module in modules:
        spec = find_spec(module)
        roots = spec.submodule_search_locations
        files = (
            sorted(path for path in Path(roots[0]).rglob("*") if path.suffix in _SOURCES)
            if roots
            else [Path(spec.origin)]
        )
        for path in files:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def pipeline_fingerprint():
    """Return the fingerprint of the calibration pipeline that is installed."""
    return source_fingerprint(*_PIPELINE)


def versions():
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS}


def run_provenance(run, references, control, started):
    """Return what a run's result depends on, for its metrics file.

    Parameters
    ----------
    run : RunDirectory
        The run.
    references : ReferenceChoice
        Its CRDS cache and context.
    control : str
        What was broken on purpose, or "none".
    started : datetime.datetime
        When the run began.

    Returns
    -------
    dict
        As the schema of metrics.json describes it.
    """
    return {
        "versions": versions(),
        "pipeline_fingerprint": pipeline_fingerprint(),
        "crds_context": references.context,
        "simulator": run.observation.simulator,
        "observation": run.observation.model_dump(),
        "control": control,
        "host": f"{platform.node()}, {platform.system()} {platform.machine()}",
        "started": started.isoformat(),
        "wall_time_s": (datetime.now(UTC) - started).total_seconds(),
        "peak_memory_bytes": peak_memory(),
        "inputs": {
            path.name: checksum(path) for path in sorted((run.root / "uncal").glob("*.fits"))
        },
    }


def peak_memory():
    """Return the largest resident memory so far of this process or of an ended child, bytes."""
    children = _bytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return max(_own_peak_memory(), children)


def _own_peak_memory():
    """Return the largest resident memory so far of this process, bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # Linux counts in ru_maxrss what the process that started this one had, too.
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def _bytes(maxrss):
    """Return what `getrusage` tells in bytes: Linux counts kibibytes, macOS bytes."""
    return maxrss if sys.platform == "darwin" else maxrss * 1024
