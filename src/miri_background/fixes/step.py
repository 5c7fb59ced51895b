"""The installed background step with changes that can be switched on one by one.

The pipeline is not changed.  What is averaged, and which flags count, is decided by what the step
is given: backgrounds that are prepared before.  Errors come from the step's own average of the
backgrounds, since that is where it is known what was clipped.
"""

import numpy as np
from jwst.background import BackgroundStep
from jwst.background.background_sub import ImageSubsetArray, average_background
from stdatamodels.jwst import datamodels

from miri_background.validation.products.images import DO_NOT_USE

__all__ = ["FixedBackgroundStep", "combined_flags", "in_place"]

_FLAG = np.uint32(DO_NOT_USE)
_VARIANCES = ("var_poisson", "var_rnoise")


def in_place(plane, window, science, empty):
    """Return a plane of a background in the pixels of a science exposure.

    Parameters
    ----------
    plane : ndarray
        Values of the background, shape (rows, columns).
    window, science : ImageSubsetArray
        Which pixels of the detector background and science exposure have (SUBSTRT1, SUBSTRT2).
    empty : float
        What stands where the background has no pixel.

    Returns
    -------
    ndarray
        Shape of the science exposure, type of the plane.
    """
    found = np.full(science.data.shape[-2:], empty, dtype=plane.dtype)
    top, left = max(window.jmin, science.jmin), max(window.imin, science.imin)
    bottom, right = min(window.jmax, science.jmax), min(window.imax, science.imax)
    if bottom > top and right > left:
        found[
            top - science.jmin : bottom - science.jmin, left - science.imin : right - science.imin
        ] = plane[
            top - window.jmin : bottom - window.jmin, left - window.imin : right - window.imin
        ]
    return found


def combined_flags(flags, covers, rule, least=0.5):
    """Return the flags of an average of backgrounds.

    Parameters
    ----------
    flags : ndarray of uint32
        Of each background, shape (backgrounds, rows, columns).
    covers : ndarray of bool
        Which pixels each background has, same shape.  Others do not count.
    rule : str
        "any": what any background flags.  "all": what all flag.  "part": DO_NOT_USE where at
        least a part of them has it, other flags where all have them.
    least : float, optional
        That part.

    Returns
    -------
    ndarray of uint32
        Shape (rows, columns).
    """
    if rule == "any":
        return np.bitwise_or.reduce(np.where(covers, flags, 0), axis=0).astype(np.uint32)
    every = np.bitwise_and.reduce(np.where(covers, flags, ~np.uint32(0)), axis=0)
    every = np.where(covers.any(axis=0), every, 0).astype(np.uint32)
    if rule == "all":
        return every
    flagged = (covers & (flags & _FLAG > 0)).sum(axis=0)
    enough = (flagged > 0) & (flagged >= least * covers.sum(axis=0))
    return (every & ~_FLAG) | np.where(enough, _FLAG, np.uint32(0))


class FixedBackgroundStep(BackgroundStep):
    """The installed background step, for slopes of exposures, with changes.

    With none switched on, it is the installed step.  Backgrounds have to be given as the second
    argument, as calwebb_image2 does.

    Raises
    ------
    ValueError
        If a change is switched on, and slopes of integrations are given, or no backgrounds.
    """

    spec = """
        placed = boolean(default=False)  # Put backgrounds of another subarray where they were read
        masked = boolean(default=False)  # Average no value that is flagged as DO_NOT_USE
        flags = option('any', 'all', 'part', default='any')  # Which flags of backgrounds count
        least = float(default=0.5)  # Part of the backgrounds that have DO_NOT_USE, for flags = part
        flag_empty = boolean(default=False)  # DO_NOT_USE where no background has a value
        errors = option('science', 'quadrature', 'variances', default='science')  # Of the result
    """

    def process(self, step_input, input_bkg_list=None):
        """Subtract the average of backgrounds.

        Parameters
        ----------
        step_input : str or stdatamodels.jwst.datamodels.ImageModel
            The science exposure.
        input_bkg_list : list
            Files or models of the backgrounds.

        Returns
        -------
        stdatamodels.jwst.datamodels.ImageModel
            As the installed step returns it.
        """
        prepares = self.placed or self.masked or self.flags != "any" or self.flag_empty
        if not prepares and self.errors == "science":
            return super().process(step_input, input_bkg_list)
        if not input_bkg_list:
            msg = "Changes of the background step need the list of backgrounds as its argument."
            raise ValueError(msg)
        with datamodels.open(step_input) as science:
            members = [_model(each) for each in input_bkg_list]
            if any(each.data.ndim != 2 for each in (science, *members)):
                msg = "Changes of the background step are for slopes of exposures (rate) only."
                raise ValueError(msg)
            if prepares:
                members = self._prepared(science, members)
            variances = self._variances(science, members)
        result = super().process(step_input, members)
        if variances:
            result.err = np.sqrt(result.err**2 + variances["err"])
        if self.errors == "variances":
            for name in _VARIANCES:
                setattr(result, name, getattr(result, name) + variances[name])
        return result

    def _prepared(self, science, members):
        """Return the backgrounds that make the installed step do what is switched on."""
        frame = ImageSubsetArray(science)
        windows = [ImageSubsetArray(each) for each in members]
        if self.placed:
            members = [
                _placed(member, window, frame, science)
                for member, window in zip(members, windows, strict=True)
            ]
            covers = [
                in_place(np.ones(window.data.shape, dtype=bool), window, frame, empty=False)
                for window in windows
            ]
        elif {each.data.shape for each in members} != {science.data.shape}:
            msg = "Flags of backgrounds of another subarray can be combined if they are placed."
            raise ValueError(msg)
        else:
            covers = [np.ones(science.data.shape, dtype=bool)] * len(members)
        if self.masked:
            for each in members:
                each.data[each.dq & _FLAG > 0] = np.nan
        flags = combined_flags(
            np.stack([each.dq for each in members]), np.stack(covers), self.flags, self.least
        )
        if self.flag_empty:
            empty = np.logical_and.reduce([~np.isfinite(each.data) for each in members])
            flags[empty] |= _FLAG
        # The installed step or-s what it is given.
        for each in members:
            each.dq = flags
        return members

    def _variances(self, science, members):
        """Return variances of the average of the backgrounds, (DN/s)^2, by what they add to."""
        if self.errors == "science":
            return {}
        found = {"err": average_background(science, members, self.sigma, self.maxiters).err ** 2}
        if self.errors == "variances":
            for name in _VARIANCES:
                parts = [each.copy() for each in members]
                for part in parts:
                    part.err = np.sqrt(getattr(part, name))
                average = average_background(science, parts, self.sigma, self.maxiters)
                found[name] = average.err**2
        return found


def _model(background):
    """Return a model that may be changed."""
    with datamodels.open(background) as opened:
        return opened.copy()


def _placed(member, window, frame, science):
    """Return a background as if it had been read in the science exposure's subarray."""
    planes = dict.fromkeys(("data", "err", *_VARIANCES), np.nan) | {"dq": 0}
    found = datamodels.ImageModel(science.data.shape)
    found.update(member)
    for name, empty in planes.items():
        setattr(found, name, in_place(getattr(member, name), window, frame, empty))
    for name in ("name", "xstart", "ystart", "xsize", "ysize"):
        setattr(found.meta.subarray, name, getattr(science.meta.subarray, name))
    return found
