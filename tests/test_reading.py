"""No file keeps a reader waiting for ever or fills the memory: it is refused with a reason.

Each test ends after a while, whatever the reader does.
"""

import ast
import bz2
import gzip
import json
import os
import re
import resource
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from miri_background.campaign.grid import read_grid
from miri_background.campaign.table import read_table
from miri_background.cli import main
from miri_background.data import simulated
from miri_background.detection.false_alarms import read_correct_runs
from miri_background.files import ProductRecords, checksum
from miri_background.nightly.plan import read_matrix
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.provenance import level1b_checksum
from miri_background.reading import open_fits, read_json, read_text
from miri_background.references.plausible import check_readable
from miri_background.reporting.history import load
from miri_background.reporting.site.faults import caught_faults
from miri_background.run_directory import RunDirectory
from miri_background.validation.products.clipping_choice import read_clipping
from miri_background.validation.products.images import (
    read_header,
    read_hits,
    read_image,
    read_truth,
)
from miri_background.validation.products.stage2 import read_products
from miri_background.validation.verdict.baselines import load_baseline
from miri_background.validation.verdict.metrics_file import load_metrics

PATIENCE = 20  # s, many times what any of these readers takes
ROOM = 2_000_000_000  # bytes of memory that a reader may take beside what the tests have
EXPOSURES = ["science", "background1", "background2", "background3"]
OBSERVATION = Observation.create(subarray="SUB256")


@pytest.fixture(autouse=True)
def _limits():
    """End a reader that waits for ever, or takes all memory."""

    def stop(*_):
        msg = f"the reader did not end within {PATIENCE} s"
        raise TimeoutError(msg)

    before = signal.signal(signal.SIGALRM, stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status")
    if status.exists():
        (size,) = (line for line in status.read_text().splitlines() if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (int(size.split()[1]) * 1024 + ROOM, limits[1]))
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_AS, limits)


def bind(path):
    """Make a socket, whose path has to be short."""
    there = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(there)


