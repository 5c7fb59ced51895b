"""Calibrated products are those of the subtracted images beside them."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from miri_background.runs.check import check
from miri_background.validation.judgement import judge_products
from miri_background.validation.products.images import DO_NOT_USE

CONVERSION = 0.4  # MJy/sr per DN/s
NO_FLAT_FIELD = 2**18
CALIBRATED = {"calibrated value", "calibrated error", "calibrated DQ"}
BLIND = (slice(10, 14), slice(10, 14))  # pixels without a flat field


def calibrate(products, conversion=CONVERSION):
    """Give the calibrated product what flat field and photometric calibration make."""
    shape = fits.getdata(products / "science_bsub.fits", "SCI").shape[-2:]
    flat = np.random.default_rng(5).normal(1.0, 0.02, shape).astype(np.float32)
    aside = products / "aside.fits"
    with fits.open(products / "science_bsub.fits", memmap=False) as hdus:
        hdus["SCI"].data = (hdus["SCI"].data / flat * np.float32(conversion)).astype(np.float32)
        total = 0.0
        for name in ("VAR_POISSON", "VAR_RNOISE"):
            hdus[name].data = (hdus[name].data / flat**2 * np.float32(conversion**2)).astype("f4")
            total = total + hdus[name].data
        hdus["ERR"].data = np.sqrt(total).astype(np.float32)
        hdus["SCI"].data[BLIND] = np.nan
        hdus["DQ"].data[BLIND] |= np.uint32(DO_NOT_USE | NO_FLAT_FIELD)
        hdus["SCI"].header.update(PHOTMJSR=conversion, BUNIT="MJy/sr")
        hdus[0].header.update(S_FLAT="COMPLETE", S_PHOTOM="COMPLETE", FILENAME="science_cal.fits")
        hdus.writeto(aside)
    aside.replace(products / "science_cal.fits")


@pytest.fixture
def calibrated(stage2):
    """Return a directory of small products that are calibrated, as the pipeline does it."""
    calibrate(stage2)
    return stage2


def broken(directory):
    """Return the criteria on calibrated products that are broken, with their details."""
    metrics = check(directory).verdict.failures()
    return {each.name: each.detail for each in metrics if each.name in CALIBRATED}


def test_correct_calibration_passes(calibrated):
    """Flat, conversion and their flags are no difference."""
    verdict = check(calibrated).verdict
    judged = {each.name: each.value for each in verdict.metrics if each.name in CALIBRATED}
    assert judged == dict.fromkeys(CALIBRATED, 0.0)


def test_one_exposure_is_enough_to_tell_the_rate(calibrated, rewrite):
    """Signs and sizes show a rate of which no background was subtracted, and it is called so."""
    rate = fits.getdata(calibrated / "science_rate.fits", "SCI")

    def hold(hdus):
        hdus["SCI"].data = (CONVERSION * rate).astype(np.float32)

    rewrite(calibrated / "science_cal.fits", hold)
    assert "of which no background was subtracted" in broken(calibrated)["calibrated value"]


@pytest.mark.parametrize(
    ("plane", "change", "criterion"),
    [
        ("SCI", lambda values: values + np.float32(0.01), "calibrated value"),
        ("SCI", lambda values: -values, "calibrated value"),
        ("SCI", lambda values: 3 * values, "calibrated value"),
        ("SCI", lambda values: np.where(values > 0, np.nan, values), "calibrated DQ"),
        ("ERR", lambda values: 1.01 * values, "calibrated error"),
        ("ERR", lambda values: np.nan * values, "calibrated error"),
        ("VAR_RNOISE", lambda values: 2 * values, "calibrated error"),
        ("DQ", lambda values: values & ~np.uint32(DO_NOT_USE), "calibrated DQ"),
    ],
    ids=["offset", "sign", "scale", "values lost", "errors", "no errors", "variance", "flags"],
)
def test_fault_of_a_plane_is_caught(calibrated, rewrite, plane, change, criterion):
    """The criterion of that plane breaks, and names the file and the first pixel."""

    def spoil(hdus):
        hdus[plane].data = change(hdus[plane].data).astype(hdus[plane].data.dtype)

    rewrite(calibrated / "science_cal.fits", spoil)
    found = broken(calibrated)
    assert criterion in found
    assert found[criterion].startswith("first in science_cal.fits at row")


def test_unit_that_contradicts_the_step_is_named(calibrated):
    """File, keyword and both values are in the sentence."""
    fits.setval(calibrated / "science_cal.fits", "BUNIT", value="DN/s", extname="SCI")
    (metadata,) = (m for m in check(calibrated).verdict.failures() if m.name == "metadata")
    assert "science_cal.fits has BUNIT = 'DN/s' and S_PHOTOM = 'COMPLETE', of which 'MJy/sr'" in (
        metadata.detail
    )


@pytest.mark.slow
def test_products_of_the_pipeline_have_one_map(finished):
    """What the pipeline calibrates is its subtracted image, with the known flat and without."""
    from miri_background.validation.products.stage2 import read_products

    products = read_products(finished[0])
    for truth in (products.science_truth, None):
        known = replace(products, science_truth=truth)
        known = known if truth else replace(known, background_truth=None)
        metrics = judge_products(known).metrics
        assert {m.value for m in metrics if m.name in CALIBRATED} == {0.0}
