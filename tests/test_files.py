"""Files appear whole or not at all, and only what the suite wrote is taken for its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from miri_background.files import (
    ProductRecords,
    checksum,
    content_key,
    for_each_file,
    remembered,
    replace_whole,
    write_text_recorded,
    write_text_whole,
)
from miri_background.outcomes import CannotJudge

KEY, OTHER_KEY = "of these inputs", "of other inputs"
TIMEOUT = 60  # s, many times what starting Python takes
KILLED = 9  # exit code of a process that ends at once, whatever it was doing

WRITE_AND_END = """
import os, sys
from pathlib import Path
from miri_background.files import ProductRecords

root, moment = Path(sys.argv[1]), sys.argv[2]
product = root / "rate" / "a_rate.fits"
replace = Path.replace

def end_before_rename(path, target):
    if Path(target) == product:
        os._exit(9)
    return replace(path, target)

if moment == "before the rename":
    Path.replace = end_before_rename
with ProductRecords(root).writing("of these inputs", product) as (aside,):
    aside.write_text("new")
    if moment == "while writing":
        os._exit(9)
"""


@pytest.fixture
def product(tmp_path):
    """Return the path of a product that is not there."""
    return tmp_path / "rate" / "a_rate.fits"


@pytest.fixture
def records(tmp_path):
    """Return the records of an empty run directory."""
    return ProductRecords(tmp_path)


@pytest.fixture
def written(records, product):
    """Return a product that is there and recorded."""
    with records.writing(KEY, product) as (aside,):
        aside.write_text("whole")
    return product


def files_below(path):
    """Return the names of all files below a directory."""
    return sorted(each.name for each in path.rglob("*") if each.is_file())


def interrupt(*targets):
    """Begin to write and fail."""
    with replace_whole(*targets, ours=Path.is_file) as asides:
        for aside in asides:
            aside.write_text("part")
        raise KeyboardInterrupt


def test_file_is_replaced(tmp_path):
    """What was written aside is in the target's place."""
    target = tmp_path / "file"
    target.write_text("old")
    with replace_whole(target, ours=Path.is_file) as (aside,):
        aside.write_text("new")
    assert target.read_text() == "new"


def test_target_is_whole_until_the_end(tmp_path):
    """Nobody sees the new file before it is whole."""
    target = tmp_path / "file"
    target.write_text("old")
    with replace_whole(target, ours=Path.is_file) as (aside,):
        aside.write_text("new")
        assert target.read_text() == "old"


def test_file_is_not_replaced_unasked(tmp_path):
    """Whoever writes says which files may go."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(CannotJudge, match="file is not the file that this suite wrote there"):
        write_text_whole(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_recorded_file_is_replaced_as_long_as_nobody_changes_it(tmp_path):
    """What the suite wrote it may write again, but not what somebody made of it."""
    for text in ("first", "second"):
        write_text_recorded(tmp_path / "file", text)
    (tmp_path / "file").write_text("changed")
    with pytest.raises(CannotJudge, match="file is not the file that this suite wrote there"):
        write_text_recorded(tmp_path / "file", "third")
    assert (tmp_path / "file").read_text() == "changed"


def test_link_in_a_products_place_is_not_removed(records, written, tmp_path):
    """A product that somebody moved and linked to is not made anew in the place of the link."""
    written.rename(tmp_path / "moved")
    written.symlink_to(tmp_path / "moved")
    with pytest.raises(CannotJudge), records.writing(OTHER_KEY, written):
        pass
    with pytest.raises(CannotJudge):
        records.remove(written)
    assert (written.is_symlink(), written.read_text()) == (True, "whole")


def test_directory_is_made(tmp_path):
    """The directory of the target need not be there."""
    write_text_whole(tmp_path / "deep" / "down" / "file", "text")
    assert (tmp_path / "deep" / "down" / "file").read_text() == "text"


def test_names_are_kept(tmp_path):
    """The pipeline writes file names into headers."""
    names = ["a_uncal.fits", "a_truth.fits"]
    with replace_whole(*(tmp_path / name for name in names)) as asides:
        assert [aside.name for aside in asides] == names
        for aside in asides:
            aside.touch()


def test_several_files_are_replaced(tmp_path):
    """Files that belong together are written together."""
    targets = [tmp_path / "a", tmp_path / "b"]
    with replace_whole(*targets) as asides:
        for aside in asides:
            aside.write_text(aside.name)
    assert [target.read_text() for target in targets] == ["a", "b"]


def test_nothing_is_left_beside_the_file(tmp_path):
    """The temporary directory is gone."""
    write_text_whole(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_interruption_leaves_nothing(tmp_path):
    """Interrupted, there is neither a file nor a part of one."""
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "a", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_the_old_file(tmp_path):
    """Interrupted, the file is what it was."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"


