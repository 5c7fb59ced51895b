"""Images that are judged, their truth, and the reading of their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.io import fits

from miri_background.observation import exposures
from miri_background.outcomes import CannotJudge
from miri_background.reading import open_fits
from miri_background.validation.products.opening import (
    array_of,
    held_of,
    primary_header,
    require_room,
    whole_file,
)
from miri_background.validation.products.planes import Held, Planes, rows_of, state_of

__all__ = [
    "DO_NOT_USE",
    "JUMP_DET",
    "SATURATED",
    "Image",
    "Products",
    "Truth",
    "in_two_dimensions",
    "read_extension",
    "read_header",
    "read_hits",
    "read_image",
    "read_rates",
    "read_truth",
    "source_positions",
]

# Bits of the pipeline's data quality arrays (jwst documentation, "Data Quality Flags").
DO_NOT_USE = 1
SATURATED = 2
JUMP_DET = 4

_PLANES = ("SCI", "ERR", "DQ")
_TRUE = ("BACKGROUND", "SOURCES")
_VARIANCES = ("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
# Of the values' own header: pointing, world coordinates, unit and its conversion.
_OF_EXTENSION = (
    *("RA_V1", "DEC_V1", "PA_V3", "RA_REF", "DEC_REF", "ROLL_REF", "RADESYS"),
    *("V2_REF", "V3_REF", "VPARITY", "V3I_YANG"),
    *("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CTYPE1", "CTYPE2"),
    *("BUNIT", "PHOTMJSR"),
)


@dataclass(frozen=True)
class Image:
    """A product: values, errors, flags and the header that says what was done.

    Arrays may be held, or stay in the file and be read each time that they are looked at.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : astropy.io.fits.Header
        Primary header.
    data, err : ndarray
        Values and errors, DN/s, shape (rows, columns), or (integrations, rows, columns).
    dq : ndarray of uint32
        Flags, shape of the values.
    variances : dict of ndarray
        Parts of the variance, (DN/s)^2, by the names of their extensions: VAR_POISSON,
        VAR_RNOISE, VAR_FLAT; those that the file has.
    extension : astropy.io.fits.Header, optional
        Cards of the values' own extension: unit, pointing, photometric conversion.
    """

    path: object
    header: fits.Header
    data: np.ndarray = Held()  # noqa: RUF009 - no default
    err: np.ndarray = Held()  # noqa: RUF009 - no default
    dq: np.ndarray = Held()  # noqa: RUF009 - no default
    variances: Mapping = field(default_factory=dict)
    extension: fits.Header = field(default_factory=fits.Header)

    @property
    def shape(self):
        """Shape of the values, which are not read for it."""
        return vars(self)["_data"].shape

    def changed(self, **others):
        """Return the image with other attributes; what stays is not read for it."""
        held = {name: vars(self)[f"_{name}"] for name in ("data", "err", "dq")}
        return replace(self, **(held | others))

    def rows(self, part):
        """Return some rows, a slice, of values, errors and flags, and no variances."""
        held = (rows_of(vars(self)[f"_{name}"], part) for name in ("data", "err", "dq"))
        return Image(self.path, self.header, *held)


@dataclass(frozen=True)
class Truth:
    """What the simulator put into an exposure.

    Parameters
    ----------
    background, sources : ndarray
        Expected rates, DN/s, shape (rows, columns).
    catalogue : astropy.table.QTable
        Sources with true positions and fluxes.
    exact : bool, optional
        Whether it is of the simulator that made the ramps; otherwise it is an expectation.
    hit : ndarray of bool or None, optional
        Pixels that a cosmic ray has hit, where that is known.
    """

    background: np.ndarray
    sources: np.ndarray
    catalogue: object
    exact: bool = True
    hit: np.ndarray | None = None


@dataclass(frozen=True)
class Products:
    """Everything that is measured; lists are in the order of the association.

    Parameters
    ----------
    science, backgrounds : list of Image
        Rates.
    subtracted, combined : list of Image
        Background-subtracted images and the backgrounds that were subtracted, one
        per science exposure; None where nothing was subtracted.
    calibrated_headers : list of astropy.io.fits.Header
        Primary headers of the calibrated products.
    science_truth, background_truth : list of Truth or None
        Truth of the exposures, where it is known.
    sigma : float
        Clipping threshold that the step was given.
    maxiters : int or None
        Clipping iterations that the step was given; None for as many as change anything.
    associations : list of str
        Name of the association file of each science exposure.
    inputs : sequence of pathlib.Path, optional
        All files that were read.
    no_truth : str, optional
        Why there is no truth.
    calibrated_files : sequence of pathlib.Path or None, optional
        Files of the calibrated products; None where there is none, and the header is that of
        the subtracted image.
    left_out : sequence of str, optional
        Names of results that are there and were not read, as no association names them.
    not_judged : sequence of tuple of str, optional
        What cannot be judged as it was read: name, where, and reason, as of `NotJudged`.
    computed : sequence of bool, optional
        Whether a subtracted image was not saved, and is rate less combined background, with the
        rate's errors and the flags of both.
    clipping_is_sure : bool, optional
        Whether it is on record what the step was given; otherwise somebody says so, or it is
        the step's default that is assumed.
    expected_behaviours : dict of str, optional
        By aspect, the proposed behaviour that the build is to have.
    """

    science: list
    backgrounds: list
    subtracted: list
    combined: list
    calibrated_headers: list
    science_truth: list
    background_truth: list
    sigma: float
    maxiters: int | None
    associations: list
    inputs: tuple = ()
    no_truth: str = ""
    calibrated_files: tuple = ()
    left_out: tuple = ()
    not_judged: tuple = ()
    computed: tuple = ()
    clipping_is_sure: bool = True
    expected_behaviours: dict = field(default_factory=dict)

    @property
    def every_pixel(self):
        """Boolean image of all pixels of the science exposures."""
        return np.ones(self.science[0].shape[-2:], dtype=bool)

    @property
    def subarray(self):
        """Name of the subarray; backgrounds may have been cut to it from the whole array."""
        return self.science[0].header["SUBARRAY"]

    def is_computed(self, number):
        """Return whether the subtracted image of a science exposure, from 0, was not saved."""
        return bool(self.computed) and self.computed[number]


def in_two_dimensions(image):
    """Return the average of an image's integrations; a two-dimensional image as it is.

    Parameters
    ----------
    image : Image
        A rate, or rates of integrations.

    Returns
    -------
    Image
        Mean of the integrations that have a value, its error, and the flags of all.
    """
    if len(image.shape) == 2:
        return image
    known = np.isfinite(image.data)
    count = known.sum(axis=0)

    def of_mean(variance):
        return (np.where(known, variance, 0).sum(axis=0) / count**2).astype(np.float32)

    with np.errstate(invalid="ignore", divide="ignore"):
        data = np.where(known, image.data, 0).sum(axis=0) / count
        variances = {name: of_mean(plane) for name, plane in image.variances.items()}
        err = np.sqrt(of_mean(image.err**2))
    flags = np.bitwise_or.reduce(image.dq, axis=0)
    return replace(image, data=data.astype(np.float32), err=err, dq=flags, variances=variances)


def source_positions(catalogue):
    """Return x and y of a catalogue's sources, 0-based detector pixels, without units."""
    from astropy.units import Quantity

    return tuple(Quantity(catalogue[name]).value for name in ("x", "y"))


