"""The figures of the closure notebook: what was simulated beside what the pipeline found.

Each brings its alternative text, made of the same numbers, as its attribute ``alt``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from miri_background.closure.calibrated_stars import GROWTH_RADII
from miri_background.closure.closure import PUBLISHED_WIDTHS
from miri_background.reporting.drawing import COLOURS, described, draw
from miri_background.reporting.words import counted

__all__ = [
    "cosmic_rays_figure",
    "photometry_figure",
    "positions_figure",
    "pulls_figure",
    "saturation_figure",
    "shape_figure",
]

_JUDGED = 5.0  # standard deviations of a group: hits above it should be found
_BINS = np.linspace(-5, 5, 101)
# Axes reach so far at least: % of a flux, pixels of a position, % of the light inside a radius.
_FLUX_RANGE, _POSITION_RANGE, _GROWTH_RANGE = 6.0, 0.04, 4.0
_RATIO_EDGES = np.geomspace(0.5, 200, 16)


def _of(metrics, name):
    """Return the metrics of one criterion."""
    return [metric for metric in metrics if metric.name == name]


def _range(least, values):
    """Return the half-width of an axis around zero that holds all values."""
    values = np.abs(np.asarray(values, dtype=float))
    return max(least, 1.1 * float(np.max(values, where=np.isfinite(values), initial=0.0)))


def pulls_figure(closure, metrics) -> Figure:
    """Return the distribution of rates around the truth in units of their expected noise."""
    figure, (histogram, image) = plt.subplots(
        1, 2, figsize=(11, 3.9), width_ratios=(1.5, 1), layout="constrained"
    )
    for number, pulls in enumerate(closure.pulls):
        values = pulls.values[np.isfinite(pulls.values)]
        counts, _ = np.histogram(values, _BINS, density=True)
        histogram.step(
            _BINS[:-1],
            counts,
            where="post",
            color=COLOURS[number % len(COLOURS)],
            label=f"exposure {number + 1}",
            linewidth=1,
        )
    histogram.plot(_BINS, norm.pdf(_BINS), color="0.2", linestyle="--", label="normal distribution")
    histogram.set_yscale("log")
    histogram.set_ylim(1e-6, 1)
    histogram.set_xlabel("(rate - truth) / expected noise")
    histogram.set_ylabel("density (log scale)")
    histogram.legend(fontsize=8)
    mean, scatter = (_of(metrics, name)[0] for name in ("pull mean", "pull scatter"))
    title = (
        f"mean {mean.value:+.4f} (limit {mean.limit:.2g}), scatter {1 + scatter.value:.4f} "
        f"(limits {1 - scatter.limit:.2f}, {1 + scatter.limit:.2f})"
    )
    histogram.set_title(title, fontsize=10)
    subarray = closure.analysis.expectation.subarray
    drawn = draw(image, closure.pulls[0].values, subarray, -1, 1)
    reported = np.mean([pulls.reported for pulls in closure.pulls])
    image.set_title(f"exposure 1; reported error {reported:.3f} of expected", fontsize=10)
    image.set_xlabel("x (detector pixel)")
    figure.colorbar(drawn, ax=image, label="standard deviations, linear stretch", shrink=0.8)
    values = np.concatenate([pulls.values[np.isfinite(pulls.values)] for pulls in closure.pulls])
    beyond = np.count_nonzero(np.abs(values) > _BINS[-1])
    return described(
        figure,
        f"Histograms of rate minus truth over expected noise of "
        f"{counted(len(closure.pulls), 'exposure')} beside the normal distribution: {title}; "
        f"{counted(beyond, 'value')} of {values.size} beyond {_BINS[-1]:g}. A map of exposure 1, "
        f"whose reported error is on average {reported:.3f} of the expected one.",
    )


def cosmic_rays_figure(closure, metrics) -> Figure:
    """Return the part of cosmic-ray hits that the jump step finds."""
    detection = closure.detection
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    which = np.digitize(detection.ratios, _RATIO_EDGES)
    for number in range(1, len(_RATIO_EDGES)):
        mine = which == number
        if not mine.any():
            continue
        part = detection.found[mine].mean()
        error = np.sqrt(part * (1 - part) / mine.sum())
        centre = np.sqrt(_RATIO_EDGES[number - 1] * _RATIO_EDGES[number])
        axes.errorbar(centre, part, error, fmt="o", color=COLOURS[0], capsize=2)
    axes.axvline(_JUDGED, color="0.5", linestyle="--", label="hits above this are judged")
    axes.set_xscale("log")
    axes.set_xlabel("charge of the hit / noise of a group (log scale)")
    axes.set_ylabel("part flagged in its group")
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=8)
    false = _of(metrics, "false jumps")[0]
    missed = "".join(
        f"missed {metric.value:.2f} % (limit {metric.limit:g} %), "
        for metric in _of(metrics, "cosmic rays missed")
    )
    title = (
        f"{missed or 'no hit is judged, '}clean pixels flagged {false.value:.2f} % "
        f"(limit {false.limit:g} %)"
    )
    axes.set_title(title, fontsize=10)
    return described(
        figure,
        f"Part of {counted(len(detection.ratios), 'hit pixel')} that is flagged against the charge "
        f"of the hit over the noise of a group; "
        f"{np.count_nonzero(detection.ratios > _JUDGED) or 'none'} of them are above {_JUDGED:g} "
        f"times the noise and judged: {title}.",
    )


def saturation_figure(closure, metrics) -> Figure:
    """Return the brightest star's last group, and its saturation flags beside the expected."""
    star = closure.saturated_star
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
    drawn = axes[0].imshow(star.raw, origin="lower", cmap="viridis")
    figure.colorbar(drawn, ax=axes[0], label="DN, linear stretch", shrink=0.8)
    for panel, image, title in zip(
        axes[1:],
        (star.expected, star.flagged),
        ("groups that should be flagged", "groups flagged"),
        strict=True,
    ):
        most = max(star.expected.max(), star.flagged.max(), 1)
        drawn = panel.imshow(image, origin="lower", cmap="viridis", vmin=0, vmax=most)
        panel.set_title(title, fontsize=10)
        figure.colorbar(drawn, ax=panel, label="groups", shrink=0.8)
    axes[0].set_title("level 1b, last group", fontsize=10)
    metric = _of(metrics, "saturation flags")[0]
    expected = closure.saturation[1]
    title = (
        f"Around the brightest star: {metric.value:.0f} of {expected} flags differ "
        "in the whole exposure"
    )
    if not expected:
        title = (
            f"Nothing saturates in the whole exposure: {metric.value:.0f} flags where none "
            "is expected"
        )
    figure.suptitle(title, fontsize=10)
    differ = np.count_nonzero(star.expected != star.flagged)
    return described(
        figure,
        f"The last group around the brightest star, and maps of how many groups should be and are "
        f"flagged as saturated there: at most {star.expected.max()} and {star.flagged.max()}, in "
        f"{counted(differ, 'pixel')} not the same. {title}.",
    )


