"""What candidate fixes are worth: as a page that needs no other file, as Markdown, as text."""

from dataclasses import replace
from importlib.metadata import version

import numpy as np
from markupsafe import Markup

from miri_background.fixes.variants import UNMODIFIED, VARIANTS
from miri_background.rendering import render
from miri_background.reporting.comparison.images import compared_images
from miri_background.reporting.comparison.page import shown_images
from miri_background.reporting.fixes.answers import answers
from miri_background.reporting.fixes.tables import errors_tables, flags_tables, place_tables
from miri_background.reporting.report.page import looks
from miri_background.tables import markdown_table, text_table

__all__ = ["html_page", "markdown", "text"]

_SECTIONS = {
    "errors": ("Errors", errors_tables),
    "flags": ("Flags", flags_tables),
    "place": ("Place of another subarray", place_tables),
}
_ABOUT = {
    "errors": "A pull is the scatter of what was measured around the truth, over the error that is "
    "reported. On lit pixels that nothing flags and no cosmic ray has hit, in any exposure; what "
    "whole outputs have in common is taken off before. Predicted are pulls of normal noise of the "
    "known detector, clipped by the suite's own clipping.",
    "flags": "Some pixels are spoiled in some of the backgrounds: by a latent image of 1 to 100 "
    "standard deviations, flagged as DO_NOT_USE and PERSISTENCE, or by saturation in the first "
    "group, which leaves no value. Right is a combined background within five predicted standard "
    "deviations of the truth, of which at least one background is not spoiled. Clipping: sigma 2, "
    "three iterations.",
    "place": "What is expected is the suite's own average of the backgrounds in the pixels in "
    "which they were read, to the rounding of single precision. Two backgrounds each.",
}


def _tables(tried):
    """Return the sections of what was tried, each with its tables."""
    return [(name, *_SECTIONS[name]) for name in tried.cases]


def text(tried):
    """Return what came out, for a terminal.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    str
        The tables that are not folded, and the answers.
    """
    lines = []
    for _, _, tables in _tables(tried):
        for table in tables(tried):
            if not table.folded:
                lines += [table.caption, text_table(table.heads, table.rows), ""]
    lines += [f"{each.name}: {each.sentence}\n" for each in answers(tried)]
    return "\n".join(lines).rstrip()


def markdown(tried):
    """Return what came out, to paste into a thread.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    str
        Markdown: answers, and tables folded.
    """
    lines = []
    for each in answers(tried):
        name = f"[{each.name}]({each.place})" if each.place else each.name
        lines.append(f"* **{name}.** {each.sentence}")
    lines += ["", _circumstances(tried), ""]
    for name, title, tables in _tables(tried):
        lines += [f"<details><summary>{title}</summary>", "", _ABOUT[name], ""]
        for table in tables(tried):
            lines += [f"**{table.caption}**", "", *markdown_table(table.heads, table.rows)]
        lines += ["</details>", ""]
    return "\n".join(lines)


def _circumstances(tried):
    """Return a sentence on what the numbers come from."""
    return (
        f"Measured with jwst {version('jwst')} by miri-background "
        f"{version('miri-background-validation')} on simulated exposures of empty sky with truth "
        f"(F770W), SUB256 in {tried.seeds} realisations, FULL and BRIGHTSKY in one; jwst itself is "
        "not changed. Errors are standard errors."
    )


def html_page(tried):
    """Return what came out, as one file.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    str
        HTML.
    """
    variants = [
        (each.name, each.title, _parameters(each))
        for name in tried.cases
        for each in VARIANTS[name]
    ]
    return render(
        "report/fixes.html.j2",
        title="Candidate fixes of the background step",
        answers=answers(tried),
        circumstances=_circumstances(tried),
        pictures=[shown_images(each) for each in _pictures(tried)],
        sections=[
            (name, title, _ABOUT[name], tables(tried)) for name, title, tables in _tables(tried)
        ],
        variants=variants,
        style=Markup(looks()["report.css"].decode()),  # noqa: S704 - the suite's own
        version=version("miri-background-validation"),
    )


def _parameters(variant):
    """Return the parameters of a variant in words."""
    return ", ".join(f"{name} = {value}" for name, value in variant.parameters.items()) or "none"


def _pictures(tried):
    """Return what is left of the sky with misplaced backgrounds, and with those in their place."""
    for data, images in tried.images.items():
        if not {UNMODIFIED, "placed"} <= set(images):
            continue
        pair = [images[UNMODIFIED], images["placed"]]
        if np.array_equal(*pair, equal_nan=True):
            continue
        flags = np.zeros(pair[0].shape, dtype=np.uint32)
        words = f"{data}: what should be 0"
        both = [(image, flags) for image in pair]
        shown = compared_images(words, "subtracted", both, (UNMODIFIED, "placed"))
        if shown is not None:
            return [replace(shown, name=f"{data}: subtracted image less its truth")]
    return []
