"""The files of a case: rates that every build reads, and their association."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from miri_background.files import write_text_whole
from miri_background.museum.cases import observations
from miri_background.museum.rates import common_rate, rates_of
from miri_background.places import writable

__all__ = ["ASSOCIATION", "Inputs", "inputs_of"]

ASSOCIATION = "image2_asn.json"
_STEM = "jw99770001001_02101_00001_mirimage"  # of the science exposure, and of its products
_BACKGROUND = "jw99770002001_02101_{:05d}_mirimage"


@dataclass(frozen=True)
class Inputs:
    """The files of a case.

    Parameters
    ----------
    directory : pathlib.Path
        Holds them, and nothing else.
    science : str
        File of the science exposure.
    backgrounds : tuple of str
        Files of the backgrounds, in the order of the association.
    stem : str
        Of the names of products.
    association : str
        Text of the association; empty where there is none.
    """

    directory: Path
    science: str
    backgrounds: tuple
    stem: str
    association: str

    def put(self, directory):
        """Link the files into an empty directory, and write the association there."""
        with writable(directory):
            directory.mkdir(parents=True, exist_ok=True)
            for name in dict.fromkeys((self.science, *self.backgrounds)):
                (directory / name).symlink_to(os.path.relpath(self.directory / name, directory))
            if self.association:
                write_text_whole(directory / ASSOCIATION, self.association)


def inputs_of(case, home, workers=0):
    """Return the files of a case, made if they are not there.

    Parameters
    ----------
    case : Case
        The case.
    home : path-like
        Where observations and files of cases are kept.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    Inputs
        Files that every build reads.
    """
    home = Path(home)
    product, other = case.products
    directory = home / "inputs" / case.name

    def rates(name, kind):
        return _rates(name, kind, home, workers)

    science = f"{_STEM}_{product}.fits"
    made = rates(case.science, product)["science"][0]
    common_rate(made, directory / science, case.science_alter)
    ending = ".gz" if case.association == "gzipped" else ""
    backgrounds = []
    for members in case.backgrounds:
        if members.of == "science":
            chosen = [(1, rates(case.science, other)["science"][0])]
        else:
            every = rates(members.of, other)["background"]
            chosen = [(number, every[number - 1]) for number in members.exposures]
        for number, path in chosen:
            name = f"{_BACKGROUND.format(len(backgrounds) + 1)}_{other}.fits{ending}"
            alter = members.alter.get(number, members.alter.get("all", ""))
            common_rate(path, directory / name, alter)
            backgrounds.append(name)
    if case.association == "twice":
        backgrounds.append(backgrounds[0])
    text = _association(case, science, backgrounds) if case.call == "image2" else ""
    return Inputs(directory, science, tuple(backgrounds), _STEM, text)


@cache
def _rates(name, product, home, workers):
    """Return the rates of an observation of the museum, looked up once by each process."""
    return rates_of(observations()[name], product, home / "observations", workers)


def _association(case, science, backgrounds):
    """Return the text of an association, as its case has it."""
    members = [{"expname": science, "exptype": "science"}]
    others = [{"expname": name, "exptype": "background"} for name in backgrounds]
    members = others + members if case.association == "backgrounds first" else members + others
    content = {
        "asn_type": "image2",
        "asn_rule": "DMSLevel2bBase",
        "asn_pool": "none",
        "asn_id": "a3001",
        "program": "99770",
        "target": "1",
        "version_id": None,
        "products": [{"name": _STEM, "members": members}],
    }
    text = json.dumps(content, indent=1) + "\n"
    if case.association == "trailing comma":
        last = text.rindex("}\n   ]")
        text = f"{text[:last]}}},{text[last + 1 :]}"
    return text
