"""What the reference file of each type has to hold so that it neither ends nor spoils a run.

CRDS's own certification looks at form, not at values: it accepts a gain that is NaN
everywhere.  Here values are looked at, of the pixels that an observation reads, with
limits wide enough for any detector of the imager.
"""

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from miri_background.instrument import detector
from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.footprint import illuminated, regions
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.reading import open_fits, open_regular

__all__ = ["CHECKS", "ImplausibleReference", "Needs", "check_readable"]

# A flight reference may leave some bad pixels unflagged; a hundredth of them does not
# move the statistics of a field.
_BLEMISHED = 0.01
_MOST_ZEROS = 1_000_000  # bytes that may follow the last extension of a file
_GAIN = (1.0, 10.0)  # e-/DN; MIRI's is between 3 and 6, whoever measures it
_READ_NOISE = (0.5, 200.0)  # DN; about 6 for one read, more in hot pixels
_SATURATION = (10_000.0, 66_000.0)  # DN; above the bias, up to what 16 bits hold
_LINEAR_TERM = (0.5, 1.5)  # the correction is of some per cent: its first order is near 1
_FOLDED = 0.001  # part of pixels whose corrected signal may fall while the raw one rises
_SIGNAL_LEVELS = np.linspace(0.1, 1.0, 16)  # of saturation; below lies no ramp, for the bias
_BLOCK = 32  # rows
_DARK_RATE = 100.0  # DN/s; a hundred times the sky's smallest rate in the imager's filters
_RESET = 5_000.0  # DN; the anomaly is of some hundred, a ramp starts at about 10 000
_FITTED_GROUPS = 3  # one is lost to the last frame, two make a slope
_BAD_PIXELS = 0.1  # part of the field; in flight some per cent
_FLAT_MEDIAN = (0.5, 1.5)  # flats are normalised to about 1
_LIT_PIXELS = 0.5  # part of the imager that a flat has to cover
_PHOTMJSR = (0.01, 1_000.0)  # MJy/sr per DN/s; 0.2 to 3 for the imager's filters
_SOLID_ANGLE = (2e-13, 4e-13)  # sr; a pixel of 0.11 arcsec has 2.9e-13
_AREA_AGREEMENT = 0.01  # between the two units of the solid angle
_RELATIVE_AREA = (0.8, 1.2)  # distortion changes the pixel by 3 % over the imager
_POINTING = 5.0  # arcsec from the SIAF, 45 pixels: deliveries differ by tenths of an arcsec
_CLOSURE = 0.2  # pixel; the inverse that is in the SIAF closes to 0.11 pixel
_FILTER_OFFSET = 5.0  # pixel; the largest boresight offset is 2.2 pixel
_VEGA = 10.0  # mag; AB minus Vega is 4 to 7 in the imager's filters
_IPC_SUM = (0.9, 1.1)  # inter-pixel capacitance moves charge, it makes none

_REPLACE = "replace the file, or choose a context that selects another"


class ImplausibleReference(Exception):
    """A reference would spoil or end a run.

    Parameters
    ----------
    wrong : str
        What is wrong, and where in the file.
    remedy : str, optional
        What to do.
    """

    def __init__(self, wrong, remedy=_REPLACE):
        super().__init__(f"{wrong}: {remedy}")


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


def _number(value):
    """Return a number with four digits."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return np.format_float_positional(value, precision=4, fractional=False, trim="-")
    return f"{value:.4g}"


def _interval(limits, unit):
    """Return an interval in words."""
    return f"{_number(limits[0])} to {_number(limits[1])}{unit and f' {unit}'}"


@contextmanager
def _images(path):
    """Open a FITS reference without reading its pixels, refused if it was cut short."""
    # Sections are read, never a whole dark; scaled integers allow no memory map.
    with open_fits(path, whole=False) as hdus:
        len(hdus)  # goes through to the last extension that has a whole header
        place = hdus[-1].fileinfo()
        _refuse_truncated(path, place["datLoc"] + place["datSpan"])
        yield hdus


def _refuse_truncated(path, end):
    """Refuse a file that does not end where its last extension does."""
    with open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(end)
        rest = stream.read(_MOST_ZEROS)
    # Blocks of zeros may follow; anything else is the piece of a further extension.
    if not end <= size < end + _MOST_ZEROS or any(rest):
        raise ImplausibleReference(
            f"it ends after {size} bytes, and its last whole extension after {end}",
            "restore it from a whole copy",
        )


@contextmanager
def _model(kind, path, **options):
    """Open a reference as the data model that the pipeline opens it with."""
    # Imported here: it takes a second.
    from stdatamodels.jwst import datamodels

    if str(path).endswith(".fits"):
        with _images(path):
            pass  # the model would take what is left of a truncated file
    with getattr(datamodels, kind)(str(path), **options) as model:
        yield model


def _extension(hdus, name, dimensions):
    """Return the image extension of a name, refused if absent or of other dimensions."""
    if name not in hdus or hdus[name].shape is None:
        raise ImplausibleReference(f"it has no image {name}")
    hdu = hdus[name]
    if len(hdu.shape) != dimensions:
        raise ImplausibleReference(
            f"its {name} has {len(hdu.shape)} axes where {dimensions} are needed"
        )
    return hdu


def _cut(hdus, name, dimensions, needs, exactly=False):
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
    """
    hdu = _extension(hdus, name, dimensions)
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


