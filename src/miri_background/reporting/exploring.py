"""Another choice of sigma, exposure or region: what the background step would make of it.

Only clipping is repeated, by the independent implementation and over rates that are already in
memory, so that an answer takes less than a second; the pipeline is not run again.
"""

from base64 import b64encode
from dataclasses import dataclass, replace
from functools import lru_cache

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure

from miri_background.calibration_choice import Calibration
from miri_background.files import replace_recorded
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.rendering import macros
from miri_background.reporting.closer_look import CloserLook, closer_look_is_there
from miri_background.reporting.drawing import NOISE_RANGE, block_size, draw, picture
from miri_background.validation.measurements.statistical import residual_of, with_fainter_sources
from miri_background.validation.prediction.clipping import kept_values, member_averages
from miri_background.validation.verdict.limits import Metric

__all__ = ["Choice", "Explored", "Explorer", "exploration_figure", "show"]

_BLOCK = 2**16  # values that are clipped at a time: few enough for a processor's cache
_REMEMBERED = 8  # averages of a region: another exposure has the same
_SKY_RANGE = (0.05, 0.10)  # of the sky, below and above it: colours of the combined background
_LAYOUT = {"left": 0.06, "right": 0.95, "bottom": 0.11, "top": 0.84, "wspace": 0.22}  # of panels
_LARGEST_SIGMA = 5.0  # of the slider, if the run's own is not larger
_SIGMA_STEP = 0.05
_STRETCHES = {"noise": 1.0, "faint": 0.4, "bright": 5.0}  # times the range of colours
_BLINK = 900  # ms between science exposures


@dataclass(frozen=True)
class Choice:
    """What is looked at.

    Parameters
    ----------
    sigma : float
        Clipping threshold, standard deviations.
    exposure : int
        Science exposure, from 1.
    region : str
        Name of a region of the subarray.
    left_out : tuple of int, optional
        Backgrounds that are not averaged, from 1.
    """

    sigma: float
    exposure: int
    region: str
    left_out: tuple = ()


@dataclass(frozen=True)
class Explored:
    """What a choice makes of the rates; arrays have the shape of the region.

    Parameters
    ----------
    choice : Choice
        What was chosen.
    combined : ndarray
        Independent sigma-clipped mean of the backgrounds, DN/s.
    clipped : ndarray of int
        Number of backgrounds that are left out of it.
    residual : ndarray
        Science rate less combined background and less the known light of sources, DN/s; not a
        number where it is not judged.
    metric : Metric
        Mean residual with its limit and status.
    left_out, values : int
        Values of backgrounds on the sky that are left out, and all of them.
    """

    choice: Choice
    combined: np.ndarray
    clipped: np.ndarray
    residual: np.ndarray
    metric: Metric
    left_out: int
    values: int

    def sentences(self):
        """Return verdict and clipping in two sentences."""
        percent = 100 * self.left_out / max(self.values, 1)
        verdict = f"{self.metric.status.capitalize()}: {self.metric.sentence()}."
        if self.choice.left_out:
            # The limit is that of the average of all.
            named = " and ".join(map(str, self.choice.left_out))
            verdict = (
                f"Without background {named}: mean residual of {self.metric.place()} "
                f"{self.metric.value_text()} {self.metric.unit}."
            )
        clipping = (
            f"With sigma = {self.choice.sigma:g}, {self.left_out:,} of {self.values:,} background "
            f"values are clipped ({percent:.3g} %)."
        )
        return verdict, clipping


