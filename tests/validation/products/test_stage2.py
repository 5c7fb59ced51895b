"""Products are found by their associations, whoever wrote them, and every problem is named.

The products are small and made in memory; each damage is one sentence.
"""

import json
import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.validation.products.clipping_choice import read_clipping
from miri_background.validation.products.images import read_truth
from miri_background.validation.products.stage2 import read_products

EXPOSURES = ["science", "background1", "background2", "background3"]
PLANES = ["SCI", "ERR", "DQ"]
KEYWORDS = [
    "INSTRUME",
    "EXP_TYPE",
    "FILTER",
    "SUBARRAY",
    "SUBSTRT1",
    "SUBSTRT2",
    "SUBSIZE1",
    "SUBSIZE2",
    "NGROUPS",
    "NINTS",
    "TFRAME",
    "READPATT",
]


def refused(directory, *said, **options):
    """Assert that the products cannot be judged, for a reason in which this is said."""
    with pytest.raises(CannotJudge) as raised:
        read_products(directory, **options)
    sentence = str(raised.value)
    assert [words for words in said if words not in sentence] == [], sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def with_keyword(rewrite, path, **keywords):
    """Set keywords of a file, or remove those that are None."""

    def change(hdus):
        for name, value in keywords.items():
            if value is None:
                del hdus[0].header[name]
            else:
                hdus[0].header[name] = value

    rewrite(path, change)


def associate(directory, change, name="image2_asn.json"):
    """Change the association, and write it under a name."""
    content = json.loads((directory / "image2_asn.json").read_text())
    change(content)
    (directory / "image2_asn.json").unlink()
    (directory / name).write_text(json.dumps(content))


def members_of(content):
    """Return the members of the only product of an association."""
    return content["products"][0]["members"]


def drop_backgrounds(content):
    """Leave the science member only."""
    del members_of(content)[1:]


# ------------------------------------------------------------------ what is found


def test_flat_directory_is_read(stage2):
    """Files side by side are found by the association's names."""
    products = read_products(stage2)
    assert [image.path.name for image in products.backgrounds] == [
        f"background{number}_rate.fits" for number in (1, 2, 3)
    ]
    assert [image.path.name for image in products.subtracted] == ["science_bsub.fits"]
    assert products.combined[0].path.name == "science_combinedbackground.fits"
    assert products.associations == ["image2_asn.json"]


def test_arrays_are_those_of_the_files(stage2):
    """Values, errors, flags and variances are read as they are, in single precision."""
    image = read_products(stage2).science[0]
    with fits.open(stage2 / "science_rate.fits") as hdus:
        np.testing.assert_array_equal(image.data, hdus["SCI"].data)
        np.testing.assert_array_equal(image.err, hdus["ERR"].data)
        np.testing.assert_array_equal(image.dq, hdus["DQ"].data)
        np.testing.assert_array_equal(image.variances["VAR_RNOISE"], hdus["VAR_RNOISE"].data)
    assert (image.data.dtype, image.dq.dtype) == (np.float32, np.uint32)


def test_integrations_are_read(write_stage2, tmp_path):
    """Cubes have names of their own, and one combined background of two dimensions."""
    write_stage2(tmp_path, integrations=2)
    products = read_products(tmp_path)
    assert [image.data.ndim for image in products.backgrounds] == [3, 3, 3]
    assert products.subtracted[0].path.name == "science_bsubints.fits"
    assert products.combined[0].data.ndim == 2


def test_directories_of_a_run_are_read(stage2):
    """Association, rates and products may be in directories of their own."""
    for kind, name in (("rate", "*_rate.fits"), ("image2", "science_[bc][sao]*")):
        (stage2 / kind).mkdir()
        for path in stage2.glob(name):
            path.rename(stage2 / kind / path.name)
    (stage2 / "deep" / "er").mkdir(parents=True)
    (stage2 / "image2_asn.json").rename(stage2 / "deep" / "er" / "image2_asn.json")
    products = read_products(stage2)
    assert products.science[0].path == stage2 / "rate" / "science_rate.fits"
    assert products.subtracted[0].path == stage2 / "image2" / "science_bsub.fits"


def test_association_deeper_than_two_levels_is_not_found(stage2):
    """A directory of other things is not searched through."""
    (stage2 / "a" / "b" / "c").mkdir(parents=True)
    (stage2 / "image2_asn.json").rename(stage2 / "a" / "b" / "c" / "image2_asn.json")
    refused(stage2, "has no association", "2 levels")


