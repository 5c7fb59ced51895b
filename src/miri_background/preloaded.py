"""What worker processes work with: imported once, by the process that they are forked from."""

import contextlib
import importlib
import signal

# Ctrl-C of a terminal is for the process that the workers work for; they end with it.
signal.signal(signal.SIGINT, signal.SIG_IGN)

# An installation that does not work is reported by the work that needs it.
with contextlib.suppress(Exception):
    importlib.import_module("miri_background.simulation.observing")
    from miri_background.calibration.pipeline import import_pipeline

    import_pipeline("Detector1Pipeline")
