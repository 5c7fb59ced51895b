"""Ramps have the mean, the noise and the defects of the detector's constants."""

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.stats import norm

from miri_background.instrument.detector import (
    AMPLIFIERS,
    BIAS,
    FRAME_TIME,
    FULL_WELL,
    GAIN,
    READ_NOISE,
    REFERENCE_COLUMNS,
    SHAPE,
    linear_signal,
    raw_signal,
    reference_pixels,
)
from miri_background.simulation import detector
from miri_background.simulation.detector import cosmic_ray_charge, ramp

SEED = 20261122
GROUPS = 5
LIGHT = 200.0  # electron / s: a few times the sky in F770W
HIT_RATE = 2000.0  # hits / s: many, for small errors
STANDARD_ERRORS = 5  # one test in two million is further off by chance
LARGEST_NUMBER = 65535  # 16-bit converter
ROUNDING_VARIANCE = 1 / 12  # DN^2, of rounding to whole numbers
PATCH = np.s_[400:600, 500:700]


@pytest.fixture(scope="module")
def flat_light():
    """Return a rate that is the same in all pixels but the reference columns."""
    return np.where(reference_pixels(), 0.0, LIGHT)


@pytest.fixture(scope="module")
def expose():
    """Return a function that exposes the detector; light, cosmic rays and seed are chosen."""

    def science_of(rate, groups=GROUPS, integrations=1, hits=0.0, seed=SEED):
        return ramp(rate, groups, integrations, hits, np.random.default_rng(seed))[0]

    return science_of


@pytest.fixture(scope="module")
def lit(expose, flat_light):
    """Return two integrations in flat light, without cosmic rays."""
    return expose(flat_light, integrations=2)


@pytest.fixture(scope="module")
def dark(expose):
    """Return an integration in darkness."""
    return expose(np.zeros(SHAPE))[0]


@pytest.fixture(scope="module")
def deposits():
    """Return frame, row, column and electrons of what cosmic rays leave in many frames."""
    return cosmic_ray_charge(GROUPS, HIT_RATE, np.random.default_rng(SEED))


@pytest.fixture(scope="module")
def hits_per_frame():
    """Return the number of separate tracks in each of many frames, and the number expected."""
    frames, rate = 200, 28.0
    generator = np.random.default_rng(SEED)
    counts = []
    for _ in range(frames):
        _, row, column, _ = cosmic_ray_charge(1, rate, generator)
        touched = np.zeros(SHAPE, dtype=bool)
        touched[row, column] = True
        counts.append(label(touched, structure=np.ones((3, 3)))[1])
    sensitive = 1 - 2 * REFERENCE_COLUMNS / SHAPE[1]
    return np.array(counts), rate * FRAME_TIME * sensitive


@pytest.fixture
def quiet(monkeypatch):
    """Take read noise and drift away."""
    monkeypatch.setattr(detector, "READ_NOISE", 0.0)
    monkeypatch.setattr(detector, "_OUTPUT_DRIFT", 0.0)


def outputs():
    """Yield index and pixels of each output: amplifier (column) and parity of the row."""
    rows, columns = np.indices(SHAPE)
    for amplifier in range(AMPLIFIERS):
        for parity in range(2):
            yield amplifier, parity, (columns % AMPLIFIERS == amplifier) & (rows % 2 == parity)


def mean_charge():
    """Return mean and mean square of the charge of a hit, electrons, as integrals.

    Over the angle, whose cosine c has the density 2 c, and over a Moyal variable, whose
    mean is Euler's constant + ln 2 and whose variance is pi^2 / 2.
    """
    depth = detector._DEPTH
    longest = np.hypot(depth, detector._LONGEST_TRACK)
    low = depth / longest
    path = 2 * depth * (1 - low) + longest * low**2
    square = 2 * depth**2 * np.log(1 / low) + (longest * low) ** 2
    moyal = np.euler_gamma + np.log(2)
    spread = detector._LOSS_SPREAD
    loss = 1 + spread * moyal
    loss_square = loss**2 + spread**2 * np.pi**2 / 2
    return detector._LOSS * path * loss, detector._LOSS**2 * square * loss_square


# ------------------------------------------------------------------------ ramps


