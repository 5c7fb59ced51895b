"""An exposure is a level-1b file that the pipeline accepts, with a truth that it was made from."""

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time
from astropy.wcs import WCS

from miri_background.instrument.detector import (
    GAIN,
    GROUP_SKIP_FIRST,
    READ_NOISE,
    dark_current,
    full_well,
    gain,
    linear_signal,
    pixel_flat,
    reset_anomaly,
)
from miri_background.instrument.footprint import within_regions
from miri_background.instrument.optics import point_spread_function
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.instrument.response import sky_response
from miri_background.instrument.throughput import FILTERS, SKY_LEVELS, photmjsr
from miri_background.observation import (
    DITHER_PATTERN,
    FIELDS,
    PROGRAM,
    Observation,
    exposures,
)
from miri_background.simulation import exposures as simulation
from miri_background.simulation.exposures import simulate, write_truth
from miri_background.simulation.level1b import level1b_model
from miri_background.simulation.sky import pixel_positions, pointing, source_rate

pytestmark = pytest.mark.slow

# The smallest subarray has all that an exposure has, but for reference pixels.
READ = subarrays()["SUB256"]
FRAME_TIME = frame_time("FASTR1", READ.name)  # s
GROUPS, INTEGRATIONS = 8, 2
SECOND_DITHER = 1
DAY = 86_400.0  # s
MJD_ROUNDING = 1e-10  # day: double precision of numbers around 61 000, and a few sums
DEGREE_ROUNDING = 1e-11
NAMED_REGION_ROUNDING = 0.5e-9  # degree: S_REGION has nine decimals
FLOAT32_ROUNDING = 2.0**-24
INTEGRATION_TIME = GROUPS * FRAME_TIME
# One frame is spent on the reset between the integrations.
DURATION = (GROUPS * INTEGRATIONS + INTEGRATIONS - 1) * FRAME_TIME

PRIMARY_KEYWORDS = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "FILTER": "F770W",
    "EXP_TYPE": "MIR_IMAGE",
    "READPATT": "FASTR1",
    "SUBARRAY": "SUB256",
    "SUBSTRT1": 413,
    "SUBSTRT2": 51,
    "SUBSIZE1": 256,
    "SUBSIZE2": 256,
    "FASTAXIS": 1,
    "SLOWAXIS": 2,
    "NINTS": INTEGRATIONS,
    "NGROUPS": GROUPS,
    "NFRAMES": 1,
    "GROUPGAP": 0,
    "NSAMPLES": 1,
    "TFRAME": FRAME_TIME,
    "TGROUP": FRAME_TIME,
    "EFFINTTM": INTEGRATION_TIME,
    "EFFEXPTM": INTEGRATION_TIME * INTEGRATIONS,
    "DURATION": DURATION,
    "LAMP": "OFF",
    "CCCSTATE": "OPEN",
    "PROGRAM": PROGRAM,
    "OBSERVTN": "001",
    "VISIT": "001",
    "EXPOSURE": "2",
    "BKGDTARG": False,
    "APERNAME": "MIRIM_SUB256",
    "PATTTYPE": "4-POINT-SETS",
    "PATT_NUM": SECOND_DITHER + 1,
    "NUMDTHPT": 4,
    "TARG_RA": 80.49,
    "TARG_DEC": -69.498,
    "TARGTYPE": "FIXED",
    "TSOVISIT": False,
    "DATAMODL": "Level1bModel",
    "FILENAME": "jw99770001001_02101_00002_mirimage_uncal.fits",
}
# Keywords that depend on subarray and readout pattern; those of the SIAF count from 1.
READOUTS = {
    ("FULL", "FASTR1"): {
        "SUBSTRT1": 1,
        "SUBSTRT2": 1,
        "SUBSIZE1": 1032,
        "SUBSIZE2": 1024,
        "NSAMPLES": 1,
        "TFRAME": 2.77504,
        "APERNAME": "MIRIM_FULL",
    },
    ("FULL", "SLOWR1"): {
        "SUBSTRT1": 1,
        "SUBSTRT2": 1,
        "SUBSIZE1": 1032,
        "SUBSIZE2": 1024,
        "NSAMPLES": 9,
        "TFRAME": 23.88992,
        "APERNAME": "MIRIM_FULL",
    },
    ("BRIGHTSKY", "FASTR1"): {
        "SUBSTRT1": 457,
        "SUBSTRT2": 51,
        "SUBSIZE1": 512,
        "SUBSIZE2": 512,
        "NSAMPLES": 1,
        "TFRAME": 0.86528,
        "APERNAME": "MIRIM_BRIGHTSKY",
    },
    ("SUB256", "FASTR1"): {
        "SUBSTRT1": 413,
        "SUBSTRT2": 51,
        "SUBSIZE1": 256,
        "SUBSIZE2": 256,
        "NSAMPLES": 1,
        "TFRAME": 0.29952,
        "APERNAME": "MIRIM_SUB256",
    },
}
# The SIAF rounds V2, V3 of its apertures to a microarcsecond.
SIAF_ROUNDING = 1e-6  # arcsec


