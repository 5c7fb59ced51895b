"""MIRISim's images are taken only if they are what was asked for."""

import re
import shutil

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.simulation.mirisim.configuration import (
    SceneSource,
    SkyBackground,
    write_configuration,
)
from miri_background.simulation.mirisim.ramps import Ramps, read_ramps

LOG = "/somewhere/mirisim.log"
GROUPS = {"on": 30, "off": 6}  # of the genuine images

# Of the time when an image is made, of chance, of the name of the program, of where the telescope
# looks and of the noise of the calibration product.
CHANGING = {
    *("DATE", "DATE-OBS", "TIME-OBS", "EXPSTART", "EXPEND", "DURATION"),
    *("CRNUM", "CRNUMPIX", "ORIGIN", "CREATOR", "V2_REF", "V3_REF", "RDNOISE", "HISTORY"),
}
# Comments of sections have a place in the header, and no meaning.
NO_KEYWORDS = {"", "COMMENT"}


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


@pytest.fixture
def switched(installation, small, tmp_path):
    """Return a function that runs the stand-in with gain and reference pixels on or off."""

    def run(switch, **changed):
        exposure = small.model_copy(
            update={
                "groups": GROUPS[switch],
                "cosmic_ray_rate": 28.0 if switch == "on" else 0.0,
                **changed,
            }
        )
        write_configuration(tmp_path, "2.4.1", exposure, SkyBackground(), [], [(0.0, 0.0)])
        file = tmp_path / "simulator.ini"
        text = file.read_text()
        for name in ("include_gain", "include_refpix"):
            assert f"{name} = T" in text
            text = text.replace(f"{name} = T", f"{name} = {'T' if switch == 'on' else 'F'}")
        file.write_text(text)
        (path,) = installation.det_images(tmp_path, 1, tmp_path / "log")
        return path

    return run


@pytest.fixture
def genuine(real_file):
    """Return a function that gives the image of SCASim with both on or both off."""
    name = "scasim/det_images/gain_and_refpix_{}_seq1_MIRIMAGE_F770Wexp1.fits.gz"
    return lambda switch: real_file(name.format(switch))


def keywords(header):
    """Return the keywords of a header with their values."""
    return {name: header[name] for name in header if name not in NO_KEYWORDS}


@pytest.mark.parametrize("switch", ["on", "off"])
def test_stand_in_has_the_headers_of_a_genuine_image(switched, genuine, switch):
    """The same keywords in the same parts, and the same values of all that is not by chance."""
    with fits.open(genuine(switch)) as theirs, fits.open(switched(switch)) as ours:
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
        for one, other in zip(ours[:-1], theirs[:-1], strict=True):
            found, expected = keywords(one.header), keywords(other.header)
            extver = {"EXTVER"}  # is 1 where it is missing
            assert set(found) - extver == set(expected) - extver, one.name
            differ = {
                name: (found[name], expected[name])
                for name in set(found) - CHANGING - extver
                if found[name] != pytest.approx(expected[name])
            }
            assert differ == {}, one.name
        ours_say, theirs_say = (set(each[0].header["HISTORY"]) for each in (ours, theirs))
        assert ours_say - theirs_say <= {"Gain map: gain.fits"}


@pytest.mark.parametrize("switch", ["on", "off"])
def test_stand_in_has_the_arrays_of_a_genuine_image(switched, genuine, switch):
    """Shapes, types, whole numbers, pedestal, and what the reference output holds."""
    with fits.open(genuine(switch)) as theirs, fits.open(switched(switch)) as ours:
        for name in ("SCI", "REFOUT", "PIXELDQ"):
            found, expected = ours[name].data, theirs[name].data
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype), name
            assert np.all(found == np.floor(found)), name
            if name != "SCI":
                np.testing.assert_array_equal(np.unique(found), np.unique(expected))
        # The sky of one frame, 60 electrons a second here and 54 there.
        pedestals = [np.median(each["SCI"].data[0, 0]) for each in (ours, theirs)]
        assert pedestals[0] == pytest.approx(pedestals[1], abs=4 * (1 if switch == "on" else 5.5))