class Explorer:
    """Repeats the clipping of a run with other choices.

    The light of sources that clipping is expected to leave is that of the run's own sigma: in
    judged pixels it is below half the noise of the sky in each exposure, and there the clipped
    mean has all but the same part of it as the plain one, whatever sigma is.

    Parameters
    ----------
    analysis : Analysis
        Products of the run with their expectation.
    metrics : list of Metric
        What was judged; limits are as many standard errors as there.
    """

    def __init__(self, analysis, metrics):
        self.analysis = analysis
        self.own = Choice(analysis.products.sigma, 1, next(iter(analysis.masks.regions)))
        self._limits = {
            (each.region, each.exposure): each for each in metrics if each.name == "residual"
        }
        self._average = lru_cache(maxsize=_REMEMBERED)(self._clipped_mean)

    def _clipped_mean(self, sigma, name, left_out):
        """Return combined background, clipped and all finite values of the pixels of a region."""
        products, region = self.analysis.products, self.analysis.masks.regions[name]
        backgrounds = [
            _cut(image, region)
            for number, image in enumerate(products.backgrounds, 1)
            if number not in left_out
        ]
        values = member_averages(backgrounds, sigma, products.maxiters).values
        blocks = np.array_split(values, -(-values.size // _BLOCK), axis=1)
        keep = np.hstack([kept_values(block, sigma, products.maxiters)[0] for block in blocks])
        kept, finite = keep.sum(axis=0), np.isfinite(values).sum(axis=0)
        combined = np.where(keep, values, 0.0).sum(axis=0) / np.maximum(kept, 1)
        return combined, finite - kept, finite

    def explore(self, choice):
        """Return what a choice makes of the rates.

        Parameters
        ----------
        choice : Choice
            Sigma in the range of a calibration's.

        Returns
        -------
        Explored
            Combined background, residual and verdict of the region.

        Raises
        ------
        CannotJudge
            If there is no such exposure or region, or sigma is out of its range.
        """
        analysis = self.analysis
        self._check(choice)
        number, region = choice.exposure - 1, analysis.masks.regions[choice.region]
        combined, clipped, finite = self._average(choice.sigma, choice.region, choice.left_out)
        residual = self._residual(analysis, number, region, combined)
        measured = _mean(analysis, number, region, residual)
        if analysis.loose is not None:
            loosely = self._residual(analysis.loose, number, region, combined)
            measured = with_fainter_sources(
                measured, _mean(analysis.loose, number, region, loosely)
            )
        seen = analysis.masks.seen[region.slices]
        return Explored(
            choice,
            combined,
            clipped,
            residual,
            _judged_like(self._limits[choice.region, choice.exposure], measured),
            int(clipped[seen].sum()),
            int(finite[seen].sum()),
        )

    def _check(self, choice):
        """Refuse what cannot be chosen."""
        Calibration.create(sigma=choice.sigma)
        analysis, count = self.analysis, len(self.analysis.expectation.science)
        if choice.region not in analysis.masks.regions:
            msg = (
                f"{choice.region} is not a region of {analysis.expectation.subarray}: "
                f"choose one of {', '.join(analysis.masks.regions)}."
            )
            raise CannotJudge(msg)
        if choice.exposure not in range(1, count + 1):
            msg = f"There is no science exposure {choice.exposure}: choose one from 1 to {count}."
            raise CannotJudge(msg)
        number = len(analysis.expectation.backgrounds)
        if len(set(choice.left_out) & set(range(1, number + 1))) == number:
            msg = "No background is left: choose at least one."
            raise CannotJudge(msg)

    @staticmethod
    def _residual(analysis, number, region, combined):
        """Return the residual of a region, not a number where it is not judged."""
        rate, wings, judged = (
            plane[region.slices]
            for plane in (
                analysis.expectation.science[number].data,
                analysis.expectation.left(number),
                analysis.residuals.judged[number],
            )
        )
        return np.where(judged, rate - combined - wings, np.nan)


def _cut(image, region):
    """Return the part of an exposure in a region."""
    part = (..., *region.slices)
    return replace(image, data=image.data[part], err=image.err[part], dq=image.dq[part])


def _mean(analysis, number, region, residual):
    """Return the measurement of a region's mean residual."""
    return residual_of(analysis, number, region, residual[np.isfinite(residual)])


def _judged_like(metric, measurement):
    """Return a metric with another measurement, judged by as many standard errors."""
    limit = metric.limit * measurement.error / metric.standard_error
    # Written so that a value that is not a number fails.
    outcome = Outcome.PASSED if abs(measurement.value) <= limit else Outcome.FAILED
    return replace(
        metric,
        value=float(measurement.value),
        standard_error=float(measurement.error),
        limit=float(limit),
        status=outcome.word,
    )


def exploration_figure(analysis, explored, stretch=1.0) -> Figure:
    """Return combined background, clipped values and residual of the region that was chosen.

    Parameters
    ----------
    analysis : Analysis
        Products of the run with their expectation.
    explored : Explored
        What a choice makes of the rates.
    stretch : float, optional
        Times the range of colours that noise does not saturate.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with one verdict.
    """
    region = analysis.masks.regions[explored.choice.region]
    level = analysis.expectation.sky_level
    count = len(analysis.expectation.backgrounds) - len(explored.choice.left_out)
    reach = stretch * NOISE_RANGE * analysis.expectation.sky_noise
    reach /= block_size(explored.residual)
    of_mean = reach / np.sqrt(count)
    below, above = (max(stretch * part * level, of_mean) for part in _SKY_RANGE)
    panels = (
        ("combined background", explored.combined, (level - below, level + above), "DN/s"),
        (
            f"backgrounds left out, of {count}",
            explored.clipped,
            (0, max(count / 2, 1)),
            "exposures",
        ),
        (
            "residual, judged pixels",
            explored.residual,
            (-reach, reach),
            "DN/s",
        ),
    )
    # Adjusting the layout to what is drawn takes as long as to draw it.
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), sharey=True, gridspec_kw=_LAYOUT)
    for panel, (title, image, span, unit) in zip(axes, panels, strict=True):
        drawn = draw(panel, image, analysis.expectation.subarray, *span, region)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("x (detector pixel)")
        figure.colorbar(drawn, ax=panel, label=f"{unit}, linear stretch", shrink=0.8)
    axes[0].set_ylabel("y (detector pixel)")
    figure.suptitle("\n".join(explored.sentences()), fontsize=10)
    return figure


