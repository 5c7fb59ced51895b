"""Products under the names that users, archives and crashed pipelines leave them with."""

import gzip
import json
import os
import shutil

import pytest

from miri_background.outcomes import CannotJudge, Cause
from miri_background.validation.products.stage2 import product_sets, read_products

EXPOSURE = {"EXPOSURE": "00001", "DATE-BEG": "2026-01-01T00:00:00.000"}
RESULTS = ["science_bsub.fits", "science_cal.fits", "science_combinedbackground.fits"]
LOGGED = "2026-01-02 03:04:05,678 - {} - {} - {}"


@pytest.fixture(scope="module")
def named_original(stage2_original, rewrite, tmp_path_factory):
    """Return products whose headers say of which exposure they are, not to be changed."""
    directory = tmp_path_factory.mktemp("named")
    shutil.copytree(stage2_original, directory, dirs_exist_ok=True)
    calibrated = {"S_FLAT": "COMPLETE", "S_PHOTOM": "COMPLETE"}
    for name, more in (("rate", {}), ("bsub", {}), ("cal", calibrated)):

        def change(hdus, more=more):
            hdus[0].header.update(EXPOSURE | more)

        rewrite(directory / f"science_{name}.fits", change)
    return directory


@pytest.fixture
def named(named_original, tmp_path):
    """Return a directory of them that a test may change; FITS files are linked."""
    target = tmp_path / "products"
    target.mkdir()
    for path in named_original.iterdir():
        (os.link if path.suffix == ".fits" else shutil.copy)(path, target / path.name)
    return target


def backgrounds_of(directory):
    """Return the background exposures of a directory."""
    return sorted(directory.glob("background*"))


def change_members(directory, change):
    """Change what an association calls its members."""
    path = directory / "image2_asn.json"
    content = json.loads(path.read_text())
    for member in content["products"][0]["members"]:
        member["expname"] = change(member["expname"])
    path.write_text(json.dumps(content))


def sentence(directory, **choices):
    """Return why products cannot be judged."""
    with pytest.raises(CannotJudge) as raised:
        read_products(directory, **choices)
    return str(raised.value)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name", ["science_backgroundstep.fits", "science_nobkg.fits", "image2_asn_bsub.fits"]
)
def test_subtracted_image_is_known_by_its_header(name, named):
    """The step alone, a user's suffix, and a pipeline that saves nothing else name it so."""
    (named / "science_bsub.fits").rename(named / name)
    (named / "science_cal.fits").unlink()
    products = read_products(named)
    assert products.subtracted[0].path.name == name
    assert products.combined[0].path.name == "science_combinedbackground.fits"


def test_results_are_found_by_a_user_s_name(named):
    """An output_file of the pipeline names all of them."""
    for name in RESULTS:
        (named / name).rename(named / name.replace("science", "my_own"))
    products = read_products(named)
    assert products.subtracted[0].path.name == "my_own_bsub.fits"
    assert products.combined[0].path.name == "my_own_combinedbackground.fits"
    assert products.calibrated_files[0].name == "my_own_cal.fits"
    assert products.left_out == ()


def test_results_of_another_exposure_are_not_taken(named, rewrite):
    """A header that names another exposure is not that of this one."""
    (named / "science_bsub.fits").rename(named / "mine.fits")
    (named / "science_combinedbackground.fits").unlink()
    rewrite(named / "mine.fits", lambda hdus: hdus[0].header.update(EXPOSURE="00002"))
    assert "science_bsub.fits, the subtracted image of" in sentence(named)


def test_two_subtracted_images_of_one_exposure_are_named(named):
    """Nobody knows which of them is meant."""
    shutil.copy(named / "science_bsub.fits", named / "one.fits")
    (named / "science_bsub.fits").rename(named / "two.fits")
    assert "one.fits and" in (said := sentence(named))
    assert "two.fits are both subtracted images of one exposure" in said


def test_backgrounds_are_given_where_no_association_is(named):
    """The step can be called by itself with a list, and leaves no trace of it."""
    (named / "image2_asn.json").unlink()
    assert "--backgrounds" in sentence(named)
    products = read_products(named, backgrounds=backgrounds_of(named))
    assert [image.path.name for image in products.science] == ["science_rate.fits"]
    assert len(products.backgrounds) == 3
    assert products.associations == [None]


def test_given_backgrounds_need_a_subtracted_image(named):
    """Calibrated products are none."""
    (named / "science_bsub.fits").unlink()
    said = sentence(named, backgrounds=backgrounds_of(named))
    assert "has no subtracted image" in said


# ------------------------------------------------------------------ what was not saved


def test_combined_background_is_judged_by_itself(stage2):
    """Without a subtracted image, what it would leave is computed, and said to be."""
    (stage2 / "science_bsub.fits").unlink()
    products = read_products(stage2)
    assert products.computed == (True,)
    assert [told[:2] for told in products.not_judged] == [("subtracted image", "exposure 1")]


def test_association_of_the_step_alone_is_not_judged(named, rewrite):
    """The step writes no name of an association, which is no fault of it."""
    (named / "science_cal.fits").unlink()
    path = named / "science_backgroundstep.fits"
    (named / "science_bsub.fits").rename(path)
    rewrite(path, lambda hdus: hdus[0].header.remove("ASNTABLE"))
    products = read_products(named)
    assert products.associations == [None]
    assert [told[:2] for told in products.not_judged] == [
        ("metadata", "the association of exposure 1")
    ]


