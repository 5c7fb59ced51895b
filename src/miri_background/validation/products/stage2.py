"""The products of calwebb_image2 in a directory, found by their associations.

Any pipeline may have written them: a run of this suite, with its products in directories of
their own, or an archive that has all files side by side.  Nothing but the files is needed.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from miri_background.files import json_object
from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.validation.products.frames import in_frame, truth_in_frame
from miri_background.validation.products.images import (
    Products,
    read_header,
    read_image,
    read_truth,
)

__all__ = ["ClippingParameters", "read_clipping", "read_products"]

# What the step does unless it is given other parameters (jwst documentation, "Background Step").
_DEFAULT_SIGMA, _DEFAULT_MAXITERS = 3.0, None
_LEVELS = 2  # directories below the named one in which associations are looked for
# Suffixes of what calwebb_image2 makes of rates, and of what later stages make of that.
_LATER = re.compile(r"_(calints|cal|crfints|crf|i2d|s2d|s3d|x1dints|x1d|c1d)$")
# How the pipeline's rules call the types of other stages and modes; users write anything else.
_OTHER_STAGES = re.compile(r"(image3|spec[23]|coron3|ami3|tso3|wfs3)$")
# Suffixes that the pipeline takes off the name of a product, or of an exposure, for its own.
_SUFFIX = re.compile(r"_(rate|rateints|bsub|bsubints|cal|calints|ramp|uncal)$")
# What it adds for images and for cubes of integrations.
_SUBTRACTED = {2: "bsub", 3: "bsubints"}
_CALIBRATED = {2: "cal", 3: "calints"}
_RATES = {2: "rate", 3: "rateints"}
_ANY_SUBTRACTED = re.compile(r"_bsub(ints)?\.fits$")
# Keywords of a rate that have one legal value ...
_FIXED = {"INSTRUME": "MIRI", "EXP_TYPE": "MIR_IMAGE"}
# ... those that name something, and the least value of those that are numbers.
_NAMES = ("FILTER", "READPATT", "SUBARRAY")
_LEAST = {
    "SUBSTRT1": 1,
    "SUBSTRT2": 1,
    "SUBSIZE1": 1,
    "SUBSIZE2": 1,
    "NGROUPS": 3,  # the last is left out, and a slope needs two
    "NINTS": 1,
}
_VARIANCES = ("VAR_POISSON", "VAR_RNOISE")
# Exposures that agree in these scatter in the same way.
_WAY = ("SUBARRAY", "READPATT", "NGROUPS", "NINTS", "TFRAME")


@dataclass(frozen=True)
class ClippingParameters:
    """The clipping parameters of the step, and where they come from.

    Parameters
    ----------
    sigma : float
        Threshold, standard deviations.
    maxiters : int or None
        Most iterations; None for as many as change anything.
    sources : tuple of str
        Where sigma and maxiters are from.
    """

    sigma: float
    maxiters: int | None
    sources: tuple

    def sentence(self):
        """Return both in words."""
        values = (f"sigma {self.sigma:g}", f"maxiters {self.maxiters or 'none'}")
        return ", ".join(
            f"{value} ({source})" for value, source in zip(values, self.sources, strict=True)
        )


def read_clipping(directory, sigma=None, maxiters=None):
    """Return the clipping parameters of the step.

    Parameters
    ----------
    directory : path-like
        If it is a run of this suite, its calibration says what is not given.
    sigma : float, optional
        Threshold; without it and a run, the step's default of 3.
    maxiters : int, optional
        Most iterations, 0 for no limit; without it and a run, the step's default of no limit.

    Returns
    -------
    ClippingParameters
        Both parameters with their sources.

    Raises
    ------
    CannotJudge
        If one of them is not possible, or the calibration cannot be read.
    """
    path = Path(directory) / "calibration.json"
    recorded = json_object(path) if path.exists() else {}
    chosen, sources = {}, []
    for name, given, default in (
        ("sigma", sigma, _DEFAULT_SIGMA),
        ("maxiters", maxiters, _DEFAULT_MAXITERS),
    ):
        if given is not None:
            chosen[name], source = given, f"--{name}"
        elif name in recorded:
            chosen[name], source = recorded[name], path.name
        else:
            chosen[name] = default
            source = f"the step's default: give another with --{name}"
        sources.append(source)
    sigma, maxiters = chosen["sigma"], chosen["maxiters"]
    if not _is_number(sigma) or not 0 < sigma < math.inf:
        msg = f"sigma = {sigma!r} ({sources[0]}) is not a number above 0."
        raise SetUpWrong(msg)
    if maxiters is not None and (not isinstance(maxiters, int) or maxiters < 0):
        msg = f"maxiters = {maxiters!r} ({sources[1]}) is not a whole number from 0."
        raise SetUpWrong(msg)
    # The step, too, takes 0 for no limit.
    return ClippingParameters(float(sigma), maxiters or None, tuple(sources))


def read_products(directory, sigma=None, maxiters=None, association=None):
    """Read what an association names, what calwebb_image2 made of it, and the truth.

    Where calwebb_image2 says that it skipped the background step, what the step
    gave on is its input: the rate stands for the subtracted image.

    Parameters
    ----------
    directory : path-like
        Holds everything, side by side or in directories of its own.
    sigma, maxiters : float and int, optional
        Clipping parameters of the step; see `read_clipping`.
    association : path-like, optional
        The only association to judge; by default all that calwebb_image2 may have been given,
        in the directory and up to two levels below.

    Returns
    -------
    Products
        All science exposures that share a set of backgrounds.  Backgrounds of another subarray
        are in the pixels of the science exposures, not a number where they have none.

    Raises
    ------
    CannotJudge
        If a file is missing or damaged, lacks a keyword, or does not belong to the others.
    """
    directory = Path(directory)
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "is missing"
        msg = f"{directory} {what}: name the directory that holds the products."
        raise SetUpWrong(msg)
    clipping = read_clipping(directory, sigma, maxiters)
    files = _Files(directory)
    associated = _sharing_backgrounds(
        [
            each
            for path in ([Path(association)] if association else _associations(directory))
            for each in _products_of(path, files)
        ]
    )
    return _Reading(files).products(associated, clipping)


# ------------------------------------------------------------------ associations


@dataclass(frozen=True)
class _Associated:
    """One product of an association: its name, and the files of its members.

    Archives keep earlier versions of an association: `versions` has the names of all that have
    this product in the same way.
    """

    association: Path
    name: str
    science: Path
    backgrounds: tuple
    versions: tuple = ()

    @property
    def root(self):
        """What the names of its files begin with."""
        return _SUFFIX.sub("", PurePath(self.name).stem)

    def association_name(self, header):
        """Return the name of the association, of several versions that which a header names."""
        used = PurePath(str(header.get("ASNTABLE", ""))).name
        return used if used in self.versions else self.association.name

    @property
    def background_set(self):
        """What is averaged, in whatever order."""
        return tuple(sorted(path.resolve() for path in self.backgrounds))


def _is_number(value):
    """Return whether a value of a header or of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _associations(directory):
    """Return the associations that calwebb_image2 may have been given, a few levels below."""
    patterns = ["*/" * level + "*asn*.json" for level in range(_LEVELS + 1)]
    found = sorted(
        path
        for pattern in patterns
        for path in directory.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )
    if not found:
        msg = (
            f"{directory} has no association (*asn*.json) up to {_LEVELS} levels below: name "
            "the directory that has one, which lists the backgrounds of each science exposure, "
            "or name the association itself with --association."
        )
        raise CannotJudge(msg)
    contents = {path: json_object(path) for path in found}
    reasons = {path: _of_another_stage(content) for path, content in contents.items()}
    suitable = [path for path, reason in reasons.items() if reason is None]
    if not suitable:
        path, reason = next(iter(reasons.items()))
        others = f", and {len(found) - 1} more are no better" if len(found) > 1 else ""
        msg = (
            f"{path} {reason}{others}: name the association that calwebb_image2 was given with "
            "--association, or the directory that has it."
        )
        raise CannotJudge(msg)
    # Archives keep those of spectra, too, beside those of images.
    of_images = [path for path in suitable if not _OTHER_STAGES.search(_type_of(contents[path]))]
    return of_images or suitable


