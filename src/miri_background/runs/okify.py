"""Making the verdict of a run the baseline of its pipeline build."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from miri_background.outcomes import CannotJudge, Outcome, SetUpWrong
from miri_background.places import writable
from miri_background.references.mappings import CONTEXTS
from miri_background.repository import checkout_state, repository_file
from miri_background.validation.measurements.measurement import Measurement
from miri_background.validation.verdict.baselines import (
    Baseline,
    baseline_directory,
    baselines_of,
    find_baseline,
    release_of,
)
from miri_background.validation.verdict.drift import compare
from miri_background.validation.verdict.limits import OF_VALIDATION, criteria, judge
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.verdict import Verdict

__all__ = ["Proposal", "propose_baseline"]

# Limits are recomputed from numbers that were written with all their digits, with
# another release of scipy at most.
_SAME_LIMIT = 1e-9


@dataclass(frozen=True)
class Proposal:
    """A baseline that may be written, and what it would change.

    Parameters
    ----------
    baseline : Baseline
        What would be written.
    directory : pathlib.Path
        Where it would be written.
    changes : str
        What changed since the present baseline, or the metrics that begin one.
    """

    baseline: Baseline
    directory: Path
    changes: str

    @property
    def path(self):
        """The file that would be written, a `pathlib.Path`."""
        return self.directory / self.baseline.name

    def write(self):
        """Write the baseline whole, in the place of one of the same name."""
        with writable(self.directory):
            self.baseline.write(self.directory)


def propose_baseline(run, reason, baselines=None, checkout=None):
    """Return what making a run a baseline would change.

    Parameters
    ----------
    run : path-like
        The run directory.
    reason : str
        Why its numbers are right.
    baselines : str or path-like, optional
        Directory of baselines; by default ``baselines/`` of the checkout.
    checkout : path-like, optional
        The suite's own repository; by default the one that this package runs from.

    Returns
    -------
    Proposal
        Not yet written.

    Raises
    ------
    CannotJudge
        If the run is no evidence for what a released build does, naming why.
    """
    run, checkout = Path(run), Path(checkout or repository_file())
    if not reason.strip():
        msg = "A baseline needs a reason: say with --reason why these numbers are right."
        raise SetUpWrong(msg)
    directory = baseline_directory(baselines)
    verdict = load_metrics(run / "metrics.json")
    _require_passed(run, verdict)
    _require_same_criteria(run, verdict)
    _require_known_suite(run, verdict, checkout)
    _require_released_pipeline(run, verdict)
    _require_same_pipeline(verdict, directory)
    found = find_baseline(verdict.provenance, directory)
    # What changed since an older baseline is no part of the new one.
    numbers = Verdict(
        verdict.metrics,
        verdict.provenance,
        verdict.behaviours,
        verdict.advisories,
        not_judged=verdict.not_judged,
        findings=verdict.findings,
    )
    return Proposal(Baseline(numbers, reason.strip()), directory, _changes(verdict, found))


def _changes(verdict, found):
    """Return what changed since a baseline, or all metrics where there is none."""
    if found is None:
        return (
            "There is no baseline of this or an earlier release of jwst for this observation: "
            f"all {len(verdict.metrics)} metrics begin one.\n\n{verdict.text_table()}"
        )
    changed = compare(verdict, found.verdict, found.name).text()
    return f"{changed}\n\nReason of {found.name}: {found.reason}"


def _require_same_criteria(run, verdict):
    """Refuse a verdict that does not follow from its values by the criteria of this suite."""
    differing = _judged_otherwise(verdict.metrics)
    if differing is not None:
        msg = (
            f"{run / 'metrics.json'} was judged by other criteria than those of this suite "
            f"(by these, {differing!r} has another limit, status or meaning): "
            "run the validation again, in a new directory."
        )
        raise CannotJudge(msg)


def _judged_otherwise(metrics):
    """Return the first metric that today's criteria judge otherwise, None if there is none."""
    left = list(metrics)
    for file in OF_VALIDATION:
        known = criteria(file)["criteria"]
        of_file = [metric for metric in left if metric.name in known]
        left = [metric for metric in left if metric.name not in known]
        for metric in of_file:
            if known[metric.name]["kind"] == "statistical" and metric.standard_error is None:
                return metric.name
        judged = judge(list(map(_measured, of_file)), file)
        for metric, again in zip(of_file, judged, strict=True):
            same_limit = math.isclose(metric.limit, again.limit, rel_tol=_SAME_LIMIT)
            if not same_limit or replace(metric, limit=again.limit) != again:
                return metric.name
    return left[0].name if left else None


def _measured(metric):
    """Return what was measured of a metric, without its limit."""
    return Measurement(
        metric.name,
        metric.region,
        metric.exposure,
        metric.value,
        metric.standard_error,
        metric.trials,
        metric.detail,
    )


def _require_passed(run, verdict):
    """Refuse a run that failed, or that was broken on purpose."""
    control = verdict.provenance["calibration"]["control"]
    if control != "none":
        msg = f"{run} was broken on purpose (control: {control}): okify a run without control."
        raise CannotJudge(msg)
    if verdict.outcome is Outcome.FAILED:
        msg = (
            f"{run} failed ({len(verdict.failures())} of {len(verdict.metrics)} metrics are over "
            "their limit): only a run that passed can become a baseline."
        )
        raise CannotJudge(msg)


def _require_known_suite(run, verdict, checkout):
    """Refuse a run by, or a checkout of, a suite that differs from its commit."""
    for suite, state in (
        (f"The suite that made {run}", verdict.provenance),
        (f"The suite in {checkout}", checkout_state(checkout)),
    ):
        if state["suite_dirty"] is None:
            msg = (
                f"{suite} is of a state that is unknown to git (git is missing, or this is no "
                "repository of its own): validate and okify from a git checkout."
            )
            raise SetUpWrong(msg)
        if state["suite_dirty"]:
            msg = (
                f"{suite} has changes that are not committed: commit them or take them back, "
                "and okify a run that was made after that."
            )
            raise SetUpWrong(msg)


def _require_released_pipeline(run, verdict):
    """Refuse a run of a pipeline that was not released, or with other references than ours."""
    provenance = verdict.provenance
    if release_of(provenance) is None:
        msg = (
            f"{run} is of jwst {provenance['versions']['jwst']}, which is no release: "
            "baselines are of released versions only."
        )
        raise CannotJudge(msg)
    if provenance["crds_context"] not in CONTEXTS:
        msg = (
            f"{run} was calibrated with references of {provenance['crds_context']}: "
            "okify a run with --crds-cache synthetic, whose references everybody has."
        )
        raise CannotJudge(msg)


def _require_same_pipeline(verdict, directory):
    """Refuse a pipeline whose source is not what it was when its release was okified."""
    mine = verdict.provenance["pipeline_fingerprint"]
    for found in baselines_of(directory, jwst=release_of(verdict.provenance)):
        its = found.verdict.provenance["pipeline_fingerprint"]
        if mine != its:
            msg = (
                f"The source of jwst {found.jwst} that was installed ({mine}) is not that of "
                f"{found.name} ({its}, {found.verdict.provenance['host']}): install the release as "
                "it is, on such a machine, or remove its baselines to begin them anew."
            )
            raise CannotJudge(msg)
