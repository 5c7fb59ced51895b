"""Images whose arrays stay in their files: what is read is what astropy reads."""

import gzip
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.validation.products import planes
from miri_background.validation.products.images import read_image

SHAPE = (200, 300)
FLAGS = np.arange(60_000, dtype=np.uint32).reshape(SHAPE) << np.uint32(16)


def hdus(flags=FLAGS, shape=SHAPE, kind=fits.ImageHDU, precision=np.float32):
    """Return a product with different numbers in every pixel."""
    values = np.arange(np.prod(shape), dtype=precision).reshape(shape) / 7
    flags = np.broadcast_to(flags, shape)
    parts = {"SCI": values, "ERR": -values, "DQ": flags, "VAR_RNOISE": values**2}
    images = [kind(np.ascontiguousarray(plane), name=name) for name, plane in parts.items()]
    return fits.HDUList([fits.PrimaryHDU(), *images])


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes a product and returns its path."""

    def write(**choices):
        path = tmp_path / "science_rate.fits"
        hdus(**choices).writeto(path, overwrite=True)
        return path

    return write


def require_same(image, path):
    """Require that all planes are those that astropy reads."""
    with fits.open(path, memmap=False) as expected:
        found = {"SCI": image.data, "ERR": image.err, "DQ": image.dq} | dict(image.variances)
        for name, plane in found.items():
            np.testing.assert_array_equal(plane, expected[name].data)
            assert plane.dtype.isnative


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"shape": (3, *SHAPE)},
        {"precision": np.float64},
        {"flags": (FLAGS >> np.uint32(1)).astype(np.int32)},
        {"flags": (FLAGS >> np.uint32(24)).astype(np.uint8)},
        {"kind": fits.CompImageHDU},
    ],
    ids=["rate", "cube", "double", "flags with a sign", "flags of a byte", "compressed planes"],
)
def test_planes_are_those_of_the_file(choices, stored):
    """Whatever the file has them stored as."""
    path = stored(**choices)
    require_same(read_image(path), path)


def test_scaled_planes_are_scaled(stored):
    """Values of a scaled array are not the bytes of the file."""
    path = stored()
    with fits.open(path, mode="update") as opened:
        opened["ERR"].header["BSCALE"] = 2.0
    assert read_image(path).err[0, 7] == pytest.approx(-2.0)


def test_compressed_file_is_read(stored):
    """What is compressed as a whole cannot be read in parts."""
    path = stored()
    compressed = path.with_name("science_rate.fits.gz")
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    require_same(read_image(compressed), path)


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE)], ids=["rate", "cube"])
def test_rows_are_those_of_the_whole(shape, stored):
    """A strip has the same rows of every integration."""
    image = read_image(stored(shape=shape))
    strip = image.rows(slice(190, 1000))
    for name in ("data", "err", "dq"):
        np.testing.assert_array_equal(getattr(strip, name), getattr(image, name)[..., 190:, :])


def test_planes_are_not_held(stored, monkeypatch):
    """An image of a file needs no memory for its pixels, even after they were looked at."""
    monkeypatch.setattr(planes, "_MOST_RECENT", 0)
    path = stored()
    read_image(path).data  # noqa: B018 - what only the first image needs is made
    tracemalloc.start()
    try:
        images = [read_image(path) for _ in range(4)]
        assert sum(float(image.data[0, 7] + image.err[0, 7]) for image in images) == 0
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The last plane is kept; headers and all else have less than another.
    assert held < 2 * FLAGS.nbytes


def test_planes_are_not_written_into(stored):
    """What would be lost is refused."""
    with pytest.raises(ValueError, match="read-only"):
        read_image(stored()).data[0, 0] = 1


def test_what_is_replaced_is_held(stored):
    """Other planes are still those of the file."""
    path = stored()
    image = read_image(path)
    for changed in (replace(image, data=image.err), image.changed(data=image.err)):
        np.testing.assert_array_equal(changed.data, image.err)
        np.testing.assert_array_equal(changed.dq, FLAGS)
        assert changed.shape == SHAPE


def changed(path):
    """Change a file in place, as a pipeline does that runs again."""
    status = path.stat()
    hdus().writeto(path, overwrite=True)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [(changed, "has changed while it was judged"), (os.remove, "cannot be read any more")],
    ids=["changed", "removed"],
)
def test_changed_file_is_named(change, words, stored):
    """No verdict is of one half of a file and of another half of another."""
    path = stored()
    image = read_image(path)
    change(path)
    with pytest.raises(CannotJudge, match=rf"{path} {words}"):
        image.data  # noqa: B018 - read when it is looked at
