"""The page of products that were judged by a check."""

import warnings
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from miri_background.outcomes import Outcome, error_in_words
from miri_background.rendering import Part, render
from miri_background.reporting.report.answer import Answer, usable_part
from miri_background.reporting.report.page import ReportPage, day, tables_of
from miri_background.reporting.report.page_files import PAGE
from miri_background.reporting.words import counted

__all__ = ["page_of_check", "page_of_mosaic", "page_of_sets", "page_without_verdict"]


def page_of_check(check, beside=()):
    """Return the page of a check.

    Parameters
    ----------
    check : Check
        The judged products.
    beside : sequence of str, optional
        Names of files that are written beside it.

    Returns
    -------
    ReportPage
        With pictures and advice where the products allow it.
    """
    verdict, scope = check.verdict, ""
    if check.only_exact:
        scope = f"Only what is exact was judged, of every pixel: {check.only_exact}."
    elif check.analysis is not None:
        scope = usable_part(check.analysis)
    try:
        pictures, advice = _drawn(check)
    except Exception as error:  # noqa: BLE001 - what cannot be drawn takes no verdict back
        reason = error_in_words(error)
        scope += f" Pictures and advice could not be drawn ({reason}): please report it."
        pictures, advice = [], None
    provenance = verdict.provenance
    return ReportPage(
        title=check.name,
        answer=Answer.of(verdict, scope.strip()),
        when=day(provenance["started"]),
        verdict=verdict,
        pictures=pictures,
        advice=advice,
        story=_story(check),
        files=[(name, name) for name in beside],
        tables=tables_of(provenance),
    )


def _drawn(check):
    """Return the pictures of a check and advice, None without an analysis."""
    # Drawing takes longer to import than products take to be refused.
    from miri_background.advice.recommendation import advise
    from miri_background.reporting.advice_figures import advised
    from miri_background.reporting.report import pictures

    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        drawn = pictures.pictures_of(check.verdict.metrics, check.analysis, check.mosaic)
        if check.analysis is None:
            return drawn, None
        return drawn, advised(advise(check.products, check.analysis.lit))


def page_of_mosaic(check, beside=()):
    """Return the page of a mosaic that was judged by itself.

    Parameters
    ----------
    check : MosaicCheck
        The judged mosaic.
    beside : sequence of str, optional
        Names of files that are written beside it.

    Returns
    -------
    ReportPage
        With the mosaic and its catalogue, and every limit.
    """
    verdict, scope, pictures = check.verdict, "", []
    try:
        pictures = _pictures_of_mosaic(check)
    except Exception as error:  # noqa: BLE001 - what cannot be drawn takes no verdict back
        reason = error_in_words(error)
        scope = f"Pictures could not be drawn ({reason}): please report it."
    provenance = verdict.provenance
    return ReportPage(
        title=check.name,
        answer=Answer.of(verdict, scope),
        when=day(provenance["started"]),
        verdict=verdict,
        pictures=pictures,
        files=[(name, name) for name in beside],
        tables=tables_of(provenance),
    )


def _pictures_of_mosaic(check):
    """Return the pictures of a mosaic."""
    from miri_background.reporting.report.pictures import pictures_of

    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return pictures_of(check.verdict.metrics, mosaic=check.judgement)


def page_without_verdict(directory, reason):
    """Return the page of products that could not be judged.

    Parameters
    ----------
    directory : path-like
        Where they are.
    reason : CannotJudge
        The sentence and its cause.

    Returns
    -------
    ReportPage
        With the reason, and nothing of an earlier verdict.
    """
    answer = Answer.without_verdict(Outcome.CANNOT_JUDGE, str(reason), reason.cause)
    name = Path(directory).resolve().name or str(directory)
    return ReportPage(title=f"Products in {name}", answer=answer)


def page_of_sets(directory, content, ending, not_judged, beside=()):
    """Return the page of several sets of backgrounds, which leads to that of each.

    Parameters
    ----------
    directory : path-like
        Where the products are.
    content : dict
        As the schema of the summary describes it.
    ending : str
        The answer in one sentence.
    not_judged : list of (sequence of str, str)
        What no set names, and why.
    beside : sequence of str, optional
        Names of files that are written beside it.

    Returns
    -------
    ReportPage
        With a row for each set.
    """
    rows = [
        (
            # What could not be judged has no page of its own.
            each["name"] if "cause" in each else Part(each["name"], place=_page_of(each)),
            Part(outcome=each["outcome"]),
            len(each["science"]),
            len(each["backgrounds"]),
        )
        for each in content["sets"]
    ]
    # Below the table: a column of sentences has no room on a phone.
    reasons = [
        (each["name"], each["sentence"])
        for each in content["sets"]
        if each["outcome"] != Outcome.PASSED.word
    ]
    html = render("report/story_of_sets.html.j2", rows=rows, reasons=reasons, not_judged=not_judged)
    name = Path(directory).resolve().name or str(directory)
    return ReportPage(
        title=f"{counted(len(rows), 'set')} of backgrounds in {name}",
        answer=Answer(Outcome.of(content["outcome"]), ending),
        when=day(content["provenance"]["started"]),
        story=Markup(html),  # noqa: S704 - the template has escaped what it was given
        story_title="Sets of backgrounds",
        files=[(name, name) for name in beside],
    )


def _page_of(content):
    """Return where the page of a set is, as a link of the page of all."""
    return quote(f"{content['directory']}/{PAGE}")


def _story(check):
    """Return in words what was read, expected and compared."""
    verdict, products = check.verdict, check.products
    pipelines = {
        name: [" and ".join(filter(None, pair.values())) or "unknown" for pair in pairs]
        for name in ("rates", "calibrated")
        if (pairs := verdict.provenance.get(name))
    }
    html = render(
        "report/story_of_check.html.j2",
        science=[image.path.name for image in products.science],
        backgrounds=[image.path.name for image in products.backgrounds],
        clipping=check.clipping.sentence(),
        pipelines=pipelines,
        truth=verdict.provenance.get("truth", "none"),
        no_truth=products.no_truth,
        expectation=getattr(check.analysis, "expectation", None),
        behaviours=verdict.behaviours,
        drift=verdict.drift.text() if verdict.drift is not None else "",
    )
    return Markup(html)  # noqa: S704 - the template has escaped what it was given
