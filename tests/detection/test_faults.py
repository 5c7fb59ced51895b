"""Each fault breaks what it says and nothing else, in the installed step and only for its time."""

from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.table import QTable

from miri_background.detection.faults import patterns
from miri_background.detection.faults.broken_step import (
    broken_pipeline,
    injected,
    ready,
    spoil_rates,
)
from miri_background.detection.faults.catalogue import FAULTS
from miri_background.detection.faults.fault import Fault, Rates
from miri_background.outcomes import CannotJudge
from miri_background.validation.products.images import Truth

pytestmark = pytest.mark.slow

SHAPE = (64, 72)
SKY, NOISE, STAR, ERROR = 14.0, 0.3, 60.0, 0.3
SIGMA, MAXITERS = 2.0, 3
SMALL = 0.02  # DN/s: the amplitude of small damages
JUMP, DO_NOT_USE = 4, 1
PLANES = {
    "combined": ("data", "err", "dq"),
    "result": ("data", "err", "dq", "var_poisson", "var_rnoise"),
}
VALUES = {"combined data", "result data"}
AVERAGE = VALUES | {"combined err"}
FLAGS = {"combined dq", "result dq"}
# What each fault changes: by its family, or by its name where it differs from the others.
BY_FAMILY = {
    "averaging": AVERAGE,
    "subtraction": {"result data"},
    "errors": {"combined err"},
    "flags": FLAGS,
    "not a number": VALUES,
    "precision": VALUES,
    "local damage": VALUES,
    "metadata": {"header"},
}
BY_NAME = {
    "median": AVERAGE,
    "weighted mean": VALUES,
    "member dropped": AVERAGE | FLAGS,
    "member doubled": AVERAGE | FLAGS,
    "foreign member": AVERAGE | FLAGS,
    "stale background": AVERAGE | FLAGS,
    "science error linear": {"result err"},
    "science error 1 % off": {"result err"},
    "science error in quadrature": {"result err"},
    "science variance lost": {"result var_rnoise"},
    "rate's flags only": {"result dq"},
    "background's flags only": {"result dq"},
}
OF_STEP = [name for name, each in FAULTS.items() if each.of_step and not each.saved]
OF_INPUTS = [name for name, each in FAULTS.items() if each.rates]


def expected_changes(name):
    """Return what a fault of the step should change."""
    return BY_NAME.get(name, BY_FAMILY[FAULTS[name].family])


def model_of(generator, name, crowding=0.0):
    """Return a rate with stars in a part of the pixels, flags, and pixels without a value."""
    from stdatamodels.jwst.datamodels import ImageModel

    data = generator.normal(SKY, NOISE, SHAPE)
    data[generator.random(SHAPE) < crowding] += STAR
    dq = np.where(generator.random(SHAPE) < 0.02, JUMP, 0)
    data[generator.random(SHAPE) < 0.01] = np.nan
    # No exposure has a value in the corner, and all of them say so.
    data[0, 0], dq[0, 0] = np.nan, DO_NOT_USE
    model = ImageModel(data.astype(np.float32))
    model.err = generator.normal(ERROR, ERROR / 20, SHAPE).astype(np.float32)
    model.dq = dq.astype(np.uint32)
    model.var_poisson, model.var_rnoise = 0.8 * model.err**2, 0.2 * model.err**2
    window = {"xstart": 1, "ystart": 1, "xsize": SHAPE[1], "ysize": SHAPE[0]}
    for key, value in window.items():
        setattr(model.meta.subarray, key, value)
    model.meta.filename, model.meta.instrument.name = name, "MIRI"
    model.meta.instrument.filter, model.meta.asn.table_name = "F770W", "asn.json"
    model.meta.cal_step.bkg_subtract = "COMPLETE"  # as the step says at its end
    return model


@pytest.fixture(scope="module")
def rates():
    """Return a science exposure and four backgrounds."""
    generator = np.random.default_rng(770)
    science = model_of(generator, "science.fits")
    return science, [model_of(generator, f"background{each}.fits", 0.05) for each in range(4)]


