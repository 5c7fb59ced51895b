"""Which criterion notices which fault: the kill matrix."""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from string import ascii_letters

import numpy as np

from miri_background.calibration.image2 import (
    image2_steps,
    subtract_backgrounds,
    write_associations,
)
from miri_background.calibration.pipeline import detector1_rates
from miri_background.calibration_choice import Calibration
from miri_background.detection.faults.broken_step import broken_pipeline, spoil_rates
from miri_background.detection.faults.catalogue import FAULTS, fault
from miri_background.detection.faults.fault import Rates
from miri_background.files import json_value, replace_whole, write_text_whole
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, CriterionFailed, Outcome
from miri_background.parallel import completed, process_pool
from miri_background.places import writable
from miri_background.reading import open_fits, read_json
from miri_background.references.choice import use_references
from miri_background.run_directory import RunDirectory
from miri_background.simulation.observing import take_exposures
from miri_background.tables import text_table
from miri_background.validation.judgement import judge_products
from miri_background.validation.measurements.measurement import share_of_limit
from miri_background.validation.products.images import read_truth
from miri_background.validation.products.stage2 import read_products
from miri_background.validation.verdict.limits import criteria

__all__ = [
    "CONTROL",
    "OBSERVED",
    "REFUSED",
    "KillMatrix",
    "Kills",
    "described_run",
    "kill_matrix",
    "ratios_of_broken",
    "take_rates",
]

OBSERVED = {"science_exposures": 2}  # the fewest that let each criterion see its fault

PURPOSE = "detection-power"  # name of the directory of a run for this
CONTROL = "nothing"  # is broken: the row that has to pass
# What the predecessor of this suite looked at: one pixel of empty sky, within this of the value.
_PREDECESSORS_PIXEL, _PREDECESSORS_VALUE, _PREDECESSORS_LIMIT = (850, 500), 0.01, 0.8
REFUSED = "reading"  # of the products, which are refused
_FOUND = "finding"  # about the rates, which names what is not the step's
_KEYS = 5  # criteria on a line of the key
_CONTENT = ("outcome", "criteria", "missed", "idle", "rows")  # of the file


@dataclass(frozen=True)
class Kills:
    """What notices one fault.

    Parameters
    ----------
    fault, family, description : str
        The fault.
    ratios : dict of float
        By criterion that was broken: value over limit of its worst metric; infinite where
        the limit is zero or the value is not a number.
    predecessor : bool
        Whether the one pixel that the predecessor of this suite looked at is off.
    seconds : float
        What the fault took to be run and judged.
    """

    fault: str
    family: str
    description: str
    ratios: dict
    predecessor: bool
    seconds: float

    @property
    def caught(self):
        """Whether anything notices it."""
        return bool(self.ratios)

    @property
    def as_it_should(self):
        """Whether a fault is caught, or nothing is broken and nothing is noticed."""
        return self.caught != (self.fault == CONTROL)


