"""Files with damaged bytes: whatever they hold, the answer is a verdict or one sentence."""

import os
import random
import time

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.runs.advise import advice_on
from miri_background.runs.check import check
from miri_background.runs.check_page import page_of_check

SIZE = 32  # rows and columns: files so small that damage often meets what matters
FIRST = 156  # column from which on no pixel of it is bad
CARD, HEADERS = 80, 12_000  # bytes of a card, and of what begins a product
SECONDS = 20  # of processor time for one answer, a hundred times what it takes
TRIALS = 4
NAMES = [
    "image2_asn.json",
    "background2_rate.fits",
    "science_rate.fits",
    "science_bsub.fits",
    "science_combinedbackground.fits",
    "science_cal.fits",
]


@pytest.fixture(scope="module")
def tiny(stage2_original, tmp_path_factory):
    """Return products of a small part of the detector, which is of no known subarray."""
    directory = tmp_path_factory.mktemp("tiny")
    window = {"SUBARRAY": "TINY", "SUBSIZE1": SIZE, "SUBSIZE2": SIZE}
    for path in stage2_original.iterdir():
        if path.suffix != ".fits":
            (directory / path.name).write_bytes(path.read_bytes())
            continue
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus[1:]:
                hdu.data = np.ascontiguousarray(hdu.data[..., :SIZE, FIRST : FIRST + SIZE])
            if "SUBARRAY" in hdus[0].header:
                hdus[0].header.update(window)
            hdus.writeto(directory / path.name)
    return directory


def flipped(content, generator):
    """Change some bits, most of them where headers are."""
    end = min(HEADERS, len(content)) if generator.random() < 0.8 else len(content)
    for _ in range(generator.randint(1, 4)):
        content[generator.randrange(end)] ^= 1 << generator.randrange(8)
    return content


def truncated(content, generator):
    """Cut the end off."""
    return content[: generator.randrange(len(content))]


def shuffled(content, generator):
    """Put one card, or as many characters, in the place of another."""
    first, second = (generator.randrange(min(HEADERS, len(content))) // CARD * CARD for _ in "12")
    content[first : first + CARD] = content[second : second + CARD]
    return content


def overwritten(content, generator):
    """Write anything over some bytes."""
    first, size = generator.randrange(min(HEADERS, len(content))), generator.randint(1, 30)
    content[first : first + size] = generator.randbytes(size)
    return content


def answer(directory):
    """Return the verdict on products, or why there is none, as a sentence."""
    try:
        return check(directory).verdict.sentence()
    except CannotJudge as error:
        return str(error)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", [flipped, truncated, shuffled, overwritten])
def test_damage_is_a_verdict_or_a_sentence(damage, name, tiny, tmp_path):
    """There is no error of this suite, and none that takes for ever."""
    generator = random.Random(f"{damage.__name__} {name}")  # noqa: S311 - the same each time
    for path in tiny.iterdir():
        if path.name != name:
            os.link(path, tmp_path / path.name)
    content = (tiny / name).read_bytes()
    for _ in range(TRIALS):
        (tmp_path / name).write_bytes(damage(bytearray(content), generator))
        began = time.process_time()
        said = answer(tmp_path)
        assert "please report" not in said
        assert said.endswith(".")
        assert time.process_time() - began < SECONDS


def test_undamaged_products_are_judged(tiny):
    """What is exact is judged without knowing what a subarray sees; the rest is not judged."""
    verdict = check(tiny).verdict
    names = {metric.name for metric in verdict.metrics}
    assert {"combined value", "subtraction", "science error"} <= names
    assert "residual" not in names
    (told,) = (each for each in verdict.not_judged if each.name == "residual")
    assert told.reason == "what subarray TINY sees of the sky is not known here"
    assert [each.name for each in verdict.failures()] == ["metadata"]  # the file names are short


def test_page_of_what_is_exact_says_for_what_it_speaks(tiny, tmp_path):
    """Products of a subarray that is not known here have a page, too."""
    path, *_ = page_of_check(check(tiny)).write(tmp_path)
    page = path.read_text()
    assert (
        "Only what is exact was judged, of every pixel: what subarray TINY sees of the sky is "
        "not known here." in page
    )
    assert page.count("<img") == 5  # combined background, before, after, limits, advice
    assert "could not be drawn" not in page


def test_clipping_is_found_in_a_subarray_that_is_not_known(tiny):
    """Products that are exact with the step's default are not failed for another that was given."""
    verdict = check(tiny, sigma=1.0).verdict
    assert [each.name for each in verdict.findings] == ["other clipping"]
    assert [each.name for each in verdict.failures()] == ["metadata"]  # the file names are short


def test_advice_on_a_subarray_that_is_not_known(tiny):
    """All its pixels are taken to see the sky."""
    assert advice_on(tiny).done is not None


@pytest.mark.parametrize(("keyword", "number"), [("NGROUPS", 60_000), ("NINTS", 60_000)])
def test_noise_of_endless_ramps_is_not_predicted(keyword, number, stage2, rewrite):
    """A matrix of all groups would fill the memory; what is exact needs none."""
    rewrite(stage2 / "background2_rate.fits", lambda hdus: hdus[0].header.update({keyword: number}))
    (told,) = (each for each in check(stage2).verdict.not_judged if each.name == "residual")
    assert told.reason.startswith(f"the noise of {keyword} = {number} is predicted up to")


def in_integrations(rewrite, path):
    """Make a cube of two equal integrations of a rate."""

    def change(hdus):
        for hdu in hdus[1:]:
            hdu.data = np.stack([hdu.data] * 2)

    rewrite(path, change)


def test_rates_and_integrations_are_judged_together(tiny, rewrite, tmp_path):
    """Releases before 1.12 subtract them; that later ones cannot is said."""
    for path in tiny.iterdir():
        os.link(path, tmp_path / path.name)
    in_integrations(rewrite, tmp_path / "background2_rate.fits")
    verdict = check(tmp_path).verdict
    # The average of equal integrations is each of them.
    assert [each.name for each in verdict.failures()] == ["metadata"]
    assert [each.name for each in verdict.advisories] == ["mixed rates"]
    assert "before 1.12" in verdict.advisories[0].sentence


def test_integrations_are_judged_with_rates_for_backgrounds(tiny, rewrite, tmp_path):
    """And the other way round."""
    for path in tiny.iterdir():
        os.link(path, tmp_path / path.name)
    for name in ("rate", "bsub", "cal"):
        in_integrations(rewrite, tmp_path / f"science_{name}.fits")
    (tmp_path / "science_bsub.fits").rename(tmp_path / "science_bsubints.fits")
    (tmp_path / "science_cal.fits").rename(tmp_path / "science_calints.fits")
    verdict = check(tmp_path).verdict
    assert [each.name for each in verdict.failures()] == ["metadata"]
    assert [each.name for each in verdict.advisories] == ["mixed rates"]


def test_wrong_pixel_fails_without_geometry(tiny, rewrite, tmp_path):
    """A subarray that is not known hides no fault of the step."""
    for path in tiny.iterdir():
        os.link(path, tmp_path / path.name)

    def change(hdus):
        hdus["SCI"].data[5, 5] += 1

    rewrite(tmp_path / "science_bsub.fits", change)
    assert "subtraction" in {each.name for each in check(tmp_path).verdict.failures()}
