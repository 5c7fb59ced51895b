"""All reference files of a kind of exposure, under names and with headers that CRDS selects by."""

import asdf
import numpy as np
import pytest
from astropy.io import fits

from miri_background.instrument import detector
from miri_background.instrument.readout import subarrays
from miri_background.observation import Observation
from miri_background.references import tables
from miri_background.references.mappings import MATCH_KEYS
from miri_background.references.reference_files import ExposureKind, write_references

# Two ways to read: pattern, subarray, groups of the dark, integrations of the reset anomaly.
READ = (("FASTR1", "SUB256", 20, 2), ("SLOWR1", "FULL", 20, 1))
KIND = ExposureKind("F1500W", READ)


def values(pattern, subarray):
    """Return what each header value that CRDS selects by is, of one way to read."""
    return {
        "META.INSTRUMENT.DETECTOR": "MIRIMAGE",
        "META.INSTRUMENT.FILTER": "F1500W",
        "META.EXPOSURE.READPATT": pattern,
        "META.SUBARRAY.NAME": subarray,
        "META.EXPOSURE.TYPE": "MIR_IMAGE",
    }


OF_THE_SUBARRAY = {"dark", "reset"}
FULL_ARRAYS = {"mask", "saturation", "linearity", "gain", "readnoise", "area", "flat"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the directory of the files and what they are selected by."""
    directory = tmp_path_factory.mktemp("references")
    with pytest.MonkeyPatch.context() as patch:
        # Which numbers are written is asked elsewhere; those of the optics take seconds.
        patch.setattr(tables, "aperture_corrections", lambda _: [(0.5, 2.0, 2.0, 12.0, 20.0)])
        return directory, write_references(directory, KIND)


@pytest.mark.parametrize(
    ("groups", "dark_groups"), [(6, 20), (20, 20), (21, 40), (40, 40), (100, 100)]
)
def test_dark_is_as_long_as_the_ramp(groups, dark_groups):
    """The dark has a multiple of 20 groups, at least those of the ramp."""
    ((_, _, found, _),) = ExposureKind.of(Observation(groups=groups)).read
    assert found == dark_groups


@pytest.mark.parametrize(("most", "found"), [(0, 40), (10, 10), (300, 40)])
def test_dark_may_be_shorter_than_the_ramp(most, found):
    """It has no more groups than it is to have; without a limit, those of the ramp."""
    ((_, _, groups, _),) = ExposureKind.of(Observation(groups=40), dark_groups=most).read
    assert groups == found


@pytest.mark.parametrize(("integrations", "differing"), [(1, 1), (2, 2), (3, 2), (10, 2)])
def test_reset_has_the_integrations_that_differ(integrations, differing):
    """All integrations but the first have the same reset anomaly."""
    ((*_, found),) = ExposureKind.of(Observation(integrations=integrations)).read
    assert found == differing


def test_kind_is_that_of_the_observation():
    """Filter, subarray and readout pattern are the observation's."""
    observation = Observation(filter="F2100W", subarray="BRIGHTSKY", readout_pattern="FASTR1")
    kind = ExposureKind.of(observation)
    assert (kind.filter, kind.read) == ("F2100W", (("FASTR1", "BRIGHTSKY", 20, 1),))


def test_each_way_to_read_is_in_the_kind_once():
    """Fields that are read in different ways need the references of each."""
    observation = Observation.create(
        subarray="SUB256", background_subarray="FULL", background_readout_pattern="SLOWR1"
    )
    read = [(pattern, subarray) for pattern, subarray, *_ in ExposureKind.of(observation).read]
    assert sorted(read) == [("FASTR1", "SUB256"), ("SLOWR1", "FULL")]


def test_one_way_to_read_has_what_its_longest_exposure_needs():
    """Exposures of one subarray and pattern share a dark and a reset, whoever is longer."""
    observation = Observation.create(
        integrations=1, background_groups="8,21,8,8", background_integrations="1,1,3,1"
    ).model_copy(update={"groups": 8})
    assert ExposureKind.of(observation).read == (("FASTR1", "FULL", 40, 2),)


def test_each_type_has_a_file(written):
    """Every type that the rules select by has a file, and no other is there."""
    directory, selections = written
    named = {name for files in selections.values() for name in files.values()}
    assert set(selections) == set(MATCH_KEYS)
    assert {path.name for path in directory.iterdir()} == named


@pytest.mark.parametrize("reftype", MATCH_KEYS)
def test_file_is_selected_by_its_kind(written, reftype):
    """A file is selected by what it was written for, one of each way to read if it matters."""
    ways = [values(pattern, subarray) for pattern, subarray, *_ in READ]
    expected = {tuple(way[key] for key in MATCH_KEYS[reftype]) for way in ways}
    assert set(written[1][reftype]) == expected


@pytest.mark.parametrize("subarray", ["SUB256", "FULL"])
@pytest.mark.parametrize("reftype", sorted(FULL_ARRAYS | OF_THE_SUBARRAY))
def test_array_has_the_shape_that_the_pipeline_wants(written, reftype, subarray):
    """Dark and reset are of the subarray; the pipeline cuts the others out of the full array."""
    (way,) = [values(pattern, name) for pattern, name, *_ in READ if name == subarray]
    directory, selections = written
    name = selections[reftype][tuple(way[key] for key in MATCH_KEYS[reftype])]
    expected = subarrays()[subarray].shape if reftype in OF_THE_SUBARRAY else detector.SHAPE
    with fits.open(directory / name) as hdus:
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
