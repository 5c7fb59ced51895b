"""Background steps that are broken on purpose, to see that each is noticed.

The pipeline that is installed is not changed: a class of its own, made when it is asked for,
has a background step that does everything as the installed one does, and one thing wrong.
Faults of the inputs leave the step alone and change copies of the rates that it is given.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from astropy.io import fits
from scipy.ndimage import binary_dilation, gaussian_filter

from miri_background.instrument.detector import AMPLIFIERS
from miri_background.instrument.footprint import regions
from miri_background.outcomes import SetUpWrong
from miri_background.validation.prediction.clipping import kept_values
from miri_background.validation.products.images import DO_NOT_USE, SATURATED

__all__ = ["FAULTS", "Fault", "Rates", "broken_pipeline", "fault", "spoil_rates"]

_SMALL = np.float32(0.02)  # DN/s: a seven-hundredth of the sky in F770W
_SEED = 20260104  # of mottling
_CORNER = 40  # pixels: side of the damaged corner
_STAR_BOX, _GALAXY_BOX = 12, 60  # pixels around a source


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Parameters
    ----------
    name, family : str
        What it is called, and what is broken.
    description : str
        What is done, in one sentence.
    members : callable, optional
        Takes the background files and the science model, returns the files that are averaged;
        or a class of which an object does so for one exposure after the other.
    clipping : callable, optional
        Takes sigma and maxiters, returns those that are used.
    average : callable, optional
        Takes the combined background and the `_Members`, changes the former in place.
    subtract : callable, optional
        Takes rate, combined background and result, changes the last in place.
    finish : callable, optional
        Takes the result when the step is done, changes it in place.
    saved : callable, optional
        Takes the path of a file that the step has saved, changes the file.
    rates : callable, optional
        Takes the `Rates` of a run, changes them in place.
    """

    name: str
    family: str
    description: str
    members: object = None
    clipping: object = None
    average: object = None
    subtract: object = None
    finish: object = None
    saved: object = None
    rates: object = None

    @property
    def of_step(self):
        """Whether it is the step that is broken."""
        hooks = (self.members, self.clipping, self.average, self.subtract, self.finish, self.saved)
        return any(hooks)


@dataclass(frozen=True)
class _Members:
    """What is averaged: values, errors and flags, shape (members, rows, columns), and how."""

    data: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    sigma: float
    maxiters: int | None
    files: list


@dataclass(frozen=True)
class Rates:
    """The rates of a run, open to be changed, with their truth.

    Parameters
    ----------
    science, backgrounds : list of astropy.io.fits.HDUList
        Rate files.
    science_truth, background_truth : list of Truth
        Truth of the exposures.
    """

    science: list
    backgrounds: list
    science_truth: list
    background_truth: list


# ------------------------------------------------------------------ averaging


def _use(combined, members, keep, centre=np.nanmean):
    """Average the members' values that are kept, errors as the step has them."""
    kept = keep & np.isfinite(members.data)
    count = np.maximum(kept.sum(axis=0), 1)
    values = np.where(kept, members.data, np.nan)
    known = kept.any(axis=0)
    filled = np.where(known, values, 0.0)
    combined.data = np.where(known, centre(filled, axis=0), 0.0).astype(np.float32)
    squares = np.where(kept, members.err**2, 0.0).sum(axis=0)
    combined.err = (np.sqrt(squares) / count).astype(np.float32)


def _all(members):
    return np.ones(members.data.shape, dtype=bool)


def _plain_mean(combined, members):
    _use(combined, members, _all(members))


def _median(combined, members):
    _use(combined, members, _all(members), np.nanmedian)


def _clipped(combined, members, axis=0, **choices):
    """Average what astropy's clipping keeps with other choices than the step's."""
    from astropy.stats import sigma_clip

    options = {"sigma": members.sigma, "maxiters": members.maxiters} | choices
    values = np.ma.masked_invalid(members.data)
    clipped = sigma_clip(values, axis=axis, **options)
    _use(combined, members, ~np.ma.getmaskarray(clipped))


