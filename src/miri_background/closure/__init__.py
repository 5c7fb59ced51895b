"""How the simulator is tried: what the pipeline recovers of what was put in."""

__all__ = ["OBSERVED"]

# Parameters that differ from the defaults.  Here, where they cost no import: the help names them.
OBSERVED = {"science_exposures": 2, "background_exposures": 2, "science_brightest": 10_000}
