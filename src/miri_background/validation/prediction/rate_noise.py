"""How the rates of exposures that are read in one way scatter, from what they report."""

from functools import cached_property

import numpy as np

from miri_background.instrument.detector import (
    AMPLIFIERS,
    OUTPUT_DRIFT,
    READ_NOISE,
    fitted_groups,
    reference_pixels,
)
from miri_background.instrument.readout import Readout
from miri_background.validation.prediction.clipping_theory import Clipping
from miri_background.validation.prediction.known_detector import KnownDetector
from miri_background.validation.prediction.slopes import (
    equal_weights,
    pipeline_weights,
    read_weighting,
    reported_photons,
    slope_noise,
    slope_statistics,
)

__all__ = ["RateNoise", "read_in_one_way"]

_OUTPUTS = 2 * AMPLIFIERS  # each amplifier drifts in odd and in even rows by itself
_SAMPLE = 4000  # pixels whose gain and read noise stand for those of all
_RATE_RANGE = (0.8, 3.0)  # of the sky's rate: beyond, sources are much brighter than its noise


def read_in_one_way(image):
    """Return what two exposures have in common if their rates scatter in the same way.

    Parameters
    ----------
    image : Image
        A rate, or rates of integrations.

    Returns
    -------
    tuple
        Readout, frame time, and number of dimensions.
    """
    header = image.header
    readout = Readout(
        header["SUBARRAY"], header["READPATT"], int(header["NGROUPS"]), int(header["NINTS"])
    )
    return readout, float(header["TFRAME"]), len(image.shape)