def test_members_with_a_path_are_found(stage2):
    """A path in the association is followed from the association."""
    (stage2 / "asn").mkdir()

    def change(content):
        for member in members_of(content):
            member["expname"] = f"../{member['expname']}"

    associate(stage2, change, "asn/image2_asn.json")
    assert read_products(stage2).science[0].path.name == "science_rate.fits"


def test_files_of_a_copy_come_before_absolute_paths(stage2, stage2_original):
    """Where a copied directory's association names the old place, the copy is judged."""

    def change(content):
        for member in members_of(content):
            member["expname"] = str(stage2_original / member["expname"])

    associate(stage2, change)
    assert read_products(stage2).science[0].path == stage2 / "science_rate.fits"


def test_absolute_paths_are_followed(stage2, stage2_original):
    """A member may be anywhere, if that is allowed and it is nowhere below the directory."""
    path = stage2_original / "background2_rate.fits"
    (stage2 / path.name).unlink()
    associate(stage2, lambda content: members_of(content)[2].update(expname=str(path)))
    refused(stage2, f"{path}, a member of", "--allow-outside")
    assert read_products(stage2, allow_outside=True).backgrounds[1].path == path


def test_suffix_in_the_product_name_is_taken_off(stage2):
    """calwebb_image2 takes a suffix off the name, and so does the search."""
    associate(stage2, lambda content: content["products"][0].update(name="science_rate"))
    assert read_products(stage2).subtracted[0].path.name == "science_bsub.fits"


def test_first_science_member_is_taken(stage2):
    """As calwebb_image2 does, the others are left out."""
    other = {"expname": "nowhere_rate.fits", "exptype": "science"}
    associate(stage2, lambda content: members_of(content).append(other))
    assert len(read_products(stage2).science) == 1


def test_associations_of_other_types_are_left_alone(stage2):
    """Archives have those of other stages in the same directory."""
    (stage2 / "image3_asn.json").write_text('{"asn_type": "image3", "products": []}')
    assert len(read_products(stage2).science) == 1


def test_associations_of_the_backgrounds_are_left_alone(stage2):
    """Archives calibrate each background by an association without backgrounds."""
    own = {"name": "background1", "members": []}
    own["members"] = [{"expname": "background1_rate.fits", "exptype": "science"}]
    (stage2 / "image2_002_asn.json").write_text(
        json.dumps({"asn_type": "image2", "products": [own]})
    )
    assert [image.path.name for image in read_products(stage2).science] == ["science_rate.fits"]


def test_one_association_for_each_exposure(stage2):
    """Science exposures of several associations with the same backgrounds are judged together."""
    for path in stage2.glob("science_*.fits"):
        os.link(path, stage2 / path.name.replace("science", "second"))
    content = (stage2 / "image2_asn.json").read_text().replace("science_", "second_")
    content = content.replace('"name": "science"', '"name": "second"')
    (stage2 / "image2_002_asn.json").write_text(content)
    products = read_products(stage2)
    assert products.associations == ["image2_002_asn.json", "image2_asn.json"]
    assert [image.path.name for image in products.science] == [
        "second_rate.fits",
        "science_rate.fits",
    ]


def test_same_association_twice_is_judged_once(stage2):
    """Of several versions of an association, that which the product names is its own."""
    shutil.copy(stage2 / "image2_asn.json", stage2 / "image2_a_version_asn.json")
    products = read_products(stage2)
    assert len(products.science) == 1
    assert products.associations == ["image2_asn.json"]


def test_linked_directory_is_the_same_directory(stage2):
    """Links, such as that to the latest run, make no second product."""
    below = stage2.with_name("runs")
    below.mkdir()
    stage2.rename(below / "one")
    (below / "latest").symlink_to("one")
    assert len(read_products(below).science) == 1


def moved_behind_a_link(directory, name, pattern):
    """Move files to a directory elsewhere, to which a link leads."""
    elsewhere = directory.with_name(f"elsewhere-{name}")
    elsewhere.mkdir(exist_ok=True)
    for path in list(directory.glob(pattern)):
        path.rename(elsewhere / path.name)
    (directory / name).symlink_to(elsewhere)