def _needed(header):
    """Return those cards of the header of an extension that are looked at."""
    return fits.Header({name: header[name] for name in _OF_EXTENSION if name in header})


def read_image(path, variances=True):
    """Return the image of one FITS file.

    Parameters
    ----------
    path : pathlib.Path
        A product of the pipeline.
    variances : bool, optional
        Whether the parts of the variance are read, too.

    Returns
    -------
    Image
        Its arrays.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    with whole_file(path, "a product of the pipeline") as hdus:
        state = state_of(path)
        parts = [name for name in _VARIANCES if variances and name in hdus]
        require_room(hdus, (*_PLANES, *parts))
        planes = {name: held_of(hdus, name, path, state) for name in (*_PLANES, *parts)}
        for name, plane in planes.items():
            if plane.dtype.kind not in ("iu" if name == "DQ" else "f"):
                msg = f"{name} has values of type {plane.dtype}"
                raise TypeError(msg)
        data, err, dq = (planes.pop(name) for name in _PLANES)
        if dq.dtype != np.uint32:
            dq = (dq() if callable(dq) else dq).astype(np.uint32)
        header, extension = primary_header(hdus), _needed(hdus["SCI"].header)
        return Image(path, header, data, err, dq, Planes(planes), extension)


def read_header(path):
    """Return the primary header of a product of the pipeline, without reading its arrays.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    astropy.io.fits.Header
        Its primary header.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    with whole_file(path, "a product of the pipeline") as hdus:
        return primary_header(hdus)


def read_extension(path):
    """Return the header of the values' own extension, without reading the values.

    Parameters
    ----------
    path : pathlib.Path
        A product of the pipeline.

    Returns
    -------
    astropy.io.fits.Header
        Of SCI, its cards on pointing, unit and conversion; without cards if there is none.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    with whole_file(path, "a product of the pipeline") as hdus:
        return _needed(hdus["SCI"].header) if "SCI" in hdus else fits.Header()


def read_truth(path):
    """Return the truth of one exposure.

    Parameters
    ----------
    path : pathlib.Path
        Truth file.

    Returns
    -------
    Truth
        Its images and catalogue.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    # Imported here: most products have no truth, and tables take longer than a refusal.
    from astropy.table import QTable

    with whole_file(path, "the truth of an exposure") as hdus:
        images = [array_of(hdus, name) for name in _TRUE]
        for name, image in zip(_TRUE, images, strict=True):
            if not np.isfinite(image).all():
                msg = f"{name} has values that are not finite"
                raise ValueError(msg)
        # Only the simulator that made the ramps knows the cosmic rays.
        exact = "COSMIC_RAYS" in hdus
        hit = _hit_pixels(hdus["COSMIC_RAYS"].data, images[0].shape) if exact else None
        return Truth(*images, QTable.read(hdus["CATALOG"]), exact, hit)


def _hit_pixels(table, shape):
    """Return which pixels a table of cosmic rays names, None if it names none at all."""
    if not {"row", "column"} <= {name.lower() for name in table.names}:
        return None
    hit = np.zeros(shape, dtype=bool)
    hit[np.asarray(table["row"], dtype=int), np.asarray(table["column"], dtype=int)] = True
    return hit


def read_hits(path):
    """Return the charge of the cosmic rays of one exposure.

    Parameters
    ----------
    path : pathlib.Path
        Truth file.

    Returns
    -------
    astropy.table.QTable
        Columns integration, group, row, column (from 0) and electrons.

    Raises
    ------
    CannotJudge
        If the file has no such table.
    """
    from astropy.table import QTable

    try:
        with open_fits(path) as hdus:
            return QTable.read(hdus["COSMIC_RAYS"])
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path} has no readable table of cosmic rays ({error}): simulate it anew."
        raise CannotJudge(msg) from error


def read_rates(run, field):
    """Return the rates of a field.

    Parameters
    ----------
    run : RunDirectory
        A run through calwebb_detector1.
    field : str
        "science" or "background".

    Returns
    -------
    list of Image
        In the order of the dithers.
    """
    return [read_image(run.rate(exposure)) for exposure in exposures(run.observation, field)]
