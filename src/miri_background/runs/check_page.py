"""The page of products that were judged by a check."""

import warnings
from pathlib import Path

from markupsafe import Markup

from miri_background.outcomes import Outcome
from miri_background.rendering import render
from miri_background.reporting.report.answer import Answer, usable_part
from miri_background.reporting.report.page import ReportPage, day, tables_of
from miri_background.reporting.report.page_files import PageFiles

__all__ = ["page_files", "page_of_check", "page_without_verdict"]


def page_files(place):
    """Return the files of the page in a directory."""
    return PageFiles(place)


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
    # Drawing takes longer to import than products take to be refused.
    from miri_background.advice.recommendation import advise
    from miri_background.reporting.advice_figures import advised
    from miri_background.reporting.report.pictures import pictures_of

    verdict, analysis = check.verdict, check.analysis
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        pictures = pictures_of(verdict.metrics, analysis)
        scope = usable_part(analysis) if analysis is not None else ""
        advice = advise(check.products, analysis.masks.lit) if analysis is not None else None
    provenance = verdict.provenance
    return ReportPage(
        title=check.name,
        answer=Answer.of(verdict, scope),
        when=day(provenance["started"]),
        verdict=verdict,
        pictures=pictures,
        advice=advice and advised(advice),
        story=_story(check),
        files=[(name, name) for name in beside],
        tables=tables_of(provenance),
    )


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
        expectation=check.analysis and check.analysis.expectation,
        behaviours=verdict.behaviours,
        drift=verdict.drift.text() if verdict.drift is not None else "",
    )
    return Markup(html)  # noqa: S704 - the template has escaped what it was given