@dataclass(frozen=True)
class KillMatrix:
    """What notices each fault.

    Parameters
    ----------
    rows : list of Kills
        One for each fault; the first is the control, in which nothing is broken.
    """

    rows: list

    file = "criteria"  # which file has the criteria
    every = tuple(FAULTS)  # names of all faults that they are tried on
    compared = True  # whether it is known what the predecessor would have noticed

    @property
    def faults(self):
        """The rows without the control."""
        return [row for row in self.rows if row.fault != CONTROL]

    @property
    def predecessor(self):
        """The names of the faults that the predecessor of this suite would have noticed.

        None at all if its one pixel is off where nothing is broken: then it shows nothing.
        """
        if any(row.predecessor for row in self.rows if row.fault == CONTROL):
            return []
        return [row.fault for row in self.faults if row.predecessor]

    @property
    def missed(self):
        """The names of the faults that nothing notices."""
        return [row.fault for row in self.faults if not row.caught]

    @property
    def criteria(self):
        """The names of all criteria, the cheapest first."""
        return [REFUSED, *criteria(self.file)["criteria"], _FOUND]

    def unique(self, criterion):
        """Return the faults that a criterion notices and no cheaper one does.

        Parameters
        ----------
        criterion : str
            Name of the criterion.

        Returns
        -------
        list of str
            Names of faults.
        """
        return [row.fault for row in self.faults if self.first(row) == criterion]

    def first(self, row):
        """Return the cheapest criterion that notices a fault.

        Parameters
        ----------
        row : Kills
            The fault.

        Returns
        -------
        str or None
            Name of the criterion, None where nothing notices it.
        """
        return next((name for name in self.criteria if name in row.ratios), None)

    @property
    def idle(self):
        """Criteria that notice nothing that a cheaper one does not notice as well."""
        return [name for name in criteria(self.file)["criteria"] if not self.unique(name)]

    @property
    def outcome(self):
        """Passed if every fault is caught and the control is not."""
        passed = all(row.as_it_should for row in self.rows)
        return Outcome.PASSED if passed else Outcome.FAILED

    def sentence(self):
        """Return in one sentence what was caught, the same for every matrix that passes."""
        if self.outcome is Outcome.PASSED:
            return "PASSED: every fault is caught, and nothing where nothing is broken."
        raised = [
            f"without a fault, {name} is broken"
            for row in self.rows
            if row.fault == CONTROL
            for name in row.ratios
        ]
        missed = [f"nothing notices {name!r}" for name in self.missed]
        return f"FAILED: {'; '.join(raised + missed)}."

    def raise_if_failed(self):
        """Raise if a fault is not caught, or something is where nothing is broken.

        Raises
        ------
        CriterionFailed
            Naming it.
        """
        if self.outcome is not Outcome.PASSED:
            raise CriterionFailed(self.sentence().removeprefix("FAILED: "))

    def text_table(self):
        """Return the matrix as lines of text of at most 100 characters.

        One line for each fault, one letter for each criterion, with a key below.
        """
        letters, before = dict(zip(self.criteria, ascii_letters, strict=False)), self.predecessor
        rows = []
        for family, group in groupby(self.rows, lambda row: row.family):
            rows.append(family)
            for row in group:
                marks = (letters[name] if name in row.ratios else "·" for name in self.criteria)
                noticed = self.first(row) or "nothing"
                if row.fault in before:
                    noticed += ", predecessor"
                mark = "✓" if row.as_it_should else "✗"
                rows.append((f"{mark} {row.fault}", "".join(marks), noticed))
        table = text_table(("  fault", "".join(letters.values()), "first noticed by"), rows)
        key = [f"{letter} {name:18}" for name, letter in letters.items()]
        lines = ["".join(key[at : at + _KEYS]).rstrip() for at in range(0, len(key), _KEYS)]
        if self.compared:
            lines.append("predecessor: its one pixel of empty sky would have shown it, too")
        return "\n".join([table, "", *lines])

    def counts(self):
        """Return in words how many faults were caught, and what catches nothing of its own.

        Returns
        -------
        str
            One or two lines.
        """
        caught = len(self.faults) - len(self.missed)
        text = f"{caught} of {len(self.faults)} faults are caught"
        if self.compared:
            text += f"; the predecessor would have caught {len(self.predecessor)}"
        text += "."
        if any(row.predecessor for row in self.rows if row.fault == CONTROL):
            text += "\nIts pixel is off where nothing is broken, too, by noise: it shows nothing."
        whole = {row.fault for row in self.faults} == set(self.every)
        if whole and self.idle:
            text += f"\nNothing of its own is caught by: {', '.join(self.idle)}."
        return text

    @staticmethod
    def is_one(path):
        """Return whether a file is a matrix that was written, whatever its rows are."""
        try:
            content = read_json(path)
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and set(content) == set(_CONTENT)

    def write(self, path):
        """Write the matrix as JSON, in the place of another matrix only."""
        rows = [
            asdict(row)
            | {"ratios": {name: json_value(ratio) for name, ratio in row.ratios.items()}}
            for row in self.rows
        ]
        values = self.outcome.word, self.criteria, self.missed, self.idle, rows
        content = dict(zip(_CONTENT, values, strict=True))
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        with writable(Path(path).parent):
            write_text_whole(path, text + "\n", ours=self.is_one)


