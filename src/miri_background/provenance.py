"""What a result depends on: versions, source fingerprints, machine, time and memory."""

import hashlib
import platform
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from miri_background.files import checksum, for_each_file, json_object, remembered
from miri_background.memory import peak_memory
from miri_background.outcomes import CannotJudge
from miri_background.reading import open_fits
from miri_background.repository import checkout_state

__all__ = [
    "PIPELINE",
    "fingerprint_of_files",
    "level1b_checksum",
    "pipeline_fingerprint",
    "provenance_of_check",
    "provenance_of_mosaic",
    "provenance_of_run",
    "source_fingerprint",
    "used_references",
    "versions",
]

# Packages that calwebb_detector1 and calwebb_image2 consist of.
PIPELINE = ("jwst", "stcal", "stdatamodels", "stpipe")
# Packages that a verdict is computed with, and what a run needs beside.
_JUDGING = ("numpy", "scipy", "astropy", "photutils", "miri-background-validation")
_RUNNING = (*PIPELINE, "crds", "astro-sedpy", *_JUDGING)
_CRDS = "crds://"  # before the names of reference files in headers
_PLACES = ("references/jwst/miri", "references/jwst")  # in a cache, by either of CRDS's layouts
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
    specs = map(find_spec, modules)
    return fingerprint_of_files(
        each.submodule_search_locations[0] if each.submodule_search_locations else each.origin
        for each in specs
    )


def fingerprint_of_files(paths):
    """Return a short hash of the source and data files of packages or modules.

    Parameters
    ----------
    paths : iterable of path-like
        Directories of packages, and files of modules.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = (each for each in path.rglob("*") if each.suffix in _SOURCES)
        for file in sorted(files) if path.is_dir() else [path]:
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def pipeline_fingerprint():
    """Return the fingerprint of the calibration pipeline that is installed."""
    return source_fingerprint(*PIPELINE)


def versions(packages=_RUNNING):
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _circumstances(started):
    """Return machine, times and memory of what began at a time."""
    return {
        "host": f"{platform.node()}, {platform.system()} {platform.machine()}",
        "started": started.isoformat(),
        "wall_time_s": (datetime.now(UTC) - started).total_seconds(),
        "peak_memory_bytes": peak_memory(),
    }


@remembered
def level1b_checksum(path):
    """Return the SHA-256 of a level-1b file's SCI array, hexadecimal.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        64 digits.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    try:
        with open_fits(path) as hdus:
            return hashlib.sha256(hdus["SCI"].data.astype(">u2").tobytes()).hexdigest()
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        msg = f"{path} cannot be read as a level-1b file ({reason}): simulate it anew."
        raise CannotJudge(msg) from error


def used_references(root, cache):
    """Return the reference files that the products of a run name, with their checksums.

    Parameters
    ----------
    root : pathlib.Path
        The run directory.
    cache : pathlib.Path
        The CRDS cache that they are from.

    Returns
    -------
    dict of str
        By file name, the SHA-256; none of a file that is not in the cache.
    """
    # Products of one kind went through the same steps with the same references.
    products = [sorted(root.glob(pattern))[:1] for pattern in ("rate/*.fits", "image2/*_cal*.fits")]
    named = set()
    for path in (each for first in products for each in first):
        with open_fits(path) as hdus:
            header = hdus[0].header
        values = (str(header[keyword]) for keyword in header if keyword.startswith("R_"))
        named |= {value.removeprefix(_CRDS) for value in values if value.startswith(_CRDS)}
    return {
        name: checksum(path)
        for name in sorted(named)
        for path in [Path(cache, place, name) for place in _PLACES]
        if path.exists()
    }


