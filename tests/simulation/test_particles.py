"""Cosmic rays and showers come at their rate, leave their charge, and only where it can be read."""

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import label

from miri_background.instrument.detector import (
    INTERPIXEL_CAPACITANCE,
    REFERENCE_COLUMNS,
    SHAPE,
    reference_pixels,
)
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.simulation import particles
from miri_background.simulation.particles import Deposits, cosmic_rays, showers

SEED = 20261122
FRAME_TIME = frame_time("FASTR1", "FULL")  # s
GROUPS, INTEGRATIONS = 5, 2
HIT_RATE = 500.0  # hits / s: many, for small errors
FLIGHT_RATE = 28.0  # hits / s
SHOWER_RATE = 0.5  # showers / s: a dozen in the exposure
STANDARD_ERRORS = 5  # one test in two million is further off by chance
# Of a track's charge, what its own and its neighbours' pixels lose beyond the edges of the array
# and in reference columns: a pixel's width along 4000 pixels of edges
EDGE_LOSS = 0.002
PLACES = ("integration", "group", "row", "column")
ARRIVALS = [cosmic_rays, showers]


@pytest.fixture(scope="module")
def arrive():
    """Return a function that gives the deposits of one exposure; arguments can be chosen."""

    @cache
    def deposits_of(kind, rate, *, read="FULL", groups=GROUPS, integrations=INTEGRATIONS, seed=0):
        generator = np.random.default_rng(SEED + seed)
        return kind(subarrays()[read], rate, FRAME_TIME, groups, integrations, generator)

    return deposits_of


@pytest.fixture(scope="module")
def rays(arrive):
    """Return the deposits of many cosmic rays."""
    return arrive(cosmic_rays, HIT_RATE)


@pytest.fixture(scope="module")
def shower(arrive):
    """Return the deposits of the first exposure in which there is just one shower."""
    for seed in range(100):
        # One in an exposure of one integration of 20 groups, on average
        rate = 1 / (20 * FRAME_TIME)
        found = arrive(showers, rate, groups=20, integrations=1, seed=seed)
        if found.group.size and found.group.min() <= 20 - particles._SHOWER_GROUPS:
            starts = np.bincount(found.group, minlength=20) > 0
            if starts.sum() == particles._SHOWER_GROUPS:
                return found
    pytest.fail("no shower in a hundred exposures")
    return None


@pytest.fixture(scope="module")
def hits_per_frame():
    """Return the number of separate tracks in each of many frames, and the number expected."""
    frames = 100
    generator = np.random.default_rng(SEED)
    counts = []
    for _ in range(frames):
        found = cosmic_rays(subarrays()["FULL"], FLIGHT_RATE, FRAME_TIME, 1, 1, generator)
        touched = np.zeros(SHAPE, dtype=bool)
        touched[found.row, found.column] = True
        counts.append(label(touched, structure=np.ones((3, 3)))[1])
    sensitive = 1 - 2 * REFERENCE_COLUMNS / SHAPE[1]
    return np.array(counts), FLIGHT_RATE * FRAME_TIME * sensitive


@pytest.fixture
def some():
    """Return three deposits, two of them in the same pixel and group."""
    return Deposits(
        np.array([0, 0, 0]),
        np.array([1, 1, 2]),
        np.array([5, 5, 5]),
        np.array([7, 7, 7]),
        np.array([10.0, 20.0, 40.0]),
    )


@pytest.fixture
def other():
    """Return a deposit in another integration."""
    return Deposits(*(np.array([value]) for value in (1, 0, 2, 3)), np.array([5.0]))


def mean_charge():
    """Return mean and mean square of the charge of a hit, electrons, as integrals.

    Over the angle, whose cosine c has the density 2 c, and over a Moyal variable, whose
    mean is Euler's constant + ln 2 and whose variance is pi^2 / 2.
    """
    depth = particles._DEPTH
    longest = np.hypot(depth, particles._LONGEST_TRACK)
    low = depth / longest
    path = 2 * depth * (1 - low) + longest * low**2
    square = 2 * depth**2 * np.log(1 / low) + (longest * low) ** 2
    moyal = np.euler_gamma + np.log(2)
    spread = particles._LOSS_SPREAD
    loss = 1 + spread * moyal
    loss_square = loss**2 + spread**2 * np.pi**2 / 2
    return particles._LOSS * path * loss, particles._LOSS**2 * square * loss_square


