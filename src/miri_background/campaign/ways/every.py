"""All ways, by the word that a campaign's file calls them by."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from miri_background.campaign.ways.exposures import Nods, SelfBackground, Step
from miri_background.campaign.ways.filters import Boxes, RowsAndColumns
from miri_background.campaign.ways.masked import ScaledBackground, SuperBackground

__all__ = ["WAYS", "AnyWay", "way_of"]

WAYS = (Step, SelfBackground, Nods, SuperBackground, ScaledBackground, RowsAndColumns, Boxes)

AnyWay = Annotated[
    Step | SelfBackground | Nods | SuperBackground | ScaledBackground | RowsAndColumns | Boxes,
    Field(discriminator="kind"),
]
_ADAPTER = TypeAdapter(AnyWay)


def way_of(parameters):
    """Return the way that parameters describe.

    Parameters
    ----------
    parameters : dict
        ``kind`` and what that kind takes.

    Returns
    -------
    Way
        Validated.
    """
    return _ADAPTER.validate_python(parameters)
