"""Validation of MIRI imaging background subtraction in the JWST calibration pipeline."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("miri-background-validation")