def provenance_of_run(run, references, started):
    """Return what a run's result depends on, for its metrics file.

    Parameters
    ----------
    run : RunDirectory
        The run.
    references : ReferenceChoice
        Its CRDS cache and context.
    started : datetime.datetime
        When the run began.

    Returns
    -------
    dict
        As the schema of metrics.json describes it.
    """
    level1b = {path.name: path for path in sorted((run.observed / "uncal").glob("*.fits"))}
    return {
        "kind": "run",
        "versions": versions() | run.pipeline.versions(),
        "pipeline_fingerprint": run.pipeline.fingerprint,
        "crds_context": references.context,
        "references": used_references(run.root, references.path),
        "simulator": run.observation.simulator,
        "observation": run.observation.model_dump(mode="json"),
        "calibration": run.calibration.model_dump(mode="json"),
        **_circumstances(started),
        "inputs": for_each_file(checksum, level1b),
        # Files differ in the time at which they were written; their ramps need not.
        "level1b_sci_sha256": for_each_file(level1b_checksum, level1b),
        **checkout_state(),
    }


def provenance_of_check(products, directory, truth, started):
    """Return what the verdict on products depends on that were already there.

    Parameters
    ----------
    products : Products
        What was judged.
    directory : pathlib.Path
        Where it is.
    truth : str
        "compared" with the numbers, "expected" without being compared, or "none".
    started : datetime.datetime
        When the check began.

    Returns
    -------
    dict
        As the schema of metrics.json describes it.
    """
    rates = [image.header for image in (*products.science, *products.backgrounds)]
    inputs = {
        str(path.relative_to(directory) if path.is_relative_to(directory) else path): path
        for path in products.inputs
    }
    return {
        "kind": "check",
        "versions": versions(_JUDGING),
        "directory": str(directory.resolve()),
        "sigma": products.sigma,
        "maxiters": products.maxiters,
        "truth": truth,
        "rates": _calibrations(rates),
        "calibrated": _calibrations(products.calibrated_headers),
        **_circumstances(started),
        "inputs": for_each_file(checksum, inputs),
        **_observed(products, directory),
    }


def provenance_of_mosaic(mosaic, directory, started):
    """Return what the verdict on a mosaic depends on that was already there.

    Parameters
    ----------
    mosaic : Mosaic
        What was judged.
    directory : pathlib.Path
        Where it is.
    started : datetime.datetime
        When the check began.

    Returns
    -------
    dict
        As the schema of metrics.json describes it.
    """
    inputs = {
        str(path.relative_to(directory) if path.is_relative_to(directory) else path): path
        for path in mosaic.inputs
    }
    return {
        "kind": "check of mosaic",
        "versions": versions(_JUDGING),
        "directory": str(directory.resolve()),
        "truth": "none",
        "calibrated": _calibrations([mosaic.header]),
        **_circumstances(started),
        "inputs": for_each_file(checksum, inputs),
    }


def _observed(products, directory):
    """Return what identifies the baseline, from headers and the run directory."""
    calibrations = _calibrations(products.calibrated_headers)
    if len(calibrations) > 1:
        return {}
    known = {
        "crds_context": calibrations[0]["CRDS_CTX"],
        "versions": versions(_JUDGING) | {"jwst": calibrations[0]["CAL_VER"]},
    }
    path = directory / "observation.json"
    # Without a limit of iterations, these are not products of a run of this suite.
    if path.exists() and products.maxiters and (directory / "calibration.json").exists():
        observation = json_object(path)
        if not _as_many(products, observation):
            # A part of an observation has other numbers than the whole, and no baseline.
            return known
        known["observation"] = observation
        clipping = {"sigma": products.sigma, "maxiters": products.maxiters}
        known["calibration"] = json_object(directory / "calibration.json") | clipping
        known["level1b_sci_sha256"] = {
            path.name: level1b_checksum(path)
            for path in sorted((directory / "uncal").glob("*.fits"))
        }
    return known


def _as_many(products, observation):
    """Return whether as many exposures were judged as were observed."""
    return all(
        observation.get(f"{field}_exposures", default) == len(images)
        for field, images, default in (
            ("science", products.science, len(products.science)),
            ("background", products.backgrounds, len(products.backgrounds)),
        )
    )


def _calibrations(headers):
    """Return which pipelines and contexts headers name, each pair once."""
    keywords = ("CAL_VER", "CRDS_CTX")
    pairs = {tuple(str(header.get(name, "")) for name in keywords) for header in headers}
    return [dict(zip(keywords, pair, strict=True)) for pair in sorted(pairs)]
