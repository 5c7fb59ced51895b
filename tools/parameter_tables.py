"""Write the tables of parameters into docs/running.md: parameter_tables.py docs/running.md."""

import re
import sys
from pathlib import Path

from miri_background.parameters import (
    CalibrationParameters,
    ObservationParameters,
    RunParameters,
)

KINDS = {
    kind.__name__: kind for kind in (ObservationParameters, CalibrationParameters, RunParameters)
}
_MARKS = re.compile(
    r"(<!-- ((?:Observation|Calibration|Run)Parameters) -->\n).*?(<!-- end -->)", re.DOTALL
)


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
    """Return a document with the tables of the registry between its marks.

    Parameters
    ----------
    text : str
        Markdown; a mark such as ``<!-- RunParameters -->`` stands above each table.

    Returns
    -------
    str
        The document.
    """
    return _MARKS.sub(lambda mark: f"{mark[1]}{parameter_table(KINDS[mark[2]])}\n{mark[3]}", text)


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")
