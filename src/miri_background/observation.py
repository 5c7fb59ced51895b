"""What is taken: a frozen, validated description of the exposures of two fields."""

from dataclasses import dataclass

from pydantic import model_validator

from miri_background.instrument.readout import Readout
from miri_background.parameters import MOST_DITHERS, ObservationParameters

__all__ = [
    "DITHER_PATTERN",
    "FIELDS",
    "PROGRAM",
    "Exposure",
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
)[:MOST_DITHERS]

FIELDS = ("science", "background")

_FAINTEST_SKY = 1.0  # MJy/sr: no sky is darker, and the subtraction of less cannot be judged

# Four are left out at the start of a later integration and one at its end; a slope and a jump
# need three.
_FEWEST_GROUPS_OF_MANY = 8

# What MIRISim's files are not given.
_EMBEDDED_ONLY = (
    *("zodiacal_season", "thermal_drift"),
    *("first_exposure_excess", "dark_stripes", "brighter_fatter"),
    "interference",
    *("background_galaxies", "science_nebula", "background_nebula", "phase_mask_glow"),
    *("wavefront_error", "wavefront_change"),
)

PROGRAM = "99770"  # no flight programme has this number


# Of each data set: filter, exposures of a field, and their names, of which the last part counts.
_DATA_SETS = {
    "archived": ("F770W", 4, ("starfield_med_seq{}", "bkg_faint_seq{}"), "_MIRIMAGE_F770Wexp1"),
    "flight": (
        "F2550W",
        4,
        ("jw02754001001_06101_{:05d}", "jw02754002001_02101_{:05d}"),
        "_mirimage",
    ),
}


