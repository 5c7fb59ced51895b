"""Builds of the pipeline, releases and candidates, each in an environment of its own."""
