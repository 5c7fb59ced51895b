"""What the background step and calwebb_image2 made of a science exposure, whatever it is called."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from miri_background.outcomes import CannotJudge
from miri_background.validation.products.associations import PRODUCT_SUFFIX
from miri_background.validation.products.finding import plain_name, real, stem_of
from miri_background.validation.products.images import read_header

__all__ = ["COMBINED", "SUBTRACTED", "Result", "Results", "is_subtracted", "same_exposure"]

# What the pipeline adds for images and for cubes of integrations.
SUBTRACTED = {2: "bsub", 3: "bsubints"}
_CALIBRATED = {2: "cal", 3: "calints"}
_ALONE = "backgroundstep"  # what the step adds if it is called by itself
COMBINED = "combinedbackground"
_RESULT = re.compile(r"_(bsub|bsubints|backgroundstep|cal|calints)\.fits$")
_OF_PIPELINE = re.compile(r"_bsub(ints)?\.fits$")
_OWN = re.compile(r"_(cal|calints)\.fits$")
_ANY_FITS = re.compile(r"\.fits$")
_MOST_HEADERS = 5000  # files of which headers are read to find what has a name of its user's

# Steps after which an image is no longer in the units of its rate.
_LATER_STEPS = ("S_FLAT", "S_PHOTOM", "S_RESAMP", "S_OUTLIR")

# Keywords that together belong to one exposure only.
_EXPOSURE = (
    *("PROGRAM", "OBSERVTN", "VISIT", "VISITGRP", "SEQ_ID", "ACT_ID", "EXPOSURE"),
    *("DATE-OBS", "TIME-OBS", "DATE-BEG", "EXPSTART", "DETECTOR", "FILTER", "SUBARRAY"),
)
_ENOUGH = ("EXPOSURE", "DATE-BEG", "TIME-OBS", "EXPSTART")  # one of them distinguishes dithers


def same_exposure(header, other):
    """Return whether two headers are of one exposure; not if they do not say of which."""
    if all(header.get(name) is None for name in _ENOUGH):
        return False
    return all(header.get(name) == other.get(name) for name in _EXPOSURE)


def is_subtracted(header):
    """Return whether a header is that of an image that only the background step came to."""
    return header.get("S_BKDSUB") == "COMPLETE" and not any(
        header.get(name) == "COMPLETE" for name in _LATER_STEPS
    )


@dataclass(frozen=True)
class Result:
    """Files that were made of a science exposure, None where there is none.

    Parameters
    ----------
    subtracted, combined, calibrated : pathlib.Path or None
        Subtracted image, combined background, and calibrated product.
    """

    subtracted: Path | None
    combined: Path | None
    calibrated: Path | None

    @property
    def of_step_alone(self):
        """Whether the names say that the step was called without the rest of the pipeline."""
        if self.calibrated:
            return False
        return self.subtracted is None or not _OF_PIPELINE.search(plain_name(self.subtracted.name))


class Results:
    """Finds what was made of science exposures.

    Parameters
    ----------
    files : Files
        Those of the directory.
    """

    def __init__(self, files):
        self._files = files
        self._taken = set()

    def of(self, associated, header, dimensions):
        """Return the results of a product of an association.

        By the names that calwebb_image2 gives, else those that the step gives if it is called
        by itself, else by what the headers say.

        Parameters
        ----------
        associated : Associated
            The product.
        header : astropy.io.fits.Header
            Primary header of its science exposure.
        dimensions : int
            Of the science exposure's arrays.

        Returns
        -------
        Result
            Which files there are.
        """
        roots = [associated.root, _root(associated.science)]
        subtracted = self._named(associated, roots, (SUBTRACTED[dimensions], _ALONE), header)
        if subtracted is None:
            subtracted = self._found_by_header(header, dimensions)
            if subtracted:
                roots.append(stem_of(subtracted).rpartition("_")[0])
        result = Result(
            subtracted,
            self._named(associated, roots, (COMBINED,)),
            self._named(associated, roots, (_CALIBRATED[dimensions],), header),
        )
        self._taken.update(real(path) for path in vars(result).values() if path)
        return result

    def _named(self, associated, roots, suffixes, header=None):
        """Return the first file of some names; those that have not the product's are looked at."""
        for root in dict.fromkeys(roots):
            for suffix in suffixes:
                beside = associated.association or associated.science
                path = self._files.find(beside, f"{root}_{suffix}.fits")
                usual = root == roots[0] and suffix == suffixes[0]
                if path and (usual or header is None or self._is_of(path, header)):
                    return path
        return None

    @staticmethod
    def _is_of(path, header):
        """Return whether a file is of the exposure of a header, as far as both say."""
        with suppress(CannotJudge):
            own = read_header(path)
            return all(
                own.get(name) == header[name] for name in _EXPOSURE if header.get(name) is not None
            )
        return True

    def _found_by_header(self, header, dimensions):
        """Return the only subtracted image of an exposure, whatever its name is."""
        found = {
            real(path): path
            for path, own in self._headers
            if is_subtracted(own)
            and same_exposure(own, header)
            and own.get("DATAMODL") in (None, {2: "ImageModel", 3: "CubeModel"}[dimensions])
        }
        if len(found) > 1:
            first, second, *_ = sorted(found.values())
            msg = (
                f"{first} and {second} are both subtracted images of one exposure: move one away, "
                "or name the directory that has only the other."
            )
            raise CannotJudge(msg)
        return next(iter(found.values()), None)

    @cached_property
    def _headers(self):
        """Primary headers of all FITS files that can be read, with their paths."""
        found = []
        for path in self._files.named(_ANY_FITS.search)[:_MOST_HEADERS]:
            with suppress(CannotJudge):
                found.append((path, read_header(path)))
        return found

    def association_of(self, associated):
        """Return the name of the association that the results of a product say they are of."""
        beside, suffixes = associated.association, (*SUBTRACTED.values(), *_CALIBRATED.values())
        for suffix in suffixes:
            path = self._files.find(beside, f"{associated.root}_{suffix}.fits")
            if path:
                return PurePath(str(read_header(path).get("ASNTABLE", ""))).name
        return ""

    def subtracted(self):
        """Return all subtracted images whose headers say that they are, with the headers."""
        return [(path, header) for path, header in self._headers if is_subtracted(header)]

    def rate(self, header, dimensions):
        """Return the rate of an exposure, None without one."""
        for path, own in self._headers:
            of_kind = (
                own.get("DATAMODL", "ImageModel") == {2: "ImageModel", 3: "CubeModel"}[dimensions]
            )
            if of_kind and own.get("S_BKDSUB") is None and same_exposure(own, header):
                return path
        return None

    def others(self, associated):
        """Return the names of results that no product of an association accounts for, sorted.

        Parameters
        ----------
        associated : list of Associated
            All products, those without backgrounds, too.

        Returns
        -------
        list of str
            Names of files.
        """
        roots, of_backgrounds = set(), set()
        for each in associated:
            roots |= {each.root, _root(each.science)}
            of_backgrounds |= set(map(_root, each.backgrounds))
        found = set()
        for path in self._files.named(_RESULT.search):
            name = plain_name(path.name)
            # The backgrounds' own calibrated products are nothing that was forgotten.
            accounted = roots | of_backgrounds if _OWN.search(name) else roots
            if real(path) not in self._taken and _RESULT.sub("", name) not in accounted:
                found.add(path.name)
        return sorted(found)


def _root(path):
    """Return what the names of an exposure's files begin with."""
    return PRODUCT_SUFFIX.sub("", stem_of(path))
