"""The embedded simulator: sky, optics, detector, level-1b exposures and their truth."""
