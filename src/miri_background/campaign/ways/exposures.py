"""Ways that average whole exposures by the step: dedicated backgrounds, self-backgrounds, nods."""

from typing import ClassVar, Literal

from miri_background.campaign.ways.real_step import model_of, step_subtracts
from miri_background.campaign.ways.way import Maxiters, Sigma, Subtracted, Way

__all__ = ["Nods", "SelfBackground", "Step"]


def _clipping_words(sigma, maxiters):
    """Return clipping parameters in words."""
    return f"sigma {sigma:g}" + (f", maxiters {maxiters}" if maxiters else "")


class Step(Way):
    """The background step with the exposures of the background field."""

    source: ClassVar[str] = (
        "jwst documentation, Background Subtraction step; sigma 3 is its default, 2 that of "
        "STScI's MIRI imaging notebook, 1.5 that of PHANGS (Williams et al. 2024, ApJS 273, 13)"
    )

    kind: Literal["step"] = "step"
    sigma: Sigma = 3.0
    maxiters: Maxiters = None

    @property
    def words(self):
        """The way with its parameters."""
        return f"step, {_clipping_words(self.sigma, self.maxiters)}"

    def subtract(self, taken):
        """Return the science exposures less the average of all backgrounds."""
        models = [
            model_of(rate, taken.window, f"background{number}")
            for number, rate in enumerate(taken.backgrounds)
        ]
        averaged = [light.sources for light in taken.background_light]
        return [
            Subtracted(
                *step_subtracts(
                    model_of(rate, taken.window, "science"), models, self.sigma, self.maxiters
                ),
                averaged,
            )
            for rate in taken.science
        ]


class SelfBackground(Way):
    """The background step with the dithers of the science field itself."""

    source: ClassVar[str] = (
        "Dicken et al. 2024, A&A 689, A5, section 10.2 and figure 22: all dithers are averaged by "
        "the pipeline's step"
    )

    kind: Literal["self-background"] = "self-background"
    with_itself: bool = True
    sigma: Sigma = 3.0
    maxiters: Maxiters = None

    @property
    def words(self):
        """The way with its parameters."""
        own = "with itself" if self.with_itself else "without itself"
        return f"self-background {own}, {_clipping_words(self.sigma, self.maxiters)}"

    def subtract(self, taken):
        """Return the science exposures less the average of the field's dithers."""
        models = [
            model_of(rate, taken.window, f"science{number}")
            for number, rate in enumerate(taken.science)
        ]
        results = []
        for number, model in enumerate(models):
            others = [each for each in range(len(models)) if self.with_itself or each != number]
            if not others:
                msg = "a self-background without itself needs two science exposures at least"
                raise ValueError(msg)
            result = step_subtracts(
                model, [models[each] for each in others], self.sigma, self.maxiters
            )
            averaged = [taken.science_light[each].sources for each in others]
            results.append(Subtracted(*result, averaged))
        return results


class Nods(Way):
    """The background step with the other exposure of each pair of dithers."""

    source: ClassVar[str] = (
        "JWST user documentation, MIRI dithering: two nods are subtracted from each other"
    )

    kind: Literal["nods"] = "nods"

    @property
    def words(self):
        """The way with its parameters."""
        return "nods"

    def subtract(self, taken):
        """Return the science exposures less the other one of their pair."""
        count = len(taken.science)
        if count < 2:
            msg = "nods need two science exposures at least"
            raise ValueError(msg)
        models = [
            model_of(rate, taken.window, f"science{number}")
            for number, rate in enumerate(taken.science)
        ]
        results = []
        for number, model in enumerate(models):
            # Of an odd number, the last has the one before it.
            other = number ^ 1 if number ^ 1 < count else number - 1
            result = step_subtracts(model, [models[other]], 3.0, None)
            results.append(Subtracted(*result, [taken.science_light[other].sources]))
        return results