def _type_of(content):
    """Return the type that an association says to be of, in lower case; the pipeline asks not."""
    return str(content.get("asn_type")).lower()


def _of_another_stage(content):
    """Return why calwebb_image2 was not given an association, None if it may have been."""
    products = content.get("products")
    if not products and not _type_of(content).endswith("image2"):
        return f"has no products (asn_type {content.get('asn_type')!r})"
    science = [
        PurePath(str(member.get("expname"))).stem
        for product in (products if isinstance(products, list) else ())
        if isinstance(product, dict) and isinstance(product.get("members"), list)
        for member in product["members"]
        if isinstance(member, dict) and str(member.get("exptype")).lower() == "science"
    ]
    if science and all(map(_LATER.search, science)):
        return f"is of a later stage: its science members are products such as {science[0]}"
    return None


def _products_of(path, files):
    """Return the products of an association, with the files of their members."""
    content = json_object(path)
    reason = _of_another_stage(content)
    if reason is not None:
        msg = f"{path} {reason}: name the association that calwebb_image2 was given."
        raise CannotJudge(msg)
    products = content.get("products")
    if not isinstance(products, list) or not products:
        msg = f"{path} has no products: mend the association, or make it anew."
        raise CannotJudge(msg)
    return [_associated(path, product, files) for product in products]


