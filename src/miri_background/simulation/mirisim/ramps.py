"""Ramps as MIRISim writes them, checked against what was asked for."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge
from miri_background.simulation.mirisim.constants import MIRISIM_MODES

__all__ = ["Ramps", "read_ramps"]

_LARGEST_NUMBER = 65535  # 16-bit converter


@dataclass(frozen=True)
class Ramps:
    """The numbers of one exposure.

    Parameters
    ----------
    science : ndarray
        DN, float32, shape (integrations, groups, rows, columns).
    reference_output : ndarray
        DN of the blind fifth output, shape (integrations, groups, rows, columns / 4).
    """

    science: np.ndarray
    reference_output: np.ndarray

    def as_level1b(self):
        """Return science and reference output as the unsigned 16-bit numbers of level 1b."""
        return tuple(
            np.clip(np.rint(ramp), 0, _LARGEST_NUMBER).astype(np.uint16)
            for ramp in (self.science, self.reference_output)
        )


def _asked(observation):
    """Return the keywords that tell what was simulated, with the values that they may have."""
    rows, columns = subarrays()[observation.subarray].shape
    pattern = observation.readout_pattern
    return {
        "FILTER": (observation.filter,),
        # SCASim knows both names of a mode.
        "READPATT": (pattern, MIRISIM_MODES[pattern]),
        "NINTS": (observation.integrations,),
        "NGROUPS": (observation.groups,),
        "SUBSIZE1": (columns,),
        "SUBSIZE2": (rows,),
    }


def read_ramps(path, observation, log):
    """Return the ramps of a ``det_image`` of MIRISim.

    Parameters
    ----------
    path : path-like
        The file.
    observation : Observation
        What was asked for.
    log : path-like
        MIRISim's log, for the sentence.

    Returns
    -------
    Ramps
        Science and reference output.

    Raises
    ------
    CannotJudge
        If the file cannot be read, is of another filter, readout or size than asked for,
        or has numbers that are not finite.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            header = hdus[0].header
            ramps = Ramps(hdus["SCI"].data, hdus["REFOUT"].data)
    except (OSError, KeyError, TypeError) as error:
        msg = f"MIRISim's image {path.name} cannot be read ({error}): see its log, {log}."
        raise CannotJudge(msg) from error
    asked = _asked(observation)
    # MIRISim's published headers have the sizes always, the subarray's name not always.
    if "SUBARRAY" in header:
        asked["SUBARRAY"] = (observation.subarray,)
    for keyword, values in asked.items():
        found = header.get(keyword)
        if found not in values:
            msg = (
                f"MIRISim's image {path.name} has {keyword} = {found!r}, and {values[0]!r} was "
                f"asked for: see its log, {log}."
            )
            raise CannotJudge(msg)
    rows, columns = subarrays()[observation.subarray].shape
    shape = (observation.integrations, observation.groups, rows, columns)
    if ramps.science is None or ramps.science.shape != shape:
        found = None if ramps.science is None else ramps.science.shape
        msg = (
            f"MIRISim's image {path.name} has a SCI array of shape {found}, and {shape} was "
            f"asked for: see its log, {log}."
        )
        raise CannotJudge(msg)
    for name, ramp in (("SCI", ramps.science), ("REFOUT", ramps.reference_output)):
        missing = np.count_nonzero(~np.isfinite(ramp))
        if missing:
            msg = (
                f"MIRISim's image {path.name} has {missing} values in {name} that are not finite: "
                f"see its log, {log}."
            )
            raise CannotJudge(msg)
    return ramps
