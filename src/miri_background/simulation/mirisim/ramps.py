"""Ramps as MIRISim writes them, checked against what was asked for."""

from dataclasses import dataclass

import numpy as np

from miri_background.instrument.readout import frame_time, subarrays
from miri_background.outcomes import CannotJudge
from miri_background.reading import open_fits
from miri_background.simulation.mirisim.constants import MIRISIM_GAIN, MIRISIM_MODES

__all__ = ["Ramps", "read_ramps"]

_LARGEST_NUMBER = 65535  # 16-bit converter
_OUTPUTS = 4  # that share the columns; the fifth is blind
_ROUNDED = 1e-3  # relative: SCASim rounds what it writes into headers

# What SCASim writes into HISTORY where an effect is off, up to what may follow.
_SWITCHED_OFF = (
    "Simulated dark current disabled",
    "Simulated non-linearity effects disabled",
    "Simulated detector drift effects disabled",
    "Simulated detector latency effects disabled",
    "Bad pixel mask: None",
    "Pixel flat-field: None",
)

_NOT_FOLLOWED = "MIRISim did not follow {} of simulator.ini, see in its log, {{log}}, what it read"
_REFERENCE_PIXELS = _NOT_FOLLOWED.format("include_refpix = T")
_GENERAL = "see its log, {log}"
_ADVICE = {
    "BUNIT": _NOT_FOLLOWED.format("include_gain = T"),
    "GAINCF": (
        "the references hold that gain, so give MIRISim a calibration product GAIN that has it; "
        "its log, {log}, names the one that it read"
    ),
    "HISTORY": _NOT_FOLLOWED.format("the effects that are off in [SCASim]"),
    "SUBSIZE1": _REFERENCE_PIXELS,
    "TFRAME": _REFERENCE_PIXELS,
    "TGROUP": _REFERENCE_PIXELS,
    "REFOUT": _REFERENCE_PIXELS,
}


@dataclass(frozen=True)
class Ramps:
    """The numbers of one exposure.

    Parameters
    ----------
    science : ndarray
        DN, float32, shape (integrations, groups, rows, columns).
    reference_output : ndarray
        DN of the blind fifth output, shape (integrations, groups, rows, columns / 4).
    samples : int
        Samples of a pixel in one frame, NSAMPLES.
    read_noise : float
        Noise of one read that the header states, RDNOISE, DN.
    """

    science: np.ndarray
    reference_output: np.ndarray
    samples: int = 1
    read_noise: float = 0.0

    def as_level1b(self):
        """Return science and reference output as the unsigned 16-bit numbers of level 1b."""
        return tuple(
            np.clip(np.rint(ramp), 0, _LARGEST_NUMBER).astype(np.uint16)
            for ramp in (self.science, self.reference_output)
        )


def _asked(observation):
    """Return the keywords that describe what was simulated, with the values that they may have."""
    read = subarrays()[observation.subarray]
    rows, columns = read.shape
    pattern = observation.readout_pattern
    time = frame_time(pattern, observation.subarray)
    return {
        "FILTER": (observation.filter,),
        # SCASim knows both names of a mode.
        "READPATT": (pattern, MIRISIM_MODES[pattern]),
        "NINTS": (observation.integrations,),
        "NGROUPS": (observation.groups,),
        "SUBSTRT1": (read.x.start + 1,),
        "SUBSTRT2": (read.y.start + 1,),
        "SUBSIZE1": (columns,),
        "SUBSIZE2": (rows,),
        "TFRAME": (time,),
        "TGROUP": (time,),
        "BUNIT": ("DN",),
        "GAINCF": (MIRISIM_GAIN,),
    }


def _is(found, wanted):
    """Return whether a keyword has a value; numbers up to their rounding in headers."""
    if isinstance(wanted, float) and isinstance(found, int | float):
        return bool(np.isclose(found, wanted, rtol=_ROUNDED, atol=0))
    return found == wanted


def read_ramps(path, observation, log, calibrated=None):
    """Return the ramps of a ``det_image`` of MIRISim.

    Parameters
    ----------
    path : path-like
        The file.
    observation : Observation
        What was asked for.
    log : path-like
        MIRISim's log, for the sentence.
    calibrated : tuple of float and path-like, optional
        RDNOISE that the read noise of the references goes with, and the file that has both.

    Returns
    -------
    Ramps
        Science and reference output.

    Raises
    ------
    CannotJudge
        If the file cannot be read, is of another filter, readout, size, unit or gain than
        asked for, has an effect that is to be off, has another read noise than calibrated,
        or has numbers that are not finite.
    """
    try:
        with open_fits(path) as hdus:
            # The unit is in the header of the array, all else in the first.
            header = hdus[0].header
            header["BUNIT"] = hdus["SCI"].header.get("BUNIT")
            science, blind = hdus["SCI"].data, hdus["REFOUT"].data
    except (OSError, KeyError, TypeError, ValueError) as error:
        msg = f"MIRISim's image {path.name} cannot be read ({error}): see its log, {log}."
        raise CannotJudge(msg) from error

    def refuse(what, found, wanted, advice=""):
        advice = advice or _ADVICE.get(what.split()[0], _GENERAL).format(log=log)
        msg = (
            f"MIRISim's image {path.name} has {what} = {found!r}, and {wanted!r} was asked for: "
            f"{advice}."
        )
        raise CannotJudge(msg)

    _require_what_was_asked_for(header, observation, refuse)
    readout = observation.readout("science")
    rows, columns = readout.window.shape
    shape = (readout.integrations, readout.groups, rows, columns)
    for name, ramp, wanted in (
        ("SCI", science, shape),
        ("REFOUT", blind, (*shape[:3], columns // _OUTPUTS)),
    ):
        if ramp is None or ramp.shape != wanted:
            refuse(f"{name} of shape", None if ramp is None else ramp.shape, wanted)
        missing = np.count_nonzero(~np.isfinite(ramp))
        if missing:
            msg = (
                f"MIRISim's image {path.name} has {missing} values in {name} that are not finite: "
                f"see its log, {log}."
            )
            raise CannotJudge(msg)
    return Ramps(science, blind, *_samples_and_noise(header, calibrated, refuse))


def _require_what_was_asked_for(header, observation, refuse):
    """Refuse a header of another filter, readout, unit or gain, or with an effect that is on."""
    asked = _asked(observation)
    # MIRISim's published headers have the sizes always, the subarray's name not always.
    if "SUBARRAY" in header:
        asked["SUBARRAY"] = (observation.subarray,)
    for keyword, values in asked.items():
        found = header.get(keyword)
        if not any(_is(found, value) for value in values):
            refuse(keyword, found, values[0])
    history = [str(line) for line in header.get("HISTORY", [])]
    for line in _SWITCHED_OFF:
        if not any(found.startswith(line) for found in history):
            start = line.partition(":")[0]
            refuse("HISTORY", next((one for one in history if one.startswith(start)), None), line)


def _samples_and_noise(header, calibrated, refuse):
    """Return NSAMPLES and RDNOISE, refused where they are none or not those of the calibration."""
    samples, noise = header.get("NSAMPLES"), header.get("RDNOISE")
    if not (isinstance(samples, int) and samples > 0):
        refuse("NSAMPLES", samples, "a number of samples")
    if not (isinstance(noise, int | float) and noise > 0):
        refuse("RDNOISE", noise, "include_readnoise = T")
    if calibrated is not None and not _is(noise, calibrated[0]):
        refuse(
            "RDNOISE",
            noise,
            calibrated[0],
            f"that is the noise of MIRISim's test image, so remove {calibrated[1]}, and it is "
            "measured anew",
        )
    return samples, float(noise)