def test_linked_directories_are_looked_into(stage2, add_truth):
    """Rates, products and truth may be on other disks."""
    add_truth(stage2, EXPOSURES)
    moved_behind_a_link(stage2, "linked truth", "truth/*")
    (stage2 / "truth").rmdir()
    moved_behind_a_link(stage2, "rate", "*_rate.fits")
    moved_behind_a_link(stage2, "image2", "*.*")
    products = read_products(stage2)
    assert (len(products.science_truth), len(products.background_truth)) == (1, 3)


def test_links_in_circles_are_followed_once(stage2, add_truth):
    """A link may lead up, or to itself; what is two levels behind one is still found."""
    (stage2 / "up").symlink_to(stage2.parent)
    (stage2 / "itself").symlink_to("itself")
    other = stage2.with_name("other") / "run"
    other.mkdir(parents=True)
    add_truth(other, EXPOSURES)
    (other / "back").symlink_to(stage2)
    (stage2 / "other").symlink_to(other.parent)
    assert len(read_products(stage2).background_truth) == 3


def test_links_do_not_lead_into_the_whole_file_system(stage2, tmp_path):
    """Behind a link, nothing deeper than two levels is looked for."""
    deep = tmp_path / "one" / "two" / "three" / "four"
    deep.mkdir(parents=True)
    (stage2 / "background1_rate.fits").rename(deep / "background1_rate.fits")
    (stage2 / "link").symlink_to(tmp_path / "one")
    refused(stage2, "background1_rate.fits, a member of", "is neither beside it nor below")


def test_subtracted_images_that_are_not_judged_are_listed(stage2):
    """An association that was overwritten leaves the products of an exposure behind."""
    os.link(stage2 / "science_bsub.fits", stage2 / "before_bsub.fits")
    assert read_products(stage2).left_out == ("before_bsub.fits",)


def test_hidden_directories_are_left_alone(stage2):
    """What is being written is not yet there."""
    (stage2 / ".writing-1").mkdir()
    (stage2 / ".writing-1" / "image2_asn.json").write_text("{")
    assert len(read_products(stage2).science) == 1


def test_member_listed_twice_is_averaged_twice(stage2):
    """The association is followed, and its file read once."""
    associate(stage2, lambda content: members_of(content).append(members_of(content)[1]))
    backgrounds = read_products(stage2).backgrounds
    assert len(backgrounds) == 4
    assert backgrounds[3] is backgrounds[0]


def test_science_exposure_may_be_its_own_background(stage2):
    """The association is followed, whatever it says."""
    associate(stage2, lambda content: members_of(content)[1].update(expname="science_rate.fits"))
    products = read_products(stage2)
    assert products.backgrounds[0] is products.science[0]


def test_hundred_backgrounds_keep_no_variances(stage2):
    """Of many backgrounds, only what is averaged is kept, and the first one's noise."""
    for number in range(4, 101):
        os.link(stage2 / "background1_rate.fits", stage2 / f"background{number}_rate.fits")
    names = [f"background{number}_rate.fits" for number in range(4, 101)]
    added = [{"expname": name, "exptype": "background"} for name in names]
    associate(stage2, lambda content: members_of(content).extend(added))
    backgrounds = read_products(stage2).backgrounds
    assert len(backgrounds) == 100
    assert [bool(image.variances) for image in backgrounds] == [True, *[False] * 99]


def test_skipped_step_gives_on_its_input(stage2, rewrite):
    """Without a subtracted image, and with a header that says so, the rate stands for it."""
    with_keyword(rewrite, stage2 / "science_cal.fits", S_BKDSUB="SKIPPED")
    (stage2 / "science_bsub.fits").unlink()
    products = read_products(stage2)
    assert products.subtracted[0] is products.science[0]
    assert products.combined == [None]


def test_missing_combined_background_is_none(stage2):
    """The pipeline saves it only where it is asked to."""
    (stage2 / "science_combinedbackground.fits").unlink()
    assert read_products(stage2).combined == [None]


def test_header_of_the_subtracted_image_stands_for_that_of_the_calibrated(stage2):
    """The calibrated product is not needed."""
    (stage2 / "science_cal.fits").unlink()
    assert read_products(stage2).calibrated_headers[0]["S_BKDSUB"] == "COMPLETE"


def test_all_files_that_were_read_are_listed(stage2):
    """The record of a check names every file that it depends on, once."""
    products = read_products(stage2)
    assert sorted(products.inputs) == sorted(stage2.iterdir())


