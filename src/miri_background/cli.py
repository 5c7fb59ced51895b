"""The command line: ``miri-background VERB``, each verb thin."""

import argparse
import json
import signal
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from miri_background.calibration_choice import Calibration
from miri_background.observation import Observation
from miri_background.outcomes import (
    CannotJudge,
    Outcome,
    SetUpWrong,
    TimeLimitReached,
    headline,
    worst,
)
from miri_background.parameters import CalibrationParameters, RunParameters, every_parameter

__all__ = ["main"]


def _absolute(text):
    """Return a path that means the same from every directory, as the notebook has its own."""
    return str(Path(text).expanduser().absolute())


# Parameters that only `validate` takes.
_NOT_OF_CLOSURE = (*CalibrationParameters.model_fields, "mirisim_command", "baselines")
# Parameters that decide where references come from, beside the observation.
_OF_REFERENCES = ("crds_cache", "crds_server_url", "crds_context", "mirisim_command")
_NOT_OF_REFERENCES = [
    name
    for kind in (CalibrationParameters, RunParameters)
    for name in kind.model_fields
    if name not in _OF_REFERENCES
]
_BASELINES = RunParameters.legal_range("baselines")
_WORKERS = RunParameters.legal_range("workers")
# The notebooks as tests: half the groups of the main job, everything else as it is.
TEST_SIZE = {"groups": 10}


def _parser():
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="miri-background",
        description="Does the installed JWST pipeline subtract MIRI imaging backgrounds correctly?",
        epilog="exit codes: 0 passed, 1 failed, 2 could not judge, 3 passed, but drifted from the "
        "baseline",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    validate = verbs.add_parser("validate", help="run the validation notebook and give the verdict")
    _add_parameters(validate)
    closure = verbs.add_parser(
        "closure", help="compare what the pipeline gets back with what was simulated"
    )
    _add_parameters(closure, without=_NOT_OF_CLOSURE)
    render = verbs.add_parser("render", help="write the notebooks at test size, without running")
    render.add_argument("--output", type=Path, default=Path("build/notebooks"), metavar="DIRECTORY")
    _add_parameters(render)
    check = verbs.add_parser("check", help="judge products of calwebb_image2 that are there")
    check.add_argument(
        "directory",
        type=Path,
        metavar="DIRECTORY",
        help="rates, associations, *_bsub and *_combinedbackground; truth/ is used where it is",
    )
    check.add_argument(
        "--sigma",
        type=float,
        metavar="SIGMA",
        help="clipping threshold that the step was given (default: of the run, else 3)",
    )
    check.add_argument(
        "--maxiters",
        type=int,
        metavar="NUMBER",
        help="clipping iterations that it was given, 0 for no limit (default: of the run, else 0)",
    )
    check.add_argument(
        "--association",
        type=Path,
        metavar="FILE",
        help="the only one to judge (default: all of type image2)",
    )
    check.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="for metrics.json and junit.xml (default: the products' DIRECTORY; for a run of "
        "this suite, DIRECTORY/check)",
    )
    check.add_argument("--baselines", type=_absolute, metavar="DIRECTORY", help=_BASELINES)
    check.add_argument(
        "--json", action="store_true", help="print metrics.json, and all else to standard error"
    )
    okify = verbs.add_parser(
        "okify", help="make a run that passed the baseline of its pipeline build"
    )
    okify.add_argument("run", type=Path, metavar="RUN", help="run directory")
    okify.add_argument("--reason", default="", help="why its numbers are right")
    okify.add_argument("--write", action="store_true", help="write the baseline; else only show it")
    okify.add_argument("--baselines", type=_absolute, metavar="DIRECTORY", help=_BASELINES)
    alarms = verbs.add_parser(
        "false-alarms", help="judge many correct runs, and write how their statistics scatter"
    )
    alarms.add_argument("--runs", type=int, default=200, metavar="NUMBER", help="default: 200")
    alarms.add_argument(
        "--seed", type=int, default=100_000, metavar="SEED", help="of the first run; others follow"
    )
    alarms.add_argument("--output", type=Path, required=True, metavar="FILE", help="in ECSV")
    _add_workers(alarms)
    faults = verbs.add_parser(
        "faults", help="break the background step on purpose, and see which criterion notices"
    )
    faults.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="run directory with rates and truth (default: a new one below runs/)",
    )
    faults.add_argument(
        "--names", nargs="+", metavar="NAME", help="of the faults to run (default: all)"
    )
    faults.add_argument(
        "--output", type=Path, metavar="DIRECTORY", help="for kill_matrix.json (default: RUN)"
    )
    _add_workers(faults)
    nightly = verbs.add_parser(
        "nightly", help="judge a matrix of observations, and add the results to the history"
    )
    nightly.add_argument(
        "--matrix",
        type=Path,
        default=Path("nightly.yaml"),
        metavar="FILE",
        help="what is observed (default: nightly.yaml)",
    )
    _add_history(nightly)
    nightly.add_argument(
        "--seed", type=int, metavar="SEED", help="of all observations (default: as the file says)"
    )
    nightly.add_argument(
        "--names", nargs="+", default=[], metavar="NAME", help="of observations (default: all)"
    )
    _add_workers(
        nightly, "processes that calibrate, of all observations together; 0 for one per core"
    )
    nightly.add_argument(
        "--site",
        type=Path,
        dest="output",  # as the verb of that name has it
        metavar="DIRECTORY",
        help="for pages, built however the night ends",
    )
    history = verbs.add_parser("history", help="list runs, or compare two of them")
    _add_history(history)
    history.add_argument("--name", metavar="NAME", help="of the observation (default: all)")
    history.add_argument(
        "--compare", nargs=2, metavar="ID", help="earlier and later run, as the list calls them"
    )
    site = verbs.add_parser("site", help="build the pages that tell how the last nights went")
    _add_history(site)
    site.add_argument(
        "--output",
        type=Path,
        default=Path("build/site"),
        metavar="DIRECTORY",
        help="for the pages (default: build/site); a former site there is replaced",
    )
    references = verbs.add_parser("references", help="look after the reference files")
    actions = references.add_subparsers(dest="action", required=True, metavar="ACTION")
    doctor = actions.add_parser("doctor", help="examine the values of all that a run will ask for")
    _add_parameters(doctor, without=_NOT_OF_REFERENCES)
    verbs.add_parser(
        "manifest", help="simulate the default observation and write data_manifest.yaml"
    )
    verbs.add_parser("refresh", help="execute the notebooks and store their outputs in them")
    return parser


