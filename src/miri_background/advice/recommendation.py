"""What to do with background exposures: one line, why, and how sure it is."""

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from miri_background.advice.members import APERTURE, Members
from miri_background.advice.sigma_table import HEIGHT, sigma_for
from miri_background.advice.sweep import Choice, Sweep
from miri_background.rendering import macros
from miri_background.tables import html_table, text_table

__all__ = ["MOST_BACKGROUNDS", "Advice", "advise"]

# With more, one of them is too small a part of the average to be worth leaving out, and all of
# them take too much memory beside each other.
MOST_BACKGROUNDS = 16
_SIGMAS = (1.2, 1.5, 1.8, 2.0, 2.25, 2.5, 3.0, 4.0, 5.0)
_COARSE = (1.5, 2.0, 2.5, 3.0)  # where exposures are left out
_MAXITERS = (1, 3, None)
_WORTH = 0.01  # of the error of a flux: less is not worth another choice
_SURE = 2.0  # standard errors of the difference of two choices
_NOISY = 1.3  # times the noise of the others: that is named
_LEAST_LOST = 0.002  # part of the pixels: that is named


@dataclass(frozen=True, repr=False)
class Advice:
    """What is recommended.

    Parameters
    ----------
    line : str
        One recommended line.
    sentences : tuple of str
        Why, how sure it is, and what these data cannot say.
    done, recommended : Effect or None
        What was done, and what would be best; None where nothing could be tried.
    tried : list of Effect
        All that was tried.
    best_possible : float
        Error of a flux with nothing but the noise of all backgrounds, DN/s.
    """

    line: str
    sentences: tuple = ()
    done: object = None
    recommended: object = None
    tried: list = field(default_factory=list)
    best_possible: float = np.nan

    @property
    def changes(self):
        """Whether something else than what was done is recommended."""
        return self.done is not None and self.recommended.choice != self.done.choice

    def excess(self, effect):
        """Return by how much the error of a flux is over the best possible, percent."""
        return 100 * (effect.error / self.best_possible - 1)

    def noise_excess(self, effect):
        """Return by how much the noise of a pixel is over the best possible, percent, and error."""
        best = self.best_possible / APERTURE
        return 100 * (effect.noise / best - 1), 100 * effect.noise_error / best

    def rows(self):
        """Return a row of text for what was done, what is recommended, and the best of each kind.

        Returns
        -------
        list of tuple of str
            Choice, error of a flux over the best possible, noise, light, stripes, level, lost
            pixels.
        """
        rows = []
        for words, effect in self._worth_showing():
            noise, noise_error = self.noise_excess(effect)
            light = (
                "none found"
                if np.isnan(effect.light)
                else f"{effect.light:.1f} ± {effect.light_error:.2g}"
                if np.isfinite(effect.light_error)
                else f"{effect.light:.1f}"
            )
            rows.append(
                (
                    f"{words}: {effect.choice.words()}",
                    f"{self.excess(effect):+.1f}",
                    f"{noise:+.1f} ± {noise_error:.1g}",
                    light,
                    f"{effect.stripes:.2g}",
                    f"{effect.level:+.2g}",
                    f"{effect.residual:+.3g} ± {effect.residual_error:.1g}",
                    f"{effect.lost:,}",
                )
            )
        return rows

    CAPTION = (
        "Choices beside each other. Error and noise are over the best possible: the plain mean of "
        "all backgrounds, if they had no sources."
    )
    HEADS = (
        "choice",
        "error of a flux (%)",
        "noise (%)",
        "light that stays (%)",
        "stripes (DN/s)",
        "level (DN/s)",
        "residual (DN/s)",
        "lost pixels",
    )

    def __repr__(self):
        """Return table, sentences and line as text for a terminal."""
        parts = []
        if self.done is not None:
            numbers = range(1, len(self.HEADS))
            parts.append(text_table(self.HEADS, self.rows(), right=numbers))
        if self.sentences:
            parts.append("\n".join(self.sentences))
        return "\n\n".join([*parts, self.line])

    def _repr_html_(self):
        """Return line, sentences and table for notebook and page."""
        paragraphs = [str(macros().paragraph(each)) for each in (self.line, *self.sentences)]
        numbers = range(1, len(self.HEADS))
        return "".join(paragraphs) + html_table(self.CAPTION, self.HEADS, self.rows(), numbers)

    def _worth_showing(self):
        """Return words and effect of what was done, recommended, and the best of each subset."""
        if self.done is None:
            return []
        shown = [("done", self.done)]
        if self.changes:
            shown.append(("recommended", self.recommended))
        known = {effect.choice for _, effect in shown}
        subsets = dict.fromkeys(effect.choice.left_out for effect in self.tried)
        for left_out in subsets:
            best = min(
                (each for each in self.tried if each.choice.left_out == left_out),
                key=lambda each: each.error,
            )
            if best.choice not in known:
                shown.append(("tried", best))
        return shown


