"""Which part of a background a science exposure sees."""

from dataclasses import replace

import numpy as np

from miri_background.outcomes import CannotJudge

__all__ = ["in_frame"]

# First pixel, from 1, and number of pixels that were read, along columns and along rows.
_KEYWORDS = (("SUBSTRT1", "SUBSIZE1"), ("SUBSTRT2", "SUBSIZE2"))


def _window(header, source):
    """Return the part of the detector that was read: (first, size) of rows and of columns."""
    try:
        columns, rows = [tuple(int(header[name]) for name in names) for names in _KEYWORDS]
    except (KeyError, TypeError, ValueError) as error:
        names = ", ".join(name for pair in _KEYWORDS for name in pair)
        msg = (
            f"{source} does not say which part of the detector was read ({error}): "
            f"{names} are needed, make it anew."
        )
        raise CannotJudge(msg) from error
    return rows, columns


def in_frame(image, header):
    """Return the part of a background that a science exposure sees.

    Parameters
    ----------
    image : Image
        A background, of the whole detector or of a subarray.
    header : astropy.io.fits.Header
        Primary header of the science exposure, with SUBSTRT1, SUBSTRT2 (from 1), SUBSIZE1 and
        SUBSIZE2.

    Returns
    -------
    Image
        Values, errors, flags and variances in the pixels of the science exposure.  Where the
        background has none, values and errors are not a number and nothing is flagged; a cube
        without any overlap has no integration.

    Raises
    ------
    CannotJudge
        If a header does not say which part was read.
    """
    seen, wanted = _window(image.header, image.path), _window(header, "the science exposure")
    if seen == wanted:
        return image
    inside, outside = [], []
    for (first, size), (first_wanted, size_wanted) in zip(seen, wanted, strict=True):
        begin = max(first, first_wanted)
        end = max(begin, min(first + size, first_wanted + size_wanted))
        inside.append(slice(begin - first, end - first))
        outside.append(slice(begin - first_wanted, end - first_wanted))
    shape = tuple(size for _, size in wanted)
    overlap = all(part.stop > part.start for part in inside)

    def cut(plane, empty):
        integrations = plane.shape[:-2] if overlap else (0,) * (plane.ndim - 2)
        part = np.full((*integrations, *shape), empty, dtype=plane.dtype)
        if overlap:
            part[(..., *outside)] = plane[(..., *inside)]
        return part

    return replace(
        image,
        data=cut(image.data, np.nan),
        err=cut(image.err, np.nan),
        dq=cut(image.dq, 0),
        variances={name: cut(plane, np.nan) for name, plane in image.variances.items()},
    )
