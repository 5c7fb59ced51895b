"""What a night observes: the jobs of ``nightly.yaml``, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from miri_background.calibration_choice import Calibration
from miri_background.nightly.message import Message
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.parameters import InvalidParameter, RunParameters, refuse_unknown
from miri_background.presets import with_preset
from miri_background.settings_file import read_yaml, reason

__all__ = ["Job", "Matrix", "night_seed", "read_matrix"]

# Words that choose a CRDS cache; anything else is a path.
_CACHES = ("synthetic", "home", "central")
# What an entry cannot say: the night has directories and processes of its own.
_OF_THE_NIGHT = ("working_directory", "workers")
# Names are those of directories, of files, and of rows on pages.
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_RESERVED = ("junit", "logs")  # directories of a night beside those of its jobs
_Minutes = Annotated[float, Field(gt=0, le=1440)]


class _Limit(BaseModel):
    """How long one observation may take."""

    time_limit: _Minutes


class _Content(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_limit: _Minutes = 60
    message: Message | None = None
    observations: Annotated[dict[_Name, dict[str, Any] | None], Field(min_length=1)]


class Job(BaseModel):
    """One observation of a night, and how its notebook is run.

    Parameters
    ----------
    name : str
        As the file calls it.
    observation : Observation
        What is observed.
    calibration : Calibration
        What is made of it.
    settings : RunParameters
        How MIRISim is called, and where baselines are.
    time_limit : float
        Minutes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    observation: Observation
    calibration: Calibration
    settings: RunParameters
    time_limit: float

    def parameters(self):
        """Return the parameters of the notebook by name."""
        return (
            self.observation.model_dump(mode="json")
            | self.calibration.model_dump(mode="json")
            | self.settings.model_dump(exclude={*_OF_THE_NIGHT, "preset"})
        )


class Matrix(BaseModel):
    """The jobs of a night.

    Parameters
    ----------
    jobs : tuple of Job
        In the order of the file.
    message : Message, optional
        Where a message goes when something changed.
    """

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]
    message: Message | None = None

    def only(self, names):
        """Return the jobs of some names, in the order of the file.

        Parameters
        ----------
        names : list of str
            Which ones.

        Returns
        -------
        Matrix
            Of these.

        Raises
        ------
        SetUpWrong
            If there is no such job.
        """
        known = [job.name for job in self.jobs]
        for name in names:
            if name not in known:
                msg = f"There is no observation {name!r}: choose of {', '.join(known)}."
                raise SetUpWrong(msg)
        jobs = tuple(job for job in self.jobs if job.name in names)
        return Matrix(jobs=jobs, message=self.message)


def night_seed(started):
    """Return the seed of a night: its date in UTC as a number, 20261123."""
    return int(started.strftime("%Y%m%d"))


def read_matrix(path, night_seed, seed=None):
    """Return the jobs of a file.

    Parameters
    ----------
    path : path-like
        ``nightly.yaml``, or one like it.
    night_seed : int
        Seed of the observations that have none in the file.
    seed : int, optional
        Seed of all observations, in place of the file's.

    Returns
    -------
    Matrix
        At least one job, each with a name of its own.

    Raises
    ------
    SetUpWrong
        Naming the file, the observation, the parameter, and what it may be.
    """
    path = Path(path).expanduser()
    try:
        given = _Content.model_validate(read_yaml(path))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        msg = f"{path} does not say what a night observes ({reason(error)}): mend it."
        raise SetUpWrong(msg) from error
    return Matrix(
        jobs=tuple(
            _job(path, name, entry or {}, given.time_limit, night_seed, seed)
            for name, entry in given.observations.items()
        ),
        message=given.message,
    )


def _job(path, name, entry, time_limit, night_seed, seed):
    """Return the job of an entry of the file."""
    if name in _RESERVED:
        msg = f"{path}, {name}: the directory of a night has another use for this name."
        raise SetUpWrong(msg)
    try:
        given = {"time_limit": time_limit, "seed": night_seed} | entry
        limit = _Limit(time_limit=given.pop("time_limit")).time_limit
        if seed is not None:
            given["seed"] = seed
        for setting, words in (("crds_cache", _CACHES), ("baselines", ("",))):
            if given.get(setting, words[0]) not in words:
                # The notebook has a directory of its own; a path is meant from where the file is.
                place = path.resolve().parent / Path(str(given[setting])).expanduser()
                given[setting] = str(place)
        refuse_unknown(given)
        for name_of_night in _OF_THE_NIGHT:
            if name_of_night in given:
                msg = f"{name_of_night} is the night's own: give it to `miri-background nightly`"
                raise InvalidParameter(msg)
        given = with_preset(given)
        described = [kind.of(given) for kind in (Observation, Calibration, RunParameters)]
    except (CannotJudge, ValidationError) as error:
        msg = f"{path}, {name}: {reason(error)}."
        raise SetUpWrong(msg) from error
    observation, calibration, settings = described
    return Job(
        name=name,
        observation=observation,
        calibration=calibration,
        settings=settings,
        time_limit=limit,
    )