def _associated(path, product, files):
    """Return one product of an association."""
    members, what = defaultdict(list), "a product"
    try:
        name = str(product["name"])
        what = f"the product {name}"
        for number, member in enumerate(product["members"], 1):
            what = f"member {number} of {name}"
            members[member["exptype"].lower()].append(str(member["expname"]))
    except (KeyError, TypeError, AttributeError) as error:
        lacking = f"no {error.args[0]}" if isinstance(error, KeyError) else f"a mistake ({error})"
        msg = (
            f"{path}: {what} has {lacking}, and calwebb_image2 needs name, members, expname and "
            "exptype: mend the association, or make it anew."
        )
        raise CannotJudge(msg) from error
    if not members["science"]:
        msg = f"{path} has no science member for {name}: mend the association."
        raise CannotJudge(msg)
    science, *backgrounds = (
        files.member(path, each)
        # Of several science members, calwebb_image2 takes the first.
        for each in (members["science"][0], *members["background"])
    )
    return _Associated(path, name, science, tuple(backgrounds))


def _sharing_backgrounds(associated):
    """Return the products to judge: all must share one set of backgrounds.

    Left out are those that another association has, too, and the backgrounds' own:
    archives calibrate each exposure of a background by an association without backgrounds.
    """
    served = {path for each in associated for path in each.background_set}
    if not served:
        msg = (
            f"{associated[0].association} has no background members for {associated[0].name}: "
            "there is nothing to judge."
        )
        raise CannotJudge(msg)
    distinct = defaultdict(list)
    for each in associated:
        if each.backgrounds or each.science.resolve() not in served:
            distinct[each.root, each.science.resolve(), each.background_set].append(each)
    first, *others = (
        replace(versions[0], versions=tuple(each.association.name for each in versions))
        for versions in distinct.values()
    )
    for other in others:
        if other.background_set != first.background_set:
            places = {first.association: first.name, other.association: other.name}
            if len(places) == 1:
                where, advice = first.association, "give each set an association of its own"
            else:
                where = f"{first.association} and {other.association}"
                advice = "choose one with --association"
            msg = (
                f"{where}: {first.name} and {other.name} have different background members "
                f"({len(first.backgrounds)} and {len(other.backgrounds)} files), and one set is "
                f"judged at a time: {advice}."
            )
            raise CannotJudge(msg)
    return [first, *others]


