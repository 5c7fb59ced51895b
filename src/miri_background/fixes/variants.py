"""The changes of the background step that are tried, one by one and together."""

from dataclasses import dataclass, field

__all__ = ["UNMODIFIED", "VARIANTS", "Variant"]


@dataclass(frozen=True)
class Variant:
    """A background step that is tried.

    Parameters
    ----------
    name : str
        Short, unique.
    title : str
        What it does.
    parameters : dict
        Of `FixedBackgroundStep`; without any it is the installed step.
    """

    name: str
    title: str
    parameters: dict = field(default_factory=dict, hash=False)


UNMODIFIED = "unmodified"
# By the case in which they are tried, the installed step first.
VARIANTS = {
    "errors": (
        Variant(UNMODIFIED, "the installed step: errors of the science exposure stay as they are"),
        Variant(
            "quadrature",
            "ERR of the combined background is added in quadrature to ERR",
            {"errors": "quadrature"},
        ),
        Variant(
            "variances",
            "the same, and its VAR_POISSON and VAR_RNOISE are added to those of the science",
            {"errors": "variances"},
        ),
    ),
    "flags": (
        Variant(UNMODIFIED, "the installed step: flags of any background count, none is masked"),
        Variant("masked", "values with DO_NOT_USE are not averaged", {"masked": True}),
        Variant("all", "only flags that all backgrounds have count", {"flags": "all"}),
        Variant("all, masked", "both of these", {"flags": "all", "masked": True}),
        Variant(
            "half",
            "DO_NOT_USE counts where at least half of the backgrounds have it, other flags where "
            "all have them",
            {"flags": "part", "least": 0.5},
        ),
        Variant(
            "half, masked",
            "the same, and values with DO_NOT_USE are not averaged",
            {"flags": "part", "least": 0.5, "masked": True},
        ),
    ),
    "place": (
        Variant(UNMODIFIED, "the installed step: what overlaps begins at the corner of the frame"),
        Variant(
            "placed",
            "backgrounds are put where they were read (SUBSTRT1, SUBSTRT2)",
            {"placed": True},
        ),
        Variant(
            "placed, flagged",
            "the same, and DO_NOT_USE is set where no background has a value",
            {"placed": True, "flag_empty": True},
        ),
    ),
}
