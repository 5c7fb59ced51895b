"""Judging products that are already there, whoever wrote them."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from miri_background.files import require_own, write_text_whole
from miri_background.outcomes import CannotJudge, CriterionFailed, error_in_words, unforeseen
from miri_background.places import require_writable, writable
from miri_background.provenance import provenance_of_check, provenance_of_mosaic
from miri_background.reading import read_json
from miri_background.reporting.junit import is_junit_of_check, junit_error, junit_xml
from miri_background.reporting.report.page_files import PageFiles
from miri_background.validation.products.clipping_choice import ClippingParameters
from miri_background.validation.products.finding import stem_of
from miri_background.validation.products.images import Products
from miri_background.validation.products.stage2 import product_sets, require_one_set
from miri_background.validation.verdict.notes import Notes
from miri_background.validation.verdict.verdict import Verdict

__all__ = [
    "OWN_RESULTS",
    "SETS",
    "Check",
    "MosaicCheck",
    "check",
    "check_mosaics",
    "check_set",
    "ending",
    "remove_earlier_sets",
    "report",
    "report_of_mosaic",
    "require_one_set",
    "require_place",
    "results_place",
    "sets_to_check",
    "write_check",
    "write_reason",
]


@dataclass(frozen=True)
class Check:
    """What was judged, and the verdict.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the products.
    products : Products
        What was read.
    clipping : ClippingParameters
        How the step is taken to have clipped.
    verdict : Verdict
        The judgement.
    analysis : Analysis, ExactAnalysis or None, optional
        Products beside what is expected of them, for pictures and advice.
    mosaic : MosaicJudgement or None, optional
        What calwebb_image3 made of them, if it is there.
    """

    directory: Path
    products: Products
    clipping: ClippingParameters
    verdict: Verdict
    analysis: object = None
    mosaic: object = None

    @property
    def only_exact(self):
        """Why only what is exact was judged, as a part of a sentence; empty if more was."""
        return getattr(self.analysis, "reason", "")

    @property
    def name(self):
        """Name of the observation: its first exposure, filter, subarray and exposures."""
        science, backgrounds = self.products.science, self.products.backgrounds
        header = science[0].header
        return (
            f"{stem_of(science[0].path)} {header['FILTER']} {header['SUBARRAY']}, "
            f"{len(science)} + {len(backgrounds)} exposures"
        )


@dataclass(frozen=True)
class MosaicCheck:
    """A mosaic that was judged without what it was made of, and the verdict.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the mosaic.
    judgement : MosaicJudgement
        What was measured.
    verdict : Verdict
        The judgement.
    """

    directory: Path
    judgement: object
    verdict: Verdict

    @property
    def name(self):
        """Name of the mosaic, its filter and exposures."""
        mosaic = self.judgement.mosaic
        name = mosaic.header.get("FILTER", "")
        return f"{stem_of(mosaic.path)} {name}, mosaic of {len(mosaic.named)} exposures"


def check_mosaics(directory):
    """Judge the mosaics of a directory that has nothing of what they were made of.

    Parameters
    ----------
    directory : path-like
        Holds ``*_i2d.fits``, and perhaps ``*_cat.ecsv``, ``*_segm.fits`` and ``*_crf.fits``.

    Returns
    -------
    list of MosaicCheck
        Empty if there is no mosaic of several exposures.

    Raises
    ------
    CannotJudge
        If a mosaic is damaged, or there are several: they have to be in directories of their own.
    """
    directory, started = Path(directory), datetime.now(UTC)
    with _foreseen(directory):
        from miri_background.validation.mosaic.judgement import MosaicJudgement
        from miri_background.validation.mosaic.reading import find_mosaics, read_mosaic

        found = find_mosaics(directory)
        if len(found) > 1:
            msg = (
                f"{directory} has {len(found)} mosaics, such as {found[0].name} and "
                f"{found[1].name}: put each with its exposures into a directory of its own."
            )
            raise CannotJudge(msg)
        checks = []
        for path in found:
            judgement = MosaicJudgement(read_mosaic(path))
            provenance = provenance_of_mosaic(judgement.mosaic, directory, started)
            verdict = Verdict(
                judgement.metrics,
                provenance,
                not_judged=judgement.not_judged,
                findings=judgement.findings,
            )
            checks.append(MosaicCheck(directory, judgement, verdict))
        return checks


def report_of_mosaic(check):
    """Return what was judged of a mosaic, and the verdict, as text for a terminal.

    Parameters
    ----------
    check : MosaicCheck
        The judged mosaic.

    Returns
    -------
    str
        Files, table, findings.
    """
    verdict = check.verdict
    lines = [
        check.name,
        *(f"  {name}" for name in verdict.provenance["inputs"]),
        "",
        verdict.text_table(),
        "",
        Notes(verdict).text(),
    ]
    return "\n".join(lines).rstrip()


def check(
    directory, sigma=None, maxiters=None, association=None, baselines=None, expect="", **choices
):
    """Judge the products in a directory that share one set of backgrounds.

    Parameters
    ----------
    directory : path-like
        Holds rates, associations and products of calwebb_image2, with or without truth.
    sigma, maxiters : float and int, optional
        Clipping parameters that the step was given; see `read_clipping`.
    association : path-like, optional
        The only association to judge.
    baselines : path-like, optional
        Directory of baselines, by default that of the checkout.
    expect : str, optional
        Proposed behaviours that the build is to have, such as "errors=quadrature".
    **choices
        Others of `sets_to_check`.

    Returns
    -------
    Check
        The verdict on all metrics.

    Raises
    ------
    CannotJudge
        If something is missing, damaged, or does not belong together.
    """
    found = sets_to_check(directory, sigma, maxiters, association, **choices)
    return check_set(found, require_one_set(found), baselines, expect)


def sets_to_check(directory, sigma=None, maxiters=None, association=None, **choices):
    """Find the sets of products in a directory.

    Parameters
    ----------
    directory : path-like
        Holds them.
    sigma, maxiters : float and int, optional
        Clipping parameters that the step was given.
    association : path-like, optional
        The only association to judge.
    **choices
        Others of `product_sets`.

    Returns
    -------
    ProductSets
        Each can be judged by itself.

    Raises
    ------
    CannotJudge
        If there is none; whatever was found in place of associations is one sentence.
    """
    with _foreseen(directory):
        return product_sets(directory, sigma, maxiters, association, **choices)


def check_set(found, chosen, baselines=None, expect=""):
    """Judge products that share one set of backgrounds.

    Parameters
    ----------
    found : ProductSets
        As `sets_to_check` returns them.
    chosen : ProductSet
        One of them.
    baselines : path-like, optional
        Directory of baselines, by default that of the checkout.
    expect : str, optional
        Proposed behaviours that the build is to have, such as "errors=quadrature".

    Returns
    -------
    Check
        The verdict on all metrics.

    Raises
    ------
    CannotJudge
        If something is missing, damaged, or does not belong together.
    """
    started, directory = datetime.now(UTC), found.directory
    with _foreseen(directory):
        products = found.products(chosen)
        # Imported here, so that products that cannot be judged are refused at once.
        from miri_background.validation.judgement import judge_products
        from miri_background.validation.mosaic.judgement import mosaic_of

        judgement = judge_products(products, expect=expect)
        # Products may have been made with other clipping parameters than the given ones.
        products = judgement.analysis.products
        mosaic = mosaic_of(directory, judgement.analysis)
        if mosaic is not None:
            inputs = (*products.inputs, *mosaic.mosaic.inputs)
            products = replace(products, inputs=inputs)
        provenance = provenance_of_check(products, directory, judgement.truth, started)
        verdict = judgement.verdict(provenance, baselines, mosaic)
    return Check(directory, products, found.clipping, verdict, judgement.analysis, mosaic)


@contextlib.contextmanager
def _foreseen(directory):
    """Give one sentence for what nobody foresaw."""
    try:
        yield
    except CannotJudge:
        raise
    except Exception as error:
        # Left alone, it would end with the exit code of a failed verdict.
        reason = error_in_words(error)
        msg = f"The products in {directory} cannot be judged ({reason}): please report it."
        raise unforeseen(error, msg) from error


def report(check):
    """Return what was judged, and the verdict, as text for a terminal.

    Parameters
    ----------
    check : Check
        The judged products.

    Returns
    -------
    str
        Files, clipping parameters, table, behaviours and advisories.
    """
    verdict, provenance = check.verdict, check.verdict.provenance
    pipelines = "; ".join(
        f"{name} {' and '.join(filter(None, pair.values())) or 'unknown'}"
        for name in ("rates", "calibrated")
        for pair in provenance[name]
    )
    lines = [
        check.name,
        *(f"  {name}" for name in provenance["inputs"]),
        f"pipeline and context: {pipelines}",
        f"clipping: {check.clipping.sentence()}",
        f"truth: {provenance['truth']}",
        "",
        verdict.text_table(),
        "",
        Notes(verdict).text(),
        "",
        verdict.drift.text(),
    ]
    return "\n".join(lines)


def ending(check):
    """Return how products were judged: the outcome's word, and which limits are broken.

    Parameters
    ----------
    check : Check
        The judged products.

    Returns
    -------
    str
        One sentence, the last of a report.
    """
    names = dict.fromkeys(each.name for each in check.verdict.findings)
    found = f"; findings about the data: {', '.join(names)}" if names else ""
    return check.verdict.outcome.word.upper() + _failures(check.verdict) + found


def _failures(verdict):
    """Return which limits are broken, as the end of a sentence."""
    try:
        verdict.raise_if_failed()
    except CriterionFailed as error:
        return f": {error}"
    return ""


def results_place(directory, output=None):
    """Return where results are written: a run keeps its own metrics beside those of its check.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the products.
    output : path-like, optional
        What was asked for.

    Returns
    -------
    pathlib.Path
        A directory.
    """
    if output is not None:
        return Path(output)
    return directory / "check" if (directory / "observation.json").exists() else directory


def _is_metrics_of_check(path):
    """Return whether a file is what a check has written as metrics.json."""
    try:
        return read_json(path)["provenance"]["kind"] in _KINDS
    except (OSError, ValueError, LookupError, TypeError):
        return False


_KINDS = ("check", "check of sets", "check of mosaic")
SETS = "sets"  # directory of the results of each set of backgrounds, if there are several

# Files that a check writes, and whether one in their place is of a check.
OWN_RESULTS = {"metrics.json": _is_metrics_of_check, "junit.xml": is_junit_of_check}


def require_place(directory, output=None, page=True):
    """Refuse a place that has results of something else, or cannot be written.

    Parameters
    ----------
    directory : path-like
        Should hold the products.
    output : path-like, optional
        Where results are to be written; see `write_check`.
    page : bool, optional
        Whether a page is to be written, too.

    Raises
    ------
    CannotJudge
        Before anything is judged; nothing is written.
    """
    place = results_place(Path(directory), output)
    for name, ours in OWN_RESULTS.items():
        require_own(place / name, ours=ours)
    if page:
        PageFiles(place).require_own()
    if output is not None or Path(directory).is_dir():
        require_writable(place)


def remove_earlier_sets(directory, output=None):
    """Remove the results of sets that an earlier check has written, and nothing else.

    Parameters
    ----------
    directory : path-like
        Holds the products.
    output : path-like, optional
        Where results are to be written; see `write_check`.
    """
    place = results_place(Path(directory), output) / SETS
    for below in sorted(place.glob("*")):
        with contextlib.suppress(CannotJudge, OSError):
            require_own(*(below / name for name in OWN_RESULTS), ours=_is_of_check)
            for name in OWN_RESULTS:
                (below / name).unlink(missing_ok=True)
            PageFiles(below).remove()
            below.rmdir()
    with contextlib.suppress(OSError):
        place.rmdir()


def _is_of_check(path):
    """Return whether a file in the place of a result is one of a check."""
    return OWN_RESULTS[path.name](path)


def write_check(check, output=None, page=True):
    """Write metrics.json, junit.xml and the page.

    Parameters
    ----------
    check : Check
        The judged products.
    output : path-like, optional
        Where; by default beside the products, for a run of this suite in its directory
        ``check``.
    page : bool, optional
        Whether a page is written, too.

    Returns
    -------
    list of pathlib.Path
        The files; of a page, itself.

    Raises
    ------
    CannotJudge
        If it cannot be written, or there are results of something else than a check.
    """
    place = results_place(check.directory, output)
    verdict = check.verdict
    texts = {
        place / "metrics.json": verdict.json_text(),
        place / "junit.xml": junit_xml(verdict, check.name, verdict.provenance["wall_time_s"]),
    }
    with writable(place):
        for path, text in texts.items():
            write_text_whole(path, text, ours=OWN_RESULTS[path.name])
        # Written last: what has a page has its numbers beside it.  Imported here, with drawing.
        from miri_background.runs.check_page import page_of_check, page_of_mosaic

        page_of = page_of_mosaic if isinstance(check, MosaicCheck) else page_of_check
        pages = page_of(check, OWN_RESULTS).write(place) if page else []
    return [*texts, *pages]


def write_reason(directory, output, reason, page=True):
    """Write, where possible, why products could not be judged, in place of an earlier verdict.

    Parameters
    ----------
    directory : path-like
        Should hold the products.
    output : path-like or None
        Where to write, as for `write_check`.
    reason : CannotJudge
        The sentence and its cause.
    page : bool, optional
        Whether a page says so, too.
    """
    directory = Path(directory)
    place = results_place(directory, output)
    if output is None and not directory.is_dir():
        return
    # The reason is printed even if it cannot be written.
    with contextlib.suppress(OSError, CannotJudge):
        require_place(directory, output, page)
        (place / "metrics.json").unlink(missing_ok=True)
        text = junit_error(str(directory), str(reason), reason.cause)
        write_text_whole(place / "junit.xml", text, ours=is_junit_of_check)
        if page:
            from miri_background.runs.check_page import page_without_verdict

            page_without_verdict(directory, reason).write(place)
