"""A mosaic of calwebb_image3 as it lies on disk, whoever made it."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.reading import read_text
from miri_background.validation.products.images import DO_NOT_USE
from miri_background.validation.products.opening import array_of, primary_header, whole_file

__all__ = [
    "OUTLIER",
    "Member",
    "Mosaic",
    "find_mosaics",
    "mosaic_in",
    "named_exposures",
    "read_mosaic",
]

OUTLIER = 16  # bit of the data quality array (jwst documentation, "Data Quality Flags")

_KIND = "a mosaic of calwebb_image3"
_PARTS = ("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
_LEVEL3, _MEMBER, _CATALOGUE, _SEGMENTS = "_i2d.fits", "_crf.fits", "_cat.ecsv", "_segm.fits"


@dataclass(frozen=True)
class Member:
    """An exposure of the mosaic, its outliers flagged.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header, extension : astropy.io.fits.Header
        Primary header, and that of the values.
    data : ndarray
        Values, MJy/sr, shape (rows, columns).
    dq : ndarray of uint32
        Flags.
    variances : dict of ndarray
        Parts of the variance, (MJy/sr)^2, by the names of their extensions.
    wcs : gwcs.WCS
        From pixels to the sky, as tweakreg has left it.
    """

    path: Path
    header: fits.Header
    extension: fits.Header
    data: np.ndarray
    dq: np.ndarray
    variances: dict
    wcs: object

    @property
    def level(self):
        """Sky that skymatch has measured and that resampling takes off, MJy/sr."""
        level = self.header.get("BKGLEVEL")
        return 0.0 if level is None or self.header.get("BKGSUB") else float(level)

    @cached_property
    def usable(self):
        """Boolean image of the pixels that go into the mosaic."""
        return ((self.dq & DO_NOT_USE) == 0) & np.isfinite(self.data)

    @cached_property
    def corners(self):
        """Right ascension and declination of the pixels' corners, degrees."""
        rows, columns = self.data.shape
        y, x = np.mgrid[: rows + 1, : columns + 1] - 0.5
        # Half a pixel outside of what the transform is made for, it is as good.
        return self.wcs(x, y, with_bounding_box=False)


@dataclass(frozen=True)
class Mosaic:
    """A mosaic, its catalogue, and the exposures that it was made of.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header, extension : astropy.io.fits.Header
        Primary header, and that of the values.
    data, err, weight : ndarray
        Values and errors, MJy/sr, and weights, shape (rows, columns).
    named : list of str
        Names of the exposures that it says that it was made of.
    members : list of Member
        Those of them that are there, in the same order.
    catalogue : astropy.table.QTable or None
        Its sources, where there is a catalogue.
    segments : ndarray of int or None
        Which source each pixel belongs to, 0 for none.
    variance : ndarray or None
        Sum of the parts of the variance, (MJy/sr)^2, where there are any.
    """

    path: Path
    header: fits.Header
    extension: fits.Header
    data: np.ndarray
    err: np.ndarray
    weight: np.ndarray
    named: list = field(default_factory=list)
    members: list = field(default_factory=list)
    catalogue: object = None
    segments: np.ndarray | None = None
    variance: np.ndarray | None = None

    @property
    def inputs(self):
        """The files that were read, a list of paths."""
        root = self.path.name.removesuffix(_LEVEL3)
        beside = [(_CATALOGUE, self.catalogue), (_SEGMENTS, self.segments)]
        read = [self.path.with_name(root + name) for name, what in beside if what is not None]
        return [self.path, *read, *(member.path for member in self.members)]

    @cached_property
    def wcs(self):
        """World coordinates of the header, a tangent projection."""
        from astropy.wcs import WCS, FITSFixedWarning

        # Times of an exposure are split over two headers in flight products, too.
        with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
            return WCS(self.extension)

    @property
    def pixel_scale(self):
        """Side of a pixel by its world coordinates, arcsec."""
        from astropy.wcs.utils import proj_plane_pixel_scales

        return float(np.sqrt(np.prod(proj_plane_pixel_scales(self.wcs)))) * 3600

    @property
    def covered(self):
        """Boolean image of the pixels that have a value."""
        return np.isfinite(self.data) & (self.weight > 0)