@pytest.fixture(scope="module")
def observation():
    """Return an observation of a subarray with short ramps and two integrations."""
    return Observation(subarray=READ.name, groups=GROUPS, integrations=INTEGRATIONS)


@pytest.fixture(scope="module")
def psf(observation):
    """Return the point-spread function."""
    return point_spread_function(observation.filter)


@pytest.fixture(scope="module")
def exposure(observation):
    """Return the second dither of the science field."""
    return observation.exposure("science", SECOND_DITHER)


@pytest.fixture(scope="module")
def simulated(observation, exposure, psf):
    """Return the simulated exposure."""
    return simulate(observation, exposure, psf)


@pytest.fixture(scope="module")
def empty_sky(psf):
    """Return a function that gives an exposure of empty sky, in which noise alone differs."""
    observation = Observation(
        subarray=READ.name,
        groups=GROUPS,
        sky_level=1,
        science_stars=0,
        background_stars=0,
        galaxy_flux=0,
    )

    @cache
    def exposure_of(field, dither, **changes):
        changed = observation.model_copy(update=changes)
        return simulate(changed, changed.exposure(field, dither), psf).level1b

    return exposure_of


@pytest.fixture(scope="module")
def level1b(simulated, exposure, tmp_path_factory):
    """Return the path of the level-1b file."""
    path = tmp_path_factory.mktemp("uncal") / f"{exposure.name}_uncal.fits"
    simulated.level1b.save(path)
    return path


@pytest.fixture(scope="module")
def truth(simulated, exposure, tmp_path_factory):
    """Return the path of the truth file."""
    path = tmp_path_factory.mktemp("truth") / f"{exposure.name}_truth.fits"
    simulated.write_truth(path)
    return path


@pytest.fixture(scope="module")
def primary(level1b):
    """Return the primary header."""
    return fits.getheader(level1b)


@pytest.fixture(scope="module")
def science_header(level1b):
    """Return the header of the SCI extension."""
    return fits.getheader(level1b, "SCI")


@pytest.fixture(scope="module")
def sources(truth):
    """Return the table of true sources."""
    return QTable.read(truth, hdu="CATALOG")


@pytest.fixture(scope="module")
def rays(truth):
    """Return the table of cosmic rays."""
    return QTable.read(truth, hdu="COSMIC_RAYS")


