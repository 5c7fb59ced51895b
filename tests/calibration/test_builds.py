"""A build in an environment of its own calibrates as the installed pipeline does."""

import json
import sys
from importlib.metadata import distributions

import numpy as np
import pytest
from astropy.io import fits

from miri_background.builds.uv import NoEnvironment
from miri_background.calibration import image2
from miri_background.calibration.builds import BuildPipeline, pipeline_of, pipeline_stem
from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, Cause
from miri_background.parallel import process_pool
from miri_background.provenance import pipeline_fingerprint, versions
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures

FEW = Observation(subarray="SUB256", groups=8, science_exposures=1, background_exposures=2)
IMAGES = ("SCI", "ERR", "DQ")


@pytest.fixture
def as_build(tmp_path, monkeypatch):
    """Let this Python's environment be that of a release, too, and return its version."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    packages = {each.metadata["Name"].lower(): each.version for each in distributions()}
    release = packages["jwst"]
    directory = tmp_path / "cache" / "builds" / f"jwst-{release}-py3"
    directory.mkdir(parents=True)
    (directory / ".miri-background-build").write_text(release)
    (directory / "venv").symlink_to(sys.prefix)
    stamp = {"name": release, "stem": f"jwst-{release}", "python": "3", "size": 0}
    (directory / "stamp.json").write_text(json.dumps(stamp | {"packages": packages}))
    return release


def test_installed_pipeline_is_the_default():
    """Its version and sources are those of this environment."""
    pipeline = pipeline_of(Calibration())
    assert pipeline.version == versions()["jwst"]
    assert pipeline.fingerprint == pipeline_fingerprint()


def test_build_of_the_same_sources_has_the_same_fingerprint(as_build):
    """What one has made is used by the other."""
    pipeline = pipeline_of(Calibration(build=as_build))
    assert isinstance(pipeline, BuildPipeline)
    assert pipeline.fingerprint == pipeline_fingerprint()


@pytest.mark.parametrize(("build", "stem"), [("1.20.2", "jwst-1.20.2"), ("1.20.02", "jwst-1.20.2")])
def test_directory_has_the_version_of_a_release(build, stem):
    """However it is written; no environment is needed to know it."""
    assert pipeline_stem(Calibration(build=build)) == stem


@pytest.mark.parametrize("build", ["latest", "nowhere/jwst", ""])
def test_what_is_no_build_is_refused(build):
    """In one sentence that names it."""
    with pytest.raises(NoEnvironment, match=build or "."):
        pipeline_stem(Calibration(build=build))


@pytest.fixture
def run(synthetic_caches, tmp_path, monkeypatch):
    """Return a function that gives the run of a calibration, in a process of its references."""
    for name, value in crds_environment(synthetic_cache(synthetic_caches, FEW)).items():
        monkeypatch.setenv(name, value)
    # Other tests may have imported them here.
    monkeypatch.setattr(image2, "steps_are_imported", lambda: False)
    runs = []

    def make(**calibration):
        runs.append(RunDirectory(tmp_path / f"run{len(runs)}", FEW, Calibration(**calibration)))
        return runs[-1]

    yield make
    for each in runs:
        each.release()


@pytest.mark.long
@pytest.mark.slow
def test_products_are_those_of_the_installed_pipeline(run, as_build):
    """All values are the same, whoever calls the pipeline."""
    products = []
    for calibration in ({}, {"build": as_build}):
        one = run(**calibration)
        with process_pool(1) as executor:
            take_exposures(one, executor)
            rates = detector1_rates(one, executor)
            write_associations(one)
            images = subtract_backgrounds(one, executor, image2_steps(one.calibration))
        products.append([*rates, *images])
        assert all("stpipe" in path.read_text() for path in (one.root / "logs").glob("*.log"))
        assert not list(one.observed.rglob("call"))
    assert [path.name for path in products[0]] == [path.name for path in products[1]]
    for installed, other in zip(*products, strict=True):
        for name in IMAGES:
            here, there = (fits.getdata(path, name) for path in (installed, other))
            np.testing.assert_array_equal(here, there, err_msg=f"{name} of {other.name}")


@pytest.mark.slow
def test_error_of_a_build_is_one_sentence(run, as_build, tmp_path):
    """It names exposure, build, error, place in the pipeline, and log; the cause is told."""
    damaged, output = tmp_path / "damaged_uncal.fits", tmp_path / "output"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)), name="SCI")]).writeto(damaged)
    output.mkdir()
    one, log = run(build=as_build), tmp_path / "detector1.log"
    with pytest.raises(CannotJudge) as caught:
        one.pipeline.detector1(damaged, output, log)
    text = str(caught.value)
    assert all(each in text for each in (str(damaged), f"jwst {as_build} ended with", str(log)))
    assert caught.value.cause is Cause.PIPELINE
    assert "Traceback" in log.read_text()
