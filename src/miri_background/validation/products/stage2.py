"""The products of calwebb_image2 in a directory, found by their associations.

Any pipeline may have written them: a run of this suite, with its products in directories of
their own, or an archive that has all files side by side.  Nothing but the files is needed.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from miri_background.outcomes import CannotJudge
from miri_background.places import require_products_directory
from miri_background.validation.products.associations import (
    Associated,
    background_sets,
    find_associations,
    products_of,
)
from miri_background.validation.products.clipping_choice import read_clipping
from miri_background.validation.products.finding import Files, real, stem_of
from miri_background.validation.products.results import Results
from miri_background.validation.products.set_reading import SetReading

__all__ = ["ProductSet", "ProductSets", "product_sets", "read_products", "require_one_set"]


def read_products(directory, sigma=None, maxiters=None, association=None, **choices):
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
    **choices
        Others of `product_sets`.

    Returns
    -------
    Products
        All science exposures that share a set of backgrounds.  Backgrounds of another subarray
        are in the pixels of the science exposures, not a number where they have none.

    Raises
    ------
    CannotJudge
        If a file is missing or damaged, lacks a keyword, or does not belong to the others; if
        there are several sets of backgrounds.
    """
    found = product_sets(directory, sigma, maxiters, association, **choices)
    return found.products(require_one_set(found))


def require_one_set(found):
    """Return the only set of products.

    Parameters
    ----------
    found : ProductSets
        All of a directory.

    Returns
    -------
    ProductSet
        The only one.

    Raises
    ------
    CannotJudge
        If there are several.
    """
    if len(found.sets) > 1:
        first, second, *_ = found.sets
        msg = (
            f"{found.directory} has {len(found.sets)} sets of backgrounds, such as those of "
            f"{first.name} and of {second.name}: choose one with --association."
        )
        raise CannotJudge(msg)
    return found.sets[0]


def product_sets(
    directory,
    sigma=None,
    maxiters=None,
    association=None,
    backgrounds=(),
    allow_outside=False,
):
    """Find all sets of products in a directory that share their backgrounds.

    Parameters
    ----------
    directory : path-like
        Holds everything.
    sigma, maxiters : float and int, optional
        Clipping parameters of the step; see `read_clipping`.
    association : path-like, optional
        The only association to judge.
    backgrounds : sequence of path-like, optional
        Background exposures that the step was given without an association; then all subtracted
        images in the directory are judged.
    allow_outside : bool, optional
        Whether associations may name files outside of the directory.

    Returns
    -------
    ProductSets
        Each is read when it is asked for.

    Raises
    ------
    CannotJudge
        If there is none.
    """
    directory = Path(directory)
    require_products_directory(directory)
    clipping = read_clipping(directory, sigma, maxiters)
    association = Path(association) if association else None
    files = Files(directory, association, allow_outside)
    results = Results(files)
    if backgrounds:
        associated, problems = _given(backgrounds, results, directory), []
    else:
        associated, problems = _associated(directory, association, files)
    if not associated:
        raise problems[0].problem
    decided, undecided = _decided(associated, results)
    sets, without = background_sets(decided) if decided else ([], [])
    found = [ProductSet(_name(each[0]), each) for each in sets]
    found += [ProductSet(_name(each), [each], each.problem) for each in undecided]
    return ProductSets(directory, found + problems, without, associated, results, clipping, files)


def _name(associated):
    """Return what a set is called whose first product is given."""
    return associated.root or stem_of(associated.science)


def _associated(directory, association, files):
    """Return the products of all associations, and sets for those that cannot be read."""
    contents = {association: None} if association else find_associations(directory)
    associated, problems = [], []
    for path, content in contents.items():
        try:
            associated += products_of(path, files, content)
        except CannotJudge as error:
            problems.append(ProductSet(path.name, [], error))
    return associated, problems


