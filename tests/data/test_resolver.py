"""A file is looked for in the run directory, the local root and the cache, in this order."""

import hashlib
import os
from dataclasses import replace

import pytest

from miri_background.cli import main
from miri_background.data.manifest import DataFile, data_set
from miri_background.data.resolver import (
    NotHere,
    cache_path,
    find,
    places,
    require_file,
    require_whole,
)
from miri_background.outcomes import CannotJudge


@pytest.fixture
def file(content):
    """Return a file with its checksum."""
    return DataFile(
        "flight",
        "ours.fits",
        "science",
        "rate",
        "https://example.org/ours.fits",
        "jump/ours.fits",
        len(content),
        hashlib.sha256(content).hexdigest(),
    )


@pytest.fixture
def everywhere(file, content, tmp_path):
    """Return all places of a file, each of which has it."""
    found = places(file, tmp_path / "run", tmp_path / "root")
    for place in found:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        place.path.write_bytes(content)
    return found


def test_first_place_is_taken(file, everywhere, tmp_path):
    """As places are emptied one by one, the next one is found."""
    kinds = list(dict.fromkeys(place.kind for place in everywhere))
    assert kinds == ["run directory", "local root", "cache"]
    for place in everywhere:
        assert find(file, tmp_path / "run", tmp_path / "root") == place
        assert require_file(file, tmp_path / "run", tmp_path / "root") == place.path
        place.path.unlink()
    assert find(file, tmp_path / "run", tmp_path / "root") is None


@pytest.mark.usefixtures("everywhere")
def test_root_is_that_of_the_environment(file, tmp_path, monkeypatch):
    """The variable of ci-watson names it."""
    monkeypatch.setenv("TEST_BIGDATA", str(tmp_path / "root"))
    assert find(file).kind == "local root"
    assert find(file).path == tmp_path / "root" / "jump" / "ours.fits"


def test_root_that_is_a_server_is_no_place(file, monkeypatch):
    """The variable may have an address, which is not looked for on the disk."""
    monkeypatch.setenv("TEST_BIGDATA", "https://bytesalad.stsci.edu/artifactory")
    assert [place.kind for place in places(file)] == ["cache"]


def test_predecessors_read_noise_is_where_it_was():
    """The reference has its place below the root of the test that came before."""
    (noise,) = (each for each in data_set("archived").files if each.role == "read noise")
    (place, *_) = places(noise, root="/big")
    assert str(place.path) == (
        "/big/jwst_validation_notebooks/validation_data/jump/jump_miri_test/"
        "jwst_mirisim_readnoise.fits"
    )


def test_absence_is_one_sentence(file, tmp_path):
    """It names the file, where it was looked for, and what to do."""
    with pytest.raises(NotHere) as told:
        require_file(file, tmp_path / "run", tmp_path / "root")
    said = str(told.value)
    for words in ("ours.fits", tmp_path / "run", tmp_path / "root", cache_path(file).parent):
        assert str(words) in said
    assert "`miri-background data fetch flight`" in said


def wrong_bit(content):
    """Return the file with one bit changed."""
    return content[:-3000] + b"\x01" + content[-2999:]


WRONG = {
    "one bit": (wrong_bit, "has the SHA-256"),
    "cut": (lambda content: content[:-2880], "bytes and not the"),
    "page": (lambda content: b"<html>".ljust(len(content)), "it is a web page"),
    "empty": (lambda _: b"", "it is empty"),
    "gzip": (lambda content: b"\x1f\x8b".ljust(len(content)), "compressed with gzip"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=list(WRONG))
def test_wrong_file_is_named_and_stays(file, content, tmp_path, change, words):
    """What is not the file is not passed over: the places that follow are not tried."""
    mine = tmp_path / "root" / "ours.fits"
    mine.parent.mkdir()
    mine.write_bytes(change(content))
    cache_path(file).parent.mkdir(parents=True)
    cache_path(file).write_bytes(content)
    with pytest.raises(CannotJudge, match=words) as told:
        require_file(file, root=tmp_path / "root")
    assert str(told.value).startswith(str(mine))
    assert mine.read_bytes() == change(content)


UNRECORDED = {
    "page": (lambda _: b"<html>", "it is a web page"),
    "cut in data": (lambda content: content[:-6000], "cut short"),
    "cut in header": (lambda content: content[:3000], "last whole extension after 2880"),
}


@pytest.mark.parametrize(("change", "words"), UNRECORDED.values(), ids=list(UNRECORDED))
def test_wrong_file_without_checksum_is_named(file, content, tmp_path, change, words):
    """Even without a checksum a file has to be a whole FITS file."""
    path = tmp_path / "ours.fits"
    path.write_bytes(change(content))
    with pytest.raises(CannotJudge, match=words):
        require_whole(path, replace(file, size=None, sha256=None))


@pytest.mark.parametrize("kind", ["directory", "dangling link", "pipe"])
def test_what_is_no_file_is_named(file, tmp_path, kind):
    """A pipe would keep a reader waiting for ever."""
    path = tmp_path / "ours.fits"
    {"directory": path.mkdir, "pipe": lambda: os.mkfifo(path)}.get(
        kind, lambda: path.symlink_to(tmp_path / "nowhere")
    )()
    with pytest.raises(CannotJudge, match="cannot be read as a FITS file"):
        require_file(file, root=tmp_path)


# ------------------------------------------------------------------ command line


def test_where_says_what_is_missing_once(capsys):
    """Nine files that are nowhere have one sentence, and code 2."""
    assert main(["data", "where", "archived"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "seq1_MIRIMAGE_F770Wexp1.fits and 8 others of the data set archived" in said


def test_list_has_every_file(capsys):
    """All files are listed, with the place that has them."""
    assert main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(
        each.name in shown for name in ("archived", "flight") for each in data_set(name).files
    )


def test_where_and_verify_find_a_file(capsys, content, tmp_path):
    """A file without a recorded checksum is used, and it is said what could be compared."""
    name = data_set("flight").select()[0].name
    (tmp_path / name).write_bytes(content)
    assert main(["data", "where", "flight", name, "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / name}\n"
    assert main(["data", "verify", "flight", name, "--root", str(tmp_path)]) == 0
    assert "no SHA-256 is recorded" in capsys.readouterr().out


@pytest.fixture
def own_manifest(repository, server, tmp_path, monkeypatch):
    """Return a copy of the manifest in which the server has the first file of flight."""
    import yaml

    from miri_background.data import manifest

    path = tmp_path / "data_manifest.yaml"
    content = yaml.safe_load((repository / "data_manifest.yaml").read_text())
    first = content["data_sets"]["flight"]["files"][0]
    first["url"] = f"http://127.0.0.1:{server.server_port}/whole/x.fits"
    path.write_text(manifest.manifest_text(content))
    monkeypatch.setattr(manifest, "repository_file", lambda *_: path)
    return path


@pytest.mark.usefixtures("own_manifest")
def test_fetch_records_on_request(capsys, content):
    """The first verified download gives the checksum, and only if it is asked to."""
    first = data_set("flight").files[0]
    assert main(["data", "fetch", "flight", first.name]) == 0
    assert data_set("flight").files[0].sha256 is None
    assert main(["data", "fetch", "flight", first.name, "--record"]) == 0
    known = data_set("flight").files[0]
    assert (known.size, known.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert main(["data", "verify", "flight", first.name]) == 0
    assert "SHA-256 of the manifest" in capsys.readouterr().out