def _sample_deviation(values, axis):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanstd(values, axis=axis, ddof=1)


def _weighted_mean(combined, members):
    known = np.isfinite(members.data) & (members.err > 0)
    weights = np.where(known, members.err, np.inf) ** -2
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    combined.data = (np.nansum(weights * members.data, axis=0) / total).astype(np.float32)


def _without_last(files, _):
    return files[:-1]


def _first_doubled(files, _):
    return [*files[:-1], files[0]]


def _science_as_member(files, science):
    return [*files[:-1], science.copy()]


def _clipping_off(sigma, maxiters):
    return 1e9 * sigma, maxiters


def _default_sigma(sigma, maxiters):
    return (3.0 if sigma != 3 else 2.0), maxiters


# ------------------------------------------------------------------ errors, flags, not a number


def _error_times(combined, members, factor):
    """Multiply the error of the average by a function of the number of members."""
    combined.err = (combined.err * factor(len(members.data))).astype(np.float32)


def _clipped_counted(combined, members):
    squares = np.nansum(members.err**2, axis=0)
    combined.err = (np.sqrt(squares) / len(members.err)).astype(np.float32)


def _variance_for_error(combined, _):
    combined.err = combined.err**2


def _flags(combined, members, change):
    """Replace the flags of the average."""
    combined.dq = change(members.dq, combined.dq).astype(np.uint32)


def _every_flag(each, _):
    return np.bitwise_and.reduce(each, axis=0)


def _no_flag(_, combined):
    return np.zeros_like(combined)


def _shifted_bits(_, combined):
    return combined << 1


