"""What worker processes work with: imported once, by the process that they are forked from."""

import contextlib

# An installation that does not work is reported by the work that needs it.
with contextlib.suppress(Exception):
    from miri_background.calibration.pipeline import import_pipeline

    import_pipeline("Detector1Pipeline")
