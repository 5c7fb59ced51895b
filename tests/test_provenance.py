"""What a result depends on, and what it took."""

import json
import subprocess
import sys
from textwrap import dedent
from types import SimpleNamespace

import pytest
from astropy.io import fits

from miri_background.files import checksum
from miri_background.provenance import _observed, used_references

BALLAST = 400_000_000  # bytes that the starting process has, and the started one has not


def test_memory_is_of_the_process_itself():
    """What the process that started this one had in memory does not count."""
    large = dedent(f"""
        import subprocess, sys
        ballast = bytearray(b"1") * {BALLAST}
        small = "from miri_background.memory import peak_memory; print(peak_memory())"
        print(subprocess.check_output([sys.executable, "-c", small], text=True))
    """)
    peak = int(subprocess.check_output([sys.executable, "-c", large], text=True))
    assert 5_000_000 < peak < BALLAST


def test_memory_of_ended_children_counts():
    """A worker that took more than this process is what the machine has to have."""
    small = dedent(f"""
        import subprocess, sys
        from miri_background.memory import peak_memory
        subprocess.run([sys.executable, "-c", "bytearray(b'1') * {BALLAST}"], check=True)
        print(peak_memory())
    """)
    assert int(subprocess.check_output([sys.executable, "-c", small], text=True)) > BALLAST


@pytest.mark.parametrize("place", ["references/jwst/miri", "references/jwst"])
def test_references_are_those_that_products_name(tmp_path, place):
    """By name and checksum, in either layout of a cache; not what no step used."""
    for kind, keyword, name in (("rate", "R_DARK", "dark.fits"), ("cal", "R_FLAT", "flat.fits")):
        directory = tmp_path / ("rate" if kind == "rate" else "image2")
        directory.mkdir()
        header = fits.Header(
            {keyword: f"crds://{name}", "R_IPC": "N/A", "R_GAIN": "crds://no.fits"}
        )
        fits.PrimaryHDU(header=header).writeto(directory / f"x_{kind}.fits")
    cache = tmp_path / "cache" / place
    cache.mkdir(parents=True)
    for name in ("dark.fits", "flat.fits", "unused.fits"):
        (cache / name).write_text(name)
    expected = {name: checksum(cache / name) for name in ("dark.fits", "flat.fits")}
    assert used_references(tmp_path, tmp_path / "cache") == expected


@pytest.mark.slow
def test_memory_of_workers_counts():
    """A worker is no child of the process that it works for, but takes its memory."""
    small = dedent(f"""
        from miri_background.memory import peak_memory
        from miri_background.parallel import completed, process_pool
        if __name__ == "__main__":
            with process_pool(1) as executor:
                completed(executor, exec, ["bytearray(b'1') * {BALLAST}"], "Taking memory")
            print(peak_memory())
    """)
    assert int(subprocess.check_output([sys.executable, "-c", small], text=True)) > BALLAST


@pytest.mark.parametrize(
    ("science", "backgrounds", "whole"), [(4, 4, True), (3, 4, False), (4, 3, False)]
)
def test_part_of_an_observation_has_no_baseline(tmp_path, science, backgrounds, whole):
    """What identifies the baseline is only told where as many exposures are judged as observed."""
    files = {
        "observation": {"science_exposures": 4, "background_exposures": 4},
        "calibration": {"sigma": 2.0},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    products = SimpleNamespace(
        science=[None] * science,
        backgrounds=[None] * backgrounds,
        calibrated_headers=[{"CAL_VER": "3.0.0", "CRDS_CTX": "jwst_9001.pmap"}],
        sigma=2.0,
        maxiters=3,
    )
    assert ("observation" in _observed(products, tmp_path)) == whole
