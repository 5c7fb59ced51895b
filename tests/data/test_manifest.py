"""The manifest names what there is to know of data, and nothing that could lead astray."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from miri_background.data import manifest
from miri_background.data.manifest import DataFile, data_set, data_sets, read_manifest
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.parameters import FILTERS

NAME = "starfield_med_seq1_MIRIMAGE_F770Wexp1.fits"
SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def own_manifest(repository, tmp_path):
    """Return a copy of the manifest that a test may change."""
    return Path(shutil.copy(repository / "data_manifest.yaml", tmp_path))


def changed(path, change):
    """Write the manifest with something done to its content."""
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def first_file(**properties):
    """Return a change of the first archived file."""
    return lambda content: content["data_sets"]["archived"]["files"][0].update(properties)


@pytest.mark.parametrize("name", ["archived", "flight"])
def test_four_exposures_of_each_field(name):
    """Of each level there are four of science and four of background."""
    one = data_set(name)
    assert one.filter in FILTERS
    for level in {each.level for each in one.files} - {"reference"}:
        roles = [each.role for each in one.files if each.level == level]
        assert roles == ["science"] * 4 + ["background"] * 4


def test_names_and_addresses_are_different():
    """No file is named twice, and none has the address of another."""
    files = [each for one in data_sets().values() for each in one.files]
    urls = [each.url for each in files if each.url]
    assert len({each.name for each in files}) == len(files) > len(urls) == len(set(urls))


def test_address_at_mast_is_that_of_the_file():
    """MAST gives a product by its name."""
    for each in data_set("flight").files:
        assert each.url.endswith(f"?uri=mast:JWST/product/{each.name}")


def test_least_is_asked_for_by_default():
    """Slopes are a tenth of ramps; where there are none, ramps are taken, and their references."""
    assert {each.level for each in data_set("flight").select()} == {"rate"}
    assert {each.level for each in data_set("archived").select()} == {"uncal", "reference"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((["x.fits"],), "x.fits is not a file of"), (((), "rate"), "has no files of level rate")],
    ids=["name", "level"],
)
def test_what_is_not_there_is_named(arguments, words):
    """A name or level that a data set has not is refused with what it has."""
    with pytest.raises(SetUpWrong, match=words):
        data_set("archived").select(*arguments)


def test_unknown_data_set_is_named():
    """So is a data set."""
    with pytest.raises(SetUpWrong, match="which has archived, flight"):
        data_set("flown")


WRONG = {
    "name leads elsewhere": first_file(name="../../evil.fits"),
    "name is hidden": first_file(name=".evil.fits"),
    "name is absolute": first_file(name="/etc/evil.fits"),
    "path leads elsewhere": first_file(path="jump/../../evil.fits"),
    "path is absolute": first_file(path="/etc/evil.fits"),
    "address of a file": first_file(url="file:///etc/passwd"),
    "checksum short": first_file(size=5, sha256="ab"),
    "checksum without size": first_file(sha256=SHA256),
    "size negative": first_file(size=-1, sha256=SHA256),
    "role unknown": first_file(role="flat"),
    "nowhere to be had": lambda content: content["data_sets"]["archived"]["files"][0].pop("url"),
    "twice": lambda content: content["data_sets"]["archived"]["files"].append(
        content["data_sets"]["archived"]["files"][0]
    ),
    "unknown key": lambda content: content.update(more=1),
    "no main job": lambda content: content.pop("main_job"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_wrong_manifest_is_refused(own_manifest, change):
    """One sentence names the file; no path leads out of the places of data."""
    changed(own_manifest, change)
    with pytest.raises(CannotJudge, match="is not a whole manifest") as told:
        read_manifest(own_manifest)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "[1, 2", "x: !!python/object:os.system {}", "[" * 1500])
def test_damaged_manifest_is_refused(own_manifest, text):
    """Nor does any text raise an error of its own."""
    own_manifest.write_text(text)
    with pytest.raises(CannotJudge, match="is not a whole manifest"):
        read_manifest(own_manifest)


@pytest.fixture
def first():
    """Return the first archived file, which has no checksum."""
    return DataFile("archived", NAME, "science", "uncal", "https://example.org/x.fits")


def test_record_is_kept(own_manifest, first):
    """What was recorded is read, and nothing else has changed."""
    before = read_manifest(own_manifest)
    known = manifest.record(first, 5, SHA256, own_manifest)
    assert (known.size, known.sha256) == (5, SHA256)
    assert data_set("archived", own_manifest).files[0].sha256 == SHA256
    after = read_manifest(own_manifest)
    for key in ("size", "sha256"):
        after["data_sets"]["archived"]["files"][0].pop(key)
    assert json.dumps(after) == json.dumps(before)


def test_record_is_not_replaced(own_manifest, first):
    """Another file of the same name does not become the right one."""
    manifest.record(first, 5, SHA256, own_manifest)
    with pytest.raises(CannotJudge, match="find out which one is right"):
        manifest.record(first, 5, SHA256[::-1], own_manifest)
    assert data_set("archived", own_manifest).files[0].sha256 == SHA256


def test_manifest_of_others_is_not_replaced(own_manifest, first):
    """A manifest that somebody wrote by hand stays."""
    changed(own_manifest, lambda _: None)
    with pytest.raises(SetUpWrong, match="stays as it is"):
        manifest.record(first, 5, SHA256, own_manifest)


def test_whole_manifest_is_what_is_written(repository):
    """Reading and writing change nothing."""
    path = repository / "data_manifest.yaml"
    assert manifest.manifest_text(read_manifest(path)) == path.read_text()
