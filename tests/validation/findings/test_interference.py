"""Waves of known frequencies are found in rates, and nothing else is taken for them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from miri_background.instrument.interference import LINES
from miri_background.validation.findings.interference import interfered
from miri_background.validation.judgement import judge_products

# Of SUB256: samples from row to row, and their duration, s.
ROW, SAMPLE = 96, 1e-5
NOISE = 0.36  # DN/s, reported error of a pixel of these exposures
AMPLITUDE, SKY = 0.3, 14.0  # DN/s
# Two and a half waves of it are in a frame of SUB256: there it is like any slow structure.
FAST_LINES = [line for line in LINES if line != "Hz10"]
PHASES = {"science": (0.1, 0.45), "background": (0.0, 0.3, 0.55, 0.7)}  # of a period


def wave(frequency, amplitude, phase, shape):
    """Return a sine in the order in which pixels of SUB256 are read, DN/s."""
    rows, columns = np.indices(shape)
    time = SAMPLE * (rows * ROW + columns // 4)
    return (amplitude * np.sin(2 * np.pi * (frequency * time + phase))).astype(np.float32)


def with_wave(frequency, amplitude=AMPLITUDE, phase=None, **keywords):
    """Return changes of all exposures, each with a phase of its own unless one is given."""

    def changes(field):
        def change(turn):
            def changed(image):
                header = image.header.copy()
                header.update(keywords)
                data = image.data + wave(frequency, amplitude, turn, image.data.shape)
                return replace(image, data=data, header=header)

            return changed

        return {
            number: change(turn if phase is None else phase)
            for number, turn in enumerate(PHASES[field])
        }

    return changes("science"), changes("background")


def found(products):
    """Return what is found of interference."""
    findings = judge_products(products).findings
    return [each for each in findings if each.name == "interference"]


@pytest.mark.parametrize("line", FAST_LINES)
def test_wave_is_found_with_its_frequency_and_amplitude(altered, line):
    """The sentence names the line; the number is its amplitude."""
    (finding,) = found(altered(*with_wave(LINES[line])))
    assert f"{LINES[line]:g} Hz" in finding.sentence
    # The power of noise beside the line is taken off; that at the line is known to its own size.
    error = NOISE * np.sqrt(2 / 60_000 / 6)
    assert finding.value == pytest.approx(AMPLITUDE, abs=5 * error)


def test_criteria_that_the_wave_breaks_do_not_decide(altered):
    """The step is right: what the rates have is named, and the run passes."""
    judgement = judge_products(altered(*with_wave(LINES["Hz218"], amplitude=3.0)))
    assert "interference" in [each.name for each in judgement.findings]
    assert [each.name for each in judgement.metrics if not each.passed and not each.released] == []
    assert {each.finding for each in judgement.metrics if each.released} == {"interference"}


@pytest.mark.parametrize(
    ("status", "words"), [("COMPLETE", "although emicorr has run"), ("SKIPPED", "not removed")]
)
def test_sentence_says_whether_the_step_has_run(altered, status, words):
    """A correction that is missing is another matter than one that does harm."""
    (finding,) = found(altered(*with_wave(LINES["Hz218"], S_MIREMI=status)))
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("frequency", "how"),
    [
        pytest.param(180.0, {}, id="another frequency"),
        pytest.param(LINES["Hz218"], {"phase": 0.3}, id="the same in all exposures"),
        pytest.param(LINES["Hz218"], {"amplitude": 0.003}, id="too weak to matter"),
        pytest.param(LINES["Hz218"], {"SUBARRAY": "SLITLESSPRISM"}, id="clocks not known"),
    ],
)
def test_what_is_no_line_is_not_found(altered, frequency, how):
    """Only waves of the known frequencies that differ from exposure to exposure count."""
    assert found(altered(*with_wave(frequency, **how))) == []


def of_noise(generator, subarray, shape, added):
    """Return six exposures of noise as findings look at them, two of them of the science field."""
    header = {
        "SUBARRAY": subarray,
        "READPATT": "FASTR1",
        "SUBSIZE1": shape[1],
        "SUBSIZE2": shape[0],
    }
    images = [
        SimpleNamespace(header=header, data=SKY + generator.normal(0, NOISE, shape) + rows)
        for rows in added
    ]
    everywhere = np.ones(shape, dtype=bool)
    masks = SimpleNamespace(seen=everywhere, usable=[everywhere])
    return SimpleNamespace(
        images=images,
        headers=[header] * len(images),
        count=2,
        backgrounds=[2, 3, 4, 5],
        expectation=SimpleNamespace(masks=masks, sky_level=SKY),
    )


@pytest.mark.parametrize("structure", ["noise", "rows", "drift"])
def test_no_line_in_many_draws(structure):
    """Noise, rows of other darks, and drifts as a nebula has them are not taken for a line."""
    generator = np.random.default_rng(2026)
    for _ in range(20):
        rows = generator.normal(0, NOISE, (6, 256, 1))
        added = {"noise": 0 * rows, "rows": rows, "drift": np.cumsum(rows / 7, axis=1)}
        inputs = of_noise(generator, "SUB256", (256, 256), added[structure])
        assert list(interfered(inputs)) == []


def test_slow_line_is_found_where_many_waves_are_in_a_frame():
    """In BRIGHTSKY, 10 Hz has eight waves in a frame."""
    generator = np.random.default_rng(3)
    time = SAMPLE * 162 * np.arange(512)[:, np.newaxis]  # s; samples from row to row
    turns = generator.random((6, 1, 1))
    waves = AMPLITUDE * np.sin(2 * np.pi * (LINES["Hz10"] * time + turns))
    (finding,) = interfered(of_noise(generator, "BRIGHTSKY", (512, 512), waves))
    assert "10.0392 Hz" in finding.sentence
    # 60 rows from crest to crest: a gradient over the array, and sky under a source that is not.
    assert {"gradient", "galaxy flux"} <= set(finding.explains)
