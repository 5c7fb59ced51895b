"""Products of two results side by side: what differs, pixel by pixel and card by card."""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import AsinhNorm

from miri_background.outcomes import CannotJudge
from miri_background.reporting.drawing import described
from miri_background.reporting.report.blocks import (
    Blocks,
    figure_of,
    stretch_around_level,
    stretch_of_rest,
)
from miri_background.reporting.report.pictures import pictured
from miri_background.reporting.words import counted
from miri_background.validation.prediction.pixel_statistics import clipped_scatter
from miri_background.validation.products.images import DO_NOT_USE, in_two_dimensions
from miri_background.validation.products.stage2 import read_products

__all__ = ["ComparedImages", "ComparedProducts", "compared_images", "compared_products"]

_LINEAR, _FEW = 3.0, 8.0  # of a difference: up to which colours are linear; where few pixels differ
# Cards that differ whenever a file is written again, and what is no value.
_ALWAYS_DIFFERENT = ("DATE", "COMMENT", "HISTORY", "")
_WHOLE = 100.0  # from which on a number has no decimals


@dataclass(frozen=True)
class ComparedImages:
    """One kind of image of two results.

    Parameters
    ----------
    name : str
        What is shown.
    sentence : str
        How many pixels differ, and by how much.
    frames : tuple of (str, Pictured)
        Words and picture: of the first, the second, and of what differs.
    """

    name: str
    sentence: str
    frames: tuple


@dataclass(frozen=True)
class ComparedProducts:
    """What differs in the products of two results.

    Parameters
    ----------
    images : list of ComparedImages
        Combined background, and the subtracted image that differs in most pixels.
    headers : list of tuple
        Keyword and both values, of the first subtracted image, where they differ.
    reason : str
        Why nothing was compared; empty if something was.
    """

    images: list
    headers: list
    reason: str


def compared_products(first, second):
    """Return what differs in the products of two results.

    Parameters
    ----------
    first, second : Side
        The results.

    Returns
    -------
    ComparedProducts
        Without anything where products are gone or cannot be read, with the reason.
    """
    gone = [side.name for side in (first, second) if side.products is None]
    if gone:
        return ComparedProducts([], [], f"There are no products of {gone[0]} to compare.")
    try:
        sets = [_read(side) for side in (first, second)]
    except CannotJudge as error:
        return ComparedProducts([], [], f"Products are not compared: {error}")
    images = [*_combined(sets), *_subtracted(sets)]
    reason = "" if images else "The images have different shapes: they are not compared."
    headers = [products.subtracted[0].header for products in sets]
    return ComparedProducts(images, _cards(*headers), reason)


def _cards(first, second):
    """Return the keywords in which two headers differ, with both values as text."""
    names = dict.fromkeys(name for name in (*first, *second) if name not in _ALWAYS_DIFFERENT)
    values = [(name, first.get(name), second.get(name)) for name in names]
    return [
        (name, *("–" if each is None else str(each) for each in pair))
        for name, *pair in values
        if pair[0] != pair[1]
    ]


def _combined(sets):
    """Return the combined backgrounds of two sets of products, compared."""
    found = [
        next((image for image in products.combined if image is not None), None) for products in sets
    ]
    if None in found:
        return []
    return _of_images("Combined background", "combined", found)


def _subtracted(sets):
    """Return the subtracted images of the exposure that differs in most pixels, compared."""
    exposures = zip(*(products.subtracted for products in sets), strict=False)
    pairs = [tuple(map(in_two_dimensions, pair)) for pair in exposures]
    pairs = [pair for pair in pairs if pair[0].shape == pair[1].shape]
    if not pairs:
        return []
    counts = [np.count_nonzero(_differs(*(image.data for image in pair))) for pair in pairs]
    number = int(np.argmax(counts))
    name = f"Science exposure {number + 1} after the subtraction"
    return _of_images(name, "subtracted", pairs[number])


def _read(side):
    """Return the products of a result, with the clipping that it was judged for."""
    provenance = side.verdict.provenance
    clipping = provenance.get("calibration", provenance)
    # An association without a limit of iterations says None, for which the command line has 0.
    sigma, maxiters = clipping.get("sigma"), clipping.get("maxiters")
    given = {} if sigma is None else {"sigma": sigma, "maxiters": maxiters or 0}
    return read_products(side.products, **given)


