"""Write the tables of parameters into docs/running.md: parameter_tables.py docs/running.md."""

import re
import sys
from pathlib import Path

from miri_background.parameters import (
    CalibrationParameters,
    ObservationParameters,
    RunParameters,
)

HEADINGS = {
    "Parameters of the observation": ObservationParameters,
    "Parameters of the calibration": CalibrationParameters,
    "Parameters of the run": RunParameters,
}
# The site shows no HTML, comments included: the heading above a table is its mark.
_TABLE = re.compile(r"(?<=^### )([^\n]+)\n\n(?:\|[^\n]*(?:\n|\Z))*", re.MULTILINE)


def parameter_table(kind):
    """Return the Markdown table of the parameters of one description.

    Parameters
    ----------
    kind : type
        A class of descriptions, such as `ObservationParameters`.

    Returns
    -------
    str
        One line for each parameter: option, default, legal range with unit and meaning.
    """
    lines = ["| option | default | legal range (meaning) |", "|---|---|---|"]
    for name, value in kind().model_dump().items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        default = f"`{shown}`" if shown else "none"
        lines.append(f"| `--{name.replace('_', '-')}` | {default} | {kind.legal_range(name)} |")
    return "\n".join(lines)


def with_tables(text):
    """Return a document with the tables of the registry below their headings.

    Parameters
    ----------
    text : str
        Markdown.

    Returns
    -------
    str
        The document.
    """
    return _TABLE.sub(_heading_and_table, text)


def _heading_and_table(found):
    """Return a heading with the table that belongs below it, or what was found."""
    kind = HEADINGS.get(found[1])
    return found[0] if kind is None else f"{found[1]}\n\n{parameter_table(kind)}\n"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")
