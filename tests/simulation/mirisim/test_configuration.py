"""MIRISim's configuration says what the observation says, in MIRISim's words."""

import subprocess

import numpy as np
import pytest
from configobj import ConfigObj

from miri_background.instrument.throughput import SKY_LEVELS, pivot_wavelength
from miri_background.observation import Observation
from miri_background.simulation.mirisim.configuration import (
    SceneSource,
    SkyBackground,
    write_configuration,
)

OFFSETS = np.array([[0.0, 0.0], [12.5, -3.25]])
STAR = SceneSource(1.5, -2.25, 123.4)
GALAXY = SceneSource(-3.0, 4.0, 400.0, {"n": 2.0, "re": 1.8, "q": 0.6, "pa": 30.0})
FIRST_DITHER_LINE = 1  # after a comment

# Without the gain SCASim writes electrons, without reference pixels neither reference columns
# nor a reference output.
ON = {"include_poisson", "include_readnoise", "include_gain", "include_refpix"}
EFFECTS = {
    *("include_badpix", "include_dark", "include_flat"),
    *("include_nonlinearity", "include_drifts", "include_latency", *ON),
}


@pytest.fixture
def configured(tmp_path, small):
    """Return a function that writes a configuration and returns the content of a file of it."""

    def write(name, version="2.4.1", offsets=OFFSETS, background=None, **changed):
        observation = Observation(**(small.model_dump() | changed))
        background = background or SkyBackground()
        write_configuration(tmp_path, version, observation, background, [STAR, GALAXY], offsets)
        return ConfigObj(str(tmp_path / name), file_error=True).dict()

    return write


def test_readout_is_that_of_the_observation(configured):
    """Filter, subarray, mode, integrations and frames of one exposure."""
    patterns = configured("simulation.ini", groups=8, integrations=2)["Integration_and_patterns"]
    assert patterns["IMA_configuration"] == {
        "filter": "F770W",
        "ReadDetect": "SUB256",
        "Mode": "FAST",
        "Exposures": "1",
        "Integrations": "2",
        "Frames": "8",
    }


def test_slow_readout_is_called_slow(configured):
    """SLOWR1 is SLOW for MIRISim."""
    content = configured("simulation.ini", subarray="FULL", readout_pattern="SLOWR1")
    assert content["Integration_and_patterns"]["IMA_configuration"]["Mode"] == "SLOW"


def test_optical_path_is_that_of_the_subarray(configured):
    """The imager's path has the subarray in its name."""
    path = configured("simulation.ini")["Pointing_and_Optical_Path"]["Primary_Optical_Path"]
    assert path == {"POP": "IMA", "ConfigPath": "IMA_SUB256"}


def test_all_dithers_are_in_one_run(configured, tmp_path):
    """The pattern is the file beside, from its first line, once."""
    pattern = configured("simulation.ini")["Integration_and_patterns"]["Dither_Patterns"]
    assert pattern == {
        "Dither": "True",
        "StartInd": "1",
        "NDither": "2",
        "DitherPat": str(tmp_path / "dither.dat"),
    }


def test_dithers_have_a_comma(configured, tmp_path):
    """MIRISim reads no dither without one."""
    configured("simulation.ini")
    lines = (tmp_path / "dither.dat").read_text().splitlines()[FIRST_DITHER_LINE:]
    assert lines == ["+0.0000, +0.0000", "+12.5000, -3.2500"]


@pytest.mark.parametrize(("pixels", "arcsec"), [(50, 20), (300, 35)])
def test_largest_dither_is_allowed(configured, pixels, arcsec):
    """The limit is MIRISim's own unless a dither is larger."""
    content = configured("simulator.ini", offsets=np.array([[0, 0], [0, pixels]]))
    assert content["MiriSim"]["Dither"]["max_dither"] == str(arcsec)


def test_star_is_flat_at_the_pivot_wavelength(configured):
    """Flux density in uJy where the filter's response is defined, with no slope."""
    star = configured("scene.ini")["point_1"]
    assert star == {
        "Type": "Point",
        "Cen": "1.500000 -2.250000",
        "sed": {
            "Type": "PL",
            "alpha": "0.0",
            "wref": f"{pivot_wavelength('F770W'):.4f}",
            "flux": "123.4",
        },
    }


def test_galaxy_is_a_sersic_profile(configured):
    """The keywords are those of MIRISim's Python class."""
    galaxy = configured("scene.ini")["galaxy_2"]
    assert {name: galaxy[name] for name in ("Type", "Cen", "n", "re", "q", "pa")} == {
        "Type": "Galaxy",
        "Cen": "-3.000000 4.000000",
        "n": "2.0",
        "re": "1.8",
        "q": "0.6",
        "pa": "30.0",
    }


