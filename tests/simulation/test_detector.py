"""Ramps have the mean, the noise and the defects of the detector's constants and maps."""

import numpy as np
import pytest
from scipy.stats import norm

from miri_background.instrument.detector import (
    AMPLIFIERS,
    BIAS,
    FULL_WELL,
    GROUP_SKIP_LATER,
    OUTPUT_DRIFT,
    READ_NOISE,
    RESET_GROUPS,
    SHAPE,
    full_well,
    gain,
    linear_signal,
    raw_signal,
    read_noise,
    reference_pixels,
    reset_anomaly,
)
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.observation import Observation
from miri_background.simulation import detector
from miri_background.simulation.detector import ramp
from miri_background.simulation.particles import Deposits

SEED = 20261122
# The smallest subarray is as good as the full array where reference pixels are not the point.
READ = subarrays()["SUB256"]
PIXELS = (READ.y, READ.x)
FRAME_TIME = frame_time("FASTR1", READ.name)  # s
# Two more than the reset spoils: the last but one has neither reset anomaly nor last-frame effect.
GROUPS = RESET_GROUPS + 2
CLEAN = GROUPS - 2
LIGHT = 2000.0  # electron / s: 5000 electrons in a ramp
CHARGE = 80_000.0  # electron, less than half of the full well
STANDARD_ERRORS = 5  # one test in two million is further off by chance
LARGEST_NUMBER = 65535  # 16-bit converter
ROUNDING_VARIANCE = 1 / 12  # DN^2, of rounding to whole numbers
# Half a number, as the correction stretches it at the full well: 1 + 2 c2 raw
HALF_NUMBER = 0.5 * 1.2
OUTPUTS = [(amplifier, parity) for amplifier in range(AMPLIFIERS) for parity in range(2)]
NO_DEPOSITS = Deposits(*np.zeros((4, 0), dtype=int), np.zeros(0))


@pytest.fixture(scope="module")
def expose():
    """Return a function that gives ramps and reference output; what is exposed is chosen."""

    def ramps_of(rate=0.0, deposits=NO_DEPOSITS, *, seed=SEED, latent=None, **changes):
        observation = Observation(**{"subarray": READ.name, "groups": GROUPS} | changes)
        light = np.full(subarrays()[observation.subarray].shape, rate)
        return ramp(
            light, observation.readout("science"), deposits, np.random.default_rng(seed), latent
        )

    return ramps_of


@pytest.fixture(scope="module")
def lit(expose):
    """Return two integrations in flat light."""
    return expose(LIGHT, integrations=2)[0]


@pytest.fixture(scope="module")
def long_dark(expose):
    """Return the linear signal, DN, of many groups in darkness, the last one left out."""
    return corrected(expose(groups=100)[0])[0, :-1]


@pytest.fixture(scope="module")
def filled(expose):
    """Return the linear signal, DN, of three integrations, charge in the first group only.

    There is neither read noise nor drift.
    """
    with pytest.MonkeyPatch.context() as patch:
        take_noise_away(patch)
        return corrected(expose(0.0, charge_everywhere(), integrations=3)[0])


@pytest.fixture(scope="module")
def dark_arrays(expose):
    """Return ramps and reference outputs of the full array in darkness, by readout pattern."""
    return {
        pattern: tuple(part[0] for part in expose(subarray="FULL", readout_pattern=pattern))
        for pattern in ("FASTR1", "SLOWR1")
    }


@pytest.fixture(scope="module")
def dark_array(dark_arrays):
    """Return a ramp of the full array in darkness."""
    return dark_arrays["FASTR1"][0]


@pytest.fixture
def quiet(monkeypatch):
    """Take read noise and drift away."""
    take_noise_away(monkeypatch)


def take_noise_away(patch):
    """Let the detector have neither read noise nor drift."""
    patch.setattr(detector, "read_noise", lambda: np.zeros(SHAPE))
    patch.setattr(detector, "OUTPUT_DRIFT", 0.0)


def charge_everywhere(electrons=CHARGE, *, integration=0, group=0, rows=slice(None)):
    """Return deposits of the same charge in all pixels of the subarray, or of some rows."""
    row, column = (part[rows].ravel() for part in np.indices(READ.shape))
    when = np.full(row.size, integration), np.full(row.size, group)
    return Deposits(*when, row, column, np.full(row.size, electrons))


def outputs(shape):
    """Return the pixels of each output: amplifier (column) and parity of the row."""
    rows, columns = np.indices(shape)
    return [
        (columns % AMPLIFIERS == amplifier) & (rows % 2 == parity) for amplifier, parity in OUTPUTS
    ]


