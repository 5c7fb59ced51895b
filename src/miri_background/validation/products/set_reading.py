"""Reading all files of products that share one set of backgrounds."""

from dataclasses import replace
from pathlib import PurePath

import numpy as np

from miri_background.outcomes import CannotJudge
from miri_background.validation.products.associations import PRODUCT_SUFFIX
from miri_background.validation.products.crashes import missing_product
from miri_background.validation.products.finding import stem_of
from miri_background.validation.products.frames import in_frame, truth_in_frame
from miri_background.validation.products.images import (
    Products,
    read_header,
    read_image,
    read_truth,
)
from miri_background.validation.products.planes import rate_less_background
from miri_background.validation.products.requirements import (
    RATES,
    require_keywords,
    require_matching,
    require_same_kind,
    require_same_shape,
    require_shape,
)
from miri_background.validation.products.results import SUBTRACTED

__all__ = ["SetReading"]

_VARIANCES = ("VAR_POISSON", "VAR_RNOISE")
_COMPUTED = "it was not saved, and what is judged is rate less combined background"

# Exposures that agree in these scatter in the same way.
_WAY = ("SUBARRAY", "READPATT", "NGROUPS", "NINTS", "TFRAME")


class SetReading:
    """Reading of each file once.

    Parameters
    ----------
    files : Files
        Where they are found.
    results : Results
        What was made of the exposures.
    """

    def __init__(self, files, results):
        self._files, self._results = files, results
        self._inputs = []

    def _read(self, reader, path, **options):
        """Return what a reader makes of a file, and note the file as input."""
        content = reader(path, **options)
        self._inputs.append(path)
        return content

    def products(self, associated, clipping):
        """Return the products of associations that share their backgrounds."""
        self._inputs += dict.fromkeys(each.association for each in associated if each.association)
        science = {}
        for each in associated:
            if each.science not in science:
                image = science[each.science] = self._rate(each.science, variances=True)
                first = next(iter(science.values()))
                require_matching(image, first, ("FILTER", "SUBARRAY"))
                require_same_kind(image, first)
        members = associated[0].backgrounds
        found = [self._result(each, science[each.science]) for each in associated]
        backgrounds = self._backgrounds(members, science)
        results = [
            self._results_of(result, science[each.science])
            for each, result in zip(associated, found, strict=True)
        ]
        subtracted, combined, headers, computed = map(list, zip(*results, strict=True))
        rates = [science[each.science] for each in associated]
        names, unnamed = self._names(associated, headers, found)
        unnamed += [
            ("subtracted image", f"exposure {number}", _COMPUTED)
            for number, each in enumerate(computed, 1)
            if each
        ]
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
            names,
            tuple(self._inputs),
            no_truth,
            tuple(each.calibrated for each in found),
            not_judged=tuple(unnamed),
            computed=tuple(computed),
        )

    def _names(self, associated, headers, results):
        """Return the association that each product should name, and where it need not, and why."""
        names, unnamed = [], []
        for number, (each, header, result) in enumerate(
            zip(associated, headers, results, strict=True), 1
        ):
            name, used = each.association_name(header), str(header.get("ASNTABLE", ""))
            why = ""
            if result.of_step_alone and not used:
                why = "its products name none"
            elif name and self._files.association and PurePath(used).name != name:
                why = f"{name} was chosen, and the products name {used or 'none'}"
            if why:
                unnamed.append(("metadata", f"the association of exposure {number}", why))
            names.append(None if why else name)
        return names, unnamed

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

    def _result(self, associated, rate):
        """Return which files were made of a science exposure."""
        dimensions = len(rate.shape)
        result = self._results.of(associated, rate.header, dimensions)
        if result.subtracted is None and _is_skipped(result.calibrated):
            return replace(result, combined=None)
        if result.subtracted or result.combined:
            return result
        self._require_one_kind(associated, dimensions)
        raise missing_product(
            f"{associated.root}_{SUBTRACTED[dimensions]}.fits, the subtracted image of "
            f"{rate.path}, is neither beside {associated.association or rate.path} nor below "
            f"{self._files.directory}",
            "run calwebb_image2 with save_results of bkg_subtract",
            self._files,
        )

    @staticmethod
    def _require_one_kind(associated, dimensions):
        """Refuse members of which jwst makes no products, for that reason."""
        other = {2: "CubeModel", 3: "ImageModel"}[dimensions]
        for path in associated.backgrounds:
            if read_header(path).get("DATAMODL") == other:
                msg = (
                    f"{associated.science} is a {RATES[dimensions]} file and its background {path} "
                    f"a {RATES[5 - dimensions]} file, and jwst 1.12 and later end with an error "
                    "where both are mixed: name files of one kind in the association, and run "
                    "calwebb_image2 again."
                )
                raise CannotJudge(msg)

    def _results_of(self, result, rate):
        """Return subtracted image, combined background, header, and whether it was computed."""
        header = self._read(read_header, result.calibrated) if result.calibrated else None
        combined = None
        if result.combined:
            combined = self._read(read_image, result.combined, variances=False)
            require_same_shape(combined, rate.shape[-2:], rate)
        if result.subtracted:
            subtracted = self._read(read_image, result.subtracted)
            require_same_shape(subtracted, rate.shape, rate)
            return subtracted, combined, subtracted.header if header is None else header, False
        if combined is None:
            return rate, None, header, False
        # The combined background can be judged by itself, and by what it would leave.
        subtracted = rate_less_background(rate, combined)
        return subtracted, combined, rate.header if header is None else header, True

    def _truth(self, science, backgrounds):
        """Return the truth of the exposures, or None, and why there is none."""
        rates = [*science, *backgrounds]
        paths = {
            image.path: self._files.find(
                image.path, f"{PRODUCT_SUFFIX.sub('', stem_of(image.path))}_truth.fits"
            )
            for image in rates
        }
        if not any(paths.values()):
            name = f"{PRODUCT_SUFFIX.sub('', stem_of(rates[0].path))}_truth.fits"
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


def _is_skipped(calibrated):
    """Return whether a calibrated product says that no background was subtracted."""
    if calibrated is None:
        return False
    return read_header(calibrated).get("S_BKDSUB", "SKIPPED") == "SKIPPED"