def advise(products, lit):
    """Return what would make a better background of the same rates.

    Parameters
    ----------
    products : Products
        Rates, and the clipping that the step was given.
    lit : ndarray of bool
        Pixels of the science exposures that see the sky.

    Returns
    -------
    Advice
        One line, with what it rests on.
    """
    count = len(products.backgrounds)
    if count < 2:
        return Advice(
            "There is one background exposure: nothing can be clipped or left out. Take at least "
            "four, dithered, so that their sources are clipped."
        )
    if count > MOST_BACKGROUNDS:
        return Advice(
            f"There are {count} backgrounds: choices are tried for up to {MOST_BACKGROUNDS}, "
            "because one of so many is a small part of their average."
        )
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        members = Members(products, lit)
        if not members.good.any() or not members.empty.any():
            return Advice(
                "No pixel of empty sky is good in all backgrounds: no choice can be tried."
            )
        return _Search(products, members).advice()


class _Search:
    """The search for a better choice.

    Parameters
    ----------
    products : Products
        With the clipping that the step was given.
    members : Members
        The backgrounds beside each other.
    """

    def __init__(self, products, members):
        self.members = members
        self.sweep = Sweep(members)
        self._effects = {}
        self.own = Choice(products.sigma, products.maxiters)
        self.done = self.effect(self.own)

    def effect(self, choice):
        """Return the effect of a choice, which is tried once."""
        if choice not in self._effects:
            self._effects[choice] = self.sweep.effect(choice)
        return self._effects[choice]

    def _better(self, effect, other):
        """Return whether a choice is better than another, by so much that it is worth it."""
        gain, error = effect.better_than(other)
        return gain > max(_WORTH, _SURE * error)

    def _best_of(self, sigmas, left_out=(), maxiters=None):
        """Return the best of several thresholds, the own one unless another is worth it."""
        maxiters = self.own.maxiters if maxiters is None else maxiters
        if self.members.count - len(left_out) < 3:
            sigmas = ()  # of two values, the median is between both: nothing to choose
        own = self.effect(Choice(self.own.sigma, maxiters, left_out))
        effects = [self.effect(Choice(sigma, maxiters, left_out)) for sigma in sigmas]
        best = min([own, *effects], key=lambda each: each.error)
        return best if self._better(best, own) else own

    @cached_property
    def found(self):
        """The choice that is recommended, an `Effect`."""
        best = self._best_of(_SIGMAS)
        for left_out in self._off_level():
            # Another sky is no outlier to be clipped pixel by pixel.
            without = self._best_of(_COARSE, left_out)
            if without.error <= best.error * (1 + _WORTH):
                best = without
        while len(best.choice.left_out) < self.members.count - 2 or not best.choice.left_out:
            without = self._without_one_more(best)
            if without is None:
                break
            best = without
        for maxiters in _MAXITERS:
            other = self.effect(Choice(best.choice.sigma, maxiters, best.choice.left_out))
            if self._better(other, best):
                best = other
        return best

    def _off_level(self):
        """Return those backgrounds that are of another level, fewer than half of all."""
        off = tuple(int(each) for each in np.flatnonzero(self.members.levels))
        return [off] if 0 < len(off) < self.members.count / 2 else []

    def _without_one_more(self, best):
        """Return the best choice that leaves out one more, None if that is not worth it."""
        found = []
        for each in range(self.members.count):
            left_out = tuple(sorted({*best.choice.left_out, each}))
            if left_out == best.choice.left_out or len(left_out) == self.members.count:
                continue
            if self.sweep.least_error(left_out) < best.error * (1 - _WORTH):
                found.append(self._best_of(_COARSE, left_out))
        worth = [each for each in found if self._better(each, best)]
        return min(worth, key=lambda each: each.error, default=None)

    # ------------------------------------------------------------------ words

    def advice(self):
        """Return what was found, in words."""
        found = self.found
        tried = list(self._effects.values())
        advice = Advice("", (), self.done, found, tried, self.sweep.best_possible)
        return replace(advice, line=self._line(advice), sentences=tuple(self._sentences(advice)))

    def _line(self, advice):
        """Return the recommended line."""
        found = advice.recommended
        noise, error = advice.noise_excess(found)
        expected = f"expect {noise:.1f} ± {max(error, 0.1):.1g} % more noise than the best possible"
        if np.isfinite(found.light):
            expected += f", and {_with_error(found.light, found.light_error)} % of the light of "
            expected += "background sources to stay"
        if not advice.changes:
            return f"No choice is better than what was done ({found.choice.words()}): {expected}."
        parts = [
            f"leave out background {each + 1} ({self._reason(each)})"
            for each in found.choice.left_out
        ]
        if found.choice.sigma != self.own.sigma:
            parts.append(f"sigma {found.choice.sigma:g} in place of {self.own.sigma:g}")
        if found.choice.maxiters != self.own.maxiters:
            parts.append(f"maxiters {found.choice.maxiters or 'none'}")
        line = "; ".join([*parts, expected])
        return f"{line[0].upper()}{line[1:]}."

    def _reason(self, member):
        """Return why a background is left out: what it costs most to average it."""
        members = self.members
        level = members.levels[member]
        if level:
            side = "above" if level > 0 else "below"
            return f"its sky is {100 * abs(level) / members.sky:.1f} % {side} that of the others"
        others = np.delete(members.noise, member)
        costs = {
            "stripes": APERTURE**3 * members.stripes[member] ** 2,
            "noise": APERTURE**2 * max(members.noise[member] ** 2 - np.median(others) ** 2, 0.0),
            "light": float(np.mean(members.apertures(members.light[member]) ** 2)),
        }
        alone = members.lost([member]) / max(np.count_nonzero(members.lit), 1)
        costs["flags"] = alone * self.sweep.best_possible**2 * members.count**2
        cause = max(costs, key=costs.get)
        if cause == "stripes":
            return f"stripes of {members.stripes[member]:.2g} DN/s"
        if cause == "noise":
            return f"{members.noise[member] / np.median(others):.1f} times the noise of the others"
        if cause == "flags":
            return f"{100 * alone:.1f} % of its pixels are flagged, and good in others"
        places = members.places(member)
        return places[0].words() if places else "light that the others have not"

    def _sentences(self, advice):
        """Yield why, how sure it is, and what these data cannot say."""
        found, done = advice.recommended, advice.done
        of_flux = f"The error of a flux in {APERTURE} x {APERTURE} pixels"
        if np.isfinite(found.light):
            of_flux += " where a background has a source"
        if advice.changes:
            gain, error = found.better_than(done)
            yield (
                f"{of_flux} falls by "
                f"{100 * gain:.1f} ± {max(100 * error, 0.1):.1g} % against what was done "
                f"({done.choice.words()}), and is then {advice.excess(found):.1f} % over the best "
                "possible."
            )
        else:
            yield (
                f"{of_flux} is "
                f"{advice.excess(done):.1f} % over the best possible, that of the plain mean of "
                f"all {self.members.count} backgrounds if they had no sources. Of "
                f"{len(advice.tried)} choices, none is better by more than {100 * _WORTH:g} % and "
                f"{_SURE:g} standard errors."
            )
        yield from self._traits(found)
        yield self._of_the_table(len(self.members.backgrounds) - len(found.choice.left_out))
        yield (
            "Light that stays is measured where one background is brighter than the others, wings "
            "of its sources included: sources too faint to be found, and light that the dithers do "
            "not move, are not in it."
        )
        if self.members.count == 2:
            yield "Two backgrounds do not say which of them is wrong where they differ."
        if any(len(image.shape) == 3 for image in self.members.cubes):
            yield "Integrations were averaged before anything was clipped."

    def _of_the_table(self, count):
        """Return what is expected of so many backgrounds, whatever these data have."""
        row = sigma_for(count)
        where = "Whatever the data, docs/which_background.md says for"
        if count < 3:
            return f"{where} {count} backgrounds: no sigma removes a source that one of them has."
        return (
            f"{where} {count} backgrounds: above sigma {row.limit:.2f} no source is removed that "
            f"one of them has; sigma {row.sigma:.1f} leaves {max(row.left, 0.0):.0f} % of one of "
            f"{HEIGHT:g} times the noise, and costs {row.price:.1f} % in the noise of the average."
        )

    def _traits(self, found):
        """Yield what single backgrounds have and are not left out for."""
        members = self.members
        kept = [each for each in range(members.count) if each not in found.choice.left_out]
        for each in kept:
            causes = []
            if members.levels[each]:
                causes.append(f"a sky {100 * members.levels[each] / members.sky:+.1f} % off")
            others = np.delete(members.noise, each)
            if members.count > 2 and members.noise[each] > _NOISY * np.median(others):
                causes.append(f"{members.noise[each] / np.median(others):.1f} times the noise")
            latent = [place for place in members.places(each) if place.kind == "latent"]
            if latent:
                causes.append(f"a {latent[0].words()}")
            flagged = members.lost([each])
            if flagged > _LEAST_LOST * np.count_nonzero(members.lit):
                causes.append(f"{flagged:,} flagged pixels that are good in others")
            if causes:
                yield (
                    f"Background {each + 1} has {' and '.join(causes)}; to leave it out would cost "
                    "more than it gives."
                )


def _with_error(value, error):
    """Return a number with its error, where that is known."""
    return f"{value:.1f} ± {max(error, 0.1):.2g}" if np.isfinite(error) else f"{value:.1f}"
