"""Figures of a campaign: what each way does to fluxes, noise, stripes and background sources.

Each brings its alternative text, its numbers as rows, and one sentence of conclusion, which is
made of the same numbers.
"""

import matplotlib.pyplot as plt
import numpy as np

from miri_background.advice.sigma_table import sigma_table
from miri_background.campaign.expected import expected_holes, expected_noise
from miri_background.campaign.scene import Scene
from miri_background.reporting.campaign_drawing import (
    SIZE,
    Point,
    bars,
    finished,
    lines,
    log_ticks,
    points,
    told,
)
from miri_background.reporting.drawing import COLOURS

__all__ = ["FIGURES", "study_of"]


def _scene(row):
    """Return the scene of a row."""
    return Scene.create(**{name: row[name] for name in Scene.model_fields})


def _expected_holes(group):
    """Return the light that theory leaves, the mean of some seeds, for the step only."""
    if group[0]["way_kind"] != "step":
        return np.nan
    return float(np.mean([expected_holes(_scene(row), row["sigma"]) for row in group[:2]]))


def _expected_noise(group):
    """Return the noise that theory expects, for the step with equal exposures only."""
    row = group[0]
    if row["way_kind"] != "step" or row["background_groups"]:
        return np.nan
    return expected_noise(row["backgrounds"], row["sigma"])


def _at(found, way, value):
    """Return the point of a way and value, None if there is none."""
    return next((each for each in found if (each.way, each.value) == (way, value)), None)


def _ways(found, beginning):
    """Return points whose way begins with words."""
    return [each for each in found if each.way.startswith(beginning)]