def test_whole_array_is_cut_for_a_subarray(stage2, rewrite):
    """Backgrounds of the whole array may belong to a subarray, which sees a part of them."""

    def enlarge(hdus):
        for hdu in hdus[1:]:
            hdu.data = np.ones((1024, 1032), hdu.data.dtype)
        keywords = {"SUBARRAY": "FULL", "SUBSTRT1": 1, "SUBSTRT2": 1}
        hdus[0].header.update(keywords | {"SUBSIZE1": 1032, "SUBSIZE2": 1024})

    rewrite(stage2 / "background2_rate.fits", enlarge)
    products = read_products(stage2)
    assert products.backgrounds[1].data.shape == (256, 256)
    assert products.subarray == "SUB256"


# ------------------------------------------------------------------ truth


def test_truth_is_found_below(stage2, add_truth):
    """The truth of each exposure is read in the order of the exposures."""
    add_truth(stage2, EXPOSURES)
    products = read_products(stage2)
    assert (len(products.science_truth), len(products.background_truth)) == (1, 3)


def test_truth_is_not_needed(stage2):
    """Real exposures have none, and it is said what was looked for."""
    products = read_products(stage2)
    assert products.science_truth is None
    assert products.no_truth.startswith("there is no truth file such as science_truth.fits in ")


def test_missing_part_of_the_truth_is_named(stage2, add_truth):
    """Truth for some exposures only is a mistake."""
    add_truth(stage2, EXPOSURES[:-1])
    refused(stage2, "background3_rate.fits has no truth file")


def test_truth_of_another_shape_is_named(stage2, add_truth, rewrite):
    """Truth of another subarray is not that of these exposures."""
    add_truth(stage2, EXPOSURES)

    def enlarge(hdus):
        hdus["SOURCES"].data = np.zeros((10, 10))

    rewrite(stage2 / "truth" / "science_truth.fits", enlarge)
    refused(stage2, "science_truth.fits has images of shape (10, 10)")


@pytest.mark.parametrize("plane", ["BACKGROUND", "SOURCES"])
def test_truth_that_is_not_finite_is_named(plane, stage2, add_truth, rewrite):
    """A damaged truth is no failure of the step."""
    add_truth(stage2, EXPOSURES)

    def spoil(hdus):
        hdus[plane].data[0, 0] = np.nan

    rewrite(stage2 / "truth" / "background2_truth.fits", spoil)
    refused(stage2, f"background2_truth.fits cannot be read as the truth of an exposure ({plane}")


@pytest.mark.parametrize("known", [True, False])
def test_truth_is_exact_where_cosmic_rays_are_known(known, stage2, add_truth):
    """Only the simulator that made the ramps knows where particles hit."""
    add_truth(stage2, ["science"], cosmic_rays=known)
    assert read_truth(stage2 / "truth" / "science_truth.fits").exact is known


# ------------------------------------------------------------------ clipping parameters


def test_step_defaults_are_taken(tmp_path):
    """Where nobody says more, the step's own defaults hold, and it is said that they do."""
    clipping = read_clipping(tmp_path)
    assert (clipping.sigma, clipping.maxiters) == (3.0, None)
    assert "sigma 3 (the step's default: give another with --sigma)" in clipping.sentence()


def test_run_tells_its_parameters(tmp_path):
    """A run of this suite says what it told the step."""
    (tmp_path / "calibration.json").write_text('{"sigma": 2.5, "maxiters": 4}')
    clipping = read_clipping(tmp_path)
    assert clipping.sentence() == "sigma 2.5 (calibration.json), maxiters 4 (calibration.json)"


def test_arguments_come_first(tmp_path):
    """What is asked for overrides the run; 0 iterations are no limit, as for the step."""
    (tmp_path / "calibration.json").write_text('{"sigma": 2.5, "maxiters": 4}')
    clipping = read_clipping(tmp_path, 2, 0)
    assert (clipping.sigma, clipping.maxiters) == (2.0, None)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_impossible_sigma_is_refused(sigma, stage2):
    """A threshold is a number above zero."""
    refused(stage2, "sigma =", "--sigma", sigma=sigma)


def test_negative_iterations_are_refused(stage2):
    """So is their number at least zero."""
    refused(stage2, "maxiters = -1", maxiters=-1)


@pytest.mark.parametrize("text", ["{", "[]", '{"sigma": "two"}', '{"maxiters": 1.5}'])
def test_damaged_calibration_is_named(text, stage2):
    """A run that does not say how it clipped cannot be judged."""
    (stage2 / "calibration.json").write_text(text)
    refused(stage2, "calibration.json")


# ------------------------------------------------------------------ damaged directories


