"""Fields that are read in different ways give level-1b files that each say how they were read."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from miri_background.instrument.optics import point_spread_function
from miri_background.observation import Observation, exposures
from miri_background.simulation.exposures import simulate
from miri_background.simulation.level1b import start_time

pytestmark = pytest.mark.slow

DAYS = 10
# A short subarray exposure of the science field; backgrounds of the full array, slow, and one
# of them longer than the other.
OBSERVATION = Observation.create(
    subarray="SUB256",
    groups=8,
    integrations=2,
    background_subarray="FULL",
    background_readout_pattern="SLOWR1",
    background_groups="6,7",
    background_integrations=1,
    background_delay=DAYS,
    background_sky=50,
    science_exposures=1,
    background_exposures=2,
    science_stars=2,
    background_stars=2,
)
EXPOSURES = exposures(OBSERVATION)
SHAPES = [(2, 8, 256, 256), (1, 6, 1024, 1032), (1, 7, 1024, 1032)]
PATTERNS = ["FASTR1", "SLOWR1", "SLOWR1"]
SUBARRAYS = ["SUB256", "FULL", "FULL"]
FRAME_TIMES = [0.29952, 23.88992, 23.88992]  # s, JWST user documentation
LEAST_RISE = 0.5  # of a whole ramp: what non-linearity and noise leave of it in the median


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the level-1b and truth files of all exposures."""
    directory = tmp_path_factory.mktemp("mixed")
    psf = point_spread_function(OBSERVATION.filter)
    written = []
    for exposure in EXPOSURES:
        simulated = simulate(OBSERVATION, exposure, psf)
        uncal, truth = (directory / f"{exposure.name}_{kind}.fits" for kind in ("uncal", "truth"))
        simulated.level1b.save(uncal)
        simulated.write_truth(truth)
        written.append((uncal, truth))
    return written


@pytest.mark.parametrize("number", range(len(EXPOSURES)))
def test_ramps_have_the_shape_of_their_readout(files, number):
    """Integrations, groups, rows and columns are those of the exposure."""
    with fits.open(files[number][0]) as hdus:
        assert hdus["SCI"].shape == SHAPES[number]


@pytest.mark.parametrize("number", range(len(EXPOSURES)))
def test_truth_has_the_shape_of_what_is_read(files, number):
    """The truth of an exposure is of the pixels that it read."""
    with fits.open(files[number][1]) as hdus:
        assert hdus["BACKGROUND"].shape == hdus["SOURCES"].shape == SHAPES[number][-2:]


@pytest.mark.parametrize("number", range(len(EXPOSURES)))
def test_header_says_how_the_exposure_was_read(files, number):
    """What CRDS and the pipeline go by is that of the exposure, not of the other field."""
    header = fits.getheader(files[number][0])
    integrations, groups, rows, columns = SHAPES[number]
    expected = {
        "SUBARRAY": SUBARRAYS[number],
        "READPATT": PATTERNS[number],
        "NGROUPS": groups,
        "NINTS": integrations,
        "SUBSIZE1": columns,
        "SUBSIZE2": rows,
        "TFRAME": FRAME_TIMES[number],
        "TGROUP": FRAME_TIMES[number],
    }
    assert {name: header[name] for name in expected} == expected


@pytest.mark.parametrize("number", range(len(EXPOSURES)))
def test_header_has_the_start_of_the_exposure(files, number):
    """Date and time of day are those of the exposure, the delay of the background included."""
    header = fits.getheader(files[number][0])
    started = Time(f"{header['DATE-OBS']}T{header['TIME-OBS']}", scale="utc")
    expected = start_time(OBSERVATION, EXPOSURES[number])
    assert abs((started - expected).sec) < 1e-3  # digits of the time of day


def test_dates_of_the_fields_are_apart(files):
    """Ten days after the first of January is the eleventh."""
    dates = [fits.getval(uncal, "DATE-OBS") for uncal, _ in files]
    assert dates == ["2026-01-01", "2026-01-11", "2026-01-11"]


def test_truth_of_the_background_has_its_own_sky(files):
    """Half the sky is half the rate in the pixels that both fields read."""
    science, background = (
        fits.getdata(files[number][1], "BACKGROUND").astype(float) for number in (0, 1)
    )
    read = OBSERVATION.readout("science").window
    # Truth is written in single precision.
    assert read.cut(background) == pytest.approx(0.5 * science, rel=2.0**-22)


# Of the subarray, the two seconds of a ramp hold more of the reset anomaly than of the sky.
@pytest.mark.parametrize("number", [1, 2])
def test_ramps_rise_by_the_sky_of_their_own_frames(files, number):
    """Between first and last group comes what sky and frame time say, but for non-linearity."""
    uncal, truth = files[number]
    ramp = fits.getdata(uncal, "SCI")[0].astype(float)
    rate = fits.getdata(truth, "BACKGROUND").astype(float)
    lit = rate > 0.5 * rate.max()
    time = (SHAPES[number][1] - 1) * FRAME_TIMES[number]
    rise = ((ramp[-1] - ramp[0]) / (rate * time).clip(min=1))[lit]
    assert LEAST_RISE < np.median(rise) < 1 / LEAST_RISE
