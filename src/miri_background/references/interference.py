"""References with which calwebb_detector1 removes interference: the waveform, and the switch."""

import numpy as np

from miri_background.instrument.interference import LEAST_ADVANCE, LINES, sampling
from miri_background.instrument.readout import subarrays
from miri_background.references.mappings import USE_AFTER
from miri_background.references.metadata import EXPOSURE_TYPE, new_model

__all__ = ["emicorr", "emicorr_parameters"]

_WAVEFORM_LENGTH = 500  # as in the documentation of the EMICORR reference file


def emicorr(read, line):
    """Return the waveform of a line, and how to tell its phase in each pixel.

    Parameters
    ----------
    read : iterable of tuple of str
        Readout pattern and subarray of each way to read.
    line : str
        Name of a line of `miri_background.instrument.interference.LINES`.

    Returns
    -------
    stdatamodels.jwst.datamodels.EmiModel
        The reference.  The pipeline fits amplitude and phase.  A way to read whose ramps cannot
        tell the line from their own slope has no case: there the step is skipped.
    """
    # Values are those of the middles of equal parts of a period.
    phases = (np.arange(_WAVEFORM_LENGTH) + 0.5) / _WAVEFORM_LENGTH
    wave = np.sin(2 * np.pi * phases).astype(np.float32)
    cases = {}
    for pattern, subarray in read:
        slow = pattern.startswith("SLOW")
        samples = sampling(pattern, subarray, subarrays()[subarray].shape)
        advance = samples.turn_of_frame(LINES[line])
        if min(advance, 1 - advance) < LEAST_ADVANCE:
            continue
        # The full array is the only one that is read in two ways, and has the way in its name.
        name = f"FULL_{pattern[:4]}" if subarray == "FULL" else subarray
        cases[name] = {
            "rowclocks": samples.row_samples,
            "frameclocks": samples.frame_samples,
            "freqs": {"SLOW": {"MIRIMAGE": [line]}} if slow else {"FAST": [line]},
        }
    model = new_model("EmiModel", "emicorr")
    model.frequencies = {line: {"frequency": LINES[line], "phase_amplitudes": wave}}
    model.subarray_cases = cases
    return model


def emicorr_parameters():
    """Return the parameters that turn the step on, which is off by itself.

    Returns
    -------
    asdf.AsdfFile
        As stpipe reads parameters of a step.
    """
    import asdf

    file = asdf.AsdfFile(
        {
            "class": "jwst.emicorr.emicorr_step.EmiCorrStep",
            "name": "emicorr",
            "parameters": {"skip": False},
            "meta": {
                "author": "miri_background",
                "date": "T".join(USE_AFTER),
                "description": "Turns on the correction of electromagnetic interference",
                "exposure": {"type": EXPOSURE_TYPE},
                "instrument": {"name": "MIRI"},
                "origin": "miri-background-validation",
                "pedigree": "SIMULATION",
                "reftype": "pars-emicorrstep",
                "telescope": "JWST",
                "useafter": "T".join(USE_AFTER),
            },
        }
    )
    file.add_history_entry("Written from the constants of the simulated instrument.")
    return file
