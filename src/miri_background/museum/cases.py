"""The cases of the museum, and what is known of them."""

from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Literal

import yaml
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field, model_validator

from miri_background.museum.alterations import ALTERATIONS
from miri_background.museum.outcomes import OUTCOMES
from miri_background.museum.rates import PRODUCTS
from miri_background.outcomes import SetUpWrong

__all__ = ["Case", "cases", "chosen_cases", "observations"]

_STRICT = ConfigDict(frozen=True, extra="forbid")
_Product = Literal[*PRODUCTS]
# How calibrated backgrounds are members of the association of calwebb_image3.
_OF_MOSAICS = ("with backgrounds", "backgrounds as science")


class _Members(BaseModel):
    """Some background exposures of an observation.

    Parameters
    ----------
    of : str
        The observation, or "science" for the science exposure itself, under another name.
    exposures : tuple of int
        Which of its backgrounds, from 1.
    alter : dict
        Name of an alteration by the exposure that it is done to, or by "all".
    """

    model_config = _STRICT
    of: str
    exposures: tuple[int, ...] = (1,)
    alter: dict[int | Literal["all"], Literal[*ALTERATIONS]] = Field(default_factory=dict)


class Case(BaseModel):
    """Something that has gone wrong, or may, in some build.

    Parameters
    ----------
    name : str
        Short, unique.
    title : str
        What is done.
    threads : tuple of str
        Where it was reported, such as "jwst#7807"; empty if no report was found.
    symptom, cause : str
        A sentence each.
    call : str
        What is called: calwebb_image2, calwebb_image3 after it, the step by itself, or the helper
        that makes associations.
    science : str
        Observation whose first science exposure is subtracted from; all of them for calwebb_image3.
    science_alter : str
        Alteration of the science exposure, if any.
    backgrounds : tuple of _Members
        In the order of the association.
    product, background_product : str
        "rate" or "rateints"; that of the backgrounds is the same if not given.
    sigma, maxiters : float and int
        Clipping; none: the defaults of the build.
    step : dict
        Other parameters of the step.
    mosaic : dict
        Parameters of the steps of calwebb_image3, by step.
    association : str
        How the association is written; see `inputs`.
    builds : dict
        Outcome from a version on, for each change.
    behaviour : str
        What a correct outcome is with regard to what the documentation leaves open.
    finding : str
        Name of a finding about the data that the judgement has to have.
    """

    model_config = _STRICT
    name: str
    title: str
    threads: tuple[str, ...] = ()
    symptom: str
    cause: str
    call: Literal["image2", "image3", "step", "association"] = "image2"
    science: str
    science_alter: Literal["", *ALTERATIONS] = ""
    backgrounds: tuple[_Members, ...] = ()
    product: _Product = "rate"
    background_product: Literal["same", *PRODUCTS] = "same"
    sigma: float | None = 2.0
    maxiters: int | None = 3
    step: dict = Field(default_factory=dict)
    mosaic: dict = Field(default_factory=dict)
    association: Literal[
        "usual", "backgrounds first", "trailing comma", "twice", "gzipped", *_OF_MOSAICS
    ] = "usual"
    builds: dict[str, Literal[*OUTCOMES]]
    finding: str = ""

    @model_validator(mode="after")
    def _of_known_observations(self):
        known = {*observations(), "science"}
        for name in (self.science, *(each.of for each in self.backgrounds)):
            if name not in known:
                msg = f"{self.name}: there is no observation {name!r}"
                raise ValueError(msg)
        if self.call != "image3" and (self.mosaic or self.association in _OF_MOSAICS):
            msg = f"{self.name}: there is no mosaic without calwebb_image3"
            raise ValueError(msg)
        return self

    @cached_property
    def products(self):
        """Product of the science exposure, and that of the backgrounds."""
        other = self.background_product
        return self.product, self.product if other == "same" else other

    def known(self, version):
        """Return what is known to come out with a version, empty if nothing is.

        Parameters
        ----------
        version : str
            Of jwst; that of a development is taken for what comes after the last release.

        Returns
        -------
        str
            One of `OUTCOMES`.
        """
        found = ""
        for first, outcome in self.builds.items():
            if Version(version) >= Version(first):
                found = outcome
        return found


@lru_cache(maxsize=1)
def _museum():
    """Return the content of the file of cases."""
    text = (files(__package__) / "museum.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def observations():
    """Return the parameters of each observation of the museum, by its name."""
    return _museum()["observations"]


@lru_cache(maxsize=1)
def cases():
    """Return all cases, in the order in which they are shown.

    Returns
    -------
    tuple of Case
        With unique names.
    """
    found = tuple(Case(**each) for each in _museum()["cases"])
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        msg = "two cases of the museum have one name"
        raise ValueError(msg)
    return found


def chosen_cases(names):
    """Return the cases of some names, all if there are none.

    Parameters
    ----------
    names : iterable of str
        Names of cases.

    Returns
    -------
    tuple of Case
        In the order of the museum.

    Raises
    ------
    SetUpWrong
        Naming what is no case.
    """
    names = set(names)
    unknown = sorted(names - {each.name for each in cases()})
    if unknown:
        known = ", ".join(each.name for each in cases())
        msg = f"{', '.join(unknown)} is not a case of the museum: there are {known}."
        raise SetUpWrong(msg)
    return tuple(each for each in cases() if not names or each.name in names)