@pytest.fixture(scope="module")
def pysiaf():
    """Return pysiaf, imported without its question to GitHub about newer tables."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing listens at the discard port: what asks is refused at once.
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        import pysiaf

        return pysiaf


@pytest.fixture(scope="module")
def header_sky(pysiaf, science_header):
    """Return a function from 0-based pixels to the sky: pysiaf, told by the header alone."""
    attitude = pysiaf.utils.rotations.attitude(
        *(science_header[key] for key in ("V2_REF", "V3_REF", "RA_REF", "DEC_REF", "ROLL_REF"))
    )
    siaf = pysiaf.Siaf("MIRI")["MIRIM_FULL"]

    def sky(x, y):
        # The distortion is that of the full array, as it is for the pipeline.
        v2v3 = siaf.sci_to_tel(
            np.asarray(x) + 413.0,
            np.asarray(y) + 51.0,
        )
        return np.array(pysiaf.utils.rotations.pointing(attitude, *v2v3))

    return sky


def bare_model(observation, field="science", dither=SECOND_DITHER):
    """Return the level-1b model of an exposure without a scene: a few pixels of nothing."""
    where = pointing(observation, field, dither)
    shape = (observation.integrations, observation.groups, 2, 4)
    ramps = [np.zeros(shape, dtype=np.uint16), np.zeros((*shape[:3], 1), dtype=np.uint16)]
    return level1b_model(observation, observation.exposure(field, dither), where, *ramps)


@pytest.fixture(scope="module")
def header_of(tmp_path_factory):
    """Return a function that gives both headers of an exposure in one, written without a scene."""

    @cache
    def keywords_of(subarray, readout_pattern):
        observation = Observation(subarray=subarray, readout_pattern=readout_pattern, groups=GROUPS)
        path = tmp_path_factory.mktemp("header") / "uncal.fits"
        bare_model(observation).save(path)
        return dict(fits.getheader(path)) | dict(fits.getheader(path, "SCI"))

    return keywords_of


def linear_growth(science):
    """Return the growth of the linear signal from group to group, DN, reset anomaly taken away.

    The first group has no growth.
    """
    signal = science.astype(float)
    for integration, ramp in enumerate(signal):
        anomaly = READ.cut(reset_anomaly(integration))[: len(ramp)]
        ramp[: len(anomaly)] -= anomaly
    linear = linear_signal(signal, (READ.y, READ.x))
    return np.diff(linear, axis=1, prepend=linear[:, :1])


# ----------------------------------------------------------------- which and where


def test_exposures_are_in_their_order(observation):
    """Science first, each field in the order of its dithers."""
    listed = [(each.field, each.dither) for each in exposures(observation)]
    assert listed == [(field, dither) for field in FIELDS for dither in range(4)]


@pytest.mark.parametrize("field", FIELDS)
def test_exposures_of_one_field(observation, field):
    """Asked for one field, the other is left out."""
    assert {each.field for each in exposures(observation, field)} == {field}


def test_names_are_unique(observation):
    """No exposure overwrites another."""
    names = [each.name for each in exposures(observation)]
    assert len(set(names)) == len(names)


def test_name_follows_the_archive(observation):
    """Names have the archive's parts: programme, observation, visit, activity, exposure."""
    pattern = re.compile(rf"jw{PROGRAM}\d{{3}}001_02101_\d{{5}}_mirimage")
    assert all(pattern.fullmatch(each.name) for each in exposures(observation))


# ------------------------------------------------------------------------ level 1b


def test_level1b_is_valid(level1b):
    """The file obeys the schema of its data model where warnings would be errors."""
    from stdatamodels.jwst.datamodels import Level1bModel

    with Level1bModel(level1b, strict_validation=True) as model:
        model.validate()
        assert model.meta.model_type == "Level1bModel"


@pytest.mark.parametrize(
    ("readout", "key", "value"),
    [(readout, *item) for readout, keywords in READOUTS.items() for item in keywords.items()],
)
def test_keyword_is_that_of_the_readout(header_of, readout, key, value):
    """What the header says of subarray and readout pattern is what is documented of them."""
    assert header_of(*readout)[key] == value


@pytest.mark.parametrize("name", FILTERS)
def test_filter_is_named(name):
    """The metadata name the filter."""
    assert bare_model(Observation(filter=name)).meta.instrument.filter == name


@pytest.mark.parametrize(("subarray", "pattern"), READOUTS)
def test_exposures_follow_each_other(subarray, pattern):
    """However slow the readout is, no exposure begins before the one before it has ended."""
    observation = Observation(
        subarray=subarray, readout_pattern=pattern, groups=100, integrations=10
    )
    times = [
        bare_model(observation, each.field, each.dither).meta.exposure
        for each in exposures(observation)
    ]
    assert all(after.start_time > before.end_time for before, after in pairwise(times))


@pytest.mark.parametrize(("key", "value"), PRIMARY_KEYWORDS.items(), ids=PRIMARY_KEYWORDS)
def test_keyword_is_right(primary, key, value):
    """A keyword that says what was observed and how has its value."""
    assert primary[key] == (pytest.approx(value) if isinstance(value, float) else value)


