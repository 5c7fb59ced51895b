"""Skies of a mosaic's exposures, compared on the sky that two of them see.

What two exposures see of the same sky differs by their skies and by nothing else, however bright
and structured it is.  So neither truth nor empty sky is needed.
"""

from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.ndimage import binary_closing

from miri_background.validation.findings.finding import Finding
from miri_background.validation.measurements.measurement import WHOLE_ARRAY, Measurement

__all__ = ["MODE_SCATTER", "SkiesOfExposures", "mode_error", "skies_findings", "skymatch_measured"]

# Scatter of the mode of n normal deviates, as skymatch takes it, times the cube root of n: drawn.
# That it falls with the cube root is Chernoff's theorem (1964, Ann. Inst. Stat. Math. 16, 31).
MODE_SCATTER = 4.5
_FEWEST = 100  # pixels that both see
_NORMAL = 1.4826  # standard deviation over the median of distances from the median
# A pixel of the grid sees four of an exposure and has 2/3 of the noise of one, on average over all
# places in a pixel; a mean, or a median, of so many of the grid has the noise of so many of them.
_IN_COMMON = 1.5
_HOLE = 3  # pixels: bad ones are no border of what an exposure sees
_ONE_SIDED = 0.01  # part of an overlap: it is said where one exposure sees more than that alone
_STANDARD_ERRORS, _LEAST = 5.0, 0.25  # as for other skies of a mosaic: see findings


def mode_error(number):
    """Return the scatter of the mode of pixels, in units of a pixel's noise.

    Parameters
    ----------
    number : float
        Pixels that it is taken of.

    Returns
    -------
    float
        That of normal noise, which light with structure exceeds.
    """
    return MODE_SCATTER / np.cbrt(max(number, 1))


class SkiesOfExposures:
    """How much sky each exposure has left, less the mean of all.

    Parameters
    ----------
    mosaic : Mosaic
        With its exposures.
    resampling : Resampling
        What resampling does.

    Attributes
    ----------
    pairs : dict of (int, int) to (float, float)
        Of each two exposures that see some of the same sky: median of the first less the second,
        with its standard error, MJy/sr.
    """

    def __init__(self, mosaic, resampling):
        self._mosaic, self._resampling = mosaic, resampling
        self._images = [
            _single(part, np.where(member.usable, member.data - member.level, 0.0))
            for part, member in zip(resampling.parts, mosaic.members, strict=True)
        ]
        self.pairs = {}
        for first, second in combinations(range(len(self._images)), 2):
            difference = self._images[first] - self._images[second]
            difference = difference[np.isfinite(difference)]
            if difference.size >= _FEWEST:
                middle = np.median(difference)
                scatter = _NORMAL * np.median(np.abs(difference - middle))
                error = _IN_COMMON * scatter / np.sqrt(difference.size)
                self.pairs[first, second] = float(middle), max(float(error), 1e-30)

    @cached_property
    def left(self):
        """Sky of each exposure less the mean of those that are compared with it, MJy/sr.

        Not a number where an exposure sees no sky that another one sees.
        """
        number = len(self._images)
        rows, values = np.zeros((len(self.pairs), number)), np.zeros(len(self.pairs))
        for row, ((first, second), (difference, error)) in enumerate(self.pairs.items()):
            rows[row, [first, second]] = 1 / error, -1 / error
            values[row] = difference / error
        # The shortest solution: what no pair tells, the mean of all, is zero.
        found = np.linalg.lstsq(rows, values)[0] if self.pairs else np.zeros(number)
        return np.where(np.any(rows != 0, axis=0), found, np.nan)

    @cached_property
    def pixel_noise(self):
        """Noise of a typical pixel of an exposure, MJy/sr.

        From how a pixel differs from the mean of its neighbours along the row, with which it
        shares the sky, and what changes evenly over three pixels.
        """
        noises = []
        for member in self._mosaic.members:
            data = np.where(member.usable, member.data, np.nan)
            bend = data[:, 1:-1] - (data[:, :-2] + data[:, 2:]) / 2
            bend = bend[np.isfinite(bend)]
            # The mean of two pixels has half of the variance of one.
            noises.append(_NORMAL * np.median(np.abs(bend - np.median(bend))) / np.sqrt(1.5))
        return float(np.median(noises))

    @property
    def mode_error(self):
        """Scatter of the mode of an exposure's pixels, in units of a pixel's noise."""
        return mode_error(np.mean([np.count_nonzero(each.usable) for each in self._mosaic.members]))

    def one_sided(self, first, second):
        """Return how much of the overlap of two arrays only one of the exposures sees.

        Parameters
        ----------
        first, second : int
            Exposures, from 0.

        Returns
        -------
        float
            Part of what at least one of them sees there.
        """
        overlap = self._inside(first) & self._inside(second)
        seen = [self._seen(each) & overlap for each in (first, second)]
        either, both = (np.count_nonzero(each) for each in (seen[0] | seen[1], seen[0] & seen[1]))
        return 1 - both / either if either else 0.0

    def _inside(self, number):
        """Return which pixels of the mosaic are inside of an exposure's array."""
        corners = self._mosaic.members[number].corners
        x, y = self._mosaic.wcs.wcs_world2pix(
            *([axis[0, 0], axis[0, -1], axis[-1, -1], axis[-1, 0]] for axis in corners), 0
        )
        rows, columns = np.indices(self._resampling.shape, sparse=True)
        sides = [
            (x[after] - x[at]) * (rows - y[at]) - (y[after] - y[at]) * (columns - x[at])
            for at, after in ((0, 1), (1, 2), (2, 3), (3, 0))
        ]
        return np.all([side >= 0 for side in sides], axis=0) | np.all(
            [side <= 0 for side in sides], axis=0
        )

    def _seen(self, number):
        """Return which pixels of the mosaic an exposure sees, bad ones included."""
        seen = np.isfinite(self._images[number]).reshape(self._resampling.shape)
        return binary_closing(np.pad(seen, _HOLE), iterations=_HOLE)[_HOLE:-_HOLE, _HOLE:-_HOLE]


