"""Everything that defines one run: a frozen, validated description of the observation."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from miri_background.files import content_key
from miri_background.outcomes import SetUpWrong
from miri_background.tables import html_table

__all__ = [
    "DITHER_PATTERN",
    "FIELDS",
    "PROGRAM",
    "Exposure",
    "InvalidObservation",
    "Observation",
    "exposures",
]

# Offsets (x, y) in the Ideal frame, arcsec, of a four-point pattern.  In units of a
# 0.11 arcsec pixel their fractions are (0, 1/2), (1/2, 0), (0, 0) and (1/2, 1/2): a
# star samples the pixel at four phases.
_FOUR_POINTS = ((-1.65, 2.915), (1.705, -2.86), (2.42, 1.54), (-2.475, -1.595))
# Further sets of four are the first one moved, as in the 4-POINT-SETS patterns.  No two
# of all points are closer than 3 arcsec = 11 FWHM of F770W, so that a star is not
# overlapped by itself.
_SET_OFFSETS = ((0.0, 0.0), (-5.885, 4.015), (6.16, -4.235))

DITHER_PATTERN = tuple(
    (round(x + dx, 4), round(y + dy, 4)) for dx, dy in _SET_OFFSETS for x, y in _FOUR_POINTS
)

FIELDS = ("science", "background")

_FAINTEST_SKY = 1.0  # MJy/sr: no sky is darker, and less cannot be told from none

# Four are left out at the start of a later integration and one at its end; a slope and a jump
# need three.
_FEWEST_GROUPS_OF_MANY = 8

PROGRAM = "99770"  # no flight programme has this number


class InvalidObservation(SetUpWrong, ValueError):
    """A parameter is outside its legal range, or is not a parameter."""


def parameter(default, unit, description, **limits):
    """Return the field of a parameter with its unit, meaning and legal range."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **limits)


