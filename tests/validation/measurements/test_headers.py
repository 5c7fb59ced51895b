"""Headers of products contradict neither their rates nor each other; the sentence says where."""

from dataclasses import replace

import pytest
from astropy.io import fits

from miri_background.validation.measurements.exact import exact_measurements

RATE = {
    "BUNIT": "DN/s",
    "RA_REF": 80.49,
    "PA_V3": 114.86,
    "CRVAL1": 80.49,
    "V2_REF": -439.6,
}
STEPS = {"S_RAMP": "COMPLETE", "S_DARK": "COMPLETE", "DATE": "2026-11-26T09:29:31.805"}
LATER = "2026-11-26T09:30:03.146"


def with_headers(image, extension=(), **keywords):
    """Return an image with other cards in both headers."""
    header, other = image.header.copy(), fits.Header(RATE)
    header.update(STEPS | keywords)
    other.update(dict(extension))
    return replace(image, header=header, extension=other)


@pytest.fixture(scope="module")
def of_rates(background_step):
    """Return the analysis of products whose headers say what those of the pipeline say."""
    analysis = background_step()
    products = analysis.products
    analysis.products = replace(
        products,
        science=[with_headers(each) for each in products.science],
        backgrounds=[with_headers(each) for each in products.backgrounds],
        subtracted=[with_headers(each, DATE=LATER) for each in products.subtracted],
        combined=[with_headers(each, DATE=LATER) for each in products.combined],
        calibrated_headers=[with_headers(each, DATE=LATER).header for each in products.subtracted],
    )
    return analysis


def said(analysis, **lists):
    """Return what is said of headers; the first of each list is replaced."""
    products = analysis.products
    changed = {name: [first, *getattr(products, name)[1:]] for name, first in lists.items()}
    (found,) = (
        each
        for each in exact_measurements(replace(products, **changed), analysis.expectation.combined)
        if each.criterion == "metadata"
    )
    return found.detail


def test_headers_of_the_pipeline_contradict_nothing(of_rates):
    """Units, pointing, steps and dates are as they should be."""
    assert said(of_rates) == ""


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("BUNIT", "MJy/sr"), ("RA_REF", 80.5), ("PA_V3", 114.9), ("CRVAL1", 80.5), ("V2_REF", 0.0)],
)
def test_unit_and_pointing_of_the_subtracted_image(of_rates, keyword, value):
    """File, keyword and both values are named."""
    image = with_headers(of_rates.products.subtracted[0], {keyword: value}, DATE=LATER)
    assert said(of_rates, subtracted=image) == (
        f"science0_bsub.fits has {keyword} = {value!r} and its rate science0.fits has "
        f"{RATE[keyword]!r}"
    )


def test_step_that_got_lost(of_rates):
    """What calwebb_detector1 has done stays done."""
    image = with_headers(of_rates.products.subtracted[0], S_RAMP="SKIPPED", DATE=LATER)
    assert said(of_rates, subtracted=image).startswith("science0_bsub.fits has S_RAMP = 'SKIPPED'")


def test_product_that_is_older_than_its_members(of_rates):
    """It was made of another rate."""
    image = with_headers(of_rates.products.subtracted[0], DATE="2026-11-25T09:29:31.805")
    assert said(of_rates, subtracted=image).startswith(
        "science0_bsub.fits has DATE = '2026-11-25T09:29:31.805' and science0.fits, of which"
    )


@pytest.mark.parametrize(("keyword", "value"), [("FILTER", "F1000W"), ("DETECTOR", "MIRIFULONG")])
def test_filter_and_detector_of_the_combined_background(of_rates, keyword, value):
    """Where it says them, they are those of the science exposure; most builds do not say them."""
    rate = replace(of_rates.products.science[0])
    combined = with_headers(of_rates.products.combined[0], DATE=LATER, **{keyword: value})
    rate.header.setdefault("DETECTOR", "MIRIMAGE")
    told = said(of_rates, combined=combined)
    assert f"has {keyword} = '{value}' and its rate" in told
