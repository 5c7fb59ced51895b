"""The metrics of released pipeline builds, in files, and what a run is compared with."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from packaging.version import InvalidVersion, Version

from miri_background.calibration_choice import Calibration
from miri_background.files import content_key, write_text_whole
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.reading import read_json
from miri_background.repository import repository_file
from miri_background.schemas import require
from miri_background.validation.verdict.drift import Drift, compare
from miri_background.validation.verdict.metrics_file import upgraded, verdict_of
from miri_background.validation.verdict.verdict import Verdict, metrics_schema

__all__ = [
    "Baseline",
    "baseline_directory",
    "baseline_schema",
    "baselines_of",
    "compare_with_baseline",
    "described",
    "find_baseline",
    "load_baseline",
    "release_of",
]


@dataclass(frozen=True)
class Baseline:
    """What a released build of the pipeline gave for an observation, and that it is right.

    Parameters
    ----------
    verdict : Verdict
        Of the run that became the baseline.
    reason : str
        Why its numbers are right.
    """

    verdict: Verdict
    reason: str

    @property
    def jwst(self):
        """Version of jwst, a `packaging.version.Version`."""
        return Version(self.verdict.provenance["versions"]["jwst"])

    @property
    def name(self):
        """Name of the file."""
        return f"jwst-{self.jwst}-{_subject(*described(self.verdict.provenance))}.json"

    def write(self, directory):
        """Write the file whole, checked against its schema.

        Parameters
        ----------
        directory : pathlib.Path
            Where baselines are.

        Returns
        -------
        pathlib.Path
            The file.
        """
        content = {
            "schema_version": 2,
            "reason": self.reason,
            "metrics": self.verdict.content(),
        }
        require(content, baseline_schema)
        path = Path(directory) / self.name
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_text_whole(path, text + "\n", ours=_is_whole)
        return path


def described(provenance):
    """Return the observation and the calibration that a result is of.

    Parameters
    ----------
    provenance : dict
        What the result depends on.

    Returns
    -------
    observation : Observation
        What was taken.
    calibration : Calibration
        What was made of it.
    """
    return (
        Observation.create(**provenance["observation"]),
        Calibration.create(**provenance["calibration"]),
    )


def _subject(observation, calibration):
    """Return filter, subarray and key of what decides a run's numbers, as file names have them."""
    choice = calibration.model_dump(
        mode="json", include={"rate_product", "sigma", "maxiters", "through"}, exclude_defaults=True
    )
    key = content_key(observation.changes(), choice)
    return f"{observation.filter}-{observation.subarray}-{key}"


def release_of(provenance):
    """Return the release of jwst that a result is of.

    Parameters
    ----------
    provenance : dict
        What the result depends on.

    Returns
    -------
    packaging.version.Version or None
        None for a build that was not released: a development version, a candidate, or one with
        a local part.
    """
    version = _version(provenance)
    return None if version is None or version.is_prerelease or version.local else version


def _version(provenance):
    """Return the version of jwst of a result, None if it is none that can be ordered."""
    try:
        return Version(provenance["versions"].get("jwst", ""))
    except InvalidVersion:
        return None


@lru_cache(maxsize=1)
def baseline_schema():
    """Return the JSON schema of a baseline, with that of metrics.json in it."""
    schema = json.loads((files(__package__) / "baseline.schema.json").read_text(encoding="utf-8"))
    # With a name of its own, references in it stay inside it.
    schema["$defs"]["metrics.json"] = metrics_schema() | {"$id": "urn:metrics.json"}
    return schema


def baseline_directory(named=None):
    """Return the directory of baselines.

    Parameters
    ----------
    named : str or path-like, optional
        A directory that was asked for; by default ``baselines/`` of the checkout.

    Returns
    -------
    pathlib.Path
        The directory.

    Raises
    ------
    CannotJudge
        If it is not there.
    """
    if not named:
        return repository_file("baselines")
    path = Path(named).expanduser()
    if not path.is_dir():
        msg = f"{path} is not a directory: name one that has baselines, or is to have them."
        raise SetUpWrong(msg)
    return path


def load_baseline(path):
    """Return the baseline of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Baseline
        As it was written.

    Raises
    ------
    CannotJudge
        If the file is damaged, of another version, or not the one that its name says.
    """
    try:
        content = read_json(path)
        if isinstance(content, dict) and "metrics" in content:
            content["metrics"] = upgraded(content["metrics"])
        require(content, baseline_schema)
        baseline = Baseline(verdict_of(content["metrics"]), content["reason"])
        name = baseline.name
    except (OSError, ValueError, CannotJudge) as error:
        msg = (
            f"{path} is not a whole baseline ({error}): "
            f"get it back with `git checkout -- {path.name}`, or okify a run in its place."
        )
        raise CannotJudge(msg) from error
    if name != path.name:
        msg = f"{path} holds what {name} should: give it that name, or remove it."
        raise CannotJudge(msg)
    return baseline


def _is_whole(path):
    """Return whether a file is a baseline with nothing wrong."""
    try:
        load_baseline(path)
    except CannotJudge:
        return False
    return True


def baselines_of(directory, subject=None, jwst=None):
    """Return the baselines of an observation, of a release, or both.

    Parameters
    ----------
    directory : pathlib.Path
        Where baselines are.
    subject : tuple of (Observation, Calibration), optional
        What they are of; by default of everything.
    jwst : packaging.version.Version, optional
        By default, of all releases.

    Returns
    -------
    list of Baseline
        Sorted by the names of their files.

    Raises
    ------
    CannotJudge
        If one of them is damaged.
    """
    name = "*" if subject is None else _subject(*subject)
    paths = sorted(directory.glob(f"jwst-{'*' if jwst is None else jwst}-{name}.json"))
    return [load_baseline(path) for path in paths]


def find_baseline(provenance, directory):
    """Return the baseline that a result is compared with.

    That of its own version of jwst or, where there is none, of the newest release before it; of
    the same observation, calibrated with references of the same context.

    Parameters
    ----------
    provenance : dict
        What the result depends on.
    directory : pathlib.Path
        Where baselines are.

    Returns
    -------
    Baseline or None
        None if there is no such baseline, or it is not known what was observed.
    """
    own = _version(provenance)
    if own is None or not provenance.get("observation"):
        return None
    subject = described(provenance)
    earlier = [
        each
        for each in baselines_of(directory, subject)
        if each.jwst <= own
        and each.verdict.provenance["crds_context"] == provenance["crds_context"]
    ]
    return max(earlier, key=lambda each: each.jwst, default=None)


def compare_with_baseline(verdict, named=None):
    """Return what changed between a run and its baseline.

    Parameters
    ----------
    verdict : Verdict
        Of the run.
    named : str or path-like, optional
        Directory of baselines; by default ``baselines/`` of the checkout.

    Returns
    -------
    Drift
        With no baseline where there is none.
    """
    baseline = find_baseline(verdict.provenance, baseline_directory(named))
    if baseline is None:
        return Drift(None, verdict.provenance["versions"].get("jwst", "of unknown version"))
    return compare(verdict, baseline.verdict, baseline.name)
