"""How MIRISim's scene lies on the detector is measured, whatever a version does."""

import json
from dataclasses import replace

import numpy as np
import pytest

from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge
from miri_background.simulation.mirisim.calibration import Calibration, mirisim_calibration
from miri_background.simulation.mirisim.constants import MIRISIM_PIXEL_SCALE
from miri_background.simulation.mirisim.installation import MIRISim

pytestmark = pytest.mark.slow

# What the stand-in does, from its own description.
REFERENCE_PIXEL = (539.5, 177.5)  # SUB256
AXIS_ANGLE = np.deg2rad(5.0152)  # V3 to the detector's y axis
READ_NOISE = 8.0  # DN, in the header; the image has 1 / 12 DN^2 more from its whole numbers

CENTROID_ERROR = 0.05  # pixel
# Local scale and skew of the distortion, which the nominal scales do not have.
SCALE_ERROR = 0.02
NOISE_ERROR = 0.01  # 4 differences of 50 000 pixels, and rounding to whole numbers


def orientation(x_sign):
    """Return the stand-in's matrix from scene to pixels without distortion."""
    cosine, sine = np.cos(AXIS_ANGLE), np.sin(AXIS_ANGLE)
    ideal = np.array([[-cosine * x_sign, sine], [sine * x_sign, cosine]])
    return ideal / np.reshape(MIRISIM_PIXEL_SCALE, (2, 1))


GOOD = Calibration(
    version="2.4.1",
    origin=REFERENCE_PIXEL,
    matrix=tuple(map(tuple, orientation(1))),
    dither_sign=1,
    read_noise=READ_NOISE,
    stated_read_noise=READ_NOISE,
    misfit=0.1,
)


@pytest.fixture
def measured(stand_in, small, kept, monkeypatch):
    """Return a function that calibrates the stand-in, as changed by its variables."""
    del kept  # where the result goes

    def calibration(observation=small, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"MIRISIM_STAND_IN_{name}", value)
        installation = MIRISim(str(stand_in / "mirisim"), time_limit=300)
        return mirisim_calibration(installation, observation)

    return calibration


@pytest.fixture
def cached(kept):
    """Return the place of a calibration of the stand-in, with a good one in it."""
    kept.mkdir(parents=True)
    path = kept / "mirisim-2.4.1-SUB256-F770W-FASTR1.json"
    path.write_text(json.dumps(vars(GOOD)))
    return path


@pytest.mark.parametrize("x_sign", [1, -1])
@pytest.mark.parametrize(("version", "sign"), [("2.2.0", -1), ("2.4.1", 1)])
def test_stand_in_is_recovered(measured, version, sign, x_sign):
    """Origin, axes, dithers and noise of both kinds of versions, for both directions of x."""
    found = measured(VERSION=version, X_SIGN=str(x_sign))
    assert found.version == version
    assert found.dither_sign == sign
    np.testing.assert_allclose(found.origin, REFERENCE_PIXEL, atol=CENTROID_ERROR)
    expected = orientation(x_sign)
    atol = SCALE_ERROR * np.abs(expected).max()
    np.testing.assert_allclose(found.matrix, expected, rtol=0, atol=atol)
    assert found.read_noise == pytest.approx(READ_NOISE, rel=NOISE_ERROR)
    assert found.stated_read_noise == READ_NOISE
    assert found.misfit < CENTROID_ERROR


def test_cached_calibration_is_used(measured, cached):
    """MIRISim is not run where its calibration is known."""
    before = cached.read_text()
    assert measured(FAILURE="exit") == GOOD
    assert cached.read_text() == before


def test_new_calibration_is_cached(measured, kept):
    """The second call has the numbers of the first without a run."""
    first = measured()
    assert len(list(kept.glob("mirisim-*.json"))) == 1
    assert measured(FAILURE="exit") == first


