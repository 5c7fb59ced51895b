"""Verbs about data that others have made: what there is, where it is, and how it gets here."""

import sys
from contextlib import contextmanager
from pathlib import Path

import click

from miri_background.cli.options import DIRECTORY
from miri_background.cli.verbs import Topic, Verb, Verbs
from miri_background.outcomes import CannotJudge, Outcome, headline

__all__ = ["data"]

_SET = click.argument("data_set", metavar="SET", help="such as archived or flight")
_NAMES = click.argument("names", nargs=-1, metavar="[FILE]...", help="of the set [default: all]")
_LEVEL = click.option(
    "--level",
    cls=Topic,
    type=click.Choice(["uncal", "rate"]),
    help="ramps or slopes [default: rate, where there are any]",
)
_ROOT = click.option(
    "--root",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="local root of data [default: what TEST_BIGDATA names]",
    **DIRECTORY,
)
_RUN = click.option(
    "--run",
    cls=Topic,
    type=click.Path(path_type=Path),
    help="is looked into first [default: none]",
    **DIRECTORY,
)
_MEGABYTE = 1e6


def _of_files(function):
    """Give a verb the arguments that say which files, and where to look."""
    for decorate in (_RUN, _ROOT, _LEVEL, _NAMES, _SET):
        function = decorate(function)
    return function


@click.command("list", cls=Verb, examples=("miri-background data list",))
@_RUN
@_ROOT
def list_(run, root):
    """List all files of all data sets, and where they are on this machine.

    Nothing is verified, and nothing is downloaded.
    """
    from miri_background.data.manifest import data_sets
    from miri_background.data.resolver import find
    from miri_background.tables import text_table

    rows = []
    for one in data_sets().values():
        rows.append(f"{one.name}: {one.description} ({one.source})")
        for each in one.files:
            place = find(each, run, root)
            size = "" if each.size is None else f"{each.size / _MEGABYTE:.1f} MB"
            known = each.sha256[:12] if each.sha256 else "not recorded"
            where = f"{place.kind}: {place.path}" if place else _origin(each)
            rows.append((each.name, each.role, each.level, size, known, where))
    print(text_table(("file", "role", "level", "size", "SHA-256", "where"), rows))
    return Outcome.PASSED


def _origin(file):
    """Return where a file can be had that is not here."""
    return f"not here: {file.url}" if file.url else f"not here: {file.path} of the local root"


def _each(files, act, run, root):
    """Print what an action says about each file, and return the outcome of all.

    One file that is missing or wrong hides no other.  All that are missing have one sentence.
    """
    from miri_background.data.resolver import NotHere

    outcome, missing = Outcome.PASSED, []
    for file in files:
        try:
            print(act(file), flush=True)
        except NotHere:
            missing.append(file)
        except CannotJudge as error:
            outcome = Outcome.CANNOT_JUDGE
            print(headline(outcome, str(error), error.cause), file=sys.stderr, flush=True)
    if missing:
        raise NotHere(missing, run, root)
    return outcome


@click.command(cls=Verb, examples=("miri-background data where flight --level uncal",))
@_of_files
def where(data_set, names, level, root, run):
    """Print the paths of files that are on this machine.

    Ends with 2 if one is not here, or is not the file that the manifest names.
    """
    from miri_background.data import manifest
    from miri_background.data.resolver import require_file

    files = manifest.data_set(data_set).select(names, level)
    return _each(files, lambda file: require_file(file, run, root), run, root)


@click.command(cls=Verb, examples=("miri-background data verify archived",))
@_of_files
def verify(data_set, names, level, root, run):
    """Compare files on this machine with the manifest.

    Of a file without a recorded checksum it is said what could be compared.
    """
    from miri_background.data import manifest
    from miri_background.data.resolver import verified

    def act(file):
        path, compared = verified(file, run, root)
        return f"{Outcome.PASSED.symbol} {path} ({compared})"

    return _each(manifest.data_set(data_set).select(names, level), act, run, root)


@click.command(
    cls=Verb,
    examples=(
        "miri-background data fetch archived",
        "miri-background data fetch flight --level rate",
        "miri-background data fetch flight jw02754001001_06101_00001_mirimage_uncal.fits",
    ),
)
@_of_files
@click.option(
    "--record",
    cls=Topic,
    is_flag=True,
    help="write size and SHA-256 into the manifest of the checkout, where it has none",
)
def fetch(data_set, names, level, root, run, record):
    """Download files that are not on this machine into the cache.

    A download that was interrupted goes on where it ended.
    """
    from miri_background.data import manifest
    from miri_background.data.download import download
    from miri_background.data.resolver import find, require_file
    from miri_background.files import checksum
    from miri_background.repository import require_checkout

    if record:
        require_checkout("data fetch --record")

    def act(file):
        if find(file, run, root) is not None or file.url is None:
            path, how = require_file(file, run, root), "is here"
        else:
            with _progress(file) as shown:
                path, how = download(file, progress=shown), "downloaded"
        if record:
            manifest.record(file, path.stat().st_size, checksum(path))
            how += ", recorded"
        return f"{path}: {how}"

    return _each(manifest.data_set(data_set).select(names, level), act, run, root)


@contextmanager
def _progress(file):
    """Give a function that shows how much has come, on a terminal only."""
    from tqdm import tqdm

    with tqdm(desc=file.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:

        def show(there, expected):
            bar.total = expected
            bar.update(there - bar.n)

        yield show


data = Verbs(
    "data",
    help="Find, download and verify data that others have made.",
    sections={"Verbs": [list_, where, verify, fetch]},
    examples=("miri-background data list", "miri-background data fetch archived"),
)