def test_missing_directory_is_named(tmp_path):
    """A name that is mistyped is told."""
    refused(tmp_path / "nowhere", "nowhere is missing")


def test_file_for_a_directory_is_named(stage2):
    """So is a file where a directory should be."""
    refused(stage2 / "science_rate.fits", "science_rate.fits is not a directory")


def test_empty_directory_is_named(tmp_path):
    """Nothing is nothing to judge."""
    refused(tmp_path, "has no association")


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"asn_type": "image2"}', "\x00"])
def test_unreadable_association_is_named(text, stage2):
    """An association that is none is told by its name."""
    (stage2 / "image2_asn.json").write_text(text)
    refused(stage2, "image2_asn.json")


@pytest.mark.parametrize("text", [None, "{}", '{"asn_type": "spec2", "products": [1]}'])
def test_wrong_association_argument_is_named(text, stage2):
    """So is one that is asked for and missing, or of another type."""
    if text is not None:
        (stage2 / "other.json").write_text(text)
    refused(stage2, "other.json", association=stage2 / "other.json")


def test_association_of_another_type_only_is_named(stage2):
    """An association of another stage tells nothing about backgrounds, and it is said why."""
    associate(stage2, later_stage)
    refused(stage2, "image2_asn.json is of a later stage", "science_cal", "--association")


def later_stage(content):
    """Let an association have the calibrated products of exposures as members."""
    content["asn_type"] = "image3"
    for member in members_of(content):
        member["expname"] = member["expname"].replace("_rate", "_cal")


TYPES = [None, "None", "IMAGE2", "tso-image2", "user_built", "my own", "image3", "spec2", 2, []]


@pytest.mark.parametrize("kind", [*TYPES, "no type"], ids=str)
@pytest.mark.parametrize("named", [True, False], ids=["named", "found"])
def test_type_of_an_association_decides_nothing(kind, named, stage2):
    """As for calwebb_image2, members make an association, whatever it calls itself."""

    def change(content):
        content["asn_type"] = kind
        if kind == "no type":
            del content["asn_type"]

    associate(stage2, change)
    chosen = stage2 / "image2_asn.json" if named else None
    assert len(read_products(stage2, association=chosen).backgrounds) == 3


def test_association_of_any_name_can_be_named(stage2):
    """Associations are looked for by their usual names, and taken by any."""
    associate(stage2, lambda content: content.update(extra={"key": [1]}), "level 2.txt")
    refused(stage2, "has no association", "--association")
    assert len(read_products(stage2, association=stage2 / "level 2.txt").backgrounds) == 3


@pytest.mark.parametrize("kind", ["image3", "None", None], ids=str)
def test_associations_of_later_stages_are_left_alone(kind, stage2):
    """What has calibrated products for its members is of a later stage, whatever its type."""
    text = (stage2 / "image2_asn.json").read_text()

    def change(content):
        later_stage(content)
        content["asn_type"] = kind

    associate(stage2, change, "level3_asn.json")
    (stage2 / "image2_asn.json").write_text(text)
    assert read_products(stage2).associations == ["image2_asn.json"]
    refused(stage2, "level3_asn.json is of a later", association=stage2 / "level3_asn.json")


def test_associations_of_spectra_are_left_alone(stage2):
    """Archives have those of spectra, with rates and backgrounds, in the same directory."""
    text = (stage2 / "image2_asn.json").read_text()

    def change(content):
        content["asn_type"] = "spec2"
        members_of(content)[0]["expname"] = "a_spectrum_rate.fits"

    associate(stage2, change, "spec2_asn.json")
    (stage2 / "image2_asn.json").write_text(text)
    assert read_products(stage2).associations == ["image2_asn.json"]


def test_exposure_types_have_any_case(stage2):
    """calwebb_image2 asks for the type of a member in lower case."""

    def change(content):
        for member in members_of(content):
            member["exptype"] = member["exptype"].upper()

    associate(stage2, change)
    assert len(read_products(stage2).backgrounds) == 3


