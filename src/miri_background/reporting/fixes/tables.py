"""Tables of what each background step makes of the same data."""

import math
from dataclasses import dataclass

from miri_background.fixes.errors import CLIPPINGS
from miri_background.fixes.flags import KINDS
from miri_background.fixes.variants import UNMODIFIED, VARIANTS
from miri_background.reporting.fixes.numbers import score_text

__all__ = ["Table", "errors_tables", "flags_tables", "place_tables"]


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    caption : str
        What it is of, with the unit.
    heads : tuple of str
        Of the columns.
    rows : list of tuple of str
        The first cell of each is its head.
    folded : bool, optional
        Whether a page shows it only when it is asked for.
    """

    caption: str
    heads: tuple
    rows: list
    folded: bool = False


def _predicted(score):
    """Return the prediction of a score, a dash where there is none."""
    if score is None or not math.isfinite(score.predicted):
        return "–"
    return f"{score.predicted:.3f}"


# ------------------------------------------------------------------ errors


def _setups(tried):
    """Return what was tried of errors: data, number of backgrounds, clipping."""
    found = (
        (each.data, each.backgrounds, each.clipping)
        for each in tried.scores
        if each.case == "errors" and each.backgrounds
    )
    return sorted(dict.fromkeys(found), key=lambda each: list(CLIPPINGS).index(each[2]))


def errors_tables(tried):
    """Return the tables of errors.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    list of Table
        None if errors were not tried.
    """
    setups = _setups(tried)
    if not setups:
        return []
    names = [each.name for each in VARIANTS["errors"]]

    def of(setup, variant, quantity):
        data, backgrounds, clipping = setup
        return tried.score(
            "errors", data, variant, quantity, backgrounds=backgrounds, clipping=clipping
        )

    def pulls(quantity):
        rows = []
        for setup in setups:
            scores = [of(setup, name, quantity) for name in names]
            if any(scores):
                expected = _predicted(scores[0]), _predicted(scores[-1])
                rows.append((*map(str, setup), *map(score_text, scores), *expected))
        return rows

    heads = ("data", "backgrounds", "clipping")
    last = (*heads, *names, f"predicted: {UNMODIFIED}", f"predicted: {names[-1]}")
    combined = [
        (
            *map(str, setup),
            score_text(pull := of(setup, UNMODIFIED, "pull of the combined background")),
            _predicted(pull),
            score_text(bias := of(setup, UNMODIFIED, "bias of the combined background")),
            _predicted(bias),
            score_text(noise := of(setup, UNMODIFIED, "noise of the subtracted image")),
            _predicted(noise),
        )
        for setup in setups
    ]
    alone = [
        (each.data, score_text(each), _predicted(each))
        for each in tried.scores
        if each.quantity == "pull of the rate alone"
    ]
    return [
        Table(
            "Pull of the subtracted image: scatter around the truth over ERR; 1 is right",
            last,
            pulls("pull of the subtracted image"),
        ),
        Table("The same after the flat-field step", last, pulls("pull after flat_field")),
        Table(
            "Pull of a science rate before any subtraction: what no background is to blame for",
            ("data", "measured", "predicted"),
            alone,
        ),
        Table(
            "The combined background, and the noise that it leaves (DN/s)",
            (*heads, "pull", "predicted", "bias", "predicted", "noise of the rest", "predicted"),
            combined,
        ),
    ]


# ------------------------------------------------------------------ flags

_FLAGS_QUANTITIES = {
    "pixels that can be used": "Spoiled pixels that can be used in the subtracted image (%)",
    "wrong and not flagged": "Spoiled pixels whose background is wrong and not flagged (%)",
    "right and flagged": "Spoiled pixels whose background is right and flagged (%)",
    "bias": "Bias of the combined background in spoiled pixels (DN/s)",
    "noise": "Scatter of the combined background in spoiled pixels (DN/s)",
    "pull": "Pull of the combined background in spoiled pixels",
}
_SHOWN_COUNT = 4  # backgrounds, of which tables are not folded


def flags_tables(tried):
    """Return the tables of flags.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    list of Table
        None if flags were not tried.
    """
    names = [each.name for each in VARIANTS["flags"]]
    setups = dict.fromkeys(
        (each.data, each.backgrounds) for each in tried.scores if each.case == "flags"
    )
    found = []
    for data, count in sorted(setups, key=lambda each: (each[1] != _SHOWN_COUNT, each)):
        groups = [
            *(f"{kind} in {number} of {count}" for kind in KINDS for number in range(1, count + 1)),
            "no background",
        ]
        for quantity, words in _FLAGS_QUANTITIES.items():
            rows = []
            for group in groups:
                scores = [
                    tried.score("flags", data, name, quantity, backgrounds=count, group=group)
                    for name in names
                ]
                if any(scores):
                    expected = (_predicted(scores[0]),) if quantity == "noise" else ()
                    rows.append((group, *map(score_text, scores), *expected))
            heads = ("pixels spoiled by", *names, *(("predicted",) if quantity == "noise" else ()))
            folded = count != _SHOWN_COUNT or data != "SUB256"
            found.append(Table(f"{words}: {data}, {count} backgrounds", heads, rows, folded))
    return [*found, *_as_calibrated(tried, setups, names)] if found else []


def _as_calibrated(tried, setups, names):
    """Return tables of the flags that the pipeline itself has set."""
    for quantity in ("pixels that can be used", "pixels without any flag"):
        rows = [
            (
                f"{data}, {count} backgrounds",
                *(
                    score_text(
                        tried.score(
                            "flags",
                            data,
                            name,
                            quantity,
                            backgrounds=count,
                            group="as calibrated",
                        )
                    )
                    for name in names
                ),
            )
            for data, count in setups
        ]
        yield Table(
            f"With the flags of calwebb_detector1 alone: {quantity} (% of the lit ones)",
            ("data", *names),
            rows,
        )


# ------------------------------------------------------------------ place

_COVERED = {
    "its own background": "its own background (%)",
    "another pixel's background": "another pixel's (%)",
    "no background, and no flag": "none, and no flag (%)",
    "bias of the subtracted image": "bias (DN/s)",
    "noise of the subtracted image": "noise (DN/s)",
}
_NOT_COVERED = {
    "another pixel's background": "another pixel's (%)",
    "no background, and no flag": "none, and no flag (%)",
    "flagged": "flagged (%)",
}


def place_tables(tried):
    """Return the tables of the place.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    list of Table
        None if the place was not tried.
    """
    every = dict.fromkeys(each.data for each in tried.scores if each.case == "place")

    def rows(group, quantities):
        found = []
        for data in every:
            for variant in VARIANTS["place"]:
                scores = [
                    tried.score("place", data, variant.name, quantity, group=group)
                    for quantity in quantities
                ]
                if any(scores):
                    expected = (_predicted(scores[-1]),) if group == "covered" else ()
                    found.append((data, variant.name, *map(score_text, scores), *expected))
        return found

    if not every:
        return []
    heads = ("science from backgrounds", "step")
    return [
        Table(
            "What a pixel gets that backgrounds cover",
            (*heads, *_COVERED.values(), "predicted noise"),
            rows("covered", _COVERED),
        ),
        Table(
            "What a pixel gets that no background covers",
            (*heads, *_NOT_COVERED.values()),
            rows("not covered", _NOT_COVERED),
        ),
    ]