def rows_of(deposits):
    """Return places and electrons as a list of tuples."""
    return list(
        zip(*(getattr(deposits, name).tolist() for name in (*PLACES, "electrons")), strict=True)
    )


def image_of_first_group(deposits):
    """Return the charge of the first group in which there is some, shape of the array."""
    image = np.zeros(SHAPE)
    row, column, electrons = deposits.within(0, deposits.group.min())
    np.add.at(image, (row, column), electrons)
    return image


# ------------------------------------------------------------------------ deposits


def test_deposits_within_a_group(some):
    """Rows, columns and electrons of one group of one integration, no others."""
    row, column, electrons = some.within(0, 1)
    assert (row.tolist(), column.tolist(), electrons.tolist()) == ([5, 5], [7, 7], [10.0, 20.0])


@pytest.mark.parametrize(("integration", "group"), [(1, 1), (0, 0)])
def test_deposits_of_another_group_are_none(some, integration, group):
    """Where nothing came, there is nothing."""
    assert all(part.size == 0 for part in some.within(integration, group))


def test_joined_deposits_are_all_of_both(some, other):
    """Neither set loses anything."""
    assert rows_of(some.joined(other)) == rows_of(some) + rows_of(other)


def test_merged_deposits_are_one_for_each_pixel_and_group(other, some):
    """Charge in the same pixel and group adds up; the order is that of time and place."""
    merged = other.joined(some).merged()
    assert rows_of(merged) == [(0, 1, 5, 7, 30.0), (0, 2, 5, 7, 40.0), (1, 0, 2, 3, 5.0)]


def test_merging_keeps_the_charge(arrive):
    """No electron is lost, none is counted twice."""
    rays = arrive(cosmic_rays, FLIGHT_RATE)
    merged = rays.merged()
    # Sums in another order round otherwise.
    assert merged.electrons.sum() == pytest.approx(rays.electrons.sum(), rel=1e-12)


def test_merging_nothing_gives_nothing(arrive):
    """Without any deposits there are none afterwards."""
    assert rows_of(arrive(cosmic_rays, 0.0).merged()) == []


# ------------------------------------------------------------------- both kinds


@pytest.mark.parametrize("kind", ARRIVALS)
def test_no_arrivals_leave_no_charge(arrive, kind):
    """At a rate of 0 there are no deposits."""
    assert rows_of(arrive(kind, 0.0)) == []


@pytest.mark.parametrize("kind", ARRIVALS)
@pytest.mark.parametrize("read", subarrays())
def test_charge_is_inside_what_is_read(arrive, kind, read):
    """No deposit is in a row or column that the subarray does not have."""
    rows, columns = subarrays()[read].shape
    # A subarray gets a part of the showers only: so that there are as many in each.
    rate = SHOWER_RATE * SHAPE[0] * SHAPE[1] / (rows * columns) if kind is showers else HIT_RATE
    found = arrive(kind, rate, read=read, integrations=1)
    assert found.row.size > 0
    assert 0 <= found.row.min() <= found.row.max() < rows
    assert 0 <= found.column.min() <= found.column.max() < columns


@pytest.mark.parametrize("kind", ARRIVALS)
def test_no_charge_in_reference_pixels(arrive, kind):
    """Reference pixels have no layer in which to collect charge."""
    found = arrive(kind, SHOWER_RATE if kind is showers else HIT_RATE)
    assert not reference_pixels()[found.row, found.column].any()


@pytest.mark.parametrize("kind", ARRIVALS)
def test_charge_is_not_negative(arrive, kind):
    """Particles only add electrons."""
    found = arrive(kind, SHOWER_RATE if kind is showers else HIT_RATE)
    assert found.electrons.min() >= 0