def _flagged(hdus, hdu, index, *names):
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


def _ordinary(values, good, limits, unit, needs, tolerated=_BLEMISHED):
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
        value = _number(float(np.median(values[good & np.isfinite(values)])))
        raise ImplausibleReference(
            f"{part} are outside {_interval(limits, unit)}, median {value}, {needs.place(outside)}"
        )
    usual = values[good & within]
    text = f"median {_number(float(np.median(usual)))}{unit and f' {unit}'}, "
    text += f"{_number(float(usual.min()))} to {_number(float(usual.max()))}"
    return f"{text}; {count} pixels outside {_interval(limits, unit)}" if count else text


def _check_map(path, needs, limits, unit, ignored=("DO_NOT_USE",)):
    """Check one value per pixel; return its words, the values and where they are good."""
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "SCI", 2, needs)
        values = hdu.section[index]
        good = needs.sensitive & ~_flagged(hdus, hdu, index, *ignored)
    return _ordinary(values, good, limits, unit, needs), values, good


def _check_gain(path, needs):
    return _check_map(path, needs, _GAIN, "e-/DN")[0]


def _check_readnoise(path, needs):
    return _check_map(path, needs, _READ_NOISE, "DN")[0]


def _check_saturation(path, needs):
    sentence, values, _ = _check_map(path, needs, _SATURATION, "DN", ("DO_NOT_USE", "NO_SAT_CHECK"))
    needs.saturation = values
    return sentence


def _falling(coefficients, saturation):
    """Return which pixels' corrected signal falls somewhere up to saturation.

    Parameters
    ----------
    coefficients : ndarray
        Shape (terms, rows, columns), lowest order first.
    saturation : ndarray
        Saturation level, DN, shape (rows, columns).

    Returns
    -------
    ndarray of bool
        Shape (rows, columns).
    """
    falls = np.zeros(saturation.shape, dtype=bool)
    # By blocks that stay in the processor's cache.
    for start in range(0, len(saturation), _BLOCK):
        rows = slice(start, start + _BLOCK)
        terms = coefficients[:, rows].astype(np.float32)  # in the machine's byte order
        below = np.full(falls[rows].shape, -np.inf, dtype=np.float32)
        for level in _SIGNAL_LEVELS:
            raw = (level * saturation[rows]).astype(np.float32)
            corrected = np.zeros_like(raw)
            for term in terms[::-1]:
                corrected *= raw
                corrected += term
            falls[rows] |= ~(corrected > below)
            below = corrected
    return falls


def _check_linearity(path, needs):
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "COEFFS", 3, needs)
        if hdu.shape[0] < 2:
            raise ImplausibleReference("its COEFFS have no linear term")
        coefficients = hdu.section[(slice(None), *index)]
        good = needs.sensitive & ~_flagged(hdus, hdu, index, "DO_NOT_USE", "NO_LIN_CORR")
    # One term that is not finite makes the sum so.
    finite = np.isfinite(coefficients.sum(axis=0))
    linear = np.where(finite, coefficients[1], np.nan)
    sentence = _ordinary(linear, good, _LINEAR_TERM, "", needs)
    saturation = detector.saturation_level()[needs.window.slices].astype(np.float32)
    if needs.saturation is not None:
        # What is wrong with the saturation level is reported for its own reference.
        saturation = np.clip(np.nan_to_num(needs.saturation), *_SATURATION)
    good &= finite
    falls = good & _falling(coefficients, saturation)
    part = np.count_nonzero(falls) / np.count_nonzero(good)
    if part > _FOLDED:
        raise ImplausibleReference(
            f"the corrected signal of {100 * part:.3g} % of the pixels does not always increase "
            f"up to saturation, {needs.place(falls)}"
        )
    return f"linear term {sentence}; {len(coefficients)} terms, increasing up to saturation"


