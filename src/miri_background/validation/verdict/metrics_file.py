"""Reading metrics.json: verdicts that were written, by this version and the two before."""

import math

from miri_background.outcomes import CannotJudge
from miri_background.reading import read_json
from miri_background.schemas import require
from miri_background.validation.findings.finding import Finding
from miri_background.validation.measurements.remarks import Advisory, Behaviour
from miri_background.validation.verdict.drift import Drift
from miri_background.validation.verdict.limits import Metric
from miri_background.validation.verdict.verdict import (
    SCHEMA_VERSION,
    NotJudged,
    Verdict,
    metrics_schema,
)

__all__ = ["load_metrics", "upgraded", "verdict_as_described", "verdict_of"]

_BEFORE = (2, 3)  # versions that lack only what can be added empty


def upgraded(content):
    """Return what a metrics file of a version before holds, in the layout of this version.

    Parameters
    ----------
    content : object
        What a metrics file holds.

    Returns
    -------
    object
        The same, if it is not of version 2, which did not say what it left out, or of 3, which
        knew no findings.
    """
    try:
        if content["schema_version"] not in _BEFORE:
            return content
        metrics = [{"detail": "", "finding": ""} | each for each in content["metrics"]]
    except (LookupError, TypeError):
        return content
    added = {"not_judged": [], "findings": []}
    return added | content | {"schema_version": SCHEMA_VERSION, "metrics": metrics}


def load_metrics(path):
    """Return the verdict of a metrics file.

    Parameters
    ----------
    path : pathlib.Path
        metrics.json of a run.

    Returns
    -------
    Verdict
        As it was written.

    Raises
    ------
    CannotJudge
        If the file is missing, damaged or of another version.
    """
    try:
        return verdict_as_described(read_json(path))
    except (OSError, ValueError) as error:
        msg = f"{path} is not a whole metrics file ({error}): run the validation again."
        raise CannotJudge(msg) from error


def verdict_as_described(content):
    """Return the verdict of a metrics file that is what the schema describes.

    Parameters
    ----------
    content : object
        What a metrics file holds, of this version or of those before.

    Returns
    -------
    Verdict
        As it was written.

    Raises
    ------
    NotAsDescribed
        If it is anything else.
    """
    content = upgraded(content)
    require(content, metrics_schema)
    return verdict_of(content)


def verdict_of(content):
    """Return the verdict that a metrics file holds.

    Parameters
    ----------
    content : dict
        As the schema of metrics.json describes it.

    Returns
    -------
    Verdict
        As it was written.
    """
    metrics = [
        Metric(**(each | {name: math.nan for name in ("value", "limit") if each[name] is None}))
        for each in content["metrics"]
    ]
    return Verdict(
        metrics,
        content["provenance"],
        [Behaviour(**each) for each in content["behaviours"]],
        [Advisory(**each) for each in content["advisories"]],
        Drift.of(content["drift"]) if "drift" in content else None,
        [NotJudged(**each) for each in content["not_judged"]],
        [Finding(**(each | {"explains": tuple(each["explains"])})) for each in content["findings"]],
    )
