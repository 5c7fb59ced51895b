"""What is done to rates, so that they show what a case is about."""

import numpy as np

__all__ = ["ALTERATIONS"]

# Rows and columns that are altered: empty sky in every subarray, and away from its borders.
_PLACE = (slice(100, 104), slice(120, 124))
_DO_NOT_USE, _JUMP, _PERSISTENCE = 1, 4, 128  # bits of DQ; jwst documentation, "Data quality"
_OUTLIER = 1e4  # DN/s, far above anything in the sky


def _image(hdus, name="SCI"):
    """Return an image whose last two axes are rows and columns."""
    return hdus[name].data


def _set(hdus, name, value):
    """Set the pixels of the place."""
    _image(hdus, name)[(..., *_PLACE)] = value


def _flag(hdus, flag):
    """Add a flag to the pixels of the place."""
    _image(hdus, "DQ")[(..., *_PLACE)] |= np.uint32(flag)


def missing(hdus):
    """Take the slope away, as of a pixel that saturates in the first groups."""
    _set(hdus, "SCI", np.nan)
    _flag(hdus, _DO_NOT_USE)


def unusable(hdus):
    """Put a number there that is flagged as not to be used."""
    _set(hdus, "SCI", _OUTLIER)
    _flag(hdus, _DO_NOT_USE)


def persistent(hdus):
    """Flag a latent image; the numbers stay as they are."""
    _flag(hdus, _DO_NOT_USE | _PERSISTENCE)


def outlier(hdus):
    """Put a number there that is far off, without a flag."""
    _set(hdus, "SCI", _OUTLIER)


def infinite(hdus):
    """Put a number there that is not finite, without a flag."""
    _set(hdus, "SCI", np.inf)


def without_error(hdus):
    """Take the error away."""
    _set(hdus, "ERR", np.nan)


def jumped(hdus):
    """Flag a jump, which leaves the pixel usable."""
    _flag(hdus, _JUMP)


def four_times(hdus):
    """Make slopes four times too large, as of a wrong group time (FASTGRPAVG)."""
    for name, factor in (("SCI", 4), ("ERR", 4), ("VAR_POISSON", 16), ("VAR_RNOISE", 16)):
        hdus[name].data = hdus[name].data * np.float32(factor)


def brighter(hdus):
    """Make the sky a quarter brighter, as in the first exposure after a change of filter."""
    data = _image(hdus)
    data += np.float32(0.25 * np.nanmedian(data))


def striped(hdus):
    """Add columns of a tenth of the sky, as a dark of another time leaves them."""
    data = _image(hdus)
    columns = np.arange(data.shape[-1])
    data += np.float32(0.1 * np.nanmedian(data)) * np.sin(columns / 3).astype(np.float32)


def subtracted(hdus):
    """Take a background off, and say so."""
    data = _image(hdus)
    data -= np.float32(0.98 * np.nanmedian(data))
    hdus[0].header["S_BKDSUB"] = "COMPLETE"


def small_errors(hdus):
    """Divide the errors by ten, as of many more groups."""
    for name, factor in (("ERR", 0.1), ("VAR_POISSON", 0.01), ("VAR_RNOISE", 0.01)):
        hdus[name].data = hdus[name].data * np.float32(factor)


ALTERATIONS = {
    each.__name__: each
    for each in (
        missing,
        unusable,
        persistent,
        outlier,
        infinite,
        without_error,
        jumped,
        four_times,
        brighter,
        striped,
        subtracted,
        small_errors,
    )
}
