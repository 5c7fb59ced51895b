"""The command line: ``miri-background VERB``, each verb thin."""

import contextlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from miri_background.cli.advise import advise
from miri_background.cli.builds import builds
from miri_background.cli.campaign import campaign
from miri_background.cli.compare import compare
from miri_background.cli.composite import composite
from miri_background.cli.data import data
from miri_background.cli.endings import in_place_of_errors
from miri_background.cli.explore import lab
from miri_background.cli.fixes import fixes
from miri_background.cli.judge import check, okify, validate
from miri_background.cli.nights import history, nightly, site
from miri_background.cli.tend import (
    closure,
    false_alarms,
    faults,
    manifest,
    references,
    refresh,
    render,
)
from miri_background.cli.verbs import Verbs, refusal

__all__ = ["main"]

_PROGRAM = "miri-background"
_COMPLETE = "_MIRI_BACKGROUND_COMPLETE"  # as click names it after the program
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
_EPILOG = f"""\
Exit codes:
  0    passed
  1    failed: a limit is broken
  2    could not judge: data, references, memory, disk, set-up, or a wrong command line
  3    passed, but drifted from the baseline
  130  interrupted (Ctrl-C)

Completion of verbs, options and names with the Tab key; to keep it, add the line to ~/.bashrc,
~/.zshrc, or with "| source" in place of eval to ~/.config/fish/config.fish:
  eval "$({_COMPLETE}=bash_source {_PROGRAM})"     (zsh_source, fish_source)

`{_PROGRAM} VERB --help` lists a verb's options. Underscores in names are hyphens.
"""


def _print_version(context, _, wanted):
    """Print versions of the suite and of what it judges, which is not imported for it."""
    if not wanted:
        return
    print(f"{_PROGRAM} {version('miri-background-validation')}")
    try:
        print(f"jwst {version('jwst')}")
    except PackageNotFoundError:
        print("jwst is not installed")
    context.exit()


_VERBS = Verbs(
    _PROGRAM,
    help="Does the installed JWST pipeline subtract MIRI imaging backgrounds correctly?",
    epilog=_EPILOG,
    sections={
        "Judge": [validate, check, advise, compare, okify],
        "Builds of the pipeline": [builds, fixes],
        "Ways to make a background": [campaign],
        "Explore": [lab, composite],
        "Nights": [nightly, history, site],
        "Data of others": [data],
        "Look after the suite": [
            closure,
            faults,
            false_alarms,
            references,
            render,
            manifest,
            refresh,
        ],
    },
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the versions of the suite and of jwst, and exit.",
        )
    ],
)


def main(arguments=None):
    """Run one verb.

    Parameters
    ----------
    arguments : list of str, optional
        Command line without the program's name; by default the process's own.

    Returns
    -------
    int
        Exit code: 0 passed, 1 failed, 2 could not judge, 3 passed, but drifted from the baseline,
        130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        # Names of files may have what no terminal shows; other streams may have no such choice.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")
    completion = os.environ.get(_COMPLETE)
    if completion:
        from click.shell_completion import shell_complete

        return shell_complete(_VERBS, {}, _PROGRAM, _COMPLETE, completion)
    try:
        return in_place_of_errors(_ended, arguments).exit_code
    except click.exceptions.Exit as asked:  # after --help and --version
        return asked.exit_code
    except KeyboardInterrupt as interruption:
        # The terminal has shown ^C on the line.
        print(f"\nINTERRUPTED: {str(interruption) or 'run it again.'}", file=sys.stderr)
        return _INTERRUPTED


def _ended(arguments):
    """Return the outcome of a command line."""
    try:
        with _VERBS.make_context(_PROGRAM, arguments) as context:
            return _VERBS.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help(), file=sys.stderr)
        raise click.exceptions.Exit(error.exit_code) from None
    except click.UsageError as error:
        raise refusal(error) from None