class Observation(ObservationParameters):
    """One observation: four dithers on a science field, four on a background field.

    Raises
    ------
    InvalidParameter
        From `Observation.create`, naming parameter, value and legal range.
    """

    @model_validator(mode="before")
    @classmethod
    def _filter_of_the_data_set(cls, given):
        # What is left at its default is what the files have.
        if isinstance(given, dict) and given.get("data") in _DATA_SETS:
            its_own, default = _DATA_SETS[given["data"]][0], cls.model_fields["filter"].default
            if given.get("filter", default) == default:
                return given | {"filter": its_own}
        return given

    @model_validator(mode="after")
    def _files_are_as_they_are(self):
        if self.data not in _DATA_SETS:
            return self
        its_own, most, *_ = _DATA_SETS[self.data]
        if self.filter != its_own:
            msg = f"filter = {self.filter} is not that of data = {self.data}, which is {its_own}"
            raise ValueError(msg)
        for name in ("science_exposures", "background_exposures"):
            if getattr(self, name) > most:
                msg = f"{name} = {getattr(self, name)} is above the {most} of data = {self.data}"
                raise ValueError(msg)
        if self.simulator == "mirisim":
            msg = f"simulator = mirisim simulates nothing for data = {self.data}: leave it out"
            raise ValueError(msg)
        return self

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
    def _one_number_or_one_for_each(self):
        for name in ("background_groups", "background_integrations"):
            given = len(getattr(self, name))
            if given not in (1, self.background_exposures):
                msg = (
                    f"{name} has {given} numbers, and background_exposures is "
                    f"{self.background_exposures}: give one number, or one for each exposure"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _readouts_exist(self):
        for readout in dict.fromkeys(each.readout for each in exposures(self)):
            if readout.pattern != "FASTR1" and readout.subarray != "FULL":
                msg = (
                    f"subarray = {readout.subarray} is not read with readout_pattern = "
                    f"{readout.pattern}: the instrument reads subarrays with FASTR1 only"
                )
                raise ValueError(msg)
            if readout.integrations > 1 and readout.groups < _FEWEST_GROUPS_OF_MANY:
                msg = (
                    f"groups = {readout.groups} is below {_FEWEST_GROUPS_OF_MANY}, the fewest with "
                    f"which more than one integration is possible (integrations = "
                    f"{readout.integrations}): four groups at the start of the later ones, and "
                    "the last, are not used"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _interference_is_no_slope(self):
        if self.interference == 0:
            return self
        # Imported here: it needs the detector, which a command line's help does without.
        from miri_background.instrument.interference import LINES, sampling

        for readout in self.readouts:
            samples = sampling(readout.pattern, readout.subarray, readout.window.shape)
            if samples.is_nearly_straight(LINES[self.interference_line]):
                msg = (
                    f"interference_line = {self.interference_line} is not taken with subarray = "
                    f"{readout.subarray}: there the wave is nearly straight in every ramp, and "
                    "neither emicorr nor a look at the rates tells it from slow structure; choose "
                    "another line or subarray"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _mirisim_takes_both_fields_the_same_way(self):
        mixed = len({each.readout for each in exposures(self)}) > 1 or self.background_sky != 100
        if self.simulator == "mirisim" and mixed:
            msg = (
                "simulator = mirisim takes both fields in the same way: leave background_subarray, "
                "background_readout_pattern, background_groups, background_integrations and "
                "background_sky as they are"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _mirisim_has_its_own_sky_and_detector(self):
        chosen = [name for name in _EMBEDDED_ONLY if getattr(self, name)]
        if self.simulator == "mirisim" and chosen:
            msg = (
                "simulator = mirisim has a sky and a detector of its own: leave "
                f"{', '.join(chosen)} at 0"
            )
            raise ValueError(msg)
        return self

    def exposure(self, field, dither):
        """Return one exposure of a field, the dithers numbered from 0."""
        return Exposure(field, dither, self.readout(field, dither), self.data)

    def readout(self, field, dither=0):
        """Return how an exposure is read.

        Parameters
        ----------
        field : str
            "science" or "background".
        dither : int, optional
            Number of the dither, from 0.

        Returns
        -------
        Readout
            Subarray, readout pattern, groups and integrations.
        """
        names = ("subarray", "readout_pattern", "groups", "integrations")
        chosen = [getattr(self, name) for name in names]
        if field == "background":
            own = [getattr(self, f"background_{name}") for name in names]
            own = [each[dither % len(each)] if isinstance(each, tuple) else each for each in own]
            chosen = [
                science if mine in ("same", 0) else mine
                for science, mine in zip(chosen, own, strict=True)
            ]
        return Readout(*chosen)

    def read_as(self, readout):
        """Return the observation with all exposures read in one way."""
        names = ("subarray", "readout_pattern", "groups", "integrations")
        own = (readout.subarray, readout.pattern, readout.groups, readout.integrations)
        defaults = {f"background_{name}" for name in names}
        kept = self.model_dump(exclude=defaults)
        return Observation(**kept | dict(zip(names, own, strict=True)))

    @property
    def readouts(self):
        """The distinct readouts of all exposures, that of the science field first."""
        return tuple(dict.fromkeys(exposure.readout for exposure in exposures(self)))

    def sky_factor(self, field):
        """Return the sky of a field over that of the science field."""
        return self.background_sky / 100 if field == "background" else 1.0

    @property
    def words(self):
        """Filter, subarray, groups and seed, short, for file names."""
        if self.data in _DATA_SETS:
            return f"{self.data}-{self.filter}"
        return f"{self.filter}-{self.subarray}-{self.groups}groups-seed{self.seed}"


@dataclass(frozen=True)
class Exposure:
    """Which exposure of an observation: its field and its dither, and how it is read.

    Parameters
    ----------
    field : str
        "science" or "background".
    dither : int
        Number of the dither, from 0.
    readout : Readout
        How it is read.
    data : str, optional
        "simulated", or the data set that it is of.
    """

    field: str
    dither: int
    readout: Readout
    data: str = "simulated"

    @property
    def observation_number(self):
        """Number of the observation within the programme, as in JWST's file names."""
        return f"{FIELDS.index(self.field) + 1:03d}"

    @property
    def name(self):
        """File name root after JWST's convention, without product suffix."""
        if self.data in _DATA_SETS:
            *_, stems, ending = _DATA_SETS[self.data]
            return stems[FIELDS.index(self.field)].format(self.dither + 1) + ending
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
        observation.exposure(name, dither)
        for name in (FIELDS if field is None else (field,))
        for dither in range(getattr(observation, f"{name}_exposures"))
    ]
