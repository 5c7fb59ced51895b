"""Requires, before the first step, that a run can have all references that it will ask for.

Names are looked up by CRDS's own rules, and files in the cache; no value is read, which is for
the doctor.  This is done in a process of its own, because the pipeline has to be imported for it.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import psutil

from miri_background.observation import Observation
from miri_background.outcomes import (
    DiskFailed,
    MemoryFailed,
    ReferencesUnfit,
    SetUpWrong,
)

__all__ = ["Requested", "preflight", "requested"]

_PATIENCE = 600  # s: a server may be slow to say what it has
_NAMED = 4  # references that a sentence names
# Measured with jwst 3.0.0 on full arrays of 10 and 40 groups (0.95 and 1.2 GB): what
# calwebb_detector1 takes beside the dark, which it holds twice, and three ramps of 32 bits.
_BYTES_OF_STEPS = 0.7e9
_DARKS, _RAMPS, _BYTES_PER_SAMPLE = 2, 3, 4
_MARGIN = 1.2  # files of the cache that are written aside


@dataclass
class Requested:
    """What a run will ask CRDS for.

    Parameters
    ----------
    present : dict of str to int
        Size of each file that is in the cache, bytes.
    absent : dict of str to str
        Reference type by the name of each file that is not.
    not_covered : dict of str to str
        Why the context has no reference, by type.
    dark : str
        Name of the dark, empty where there is none.
    sizes : dict of str to int
        Size of absent files, bytes, as far as a server has said.
    """

    present: dict = field(default_factory=dict)
    absent: dict = field(default_factory=dict)
    not_covered: dict = field(default_factory=dict)
    dark: str = ""
    sizes: dict = field(default_factory=dict)


def requested(observation, server_url=""):
    """Return what CRDS selects for an observation, with the cache that the environment names.

    Parameters
    ----------
    observation : Observation
        What is to be calibrated, all exposures read in one way.
    server_url : str, optional
        Of a server that is asked for the sizes of what is not there.

    Returns
    -------
    Requested
        By the names of files.
    """
    from miri_background.references import doctor
    from miri_background.references.needs import NotCovered
    from miri_background.references.selection import NO_FILE, Selection, silence

    found = Requested()
    with silence():
        selection = Selection(observation, None)
        # Parameters decide which steps are run; a set of them that is absent is absent itself.
        for reftype in doctor.reference_types(selection, found.absent):
            try:
                name = selection.name(reftype)
            except NotCovered as error:
                found.not_covered[reftype] = str(error).partition(": ")[0]
                continue
            if name == NO_FILE:
                if reftype in doctor.INDISPENSABLE:
                    why = f"it has none, and {doctor.INDISPENSABLE[reftype]}"
                    found.not_covered[reftype] = why
                continue
            if reftype == "dark":
                found.dark = name
            place = selection.place(name)
            if place.is_file():
                found.present[name] = place.stat().st_size
            else:
                found.absent[name] = reftype
        if server_url and found.absent:
            found.sizes = _sizes(list(found.absent))
    return found


def _sizes(names):
    """Return the sizes of files that the server has, bytes; empty if it does not say."""
    from crds.client import api

    try:
        known = api.get_file_info_map("jwst", names, fields=["size"])
        return {name: int(known[name]["size"]) for name in names}
    except (Exception, SystemExit):  # noqa: BLE001 - the client raises errors of any class
        return {}


def _ask(observation, server_url):
    """Return what `requested` finds, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", __name__, observation.model_dump_json(), server_url],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    lines = ended.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
        if "refused" in answer:
            raise ReferencesUnfit(answer["refused"])
        return Requested(**answer)
    except (LookupError, ValueError, TypeError) as error:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        msg = (
            f"What the run will ask CRDS for could not be found out ({last}): try "
            "`miri-background references doctor` with the same references."
        )
        raise ReferencesUnfit(msg) from error