def _differs(first, second):
    """Return which pixels of two images are not the same."""
    return (first != second) & ~(np.isnan(first) & np.isnan(second))


def _of_images(name, kind, pair):
    """Return one kind of image of two results, in a list; empty if it cannot be compared."""
    found = compared_images(name, kind, [(image.data, image.dq) for image in pair])
    return [] if found is None else [found]


def compared_images(name, kind, pair, words=("first", "second")):
    """Return one kind of image of two results, with what differs.

    Parameters
    ----------
    name : str
        What is shown.
    kind : str
        "combined" or "subtracted".
    pair : sequence of (ndarray, ndarray)
        Values, DN/s, and flags of both, shape (rows, columns).
    words : sequence of str, optional
        What both are called.

    Returns
    -------
    ComparedImages or None
        None where there is nothing that can be compared.
    """
    if pair[0][0].shape != pair[1][0].shape:
        return None
    values = [data.astype(float) for data, _ in pair]
    usable = [(dq & DO_NOT_USE == 0) & np.isfinite(data) for data, dq in pair]
    good = usable[0] & usable[1]
    if not good.any():
        return None
    sentence = _in_words(values, good)
    if lone := np.count_nonzero(usable[0] != usable[1]):
        sentence += f" {counted(lone, 'pixel')} can be used in one of them only."
    shown = [Blocks.of(each, good) for each in values]
    stretch_of, stretch = _STRETCHES[kind]
    norm = stretch_of(shown[0].values)
    unit = f"DN/s, {stretch}, {shown[0].words}"
    frames = []
    for key, word, blocks in zip("ab", words, shown, strict=True):
        figure = figure_of(blocks, norm, f"{name}: {word}", unit)
        alt = f"{name} of the {word} result: median {np.median(blocks.values):.4g} DN/s."
        frames.append((word, pictured(f"{kind}_{key}", described(figure, alt), sentence)))
    difference = np.where(good, values[1] - values[0], 0.0)
    if difference.any():
        frames.append(("difference", _difference(name, kind, difference, sentence)))
    return ComparedImages(name, sentence, tuple(frames))


def _stretch_of_subtracted(values):
    """Return the stretch of a subtracted image: that of the page of a verdict."""
    return stretch_of_rest(values, float(clipped_scatter(values)) or 1e-3)


_STRETCHES = {
    "combined": (stretch_around_level, "linear"),
    "subtracted": (_stretch_of_subtracted, "asinh"),
}


def _difference(name, file, difference, sentence):
    """Return the picture of what differs, in which a single pixel is seen, too."""
    blocks = Blocks.furthest(difference)
    reach = float(np.abs(blocks.blocks).max())
    # Where few pixels differ, all others are the same, and nothing scatters.
    linear = float(clipped_scatter(blocks.values)) or reach / _FEW
    norm = AsinhNorm(min(_LINEAR * linear, reach), -reach, reach)
    label = f"DN/s, asinh, furthest of {blocks.words.removeprefix('means of ')}"
    figure = figure_of(blocks, norm, f"{name}: second less first", label)
    alt = f"{name}, second less first result: {sentence}"
    return pictured(f"{file}_difference", described(figure, alt), sentence)


def _in_words(values, good):
    """Return how many pixels differ, and by how much."""
    differs = _differs(*values) & good
    number, of_all = np.count_nonzero(differs), np.count_nonzero(good)
    if not number:
        return f"All {of_all} pixels that can be used in both are the same, bit for bit."
    difference = np.where(differs, values[1] - values[0], 0.0)
    row, column = np.unravel_index(np.argmax(np.abs(difference)), difference.shape)
    typical = np.median(np.abs(difference[differs]))
    return (
        f"{number} of {of_all} pixels ({100 * number / of_all:.3g} %) differ, half of them by less "
        f"than {typical:.2g} DN/s, and most by {_number(difference[row, column])} DN/s, at x, y = "
        f"{column}, {row}."
    )


def _number(value):
    """Return a number with its sign, three digits, and no power of ten up to a million."""
    return f"{value:+.3g}" if abs(value) < _WHOLE else f"{value:+.0f}"
