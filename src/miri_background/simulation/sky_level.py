"""How bright the sky of an observation is, and whether ramps can be read out below it."""

from miri_background.instrument.detector import FULL_WELL, LEAST_WELL
from miri_background.instrument.throughput import SKY_LEVELS, electrons_per_surface_brightness
from miri_background.observation import exposures
from miri_background.outcomes import SetUpWrong

__all__ = ["require_unsaturated", "sky_brightness"]

_NEBULA_PEAK = 2.0  # of its mean: brighter places are few
_FEWEST_GROUPS = 6  # that an observation may have


def sky_brightness(observation, field="science"):
    """Return the sky of a field at the centre of the array, MJy/sr."""
    level = observation.sky_level or SKY_LEVELS[observation.filter]
    return level * observation.sky_factor(field)


def require_unsaturated(observation):
    """Refuse ramps that the sky alone saturates: all pixels would be flagged, and none judged.

    Parameters
    ----------
    observation : Observation
        What is to be simulated.

    Raises
    ------
    CannotJudge
        Naming sky, filter and time.
    """
    if observation.data != "simulated":
        return
    per_brightness = electrons_per_surface_brightness(observation.filter)
    for exposure in exposures(observation):
        time = exposure.readout.frame_time
        nebula = getattr(observation, f"{exposure.field}_nebula")
        sky = sky_brightness(observation, exposure.field) + _NEBULA_PEAK * nebula
        full, most = (int(well / (sky * per_brightness * time)) for well in (FULL_WELL, LEAST_WELL))
        if exposure.readout.groups <= most:
            continue
        fewer = f"at most {most} groups, " if most >= _FEWEST_GROUPS else ""
        cause = "nebula" if nebula else "sky_level"
        msg = (
            f"The sky of {sky:g} MJy/sr in {observation.filter} fills the "
            f"pixels within {full + 1} groups of {time:.3f} s: "
            f"take {fewer}a smaller subarray, FASTR1, or a lower {cause}."
        )
        raise SetUpWrong(msg)
