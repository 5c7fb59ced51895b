"""The table of a campaign: one row a case, in Parquet, written as it goes.

Each piece of finished work is a file of its own in ``rows/``, whole or not there; the table is
made of all of them.  So nothing is lost when a campaign is interrupted, and nothing is doubled
when it goes on.
"""

from pathlib import Path

from miri_background.campaign.scene import Scene
from miri_background.campaign.scores import SCORES
from miri_background.files import content_key, replace_recorded, replace_whole
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.places import writable
from miri_background.reading import open_regular

__all__ = ["CampaignTable", "contents", "read_table"]

# What differs from run to run, and is no result.
NOT_RESULTS = ("way_seconds", "case_seconds", "peak_memory", "worker")
_UNITS = {
    "target_flux": ("uJy", "all light of one target"),
    "way_seconds": ("s", "processor time of the way"),
    "case_seconds": ("s", "processor time of the case, with its part of drawing the rates"),
    "peak_memory": ("bytes", "largest memory of the process so far"),
    "sigma": ("standard deviations", "clipping threshold of the way, where it has one"),
}


def _pyarrow():
    """Import what writes and reads Parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        msg = (
            "pyarrow, which writes the table of a campaign, is not installed: install "
            "miri-background-validation[campaign]."
        )
        raise SetUpWrong(msg) from None
    return pyarrow


def _schema():
    """Return names, types and units of the columns."""
    arrow = _pyarrow()
    fields = []

    def add(name, kind, unit="", meaning=""):
        fields.append(arrow.field(name, kind, metadata={"unit": unit, "meaning": meaning}))

    for name in ("key", "status", "way", "way_kind", "way_parameters"):
        add(name, arrow.string())
    add("sigma", arrow.float64(), *_UNITS["sigma"])
    for name, each in Scene.model_fields.items():
        kind = {int: arrow.int64(), float: arrow.float64()}.get(each.annotation, arrow.string())
        add(name, kind, Scene.unit(name), each.description)
    add("target_flux", arrow.float64(), *_UNITS["target_flux"])
    for name, (unit, meaning) in SCORES.items():
        add(name, arrow.float64(), unit, meaning)
    for name in ("cause", "reason", "code", "jwst"):
        add(name, arrow.string())
    for name in ("way_seconds", "case_seconds"):
        add(name, arrow.float64(), *_UNITS[name])
    add("peak_memory", arrow.int64(), *_UNITS["peak_memory"])
    add("worker", arrow.string())
    return arrow.schema(fields)


class CampaignTable:
    """Rows of a campaign in a directory.

    Parameters
    ----------
    directory : path-like
        Made if it is not there.

    Raises
    ------
    CannotJudge
        If it cannot be written, or a file of rows is damaged.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self._rows = self.directory / "rows"
        with writable(self.directory):
            self._rows.mkdir(parents=True, exist_ok=True)
        self._schema = _schema()

    @property
    def path(self):
        """The whole table."""
        return self.directory / "cases.parquet"

    def add(self, rows):
        """Write rows that belong together, as one file that appears whole.

        Parameters
        ----------
        rows : list of dict
            By the names of columns; what a row lacks is empty.
        """
        arrow = _pyarrow()
        name = content_key(sorted((row["key"], row["status"]) for row in rows))
        part = arrow.Table.from_pylist(rows, schema=self._schema)
        target = self._rows / f"{name}.parquet"
        with writable(self._rows), replace_whole(target, ours=Path.is_file) as (aside,):
            arrow.parquet.write_table(part, aside)

    def rows(self):
        """Return all rows that are there, once each, by the keys of their cases.

        Returns
        -------
        dict of dict
            Where a case failed and was done later, it is done.
        """
        found = {}
        for path in sorted(self._rows.glob("*.parquet")):
            for row in read_table(path):
                if row["key"] not in found or found[row["key"]]["status"] != "done":
                    found[row["key"]] = row
        return found

    def write(self, keys):
        """Write the whole table of some cases, in their order, and return its rows.

        Parameters
        ----------
        keys : list of str
            Of the campaign's cases.

        Returns
        -------
        list of dict
            Those that are there.
        """
        arrow = _pyarrow()
        there = self.rows()
        rows = [there[key] for key in keys if key in there]
        table = arrow.Table.from_pylist(rows, schema=self._schema)
        with writable(self.directory), replace_recorded(self.path) as aside:
            arrow.parquet.write_table(table, aside)
        return rows


def read_table(path):
    """Return the rows of a table.

    Parameters
    ----------
    path : path-like
        Parquet file of a campaign.

    Returns
    -------
    list of dict
        By the names of columns.

    Raises
    ------
    CannotJudge
        If it is missing, damaged or something else.
    """
    arrow = _pyarrow()
    reason = "it has other columns"
    try:
        with open_regular(path) as stream:
            table = arrow.parquet.read_table(stream)
        if {"key", "status", "way"} <= set(table.column_names):
            return table.to_pylist()
    except (OSError, ValueError, arrow.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(".")[:200]
    msg = f"{path} is no table of a campaign ({reason}): remove it, and run the campaign again."
    raise CannotJudge(msg)


def contents(rows):
    """Return a key of the results of rows: equal if all numbers are, bit by bit.

    Parameters
    ----------
    rows : list of dict
        Of a campaign; their order, times, memory and workers do not count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    results = [
        {name: repr(value) for name, value in row.items() if name not in NOT_RESULTS}
        for row in rows
    ]
    return content_key(sorted(results, key=lambda row: row["key"]))