class RateNoise:
    """The noise of rates of one readout.

    Parameters
    ----------
    way : tuple
        As `read_in_one_way` returns it.
    image : Image
        Two-dimensional rate that was read so, with its variances.
    clean : ndarray of bool
        Pixels of empty sky.
    level : float
        Rate of the sky, DN/s.
    frame : Subarray, optional
        Pixels of the images, where the embedded detector is known to have taken them: then gain
        and read noise are known, and what variances say of them decides nothing.

    Attributes
    ----------
    readout : Readout
        How the exposures are read.
    averaging : Averaging
        What is made of the slopes of integrations.
    slopes : SlopeStatistics
        What the choice of weights does to slopes.
    """

    def __init__(self, way, image, clean, level, frame=None):
        self.readout, self._frame_time, dimensions = way
        self._fitted = fitted_groups(self.readout.groups, self.readout.integrations)
        self._cubes = dimensions == 3
        self.averaging = (equal_weights if self._cubes else pipeline_weights)(self._fitted)
        self._clean, self._level = clean, level
        self._known = None if frame is None else KnownDetector(self.readout, frame)
        self._gain, self._read_noise = self._detector(image)
        variance = (
            image.variances["VAR_RNOISE"] if self._known is None else self.known_variances(level)[0]
        )
        self._reads = float(np.median(variance[clean]))
        lowest, highest = (part * level for part in _RATE_RANGE)
        self.slopes = slope_statistics(
            (lowest, highest), self._gain, self._read_noise, self._frame_time, self.averaging
        )

    def _detector(self, image):
        """Return gain and read noise of a sample of pixels, from variances if not known."""
        generator = np.random.default_rng(0)
        number = min(_SAMPLE, np.count_nonzero(self._clean))
        pixels = generator.choice(np.flatnonzero(self._clean), number)
        if self._known is not None:
            return self._known.gain.ravel()[pixels], self._known.raw_read_noise.ravel()[pixels]
        rate, photons, reads = (
            values.ravel()[pixels].astype(float)
            for values in (
                image.data,
                image.variances["VAR_POISSON"],
                image.variances["VAR_RNOISE"],
            )
        )
        good = (rate > 0) & (photons > 0) & (reads > 0)
        gain = self.averaging.photons * rate[good] / (photons[good] * self._frame_time)
        return gain, np.sqrt(reads[good] / self.averaging.reads) * self._frame_time

    def _of_typical_pixel(self, rate, averaging=None):
        """Return the standard deviation of rates of a pixel with median gain and read noise."""
        gain, read_noise = np.median(self._gain), np.median(self._read_noise)
        chosen = averaging or self.averaging
        return slope_noise(rate, gain, read_noise, self._frame_time, chosen)[0]

    def scatter(self, rate):
        """Return the standard deviation of rates, DN/s, as it follows from the variances.

        Parameters
        ----------
        rate : float
            True rate, DN/s.

        Returns
        -------
        float
            Of one typical pixel.
        """
        return float(self._of_typical_pixel(rate) * self.slopes.ratio(rate))

    def relative_scatter(self, level, light):
        """Return the scatter of rates with source light over that of the sky's rate.

        Parameters
        ----------
        level : float
            Rate of the sky, DN/s.
        light : ndarray
            Rate of sources, DN/s.

        Returns
        -------
        ndarray
            Shape of the light.
        """
        rates = np.geomspace(1, 1 + max(light.max(), 1.0) / level, 200) * level
        scatter = self._of_typical_pixel(rates)
        return np.interp(level + light, rates, scatter / scatter[0])

    def with_slope_offset(self, rate):
        """Return the expected slopes of ramps of a true rate, DN/s."""
        return rate + self.slopes.offset(rate)

    def clipping_cost(self, sigma, maxiters):
        """Return how much variance clipping of an exposure's integrations adds, as a factor.

        Parameters
        ----------
        sigma : float
            Clipping threshold.
        maxiters : int or None
            Clipping iterations.

        Returns
        -------
        float
            1 where integrations are not kept apart.
        """
        if not self._cubes:
            return 1.0
        scatters = [
            float(self._of_typical_pixel(self._level, equal_weights([groups])))
            for groups in self._fitted
        ]
        return Clipping(len(scatters), sigma, maxiters, scatters).cost

    @cached_property
    def common_variance(self):
        """Variance that all pixels of one rate share, (DN/s)^2, from that of one pixel's reads.

        Reference pixels are averaged and subtracted in every group, so their noise gets into
        all pixels of the array in the same way.  A subarray without reference pixels keeps
        instead what the outputs drift from frame to frame, each amplifier in odd and even rows
        by itself.
        """
        gain, read_noise = np.median(self._gain), np.median(self._read_noise)
        groups = self._fitted[0]
        electrons = gain * self._frame_time * (groups - 1) * self._level
        weighting = read_weighting(
            groups, electrons / np.sqrt(electrons + (gain * read_noise) ** 2)
        )
        blind = np.count_nonzero(self.readout.window.cut(reference_pixels()))
        if blind:
            return weighting * self._reads / blind
        return weighting * self._reads * (OUTPUT_DRIFT / READ_NOISE) ** 2 / _OUTPUTS

    @property
    def output_variance(self):
        """Variance of the outputs of one rate about what all pixels share, (DN/s)^2.

        Zero where reference pixels take it off.
        """
        blind = np.count_nonzero(self.readout.window.cut(reference_pixels()))
        return 0.0 if blind else (_OUTPUTS - 1) * self.common_variance

    def known_variances(self, level):
        """Return what the known detector gives to the variance of a rate, None of another.

        Parameters
        ----------
        level : float or ndarray
            Rate of the sky, DN/s.

        Returns
        -------
        tuple of ndarray or None
            Of reads and of photons, (DN/s)^2, as the pipeline reports them.
        """
        if self._known is None:
            return None
        time = self._frame_time
        reads = self.averaging.reads * (self._known.raw_read_noise / time) ** 2
        return reads, self.averaging.photons * level / (self._known.gain * time)

    def relative_variances(self, sky):
        """Return the variance of each pixel's rate over the mean of all on empty sky.

        Parameters
        ----------
        sky : ndarray
            Rate of the sky in each pixel, DN/s, shape (rows, columns).

        Returns
        -------
        ndarray or None
            From each pixel's rate, gain, dark current and read noise; same shape.  None of a
            detector that is not known.
        """
        if self._known is None:
            return None
        rate = np.maximum(sky, 0) + self._known.dark
        stretched = self._known.read_noise(rate)
        noise, _ = slope_noise(rate, self._known.gain, stretched, self._frame_time, self.averaging)
        return noise**2 / np.mean(noise[self._clean] ** 2)

    def reported_photons(self, level):
        """Return what is reported of photons on average, over `known_variances`; see `slopes`."""
        gain, reads = self._gain, self._read_noise
        return reported_photons(level, gain, reads, self._frame_time, self._fitted)

    def reported_part(self, level):
        """Return which part of the scatter of a rate on empty sky the pipeline reports.

        Of a known detector, what is not reported is known, too: photons of the dark current, and
        the stretch of reads by the linearity correction.

        Parameters
        ----------
        level : float
            Rate of the sky, DN/s.

        Returns
        -------
        float
            Reported over real standard deviation.
        """
        gain, reads, rate, stretched = self._gain, self._read_noise, level, self._read_noise
        if self._known is not None:
            detector, clean = self._known, self._clean
            rate = level + detector.dark[clean]
            gain, reads = detector.gain[clean], detector.raw_read_noise[clean]
            stretched = detector.read_noise(level + detector.dark)[clean]
        time, averaging = self._frame_time, self.averaging
        true, _ = slope_noise(rate, gain, stretched, time, averaging)
        _, reported = slope_noise(level, gain, reads, time, averaging)
        chosen = self.slopes.ratio(level)
        return float(np.sqrt(np.mean(reported**2) / np.mean(true**2)) / chosen)
