"""The matrix of resampling gives the mosaic that the drizzle package makes, and its noise."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from scipy.sparse import csr_array

from miri_background.outcomes import CannotJudge
from miri_background.validation.mosaic import skies
from miri_background.validation.mosaic.exact import exact_measurements, resampled_measurements
from miri_background.validation.mosaic.resampling import Resampling, member_weights

from .conftest import GRID, drizzled

DRAWS = 400
SIGMAS = 5.0  # standard errors of a number that was drawn
INSIDE = (slice(1, -1), slice(1, -1))  # the kernel of the package is cut at the edge of the grid


@pytest.fixture
def resampling(mosaic):
    """Return what resampling does."""
    return Resampling(mosaic)


def measured(mosaic):
    """Return the numbers of what is exact in a mosaic, by criterion."""
    resampled = resampled_measurements(mosaic, Resampling(mosaic))
    return {each.criterion: each.value for each in (*exact_measurements(mosaic), *resampled)}


@pytest.mark.parametrize("fraction", [1.0, 0.7])
def test_mosaic_is_that_of_the_drizzle_package(members, fraction):
    """Values and weights, to the rounding of single precision."""
    mosaic = drizzled(members, fraction)
    resampling = Resampling(mosaic)
    mean = resampling.of([member.data - member.level for member in mosaic.members])
    # Rounding leaves a little weight along borders that the grid's lines meet.
    has = mosaic.covered[INSIDE] & (mosaic.weight[INSIDE] > 1e-3 * np.median(mosaic.weight))
    assert mosaic.data[INSIDE][has] == pytest.approx(mean[INSIDE][has], rel=1e-5)
    assert mosaic.weight[INSIDE][has] == pytest.approx(resampling.weight[INSIDE][has], rel=1e-4)


def test_another_fraction_of_pixels_is_noticed(members):
    """Smaller pixels leave other means and weights than the header tells."""
    mosaic = drizzled(members, 0.7)
    mosaic.header["PIXFRAC"] = 1.0
    assert measured(mosaic)["mosaic value"] > 100
    assert measured(mosaic)["mosaic weight"] > 100


def test_uniform_sky_stays_uniform(mosaic, resampling):
    """A mean has weights that add up to one."""
    ones = resampling.of([np.ones(member.data.shape) for member in mosaic.members])
    assert ones[resampling.weight > 0] == pytest.approx(1.0)


def test_noise_of_pixels_and_of_sums_is_that_of_draws(mosaic, resampling):
    """Neighbours have noise in common: a sum of 25 scatters more than its pixels say."""
    generator = np.random.default_rng(11)
    variances = [member.variances["VAR_RNOISE"] for member in mosaic.members]
    rows, columns = np.mgrid[20:25, 24:29]
    places = (rows * mosaic.data.shape[1] + columns).ravel()
    sums = csr_array((np.ones(25), (np.zeros(25, dtype=int), places)), shape=(1, mosaic.data.size))
    counted = resampling.of_sums(sums)
    of_sum = sum(
        float((each.multiply(each) @ variance.ravel())[0])
        for each, variance in zip(counted, variances, strict=True)
    )
    drawn = [
        resampling.of([np.sqrt(each) * generator.standard_normal(each.shape) for each in variances])
        for _ in range(DRAWS)
    ]
    scatter = np.var([each.ravel()[places] for each in drawn], axis=0)
    of_pixels = resampling.variance(variances).ravel()[places]
    error = np.sqrt(2 / DRAWS)
    assert scatter.mean() / of_pixels.mean() == pytest.approx(1, abs=SIGMAS * error)
    found = np.var([each.ravel()[places].sum() for each in drawn])
    assert found / of_sum == pytest.approx(1, abs=SIGMAS * error)
    assert of_sum > 1.5 * of_pixels.sum()


@pytest.mark.parametrize("kind", ["ivm", "exptime"])
def test_bad_pixels_have_no_weight(members, kind):
    """Whatever the others have."""
    member = members[0]
    weight = member_weights(member, kind)
    assert ((weight == 0) == (member.dq != 0)).all()


def test_correct_mosaic_has_nothing_wrong(mosaic):
    """All counts are zero, and errors follow from those of the exposures."""
    err = 1 / np.sqrt(np.maximum(mosaic.weight, 1e-9))
    numbers = measured(replace(mosaic, err=err))
    assert numbers.pop("mosaic error") == pytest.approx(0, abs=2)
    assert set(numbers.values()) == {0.0}


def test_pixels_that_others_see_follow_from_their_shifts(mosaic, resampling):
    """Dithers are of a few pixels: the middle is seen by both others, the first row is not."""
    flagged = replace(mosaic.members[0], dq=np.ones_like(mosaic.members[0].dq))
    # Whether a pixel is itself flagged does not matter.
    alone = replace(mosaic, members=[flagged, *mosaic.members[1:]])
    others = resampling.others(alone, 0)
    assert others.shape == flagged.data.shape
    assert others.max() == 2
    assert (others[12:-12, 12:-12] == 2).mean() > 0.3
    assert others[0].max() < 2


@pytest.mark.parametrize(("row", "number"), [(1, 0.0), (2, 1.0)])
def test_pixels_that_the_edge_may_cut_are_not_judged(mosaic, row, number):
    """A pixel of an exposure that crosses the edge reaches its diagonal into the grid."""
    there = np.flatnonzero(mosaic.covered[row, 10:]) + 10
    # The exposures do not reach so far down: the grid is cut there.
    data = mosaic.data[: mosaic.data.shape[0]].copy()
    data[row, there[:1]] += 1
    assert measured(replace(mosaic, data=data))["mosaic value"] == number


def wrong_header(mosaic, **cards):
    """Return a mosaic with other cards beside its values."""
    extension = mosaic.extension.copy()
    extension.update(cards)
    return replace(mosaic, extension=extension)


def changed_member(mosaic, **cards):
    """Return a mosaic of which an exposure has other cards."""
    first = mosaic.members[0]
    header = first.header.copy()
    header.update(cards)
    return replace(mosaic, members=[replace(first, header=header), *mosaic.members[1:]])


WRONG = {
    "value": (lambda each: replace(each, data=each.data + 0.1), "mosaic value"),
    "a hole": (
        lambda each: replace(each, data=np.where(each.weight > 0, np.nan, 0)),
        "mosaic value",
    ),
    "weight": (lambda each: replace(each, weight=each.weight * 1.1), "mosaic weight"),
    "error": (lambda each: replace(each, err=each.err * 9), "mosaic error"),
    "unit": (lambda each: wrong_header(each, BUNIT="Jy"), "mosaic header"),
    "area": (lambda each: wrong_header(each, PIXAR_SR=3e-13), "mosaic header"),
    "other level": (lambda each: changed_member(each, BKGLEVEL=1.0), "mosaic value"),
    "a background": (lambda each: changed_member(each, BKGDTARG=True), "mosaic members"),
    "unsubtracted": (lambda each: changed_member(each, S_BKDSUB="SKIPPED"), "mosaic members"),
    "twice": (lambda each: replace(each, named=[*each.named, each.named[0]]), "mosaic members"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_counted(mosaic, name):
    """By the criterion that is for it."""
    change, criterion = WRONG[name]
    assert abs(measured(change(mosaic))[criterion]) > (1 if criterion == "mosaic error" else 0)


def test_one_factor_of_all_values_is_named(mosaic):
    """As jwst 1.16 multiplies all by a ratio of areas; other differences have a place."""
    details = {}
    for name, data in {"scaled": 1.0094 * mosaic.data, "one": mosaic.data.copy()}.items():
        if name == "one":
            data[20, 20] += 1
        wrong = replace(mosaic, data=data)
        value, *_ = resampled_measurements(wrong, Resampling(wrong))
        details[name] = value.detail
    assert "all are 1.0094" in details["scaled"]
    assert details["one"] == "first at column 21, row 21"


def test_variances_are_those_of_the_error(mosaic):
    """Their sum is its square; a part that is doubled is noticed in each pixel that has it."""
    whole = replace(mosaic, variance=mosaic.err**2)
    assert measured(whole)["mosaic variances"] == 0
    changed = replace(mosaic, variance=np.where(np.arange(GRID[1]) < 5, 1.1, 1) * mosaic.err**2)
    assert measured(changed)["mosaic variances"] == np.count_nonzero(mosaic.covered[:, :5])


def catalogue_of(mosaic):
    """Return a catalogue of two entries, of which the second has less than no flux."""
    x, y = np.array([20.5, 30.0]), np.array([10.0, 25.25])
    flux = np.array([2e-6, -3e-7])
    with np.errstate(invalid="ignore"):
        magnitudes = -2.5 * np.log10(flux / 3631)
    return QTable(
        {
            "xcentroid": x,
            "ycentroid": y,
            "sky_centroid": mosaic.wcs.pixel_to_world(x, y),
            "aper_total_flux": flux * u.Jy,
            "aper_total_flux_err": [2e-7, 2e-7] * u.Jy,
            "aper_total_abmag": magnitudes,
            "aper_total_abmag_err": [2.5 * np.log10(1.1), np.nan],
        }
    )


def test_catalogue_that_agrees_with_itself_has_nothing_wrong(mosaic):
    """What has no magnitude is not wrong."""
    whole = replace(mosaic, catalogue=catalogue_of(mosaic))
    assert measured(whole)["catalogue columns"] == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("aper_total_abmag", lambda table: table["aper_total_abmag"] + 0.01),
        ("aper_total_abmag_err", lambda table: table["aper_total_abmag_err"] / 2),
        (
            "sky_centroid",
            lambda table: table["sky_centroid"].directional_offset_by(0 * u.deg, 5 * u.mas),
        ),
    ],
)
def test_column_that_contradicts_another_is_named(mosaic, name, change):
    """By a hundredth of a magnitude, and by 5 milliarcsec."""
    catalogue = catalogue_of(mosaic)
    catalogue[name] = change(catalogue)
    changed = replace(mosaic, catalogue=catalogue)
    found = {each.criterion: each for each in exact_measurements(changed)}["catalogue columns"]
    assert found.detail == name
    assert found.value == (2 if name == "sky_centroid" else 1)


def test_members_that_should_be_there_are_named(mosaic):
    """One that is missing, and one that does not belong."""
    stems = ["exposure1", "exposure2", "exposure9"]
    (members, _) = exact_measurements(mosaic, stems)
    assert (members.value, members.detail) == (2.0, "exposure9 is not in it")


def test_missing_exposure_is_named(mosaic):
    """Without it, nothing is known of values."""
    with pytest.raises(CannotJudge, match=r"exposure1_crf\.fits beside it"):
        Resampling(replace(mosaic, members=mosaic.members[1:]))


@pytest.mark.parametrize("fraction", [0.0, 1.5, "point"])
def test_fraction_that_no_pixel_has_is_refused(mosaic, fraction):
    """What is not known here is not judged."""
    mosaic.header["PIXFRAC"] = fraction
    with pytest.raises(CannotJudge, match=f"PIXFRAC = {fraction}"):
        Resampling(mosaic)


@pytest.mark.slow
def test_scatter_of_the_mode_is_that_of_draws():
    """By so much skymatch may be wrong although it is right, and not by twice as much."""
    from stcal.skymatch.skystatistics import SkyStats

    number, draws = 60_000, 60
    mode = SkyStats(skystat="mode", nclip=5, lsig=4, usig=4, binwidth=0.1)
    generator = np.random.default_rng(1)
    found = [mode(generator.standard_normal(number).astype("f4"))[0] for _ in range(draws)]
    assert 0.5 < np.std(found) / (skies.MODE_SCATTER / np.cbrt(number)) < 1.2
