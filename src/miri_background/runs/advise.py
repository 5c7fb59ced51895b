"""Advice on the rates in a directory, without judging what the step made of them."""

from pathlib import Path

from miri_background.validation.products.stage2 import read_products

__all__ = ["advice_on"]


def advice_on(directory, sigma=None, maxiters=None, association=None):
    """Return what would make a better background of the rates in a directory.

    Parameters
    ----------
    directory : path-like
        Holds rates, associations and products of calwebb_image2.
    sigma, maxiters : float and int, optional
        Clipping parameters that the step was given; see `read_clipping`.
    association : path-like, optional
        The only association that is looked at.

    Returns
    -------
    Advice
        One line, with what it rests on.

    Raises
    ------
    CannotJudge
        If something is missing, damaged, or does not belong together.
    """
    products = read_products(Path(directory), sigma, maxiters, association)
    # Imported here, so that products that cannot be read are refused at once.
    from miri_background.advice.recommendation import advise
    from miri_background.instrument.readout import subarrays
    from miri_background.validation.prediction.masks import seen_pixels
    from miri_background.validation.products.images import in_two_dimensions

    if products.subarray not in subarrays():
        # Which of its pixels see the sky is not known here.
        return advise(products, products.every_pixel)
    science, backgrounds = (
        [in_two_dimensions(image) for image in images]
        for images in (products.science, products.backgrounds)
    )
    return advise(products, seen_pixels(products.subarray, science, backgrounds).lit)
