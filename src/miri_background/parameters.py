"""Every parameter of a run, once: name, default, unit, meaning and legal range.

There are three kinds.  Those of an observation decide the level-1b files, those of a calibration
what is made of them, and those of a run only where and how the work is done.  The notebook's
cell, the command line, ``nightly.yaml`` and the tables of the pages are made from this list or
are compared with it by a test.
"""

from difflib import get_close_matches
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from miri_background.files import content_key
from miri_background.outcomes import SetUpWrong
from miri_background.tables import html_table

__all__ = [
    "DATA_SETS",
    "FILTERS",
    "INSTALLED",
    "INTERFERENCE_LINES",
    "KINDS",
    "MOST_DITHERS",
    "CalibrationParameters",
    "Description",
    "InvalidParameter",
    "ObservationParameters",
    "RunParameters",
    "every_parameter",
    "refuse_unknown",
]

INSTALLED = "installed"  # the build of jwst that is in this environment
MOST_DITHERS = 12  # dithers of the pattern, three sets of four
FILTERS = (  # imaging filters, without coronagraphs
    "F560W",
    "F770W",
    "F1000W",
    "F1130W",
    "F1280W",
    "F1500W",
    "F1800W",
    "F2100W",
    "F2550W",
)
INTERFERENCE_LINES = ("Hz10", "Hz218", "Hz390")
DATA_SETS = ("archived", "flight")  # of data_manifest.yaml
_SUBARRAYS = ("FULL", "BRIGHTSKY", "SUB256")
_PATTERNS = ("FASTR1", "SLOWR1")
_GROUPS = {"ge": 6, "le": 300}
_INTEGRATIONS = {"ge": 1, "le": 10}


class InvalidParameter(SetUpWrong, ValueError):
    """A parameter is outside its legal range, or is not a parameter."""


def _one_by_one(value):
    """Return one number for each exposure; a text has commas between them."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        return tuple(int(part) if part.isdecimal() else part for part in parts)
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _counts(limits):
    """Return the type of a number for all background exposures, or of one for each."""
    of_one = Literal[0] | Annotated[int, Field(**limits)]
    return Annotated[tuple[of_one, ...], BeforeValidator(_one_by_one)]


def _parameter(default, unit, meaning, **limits):
    """Return the field of a parameter."""
    words = {"unit": unit} | {name: limits.pop(name) for name in ("legal",) if name in limits}
    return Field(default, description=meaning, json_schema_extra=words, **limits)


class Description(BaseModel):
    """A frozen set of parameters that are within their legal ranges.

    Raises
    ------
    InvalidParameter
        From `create`, naming parameter, value and legal range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def create(cls, **parameters):
        """Return the description with parameters given by name.

        Parameters
        ----------
        **parameters
            Any of the fields; strings are converted, as from a command line.

        Returns
        -------
        Description
            The validated description.

        Raises
        ------
        InvalidParameter
            Naming each wrong parameter, its value and its legal range.
        """
        try:
            return cls(**parameters)
        except ValidationError as error:
            sentences = dict.fromkeys(map(cls._sentence, error.errors()))
            raise InvalidParameter("; ".join(sentences)) from None

    @classmethod
    def of(cls, parameters):
        """Return the description of those parameters of a mapping that belong to it.

        Parameters
        ----------
        parameters : dict
            Values by name; other names are passed over.

        Returns
        -------
        Description
            The validated description.
        """
        return cls.create(
            **{name: parameters[name] for name in cls.model_fields if name in parameters}
        )

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
        words = field.json_schema_extra.get("legal")
        if words is not None:
            return f"{words} ({field.description})"
        words = " or ".join(get_args(field.annotation)) or _range(field)
        unit = f" {cls.unit(name)}" if cls.unit(name) else ""
        return f"{words}{unit} ({field.description})"

    @classmethod
    def unit(cls, name):
        """Return the unit of a parameter, an empty string where it has none."""
        return cls.model_fields[name].json_schema_extra["unit"]

    def changes(self):
        """Return the parameters that differ from their defaults, by name."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def key(self):
        """Key of what differs from the defaults: a new parameter does not change it."""
        return content_key(self.changes())

    def _repr_html_(self):
        """Return the parameters as a table for notebook and page."""
        rows = [
            (name, _shown(getattr(self, name)), self.unit(name), field.description)
            for name, field in type(self).model_fields.items()
        ]
        return html_table(type(self).__name__, ("parameter", "value", "unit", "meaning"), rows)


def _shown(value):
    """Return a value as a person writes it."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


def _range(field):
    """Return the limits of a number, or that it is a text, in words."""
    if field.annotation is str:
        return "a text"
    limits = {type(limit).__name__: limit for limit in field.metadata}
    low = f"from {limits['Ge'].ge}" if "Ge" in limits else f"above {limits['Gt'].gt}"
    high = f"to {limits['Le'].le}" if "Le" in limits else f"below {limits['Lt'].lt}"
    return f"{'a whole number' if field.annotation is int else 'a number'} {low} {high}"