@pytest.mark.parametrize("filter_name", ["F770W", "F2550W"])
@pytest.mark.parametrize(("factor", "word"), [(0.0, "low"), (1.7, "low"), (1.9, "high")])
def test_bright_sky_is_high(filter_name, factor, word):
    """MIRISim has two levels of sky; what is bright depends on the filter."""
    level = factor * SKY_LEVELS[filter_name]
    observation = Observation(filter=filter_name, sky_level=level)
    assert SkyBackground.of(observation, 0.0).level == word


def test_sky_has_the_gradient(configured, small):
    """Percent per arcmin, towards an angle of the scene."""
    background = SkyBackground.of(Observation(**(small.model_dump() | {"sky_gradient": 3.0})), 77.0)
    assert configured("scene.ini", background=background)["Background"] == {
        "gradient": "3",
        "pa": "77.0000",
        "centreFOV": "0. 0.",
        "level": "low",
        "fast": "0",
    }


def test_effects_are_on_that_references_match(configured):
    """Effects with calibration products that no reference file matches are off."""
    detector = configured("simulator.ini")["SCASim"]
    effects = {name: value for name, value in detector.items() if name.startswith("include_")}
    assert effects == {name: "T" if name in ON else "F" for name in EFFECTS}


@pytest.mark.parametrize(("rate", "word"), [(0.0, "NONE"), (28.0, "SOLAR_MIN")])
def test_cosmic_rays_are_on_or_off(configured, rate, word):
    """MIRISim has rates of its own, and none."""
    content = configured("simulator.ini", cosmic_ray_rate=rate)
    assert content["SCASim"]["cosmic_ray_mode"] == word


@pytest.mark.parametrize(
    ("version", "products"),
    [
        ("2.1.0", None),
        ("2.2.0", {"ftp_path": "/CDPSIM/2.2/:/CDPSIM/"}),
        ("2.4.1", {"ftp_path": "/CDPSIM/2.4/:/CDPSIM/"}),
    ],
)
def test_calibration_products_are_those_of_the_version(configured, version, products):
    """Published files of version 2.2 have the key for their place."""
    assert configured("simulator.ini", version=version).get("CDP") == products


@pytest.mark.parametrize(("version", "there"), [("2.1.0", True), ("2.2.0", False)])
def test_sky_of_older_versions_has_a_time_constant(configured, version, there):
    """Published scenes of older versions have the key, newer ones have not."""
    assert ("tconstant" in configured("scene.ini", version=version)["Background"]) is there


def keys(section):
    """Return sections and keys of a file, without those of the spectrum of a point."""
    return {
        name: keys(value) if isinstance(value, dict) else None
        for name, value in section.items()
        if name != "sed"
    }


@pytest.mark.parametrize("size", ["FULL_5G10I1E", "FULL_5G1I1E", "SUB64_60G10I1E"])
def test_simulation_has_the_keys_of_a_genuine_one(configured, real_file, size):
    """A file of a user of MIRISim's imager has neither more nor fewer."""
    genuine = real_file(f"mirisim/STScI-TSO__wasp103_{size}_simconfig.ini")
    assert keys(configured("simulation.ini")) == keys(ConfigObj(str(genuine)).dict())


def test_scene_has_the_keys_of_a_genuine_one(configured, real_file):
    """Sky and points of a user's file of an older version; the galaxy is not in it."""
    genuine = real_file("mirisim/STScI-TSO__wasp103_scene.ini")
    scene = configured("scene.ini", version="2.1.0")
    del scene["galaxy_2"]
    assert keys(scene) == keys(ConfigObj(str(genuine)).dict())


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("simulator.ini", "include_flat", "include_flats", "unknown section or key"),
        ("simulator.ini", "[ImSim]", "", "missing section or key"),
        ("simulator.ini", "max_dither = 20", "max_dither = far", "could not convert"),
        ("simulator.ini", "max_dither = 20", "max_dither = 1", "exceeds max_dither"),
        ("simulation.ini", "Mode = FAST", "Mode = QUICK", "is unacceptable"),
        ("simulation.ini", "dither.dat", "dither .dat", "format 'g'"),
        ("scene.ini", "Cen = 1.500000 ", "Cen = 1.500000, ", "wrong type"),
        ("dither.dat", "+12.5000,", "+12.5000", "not enough values"),
    ],
    ids=lambda value: value if value.endswith(".ini") else None,
)
def test_stand_in_is_strict(configured, stand_in, tmp_path, name, old, new, said):
    """What is not MIRISim's language is an error of the stand-in, so these tests mean something."""
    configured("simulation.ini")
    path = tmp_path / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    answer = subprocess.run(
        [stand_in / "mirisim", "simulation.ini"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert said in answer.stderr