class _Files:
    """The files of a directory, found by their names.

    Parameters
    ----------
    directory : pathlib.Path
        Where they are, or below; what is in hidden directories is being written.
    """

    def __init__(self, directory):
        self.directory = directory

    @cached_property
    def _places(self):
        """Directories by the names of the files in them, those behind links last and once."""
        places, seen = defaultdict(list), set()
        waiting, links = [(self.directory, math.inf)], []
        while waiting or links:
            directory, levels = (waiting or links).pop(0)
            if directory.resolve() in seen:
                continue
            seen.add(directory.resolve())
            for entry, holds_files in self._entries(directory):
                if not holds_files:
                    places[entry.name].append(directory)
                elif levels > 0 and not entry.name.startswith("."):
                    if entry.is_symlink():
                        # A link may lead anywhere, to the whole file system, too.
                        links.append((entry, min(levels - 1, _LEVELS)))
                    else:
                        waiting.append((entry, levels - 1))
        return places

    @staticmethod
    def _entries(directory):
        """Return what is in a directory, sorted, and whether it is one; nothing if closed."""
        try:
            return [(path, path.is_dir()) for path in sorted(directory.iterdir())]
        except OSError:
            return []

    def others(self, names):
        """Return the names of subtracted images that are not among these, sorted."""
        return sorted(filter(_ANY_SUBTRACTED.search, self._places.keys() - set(names)))

    def find(self, beside, name):
        """Return the file of a name beside another or below the directory, None without one."""
        near = beside.with_name(name)
        if near.exists():
            return near
        # Links to one file are no ambiguity.
        found = {
            path.resolve(): path
            for path in (place / name for place in self._places.get(name, ()))
            if path.exists()
        }
        if len(found) > 1:
            first, second, *_ = sorted(found.values())
            msg = f"{first} and {second} have the same name: move one away."
            raise CannotJudge(msg)
        return next(iter(found.values()), None)

    def member(self, association, expname):
        """Return the file of a member of an association."""
        # What is in the directory comes before what an absolute path says, which is where
        # the files of a copied directory have been.
        path = None if PurePath(expname).is_absolute() else association.parent / expname
        if path is None or not path.exists():
            path = self.find(association, PurePath(expname).name)
        if path is None and PurePath(expname).is_absolute() and Path(expname).exists():
            path = Path(expname)
        if path is None:
            msg = (
                f"{PurePath(expname).name}, a member of {association}, is neither beside it nor "
                f"below {self.directory}: put it there."
            )
            raise CannotJudge(msg)
        return path


# ------------------------------------------------------------------ files