def _single(part, data):
    """Return the mosaic of one exposure alone, flattened; not a number where it has no weight."""
    weight = part.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 0, (part @ data.ravel()) / weight, np.nan).astype(np.float32)


def _method(mosaic):
    """Return how the skies of all exposures were found; empty where one has none."""
    done = {member.header.get("S_SKYMAT") for member in mosaic.members}
    methods = {str(member.header.get("BKGMETH")) for member in mosaic.members}
    return methods.pop() if done == {"COMPLETE"} and len(methods) == 1 else ""


def skymatch_measured(mosaic, skies):
    """Yield by how much the exposures differ after skymatch has made them equal.

    Parameters
    ----------
    mosaic : Mosaic
        With its exposures.
    skies : SkiesOfExposures
        What sky they have left.

    Yields
    ------
    Measurement
        Of the exposure that is furthest off, where skymatch was to match them.
    """
    if "match" not in _method(mosaic) or not np.isfinite(skies.left).any():
        return
    worst = int(np.nanargmax(np.abs(skies.left)))
    detail = f"{skies.left[worst]:+.3g} MJy/sr are left"
    shares = {pair: skies.one_sided(*pair) for pair in skies.pairs if worst in pair}
    pair = max(shares, key=shares.get)
    if shares[pair] > _ONE_SIDED:
        detail += (
            f"; skymatch compares arrays where they overlap, of which up to {shares[pair]:.0%} is "
            f"seen by one only (exposures {pair[0] + 1} and {pair[1] + 1}, jwst 10259)"
        )
    yield Measurement(
        "skymatch",
        WHOLE_ARRAY,
        worst + 1,
        float(skies.left[worst] / skies.pixel_noise),
        float(skies.mode_error),
        len(mosaic.members),
        detail=detail,
    )


def skies_findings(mosaic, skies):
    """Return what is to be known of the skies of exposures that skymatch had no part in.

    Parameters
    ----------
    mosaic : Mosaic
        With its exposures.
    skies : SkiesOfExposures
        What sky they have left.

    Returns
    -------
    list of Finding
        That they differ, and that more was taken off after the background.
    """
    found = [_differing(mosaic, skies), _taken_off_all(mosaic, skies)]
    return [each for each in found if each is not None]


def _differing(mosaic, skies):
    """Return the finding that exposures differ where nothing was to make them equal."""
    if "match" in _method(mosaic) or not skies.pairs:
        return None
    pair = max(skies.pairs, key=lambda each: abs(skies.pairs[each][0]))
    step, error = skies.pairs[pair]
    if abs(step) <= max(_STANDARD_ERRORS * error, _LEAST * skies.pixel_noise):
        return None
    names = [mosaic.members[number].path.name for number in pair]
    return Finding(
        "skies of exposures differ",
        step,
        "MJy/sr",
        names[0],
        f"Where they see the same sky, {names[0]} is {step:+.3g} ± {error:.1g} MJy/sr off "
        f"{names[1]}, {abs(step) / skies.pixel_noise:.2g} of a pixel's noise: the mosaic has "
        "steps where exposures end.",
        "Run skymatch with skymethod = match, which was not done here, or subtract a background "
        "of the same time from each exposure.",
    )


def _taken_off_all(mosaic, skies):
    """Return the finding that sky was taken off all exposures, after a background was."""
    least = min((member.level for member in mosaic.members), default=0.0)
    subtracted = all(member.header.get("S_BKDSUB") == "COMPLETE" for member in mosaic.members)
    enough = max(_STANDARD_ERRORS * skies.mode_error, _LEAST) * skies.pixel_noise
    if not subtracted or abs(least) <= enough:
        return None
    method = _method(mosaic) or "unknown"
    return Finding(
        "sky taken off twice",
        least,
        "MJy/sr",
        mosaic.path.name,
        f"skymatch (BKGMETH = {method}) has taken at least {least:.3g} MJy/sr off every exposure "
        f"of {mosaic.path.name}, after a background was subtracted.",
        "Where the field is full of light, that is light of the target (jwst 4302): take "
        "skymethod = match, which makes exposures equal and leaves their least sky.",
    )
