"""How a verb ends: its outcome, what was not written, and what stopped it."""

import sys

from miri_background.outcomes import CannotJudge, Outcome, headline, printable

__all__ = ["ended", "in_place_of_errors", "written"]


def ended(outcome, ending, problem, stream=None):
    """Print the last line of what was judged.

    Parameters
    ----------
    outcome : Outcome
        Of what was judged.
    ending : str
        The last line.
    problem : CannotJudge or None
        Why results were not written.
    stream : file, optional
        Where to print; by default standard output.

    Returns
    -------
    Outcome
        The same.

    Raises
    ------
    CannotJudge
        The problem, unless a limit is broken: no full disk may hide that.
    """
    if problem is not None and outcome is not Outcome.FAILED:
        raise problem
    print(ending, file=stream)
    if problem is not None:
        print(f"The results were not written: {problem}", file=sys.stderr)
    return outcome


def written(write, *arguments):
    """Write results.

    Parameters
    ----------
    write : callable
        Writes them.
    *arguments
        Given to it.

    Returns
    -------
    result, problem : object, CannotJudge or None
        What `write` returns, and what kept the results from being written.
    """
    try:
        return write(*arguments), None
    except CannotJudge as error:
        return None, error


def in_place_of_errors(function, *arguments):
    """Return the outcome of a function, and print on standard error why it could not judge.

    Parameters
    ----------
    function : callable
        Returns an `Outcome`.
    *arguments
        Given to it.

    Returns
    -------
    Outcome
        Could not judge if it raised that.
    """
    try:
        return function(*arguments)
    except CannotJudge as error:
        print(headline(Outcome.CANNOT_JUDGE, printable(str(error)), error.cause), file=sys.stderr)
        return Outcome.CANNOT_JUDGE
