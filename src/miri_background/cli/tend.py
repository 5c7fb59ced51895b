"""Verbs that look after the suite: how it is tried, its references, its notebooks."""

from contextlib import nullcontext
from pathlib import Path

import click

from miri_background.calibration_choice import Calibration
from miri_background.cli.endings import ended, written
from miri_background.cli.options import DIRECTORY, FILE, given, parameter_options
from miri_background.cli.running import again_option, require_directory, run_notebook
from miri_background.cli.verbs import Topic, Verb, Verbs
from miri_background.closure import OBSERVED
from miri_background.observation import Observation
from miri_background.outcomes import Outcome, SetUpWrong
from miri_background.parameters import CalibrationParameters, RunParameters
from miri_background.places import require_products_directory

__all__ = [
    "TEST_SIZE",
    "closure",
    "false_alarms",
    "faults",
    "manifest",
    "references",
    "refresh",
    "render",
]

# Parameters that only `validate` takes.
_NOT_OF_CLOSURE = (
    *CalibrationParameters.model_fields,
    *("data", "mirisim_command", "baselines", "expect"),
)
# Parameters that decide where references come from, beside the observation.
_OF_REFERENCES = (
    *("crds_cache", "crds_server_url", "crds_context", "dark_groups", "emicorr"),
    "mirisim_command",
)
_NOT_OF_REFERENCES = [
    name
    for kind in (CalibrationParameters, RunParameters)
    for name in kind.model_fields
    if name not in _OF_REFERENCES
]
# The notebooks as tests: half the groups and science exposures of the main job.
TEST_SIZE = {"groups": 10, "science_exposures": 2}


def _changes(parameters):
    """Return those parameters that are of the observation."""
    return {name: parameters[name] for name in parameters if name in Observation.model_fields}


def _workers(parameters):
    """Return the number of processes by its name, if it was given."""
    return {name: parameters[name] for name in ("workers",) if name in parameters}


@click.command(
    cls=Verb,
    examples=(
        "miri-background closure",
        "miri-background closure --filter F1000W --run runs/closure-f1000w",
        "miri-background closure --beside scasim",
    ),
)
@click.option(
    "--beside",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="measure the level-1b ramps there, of SCASim or of this suite, beside the suite's own of "
    "the same filter, readout and sky, instead of a closure",
    **DIRECTORY,
)
@parameter_options(without=_NOT_OF_CLOSURE, defaults=OBSERVED | {"working_directory": "kept"})
@again_option
def closure(again, beside, **values):
    """Compare what the pipeline gets back with what was simulated.

    Judges the embedded simulator: rates, stars, cosmic rays and saturation. With --beside, shows
    how ramps of another simulator differ from its own.
    """
    parameters = given(values)
    require_directory(parameters)
    if beside is not None:
        return _closure_beside(beside, parameters)
    from miri_background.closure.closure import PURPOSE, closure_observation
    from miri_background.runs.names import CLOSURE
    from miri_background.simulation.sky_level import require_unsaturated

    changes = _changes(parameters)
    observation = closure_observation(changes)
    require_unsaturated(observation)
    of_notebook = _workers(parameters) | {"changes": changes}
    run = (observation, Calibration(), PURPOSE)
    return run_notebook(CLOSURE, parameters, of_notebook, run, again)


def _closure_beside(directory, parameters):
    """Show how ramps of another simulator differ from the suite's own."""
    chosen = _changes(parameters)
    if chosen:
        flag = f"--{next(iter(chosen)).replace('_', '-')}"
        msg = f"{flag} is not for --beside: filter, readout and sky are those of the ramps there."
        raise SetUpWrong(msg)
    require_products_directory(directory)
    from miri_background.closure.beside import compare, level_one

    comparison = compare(
        level_one(directory),
        parameters.get("working_directory", "temporary"),
        **_workers(parameters),
    )
    print(f"{comparison.text()}\n")
    for sentence in comparison.explanations():
        print(sentence)
    return Outcome.PASSED


