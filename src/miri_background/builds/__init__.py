"""Builds of the pipeline, each in an environment of its own, and how they are called."""