def test_ramps_have_their_shape(level1b):
    """Integrations, groups, rows and columns; the blind output has a quarter of the columns."""
    shape = (INTEGRATIONS, GROUPS, *READ.shape)
    with fits.open(level1b) as hdus:
        assert (hdus["SCI"].shape, hdus["REFOUT"].shape) == (
            shape,
            (*shape[:-1], READ.shape[1] // 4),
        )


def test_file_holds_the_ramps(simulated, level1b):
    """What was simulated is what the file has, bit by bit."""
    np.testing.assert_array_equal(fits.getdata(level1b, "SCI"), simulated.level1b.data)


def test_background_field_is_marked(empty_sky):
    """An exposure of the background field says so."""
    assert empty_sky("background", 1).meta.observation.bkgdtarg is True


def test_background_field_is_an_observation_of_its_own(empty_sky):
    """The background field is observation 2 of the programme."""
    assert empty_sky("background", 1).meta.observation.observation_number == "002"


def test_exposure_ends_after_its_duration(primary):
    """Start, middle and end are the duration apart."""
    start, middle, end = (primary[key] for key in ("EXPSTART", "EXPMID", "EXPEND"))
    np.testing.assert_allclose(
        [middle - start, end - start],
        [DURATION / DAY / 2, DURATION / DAY],
        rtol=0,
        atol=MJD_ROUNDING,
    )


@pytest.mark.parametrize(("key", "other"), [("DATE-BEG", "EXPSTART"), ("DATE-END", "EXPEND")])
def test_dates_agree_with_times(primary, key, other):
    """Calendar dates and modified Julian dates are the same instants."""
    # Calendar dates are written to the millisecond.
    assert Time(primary[key], scale="utc").mjd == pytest.approx(primary[other], abs=0.5e-3 / DAY)


def test_observation_date_is_the_start(primary):
    """DATE-OBS and TIME-OBS together are DATE-BEG."""
    assert f"{primary['DATE-OBS']}T{primary['TIME-OBS']}" == primary["DATE-BEG"]


def test_integrations_share_the_exposure(primary, level1b):
    """INT_TIMES: from the start to the end of the exposure, a reset frame in between."""
    table = fits.getdata(level1b, "INT_TIMES")
    starts = primary["EXPSTART"] + np.arange(INTEGRATIONS) * (INTEGRATION_TIME + FRAME_TIME) / DAY
    expected = [starts + part * INTEGRATION_TIME / DAY for part in (0, 0.5, 1)]
    found = [table[f"int_{part}_MJD_UTC"] for part in ("start", "mid", "end")]
    np.testing.assert_allclose(found, expected, rtol=0, atol=MJD_ROUNDING)


def test_last_integration_ends_with_the_exposure(primary, level1b):
    """INT_TIMES and EXPEND agree."""
    last = fits.getdata(level1b, "INT_TIMES")["int_end_MJD_UTC"][-1]
    assert last == pytest.approx(primary["EXPEND"], abs=MJD_ROUNDING)


def test_integrations_are_numbered(level1b):
    """INT_TIMES counts from 1."""
    numbers = fits.getdata(level1b, "INT_TIMES")["integration_number"]
    assert numbers.tolist() == [1, 2]


# ------------------------------------------------------------------------ pointing


def test_reference_point_is_that_of_the_dither(pysiaf, observation, science_header):
    """RA_REF and DEC_REF are where pysiaf finds the offset in the undithered field."""
    siaf = pysiaf.Siaf("MIRI")["MIRIM_SUB256"]
    attitude = pysiaf.utils.rotations.attitude(
        siaf.V2Ref, siaf.V3Ref, observation.science_ra, observation.science_dec, observation.roll
    )
    expected = pysiaf.utils.rotations.pointing(
        attitude, *siaf.idl_to_tel(*DITHER_PATTERN[SECOND_DITHER])
    )
    found = [science_header["RA_REF"], science_header["DEC_REF"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=DEGREE_ROUNDING)


def test_roll_is_that_of_the_undithered_field_there(pysiaf, observation, science_header):
    """ROLL_REF is the position angle of V3 at the dithered reference point."""
    siaf = pysiaf.Siaf("MIRI")["MIRIM_SUB256"]
    attitude = pysiaf.utils.rotations.attitude(
        siaf.V2Ref, siaf.V3Ref, observation.science_ra, observation.science_dec, observation.roll
    )
    expected = pysiaf.utils.rotations.posangle(
        attitude, *siaf.idl_to_tel(*DITHER_PATTERN[SECOND_DITHER])
    )
    assert science_header["ROLL_REF"] == pytest.approx(expected, abs=DEGREE_ROUNDING)


@pytest.mark.parametrize("key", ["RA_V1", "DEC_V1", "PA_V3"])
def test_telescope_axis_agrees_with_the_aperture(pysiaf, science_header, key):
    """The direction of the telescope's axis follows from that of the aperture."""
    rotations = pysiaf.utils.rotations
    attitude = rotations.attitude(
        *(science_header[name] for name in ("V2_REF", "V3_REF", "RA_REF", "DEC_REF", "ROLL_REF"))
    )
    expected = dict(
        zip(
            ("RA_V1", "DEC_V1", "PA_V3"),
            (*rotations.pointing(attitude, 0.0, 0.0), rotations.posangle(attitude, 0.0, 0.0)),
            strict=True,
        )
    )
    difference = (science_header[key] - expected[key] + 180) % 360 - 180
    # Right ascension and position angle are 1 / cos(dec) = 3 times less exact.
    assert difference == pytest.approx(0, abs=3 * DEGREE_ROUNDING)


def test_target_lies_at_the_offset(pysiaf, primary, science_header):
    """XOFFSET and YOFFSET say where in the Ideal frame the target is, as the pipeline reads them.

    See ``jwst.assign_wcs.miri.store_dithered_position``.
    """
    rotations = pysiaf.utils.rotations
    attitude = rotations.attitude(
        *(science_header[name] for name in ("V2_REF", "V3_REF", "RA_REF", "DEC_REF", "ROLL_REF"))
    )
    v2v3 = rotations.getv2v3(attitude, primary["TARG_RA"], primary["TARG_DEC"])
    found = pysiaf.Siaf("MIRI")["MIRIM_SUB256"].tel_to_idl(*v2v3)
    expected = (primary["XOFFSET"], primary["YOFFSET"])
    # V2, V3 are taken as plane: 1 - cos(V3) of 3.4 arcsec.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_aperture_is_turned_by_its_angle(science_header):
    """PA_APER is that of the Ideal y axis: the pipeline takes ROLL_REF from it this way."""
    angle = science_header["PA_APER"] - science_header["V3I_YANG"] - science_header["ROLL_REF"]
    assert (angle + 180) % 360 - 180 == pytest.approx(0, abs=DEGREE_ROUNDING)


@pytest.mark.parametrize("readout", READOUTS, ids="-".join)
@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("V2_REF", "V2Ref"),
        ("V3_REF", "V3Ref"),
        ("V3I_YANG", "V3IdlYAngle"),
        ("VPARITY", "VIdlParity"),
        ("CRPIX1", "XSciRef"),
        ("CRPIX2", "YSciRef"),
        ("SUBSIZE1", "XSciSize"),
        ("SUBSIZE2", "YSciSize"),
    ],
)
def test_aperture_is_the_siafs(pysiaf, header_of, readout, key, field):
    """What the header says of the aperture is what the SIAF says of that aperture."""
    header = header_of(*readout)
    assert header[key] == getattr(pysiaf.Siaf("MIRI")[header["APERNAME"]], field)


