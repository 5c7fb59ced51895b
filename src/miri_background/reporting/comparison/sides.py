"""What is compared: a run, a check, a baseline or a night's run, by how somebody names it."""

from dataclasses import dataclass
from pathlib import Path

from miri_background.outcomes import SetUpWrong
from miri_background.reading import read_json
from miri_background.reporting.history import History, load, verdict_of_record
from miri_background.validation.verdict.baselines import baseline_directory, load_baseline
from miri_background.validation.verdict.metrics_file import load_metrics
from miri_background.validation.verdict.verdict import Verdict

__all__ = ["Side", "side_of"]

_METRICS = "metrics.json"
_OF_CHECK = "check"  # below a run of this suite
_OF_BASELINE = "reason"  # what only a baseline has


@dataclass(frozen=True)
class Side:
    """A result that is compared.

    Parameters
    ----------
    name : str
        What it is called on the page.
    verdict : Verdict
        Its metrics.
    products : pathlib.Path or None
        Directory of its products, None of a baseline or where they are gone.
    """

    name: str
    verdict: Verdict
    products: Path | None

    @property
    def build(self):
        """Version of jwst that made the products, as far as they say it."""
        provenance = self.verdict.provenance
        versions = [provenance["versions"].get("jwst")]
        versions += [each["CAL_VER"] for each in provenance.get("calibrated", ())]
        return next(filter(None, versions), "unknown")


def side_of(named, history=None, baselines=None):
    """Return a result by how somebody names it.

    Parameters
    ----------
    named : str
        Directory of a run or of a check, metrics.json, file or name of a baseline, or id of a run
        in the history, or its beginning.
    history : path-like, optional
        Directory of the history.
    baselines : path-like, optional
        Directory of baselines, by default that of the checkout.

    Returns
    -------
    Side
        With its products, where they are still there.

    Raises
    ------
    SetUpWrong
        If there is no such result.
    CannotJudge
        If its file is damaged or of another version of the suite.
    """
    path = Path(named)
    if path.is_dir():
        return _of_directory(path, named)
    if path.is_file():
        return _of_file(path, named)
    baseline = _baseline(named, baselines)
    if baseline is not None:
        return Side(named, load_baseline(baseline).verdict, None)
    kept = load(history) if history is not None and Path(history).is_dir() else History((), ())
    records = [each for each in kept.records if each.id.startswith(named)]
    if not records:
        msg = (
            f"{named} is no directory of a run or a check, no metrics.json, no baseline, and no id "
            f"of a run in the history {history}: `miri-background history` lists ids."
        )
        raise SetUpWrong(msg)
    record = kept.record(named)
    directory = record.run_directory(history)
    products = directory if directory.is_dir() else None
    return Side(record.id, verdict_of_record(record), products)


def _of_directory(directory, named):
    """Return the result of a directory."""
    for path in (directory / _METRICS, directory / _OF_CHECK / _METRICS):
        if path.is_file():
            return _of_file(path, named)
    msg = (
        f"{directory} has no {_METRICS}: name the directory of a run or of a check, or run "
        f"`miri-background check {directory}` first."
    )
    raise SetUpWrong(msg)


def _of_file(path, named):
    """Return the result of a file."""
    if _is_baseline(path):
        return Side(named, load_baseline(path).verdict, None)
    verdict = load_metrics(path)
    products = Path(verdict.provenance.get("directory") or path.parent)
    # A metrics file of another name was copied from somewhere.
    there = path.name == _METRICS and products.is_dir()
    return Side(named, verdict, products if there else None)


def _is_baseline(path):
    """Return whether a file says that it is a baseline."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and _OF_BASELINE in content


def _baseline(named, baselines):
    """Return the only baseline whose name begins so, None if there is none or more than one."""
    every = list(baseline_directory(baselines).glob("*.json"))
    exact = [path for path in every if named in (path.name, path.stem)]
    found = exact or [path for path in every if path.name.startswith(named)]
    return found[0] if len(found) == 1 else None