@pytest.fixture(scope="module")
def step(rates):
    """Return a function that subtracts with a fault by the installed functions."""
    from jwst.background import background_step

    science, backgrounds = rates

    @cache
    def run(fault=None):
        context = nullcontext() if fault is None else injected(ready(fault))
        with context:
            combined, result = background_step.background_sub(
                science.copy(), backgrounds, SIGMA, MAXITERS
            )
        if fault is not None and fault.finish:
            fault.finish(result)
        return SimpleNamespace(combined=combined, result=result)

    return run


@pytest.fixture(scope="module")
def correct(step):
    """Return what the installed step makes."""
    return step()


@pytest.fixture(scope="module")
def members(rates):
    """Return the values of the backgrounds."""
    return np.stack([each.data for each in rates[1]]).astype(float)


def changes(before, after):
    """Return the names of planes and headers that differ."""
    changed = {
        f"{product} {plane}"
        for product, planes in PLANES.items()
        for plane in planes
        if not np.array_equal(
            getattr(getattr(before, product), plane),
            getattr(getattr(after, product), plane),
            equal_nan=getattr(getattr(after, product), plane).dtype.kind == "f",
        )
    }
    headers = [each.result.to_flat_dict(include_arrays=False) for each in (before, after)]
    for header in headers:
        header.pop("meta.date", None)
    return changed | ({"header"} if headers[0] != headers[1] else set())


@pytest.mark.parametrize("name", OF_STEP)
def test_fault_breaks_what_it_says(step, correct, name):
    """All planes that a fault is about are changed, and no other."""
    assert changes(correct, step(FAULTS[name])) == expected_changes(name)


@pytest.mark.parametrize(
    "name", [name for name in OF_STEP if "combined data" in expected_changes(name)]
)
def test_wrong_average_is_what_is_subtracted(rates, step, name):
    """Combined background and result stay consistent where the average is broken."""
    broken = step(FAULTS[name])
    np.testing.assert_array_equal(broken.result.data, rates[0].data - broken.combined.data)


@pytest.mark.parametrize(
    ("name", "average"),
    [
        ("plain mean", lambda values: np.nanmean(values, axis=0)),
        ("median", lambda values: np.nanmedian(values, axis=0)),
        ("clipping off", lambda values: np.nanmean(values, axis=0)),
        ("wrong sigma", lambda values: clipped_mean(values, sigma=3.0)),
        ("wrong centre", lambda values: clipped_mean(values, cenfunc="mean")),
        ("one iteration", lambda values: clipped_mean(values, maxiters=1)),
        ("member dropped", lambda values: clipped_mean(values[:-1])),
        ("member doubled", lambda values: clipped_mean(values[[0, 1, 2, 0]])),
    ],
)
def test_average_is_the_wrong_one(step, members, name, average):
    """The wrong average is the one that the fault is called after."""
    values = members[:, 1:, 1:]  # without the corner, where there is none
    combined = step(FAULTS[name]).combined.data[1:, 1:]
    # Twice the rounding of float32.
    np.testing.assert_allclose(combined, average(values), rtol=2.4e-7)


def clipped_mean(values, **choices):
    """Return the average that astropy has with other choices."""
    masked = np.ma.masked_invalid(values)
    options = {"sigma": SIGMA, "maxiters": MAXITERS} | choices
    return sigma_clip(masked, axis=0, **options).mean(axis=0).data


def test_zero_stands_for_a_missing_value(step, correct, members):
    """Where clipping takes nothing, a value that is missing pulls the mean down by its part."""
    broken = step(FAULTS["NaN as zero"])
    missing = ~np.isfinite(members)
    whole = ~missing.any(axis=0)
    np.testing.assert_array_equal(broken.combined.data[whole], correct.combined.data[whole])
    one = (missing.sum(axis=0) == 1) & (np.nan_to_num(members).max(axis=0) < SKY + STAR / 2)
    ratio = broken.combined.data[one] / correct.combined.data[one]
    # Three values are left, or the two that clipping leaves of them.
    assert {round(float(each), 5) for each in ratio} <= {0.75, round(2 / 3, 5)}
    assert one.any()