def _add_workers(parser, text=_WORKERS):
    """Add the option that says how many processes there are."""
    parser.add_argument("--workers", type=int, default=0, metavar="NUMBER", help=text)


def _add_history(parser):
    """Add the option that names the history."""
    parser.add_argument(
        "--history",
        type=Path,
        default=Path("history"),
        metavar="DIRECTORY",
        help="one file for each run (default: history)",
    )


def _add_parameters(parser, without=()):
    """Add an option for each parameter."""
    for name, kind in every_parameter().items():
        if name in without:
            continue
        flags = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        if name == "working_directory":
            flags["--run"] = None
        text = kind.legal_range(name).replace("%", "%%")
        parser.add_argument(*flags, dest=name, metavar=name.upper(), help=text)


def _given(arguments):
    """Return the parameters that were given, checked and converted, by name."""
    given = {
        name: getattr(arguments, name)
        for name in every_parameter()
        if getattr(arguments, name, None) is not None
    }
    if "baselines" in given:
        given["baselines"] = _absolute(given["baselines"])
    checked = {}
    for kind in (Observation, Calibration, RunParameters):
        checked |= kind.of(given).model_dump(mode="json", include=set(given))
    return checked


def _validate(arguments):
    """Run the validation, print the verdict, and return the outcome."""
    parameters = _given(arguments)
    observation, calibration = Observation.of(parameters), Calibration.of(parameters)
    # Imported here, so that --help and wrong parameters are answered at once.
    from miri_background.runs.notebook import VALIDATION
    from miri_background.simulation.observing import require_unsaturated
    from miri_background.validation.verdict.baselines import baseline_directory, baselines_of

    require_unsaturated(observation)
    # A damaged baseline is reported before the work, not after it.
    baselines_of(baseline_directory(parameters.get("baselines")), (observation, calibration))
    return _run(VALIDATION, parameters, parameters, observation, calibration)


