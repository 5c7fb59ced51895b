"""Each change of the background step does what it says, and nothing else."""

import numpy as np
import pytest
from jwst.background import BackgroundStep
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from miri_background.fixes.step import FixedBackgroundStep, combined_flags

SIZE = 16  # rows and columns of the science exposure, which begins in the corner
DO_NOT_USE, SATURATED, JUMP = 1, 2, 4  # bits of DQ
CHANGES = {
    "placed": {"placed": True},
    "masked": {"masked": True},
    "all": {"flags": "all"},
    "part": {"flags": "part"},
    "flag_empty": {"flag_empty": True},
}
PLANES = ("data", "err", "dq", "var_poisson", "var_rnoise")


def exposure(value, err=1.0, size=SIZE, first=1, name="rate"):
    """Return an exposure of one value, or of one for each pixel."""
    shape = (size, size)
    model = ImageModel(
        data=np.broadcast_to(value, shape).astype(np.float32),
        err=np.full(shape, err, np.float32),
        dq=np.zeros(shape, np.uint32),
        # A quarter of the variance is of photons.
        var_poisson=np.full(shape, err**2 / 4, np.float32),
        var_rnoise=np.full(shape, 3 * err**2 / 4, np.float32),
    )
    model.meta.filename = f"{name}.fits"
    model.meta.instrument.name, model.meta.exposure.type = "MIRI", "MIR_IMAGE"
    model.meta.subarray.xstart = model.meta.subarray.ystart = first
    model.meta.subarray.xsize = model.meta.subarray.ysize = size
    return model


def columns(size, first):
    """Return the detector column of each pixel."""
    return np.arange(first, first + size, dtype=np.float32)


def fixed(science, backgrounds, **changes):
    """Return what the step makes with some changes."""
    step = FixedBackgroundStep(sigma=3.0, **changes)
    return step.run(science.copy(), [each.copy() for each in backgrounds])


def installed(science, backgrounds):
    """Return what the installed step makes."""
    return BackgroundStep(sigma=3.0).run(science.copy(), [each.copy() for each in backgrounds])


def differing(first, second):
    """Return the planes in which two results are not the same, to the last bit."""
    return {
        name
        for name in PLANES
        if not np.array_equal(getattr(first, name), getattr(second, name), equal_nan=name != "dq")
    }


@pytest.fixture
def science():
    """Return a science exposure."""
    return exposure(10.0, err=3.0)


@pytest.fixture
def backgrounds():
    """Return two backgrounds without flags."""
    return [exposure(4.0, name="one"), exposure(6.0, name="two")]


def test_without_changes_it_is_the_installed_step(science, backgrounds):
    """Also where one background flags a pixel and gives another no value."""
    backgrounds[0].dq[2, 3] = DO_NOT_USE
    backgrounds[1].data[4, 5] = np.nan
    assert not differing(fixed(science, backgrounds), installed(science, backgrounds))


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_nothing_changes_where_there_is_nothing_to_mend(science, backgrounds, changes):
    """Backgrounds of the same subarray, without a flag."""
    before = installed(science, backgrounds)
    assert not differing(fixed(science, backgrounds, **changes), before)


@pytest.mark.parametrize("first", [1, 5, 13])
def test_placed_background_leaves_zero_where_it_was_read(first):
    """Pixels that hold their own column; at 13, two columns are beyond the science exposure."""
    science = exposure(columns(SIZE, 1))
    background = exposure(columns(6, first), size=6, first=first)
    result = fixed(science, [background], placed=True).data
    inside = np.zeros((SIZE, SIZE), dtype=bool)
    inside[first - 1 : first + 5, first - 1 : first + 5] = True
    assert not result[inside].any()
    np.testing.assert_array_equal(result[~inside], science.data[~inside])


def test_background_that_begins_before_the_science_exposure_is_placed():
    """Four of its columns are before the science exposure begins."""
    science = exposure(columns(SIZE, 9), first=9)
    background = exposure(columns(SIZE, 5), first=5)
    result = fixed(science, [background], placed=True).data
    assert not result[:12, :12].any()
    assert (result[12:] != 0).all()


def test_placed_differs_from_the_installed_step_only_for_other_subarrays():
    """Flags are placed like values, and where nothing covers a pixel, nothing is flagged."""
    science, background = exposure(10.0), exposure(4.0, size=4, first=9)
    background.dq[0, 1] = JUMP
    result = fixed(science, [background], placed=True)
    assert result.dq[8, 9] == JUMP
    assert np.count_nonzero(result.dq) == 1


def test_flagged_empty_pixels_are_those_without_a_background():
    """All but those that one background covers."""
    background = exposure(4.0, size=4, first=9)
    result = fixed(exposure(10.0), [background], placed=True, flag_empty=True)
    flagged = result.dq & DO_NOT_USE > 0
    assert not flagged[8:12, 8:12].any()
    assert np.count_nonzero(flagged) == SIZE**2 - 16


