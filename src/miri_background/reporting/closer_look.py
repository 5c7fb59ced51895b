"""A closer look in JupyterLab: every pixel, with linked zoom and pan, values, and a histogram.

It needs ipympl, which is an extra: without it there are the pictures of `exploring` alone.
"""

from importlib.util import find_spec

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from miri_background.reporting.drawing import COLOURS, COLOURS_OF_IMAGES, NOISE_RANGE

__all__ = ["CloserLook", "closer_look_is_there"]

_TITLE = "Look closer: zoom, pan and pixel values"
_SIZE = (8.6, 7.4)  # inches: what a window of 1300 pixels has room for
# Adjusting the layout to what is drawn takes as long as to draw it.
_LAYOUT = {"left": 0.08, "right": 0.96, "bottom": 0.07, "top": 0.9, "wspace": 0.24, "hspace": 0.28}
_BINS = np.linspace(-6, 6, 121)  # noises of a pixel


def closer_look_is_there():
    """Return whether the extra is installed that a closer look needs."""
    return find_spec("ipympl") is not None


class CloserLook:
    """Science rate, combined background and residual of a region, pixel by pixel.

    Parameters
    ----------
    analysis : Analysis
        Products of the run with their expectation.

    Attributes
    ----------
    widget : ipywidgets.Accordion
        Closed at first: nothing is drawn before somebody opens it.
    figure : matplotlib.figure.Figure
        Of which zoom and pan of the three images are linked.
    """

    def __init__(self, analysis):
        from ipympl.backend_nbagg import Canvas, FigureManager

        self._analysis = analysis
        self.figure = Figure(figsize=_SIZE)
        self._canvas = Canvas(self.figure)
        FigureManager(self._canvas, 0)
        self._canvas.header_visible = False
        self._shown = self._region = None
        self.widget = ipywidgets.Accordion([self._canvas], titles=[_TITLE], selected_index=None)
        self.widget.observe(lambda _: self._draw(), names="selected_index")

    def show(self, explored, stretch=1.0):
        """Show what a choice makes of the rates, at the place that is looked at.

        Parameters
        ----------
        explored : Explored
            As `Explorer.explore` returns it.
        stretch : float, optional
            Times the range of colours that noise does not saturate.
        """
        self._shown = explored, stretch
        self._draw()

    def _draw(self):
        """Draw what is to be shown, if somebody can see it."""
        if self._shown is None or self.widget.selected_index is None:
            return
        explored, stretch = self._shown
        if explored.choice.region != self._region:
            self._begin(explored.choice.region)
        expectation = self._analysis.expectation
        number = explored.choice.exposure - 1
        rate = expectation.science[number].data[self._slices]
        noise = expectation.science_noise[number]
        of_mean = self._noise_of_mean(explored)
        noises = (noise, of_mean, np.hypot(noise, of_mean))
        level = expectation.sky_level
        own = level + np.nanmedian(rate - explored.combined)
        titles = (
            f"rate, science exposure {number + 1}",
            "combined background",
            "residual, judged pixels",
        )
        for axes, image, values, title, middle, scatter in zip(
            self._axes,
            self._images,
            (rate, explored.combined, explored.residual),
            titles,
            (own, level, 0.0),
            noises,
            strict=True,
        ):
            image.set_data(np.ma.masked_invalid(values))
            reach = stretch * NOISE_RANGE * scatter
            image.set_clim(middle - reach, middle + reach)
            axes.set_title(f"{title} (DN/s, linear)", fontsize=10)
        self._draw_histogram(explored.residual, noises[-1])
        self.figure.suptitle(explored.sentences()[0], fontsize=10)
        self._canvas.draw_idle()

    def _noise_of_mean(self, explored):
        """Return the noise of the combined background, with as many members as were chosen."""
        expectation = self._analysis.expectation
        count = len(expectation.backgrounds)
        left = count - len(explored.choice.left_out)
        return np.sqrt(expectation.clipping.variance * count / left)

    def _begin(self, name):
        """Make the panels of a region."""
        self._region, region = name, self._analysis.masks.regions[name]
        self._slices = region.slices
        self.figure.clear()
        self.figure.subplots_adjust(**_LAYOUT)
        first, *others = (self.figure.add_subplot(2, 2, place) for place in (1, 2, 3))
        for axes in others:
            axes.sharex(first)
            axes.sharey(first)
        self._axes = [first, *others]
        extent = (
            *(region.x.start - 0.5, region.x.stop - 0.5),
            *(region.y.start - 0.5, region.y.stop - 0.5),
        )
        empty = np.zeros((region.y.stop - region.y.start, region.x.stop - region.x.start))
        self._images = [
            axes.imshow(
                empty,
                origin="lower",
                cmap=COLOURS_OF_IMAGES,
                extent=extent,
                interpolation="nearest",
            )
            for axes in self._axes
        ]
        for axes, image in zip(self._axes, self._images, strict=True):
            axes.set_xlabel("x (detector pixel)")
            axes.set_ylabel("y (detector pixel)")
            self.figure.colorbar(image, ax=axes, shrink=0.9)
        self._histogram = self.figure.add_subplot(2, 2, 4)

    def _draw_histogram(self, residual, noise):
        """Draw how many pixels are off by how much, beside what noise makes of so many."""
        axes, values = self._histogram, residual[np.isfinite(residual)] / noise
        axes.clear()
        axes.hist(np.clip(values, _BINS[0], _BINS[-1]), _BINS, color=COLOURS[0], label="residual")
        width = _BINS[1] - _BINS[0]
        normal = np.exp(-(_BINS**2) / 2) / np.sqrt(2 * np.pi)
        axes.plot(_BINS, values.size * width * normal, color=COLOURS[1], label="expected noise")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
        axes.set_xlabel("residual (noises of a pixel)")
        axes.set_ylabel("judged pixels")
        axes.set_title(f"{values.size:,} judged pixels", fontsize=10)
        axes.legend(fontsize=8)