class Observation(BaseModel):
    """One observation: four dithers on a science field, four on a background field.

    Raises
    ------
    InvalidObservation
        From `Observation.create`, naming parameter, value and legal range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    simulator: Literal["embedded", "mirisim"] = parameter("embedded", "", "source of the data")
    filter: Literal[
        "F560W",
        "F770W",
        "F1000W",
        "F1130W",
        "F1280W",
        "F1500W",
        "F1800W",
        "F2100W",
        "F2550W",
    ] = parameter("F770W", "", "imaging filter")
    subarray: Literal["FULL", "BRIGHTSKY", "SUB256"] = parameter("FULL", "", "subarray")
    readout_pattern: Literal["FASTR1", "SLOWR1"] = parameter("FASTR1", "", "readout pattern")
    groups: int = parameter(20, "groups", "groups in an integration", ge=6, le=100)
    integrations: int = parameter(1, "integrations", "integrations in an exposure", ge=1, le=10)
    science_exposures: int = parameter(
        4, "exposures", "dithered exposures of the science field", ge=1, le=len(DITHER_PATTERN)
    )
    background_exposures: int = parameter(
        4, "exposures", "dithered exposures of the background field", ge=2, le=len(DITHER_PATTERN)
    )
    science_ra: float = parameter(
        80.49, "deg", "right ascension of the science field", ge=0, lt=360
    )
    science_dec: float = parameter(
        -69.498, "deg", "declination of the science field", ge=-89, le=89
    )
    background_ra: float = parameter(
        80.91, "deg", "right ascension of the background field", ge=0, lt=360
    )
    background_dec: float = parameter(
        -69.381, "deg", "declination of the background field", ge=-89, le=89
    )
    roll: float = parameter(115.0, "deg", "position angle of the V3 axis", ge=0, lt=360)
    science_stars: int = parameter(
        340, "stars", "stars in the full array of the science field", ge=0, le=3000
    )
    science_faintest: float = parameter(
        3.0, "uJy", "flux of the faintest science star", gt=0, le=100_000
    )
    science_brightest: float = parameter(
        1500.0, "uJy", "flux of the brightest science star", gt=0, le=100_000
    )
    galaxy_flux: float = parameter(
        400.0, "uJy", "flux of the galaxy in the science field; 0 for none", ge=0, le=100_000
    )
    background_stars: int = parameter(
        40, "stars", "stars in the full array of the background field", ge=0, le=1000
    )
    background_faintest: float = parameter(
        3.0, "uJy", "flux of the faintest background star", gt=0, le=100_000
    )
    background_brightest: float = parameter(
        60.0, "uJy", "flux of the brightest background star", gt=0, le=100_000
    )
    sky_level: float = parameter(
        0.0,
        "MJy/sr",
        "sky at the centre, from 1; 0 for the filter's zodiacal and thermal light",
        ge=0,
        le=2000,
    )
    sky_gradient: float = parameter(
        1.0, "%/arcmin", "gradient of the sky over the array", ge=0, le=20
    )
    sky_gradient_angle: float = parameter(
        30.0, "deg", "direction of the brighter sky, from +x towards +y", ge=0, lt=360
    )
    cosmic_ray_rate: float = parameter(
        28.0, "hits/s", "cosmic rays on the full array", ge=0, le=500
    )
    shower_rate: float = parameter(
        0.0, "showers/min", "cosmic-ray showers on the full array", ge=0, le=6
    )
    latent_fraction: float = parameter(
        0.0, "%", "source charge that is released after the exposure, fading with 300 s", ge=0, le=5
    )
    seed: int = parameter(770, "", "random seed", ge=0, le=999_999_999)
    rate_product: Literal["rate", "rateints"] = parameter(
        "rate", "", "slopes that are judged: of exposures, or of each of their integrations"
    )
    # At 1 and below, decisions on few values are exact ties, which rounding decides.
    sigma: float = parameter(2.0, "standard deviations", "bkg_subtract clipping", ge=1.1, le=10)
    maxiters: int = parameter(3, "iterations", "bkg_subtract clipping iterations", ge=1, le=100)

    @model_validator(mode="after")
    def _faintest_below_brightest(self):
        for field in FIELDS:
            faintest, brightest = (
                getattr(self, f"{field}_{end}") for end in ("faintest", "brightest")
            )
            if faintest > brightest:
                msg = (
                    f"{field}_faintest = {faintest} uJy is above "
                    f"{field}_brightest = {brightest} uJy; the legal range ends there"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sky_is_seen(self):
        if 0 < self.sky_level < _FAINTEST_SKY:
            msg = (
                f"sky_level = {self.sky_level} MJy/sr is neither 0, for the filter's own sky, "
                f"nor from {_FAINTEST_SKY} MJy/sr, where its subtraction can be judged"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _readout_exists(self):
        if self.readout_pattern != "FASTR1" and self.subarray != "FULL":
            msg = (
                f"subarray = {self.subarray} is not read with readout_pattern = "
                f"{self.readout_pattern}: of subarrays the instrument has FASTR1 only"
            )
            raise ValueError(msg)
        if self.integrations > 1 and self.groups < _FEWEST_GROUPS_OF_MANY:
            msg = (
                f"groups = {self.groups} is below {_FEWEST_GROUPS_OF_MANY}, with which more than "
                f"one integration is possible (integrations = {self.integrations}): four groups at "
                "the start of the later ones, and the last, are not used"
            )
            raise ValueError(msg)
        return self

    @classmethod
    def create(cls, **parameters):
        """Return the observation of parameters given by name.

        Parameters
        ----------
        **parameters
            Any of the fields; strings are converted, as from a command line.

        Returns
        -------
        Observation
            The validated observation.

        Raises
        ------
        InvalidObservation
            Naming each wrong parameter, its value and its legal range.
        """
        try:
            return cls(**parameters)
        except ValidationError as error:
            raise InvalidObservation("; ".join(map(cls._sentence, error.errors()))) from None

    @classmethod
    def _sentence(cls, error):
        """Return one sentence on one validation error of pydantic."""
        if not error["loc"]:
            return str(error["ctx"]["error"])
        name = str(error["loc"][0])
        if name not in cls.model_fields:
            return f"{name} is not a parameter; the parameters are {', '.join(cls.model_fields)}"
        return f"{name} = {error['input']!r} is not {cls.legal_range(name)}"

    @classmethod
    def legal_range(cls, name):
        """Return the legal range of a parameter in words, with its unit.

        Parameters
        ----------
        name : str
            Name of the parameter.

        Returns
        -------
        str
            Such as ``a whole number from 6 to 100 groups (groups in an integration)``.
        """
        field = cls.model_fields[name]
        choices = get_args(field.annotation)
        if choices:
            return f"{' or '.join(choices)} ({field.description})"
        kind = "a whole number" if field.annotation is int else "a number"
        limits = {type(limit).__name__: limit for limit in field.metadata}
        low = f"from {limits['Ge'].ge}" if "Ge" in limits else f"above {limits['Gt'].gt}"
        high = f"to {limits['Le'].le}" if "Le" in limits else f"below {limits['Lt'].lt}"
        unit = f" {cls.unit(name)}" if cls.unit(name) else ""
        return f"{kind} {low} {high}{unit} ({field.description})"

    @classmethod
    def unit(cls, name):
        """Return the unit of a parameter, an empty string where it has none."""
        return cls.model_fields[name].json_schema_extra["unit"]

    def _repr_html_(self):
        """Return the parameters as a table for notebook and page."""
        rows = [
            (name, getattr(self, name), self.unit(name), field.description)
            for name, field in type(self).model_fields.items()
        ]
        return html_table(("parameter", "value", "unit", "meaning"), rows)

    @property
    def key(self):
        """Key of the observation: equal for equal parameters."""
        return content_key(self.model_dump())


@dataclass(frozen=True)
class Exposure:
    """Which exposure of an observation: its field and its dither.

    Parameters
    ----------
    field : str
        "science" or "background".
    dither : int
        Number of the dither, from 0.
    """

    field: str
    dither: int

    @property
    def observation_number(self):
        """Number of the observation within the programme, as in JWST's file names."""
        return f"{FIELDS.index(self.field) + 1:03d}"

    @property
    def name(self):
        """File name root after JWST's convention, without product suffix."""
        return f"jw{PROGRAM}{self.observation_number}001_02101_{self.dither + 1:05d}_mirimage"


def exposures(observation, field=None):
    """Return the exposures of an observation in the order they are taken.

    Parameters
    ----------
    observation : Observation
        The observation.
    field : str, optional
        Only this field's.

    Returns
    -------
    list of Exposure
        Science first.
    """
    return [
        Exposure(name, dither)
        for name in (FIELDS if field is None else (field,))
        for dither in range(getattr(observation, f"{name}_exposures"))
    ]