def test_masked_value_is_not_averaged(science, backgrounds):
    """What is left is the other background; other flags mask nothing."""
    backgrounds[0].dq[2, 3] = DO_NOT_USE
    backgrounds[0].dq[4, 5] = SATURATED
    before, result = installed(science, backgrounds), fixed(science, backgrounds, masked=True)
    assert (before.data[2, 3], result.data[2, 3]) == (5.0, 4.0)
    assert np.argwhere(before.data != result.data).tolist() == [[2, 3]]
    assert differing(before, result) == {"data"}


def test_flags_of_all_are_those_that_both_have(science, backgrounds):
    """One bit is in both backgrounds, one in one; the science exposure keeps its own."""
    backgrounds[0].dq[2, 3], backgrounds[1].dq[2, 3] = JUMP | DO_NOT_USE, JUMP
    science.dq[2, 3] = SATURATED
    before, result = installed(science, backgrounds), fixed(science, backgrounds, flags="all")
    assert before.dq[2, 3] == JUMP | DO_NOT_USE | SATURATED
    assert result.dq[2, 3] == JUMP | SATURATED
    assert differing(before, result) == {"dq"}


@pytest.mark.parametrize(
    ("rule", "least", "expected"),
    [
        ("any", 0.5, [0, DO_NOT_USE, DO_NOT_USE, DO_NOT_USE | JUMP, DO_NOT_USE | JUMP]),
        ("all", 0.5, [0, 0, 0, 0, DO_NOT_USE]),
        ("part", 0.5, [0, 0, DO_NOT_USE, DO_NOT_USE, DO_NOT_USE]),
        ("part", 0.75, [0, 0, 0, DO_NOT_USE, DO_NOT_USE]),
    ],
)
def test_rule_of_flags(rule, least, expected):
    """DO_NOT_USE in 0 to 4 of four backgrounds, and one jump in the last two pixels."""
    flags = np.zeros((4, 1, 5), dtype=np.uint32)
    for pixel in range(5):
        flags[:pixel, 0, pixel] = DO_NOT_USE
    flags[0, 0, 3:] |= JUMP
    covers = np.ones(flags.shape, dtype=bool)
    assert combined_flags(flags, covers, rule, least)[0].tolist() == expected


def test_backgrounds_that_do_not_cover_a_pixel_have_no_say():
    """One of two covers it, and flags it; nothing covers the other pixel."""
    flags = np.array([[[DO_NOT_USE, 0]], [[0, 0]]], dtype=np.uint32)
    covers = np.array([[[True, False]], [[False, False]]])
    for rule in ("any", "all", "part"):
        assert combined_flags(flags, covers, rule)[0].tolist() == [DO_NOT_USE, 0]


@pytest.mark.parametrize("errors", ["quadrature", "variances"])
def test_errors_are_added_in_quadrature(science, errors):
    """The average of two errors of sqrt(32) has an error of 4: with 3, that is 5."""
    backgrounds = [exposure(4.0, err=np.sqrt(32)), exposure(6.0, err=np.sqrt(32))]
    before, result = installed(science, backgrounds), fixed(science, backgrounds, errors=errors)
    np.testing.assert_allclose(result.err, 5.0, rtol=1e-6)  # rounding of single precision
    changed = {"err", "var_poisson", "var_rnoise"} if errors == "variances" else {"err"}
    assert differing(before, result) == changed
    if errors == "variances":
        np.testing.assert_allclose(result.var_poisson, 25 / 4, rtol=1e-6)
        np.testing.assert_allclose(result.var_rnoise, 75 / 4, rtol=1e-6)


def test_error_of_what_is_clipped_does_not_count():
    """One of four is far off and clipped at sigma 1.5: three errors of 3 give sqrt(3)."""
    backgrounds = [exposure(value, err=3.0) for value in (5.0, 5.1, 4.9, 500.0)]
    step = FixedBackgroundStep(sigma=1.5, errors="quadrature")
    result = step.run(exposure(10.0, err=1.0), backgrounds)
    np.testing.assert_allclose(result.err, 2.0, rtol=1e-6)


def test_backgrounds_and_science_exposure_are_left_alone(science, backgrounds):
    """The step works on copies of what it prepares."""
    backgrounds[0].dq[2, 3] = DO_NOT_USE
    before = [each.copy() for each in backgrounds]
    step = FixedBackgroundStep(masked=True, flags="all", placed=True, errors="variances")
    step.run(science, backgrounds)
    for one, other in zip(backgrounds, before, strict=True):
        assert not differing(one, other)


@pytest.mark.parametrize("given", ["no list", "slopes of integrations", "another subarray"])
def test_what_a_change_is_not_for_is_refused(science, backgrounds, given):
    """In one sentence."""
    changes = {"masked": True}
    if given == "no list":
        backgrounds = []
    elif given == "slopes of integrations":
        backgrounds[0] = CubeModel((2, SIZE, SIZE))
    else:
        backgrounds[0] = exposure(4.0, size=4)
    with pytest.raises(ValueError, match=r"Changes of|can be combined if they are placed"):
        fixed(science, backgrounds, **changes)
