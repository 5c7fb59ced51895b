"""Builds tried in cases: each call by itself, resumable, and judged by this interpreter."""

import json
import os
import queue
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from miri_background.builds.calling import Limits, RunningBuild
from miri_background.files import checksum, content_key, write_text_whole
from miri_background.museum.cases import observations
from miri_background.museum.inputs import ASSOCIATION, MOSAIC_ASSOCIATION, inputs_of
from miri_background.museum.judging import Result, judged
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.places import writable
from miri_background.provenance import source_fingerprint
from miri_background.reading import read_json
from miri_background.references.any_cache import SYNTHETIC, cache_directory, crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.references.mappings import CONTEXT
from miri_background.validation.products.images import in_two_dimensions, read_image

__all__ = ["Build", "Trial"]

# The steps after the background step are not what is tried.
_LATER = ("assign_wcs", "flat_field", "photom", "resample")
# What decides a result, beside the case's files and the build.
_SOURCES = (
    *(f"miri_background.builds.{name}" for name in ("calling", "common_files", "runner")),
    *(
        f"miri_background.museum.{name}"
        for name in ("alterations", "cases", "inputs", "judging", "rates")
    ),
    "miri_background.instrument",
    "miri_background.validation",
)
_TRYING = ".trying-"  # how the directories of calls begin
_ABANDONED_AFTER = 3600.0  # s after the time limit of a call
# Products of which pictures are made, by their suffix.
_IMAGES = {"bsub": "subtracted", "bsubints": "subtracted", "combinedbackground": "combined"}


@dataclass(frozen=True)
class Build:
    """A build that is tried.

    Parameters
    ----------
    name : str
        Of the release, or of the candidate.
    version : str
        Of jwst.
    python : pathlib.Path
        Interpreter of its environment.
    key : str
        Equal for equal packages.
    """

    name: str
    version: str
    python: Path
    key: str


