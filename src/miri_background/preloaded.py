"""What worker processes work with: made once, in the process that they are forked from."""

import contextlib
import importlib
import signal

# Ctrl-C of a terminal is for the process that the workers work for; they end with it.
signal.signal(signal.SIGINT, signal.SIG_IGN)


def _prepare():
    """Import what workers need, and make what each of them would make first."""
    importlib.import_module("miri_background.simulation.observing")
    from stdatamodels.jwst.datamodels import RampModel

    from miri_background.calibration.pipeline import import_pipeline
    from miri_background.instrument.response import sky_response

    # With the first model of a process, descriptions of all extensions of ASDF are parsed.
    RampModel((1, 1, 1, 1)).close()
    sky_response()
    # The last: what is there then is out of the garbage collector's sight.
    for name in ("Detector1Pipeline", "Image2Pipeline"):
        import_pipeline(name)


# An installation that does not work is reported by the work that needs it.
with contextlib.suppress(Exception):
    _prepare()