class ObservationParameters(Description):
    """What is taken: these decide the level-1b files and their truth."""

    data: Literal["simulated", *DATA_SETS] = _parameter(
        "simulated", "", "simulated here, or a data set of data_manifest.yaml"
    )
    simulator: Literal["embedded", "mirisim"] = _parameter("embedded", "", "source of the data")
    filter: Literal[*FILTERS] = _parameter("F770W", "", "imaging filter")
    subarray: Literal[*_SUBARRAYS] = _parameter("FULL", "", "subarray")
    readout_pattern: Literal[*_PATTERNS] = _parameter("FASTR1", "", "readout pattern")
    groups: int = _parameter(20, "groups", "groups in an integration", **_GROUPS)
    integrations: int = _parameter(
        1, "integrations", "integrations in an exposure", **_INTEGRATIONS
    )
    background_subarray: Literal["same", *_SUBARRAYS] = _parameter(
        "same", "", "subarray of the background field, if another"
    )
    background_readout_pattern: Literal["same", *_PATTERNS] = _parameter(
        "same", "", "readout pattern of the background field, if another"
    )
    background_groups: _counts(_GROUPS) = _parameter(
        (0,),
        "groups",
        "of backgrounds, or one for each exposure; 0: the same",
        legal="0, or whole numbers from 6 to 300 with commas between them",
    )
    background_integrations: _counts(_INTEGRATIONS) = _parameter(
        (0,),
        "integrations",
        "of backgrounds, or one for each exposure; 0: the same",
        legal="0, or whole numbers from 1 to 10 with commas between them",
    )
    background_delay: float = _parameter(
        0.0, "days", "time from the science field to the background field", ge=-3000, le=3000
    )
    background_sky: float = _parameter(
        100.0, "%", "sky of the background field over that of the science field", ge=10, le=1000
    )
    science_exposures: int = _parameter(
        4, "exposures", "dithered exposures of the science field", ge=1, le=MOST_DITHERS
    )
    background_exposures: int = _parameter(
        4, "exposures", "dithered exposures of the background field", ge=2, le=MOST_DITHERS
    )
    science_ra: float = _parameter(
        80.49, "deg", "right ascension of the science field", ge=0, lt=360
    )
    science_dec: float = _parameter(
        -69.498, "deg", "declination of the science field", ge=-89, le=89
    )
    background_ra: float = _parameter(
        80.91, "deg", "right ascension of the background field", ge=0, lt=360
    )
    background_dec: float = _parameter(
        -69.381, "deg", "declination of the background field", ge=-89, le=89
    )
    roll: float = _parameter(115.0, "deg", "position angle of the V3 axis", ge=0, lt=360)
    science_stars: int = _parameter(
        340, "stars", "stars in the full array of the science field", ge=0, le=3000
    )
    science_faintest: float = _parameter(
        3.0, "uJy", "flux of the faintest science star", gt=0, le=100_000
    )
    science_brightest: float = _parameter(
        1500.0, "uJy", "flux of the brightest science star", gt=0, le=100_000
    )
    galaxy_flux: float = _parameter(
        400.0, "uJy", "flux of the galaxy in the science field; 0 for none", ge=0, le=100_000
    )
    background_stars: int = _parameter(
        40, "stars", "stars in the full array of the background field", ge=0, le=1000
    )
    background_faintest: float = _parameter(
        3.0, "uJy", "flux of the faintest background star", gt=0, le=100_000
    )
    background_brightest: float = _parameter(
        60.0, "uJy", "flux of the brightest background star", gt=0, le=100_000
    )
    background_galaxies: float = _parameter(
        0.0, "galaxies/arcmin2", "above 0.1 uJy in the background field", ge=0, le=1000
    )
    science_nebula: float = _parameter(
        0.0, "MJy/sr", "mean brightness of a nebula in the science field", ge=0, le=1000
    )
    background_nebula: float = _parameter(
        0.0, "MJy/sr", "mean brightness of a nebula in the background field", ge=0, le=1000
    )
    phase_mask_glow: float = _parameter(
        0.0, "%", "glow at the edges of the phase masks, at most, over the sky", ge=0, le=500
    )
    sky_level: float = _parameter(
        0.0,
        "MJy/sr",
        "sky at the centre, from 1; 0 for the filter's zodiacal and thermal light",
        ge=0,
        le=2000,
    )
    sky_gradient: float = _parameter(
        1.0, "%/arcmin", "gradient of the sky over the array", ge=0, le=20
    )
    sky_gradient_angle: float = _parameter(
        30.0, "deg", "direction of the brighter sky, from +x towards +y", ge=0, lt=360
    )
    wavefront_error: float = _parameter(
        0.0, "nm", "wavefront error of telescope and imager at its centre, rms", ge=0, le=300
    )
    wavefront_change: float = _parameter(
        0.0, "nm", "wavefront error that only corners of the imager have, rms", ge=0, le=200
    )
    cosmic_ray_rate: float = _parameter(
        28.0, "hits/s", "cosmic rays on the full array", ge=0, le=500
    )
    shower_rate: float = _parameter(
        0.0, "showers/min", "cosmic-ray showers on the full array", ge=0, le=6
    )
    latent_fraction: float = _parameter(
        0.0, "%", "source charge that is released after the exposure, fading with 300 s", ge=0, le=5
    )
    zodiacal_season: float = _parameter(
        0.0, "%", "yearly change of the zodiacal light at the ecliptic poles", ge=0, le=30
    )
    thermal_drift: float = _parameter(
        0.0, "%/day", "change of the telescope's thermal light with time", ge=-2, le=2
    )
    first_exposure_excess: float = _parameter(
        0.0,
        "%",
        "more sky in first exposures of a field, fading to a third in each",
        ge=0,
        le=50,
    )
    dark_stripes: float = _parameter(
        0.0,
        "electron/s",
        "rms by which columns of the dark differ in the fields, rows half",
        ge=0,
        le=5,
    )
    interference: float = _parameter(
        0.0, "DN", "amplitude of electromagnetic interference in each read", ge=0, le=100
    )
    interference_line: Literal[*INTERFERENCE_LINES] = _parameter(
        "Hz218", "", "frequency of the interference: 10.04, 218.52 or 390.625 Hz"
    )
    brighter_fatter: float = _parameter(
        0.0, "%", "new charge of a full pixel that each empty neighbour gets", ge=0, le=20
    )
    seed: int = _parameter(770, "", "random seed", ge=0, le=999_999_999)


