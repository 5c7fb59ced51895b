"""The products of calwebb_image2 in a directory, found by their associations.

Any pipeline may have written them: a run of this suite, with its products in directories of
their own, or an archive that has all files side by side.  Nothing but the files is needed.
"""

from pathlib import Path

import numpy as np

from miri_background.outcomes import CannotJudge, SetUpWrong
from miri_background.validation.products.associations import (
    PRODUCT_SUFFIX,
    Files,
    find_associations,
    products_of,
    sharing_backgrounds,
)
from miri_background.validation.products.clipping_choice import read_clipping
from miri_background.validation.products.frames import in_frame, truth_in_frame
from miri_background.validation.products.images import (
    Products,
    read_header,
    read_image,
    read_truth,
)
from miri_background.validation.products.requirements import (
    require_keywords,
    require_matching,
    require_same_shape,
    require_shape,
)

__all__ = ["read_products"]

# What it adds for images and for cubes of integrations.
_SUBTRACTED = {2: "bsub", 3: "bsubints"}
_CALIBRATED = {2: "cal", 3: "calints"}
_VARIANCES = ("VAR_POISSON", "VAR_RNOISE")

# Exposures that agree in these scatter in the same way.
_WAY = ("SUBARRAY", "READPATT", "NGROUPS", "NINTS", "TFRAME")


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
    files = Files(directory)
    associated = sharing_backgrounds(
        [
            each
            for path in ([Path(association)] if association else find_associations(directory))
            for each in products_of(path, files)
        ]
    )
    return _Reading(files).products(associated, clipping)


# ------------------------------------------------------------------ files


class _Reading:
    """Reading of each file once.

    Parameters
    ----------
    files : Files
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
                require_matching(
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
            clipping.sure,
        )

    def _rate(self, path, variances):
        """Return a rate that has everything that is needed to judge by it."""
        image = self._read(read_image, path, variances=variances)
        require_keywords(image)
        require_shape(image)
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
            require_matching(image, first)
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
        require_same_shape(subtracted, rate.data.shape, rate)
        path = find("combinedbackground")
        combined = self._read(read_image, path, variances=False) if path else None
        if combined:
            require_same_shape(combined, rate.data.shape[-2:], rate)
        return subtracted, combined, subtracted.header if header is None else header, calibrated

    def _truth(self, science, backgrounds):
        """Return the truth of the exposures, or None, and why there is none."""
        rates = [*science, *backgrounds]
        paths = {
            image.path: self._files.find(
                image.path, f"{PRODUCT_SUFFIX.sub('', image.path.stem)}_truth.fits"
            )
            for image in rates
        }
        if not any(paths.values()):
            name = f"{PRODUCT_SUFFIX.sub('', rates[0].path.stem)}_truth.fits"
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
