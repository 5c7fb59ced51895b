"""Ramps of others are measured as the suite's own are, and what differs is explained."""

import re
import shutil

import numpy as np
import pytest
from astropy.io import fits

from miri_background.cli import main
from miri_background.closure.beside import Comparison, compare, level_one
from miri_background.outcomes import CannotJudge

HEADER = {
    "FILTER": "F770W",
    "SUBARRAY": "SUB256",
    "READPATT": "FASTR1",
    "NGROUPS": 18,
    "NINTS": 1,
    "ORIGIN": "elsewhere",
}
SIGNAL, READ = 40.0, 6.0  # DN a group, DN in one read


@pytest.fixture
def write_ramps(tmp_path):
    """Return a function that writes a level-1b file of sky alone, with a gain."""

    def write(name, gain=5.5, **changed):
        generator = np.random.default_rng(7)
        header = HEADER | changed
        size = (1, header["NGROUPS"], 256, 256)
        light = np.cumsum(generator.poisson(SIGNAL * gain, size), axis=1) / gain
        science = np.rint(1000 + light + generator.normal(0, READ, size)).astype(np.uint16)
        primary = fits.PrimaryHDU()
        primary.header.update(header)
        blind = np.full((*size[:3], 64), 1818, dtype=np.uint16)
        arrays = [fits.ImageHDU(science, name="SCI"), fits.ImageHDU(blind, name="REFOUT")]
        fits.HDUList([primary, *arrays]).writeto(tmp_path / name)

    return write


def refusal(directory):
    """Return why a directory of ramps is refused."""
    with pytest.raises(CannotJudge) as raised:
        level_one(directory)
    return str(raised.value)


def test_sky_and_noise_are_those_of_the_ramps(write_ramps, tmp_path):
    """The suite takes the same electrons per second, and references with the same noise."""
    for name in ("a_uncal.fits", "b_uncal.fits"):
        write_ramps(name)
    found = level_one(tmp_path)
    assert [path.name for path in found.paths] == ["a_uncal.fits", "b_uncal.fits"]
    assert found.truths == (None, None)
    # Fifteen differences of 60 000 pixels: the gain to 2 %, as a variance of photons and few reads.
    assert found.gain == pytest.approx(5.5, rel=4 * 0.02)
    assert found.read_noise == pytest.approx(READ, rel=0.01)
    assert found.observation.groups == 18
    assert found.steps == {"refpix": {"skip": True}}


def test_one_exposure_is_not_enough(write_ramps, tmp_path):
    """The sentence has the number and what is looked for."""
    write_ramps("a_uncal.fits")
    assert "has 1 level-1b files (*_uncal.fits, *_uncal.fits.gz)" in refusal(tmp_path)


def test_several_readouts_are_refused(write_ramps, tmp_path):
    """The sentence names the file, the keyword and both values."""
    write_ramps("a_uncal.fits")
    write_ramps("b_uncal.fits", NGROUPS=9)
    assert "b_uncal.fits has groups = 9, and a_uncal.fits has 18" in refusal(tmp_path)


def test_another_gain_is_refused(write_ramps, tmp_path):
    """There are no references for such a detector: the gain is seen in the noise."""
    for name in ("a_uncal.fits", "b_uncal.fits"):
        write_ramps(name, gain=2.0)
    assert re.search(r"has a gain of (1\.9|2\.0)\d ± 0\.0\d electron/DN", refusal(tmp_path))


def test_unknown_subarray_is_refused(write_ramps, tmp_path):
    """What the suite cannot take has no column beside it."""
    for name in ("a_uncal.fits", "b_uncal.fits"):
        write_ramps(name, SUBARRAY="SUB128")
    assert "subarray = 'SUB128' is not" in refusal(tmp_path)


def test_damaged_file_is_named(tmp_path):
    """It is no level-1b file."""
    for name in ("a_uncal.fits", "b_uncal.fits"):
        (tmp_path / name).write_text("no ramp")
    assert "a_uncal.fits cannot be read as a level-1b file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--filter", "F1000W"], "--filter is not for --beside"),
        ([], "nowhere is missing: name the directory"),
    ],
)
def test_wrong_command_line_is_one_sentence(capsys, arguments, told):
    """Code 2, before anything is simulated."""
    code = main(["closure", "--beside", "nowhere", *arguments])
    assert (code, told in capsys.readouterr().err) == (2, True)