def test_file_that_was_not_written_is_an_error(tmp_path):
    """A block that forgets its file does not pass quietly."""
    with pytest.raises(FileNotFoundError), replace_whole(tmp_path / "file"):
        pass


def test_text_keeps_its_signs(tmp_path):
    """Text is UTF-8 whatever the locale says."""
    write_text_whole(tmp_path / "file", "± µJy")
    assert (tmp_path / "file").read_bytes() == "± µJy".encode()


def test_checksum_is_sha256(tmp_path):
    """The checksum is the published one of no bytes at all (FIPS 180-4 examples)."""
    (tmp_path / "empty").touch()
    assert checksum(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")


def test_missing_product_is_not_current(records, product):
    """What is not there has to be made."""
    assert not records.is_current(product, KEY)


def test_written_product_is_current(records, written):
    """What was made from the same inputs is not made again."""
    assert records.is_current(written, KEY)


def test_product_of_other_inputs_is_not_current(records, written):
    """What was made from other inputs has to be made again."""
    assert not records.is_current(written, OTHER_KEY)


def test_product_of_other_inputs_is_replaced(records, written):
    """What the suite wrote it may write again."""
    with records.writing(OTHER_KEY, written) as (aside,):
        aside.write_text("new")
    assert records.is_current(written, OTHER_KEY)


def test_records_outlive_the_process(tmp_path, written):
    """Records are files, which another process reads."""
    assert ProductRecords(tmp_path).is_current(written, KEY)


def test_record_without_product_is_fine(records, written):
    """A product that was removed by hand is made again."""
    written.unlink()
    assert not records.is_current(written, KEY)


def change(path):
    """Change bytes and keep the length."""
    path.write_text("whale")


def truncate(path):
    """Cut a file short."""
    os.truncate(path, 2)


def empty(path):
    """Leave nothing of a file but its name."""
    os.truncate(path, 0)


def make_directory(path):
    """Put a directory into a file's place."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [change, truncate, empty, make_directory])
def test_damaged_product_is_named(records, written, damage):
    """A product that is not what was recorded is somebody else's to judge."""
    damage(written)
    with pytest.raises(CannotJudge, match=f"^{written} is not the file that this suite wrote"):
        records.refuse_foreign(written)


def test_foreign_file_is_named(records, product):
    """A file that the suite did not write is not taken for a product."""
    product.parent.mkdir()
    product.write_text("mine")
    with pytest.raises(CannotJudge, match=f"^{product} is not the file that this suite wrote"):
        records.refuse_foreign(product)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_damaged_record_is_named(records, written, text):
    """A record that cannot be read proves nothing about its product."""
    (record,) = (written.parents[1] / ".records").rglob("*.json")
    record.write_text(text)
    with pytest.raises(CannotJudge, match=f"^{written} is not the file that this suite wrote"):
        records.refuse_foreign(written)


def test_foreign_file_is_not_overwritten(records, product):
    """A file that the suite did not write stays, even where a product should be."""
    product.parent.mkdir()
    product.write_text("mine")
    with pytest.raises(CannotJudge), records.writing(KEY, product) as (aside,):
        aside.write_text("new")
    assert product.read_text() == "mine"


def test_interruption_leaves_the_old_product(records, written):
    """Interrupted while a product is made again, the old one is still good."""

    def begin_again():
        with records.writing(OTHER_KEY, written) as (aside,):
            aside.write_text("part")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_again()
    assert records.is_current(written, KEY)


def test_two_products_at_once(tmp_path, records):
    """Products that belong together are recorded each by itself."""
    products = [tmp_path / "rate" / name for name in ("a_rate.fits", "b_rate.fits")]
    with records.writing(KEY, *products) as asides:
        for aside in asides:
            aside.write_text(aside.name)
    assert [records.is_current(product, KEY) for product in products] == [True, True]


def test_two_products_fail_together(tmp_path, records):
    """Where one of two is not written there is neither."""
    products = [tmp_path / "rate" / name for name in ("a_rate.fits", "b_rate.fits")]
    with pytest.raises(FileNotFoundError), records.writing(KEY, *products) as (first, _):
        first.write_text("new")
    assert files_below(tmp_path / "rate") == []


@pytest.mark.parametrize("moment", ["while writing", "before the rename"])
@pytest.mark.parametrize("before", ["missing", "of other inputs"])
def test_killed_process_is_made_up_for(tmp_path, records, product, moment, before):
    """Whenever a process ends, the next one can make the product."""
    if before != "missing":
        with records.writing(before, product) as (aside,):
            aside.write_text("old")
    command = [sys.executable, "-c", WRITE_AND_END, tmp_path, moment]
    assert subprocess.run(command, check=False, timeout=TIMEOUT).returncode == KILLED
    assert not records.is_current(product, KEY)
    with records.writing(KEY, product) as (aside,):
        aside.write_text("new")
    assert records.is_current(product, KEY)


@pytest.mark.parametrize("moment", ["while writing", "before the rename"])
def test_killed_process_leaves_no_part(tmp_path, product, moment):
    """Where a product should be there is none, not a part of one."""
    command = [sys.executable, "-c", WRITE_AND_END, tmp_path, moment]
    assert subprocess.run(command, check=False, timeout=TIMEOUT).returncode == KILLED
    assert not product.exists()


def test_key_of_equal_content():
    """The order of a dictionary's items is not content."""
    assert content_key({"a": 1, "b": [2.5, "c"]}) == content_key({"b": [2.5, "c"], "a": 1})


@pytest.mark.parametrize("other", [["a", 2], ["b", 1], ["a"], [1, "a"], [["a", 1]]])
def test_key_of_other_content(other):
    """Any difference gives another key."""
    assert content_key(*other) != content_key("a", 1)


def test_key_of_a_path(tmp_path):
    """Paths stand for their text."""
    assert content_key(tmp_path) == content_key(os.fspath(tmp_path))


@pytest.fixture
def counted(tmp_path):
    """Return a remembered function of a file that was written a minute ago, and what it read."""
    path, seen = tmp_path / "file", []
    path.write_text("content")
    os.utime(path, ns=(1, 1))

    @remembered
    def content(path):
        seen.append(Path(path).read_text())
        return seen[-1]

    return content, path, seen


@pytest.fixture
def a_minute_later(monkeypatch):
    """Let files that were just written be settled."""
    now = time.time_ns
    monkeypatch.setattr("miri_background.files.time.time_ns", lambda: now() + 60 * 10**9)


@pytest.mark.usefixtures("a_minute_later")
def test_settled_file_is_read_once(counted):
    """A large file is not read again for what is known of it."""
    content, path, seen = counted
    assert [content(path), content(path)] == ["content"] * 2
    assert len(seen) == 1


def test_file_that_was_just_written_is_read_each_time(counted):
    """Written again within a tick of the clock, it may have the times that it had."""
    content, path, seen = counted
    assert [content(path), content(path)] == ["content"] * 2
    assert len(seen) == 2


@pytest.mark.usefixtures("a_minute_later")
def test_changed_file_is_read_again_whatever_its_time(counted):
    """Not even one of the same size, with the time of the former set, is taken for it."""
    content, path, _ = counted
    content(path)
    time.sleep(0.02)  # more than a tick of a file system's clock
    path.write_text("CONTENT")
    os.utime(path, ns=(1, 1))
    assert content(path) == "CONTENT"


def test_results_have_the_names_of_the_files(tmp_path):
    """In their order, too: threads may end in another."""
    paths = {number: tmp_path / str(number) for number in range(20)}
    for path in paths.values():
        path.write_text(path.name)
    found = for_each_file(Path.read_text, paths)
    assert list(found.items()) == [(number, str(number)) for number in range(20)]