@pytest.mark.parametrize("key", ["exptype", "expname"])
def test_member_that_lacks_a_key_is_named(key, stage2):
    """It is said which member of which product lacks what."""
    associate(stage2, lambda content: members_of(content)[2].pop(key))
    refused(stage2, f"image2_asn.json: member 3 of science has no {key}")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(products=[]),
        lambda content: content.update(products=7),
        lambda content: content["products"][0].pop("name"),
        lambda content: content["products"][0].pop("members"),
        lambda content: members_of(content)[1].pop("expname"),
        lambda content: members_of(content)[1].update(exptype=3),
        lambda content: members_of(content).pop(0),
    ],
    ids=["no products", "7", "no name", "no members", "no expname", "exptype 3", "no science"],
)
def test_damaged_association_is_named(change, stage2):
    """An association that lacks a part is told by its name."""
    associate(stage2, change)
    refused(stage2, "image2_asn.json")


def test_no_background_members_are_named(stage2):
    """Without backgrounds there is nothing to judge."""
    associate(stage2, drop_backgrounds)
    refused(stage2, "image2_asn.json has no background members for science")


def test_different_background_sets_are_named(stage2):
    """One set of backgrounds is read at a time, and it is said how to choose."""
    for path in stage2.glob("science_*.fits"):
        os.link(path, stage2 / path.name.replace("science", "second"))
    text = (stage2 / "image2_asn.json").read_text()
    associate(stage2, lambda content: members_of(content).pop(), "image2_fewer_asn.json")
    text = text.replace('"science_', '"second_').replace('"name": "science"', '"name": "second"')
    (stage2 / "image2_asn.json").write_text(text)
    refused(stage2, "2 sets of backgrounds", "of second and of science", "--association")


def test_version_that_the_products_name_is_taken(stage2):
    """Archives keep an association of before the last exposures were taken."""
    text = (stage2 / "image2_asn.json").read_text()
    associate(stage2, lambda content: members_of(content).pop(), "image2_before_asn.json")
    (stage2 / "image2_asn.json").write_text(text)
    products = read_products(stage2)
    assert products.associations == ["image2_asn.json"]
    assert len(products.backgrounds) == 3


def test_versions_that_the_products_do_not_name_are_told(stage2):
    """Nobody knows then which backgrounds were subtracted."""
    text = (stage2 / "image2_asn.json").read_text()
    associate(stage2, lambda content: members_of(content).pop(), "image2_b_asn.json")
    (stage2 / "image2_a_asn.json").write_text(text)
    refused(stage2, "image2_a_asn.json and image2_b_asn.json", "name image2_asn.json", "--assoc")


def test_association_can_be_chosen(stage2):
    """With several sets, one is chosen by its association."""
    associate(stage2, lambda content: members_of(content).pop(), "image2_fewer_asn.json")
    (stage2 / "other_asn.json").write_text("{")
    products = read_products(stage2, association=stage2 / "image2_fewer_asn.json")
    assert len(products.backgrounds) == 2


def test_science_without_backgrounds_among_others_is_named(stage2):
    """An exposure that was forgotten is no background's own calibration."""
    content = json.loads((stage2 / "image2_asn.json").read_text())
    lone = {"name": "other", "members": [{"expname": "other_rate.fits", "exptype": "science"}]}
    content["products"].append(lone)
    (stage2 / "image2_asn.json").write_text(json.dumps(content))
    (told,) = read_products(stage2).not_judged
    assert told == ("other", "", "its association has no background members")


# ------------------------------------------------------------------ damaged files


@pytest.mark.parametrize("name", ["science_rate.fits", "background3_rate.fits"])
def test_missing_member_is_named(name, stage2):
    """A member that is not there is told with its association."""
    (stage2 / name).unlink()
    refused(stage2, name, "image2_asn.json")


def test_missing_subtracted_image_is_named(stage2):
    """So is a subtracted image that the header says was made."""
    (stage2 / "science_bsub.fits").unlink()
    (stage2 / "science_combinedbackground.fits").unlink()
    refused(stage2, "science_bsub.fits", "save_results")


def test_member_that_is_there_twice_is_named(stage2):
    """Of two files of a name below the directory, none is chosen."""
    for name in ("one", "two"):
        (stage2 / name).mkdir()
        shutil.copy(stage2 / "background1_rate.fits", stage2 / name)
    (stage2 / "background1_rate.fits").unlink()
    refused(stage2, "one/background1_rate.fits and", "two/background1_rate.fits", "same name")


# Bytes of a rate: its primary header ends after 2880, SCI's data after some 268 000.
CUTS = [0, 1, 2000, 2880, 4000, 5760, 6000, 268_000, 300_000, 0.5, 0.9, 0.999, -1]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ["background1_rate.fits", "science_bsub.fits"])
def test_truncated_file_is_named(cut, name, stage2):
    """A file that was cut short is damaged, wherever it ends."""
    whole = (stage2 / name).read_bytes()
    end = int(cut * len(whole)) if isinstance(cut, float) else cut
    (stage2 / name).unlink()
    (stage2 / name).write_bytes(whole[:end])
    refused(stage2, f"{name} cannot be read")


