"""What is known about the instrument: one set of constants for simulator and references.

The simulator turns these numbers into data, the synthetic CRDS cache turns the
same numbers into reference files.  A residual after calibration is then the
pipeline's, not the calibration's.
"""