def test_reference_pixel_looks_at_the_reference_position(science_header, header_sky):
    """CRVAL is where pysiaf's distortion of the full array sends the pixel CRPIX."""
    pixel = science_header["CRPIX1"] - 1, science_header["CRPIX2"] - 1
    theirs = SkyCoord(*header_sky(*pixel), unit="deg")
    ours = SkyCoord(science_header["CRVAL1"], science_header["CRVAL2"], unit="deg")
    assert ours.separation(theirs).arcsec < SIAF_ROUNDING


def test_simple_coordinates_are_those_of_the_distortion(science_header, header_sky):
    """Near the reference pixel, CRVAL, CDELT and PC give the sky of pysiaf's distortion."""
    simple = WCS(naxis=2)
    simple.wcs.ctype = [science_header["CTYPE1"], science_header["CTYPE2"]]
    simple.wcs.crpix = [science_header["CRPIX1"], science_header["CRPIX2"]]
    simple.wcs.crval = [science_header["CRVAL1"], science_header["CRVAL2"]]
    simple.wcs.cdelt = [science_header["CDELT1"], science_header["CDELT2"]]
    simple.wcs.pc = [[science_header[f"PC{i}_{j}"] for j in (1, 2)] for i in (1, 2)]
    step = 0.05  # pixel: the distortion bends the axes by 2e-5 of a step of one pixel
    x = science_header["CRPIX1"] - 1 + step * np.array([1, -1, 0, 0])
    y = science_header["CRPIX2"] - 1 + step * np.array([0, 0, 1, -1])
    theirs = SkyCoord(*header_sky(x, y), unit="deg")
    ours = SkyCoord(*simple.wcs_pix2world(x, y, 0), unit="deg")
    assert ours.separation(theirs).arcsec.max() < 1e-6 * step + SIAF_ROUNDING