@pytest.mark.parametrize(
    ("subarray", "columns", "frame_time"),
    # MiriTE 7.9 with include_refpix = F.
    [("FULL", 1024, 2.72384), ("SUB256", 256, 0.29952)],
)
def test_stand_in_leaves_out_reference_columns(switched, subarray, columns, frame_time):
    """SCASim leaves out those of the full array, and is faster then."""
    path = switched("off", subarray=subarray, groups=2)
    with fits.open(path) as hdus:
        found = {name: hdus[0].header[name] for name in ("SUBSIZE1", "TFRAME")}
        assert found == {"SUBSIZE1": columns, "TFRAME": frame_time}
        assert hdus["SCI"].data.shape[-1] == columns
        assert hdus["REFOUT"].data.shape == (1, 1, 1, 1)


def test_stand_in_is_clipped_at_the_full_well(installation, small, tmp_path):
    """354 720 electrons are 64 494 DN; the read noise comes after, as in SCASim."""
    star = SceneSource(0.0, 0.0, 1e7)
    write_configuration(tmp_path, "2.4.1", small, SkyBackground(), [star], [(0.0, 0.0)])
    (path,) = installation.det_images(tmp_path, 1, tmp_path / "log")
    brightest = fits.getdata(path, "SCI").max()
    assert brightest == pytest.approx(64_494, abs=6 * 8.0)  # DN of read noise


def test_genuine_ramps_become_level1b(genuine, real_file, small):
    """SCASim's numbers arrive in the level-1b file as they are."""
    exposure = small.model_copy(update={"groups": GROUPS["on"]})
    ramps = read_ramps(genuine("on"), exposure, LOG)
    assert (ramps.samples, ramps.read_noise) == (1, 6.0)
    uncal = real_file("scasim/uncal/jw99770001001_02101_00001_mirimage_uncal.fits.gz")
    with fits.open(uncal) as hdus:
        for found, name in zip(ramps.as_level1b(), ("SCI", "REFOUT"), strict=True):
            np.testing.assert_array_equal(found, hdus[name].data)


def test_genuine_electrons_are_refused(genuine, small):
    """An image without gain and reference pixels is not what was asked for."""
    exposure = small.model_copy(update={"groups": GROUPS["off"]})
    with pytest.raises(CannotJudge, match=r"BUNIT = 'electrons', and 'DN' was asked for: .*gain"):
        read_ramps(genuine("off"), exposure, LOG)


def test_ramps_are_read(image, small):
    """Science and reference output have the shapes of the readout."""
    ramps = read_ramps(image, small, LOG)
    assert ramps.science.shape == (1, small.groups, 256, 256)
    assert ramps.reference_output.shape == (1, small.groups, 256, 64)


def test_stand_in_has_the_defects_of_mirisims_headers(image):
    """What an observation has to mend is there to be mended."""
    with fits.open(image) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "PIXELDQ", "REFOUT", "ASDF"]
        assert {"APERNAME", "PATTTYPE", "NUMDTHPT", "TARGNAME"}.isdisjoint(hdus[0].header)
        header = hdus["SCI"].header
        found = {name: header[name] for name in ("CRPIX1", "CRPIX2", "V3I_YANG")}
        assert found == {"CRPIX1": -412, "CRPIX2": -50, "V3I_YANG": 5.0152}
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
        ("SUBSTRT1", 417),
        ("SUBSTRT2", 1),
        ("SUBSIZE1", 1032),
        ("SUBSIZE2", 1024),
        ("SUBARRAY", "FULL"),
        ("TFRAME", 2.77504),
        ("TGROUP", 1.19808),
        ("GAINCF", 4.0),
        ("GAINCF", 1.0),
        ("GAINCF", "5.5"),
    ],
)
def test_other_exposure_is_refused(image, small, keyword, value):
    """Keyword, value and what was asked for are named, and the log."""
    asked = {"READPATT": "FASTR1"}.get(keyword, fits.getval(image, keyword))
    fits.setval(image, keyword, value=value)
    sentence = f"{image.name} has {keyword} = {value!r}, and {asked!r} was asked for: .*{LOG}"
    with pytest.raises(CannotJudge, match=sentence):
        read_ramps(image, small, LOG)


