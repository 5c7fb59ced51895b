"""The command line: ``miri-background VERB``, each verb thin."""

import argparse
import sys
from pathlib import Path

from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.settings import check_settings

__all__ = ["main"]

# Parameters of the notebook beside those of the observation; the notebook says what they mean.
NOTEBOOK_PARAMETERS = {
    "working_directory": (str, "run directory; by default a new one below runs/"),
    "crds_cache": (str, "synthetic, home, central, 'working directory', or a path"),
    "crds_server_url": (str, "CRDS server, where a real cache is to be completed"),
    "crds_context": (str, "CRDS context of a real cache"),
    "mirisim_command": (str, "how MIRISim is called, such as 'conda run -n mirisim mirisim'"),
    "control": (str, "none, 'step skipped' or 'background missing': break it on purpose"),
    "workers": (int, "processes that simulate and calibrate; 0 for one per core"),
}
# The notebook as a test: half the groups of the main job, everything else as it is.
TEST_SIZE = {"groups": 10}


def _parser():
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="miri-background",
        description="Does the installed JWST pipeline subtract MIRI imaging backgrounds correctly?",
        epilog="exit codes: 0 passed, 1 failed, 2 could not judge",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    validate = verbs.add_parser("validate", help="run the validation notebook and give the verdict")
    _add_parameters(validate)
    render = verbs.add_parser("render", help="write the notebook at test size, without running it")
    render.add_argument("--output", type=Path, default=Path("build/notebooks"), metavar="DIRECTORY")
    _add_parameters(render)
    verbs.add_parser(
        "manifest", help="simulate the default observation and write data_manifest.yaml"
    )
    verbs.add_parser("refresh", help="execute the notebook and store its outputs in the checkout")
    return parser


def _add_parameters(parser):
    """Add an option for each parameter of observation and notebook."""
    described = {name: (str, Observation.legal_range(name)) for name in Observation.model_fields}
    for name, (kind, text) in (described | NOTEBOOK_PARAMETERS).items():
        flags = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        if name == "working_directory":
            flags["--run"] = None
        parser.add_argument(
            *flags, dest=name, type=kind, metavar=name.upper(), help=text.replace("%", "%%")
        )


def _given(arguments):
    """Return the observation, and the parameters that were given, checked and converted."""
    given = {
        name: getattr(arguments, name)
        for name in (*Observation.model_fields, *NOTEBOOK_PARAMETERS)
        if getattr(arguments, name) is not None
    }
    observation = Observation.create(
        **{name: given[name] for name in given if name in Observation.model_fields}
    )
    check_settings(**{name: given[name] for name in ("control", "workers") if name in given})
    return observation, {name: getattr(observation, name, given[name]) for name in given}


def _validate(arguments):
    """Run the notebook, print the verdict, and return the outcome."""
    observation, parameters = _given(arguments)
    # Imported here, so that --help and wrong parameters are answered at once.
    from miri_background.run_directory import RunDirectory
    from miri_background.runs.notebook import (
        execute_notebook,
        new_run_directory,
        point_latest_to,
    )

    named = parameters.pop("working_directory", None)
    directory = Path(named) if named else new_run_directory()
    # Refused here, a directory stays as it was; the notebook takes it over.
    RunDirectory(directory, observation).release()
    print(f"Running the validation in {directory}")
    run = execute_notebook(parameters, directory)
    if not named:
        point_latest_to(directory)
    if run.verdict is not None:
        print(f"\n{run.verdict.text_table()}")
    print(f"\n{run.outcome.word.upper()}{': ' if run.reason else ''}{run.reason}")
    print(f"Page:     {run.page}\nNotebook: {run.notebook}")
    return run.outcome


def _render(arguments):
    """Write the parameterised notebook, and return the outcome."""
    parameters = TEST_SIZE | _given(arguments)[1]
    from miri_background.runs.notebook import NAME, render_notebook

    path = arguments.output / f"{NAME}.ipynb"
    render_notebook(parameters, path)
    print(path)
    return Outcome.PASSED


def _manifest(_):
    """Write the manifest of the default observation, and return the outcome."""
    from miri_background.data import manifest_of
    from miri_background.files import write_text_whole
    from miri_background.parallel import process_pool
    from miri_background.repository import repository_file
    from miri_background.run_directory import RunDirectory
    from miri_background.simulation.observing import take_exposures

    run = RunDirectory("temporary", Observation())
    with process_pool() as executor:
        take_exposures(run, executor)
    path = repository_file("pyproject.toml").with_name("data_manifest.yaml")
    write_text_whole(path, manifest_of(run))
    print(path)
    return Outcome.PASSED


def _refresh(_):
    """Execute the committed notebook in place, and return the outcome."""
    from miri_background.runs.notebook import refresh_notebook

    print(refresh_notebook())
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
        Exit code: 0 passed, 1 failed, 2 could not judge.
    """
    arguments = _parser().parse_args(arguments)
    verb = {
        "validate": _validate,
        "render": _render,
        "manifest": _manifest,
        "refresh": _refresh,
    }[arguments.verb]
    try:
        return verb(arguments).exit_code
    except CannotJudge as error:
        print(f"{Outcome.CANNOT_JUDGE.word.upper()}: {error}", file=sys.stderr)
        return Outcome.CANNOT_JUDGE.exit_code


if __name__ == "__main__":
    sys.exit(main())