class Trial:
    """Where builds are tried, and what came out.

    Parameters
    ----------
    home : path-like
        Directory of inputs and results.
    limits : Limits, optional
        What each call may take.
    workers : int, optional
        Number of processes that make inputs, and of builds that are called at the same time; 0
        for one per processor core.
    """

    def __init__(self, home, limits=None, workers=0):
        self.home, self._workers = Path(home).expanduser().absolute(), workers
        self._limits = limits or Limits()
        self._known, self._crds = {}, {}
        self._judging, self._running = threading.Lock(), []

    def results(self, builds, cases):
        """Yield how each build did in each case, as soon as it is known.

        Parameters
        ----------
        builds : sequence of Build
            What to try.
        cases : sequence of Case
            In which cases.

        Yields
        ------
        Result
            What was found before, first; it is not tried again.

        Raises
        ------
        CannotJudge
            If inputs cannot be made, or the directory cannot be written.
        """
        with writable(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        ready = [self._ready(case) for case in cases]
        missing = {}
        for build in builds:
            for case, inputs, key in ready:
                found = self._kept(build, case, key)
                if found is None:
                    missing.setdefault(build, []).append((case, inputs, key))
                else:
                    if found.products:
                        self._known.setdefault((case.name, found.products), _judgement(found))
                    yield found
        yield from self._tried(missing)

    def _remove_abandoned(self):
        """Remove the directories of calls whose process was killed."""
        for path in self.home.glob(f"{_TRYING}*"):
            with suppress(FileNotFoundError):  # another process has just finished with it
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER + self._limits.seconds:
                    shutil.rmtree(path, ignore_errors=True)

    def _ready(self, case):
        """Return a case with its files, and the key of what decides its result."""
        inputs = inputs_of(case, self.home, self._workers)
        names = (*inputs.science, *inputs.backgrounds)
        key = content_key(
            case.model_dump(
                mode="json", exclude={"title", "threads", "symptom", "cause", "builds"}
            ),
            inputs.associations,
            [checksum(inputs.directory / name) for name in names],
            source_fingerprint(*_SOURCES),
        )
        self._references(case)
        return case, inputs, key

    def _place(self, build, case):
        """Return the path of a result."""
        return self.home / "results" / build.key / f"{case.name}.json"

    def _kept(self, build, case, key):
        """Return the result of an earlier trial, None if there is none of the same inputs."""
        try:
            content = read_json(self._place(build, case))
            if content.pop("key") != key:
                return None
            found = Result(**content | {"findings": tuple(content["findings"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return replace(found, build=build.name)

    def _tried(self, missing):
        """Yield the results of builds in cases, which are tried now, several builds at a time."""
        found, ended = queue.SimpleQueue(), threading.Event()
        workers = self._workers or os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as threads:
            works = [
                threads.submit(self._try_build, build, items, found, ended)
                for build, items in missing.items()
            ]
            try:
                for _ in range(sum(map(len, missing.values()))):
                    result = found.get()
                    if isinstance(result, BaseException):
                        raise result
                    yield result
            finally:
                # An interruption does not wait for what builds are doing.
                ended.set()
                for work in works:
                    work.cancel()
                for running in list(self._running):
                    running.stop()

    def _try_build(self, build, items, found, ended):
        """Try a build in cases, and put the results into a queue; an error ends it."""
        try:
            log = self.home / "results" / build.key / "imports.log"
            (server,) = {each["CRDS_SERVER_URL"] for each in self._crds.values()}
            with RunningBuild(build.python, log, server, self._limits) as running:
                self._running.append(running)
                for case, inputs, key in items:
                    if not ended.is_set():
                        found.put(self._try(running, build, case, inputs, key, ended))
        except BaseException as error:  # noqa: BLE001 - it is raised where results are waited for
            found.put(error)

    def _try(self, running, build, case, inputs, key, ended):
        """Return how a build did in a case, and keep it; None if that was interrupted."""
        with writable(self.home):
            directory = Path(tempfile.mkdtemp(prefix=_TRYING, dir=self.home))
        try:
            inputs.put(directory)
            called = running.call(_job(case, inputs), directory, self._references(case))
            # Judged one after the other, so that equal products are judged once.
            with self._judging:
                if ended.is_set():
                    return None
                result = judged(
                    case, build.name, called, directory, inputs.backgrounds, self._known
                )
                self._keep_images(directory, result.products)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        text = json.dumps(asdict(result) | {"key": key}, indent=1) + "\n"
        place = self._place(build, case)
        with writable(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_text_whole(place, text, ours=Path.is_file)
        return result

    def _references(self, case):
        """Return CRDS's environment variables for a case."""
        if case.science not in self._crds:
            observation = Observation.create(**observations()[case.science])
            path = cache_directory(SYNTHETIC)
            with writable(path):
                cache = synthetic_cache(path, observation)
            self._crds[case.science] = crds_environment(cache, CONTEXT)
        return self._crds[case.science]

    def images(self, products):
        """Return the images that a result's products hold.

        Parameters
        ----------
        products : str
            Their key.

        Returns
        -------
        dict of ndarray
            "subtracted data" and "subtracted dq", the same of "combined", as far as they are kept.
        """
        place = self._place_of_images(products)
        if not products or not place.is_file():
            return {}
        try:
            with np.load(place) as kept:
                return dict(kept)
        except (OSError, ValueError, BadZipFile):
            return {}  # a page has no pictures of it

    def _place_of_images(self, products):
        return self.home / "images" / f"{products}.npz"

    def _keep_images(self, directory, products):
        """Keep the images of products, once for equal ones."""
        place = self._place_of_images(products)
        if not products or place.exists():
            return
        found = {}
        for path in sorted(directory.glob("*.fits")):
            kind = _IMAGES.get(path.stem.rpartition("_")[2])
            if kind is None or path.is_symlink():
                continue
            with suppress(CannotJudge):
                image = in_two_dimensions(read_image(path))
                found |= {f"{kind} data": image.data, f"{kind} dq": image.dq}
        with writable(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = place.with_suffix(".part.npz")
            np.savez_compressed(aside, **found)
            aside.replace(place)


def _judgement(result):
    """Return what a result says of its products alone."""
    names = ("outcome", "sentence", "findings", "metrics", "behaviours")
    return {name: getattr(result, name) for name in names}


def _job(case, inputs):
    """Return what a build is asked to do."""
    chosen = {"sigma": case.sigma, "maxiters": case.maxiters}
    parameters = {name: value for name, value in chosen.items() if value is not None}
    parameters |= {"save_combined_background": True} | case.step
    # Beside its inputs, where the judgement looks for products.
    job = {"call": case.call, "output": "."}
    if case.call == "image2":
        # The parameters of every build since 1.6; `save_bsub` is gone in later ones.
        steps = {name: {"skip": True} for name in _LATER}
        steps["bkg_subtract"] = {"save_results": True} | parameters
        return job | {"association": ASSOCIATION, "steps": steps}
    if case.call == "image3":
        # As each build calibrates: its world coordinates are in a format of its own.
        steps = {"resample": {"skip": True}, "bkg_subtract": parameters}
        return job | {
            "exposures": [name for name in inputs.associations if name != MOSAIC_ASSOCIATION],
            "exposure_steps": steps,
            "association": MOSAIC_ASSOCIATION,
            "steps": case.mosaic,
        }
    if case.call == "step":
        return job | {
            "science": inputs.science[0],
            "backgrounds": list(inputs.backgrounds),
            "parameters": parameters,
            "name": f"{inputs.stem}_bsub.fits",
        }
    items = [[inputs.science[0], "science"], *([name, "background"] for name in inputs.backgrounds)]
    return job | {"items": items, "name": inputs.stem}
