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

__all__ = ["ASSOCIATION", "MOSAIC_ASSOCIATION", "Inputs", "inputs_of"]

ASSOCIATION, MOSAIC_ASSOCIATION = "image2_asn.json", "image3_asn.json"
_SCIENCE = "jw99770001001_02101_{:05d}_mirimage"  # of an exposure, and of its products
_BACKGROUND = "jw99770002001_02101_{:05d}_mirimage"
_MOSAIC = "mosaic"


@dataclass(frozen=True)
class Inputs:
    """The files of a case.

    Parameters
    ----------
    directory : pathlib.Path
        Holds them, and nothing else.
    science, backgrounds : tuple of str
        Files of the exposures, backgrounds in the order of the association.
    stem : str
        Of the names of products of the first science exposure.
    associations : dict of str to str
        Texts of associations by their names, in the order in which they are calibrated.
    """

    directory: Path
    science: tuple
    backgrounds: tuple
    stem: str
    associations: dict

    def put(self, directory):
        """Link the files into an empty directory, and write the association there."""
        with writable(directory):
            directory.mkdir(parents=True, exist_ok=True)
            for name in dict.fromkeys((*self.science, *self.backgrounds)):
                (directory / name).symlink_to(os.path.relpath(self.directory / name, directory))
            for name, text in self.associations.items():
                write_text_whole(directory / name, text)


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

    made = rates(case.science, product)["science"]
    made = made if case.call == "image3" else made[:1]
    science = [f"{_SCIENCE.format(number)}_{product}.fits" for number in range(1, len(made) + 1)]
    for name, path in zip(science, made, strict=True):
        common_rate(path, directory / name, case.science_alter)
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
    associations = {}
    if case.call == "image2":
        associations[ASSOCIATION] = _text_of(
            case, "image2", _stem(science[0]), science, backgrounds
        )
    elif case.call == "image3":
        associations = _of_mosaic(case, science, backgrounds)
    return Inputs(directory, tuple(science), tuple(backgrounds), _stem(science[0]), associations)


def _stem(name):
    """Return what the name of a product begins with, from that of its rate."""
    return name.rpartition("_")[0]


def _of_mosaic(case, science, backgrounds):
    """Return the associations of all exposures, and that of their mosaic, by their names."""
    more = backgrounds if case.association != "usual" else []
    found = {
        f"image2_{_stem(name)}_asn.json": _text_of(
            case, "image2", _stem(name), [name], backgrounds if name in science else []
        )
        for name in (*science, *more)
    }
    members = [[f"{_stem(name)}_cal.fits" for name in each] for each in (science, more)]
    if case.association == "backgrounds as science":
        members = [members[0] + members[1], []]
    found[MOSAIC_ASSOCIATION] = _text_of(case, "image3", _MOSAIC, *members)
    return found


@cache
def _rates(name, product, home, workers):
    """Return the rates of an observation of the museum, looked up once by each process."""
    return rates_of(observations()[name], product, home / "observations", workers)


def _text_of(case, stage, product, science, backgrounds):
    """Return the text of an association, as its case has it."""
    members = [{"expname": name, "exptype": "science"} for name in science]
    others = [{"expname": name, "exptype": "background"} for name in backgrounds]
    members = others + members if case.association == "backgrounds first" else members + others
    content = {
        "asn_type": stage,
        "asn_rule": "DMSLevel2bBase" if stage == "image2" else "DMS_Level3_Base",
        "asn_pool": "none",
        "asn_id": "a3001",
        "program": "99770",
        "target": "1",
        "version_id": None,
        "products": [{"name": product, "members": members}],
    }
    text = json.dumps(content, indent=1) + "\n"
    if case.association == "trailing comma":
        last = text.rindex("}\n   ]")
        text = f"{text[:last]}}},{text[last + 1 :]}"
    return text