def test_ramp_has_its_shape():
    """Integrations, groups, rows, columns; the blind output has a quarter of the columns."""
    science, blind = ramp(np.zeros(SHAPE), 2, 1, 0.0, np.random.default_rng(SEED))
    assert (science.shape, blind.shape) == ((1, 2, *SHAPE), (1, 2, SHAPE[0], SHAPE[1] // 4))


def test_ramp_is_of_16_bit_numbers(lit):
    """The numbers are those of the converter."""
    assert lit.dtype == np.uint16


def test_signal_grows_with_the_light(lit):
    """The mean growth of the linear signal is that of the expected electrons."""
    linear = linear_signal(lit[0].astype(float))
    # Drift and offsets are those of the reference pixels of the same output.
    growth = []
    for _, _, pixels in outputs():
        in_patch = pixels[PATCH]
        first, last = (
            linear[group][PATCH][in_patch].mean()
            - lit[0, group][pixels & reference_pixels()].astype(float).mean()
            for group in (0, GROUPS - 1)
        )
        growth.append(last - first)
    frames = GROUPS - 1
    electrons = LIGHT * FRAME_TIME * frames
    read = 2 * (READ_NOISE**2 + ROUNDING_VARIANCE)
    pixels, reference = lit[0, 0][PATCH].size, reference_pixels().sum()
    # The correction stretches the noise of a read by less than 5 %.
    error = np.sqrt((electrons / GAIN**2 + read * 1.05**2) / pixels + read / reference)
    assert np.mean(growth) == pytest.approx(electrons / GAIN, abs=STANDARD_ERRORS * error)


def test_noise_is_that_of_photons_and_reads(lit):
    """The variance of a difference is that of the electrons plus twice the read noise."""
    raw = lit[0].astype(float)
    difference = linear_signal(raw[-1]) - linear_signal(raw[0])
    variance = np.mean(
        [np.var(difference[PATCH][pixels[PATCH]], ddof=1) for _, _, pixels in outputs()]
    )
    # The correction stretches the noise of a read by its slope.
    coefficient = (linear_signal(1e4) - 1e4) / 1e8
    stretch = sum((1 + 2 * coefficient * raw[group][PATCH].mean()) ** 2 for group in (0, -1))
    expected = LIGHT * FRAME_TIME * (GROUPS - 1) / GAIN**2 + stretch * (
        READ_NOISE**2 + ROUNDING_VARIANCE
    )
    error = expected * np.sqrt(2 / difference[PATCH].size)
    assert variance == pytest.approx(expected, abs=STANDARD_ERRORS * error)


def test_read_noise_is_the_detectors(dark):
    """Half the variance of a difference of reference pixels is that of a read."""
    difference = np.diff(dark[:2].astype(float), axis=0)[0]
    samples = [difference[pixels & reference_pixels()] for _, _, pixels in outputs()]
    variance = np.mean([np.var(sample, ddof=1) for sample in samples]) / 2
    expected = READ_NOISE**2 + ROUNDING_VARIANCE
    error = expected * np.sqrt(2 / reference_pixels().sum())
    assert variance == pytest.approx(expected, abs=STANDARD_ERRORS * error)


def test_blind_output_has_bias_and_read_noise():
    """The fifth output is bias and read noise, without offset or light."""
    _, blind = ramp(np.full(SHAPE, LIGHT), 1, 1, 0.0, np.random.default_rng(SEED))
    expected = np.array([BIAS, np.sqrt(READ_NOISE**2 + ROUNDING_VARIANCE)])
    errors = expected[1] / np.sqrt([blind.size, 2 * blind.size])
    np.testing.assert_array_less(
        np.abs([blind.mean(), blind.std()] - expected), STANDARD_ERRORS * errors
    )


def test_reference_pixels_see_no_light(lit):
    """From the first group to the last, reference pixels do not follow the light."""
    growth = np.mean(np.diff(lit[0, :, reference_pixels()].astype(float), axis=1).sum(axis=1))
    read = 2 * (READ_NOISE**2 + ROUNDING_VARIANCE) / reference_pixels().sum()
    drift = 2 * detector._OUTPUT_DRIFT**2 / (2 * AMPLIFIERS)
    assert growth == pytest.approx(0, abs=STANDARD_ERRORS * np.sqrt(read + drift))


@pytest.mark.parametrize("amplifier", range(AMPLIFIERS))
@pytest.mark.parametrize("parity", [0, 1], ids=["even rows", "odd rows"])
def test_reference_pixels_drift_with_their_output(dark, amplifier, parity):
    """In each group, light-sensitive pixels are where the reference pixels of their output are."""
    rows, columns = np.indices(SHAPE)
    output = (columns % AMPLIFIERS == amplifier) & (rows % 2 == parity)
    reference = dark[:, output & reference_pixels()].mean(axis=1)
    sensitive = linear_signal(dark[:, output & ~reference_pixels()].astype(float)).mean(axis=1)
    error = READ_NOISE / np.sqrt(np.sum(output & reference_pixels()))
    np.testing.assert_allclose(sensitive, reference, rtol=0, atol=STANDARD_ERRORS * error)


def test_outputs_have_their_offsets(dark):
    """Amplifiers and odd rows differ by the constants, the mean of all by the bias."""
    found = {
        (amplifier, parity): dark[:, pixels & reference_pixels()].mean()
        for amplifier, parity, pixels in outputs()
    }
    expected = {
        (amplifier, parity): BIAS
        + detector._AMPLIFIER_OFFSETS[amplifier]
        + parity * detector._ODD_ROW_OFFSET
        for amplifier, parity in found
    }
    error = np.hypot(detector._OUTPUT_DRIFT, READ_NOISE / 32) / np.sqrt(len(dark))
    assert found == pytest.approx(expected, abs=STANDARD_ERRORS * error)


@pytest.mark.parametrize("well", [20_000.0, 100_000.0, FULL_WELL])
@pytest.mark.usefixtures("quiet")
def test_linearity_is_undone_to_the_converters_rounding(monkeypatch, expose, well):
    """Pixels filled to a known level have that level again after the correction."""
    monkeypatch.setattr(detector, "FULL_WELL", well)
    science = expose(np.full(SHAPE, 10 * FULL_WELL), groups=1)[0, 0][~reference_pixels()]
    offsets = detector._output_offsets()[~reference_pixels()]
    expected = BIAS + offsets + well / GAIN
    # Half a number, as the correction stretches it there
    half = linear_signal(science.max() + 0.5) - linear_signal(float(science.max()))
    np.testing.assert_allclose(linear_signal(science.astype(float)), expected, rtol=0, atol=half)


@pytest.mark.usefixtures("quiet")
def test_signal_ends_at_the_full_well(expose):
    """No pixel holds more than the full well, however bright and however long."""
    bright = np.where(reference_pixels(), 0.0, FULL_WELL / FRAME_TIME)
    science = expose(bright, groups=3)
    most = raw_signal(BIAS + detector._output_offsets().max() + FULL_WELL / GAIN)
    assert science.max() == np.rint(most)


def test_number_ends_at_the_converters_largest(monkeypatch, expose):
    """What is too large for the converter is its largest number."""
    monkeypatch.setattr(detector, "FULL_WELL", 1e9)
    science = expose(np.full(SHAPE, 1e9), groups=1)[0, 0]
    assert np.all(science[~reference_pixels()] == LARGEST_NUMBER)


def test_number_ends_at_zero(monkeypatch, expose):
    """Noise below zero is cut off there: it does not come back as a large number."""
    monkeypatch.setattr(detector, "_AMPLIFIER_OFFSETS", (-BIAS,) * AMPLIFIERS)
    monkeypatch.setattr(detector, "_ODD_ROW_OFFSET", 0.0)
    monkeypatch.setattr(detector, "_OUTPUT_DRIFT", 0.0)
    science = expose(np.zeros(SHAPE), groups=1)
    # Half of the noise lies below zero, and what is nearer to it than half a number.
    part = norm.cdf(0.5 / READ_NOISE)
    error = np.sqrt(part * (1 - part) / science.size)
    assert np.mean(science == 0) == pytest.approx(part, abs=STANDARD_ERRORS * error)


def test_same_seed_gives_the_same_bytes(expose, flat_light):
    """The generator decides everything."""
    first, second = (expose(flat_light, groups=2, hits=28.0) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_seed_gives_other_noise(expose, flat_light, lit):
    """Another generator gives another exposure."""
    assert np.any(expose(flat_light, groups=1, seed=SEED + 1)[0, 0] != lit[0, 0])


def test_rounding_of_the_scene_leaves_the_bytes(expose):
    """Rates that differ by less than the step of the draws, as between processors, are the same.

    Rounding is far smaller, but would change a draw too rarely for a test.
    """
    rate = np.full(SHAPE, 500.0 / FRAME_TIME)  # 500 electrons in a frame: on a step
    noise = np.random.default_rng(SEED).uniform(-0.4, 0.4, SHAPE) * detector._RATE_STEP / 500.0
    np.testing.assert_array_equal(expose(rate, groups=1), expose(rate * (1 + noise), groups=1))


def test_integrations_are_independent(lit):
    """The noise of one integration says nothing on that of the next."""
    growth = np.subtract(lit[:, -1], lit[:, 0], dtype=float)[:, *PATCH]
    first, second = (
        np.concatenate(
            [part[pixels[PATCH]] - part[pixels[PATCH]].mean() for *_, pixels in outputs()]
        )
        for part in growth
    )
    correlation = np.corrcoef(first, second)[0, 1]
    assert correlation == pytest.approx(0, abs=STANDARD_ERRORS / np.sqrt(first.size))


def test_integration_starts_from_the_reset(lit):
    """The first group of the second integration has the light of one frame, as the first has."""
    first, second = (lit[integration, 0][PATCH].mean() for integration in (0, 1))
    noise = LIGHT * FRAME_TIME / GAIN**2 + READ_NOISE**2 + ROUNDING_VARIANCE
    drift = detector._OUTPUT_DRIFT**2 / (2 * AMPLIFIERS)
    error = np.sqrt(2 * (noise / lit[0, 0][PATCH].size + drift))
    assert second == pytest.approx(first, abs=STANDARD_ERRORS * error)


# ------------------------------------------------------------------ cosmic rays


def test_no_cosmic_rays_leave_no_charge():
    """At a rate of 0 there are no deposits."""
    assert all(part.size == 0 for part in cosmic_ray_charge(GROUPS, 0.0, np.random.default_rng(1)))


def test_charge_is_positive(deposits):
    """Particles only add electrons."""
    assert deposits[3].min() > 0


def test_tracks_stay_inside_the_rows(deposits):
    """No deposit is below or above the array."""
    _, row, _, _ = deposits
    assert 0 <= row.min() <= row.max() < SHAPE[0]


def test_tracks_leave_out_reference_columns(deposits):
    """Reference pixels have no layer in which to collect charge."""
    _, _, column, _ = deposits
    assert REFERENCE_COLUMNS <= column.min() <= column.max() < SHAPE[1] - REFERENCE_COLUMNS


def test_mean_charge_is_that_of_the_tracks(deposits):
    """The charge of all hits is their number times the mean over angle and straggling."""
    hits = HIT_RATE * FRAME_TIME * GROUPS
    mean, square = mean_charge()
    # Hits in reference columns leave nothing; what leaves the array is 0.1 % of a track's charge.
    expected = hits * mean * (1 - 2 * REFERENCE_COLUMNS / SHAPE[1])
    error = np.sqrt(hits * square) + 0.001 * expected / STANDARD_ERRORS
    assert deposits[3].sum() == pytest.approx(expected, abs=STANDARD_ERRORS * error)


def test_hits_have_their_rate(hits_per_frame):
    """The mean number of tracks in a frame is the rate times the frame time."""
    counts, expected = hits_per_frame
    error = np.sqrt(expected / counts.size)
    # One hit in 200 touches another or only the edge of the sensitive columns.
    assert counts.mean() == pytest.approx(expected, abs=STANDARD_ERRORS * error + 0.005 * expected)


def test_number_of_hits_is_poisson(hits_per_frame):
    """The variance of the number of tracks is its mean."""
    counts, _ = hits_per_frame
    dispersion = counts.var(ddof=1) / counts.mean()
    assert dispersion == pytest.approx(1, abs=STANDARD_ERRORS * np.sqrt(2 / counts.size))


def test_hits_are_in_all_frames_alike(deposits):
    """Each frame of a ramp has the same part of the charge."""
    frame, _, _, electrons = deposits
    found = np.bincount(frame, electrons, GROUPS)
    mean, square = mean_charge()
    hits = HIT_RATE * FRAME_TIME
    np.testing.assert_allclose(
        found, hits * mean, rtol=0, atol=STANDARD_ERRORS * np.sqrt(hits * square)
    )


def test_charge_stays_until_the_reset(expose):
    """In darkness, what cosmic rays have left in all frames is in the last group."""
    hits, groups = 200.0, 3
    science = expose(np.zeros(SHAPE), groups=groups, hits=hits)[0].astype(float)
    total = 0.0
    for _, _, pixels in outputs():
        sensitive = linear_signal(science[-1, pixels & ~reference_pixels()])
        level = science[-1, pixels & reference_pixels()].mean()
        total += GAIN * np.sum(sensitive - level)
    number = hits * FRAME_TIME * groups
    mean, square = mean_charge()
    pixels, reference = np.sum(~reference_pixels()), np.sum(reference_pixels())
    # Reference pixels are few: their noise is multiplied by the pixels that they stand for.
    read = GAIN * READ_NOISE * pixels / np.sqrt(reference)
    assert total == pytest.approx(
        number * mean, abs=STANDARD_ERRORS * np.sqrt(number * square + read**2)
    )