@pytest.mark.parametrize(
    "changed",
    [
        {"filter": "F1000W"},
        {"subarray": "BRIGHTSKY"},
        {"subarray": "FULL", "readout_pattern": "SLOWR1"},
    ],
    ids=lambda changed: list(changed)[-1],
)
def test_other_readout_is_not_taken_from_the_cache(measured, cached, small, changed, monkeypatch):
    """Filter, subarray and readout pattern each have a calibration of their own."""
    ran = []
    module = "miri_background.simulation.mirisim.calibration"
    monkeypatch.setattr(f"{module}._measured", lambda *_: ran.append(1) or GOOD)
    measured(Observation(**(small.model_dump() | changed)))
    assert ran
    assert len(list(cached.parent.glob("mirisim-*.json"))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps(vars(GOOD))[:-20],
        json.dumps(vars(GOOD) | {"matrix": [[1, 0]]}),
        json.dumps(vars(GOOD) | {"matrix": [[9, 0], [0, 2]]}),
        json.dumps(vars(GOOD) | {"dither_sign": 0}),
        json.dumps(vars(GOOD) | {"read_noise": None}),
        json.dumps(vars(GOOD) | {"version": "2.3.0"}),
        json.dumps(vars(GOOD) | {"origin": [535.5, 177.5]}),
        # As written before the gain and the reference pixels were asked for.
        json.dumps({name: vars(GOOD)[name] for name in vars(GOOD) if name[:6] != "stated"}),
    ],
    ids=[
        *("empty", "list", "nothing", "cut", "shape", "shear", "sign", "null", "version"),
        *("origin", "before"),
    ],
)
def test_damaged_cache_is_made_anew(measured, cached, text, monkeypatch):
    """A file that is no calibration of this version is replaced, not used and not fatal."""
    cached.write_text(text)
    fresh = replace(GOOD, read_noise=7.0)
    module = "miri_background.simulation.mirisim.calibration"
    monkeypatch.setattr(f"{module}._measured", lambda *_: fresh)
    assert measured() == fresh
    assert json.loads(cached.read_text())["read_noise"] == fresh.read_noise


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"matrix": ((8.0, 0.0), (0.0, 8.0))}, "pixels in a square arcsec"),
        ({"matrix": ((9.5, 0.0), (0.0, 8.6))}, "no rotation or reflection"),
        ({"matrix": ((9.0, 1.5), (0.0, 9.0))}, "no rotation or reflection"),
        ({"misfit": 1.5}, "1.5 pixels from where"),
        ({"misfit": float("nan")}, "pixels from where"),
        ({"read_noise": float("nan")}, "noise below that of the photons"),
        ({"read_noise": 44.0}, "44.00 DN in one read, and RDNOISE = 8.00 DN"),
        ({"origin": (535.5, 177.5)}, r"(535.5, 177.5) of the full array, not at SUB256's"),
        ({"origin": (float("nan"), 177.5)}, "(nan, 177.5) of the full array"),
    ],
    ids=[
        *("area", "scales", "shear", "misfit", "no misfit", "noise"),
        *("stated noise", "origin", "no origin"),
    ],
)
def test_implausible_numbers_are_refused(changed, said):
    """Each number has a limit, and its own words."""
    assert said in replace(GOOD, **changed).fault("SUB256")


def test_plausible_numbers_are_accepted():
    """The stand-in's own numbers have no fault."""
    assert GOOD.fault("SUB256") == ""


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("no stars", "shows [0-9] stars"),
        ("far dithers", "neither with nor against the dither"),
        ("filter", "FILTER = 'F1000W', and 'F770W' was asked for"),
        ("gain off", "BUNIT = 'electrons', and 'DN' was asked for"),
        ("other gain", "GAINCF = 4.0, and 5.5 was asked for"),
        ("refpix off", r"REFOUT of shape = \(1, 1, 1, 1\), and \(1, 6, 256, 64\) was asked for"),
        ("columns moved", r"centre at pixel \(535.5, 177.5\) of the full array, not at SUB256's"),
        ("stated noise", "[78].[0-9]+ DN in one read, and RDNOISE = 4.00 DN in its header"),
        ("drifts on", "HISTORY = None, and 'Simulated detector drift effects disabled' was asked"),
        ("flat on", "HISTORY = 'Pixel flat-field: flat.fits', and 'Pixel flat-field: None' was"),
    ],
)
def test_run_that_is_not_understood_is_refused(measured, kept, failure, said):
    """What is wrong is said in one sentence that names the log, and nothing is cached."""
    with pytest.raises(CannotJudge, match=f"{said}.*{kept}/mirisim-2.4.1-SUB256-F770W-FASTR1.log"):
        measured(FAILURE=failure)
    assert not list(kept.glob("mirisim-*.json"))


def test_another_distortion_is_refused(measured, observation):
    """Truth would lie beside the stars if MIRISim bent the field in another way."""
    with pytest.raises(CannotJudge, match="pixels from where the SIAF's distortion puts them"):
        measured(observation, DISTORTION="none")


@pytest.mark.parametrize("angle", [0.0, 50.0, 200.0])
def test_scene_angle_is_the_direction_of_a_shift(angle):
    """A short step along an angle of the detector is a step along its angle in the scene."""
    step = 1e-3 * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    x, y = GOOD.scene_positions(*np.reshape(np.add(GOOD.origin, step), (2, 1)))
    expected = np.rad2deg(np.arctan2(x[0], y[0])) % 360
    assert GOOD.scene_angle(angle) == pytest.approx(expected, abs=0.01)


def test_origin_is_the_centre_of_the_scene():
    """The pixel where the scene's centre appears has the position zero."""
    x, y = GOOD.scene_positions(*np.reshape(GOOD.origin, (2, 1)))
    np.testing.assert_allclose([x[0], y[0]], 0, atol=1e-12)