def _check_mask(path, needs):
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "DQ", 2, needs)
        # Outside the field a mask may flag everything.
        bad = _flagged(hdus, hdu, index, "DO_NOT_USE")[needs.lit].mean()
        reference = _flagged(hdus, hdu, index, "REFERENCE_PIXEL")
    if bad > _BAD_PIXELS:
        raise ImplausibleReference(
            f"{100 * bad:.3g} % of the field's pixels are DO_NOT_USE, "
            f"more than {100 * _BAD_PIXELS:g} %"
        )
    unflagged = ~needs.sensitive & ~reference
    if unflagged.any():
        raise ImplausibleReference(
            f"{np.count_nonzero(unflagged)} reference pixels are not flagged REFERENCE_PIXEL, "
            f"{needs.place(unflagged)}"
        )
    return f"{100 * bad:.3g} % of the field's pixels are DO_NOT_USE"


def _check_readout_pattern(header, needs):
    """Refuse a reference of another readout pattern."""
    pattern, needed = header.get("READPATT"), needs.observation.readout_pattern
    # A reference that serves several readout patterns lists them for CRDS.
    several = str(header.get("P_READPA", "")).split("|")
    if pattern not in {"ANY", "N/A"} and needed not in (pattern, *map(str.strip, several)):
        raise ImplausibleReference(
            f"it is of readout pattern {pattern}, and the observation of {needed}"
        )


def _finite_groups(hdu, index, groups, good, needs):
    """Yield integration, group and values of the groups in use, refused if not finite."""
    allowed = _BLEMISHED * np.count_nonzero(good)
    for integration in range(hdu.shape[0]):
        for group in range(groups):
            # One group at a time: a flight dark does not fit into memory.
            values = hdu.section[(integration, group, *index)]
            unreal = good & ~np.isfinite(values)
            if np.count_nonzero(unreal) > allowed:
                part = 100 * np.count_nonzero(unreal) / np.count_nonzero(good)
                raise ImplausibleReference(
                    f"{part:.3g} % of the pixels are not finite in integration {integration + 1}, "
                    f"group {group + 1}, {needs.place(unreal)}"
                )
            yield integration, group, values


def _check_dark(path, needs):
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "SCI", 4, needs, exactly=True)
        header = hdus[0].header
        _check_readout_pattern(header, needs)
        frames, gap = header.get("NFRAMES"), header.get("GROUPGAP")
        if (frames, gap) != (1, 0):
            raise ImplausibleReference(
                f"its NFRAMES, GROUPGAP are {frames}, {gap} and the observation's are 1, 0, "
                "and the pipeline would not subtract it"
            )
        groups, needed = hdu.shape[1], needs.observation.groups
        if groups < needed:
            raise ImplausibleReference(
                f"it has {groups} groups and the observation {needed}, "
                "and the pipeline would extrapolate it",
                "observe fewer groups, or use a longer dark",
            )
        good = needs.sensitive & ~_flagged(hdus, hdu, index, "DO_NOT_USE")
        elapsed = (needed - 1) * (header.get("TGROUP") or needs.group_time)
        sentences = []
        for _, group, values in _finite_groups(hdu, index, needed, good, needs):
            if group == 0:
                first = values
            if group == needed - 1:
                rate = (values - first) / np.float32(elapsed)
                limits = (-_DARK_RATE, _DARK_RATE)
                sentences.append(_ordinary(rate, good, limits, "DN/s", needs))
    return f"{groups} groups, {hdu.shape[0]} integrations; rate {sentences[0]}"


