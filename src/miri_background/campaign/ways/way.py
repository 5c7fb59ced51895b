"""What every way to make a background is: parameters, a source, and a subtraction."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from miri_background.files import content_key

__all__ = ["Maxiters", "Sigma", "Subtracted", "Way"]

Sigma = Annotated[float, Field(gt=0, le=10)]
Maxiters = Annotated[int, Field(ge=0, le=100)] | None


@dataclass(frozen=True)
class Subtracted:
    """One science exposure less its background.

    Parameters
    ----------
    data, err : ndarray
        DN/s, shape (rows, columns).
    dq : ndarray of uint32
        Flags.
    averaged : list of ndarray
        Source light, DN/s, of the exposures that the background was made of; empty where it was
        made of the exposure itself only.
    """

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    averaged: list


class Way(BaseModel):
    """One way to make and subtract a background.

    A subclass has `kind`, by which the campaign's file calls it, and its parameters.

    Attributes
    ----------
    source : str
        Where the way is described.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: ClassVar[str]

    @property
    def words(self):
        """The way with its parameters, short, for tables and figures."""
        raise NotImplementedError

    @property
    def key(self):
        """Key of kind and parameters."""
        return content_key(self.model_dump(mode="json"))

    def subtract(self, taken):
        """Return the science exposures less their backgrounds.

        Parameters
        ----------
        taken : Taken
            Rates of both fields; nothing of their truth is looked at, but for what is handed on
            as `Subtracted.averaged`.

        Returns
        -------
        list of Subtracted
            In the order of the dithers.
        """
        raise NotImplementedError