def take_rates(location, workers=0):
    """Simulate what faults are run on, and run calwebb_detector1 on it.

    Parameters
    ----------
    location : path-like
        Directory of the observation, or "kept"; see `RunDirectory`.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    pathlib.Path
        The run's directory.

    Raises
    ------
    CannotJudge
        If the directory cannot be used, or the pipeline ends with an error.
    """
    observation = Observation.create(**OBSERVED)
    run = RunDirectory(location, observation, purpose=PURPOSE)
    try:
        use_references(observation, run.calibration)
        for work in (take_exposures, detector1_rates):
            with process_pool(workers) as executor:
                work(run, executor)
    finally:
        run.release()
    return run.root


def kill_matrix(directory, executor, names=None):
    """Run faults on the rates of a run and see what notices them.

    Parameters
    ----------
    directory : path-like
        A run of this suite that has rates and truth; nothing is changed there.
    executor : concurrent.futures.Executor
        Where to compute: of processes, because the pipeline looks for members in the
        current directory.
    names : sequence of str, optional
        Names of faults; all if not given.

    Returns
    -------
    KillMatrix
        With the control, in which nothing is broken.

    Raises
    ------
    CannotJudge
        If a name is unknown, or the run is not whole.
    """
    chosen = [fault(name).name for name in (FAULTS if names is None else names)]
    directory = Path(directory).resolve()
    _require_fit(directory)
    rows = completed(executor, partial(_kills, directory), [CONTROL, *chosen], "Breaking the step")
    return KillMatrix(rows)


def _require_fit(directory):
    """Refuse a directory that is not that of a run, or lacks what faults are run on."""
    observation, calibration = described_run(directory)
    if calibration.rate_product != "rate":
        msg = (
            f"{directory} is a run with rate_product = {calibration.rate_product}, and faults are "
            "of rates: name a run with rate_product = rate."
        )
        raise CannotJudge(msg)
    for exposure in exposures(observation):
        for kind in ("rate", "truth"):
            path = directory / kind / f"{exposure.name}_{kind}.fits"
            if not path.exists():
                msg = f"{path} is missing: name a run that has rates and truth."
                raise CannotJudge(msg)


def _kills(directory, name):
    """Run one fault, or none, and return what notices it."""
    started = time.perf_counter()
    broken = None if name == CONTROL else fault(name)
    ratios, pixel = _judged(directory, broken)
    # Written so that a pixel that is not a number is noticed.
    noticed = pixel is not None and not abs(pixel - _PREDECESSORS_VALUE) <= _PREDECESSORS_LIMIT
    family, description = (
        ("control", "the step as it is installed")
        if broken is None
        else (broken.family, broken.description)
    )
    return Kills(name, family, description, ratios, noticed, time.perf_counter() - started)


def _calibrated(run, exposure):
    """Return the path of the calibrated product of an exposure."""
    return run.association(exposure).parent / f"{exposure.name}_cal.fits"


def _ratios(judgement):
    """Return by criterion that is broken how far its worst metric is over the limit."""
    found = {_FOUND: np.inf} if judgement.findings else {}
    return found | ratios_of_broken(judgement.metrics)


def ratios_of_broken(metrics):
    """Return by criterion that is broken how far its worst metric is over the limit.

    Parameters
    ----------
    metrics : list of Metric
        What was judged.

    Returns
    -------
    dict of float
        Infinite where no limit allows anything, or the value is not a number.
    """
    ratios = {}
    for metric in metrics:
        if not metric.passed:
            share = share_of_limit(metric.value, metric.limit)
            ratios[metric.name] = max(share, ratios.get(metric.name, 0.0))
    return ratios