def test_region_has_the_corners_of_the_array(science_header, header_sky):
    """S_REGION is the outline of what is read."""
    words = science_header["S_REGION"].split()
    rows, columns = READ.shape
    x = np.array([0, 0, columns, columns]) - 0.5
    y = np.array([0, rows, rows, 0]) - 0.5
    assert words[:2] == ["POLYGON", "ICRS"]
    np.testing.assert_allclose(
        np.reshape(words[2:], (4, 2)).astype(float),
        header_sky(x, y).T,
        rtol=0,
        atol=NAMED_REGION_ROUNDING + DEGREE_ROUNDING,
    )


# --------------------------------------------------------------------------- truth


def test_truth_has_its_extensions(truth):
    """Two images and two tables, after an empty primary."""
    with fits.open(truth) as hdus:
        names = [hdu.name for hdu in hdus]
    assert names == ["PRIMARY", "BACKGROUND", "SOURCES", "CATALOG", "COSMIC_RAYS"]


def test_truth_without_known_cosmic_rays_has_no_table_of_them(simulated, tmp_path):
    """Where a simulator does not tell its cosmic rays, the table is missing, not empty."""
    path = tmp_path / "truth.fits"
    write_truth(path, simulated.background, simulated.sources, simulated.catalogue)
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "BACKGROUND", "SOURCES", "CATALOG"]


def test_table_of_cosmic_rays_is_what_was_simulated(simulated, rays):
    """Places are the same, electrons in single precision."""
    for name in ("integration", "group", "row", "column"):
        np.testing.assert_array_equal(rays[name], getattr(simulated.hits, name))
    np.testing.assert_allclose(rays["electrons"], simulated.hits.electrons, rtol=FLOAT32_ROUNDING)


def test_cosmic_rays_are_listed_once_for_each_pixel_and_group(rays):
    """No pixel is twice in the table for the same group."""
    places = list(zip(*(rays[name] for name in rays.colnames[:4]), strict=True))
    assert len(set(places)) == len(places)


def test_cosmic_rays_are_in_the_ramps(simulated, rays):
    """The brightest hits make their pixels jump in their groups, by their charge."""
    # Neither at the start of an integration, where no group is before, nor in the last frame
    inner = rays[(rays["group"] > 0) & (rays["group"] < GROUPS - 1)]
    brightest = inner[np.argsort(inner["electrons"])[-20:]]
    jumps = linear_growth(simulated.level1b.data)
    light = (simulated.background + simulated.sources)[brightest["row"], brightest["column"]]
    place = tuple(brightest[name] for name in ("integration", "group", "row", "column"))
    per_electron = READ.cut(gain())[place[2:]]
    expected = brightest["electrons"] / per_electron + light * FRAME_TIME
    # Read noise, drift, photons, and at the start of later integrations RSCD of the bright ones
    error = np.sqrt(2 * READ_NOISE**2 * 1.4 + light * FRAME_TIME / per_electron)
    well = READ.cut(full_well())[place[2:]]
    # A pixel that is full does not jump by all of the charge.
    calm = (light * per_electron * INTEGRATION_TIME + brightest["electrons"]) < 0.5 * well
    assert calm.sum() >= 10
    np.testing.assert_array_less(np.abs(jumps[place] - expected)[calm], 6 * error[calm] + 10)


@pytest.mark.parametrize("name", ["BACKGROUND", "SOURCES"])
def test_truth_is_in_numbers_per_second(truth, name):
    """The unit of the images is that of a rate file."""
    assert fits.getheader(truth, name)["BUNIT"] == "DN/s"


@pytest.mark.parametrize("name", ["BACKGROUND", "SOURCES"])
def test_truth_covers_the_detector(truth, name):
    """The images have the shape of what is read."""
    assert fits.getdata(truth, name).shape == READ.shape


@pytest.mark.parametrize("name", ["background", "sources"])
def test_truth_is_what_was_simulated(simulated, truth, name):
    """The images are the simulated rates, in single precision."""
    np.testing.assert_allclose(
        fits.getdata(truth, name), getattr(simulated, name), rtol=FLOAT32_ROUNDING, atol=1e-30
    )


def test_truth_has_the_level_of_the_sky(observation, truth):
    """Calibrated with the gain of each pixel, the true background is the filter's sky."""
    background = fits.getdata(truth, "BACKGROUND")
    flat = READ.cut(sky_response() * GAIN / gain())
    good = flat > 0
    calibrated = background[good] / flat[good] * photmjsr(observation.filter)
    # The gradient of 1 % per arcmin over the 42 arcsec that the furthest pixel is away
    np.testing.assert_allclose(calibrated, SKY_LEVELS[observation.filter], rtol=0.01)