# ------------------------------------------------------------------ what differs

ALIKE = {
    "signal of a group": 3.0,
    "gain": 4.0,
    "read noise in electrons": 24.0,
    "lag-1 correlation": -0.49,
    "values of photon variance": 60_000.0,
    "photon variance reported": 1.0,
    "no photon variance": 0.5,
    "reference output": 6.0,
    "offsets of outputs": 55.0,
    "rate less truth": 0.0,
    "offset of weights": 0.0,
    "hits": 30.0,
}


def explained(**theirs):
    """Return the beginnings of the sentences on what differs."""
    others = ALIKE | {name.replace("_", " "): value for name, value in theirs.items()}
    return [each.partition(":")[0] for each in Comparison([ALIKE] * 2, [others] * 2).explanations()]


@pytest.mark.parametrize(
    ("differs", "cause"),
    [
        ({}, []),
        ({"gain": 5.5}, ["gain"]),
        ({"values_of_photon_variance": 2.0}, ["whole numbers"]),
        ({"reference_output": 0.0}, ["reference pixels"]),
        ({"offset_of_weights": 0.09}, ["weights"]),
    ],
    ids=str,
)
def test_each_difference_has_its_sentence(differs, cause):
    """Ramps with the same numbers have none."""
    assert explained(**differs) == cause


# ------------------------------------------------------------------ the whole way


@pytest.fixture(scope="module")
def own_beside_own(finished, tmp_path_factory):
    """Return the comparison of the suite's ramps with ramps of the suite."""
    directory, _ = finished
    return compare(level_one(directory), tmp_path_factory.mktemp("own"), workers=1)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["read noise", "lag-1 correlation", "scatter", "rate less truth", "reference output"]
)
def test_ramps_of_the_suite_are_as_its_own(own_beside_own, name):
    """Both columns agree within their errors: nothing is measured in two ways."""
    ours, theirs = (own_beside_own.mean(side, name) for side in ("ours", "theirs"))
    # Errors of four numbers are themselves uncertain: Student's t for 3 + 3 of one in a thousand.
    assert abs(ours[0] - theirs[0]) < 6 * np.hypot(ours[1], theirs[1])


@pytest.mark.long
@pytest.mark.slow
def test_ramps_of_the_suite_need_no_explanation(own_beside_own):
    """Only cosmic rays, which are few here, have a sentence with their numbers.

    Two groups without the reset know the sky to a tenth, and what weights make follows the sky.
    """
    found = {each.partition(":")[0] for each in own_beside_own.explanations()}
    assert found <= {"cosmic rays", "weights"}


def test_genuine_scasim_ramps_have_their_gain_and_noise(real_file):
    """The gain and the read noise that SCASim was given, from its ramps alone."""
    directory = real_file("scasim")
    found = level_one(directory)
    assert found.gain == pytest.approx(5.5, rel=0.1)
    assert found.read_noise == pytest.approx(6.0, rel=0.01)
    assert len(found.paths) == len(found.truths) == 8
    assert all(found.truths)


@pytest.mark.slow
@pytest.mark.long
def test_genuine_scasim_ramps_are_explained(real_file, tmp_path):
    """What differs from ours is known: gain, whole numbers, reference pixels, weights, hits."""
    for field in "12":
        name = f"jw9977000{field}001_02101_00001_mirimage"
        shutil.copy(real_file(f"scasim/uncal/{name}_uncal.fits.gz"), tmp_path)
        shutil.copy(real_file(f"scasim/truth/{name}_truth.fits"), tmp_path)
    comparison = compare(level_one(tmp_path), tmp_path / "own", workers=1)
    named = [each.partition(":")[0] for each in comparison.explanations()]
    expected = ["gain", "whole numbers", "reference pixels", "weights", "cosmic rays"]
    assert named == expected, comparison.text()
    # Rates are right: the closure's limit for the sky.
    assert abs(comparison.mean("theirs", "rate less truth")[0]) < 0.2