def test_truncated_calibrated_product_is_named(stage2):
    """A header is not enough, if the file behind it is not whole."""
    path = stage2 / "science_cal.fits"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    refused(stage2, "science_cal.fits cannot be read")


def test_bytes_behind_the_end_are_named(stage2):
    """What is no extension does not belong to a product."""
    path = stage2 / "background1_rate.fits"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole + b"\x00" * 2880)
    refused(stage2, "background1_rate.fits cannot be read")


@pytest.mark.parametrize("name", [f"{each}.fits" for each in ("science_rate", "science_bsub")])
@pytest.mark.parametrize("plane", PLANES)
def test_missing_extension_is_named(plane, name, stage2, rewrite):
    """A product has values, errors and flags."""
    rewrite(stage2 / name, lambda hdus: hdus.pop(plane))
    refused(stage2, f"{name} cannot be read", f"no array {plane}")


def test_extension_without_data_is_named(stage2, rewrite):
    """An extension may be there and hold nothing."""

    def empty(hdus):
        hdus["ERR"].data = None

    rewrite(stage2 / "science_rate.fits", empty)
    refused(stage2, "science_rate.fits cannot be read", "no array ERR")


@pytest.mark.parametrize("plane", ["VAR_POISSON", "VAR_RNOISE"])
def test_missing_variance_is_named(plane, stage2, rewrite):
    """The noise of the rates is predicted from the parts of their variance."""
    rewrite(stage2 / "background1_rate.fits", lambda hdus: hdus.pop(plane))
    refused(stage2, f"background1_rate.fits has no array {plane}")


@pytest.mark.parametrize(("plane", "kind"), [("SCI", np.int16), ("DQ", np.float32)])
def test_values_of_another_type_are_named(plane, kind, stage2, rewrite):
    """Rates are no whole numbers, and flags are nothing else."""

    def change(hdus):
        hdus[plane].data = np.zeros((256, 256), kind)

    rewrite(stage2 / "science_rate.fits", change)
    refused(stage2, f"{plane} has values of type")


@pytest.mark.parametrize("plane", ["SCI", "VAR_RNOISE"])
def test_table_in_place_of_an_array_is_named(plane, stage2, rewrite):
    """Whoever wrote it took the name for something else."""

    def change(hdus):
        hdus[hdus.index_of(plane)] = fits.BinTableHDU(np.zeros(3, [("a", "f4")]), name=plane)

    rewrite(stage2 / "science_rate.fits", change)
    refused(stage2, f"science_rate.fits cannot be read as a product of the pipeline ({plane} is a")


@pytest.mark.parametrize("plane", ["SCI", "ERR"])
def test_rate_without_any_number_is_named(plane, stage2, rewrite):
    """Not a number everywhere is nothing to judge by."""

    def change(hdus):
        hdus[plane].data[:] = np.nan

    rewrite(stage2 / "background2_rate.fits", change)
    refused(stage2, f"background2_rate.fits has no value in {plane} that is finite")


@pytest.mark.parametrize("plane", PLANES)
def test_arrays_of_different_shapes_are_named(plane, stage2, rewrite):
    """Values, errors and flags belong to the same pixels."""

    def change(hdus):
        hdus[plane].data = hdus[plane].data[:-1]

    rewrite(stage2 / "science_rate.fits", change)
    refused(stage2, "science_rate.fits cannot be read", "has shape")


def shrink(hdus):
    """Cut a row off every array."""
    for hdu in hdus[1:]:
        hdu.data = hdu.data[:-1]


