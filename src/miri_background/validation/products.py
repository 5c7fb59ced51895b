"""The products of a run, read once, with their truth."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.io import fits
from astropy.table import QTable
from astropy.units import Quantity

from miri_background.observation import exposures
from miri_background.outcomes import CannotJudge

__all__ = [
    "DO_NOT_USE",
    "JUMP_DET",
    "SATURATED",
    "Image",
    "Products",
    "Truth",
    "read_hits",
    "read_image",
    "read_products",
    "read_rates",
    "read_truth",
    "source_positions",
]

# Bits of the pipeline's data quality arrays (jwst documentation, "Data Quality Flags").
DO_NOT_USE = 1
SATURATED = 2
JUMP_DET = 4


@dataclass(frozen=True)
class Image:
    """A 2-D product: values, errors, flags and the headers that say what was done.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : astropy.io.fits.Header
        Primary header.
    data, err : ndarray
        Values and errors, DN/s, shape (rows, columns).
    dq : ndarray of uint32
        Flags.
    read_noise_variance : ndarray or None
        Variance of the rate from read noise, (DN/s)^2, in rate files.
    """

    path: object
    header: fits.Header
    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    read_noise_variance: np.ndarray | None = None


@dataclass(frozen=True)
class Truth:
    """What the simulator put into an exposure.

    Parameters
    ----------
    background, sources : ndarray
        Expected rates, DN/s, shape (rows, columns).
    catalogue : astropy.table.QTable
        Sources with true positions and fluxes.
    """

    background: np.ndarray
    sources: np.ndarray
    catalogue: QTable


@dataclass(frozen=True)
class Products:
    """Everything that is measured in a run; lists are in the order of the dithers.

    Parameters
    ----------
    science, backgrounds : list of Image
        Rates.
    subtracted, combined : list of Image
        Background-subtracted images and the backgrounds that were subtracted, one
        per science exposure; None where nothing was subtracted.
    calibrated_headers : list of astropy.io.fits.Header
        Primary headers of the calibrated products.
    science_truth, background_truth : list of Truth
        Truth of the exposures.
    sigma : float
        Clipping threshold that the step was given.
    maxiters : int
        Clipping iterations that the step was given.
    """

    science: list
    backgrounds: list
    subtracted: list
    combined: list
    calibrated_headers: list
    science_truth: list
    background_truth: list
    sigma: float
    maxiters: int

    @property
    def subarray(self):
        """Name of the subarray, from the headers."""
        return self.backgrounds[0].header["SUBARRAY"]

    @cached_property
    def usable(self):
        """Pixels, per science exposure, that no exposure flags or hits by a cosmic ray.

        From the rate files' flags, so that a fault of the step cannot hide itself.
        """
        flagged = np.bitwise_or.reduce([image.dq for image in self.backgrounds])
        bits = DO_NOT_USE | SATURATED | JUMP_DET
        return [((flagged | image.dq) & bits) == 0 for image in self.science]


def source_positions(catalogue):
    """Return x and y of a catalogue's sources, 0-based detector pixels, without units."""
    return tuple(Quantity(catalogue[name]).value for name in ("x", "y"))


def read_image(path):
    """Return the image of one FITS file.

    Parameters
    ----------
    path : pathlib.Path
        A product of the pipeline.

    Returns
    -------
    Image
        Its arrays.

    Raises
    ------
    CannotJudge
        If it is missing or damaged.
    """
    try:
        with fits.open(path) as hdus:
            names = [hdu.name for hdu in hdus]
            variance = hdus["VAR_RNOISE"].data if "VAR_RNOISE" in names else None
            return Image(
                path,
                hdus[0].header.copy(),
                *(
                    hdus[name].data.astype(hdus[name].data.dtype.newbyteorder("="))
                    for name in ("SCI", "ERR", "DQ")
                ),
                variance,
            )
    except FileNotFoundError:
        msg = f"{path} is missing: run the pipeline's steps again."
        raise CannotJudge(msg) from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{path} cannot be read as a product of the pipeline ({error}): make it anew."
        raise CannotJudge(msg) from error


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
    try:
        with fits.open(path) as hdus:
            images = [hdus[name].data.astype(float) for name in ("BACKGROUND", "SOURCES")]
            return Truth(*images, QTable.read(hdus["CATALOG"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} cannot be read as the truth of an exposure ({error}): simulate it anew."
        raise CannotJudge(msg) from error


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
    try:
        return QTable.read(path, "COSMIC_RAYS")
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


def read_products(run):
    """Read the products of a run.

    Where calwebb_image2 says that it skipped the background step, what the step
    gave on is its input: the rate stands for the subtracted image.

    Parameters
    ----------
    run : RunDirectory
        A run through calwebb_image2.

    Returns
    -------
    Products
        All arrays.

    Raises
    ------
    CannotJudge
        If a product is missing or damaged, naming it.
    """
    science = exposures(run.observation, "science")
    backgrounds = exposures(run.observation, "background")
    rates = read_rates(run, "science")
    headers, subtracted, combined = [], [], []
    for exposure, rate in zip(science, rates, strict=True):
        headers.append(read_image(run.image2(exposure, "cal")).header)
        skipped = headers[-1].get("S_BKDSUB", "SKIPPED") == "SKIPPED"
        if skipped and not run.image2(exposure, "bsub").exists():
            subtracted.append(rate)
            combined.append(None)
        else:
            subtracted.append(read_image(run.image2(exposure, "bsub")))
            combined.append(read_image(run.image2(exposure, "combinedbackground")))
    return Products(
        rates,
        read_rates(run, "background"),
        subtracted,
        combined,
        headers,
        [read_truth(run.truth(exposure)) for exposure in science],
        [read_truth(run.truth(exposure)) for exposure in backgrounds],
        run.observation.sigma,
        run.observation.maxiters,
    )
