"""Files with damaged bytes: whatever they hold, the answer is a verdict or one sentence."""

import os
import random
import time

import numpy as np
import pytest
from astropy.io import fits

from miri_background.outcomes import CannotJudge
from miri_background.runs.check import check

SIZE = 32  # rows and columns: files so small that damage often meets what matters
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
                hdu.data = np.ascontiguousarray(hdu.data[..., :SIZE, 100 : 100 + SIZE])
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
    generator = random.Random(f"{damage.__name__} {name}")
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
