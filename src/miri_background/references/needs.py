"""What an observation asks of its references, and how their values are read and compared."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from miri_background.instrument import detector
from miri_background.instrument.aperture import ARCSEC_TO_RAD
from miri_background.instrument.footprint import illuminated, regions
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.reading import open_fits, require_end

__all__ = [
    "BLEMISHED",
    "AbsentReference",
    "DamagedReference",
    "ImplausibleReference",
    "Needs",
    "NotCovered",
    "check_solid_angle",
    "cut_to_window",
    "extension_of",
    "flagged_pixels",
    "interval_in_words",
    "number_in_words",
    "open_images",
    "open_model",
    "ordinary_values",
]

# A flight reference may leave some bad pixels unflagged; a hundredth of them does not
# move the statistics of a field.
BLEMISHED = 0.01
_SOLID_ANGLE = (2e-13, 4e-13)  # sr; a pixel of 0.11 arcsec has 2.9e-13
_AREA_AGREEMENT = 0.01  # between the two units of the solid angle
_REPLACE = "replace the file, or choose a context that selects another"


class ImplausibleReference(Exception):
    """The values of a reference would spoil or end a run.

    Those that are unfit in another way have classes of their own, with another status.

    Parameters
    ----------
    wrong : str
        What is wrong, and where in the file.
    remedy : str, optional
        What to do.
    """

    status = "implausible"

    def __init__(self, wrong, remedy=_REPLACE):
        super().__init__(f"{wrong}: {remedy}")


class AbsentReference(ImplausibleReference):
    """The rules select a file that is not in the cache: nothing is known of its values."""

    status = "absent"


class DamagedReference(ImplausibleReference):
    """A file is not whole, or not the one that was written: nobody can rely on its values."""

    status = "damaged"


class NotCovered(ImplausibleReference):
    """The rules of the context select no file for an observation."""

    status = "not covered"


@dataclass(frozen=True)
class Window:
    """A rectangle of the detector: 0-based first column and row, and its size in pixels."""

    x: int
    y: int
    columns: int
    rows: int

    @property
    def shape(self):
        """Number of rows and columns."""
        return self.rows, self.columns

    @property
    def slices(self):
        """Index (rows, columns) of the window in a detector-shaped array."""
        return slice(self.y, self.y + self.rows), slice(self.x, self.x + self.columns)

    def within(self, other):
        """Return the index of this window in an array of another, None if it sticks out."""
        x, y = self.x - other.x, self.y - other.y
        if min(x, y) < 0 or x + self.columns > other.columns or y + self.rows > other.rows:
            return None
        return slice(y, y + self.rows), slice(x, x + self.columns)

    def __str__(self):
        return (
            f"{self.columns} x {self.rows} pixels from column {self.x + 1}, row {self.y + 1}"
            " (from 1)"
        )


_FULL_ARRAY = Window(0, 0, *detector.SHAPE[::-1])


@dataclass
class Needs:
    """What an observation asks of its references, and what they say about each other.

    Parameters
    ----------
    observation : Observation
        The observation.
    area : bool
        Whether a map of the pixel area is used; its solid angle then goes before photom's.
    energies : tuple of int
        Encircled energies, per cent, at which the source catalogue measures.
    saturation : ndarray or None
        Saturation level of the observation's pixels, DN, once it is known.
    """

    observation: object
    area: bool = True
    energies: tuple = ()
    saturation: np.ndarray | None = field(default=None, repr=False)

    @cached_property
    def window(self):
        """Rectangle that is read out."""
        read = subarrays()[self.observation.subarray]
        rows, columns = read.shape
        return Window(read.x.start, read.y.start, columns, rows)

    @property
    def group_time(self):
        """Time between groups, s."""
        return frame_time(self.observation.readout_pattern, self.observation.subarray)

    @property
    def sensitive(self):
        """Boolean array of the window, True where pixels see light."""
        return ~detector.reference_pixels()[self.window.slices]

    @property
    def lit(self):
        """Boolean array of the window, True in the imager's field, else in any field."""
        imager = regions()["imager"].mask()[self.window.slices]
        return imager if imager.any() else illuminated()[self.window.slices]

    def place(self, where):
        """Return the first True pixel of an array of the window, in words."""
        row, column = np.unravel_index(np.argmax(where), where.shape)
        return f"first at x = {column + self.window.x}, y = {row + self.window.y} (from 0)"