def test_missing_name_of_an_association_is_judged_of_the_pipeline(named, rewrite):
    """The pipeline writes one."""
    rewrite(named / "science_cal.fits", lambda hdus: hdus[0].header.remove("ASNTABLE"))
    assert read_products(named).associations == ["image2_asn.json"]


# ------------------------------------------------------------------ places


def test_compressed_files_are_read(named):
    """The pipeline takes members that are compressed as a whole."""
    for path in named.glob("*.fits"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    products = read_products(named)
    assert {image.path.suffix for image in products.backgrounds} == {".gz"}
    assert products.subtracted[0].path.name == "science_bsub.fits.gz"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_compression_makes_no_other_name(ending, named):
    """A member is found whether the association was written before or after compression."""
    path = named / "background2_rate.fits"
    if not ending:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    change_members(named, lambda name: name.removesuffix(".gz") + ending)
    assert len(read_products(named).backgrounds) == 3


def test_members_are_told_from_the_caller_s_directory(named, monkeypatch):
    """The pipeline takes paths from the directory that it is called in."""
    (named / "bg").mkdir()
    for path in backgrounds_of(named):
        path.rename(named / "bg" / path.name)
    monkeypatch.chdir(named.parent)
    change_members(
        named, lambda name: f"products/{'bg/' if name.startswith('background') else ''}{name}"
    )
    assert len(read_products(named).backgrounds) == 3


def test_path_of_a_member_decides_between_files_of_its_name(named):
    """Of several files of one name, that is meant whose directories are named, too."""
    for name in ("one", "two"):
        (named / name).mkdir()
        shutil.copy(named / "background1_rate.fits", named / name)
    (named / "background1_rate.fits").unlink()
    change_members(named, lambda name: f"x/two/{name}" if name.startswith("background1") else name)
    assert read_products(named).backgrounds[0].path.parent.name == "two"


@pytest.mark.parametrize("path", ["../elsewhere/{}", "elsewhere/{}"])
def test_members_outside_are_read_on_request_only(path, named, monkeypatch):
    """An association may name any file of the machine; which, is for its user to allow."""
    elsewhere = named.parent / "elsewhere"
    elsewhere.mkdir()
    (named / "background1_rate.fits").rename(elsewhere / "background1_rate.fits")
    monkeypatch.chdir(named.parent)
    change_members(
        named, lambda name: path.format(name) if name.startswith("background1") else name
    )
    said = sentence(named)
    assert "is outside of" in said
    assert "--allow-outside" in said
    assert len(read_products(named, allow_outside=True).backgrounds) == 3


def test_association_that_is_named_is_named_with_its_directory(named):
    """What is beside an association that its user names is not outside."""
    elsewhere = named.parent / "elsewhere"
    named.rename(elsewhere)
    named.mkdir()
    path = elsewhere / "image2_asn.json"
    assert len(read_products(named, association=path).backgrounds) == 3


ODD_NAMES = ["", ".", "..", "/", "a\0b", "a\ud800b", "x" * 5000, "/dev/zero", "/etc/passwd", "a\nb"]


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_impossible_members_are_refused(name, named):
    """Whatever an association calls a member, the answer is a sentence."""
    change_members(named, lambda old: name if old.startswith("background1") else old)
    assert sentence(named).endswith(".")


# ------------------------------------------------------------------ crashed pipelines


@pytest.mark.parametrize(
    ("lines", "quoted"),
    [
        ([LOGGED.format("stpipe.Image2Pipeline", "ERROR", "No flat.")], '"No flat"'),
        ([LOGGED.format("jwst.flat", "CRITICAL", "No flat.")], '"No flat"'),
        (
            ["Traceback (most recent call last):", '  File "a.py", line 1', "KeyError: 'SCI'"],
            "\"KeyError: 'SCI'\"",
        ),
    ],
    ids=["stpipe", "module", "traceback"],
)
def test_last_error_of_a_log_is_quoted(lines, quoted, stage2):
    """A directory without products says why, if the pipeline's log does."""
    for name in RESULTS:
        (stage2 / name).unlink()
    lines = [LOGGED.format("CRDS", "ERROR", "An earlier one."), *lines]
    (stage2 / "pipeline.log").write_text("\n".join([*lines, "INFO"]))
    with pytest.raises(CannotJudge) as raised:
        read_products(stage2)
    assert f"pipeline.log ends with {quoted}" in str(raised.value)
    assert raised.value.cause is Cause.PIPELINE


def test_errors_before_the_end_of_a_pipeline_are_not_quoted(stage2):
    """A pipeline that came to its end has not crashed."""
    for name in RESULTS:
        (stage2 / name).unlink()
    lines = ("stpipe", "ERROR", "No matter."), ("stpipe", "INFO", "Step Image2Pipeline done")
    (stage2 / "pipeline.log").write_text("\n".join(LOGGED.format(*line) for line in lines))
    assert "pipeline.log" not in sentence(stage2)


# ------------------------------------------------------------------ several sets


def test_member_that_is_missing_concerns_its_set_only(named):
    """Another set is judged all the same."""
    content = json.loads((named / "image2_asn.json").read_text())
    content["products"][0]["members"][1]["expname"] = "nowhere_rate.fits"
    content["products"][0]["members"][0]["expname"] = "background3_rate.fits"
    content["products"][0]["name"] = "nod"
    (named / "nod_asn.json").write_text(json.dumps(content))
    found = product_sets(named)
    assert [each.name for each in found.sets] == ["science", "nod"]
    assert len(found.products(found.sets[0]).backgrounds) == 3
    with pytest.raises(CannotJudge, match="nowhere_rate"):
        found.products(found.sets[1])
