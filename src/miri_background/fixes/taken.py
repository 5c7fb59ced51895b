"""What a trial works on: rates with their truth, and what a background step makes of them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miri_background.fixes.predicted import noise_of
from miri_background.instrument.footprint import illuminated
from miri_background.observation import exposures
from miri_background.validation.products.images import Image, Truth, read_image, read_truth

__all__ = ["Exposed", "Planes", "Subtracted", "exposed", "subtracted", "unflagged"]


@dataclass(frozen=True)
class Exposed:
    """One exposure: its rate and its truth.

    Parameters
    ----------
    path : pathlib.Path
        File of the rate.
    image : Image
        The rate.
    truth : Truth
        What the simulator put in; no sources.
    """

    path: Path
    image: Image
    truth: Truth

    @property
    def lit(self):
        """Which pixels see the sky, shape (rows, columns)."""
        return illuminated(self.image.header["SUBARRAY"].strip())

    @property
    def noise(self):
        """How the rate scatters on empty sky, a `Noise`."""
        clean = unflagged([self])
        return noise_of(self.image, clean, float(np.median(self.truth.background[clean])))


@dataclass(frozen=True)
class Planes:
    """Values, errors and flags of a product.

    Parameters
    ----------
    data, err : ndarray
        DN/s, shape (rows, columns).
    dq : ndarray of uint32
        Flags, same shape.
    """

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray

    @classmethod
    def of(cls, product):
        """Return the planes of an image or of a data model, copied."""
        return cls(*(np.array(getattr(product, name)) for name in ("data", "err", "dq")))


@dataclass(frozen=True)
class Subtracted:
    """What a background step has made.

    Parameters
    ----------
    result, combined : Planes
        Subtracted image and combined background.
    flat_fielded : Planes or None
        The former after the flat-field step, if that was asked for.
    """

    result: Planes
    combined: Planes
    flat_fielded: Planes | None = None


def exposed(run):
    """Return the exposures of a run.

    Parameters
    ----------
    run : RunDirectory
        With rates and truth.

    Returns
    -------
    science, backgrounds : list of Exposed
        In the order of the dithers.
    """
    return tuple(
        [
            Exposed(run.rate(each), read_image(run.rate(each)), read_truth(run.truth(each)))
            for each in exposures(run.observation, field)
        ]
        for field in ("science", "background")
    )


def unflagged(several):
    """Return the lit pixels that no exposure flags, and that no cosmic ray has hit in any."""
    good = several[0].lit.copy()
    for each in several:
        good &= (each.image.dq == 0) & np.isfinite(each.image.data)
        if each.truth.hit is not None:
            good &= ~each.truth.hit
    return good


def subtracted(variant, science, backgrounds, sigma, maxiters, flat=False):
    """Call a background step, and read what it writes.

    Parameters
    ----------
    variant : Variant
        Without parameters, the installed step itself is called.
    science : pathlib.Path
        Rate of the science exposure.
    backgrounds : list
        Rates of the backgrounds, files or models.
    sigma : float
        Clipping threshold.
    maxiters : int or None
        Clipping iterations.
    flat : bool, optional
        Whether the flat-field step follows, with the references that CRDS finds.

    Returns
    -------
    Subtracted
        As it was written.
    """
    if variant.parameters:
        from miri_background.fixes.step import FixedBackgroundStep as Step
    else:
        from jwst.background import BackgroundStep as Step
    with tempfile.TemporaryDirectory(prefix="miri-background-") as directory:
        step = Step(
            sigma=sigma,
            maxiters=maxiters,
            save_combined_background=True,
            output_dir=directory,
            **variant.parameters,
        )
        result = step.run(str(science), [_given(each) for each in backgrounds])
        (written,) = Path(directory).glob("*_combinedbackground.fits")
        combined, made, fielded = Planes.of(read_image(written)), Planes.of(result), None
        if flat:
            from jwst.flatfield import FlatFieldStep

            fielded = Planes.of(FlatFieldStep.call(result, configure_log=False))
        return Subtracted(made, combined, fielded)


def _given(background):
    """Return a background as the step takes it."""
    return str(background) if isinstance(background, Path) else background