def _given(backgrounds, results, directory):
    """Return products for all subtracted images of a directory, which share their backgrounds."""
    backgrounds = tuple(map(Path, backgrounds))
    own = {real(path) for path in backgrounds}
    associated = []
    for path, header in results.subtracted():
        dimensions = 3 if header.get("DATAMODL") == "CubeModel" else 2
        rate = results.rate(header, dimensions)
        if rate is None:
            msg = (
                f"{path} is a subtracted image, and the rate that it was made of is not in "
                f"{directory}: put it there."
            )
            raise CannotJudge(msg)
        if real(rate) not in own:
            name = stem_of(path).rpartition("_")[0] or stem_of(path)
            associated.append(Associated(None, name, rate, backgrounds))
    if not associated:
        msg = (
            f"{directory} has no subtracted image (S_BKDSUB = COMPLETE, not yet calibrated): save "
            "the results of the background step."
        )
        raise CannotJudge(msg)
    return associated


def _decided(associated, results):
    """Return the products of the associations that were used, and those where this is unknown.

    Archives keep earlier versions of an association, which may have had fewer backgrounds: the
    headers of the results name the one that was used.
    """
    of_exposure = {}
    for each in associated:
        if each.backgrounds:
            of_exposure.setdefault((each.root, real(each.science)), []).append(each)
    dropped, undecided = set(), []
    for versions in of_exposure.values():
        if len({each.background_set for each in versions}) == 1:
            continue
        used = results.association_of(versions[0])
        right = [each for each in versions if each.association.name == used]
        if len({each.background_set for each in right}) != 1:
            names = sorted({each.association.name for each in versions})
            several = " and ".join(names[:2]) if names[1:] else f"{names[0]}, twice,"
            problem = CannotJudge(
                f"{versions[0].name} is in {several} with different background members, and its "
                f"products name {used or 'no association'}: choose one with --association."
            )
            undecided.append(replace(versions[0], problem=problem))
            right = []
        dropped |= {id(each) for each in versions} - {id(each) for each in right}
    return [each for each in associated if id(each) not in dropped], undecided


@dataclass(frozen=True)
class ProductSet:
    """Products that share one set of backgrounds.

    Parameters
    ----------
    name : str
        That of the first product, or of an association that cannot be read.
    associated : list of Associated
        The products.
    problem : CannotJudge, optional
        Why they cannot be judged, as far as that is known before they are read.
    """

    name: str
    associated: list
    problem: CannotJudge | None = None


class ProductSets:
    """All sets of products of a directory.

    Parameters
    ----------
    directory : pathlib.Path
        Holds everything.
    sets : list of ProductSet
        In the order of their associations.
    without : list of Associated
        Products of science exposures that have no backgrounds.
    associated : list of Associated
        All products.
    results : Results
        What was made of the exposures.
    clipping : ClippingParameters
        How the step is taken to have clipped.
    files : Files
        Those of the directory.

    Attributes
    ----------
    without_backgrounds : tuple of str
        Names of the products of science exposures that have no backgrounds.
    """

    def __init__(self, directory, sets, without, associated, results, clipping, files):
        self.sets = sets
        self.without_backgrounds = tuple(dict.fromkeys(each.root for each in without))
        self.directory, self.clipping = directory, clipping
        self._associated, self._results, self._files = associated, results, files

    def products(self, chosen):
        """Return the products of a set.

        Parameters
        ----------
        chosen : ProductSet
            One of the sets.

        Returns
        -------
        Products
            All science exposures that share the set's backgrounds.

        Raises
        ------
        CannotJudge
            If a file is missing or damaged, lacks a keyword, or does not belong to the others.
        """
        problems = [chosen.problem, *(each.problem for each in chosen.associated)]
        for problem in filter(None, problems):
            raise problem
        products = replace(
            SetReading(self._files, self._results).products(chosen.associated, self.clipping),
            clipping_is_sure=self.clipping.sure,
        )
        if len(self.sets) > 1:
            return products
        alone = "its association has no background members"
        lone = tuple((name, "", alone) for name in self.without_backgrounds)
        return replace(products, left_out=self.left_out(), not_judged=products.not_judged + lone)

    def left_out(self):
        """Return the names of results that no association names, once all sets were read."""
        return tuple(self._results.others(self._associated))