def preflight(observation, calibration, chosen):
    """Require that a run can have all references that it will ask for.

    Parameters
    ----------
    observation : Observation
        What is to be calibrated.
    calibration : Calibration
        Says where references come from.
    chosen : ReferenceChoice
        The cache, which the environment names already.

    Returns
    -------
    str
        One sentence on what is there, and what will be fetched.

    Raises
    ------
    CannotJudge
        If a file is neither in the cache nor to be had, the context has none for the
        observation, or disk or memory do not suffice.
    """
    if calibration.crds_cache in ("synthetic", "working directory") and not (
        calibration.crds_server_url
    ):
        return "All references are the suite's own."
    found = Requested()
    for readout in observation.readouts:
        one = _ask(observation.read_as(readout), calibration.crds_server_url)
        _require_memory(one, readout)
        for name in ("present", "absent", "not_covered", "sizes"):
            getattr(found, name).update(getattr(one, name))
    if found.not_covered:
        raise ReferencesUnfit(_none(found.not_covered, chosen, observation))
    if not found.absent:
        return f"All {len(found.present)} references are in {chosen.path}."
    if not calibration.crds_server_url:
        raise ReferencesUnfit(_missing(found, chosen))
    _require_disk(found, chosen)
    total = sum(found.sizes.values())
    size = f", {total / 1e6:.0f} MB," if len(found.sizes) == len(found.absent) else ""
    return (
        f"{len(found.present)} of {len(found.present) + len(found.absent)} references are in "
        f"{chosen.path}, and {len(found.absent)}{size} will be fetched from "
        f"{calibration.crds_server_url}."
    )


def _few(names):
    """Return the first of some names, and how many others there are."""
    shown = ", ".join(names[:_NAMED])
    others = len(names) - _NAMED
    return f"{shown} and {others} more" if others > 0 else shown


def _none(not_covered, chosen, observation):
    """Return the sentence on types that the context has no reference of."""
    first, why = next(iter(not_covered.items()))
    return (
        f"The context {chosen.context} in {chosen.path} has no reference of "
        f"{len(not_covered)} types that a run with {observation.filter}, {observation.subarray} "
        f"and {observation.readout_pattern} asks for ({_few(list(not_covered))}; {first}: {why}): "
        "choose a newer context, or an observation that it covers."
    )


def _missing(found, chosen):
    """Return the sentence on files that are not in a cache without a server."""
    every = len(found.absent) + len(found.present)
    return (
        f"{len(found.absent)} of {every} references that the run will ask for are not in "
        f"{chosen.path} ({_few(list(found.absent))}): copy them there, or give the URL of a CRDS "
        "server (crds_server_url)."
    )


def _require_disk(found, chosen):
    """Refuse to fetch what has no room on the disk."""
    needed = _MARGIN * sum(found.sizes.values())
    free = shutil.disk_usage(chosen.path).free
    if needed > free:
        msg = (
            f"{chosen.path} has {free / 1e9:.2f} GB free, and {len(found.absent)} references to "
            f"be fetched need {needed / 1e9:.2f} GB: free space there, or name another cache."
        )
        raise DiskFailed(msg)


def _require_memory(found, readout):
    """Refuse a dark that would not fit into memory together with a ramp."""
    dark = found.present.get(found.dark) or found.sizes.get(found.dark, 0)
    rows, columns = readout.window.shape
    ramp = rows * columns * readout.groups * readout.integrations * _BYTES_PER_SAMPLE
    needed = _BYTES_OF_STEPS + _DARKS * dark + _RAMPS * ramp
    free = psutil.virtual_memory().available
    if needed > free:
        msg = (
            f"calwebb_detector1 needs about {needed / 1e9:.2f} GB with the dark {found.dark}, and "
            f"{free / 1e9:.2f} GB of memory are free: close other programs, or use a machine with "
            "more memory."
        )
        raise MemoryFailed(msg)


def _answer():
    """Print what `requested` finds for the observation of the command line, as JSON."""
    description, server_url = sys.argv[1:]
    # CRDS writes to standard output, which is for the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    try:
        found = vars(requested(Observation.model_validate_json(description), server_url))
    except (ReferencesUnfit, SetUpWrong) as error:
        found = {"refused": str(error)}
    answer.write(json.dumps(found) + os.linesep)


if __name__ == "__main__":
    _answer()
