"""Skies of exposures are those that they were given, whatever the sky looks like."""

from dataclasses import replace

import numpy as np
import pytest

from miri_background.validation.mosaic.resampling import Resampling
from miri_background.validation.mosaic.skies import (
    SkiesOfExposures,
    skies_findings,
    skymatch_measured,
)

from .conftest import NOISE, SHAPE

GIVEN = np.array([0.3, -0.1, -0.2])  # MJy/sr, mean zero
SIGMAS = 5.0
CORNER = 12  # pixels along the sides of a part of the array that sees nothing
STEP = 40.0  # MJy/sr of light along the array, over a hundred times the noise
CARDS = {"S_SKYMAT": "COMPLETE", "BKGMETH": "match"}


def of(mosaic):
    """Return the skies of a mosaic's exposures."""
    return SkiesOfExposures(mosaic, Resampling(mosaic))


def changed(mosaic, change, **cards):
    """Return a mosaic of exposures with other data and flags, and cards of skymatch."""
    members = []
    for number, member in enumerate(mosaic.members):
        data, dq = change(number, member)
        header = member.header.copy()
        header["BKGLEVEL"] = 0.0
        header.update(CARDS | cards)
        members.append(replace(member, data=data, dq=dq, header=header))
    return replace(mosaic, members=members)


@pytest.fixture
def structured(mosaic):
    """Return a mosaic of exposures with a corner that sees nothing, on light that the sky has."""
    noise = np.random.default_rng(2).normal(0, NOISE, (3, *SHAPE))

    def change(number, member):
        # Of the sky: the same place has the same light in each exposure.
        y, x = np.indices(SHAPE)
        ra, dec = member.wcs(x, y, with_bounding_box=False)
        at_x, at_y = mosaic.wcs.wcs_world2pix(ra, dec, 0)
        light = STEP * (at_x + at_y) / sum(mosaic.data.shape)
        dq = member.dq.copy()
        dq[:CORNER, :CORNER] |= np.uint32(1)
        return light + GIVEN[number] + noise[number], dq

    return changed(mosaic, change)


def test_light_with_structure_hides_no_sky(structured):
    """Each exposure has the sky that it was given; overlaps of whole arrays differ by more."""
    skies = of(structured)
    error = max(error for _, error in skies.pairs.values())
    assert skies.left == pytest.approx(GIVEN, abs=SIGMAS * error)
    # As skymatch compares them: the corner is at other places of the sky.
    means = [np.mean(each.data[each.usable]) for each in structured.members]
    assert np.max(np.abs(means - np.mean(means) - GIVEN)) > 2 * SIGMAS * error


def test_noise_is_that_of_pixels(structured):
    """Light that changes evenly is no noise; the error is that of a median of 4000 pixels."""
    pixels = 3 * SHAPE[0] * SHAPE[1]
    assert of(structured).pixel_noise == pytest.approx(NOISE, rel=SIGMAS * 1.2 / np.sqrt(pixels))


def test_error_of_a_difference_is_that_of_draws(mosaic):
    """Of differences of exposures of nothing but noise, within a quarter."""
    generator = np.random.default_rng(6)
    ratios = []
    for _ in range(10):
        noise = generator.normal(0, NOISE, (3, *SHAPE))
        drawn = changed(mosaic, lambda number, member, noise=noise: (noise[number], member.dq))
        ratios += [value / error for value, error in of(drawn).pairs.values()]
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1, rel=0.25)


def test_overlap_that_one_sees_is_told(structured):
    """The part of the corners, which three dithers put on other places of the sky."""
    skies = of(structured)
    share = skies.one_sided(0, 1)
    # The corner of the one that reaches further into the overlap, without that of the other.
    common = (CORNER - 3.4) * (CORNER - 2.7)
    overlap = (SHAPE[1] - 3.4) * (SHAPE[0] - 2.7)
    # Pixels of the grid that are seen in part, and rounded corners, make it smaller.
    assert 0.6 < share / ((CORNER**2 - common) / (overlap - common)) < 1
    (measured,) = skymatch_measured(structured, skies)
    assert measured.exposure == 1
    assert measured.value == pytest.approx(GIVEN[0] / NOISE, rel=0.1)
    assert "jwst 10259" in measured.detail


def test_overlap_that_both_see_is_not_told(mosaic):
    """Bad pixels are no border of what an exposure sees."""
    whole = changed(mosaic, lambda _, member: (member.data, member.dq))
    (measured,) = skymatch_measured(whole, of(whole))
    assert "jwst 10259" not in measured.detail


def test_exposure_beside_all_others_has_no_sky_to_compare(structured):
    """The others are compared as without it."""
    last = structured.members[2]
    far = replace(structured, members=[*structured.members[:2], replace(last, dq=last.dq | 1)])
    left = of(far).left
    assert np.isnan(left[2])
    assert left[0] - left[1] == pytest.approx(GIVEN[0] - GIVEN[1], abs=0.1)


@pytest.mark.parametrize("cards", [{"S_SKYMAT": "SKIPPED"}, {"BKGMETH": "local"}])
def test_skies_that_nothing_was_to_match_are_a_finding(structured, cards):
    """It is no failure of skymatch."""
    without = changed(structured, lambda _, member: (member.data, member.dq), **cards)
    skies = of(without)
    assert list(skymatch_measured(without, skies)) == []
    (found,) = skies_findings(without, skies)
    assert found.name == "skies of exposures differ"
    assert found.value == pytest.approx(GIVEN[0] - GIVEN[2], rel=0.1)


def test_sky_that_was_taken_off_all_exposures_is_a_finding(structured):
    """By 8 MJy/sr, after the background was subtracted."""
    for member in structured.members:
        member.header.update({"BKGLEVEL": 8.0, "BKGMETH": "global+match"})
    (found,) = skies_findings(structured, of(structured))
    assert (found.name, found.value) == ("sky taken off twice", 8.0)


def test_sky_that_is_left_to_one_exposure_is_no_finding(structured):
    """To it, skymatch lowers all others."""
    for number, member in enumerate(structured.members):
        member.header["BKGLEVEL"] = 8.0 * number
    assert skies_findings(structured, of(structured)) == []