@pytest.mark.parametrize("kind", ARRIVALS)
def test_charge_arrives_within_the_exposure(arrive, kind):
    """All integrations and groups of the exposure have some, and no others."""
    found = arrive(kind, SHOWER_RATE if kind is showers else HIT_RATE)
    groups = set(zip(found.integration.tolist(), found.group.tolist(), strict=True))
    assert groups == {(i, g) for i in range(INTEGRATIONS) for g in range(GROUPS)}


@pytest.mark.parametrize("kind", ARRIVALS)
def test_same_generator_gives_the_same_charge(kind):
    """The generator decides everything."""
    first, second = (
        kind(subarrays()["SUB256"], 20.0, 1.0, 3, 1, np.random.default_rng(SEED)) for _ in range(2)
    )
    assert rows_of(first) == rows_of(second)


# ------------------------------------------------------------------ cosmic rays


def test_mean_charge_is_that_of_the_tracks(rays):
    """The charge of all hits is their number times the mean over angle and straggling."""
    hits = HIT_RATE * FRAME_TIME * GROUPS * INTEGRATIONS
    mean, square = mean_charge()
    # Hits in reference columns leave nothing.
    expected = hits * mean * (1 - 2 * REFERENCE_COLUMNS / SHAPE[1])
    error = STANDARD_ERRORS * np.sqrt(hits * square) + EDGE_LOSS * expected
    assert rays.electrons.sum() == pytest.approx(expected, abs=error)


def test_hits_have_their_rate(hits_per_frame):
    """The mean number of tracks in a frame is the rate times the frame time."""
    counts, expected = hits_per_frame
    error = np.sqrt(expected / counts.size)
    # One hit in 200 touches another or only the edge of the sensitive columns.
    assert counts.mean() == pytest.approx(expected, abs=STANDARD_ERRORS * error + 0.005 * expected)


def test_number_of_hits_is_poisson(hits_per_frame):
    """The variance of the number of tracks is its mean."""
    counts, _ = hits_per_frame
    dispersion = counts.var(ddof=1) / counts.mean()
    assert dispersion == pytest.approx(1, abs=STANDARD_ERRORS * np.sqrt(2 / counts.size))


@pytest.mark.parametrize("read", ["BRIGHTSKY", "SUB256"])
def test_hits_are_in_proportion_to_the_area(arrive, read):
    """A subarray gets its part of the rate on the full array: it has no reference pixels."""
    rate = 2 * HIT_RATE
    found = arrive(cosmic_rays, rate, read=read).electrons.sum()
    rows, columns = subarrays()[read].shape
    hits = rate * FRAME_TIME * GROUPS * INTEGRATIONS * rows * columns / (SHAPE[0] * SHAPE[1])
    mean, square = mean_charge()
    # Tracks begin in the subarray and end beside it: a track's projected length, 2 pixels on
    # average in either direction, and a pixel of capacitance along two of four edges.
    lost = hits * mean * 4 / columns
    error = STANDARD_ERRORS * np.sqrt(hits * square)
    assert hits * mean - lost - error < found < hits * mean + error


def test_hits_are_in_all_groups_alike(rays):
    """Each group of each integration has the same part of the charge."""
    number = rays.integration * GROUPS + rays.group
    found = np.bincount(number, rays.electrons)
    mean, square = mean_charge()
    hits = HIT_RATE * FRAME_TIME
    expected = hits * mean * (1 - 2 * REFERENCE_COLUMNS / SHAPE[1])
    error = STANDARD_ERRORS * np.sqrt(hits * square) + EDGE_LOSS * expected
    np.testing.assert_allclose(found, expected, rtol=0, atol=error)


