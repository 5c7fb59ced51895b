"""What a night observes: the jobs of ``nightly.yaml``, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.reading import read_text
from miri_background.settings import CONTROLS

__all__ = ["Job", "Matrix", "night_seed", "read_matrix"]

# Words that choose a CRDS cache; anything else is a path.
_CACHES = ("synthetic", "home", "central")
# Names are those of directories, of files, and of rows on pages.
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_RESERVED = ("junit", "logs")  # directories of a night beside those of its jobs
_Minutes = Annotated[float, Field(gt=0, le=1440)]
_ROOM = 100  # characters of a wrong value that are shown


class _Given(BaseModel):
    """What an entry of the file may say beside the parameters of an observation."""

    model_config = ConfigDict(extra="allow", frozen=True)

    time_limit: _Minutes | None = None
    control: Literal[*CONTROLS] = "none"
    crds_cache: str = "synthetic"
    crds_server_url: str = ""
    crds_context: str = ""
    mirisim_command: str = "mirisim"
    baselines: str = ""


class _Content(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_limit: _Minutes = 60
    observations: Annotated[dict[_Name, dict[str, Any] | None], Field(min_length=1)]


class Job(BaseModel):
    """One observation of a night, and how its notebook is run.

    Parameters
    ----------
    name : str
        As the file calls it.
    observation : Observation
        What is observed.
    settings : dict
        Parameters of the notebook beside the observation: where references come from, what is
        broken on purpose, and where baselines are.
    time_limit : float
        Minutes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    observation: Observation
    settings: dict[str, str]
    time_limit: float

    def parameters(self):
        """Return the parameters of the notebook by name."""
        return self.observation.model_dump() | self.settings


class Matrix(BaseModel):
    """The jobs of a night.

    Parameters
    ----------
    jobs : tuple of Job
        In the order of the file.
    """

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]

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
        return Matrix(jobs=tuple(job for job in self.jobs if job.name in names))


def night_seed(started):
    """Return the seed of a night: its date in UTC as a number, 20261123."""
    return int(started.strftime("%Y%m%d"))


class _UniqueKeys(yaml.SafeLoader):
    """Reader that refuses a name that is given twice, where YAML forgets the first."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                msg = f"{key} is given twice"
                raise yaml.YAMLError(msg)
        return super().construct_mapping(node, deep)


def read_matrix(path, night_seed, seed=None):
    """Return the jobs of a file.

    Parameters
    ----------
    path : path-like
        ``nightly.yaml``, or one like it.
    night_seed : int
        Seed of the observations that have none in the file.
    seed : int, optional
        Seed of all observations, whatever the file says.

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
        content = yaml.load(read_text(path), _UniqueKeys)  # noqa: S506 - safe
        given = _Content.model_validate(content)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        msg = f"{path} does not say what a night observes ({_reason(error)}): mend it."
        raise SetUpWrong(msg) from error
    return Matrix(
        jobs=tuple(
            _job(path, name, entry or {}, given.time_limit, night_seed, seed)
            for name, entry in given.observations.items()
        )
    )


def _job(path, name, entry, time_limit, night_seed, seed):
    """Return the job of an entry of the file."""
    if name in _RESERVED:
        msg = f"{path}, {name}: the directory of a night has another use for this name."
        raise SetUpWrong(msg)
    try:
        given = _Given.model_validate(entry)
        parameters = {"seed": night_seed} | given.model_extra
        if seed is not None:
            parameters["seed"] = seed
        observation = Observation.create(**parameters)
    except (CannotJudge, ValidationError) as error:
        msg = f"{path}, {name}: {_reason(error)}."
        raise SetUpWrong(msg) from error
    settings = given.model_dump(include=set(_Given.model_fields) - {"time_limit"})
    for setting, words in (("crds_cache", _CACHES), ("baselines", ("",))):
        if settings[setting] not in words:
            # The notebook has a directory of its own; a path is meant from where the file is.
            place = path.resolve().parent / Path(settings[setting]).expanduser()
            settings[setting] = str(place)
    return Job(
        name=name,
        observation=observation,
        settings=settings,
        time_limit=given.time_limit or time_limit,
    )


def _reason(error):
    """Return an error in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = " ".join(str(each) for each in first["loc"] if each != "[key]")
        said = first["msg"][0].lower() + first["msg"][1:]
        return f"{where or 'it'} = {repr(first['input'])[:_ROOM]}: {said}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split()).rstrip(".")