def find_mosaics(directory):
    """Return the mosaics in a directory and the one below it that has those of a run.

    Parameters
    ----------
    directory : path-like
        Holds them.

    Returns
    -------
    list of pathlib.Path
        Of images that say that they were made of several exposures, in the order of their names.
    """
    directory = Path(directory)
    found = sorted([*directory.glob(f"*{_LEVEL3}"), *directory.glob(f"image3/*{_LEVEL3}")])
    return [path for path in found if path.is_file() and len(named_exposures(path)) > 1]


def named_exposures(path):
    """Return the names of the exposures that an image says that it was made of.

    Parameters
    ----------
    path : pathlib.Path
        The image.

    Returns
    -------
    list of str
        Empty of what cannot be read as an image: who wants to read it is told why.
    """
    try:
        with whole_file(path, _KIND) as hdus:
            return _names_of(hdus)
    except CannotJudge:
        return []


def _names_of(hdus):
    """Return the names of exposures in the table of blended headers."""
    if "HDRTAB" not in hdus or "FILENAME" not in hdus["HDRTAB"].columns.names:
        return []
    return [str(name).strip() for name in hdus["HDRTAB"].data["FILENAME"]]


def mosaic_in(directory):
    """Return the first mosaic of a directory.

    Parameters
    ----------
    directory : path-like
        As `find_mosaics` takes it.

    Returns
    -------
    Mosaic
        As `read_mosaic` returns it.

    Raises
    ------
    CannotJudge
        If there is none, or it is damaged.
    """
    found = find_mosaics(directory)
    if not found:
        msg = (
            f"{Path(directory)} has no mosaic of several exposures (*_i2d.fits, also in image3/): "
            "run calwebb_image3."
        )
        raise CannotJudge(msg)
    return read_mosaic(found[0])


def read_mosaic(path):
    """Read a mosaic, its catalogue and segments, and the exposures that it names.

    Parameters
    ----------
    path : path-like
        The mosaic, ``*_i2d.fits``; all else lies beside it.

    Returns
    -------
    Mosaic
        Whatever is there: exposures, catalogue and segments may be missing.

    Raises
    ------
    CannotJudge
        If a file that is there is damaged.
    """
    path = Path(path)
    with whole_file(path, _KIND) as hdus:
        data, err, weight = (array_of(hdus, name) for name in ("SCI", "ERR", "WHT"))
        header, extension, named = primary_header(hdus), hdus["SCI"].header.copy(), _names_of(hdus)
        parts = [array_of(hdus, name) for name in _PARTS if name in hdus]
    root = path.name.removesuffix(_LEVEL3)
    segments = path.with_name(root + _SEGMENTS)
    return Mosaic(
        path,
        header,
        extension,
        data,
        err,
        weight,
        named,
        [_member(path.with_name(each)) for each in named if path.with_name(each).is_file()],
        _catalogue(path.with_name(root + _CATALOGUE)),
        _segments(segments) if segments.is_file() else None,
        np.nansum(parts, axis=0) if parts else None,
    )


def _member(path):
    """Read one exposure of a mosaic."""
    from stdatamodels import asdf_in_fits

    with whole_file(path, "an exposure of a mosaic") as hdus:
        data, dq = array_of(hdus, "SCI"), array_of(hdus, "DQ").astype(np.uint32)
        variances = {name: array_of(hdus, name) for name in _PARTS if name in hdus}
        header, extension = primary_header(hdus), hdus["SCI"].header.copy()
        wcs = asdf_in_fits.open(hdus)["meta"]["wcs"]
    return Member(path, header, extension, data, dq, variances, wcs)


def _catalogue(path):
    """Read a catalogue, None if there is none."""
    from astropy.table import QTable

    if not path.is_file():
        return None
    try:
        return QTable.read(read_text(path).splitlines(), format="ascii.ecsv")
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path} cannot be read as a catalogue of sources ({error}): make it anew."
        raise CannotJudge(msg) from error


def _segments(path):
    """Read which source each pixel belongs to."""
    with whole_file(path, "a map of segments") as hdus:
        return array_of(hdus, "SCI")