def _check_reset(path, needs):
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "SCI", 4, needs, exactly=True)
        header = hdus[0].header
        _check_readout_pattern(header, needs)
        said = header.get("NINTS"), header.get("NGROUPS")
        if said != hdu.shape[:2]:
            raise ImplausibleReference(
                f"its NINTS, NGROUPS are {said[0]}, {said[1]} "
                f"and its SCI has {hdu.shape[0]}, {hdu.shape[1]}"
            )
        good = needs.sensitive & ~_flagged(hdus, hdu, index, "DO_NOT_USE")
        groups = min(hdu.shape[1], needs.observation.groups)
        first = None
        for _, _, values in _finite_groups(hdu, index, groups, good, needs):
            sentence = _ordinary(values, good, (-_RESET, _RESET), "DN", needs)
            first = first or sentence
    return f"{said[1]} groups, {said[0]} integrations; first group {first}"


def _rows(table, **wanted):
    """Return the indices of a table's rows with the wanted words in its columns."""
    columns = {name: [_word(value) for value in table[name]] for name in wanted}
    return [
        index
        for index in range(len(table))
        if all(columns[name][index] == word for name, word in wanted.items())
    ]


def _word(value):
    """Return a table's text, which may be bytes and padded, as a string."""
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _check_rscd(path, needs):
    wanted = needs.observation
    with _model("RSCDModel", path) as model:
        table = model.rscd_group_skip_table
        found = _rows(table, subarray=wanted.subarray, readpatt=wanted.readout_pattern)
        if not found:
            raise ImplausibleReference(
                f"it has no row for {wanted.subarray} in {wanted.readout_pattern}, "
                "and the pipeline would skip the step"
            )
        first, later = (int(table[name][found[0]]) for name in ("group_skip1", "group_skip"))
    skipped = max(first, later) if wanted.integrations > 1 else first
    if wanted.groups - skipped < _FITTED_GROUPS:
        raise ImplausibleReference(
            f"it skips {skipped} of {wanted.groups} groups, and a ramp needs "
            f"{_FITTED_GROUPS} after that",
            "observe more groups, or choose a context that skips fewer",
        )
    return f"groups left out: {first} in the first integration, {later} in later ones"


def _check_flat(path, needs):
    with _images(path) as hdus:
        hdu, index = _cut(hdus, "SCI", 2, needs)
        values = hdu.section[index]
        # The pipeline flags these, and pixels of 0 and NaN, as having no flat field.
        flagged = _flagged(hdus, hdu, index, "DO_NOT_USE", "NO_FLAT_FIELD")
    lit = needs.lit
    good = lit & ~flagged & np.isfinite(values) & (values != 0)
    part = np.count_nonzero(good) / np.count_nonzero(lit)
    if part < _LIT_PIXELS:
        raise ImplausibleReference(
            f"only {100 * part:.3g} % of the field have a flat value "
            f"(not 0, finite, not flagged), less than {100 * _LIT_PIXELS:g} %"
        )
    sentence = _ordinary(values, good, (0.0, np.inf), "", needs)
    median = float(np.median(values[good]))
    if not _FLAT_MEDIAN[0] <= median <= _FLAT_MEDIAN[1]:
        raise ImplausibleReference(
            f"its median is {_number(median)}, outside {_interval(_FLAT_MEDIAN, '')}"
        )
    return f"{sentence}; {100 * part:.4g} % of the field covered"


def _check_solid_angle(steradian, arcsec):
    """Return the solid angle of the pixel in words, refused if absent or implausible."""
    absent = [
        name for name, value in (("PIXAR_SR", steradian), ("PIXAR_A2", arcsec)) if value is None
    ]
    if absent:
        raise ImplausibleReference(f"it has no {' and no '.join(absent)}")
    if not _SOLID_ANGLE[0] <= steradian <= _SOLID_ANGLE[1]:
        raise ImplausibleReference(
            f"its PIXAR_SR is {_number(steradian)} sr, outside {_interval(_SOLID_ANGLE, 'sr')}"
        )
    if not abs(arcsec * ARCSEC_TO_RAD**2 / steradian - 1) <= _AREA_AGREEMENT:
        raise ImplausibleReference(
            f"its PIXAR_A2, {_number(arcsec)} arcsec2, is not its PIXAR_SR, "
            f"{_number(steradian)} sr, in other units"
        )
    return f"pixel {_number(steradian)} sr"