class _Reading:
    """Reading of each file once.

    Parameters
    ----------
    files : _Files
        Where they are found.
    """

    def __init__(self, files):
        self._files = files
        self._inputs = []

    def _read(self, reader, path, **options):
        """Return what a reader makes of a file, and note the file as input."""
        content = reader(path, **options)
        self._inputs.append(path)
        return content

    def products(self, associated, clipping):
        """Return the products of associations that share their backgrounds."""
        self._inputs += dict.fromkeys(each.association for each in associated)
        science = {}
        for each in associated:
            if each.science not in science:
                science[each.science] = self._rate(each.science, variances=True)
                _require_matching(
                    science[each.science], next(iter(science.values())), ("FILTER", "SUBARRAY")
                )
        members = associated[0].backgrounds
        backgrounds = self._backgrounds(members, science)
        results = [self._results(each, science[each.science]) for each in associated]
        subtracted, combined, headers, calibrated = map(list, zip(*results, strict=True))
        rates = [science[each.science] for each in associated]
        truth, no_truth = self._truth(rates, backgrounds)
        return Products(
            rates,
            backgrounds,
            subtracted,
            combined,
            headers,
            truth and truth[: len(rates)],
            truth and truth[len(rates) :],
            clipping.sigma,
            clipping.maxiters,
            [
                each.association_name(header)
                for each, header in zip(associated, headers, strict=True)
            ],
            tuple(self._inputs),
            no_truth,
            tuple(calibrated),
            tuple(self._files.others({image.path.name for image in subtracted})),
        )

    def _rate(self, path, variances):
        """Return a rate that has everything that is needed to judge by it."""
        image = self._read(read_image, path, variances=variances)
        _require_keywords(image)
        _require_shape(image)
        if variances:
            missing = [name for name in _VARIANCES if name not in image.variances]
            if missing:
                msg = f"{path} has no array {missing[0]}: make it anew."
                raise CannotJudge(msg)
        for name, plane in (("SCI", image.data), ("ERR", image.err)):
            if not np.isfinite(plane).any():
                msg = f"{path} has no value in {name} that is finite: make it anew."
                raise CannotJudge(msg)
        return image

    def _backgrounds(self, members, science):
        """Return the backgrounds as the science exposures see them, those named twice, twice."""
        first = next(iter(science.values()))
        images, ways = {}, set()
        for path in members:
            if path in images:
                continue
            image = science.get(path)
            if image is None:
                # The noise of all that are read in one way is taken from the variances of one.
                header = read_header(path)
                way = tuple(header.get(name) for name in _WAY)
                image = self._rate(path, variances=way not in ways)
                ways.add(way)
            _require_matching(image, first)
            images[path] = in_frame(image, first.header)
        return [images[path] for path in members]

    def _results(self, associated, rate):
        """Return subtracted image, combined background, header and file of one product."""
        dimensions = rate.data.ndim

        def find(suffix):
            return self._files.find(associated.association, f"{associated.root}_{suffix}.fits")

        calibrated = find(_CALIBRATED[dimensions])
        header = self._read(read_header, calibrated) if calibrated else None
        path = find(_SUBTRACTED[dimensions])
        if path is None:
            if header is not None and header.get("S_BKDSUB", "SKIPPED") == "SKIPPED":
                return rate, None, header, calibrated
            msg = (
                f"{associated.root}_{_SUBTRACTED[dimensions]}.fits, the subtracted image of "
                f"{rate.path}, is neither beside {associated.association} nor below "
                f"{self._files.directory}: run calwebb_image2 with save_results of bkg_subtract."
            )
            raise CannotJudge(msg)
        subtracted = self._read(read_image, path)
        _require_same_shape(subtracted, rate.data.shape, rate)
        path = find("combinedbackground")
        combined = self._read(read_image, path, variances=False) if path else None
        if combined:
            _require_same_shape(combined, rate.data.shape[-2:], rate)
        return subtracted, combined, subtracted.header if header is None else header, calibrated

    def _truth(self, science, backgrounds):
        """Return the truth of the exposures, or None, and why there is none."""
        rates = [*science, *backgrounds]
        paths = {
            image.path: self._files.find(
                image.path, f"{_SUFFIX.sub('', image.path.stem)}_truth.fits"
            )
            for image in rates
        }
        if not any(paths.values()):
            name = f"{_SUFFIX.sub('', rates[0].path.stem)}_truth.fits"
            return (
                None,
                f"there is no truth file such as {name} in {self._files.directory} or below",
            )
        for rate, path in paths.items():
            if path is None:
                msg = (
                    f"{rate} has no truth file and other exposures have one: "
                    "add it, or move the others away."
                )
                raise CannotJudge(msg)
        truths = {path: self._read(read_truth, path) for path in dict.fromkeys(paths.values())}
        for image in rates:
            path = paths[image.path]
            size = image.header["SUBSIZE2"], image.header["SUBSIZE1"]
            for plane in (truths[path].background, truths[path].sources):
                if plane.shape != size:
                    msg = (
                        f"{path} has images of shape {plane.shape}, and {image.path} of {size}: "
                        "they do not belong together."
                    )
                    raise CannotJudge(msg)
        found = [
            truth_in_frame(truths[paths[image.path]], image, science[0].header) for image in rates
        ]
        return found, ""


