"""A stand-in for MIRISim, and what it gives; MIRISim itself has not been run."""

import shlex

import pytest

from miri_background.observation import Observation
from miri_background.run_directory import RunDirectory
from miri_background.simulation.mirisim.installation import MIRISim
from miri_background.simulation.mirisim.observing import take_mirisim_exposures


@pytest.fixture(scope="session")
def installation(stand_in):
    """Return the stand-in as an installation that is called by its path."""
    return MIRISim(shlex.quote(str(stand_in / "mirisim")), time_limit=300)


@pytest.fixture(scope="session")
def small():
    """Return an observation with a subarray, so that a run takes a second."""
    return Observation(simulator="mirisim", groups=6, subarray="SUB256")


@pytest.fixture(scope="session")
def observation():
    """Return the shortest observation of the full array, with few bright stars."""
    return Observation(
        simulator="mirisim",
        groups=6,
        science_exposures=1,
        background_exposures=2,
        science_stars=20,
        science_faintest=300,
        background_stars=12,
        background_faintest=300,
        background_brightest=600,
        cosmic_ray_rate=0,
    )


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Return the directory of calibrations in a cache of the test's own."""
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mirisim"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Return the cache that `taken` uses."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def taken(observation, installation, cache, tmp_path_factory):
    """Give a run directory with exposures by the stand-in."""
    run = RunDirectory(tmp_path_factory.mktemp("taken") / "run", observation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRI_BACKGROUND_CACHE", str(cache))
        take_mirisim_exposures(run, installation)
    yield run
    run.release()
