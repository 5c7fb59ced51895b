"""An observation by MIRISim has the files, metadata and positions of the embedded simulator.

A stand-in takes the place of MIRISim, which has not been run as a whole.
"""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from photutils.centroids import centroid_2dg, centroid_sources

from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.detector import SHAPE, pixel_flat
from miri_background.instrument.footprint import within_regions
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.throughput import (
    electrons_per_microjansky,
    preflight_electrons_per_microjansky,
)
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.run_directory import RunDirectory
from miri_background.simulation.level1b import level1b_model
from miri_background.simulation.mirisim.installation import MIRISim
from miri_background.simulation.mirisim.observing import take_mirisim_exposures
from miri_background.simulation.sky import pointing, sky_rate, source_rate

# Runs of the stand-in on the full array take half a minute together.
pytestmark = pytest.mark.slow

POSITION_TOLERANCE = 0.5  # pixel: a fifth of the width of a star
MARGIN = 15  # pixels from the border of a region
APART = 20  # pixels between stars
BOX = 9  # pixels that a centroid is measured on
SKY_RATE = 60.0 / 5.5  # DN/s, the stand-in's low sky
# The gradient of 1 % in an arcmin over half the array, and faint wings of stars.
SKY_TOLERANCE = 0.02
# 25.032 m^2 instead of 25.4 m^2; 5.5 e/DN.
RATE_PER_ELECTRON = 25.032 / 25.4 / 5.5
FLOAT32_ROUNDING = 2.0**-22  # of a product of a few numbers

DETECTOR1 = """
import sys
from pathlib import Path
from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.references.choice import use_references
uncal, description, command, rate = sys.argv[1:]
observation = Observation.model_validate_json(Path(description).read_text())
use_references(observation, Calibration(), mirisim_command=command)
from jwst.pipeline import Detector1Pipeline
Detector1Pipeline.call(uncal, steps={"refpix": {"skip": True}}).save(rate)
"""


@pytest.fixture(autouse=True)
def _same_cache(cache, monkeypatch):
    """Let every test have the calibration of `taken`."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(cache))


@pytest.fixture
def copied(taken, observation, tmp_path):
    """Give a copy of the run that a test may change."""
    run = RunDirectory(shutil.copytree(taken.observed, tmp_path / "run"), observation)
    yield run
    run.release()


@pytest.fixture
def broken(installation, monkeypatch):
    """Return an installation that fails when it is run."""
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "exit")
    return MIRISim(installation.command)


def written(run):
    """Return the exposures' files with the time when they were written."""
    paths = [*run.observed.glob("uncal/*.fits"), *run.observed.glob("truth/*.fits")]
    return {path: path.stat().st_mtime_ns for path in paths}


# A fit to no star at all: the position says so.
astray = pytest.mark.filterwarnings("ignore:The fit may not have converged")
every_exposure = pytest.mark.parametrize(
    ("field", "dither"), [("science", 0), ("background", 0), ("background", 1)]
)


def test_each_exposure_has_its_files(taken, observation):
    """There is a level-1b and a truth file for each exposure, and nothing else."""
    expected = [
        path(each) for path in (taken.uncal, taken.truth) for each in exposures(observation)
    ]
    assert sorted(written(taken)) == sorted(expected)


def test_logs_are_kept(taken):
    """Each field leaves what MIRISim was told and what it said."""
    names = {path.name for path in (taken.root / "logs").iterdir()}
    assert names == {"mirisim_science.log", "mirisim_background.log"}


def test_log_of_the_calibration_is_kept(taken, cache):
    """It lies beside the calibration, which serves other runs, too."""
    del taken
    (calibration,) = (cache / "mirisim").glob("*.json")
    assert calibration.with_suffix(".log").exists()


def largest_miss(run, exposure):
    """Return how far isolated stars are from their catalogue's x and y at most, pixel."""
    science = fits.getdata(run.uncal(exposure), "SCI")[0].astype(float)
    image = science[-1] - science[0]
    stars = QTable.read(run.truth(exposure), "CATALOG")
    stars = stars[stars["kind"] == "star"]
    x, y = stars["x"].value, stars["y"].value
    distance = np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y))
    np.fill_diagonal(distance, np.inf)
    seen = within_regions(x, y, MARGIN, run.observation.subarray) & (distance.min(axis=1) > APART)
    assert np.count_nonzero(seen) >= 5
    found = centroid_sources(image, x[seen], y[seen], box_size=BOX, centroid_func=centroid_2dg)
    return np.hypot(found[0] - x[seen], found[1] - y[seen]).max()


@astray
@every_exposure
def test_stars_are_where_the_catalogue_says(taken, observation, field, dither):
    """In the last frame minus the first, in every dither, through the distortion."""
    exposure = observation.exposure(field, dither)
    assert largest_miss(taken, exposure) < POSITION_TOLERANCE