def corrected(science):
    """Return the linear signal in DN, bias, offsets and reset anomaly taken away."""
    groups = min(science.shape[1], RESET_GROUPS)
    signal = science.astype(float)
    for integration, groups_of in enumerate(signal):
        groups_of[:groups] -= READ.cut(reset_anomaly(integration))[:groups]
    return linear_signal(signal, PIXELS) - BIAS - detector._output_offsets(READ.shape)


def means(image):
    """Return the mean of each output of an image."""
    return np.array([image[pixels].mean() for pixels in outputs(image.shape)])


# ------------------------------------------------------------------ shape and bytes


@pytest.mark.parametrize("name", subarrays())
def test_ramp_has_its_shape(expose, name):
    """Integrations, groups, rows, columns; the blind output has a quarter of the columns."""
    rows, columns = subarrays()[name].shape
    integrations = 1 if name == "FULL" else 2
    science, blind = expose(subarray=name, groups=8, integrations=integrations)
    assert science.shape == (integrations, 8, rows, columns)
    assert blind.shape == (integrations, 8, rows, columns // 4)


def test_ramp_is_of_16_bit_numbers(lit):
    """The numbers are those of the converter."""
    assert lit.dtype == np.uint16


def test_same_generator_gives_the_same_bytes(expose, lit):
    """The generator decides everything."""
    np.testing.assert_array_equal(expose(LIGHT, integrations=2)[0], lit)


def test_other_seed_gives_other_noise(expose, lit):
    """Another generator gives another exposure."""
    assert np.any(expose(LIGHT, integrations=2, seed=SEED + 1)[0] != lit)


def test_rounding_of_the_scene_leaves_the_bytes():
    """Rates that differ by less than the step of the draws, as between processors, are the same.

    Rounding is far smaller, but would change a draw too rarely for a test.
    """
    observation = Observation(subarray=READ.name, groups=6)
    rate = np.full(READ.shape, 500.0 / FRAME_TIME)  # 500 electrons in a frame: on a step
    noise = np.random.default_rng(SEED).uniform(-0.4, 0.4, READ.shape)
    first, second = (
        ramp(light, observation.readout("science"), NO_DEPOSITS, np.random.default_rng(SEED))[0]
        for light in (rate, rate * (1 + noise * detector._RATE_STEP / 500.0))
    )
    np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------ light and noise


def test_signal_grows_with_the_light(lit):
    """The mean growth of the linear signal is that of the expected electrons."""
    linear = corrected(lit)[0]
    frames = CLEAN
    electrons = LIGHT * FRAME_TIME * frames
    found = np.mean((linear[CLEAN] - linear[0]) * READ.cut(gain()))
    pixels = linear[0].size
    read = 2 * (READ_NOISE**2 * 1.02 + ROUNDING_VARIANCE) * 4.0**2
    drift = 2 * OUTPUT_DRIFT**2 * 4.0**2 / len(OUTPUTS)
    error = np.sqrt((electrons + read) / pixels + drift)
    assert found == pytest.approx(electrons, abs=STANDARD_ERRORS * error)


def test_noise_is_that_of_photons_and_reads(lit):
    """The variance of a difference is that of the electrons plus twice the read noise."""
    linear = corrected(lit)[0]
    difference = linear[CLEAN] - linear[0]
    normalised = []
    electrons = LIGHT * FRAME_TIME * CLEAN
    per_pixel, noise = READ.cut(gain()), READ.cut(read_noise())
    # The correction stretches the noise of a read by its slope.
    stretch = 1 + 2 * 1.4e-6 * lit[0, [0, CLEAN]].mean(axis=(1, 2))
    expected = electrons / per_pixel**2 + np.sum(stretch**2) * (noise**2 + ROUNDING_VARIANCE)
    level = electrons / per_pixel
    for pixels in outputs(READ.shape):
        residual = (difference - level)[pixels]
        normalised.append((residual - residual.mean()) ** 2 / expected[pixels])
    found = np.mean(np.concatenate(normalised))
    # Each output's mean takes one of 8192 degrees of freedom.
    error = np.sqrt(2 / difference.size)
    assert found == pytest.approx(1 - len(OUTPUTS) / difference.size, abs=STANDARD_ERRORS * error)


def test_read_noise_is_that_of_each_pixel(long_dark):
    """In darkness, pixels that the map says are noisy are noisy, the others are not."""
    linear = long_dark.copy()
    for pixels in outputs(READ.shape):
        linear[:, pixels] -= linear[:, pixels].mean(axis=1, keepdims=True)
    # Around the pixel's own mean; rounding adds, the correction stretches by 2.5 %.
    variance = linear.var(axis=0, ddof=1)
    noise = READ.cut(read_noise())
    expected = (noise**2 + ROUNDING_VARIANCE) * (1 + 2 * 1.4e-6 * BIAS) ** 2
    for chosen in (noise > READ_NOISE * 1.08, noise < READ_NOISE * 0.92):
        found = np.mean(variance[chosen] / expected[chosen])
        error = np.sqrt(2 / (len(linear) - 1) / chosen.sum())
        # Drifts are taken away with the mean of 8192 pixels, the noise of which goes with them.
        assert found == pytest.approx(1.0, abs=STANDARD_ERRORS * error + 1 / 8192)


def test_blind_output_has_the_bias(dark_arrays):
    """The fifth output has neither offset nor drift."""
    blind = dark_arrays["FASTR1"][1]
    assert blind.mean() == pytest.approx(BIAS, abs=STANDARD_ERRORS * READ_NOISE / blind.size**0.5)


@pytest.mark.parametrize(("pattern", "averaged"), [("FASTR1", 1), ("SLOWR1", 8)])
@pytest.mark.parametrize("kind", ["science", "blind"])
def test_read_noise_falls_with_the_samples(dark_arrays, pattern, averaged, kind):
    """Eight samples that are averaged have an eighth of the variance of one."""
    science, blind = (part[:2].astype(float) for part in dark_arrays[pattern])
    if kind == "science":
        # Nominal in all reference pixels, which have no reset anomaly
        difference = np.diff(science, axis=0)[0]
        samples = [difference[pixels & reference_pixels()] for pixels in outputs(SHAPE)]
        scatter = 0.0
    else:
        samples, scatter = [np.diff(blind, axis=0)[0].ravel()], 0.08
    found = np.mean([sample.var(ddof=1) for sample in samples]) / 2
    expected = READ_NOISE**2 * (1 + scatter**2) / averaged + ROUNDING_VARIANCE
    error = expected * np.sqrt(2 / sum(sample.size for sample in samples))
    assert found == pytest.approx(expected, abs=STANDARD_ERRORS * error)


def test_integrations_are_independent(lit):
    """The noise of one integration says nothing on that of the next."""
    linear = corrected(lit)
    first, second = (
        np.concatenate([image[pixels] - image[pixels].mean() for pixels in outputs(READ.shape)])
        for image in (linear[:, CLEAN] - linear[:, 1]) * READ.cut(gain())
    )
    correlation = np.corrcoef(first, second)[0, 1]
    assert correlation == pytest.approx(0, abs=STANDARD_ERRORS / np.sqrt(first.size))


# ------------------------------------------------------------------ outputs and drift


@pytest.mark.parametrize("output", range(len(OUTPUTS)), ids=[f"{a}-{p}" for a, p in OUTPUTS])
def test_reference_pixels_drift_with_their_output(dark_array, output):
    """In each group, light-sensitive pixels are where the reference pixels of their output are."""
    pixels = outputs(SHAPE)[output]
    # Reference pixels are linear; the others are corrected.
    reference = dark_array[:, pixels & reference_pixels()].mean(axis=1)
    signal = dark_array.astype(float)
    signal[:RESET_GROUPS] -= reset_anomaly(0)
    sensitive = linear_signal(signal)[:, pixels & ~reference_pixels()].mean(axis=1)
    error = READ_NOISE / np.sqrt(np.sum(pixels & reference_pixels()))
    np.testing.assert_allclose(sensitive, reference, rtol=0, atol=STANDARD_ERRORS * error)


def test_outputs_have_their_offsets(dark_array):
    """Amplifiers and odd rows differ by the constants, the mean of all by the bias."""
    found = [dark_array[:, pixels & reference_pixels()].mean() - BIAS for pixels in outputs(SHAPE)]
    expected = [
        detector._AMPLIFIER_OFFSETS[amplifier] + parity * detector._ODD_ROW_OFFSET
        for amplifier, parity in OUTPUTS
    ]
    error = np.hypot(OUTPUT_DRIFT, READ_NOISE / 32) / np.sqrt(len(dark_array))
    np.testing.assert_allclose(found, expected, rtol=0, atol=STANDARD_ERRORS * error)


def test_drift_is_common_to_an_output(monkeypatch, expose):
    """Without read noise, all pixels of an output are off by the same number in a group."""
    monkeypatch.setattr(detector, "read_noise", lambda: np.zeros(SHAPE))
    linear = corrected(expose()[0])[0]
    spread = [np.ptp(linear[:, pixels], axis=1).max() for pixels in outputs(READ.shape)]
    assert max(spread) <= 2 * HALF_NUMBER


def test_drift_has_its_size(long_dark):
    """From group to group and from output to output, the level scatters by the constant."""
    drifts = np.array([means(image) for image in long_dark])
    # The mean of 8192 pixels has 0.4 % of the drift's variance itself.
    variance = OUTPUT_DRIFT**2 + READ_NOISE**2 / 8192
    error = variance * np.sqrt(2 / drifts.size)
    assert drifts.var() == pytest.approx(variance, abs=STANDARD_ERRORS * error)


def test_reference_pixels_see_no_light():
    """From the first group to the last, reference pixels do not follow what others collect."""
    rate = np.where(reference_pixels(), 0.0, LIGHT)
    observation = Observation(groups=6)
    science, _ = ramp(
        rate, observation.readout("science"), NO_DEPOSITS, np.random.default_rng(SEED)
    )
    first, last = science[0, [0, -1]].astype(float)
    growth = np.mean((last - first)[reference_pixels()])
    read = 2 * (READ_NOISE**2 + ROUNDING_VARIANCE) / reference_pixels().sum()
    drift = 2 * OUTPUT_DRIFT**2 / len(OUTPUTS)
    assert growth == pytest.approx(0, abs=STANDARD_ERRORS * np.sqrt(read + drift))


# ------------------------------------------------------------------ gain, well, converter


@pytest.mark.parametrize("charge", [1000.0, CHARGE, 190_000.0])
@pytest.mark.usefixtures("quiet")
def test_charge_becomes_numbers_by_the_gain_of_each_pixel(expose, charge):
    """Pixels filled to a known level have that level again after the correction."""
    linear = corrected(expose(0.0, charge_everywhere(charge))[0])[0, CLEAN]
    np.testing.assert_allclose(linear, charge / READ.cut(gain()), rtol=0, atol=HALF_NUMBER)


@pytest.mark.usefixtures("quiet")
def test_signal_ends_at_the_full_well_of_each_pixel(expose):
    """No pixel holds more than its full well, however much comes."""
    linear = corrected(expose(0.0, charge_everywhere(10 * FULL_WELL))[0])[0, CLEAN]
    expected = READ.cut(full_well() / gain())
    np.testing.assert_allclose(linear, expected, rtol=0, atol=HALF_NUMBER)


def test_number_ends_at_the_converters_largest(monkeypatch, expose):
    """What is too large for the converter is its largest number."""
    monkeypatch.setattr(detector, "full_well", lambda: np.full(SHAPE, 1e9))
    science, _ = expose(0.0, charge_everywhere(1e8))
    assert np.all(science[0, CLEAN] == LARGEST_NUMBER)


def test_number_ends_at_zero(monkeypatch, expose):
    """Noise below zero is cut off there: it does not come back as a large number."""
    monkeypatch.setattr(detector, "_AMPLIFIER_OFFSETS", (-BIAS,) * AMPLIFIERS)
    monkeypatch.setattr(detector, "_ODD_ROW_OFFSET", 0.0)
    monkeypatch.setattr(detector, "OUTPUT_DRIFT", 0.0)
    science = expose()[0][0, RESET_GROUPS:]
    # Half of the noise lies below zero, and what is nearer to it than half a number.
    part = norm.cdf(0.5 / READ.cut(read_noise())).mean()
    error = np.sqrt(part * (1 - part) / science.size)
    assert np.mean(science == 0) == pytest.approx(part, abs=STANDARD_ERRORS * error)


# ------------------------------------------------------------------ reset, RSCD, last frame


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("integration", [0, 1, 2])
def test_reset_anomaly_is_in_the_first_groups(expose, integration):
    """In darkness, a group is the bias with the reset anomaly of its number, later none."""
    science = expose(integrations=3)[0][integration]
    level = raw_signal(BIAS + detector._output_offsets(READ.shape), PIXELS)
    anomaly = np.zeros((GROUPS, *READ.shape))
    anomaly[:RESET_GROUPS] = READ.cut(reset_anomaly(integration))
    np.testing.assert_allclose(science, level + anomaly, rtol=0, atol=0.5 + 1e-9)


def test_first_integration_remembers_nothing(filled):
    """Charge of the first integration stays as it is until the last frame."""
    expected = np.broadcast_to(CHARGE / READ.cut(gain()), (GROUPS - 1, *READ.shape))
    np.testing.assert_allclose(filled[0, :-1], expected, rtol=0, atol=HALF_NUMBER)


def test_later_integration_starts_low(filled):
    """A part of what the integration before has ended with is missing, and comes back."""
    part = 0.005 * np.exp(-np.arange(1, GROUPS) / 0.7)
    expected = -part[:, np.newaxis, np.newaxis] * CHARGE / READ.cut(gain())
    np.testing.assert_allclose(filled[1, :-1], expected, rtol=0, atol=HALF_NUMBER)


def test_later_integrations_remember_the_one_before_only(filled):
    """After an integration in darkness there is nothing left to remember."""
    np.testing.assert_allclose(filled[2], 0.0, rtol=0, atol=HALF_NUMBER)


def test_memory_is_gone_after_the_groups_left_out():
    """In the first group that is used, less than a thousandth of the effect is left."""
    assert np.exp(-(GROUP_SKIP_LATER + 1) / detector._RSCD_DECAY) < 1e-3


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("parity", [0, 1], ids=["even rows", "odd rows"])
def test_last_frame_is_pulled_down_by_the_other_row(expose, parity):
    """Charge in one row of a pair is missing by a part in the other one, in the last group."""
    charge = charge_everywhere(rows=slice(parity, None, 2))
    last = corrected(expose(0.0, charge)[0])[0, -1]
    expected = np.zeros(READ.shape)
    expected[parity::2] = CHARGE / READ.cut(gain())[parity::2]
    expected[1 - parity :: 2] = -0.005 * expected[parity::2]
    np.testing.assert_allclose(last, expected, rtol=0, atol=HALF_NUMBER)


@pytest.mark.usefixtures("quiet")
def test_groups_before_the_last_are_not_pulled_down(expose):
    """The other groups have in each row what came there."""
    linear = corrected(expose(0.0, charge_everywhere(rows=slice(0, None, 2)))[0])[0, :-1]
    np.testing.assert_allclose(linear[:, 1::2], 0.0, rtol=0, atol=HALF_NUMBER)


# ------------------------------------------------------------------ deposits, latents


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("integration", [0, 1])
@pytest.mark.parametrize("group", [0, 3])
def test_deposit_arrives_in_its_group_and_stays_until_the_reset(expose, integration, group):
    """Before its group a pixel has nothing, from then on all, after the reset nothing."""
    deposit = Deposits(*(np.array([at]) for at in (integration, group, 30, 40)), np.array([CHARGE]))
    science = corrected(expose(0.0, deposit, integrations=3)[0])[:, :-1, 30, 40]
    expected = np.zeros((3, GROUPS - 1))
    expected[integration, group:] = CHARGE / READ.cut(gain())[30, 40]
    # What the next integration remembers is half a per cent.
    np.testing.assert_allclose(science, expected, rtol=0, atol=0.005 * CHARGE / 4)


@pytest.mark.usefixtures("quiet")
def test_deposits_in_one_pixel_add_up(expose):
    """Several deposits in a pixel and group are all counted."""
    places = (np.array([at, at, at]) for at in (0, 2, 30, 40))
    deposits = Deposits(*places, np.array([1e4, 2e4, 3e4]))
    found = corrected(expose(0.0, deposits)[0])[0, CLEAN, 30, 40]
    assert found == pytest.approx(6e4 / READ.cut(gain())[30, 40], abs=HALF_NUMBER)


@pytest.mark.usefixtures("quiet")
def test_deposit_lights_no_other_pixel(expose):
    """Charge is not shared once more in the ramp."""
    deposit = Deposits(*(np.array([at]) for at in (0, 0, 30, 40)), np.array([CHARGE]))
    image = corrected(expose(0.0, deposit)[0])[0, CLEAN]
    image[30, 40] = 0.0
    np.testing.assert_allclose(image, 0.0, rtol=0, atol=HALF_NUMBER)


@pytest.mark.usefixtures("quiet")
def test_latent_image_adds_to_the_light(expose):
    """What a latent image releases is collected like light."""
    latent_rate = 3000.0

    def latent(start, end):
        return np.full(READ.shape, latent_rate * (end - start))

    linear = corrected(expose(LIGHT, latent=latent)[0])[0]
    electrons = (LIGHT + latent_rate) * FRAME_TIME * (CLEAN + 1)
    found = np.mean(linear[CLEAN] * READ.cut(gain()))
    error = np.sqrt(electrons / linear[0].size)
    assert found == pytest.approx(electrons, abs=STANDARD_ERRORS * error)


def test_latent_image_is_asked_for_each_frame(expose):
    """Frames follow each other, with one for the reset between integrations."""
    asked = []

    def latent(start, end):
        asked.append((start, end))
        return np.zeros(READ.shape)

    expose(latent=latent, groups=8, integrations=2)
    starts = np.array([*range(8), *range(9, 17)]) * FRAME_TIME
    np.testing.assert_allclose(asked, np.column_stack([starts, starts + FRAME_TIME]), rtol=1e-12)