def test_truth_follows_the_gain(observation, simulated, psf):
    """A pixel that needs more electrons for a number has a smaller rate of numbers."""
    where = pointing(observation, "science", SECOND_DITHER)
    x, y = pixel_positions(observation, simulated.catalogue, where)
    electrons = source_rate(observation, "science", simulated.catalogue, x, y, psf)
    np.testing.assert_allclose(simulated.sources * READ.cut(gain()), electrons, rtol=1e-12)


def test_catalogue_has_its_columns(sources):
    """Identity, sky position, pixel position, flux, kind and colour."""
    names = ["id", "ra", "dec", "x", "y", "flux", "kind", "spectral_index"]
    assert sources.colnames == names


def test_catalogue_has_the_sources_around_what_is_read(sources):
    """The table goes beyond the subarray: its sources are those of the field."""
    inside = within_regions(sources["x"].value, sources["y"].value, 0.0, READ.name)
    assert 0 < inside.sum() < len(sources) / 2


@pytest.mark.parametrize(("name", "unit"), [("ra", "deg"), ("dec", "deg"), ("flux", "uJy")])
def test_catalogue_has_its_units(sources, name, unit):
    """Angles in degrees, fluxes in microjansky."""
    assert sources[name].unit == units.Unit(unit)


def test_catalogue_positions_agree(sources, header_sky):
    """Sky and pixel position of each source agree by the header's pointing, through pysiaf."""
    ra, dec = header_sky(sources["x"], sources["y"])
    separation = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(sources["ra"], sources["dec"]))
    assert separation.deg.max() < DEGREE_ROUNDING


def test_brightest_star_is_where_the_truth_says(sources, truth):
    """The pixel of the brightest star is the brightest of its surroundings."""
    stars = sources[sources["kind"] == "star"]
    inner = within_regions(stars["x"].value, stars["y"].value, 10, READ.name)
    star = stars[inner][np.argmax(stars[inner]["flux"])]
    column, row = round(star["x"].value), round(star["y"].value)
    around = fits.getdata(truth, "SOURCES")[row - 3 : row + 4, column - 3 : column + 4]
    found = np.subtract(np.unravel_index(around.argmax(), around.shape), 3)
    # A star on a pixel's border may be brighter in the neighbour by the flat.
    assert np.hypot(column + found[1] - star["x"].value, row + found[0] - star["y"].value) < 1


def test_ramps_are_made_from_the_truth(observation, psf):
    """Without cosmic rays, the mean growth of the ramps is background + sources + dark."""
    quiet = observation.model_copy(update={"cosmic_ray_rate": 0.0, "integrations": 1})
    simulated = simulate(quiet, quiet.exposure("science", 0), psf)
    dark = READ.cut(dark_current())
    # A full well would not grow.
    pixels = (simulated.sources < 1000) & (dark < 1) & (READ.cut(pixel_flat()) > 0)
    rate = (simulated.background + simulated.sources + dark / READ.cut(gain()))[pixels]
    # From the first to the last group without last-frame effect
    frames = GROUPS - 2
    growth = linear_growth(simulated.level1b.data)[0, 1:-1].sum(axis=0)[pixels]
    read = 2 * READ_NOISE**2 * 1.01
    error = np.sqrt((rate.mean() * FRAME_TIME * frames / GAIN + read) / pixels.sum() + 2 / 8)
    expected = rate.mean() * FRAME_TIME * frames
    assert growth.mean() == pytest.approx(expected, abs=5 * error)


# -------------------------------------------------------------------------- latents


@pytest.fixture(scope="module")
def latent(psf):
    """Return a function that gives the electrons that a latent image releases in a time."""

    def released(dither, start, end, fraction=5.0):
        observation = Observation(subarray=READ.name, groups=20, latent_fraction=fraction)
        return simulation._latent_image(observation, observation.exposure("science", dither), psf)(
            start, end
        )

    return released


@pytest.fixture(scope="module")
def with_and_without_latent(psf):
    """Return the second exposure of a field as simulated with a latent image and without."""
    observations = [
        Observation(subarray=READ.name, groups=GROUPS, latent_fraction=fraction)
        for fraction in (5.0, 0.0)
    ]
    return [
        simulate(observation, observation.exposure("science", 1), psf)
        for observation in observations
    ]


@pytest.mark.parametrize(("fraction", "dither"), [(0.0, 1), (5.0, 0)], ids=["none", "first"])
def test_no_latent_image(psf, fraction, dither):
    """Without a fraction, and in the first exposure of a field, nothing comes back."""
    observation = Observation(subarray=READ.name, latent_fraction=fraction)
    assert (
        simulation._latent_image(observation, observation.exposure("science", dither), psf) is None
    )


