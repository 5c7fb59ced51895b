"""Every pixel that is not what the documentation says is counted, and no other."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from miri_background.validation.measurements.exact import exact_measurements
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.verdict.limits import criteria

KINDS = {"rates": {}, "rateints": {"integrations": 3}}
WAYS = {
    f"{kind}{how}": options | {"saved": saved}
    for kind, options in KINDS.items()
    for how, saved in (("", True), (" without combined", False))
}
EXACT = {name for name, each in criteria()["criteria"].items() if each["kind"] == "exact"}
OF_COMBINED = {"combined value", "combined error", "combined DQ"}


def measured(analysis):
    """Return the exact measurements of an analysis."""
    return exact_measurements(analysis.products, analysis.expectation.combined)


def counts(analysis):
    """Return what is counted for each criterion, exposure after exposure."""
    found = {}
    for each in measured(analysis):
        found.setdefault(each.criterion, []).append(int(each.value))
    return found


def broken(analysis):
    """Return the counts of the criteria that are not met."""
    return {name: values for name, values in counts(analysis).items() if any(values)}


def other(analysis, **changed):
    """Return an analysis of changed products, of the same rates or with a new average."""
    products, combined = replace(analysis.products, **changed), analysis.expectation.combined
    if "backgrounds" in changed:
        combined = average_backgrounds(products.backgrounds, products.sigma)
    return SimpleNamespace(products=products, expectation=SimpleNamespace(combined=combined))


def first_changed(images, **planes):
    """Return images of which the first has other planes."""
    first, *others = images
    return [replace(first, **planes), *others]


def at(plane, value, position=(5, 6)):
    """Return a plane with another value in one pixel."""
    changed = plane.copy()
    changed[(..., *position)] = value
    return changed


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def analysis(request, background_step):
    """Return the analysis of a correct step."""
    return background_step(**request.param)


@pytest.fixture(scope="module")
def of_rates(background_step):
    """Return the analysis of a correct step on rates."""
    return background_step()


def test_correct_step_is_exact(analysis):
    """Nothing is counted where nothing is wrong."""
    assert broken(analysis) == {}


def test_everything_is_measured(analysis):
    """No criterion is met for lack of a measurement, but those of a file that is not there."""
    missing = set() if analysis.products.combined[0] is not None else OF_COMBINED
    assert set(counts(analysis)) == EXACT - missing


def test_few_pixels_are_left_out(analysis):
    """Pixels whose clipping hangs on rounding are not compared; there are hardly any."""
    assert np.mean(~analysis.expectation.combined.certain) < 5e-3


# ------------------------------------------------------------------ pixels


@pytest.mark.parametrize(
    ("plane", "value", "expected"),
    [
        ("data", 99.0, {"subtraction"}),
        ("data", np.nan, {"subtraction"}),
        ("data", np.inf, {"subtraction"}),
        ("err", 99.0, {"science error"}),
        ("err", np.nan, {"science error"}),
        ("dq", 2**20, {"subtraction DQ"}),
    ],
)
def test_pixel_of_subtracted_image_is_counted(analysis, plane, value, expected):
    """One pixel, or those of all integrations, in the first exposure and in that only."""
    image = analysis.products.subtracted[0]
    changed = at(getattr(image, plane), value)
    faulty = other(
        analysis, subtracted=first_changed(analysis.products.subtracted, **{plane: changed})
    )
    # Without a combined background its pixel, not that of each integration, is what is wrong.
    together = plane == "data" and analysis.products.combined[0] is None
    pixels = 1 if together or changed.ndim == 2 else len(changed)
    assert broken(faulty) == {name: [pixels, 0] for name in expected}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("plane", "value", "criterion", "follows"),
    [
        ("data", 99.0, "combined value", "subtraction"),
        ("data", np.nan, "combined value", "subtraction"),
        ("err", 99.0, "combined error", None),
        ("err", np.inf, "combined error", None),
        ("dq", 2**20, "combined DQ", "subtraction DQ"),
    ],
)
def test_pixel_of_combined_background_is_counted(
    background_step, kind, plane, value, criterion, follows
):
    """One pixel of the first combined background; the subtraction of another one is wrong too."""
    analysis = background_step(**kind)
    combined = analysis.products.combined
    changed = at(getattr(combined[0], plane), value)
    faulty = broken(other(analysis, combined=first_changed(combined, **{plane: changed})))
    assert faulty.pop(criterion) == [1, 0]
    assert set(faulty) == ({follows} if follows else set())


def test_part_of_the_variance_is_counted(analysis):
    """A part that was changed, and one that is not there, are wrong in all their values."""
    first = analysis.products.subtracted[0]
    poisson = first.variances["VAR_POISSON"]
    for variances, number in (
        ({**first.variances, "VAR_POISSON": at(poisson, 1.0)}, poisson[..., 0, 0].size),
        ({"VAR_RNOISE": first.variances["VAR_RNOISE"]}, poisson.size),
    ):
        subtracted = first_changed(analysis.products.subtracted, variances=variances)
        assert broken(other(analysis, subtracted=subtracted)) == {"science variance": [number, 0]}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rate_that_is_not_finite_is_exact(of_rates, value):
    """What the science exposure does not have, the subtracted image does not have either."""
    products = of_rates.products
    science = first_changed(
        products.science,
        data=at(products.science[0].data, value),
        err=at(products.science[0].err, value),
    )
    subtracted = first_changed(
        products.subtracted,
        data=at(products.subtracted[0].data, value),
        err=at(products.subtracted[0].err, value),
    )
    assert broken(other(of_rates, science=science, subtracted=subtracted)) == {}


def test_one_unit_in_the_last_place_is_too_much_for_a_copy(of_rates):
    """Errors are copied, so that no rounding is allowed."""
    error = of_rates.products.subtracted[0].err
    subtracted = first_changed(
        of_rates.products.subtracted, err=at(error, np.nextafter(error[5, 6], np.float32(1)))
    )
    assert broken(other(of_rates, subtracted=subtracted)) == {"science error": [1, 0]}


# ------------------------------------------------------------------ members


def averaged(analysis, members):
    """Return the analysis of a step that averaged other members than those it should."""
    products = analysis.products
    found = average_backgrounds(members, products.sigma)
    planes = {
        "data": found.data.astype(np.float32),
        "err": found.error.astype(np.float32),
        "dq": found.dq,
    }
    saved = products.combined[0]
    return other(
        analysis,
        combined=[saved and replace(saved, **planes)] * 2,
        subtracted=[
            replace(image, data=rate.data - planes["data"], dq=rate.dq | planes["dq"])
            for image, rate in zip(products.subtracted, products.science, strict=True)
        ],
    )


@pytest.mark.parametrize(
    "members",
    [
        lambda products: products.backgrounds[:-1],
        lambda products: [*products.backgrounds, products.backgrounds[0]],
        lambda products: [*products.backgrounds[:-1], products.science[0]],
        lambda products: [*products.backgrounds, products.science[0]],
        lambda products: [*products.backgrounds[:-1], products.backgrounds[0]],
    ],
    ids=["dropped", "doubled", "replaced", "added", "one for another"],
)
def test_other_members_are_counted(analysis, members):
    """A member that is missing, twice or foreign changes the parts of some."""
    found = counts(averaged(analysis, members(analysis.products)))
    assert min(found["members"]) >= 1


def test_members_of_the_association_are_not_counted(analysis):
    """The right members pass, whatever their order."""
    assert broken(averaged(analysis, analysis.products.backgrounds[::-1])) == {}


@pytest.mark.parametrize("members", [1, 2, 3, 12])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_any_number_of_members(background_step, members, kind):
    """A correct step passes, and one without the last member, or with a foreign one, does not."""
    analysis = background_step(members=members, **kind)
    *others, _ = products = analysis.products.backgrounds
    foreign = [*others, analysis.products.science[0]]
    assert broken(analysis) == {}
    for wrong in [foreign] + ([products[:-1]] if others else []):
        assert min(counts(averaged(analysis, wrong))["members"]) >= 1


@pytest.mark.parametrize(
    "members",
    [
        lambda one, two: [one, one, two, two],
        lambda one, two: [one, one, one, two],
        lambda one, _: [one, one],
    ],
    ids=["two pairs", "three alike", "a pair"],
)
def test_equal_members_do_not_fail_a_correct_step(of_rates, members):
    """What equal files have done cannot be told apart, and is not held against the step."""
    equal = members(*of_rates.products.backgrounds[:2])
    assert broken(averaged(other(of_rates, backgrounds=equal), equal)) == {}


def test_members_without_noise_do_not_fail_a_correct_step(of_rates):
    """Constant images leave nothing to tell members by."""
    flat = [
        replace(image, data=np.full_like(image.data, 14 + number), dq=0 * image.dq)
        for number, image in enumerate(of_rates.products.backgrounds)
    ]
    assert broken(averaged(other(of_rates, backgrounds=flat), flat)) == {}


def test_member_that_sees_nothing_does_not_hide_the_others(of_rates):
    """Where one background has no value at all, a dropped one of the others is still counted."""
    *others, last = of_rates.products.backgrounds
    unseen = replace(last, data=np.full_like(last.data, np.nan), dq=0 * last.dq)
    analysis = other(of_rates, backgrounds=[*others, unseen])
    assert broken(averaged(analysis, [*others, unseen])) == {}
    assert min(counts(averaged(analysis, [*others[:-1], unseen]))["members"]) >= 1


@pytest.mark.parametrize("choice", [{"masked": True}, {"quadrature": True}, {"every": True}])
def test_members_do_not_depend_on_the_behaviour(background_step, choice):
    """What a build between releases does about flags and errors is not put down to members."""
    assert broken(background_step(version="3.1.0.dev0", **choice)) == {}


def test_wrong_clipping_is_not_put_down_to_the_members(of_rates):
    """The plain mean of all members has each of them once."""
    products = of_rates.products
    plain = replace(
        products.combined[0],
        data=np.nan_to_num(
            np.nanmean(
                np.where(
                    np.isfinite([each.data for each in products.backgrounds]).any(axis=0),
                    [each.data for each in products.backgrounds],
                    0.0,
                ),
                axis=0,
            )
        ).astype(np.float32),
    )
    found = counts(other(of_rates, combined=[plain] * 2))
    assert (max(found["members"]), min(found["combined value"]) > 0) == (0, True)


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    ("images", "keyword", "value"),
    [
        ("subtracted", "ASNTABLE", "another_asn.json"),
        ("subtracted", "ASNTABLE", None),
        ("subtracted", "FILENAME", "another_bsub.fits"),
        ("subtracted", "DATAMODL", "IFUImageModel"),
        ("subtracted", "FILTER", "F1500W"),
        ("subtracted", "SUBSTRT1", 2),
        ("combined", "FILENAME", None),
        ("combined", "DATAMODL", "CubeModel"),
        ("calibrated_headers", "ASNTABLE", "another_asn.json"),
        ("calibrated_headers", "SUBARRAY", "FULL"),
    ],
)
def test_header_that_contradicts_is_counted(of_rates, images, keyword, value):
    """A product counts once, whichever keyword is wrong."""
    first, *others = getattr(of_rates.products, images)
    header = getattr(first, "header", first).copy()
    header.remove(keyword)
    if value is not None:
        header[keyword] = value
    changed = header if isinstance(first, fits.Header) else replace(first, header=header)
    assert broken(other(of_rates, **{images: [changed, *others]})) == {"metadata": [1]}


@pytest.mark.parametrize("name", ["science0_bsub.fits.gz", "my own result.fits"])
def test_name_that_was_given_to_a_file_later_is_no_contradiction(of_rates, name):
    """Compressing or renaming a file does not change its header, and is no fault of the step."""
    first, *others = of_rates.products.subtracted
    named = replace(first, path=f"image2/{name}")
    assert broken(other(of_rates, subtracted=[named, *others])) == {}


def with_header(analysis, images, **keywords):
    """Return an analysis of which the first header of some images has other values."""
    first, *others = getattr(analysis.products, images)
    header = getattr(first, "header", first).copy()
    header.update(keywords)
    changed = header if isinstance(first, fits.Header) else replace(first, header=header)
    return other(analysis, **{images: [changed, *others]})


def detail(analysis, criterion):
    """Return what is said first of a criterion that is not met."""
    return next(e.detail for e in measured(analysis) if e.criterion == criterion and e.value)


@pytest.mark.parametrize("images", ["subtracted", "calibrated_headers"])
def test_rounding_of_a_time_is_no_contradiction(of_rates, images):
    """Builds write times that differ in the last digit."""
    for keyword, seconds in (("EFFINTTM", 55.5008), ("EFFEXPTM", 222.0032), ("TFRAME", 2.77504)):
        known = with_header(of_rates, "science", **{keyword: seconds})
        known = with_header(known, "subtracted", **{keyword: seconds})
        known = with_header(known, "calibrated_headers", **{keyword: seconds})
        rounded = float(np.nextafter(seconds, 1e9))
        assert broken(with_header(known, images, **{keyword: rounded})) == {}


def test_contradiction_names_file_keyword_and_both_values(of_rates):
    """Somebody has to be able to tell what is wrong."""
    changed = with_header(of_rates, "subtracted", FILTER="F1500W")
    assert detail(changed, "metadata") == (
        "science0_bsub.fits has FILTER = 'F1500W' and its rate science0.fits has 'F770W'"
    )


def test_contradiction_of_the_calibrated_product_names_its_file(of_rates):
    """The header of the calibrated product is that of another file."""
    files = ("image2/science0_cal.fits", "image2/science1_cal.fits")
    changed = with_header(of_rates, "calibrated_headers", ASNTABLE="x.json")
    assert detail(other(changed, calibrated_files=files), "metadata") == (
        "science0_cal.fits has ASNTABLE = 'x.json' and its association is 'image2_asn.json'"
    )


def test_many_contradictions_are_counted(of_rates):
    """Three are named, and how many more there are."""
    keywords = dict.fromkeys(("FILTER", "SUBARRAY", "TARGNAME", "PROGRAM", "VISIT"), "x")
    told = detail(with_header(of_rates, "subtracted", **keywords), "metadata")
    assert told.count("science0_bsub.fits has") == 3
    assert told.endswith("; and 2 more")


def test_step_that_was_not_completed_is_named(of_rates):
    """So is the product that says so."""
    changed = with_header(of_rates, "subtracted", S_BKDSUB="SKIPPED")
    assert detail(changed, "step") == "science0_bsub.fits has S_BKDSUB = 'SKIPPED'"


@pytest.mark.parametrize(
    ("images", "plane", "criterion", "name"),
    [
        ("combined", "data", "combined value", "science0_combinedbackground.fits"),
        ("combined", "err", "combined error", "science0_combinedbackground.fits"),
        ("combined", "dq", "combined DQ", "science0_combinedbackground.fits"),
        ("subtracted", "data", "subtraction", "science0_bsub.fits"),
        ("subtracted", "dq", "subtraction DQ", "science0_bsub.fits"),
        ("subtracted", "err", "science error", "science0_bsub.fits"),
    ],
)
def test_first_wrong_pixel_is_named(of_rates, images, plane, criterion, name):
    """File, row and column of the first pixel are named."""
    before = getattr(of_rates.products, images)
    changed = first_changed(before, **{plane: at(getattr(before[0], plane), 77, (5, 6))})
    told = detail(other(of_rates, **{images: changed}), criterion)
    assert told == f"first in {name} at row 5, column 6 (from 0)"


def test_missing_variance_is_named(of_rates):
    """A part of the variance that was dropped is named with its file."""
    first = of_rates.products.subtracted[0]
    kept = {"VAR_RNOISE": first.variances["VAR_RNOISE"]}
    changed = other(
        of_rates, subtracted=first_changed(of_rates.products.subtracted, variances=kept)
    )
    assert detail(changed, "science variance") == "science0_bsub.fits has no VAR_POISSON"


def test_association_that_is_not_known_is_not_compared(of_rates):
    """Products without an association next to them are judged by the rest."""
    assert broken(other(of_rates, associations=[None] * 2)) == {}


@pytest.mark.parametrize("images", ["subtracted", "calibrated_headers"])
@pytest.mark.parametrize("said", ["SKIPPED", None])
def test_step_that_was_not_completed_is_counted(of_rates, images, said):
    """Both products of an exposure have to say that the step was done."""
    first, *others = getattr(of_rates.products, images)
    header = getattr(first, "header", first).copy()
    header.remove("S_BKDSUB")
    if said:
        header["S_BKDSUB"] = said
    changed = header if isinstance(first, fits.Header) else replace(first, header=header)
    assert broken(other(of_rates, **{images: [changed, *others]})) == {"step": [1]}


def test_skipped_exposure_has_only_its_step(of_rates):
    """Of an exposure from which nothing was subtracted nothing else is exact."""
    products = of_rates.products
    skipped = other(
        of_rates,
        subtracted=[products.science[0], products.subtracted[1]],
        combined=[None, products.combined[1]],
    )
    assert broken(skipped) == {"step": [1]}
    assert {each.exposure for each in measured(skipped)} == {None, 2}


# ------------------------------------------------------------------ against the step


def done_by_the_pipeline(analysis, directory):
    """Return the analysis of what the pipeline's own step makes of the same rates."""
    # The pipeline is loaded by slow tests only.
    from jwst.background.background_sub import background_sub
    from stdatamodels.jwst.datamodels import CubeModel, ImageModel

    def saved(image):
        model = (ImageModel if image.data.ndim == 2 else CubeModel)(image.data.shape)
        # Copies, because the step changes its input in place.
        model.data, model.err, model.dq = (
            getattr(image, name).copy() for name in ("data", "err", "dq")
        )
        model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
        for name, keyword in (
            ("xstart", "SUBSTRT1"),
            ("ystart", "SUBSTRT2"),
            ("xsize", "SUBSIZE1"),
            ("ysize", "SUBSIZE2"),
        ):
            setattr(model.meta.subarray, name, image.header[keyword])
        path = directory / image.header["FILENAME"]
        model.save(path)
        return model, str(path)

    products = analysis.products
    backgrounds = [saved(image)[1] for image in products.backgrounds]
    subtracted, combined = [], []
    for rate, expected in zip(products.science, products.subtracted, strict=True):
        background, result = background_sub(saved(rate)[0], backgrounds, products.sigma, None)
        planes = [
            {name: np.array(getattr(model, name)) for name in ("data", "err", "dq")}
            for model in (result, background)
        ]
        subtracted.append(replace(expected, **planes[0]))
        combined.append(replace(products.combined[0], **planes[1]))
    return other(analysis, subtracted=subtracted, combined=combined)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 4, 7])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_step_of_the_pipeline_is_exact(background_step, tmp_path, kind, members):
    """The real step does in every pixel what its release is known to do, cubes included."""
    analysis = background_step(members=members, **kind)
    assert broken(done_by_the_pipeline(analysis, tmp_path)) == {}


# ------------------------------------------------------------------ cost


@pytest.mark.slow
def test_whole_arrays_take_three_seconds(of_rates):
    """Four and four exposures of the whole detector, beside their average: at most 3 s."""
    large = {}
    for name in ("science", "backgrounds", "subtracted", "combined"):
        images = getattr(of_rates.products, name)
        images = images * 2 if len(images) == 2 else images
        large[name] = [
            replace(
                image,
                **{
                    plane: np.tile(getattr(image, plane), (16, 14))
                    for plane in ("data", "err", "dq")
                },
                variances={
                    part: np.tile(plane, (16, 14)) for part, plane in image.variances.items()
                },
            )
            for image in images
        ]
    for name in ("calibrated_headers", "associations"):
        large[name] = getattr(of_rates.products, name) * 2
    products = replace(of_rates.products, **large)
    combined = average_backgrounds(products.backgrounds, products.sigma)
    started = time.process_time()
    measurements = exact_measurements(products, combined)
    assert time.process_time() - started < 3.0
    assert not any(each.value for each in measurements)