def _require_keywords(image):
    """Refuse a rate without the keywords that are needed, or of another instrument or mode."""
    header, path = image.header, image.path
    for name in (*_FIXED, *_NAMES, *_LEAST, "TFRAME"):
        if header.get(name) is None:
            msg = f"{path} has no keyword {name}, or no value of it, which is needed."
            raise CannotJudge(msg)
    for name, value in _FIXED.items():
        if header[name] != value:
            msg = f"{path} has {name} = {header[name]!r}: only {value} exposures are judged."
            raise CannotJudge(msg)
    for name in _NAMES:
        if not isinstance(header[name], str):
            msg = f"{path} has {name} = {header[name]!r}, which is not a name."
            raise CannotJudge(msg)
    for name, least in _LEAST.items():
        if not isinstance(header[name], int) or header[name] < least:
            msg = f"{path} has {name} = {header[name]!r}: a whole number from {least} is needed."
            raise CannotJudge(msg)
    if not _is_number(header["TFRAME"]) or header["TFRAME"] <= 0:
        msg = f"{path} has TFRAME = {header['TFRAME']!r}: a time above 0 s is needed."
        raise CannotJudge(msg)
    if header["SUBARRAY"] not in subarrays():
        msg = (
            f"{path} has SUBARRAY = {header['SUBARRAY']!r}: the subarrays of imaging that are "
            f"known here are {', '.join(subarrays())}."
        )
        raise CannotJudge(msg)


def _require_shape(image):
    """Refuse a rate that is not of the size and place of its subarray."""
    header, path = image.header, image.path
    read = subarrays()[header["SUBARRAY"]]
    for name, value in (
        ("SUBSTRT1", read.x.start + 1),
        ("SUBSTRT2", read.y.start + 1),
        ("SUBSIZE1", read.shape[1]),
        ("SUBSIZE2", read.shape[0]),
    ):
        if header[name] != value:
            msg = (
                f"{path} has {name} = {header[name]}, and subarray {read.name} has {value}: "
                "make it anew."
            )
            raise CannotJudge(msg)
    if image.data.ndim not in _RATES or image.data.shape[-2:] != read.shape or not image.data.size:
        msg = (
            f"{path} has arrays of shape {image.data.shape}, and subarray {read.name} has "
            f"{read.shape[0]} rows of {read.shape[1]} columns: make it anew."
        )
        raise CannotJudge(msg)


def _require_same_shape(image, shape, rate):
    """Refuse a result of another shape than its rate."""
    if image.data.shape != shape:
        msg = (
            f"{image.path} has arrays of shape {image.data.shape}, and {shape} belongs to "
            f"{rate.path}: make it anew."
        )
        raise CannotJudge(msg)


def _require_matching(image, first, same=("FILTER",)):
    """Refuse a member that does not belong to the first science exposure.

    Parameters
    ----------
    image, first : Image
        The member, and the first science exposure.
    same : tuple of str, optional
        Keywords in which both have to agree.
    """
    kinds = [_RATES[each.data.ndim] for each in (image, first)]
    if kinds[0] != kinds[1]:
        msg = (
            f"{image.path} is a {kinds[0]} file and {first.path} a {kinds[1]} file: "
            "they do not belong together, correct the association."
        )
        raise CannotJudge(msg)
    for name in same:
        values = [each.header[name] for each in (image, first)]
        if values[0] == values[1]:
            continue
        msg = (
            f"{image.path} has {name} = {values[0]} and {first.path} {values[1]}: "
            "they do not belong together, correct the association."
        )
        raise CannotJudge(msg)
