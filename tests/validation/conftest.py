"""Products of a background step whose choices a test makes."""

import warnings
from dataclasses import dataclass, replace
from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.utils.exceptions import AstropyUserWarning

from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.products.images import Image, Products

ASSOCIATION = "image2_asn.json"
DO_NOT_USE, JUMP = 1, 4
SIGMA = 2.0
SKY, NOISE, STAR = 14.0, 0.3, 500.0
TOO_HIGH = 1.0  # values that are not to be used
# First column and row, from 1, of subarrays, and their numbers of columns and rows.
WINDOWS = {"SUB64": (1, 779, 72, 64), "SUB256": (413, 51, 256, 256)}
WINDOW_KEYWORDS = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")


@dataclass(frozen=True)
class Choices:
    """What a step does where its documentation leaves a choice, and who it says that it is.

    Parameters
    ----------
    version : str
        Of the pipeline.
    quadrature : bool
        Whether the error of the background is added in quadrature.
    every : bool
        Whether flags are those of all backgrounds, otherwise of any.
    least : int or None
        How many backgrounds have DO_NOT_USE where it is set, if that is a rule of its own.
    masked : bool
        Whether values with DO_NOT_USE are left out.
    left_out : bool
        Whether a background without a value in any integration is left out.
    saved : bool
        Whether the combined background is saved.
    """

    version: str = "3.0.0"
    quadrature: bool = False
    every: bool = False
    least: int | None = None
    masked: bool = False
    left_out: bool = False
    saved: bool = True


def clipped(values):
    """Return values clipped along the first axis."""
    with warnings.catch_warnings():
        # That it clips what is not finite is asked for.
        warnings.simplefilter("ignore", AstropyUserWarning)
        return sigma_clip(values, sigma=SIGMA, maxiters=None, axis=0)


def image(name, data, err, dq, **keywords):
    """Return a product with the header that it should have."""
    model = "ImageModel" if data.ndim == 2 else "CubeModel"
    header = {"FILENAME": f"{name}.fits", "DATAMODL": model, "FILTER": "F770W"}
    (subarray,) = (each for each, window in WINDOWS.items() if window[:1:-1] == data.shape[-2:])
    header |= {"SUBARRAY": subarray}
    header |= dict(zip(WINDOW_KEYWORDS, WINDOWS[subarray], strict=True))
    variances = {each: err**2 * part for each, part in (("VAR_POISSON", 0.8), ("VAR_RNOISE", 0.2))}
    return Image(
        f"image2/{name}.fits",
        fits.Header(header | keywords),
        data.astype(np.float32),
        err.astype(np.float32),
        dq.astype(np.uint32),
        {each: plane.astype(np.float32) for each, plane in variances.items()},
    )


def rate(name, shape, generator, crowding):
    """Return a rate with stars in a part of the pixels, flags, and pixels without a value."""
    data = generator.normal(SKY, NOISE, shape)
    data[generator.random(shape) < crowding] += STAR
    dq = np.where(generator.random(shape) < 0.02, JUMP, 0)
    flagged = generator.random(shape) < 0.02
    data[flagged] += TOO_HIGH
    dq[flagged] |= DO_NOT_USE
    missing = generator.random(shape[-2:]) < 0.01
    data[..., missing] = np.nan
    dq[..., missing] |= DO_NOT_USE
    # The corner has no value in any exposure.
    data[..., 0, 0] = np.nan
    dq[..., 0, 0] = DO_NOT_USE
    return image(name, data, generator.uniform(0.25, 0.35, shape), dq)


def of_integrations(planes, choices):
    """Return the average of integrations as the step has it: masked values have no fill."""
    mean = clipped(planes).mean(axis=0)
    return mean.filled(np.nan) if choices.left_out else mean.filled(0.0)


def average(members, choices):
    """Return the combined background."""
    values, squares, flags = [], [], []
    for member in members:
        data, square = member.data.copy(), member.err * member.err
        if choices.masked:
            data[member.dq & DO_NOT_USE > 0] = np.nan
        if data.ndim == 3:
            data, square = (of_integrations(planes, choices) for planes in (data, square))
        values.append(data.astype(float))
        squares.append(square.astype(float))
        dq = member.dq if member.dq.ndim == 2 else np.bitwise_or.reduce(member.dq, axis=0)
        flags.append(dq)
    kept = clipped(np.stack(values))
    total = np.ma.masked_array(np.stack(squares), kept.mask).sum(axis=0).filled(0.0)
    error = np.sqrt(total) / np.maximum(kept.count(axis=0), 1)
    dq = reduce(np.bitwise_and if choices.every else np.bitwise_or, flags)
    if choices.least is not None:
        enough = np.sum([each & DO_NOT_USE > 0 for each in flags], axis=0) >= choices.least
        dq = np.where(enough, dq | DO_NOT_USE, dq & ~np.uint32(DO_NOT_USE))
    return kept.mean(axis=0).filled(0.0).astype(np.float32), error.astype(np.float32), dq


def subtract(science, combined, choices):
    """Return the background-subtracted exposure."""
    data, error, dq = combined
    header = science.header.copy()
    name = f"{science.header['FILENAME'][:-5]}_bsub"
    header.update(
        S_BKDSUB="COMPLETE", ASNTABLE=ASSOCIATION, CAL_VER=choices.version, FILENAME=f"{name}.fits"
    )
    return replace(
        science,
        path=f"image2/{name}.fits",
        header=header,
        data=science.data - data,
        err=np.hypot(science.err, error) if choices.quadrature else science.err,
        dq=science.dq | dq,
    )


def run_step(members=4, integrations=None, subarray="SUB64", seed=770, **choices):
    """Return the analysis of what a step with these choices makes of two science exposures."""
    choices = Choices(**choices)
    generator = np.random.default_rng(seed)
    shape = WINDOWS[subarray][:1:-1]
    shape = shape if integrations is None else (integrations, *shape)
    science, backgrounds = (
        [rate(f"{field}{number}", shape, generator, crowding) for number in range(many)]
        for field, many, crowding in (("science", 2, 0.0), ("background", members, 0.02))
    )
    combined = average(backgrounds, choices)
    subtracted = [subtract(each, combined, choices) for each in science]
    saved = image("science0_combinedbackground", *combined) if choices.saved else None
    products = Products(
        science,
        backgrounds,
        subtracted,
        [saved] * len(science),
        [each.header for each in subtracted],
        None,
        None,
        SIGMA,
        None,
        [ASSOCIATION] * len(science),
    )
    return SimpleNamespace(
        products=products,
        expectation=SimpleNamespace(
            combined=average_backgrounds(backgrounds, SIGMA), subarray=subarray
        ),
        masks=SimpleNamespace(sky=np.ones(shape[-2:], dtype=bool)),
        residuals=SimpleNamespace(
            images=[each.data.astype(float) for each in subtracted],
            judged=[np.isfinite(each.data) & (each.dq & DO_NOT_USE == 0) for each in subtracted],
        ),
    )


@pytest.fixture(scope="session")
def background_step():
    """Return the function that runs a step with choices of its own on small rates.

    Its options are `members`, `integrations` (None for rates), `subarray`, `seed` and those of
    `Choices`.
    """
    return run_step