def test_stale_background_is_that_of_the_exposure_before(rates, correct):
    """The second exposure gets what was the first one's, which is right where both are the same."""
    from jwst.background import background_step

    science, backgrounds = rates
    stale = ready(FAULTS["stale background"])
    with injected(stale):
        of_three, of_four = (
            background_step.background_sub(science.copy(), backgrounds, SIGMA, MAXITERS)[0]
            for _ in range(2)
        )
    alone, _ = background_step.background_sub(science.copy(), backgrounds[:-1], SIGMA, MAXITERS)
    np.testing.assert_array_equal(of_three.data, alone.data)
    np.testing.assert_array_equal(of_four.data, correct.combined.data)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("only Lyot", SHAPE[0] * SHAPE[1]),  # there is no Lyot field in so small an array
        ("one column", SHAPE[0]),
        ("one amplifier", SHAPE[0] * SHAPE[1] // 4),
        ("a corner", 40 * 40),
    ],
)
def test_damage_is_local_and_small(step, correct, name, number):
    """So many pixels are off by the small amplitude, all others are as they were."""
    difference = step(FAULTS[name]).combined.data - correct.combined.data
    assert np.count_nonzero(difference) == number
    # The sum rounds to half a unit in the last place of a float32 as large as a star.
    np.testing.assert_allclose(difference[difference != 0], SMALL, atol=(SKY + STAR) * 2**-23)


def test_lyot_damage_is_in_the_lyot_field_only():
    """On the full array the damage keeps to the rectangle of the Lyot field."""
    where = patterns.in_lyot((1024, 1032))
    np.testing.assert_array_equal(where > 0, patterns.regions()["Lyot"].mask())


def test_gradient_has_no_mean(step, correct):
    """The gradient changes no level: only its ends are off, one way and the other."""
    difference = step(FAULTS["a gradient"]).combined.data - correct.combined.data
    assert abs(difference.mean()) < SMALL / 1000
    np.testing.assert_allclose(difference[:, [0, -1]].mean(axis=0), [-SMALL, SMALL], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("not divided by N", 4.0),
        ("divided by root N", 2.0),
        ("1 % too large", 1.01),
    ],
)
def test_error_is_off_by_its_factor(step, correct, name, factor):
    """The error of the average is scaled by what the fault leaves out."""
    ratio = step(FAULTS[name]).combined.err[1:, 1:] / correct.combined.err[1:, 1:]
    np.testing.assert_allclose(ratio, factor, rtol=1e-6)


def test_one_wrong_bit_is_one(step, correct):
    """Exactly one bit of one pixel differs."""
    wrong = step(FAULTS["one wrong bit"]).combined.dq ^ correct.combined.dq
    assert np.count_nonzero(wrong) == 1
    assert wrong.max().bit_count() == 1


def test_header_of_a_saved_file_names_another(tmp_path):
    """Only the keyword of the file's name is changed, and only in what is called bsub."""
    header = fits.Header({"FILENAME": "one_bsub.fits", "FILTER": "F770W"})
    path = tmp_path / "one_bsub.fits"
    fits.PrimaryHDU(header=header).writeto(path)
    FAULTS["wrong file name"].saved(path)
    assert fits.getval(path, "FILENAME") == "one_rate.fits"
    assert fits.getval(path, "FILTER") == "F770W"


# ------------------------------------------------------------------ the class


def test_broken_pipeline_is_called_like_the_installed_one():
    """The name, by which CRDS finds parameters, and all other steps are the installed ones."""
    from jwst.pipeline import Image2Pipeline

    installed = dict(Image2Pipeline.step_defs)
    broken = broken_pipeline("twice")
    assert broken.__name__ == Image2Pipeline.__name__
    assert issubclass(broken, Image2Pipeline)
    assert Image2Pipeline.step_defs == installed
    different = {name for name in installed if broken.step_defs[name] is not installed[name]}
    assert different == {"bkg_subtract"}
    assert issubclass(broken.step_defs["bkg_subtract"], installed["bkg_subtract"])