def show(analysis, metrics, path):
    """Show what the run's own choice makes of the rates, and let a reader choose another.

    The figure of the run's own choice is always there, for pages and for readers without
    widgets.  Controls are added where somebody may use them.

    Parameters
    ----------
    analysis : Analysis
        Products of the run with their expectation.
    metrics : list of Metric
        What was judged.
    path : pathlib.Path
        PNG file to write: the figure of the run's own choice.
    """
    explorer = Explorer(analysis, metrics)
    alt, content = _drawn(explorer, explorer.explore(explorer.own))
    with replace_recorded(path) as aside:
        aside.write_bytes(content)
    bundle = {"image/png": b64encode(content).decode(), "text/plain": alt}
    if _somebody_is_there():
        formatted, _ = get_ipython().display_formatter.format(controls(explorer))
        bundle = formatted | bundle
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)


def controls(explorer):
    """Return controls around the figure that they change.

    Sigma, exposure and region stand above it; below are which backgrounds are averaged, the
    stretch of the colours, and a button that blinks between the science exposures.  With the
    extra that it needs, a closer look at every pixel can be opened.

    Parameters
    ----------
    explorer : Explorer
        Of the run.

    Returns
    -------
    ipywidgets.VBox
        Set to the run's own choice.
    """
    own, analysis = explorer.own, explorer.analysis
    sigma = ipywidgets.FloatSlider(
        own.sigma,
        min=_smallest_sigma(),
        max=max(_LARGEST_SIGMA, own.sigma),
        step=_SIGMA_STEP,
        description="sigma",
        continuous_update=False,
    )
    exposure = ipywidgets.Dropdown(
        options=range(1, len(analysis.expectation.science) + 1),
        value=own.exposure,
        description="exposure",
    )
    region = ipywidgets.Dropdown(
        options=list(analysis.masks.regions), value=own.region, description="region"
    )
    numbers = range(1, len(analysis.expectation.backgrounds) + 1)
    averaged = ipywidgets.SelectMultiple(
        options=numbers,
        value=list(numbers),
        description="backgrounds",
        rows=min(len(numbers), 4),
        style={"description_width": "initial"},
    )
    stretch = ipywidgets.Dropdown(options=_STRETCHES, value=1.0, description="stretch")
    blink = ipywidgets.Play(
        value=own.exposure,
        min=1,
        max=len(analysis.expectation.science),
        interval=_BLINK,
        description="blink",
    )
    answer = ipywidgets.HTML()
    closer = CloserLook(analysis) if closer_look_is_there() else None

    def change(_=None):
        """Show what the choice makes of the rates."""
        left_out = tuple(number for number in numbers if number not in averaged.value)
        if len(left_out) == len(numbers):
            return  # nothing is left to be averaged
        choice = Choice(sigma.value, exposure.value, region.value, left_out)
        explored = explorer.explore(choice)
        alt, content = _drawn(explorer, explored, stretch.value)
        source = f"data:image/png;base64,{b64encode(content).decode()}"
        answer.value = str(macros().picture(source, alt))
        if closer is not None:
            closer.show(explored, stretch.value)

    for control in (sigma, exposure, region, averaged, stretch):
        control.observe(change, names="value")
    blink.observe(lambda step: setattr(exposure, "value", step["new"]), names="value")
    change()
    centred = ipywidgets.Layout(align_items="center")
    more = ipywidgets.HBox([averaged, stretch, blink], layout=centred)
    looks = [] if closer is None else [closer.widget]
    return ipywidgets.VBox([ipywidgets.HBox([sigma, exposure, region]), answer, more, *looks])


def _smallest_sigma():
    """Return the lower end of the legal range of sigma."""
    return next(
        limit.ge for limit in Calibration.model_fields["sigma"].metadata if hasattr(limit, "ge")
    )


def _drawn(explorer, explored, stretch=1.0):
    """Return the alternative text of the figure of what was explored, and its PNG file."""
    alt = (
        f"Combined background, number of backgrounds left out, and residual in the region "
        f"{explored.choice.region}. {' '.join(explored.sentences())}"
    )
    return alt, picture(exploration_figure(explorer.analysis, explored, stretch))


def _somebody_is_there():
    """Return whether the program that runs the cell could ask its user something.

    What executes whole notebooks (papermill, nbconvert, nbval, Sphinx) says with each cell that
    it cannot; JupyterLab, and others that may show controls, say that they can.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and bool(kernel.get_parent()["content"].get("allow_stdin"))
