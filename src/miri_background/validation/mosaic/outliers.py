"""Outliers of a mosaic's exposures against the true cosmic rays, and where exposures lie."""

import numpy as np

from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement
from miri_background.validation.mosaic.reading import OUTLIER
from miri_background.validation.products.images import source_positions

__all__ = ["alignment", "outlier_measurements"]

# Outliers are flagged above five reported errors of one exposure.  What a hit leaves has noise of
# its own, and so has the median that it is compared with: above eight predicted ones it is seen.
_SEEN = 8.0
_FEWEST_HITS = 10  # from which a part of them is taken
_FEWEST_EXPOSURES = 3  # with which a median leaves out one of them
_MILLIARCSEC = 1e3


def outlier_measurements(mosaic, expected):
    """Yield which cosmic rays were not flagged, and which pixels were flagged without one.

    Parameters
    ----------
    mosaic : Mosaic
        With its exposures.
    expected : MosaicExpectation
        What they should have.

    Yields
    ------
    Measurement
        In percent of the strong hits that are left, and of pixels of empty sky and of sources.
    """
    strong = missed = 0
    enough = len(mosaic.members) >= _FEWEST_EXPOSURES
    false = {"empty sky": [0, 0], "sources": [0, 0]}
    for number, member in enumerate(mosaic.members):
        flagged = (member.dq & OUTLIER) != 0
        empty = expected.without_sources[number]
        hits = expected.hit[number] & empty
        if enough and hits.any():
            hits &= expected.resampling.others(mosaic, number) >= _FEWEST_EXPOSURES - 1
        noise = np.sqrt(expected.own_variances[number] + expected.shared_variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            seen = hits & (np.abs((member.data - expected.images[number]) / noise) > _SEEN)
        # calwebb_image3 leaves no number where it has flagged one.
        strong += np.count_nonzero(seen | (hits & flagged))
        missed += np.count_nonzero(seen & ~flagged)
        untouched = expected.untouched[number]
        for name, where in (("empty sky", empty), ("sources", ~empty)):
            false[name][0] += np.count_nonzero(flagged & untouched & where)
            false[name][1] += np.count_nonzero(untouched & where)
    if enough and strong >= _FEWEST_HITS:
        yield Measurement(
            "outliers missed",
            WHOLE_ARRAY,
            None,
            100 * missed / strong,
            detail=f"{missed} of {strong} hits that calwebb_detector1 has left",
        )
    for name, (count, pixels) in false.items():
        if pixels:
            yield Measurement(
                "false outliers",
                name,
                None,
                100 * count / pixels,
                detail=f"{count} of {pixels} pixels without a hit",
            )


def alignment(mosaic, expected, truths):
    """Yield how far off the world coordinates of exposures are, root mean square over sources.

    Parameters
    ----------
    mosaic : Mosaic
        With its exposures.
    expected : MosaicExpectation
        Knows which exposures they are.
    truths : list of Truth
        Of the science exposures.

    Yields
    ------
    Measurement
        The furthest exposure, milliarcsec.
    """
    sizes, means = [], []
    for member, number in zip(mosaic.members, expected.numbers, strict=True):
        catalogue = truths[number].catalogue
        x, y = source_positions(catalogue)
        rows, columns = member.data.shape
        on = (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
        ra, dec = member.wcs(x[on], y[on], with_bounding_box=False)
        true_ra, true_dec = (catalogue[name].to_value("deg")[on] for name in ("ra", "dec"))
        off = np.array([(ra - true_ra) * np.cos(np.deg2rad(true_dec)), dec - true_dec])
        off *= 3600 * _MILLIARCSEC
        sizes.append(np.sqrt(np.mean(np.sum(off**2, axis=0))))
        means.append(off.mean(axis=1))
    worst = int(np.argmax(np.nan_to_num(sizes, nan=np.inf)))
    yield Measurement(
        "exposure position",
        WHOLE_ARRAY,
        worst + 1,
        float(sizes[worst]),
        detail=f"on average {means[worst][0]:.1f} mas east, {means[worst][1]:.1f} mas north",
    )