def photometry_figure(closure, metrics) -> Figure:
    """Return measured over true fluxes against flux, place and colour."""
    stars = closure.stars
    excess = 100 * (stars["measured"] / stars["flux"] - 1)
    error = 100 * stars["error"] / stars["flux"]
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained", sharey=True)
    trends = _of(metrics, "photometric trend")
    for panel, (name, label), trend in zip(
        axes,
        (
            ("flux", "flux (uJy, log scale)"),
            ("x", "x (detector pixel)"),
            ("y", "y (detector pixel)"),
            ("spectral_index", "spectral index"),
        ),
        trends,
        strict=True,
    ):
        panel.errorbar(stars[name], excess, error, fmt=".", color=COLOURS[0], linewidth=0.6)
        panel.axhline(0, color="0.4", linewidth=0.8)
        panel.set_xlabel(label)
        panel.set_title(f"change {trend.value:+.2f} ± {trend.standard_error:.2f} %", fontsize=9)
    axes[0].set_xscale("log")
    axes[0].set_ylabel("measured - true flux (%)")
    reach = _range(_FLUX_RANGE, excess)
    axes[0].set_ylim(-reach, reach)
    median = _of(metrics, "star photometry")[0]
    title = f"{len(stars)} isolated stars: median {median.value:+.2f} %, limit {median.limit:g} %"
    figure.suptitle(title, fontsize=10)
    changes = ", ".join(
        f"{each.region} by {each.value:+.2f} ± {each.standard_error:.2f} % "
        f"(limit {each.limit:.2g} %)"
        for each in trends
    )
    return described(
        figure,
        "Measured minus true flux of isolated stars against flux, x, y and spectral index. "
        f"{title}; over the range of each they change {changes}.",
    )