@pytest.mark.parametrize("unit", ["electrons", "DN/s", None])
def test_other_unit_is_refused(image, small, unit):
    """The unit is that of the array, and an array without one proves nothing."""
    with fits.open(image, mode="update") as hdus:
        if unit is None:
            del hdus["SCI"].header["BUNIT"]
        else:
            hdus["SCI"].header["BUNIT"] = unit
    with pytest.raises(CannotJudge, match=f"BUNIT = {unit!r}, and 'DN' was asked for: .*{LOG}"):
        read_ramps(image, small, LOG)


@pytest.mark.parametrize(
    "line",
    [
        "Simulated dark current disabled.",
        "Simulated non-linearity effects disabled.",
        "Simulated detector drift effects disabled.",
        "Simulated detector latency effects disabled.",
        "Bad pixel mask: None applied.",
        "Pixel flat-field: None. All pixels have equal weight.",
    ],
)
def test_effect_that_is_not_off_is_refused(image, small, line):
    """No reference would remove it; SCASim's history says what it left out."""
    with fits.open(image, mode="update") as hdus:
        lines = list(hdus[0].header["HISTORY"])
        assert line in lines
        del hdus[0].header["HISTORY"]
        for other in lines:
            if other != line:
                hdus[0].header["HISTORY"] = other
    with pytest.raises(CannotJudge, match=f"HISTORY = None, and '{line[:14]}.*{LOG}"):
        read_ramps(image, small, LOG)


@pytest.mark.parametrize("value", [0.0, -6.0, "6"])
def test_read_noise_that_is_none_is_refused(image, small, value):
    """Where there is no read noise the references would be wrong."""
    fits.setval(image, "RDNOISE", value=value)
    with pytest.raises(CannotJudge, match=f"RDNOISE = {value!r}, .*include_readnoise.*{LOG}"):
        read_ramps(image, small, LOG)


def test_read_noise_of_the_calibration_is_required(image, small):
    """Both numbers are named, and the file that has to go."""
    read_ramps(image, small, LOG, (8.0, "kept.json"))
    sentence = f"{image.name} has RDNOISE = 8.0, and 6.0 was asked for: .*remove kept.json"
    with pytest.raises(CannotJudge, match=sentence):
        read_ramps(image, small, LOG, (6.0, "kept.json"))


def test_missing_keyword_is_refused(image, small):
    """A header without the filter proves nothing."""
    fits.delval(image, "FILTER")
    with pytest.raises(CannotJudge, match="FILTER = None"):
        read_ramps(image, small, LOG)


def test_array_of_another_shape_is_refused(image, small):
    """The array is looked at, not only its header."""
    with fits.open(image, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data[:, 1:]
    with pytest.raises(CannotJudge, match=r"SCI of shape = \(1, 5, 256, 256\), and \(1, 6"):
        read_ramps(image, small, LOG)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 6, 256, 65), (1, 6, 256, 256), (6, 256, 64)])
def test_reference_output_of_another_shape_is_refused(image, small, shape):
    """It has a quarter of the columns, and SCASim leaves a single pixel where it has none."""
    with fits.open(image, mode="update") as hdus:
        hdus["REFOUT"].data = np.zeros(shape, np.float32)
    sentence = f"REFOUT of shape = {shape}, and {(1, 6, 256, 64)} was asked for: .*refpix.*{LOG}"
    with pytest.raises(CannotJudge, match=re.escape(sentence).replace(r"\.\*", ".*")):
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