def _closure(arguments):
    """Run the closure of the simulation, print the verdict, and return the outcome."""
    parameters = _given(arguments)
    from miri_background.closure.closure import PURPOSE, closure_observation
    from miri_background.runs.notebook import CLOSURE
    from miri_background.simulation.observing import require_unsaturated

    changes = {name: parameters[name] for name in parameters if name in Observation.model_fields}
    observation = closure_observation(changes)
    require_unsaturated(observation)
    workers = {name: parameters[name] for name in ("workers",) if name in parameters}
    given = workers | {"changes": changes}
    return _run(CLOSURE, parameters, given, observation, Calibration(), PURPOSE)


def _run(name, parameters, of_notebook, observation, calibration, purpose=None):
    """Execute a notebook in a new or named directory, print the verdict, and return the outcome."""
    from miri_background.run_directory import RunDirectory
    from miri_background.runs.notebook import execute_notebook, point_latest_to, require_latest

    named = parameters.get("working_directory")
    if not named:
        require_latest(Path("runs"))
    # Refused here, a directory stays as it was; the notebook takes it over.
    run = RunDirectory(named or "kept", observation, calibration, purpose)
    run.release()
    print(f"Running {name} in {_from_here(run.root)}")
    ended = execute_notebook(name, of_notebook, run)
    print(f"\n{ended.text()}")
    if not named:
        # All that was judged is written: for want of a link, nothing is less true.
        _, problem = _written(point_latest_to, run.root, run.observed.parent)
        if problem:
            print(problem, file=sys.stderr)
    return ended.outcome


