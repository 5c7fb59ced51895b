"""The doctor as users run it."""

import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

from miri_background.references.mappings import CONTEXT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def healthy(command_line, small_options):
    """Return what the doctor says about the suite's own references."""
    return command_line("references", "doctor", *small_options)


def test_synthetic_references_are_well(healthy):
    """Code 0, and the last word is passed."""
    assert (healthy.returncode, healthy.stdout.endswith("\nPASSED\n")) == (0, True), healthy.stdout


def test_every_reference_has_a_line(healthy):
    """The table names the reference that each step will use."""
    lines = healthy.stdout.splitlines()
    assert [line for line in lines if line.startswith("✓") and "jwst_miri_gain_9001.fits" in line]


def test_gain_without_values_is_ill(command_line, small_options, small_cache, tmp_path):
    """A gain that is NaN everywhere ends with code 2 and is named in the last line."""
    cache = shutil.copytree(small_cache, tmp_path / "cache", copy_function=os.link)
    path = cache / "references" / "jwst" / "miri" / "jwst_miri_gain_9001.fits"
    aside = path.with_suffix(".aside")
    with fits.open(path, memmap=False) as hdus:
        hdus["SCI"].data[:] = np.nan
        hdus.writeto(aside)
    aside.replace(path)
    chosen = ["--crds-cache", cache, "--crds-context", CONTEXT]
    ended = command_line("references", "doctor", *chosen, *small_options)
    assert (ended.returncode, "types implausible: gain\n" in ended.stdout) == (2, True), (
        ended.stdout
    )


def test_missing_cache_is_refused(command_line, tmp_path):
    """A cache that is not there ends with code 2 and one sentence."""
    ended = command_line("references", "doctor", "--crds-cache", tmp_path / "nowhere")
    assert (ended.returncode, "is not there" in ended.stdout) == (2, True), ended.stdout