def link_to_pipe(path):
    """Make a link to a pipe elsewhere."""
    pipe = path.with_name(".a-pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe.name)


KINDS = {
    "pipe": os.mkfifo,
    "link to a pipe": link_to_pipe,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "socket": bind,
    "directory": Path.mkdir,
}


def of_manifest(path):
    """Compare a run with the manifest in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "repository_file", lambda _: path)
        simulated.check_level1b(None)


def of_association(path):
    """Read products by an association."""
    read_products(path.parent, association=path)


def of_run(path):
    """Open the run directory of an observation."""
    RunDirectory(path.parent, OBSERVATION)


def of_history(path):
    """Read a history, and say what cannot be read of it."""
    (problem,) = load(path.parent).problems
    raise CannotJudge(problem)


# The readers that say what is wrong, with a name of the file that they read.
READERS = {
    "association": (of_association, "image2_asn.json"),
    "calibration of a check": (lambda path: read_clipping(path.parent), "calibration.json"),
    "metrics": (load_metrics, "metrics.json"),
    "baseline": (load_baseline, "baseline.json"),
    "night": (lambda path: read_matrix(path, 1), "nightly.yaml"),
    "campaign": (read_grid, "campaign.yaml"),
    "table of a campaign": (read_table, "cases.parquet"),
    "history": (of_history, "record.json"),
    "kill matrix": (caught_faults, "kill_matrix.json"),
    "correct runs": (read_correct_runs, "false_alarms.ecsv"),
    "manifest": (of_manifest, "data_manifest.yaml"),
    "image": (read_image, "science_rate.fits"),
    "header": (read_header, "science_cal.fits"),
    "truth": (read_truth, "science_truth.fits"),
    "hits": (read_hits, "science_truth.fits"),
    "level-1b": (level1b_checksum, "science_uncal.fits"),
    "checksum": (checksum, "any.fits"),
    "reference": (check_readable, "reference.fits"),
    "reference as ASDF": (check_readable, "reference.asdf"),
    "JSON": (read_json, "any.json"),
    "text": (read_text, "any.txt"),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@pytest.mark.parametrize(("reader", "name"), READERS.values(), ids=list(READERS))
def test_what_is_no_regular_file_is_refused(reader, name, kind, tmp_path):
    """Every reader says that it is none, and does not wait for its end."""
    kind(tmp_path / name)
    with pytest.raises((CannotJudge, OSError), match="not a regular file"):
        reader(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_run_of_which_the_observation_is_no_file_is_another_run(kind, tmp_path):
    """A run directory is taken over only if it says that it is of this observation."""
    kind(tmp_path / "observation.json")
    with pytest.raises(CannotJudge, match="describes another observation"):
        of_run(tmp_path / "observation.json")


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_record_that_is_no_file_is_no_record(kind, tmp_path):
    """Without a record, a product is not known to be the suite's own, nor is a verdict."""
    run = RunDirectory(tmp_path / "observed", OBSERVATION)
    run.release()
    (run.root / ".records").mkdir(exist_ok=True)
    kind(run.root / ".records" / "verdicts")
    run.metrics.write_text("{}")
    with pytest.raises(CannotJudge, match=run.metrics.name):
        RunDirectory(tmp_path / "observed", OBSERVATION)
    (tmp_path / "rate.fits").touch()
    (tmp_path / ".records").mkdir()
    kind(tmp_path / ".records" / "rate.fits.json")
    with pytest.raises(CannotJudge, match="is not the file that this suite wrote"):
        ProductRecords(tmp_path).refuse_foreign(tmp_path / "rate.fits")


# ------------------------------------------------------------------ a whole check

READ_BY_CHECK = [
    "image2_asn.json",
    "science_rate.fits",
    "background2_rate.fits",
    "science_bsub.fits",
    "science_combinedbackground.fits",
    "science_cal.fits",
    "truth/background1_truth.fits",
    "calibration.json",
    "observation.json",
]
# Of clipping that leaves everything: how products of three backgrounds are made.
CALIBRATION = '{"sigma": 3.0, "maxiters": 1}'


@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
@pytest.mark.parametrize("name", READ_BY_CHECK)
def test_check_names_what_is_no_regular_file(name, kind, stage2, add_truth, capsys):
    """A check ends with one sentence on the file, whichever it is."""
    add_truth(stage2, EXPOSURES)
    # What is observed is read of runs of this suite only.
    (stage2 / "calibration.json").write_text(CALIBRATION)
    (stage2 / name).unlink(missing_ok=True)
    KINDS[kind](stage2 / name)
    assert main(["check", str(stage2)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(stage2 / name) in line
    assert "not a regular file" in line


@pytest.mark.slow
def test_check_of_a_run_names_a_level1b_file_that_is_a_pipe(stage2, capsys):
    """What is read for the record of a run is a file, too."""
    (stage2 / "observation.json").write_text("{}")
    (stage2 / "calibration.json").write_text(CALIBRATION)
    (stage2 / "uncal").mkdir()
    os.mkfifo(stage2 / "uncal" / "science_uncal.fits")
    assert main(["check", str(stage2)]) == 2
    assert "science_uncal.fits cannot be read as a level-1b file (it is a named pipe" in (
        capsys.readouterr().err
    )


# ------------------------------------------------------------------ sizes in headers


def with_card(path, keyword, value, instead_of=None):
    """Write a FITS file of which the second header has a card that is wrong."""
    planes = [fits.ImageHDU(np.zeros((4, 4), np.float32), name=name) for name in ("SCI", "ERR")]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    content = bytearray(path.read_bytes())
    place = content.index(f"{instead_of or keyword:8}=".encode(), 2880)
    content[place : place + 80] = f"{keyword:8}= {value:>20}".ljust(80).encode()
    path.write_bytes(content)


SIZES = {
    "negative": ("NAXIS1", "-5"),
    "negative, other axis": ("NAXIS2", "-2147483648"),
    "negative number of axes": ("NAXIS", "-1"),
    "negative heap": ("PCOUNT", "-2880"),
    "negative number of groups": ("GCOUNT", "-1"),
    "huge": ("NAXIS1", "1000000000000"),
    "beyond any integer": ("NAXIS2", "99999999999999999999"),
    "too many axes": ("NAXIS", "999"),
    "fraction": ("NAXIS1", "4.5"),
    "true": ("NAXIS1", "T"),
    "text": ("NAXIS1", "'four    '"),
    "no value": ("NAXIS1", ""),
    "bits that are not": ("BITPIX", "-33"),
}


@pytest.mark.parametrize(("keyword", "value"), SIZES.values(), ids=list(SIZES))
@pytest.mark.parametrize("reader", [read_image, read_truth, level1b_checksum])
def test_sizes_that_cannot_be_are_refused(reader, keyword, value, tmp_path):
    """No reader goes in circles, or makes room for more than a file has."""
    path = tmp_path / "some.fits"
    with_card(path, keyword, value)
    with pytest.raises(CannotJudge, match=r"some\.fits cannot be read as .*extension 1"):
        reader(path)


@pytest.mark.parametrize("value", ["'two     '", "T", ""])
@pytest.mark.parametrize("keyword", ["BSCALE", "BZERO"])
def test_scales_that_are_no_numbers_are_refused(keyword, value, tmp_path):
    """The sentence names the card, not what numpy says about it."""
    path = tmp_path / "some.fits"
    with_card(path, keyword, value, instead_of="EXTNAME")
    with pytest.raises(CannotJudge, match=rf"extension 1 has {keyword} = .*a number is needed"):
        read_image(path)


@pytest.mark.parametrize("rows", [-4, 10**9])
def test_compressed_arrays_of_sizes_that_cannot_be_are_refused(rows, tmp_path):
    """A small file may promise an array that no memory holds."""
    path = tmp_path / "some.fits"
    compressed = fits.CompImageHDU(np.zeros((8, 8), np.float32), name="SCI", tile_shape=(8, 8))
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(path)
    content = bytearray(path.read_bytes())
    for keyword in ("ZNAXIS1", "ZNAXIS2"):
        place = content.index(f"{keyword:8}=".encode())
        content[place : place + 80] = f"{keyword:8}= {rows:>20}".ljust(80).encode()
    path.write_bytes(content)
    with pytest.raises(CannotJudge, match=r"some\.fits cannot be read as .*extension 1"):
        read_image(path)


def test_file_larger_than_the_memory_is_refused(tmp_path):
    """A file with holes takes no disk, and all memory when it is read."""
    path = tmp_path / "some.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((4, 4)), name="SCI")]).writeto(path)
    with path.open("r+b") as stream:
        stream.truncate(2**43)
    with pytest.raises(CannotJudge, match="GB of memory"):
        read_image(path)


def header_of(cards):
    """Return a primary header of these cards, as bytes."""
    text = "".join(card.ljust(80) for card in [*EMPTY, *cards, "END"])
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


EMPTY = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"]
ENDLESS = {
    "cards": lambda: header_of(["COMMENT more"] * 100_000),
    "cards without end": ("SIMPLE  = T".ljust(80) * 100_000).encode,
    "extensions": lambda: (
        header_of([]) + 2000 * header_of([]).replace(b"SIMPLE  = T  ", b"XTENSION= 'I'")
    ),
    "zeros": lambda: gzip.compress(header_of([]) + bytes(60_000_000), 1),
    "compressed again": lambda: bz2.compress(header_of([])),
    "half of a compressed file": lambda: gzip.compress(header_of(["COMMENT more"] * 99))[:60],
    "nothing": lambda: b"",
    "a page": lambda: b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("content", ENDLESS.values(), ids=list(ENDLESS))
def test_what_is_no_whole_file_is_refused_at_once(content, tmp_path):
    """Nobody waits for what is no product, however large it is or becomes."""
    path = tmp_path / "some.fits"
    path.write_bytes(content())
    with pytest.raises(CannotJudge, match=r"some\.fits cannot be read as"):
        read_image(path)


def test_array_that_leaves_no_room_is_refused(tmp_path):
    """A file with holes takes no disk, and its array would take half of the memory."""
    path = tmp_path / "some.fits"
    rows = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 // 4 // 2880
    with_card(path, "NAXIS1", "2880")
    content = path.read_bytes().replace(b"NAXIS2  =                    4", b"NAXIS2  = %20d" % rows)
    with path.open("wb") as stream:
        stream.write(content[:5760])
        stream.truncate(5760 + 4 * 2880 * rows)
    with pytest.raises(CannotJudge, match="GB of memory"):
        read_image(path)


def test_text_without_end_is_refused(tmp_path):
    """No association that is read has more than 10 MB."""
    with (tmp_path / "asn.json").open("w") as stream:
        stream.truncate(2**40)
    with pytest.raises(CannotJudge, match="more than 10 MB"):
        of_association(tmp_path / "asn.json")


def test_nested_text_is_refused(tmp_path):
    """Brackets in brackets are no error of the suite."""
    (tmp_path / "asn.json").write_text("[" * 200_000)
    with pytest.raises(CannotJudge, match="cannot be read as JSON"):
        of_association(tmp_path / "asn.json")


def test_sound_files_of_every_layout_are_opened(tmp_path):
    """Tables, heaps, groups, compressed and empty extensions have sizes of their own."""
    table = fits.BinTableHDU.from_columns(
        [fits.Column("a", "PJ()", array=np.array([[1], [1, 2]], dtype=object))]
    )
    groups = fits.GroupsHDU(
        fits.GroupData(np.ones((2, 3, 3), np.float32), bitpix=-32, parnames=["A"], pardata=[[1, 2]])
    )
    compressed = fits.CompImageHDU(np.zeros((100, 100), np.int16))
    for number, hdus in enumerate(
        ([fits.PrimaryHDU(), table, compressed, fits.ImageHDU()], [groups])
    ):
        path = tmp_path / f"{number}.fits"
        fits.HDUList(hdus).writeto(path)
        with open_fits(path) as opened:
            assert len(opened) == len(hdus)


# ------------------------------------------------------------------ every reader

# Methods that read files, and functions of packages that do.
_READING = {"read_text", "read_bytes", "open", "getheader", "getdata", "load", "read"}
# What is no path: package data, what was opened or read before, and what is opened to write.
_HARMLESS = re.compile(r"files\(|\bstream\b|\bhdus\b|\bread_text\(path\)|'[wa]b?'")
# Where something else than a file that others may have written is read, and what.
ALLOWED = {
    "builds/calling.py": "what a build has printed, whatever bytes that are",
    "builds/candidates.py": "files of a checkout, as git names them",
    "builds/runner.py": "nothing of this suite is there",
    "detection/faults/broken_step.py": "data models inside the pipeline",
    "fixes/flags.py": "data models of rates that the suite has just made",
    "fixes/step.py": "data models inside the pipeline",
    "fixes/trial.py": "images that it has kept itself",
    "memory.py": "the system's status of this process",
    "museum/trial.py": "images that it has kept itself",
    "nightly/night.py": "the system's limits of memory",
    "nightly/processes.py": "the null device",
    "provenance.py": "installed packages",
    "reading.py": "here everything is opened",
    "reporting/pictured.py": "a picture in memory",
    "reporting/report/page.py": "the package's own style and icon",
    "reporting/site/build.py": "the pages' own log, and notebooks and documents of the checkout",
    "runs/notebook.py": "the notebook that is being executed",
    "simulation/mirisim/installation.py": "the working directory of MIRISim, made for it",
}


def _reads(node):
    """Tell whether a piece of source is a call that may read a file by its path."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _READING
        and _HARMLESS.search(ast.unparse(node)) is None
    )


def test_no_other_file_is_opened_otherwise(repository):
    """What may be read without the checks of this module is on a list, with a reason."""
    sources = repository / "src" / "miri_background"
    found = {
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if _reads(node)
    }
    assert sorted(found) == sorted(ALLOWED)


def test_json_is_what_the_file_holds(tmp_path):
    """A whole file is read as it is."""
    (tmp_path / "a.json").write_text(json.dumps({"σ": [1, None]}), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"σ": [1, None]}