def test_charge_is_shared_with_the_neighbours():
    """Charge in one pixel appears in nine, by the parts of the capacitance."""
    one = np.array([0])
    found = particles._on_pixels(
        subarrays()["SUB256"], one, one, one + 20, one + 30, np.array([1e4])
    )
    image = np.zeros((3, 3))
    np.add.at(image, (found.row - 19, found.column - 29), found.electrons)
    np.testing.assert_allclose(image, 1e4 * INTERPIXEL_CAPACITANCE, rtol=1e-12)


@pytest.mark.parametrize(
    ("row", "column", "part"),
    [
        (0, 500, 1 - 0.024 - 2 * 0.013),
        (1023, 500, 1 - 0.024 - 2 * 0.013),
        (500, 4, 1 - 0.033 - 2 * 0.013),
        (500, 1027, 1 - 0.033 - 2 * 0.013),
        # Particles that only hit a reference pixel still couple into its neighbour.
        (500, 3, 0.033 + 2 * 0.013),
        (500, 0, 0.0),
    ],
)
def test_charge_is_lost_at_edges_only(row, column, part):
    """What neighbours do not have that do not exist or see nothing is lost."""
    zero = np.array([0])
    found = particles._on_pixels(
        subarrays()["FULL"], zero, zero, zero + row, zero + column, np.array([1.0])
    )
    assert found.electrons.sum() == pytest.approx(part, abs=1e-12)


# ---------------------------------------------------------------------- showers


def test_shower_fades(shower):
    """From group to group, the charge falls by the third root of e."""
    found = np.bincount(shower.group, shower.electrons)
    found = found[found > 0]
    np.testing.assert_allclose(found[1:] / found[:-1], np.exp(-1 / 3.0), rtol=1e-12)


def test_shower_is_of_many_pixels(shower):
    """Half of the charge of a group is in hundreds of pixels."""
    charge = np.sort(image_of_first_group(shower), axis=None)[::-1]
    half = np.sum(np.cumsum(charge) < charge.sum() / 2)
    # Half of a Gaussian is within ln 2 / 2 of the square of its radius of two standard deviations;
    # clumps of 0.5 rms concentrate it, but not to a half of that.
    low, high = (np.pi * radius**2 * np.log(2) / 2 for radius in particles._SHOWER_RADIUS)
    assert low / 2 < half < high


def test_shower_is_irregular(shower):
    """The charge scatters from clump to clump: it is no smooth disk."""
    image = image_of_first_group(shower)
    y, x = np.nonzero(image > 0.5 * image.max())
    # A smooth disk of Gaussian profile has all that is brighter than half within a circle.
    area = np.pi * (np.ptp(y) + 1) * (np.ptp(x) + 1) / 4
    assert y.size < 0.9 * area


def test_showers_have_their_rate(arrive):
    """The charge of all showers is their number times the mean over sizes."""
    rate = 20.0
    found = arrive(showers, rate, groups=1, integrations=1).electrons.sum()
    low, high = particles._SHOWER_RADIUS
    # A Gaussian of half the radius; of the square of a uniform radius the mean
    area = 2 * np.pi * (low**2 + low * high + high**2) / 3 / 4
    first = 1 - np.exp(-1 / particles._SHOWER_DECAY)
    number = rate * FRAME_TIME
    expected = number * np.mean(particles._SHOWER_PEAK) * area * first
    # Radius squared and peak scatter by 60 % and 35 % from shower to shower, their number by
    # Poisson's law; at the edges of the array is lost a half of those in 1.5 % of it.
    error = STANDARD_ERRORS * np.sqrt((1 + 0.6**2 + 0.35**2) / number) + 0.015
    assert found / expected == pytest.approx(1, abs=error)


def test_reset_ends_a_shower(arrive):
    """The charge of a shower is in one integration, from its start to the reset."""
    rate = 1 / (6 * 10 * FRAME_TIME)  # one in the exposure, on average
    lasting = []
    for seed in range(10):
        found = arrive(showers, rate, groups=6, integrations=10, seed=seed)
        for integration in np.unique(found.integration):
            groups = np.unique(found.group[found.integration == integration])
            lasting.append(groups.tolist() == list(range(groups[0], 6)))
    assert lasting
    assert all(lasting)