@pytest.mark.long
@astray
@pytest.mark.slow
@pytest.mark.parametrize(("version", "x_sign"), [("2.2.0", "-1"), ("2.4.1", "-1"), ("2.2.0", "1")])
def test_stars_of_other_versions_are_where_the_catalogue_says(
    observation, installation, tmp_path, monkeypatch, version, x_sign
):
    """Whichever way the axes and the dithers of a version go."""
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", version)
    monkeypatch.setenv("MIRISIM_STAND_IN_X_SIGN", x_sign)
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    run = RunDirectory(tmp_path / "run", observation)
    try:
        take_mirisim_exposures(run, MIRISim(installation.command))
        missed = [largest_miss(run, exposure) for exposure in exposures(observation)]
    finally:
        run.release()
    assert max(missed) < POSITION_TOLERANCE


@pytest.mark.long
@astray
@pytest.mark.slow
def test_stars_of_a_subarray_are_where_the_catalogue_says(observation, installation, tmp_path):
    """Pixels are counted from the corner of what is read."""
    changed = {"subarray": "BRIGHTSKY", "science_stars": 80, "galaxy_flux": 0}
    smaller = Observation(**(observation.model_dump() | changed))
    run = RunDirectory(tmp_path / "run", smaller)
    try:
        take_mirisim_exposures(run, installation)
        assert largest_miss(run, exposures(smaller)[0]) < POSITION_TOLERANCE
    finally:
        run.release()


def test_galaxy_is_where_the_catalogue_says(taken, observation):
    """Its light is brightest there."""
    exposure = exposures(observation)[0]
    science = fits.getdata(taken.uncal(exposure), "SCI")[0].astype(float)
    sources = QTable.read(taken.truth(exposure), "CATALOG")
    (galaxy,) = sources[sources["kind"] == "galaxy"]
    image = science[-1] - science[0]
    found = centroid_sources(
        image, galaxy["x"].value, galaxy["y"].value, box_size=21, centroid_func=centroid_2dg
    )
    miss = np.hypot(found[0] - galaxy["x"].value, found[1] - galaxy["y"].value)
    assert miss.item() < POSITION_TOLERANCE


@every_exposure
def test_metadata_are_those_of_the_embedded_simulator(taken, observation, field, dither):
    """All that MIRISim leaves out or has wrong is replaced."""
    exposure = observation.exposure(field, dither)
    where = pointing(observation, field, dither)
    with fits.open(taken.uncal(exposure)) as hdus:
        arrays = hdus["SCI"].data, hdus["REFOUT"].data
        model = level1b_model(observation, exposure, where, *arrays)
    expected = model.to_flat_dict(include_arrays=False)
    from stdatamodels.jwst.datamodels import Level1bModel

    with Level1bModel(taken.uncal(exposure)) as model:
        found = model.to_flat_dict(include_arrays=False)
    changing = ("meta.date", "meta.filename", "meta.model_type", "meta.calibration_software")
    differ = {
        name
        for name in expected
        if name.startswith("meta.")
        and not name.startswith(changing)
        and found.get(name) != expected[name]
    }
    assert differ == set()


@pytest.mark.parametrize(
    ("keyword", "extension", "value"),
    [
        ("APERNAME", 0, "MIRIM_FULL"),
        ("PATTTYPE", 0, "4-POINT-SETS"),
        ("NUMDTHPT", 0, 1),
        ("WCSAXES", "SCI", 2),
        ("CRPIX1", "SCI", imager_aperture().x_ref + 1),
        ("CRPIX2", "SCI", imager_aperture().y_ref + 1),
        ("V3I_YANG", "SCI", imager_aperture().v3_ideal_y_angle),
    ],
)
def test_defects_of_mirisims_headers_are_mended(taken, observation, keyword, extension, value):
    """Keywords that MIRISim leaves out, or that are those of another instrument model."""
    path = taken.uncal(exposures(observation)[0])
    assert fits.getheader(path, extension)[keyword] == value


def test_numbers_are_those_of_level_1b(taken, observation):
    """Unsigned 16-bit science and reference output of the full array."""
    with fits.open(taken.uncal(exposures(observation)[0])) as hdus:
        assert hdus["SCI"].data.dtype == hdus["REFOUT"].data.dtype == np.uint16
        assert hdus["SCI"].data.shape == (1, observation.groups, *SHAPE)


@pytest.mark.parametrize("name", ["BACKGROUND", "SOURCES"])
def test_expectation_has_mirisims_constants(taken, observation, name):
    """The embedded sky and optics with MIRISim's mirror and gain, without the pixel flat."""
    path = taken.truth(exposures(observation)[0])
    if name == "BACKGROUND":
        electrons = sky_rate(observation, "science")
    else:
        listed = QTable.read(path, "CATALOG")
        psf = point_spread_function(observation.filter)
        electrons = source_rate(
            observation, "science", listed, listed["x"].value, listed["y"].value, psf
        )
    flat = pixel_flat()
    # MIRISim has the curves of before flight.
    per_electron = (
        RATE_PER_ELECTRON
        * preflight_electrons_per_microjansky(observation.filter)
        / electrons_per_microjansky(observation.filter)
    )
    expected = np.where(flat > 0, electrons / np.where(flat > 0, flat, 1), 0) * per_electron
    np.testing.assert_allclose(fits.getdata(path, name), expected, FLOAT32_ROUNDING, atol=1e-9)