@click.command(
    cls=Verb,
    examples=(
        "miri-background faults",
        "miri-background faults runs/latest --names median twice --workers 2",
    ),
)
@click.argument(
    "run",
    required=False,
    type=click.Path(path_type=Path),
    help="run directory with rates and truth [default: a new one below runs/]",
)
@click.option("--names", cls=Topic, many=True, metavar="NAME...", help="of faults [default: all]")
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="for kill_matrix.json [default: RUN]",
    **DIRECTORY,
)
@click.option(
    "--mosaic",
    cls=Topic,
    is_flag=True,
    help="break the steps of calwebb_image3 instead, on a RUN that has been through calwebb_image2",
)
@parameter_options(names=["workers"])
def faults(run, names, output, mosaic, workers):
    """Break the background step on purpose, and see which criterion notices.

    Each fault is put in at run time, one at a time; the pipeline's files stay as they are.
    """
    workers = given({"workers": workers}).get("workers", 0)
    if mosaic:
        return _faults_of_mosaic(run, names, output, workers)
    from miri_background.detection.faults.catalogue import fault

    for name in names:
        fault(name)  # an unknown one is named before the work, and before its imports
    from miri_background.detection.kill_matrix import KillMatrix, kill_matrix, take_rates
    from miri_background.files import require_own
    from miri_background.parallel import process_pool
    from miri_background.places import held, require_writable
    from miri_background.runs.latest import point_latest_to, require_latest

    place = output or run
    if place:
        require_own(place / "kill_matrix.json", ours=KillMatrix.is_one)
        require_writable(place)
    if run is None:
        require_latest(Path("runs"))
        print("Simulating and calibrating exposures in runs/")
        run = take_rates("kept", workers)
        point_latest_to(run, Path("runs"))
    path = (place or run) / "kill_matrix.json"
    inside = path.parent.resolve() == run.resolve()
    with process_pool(workers) as executor, held(run) if inside else nullcontext():
        matrix = kill_matrix(run, executor, list(names) or None)
        print(f"{matrix.text_table()}\n\n{matrix.counts()}")
        _, problem = written(matrix.write, path)
    outcome = ended(matrix.outcome, matrix.sentence(), problem)
    if problem is None:
        print(f"Written: {path}")
    return outcome


def _faults_of_mosaic(run, names, output, workers):
    """Break the steps of calwebb_image3, and write what notices."""
    if run is None:
        msg = "--mosaic needs a RUN that has been through calwebb_image2: name its directory."
        raise SetUpWrong(msg)
    from miri_background.detection.mosaic.faults import fault

    for name in names:
        fault(name)
    from miri_background.detection.mosaic.matrix import MosaicMatrix, mosaic_matrix
    from miri_background.files import require_own
    from miri_background.parallel import process_pool
    from miri_background.places import require_writable

    path = (output or run) / "mosaic_kill_matrix.json"
    require_own(path, ours=MosaicMatrix.is_one)
    require_writable(path.parent)
    with process_pool(workers) as executor:
        matrix = mosaic_matrix(run, executor, list(names) or None)
    print(f"{matrix.text_table()}\n\n{matrix.counts()}")
    _, problem = written(matrix.write, path)
    outcome = ended(matrix.outcome, matrix.sentence(), problem)
    if problem is None:
        print(f"Written: {path}")
    return outcome


@click.command(
    "false-alarms",
    cls=Verb,
    examples=("miri-background false-alarms --runs 50 --output build/false_alarms.ecsv",),
)
@click.option(
    "--runs",
    cls=Topic,
    type=int,
    default=200,
    metavar="NUMBER",
    help="correct runs, from 1 [default: 200 runs]",
)
@click.option(
    "--seed",
    cls=Topic,
    type=int,
    default=100_000,
    metavar="NUMBER",
    help="random seed of the first run, others follow [default: 100000]",
)
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    required=True,
    help="table in ECSV [required]",
    **FILE,
)
@parameter_options(names=["workers"])
def false_alarms(runs, seed, output, workers):
    """Judge many correct runs, and write how their statistics scatter.

    A correct step should not be called broken: each run that is counts as a false alarm.
    """
    workers = given({"workers": workers}).get("workers", 0)
    if runs < 1:
        msg = f"runs = {runs} is not a whole number from 1."
        raise SetUpWrong(msg)
    from miri_background.detection.false_alarms import correct_runs, is_table, write_correct_runs
    from miri_background.files import require_own
    from miri_background.parallel import process_pool
    from miri_background.places import require_writable

    require_own(output, ours=is_table)
    require_writable(output.parent)
    with process_pool(workers) as executor:
        table = correct_runs(executor, range(seed, seed + runs))
    alarms = sorted(set(table["seed"][table["status"] != Outcome.PASSED.word]))
    which = f", of seeds {', '.join(map(str, alarms))}" if alarms else ""
    said = f"{len(alarms)} of {runs} correct runs raise an alarm{which}"
    _, problem = written(write_correct_runs, table, output)
    outcome = ended(Outcome.FAILED if alarms else Outcome.PASSED, said, problem)
    if problem is None:
        print(f"Written: {output}")
    return outcome