def test_installed_functions_are_back_after_an_error(step):
    """A step that ends with an error leaves nothing broken behind."""
    from jwst.background import background_step, background_sub

    before = background_sub.average_background, background_step.background_sub
    failing = Fault("fails", "test", "raises", average=lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        step(failing)
    assert (background_sub.average_background, background_step.background_sub) == before


def test_unknown_fault_is_answered_with_the_list():
    """The sentence names what is unknown, and all that could be chosen."""
    with pytest.raises(CannotJudge, match="There is no fault 'meteorite'") as caught:
        broken_pipeline("meteorite")
    assert all(name in str(caught.value) for name in FAULTS)


def test_there_are_enough_faults_of_every_kind():
    """At least thirty faults of the step are there, and no two that say the same."""
    assert len(OF_STEP) >= 30
    assert len({each.description for each in FAULTS.values()}) == len(FAULTS)


# ------------------------------------------------------------------ inputs


def rate_file(generator):
    """Return a rate file in memory."""
    planes = {
        "SCI": generator.normal(SKY, NOISE, SHAPE),
        "ERR": np.full(SHAPE, ERROR),
        "DQ": np.where(np.arange(SHAPE[1]) % 50 == 7, JUMP, 0) + np.zeros(SHAPE),
        "VAR_POISSON": np.full(SHAPE, 0.8 * ERROR**2),
        "VAR_RNOISE": np.full(SHAPE, 0.2 * ERROR**2),
    }
    kinds = {"DQ": np.uint32}
    return fits.HDUList(
        [
            fits.PrimaryHDU(),
            *(
                fits.ImageHDU(plane.astype(kinds.get(name, np.float32)), name=name)
                for name, plane in planes.items()
            ),
        ]
    )


def truth_of_sources():
    """Return a truth with a star and a galaxy, far from each other."""
    y, x = np.indices(SHAPE)
    star = 50 * np.exp(-((x - 60) ** 2 + (y - 50) ** 2) / 4)
    galaxy = 5 * np.exp(-((x - 15) ** 2 + (y - 15) ** 2) / 20)
    catalogue = QTable({"x": [60.0, 15.0], "y": [50.0, 15.0], "kind": ["star", "galaxy"]})
    return Truth(np.full(SHAPE, SKY), star + galaxy, catalogue)


@pytest.fixture
def files():
    """Return rates of two science exposures and three backgrounds with truth."""
    generator = np.random.default_rng(771)
    science, backgrounds = ([rate_file(generator) for _ in range(many)] for many in (2, 3))
    return Rates(
        science, backgrounds, [truth_of_sources()] * 2, [truth_of_sources() for _ in backgrounds]
    )


def planes_of(rates):
    """Return copies of all planes by field, number and name."""
    return {
        (field, number, hdu.name): hdu.data.copy()
        for field in ("science", "backgrounds")
        for number, hdus in enumerate(getattr(rates, field))
        for hdu in hdus[1:]
    }


def spoilt(rates, name):
    """Return by how much planes are changed by a fault of the inputs, those that are."""
    before = planes_of(rates)
    spoil_rates(name, rates)
    after = planes_of(rates)
    return {
        key: after[key].astype(float) - before[key]
        for key in before
        if not np.array_equal(after[key], before[key])
    }


def in_backgrounds(numbers, *names):
    """Return the keys of planes of backgrounds."""
    return {("backgrounds", number, name) for number in numbers for name in names}


ALL_BACKGROUNDS = in_backgrounds(range(3), "SCI")
ALL_SCIENCE = {("science", number, "SCI") for number in range(2)}
SPOILT = {
    "background pedestal": ALL_BACKGROUNDS,
    "pedestal everywhere": ALL_BACKGROUNDS | ALL_SCIENCE,
    "tilted imager": ALL_BACKGROUNDS,
    "drifted outputs": ALL_BACKGROUNDS,
    "bad column": ALL_BACKGROUNDS,
    "bad row": ALL_BACKGROUNDS,
    "mottled backgrounds": ALL_BACKGROUNDS,
    "rate errors 1 % low": {
        (field, number, name)
        for field, number, _ in ALL_BACKGROUNDS | ALL_SCIENCE
        for name in ("ERR", "VAR_POISSON", "VAR_RNOISE")
    },
    "noisier rates": ALL_BACKGROUNDS | ALL_SCIENCE,
    "science stars faint": ALL_SCIENCE,
    "galaxy faint": ALL_SCIENCE,
    "background stars bright": ALL_BACKGROUNDS,
    "same exposure twice": in_backgrounds([2], "SCI"),
    "another epoch": in_backgrounds([2], "SCI"),
    "opposite tilts": ALL_SCIENCE,
    "opposite outputs": ALL_SCIENCE,
    "opposite columns": ALL_SCIENCE,
    "opposite rows": ALL_SCIENCE,
    "read variance too large": {
        (field, number, "VAR_RNOISE") for field, number, _ in ALL_BACKGROUNDS | ALL_SCIENCE
    },
    "photon variance too large": {
        (field, number, "VAR_POISSON") for field, number, _ in ALL_BACKGROUNDS | ALL_SCIENCE
    },
    "hits left": ALL_SCIENCE,
    "hits scattered": ALL_SCIENCE,
    "mostly flagged": {("science", number, "DQ") for number in range(2)},
    "NaN as zero": in_backgrounds([0], "SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"),
}


@pytest.mark.parametrize("name", OF_INPUTS)
def test_input_fault_spoils_its_planes_only(files, name):
    """Only the planes of the exposures that the fault is about are changed."""
    assert set(spoilt(files, name)) == SPOILT[name]


@pytest.mark.parametrize("name", ["background pedestal", "pedestal everywhere"])
def test_pedestal_is_small_and_the_same_everywhere(files, name):
    """Each pixel is off by the small amplitude, within the rounding of float32."""
    for difference in spoilt(files, name).values():
        np.testing.assert_allclose(difference, SMALL, atol=SKY * 2**-23)


def test_tilt_has_no_mean(files):
    """A gradient that is put in changes no level."""
    for difference in spoilt(files, "tilted imager").values():
        assert abs(difference.mean()) < 0.015 / 1000


def test_tilt_is_in_the_imager_only_and_changes_no_mean_there():
    """On the full array no region has another mean, so that only a gradient can tell."""
    where = patterns.tilted_imager((1024, 1032))
    means = {name: where[each.slices].mean() for name, each in patterns.regions().items()}
    assert set(means.values()) - {0.0} == {means["imager"]}
    assert abs(means["imager"]) < 1e-6
    assert np.abs(where).max() == 1


@pytest.mark.parametrize(("name", "axis"), [("bad column", 0), ("bad row", 1)])
def test_stripe_is_one_line(files, name, axis):
    """Only one column, or one row, is off."""
    for difference in spoilt(files, name).values():
        lines = np.count_nonzero(difference, axis=axis)
        assert sorted(lines)[-2:] == [0, SHAPE[axis]]


@pytest.mark.parametrize(
    ("name", "position", "factor"),
    [
        ("science stars faint", (50, 60), 0.99),
        ("galaxy faint", (15, 15), 0.95),
        ("background stars bright", (50, 60), 1.3),
    ],
)
def test_light_of_sources_is_scaled(files, name, position, factor):
    """At the source of one kind the light is scaled; in the middle between, nothing is."""
    light = truth_of_sources().sources
    for difference in spoilt(files, name).values():
        ratio = 1 + difference[position] / light[position]
        # The rounding of the sum of sky and star in float32.
        assert ratio == pytest.approx(factor, abs=2e-5)
        other = (50, 60) if position == (15, 15) else (15, 15)
        assert abs(difference[other]) <= (0 if name != "galaxy faint" else 3.0)


def test_rate_errors_stay_consistent(files):
    """Variances are scaled as the square of the errors."""
    spoil_rates("rate errors 1 % low", files)
    for hdus in files.science:
        parts = hdus["VAR_POISSON"].data + hdus["VAR_RNOISE"].data
        np.testing.assert_allclose(parts, hdus["ERR"].data ** 2, rtol=1e-6)
        np.testing.assert_allclose(hdus["ERR"].data, 0.99 * ERROR, rtol=1e-6)