def _check_photom(path, needs):
    wanted = needs.observation
    # Strict, as the pipeline opens it.
    with _model("MirImgPhotomModel", path, strict_validation=True) as model:
        model.validate()
        table = model.phot_table
        found = _rows(table, filter=wanted.filter, subarray=wanted.subarray) or _rows(
            table, filter=wanted.filter, subarray="GENERIC"
        )
        if len(found) != 1:
            raise ImplausibleReference(
                f"it has {len(found) or 'no'} row{'s' * (len(found) > 1)} for {wanted.filter} "
                f"and {wanted.subarray} or GENERIC, where one is needed"
            )
        factor = float(table["photmjsr"][found[0]])
        for name in ("timecoeff_linear", "timecoeff_exponential", "timecoeff_powerlaw"):
            if model.hasattr(name):
                row = getattr(model, name)[found[0]]
                terms = [value for value in row if isinstance(value, (float, np.floating))]
                if not np.all(np.isfinite(terms)):
                    raise ImplausibleReference(f"its {name} is not finite for {wanted.filter}")
        pixel = model.meta.photometry
        steradian, arcsec = pixel.pixelarea_steradians, pixel.pixelarea_arcsecsq
    if not _PHOTMJSR[0] <= factor <= _PHOTMJSR[1]:
        raise ImplausibleReference(
            f"its photmjsr for {wanted.filter} is {_number(factor)}, "
            f"outside {_interval(_PHOTMJSR, 'MJy/sr per DN/s')}"
        )
    sentence = f"{_number(factor)} MJy/sr per DN/s"
    # Not used where there is a map of the pixel area.
    if needs.area and steradian is None:
        return f"{sentence}; no PIXAR_SR, the area reference gives it"
    return f"{sentence}, {_check_solid_angle(steradian, arcsec)}"


def _check_area(path, needs):
    with _images(path) as hdus:
        # The photom step cuts by detector pixels, whatever the header says.
        hdu = _extension(hdus, "SCI", 2)
        if hdu.shape != detector.SHAPE:
            raise ImplausibleReference(
                f"its SCI has {hdu.shape[1]} x {hdu.shape[0]} pixels, not the full array's"
            )
        values = hdu.section[needs.window.slices]
        header = hdus[0].header
        pixel = _check_solid_angle(header.get("PIXAR_SR"), header.get("PIXAR_A2"))
    return f"{_ordinary(values, needs.lit, _RELATIVE_AREA, '', needs)}; {pixel}"


def _check_distortion(path, _):
    rows, columns = detector.SHAPE
    # Centre, corners and points between them.
    x, y = (
        axis.ravel()
        for axis in np.meshgrid(np.linspace(0, columns - 1, 9), np.linspace(0, rows - 1, 9))
    )
    with _model("DistortionModel", path) as model:
        forward = model.model
        v2, v3 = (np.asarray(angle, dtype=float) for angle in forward(x, y))
        siaf_v2, siaf_v3 = imager_aperture().pixel_to_v2v3(x, y)
        miss = np.hypot(v2 - siaf_v2, v3 - siaf_v3)
        worst = int(np.argmax(np.nan_to_num(miss, nan=np.inf)))
        if not miss[worst] <= _POINTING:
            raise ImplausibleReference(
                f"it puts pixel x = {x[worst]:.0f}, y = {y[worst]:.0f} "
                f"{_number(miss[worst])} arcsec from where the SIAF has it, "
                f"more than {_POINTING:g} arcsec"
            )
        try:
            inverse = forward.inverse
        except NotImplementedError:
            raise ImplausibleReference(
                "it has no inverse, which turns sky positions into pixels"
            ) from None
        back = np.hypot(
            *(np.asarray(axis) - at for axis, at in zip(inverse(v2, v3), (x, y), strict=True))
        )
    if not back.max() <= _CLOSURE:
        raise ImplausibleReference(
            f"its inverse misses by up to {_number(back.max())} pixel, more than {_CLOSURE:g} pixel"
        )
    return (
        f"within {_number(miss[worst])} arcsec of the SIAF; "
        f"inverse closes to {_number(back.max())} pixel"
    )


def _check_filteroffset(path, needs):
    wanted = needs.observation.filter
    with _model("FilteroffsetModel", path) as model:
        offsets = [
            (entry.column_offset + 0.0, entry.row_offset + 0.0)  # no negative zeros
            for entry in model.filters
            if entry.filter == wanted
        ]
    if not offsets:
        raise ImplausibleReference(
            f"it has no entry for {wanted}, and the pipeline would shift by nothing"
        )
    column, row = offsets[0]
    if not max(abs(column), abs(row)) < _FILTER_OFFSET:
        raise ImplausibleReference(
            f"its offset for {wanted} is {_number(column)}, {_number(row)} pixel, "
            f"more than {_FILTER_OFFSET:g} pixel"
        )
    return f"offset {_number(column)}, {_number(row)} pixel (column, row)"


