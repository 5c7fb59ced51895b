"""All reference files of a kind of exposure, under names and with headers that CRDS selects by."""

import asdf
import numpy as np
import pytest
from astropy.io import fits

from miri_background.instrument import detector
from miri_background.instrument.readout import subarrays
from miri_background.observation import Observation
from miri_background.references.mappings import MATCH_KEYS
from miri_background.references.reference_files import ExposureKind, write_references

KIND = ExposureKind("F1500W", "SUB256", "FASTR1", dark_groups=20, reset_integrations=2)
# What each header value that CRDS selects by is of this kind.
VALUES = {
    "META.INSTRUMENT.DETECTOR": "MIRIMAGE",
    "META.INSTRUMENT.FILTER": "F1500W",
    "META.EXPOSURE.READPATT": "FASTR1",
    "META.SUBARRAY.NAME": "SUB256",
    "META.EXPOSURE.TYPE": "MIR_IMAGE",
}
OF_THE_SUBARRAY = {"dark", "reset"}
FULL_ARRAYS = {"mask", "saturation", "linearity", "gain", "readnoise", "area", "flat"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the directory of the files and what they are selected by."""
    directory = tmp_path_factory.mktemp("references")
    return directory, write_references(directory, KIND)


@pytest.mark.parametrize(
    ("groups", "dark_groups"), [(6, 20), (20, 20), (21, 40), (40, 40), (100, 100)]
)
def test_dark_is_as_long_as_the_ramp(groups, dark_groups):
    """The dark has a multiple of 20 groups, at least those of the ramp."""
    assert ExposureKind.of(Observation(groups=groups)).dark_groups == dark_groups


@pytest.mark.parametrize(("integrations", "differing"), [(1, 1), (2, 2), (3, 2), (10, 2)])
def test_reset_has_the_integrations_that_differ(integrations, differing):
    """All integrations but the first have the same reset anomaly."""
    kind = ExposureKind.of(Observation(integrations=integrations))
    assert kind.reset_integrations == differing


def test_kind_is_that_of_the_observation():
    """Filter, subarray and readout pattern are the observation's."""
    observation = Observation(filter="F2100W", subarray="BRIGHTSKY", readout_pattern="FASTR1")
    kind = ExposureKind.of(observation)
    assert (kind.filter, kind.subarray, kind.readout_pattern) == ("F2100W", "BRIGHTSKY", "FASTR1")


def test_each_type_has_a_file(written):
    """Every type that the rules select by has one file, and no other is there."""
    directory, selections = written
    named = {name for files in selections.values() for name in files.values()}
    assert set(selections) == set(MATCH_KEYS)
    assert {path.name for path in directory.iterdir()} == named


@pytest.mark.parametrize("reftype", MATCH_KEYS)
def test_file_is_selected_by_its_kind(written, reftype):
    """A file is selected by what it was written for."""
    assert list(written[1][reftype]) == [tuple(VALUES[key] for key in MATCH_KEYS[reftype])]


@pytest.mark.parametrize("reftype", sorted(FULL_ARRAYS | OF_THE_SUBARRAY))
def test_array_has_the_shape_that_the_pipeline_wants(written, reftype):
    """Dark and reset are of the subarray; the pipeline cuts the others out of the full array."""
    expected = subarrays()["SUB256"].shape if reftype in OF_THE_SUBARRAY else detector.SHAPE
    with fits.open(written[0] / f"jwst_miri_{reftype}_9001.fits") as hdus:
        shape = next(hdu.shape for hdu in hdus[1:] if hdu.is_image)
    assert shape[-2:] == expected


def test_values_are_written(written):
    """What a file holds is what its function returned."""
    data = fits.getdata(written[0] / "jwst_miri_reset_9001.fits", "SCI")
    expected = [subarrays()["SUB256"].cut(detector.reset_anomaly(number)) for number in range(2)]
    np.testing.assert_array_equal(data, np.stack(expected))


@pytest.mark.parametrize("reftype", ["distortion", "filteroffset", "abvegaoffset"])
def test_asdf_version_is_read_by_early_builds(written, reftype):
    """ASDF references are of the standard that builds back to jwst 1.6 read."""
    with asdf.open(written[0] / f"jwst_miri_{reftype}_9001.asdf") as file:
        assert str(file.version) == "1.5.0"


def test_references_say_that_they_are_simulated(written):
    """No file can be taken for a flight one."""
    pedigrees = {fits.getval(path, "PEDIGREE") for path in written[0].glob("*.fits")}
    assert pedigrees == {"SIMULATION"}