@click.command(
    cls=Verb,
    examples=(
        "miri-background references doctor",
        "miri-background references doctor --crds-cache home --crds-context jwst_1535.pmap",
    ),
)
@parameter_options(without=_NOT_OF_REFERENCES)
def doctor(**values):
    """Examine the values of all references that a run will ask for.

    Ends with 2 if one of them is not plausible.
    """
    parameters = given(values)
    from miri_background.references.doctor import examine_choice, outcome, report

    chosen, findings = examine_choice(
        Observation.of(parameters),
        Calibration.of(parameters),
        RunParameters.of(parameters).mirisim_command,
    )
    print(f"{chosen.path} ({chosen.context})\n\n{report(findings)}")
    print(f"\n{outcome(findings).word.upper()}")
    return outcome(findings)


references = Verbs(
    "references",
    help="Look after the reference files.",
    sections={"Verbs": [doctor]},
    examples=("miri-background references doctor --filter F1500W",),
)


@click.command(
    cls=Verb,
    examples=("miri-background render --output build/notebooks --filter F1500W",),
)
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    default="build/notebooks",
    help="for the notebooks [default: build/notebooks]",
    **DIRECTORY,
)
@parameter_options(defaults=TEST_SIZE)
def render(output, **values):
    """Write the notebooks at test size, without running them.

    Stored outputs stay, so that nbval can compare them.
    """
    parameters = TEST_SIZE | given(values)
    from miri_background.detection.few_faults import few_faults
    from miri_background.files import ProductRecords, require_own
    from miri_background.places import require_writable
    from miri_background.runs.names import CLOSURE, POWER, VALIDATION

    require_writable(output)
    from miri_background.runs.notebook import render_notebook

    changed = _workers(parameters) | {"changes": _changes(parameters)}
    # Most faults show in any subarray; the night breaks the step in all ways on the full array.
    smaller = {"changes": changed["changes"] | {"subarray": "SUB256"}}
    broken = changed | smaller | {"names": few_faults()}
    of_notebook = {VALIDATION: parameters, CLOSURE: changed, POWER: broken}
    paths = {name: output / f"{name}.ipynb" for name in of_notebook}
    # All are looked at before one is written.
    require_own(*paths.values(), ours=ProductRecords(output).is_own)
    for name, path in paths.items():
        render_notebook(name, of_notebook[name], path)
        print(path)
    return Outcome.PASSED


@click.command(cls=Verb, examples=("miri-background manifest",))
def manifest():
    """Simulate the default observation and write data_manifest.yaml.

    To be done after a change of the simulator.
    """
    from miri_background.data.manifest import is_manifest
    from miri_background.data.simulated import manifest_of
    from miri_background.files import write_text_whole
    from miri_background.parallel import process_pool
    from miri_background.repository import repository_file, require_checkout
    from miri_background.run_directory import RunDirectory
    from miri_background.simulation.observing import take_exposures

    require_checkout("manifest")
    run = RunDirectory("temporary", Observation())
    with process_pool() as executor:
        take_exposures(run, executor)
    path = repository_file("data_manifest.yaml")
    write_text_whole(path, manifest_of(run), ours=is_manifest)
    print(path)
    return Outcome.PASSED


@click.command(cls=Verb, examples=("miri-background refresh",))
def refresh():
    """Execute the notebooks and store their outputs in them.

    To be done after a change of the notebooks or of their numbers.
    """
    from miri_background.repository import require_checkout
    from miri_background.runs.names import NAMES
    from miri_background.runs.notebook import refresh_notebook

    require_checkout("refresh")
    for name in NAMES:
        print(refresh_notebook(name))
    return Outcome.PASSED