def test_stars_have_no_colour(taken, observation):
    """The truth lists the flat spectra that MIRISim was told, not those of the catalogue."""
    sources = QTable.read(taken.truth(exposures(observation)[0]), "CATALOG")
    assert np.all(sources["spectral_index"] == 0)


def test_cosmic_rays_are_not_known(taken, observation):
    """MIRISim does not tell its hits, so the truth has no table of them."""
    with fits.open(taken.truth(exposures(observation)[0])) as hdus:
        assert "COSMIC_RAYS" not in hdus


def test_exposures_are_taken_once(taken, broken):
    """Asked for again, files that are there are left as they are, and MIRISim is not run."""
    before = written(taken)
    paths = take_mirisim_exposures(taken, broken)
    assert written(taken) == before
    assert paths == [taken.uncal(each) for each in exposures(taken.observation)]


def test_only_missing_exposures_are_taken(copied, installation):
    """An interrupted run goes on where it was."""
    lost = copied.uncal(exposures(copied.observation)[-1])
    before = written(copied)
    lost.unlink()
    take_mirisim_exposures(copied, installation)
    changed = {path for path, when in written(copied).items() if before[path] != when}
    assert changed == {lost, copied.truth(exposures(copied.observation)[-1])}
    assert "NDither = 1\n" in copied.log("mirisim_background").read_text()


def test_other_version_takes_its_own_exposures(copied, installation, cache, monkeypatch):
    """Exposures of another version of MIRISim are not current."""
    cached = next(cache.glob("mirisim/mirisim-2.4.1-FULL-*.json"))
    other = cached.with_name(cached.name.replace("2.4.1", "2.5.0"))
    other.write_text(cached.read_text().replace("2.4.1", "2.5.0"))
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", "2.5.0")
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "exit")
    with pytest.raises(CannotJudge, match="exit code 3"):
        take_mirisim_exposures(copied, MIRISim(installation.command))


def test_foreign_file_is_left_alone(copied, broken):
    """A file that the suite did not write is reported before MIRISim is run."""
    foreign = copied.uncal(exposures(copied.observation)[-1])
    foreign.write_text("mine")
    with pytest.raises(CannotJudge, match=foreign.name):
        take_mirisim_exposures(copied, broken)
    assert foreign.read_text() == "mine"


@pytest.mark.long
def test_other_read_noise_than_calibrated_is_refused(small, installation, tmp_path, monkeypatch):
    """The references would hold the noise of before; the sentence names what to remove."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "other noise")
    run = RunDirectory(tmp_path / "run", small)
    kept = tmp_path / "cache" / "mirisim" / "mirisim-2.4.1-SUB256-F770W-FASTR1.json"
    try:
        with pytest.raises(
            CannotJudge, match=f"seq3.*RDNOISE = 10.0, and 8.0 was asked for: .*remove {kept}"
        ):
            take_mirisim_exposures(run, MIRISim(installation.command))
    finally:
        run.release()


@pytest.mark.long
def test_slow_exposure_has_mirisims_number_of_samples(installation, tmp_path, monkeypatch):
    """SCASim counts the eight samples that are averaged, not the one that is left out."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    slow = Observation(
        simulator="mirisim",
        readout_pattern="SLOWR1",
        groups=6,
        science_exposures=1,
        background_exposures=2,
        science_stars=0,
        background_stars=0,
        galaxy_flux=0,
        cosmic_ray_rate=0,
    )
    run = RunDirectory(tmp_path / "run", slow)
    try:
        taken = take_mirisim_exposures(run, MIRISim(installation.command))
        assert [fits.getval(path, "NSAMPLES") for path in taken] == [8, 8, 8]
    finally:
        run.release()


def test_failure_leaves_no_exposure(observation, broken, tmp_path):
    """A run of MIRISim that fails leaves its log and nothing in uncal and truth."""
    run = RunDirectory(tmp_path / "run", observation)
    try:
        with pytest.raises(CannotJudge, match="exit code 3"):
            take_mirisim_exposures(run, broken)
        assert written(run) == {}
        assert run.log("mirisim_science").exists()
    finally:
        run.release()


@pytest.mark.long
@pytest.mark.slow
def test_pipeline_gives_the_rate_of_the_sky(taken, observation, installation, cache, tmp_path):
    """calwebb_detector1 with references of MIRISim's detector gives what the stand-in put in."""
    uncal = taken.uncal(exposures(observation)[0])
    rate = tmp_path / "rate.fits"
    arguments = [uncal, taken.root / "observation.json", installation.command, rate]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRDS_")}
    subprocess.run(
        [sys.executable, "-c", DETECTOR1, *arguments],
        env=kept | {"MIRI_BACKGROUND_CACHE": str(cache)},
        cwd=tmp_path,
        check=True,
    )
    region = fits.getdata(rate, "SCI")[300:700, 500:900]
    assert np.nanmedian(region) == pytest.approx(SKY_RATE, rel=SKY_TOLERANCE)