def number_in_words(value):
    """Return a number with four digits."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return np.format_float_positional(value, precision=4, fractional=False, trim="-")
    return f"{value:.4g}"


def interval_in_words(limits, unit):
    """Return an interval in words."""
    return f"{number_in_words(limits[0])} to {number_in_words(limits[1])}{unit and f' {unit}'}"


@contextmanager
def open_images(path):
    """Open a FITS reference without reading its pixels, refused if it was cut short."""
    # Sections are read, never a whole dark; scaled integers allow no memory map.
    with open_fits(path, whole=False) as hdus:
        try:
            require_end(path, hdus)
        except ValueError as error:
            raise DamagedReference(str(error), "restore it from a whole copy") from error
        yield hdus


@contextmanager
def open_model(kind, path, **options):
    """Open a reference as the data model that the pipeline opens it with."""
    # Imported here: it takes a second.
    from stdatamodels.jwst import datamodels

    if str(path).endswith(".fits"):
        with open_images(path):
            pass  # the model would take what is left of a truncated file
    with getattr(datamodels, kind)(str(path), **options) as model:
        yield model


def extension_of(hdus, name, dimensions):
    """Return the image extension of a name, refused if absent or of other dimensions."""
    if name not in hdus or hdus[name].shape is None:
        raise ImplausibleReference(f"it has no image {name}")
    hdu = hdus[name]
    if len(hdu.shape) != dimensions:
        raise ImplausibleReference(
            f"its {name} has {len(hdu.shape)} axes where {dimensions} are needed"
        )
    return hdu


def cut_to_window(hdus, name, dimensions, needs, exactly=False):
    """Return an image extension and the index of the observation's pixels in its last axes.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        The reference.
    name : str
        Name of the extension.
    dimensions : int
        Number of axes it has to have.
    needs : Needs
        What is observed.
    exactly : bool, optional
        Whether the step that uses it cuts nothing out of it.

    Returns
    -------
    hdu : astropy.io.fits.ImageHDU
        The extension.
    index : tuple of slice
        Rows and columns.
    """
    hdu = extension_of(hdus, name, dimensions)
    header = hdus[0].header
    keywords = [header.get(f"SUB{key}") for key in ("STRT1", "STRT2", "SIZE1", "SIZE2")]
    if None not in keywords:
        covered = Window(keywords[0] - 1, keywords[1] - 1, *keywords[2:])
    elif hdu.shape[-2:] == detector.SHAPE:
        covered = _FULL_ARRAY  # as the pipeline takes it
    else:
        raise ImplausibleReference(
            "it lacks SUBSTRT1, SUBSTRT2, SUBSIZE1 or SUBSIZE2, and is not of full size"
        )
    if hdu.shape[-2:] != covered.shape:
        rows, columns = hdu.shape[-2:]
        raise ImplausibleReference(
            f"its {name} has {columns} x {rows} pixels and its header says {covered}"
        )
    index = needs.window.within(covered)
    if index is None or (exactly and needs.window != covered):
        raise ImplausibleReference(
            f"its {name} covers {covered}, and the observation reads {needs.window}"
        )
    return hdu, index


def flagged_pixels(hdus, hdu, index, *names):
    """Return a boolean array of the observation's pixels, True where the DQ has any of the flags.

    Flags are those of the file's own definitions (DQ_DEF) where it has them, as the
    pipeline takes them, else the pipeline's.
    """
    from stdatamodels.jwst.datamodels import dqflags

    if "DQ" not in hdus:
        return np.zeros(tuple(axis.stop - axis.start for axis in index), dtype=bool)
    quality = hdus["DQ"]
    if quality.shape is None or quality.shape[-2:] != hdu.shape[-2:]:
        raise ImplausibleReference("its DQ has another shape than its values")
    bits = {name: dqflags.pixel[name] for name in names}
    table = hdus["DQ_DEF"].data if "DQ_DEF" in hdus else None
    if table is not None and len(table):
        own = {
            str(name).strip(): int(value)
            for name, value in zip(table["NAME"], table["VALUE"], strict=True)
        }
        bits = {name: own.get(name, 0) for name in names}
    plane = quality.section[(0,) * (len(quality.shape) - 2) + index]
    return (plane.astype(np.uint32) & np.uint32(sum(bits.values()))) != 0


def ordinary_values(values, good, limits, unit, needs, tolerated=BLEMISHED):
    """Return median and range of the good pixels in words, refused where too many are not within.

    Parameters
    ----------
    values : ndarray
        One value for each of the observation's pixels.
    good : ndarray of bool
        Pixels to look at.
    limits : tuple of float
        Lower and upper limit.
    unit : str
        Unit of the values.
    needs : Needs
        Says where the pixels are.
    tolerated : float, optional
        Part of the good pixels that may lie outside.

    Returns
    -------
    str
        Such as ``median 5.5 e-/DN, 5.2 to 5.8``.
    """
    number = np.count_nonzero(good)
    if number == 0:
        raise ImplausibleReference("its DQ leaves no pixel to use")
    within = (values >= limits[0]) & (values <= limits[1])  # False for NaN
    outside = good & ~within
    count = np.count_nonzero(outside)
    if count > tolerated * number:
        unreal = good & ~np.isfinite(values)
        part = f"{100 * count / number:.3g} % of the pixels"
        if np.count_nonzero(unreal) > count / 2:
            raise ImplausibleReference(f"{part} are not finite, {needs.place(unreal)}")
        value = number_in_words(float(np.median(values[good & np.isfinite(values)])))
        raise ImplausibleReference(
            f"{part} are outside {interval_in_words(limits, unit)}, median {value}, "
            f"{needs.place(outside)}"
        )
    usual = values[good & within]
    text = f"median {number_in_words(float(np.median(usual)))}{unit and f' {unit}'}, "
    text += f"{number_in_words(float(usual.min()))} to {number_in_words(float(usual.max()))}"
    return f"{text}; {count} pixels outside {interval_in_words(limits, unit)}" if count else text


def check_solid_angle(steradian, arcsec):
    """Return the solid angle of the pixel in words, refused if absent or implausible."""
    absent = [
        name for name, value in (("PIXAR_SR", steradian), ("PIXAR_A2", arcsec)) if value is None
    ]
    if absent:
        raise ImplausibleReference(f"it has no {' and no '.join(absent)}")
    if not _SOLID_ANGLE[0] <= steradian <= _SOLID_ANGLE[1]:
        raise ImplausibleReference(
            f"its PIXAR_SR is {number_in_words(steradian)} sr, "
            f"outside {interval_in_words(_SOLID_ANGLE, 'sr')}"
        )
    if not abs(arcsec * ARCSEC_TO_RAD**2 / steradian - 1) <= _AREA_AGREEMENT:
        raise ImplausibleReference(
            f"its PIXAR_A2, {number_in_words(arcsec)} arcsec2, is not its PIXAR_SR, "
            f"{number_in_words(steradian)} sr, in other units"
        )
    return f"pixel {number_in_words(steradian)} sr"