def _judged(directory, broken):
    """Return how far criteria are broken, and the pixel that the predecessor looked at."""
    with tempfile.TemporaryDirectory(prefix="miri-background-") as scratch:
        run = _with_rates_of(directory, Path(scratch) / "run", broken)
        try:
            of_step = broken is not None and broken.of_step
            pipeline = broken_pipeline(broken.name) if of_step else None
            write_associations(run)
            # In this process: the faults are what is done in parallel.
            with ThreadPoolExecutor(1) as executor:
                steps = image2_steps(run.calibration, later_steps=False)
                subtract_backgrounds(run, executor, steps, pipeline)
            if broken is not None and broken.calibrated:
                for exposure in exposures(run.observation, "science"):
                    broken.calibrated(_calibrated(run, exposure), run.rate(exposure))
            untouched = broken is not None and broken.rates is None
            known = _expectations.get(directory) if untouched else None
            try:
                judgement = judge_products(read_products(run.root), known)
            except CannotJudge:
                if broken is None:
                    raise
                return {REFUSED: np.inf}, None
            if untouched:
                _expectations.clear()
                # Of the rates, which stay where they are.
                _expectations[directory] = judgement.analysis.expectation
            image = judgement.analysis.subtracted[0].data
        finally:
            run.release()
    inside = all(at < size for at, size in zip(_PREDECESSORS_PIXEL, image.shape, strict=True))
    return _ratios(judgement), float(image[_PREDECESSORS_PIXEL]) if inside else None


_expectations = {}  # of runs whose rates have no fault, in this process


def _with_rates_of(directory, scratch, broken):
    """Return a run directory with the rates and the truth of another one, changed by a fault."""
    observation, calibration = described_run(directory)
    if broken is not None and broken.rates is None:
        # A fault of the step is in each exposure: one exposure is enough.
        observation = observation.model_copy(update={"science_exposures": 1})
    run = RunDirectory(scratch, observation, calibration)
    use_references(observation, run.calibration, run.observed)
    for exposure in exposures(observation):
        for path in (run.rate(exposure), run.truth(exposure)):
            path.symlink_to(directory / path.parent.name / path.name)
    if broken is not None and broken.rates is not None:
        _spoil(run, broken)
    return run


def _spoil(run, broken):
    """Change copies of a run's rates."""
    found = {field: exposures(run.observation, field) for field in ("science", "background")}
    truths = {field: [read_truth(run.truth(each)) for each in found[field]] for field in found}
    with ExitStack() as stack:
        opened = {
            field: [stack.enter_context(open_fits(run.rate(each))) for each in found[field]]
            for field in found
        }
        spoil_rates(
            broken.name,
            Rates(opened["science"], opened["background"], truths["science"], truths["background"]),
        )
        for field, exposed in found.items():
            for each, hdus in zip(exposed, opened[field], strict=True):
                run.rate(each).unlink()  # a link to the rate that stays as it is
                with replace_whole(run.rate(each)) as (aside,):
                    hdus.writeto(aside)


@lru_cache(maxsize=1)
def described_run(directory):
    """Return the observation and the calibration of a run.

    Parameters
    ----------
    directory : pathlib.Path
        The run.

    Returns
    -------
    list of Observation and Calibration
        As it recorded them.

    Raises
    ------
    CannotJudge
        If it is not the directory of a run.
    """
    found = []
    for kind, name in ((Observation, "observation"), (Calibration, "calibration")):
        path = directory / f"{name}.json"
        try:
            found.append(kind.create(**read_json(path)))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{path} cannot be read as the {name} of a run ({error}): name another run."
            raise CannotJudge(msg) from error
    return found