def _side_by_side(left, right, labels, along):
    """Return a figure of two scores against one parameter, and its axes."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.0), layout="constrained")
    for each, found, label in zip(axes, (left, right), labels, strict=True):
        lines(each, found, label=each is axes[0])
        each.set_ylabel(label)
        each.set_xlabel(along)
    axes[0].legend(fontsize=8)
    return figure, axes


def number_figure(run):
    """Return what the number of backgrounds and sigma do, with theory on top."""
    rows = run.study("number")
    holes = points(rows, "backgrounds", "holes", _expected_holes)
    noise = points(rows, "backgrounds", "noise_ratio", _expected_noise)
    figure, (above, below) = plt.subplots(2, figsize=(7, 6.4), sharex=True, layout="constrained")
    lines(above, holes)
    lines(below, noise, label=False)
    above.set_ylabel("light left as holes (% of a plain mean's)")
    above.axhline(0, color="0.6", linewidth=0.8)
    below.set_ylabel("noise over that of a true background")
    below.set_xlabel("background exposures")
    above.legend(fontsize=8)
    above.set_title("dashed: theory of clipping", fontsize=9)
    default = _ways(holes, "step, sigma 3")
    kept = [each.value for each in default if each.mean > 90]
    pulls = [
        abs(each.mean - each.expected) / each.error
        for each in (*holes, *noise)
        if np.isfinite(each.expected) and each.error > 0
    ]
    conclusion = (
        "At its default, sigma 3, the step leaves more than nine tenths of the light of "
        f"background sources in the average of up to {max(kept, default=0)} exposures; the real "
        f"step is {np.median(pulls):.1f} standard errors from clipping theory in the median of "
        f"{len(pulls)} points."
    )
    limits = "Stars of one density and brightness, dithered by 11 FWHM; equal exposures."
    return finished("number", figure, conclusion, limits, {"holes": holes, "noise_ratio": noise})


def contrast_figure(run):
    """Return how the brightness of background sources decides what is left of them."""
    rows = run.study("contrast")
    holes = points(rows, "source_contrast", "holes", _expected_holes)
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    lines(axes, holes)
    log_ticks(axes, (each.value for each in holes))
    axes.set_xlabel("brightest pixel of the brightest star (noise of a pixel)")
    axes.set_ylabel("light left as holes (% of a plain mean's)")
    axes.legend(fontsize=8)
    faintest, brightest = (end(each.value for each in holes) for end in (min, max))
    two = [_at(holes, "step, sigma 2", value) for value in (faintest, brightest)]
    conclusion = "No study of contrast was carried out."
    if all(two):
        conclusion = (
            "Clipping removes what is bright: with four backgrounds and sigma 2, "
            f"{two[0].mean:.0f} ± {two[0].error:.0f} % of the light stays where the brightest "
            f"star has {faintest:g} times the noise, and {two[1].mean:.0f} ± "
            f"{two[1].error:.0f} % at {brightest:g} times."
        )
    limits = "Four backgrounds; wings of bright sources are faint, and stay."
    return finished("contrast", figure, conclusion, limits, {"holes": holes})


def dither_figure(run):
    """Return what self-backgrounds take from point sources, by the dither."""
    rows = run.study("dither")
    bias = points(rows, "dither_step", "bias")
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    lines(axes, bias)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.axvline(1.5, color="0.6", linewidth=0.8, linestyle=":")
    log_ticks(axes, (each.value for each in bias))
    axes.set_xlabel("distance of neighbouring dithers (FWHM); dotted: 1.5")
    axes.set_ylabel("bias of a point source's flux (%)")
    axes.legend(fontsize=8)
    own = _ways(bias, "self-background with itself")
    said = ", ".join(f"{each.mean:.0f} ± {each.error:.1g} % at {each.value:g} FWHM" for each in own)
    conclusion = f"A self-background of four dithers with the exposure itself takes light: {said}."
    limits = "Point sources of 20 times the noise in the brightest pixel; no local annulus."
    return finished("dither", figure, conclusion, limits, {"bias": bias})


def size_figure(run):
    """Return the bias of every way by the size of the source."""
    rows = run.study("size")
    bias = points(rows, "target", "bias")
    figure, axes = plt.subplots(figsize=(7.6, 6.2), layout="constrained")
    bars(axes, bias, "bias of the flux (%)")
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(-150, 10)
    axes.legend(fontsize=8, title="target", title_fontsize=8)
    plain = [each for each in _ways(bias, "step, ") if "then" not in each.way]
    large = [each for each in plain if each.value == "nebula"]
    worst = min(bias, key=lambda each: each.mean)
    safest = max((abs(each.mean) for each in large), default=np.nan)
    conclusion = (
        f"What is as large as the dithers is lost: {worst.way} takes {-worst.mean:.0f} % of a "
        f"{worst.value}, dedicated backgrounds at most {safest:.1f} %."
    )
    limits = (
        "Four science exposures and four backgrounds of the same sky, dithers of 11 FWHM (3 "
        "arcsec), targets of 20 times the noise; fixed apertures without an annulus."
    )
    return finished("size", figure, conclusion, limits, {"bias": bias})


def noise_figure(run):
    """Return what every way costs in noise, and what it does to errors."""
    rows = [row for row in run.study("size") if row["target"] == "point"]
    found = {
        score: points(rows, "target", score)
        for score in ("noise_ratio", "rms_ratio", "error_ratio")
    }
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.8), sharey=True, layout="constrained")
    both = [
        Point(each.way, score.replace("_ratio", ""), each.mean, each.error, each.seeds)
        for score in ("noise_ratio", "rms_ratio")
        for each in found[score]
    ]
    bars(axes[0], both, "noise over that of a true background")
    axes[0].axvline(1, color="0.6", linewidth=0.8)
    axes[0].set_xlim(left=0.8)
    axes[0].legend(fontsize=8)
    bars(axes[1], found["error_ratio"], "reported error over real scatter")
    axes[1].set_xlim(0.5, 1.2)
    axes[1].axvline(1, color="0.6", linewidth=0.8)
    low = min(found["error_ratio"], key=lambda each: each.mean)
    best = min((each for each in found["rms_ratio"] if each.mean > 1), key=lambda each: each.mean)
    conclusion = (
        f"The least root mean square above that of the true background is that of {best.way} "
        f"({told(best)}); reported errors leave out the background's noise and are "
        f"{told(low)} of the real scatter with {low.way}."
    )
    limits = "Noise of one exposure in apertures of 1.2 FWHM on empty sky; of point-source fields."
    return finished("noise", figure, conclusion, limits, found)


def sky_figure(run):
    """Return what another sky in the background field does."""
    bias = points(run.study("sky"), "sky_ratio", "bias")
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    lines(axes, bias)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlabel("sky of the background field (% of the science field's)")
    axes.set_ylabel("bias of a 5 arcsec galaxy's flux (%)")
    axes.legend(fontsize=8)
    near = _at(bias, "step, sigma 2", 102.0)
    conclusion = "No study of skies was carried out."
    if near is not None:
        others = [
            f"{each.way} {each.mean:+.1f} ± {each.error:.1g} %"
            for each in bias
            if each.value == 102.0 and each is not near
        ]
        conclusion = (
            f"A background field that is 2 % brighter changes the flux of a 5 arcsec galaxy by "
            f"{near.mean:+.1f} ± {near.error:.1g} % with the step alone; {'; '.join(others)}."
        )
    limits = "A galaxy of 20 times the noise in its brightest pixel, aperture of 3.75 arcsec."
    return finished("sky", figure, conclusion, limits, {"bias": bias})


def stripes_figure(run):
    """Return what column stripes do, and what filtering does about them."""
    rows = run.study("stripes")
    power = points(rows, "stripes", "columns_middle")
    bias = points(rows, "stripes", "bias")
    labels = "power of columns over white noise", "bias of a point source's flux (%)"
    figure, axes = _side_by_side(power, bias, labels, "rms of columns (% of a pixel's noise)")
    axes[0].set_yscale("log")
    axes[0].axhline(1, color="0.6", linewidth=0.8)
    axes[1].axhline(0, color="0.6", linewidth=0.8)
    most = max((each.value for each in power), default=0)
    at_most = {each.way: each for each in power if each.value == most}
    said = "; ".join(f"{way}: {told(each)}" for way, each in at_most.items())
    conclusion = f"Power of columns over white noise, where stripes have {most:g} % of it: {said}."
    limits = (
        "Frequencies from 1/64 to 1/8 per pixel. Offsets of whole columns, other ones in each "
        "field, the same in its dithers."
    )
    return finished("stripes", figure, conclusion, limits, {"columns_middle": power, "bias": bias})


def density_figure(run):
    """Return what the density of background sources does to their removal, and to fluxes."""
    rows = run.study("density")
    holes = points(rows, "source_density", "holes", _expected_holes)
    bias = points(rows, "source_density", "bias")
    labels = "light left as holes (% of a plain mean's)", "bias of a point source's flux (%)"
    figure, axes = _side_by_side(holes, bias, labels, "background sources (stars/arcmin²)")
    for each in axes:
        each.axhline(0, color="0.6", linewidth=0.8)
        log_ticks(each, (point.value for point in holes))
    two = _ways(holes, "step, sigma 2")
    said = ", ".join(f"{told(each)} % at {each.value:g} stars/arcmin²" for each in two)
    worst = max(bias, key=lambda each: abs(each.mean))
    conclusion = (
        f"Of the light of background sources stays with sigma 2: {said}. The flux of a point "
        f"source is off by {told(worst)} % at most ({worst.way}, {worst.value:g} stars/arcmin²)."
    )
    limits = "Four backgrounds, the brightest star of 30 times the noise."
    return finished("density", figure, conclusion, limits, {"holes": holes, "bias": bias})


def faint_figure(run):
    """Return the bias of faint targets, which masks do not find."""
    bias = points(run.study("faint"), "target", "bias")
    figure, axes = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
    bars(axes, bias, "bias of the flux (%)")
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(-150, 10)
    figure.legend(fontsize=8, ncols=4, loc="outside upper center")
    worst = min(bias, key=lambda each: each.mean)
    plain = [each for each in _ways(bias, "step, ") if "then" not in each.way]
    safest = max((abs(each.mean) for each in plain), default=np.nan)
    conclusion = (
        f"Faint targets are not masked, and lose more: {worst.way} takes {-worst.mean:.0f} ± "
        f"{worst.error:.1g} % of a {worst.value}; the step with a background field at most "
        f"{safest:.1f} %."
    )
    limits = "Targets of 5 times the noise in the brightest pixel; four exposures of each field."
    return finished("faint", figure, conclusion, limits, {"bias": bias})


def exposures_figure(run):
    """Return what the number of dithers does to backgrounds that are made of them."""
    rows = run.study("exposures")
    bias, noise = (points(rows, "exposures", score) for score in ("bias", "noise_ratio"))
    labels = "bias of a point source's flux (%)", "noise over that of a true background"
    figure, axes = _side_by_side(bias, noise, labels, "dithers of the science field")
    axes[0].axhline(0, color="0.6", linewidth=0.8)
    own = _ways(bias, "self-background with itself")
    said = ", ".join(f"{-each.mean:.0f} % with {each.value}" for each in own)
    fewest = min((each.value for each in noise), default=0)
    costs = "; ".join(
        f"{each.way}: {told(each)}" for each in noise if each.value == fewest and each.mean > 1
    )
    conclusion = (
        f"A self-background with the exposure itself takes of a point source {said} dithers. The "
        f"noise with {fewest} dithers over that of a true background: {costs}."
    )
    limits = "Dithers of 11 FWHM, point sources of 20 times the noise."
    return finished("exposures", figure, conclusion, limits, {"bias": bias, "noise_ratio": noise})


def groups_figure(run):
    """Return what shorter and longer backgrounds cost."""
    rows = run.study("groups")
    noise, errors = (
        points(rows, "background_groups", score) for score in ("noise_ratio", "error_ratio")
    )
    labels = "noise over that of a true background", "reported error over real scatter"
    figure, axes = _side_by_side(noise, errors, labels, "groups of a background")
    for each in axes:
        each.axhline(1, color="0.6", linewidth=0.8)
        log_ticks(each, (point.value for point in noise))
    shortest = min((each.value for each in noise), default=0)
    of_noise, of_errors = (
        next((each for each in found if each.value == shortest), None) for found in (noise, errors)
    )
    conclusion = "No study of groups was carried out."
    if of_noise is not None and of_errors is not None:
        conclusion = (
            f"Backgrounds of {shortest:g} groups make the result {told(of_noise)} times as noisy "
            f"as a true background would, and the reported errors {told(of_errors)} of the real "
            f"scatter ({of_noise.way})."
        )
    groups = rows[0]["groups"] if rows else 0
    limits = f"Four backgrounds; science exposures have {groups} groups."
    return finished(
        "groups", figure, conclusion, limits, {"noise_ratio": noise, "error_ratio": errors}
    )


def sigma_figure(_run):
    """Return the table of sigma for each number of backgrounds, as a figure of its numbers."""
    rows = sigma_table()
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    counts = [row.count for row in rows]
    axes.plot(counts, [row.limit for row in rows], "-", color="0.5", label="n / √(n − 1)")
    chosen = [row for row in rows if row.left < 50]
    axes.plot(
        [row.count for row in chosen],
        [row.sigma for row in chosen],
        "o",
        color=COLOURS[0],
        label="sigma to use",
    )
    axes.axhline(3, color=COLOURS[1], linewidth=0.9, linestyle=":", label="default of the step")
    axes.set_xlabel("background exposures n")
    axes.set_ylabel("sigma")
    axes.legend(fontsize=8)
    off = max(abs(row.sigma - min(row.limit - 0.3, 3.0)) for row in chosen)
    conclusion = (
        f"A rule to remember: sigma = n / √(n − 1) − 0.3, and at most 3, is within {off:.2f} of "
        "the largest sigma that removes nine tenths of a source of ten times the noise."
    )
    found = {
        "sigma": [Point("sigma to use", row.count, row.sigma, np.nan, 1) for row in rows],
        "left": [Point("sigma to use", row.count, row.left, row.left_error, 1) for row in rows],
        "price": [Point("sigma to use", row.count, row.price, np.nan, 1) for row in rows],
    }
    limits = "Theory: equal exposures, one of n has the source, clipping until nothing changes."
    return finished("sigma", figure, conclusion, limits, found)


# Each with the study that it shows.
FIGURES = {
    "number": number_figure,
    "contrast": contrast_figure,
    "density": density_figure,
    "dither": dither_figure,
    "size": size_figure,
    "faint": faint_figure,
    "exposures": exposures_figure,
    "noise": noise_figure,
    "sky": sky_figure,
    "stripes": stripes_figure,
    "groups": groups_figure,
    "sigma": sigma_figure,
}
_STUDY = {"noise": "size", "sigma": None}


def study_of(name):
    """Return the study that a figure shows, None if it needs none."""
    return _STUDY.get(name, name)