def _from_here(path):
    """Return a path from the current directory, where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _ended(outcome, ending, problem, stream=None):
    """Print the last line of what was judged, and return the outcome.

    What was not written is a could-not-judge, unless a limit is broken: no full disk may hide it.
    """
    if problem is not None and outcome is not Outcome.FAILED:
        raise problem
    print(ending, file=stream)
    if problem is not None:
        print(f"The results were not written: {problem}", file=sys.stderr)
    return outcome


def _written(write, *arguments):
    """Write results, and return what `write` returns, and what kept them from being written."""
    try:
        return write(*arguments), None
    except CannotJudge as error:
        return None, error


def _check(arguments):
    """Judge products that are there, print the verdict, and return the outcome."""
    directory, output = arguments.directory, arguments.output
    from miri_background.runs.check import (
        check,
        ending,
        report,
        require_place,
        write_check,
        write_reason,
    )

    stream = sys.stderr if arguments.json else sys.stdout
    try:
        require_place(directory, output)
        judged = check(
            directory,
            arguments.sigma,
            arguments.maxiters,
            arguments.association,
            arguments.baselines,
        )
        print(report(judged), file=stream)
        paths, problem = _written(write_check, judged, output)
        outcome = _ended(judged.verdict.outcome, f"\n{ending(judged)}", problem, stream)
    except CannotJudge as error:
        write_reason(directory, output, error)
        if arguments.json:
            print(json.dumps(_reason(error), ensure_ascii=False))
        raise
    if arguments.json:
        print(judged.verdict.json_text(), end="")
    for path in paths or ():
        print(f"Written: {path}", file=stream)
    return outcome


def _reason(error):
    """Return what could not be judged as machines read it."""
    outcome = Outcome.CANNOT_JUDGE
    return {
        "outcome": outcome.word,
        "exit_code": outcome.exit_code,
        "cause": error.cause.word,
        "reason": str(error),
    }


def _okify(arguments):
    """Show what making a run a baseline would change, write it if asked, and return the outcome."""
    from miri_background.runs.okify import propose_baseline

    proposal = propose_baseline(arguments.run, arguments.reason, arguments.baselines)
    print(f"{proposal.changes}\n")
    if arguments.write:
        proposal.write()
        print(f"Written: {proposal.path}")
    else:
        print(f"Nothing was written; with --write, this would be: {proposal.path}")
    return Outcome.PASSED


def _faults(arguments):
    """Break the step on purpose, print what notices it, and return the outcome."""
    RunParameters.create(workers=arguments.workers)
    from miri_background.detection.faults import fault
    from miri_background.detection.kill_matrix import KillMatrix, kill_matrix, take_rates
    from miri_background.files import require_own
    from miri_background.parallel import process_pool
    from miri_background.run_directory import held, require_writable
    from miri_background.runs.notebook import point_latest_to, require_latest

    for name in arguments.names or ():
        fault(name)  # an unknown one is named before the work
    place = arguments.output or arguments.run
    if place:
        require_own(place / "kill_matrix.json", ours=KillMatrix.is_one)
        require_writable(place)
    directory = arguments.run
    if directory is None:
        require_latest(Path("runs"))
        print("Simulating and calibrating exposures in runs/")
        directory = take_rates("kept", arguments.workers)
        point_latest_to(directory, Path("runs"))
    path = (place or directory) / "kill_matrix.json"
    inside = path.parent.resolve() == directory.resolve()
    with process_pool(arguments.workers) as executor, held(directory) if inside else nullcontext():
        matrix = kill_matrix(directory, executor, arguments.names)
        print(f"{matrix.text_table()}\n\n{matrix.counts()}")
        _, problem = _written(matrix.write, path)
    outcome = _ended(matrix.outcome, matrix.sentence(), problem)
    if problem is None:
        print(f"Written: {path}")
    return outcome


def _false_alarms(arguments):
    """Judge many correct runs, write what they gave, and return the outcome."""
    RunParameters.create(workers=arguments.workers)
    if arguments.runs < 1:
        msg = f"runs = {arguments.runs} is not a whole number from 1."
        raise SetUpWrong(msg)
    from miri_background.detection.false_alarms import correct_runs, is_table, write_correct_runs
    from miri_background.files import require_own
    from miri_background.parallel import process_pool
    from miri_background.run_directory import require_writable

    require_own(arguments.output, ours=is_table)
    require_writable(arguments.output.parent)
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    with process_pool(arguments.workers) as executor:
        runs = correct_runs(executor, seeds)
    alarms = sorted(set(runs["seed"][runs["status"] != Outcome.PASSED.word]))
    which = f", of seeds {', '.join(map(str, alarms))}" if alarms else ""
    said = f"{len(alarms)} of {arguments.runs} correct runs raise an alarm{which}"
    _, problem = _written(write_correct_runs, runs, arguments.output)
    outcome = _ended(Outcome.FAILED if alarms else Outcome.PASSED, said, problem)
    if problem is None:
        print(f"Written: {arguments.output}")
    return outcome


def _nightly(arguments):
    """Carry out a night, build the pages on it if asked, and return the worst outcome."""
    if arguments.output:
        from miri_background.reporting.site.build import require_replaceable

        require_replaceable(arguments.output)
    outcomes = [_outcome(_night, arguments)]
    if arguments.output:
        outcomes.append(_outcome(_site, arguments))
    return worst(outcomes)


def _night(arguments):
    """Carry out a night, print how its jobs ended, and return the worst outcome."""
    RunParameters.create(workers=arguments.workers)
    from miri_background.nightly.plan import night_seed, read_matrix

    matrix = read_matrix(arguments.matrix, night_seed(datetime.now(UTC)), arguments.seed)
    if arguments.names:
        matrix = matrix.only(arguments.names)
    # Imported after what is wrong there has been told at once.
    from miri_background.nightly.night import carry_out_night

    # Continuous integration stops a night by this signal; what was started has to end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        night = carry_out_night(
            matrix, arguments.history, arguments.workers, partial(print, flush=True)
        )
    except KeyboardInterrupt:
        msg = "The night was stopped: what had ended is in the history; run it again."
        raise TimeLimitReached(msg) from None
    print(f"\n{night.text()}")
    print(f"JUnit:    {night.directory / 'junit'}\nHistory:  {arguments.history}")
    return night.outcome


def _history(arguments):
    """List runs, or compare two of them, and return the outcome."""
    from miri_background.reporting.history import (
        compare_records,
        load,
        require_history,
        text_list,
    )

    require_history(arguments.history)
    history = load(arguments.history)
    if not history.records:
        history.require_whole()
    listed = history.of(arguments.name)
    if arguments.compare:
        print(compare_records(*map(history.record, arguments.compare)))
        return Outcome.PASSED
    print(text_list(listed))
    # A list that lacks runs is no whole answer.
    history.require_whole()
    return Outcome.PASSED


def _site(arguments):
    """Build the pages of a history, print where they are, and return the outcome."""
    from miri_background.reporting.site.build import build_site

    site = build_site(arguments.history, arguments.output)
    if site.warnings:
        print(site.warnings, file=sys.stderr)
    print(f"{site.answer.sentence}\nPages: {site.front}")
    return Outcome.PASSED


def _references(arguments):
    """Examine the references that a run would use, and return the outcome."""
    parameters = _given(arguments)
    from miri_background.references.doctor import examine_choice, outcome, report

    chosen, findings = examine_choice(
        Observation.of(parameters),
        Calibration.of(parameters),
        RunParameters.of(parameters).mirisim_command,
    )
    print(f"{chosen.path} ({chosen.context})\n\n{report(findings)}")
    print(f"\n{outcome(findings).word.upper()}")
    return outcome(findings)


def _render(arguments):
    """Write the parameterised notebooks, and return the outcome."""
    parameters = TEST_SIZE | _given(arguments)
    from miri_background.files import ProductRecords, require_own
    from miri_background.runs.notebook import CLOSURE, POWER, VALIDATION, render_notebook

    changes = {name: parameters[name] for name in parameters if name in Observation.model_fields}
    workers = {name: parameters[name] for name in ("workers",) if name in parameters}
    changed = workers | {"changes": changes}
    given = {VALIDATION: parameters, CLOSURE: changed, POWER: changed}
    paths = {name: arguments.output / f"{name}.ipynb" for name in given}
    # All are looked at before one is written.
    require_own(*paths.values(), ours=ProductRecords(arguments.output).is_own)
    for name, path in paths.items():
        render_notebook(name, given[name], path)
        print(path)
    return Outcome.PASSED


def _manifest(_):
    """Write the manifest of the default observation, and return the outcome."""
    from miri_background.data import is_manifest, manifest_of
    from miri_background.files import write_text_whole
    from miri_background.parallel import process_pool
    from miri_background.repository import repository_file
    from miri_background.run_directory import RunDirectory
    from miri_background.simulation.observing import take_exposures

    run = RunDirectory("temporary", Observation())
    with process_pool() as executor:
        take_exposures(run, executor)
    path = repository_file("pyproject.toml").with_name("data_manifest.yaml")
    write_text_whole(path, manifest_of(run), ours=is_manifest)
    print(path)
    return Outcome.PASSED


def _refresh(_):
    """Execute the committed notebooks in place, and return the outcome."""
    from miri_background.runs.notebook import NAMES, refresh_notebook

    for name in NAMES:
        print(refresh_notebook(name))
    return Outcome.PASSED


def main(arguments=None):
    """Run one verb.

    Parameters
    ----------
    arguments : list of str, optional
        Command line without the program's name; by default the process's own.

    Returns
    -------
    int
        Exit code: 0 passed, 1 failed, 2 could not judge, 3 passed, but drifted from the baseline.
    """
    arguments = _parser().parse_args(arguments)
    verb = {
        "validate": _validate,
        "closure": _closure,
        "check": _check,
        "okify": _okify,
        "faults": _faults,
        "false-alarms": _false_alarms,
        "nightly": _nightly,
        "history": _history,
        "site": _site,
        "references": _references,
        "render": _render,
        "manifest": _manifest,
        "refresh": _refresh,
    }[arguments.verb]
    return _outcome(verb, arguments).exit_code


def _outcome(verb, arguments):
    """Return the outcome of a verb, and tell on standard error why it could not judge."""
    try:
        return verb(arguments)
    except CannotJudge as error:
        print(headline(Outcome.CANNOT_JUDGE, str(error), error.cause), file=sys.stderr)
        return Outcome.CANNOT_JUDGE


if __name__ == "__main__":
    sys.exit(main())
