"""Associations of calwebb_image2, and the files that they name."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath

from miri_background.files import json_object
from miri_background.outcomes import CannotJudge
from miri_background.validation.products.finding import LEVELS, real, stem_of

__all__ = ["PRODUCT_SUFFIX", "Associated", "background_sets", "find_associations", "products_of"]

_MOST_BYTES = 10_000_000  # of an association; one of a hundred members has 10 kB
_MOST_MEMBERS = 5000  # of a product

# Suffixes of what calwebb_image2 makes of rates, and of what later stages make of that.
_LATER = re.compile(r"_(calints|cal|crfints|crf|i2d|s2d|s3d|x1dints|x1d|c1d)$")

# How the pipeline's rules call the types of other stages and modes; users write anything else.
_OTHER_STAGES = re.compile(r"(image3|spec[23]|coron3|ami3|tso3|wfs3)$")

# Suffixes that the pipeline takes off the name of a product, or of an exposure, for its own.
PRODUCT_SUFFIX = re.compile(r"_(rate|rateints|bsub|bsubints|cal|calints|ramp|uncal)$")


@dataclass(frozen=True)
class Associated:
    """One product of an association: its name, and the files of its members.

    Parameters
    ----------
    association : pathlib.Path or None
        The association; None where the step was given its backgrounds by themselves.
    name : str
        Name of the product.
    science : pathlib.Path
        The science exposure.
    backgrounds : tuple of pathlib.Path
        What is averaged.
    versions : tuple of str, optional
        Archives keep earlier versions of an association: the names of all that have this
        product in the same way.
    problem : CannotJudge, optional
        Why it cannot be judged, if a member is not there.
    """

    association: Path
    name: str
    science: Path
    backgrounds: tuple
    versions: tuple = ()
    problem: Exception | None = None

    @property
    def root(self):
        """What the names of its files begin with."""
        return PRODUCT_SUFFIX.sub("", stem_of(self.name))

    def association_name(self, header):
        """Return the name of the association, of several versions that which a header names."""
        if self.association is None:
            return None
        used = PurePath(str(header.get("ASNTABLE", ""))).name
        return used if used in self.versions else self.association.name

    @cached_property
    def background_set(self):
        """What is averaged, in whatever order."""
        return tuple(sorted(map(real, self.backgrounds)))


def find_associations(directory):
    """Return the associations that calwebb_image2 may have been given, a few levels below.

    Parameters
    ----------
    directory : pathlib.Path
        Where they are, or below.

    Returns
    -------
    dict
        What each holds, by their paths; a `CannotJudge` of those that cannot be read.

    Raises
    ------
    CannotJudge
        If none is there, or none that may have been given to calwebb_image2.
    """
    patterns = ["*/" * level + "*asn*.json" for level in range(LEVELS + 1)]
    found = sorted(
        path
        for pattern in patterns
        for path in directory.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )
    if not found:
        msg = (
            f"{directory} has no association (*asn*.json) up to {LEVELS} levels below: name "
            "the directory that has one, which lists the backgrounds of each science exposure, "
            "name the association itself with --association, or the background exposures with "
            "--backgrounds."
        )
        raise CannotJudge(msg)
    contents = {path: _content(path) for path in found}
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
    return {path: contents[path] for path in of_images or suitable}


def _content(path):
    """Return what an association holds, or why it cannot be read."""
    try:
        return json_object(path, most=_MOST_BYTES)
    except CannotJudge as error:
        return error


def _type_of(content):
    """Return the type that an association says to be of, in lower case; the pipeline asks not."""
    if isinstance(content, CannotJudge):
        return ""
    return str(content.get("asn_type")).lower()


def _of_another_stage(content):
    """Return why calwebb_image2 was not given an association, None if it may have been."""
    if isinstance(content, CannotJudge):
        return None
    products = content.get("products")
    if not products and not _type_of(content).endswith("image2"):
        return f"has no products (asn_type {content.get('asn_type')!r})"
    science = [
        stem_of(str(member.get("expname")))
        for product in (products if isinstance(products, list) else ())
        if isinstance(product, dict) and isinstance(product.get("members"), list)
        for member in product["members"]
        if isinstance(member, dict) and str(member.get("exptype")).lower() == "science"
    ]
    if science and all(map(_LATER.search, science)):
        return f"is of a later stage: its science members are products such as {science[0]}"
    return None


def products_of(path, files, content=None):
    """Return the products of an association, with the files of their members.

    Parameters
    ----------
    path : pathlib.Path
        The association.
    files : Files
        Where the members are found.
    content : dict or CannotJudge, optional
        What it holds, where that is known.

    Returns
    -------
    list of Associated
        In its order.

    Raises
    ------
    CannotJudge
        If it cannot be read, is not one of calwebb_image2, or lacks a part.
    """
    content = _content(path) if content is None else content
    if isinstance(content, CannotJudge):
        raise content
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
        if len(product["members"]) > _MOST_MEMBERS:
            msg = (
                f"{path}: {what} has {len(product['members'])} members, and no more than "
                f"{_MOST_MEMBERS} are read: mend the association."
            )
            raise CannotJudge(msg)
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
    # Of several science members, calwebb_image2 takes the first.
    named, paths, problem = [members["science"][0], *members["background"]], [], None
    for expname in named:
        try:
            paths.append(files.member(path, expname))
        except CannotJudge as error:
            # Another exposure may be judged, and this one not be needed.
            paths.append(path.parent / _sayable(PurePath(expname).name))
            problem = problem or error
    return Associated(path, name, paths[0], tuple(paths[1:]), problem=problem)


def _sayable(name):
    """Return a name without characters that no file system has."""
    return name.encode("utf-8", "replace").decode().replace("\0", "?")


def background_sets(associated):
    """Return the products to judge, those that share one set of backgrounds together.

    Left out are those that another association has, too, and the backgrounds' own:
    archives calibrate each exposure of a background by an association without backgrounds.

    Parameters
    ----------
    associated : list of Associated
        Of all associations.

    Returns
    -------
    sets : list of list of Associated
        In the order in which they are found.
    without : list of Associated
        Those of science exposures that no background was subtracted from.

    Raises
    ------
    CannotJudge
        If none has backgrounds.
    """
    served = {path for each in associated for path in each.background_set}
    if not served:
        msg = (
            f"{associated[0].association} has no background members for {associated[0].name}: "
            "there is nothing to judge."
        )
        raise CannotJudge(msg)
    distinct, without = defaultdict(list), []
    for each in associated:
        if each.backgrounds:
            distinct[each.root, real(each.science), each.background_set].append(each)
        elif real(each.science) not in served:
            without.append(each)
    sets = defaultdict(list)
    for versions in distinct.values():
        names = tuple(each.association.name for each in versions if each.association)
        sets[versions[0].background_set].append(replace(versions[0], versions=names))
    return list(sets.values()), without