class CalibrationParameters(Description):
    """What is made of the level-1b files: by which pipeline, and how."""

    build: str = _parameter(
        INSTALLED,
        "",
        "build of jwst",
        legal="installed, a release such as 1.20.2, or the path of a checkout or wheel",
    )
    build_with: str = _parameter(
        "",
        "",
        "checkouts of stcal, stdatamodels, stpipe that belong to the build",
        legal="paths with commas between them",
    )

    crds_cache: str = _parameter(
        "synthetic",
        "",
        "reference files",
        legal="synthetic, home, central, 'working directory', or a path",
    )
    crds_server_url: str = _parameter("", "", "CRDS server, to complete a real cache")
    crds_context: str = _parameter("", "", "CRDS context of a real cache")
    dark_groups: int = _parameter(
        0, "groups", "most groups of the synthetic dark; 0 for as many as ramps have", ge=0, le=300
    )
    emicorr: Literal["reference", "none"] = _parameter(
        "reference", "", "whether the synthetic references remove interference of the ramps"
    )
    rate_product: Literal["rate", "rateints"] = _parameter(
        "rate", "", "slopes that are judged: of exposures, or of each of their integrations"
    )
    # At 1 and below, decisions on few values are exact ties, which rounding decides.
    sigma: float = _parameter(2.0, "standard deviations", "bkg_subtract clipping", ge=1.1, le=10)
    maxiters: int = _parameter(3, "iterations", "bkg_subtract clipping iterations", ge=1, le=100)
    control: Literal["none", "step skipped", "background missing"] = _parameter(
        "none", "", "what is broken on purpose, to see the validation fail"
    )
    through: Literal["image2", "image3"] = _parameter(
        "image2", "", "last stage that is run and judged; image3 makes the mosaic, too"
    )


class RunParameters(Description):
    """Where and how the work is done; but for the preset, none of these changes a number."""

    preset: Literal["clean", "flight", "hard"] = _parameter(
        "clean", "", "named set of values for parameters that are not given"
    )
    working_directory: str = _parameter(
        "temporary", "", "where results are kept", legal="temporary, kept (below runs/), or a path"
    )
    mirisim_command: str = _parameter(
        "mirisim", "", "how MIRISim is called, such as 'conda run -n mirisim mirisim'"
    )
    workers: int = _parameter(
        0, "processes", "that simulate and calibrate; 0 for one per core", ge=0, le=1024
    )
    baselines: str = _parameter("", "", "directory of baselines; empty for the checkout's")
    expect: str = _parameter(
        "", "", "proposed behaviours that the build is to have, such as quadrature for errors"
    )


KINDS = (ObservationParameters, CalibrationParameters, RunParameters)


def every_parameter():
    """Return the class of descriptions of every parameter, by its name."""
    return {name: kind for kind in KINDS for name in kind.model_fields}


def refuse_unknown(names):
    """Refuse names that are not those of parameters.

    Parameters
    ----------
    names : iterable of str
        As somebody gave them.

    Raises
    ------
    InvalidParameter
        Naming the first, and the parameters with similar names.
    """
    known = every_parameter()
    for name in names:
        if name not in known:
            similar = get_close_matches(name, known, 3, 0.5) or list(known)
            msg = f"{name} is not a parameter; did you mean {' or '.join(similar)}?"
            raise InvalidParameter(msg)
