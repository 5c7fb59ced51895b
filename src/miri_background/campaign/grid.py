"""A campaign's file: which scenes, which ways, and so which cases."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from miri_background.campaign.scene import Scene
from miri_background.campaign.ways.every import AnyWay
from miri_background.campaign.ways.way import Way
from miri_background.files import content_key
from miri_background.outcomes import SetUpWrong
from miri_background.parameters import InvalidParameter
from miri_background.settings_file import read_yaml, reason

__all__ = ["Case", "Grid", "read_grid"]

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_MOST_CASES = 1_000_000


class _Study(BaseModel):
    """Scenes that differ in some parameters, and ways that are tried on each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: dict[str, Any] = {}
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    ways: Annotated[list[_Name], Field(min_length=1)]
    seeds: Annotated[int, Field(ge=1, le=100_000)] | None = None


class _Content(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    seeds: Annotated[int, Field(ge=1, le=100_000)] = 4
    first_seed: Annotated[int, Field(ge=0, le=900_000_000)] = 1
    scene: dict[str, Any] = {}
    ways: Annotated[dict[_Name, AnyWay], Field(min_length=1)]
    studies: Annotated[dict[_Name, _Study], Field(min_length=1)]


@dataclass(frozen=True)
class Case:
    """One way on one scene.

    Parameters
    ----------
    scene : Scene
        What is seen.
    way : Way
        How its background is made.
    """

    scene: Scene
    way: Way

    @property
    def content(self):
        """Key of scene and way: two cases with the same one are one case."""
        return content_key(self.scene.changes(), self.way.model_dump(mode="json"))


@dataclass(frozen=True)
class Grid:
    """The cases of a campaign.

    Parameters
    ----------
    name : str
        Of the campaign.
    studies : dict of list of Case
        Cases by study; a case may be of several.
    """

    name: str
    studies: dict

    def cases(self):
        """Return all cases once, those of one scene together."""
        every = {case.content: case for cases in self.studies.values() for case in cases}
        by_scene = {}
        for case in every.values():
            by_scene.setdefault(case.scene.key, []).append(case)
        return [case for cases in by_scene.values() for case in cases]


def read_grid(path):
    """Return the cases that a campaign's file describes.

    Parameters
    ----------
    path : path-like
        YAML file.

    Returns
    -------
    Grid
        At least one case.

    Raises
    ------
    SetUpWrong
        Naming the file, the place in it, what is wrong, and what it may be.
    """
    path = Path(path).expanduser()
    try:
        given = _Content.model_validate(read_yaml(path))
    except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        msg = f"{path} describes no campaign ({reason(error)}): mend it."
        raise SetUpWrong(msg) from error
    return Grid(given.name, {name: _cases(path, given, name) for name in given.studies})


def _cases(path, given, name):
    """Return the cases of a study."""
    study = given.studies[name]
    for way in study.ways:
        if way not in given.ways:
            msg = (
                f"{path}, studies {name}: there is no way {way!r}; "
                f"the file has {', '.join(given.ways)}."
            )
            raise SetUpWrong(msg)
    seeds = range(given.first_seed, given.first_seed + (study.seeds or given.seeds))
    varied = {**study.vary, "seed": list(study.vary.get("seed", seeds))}
    number = len(study.ways)
    for values in varied.values():
        number *= len(values)
    if number > _MOST_CASES:
        msg = f"{path}, studies {name}: {number} cases are more than {_MOST_CASES}: take fewer."
        raise SetUpWrong(msg)
    cases = []
    for values in itertools.product(*varied.values()):
        parameters = given.scene | study.scene | dict(zip(varied, values, strict=True))
        try:
            scene = Scene.create(**parameters)
        except InvalidParameter as error:
            msg = f"{path}, studies {name}: {error}."
            raise SetUpWrong(msg) from error
        cases += [Case(scene, given.ways[way]) for way in study.ways]
    return cases