def test_latent_image_is_where_the_sources_were(latent, psf):
    """The sources of the exposure before come back, in their pixels of then."""
    observation = Observation(subarray=READ.name, groups=20)
    short = observation.model_copy(update={"groups": 6})
    before = simulate(short, short.exposure("science", 0), psf).sources * READ.cut(gain())
    held = np.minimum(before * 20 * FRAME_TIME, READ.cut(full_well()))
    # Ten minutes after, with an e-folding time of five, in all the time to come
    expected = 0.05 * held * np.exp(-600 / 300)
    np.testing.assert_allclose(latent(1, 0.0, np.inf), expected, rtol=1e-9)


def test_latent_image_fades(latent):
    """Five minutes later a latent image releases a part of e less in the same time."""
    now, later = latent(1, 0.0, 10.0), latent(1, 300.0, 310.0)
    lit = now > 0
    np.testing.assert_allclose(later[lit] / now[lit], np.exp(-1), rtol=1e-9)


def test_latent_image_is_in_the_ramps(with_and_without_latent):
    """With a latent image, the ramps are others."""
    with_latent, without = (each.level1b.data for each in with_and_without_latent)
    assert np.any(with_latent != without)


def test_truth_has_the_latent_image(with_and_without_latent):
    """What comes back from before is in the slopes, and so in the truth, as a mean rate."""
    with_latent, without = (each.sources for each in with_and_without_latent)
    time = GROUPS * FRAME_TIME
    observation = Observation(subarray=READ.name, groups=GROUPS, latent_fraction=5.0)
    exposure, psf = observation.exposure("science", 1), point_spread_function("F770W")
    released = simulation._latent_image(observation, exposure, psf)(0.0, time) / time
    np.testing.assert_allclose(
        with_latent - without, released / READ.cut(gain()), rtol=1e-9, atol=1e-12
    )


# -------------------------------------------------------------------------- showers


def test_showers_come_beside_the_cosmic_rays(psf):
    """With showers, the cosmic rays of an exposure are the same, and the ramps have more."""
    usual = Observation(subarray=READ.name, groups=6)
    # More than is legal, for a few of them in so small a part of the array
    stormy = usual.model_copy(update={"shower_rate": 3000.0})
    first, second = (simulate(each, each.exposure("science", 0), psf) for each in (usual, stormy))
    np.testing.assert_array_equal(first.hits.electrons, second.hits.electrons)
    assert np.any(first.level1b.data != second.level1b.data)


def test_truth_has_the_showers(psf):
    """What is left of showers in the slopes is light that no star has."""
    usual = Observation(subarray=READ.name, groups=40, cosmic_ray_rate=0.0)
    stormy = usual.model_copy(update={"shower_rate": 3000.0})
    first, second = (simulate(each, each.exposure("science", 0), psf) for each in (usual, stormy))
    # The first groups and the last one are not fitted.
    start, end = GROUP_SKIP_FIRST, 38
    pixels = (READ.y, READ.x)
    slopes = [
        np.subtract(*(linear_signal(each.level1b.data[0, at], pixels) for at in (end, start)))
        / ((end - start) * FRAME_TIME)
        for each in (first, second)
    ]
    more, light = slopes[1] - slopes[0], second.sources - first.sources
    lit = light > 0
    # Both ramps have noise of their own; together, the pixels know the light to some percent.
    assert more[lit].sum() == pytest.approx(light[lit].sum(), rel=0.05)
    assert np.corrcoef(more[lit], light[lit])[0, 1] > 0.9
    np.testing.assert_array_equal(first.background, second.background)


# ------------------------------------------------------------------ independence


def test_exposure_does_not_depend_on_the_others(empty_sky):
    """With fewer dithers in the observation, an exposure has the same numbers."""
    fewer = empty_sky("science", 1, science_exposures=2, background_exposures=2)
    np.testing.assert_array_equal(fewer.data, empty_sky("science", 1).data)


@pytest.mark.parametrize(
    "other", [("science", 0), ("background", 1)], ids=["another dither", "the other field"]
)
def test_exposure_has_noise_of_its_own(empty_sky, other):
    """Two exposures of darkness, which expect the same, are not the same."""
    assert np.any(empty_sky("science", 1).refout != empty_sky(*other).refout)