def _one_wrong_bit(_, combined):
    wrong = combined.copy()
    wrong[wrong.shape[0] // 2, wrong.shape[1] // 2] ^= 4
    return wrong


def _zero_for_nan(combined, members):
    """Average what clipping keeps with a zero for each value that is missing."""
    kept, _ = kept_values(members.data, members.sigma, members.maxiters)
    count = np.maximum(kept.sum(axis=0), 1)
    missing = (~np.isfinite(members.data)).sum(axis=0)
    combined.data = (combined.data * (count / (count + missing))).astype(np.float32)


def _miss_values(rates):
    """Take the values of a part of one background, as of pixels that saturate at once."""
    corner = (..., slice(-_CORNER, None), slice(-_CORNER, None))
    for name, value in (("SCI", np.nan), ("ERR", 0), ("VAR_POISSON", 0), ("VAR_RNOISE", 0)):
        rates.backgrounds[0][name].data[corner] = value
    rates.backgrounds[0]["DQ"].data[corner] |= DO_NOT_USE | SATURATED


def _nan_from_any(combined, members):
    combined.data[~np.isfinite(members.data).all(axis=0)] = np.nan


def _nan_to_neighbours(combined, members):
    missing = ~np.isfinite(members.data).all(axis=0)
    combined.data[binary_dilation(missing) & ~missing] = np.nan


# ------------------------------------------------------------------ precision and local damage


def _half_precision(combined, _):
    combined.data = combined.data.astype(np.float16).astype(np.float32)


def _rounded(combined, _):
    combined.data = np.round(combined.data, 2)


def _add(combined, _, where):
    """Add a little to a part of the average."""
    combined.data += _SMALL * where(combined.data.shape)


def _part(name, shape):
    """Return rows and columns of a region; all of an array that is not the full one."""
    region = regions()[name]
    return region.slices if region.shape == shape else (slice(None), slice(None))


def _in_lyot(shape):
    where = np.zeros(shape, dtype=np.float32)
    where[_part("Lyot", shape)] = 1
    return where


def _in_one_column(shape):
    where = np.zeros(shape, dtype=np.float32)
    where[:, 2 * shape[1] // 3] = 1
    return where


def _in_one_amplifier(shape):
    where = np.zeros(shape, dtype=np.float32)
    where[:, 1::AMPLIFIERS] = 1
    return where


def _between_amplifiers(shape):
    # Without a mean, which others would notice.
    return _in_one_amplifier(shape) - np.roll(_in_one_amplifier(shape), 1, axis=1)


def _tilted(shape):
    return np.tile(np.linspace(-1, 1, shape[1], dtype=np.float32), (shape[0], 1))


def _tilted_imager(shape):
    """Tilt the imager alone, where no region's mean changes."""
    where = np.zeros(shape, dtype=np.float32)
    inside = where[_part("imager", shape)]
    inside += _tilted(inside.shape)
    return where


def _in_a_corner(shape):
    where = np.zeros(shape, dtype=np.float32)
    where[-_CORNER:, -_CORNER:] = 1
    return where


# ------------------------------------------------------------------ subtraction and metadata


def _subtracted_is(rate, combined, result, data):
    """Replace the values of the result."""
    result.data = data(rate.data, combined.data).astype(np.float32)


class _Stale:
    """Average for each exposure the members of the one before it.

    Before the first one came an exposure that had one background fewer.
    """

    def __init__(self):
        self.left = None

    def __call__(self, files, _):
        before = files[:-1] if self.left is None else self.left
        self.left = files
        return before


def _result_flags(rate, combined, result, change):
    """Replace the flags of the result."""
    result.dq = change(rate.dq, combined.dq)


def _linear_error(rate, combined, result):
    result.err = rate.err + combined.err


def _scaled_error(rate, _, result):
    result.err = np.float32(1.01) * rate.err


def _lost_variance(rate, _, result):
    result.var_rnoise = 0 * rate.var_rnoise


def _says_nothing(result):
    result.meta.cal_step.bkg_subtract = None


def _says_skipped(result):
    result.meta.cal_step.bkg_subtract = "SKIPPED"


def _forgets_association(result):
    result.meta.asn.table_name = "none"


def _names_another_filter(result):
    result.meta.instrument.filter = "F1000W"


def _names_another_file(path):
    fits.setval(path, "FILENAME", value=Path(path).name.replace("_bsub", "_rate"))


# ------------------------------------------------------------------ inputs


def _pedestal(exposures):
    for hdus in exposures:
        hdus["SCI"].data += _SMALL


def _background_pedestal(rates):
    _pedestal(rates.backgrounds)


def _pedestal_everywhere(rates):
    _pedestal([*rates.science, *rates.backgrounds])


def _background_pattern(rates, pattern, amplitude):
    """Add a pattern to all backgrounds."""
    for hdus in rates.backgrounds:
        hdus["SCI"].data += np.float32(amplitude) * pattern(hdus["SCI"].data.shape[-2:])


def _striped(shape):
    return np.tile(_in_one_column(shape[::-1]).T[:, :1], (1, shape[1]))


def _mottled(shape):
    smooth = gaussian_filter(np.random.default_rng(_SEED).standard_normal(shape), 2.0)
    return (smooth / smooth.std()).astype(np.float32)


def _rate_errors(rates, factor):
    """Scale all errors of all rates."""
    for hdus in (*rates.science, *rates.backgrounds):
        hdus["ERR"].data *= np.float32(factor)
        for name in ("VAR_POISSON", "VAR_RNOISE"):
            hdus[name].data *= np.float32(factor**2)


def _light_times(exposures, truths, kind, box, factor):
    """Scale the light of sources of one kind."""
    for hdus, truth in zip(exposures, truths, strict=True):
        near = np.zeros(truth.sources.shape, dtype=bool)
        for row in truth.catalogue[truth.catalogue["kind"] == kind]:
            x, y = (round(float(getattr(row[name], "value", row[name]))) for name in ("x", "y"))
            near[max(y - box, 0) : max(y + box, 0), max(x - box, 0) : max(x + box, 0)] = True
        more = np.where(near, (factor - 1) * truth.sources, 0.0)
        hdus["SCI"].data += more.astype(np.float32)


def _science_stars(rates):
    _light_times(rates.science, rates.science_truth, "star", _STAR_BOX, 0.99)


def _science_galaxy(rates):
    _light_times(rates.science, rates.science_truth, "galaxy", _GALAXY_BOX, 0.95)


def _background_stars(rates):
    _light_times(rates.backgrounds, rates.background_truth, "star", _STAR_BOX, 1.3)


def _same_exposure_twice(rates):
    first, last = rates.backgrounds[0], rates.backgrounds[-1]
    for name in ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"):
        last[name].data = first[name].data.copy()


def _another_epoch(rates):
    rates.backgrounds[-1]["SCI"].data *= np.float32(1.005)


# ------------------------------------------------------------------ the list


def _family(family, *faults):
    return [Fault(name, family, description, **what) for name, description, what in faults]


FAULTS = {
    each.name: each
    for each in [
        *_family(
            "averaging",
            ("plain mean", "nothing is clipped", {"average": _plain_mean}),
            ("median", "the median is taken for the mean", {"average": _median}),
            ("clipping off", "sigma is taken as infinite", {"clipping": _clipping_off}),
            (
                "wrong sigma",
                "the default sigma is taken for the one given",
                {"clipping": _default_sigma},
            ),
            (
                "wrong centre",
                "clipped about the mean",
                {"average": partial(_clipped, cenfunc="mean")},
            ),
            (
                "sample deviation",
                "clipped by the sample's standard deviation",
                {"average": partial(_clipped, stdfunc=_sample_deviation)},
            ),
            ("one iteration", "clipped once only", {"average": partial(_clipped, maxiters=1)}),
            ("wrong axis", "clipped along rows", {"average": partial(_clipped, axis=1)}),
            (
                "low values only",
                "only low values are clipped",
                {"average": partial(_clipped, sigma_upper=1e9)},
            ),
            ("weighted mean", "weighted with the errors, not clipped", {"average": _weighted_mean}),
            ("member dropped", "the last background is left out", {"members": _without_last}),
            ("member doubled", "the first stands for the last, too", {"members": _first_doubled}),
            (
                "foreign member",
                "the science exposure stands for the last",
                {"members": _science_as_member},
            ),
        ),
        *_family(
            "subtraction",
            *(
                (name, description, {"subtract": partial(_subtracted_is, data=data)})
                for name, description, data in (
                    ("wrong sign", "the background is added", lambda rate, sky: rate + sky),
                    (
                        "scaled by 0.1 %",
                        "a thousandth too much",
                        lambda rate, sky: rate - 1.001 * sky,
                    ),
                    ("twice", "subtracted two times", lambda rate, sky: rate - 2 * sky),
                    (
                        "shifted by a pixel",
                        "each column gets that of its neighbour",
                        lambda rate, sky: rate - np.roll(sky, 1, axis=-1),
                    ),
                    ("not at all", "called complete, and nothing done", lambda rate, _: rate),
                )
            ),
            (
                "stale background",
                "the background of the exposure before, which had one member fewer",
                {"members": _Stale},
            ),
        ),
        *_family(
            "errors",
            (
                "not divided by N",
                "N times too large",
                {"average": partial(_error_times, factor=float)},
            ),
            (
                "divided by root N",
                "root of N times too large",
                {"average": partial(_error_times, factor=np.sqrt)},
            ),
            ("clipped ones counted", "errors of all members", {"average": _clipped_counted}),
            ("variance for error", "the root is missing", {"average": _variance_for_error}),
            (
                "1 % too large",
                "a hundredth too large",
                {"average": partial(_error_times, factor=lambda _: 1.01)},
            ),
            ("science error linear", "added, not in quadrature", {"subtract": _linear_error}),
            ("science error 1 % off", "scaled by 1.01", {"subtract": _scaled_error}),
            ("science variance lost", "read noise is set to zero", {"subtract": _lost_variance}),
        ),
        *_family(
            "flags",
            (
                "AND for OR",
                "only flags of all members",
                {"average": partial(_flags, change=_every_flag)},
            ),
            (
                "flags dropped",
                "no flag is passed on",
                {"average": partial(_flags, change=_no_flag)},
            ),
            (
                "bits shifted",
                "every bit is its neighbour",
                {"average": partial(_flags, change=_shifted_bits)},
            ),
            (
                "one wrong bit",
                "one bit of one pixel",
                {"average": partial(_flags, change=_one_wrong_bit)},
            ),
            (
                "rate's flags only",
                "flags of the background are not passed on",
                {"subtract": partial(_result_flags, change=lambda rate, _: rate)},
            ),
            (
                "background's flags only",
                "flags of the rate are lost",
                {"subtract": partial(_result_flags, change=lambda _, sky: sky)},
            ),
        ),
        *_family(
            "not a number",
            (
                "NaN as zero",
                "values missing in one background count as zero",
                {"average": _zero_for_nan, "rates": _miss_values},
            ),
            ("NaN from any", "one missing value is missing in all", {"average": _nan_from_any}),
            (
                "NaN spreads",
                "neighbours of missing values are lost",
                {"average": _nan_to_neighbours},
            ),
        ),
        *_family(
            "precision",
            ("float16", "kept in half precision", {"average": _half_precision}),
            ("rounded", "rounded to 0.01 DN/s", {"average": _rounded}),
        ),
        *_family(
            "local damage",
            *(
                (name, f"0.02 DN/s {description}", {"average": partial(_add, where=where)})
                for name, description, where in (
                    ("only Lyot", "in the Lyot field", _in_lyot),
                    ("one column", "in one column", _in_one_column),
                    ("one amplifier", "in every fourth column", _in_one_amplifier),
                    ("a gradient", "from the middle to the sides", _tilted),
                    ("a corner", f"in {_CORNER} by {_CORNER} pixels", _in_a_corner),
                )
            ),
        ),
        *_family(
            "metadata",
            (
                "status missing",
                "the header does not say that it was done",
                {"finish": _says_nothing},
            ),
            ("status skipped", "the header says that it was not done", {"finish": _says_skipped}),
            (
                "association lost",
                "the header does not name the association",
                {"finish": _forgets_association},
            ),
            (
                "wrong filter",
                "the header names another filter",
                {"finish": _names_another_filter},
            ),
            (
                "wrong file name",
                "the header names the rate's file",
                {"saved": _names_another_file},
            ),
        ),
        *_family(
            "inputs",
            (
                "background pedestal",
                "0.02 DN/s more in all backgrounds",
                {"rates": _background_pedestal},
            ),
            (
                "pedestal everywhere",
                "0.02 DN/s more in all exposures",
                {"rates": _pedestal_everywhere},
            ),
            *(
                (
                    name,
                    f"{description} in the backgrounds",
                    {"rates": partial(_background_pattern, pattern=pattern, amplitude=amplitude)},
                )
                for name, description, pattern, amplitude in (
                    (
                        "tilted imager",
                        "a gradient of 0.03 DN/s over the imager",
                        _tilted_imager,
                        0.015,
                    ),
                    (
                        "drifted outputs",
                        "0.12 DN/s between two amplifiers",
                        _between_amplifiers,
                        0.06,
                    ),
                    ("bad column", "0.2 DN/s in a column", _in_one_column, 0.2),
                    ("bad row", "0.2 DN/s in a row", _striped, 0.2),
                    (
                        "mottled backgrounds",
                        "noise of 0.05 DN/s in common with neighbours",
                        _mottled,
                        0.05,
                    ),
                )
            ),
            (
                "rate errors 1 % low",
                "errors of all rates are a hundredth too small",
                {"rates": partial(_rate_errors, factor=0.99)},
            ),
            ("science stars faint", "stars have lost a hundredth", {"rates": _science_stars}),
            ("galaxy faint", "the galaxy has lost a twentieth", {"rates": _science_galaxy}),
            (
                "background stars bright",
                "stars have three tenths more",
                {"rates": _background_stars},
            ),
            (
                "same exposure twice",
                "the first background stands for the last",
                {"rates": _same_exposure_twice},
            ),
            ("another epoch", "one background has 0.5 % more sky", {"rates": _another_epoch}),
        ),
    ]
}


def fault(name):
    """Return a fault by its name.

    Parameters
    ----------
    name : str
        One of `FAULTS`.

    Returns
    -------
    Fault
        The fault.

    Raises
    ------
    CannotJudge
        If there is none of this name; the sentence lists them.
    """
    if name not in FAULTS:
        msg = f"There is no fault {name!r}: choose of {', '.join(FAULTS)}."
        raise SetUpWrong(msg)
    return FAULTS[name]


def broken_pipeline(name):
    """Return a calwebb_image2 whose background step has a fault.

    Parameters
    ----------
    name : str
        Name of the fault.

    Returns
    -------
    type
        Subclass of `jwst.pipeline.Image2Pipeline`, called like it.

    Raises
    ------
    CannotJudge
        If there is no fault of this name.
    """
    from jwst.background import BackgroundStep
    from jwst.pipeline import Image2Pipeline

    broken = _ready(fault(name))

    class BrokenStep(BackgroundStep):
        """The background step with one fault."""

        def process(self, *arguments, **options):
            """Run the step with the fault."""
            with _injected(broken):
                result = super().process(*arguments, **options)
            if broken.finish:
                broken.finish(result)
            return result

        def save_model(self, *arguments, **options):
            """Save with the fault."""
            path = super().save_model(*arguments, **options)
            if broken.saved:
                broken.saved(path)
            return path

    steps = Image2Pipeline.step_defs | {"bkg_subtract": BrokenStep}
    # The name decides which parameters CRDS has for it.
    return type(Image2Pipeline.__name__, (Image2Pipeline,), {"step_defs": steps})


def _ready(broken):
    """Return a fault to be used: one that remembers exposures has a memory of its own."""
    if isinstance(broken.members, type):
        return replace(broken, members=broken.members())
    return broken


def _injected(broken):
    """Return a context in which the functions that the step calls have the fault."""
    from jwst.background import background_step, background_sub

    real_average, real_subtract = background_sub.average_background, background_step.background_sub

    def average(science, backgrounds, sigma, maxiters):
        files = broken.members(backgrounds, science) if broken.members else backgrounds
        used = broken.clipping(sigma, maxiters) if broken.clipping else (sigma, maxiters)
        combined = real_average(science, files, *used)
        if broken.average:
            broken.average(combined, _read_members(backgrounds, sigma, maxiters))
        return combined

    def subtracted(science, *arguments):
        before = science.copy()
        combined, result = real_subtract(science, *arguments)
        if broken.subtract:
            broken.subtract(before, combined, result)
        return combined, result

    context = ExitStack()
    context.enter_context(patch.object(background_sub, "average_background", average))
    context.enter_context(patch.object(background_step, "background_sub", subtracted))
    return context


def _read_members(paths, sigma, maxiters):
    """Return what is averaged."""
    from stdatamodels.jwst import datamodels

    planes = []
    for path in paths:
        with datamodels.open(path) as model:
            planes.append([model.data.astype(float), model.err.astype(float), model.dq.copy()])
    return _Members(*(np.stack(each) for each in zip(*planes, strict=True)), sigma, maxiters, paths)


def spoil_rates(name, rates):
    """Change rates as a fault of the inputs does.

    Parameters
    ----------
    name : str
        Name of the fault.
    rates : Rates
        Changed in place.
    """
    fault(name).rates(rates)
