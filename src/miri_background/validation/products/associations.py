"""Associations of calwebb_image2, and the files that they name."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath

from miri_background.files import json_object
from miri_background.outcomes import CannotJudge

__all__ = ["PRODUCT_SUFFIX", "Files", "find_associations", "products_of", "sharing_backgrounds"]
_LEVELS = 2  # directories below the named one in which associations are looked for

# Suffixes of what calwebb_image2 makes of rates, and of what later stages make of that.
_LATER = re.compile(r"_(calints|cal|crfints|crf|i2d|s2d|s3d|x1dints|x1d|c1d)$")

# How the pipeline's rules call the types of other stages and modes; users write anything else.
_OTHER_STAGES = re.compile(r"(image3|spec[23]|coron3|ami3|tso3|wfs3)$")

# Suffixes that the pipeline takes off the name of a product, or of an exposure, for its own.
PRODUCT_SUFFIX = re.compile(r"_(rate|rateints|bsub|bsubints|cal|calints|ramp|uncal)$")
_ANY_SUBTRACTED = re.compile(r"_bsub(ints)?\.fits$")


@dataclass(frozen=True)
class Associated:
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
        return PRODUCT_SUFFIX.sub("", PurePath(self.name).stem)

    def association_name(self, header):
        """Return the name of the association, of several versions that which a header names."""
        used = PurePath(str(header.get("ASNTABLE", ""))).name
        return used if used in self.versions else self.association.name

    @property
    def background_set(self):
        """What is averaged, in whatever order."""
        return tuple(sorted(path.resolve() for path in self.backgrounds))


def find_associations(directory):
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


def products_of(path, files):
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
    return Associated(path, name, science, tuple(backgrounds))


def sharing_backgrounds(associated):
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


class Files:
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