def positions_figure(closure, metrics) -> Figure:
    """Return fitted positions of stars less the catalogue's, through the world coordinates."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.plot(closure.stars["dx"], closure.stars["dy"], "o", color=COLOURS[0], markersize=3)
    metrics = _of(metrics, "star position")
    axes.add_patch(plt.Circle((0, 0), metrics[0].limit, fill=False, color="0.5"))
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_aspect("equal")
    offsets = np.hypot(closure.stars["dx"], closure.stars["dy"])
    reach = _range(_POSITION_RANGE, [closure.stars["dx"], closure.stars["dy"]])
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel("x, measured - true (pixel)")
    axes.set_ylabel("y, measured - true (pixel)")
    rms = ", ".join(f"{metric.value:.4f}" for metric in metrics)
    title = f"rms beyond noise {rms} pixel; limit {metrics[0].limit:g} (circle)"
    axes.set_title(title, fontsize=9)
    fitted = np.isfinite(offsets)
    return described(
        figure,
        f"Measured minus true positions of {counted(np.count_nonzero(fitted), 'bright star')}, "
        f"{np.count_nonzero(offsets[fitted] <= metrics[0].limit) or 'none'} of them inside a "
        f"circle with the radius of the limit: {title}.",
    )


def shape_figure(closure, metrics) -> Figure:
    """Return profile and growth of bright stars beside those of the point-spread function."""
    figure, (profile, growth) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    distance, brightness = closure.profile
    near = distance < max(GROWTH_RADII)
    profile.plot(distance[near], brightness[near], ",", color=COLOURS[4])
    samples = closure.psf.samples()
    y, x = (np.indices(samples.shape) - samples.shape[0] // 2) / closure.psf.oversample
    far = np.hypot(x, y)
    edges = np.arange(0, max(GROWTH_RADII), 0.25)
    ring = np.digitize(far, edges)
    mean = [samples[ring == number].mean() for number in range(1, len(edges))]
    profile.plot(edges[:-1] + 0.125, mean, color="0.2", label="point-spread function, mean")
    width = closure.width()
    profile.axvline(width / 2, color=COLOURS[1], linestyle="--", label="half of the measured width")
    profile.set_yscale("log")
    profile.set_ylim(1e-5, 1)
    profile.set_xlabel("distance from the star (pixel)")
    profile.set_ylabel("part of the light per pixel (log scale)")
    profile.legend(fontsize=8)
    title = f"FWHM {width:.3f} pixel, published {PUBLISHED_WIDTHS[closure.filter]:.3f}"
    profile.set_title(title, fontsize=10)
    ratios = 100 * (closure.growth - 1)
    growth.errorbar(
        GROWTH_RADII,
        np.median(ratios, axis=0),
        ratios.std(axis=0) / np.sqrt(len(ratios)),
        fmt="o",
        color=COLOURS[0],
        capsize=2,
    )
    worst = _of(metrics, "encircled energy")[0]
    growth.axhspan(-worst.limit, worst.limit, color="0.92", zorder=0)
    growth.axhline(0, color="0.4", linewidth=0.8)
    reach = _range(_GROWTH_RANGE, np.median(ratios, axis=0))
    growth.set_ylim(-reach, reach)
    growth.set_xlabel("radius (pixel)")
    growth.set_ylabel("light inside, measured - expected (%)")
    light = f"worst {worst.value:+.2f} %, limit {worst.limit:g} %"
    growth.set_title(light, fontsize=10)
    return described(
        figure,
        f"Brightness of the pixels of {counted(len(closure.growth), 'bright star')} against their "
        f"distance, beside the computed profile: {title}. The light inside of circles less the "
        f"computed one: {light}.",
    )