@pytest.mark.parametrize(
    "name",
    ["background1_rate.fits", "science_bsub.fits", "science_combinedbackground.fits"],
)
def test_arrays_of_another_size_are_named(name, stage2, rewrite):
    """A product has the size of its subarray."""
    rewrite(stage2 / name, shrink)
    refused(stage2, f"{name} has arrays of shape (255, 256)")


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_missing_keyword_is_named(keyword, stage2, rewrite):
    """What is needed and not there is told with its file."""
    with_keyword(rewrite, stage2 / "background2_rate.fits", **{keyword: None})
    refused(stage2, f"background2_rate.fits has no keyword {keyword}")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("INSTRUME", "NIRCAM"),
        ("EXP_TYPE", "MIR_LRS-FIXEDSLIT"),
        ("SUBARRAY", 5),
        ("SUBSTRT1", 1),
        ("SUBSIZE2", 1024),
        ("NGROUPS", 2),
        ("NGROUPS", "many"),
        ("NINTS", 0),
        ("TFRAME", -1.0),
        ("TFRAME", "short"),
    ],
)
def test_wrong_keyword_is_named(keyword, value, stage2, rewrite):
    """What cannot be is told with its file and value."""
    with_keyword(rewrite, stage2 / "background2_rate.fits", **{keyword: value})
    refused(stage2, f"background2_rate.fits has {keyword} = {value!r}")


def test_keyword_without_value_is_named(stage2, rewrite):
    """A keyword that says nothing is as good as missing."""

    def change(hdus):
        hdus[0].header["FILTER"] = None

    rewrite(stage2 / "background2_rate.fits", change)
    refused(stage2, "background2_rate.fits has no keyword FILTER, or no value of it")


def test_unreadable_card_is_named(stage2):
    """A header of which a card was damaged is not used in part."""
    path = stage2 / "background1_rate.fits"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole.replace(b"'F770W   '", b"\"F770W   '"))
    refused(stage2, "background1_rate.fits cannot be read", "FILTER")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_without_permission_is_named(stage2):
    """A file that this user may not read is told as such."""
    path = stage2 / "science_rate.fits"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole)
    path.chmod(0)
    refused(stage2, "science_rate.fits cannot be read", "Permission denied")


def test_directory_for_a_file_is_named(stage2):
    """A directory of the name of a file is not that file."""
    (stage2 / "science_bsub.fits").unlink()
    (stage2 / "science_bsub.fits").mkdir()
    refused(stage2, "science_bsub.fits cannot be read", "directory")


# ------------------------------------------------------------------ what does not belong together


def test_background_of_another_filter_is_named(stage2, rewrite):
    """A background of another filter is another sky."""
    with_keyword(rewrite, stage2 / "background2_rate.fits", FILTER="F1500W")
    refused(stage2, "background2_rate.fits has FILTER = F1500W and", "science_rate.fits F770W")


def test_background_of_another_subarray_is_cut_to_the_science_exposure(stage2, rewrite):
    """BRIGHTSKY begins 44 columns after SUB256: there, the background has no value."""

    def change(hdus):
        for hdu in hdus[1:]:
            hdu.data = np.ones((512, 512), hdu.data.dtype)
        keywords = {"SUBARRAY": "BRIGHTSKY", "SUBSTRT1": 457, "SUBSTRT2": 51}
        hdus[0].header.update(keywords | {"SUBSIZE1": 512, "SUBSIZE2": 512})

    rewrite(stage2 / "background2_rate.fits", change)
    _, background, _ = read_products(stage2).backgrounds
    assert background.data.shape == (256, 256)
    known = np.isfinite(background.data)
    assert not known[:, :44].any()
    assert known[:, 44:].all()


def in_integrations(rewrite, path):
    """Make a cube of two integrations of a rate, as calwebb_detector1 writes it."""

    def change(hdus):
        hdus[0].header["DATAMODL"] = "CubeModel"
        for hdu in hdus[1:]:
            hdu.data = np.stack([hdu.data] * 2)

    rewrite(path, change)


def test_integrations_among_rates_are_read(stage2, rewrite):
    """Releases of jwst before 1.12 average both together."""
    in_integrations(rewrite, stage2 / "background2_rate.fits")
    backgrounds = read_products(stage2).backgrounds
    assert [image.data.ndim for image in backgrounds] == [2, 3, 2]


def test_integrations_among_rates_are_named_where_nothing_was_made(stage2, rewrite):
    """Later releases end with an error, which is why there is nothing to judge."""
    in_integrations(rewrite, stage2 / "background2_rate.fits")
    for path in stage2.glob("science_[bc]*"):
        path.unlink()
    said = "science_rate.fits is a rate file and its background", "jwst 1.12 and later end"
    refused(stage2, *said, "background2_rate.fits a rateints file")


def test_other_readouts_belong_together(stage2, rewrite):
    """The step averages rates whatever ramps they are from."""
    with_keyword(rewrite, stage2 / "background2_rate.fits", NGROUPS=50, READPATT="SLOWR1")
    assert len(read_products(stage2).backgrounds) == 3
