"""Verbs that judge: a run of this suite, products that are there, and what becomes a baseline."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import click

from miri_background.calibration_choice import Calibration
from miri_background.cli.endings import ended, written
from miri_background.cli.options import (
    DIRECTORY,
    FILE,
    clipping_options,
    given,
    parameter_options,
)
from miri_background.cli.running import again_option, require_directory, run_notebook
from miri_background.cli.verbs import Topic, Verb
from miri_background.observation import Observation
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.places import require_products_directory
from miri_background.references.any_cache import require_references
from miri_background.simulation.mirisim.installation import MIRISim
from miri_background.validation.products.clipping_choice import require_clipping

__all__ = ["check", "okify", "validate"]


@click.command(
    cls=Verb,
    examples=(
        "miri-background validate",
        "miri-background validate --filter F1500W --groups 40 --run runs/f1500w",
        "miri-background validate --crds-cache home --crds-context jwst_1535.pmap",
    ),
)
@parameter_options(defaults={"working_directory": "kept"})
@again_option
def validate(again, **values):
    """Run the validation notebook and give the verdict.

    Simulates the observation, calibrates it with the installed pipeline, and judges the
    background subtraction. What is there already of a run is used again.
    """
    parameters = given(values)
    observation, calibration = Observation.of(parameters), Calibration.of(parameters)
    require_directory(parameters)
    require_references(observation, calibration)
    if observation.simulator == "mirisim":
        MIRISim(parameters.get("mirisim_command", "mirisim")).require_command()
    # Imported here, so that --help and wrong parameters are answered at once.
    from miri_background.runs.names import VALIDATION
    from miri_background.simulation.sky_level import require_unsaturated
    from miri_background.validation.measurements.behaviour_catalogue import expected_behaviours
    from miri_background.validation.verdict.baselines import baseline_directory, baselines_of

    expected_behaviours(parameters.get("expect", ""))
    require_unsaturated(observation)
    # A damaged baseline is reported before the work, not after it.
    baselines_of(baseline_directory(parameters.get("baselines")), (observation, calibration))
    run = (observation, calibration, None)
    return run_notebook(VALIDATION, parameters, parameters, run, again)


@click.command(
    cls=Verb,
    examples=(
        "miri-background check stage2 --sigma 2 --maxiters 3",
        "miri-background check stage2 --association stage2/jw01234_image2_asn.json --json",
        "miri-background check stage2 --expect errors=quadrature",
    ),
)
@click.argument(
    "directory",
    type=click.Path(path_type=Path),
    help="rates, associations, *_bsub and *_combinedbackground, or a mosaic *_i2d with its *_crf; "
    "truth/ is used where it is",
)
@clipping_options
@click.option(
    "--output",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="for metrics.json, junit.xml and report.html [default: the products' DIRECTORY, for a run "
    "of this suite DIRECTORY/check]",
    **DIRECTORY,
)
@click.option(
    "--backgrounds",
    cls=Topic,
    type=click.Path(path_type=Path, exists=True),
    many=True,
    help="exposures that the step was given by itself, without an association",
    **FILE,
)
@click.option(
    "--allow-outside",
    cls=Topic,
    is_flag=True,
    help="read members of associations that are outside of DIRECTORY, too",
)
@parameter_options(names=["baselines", "expect"])
@click.option(
    "--json",
    "as_json",
    cls=Topic,
    is_flag=True,
    help="print metrics.json, and all else to standard error",
)
@click.option(
    "--no-page",
    cls=Topic,
    is_flag=True,
    help="write neither report.html nor report_files/",
)
def check(directory, output, baselines, expect, as_json, no_page, **choices):
    """Judge products of calwebb_image2 that are there, and the mosaic of calwebb_image3.

    The products may be of any pipeline build and any data; the pipeline is never run. Of several
    sets of backgrounds, each is judged; the worst outcome decides.
    """
    stream = sys.stderr if as_json else sys.stdout
    baselines = given({"baselines": baselines}).get("baselines")
    with _reason_on_output(as_json):
        if output is None:
            # There is no place for the reason of a directory that is missing.
            require_products_directory(directory)
        _require_choices(choices["sigma"], choices["maxiters"], expect, baselines)
        from miri_background.runs.check import (
            check_mosaics,
            remove_earlier_sets,
            require_place,
            sets_to_check,
            write_reason,
        )

        try:
            require_place(directory, output, not no_page)
            remove_earlier_sets(directory, output)
            judging = {"baselines": baselines, "expect": expect or ""}
            try:
                found = sets_to_check(directory, **choices)
                judge = _judge_one if len(found.sets) == 1 else _judge_several
            except CannotJudge:
                found = check_mosaics(directory)
                if not found:
                    raise
                judge = _judge_mosaic
            outcome, text, paths = judge(found, output, stream, not no_page, judging)
        except CannotJudge as error:
            write_reason(directory, output, error, not no_page)
            raise
    if as_json:
        print(text, end="")
    for path in paths or ():
        print(f"Written: {path}", file=stream)
    return outcome


def _require_choices(sigma, maxiters, expect, baselines):
    """Refuse what a command line cannot mean: at once, and an earlier verdict stays."""
    require_clipping(sigma, maxiters)
    if expect:
        from miri_background.validation.measurements.behaviour_catalogue import expected_behaviours

        expected_behaviours(expect)
    if baselines:
        from miri_background.validation.verdict.baselines import baseline_directory

        baseline_directory(baselines)


def _judge_one(found, output, stream, page, judging):
    """Judge the only set of a directory, and return outcome, metrics.json, and files."""
    from miri_background.runs.check import check_set, ending, report, write_check

    judged = check_set(found, found.sets[0], **judging)
    print(report(judged), file=stream)
    paths, problem = written(write_check, judged, output, page)
    outcome = ended(judged.verdict.outcome, f"\n{ending(judged)}", problem, stream)
    return outcome, judged.verdict.json_text(), paths


def _judge_mosaic(found, output, stream, page, _):
    """Judge the mosaic of a directory, and return outcome, metrics.json, and files."""
    from miri_background.runs.check import ending, report_of_mosaic, write_check

    (judged,) = found
    print(report_of_mosaic(judged), file=stream)
    paths, problem = written(write_check, judged, output, page)
    outcome = ended(judged.verdict.outcome, f"\n{ending(judged)}", problem, stream)
    return outcome, judged.verdict.json_text(), paths


def _judge_several(found, output, stream, page, judging):
    """Judge each set of a directory, and return outcome, metrics.json of all, and files."""
    from miri_background.runs.check_sets import judge_sets

    summary = judge_sets(found, output, stream, page, **judging)
    print(f"\n{summary.text()}", file=stream)
    paths, problem = written(summary.write)
    outcome = ended(summary.outcome, f"\n{summary.ending()}", problem, stream)
    return outcome, summary.json_text(), paths


@contextmanager
def _reason_on_output(as_json):
    """Print what could not be judged as machines read it, if they do."""
    try:
        yield
    except CannotJudge as error:
        if as_json:
            outcome = Outcome.CANNOT_JUDGE
            reason = {
                "outcome": outcome.word,
                "exit_code": outcome.exit_code,
                "cause": error.cause.word,
                "reason": str(error),
            }
            print(json.dumps(reason, ensure_ascii=False))
        raise


@click.command(
    cls=Verb,
    examples=(
        'miri-background okify runs/latest --reason "jwst 3.0.0 as released"',
        'miri-background okify runs/latest --reason "jwst 3.0.0 as released" --write',
    ),
)
@click.argument("run", type=click.Path(path_type=Path), help="run directory")
@click.option("--reason", cls=Topic, default="", metavar="TEXT", help="why its numbers are right")
@click.option(
    "--write", cls=Topic, is_flag=True, help="write the baseline; without it, only show it"
)
@parameter_options(names=["baselines"])
def okify(run, reason, write, baselines):
    """Make a run that passed the baseline of its pipeline build.

    Shows what would change; with --write, it is changed.
    """
    from miri_background.repository import require_checkout
    from miri_background.runs.okify import propose_baseline

    require_checkout("okify")
    baselines = given({"baselines": baselines}).get("baselines")
    proposal = propose_baseline(run, reason, baselines)
    print(f"{proposal.changes}\n")
    if write:
        proposal.write()
        print(f"Written: {proposal.path}")
    else:
        print(f"Nothing was written; with --write, this would be: {proposal.path}")
    return Outcome.PASSED
