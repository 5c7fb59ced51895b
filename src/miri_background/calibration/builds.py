"""The pipeline that calibrates: the installed one, or a build in an environment of its own."""

import atexit
import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from miri_background.builds.calling import Limits, RunningBuild
from miri_background.builds.candidates import candidate_of
from miri_background.builds.common_files import write_common
from miri_background.builds.environments import BuildEnvironment, environment_of, in_use
from miri_background.builds.releases import release_version
from miri_background.calibration.pipeline import called_detector1, called_on_association
from miri_background.outcomes import Cause, cause_of, with_cause
from miri_background.parameters import INSTALLED
from miri_background.provenance import (
    PIPELINE,
    fingerprint_of_files,
    pipeline_fingerprint,
    versions,
)

__all__ = ["BuildPipeline", "InstalledPipeline", "pipeline_of", "pipeline_stem"]

# Of one exposure: eight times what the longest ramps were seen to need.
_LIMITS = Limits(seconds=3600.0, memory=12e9)
_CAUSES = {"took too much memory": Cause.MEMORY, "timed out": Cause.TIME_LIMIT}
_SCRATCH = "call"  # beside products: what a call is asked for, and what it answers

# Builds that this process has imported, in processes of their own, by the Python of each.
_running = {}


def pipeline_stem(calibration):
    """Return how the pipeline of a calibration is called in names of directories.

    Parameters
    ----------
    calibration : Calibration
        Says which.

    Returns
    -------
    str
        Such as ``jwst-3.0.0``; nothing is installed for that.

    Raises
    ------
    NoEnvironment
        If there is no such build.
    """
    if calibration.build == INSTALLED:
        return f"jwst-{version('jwst')}"
    wanted = _wanted(calibration)
    return f"jwst-{wanted}" if isinstance(wanted, str) else wanted.stem


def pipeline_of(calibration):
    """Return the pipeline of a calibration; its environment is made if it is not there.

    Parameters
    ----------
    calibration : Calibration
        Says which.

    Returns
    -------
    InstalledPipeline or BuildPipeline
        What can be called.

    Raises
    ------
    NoEnvironment
        If there is no such build, or it cannot be installed.
    """
    if calibration.build == INSTALLED:
        return InstalledPipeline()
    return BuildPipeline(environment_of(_wanted(calibration)))


def _wanted(calibration):
    """Return the version of a release, or the candidate that is meant."""
    text = calibration.build
    if not Path(text).expanduser().exists():
        try:
            Version(text)
        except InvalidVersion:
            pass
        else:
            return release_version(text)
    others = [part.strip() for part in calibration.build_with.split(",")]
    return candidate_of(text, [part for part in others if part])


class InstalledPipeline:
    """The pipeline of this environment, called in this process."""

    @property
    def version(self):
        """Version of jwst."""
        return version("jwst")

    @property
    def fingerprint(self):
        """16 hexadecimal digits, equal for equal sources."""
        return pipeline_fingerprint()

    def versions(self):
        """Return the versions of its packages, by name."""
        return versions((*PIPELINE, "crds"))

    def detector1(self, uncal, output, log, **parameters):
        """Run calwebb_detector1 on a level-1b file; see `called_detector1`."""
        called_detector1(uncal, output, log, **parameters)

    def on_association(self, stage, association, output, log, steps):
        """Run calwebb_image2 or calwebb_image3; see `called_on_association`."""
        called_on_association(stage, association, output, log, steps)


@dataclass(frozen=True)
class BuildPipeline:
    """A build in an environment of its own, called there.

    Parameters
    ----------
    environment : BuildEnvironment
        Complete.
    """

    environment: BuildEnvironment

    @property
    def version(self):
        """Version of jwst."""
        return self.environment.packages["jwst"]

    @cached_property
    def fingerprint(self):
        """16 hexadecimal digits, equal for equal sources."""
        (site,) = (self.environment.directory / "venv" / "lib").glob("python*/site-packages")
        return fingerprint_of_files(site / name for name in PIPELINE)

    def versions(self):
        """Return the versions of its packages, by name."""
        packages = self.environment.packages
        return {name: packages[name] for name in (*PIPELINE, "crds") if name in packages}

    def detector1(self, uncal, output, log, **parameters):
        """Run calwebb_detector1 on a level-1b file.

        Parameters
        ----------
        uncal : pathlib.Path
            The level-1b file.
        output : path-like
            Directory for all that is saved.
        log : path-like
            Log file; written anew.
        **parameters
            As `jwst.pipeline.Detector1Pipeline.call` takes them.

        Raises
        ------
        CannotJudge
            If it ends with an error.
        """
        scratch = _scratch(output)
        common = scratch / Path(uncal).name
        write_common(uncal, common)
        job = {"call": "detector1", "uncal": str(common), "output": str(output)}
        self._call(job | {"parameters": parameters}, scratch, f"calwebb_detector1 on {uncal}", log)

    def on_association(self, stage, association, output, log, steps):
        """Run calwebb_image2 or calwebb_image3 on an association.

        Parameters
        ----------
        stage : {"image2", "image3"}
            Which of them.
        association : pathlib.Path
            Its members are beside it.
        output : path-like
            Directory for all that is saved.
        log : path-like
            Log file; written anew.
        steps : dict
            Parameters of steps.

        Raises
        ------
        CannotJudge
            If it ends with an error.
        """
        job = {
            "call": stage,
            "directory": str(association.parent),
            "association": str(association),
            "output": str(output),
            "steps": steps,
        }
        self._call(job, _scratch(output), f"calwebb_{stage} on {association}", log)

    def _call(self, job, scratch, what, log):
        """Let the build carry a job out, and keep its log."""
        variables = {name: value for name, value in os.environ.items() if name.startswith("CRDS_")}
        called = self._in_its_process(variables).call(job, scratch, variables)
        written = scratch / "log.txt"
        if written.exists():
            shutil.move(written, log)
        shutil.rmtree(scratch)
        if called.ending != "ended":
            how = f"ended with {called.error}" if called.error else called.ending
            where = f" at {called.where}" if called.where else ""
            msg = f"{what} with jwst {self.version} {how}{where}; its log is {log}."
            raise with_cause(_cause(called), msg)

    def _in_its_process(self, variables):
        """Return the process in which the build is imported; of each worker, its own."""
        key = self.environment.python, variables.get("CRDS_SERVER_URL", "")
        if key not in _running:
            held = ExitStack()
            # A worker of a pool ends without that: then the build sees that nobody asks it.
            atexit.register(held.close)
            held.enter_context(in_use(self.environment))
            log = self.environment.directory / "imports.log"
            _running[key] = held.enter_context(RunningBuild(key[0], log, key[1], _LIMITS)), held
        return _running[key][0]


def _cause(called):
    """Return why a call did not end well."""
    name = called.error.partition(":")[0]
    # CRDS, which selects and fetches references, names its errors so.
    references = Cause.REFERENCES if name.startswith("Crds") else None
    return _CAUSES.get(called.ending) or references or cause_of(name, called.error)


def _scratch(output):
    """Return a new directory beside products."""
    scratch = Path(output) / _SCRATCH
    scratch.mkdir()
    return scratch