def _check_apcorr(path, needs):
    wanted = needs.observation
    with _model("MirImgApcorrModel", path) as model:
        table = model.apcorr_table
        found = _rows(table, filter=wanted.filter, subarray=wanted.subarray)
        if not found:
            raise ImplausibleReference(f"it has no row for {wanted.filter} and {wanted.subarray}")
        energy, radius, correction, inner, outer = (
            np.array(table[name], dtype=float)[found]
            for name in ("eefraction", "radius", "apcorr", "skyin", "skyout")
        )
    order = np.argsort(energy)
    if not (np.all(np.diff(energy[order]) > 0) and np.all(np.diff(radius[order]) > 0)):
        raise ImplausibleReference(
            f"its radii for {wanted.filter} do not increase with the encircled energy"
        )
    absent = [each for each in needs.energies if each not in np.round(100 * energy)]
    if absent:
        raise ImplausibleReference(
            f"it has no row of {wanted.filter} for the encircled energies "
            f"{', '.join(map(str, absent))} %, which the source catalogue uses"
        )
    if not np.all((correction >= 1) & np.isfinite(correction)):
        raise ImplausibleReference(
            f"its corrections for {wanted.filter} are not all finite and at least 1"
        )
    if np.ptp(inner) or np.ptp(outer) or not 0 < inner[0] < outer[0] < np.inf:
        raise ImplausibleReference(
            f"its sky annuli for {wanted.filter} are not one annulus of positive width"
        )
    return (
        f"radii {_interval((radius.min(), radius.max()), 'pixel')}, corrections "
        f"{_interval((correction.min(), correction.max()), '')}, "
        f"sky {_interval((inner[0], outer[0]), 'pixel')}"
    )


def _check_abvegaoffset(path, needs):
    wanted = needs.observation.filter
    with _model("ABVegaOffsetModel", path) as model:
        table = model.abvega_offset
        offsets = [float(table["abvega_offset"][row]) for row in _rows(table, filter=wanted)]
    if len(offsets) != 1:
        raise ImplausibleReference(
            f"it has {len(offsets) or 'no'} rows for {wanted}, where one is needed"
        )
    if not abs(offsets[0]) < _VEGA:
        raise ImplausibleReference(
            f"its offset for {wanted} is {offsets[0]:g} mag, not within {_VEGA:g} mag of 0"
        )
    return f"AB minus Vega {_number(offsets[0])} mag"


def _check_ipc(path, _):
    with _images(path) as hdus:
        # A kernel for all pixels, or one for each; the first two axes are the kernel's.
        total = np.asarray(hdus["SCI"].data.sum(axis=(0, 1)), dtype=float)
    if not np.all((total >= _IPC_SUM[0]) & (total <= _IPC_SUM[1])):
        raise ImplausibleReference(
            f"its kernel does not add up to 1, but to {_number(float(np.min(total)))}"
        )
    return "kernel adds up to 1"


def check_readable(path, _=None):
    """Check a reference whose values no limit is known for: it opens to its end.

    Parameters
    ----------
    path : path-like
        The file.
    _ : Needs, optional
        What is observed; not used.

    Returns
    -------
    str
        What was found.

    Raises
    ------
    ImplausibleReference
        If it holds nothing.
    """
    if str(path).endswith(".fits"):
        with _images(path) as hdus:
            number = len(hdus) - 1
    else:
        import asdf

        with open_regular(path) as stream, asdf.open(stream) as tree:
            number = len(tree.tree)
    if number == 0:
        raise ImplausibleReference("it holds nothing")
    return "readable; its values are not looked at"


CHECKS = {
    "mask": _check_mask,
    "saturation": _check_saturation,
    "ipc": _check_ipc,
    "reset": _check_reset,
    "linearity": _check_linearity,
    "rscd": _check_rscd,
    "dark": _check_dark,
    "gain": _check_gain,
    "readnoise": _check_readnoise,
    "distortion": _check_distortion,
    "filteroffset": _check_filteroffset,
    "flat": _check_flat,
    "photom": _check_photom,
    "area": _check_area,
    "apcorr": _check_apcorr,
    "abvegaoffset": _check_abvegaoffset,
}
