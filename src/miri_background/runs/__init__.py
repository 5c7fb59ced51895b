"""Whole runs of the suite: the notebook executed with parameters, and what came of it."""
