"""MIRISim's images are taken only if they are what was asked for."""

import shutil

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.simulation.mirisim.configuration import SkyBackground, write_configuration
from miri_background.simulation.mirisim.ramps import Ramps, read_ramps

LOG = "/somewhere/mirisim.log"


@pytest.fixture(scope="module")
def written(installation, small, tmp_path_factory):
    """Return an image of empty sky, as the stand-in writes it."""
    directory = tmp_path_factory.mktemp("sky")
    write_configuration(directory, "2.4.1", small, SkyBackground(), [], [(0.0, 0.0)])
    (path,) = installation.det_images(directory, 1, directory / "log")
    return path


@pytest.fixture
def image(written, tmp_path):
    """Return a copy of the image that a test may change."""
    return shutil.copy(written, tmp_path / "det_image_seq1.fits")


def test_ramps_are_read(image, small):
    """Science and reference output have the shapes of the readout."""
    ramps = read_ramps(image, small, LOG)
    assert ramps.science.shape == (1, small.groups, 256, 256)
    assert ramps.reference_output.shape == (1, small.groups, 256, 64)


def test_stand_in_has_the_defects_of_mirisims_headers(image):
    """What an observation has to mend is there to be mended."""
    with fits.open(image) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "PIXELDQ", "REFOUT"]
        assert {"APERNAME", "PATTTYPE", "NUMDTHPT", "TARGNAME"}.isdisjoint(hdus[0].header)
        header = hdus["SCI"].header
        found = {name: header[name] for name in ("WCSAXES", "CRPIX1", "CRPIX2", "V3I_YANG")}
        assert found == {"WCSAXES": 4, "CRPIX1": 5, "CRPIX2": 1, "V3I_YANG": 5.0152}
        assert hdus["SCI"].data.dtype == np.dtype(">f4")


def test_level1b_is_rounded_and_clipped():
    """Fractions go to the nearest whole number, the rest to the range of 16 bits."""
    ramps = Ramps(np.array([-3.2, 1.4, 1.6, 70_000.0]), np.array([0.0]))
    science, _ = ramps.as_level1b()
    assert science.dtype == np.uint16
    assert science.tolist() == [0, 1, 2, 65535]


@pytest.mark.parametrize("name", ["FAST", "FASTR1"])
def test_both_names_of_a_readout_pattern_are_known(image, small, name):
    """MIRISim's detector simulator has a short and a long name."""
    fits.setval(image, "READPATT", value=name)
    read_ramps(image, small, LOG)


def test_name_of_the_subarray_may_be_missing(image, small):
    """MIRISim's headers have its size in any case."""
    fits.delval(image, "SUBARRAY")
    read_ramps(image, small, LOG)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FILTER", "F1000W"),
        ("READPATT", "SLOWR1"),
        ("NINTS", 2),
        ("NGROUPS", 7),
        ("SUBSIZE1", 1032),
        ("SUBSIZE2", 1024),
        ("SUBARRAY", "FULL"),
    ],
)
def test_other_exposure_is_refused(image, small, keyword, value):
    """Keyword, value and what was asked for are named, and the log."""
    asked = fits.getval(image, keyword)
    fits.setval(image, keyword, value=value)
    sentence = f"{image.name} has {keyword} = {value!r}, and {asked!r} was asked for: .*{LOG}"
    with pytest.raises(CannotJudge, match=sentence):
        read_ramps(image, small, LOG)


def test_missing_keyword_is_refused(image, small):
    """A header without the filter proves nothing."""
    fits.delval(image, "FILTER")
    with pytest.raises(CannotJudge, match="FILTER = None"):
        read_ramps(image, small, LOG)


def test_array_of_another_shape_is_refused(image, small):
    """The array is looked at, not only its header."""
    with fits.open(image, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data[:, 1:]
    with pytest.raises(CannotJudge, match=r"shape \(1, 5, 256, 256\)"):
        read_ramps(image, small, LOG)


@pytest.mark.parametrize("name", ["SCI", "REFOUT"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(image, small, name, value):
    """They have no place in 16 bits."""
    with fits.open(image, mode="update") as hdus:
        hdus[name].data[0, 0, 3, 4] = value
    with pytest.raises(CannotJudge, match=f"1 values in {name} that are not finite"):
        read_ramps(image, small, LOG)


def test_missing_reference_output_is_refused(image, small):
    """A level-1b file has it."""
    with fits.open(image, mode="update") as hdus:
        del hdus["REFOUT"]
    with pytest.raises(CannotJudge, match=r"cannot be read \(.*REFOUT"):
        read_ramps(image, small, LOG)


def test_file_that_is_no_image_is_refused(image, small):
    """What cannot be read is named."""
    image.write_bytes(b"")
    with pytest.raises(CannotJudge, match=f"{image.name} cannot be read"):
        read_ramps(image, small, LOG)
