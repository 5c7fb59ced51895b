"""Which part of a background a science exposure sees."""

from dataclasses import dataclass, replace

import numpy as np

from miri_background.outcomes import CannotJudge

__all__ = ["covered", "in_frame", "placed_at_corner", "truth_in_frame"]

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


@dataclass(frozen=True)
class _Overlap:
    """Where a background and a science exposure see the same pixels.

    Parameters
    ----------
    inside, outside : tuple of slice
        Rows and columns of the background, and of the science exposure.
    shape : tuple of int
        Rows and columns of the science exposure.
    """

    inside: tuple
    outside: tuple
    shape: tuple

    @classmethod
    def of(cls, image, header):
        """Return the overlap of a background with the exposure of a header."""
        seen, wanted = _window(image.header, image.path), _window(header, "the science exposure")
        inside, outside = [], []
        for (first, size), (first_wanted, size_wanted) in zip(seen, wanted, strict=True):
            begin = max(first, first_wanted)
            end = max(begin, min(first + size, first_wanted + size_wanted))
            inside.append(slice(begin - first, end - first))
            outside.append(slice(begin - first_wanted, end - first_wanted))
        return cls(tuple(inside), tuple(outside), tuple(size for _, size in wanted))

    @property
    def whole(self):
        """Whether both see the same pixels, and no others."""
        return all(
            part == other == slice(0, size)
            for part, other, size in zip(self.inside, self.outside, self.shape, strict=True)
        )

    @property
    def some(self):
        """Whether there is any pixel that both see."""
        return all(part.stop > part.start for part in self.inside)

    def cut(self, plane, empty):
        """Return a plane of the background in the science exposure's pixels."""
        integrations = plane.shape[:-2] if self.some else (0,) * (plane.ndim - 2)
        part = np.full((*integrations, *self.shape), empty, dtype=plane.dtype)
        if self.some:
            part[(..., *self.outside)] = plane[(..., *self.inside)]
        return part

    def at_corner(self, plane, empty):
        """Return a plane in which what overlaps begins in the first pixel."""
        moved = np.full_like(plane, empty)
        rows, columns = (part.stop - part.start for part in self.outside)
        moved[..., :rows, :columns] = plane[(..., *self.outside)]
        return moved


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
    overlap = _Overlap.of(image, header)
    return image if overlap.whole else _with_planes(image, overlap.cut)


def placed_at_corner(image, header):
    """Return a background as a build leaves it that puts the overlap at the frame's corner.

    Parameters
    ----------
    image : Image
        A background in the pixels of the science exposure, as `in_frame` returns it, with its
        own header.
    header : astropy.io.fits.Header
        Primary header of the science exposure.

    Returns
    -------
    Image
        The image itself where the overlap begins in the corner anyway.
    """
    overlap = _Overlap.of(image, header)
    if not overlap.some or all(part.start == 0 for part in overlap.outside):
        return image
    return _with_planes(image, overlap.at_corner)


def _with_planes(image, change):
    """Return an image with all its planes changed in one way."""
    # They are held: of the whole array, a subarray needs little, and seldom is it the reverse.
    return replace(
        image,
        data=change(image.data, np.nan),
        err=change(image.err, np.nan),
        dq=change(image.dq, 0),
        variances={name: change(plane, np.nan) for name, plane in image.variances.items()},
    )


def covered(image, header):
    """Return which pixels of a science exposure a background has read, shape (rows, columns)."""
    overlap = _Overlap.of(image, header)
    pixels = np.zeros(overlap.shape, dtype=bool)
    pixels[overlap.outside] = True
    return pixels


def truth_in_frame(truth, image, header):
    """Return the truth of a background in the pixels of a science exposure.

    Parameters
    ----------
    truth : Truth
        Of all pixels that the background has read.
    image : Image
        The background, with its own header.
    header : astropy.io.fits.Header
        Primary header of the science exposure.

    Returns
    -------
    Truth
        Rates are 0 where the background has no pixel; positions count from the science
        exposure's first pixel.
    """
    overlap = _Overlap.of(image, header)
    if overlap.whole:
        return truth
    catalogue = truth.catalogue.copy()
    for name, outside, inside in zip(("y", "x"), overlap.outside, overlap.inside, strict=True):
        unit = getattr(catalogue[name], "unit", None) or 1
        catalogue[name] = catalogue[name] + (outside.start - inside.start) * unit
    return replace(
        truth,
        background=overlap.cut(truth.background, 0.0),
        sources=overlap.cut(truth.sources, 0.0),
        catalogue=catalogue,
        hit=None if truth.hit is None else overlap.cut(truth.hit, empty=False),
    )
